//! The Atari ROMs: from the ale-py wheel, or from a folder of the user's.
//!
//! Each ROM is verified, written aside and renamed to `.roms/NAME.bin`; the stamp comes last. Nothing in `.roms` is ever
//! removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coinop_atari::games;
use md5::{Digest, Md5};

use crate::error::{AtPath, SetupError};
use crate::folder::{self, Scratch};
use crate::libtorch::Env;
use crate::pip::Wheels;
use crate::progress::say;
use crate::wheel::Wheel;

/// The release whose ROMs and behaviour the Atari machine is tested against.
const REQUIREMENT: &str = "ale-py==0.12.1";
const STAMP: &str = "ale-py 0.12.1\n";
const STAMP_OF_FOLDER: &str = "--roms ";
/// Where the wheel keeps the ROMs, and their checksums as a JSON object `{"pong.bin": MD5, ...}`.
const WHEEL_FOLDER: &str = "ale_py/roms/";
/// The largest cartridge of the 2600 has 64 KiB; what is larger is no ROM.
const MAX_ROM_BYTES: u64 = 64 * 1024;

/// The MD5 of each supported game's ROM.
pub(crate) type Table = BTreeMap<&'static str, &'static str>;

/// The table of the Atari machine.
pub(crate) fn table() -> Table {
    games().iter().map(|game| (game.name, game.md5)).collect()
}

/// Makes sure that there are ROMs, and says in one line where.
pub(crate) fn provide(
    root: &Path,
    table: &Table,
    from: Option<&Path>,
    env: Env<'_>,
    wheels: &dyn Wheels,
    force: bool,
) -> Result<String, SetupError> {
    let own = root.join(".roms");
    if let Some(from) = from {
        return copy_from(from, &own, table);
    }
    if let Some(theirs) = env("COINOP_ROMS") {
        let folder = PathBuf::from(theirs);
        if !table.keys().any(|name| folder.join(file_name(name)).is_file()) {
            return Err(SetupError::NoOwnRoms { folder });
        }
        return Ok(format!("the ROMs are your own, in {}", folder.display()));
    }
    if !force && is_complete(&own, table) {
        return Ok(format!("the ROMs are in {}", own.display()));
    }
    let scratch = Scratch::lock(&own)?;
    if !force && is_complete(&own, table) {
        return Ok(format!("the ROMs are in {}, from another run", own.display()));
    }
    say("ROMs: fetching the ale-py wheel with pip (3 MB)");
    let mut wheel = Wheel::open(&wheels.fetch(REQUIREMENT, &scratch.folder("ale-py")?)?)?;
    let roms = verified_roms(&mut wheel, table)?;
    store(&roms, &own, &scratch)?;
    folder::write_stamp(&own, STAMP)?;
    Ok(format!("{} ROMs are in {}", roms.len(), own.display()))
}

/// The ROMs of the table must be the right ones; a folder of the user's need not have all.
fn is_complete(own: &Path, table: &Table) -> bool {
    let Some(stamp) = folder::stamp(own) else { return false };
    let may_lack_games = stamp.starts_with(STAMP_OF_FOLDER);
    let is_right = |(name, md5): (&&str, &&str)| match fs::read(own.join(file_name(name))) {
        Ok(bytes) => md5_of(&bytes) == *md5,
        Err(error) => may_lack_games && error.kind() == io::ErrorKind::NotFound,
    };
    (may_lack_games || stamp == STAMP) && table.iter().all(is_right)
}

/// All ROMs of the wheel. One that the games table knows must be the one that the table knows; another must be the one
/// that the wheel's own list knows; one that neither knows is left out.
fn verified_roms(wheel: &mut Wheel, table: &Table) -> Result<BTreeMap<String, Vec<u8>>, SetupError> {
    let listed = checksums(wheel)?;
    let mut roms = BTreeMap::new();
    for file in wheel.files() {
        let Some(name) = file
            .strip_prefix(WHEEL_FOLDER)
            .and_then(|file| file.strip_suffix(".bin"))
        else {
            continue;
        };
        if name.contains('/') {
            continue;
        }
        let known = table.get(name).map(|&md5| md5.to_owned());
        let Some(expected) = known.or_else(|| listed.get(&file_name(name)).cloned()) else {
            continue;
        };
        let bytes = wheel.read(&file)?;
        let actual = md5_of(&bytes);
        if actual != expected {
            let what = format!("the ROM {name} of {}", wheel.name());
            let way_out = "run `cargo xtask setup --force`, or name another folder of ROMs with `--roms DIR`";
            return Err(SetupError::Checksum {
                what,
                actual,
                expected,
                way_out,
            });
        }
        roms.insert(name.to_owned(), bytes);
    }
    match table.keys().find(|&&name| !roms.contains_key(name)) {
        Some(name) => Err(wheel.incomplete(&format!("ROM of {name}"))),
        None => Ok(roms),
    }
}

fn checksums(wheel: &mut Wheel) -> Result<BTreeMap<String, String>, SetupError> {
    let list = format!("{WHEEL_FOLDER}md5.json");
    if !wheel.files().contains(&list) {
        return Ok(BTreeMap::new());
    }
    let bytes = wheel.read(&list)?;
    serde_json::from_slice(&bytes).map_err(|_| wheel.incomplete("md5.json that can be read"))
}

/// Copies from a folder the ROMs of the games table, whatever their file's name; `pong.bin` that is not Pong is an error.
fn copy_from(from: &Path, own: &Path, table: &Table) -> Result<String, SetupError> {
    let mut roms = BTreeMap::new();
    for entry in fs::read_dir(from).at("read", from)? {
        let path = entry.at("read", from)?.path();
        let metadata = fs::metadata(&path).at("read", &path)?;
        if !metadata.is_file() || metadata.len() > MAX_ROM_BYTES {
            continue;
        }
        let bytes = fs::read(&path).at("read", &path)?;
        if let Some(name) = recognise(&path, &bytes, table)? {
            roms.insert(name.to_owned(), bytes);
        }
    }
    if roms.is_empty() {
        return Err(SetupError::NoRoms {
            folder: from.to_owned(),
        });
    }
    let scratch = Scratch::lock(own)?;
    store(&roms, own, &scratch)?;
    let is_missing = |name: &&str| !own.join(file_name(name)).exists();
    let missing: Vec<&str> = table.keys().copied().filter(is_missing).collect();
    if !missing.is_empty() {
        let missing = match missing.len() {
            0..10 => missing.join(", "),
            many => format!("{many} of {} games", table.len()),
        };
        say(&format!(
            "{} has no ROM of: {missing}; `cargo xtask setup --force` fetches all",
            from.display()
        ));
    }
    folder::write_stamp(own, &format!("{STAMP_OF_FOLDER}{}\n", from.display()))?;
    Ok(format!(
        "{} ROMs of {} are in {}",
        roms.len(),
        from.display(),
        own.display()
    ))
}

/// The game that the bytes are.
fn recognise(path: &Path, bytes: &[u8], table: &Table) -> Result<Option<&'static str>, SetupError> {
    let actual = md5_of(bytes);
    if let Some((name, _)) = table.iter().find(|&(_, &md5)| md5 == actual) {
        return Ok(Some(name));
    }
    let is_bin = path.extension().is_some_and(|extension| extension == "bin");
    let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_bin);
    match name.and_then(|name| table.get(name)) {
        None => Ok(None),
        Some(&expected) => Err(SetupError::Checksum {
            what: path.display().to_string(),
            actual,
            expected: expected.to_owned(),
            way_out: "it is another version of the game; without `--roms`, set-up fetches the right one",
        }),
    }
}

/// Each file appears in `own` whole, or not at all.
fn store(roms: &BTreeMap<String, Vec<u8>>, own: &Path, scratch: &Scratch) -> Result<(), SetupError> {
    let aside = scratch.folder("verified")?;
    for (name, bytes) in roms {
        let path = aside.join(file_name(name));
        fs::write(&path, bytes).at("write", &path)?;
    }
    folder::flush(&aside)?;
    fs::create_dir_all(own).at("create", own)?;
    for name in roms.keys() {
        let path: PathBuf = own.join(file_name(name));
        fs::rename(aside.join(file_name(name)), &path).at("create", &path)?;
    }
    Ok(())
}

fn file_name(game: &str) -> String {
    format!("{game}.bin")
}

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "roms_tests.rs"]
mod tests;
