//! The Atari ROMs: from the ale-py wheel, or from a folder of the user's.
//!
//! Each ROM is verified, written aside and renamed to `.roms/NAME.bin`; the stamp comes last. Nothing in `.roms` is ever
//! removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use coinop_atari::games;
use md5::{Digest, Md5};

use crate::folder::{self, AtPath, Scratch};
use crate::pip::Pip;
use crate::{Env, say};

/// The release whose ROMs and behaviour the Atari machine is tested against.
const WHEEL: &str = "ale-py==0.12.1";
/// Where the wheel keeps the ROMs.
const WHEEL_FOLDER: &str = "ale_py/roms";
const STAMP: &str = "ale-py 0.12.1\n";
const STAMP_OF_FOLDER: &str = "--roms ";
/// The largest cartridge of the 2600 has 64 KiB; a larger file is not a ROM.
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
    pip: &Pip,
    force: bool,
) -> Result<String> {
    let own = root.join(".roms");
    if let Some(from) = from {
        let roms = roms_in(from, table)?;
        ensure!(
            !roms.is_empty(),
            "{} holds no ROM of a supported game: it needs files such as pong.bin",
            from.display()
        );
        store(
            &roms,
            &own,
            &Scratch::lock(&own)?,
            &format!("{STAMP_OF_FOLDER}{}\n", from.display()),
        )?;
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
        return Ok(format!(
            "{} ROMs of {} are in {}",
            roms.len(),
            from.display(),
            own.display()
        ));
    }
    if let Some(folder) = env("COINOP_ROMS").map(PathBuf::from) {
        ensure!(
            table.keys().any(|name| folder.join(file_name(name)).is_file()),
            "COINOP_ROMS={} holds no ROM of a supported game, such as pong.bin: point it at a folder of ROMs, or unset it and set-up \
             fetches them",
            folder.display()
        );
        return Ok(format!("the ROMs are your own, in {}", folder.display()));
    }
    if force || !is_complete(&own, table) {
        let scratch = Scratch::lock(&own)?;
        // Another run may have worked on them.
        if force || !is_complete(&own, table) {
            say("ROMs: fetching the ale-py wheel with pip (3 MB)");
            let roms = roms_in(&pip.unpack(&[WHEEL], &scratch)?.join(WHEEL_FOLDER), table)?;
            if let Some(missing) = table.keys().find(|&&name| !roms.contains_key(name)) {
                bail!("the wheel {WHEEL} holds no ROM of {missing}: it is laid out in a way that set-up does not know");
            }
            store(&roms, &own, &scratch, STAMP)?;
        }
    }
    Ok(format!("the ROMs are in {}", own.display()))
}

/// The ROMs of the table must be the right ones; those from a folder of the user's need not be all.
fn is_complete(own: &Path, table: &Table) -> bool {
    let Some(stamp) = folder::stamp(own) else { return false };
    let may_lack_games = stamp.starts_with(STAMP_OF_FOLDER);
    let is_right = |(name, md5): (&&str, &&str)| match fs::read(own.join(file_name(name))) {
        Ok(bytes) => md5_of(&bytes) == *md5,
        Err(error) => may_lack_games && error.kind() == io::ErrorKind::NotFound,
    };
    (may_lack_games || stamp == STAMP) && table.iter().all(is_right)
}

/// The ROMs of the table in a folder, recognised by their content, whatever their file's name.
fn roms_in(from: &Path, table: &Table) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let mut roms = BTreeMap::new();
    for entry in fs::read_dir(from).at("read", from)? {
        let path = entry.at("read", from)?.path();
        let metadata = fs::metadata(&path).at("read", &path)?;
        if metadata.is_file() && metadata.len() <= MAX_ROM_BYTES {
            let bytes = fs::read(&path).at("read", &path)?;
            if let Some(name) = recognise(&path, &bytes, table)? {
                roms.insert(name, bytes);
            }
        }
    }
    Ok(roms)
}

/// The game that the bytes are; `pong.bin` that is not Pong is an error.
fn recognise(path: &Path, bytes: &[u8], table: &Table) -> Result<Option<&'static str>> {
    let actual = md5_of(bytes);
    if let Some((name, _)) = table.iter().find(|&(_, &md5)| md5 == actual) {
        return Ok(Some(name));
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_suffix(".bin"));
    if let Some(expected) = name.and_then(|name| table.get(name)) {
        bail!(
            "{} has the checksum (MD5) {actual}, expected {expected}: it is another version of the game; without `--roms`, set-up \
             fetches the right one",
            path.display()
        );
    }
    Ok(None)
}

/// Each file appears in `own` whole, or not at all; the stamp comes last.
fn store(roms: &BTreeMap<&str, Vec<u8>>, own: &Path, scratch: &Scratch, stamp: &str) -> Result<()> {
    let aside = scratch.folder("verified")?;
    for (name, bytes) in roms {
        let path = aside.join(file_name(name));
        fs::write(&path, bytes).at("write", &path)?;
    }
    folder::flush(&aside)?;
    fs::create_dir_all(own).at("create", own)?;
    for name in roms.keys() {
        let path = own.join(file_name(name));
        fs::rename(aside.join(file_name(name)), &path).at("create", &path)?;
    }
    folder::write_stamp(own, stamp)
}

fn file_name(game: &str) -> String {
    format!("{game}.bin")
}

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Made-up bytes can only ever have the wrong checksum for a game of the real table, so most tests have one of their own.
#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::pip::testing::FakeIndex;

    const NO_VARIABLES: Env<'static> = &|_| None;

    /// One game; `printf 'not a game' | md5sum`.
    fn one_game() -> Table {
        Table::from([("no_game", "5b9658d46828eae161bbeaa5a079d93e")])
    }

    fn fails(table: &Table, from: Option<&Path>, env: Env<'_>, index: &FakeIndex) -> String {
        let root = tempfile::tempdir().unwrap();
        let error = provide(root.path(), table, from, env, &index.pip(), false).unwrap_err();
        assert!(!root.path().join(".roms").exists());
        error.to_string()
    }

    #[test]
    fn a_wheel_with_a_wrong_rom_or_without_one_is_refused() {
        let wrong = FakeIndex::new().with(WHEEL, &[("ale_py/roms/pong.bin", "not Pong")]);
        let error = fails(&table(), None, NO_VARIABLES, &wrong);
        // The MD5 of ALE's Pong.
        assert!(error.contains("expected 60e0ea3cbe0913d39803477945e9e5ec"), "{error}");
        let empty = FakeIndex::new().with(WHEEL, &[("ale_py/roms/readme.txt", "")]);
        let error = fails(&one_game(), None, NO_VARIABLES, &empty);
        assert!(error.contains("holds no ROM of no_game"), "{error}");
        let error = fails(&table(), None, NO_VARIABLES, &FakeIndex::new());
        assert!(
            error.starts_with("pip cannot reach the package index for ale-py==0.12.1"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_with_the_wrong_pong_or_without_roms_is_refused() {
        let theirs = tempfile::tempdir().unwrap();
        fs::write(theirs.path().join("readme.txt"), "hello").unwrap();
        let error = fails(&table(), Some(theirs.path()), NO_VARIABLES, &FakeIndex::new());
        assert!(error.contains("holds no ROM of a supported game"), "{error}");
        fs::write(theirs.path().join("pong.bin"), "not Pong").unwrap();
        let error = fails(&table(), Some(theirs.path()), NO_VARIABLES, &FakeIndex::new());
        assert!(error.contains("pong.bin has the checksum (MD5)"), "{error}");
    }

    #[test]
    fn the_roms_of_the_wheel_are_provided_once_and_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join(".roms");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("mine.bin"), "mine").unwrap();
        let index = FakeIndex::new().with(WHEEL, &[("ale_py/roms/no_game.bin", "not a game")]);
        let set_up = |force| {
            provide(root.path(), &one_game(), None, NO_VARIABLES, &index.pip(), force).unwrap();
            assert_eq!(fs::read(own.join("no_game.bin")).unwrap(), b"not a game");
            index.downloaded().len()
        };
        assert_eq!(set_up(false), 1);
        assert_eq!(set_up(false), 1);
        assert_eq!(set_up(true), 2);
        fs::write(own.join("no_game.bin"), "damaged").unwrap();
        assert_eq!(set_up(false), 3, "a damaged ROM is replaced");
        fs::remove_file(own.join("no_game.bin")).unwrap();
        assert_eq!(set_up(false), 4, "and so is a missing one");
        fs::remove_file(own.join(".complete")).unwrap();
        assert_eq!(set_up(false), 5, "a folder without its stamp is not trusted");
        assert_eq!(fs::read(own.join("mine.bin")).unwrap(), b"mine");
    }

    #[test]
    fn roms_of_the_users_folder_are_taken_by_content_and_need_no_download() {
        let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(theirs.path().join("Not a Game (1982).a26"), "not a game").unwrap();
        let pip = FakeIndex::new().pip();
        let mut table = one_game();
        table.insert("absent", "0");
        provide(root.path(), &table, Some(theirs.path()), NO_VARIABLES, &pip, false).unwrap();
        assert_eq!(fs::read(root.path().join(".roms/no_game.bin")).unwrap(), b"not a game");
        let said = provide(root.path(), &table, None, NO_VARIABLES, &pip, false).unwrap();
        assert!(said.starts_with("the ROMs are in "), "a game may be absent: {said}");
    }

    #[test]
    fn a_folder_named_by_the_environment_needs_a_rom_and_no_download() {
        let theirs = tempfile::tempdir().unwrap();
        let env = |name: &str| (name == "COINOP_ROMS").then(|| theirs.path().as_os_str().to_owned());
        let expected = format!(
            "COINOP_ROMS={} holds no ROM of a supported game",
            theirs.path().display()
        );
        assert!(fails(&one_game(), None, &env, &FakeIndex::new()).starts_with(&expected));
        fs::write(theirs.path().join("no_game.bin"), "not a game").unwrap();
        let said = provide(
            Path::new("/nowhere"),
            &one_game(),
            None,
            &env,
            &FakeIndex::new().pip(),
            false,
        )
        .unwrap();
        assert_eq!(said, format!("the ROMs are your own, in {}", theirs.path().display()));
    }
}
