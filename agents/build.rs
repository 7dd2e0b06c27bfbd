//! Writes the folder of the libtorch that `torch-sys` found into this package's test programs, so that they start
//! without `LD_LIBRARY_PATH`. Cargo applies `rustc-link-arg` only to the package that prints it, therefore the root
//! package has the same script.
//!
//! If that libtorch is for GPUs and CUDA's headers are there, it compiles `src/cuda_graph.cpp`, too.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    println!("cargo::rustc-check-cfg=cfg(cuda_graphs)");
    if let Ok(lib) = env::var("DEP_TCH_LIBTORCH_LIB") {
        // Not `-Wl,-rpath,…`: a path may have a comma.
        for arg in ["-Xlinker", "-rpath", "-Xlinker", &lib] {
            println!("cargo::rustc-link-arg={arg}");
        }
        cuda_graphs(Path::new(&lib));
    }
}

/// Compiles the C interface to CUDA graphs as a library, which programs load when a GPU is asked for.
fn cuda_graphs(libtorch: &Path) {
    const SOURCE: &str = "src/cuda_graph.cpp";
    println!("cargo::rerun-if-changed={SOURCE}");
    for variable in ["CUDA_HOME", "CUDA_PATH", "LIBTORCH_INCLUDE"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if !libtorch.join("libtorch_cuda.so").exists() {
        return;
    }
    let Some(cuda) = cuda_headers(libtorch) else {
        return;
    };
    let torch = env::var_os("LIBTORCH_INCLUDE").map_or_else(|| libtorch.join(".."), PathBuf::from);
    let torch = torch.join("include");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("cuda_graph.so");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .pic(true)
        .warnings(false)
        .std("c++17")
        .include(&torch)
        .include(torch.join("torch/csrc/api/include"))
        .include(cuda);
    let mut compiler = build.get_compiler().to_command();
    compiler
        .args(["-shared", SOURCE, "-o"])
        .arg(out)
        .arg("-L")
        .arg(libtorch);
    compiler.args(["torch_cuda", "c10_cuda", "torch_cpu", "c10"].map(|library| format!("-l{library}")));
    match compiler.output() {
        Ok(output) if output.status.success() => println!("cargo::rustc-cfg=cuda_graphs"),
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let error = errors.lines().find(|line| line.contains("error")).unwrap_or_default();
            println!("cargo::warning=without CUDA graphs, because {SOURCE} does not compile: {error}");
        }
        Err(error) => println!("cargo::warning=without CUDA graphs, because there is no C++ compiler: {error}"),
    }
}

/// The folder of CUDA's headers: of a toolkit, or of NVIDIA's wheels, which are beside PyTorch's.
fn cuda_headers(libtorch: &Path) -> Option<PathBuf> {
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    let folders = toolkits.map(PathBuf::from).chain([
        libtorch.join("../../nvidia/cu13"),
        PathBuf::from("/usr/local/cuda"),
        PathBuf::from("/opt/cuda"),
    ]);
    // The second one is the compiler's, and the first one includes it.
    let headers = ["cuda_runtime_api.h", "crt/host_config.h"];
    let is_whole = |include: &PathBuf| headers.iter().all(|header| include.join(header).exists());
    let mut includes = folders.map(|folder| folder.join("include"));
    includes.find(is_whole)
}
