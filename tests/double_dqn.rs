//! Double-DQN as a user meets it.
//!
//! Without the ROM of Pong, which `cargo xtask setup` provides, most tests are skipped.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{SMALL_NETWORK, coinop, fail, last_checkpoint, rows_without_times, succeed};

/// Settings that make a run small.
const SMALL: &[&str] = &[
    SMALL_NETWORK,
    "--torch-threads=1",
    "--set=num_envs=2",
    "--set=capacity=2k",
    "--set=learning_starts=1k",
    "--set=batch_size=8",
    "--set=steps_per_update=8",
    "--set=target_frames=1k",
];

fn train(dir: &Path, run_dir: &str, args: &[&str]) -> PathBuf {
    let base = ["train", "pong", "--algo", "double-dqn", "--run-dir", run_dir];
    succeed(dir, &[&base, SMALL, args].concat());
    dir.join(run_dir)
}

#[test]
fn a_run_leaves_a_folder_that_can_be_evaluated_and_drawn() {
    if !program::has_pong("a_run_leaves_a_folder_that_can_be_evaluated_and_drawn") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = ["--frames=8k", "--set=metrics_frames=2k"];
    let base = ["train", "pong", "--algo=double-dqn", "--seed=3"];
    succeed(dir.path(), &[&base, SMALL, &frames].concat());
    let run_dir = dir.path().join("runs/pong-double-dqn-1");
    let config: toml::Table = toml::from_str(&fs::read_to_string(run_dir.join("config.toml")).unwrap()).unwrap();
    assert_eq!(config["run"]["algo"].as_str(), Some("double-dqn"));
    assert_eq!(config["double-dqn"]["capacity"].as_integer(), Some(2_000));
    assert!(!config.contains_key("ppo"));

    let rows = rows_without_times(&run_dir.join("metrics.csv"));
    let columns: Vec<&str> = rows[0].split(',').collect();
    let cell = |row: usize, name: &str| {
        let column = columns.iter().position(|column| *column == name).unwrap();
        rows[row].split(',').nth(column).unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(rows.len(), 5);
    // 2,000 steps in all; those after the first 250 are learned from: one update for 8.
    assert_eq!((cell(4, "frames"), cell(4, "updates")), (8_000.0, 219.0));
    assert!(cell(4, "loss") > 0.0 && cell(4, "beta") > 0.9 && cell(4, "replay_megabytes") > 0.0);
    // Each actor's epsilon: 1 before anything is learned, then its own.
    let epsilons = fs::read_to_string(run_dir.join("epsilons.csv")).unwrap();
    let lines: Vec<&str> = epsilons.lines().collect();
    assert_eq!(
        (lines[0], lines[1], lines.len()),
        ("frames,actor_0,actor_1", "8,1,1", 3)
    );
    let drawn: Vec<f64> = lines[2].split(',').map(|field| field.parse().unwrap()).collect();
    assert!(drawn[1] != drawn[2] && drawn[1..].iter().all(|epsilon| *epsilon <= 0.1));

    let printed = succeed(
        dir.path(),
        &[
            "eval",
            "pong-double-dqn-1",
            "--episodes=2",
            "--torch-threads=1",
            "--json",
        ],
    );
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&report["algo"], &report["episodes"]),
        (&"double-dqn".into(), &2.into())
    );
    succeed(dir.path(), &["plot", "pong-double-dqn-1", "-o", "curve.svg"]);
    assert!(dir.path().join("curve.svg").exists());
}

#[test]
fn a_seed_gives_the_same_run_with_any_number_of_env_threads_and_either_store() {
    if !program::has_pong("a_seed_gives_the_same_run_with_any_number_of_env_threads_and_either_store") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, args: &[&str]| {
        // What `auto` takes may depend on what else the machine does.
        let small = ["--frames=6k", "--set=metrics_frames=1k", "--set=precision=float32"];
        let run = train(dir.path(), name, &[&small, args].concat());
        fs::read(last_checkpoint(&run).join("tensors.safetensors")).unwrap()
    };
    let one = with("one", &["--seed=5", "--env-threads=1"]);
    assert!(one == with("two", &["--seed=5", "--env-threads=2"]));
    assert!(one == with("raw", &["--seed=5", "--env-threads=2", "--set=store=raw"]));
    assert!(one != with("other", &["--seed=6", "--env-threads=1"]));
}

#[test]
fn actors_in_threads_of_their_own_train_too() {
    if !program::has_pong("actors_in_threads_of_their_own_train_too") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "--frames=6k",
        "--set=asynchronous=true",
        "--env-threads=2",
        "--set=metrics_frames=2k",
    ];
    let run = train(dir.path(), "asynchronous", &args);
    let rows = rows_without_times(&run.join("metrics.csv"));
    let updates: f64 = rows[3].split(',').nth(2).unwrap().parse().unwrap();
    // 1,500 steps; those after the first 250 are learned from: one update for 8.
    assert!((updates - 156.0).abs() <= 1.0, "{updates}");
    let evaluated = succeed(
        dir.path(),
        &["eval", "asynchronous", "--episodes=1", "--torch-threads=1"],
    );
    assert!(evaluated.starts_with("double-dqn on atari/pong"), "{evaluated}");
}

#[test]
fn a_wrong_setting_is_one_line_with_its_range() {
    if !program::has_pong("a_wrong_setting_is_one_line_with_its_range") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (
            "capacity=100",
            "error: double-dqn.capacity = 100: it must be at least batch_size",
        ),
        (
            "n_step=40000",
            "error: double-dqn.capacity = 1000000 for 32 environments and n_step = 40000: each environment's share of the capacity must be",
        ),
        (
            "sampler.alpha=1.5",
            "error: double-dqn.sampler.alpha = 1.5: it must be between 0 and 1",
        ),
        (
            "beta=-1",
            "error: double-dqn.sampler.beta = -1: it must be between 0 and 1",
        ),
        (
            "epsilon={kind='linear',from=2,to=0,frames=10}",
            "error: double-dqn.epsilon.from = 2: it must be between 0 and 1",
        ),
        (
            "sampler={kind='ranked'}",
            "error: unknown variant `ranked`, expected one of `uniform`, `proportional`, `rank_based` in `double-dqn.sampler",
        ),
        (
            "store=zip",
            "error: unknown variant `zip`, expected `raw` or `compressed` in `double-dqn.store`",
        ),
    ];
    for (setting, expected) in cases {
        let error = fail(coinop(dir.path()).args(["train", "pong", "--algo=double-dqn", "--set", setting]));
        assert!(error.starts_with(expected), "{setting}: {error}");
    }
    let raw = [
        "train",
        "pong",
        "--algo=double-dqn",
        "--set=store=raw",
        "--set=capacity=3G",
    ];
    let error = fail(coinop(dir.path()).args(raw));
    assert!(
        error.starts_with("error: a replay memory of 3000000000 steps needs 21.3 TB of memory, and ")
            && error.ends_with(" are available; lower capacity, or choose the store `compressed`"),
        "{error}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
