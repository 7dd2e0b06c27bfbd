//! Tests of `libtorch.rs` with wheels of a few bytes.

use super::*;
use crate::testing::FakeIndex;

const HEADER: &str = "torch/include/torch/csrc/api/include/torch/torch.h";

/// What the torch wheel holds.
const TORCH: &[(&str, &[u8])] = &[
    (HEADER, b"header"),
    ("torch/lib/libtorch_cpu.so", b"cpu"),
    ("torch/lib/libtorch_cuda.so", b"cuda"),
    ("torch/lib/libtorch.so", b"stub"),
    ("torch/lib/libc10.so", b"c10"),
    ("torch/lib/libgomp.so.1", b"gomp"),
    ("torch/nn/functional.py", b"python"),
    (
        "torch-2.11.0.dist-info/METADATA",
        b"Requires-Dist: cuda-toolkit[cudart,cupti]==13.0.2; platform_system == \"Linux\"\n",
    ),
];

/// The four wheels, in the layout of those on PyPI.
fn index() -> FakeIndex {
    FakeIndex::default()
        .with("torch==2.11.0", TORCH)
        .with(
            "cuda-toolkit==13.0.2",
            &[(
                "cuda_toolkit-13.0.2.dist-info/METADATA",
                b"Requires-Dist: nvidia-cuda-cupti==13.0.85.*; extra == 'cupti'\n\
                  Requires-Dist: nvidia-cuda-runtime==13.0.96.*; extra == 'cudart'\n",
            )],
        )
        .with(
            "nvidia-cuda-cupti==13.0.85.*",
            &[
                ("nvidia/cu13/lib/libcupti.so.13", b"cupti"),
                ("nvidia/cu13/lib/libnvperf_host.so", b"perf"),
            ],
        )
        .with(
            "nvidia-cuda-runtime==13.0.96.*",
            &[("nvidia/cu13/lib/libcudart.so.13", b"cudart")],
        )
}

/// The environment of a process that cargo runs for a user who has set nothing.
fn set_up(root: &Path, index: &FakeIndex, force: bool) -> Result<String, SetupError> {
    let own = root.join(".libtorch");
    provide(
        root,
        &|name| (name == "LIBTORCH").then(|| own.clone().into()),
        index,
        force,
    )
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn a_colon_in_the_path_is_one_line_before_anything_is_fetched() {
    let error = set_up(Path::new("/somewhere/a:b"), &FakeIndex::default(), false).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("libtorch would be in /somewhere/a:b/.libtorch, and programs cannot be told"),
        "{error}"
    );
}

#[test]
fn the_wheels_become_a_cpu_libtorch() {
    let root = tempfile::tempdir().unwrap();
    set_up(root.path(), &index(), false).unwrap();
    let own = root.path().join(".libtorch");
    assert_eq!(files(&own), [".complete", "build-version", "include", "lib"]);
    assert_eq!(
        files(&own.join("lib")),
        [
            "libc10.so",
            "libcudart.so.13",
            "libcupti.so.13",
            "libgomp.so",
            "libgomp.so.1",
            "libtorch.so",
            "libtorch_cpu.so"
        ]
    );
    assert_eq!(fs::read(own.join("lib/libtorch.so")).unwrap(), b"cpu");
    assert_eq!(
        fs::read(own.join("include/torch/csrc/api/include/torch/torch.h")).unwrap(),
        b"header"
    );
    assert_eq!(fs::read_to_string(own.join("build-version")).unwrap(), "2.11.0+cpu\n");
    assert_eq!(
        files(root.path()),
        [".libtorch", ".libtorch.lock"],
        "the wheels are gone"
    );
}

#[test]
fn a_second_run_downloads_nothing() {
    let root = tempfile::tempdir().unwrap();
    let index = index();
    set_up(root.path(), &index, false).unwrap();
    assert_eq!(index.fetched().len(), 4);
    set_up(root.path(), &index, false).unwrap();
    assert_eq!(index.fetched().len(), 4);
    set_up(root.path(), &index, true).unwrap();
    assert_eq!(index.fetched().len(), 8, "unless it is forced");
}

#[test]
fn a_half_unpacked_folder_is_replaced_and_leftovers_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join(".libtorch");
    fs::create_dir_all(own.join("lib")).unwrap();
    fs::write(own.join("lib/libtorch_cpu.so"), "half").unwrap();
    fs::create_dir_all(root.path().join(".libtorch.partial-1/libtorch/lib")).unwrap();
    set_up(root.path(), &index(), false).unwrap();
    assert_eq!(fs::read(own.join("lib/libtorch_cpu.so")).unwrap(), b"cpu");
    assert_eq!(files(root.path()), [".libtorch", ".libtorch.lock"]);
}

#[test]
fn a_run_that_fails_leaves_no_libtorch() {
    let root = tempfile::tempdir().unwrap();
    let index = index().with("nvidia-cuda-cupti==13.0.85.*", &[("nvidia/cu13/lib/other.so", b"")]);
    let error = set_up(root.path(), &index, false).unwrap_err().to_string();
    assert!(error.contains("holds no libcupti.so."), "{error}");
    assert_eq!(files(root.path()), [".libtorch.lock"]);
}

#[test]
fn a_wheel_without_cuda_needs_no_cuda_libraries() {
    let root = tempfile::tempdir().unwrap();
    let index = FakeIndex::default().with(
        "torch==2.11.0",
        &[
            (HEADER, b"header"),
            ("torch/lib/libtorch_cpu.so", b"cpu"),
            ("torch/lib/libc10.so", b"c10"),
            ("torch-2.11.0+cpu.dist-info/METADATA", b"Name: torch\n"),
        ],
    );
    set_up(root.path(), &index, false).unwrap();
    assert_eq!(index.fetched(), ["torch==2.11.0"]);
}

#[test]
fn a_libtorch_that_the_user_names_wins() {
    let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(theirs.path().join("lib")).unwrap();
    fs::write(theirs.path().join("lib/libtorch_cpu.so"), "a library").unwrap();
    let header = theirs.path().join("include/torch/csrc/api/include/torch");
    fs::create_dir_all(&header).unwrap();
    fs::write(header.join("torch.h"), "").unwrap();
    let env = |name: &str| (name == "LIBTORCH").then(|| theirs.path().as_os_str().to_owned());
    let index = FakeIndex::default();
    assert!(provide(root.path(), &env, &index, false).unwrap().contains("your own"));

    fs::write(theirs.path().join("build-version"), "2.9.1+cu128\n").unwrap();
    let error = provide(root.path(), &env, &index, false).unwrap_err().to_string();
    assert!(
        error.contains("is libtorch 2.9.1+cu128, and tch needs 2.11.0"),
        "{error}"
    );
}

#[test]
fn a_libtorch_variable_that_points_elsewhere_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let env = |name: &str| (name == "LIBTORCH").then(|| OsString::from("/nowhere"));
    let error = provide(root.path(), &env, &FakeIndex::default(), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LIBTORCH=/nowhere is not a libtorch (it has no lib/libtorch_cpu.so): point it at the folder of a libtorch 2.11.0, or \
         unset it and set-up provides one"
    );
    let env = |name: &str| (name == "LIBTORCH").then(|| OsString::from("libtorch"));
    let error = provide(root.path(), &env, &FakeIndex::default(), false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a full path is needed"), "{error}");
}

#[test]
fn no_file_is_unpacked_outside() {
    assert_eq!(place_of_torch("torch/include/../../evil"), None);
    assert_eq!(place_of_torch("torch/lib/libgomp/../../evil.so"), None);
}

#[test]
fn downloads_of_a_run_that_lost_the_network_are_not_repeated() {
    let root = tempfile::tempdir().unwrap();
    let offline = FakeIndex::default().with("torch==2.11.0", TORCH);
    let error = set_up(root.path(), &offline, false).unwrap_err().to_string();
    assert!(
        error.starts_with("pip cannot reach the package index for cuda-toolkit==13.0.2"),
        "{error}"
    );
    assert_eq!(files(root.path()), [".libtorch.downloads", ".libtorch.lock"]);

    let online = index();
    set_up(root.path(), &online, false).unwrap();
    assert_eq!(
        online.fetched(),
        [
            "cuda-toolkit==13.0.2",
            "nvidia-cuda-cupti==13.0.85.*",
            "nvidia-cuda-runtime==13.0.96.*"
        ]
    );
    assert_eq!(files(root.path()), [".libtorch", ".libtorch.lock"]);
}

#[test]
fn a_download_that_turns_out_to_be_damaged_is_repeated() {
    let root = tempfile::tempdir().unwrap();
    let kept = root.path().join(".libtorch.downloads/torch==2.11.0");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("torch-2.11.0-py3.whl"), "half a wheel").unwrap();
    let error = set_up(root.path(), &index(), false).unwrap_err().to_string();
    assert!(
        error.starts_with("the download of torch-2.11.0-py3.whl is damaged"),
        "{error}"
    );
    set_up(root.path(), &index(), false).unwrap();
}

#[test]
fn a_folder_without_its_stamp_is_not_used() {
    let root = tempfile::tempdir().unwrap();
    set_up(root.path(), &index(), false).unwrap();
    fs::remove_file(root.path().join(".libtorch/.complete")).unwrap();
    let index = index();
    set_up(root.path(), &index, false).unwrap();
    assert_eq!(index.fetched().len(), 4);
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_the_cause_and_not_a_variable_that_nobody_set() {
    let root = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nowhere", root.path().join(".libtorch")).unwrap();
    let error = set_up(root.path(), &FakeIndex::default(), false)
        .unwrap_err()
        .to_string();
    let expected = format!(
        "{} is a link to /nowhere, which is not a libtorch (it has no lib/libtorch_cpu.so): remove the link",
        root.path().join(".libtorch").display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_library_of_no_bytes_is_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    set_up(root.path(), &index(), false).unwrap();
    let library = root.path().join(".libtorch/lib/libtorch_cpu.so");
    fs::write(&library, "").unwrap();
    let index = index();
    set_up(root.path(), &index, false).unwrap();
    assert!(!index.fetched().is_empty());
    assert_eq!(fs::read(&library).unwrap(), b"cpu");
}
