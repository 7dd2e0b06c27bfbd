//! What gym-rs needs to be compiled: CMake with Make, and SDL2_gfx with the SDL2 that it is for.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::progress::say;

/// What they are called where apt-get installs them.
const PACKAGES: [&str; 4] = ["cmake", "libsdl2-dev", "libsdl2-gfx-dev", "make"];

/// Installs what is missing where that is possible, and says what to do where it is not. Whether gym-rs can be compiled.
pub(crate) fn provide() -> bool {
    if is_there() {
        return true;
    }
    let packages = PACKAGES.join(" ");
    if can_install() {
        say(&format!("apt-get install {packages}, for gym-rs"));
        let update = apt_get(&["update", "-qq"]);
        if update
            && apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], &PACKAGES[..]].concat())
            && is_there()
        {
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
        // What a compiler that ends early does not read, it does not need.
        let _ = stdin.write_all(b"int main(void) { return 0; }\n");
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Whether this is root on Debian or a relative of it.
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
    fn a_program_that_is_not_there_does_not_succeed() {
        assert!(succeeds(&mut Command::new("true")));
        assert!(!succeeds(&mut Command::new("false")));
        assert!(!succeeds(&mut Command::new("no-such-program-anywhere")));
    }
}
