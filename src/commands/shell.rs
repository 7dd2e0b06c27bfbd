//! `coinop completions` and `coinop man`: shell completions and manual pages.

use std::ffi::OsStr;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use crate::count::counted;
use crate::files::failed;
use crate::output;

/// Prints a shell's script.
pub(crate) fn completions(shell: Shell, command: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut named(command), name(), &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(())
}

/// Writes a page for the program and for each command into a folder.
pub(crate) fn man(folder: &Path, command: Command) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).map_err(failed("can't create the folder", folder))?;
    clap_mangen::generate_to(named(command), folder).map_err(failed("can't write into the folder", folder))?;
    let pages = std::fs::read_dir(folder).map_err(failed("can't list the folder", folder))?;
    let is_page = |entry: &std::fs::DirEntry| entry.path().extension() == Some(OsStr::new("1"));
    let count = pages.flatten().filter(is_page).count();
    output::say(&format!("{} in {}", counted(count, "page"), folder.display()));
    Ok(())
}

/// The name of this program, which may be another one that has coinop's commands.
fn name() -> &'static str {
    let path = std::env::args_os().next().unwrap_or_default();
    let stem = Path::new(&path).file_stem().unwrap_or(OsStr::new("coinop"));
    stem.to_string_lossy().into_owned().leak()
}

fn named(command: Command) -> Command {
    command.name(name())
}
