//! Names of environments, checked before anything is downloaded or compiled.

use coinop_atari::games;
use coinop_atari::names::nearest;

use anyhow::{Result, bail};

/// The short names of all environments that are not Atari games; a test of the program checks that the list is complete.
const OTHERS: &str = include_str!("names.txt");

/// Checks the name of an environment, which may have options: `pong@mode=1`. Names with a family (`ALE/…`, `gym-rs/…`) are left to the program.
pub(crate) fn check(env: &str) -> Result<()> {
    let name = env.split('@').next().unwrap_or(env);
    let short = name
        .strip_prefix("atari/")
        .or(name.strip_prefix("classic/"))
        .or(name.strip_prefix("arcade/"));
    let wanted = squeeze(short.unwrap_or(name));
    let known = || games().iter().map(|game| game.name).chain(OTHERS.lines());
    let is_the_programs = name.starts_with('-') || short.is_none() && name.contains('/') || name.contains("-v");
    if is_the_programs || known().any(|known| squeeze(known) == wanted) {
        return Ok(());
    }
    let hint = nearest(name, known()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    bail!("there is no environment `{name}`{hint}; `cargo run --release -- envs` lists all")
}

/// Removes case and separators.
fn squeeze(name: &str) -> String {
    let letters = name.chars().filter(|c| *c != '_');
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_takes_passes_and_a_slip_is_named() {
        for name in [
            "pong",
            "Pong",
            "SpaceInvaders",
            "atari/pong",
            "pong@mode=1",
            "cartpole",
            "ALE/Pong-v5",
            "CartPole-v1",
            "gym-rs/CartPole-v1",
        ] {
            assert!(check(name).is_ok(), "{name}");
        }
        let error = check("pnog").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no environment `pnog`; did you mean `pong`?; `cargo run --release -- envs` lists all"
        );
    }
}
