//! What compiling gym-rs requires: CMake with Make, and SDL2_gfx with the SDL2 that it is for.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::progress::say;

/// The packages of Debian and its derivatives; that of SDL2_gfx depends on that of SDL2.
const PACKAGES: [&str; 3] = ["cmake", "libsdl2-gfx-dev", "make"];

/// Installs what is missing if possible, and otherwise prints how to. Returns whether gym-rs can be compiled.
pub(crate) fn provide() -> bool {
    if is_there() {
        return true;
    }
    let packages = PACKAGES.join(" ");
    if can_install() {
        say(&format!("apt-get install {packages}, for gym-rs"));
        let install = [&["install", "-y", "-qq", "--no-install-recommends"], &PACKAGES[..]].concat();
        if apt_get(&["update", "-qq"]) && apt_get(&install) && is_there() {
            return true;
        }
    }
    say(&format!(
        "gym-rs is left out: it needs CMake, SDL2 and SDL2_gfx (Debian and Ubuntu: `apt install {packages}`, macOS: `brew install cmake sdl2 \
         sdl2_gfx`)"
    ));
    false
}

fn is_there() -> bool {
    let runs = |program: &str| succeeds(Command::new(program).arg("--version"));
    runs("cmake") && runs("make") && links()
}

/// Whether a program can be linked with SDL2_gfx.
fn links() -> bool {
    let mut cc = Command::new("cc");
    cc.args(["-x", "c", "-", "-lSDL2_gfx", "-o", "/dev/null"]);
    let child = cc
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

/// Whether this is root on Debian or a derivative.
#[cfg(unix)]
fn can_install() -> bool {
    rustix::process::geteuid().is_root() && succeeds(Command::new("apt-get").arg("--version"))
}

#[cfg(not(unix))]
fn can_install() -> bool {
    false
}

fn apt_get(args: &[&str]) -> bool {
    succeeds(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(args),
    )
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_does_not_succeed() {
        assert!(succeeds(&mut Command::new("true")));
        assert!(!succeeds(&mut Command::new("false")));
        assert!(!succeeds(&mut Command::new("no-such-program-anywhere")));
    }
}
