//! Writes the folder of libtorch into the program, so that it starts without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_COINOP_LIBTORCH_LIB") {
        for arg in ["-Xlinker", "-rpath", "-Xlinker", &lib] {
            println!("cargo::rustc-link-arg={arg}");
        }
    }
}
