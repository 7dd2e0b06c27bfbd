//! The program `coinop`, implemented in `program.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    coinop::Program::new().main()
}
