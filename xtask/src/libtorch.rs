//! libtorch: the one that the user names, or the CPU part of the `torch` wheel.
//!
//! ```text
//! .libtorch/include/            torch/include/ of the wheel
//! .libtorch/lib/libtorch_cpu.so, libc10.so, libgomp.so.1
//! .libtorch/lib/libtorch.so     a link to libtorch_cpu.so
//! .libtorch/lib/libcupti.so.13, libcudart.so.13    from NVIDIA's wheels: libtorch_cpu.so of the wheel is built with
//!                               CUDA's profiler and does not load without them, on any machine
//! .libtorch/build-version       what torch-sys compares with the version it needs
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::folder::{self, AtPath, Scratch};
use crate::pip::Pip;
use crate::{Env, say};

/// The version that tch 0.24 needs.
const VERSION: &str = "2.11.0";
/// The wheels. The versions of NVIDIA's are those that torch's metadata pins through `cuda-toolkit==13.0.2`.
#[cfg(not(target_os = "macos"))]
const WHEELS: &[&str] = &[
    "torch==2.11.0",
    "nvidia-cuda-cupti==13.0.85.*",
    "nvidia-cuda-runtime==13.0.96.*",
];
#[cfg(target_os = "macos")]
const WHEELS: &[&str] = &["torch==2.11.0"];
/// What is taken out of them, and where it goes.
#[cfg(not(target_os = "macos"))]
const PARTS: &[(&str, &str)] = &[
    ("torch/include", "include"),
    ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
    ("torch/lib/libc10.so", "lib/libc10.so"),
    ("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
    ("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13"),
    ("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
];
#[cfg(target_os = "macos")]
const PARTS: &[(&str, &str)] = &[
    ("torch/include", "include"),
    ("torch/lib/libtorch.dylib", "lib/libtorch.dylib"),
    ("torch/lib/libtorch_cpu.dylib", "lib/libtorch_cpu.dylib"),
    ("torch/lib/libc10.dylib", "lib/libc10.dylib"),
    ("torch/lib/libomp.dylib", "lib/libomp.dylib"),
];
/// The number changes when what is unpacked, or where, changes.
const STAMP: &str = "torch 2.11.0, CPU, layout 1\n";
/// The wheel of torch (530 MB) is on the disk twice, here and in pip's cache, while all of it is unpacked (1.2 GB).
const NEEDED_BYTES: u64 = 2_400_000_000;

/// Makes sure that there is a libtorch to build with, and says in one line which.
pub(crate) fn provide(root: &Path, env: Env<'_>, pip: &Pip, force: bool) -> Result<String> {
    let own = root.join(".libtorch");
    let named = env("LIBTORCH").map(PathBuf::from);
    for folder in named.iter().chain([&own]) {
        ensure!(
            cfg!(not(unix)) || !folder.as_os_str().as_encoded_bytes().contains(&b':'),
            "libtorch would be in {}, and programs cannot be told to look in a folder whose path has a `:`: move the clone (or what \
             LIBTORCH names) to another place, then run the same command again",
            folder.display()
        );
    }
    if env("LIBTORCH_USE_PYTORCH").is_some() {
        return check_pytorch(env);
    }
    match named {
        // `.cargo/config.toml` sets LIBTORCH to our own folder for everything that cargo runs, if the user has not set it.
        Some(folder) if folder != own => return check_libtorch(&folder, env),
        _ if own.is_symlink() => {
            if let Some(missing) = missing_part(&own, &own) {
                let target = fs::read_link(&own).at("read", &own)?;
                bail!(
                    "{} is a link to {}, which is not a libtorch (it has no {missing}): remove the link and set-up provides one, or let \
                     it point at a libtorch {VERSION}",
                    own.display(),
                    target.display()
                );
            }
            return check_libtorch(&own, env);
        }
        _ => {}
    }
    if force || !is_complete(&own) {
        check_platform()?;
        let scratch = Scratch::lock(&own)?;
        // Another run may have worked on it.
        if force || !is_complete(&own) {
            build(&scratch, root, pip, force)?;
        }
    }
    Ok(format!("libtorch {VERSION} is in {}", own.display()))
}

pub(crate) fn is_complete(own: &Path) -> bool {
    folder::stamp(own).as_deref() == Some(STAMP) && missing_part(own, own).is_none()
}

/// Fetches, unpacks and publishes.
fn build(scratch: &Scratch, root: &Path, pip: &Pip, force: bool) -> Result<()> {
    if force {
        folder::remove(&scratch.downloads())?;
    }
    folder::check_space(root, NEEDED_BYTES)?;
    say(&format!(
        "libtorch {VERSION}: fetching it with pip (about 545 MB, once; 490 MB stay on disk)"
    ));
    let wheels = pip.unpack(WHEELS, scratch)?;
    let tree = scratch.folder("libtorch")?;
    fs::create_dir(tree.join("lib")).at("create", &tree)?;
    for (part, place) in PARTS {
        fs::rename(wheels.join(part), tree.join(place)).at("find in the wheels", Path::new(part))?;
    }
    #[cfg(unix)]
    for (file, link) in [("libtorch_cpu.so", "libtorch.so"), ("libgomp.so.1", "libgomp.so")] {
        if cfg!(not(target_os = "macos")) {
            std::os::unix::fs::symlink(file, tree.join("lib").join(link)).at("create", Path::new(link))?;
        }
    }
    if let Some(missing) = missing_part(&tree, &tree) {
        bail!("the wheel of torch {VERSION} holds no {missing}: it is laid out in a way that set-up does not know");
    }
    fs::write(tree.join("build-version"), format!("{VERSION}+cpu\n")).at("write in", &tree)?;
    folder::flush(&tree)?;
    folder::write_stamp(&tree, STAMP)?;
    scratch.publish(&tree)
}

fn check_platform() -> Result<()> {
    let linux = cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"));
    // The wheel for Apple's processors is a CPU build; torch-sys takes its libtorch from there too.
    let mac = cfg!(all(target_os = "macos", target_arch = "aarch64"));
    ensure!(
        linux || mac,
        "set-up has no libtorch for {} on {}: install libtorch {VERSION} yourself and set LIBTORCH to its folder, or `pip install \
         torch=={VERSION}` and set LIBTORCH_USE_PYTORCH=1",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    Ok(())
}

/// What a libtorch must have and this one has not; `include` and `lib` are usually the same folder.
fn missing_part(include: &Path, lib: &Path) -> Option<&'static str> {
    let library = [
        "libtorch_cpu.so",
        "libtorch_cpu.dylib",
        "libtorch_cpu.a",
        "torch_cpu.lib",
    ];
    // A file that was cut short to nothing is none; what is within, the linker will say.
    let is_library = |name: &&str| fs::metadata(lib.join("lib").join(name)).is_ok_and(|file| file.len() > 0);
    if !library.iter().any(is_library) {
        return Some("lib/libtorch_cpu.so");
    }
    let header = "include/torch/csrc/api/include/torch/torch.h";
    (!include.join(header).exists()).then_some(header)
}

/// A libtorch that the user names is checked for plausibility, as torch-sys will see it.
fn check_libtorch(folder: &Path, env: Env<'_>) -> Result<String> {
    let shown = folder.display();
    let part = |variable: &str| env(variable).map_or_else(|| folder.to_owned(), PathBuf::from);
    let missing = match missing_part(&part("LIBTORCH_INCLUDE"), &part("LIBTORCH_LIB")) {
        _ if !folder.is_absolute() => Some("leading `/`: a full path is needed"),
        missing => missing,
    };
    if let Some(missing) = missing {
        bail!(
            "LIBTORCH={shown} is not a libtorch (it has no {missing}): point it at the folder of a libtorch {VERSION}, or unset it and \
             set-up provides one"
        );
    }
    if let Ok(version) = fs::read_to_string(folder.join("build-version")) {
        check_version(&version, &shown.to_string(), "LIBTORCH", env)?;
    }
    Ok(format!("libtorch is your own, in {shown}"))
}

/// Asks the Python that torch-sys will ask.
fn check_pytorch(env: Env<'_>) -> Result<String> {
    let python = if env("VIRTUAL_ENV").is_some() {
        "python"
    } else {
        "python3"
    };
    let program = "from importlib.metadata import version; print(version('torch'))";
    match Command::new(python).args(["-c", program]).output() {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            check_version(&version, &format!("the torch of {python}"), "LIBTORCH_USE_PYTORCH", env)?;
            Ok(format!("libtorch is that of {python}'s torch {version}"))
        }
        _ => bail!(
            "LIBTORCH_USE_PYTORCH is set and `{python}` has no torch: `{python} -m pip install torch=={VERSION}`, or unset it and set-up \
             provides libtorch"
        ),
    }
}

/// `2.11.0`, `2.11.0+cpu` and `2.11.0+cu130` are all the right version.
fn check_version(version: &str, what: &str, variable: &str, env: Env<'_>) -> Result<()> {
    let version = version.trim();
    ensure!(
        env("LIBTORCH_BYPASS_VERSION_CHECK").is_some() || version.split('+').next() == Some(VERSION),
        "{what} is libtorch {version}, and tch needs {VERSION}: install that version, or unset {variable} and set-up provides one \
         (LIBTORCH_BYPASS_VERSION_CHECK=1 tries it all the same)"
    );
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::pip::testing::FakeIndex;

    const HEADER: &str = "torch/include/torch/csrc/api/include/torch/torch.h";

    /// The wheel of torch.
    fn torch() -> FakeIndex {
        let libraries = [
            "libtorch_cpu.so",
            "libtorch_cuda.so",
            "libtorch.so",
            "libc10.so",
            "libgomp.so.1",
        ];
        let files = libraries.map(|name| format!("torch/lib/{name}"));
        let mut files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), name.as_str())).collect();
        files.extend([(HEADER, "header"), ("torch/nn/functional.py", "python")]);
        FakeIndex::new().with(WHEELS[0], &files)
    }

    /// The wheels, in the layout of those on PyPI.
    fn index(torch: FakeIndex) -> FakeIndex {
        torch
            .with(
                WHEELS[1],
                &[
                    ("nvidia/cu13/lib/libcupti.so.13", "cupti"),
                    ("nvidia/cu13/lib/libnvperf_host.so", "perf"),
                ],
            )
            .with(WHEELS[2], &[("nvidia/cu13/lib/libcudart.so.13", "cudart")])
    }

    /// Sets up as a process that cargo runs for a user who has set nothing.
    fn set_up(root: &Path, index: &FakeIndex, force: bool) -> Result<String> {
        let own = root.join(".libtorch");
        provide(
            root,
            &|name| (name == "LIBTORCH").then(|| own.clone().into()),
            &index.pip(),
            force,
        )
    }

    fn error_with(root: &Path, libtorch: &Path) -> String {
        let env = |name: &str| (name == "LIBTORCH").then(|| libtorch.as_os_str().to_owned());
        provide(root, &env, &FakeIndex::new().pip(), false)
            .unwrap_err()
            .to_string()
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_wheels_become_a_cpu_libtorch_in_place_of_a_half_unpacked_one() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join(".libtorch");
        fs::create_dir_all(own.join("lib")).unwrap();
        fs::write(own.join("lib/libtorch_cpu.so"), "half").unwrap();
        fs::create_dir_all(root.path().join(".libtorch.partial-1/libtorch/lib")).unwrap();
        set_up(root.path(), &index(torch()), false).unwrap();
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
        assert_eq!(
            fs::read_to_string(own.join("lib/libtorch.so")).unwrap(),
            "torch/lib/libtorch_cpu.so"
        );
        assert_eq!(
            fs::read_to_string(own.join(HEADER.strip_prefix("torch/").unwrap())).unwrap(),
            "header"
        );
        assert_eq!(fs::read_to_string(own.join("build-version")).unwrap(), "2.11.0+cpu\n");
        assert_eq!(
            files(root.path()),
            [".libtorch", ".libtorch.lock"],
            "the wheels are gone"
        );
    }

    #[test]
    fn only_what_is_missing_damaged_or_forced_is_downloaded_again() {
        let root = tempfile::tempdir().unwrap();
        let index = index(torch());
        let own = root.path().join(".libtorch");
        let downloads_of = |force| {
            let before = index.downloaded().len();
            set_up(root.path(), &index, force).unwrap();
            index.downloaded().len() - before
        };
        assert_eq!(downloads_of(false), 3);
        assert_eq!(downloads_of(false), 0);
        assert_eq!(downloads_of(true), 3);
        fs::remove_file(own.join(".complete")).unwrap();
        assert_eq!(downloads_of(false), 3, "a folder without its stamp is not trusted");
        fs::write(own.join("lib/libtorch_cpu.so"), "").unwrap();
        assert_eq!(downloads_of(false), 3, "a library of no bytes is none");
    }

    #[test]
    fn a_run_that_fails_leaves_no_libtorch_but_its_downloads() {
        let root = tempfile::tempdir().unwrap();
        let offline = torch();
        let error = set_up(root.path(), &offline, false).unwrap_err().to_string();
        assert!(
            error.starts_with("pip cannot reach the package index for nvidia-cuda-cupti==13.0.85"),
            "{error}"
        );
        assert_eq!(files(root.path()), [".libtorch.downloads", ".libtorch.lock"]);
        let online = index(torch());
        set_up(root.path(), &online, false).unwrap();
        assert_eq!(files(root.path()), [".libtorch", ".libtorch.lock"]);

        fs::remove_dir_all(root.path().join(".libtorch")).unwrap();
        let downloads = root.path().join(".libtorch.downloads");
        fs::create_dir(&downloads).unwrap();
        for wheel in WHEELS {
            fs::write(downloads.join(wheel), "").unwrap();
        }
        let online = index(torch());
        set_up(root.path(), &online, false).unwrap();
        assert!(
            online.downloaded().is_empty(),
            "downloads of an interrupted run need no network"
        );
    }

    #[test]
    fn a_wheel_of_another_layout_is_one_line() {
        let root = tempfile::tempdir().unwrap();
        let other = index(FakeIndex::new().with(WHEELS[0], &[(HEADER, "header")]));
        let error = format!("{:#}", set_up(root.path(), &other, false).unwrap_err());
        assert!(
            error.starts_with("cannot find in the wheels torch/lib/libtorch_cpu.so: "),
            "{error}"
        );
        assert_eq!(files(root.path()), [".libtorch.lock"]);
    }

    #[test]
    fn a_libtorch_that_the_user_names_wins_if_it_is_one() {
        let (root, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let header = theirs.path().join("include/torch/csrc/api/include/torch");
        fs::create_dir_all(&header).unwrap();
        fs::write(header.join("torch.h"), "").unwrap();
        fs::create_dir_all(theirs.path().join("lib")).unwrap();
        fs::write(theirs.path().join("lib/libtorch_cpu.so"), "a library").unwrap();
        let env = |name: &str| (name == "LIBTORCH").then(|| theirs.path().as_os_str().to_owned());
        assert!(
            provide(root.path(), &env, &FakeIndex::new().pip(), false)
                .unwrap()
                .contains("your own")
        );

        fs::write(theirs.path().join("build-version"), "2.9.1+cu128\n").unwrap();
        let error = error_with(root.path(), theirs.path());
        assert!(
            error.contains("is libtorch 2.9.1+cu128, and tch needs 2.11.0"),
            "{error}"
        );
        assert_eq!(
            error_with(root.path(), Path::new("/nowhere")),
            "LIBTORCH=/nowhere is not a libtorch (it has no lib/libtorch_cpu.so): point it at the folder of a libtorch 2.11.0, or \
             unset it and set-up provides one"
        );
        assert!(error_with(root.path(), Path::new("libtorch")).contains("a full path is needed"));
        let error = error_with(Path::new("/somewhere"), Path::new("/somewhere/a:b"));
        assert!(
            error.starts_with("libtorch would be in /somewhere/a:b, and programs cannot be told"),
            "{error}"
        );
    }

    #[test]
    fn a_link_to_nowhere_is_the_cause_and_not_a_variable_that_nobody_set() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join(".libtorch");
        std::os::unix::fs::symlink("/nowhere", &own).unwrap();
        let error = set_up(root.path(), &FakeIndex::new(), false).unwrap_err().to_string();
        let expected = format!(
            "{} is a link to /nowhere, which is not a libtorch (it has no lib/libtorch_cpu.so): remove the link",
            own.display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }
}
