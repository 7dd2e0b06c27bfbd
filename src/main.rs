//! The program `coinop`; what it does is in `program.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    coinop::Program::new().main()
}
