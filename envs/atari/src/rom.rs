//! ROM images: where they are found, and that they are the right ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use md5::{Digest, Md5};

use crate::cartridge::Program;
use crate::error::AtariError;
use crate::games::Game;

/// The environment variable that names the folder of ROMs.
const FOLDER_VARIABLE: &str = "COINOP_ROMS";
/// The folder that is looked for in the current directory and its ancestors.
const DEFAULT_FOLDER: &str = ".roms";

/// A game's cartridge: the game and the verified bytes of its image. Cheap to clone.
///
/// ```no_run
/// use coinop_atari::{Rom, find_game};
///
/// let rom = Rom::find(find_game("pong")?, None)?;
/// assert_eq!(rom.bytes().len(), 2048);
/// # Ok::<(), coinop_atari::AtariError>(())
/// ```
#[derive(Clone)]
pub struct Rom {
    game: &'static Game,
    bytes: Arc<[u8]>,
    program: Arc<Program>,
}

impl Rom {
    /// Takes the bytes of an image after checking its MD5.
    ///
    /// # Errors
    /// [`AtariError::WrongMd5`] with both sums.
    pub fn from_bytes(game: &'static Game, bytes: &[u8]) -> Result<Rom, AtariError> {
        Self::verified(game, bytes, None)
    }

    /// Takes an image without checking its MD5, for home-made programs. It is played with the cartridge, the controllers and the
    /// rules of `game`.
    ///
    /// # Errors
    /// [`AtariError::RomSize`] if the game's type of cartridge does not have this size.
    pub fn unverified(game: &'static Game, bytes: &[u8]) -> Result<Rom, AtariError> {
        game.mapper.check_size(game.name, bytes.len())?;
        Ok(Rom {
            game,
            bytes: bytes.into(),
            program: Program::new(game.mapper, bytes).into(),
        })
    }

    /// Reads `NAME.bin`, and checks its MD5, from `dir`; or if that is `None`, from the folder that the environment variable
    /// `COINOP_ROMS` names; or if that is unset, from the first folder `.roms` in the current directory and its ancestors that
    /// has the file.
    ///
    /// # Errors
    /// [`AtariError::RomMissing`] with every file that was tried, [`AtariError::RomUnreadable`], [`AtariError::WrongMd5`].
    pub fn find(game: &'static Game, dir: Option<&Path>) -> Result<Rom, AtariError> {
        let candidates: Vec<PathBuf> = folders(dir)
            .into_iter()
            .map(|folder| folder.join(format!("{}.bin", game.name)))
            .collect();
        for path in &candidates {
            match std::fs::read(path) {
                Ok(bytes) => return Self::verified(game, &bytes, Some(path)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(AtariError::RomUnreadable {
                        path: path.clone(),
                        source,
                    });
                }
            }
        }
        Err(AtariError::RomMissing {
            game: game.name,
            looked_for: candidates,
        })
    }

    /// The game.
    pub fn game(&self) -> &'static Game {
        self.game
    }

    /// The same cartridge, whose program is never translated into machine code. Machines play it in the same way, to the bit, and
    /// take longer.
    #[must_use]
    pub fn interpreted(&self) -> Rom {
        Rom {
            program: Program::new(self.game.mapper, &self.bytes).interpreted().into(),
            ..self.clone()
        }
    }

    pub(crate) fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program)
    }

    /// The bytes of the image.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn verified(game: &'static Game, bytes: &[u8], path: Option<&Path>) -> Result<Rom, AtariError> {
        let actual: String = Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if actual != game.md5 {
            let path = path.map(Path::to_owned);
            return Err(AtariError::WrongMd5 {
                game: game.name,
                path,
                actual,
                expected: game.md5,
            });
        }
        Self::unverified(game, bytes)
    }
}

impl std::fmt::Debug for Rom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rom")
            .field("game", &self.game.name)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// The folders that may hold ROMs, in the order in which they are tried.
fn folders(dir: Option<&Path>) -> Vec<PathBuf> {
    if let Some(dir) = dir {
        return vec![dir.to_owned()];
    }
    if let Some(dir) = std::env::var_os(FOLDER_VARIABLE) {
        return vec![dir.into()];
    }
    let Ok(here) = std::env::current_dir() else {
        return vec![DEFAULT_FOLDER.into()];
    };
    here.ancestors().map(|ancestor| ancestor.join(DEFAULT_FOLDER)).collect()
}
