//! Set-up as a whole: libtorch, then the ROMs.

use std::path::{Path, PathBuf};

use crate::error::SetupError;
use crate::libtorch::Env;
use crate::pip::Pip;
use crate::progress::say;
use crate::{libtorch, roms};

/// What the user chose.
#[derive(Default)]
pub(crate) struct Options {
    /// The folder to take ROMs from, instead of the ale-py wheel.
    pub(crate) roms: Option<PathBuf>,
    /// Fetch again what is complete already.
    pub(crate) force: bool,
}

/// Provides what is not there yet. Takes a few milliseconds if everything is.
pub(crate) fn everything(root: &Path, options: &Options) -> Result<(), SetupError> {
    say(&libtorch::provide(root, ENVIRONMENT, &Pip::of_system(), options.force)?);
    roms_only(root, options)
}

/// Provides the ROMs: all that the Atari machine needs.
pub(crate) fn roms_only(root: &Path, options: &Options) -> Result<(), SetupError> {
    say(&roms::provide(
        root,
        options.roms.as_deref(),
        ENVIRONMENT,
        &Pip::of_system(),
        options.force,
    )?);
    Ok(())
}

const ENVIRONMENT: Env<'static> = &|name| std::env::var_os(name);
