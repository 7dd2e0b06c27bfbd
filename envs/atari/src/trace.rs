//! Traces: what a game does under a list of actions, one line per action, to be compared with another emulator's.

use std::io::{self, Write};

use crate::action::Action;
use crate::atari::Atari;
use crate::error::AtariError;

/// The first line of a trace.
pub const HEADER: &str = "frame,action,reward,lives,terminal,ram_crc32,screen_crc32";

/// Reads a list of actions: one of ALE's numbers (0 to 17) per line. Spaces around a number and empty lines do not matter.
///
/// ```
/// use coinop_atari::{Action, trace};
///
/// assert_eq!(trace::parse_actions("1\n0\n")?, [Action::Fire, Action::Noop]);
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
///
/// # Errors
/// [`AtariError::BadAction`] names the first line that is something else.
///
/// ```
/// use coinop_atari::{Action, trace};
/// assert_eq!(trace::parse_actions("0\n11\n")?, [Action::Noop, Action::RightFire]);
/// assert_eq!(
///     trace::parse_actions("0\n18\n").unwrap_err().to_string(),
///     "line 2 of the actions is `18`: expected an action number from 0 to 17"
/// );
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
pub fn parse_actions(text: &str) -> Result<Vec<Action>, AtariError> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, text)| !text.is_empty())
        .map(|(line, text)| {
            let action = text.parse().ok().and_then(Action::from_number);
            action.ok_or_else(|| AtariError::BadAction {
                line,
                text: text.to_owned(),
            })
        })
        .collect()
}

/// Resets the game, does the actions, and writes CSV: [`HEADER`], then a row per action.
///
/// `frame` is [`Atari::frame_number`] after the action, `terminal` 0 or 1; the sums are CRC-32 as zlib has it, in eight hexadecimal
/// digits, of the 128 bytes of RAM and of the screen's palette indices. Where the game is over the row is written first, and a
/// reset follows.
///
/// ```
/// use coinop_atari::{Action, Atari, Rom, AtariSettings, find_game, trace};
///
/// let rom = Rom::find(find_game("pong")?, None)?;
/// let mut atari = Atari::new(&rom, &AtariSettings::default())?;
/// let mut csv = Vec::new();
/// trace::write_trace(&mut atari, &[Action::Fire, Action::Noop], &mut csv).expect("memory takes it");
/// assert_eq!(String::from_utf8_lossy(&csv).lines().count(), 3);
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
///
/// # Errors
/// Those of `out`.
pub fn write_trace(atari: &mut Atari, actions: &[Action], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    atari.reset();
    for &action in actions {
        write_act(atari, action, out)?;
        if atari.is_terminal() {
            atari.reset();
        }
    }
    Ok(())
}

/// Does an action and writes its row.
///
/// ```
/// use coinop_atari::{Action, Atari, Rom, AtariSettings, find_game, trace};
///
/// let rom = Rom::find(find_game("pong")?, None)?;
/// let mut atari = Atari::new(&rom, &AtariSettings::default())?;
/// atari.reset();
/// let mut row = Vec::new();
/// trace::write_act(&mut atari, Action::Fire, &mut row).expect("memory takes it");
/// assert!(String::from_utf8_lossy(&row).starts_with("1,1,0,0,0,"));
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
///
/// # Errors
/// Those of `out`.
pub fn write_act(atari: &mut Atari, action: Action, out: &mut impl Write) -> io::Result<()> {
    let reward = atari.act(action);
    writeln!(
        out,
        "{},{},{reward},{},{},{:08x},{:08x}",
        atari.frame_number(),
        action as u8,
        atari.lives(),
        u8::from(atari.is_terminal()),
        crc32fast::hash(atari.ram()),
        crc32fast::hash(atari.screen()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_one_number_per_line() {
        assert_eq!(parse_actions("").unwrap(), []);
        assert_eq!(
            parse_actions(" 3\r\n\n17").unwrap(),
            [Action::Right, Action::DownLeftFire]
        );
    }

    #[test]
    fn the_first_invalid_action_is_named_by_its_line() {
        for (text, line, word) in [
            ("1\n\nFIRE\n", 3, "FIRE"),
            ("-1", 1, "-1"),
            ("2 3", 1, "2 3"),
            ("300", 1, "300"),
        ] {
            let expected = format!("line {line} of the actions is `{word}`: expected an action number from 0 to 17");
            assert_eq!(parse_actions(text).unwrap_err().to_string(), expected);
        }
    }
}
