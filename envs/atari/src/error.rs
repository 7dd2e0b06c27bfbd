//! Errors of the Atari machine.

use std::path::PathBuf;

/// An error of this crate. Each message is one line that names the cause and, where there is one, the remedy.
///
/// ```
/// use coinop_atari::{AtariError, find_game};
///
/// let error = find_game("pitfal").unwrap_err();
/// assert!(matches!(error, AtariError::UnknownGame { .. }));
/// assert!(error.to_string().contains("did you mean `pitfall`?"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtariError {
    /// No supported game has this name.
    #[error("there is no Atari game `{name}`{}", hint(.nearest))]
    UnknownGame {
        /// The requested name.
        name: String,
        /// The nearest known name, if one is similar.
        nearest: Option<&'static str>,
    },
    /// No ROM of the game was found.
    #[error(
        "no ROM of {game}: looked for {}; put it there, or name another folder in COINOP_ROMS",
        paths(.looked_for)
    )]
    RomMissing {
        /// The game.
        game: &'static str,
        /// Every file that was looked for.
        looked_for: Vec<PathBuf>,
    },
    /// The ROM exists but cannot be read.
    #[error("the ROM {} cannot be read: {source}", path.display())]
    RomUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The bytes are not the ROM that ALE uses for the game.
    #[error(
        "{} is not ALE's ROM of {game}: its MD5 is {actual}, expected {expected}",
        origin(.path)
    )]
    WrongMd5 {
        /// The game.
        game: &'static str,
        /// The file, if the bytes came from one.
        path: Option<PathBuf>,
        /// MD5 of the bytes, in hexadecimal.
        actual: String,
        /// MD5 of the right ROM.
        expected: &'static str,
    },
    /// The image has a size that its type of cartridge does not have.
    #[error("a ROM image of {bytes} bytes does not fit the cartridge of {game}, which holds {expected}")]
    RomSize {
        /// The game.
        game: &'static str,
        /// The size of the image.
        bytes: usize,
        /// The valid sizes, in words.
        expected: &'static str,
    },
    /// The game has no such mode.
    #[error("{game} has no mode {mode}: its modes are {}", list(.modes))]
    UnknownMode {
        /// The game.
        game: &'static str,
        /// The requested mode.
        mode: u32,
        /// The existing modes.
        modes: &'static [u32],
    },
    /// The game has no such difficulty.
    #[error("{game} has no difficulty {difficulty}: its difficulties are {}", list(.difficulties))]
    UnknownDifficulty {
        /// The game.
        game: &'static str,
        /// The requested difficulty.
        difficulty: u32,
        /// The existing difficulties.
        difficulties: &'static [u32],
    },
    /// The probability of repeating an action is not between 0 and 1.
    #[error("repeat_action_probability is {0}: it must be from 0 to 1")]
    BadProbability(f32),
    /// `frame_skip` is 0.
    #[error("frame_skip is 0: an action lasts at least 1 frame")]
    NoFrames,
    /// The bytes are not a saved state of this machine.
    #[error("not a saved state of {game}: {reason}")]
    BadState {
        /// The game of the machine.
        game: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of an actions file is invalid.
    #[error("line {line} of the actions is `{text}`: expected an action number from 0 to 17")]
    BadAction {
        /// The line number, counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

fn hint(nearest: &Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn paths(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

fn origin(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => path.display().to_string(),
        None => "the image".to_owned(),
    }
}

fn list(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(", ")
}
