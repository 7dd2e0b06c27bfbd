//! Tests that play games are skipped without ROMs.

use coinop_envs::coinop_atari::{AtariError, Rom, find_game};

/// Whether there are no ROMs; then prints that the current test is skipped. A ROM that is there but wrong fails the test.
pub(crate) fn are_missing() -> bool {
    let missing = matches!(
        Rom::find(find_game("pong").unwrap(), None),
        Err(AtariError::RomMissing { .. })
    );
    if missing {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("skipped {test}: there are no ROMs; `cargo xtask setup` provides them");
    }
    missing
}
