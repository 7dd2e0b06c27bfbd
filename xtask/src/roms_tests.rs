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
    let error = provide(root.path(), None, NO_VARIABLES, &index, false)
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
    let error = verified_roms(&mut open(&index, root.path())).unwrap_err().to_string();
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
    let error = verified_roms(&mut open(&index, root.path())).unwrap_err().to_string();
    assert!(error.contains("holds no ROM of"), "{error}");
}

#[test]
fn a_folder_with_the_wrong_pong_is_refused() {
    let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(theirs.path().join("pong.bin"), "not Pong").unwrap();
    let index = FakeIndex::default();
    let error = provide(root.path(), Some(theirs.path()), NO_VARIABLES, &index, false)
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
    let error = provide(root.path(), Some(theirs.path()), NO_VARIABLES, &index, false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds no ROM of a supported game"), "{error}");
}

#[test]
fn complete_roms_are_not_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join(".roms");
    fs::create_dir(&own).unwrap();
    for game in games() {
        fs::write(own.join(file_name(game.name)), "").unwrap();
    }
    let index = FakeIndex::default();
    assert!(
        provide(root.path(), None, NO_VARIABLES, &index, false).is_err(),
        "there is no stamp yet"
    );
    assert_eq!(index.fetched(), [REQUIREMENT]);
    folder::write_stamp(&own, STAMP).unwrap();
    provide(root.path(), None, NO_VARIABLES, &index, false).unwrap();
    assert_eq!(index.fetched().len(), 1);
    fs::remove_file(own.join("pong.bin")).unwrap();
    assert!(
        provide(root.path(), None, NO_VARIABLES, &index, false).is_err(),
        "a ROM is missing"
    );
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
