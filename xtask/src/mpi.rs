//! What training over MPI is compiled with: an MPI, its headers and libclang.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::say;

/// Whether the feature `mpi` can be compiled and run; otherwise says what is missing.
pub(crate) fn is_there() -> bool {
    let there = ["mpicc", "mpirun"].iter().all(|name| succeeds(name)) && has_libclang();
    if !there {
        say(
            "training over MPI is left out: it needs an MPI and libclang (Debian and Ubuntu: `apt install libclang-dev libopenmpi-dev \
             openmpi-bin`, macOS: `brew install llvm open-mpi`)",
        );
    }
    there
}

/// Looks where Debian, Fedora and Homebrew put it.
fn has_libclang() -> bool {
    let is_libclang = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libclang.so") || name.starts_with("libclang-") || name == "libclang.dylib"
    };
    let within = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut folders: Vec<_> = ["/usr/lib64", "/opt/homebrew/opt/llvm/lib", "/usr/local/opt/llvm/lib"]
        .map(Into::into)
        .to_vec();
    folders.extend(std::env::var_os("LIBCLANG_PATH").map(Into::into));
    // Each version of Debian's is in a folder of its own.
    folders.extend(
        within(Path::new("/usr/lib"))
            .into_iter()
            .map(|folder| folder.join("lib")),
    );
    folders
        .iter()
        .any(|folder| within(folder).iter().any(|path| is_libclang(path)))
}

fn succeeds(program: &str) -> bool {
    let mut command = Command::new(program);
    let quiet = command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
