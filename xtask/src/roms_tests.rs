//! Tests of `roms.rs` without a ROM: made-up bytes can only ever have the wrong checksum for a game of the table, and the
//! right one only for a game that the wheel lists and the table does not know.

use super::*;
use crate::testing::FakeIndex;

const NO_VARIABLES: Env<'static> = &|_| None;

/// `printf 'not a game' | md5sum`
const MD5_OF_NOT_A_GAME: &str = "5b9658d46828eae161bbeaa5a079d93e";

fn open(index: &FakeIndex, folder: &Path) -> Wheel {
    Wheel::open(&index.fetch(REQUIREMENT, folder).unwrap()).unwrap()
}

#[test]
fn a_wrong_checksum_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let index = FakeIndex::default().with(REQUIREMENT, &[("ale_py/roms/pong.bin", b"not Pong")]);
    let error = provide(root.path(), &table(), None, NO_VARIABLES, &index, false)
        .unwrap_err()
        .to_string();
    // The MD5 of ALE's Pong; `printf 'not Pong' | md5sum`.
    assert!(error.contains("expected 60e0ea3cbe0913d39803477945e9e5ec"), "{error}");
    assert!(!root.path().join(".roms").exists());
}

#[test]
fn a_game_outside_the_table_is_checked_against_the_list_of_the_wheel() {
    let root = tempfile::tempdir().unwrap();
    let list = format!("{{\"no_game.bin\": \"{MD5_OF_NOT_A_GAME}\"}}");
    let index = FakeIndex::default().with(
        REQUIREMENT,
        &[
            ("ale_py/roms/md5.json", list.as_bytes()),
            ("ale_py/roms/no_game.bin", b"another game"),
            ("ale_py/roms/unlisted.bin", b"left out"),
        ],
    );
    let error = verified_roms(&mut open(&index, root.path()), &table())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the ROM no_game of") && error.contains(MD5_OF_NOT_A_GAME),
        "{error}"
    );
}

#[test]
fn a_wheel_that_lacks_a_game_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let list = format!("{{\"no_game.bin\": \"{MD5_OF_NOT_A_GAME}\"}}");
    let index = FakeIndex::default().with(
        REQUIREMENT,
        &[
            ("ale_py/roms/md5.json", list.as_bytes()),
            ("ale_py/roms/no_game.bin", b"not a game"),
        ],
    );
    let error = verified_roms(&mut open(&index, root.path()), &table())
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds no ROM of"), "{error}");
}

#[test]
fn a_folder_with_the_wrong_pong_is_refused() {
    let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(theirs.path().join("pong.bin"), "not Pong").unwrap();
    let index = FakeIndex::default();
    let error = provide(root.path(), &table(), Some(theirs.path()), NO_VARIABLES, &index, false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("pong.bin has the checksum (MD5)"), "{error}");
    assert!(!root.path().join(".roms").exists());
}

#[test]
fn a_folder_without_roms_is_refused() {
    let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(theirs.path().join("readme.txt"), "hello").unwrap();
    let index = FakeIndex::default();
    let error = provide(root.path(), &table(), Some(theirs.path()), NO_VARIABLES, &index, false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds no ROM of a supported game"), "{error}");
}

/// A table with one game, for which bytes can be made up.
fn one_game() -> Table {
    Table::from([("no_game", MD5_OF_NOT_A_GAME)])
}

#[test]
fn the_roms_of_the_wheel_are_provided_once() {
    let root = tempfile::tempdir().unwrap();
    let index = FakeIndex::default().with(REQUIREMENT, &[("ale_py/roms/no_game.bin", b"not a game")]);
    let set_up = |force| provide(root.path(), &one_game(), None, NO_VARIABLES, &index, force).unwrap();
    let rom = root.path().join(".roms/no_game.bin");
    set_up(false);
    assert_eq!(fs::read(&rom).unwrap(), b"not a game");
    set_up(false);
    assert_eq!(index.fetched(), [REQUIREMENT]);
    set_up(true);
    assert_eq!(index.fetched().len(), 2, "unless it is forced");

    fs::write(&rom, "damaged").unwrap();
    set_up(false);
    assert_eq!(fs::read(&rom).unwrap(), b"not a game", "a damaged ROM is replaced");
    fs::remove_file(&rom).unwrap();
    set_up(false);
    assert!(rom.exists(), "and so is a missing one");
    fs::remove_file(root.path().join(".roms/.complete")).unwrap();
    set_up(false);
    assert_eq!(index.fetched().len(), 5, "a folder without its stamp is not trusted");
}

#[test]
fn roms_of_the_users_folder_are_taken_by_content_and_need_no_download() {
    let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(theirs.path().join("Not a Game (1982).a26"), "not a game").unwrap();
    let index = FakeIndex::default();
    let mut table = one_game();
    table.insert("absent", "0");
    let from = Some(theirs.path());
    provide(root.path(), &table, from, NO_VARIABLES, &index, false).unwrap();
    assert_eq!(fs::read(root.path().join(".roms/no_game.bin")).unwrap(), b"not a game");
    let said = provide(root.path(), &table, None, NO_VARIABLES, &index, false).unwrap();
    assert!(said.starts_with("the ROMs are in "), "a game may be absent: {said}");
    assert!(index.fetched().is_empty());
}

#[test]
fn a_folder_named_by_the_environment_needs_no_download() {
    let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(theirs.path().join("no_game.bin"), "not a game").unwrap();
    let index = FakeIndex::default();
    let env = |name: &str| (name == "COINOP_ROMS").then(|| theirs.path().as_os_str().to_owned());
    let said = provide(root.path(), &one_game(), None, &env, &index, false).unwrap();
    assert_eq!(said, format!("the ROMs are your own, in {}", theirs.path().display()));
    assert!(index.fetched().is_empty());
}

#[test]
fn without_a_network_there_are_no_roms_and_one_line() {
    let root = tempfile::tempdir().unwrap();
    let error = provide(root.path(), &table(), None, NO_VARIABLES, &FakeIndex::default(), false).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("pip cannot reach the package index for ale-py==0.12.1") && !error.contains('\n'),
        "{error}"
    );
    assert!(!root.path().join(".roms").exists());
}

#[test]
fn stored_files_appear_whole_and_others_stay() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join(".roms");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("mine.bin"), "mine").unwrap();
    let scratch = Scratch::lock(&own).unwrap();
    store(&BTreeMap::from([("a".to_owned(), b"new".to_vec())]), &own, &scratch).unwrap();
    drop(scratch);
    assert_eq!(fs::read(own.join("a.bin")).unwrap(), b"new");
    assert_eq!(fs::read(own.join("mine.bin")).unwrap(), b"mine");
    assert!(!root.path().join(".roms.partial-0").exists());
}

#[test]
fn a_folder_of_ones_own_that_has_no_rom_is_named() {
    let root = tempfile::tempdir().unwrap();
    let index = FakeIndex::default();
    for folder in [Path::new("/nowhere").to_owned(), root.path().to_owned()] {
        let env = |name: &str| (name == "COINOP_ROMS").then(|| folder.clone().into_os_string());
        let error = provide(root.path(), &table(), None, &env, &index, false)
            .unwrap_err()
            .to_string();
        let expected = format!("COINOP_ROMS={} holds no ROM of a supported game", folder.display());
        assert!(error.starts_with(&expected), "{error}");
    }
    fs::write(root.path().join("pong.bin"), "a ROM").unwrap();
    let env = |name: &str| (name == "COINOP_ROMS").then(|| root.path().as_os_str().to_owned());
    assert!(provide(root.path(), &table(), None, &env, &index, false).is_ok());
}
