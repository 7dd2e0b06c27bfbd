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
    let pip = Pip::of_system();
    say(&libtorch::provide(root, ENVIRONMENT, &pip, options.force)?);
    roms(root, options)
}

/// Provides the ROMs alone.
pub(crate) fn roms(root: &Path, options: &Options) -> Result<(), SetupError> {
    let (pip, from) = (Pip::of_system(), options.roms.as_deref());
    let table = roms::table();
    say(&roms::provide(root, &table, from, ENVIRONMENT, &pip, options.force)?);
    Ok(())
}

const ENVIRONMENT: Env<'static> = &|name| std::env::var_os(name);
