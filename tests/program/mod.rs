//! Running the program as a user does, for the tests beside this folder.

#![allow(dead_code, reason = "each file of tests uses a part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A network for pixels that is small: what most tests try is not the network, which would take most of their time.
pub(crate) const SMALL_NETWORK: &str = "--set=body={layers={convolutions=[[4,8,8]],hidden=[16]}}";

/// Settings that make a run of pixels small: two environments, a small network, and one thread for libtorch.
pub(crate) const SMALL: &[&str] = &[
    SMALL_NETWORK,
    "--torch-threads=1",
    "--set=num_envs=2",
    "--set=rollout_steps=20",
    "--set=minibatches=1",
];

/// Without these, the program would start itself again with them, and load libtorch twice.
pub(crate) const PROCESS_SETTINGS: [(&str, &str); 6] = [
    ("OMP_WAIT_POLICY", "PASSIVE"),
    ("GOMP_SPINCOUNT", "10000"),
    ("MALLOC_MMAP_THRESHOLD_", "1000000000"),
    ("MALLOC_TRIM_THRESHOLD_", "1000000000"),
    ("SDL_VIDEODRIVER", "dummy"),
    ("SDL_RENDER_DRIVER", "software"),
];

/// The program, to be run in `dir`.
pub(crate) fn coinop(dir: &Path) -> Command {
    of_program(Path::new(env!("CARGO_BIN_EXE_coinop")), dir)
}

/// A program, to be run in `dir`.
pub(crate) fn of_program(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null()).env("COINOP_ROMS", roms());
    // As it is started without cargo, whose commands it would print.
    command.env_remove("CARGO_MANIFEST_DIR");
    command.envs(PROCESS_SETTINGS);
    command
}

/// Whether there is a ROM of Pong; says that a test is skipped if not.
pub(crate) fn has_pong(test: &str) -> bool {
    let is_there = roms().join("pong.bin").is_file();
    if !is_there {
        eprintln!("skipped {test}: there is no ROM of Pong; `cargo xtask setup` provides it");
    }
    is_there
}

/// The folder of ROMs: the one that was chosen, else the one that set-up provides.
pub(crate) fn roms() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".roms");
    std::env::var_os("COINOP_ROMS").map_or_else(default, PathBuf::from)
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    coinop(dir).args(args).output().unwrap()
}

/// Runs what must succeed, and returns its standard output.
pub(crate) fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs what must fail in one line, and returns that line.
pub(crate) fn fail(command: &mut Command) -> String {
    let output = command.env("RUST_BACKTRACE", "1").output().unwrap();
    let stderr = text(&output.stderr);
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
    assert!(
        matches!(output.status.code(), Some(1 | 2)),
        "{:?}: {stderr}",
        output.status
    );
    assert_eq!(errors.len(), 1, "{stderr}");
    assert_eq!(stderr.lines().last(), Some(errors[0]), "the error is the last line");
    assert!(
        !stderr.contains("backtrace") && !stderr.contains("panicked"),
        "{stderr}"
    );
    errors[0].to_owned()
}

/// The names of a run's checkpoints, the newest last.
pub(crate) fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The folder of the newest one.
pub(crate) fn last_checkpoint(run: &Path) -> PathBuf {
    run.join("checkpoints").join(checkpoints(run).last().unwrap())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A small training run of Pong.
pub(crate) fn train(dir: &Path, run_dir: &str, args: &[&str]) -> PathBuf {
    let base = [&["train", "pong", "--run-dir", run_dir], SMALL].concat();
    succeed(dir, &[&base, args].concat());
    dir.join(run_dir)
}

/// Waits until a condition holds that another process brings about, and leaves the processor to that process.
#[expect(
    clippy::disallowed_methods,
    reason = "it sleeps between looks, not for as long as something takes"
)]
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The rows of a metrics.csv without the columns that are times.
pub(crate) fn rows_without_times(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let is_time = |column: usize| ["seconds", "frames_per_second"].contains(&header[column]);
    let row = |line: &str| {
        let fields = line.split(',').enumerate().filter(|(column, _)| !is_time(*column));
        fields.map(|(_, field)| field).collect::<Vec<_>>().join(",")
    };
    text.lines().map(row).collect()
}

/// Checks that two runs ended alike: weights, statistics, memories, random streams, rows of metrics, epsilons; all but the times that they took.
pub(crate) fn assert_same_run(one: &Path, other: &Path) {
    let [a, b] = [one, other].map(last_checkpoint);
    for file in ["tensors.safetensors", "bytes.bin"] {
        assert!(
            fs::read(a.join(file)).unwrap() == fs::read(b.join(file)).unwrap(),
            "{file} of {a:?} and {b:?}"
        );
    }
    let values = |checkpoint: &Path| {
        let text = fs::read_to_string(checkpoint.join("state.json")).unwrap();
        let mut values: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        // Seconds, and how long files are that have them; and settings such as the number of threads, which are not what is compared.
        for name in ["run/metrics", "run/evals", "of/settings"] {
            values.remove(name).unwrap();
        }
        values
    };
    assert_eq!(values(&a), values(&b));
    for file in ["metrics.csv", "epsilons.csv"] {
        assert_eq!(
            rows_without_times(&one.join(file)),
            rows_without_times(&other.join(file)),
            "{file}"
        );
    }
}
