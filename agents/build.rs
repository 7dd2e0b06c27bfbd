//! Writes the folder of the libtorch that `torch-sys` found into this package's test programs, so that they start
//! without `LD_LIBRARY_PATH`. Cargo applies `rustc-link-arg` only to the package that prints it, therefore the root
//! package has the same script.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // Not `-Wl,-rpath,…`: a path may have a comma.
        for arg in ["-Xlinker", "-rpath", "-Xlinker", &lib] {
            println!("cargo::rustc-link-arg={arg}");
        }
    }
}
