//! Writes the folder of the libtorch that `torch-sys` found into the program, its tests, examples and benchmarks, so
//! that they start without `LD_LIBRARY_PATH`. Cargo applies `rustc-link-arg` only to the package that prints it,
//! therefore `agents/` has the same script, and crates that depend on this one get the folder as `DEP_COINOP_LIBTORCH_LIB`.

fn main() {
    commit();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // Not `-Wl,-rpath,…`: a path may have a comma.
        for arg in ["-Xlinker", "-rpath", "-Xlinker", &lib] {
            println!("cargo::rustc-link-arg={arg}");
        }
        println!("cargo::metadata=LIBTORCH_LIB={lib}");
    }
}

/// Passes the commit of the source, and whether it has changes, to reports of benchmarks, if this is a git repository.
fn commit() {
    // It changes with every commit.
    let log = ".git/logs/HEAD";
    if !std::path::Path::new(log).exists() {
        return;
    }
    for path in [log, "src", "agents/src", "envs/src", "envs/atari/src"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let git = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=10"])
        .output();
    if let Ok(output) = git
        && output.status.success()
    {
        println!(
            "cargo::rustc-env=COINOP_COMMIT={}",
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
}
