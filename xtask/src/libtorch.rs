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

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::downloads::Downloads;
use crate::error::{AtPath, SetupError};
use crate::folder::{self, Scratch};
use crate::pip::Wheels;
use crate::progress::{megabytes, say};
use crate::wheel::{Wheel, pinned_version};

/// The version that tch 0.24 needs.
const VERSION: &str = "2.11.0";
/// The number changes when what is unpacked, or where, changes.
const STAMP: &str = "torch 2.11.0, CPU, layout 1\n";
/// While pip works, the wheel (530 MB) is on the disk up to three times: in pip's cache, in its temporary folder, and
/// where it belongs.
const DOWNLOAD_BYTES: u64 = 1_700_000_000;
/// What is unpacked (490 MB), and some room.
const UNPACK_BYTES: u64 = 600_000_000;
/// Set by the user, makes torch-sys take any version.
const BYPASS: &str = "LIBTORCH_BYPASS_VERSION_CHECK";

/// Looks environment variables up.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Makes sure that there is a libtorch to build with, and says in one line which.
pub(crate) fn provide(root: &Path, env: Env<'_>, wheels: &dyn Wheels, force: bool) -> Result<String, SetupError> {
    let own = root.join(".libtorch");
    for folder in env("LIBTORCH").map(PathBuf::from).iter().chain([&own]) {
        // It separates the folders of a program's list of them.
        if folder.as_os_str().as_encoded_bytes().contains(&b':') && cfg!(unix) {
            return Err(SetupError::Colon { folder: folder.clone() });
        }
    }
    if env("LIBTORCH_USE_PYTORCH").is_some() {
        return check_pytorch(env);
    }
    match env("LIBTORCH").map(PathBuf::from) {
        // `.cargo/config.toml` sets LIBTORCH to our own folder for everything that cargo runs, if the user has not set it.
        Some(folder) if folder != own => return check_libtorch(&folder, env),
        _ if own.is_symlink() => return check_link(&own, env),
        _ => {}
    }
    if !force && is_complete(&own) {
        return Ok(format!("libtorch {VERSION} is in {}", own.display()));
    }
    check_platform()?;
    let scratch = Scratch::lock(&own)?;
    if !force && is_complete(&own) {
        return Ok(format!("libtorch {VERSION} is in {}, from another run", own.display()));
    }
    let downloads = Downloads::kept_in(scratch.downloads(), wheels);
    if force {
        downloads.clear()?;
    }
    let outcome = build(&scratch, root, &downloads);
    // An unusable wheel is not kept; after any other failure the next run continues where this one stopped.
    if let Ok(_) | Err(SetupError::Damaged { .. } | SetupError::Incomplete { .. }) = &outcome {
        downloads.clear()?;
    }
    let bytes = outcome?;
    Ok(format!(
        "libtorch {VERSION} is in {} ({})",
        own.display(),
        megabytes(bytes)
    ))
}

pub(crate) fn is_complete(own: &Path) -> bool {
    folder::stamp(own).as_deref() == Some(STAMP) && missing_part(own, own).is_none()
}

/// A link that the user made in place of our own folder.
fn check_link(own: &Path, env: Env<'_>) -> Result<String, SetupError> {
    match missing_part(own, own) {
        None => check_libtorch(own, env),
        Some(missing) => Err(SetupError::BadLink {
            link: own.to_owned(),
            target: fs::read_link(own).at("read", own)?,
            missing,
        }),
    }
}

/// Fetches, unpacks and publishes.
fn build(scratch: &Scratch, root: &Path, downloads: &Downloads<'_>) -> Result<u64, SetupError> {
    let requirement = format!("torch=={VERSION}");
    if downloads.has(&requirement) {
        folder::check_space(root, UNPACK_BYTES)?;
        say(&format!(
            "libtorch {VERSION}: an earlier run has fetched the torch wheel"
        ));
    } else {
        folder::check_space(root, DOWNLOAD_BYTES)?;
        say(&format!(
            "libtorch {VERSION}: fetching the torch wheel with pip (about 530 MB, once; 490 MB stay on disk)"
        ));
    }
    let mut torch = Wheel::open(&downloads.fetch(&requirement, &scratch.folder("torch")?)?)?;
    let cuda = cuda_wheels(&torch.metadata()?, scratch, downloads)?;

    let tree = scratch.folder("libtorch")?;
    let mut bytes = torch.unpack(&tree, place_of_torch)?;
    for (mut wheel, library) in cuda {
        let unpacked = wheel.unpack(&tree, |name| place_of_library(name, library))?;
        if unpacked == 0 {
            return Err(wheel.incomplete(library));
        }
        bytes += unpacked;
    }
    link_libraries(&tree)?;
    if let Some(missing) = missing_part(&tree, &tree) {
        return Err(torch.incomplete(missing));
    }
    let version_file = tree.join("build-version");
    fs::write(&version_file, format!("{VERSION}+cpu\n")).at("write", &version_file)?;
    folder::flush(&tree)?;
    folder::write_stamp(&tree, STAMP)?;
    scratch.publish(&tree)?;
    Ok(bytes)
}

/// The two CUDA libraries that libtorch_cpu.so of PyPI's wheel for Linux is linked to, in the versions that the wheel's
/// metadata pins: directly, or through the package `cuda-toolkit`. A wheel without CUDA pins none.
fn cuda_wheels(
    torch_metadata: &str,
    scratch: &Scratch,
    wheels: &dyn Wheels,
) -> Result<Vec<(Wheel, &'static str)>, SetupError> {
    let Some(toolkit) = pinned_version(torch_metadata, "cuda-toolkit") else {
        return Ok(Vec::new());
    };
    if cfg!(target_os = "macos") {
        return Ok(Vec::new());
    }
    let path = wheels.fetch(&format!("cuda-toolkit=={toolkit}"), &scratch.folder("cuda-toolkit")?)?;
    let mut toolkit = Wheel::open(&path)?;
    let metadata = toolkit.metadata()?;
    let mut found = Vec::new();
    for (package, library) in [
        ("nvidia-cuda-cupti", "libcupti.so."),
        ("nvidia-cuda-runtime", "libcudart.so."),
    ] {
        let version = pinned_version(&metadata, package).ok_or_else(|| toolkit.incomplete(package))?;
        let path = wheels.fetch(&format!("{package}=={version}"), &scratch.folder(package)?)?;
        found.push((Wheel::open(&path)?, library));
    }
    Ok(found)
}

/// Where a file of the torch wheel goes, if a CPU build needs it.
fn place_of_torch(name: &str) -> Option<PathBuf> {
    if let Some(header) = name.strip_prefix("torch/include/") {
        return Some(Path::new("include").join(header)).filter(|path| is_inside(path));
    }
    let library = name.strip_prefix("torch/lib/")?;
    let needed = [
        "libtorch_cpu.so",
        "libc10.so",
        "libtorch.dylib",
        "libtorch_cpu.dylib",
        "libc10.dylib",
        "libomp.dylib",
    ];
    let needed = needed.contains(&library) || (library.starts_with("libgomp") && library.contains(".so"));
    (needed && !library.contains('/')).then(|| Path::new("lib").join(library))
}

fn place_of_library(name: &str, prefix: &str) -> Option<PathBuf> {
    let file = name.rsplit('/').next()?;
    file.starts_with(prefix).then(|| Path::new("lib").join(file))
}

/// A path of an archive must not climb out of the folder it is unpacked into.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|component| matches!(component, std::path::Component::Normal(_)))
}

/// The names that the linker looks for.
fn link_libraries(tree: &Path) -> Result<(), SetupError> {
    let lib = tree.join("lib");
    for (file, link) in [("libtorch_cpu.so", "libtorch.so"), ("libgomp.so.1", "libgomp.so")] {
        if lib.join(file).exists() && !lib.join(link).exists() {
            symlink(file, &lib.join(link))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn symlink(to: &str, link: &Path) -> Result<(), SetupError> {
    std::os::unix::fs::symlink(to, link).at("create", link)
}

#[cfg(not(unix))]
fn symlink(to: &str, link: &Path) -> Result<(), SetupError> {
    fs::copy(link.with_file_name(to), link).at("create", link).map(drop)
}

fn check_platform() -> Result<(), SetupError> {
    let linux = cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"));
    // The wheel for Apple's processors is a CPU build; torch-sys takes its libtorch from there too.
    let mac = cfg!(all(target_os = "macos", target_arch = "aarch64"));
    if linux || mac {
        return Ok(());
    }
    Err(SetupError::Platform {
        platform: format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH),
    })
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
fn check_libtorch(folder: &Path, env: Env<'_>) -> Result<String, SetupError> {
    let not_libtorch = |missing| SetupError::NotLibtorch {
        folder: folder.to_owned(),
        missing,
    };
    if !folder.is_absolute() {
        return Err(not_libtorch("leading `/`: a full path is needed".to_owned()));
    }
    let part = |variable: &str| env(variable).map_or_else(|| folder.to_owned(), PathBuf::from);
    if let Some(missing) = missing_part(&part("LIBTORCH_INCLUDE"), &part("LIBTORCH_LIB")) {
        return Err(not_libtorch(missing.to_owned()));
    }
    if let Ok(version) = fs::read_to_string(folder.join("build-version")) {
        check_version(&version, &folder.display().to_string(), "LIBTORCH", env)?;
    }
    Ok(format!("libtorch is your own, in {}", folder.display()))
}

/// Asks the Python that torch-sys will ask.
fn check_pytorch(env: Env<'_>) -> Result<String, SetupError> {
    let python = if env("VIRTUAL_ENV").is_some() {
        "python"
    } else {
        "python3"
    };
    let program = "from importlib.metadata import version; print(version('torch'))";
    let output = Command::new(python).args(["-c", program]).output();
    match output {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            check_version(&version, &format!("the torch of {python}"), "LIBTORCH_USE_PYTORCH", env)?;
            Ok(format!("libtorch is that of {python}'s torch {version}"))
        }
        _ => Err(SetupError::NoPytorch {
            python: python.to_owned(),
        }),
    }
}

/// `2.11.0`, `2.11.0+cpu` and `2.11.0+cu130` are all the right version.
fn check_version(version: &str, what: &str, variable: &'static str, env: Env<'_>) -> Result<(), SetupError> {
    let version = version.trim();
    if env(BYPASS).is_some() || version.split('+').next() == Some(VERSION) {
        return Ok(());
    }
    Err(SetupError::Version {
        what: what.to_owned(),
        variable,
        actual: version.to_owned(),
    })
}

#[cfg(test)]
#[path = "libtorch_tests.rs"]
mod tests;
