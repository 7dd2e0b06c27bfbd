//! What compiling gym-rs requires: CMake with Make, and SDL2_gfx with the SDL2 that it is for.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::say;

/// Whether gym-rs can be compiled; otherwise says what is missing.
pub(crate) fn is_there() -> bool {
    let there =
        succeeds(Command::new("cmake").arg("--version")) && succeeds(Command::new("make").arg("--version")) && links();
    if !there {
        say(
            "gym-rs is left out: it needs CMake, SDL2 and SDL2_gfx (Debian and Ubuntu: `apt install cmake libsdl2-gfx-dev make`, macOS: \
             `brew install cmake sdl2 sdl2_gfx`)",
        );
    }
    there
}

/// Whether a program can be linked with SDL2_gfx.
fn links() -> bool {
    let mut cc = Command::new("cc");
    let child = cc
        .args(["-x", "c", "-", "-lSDL2_gfx", "-o", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // A compiler that exits early does not read it.
        let _ = stdin.write_all(b"int main(void) { return 0; }\n");
    }
    child.wait().is_ok_and(|status| status.success())
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
