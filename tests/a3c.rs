//! A3C as a user meets it.
//!
//! Without the ROM of Pong, which `cargo xtask setup` provides, most tests are skipped.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;

use program::{SMALL_NETWORK, coinop, fail, rows_without_times, succeed, text};

#[test]
fn a_run_leaves_a_folder_that_can_be_evaluated_and_drawn() {
    if !program::has_pong("a_run_leaves_a_folder_that_can_be_evaluated_and_drawn") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "train",
        "pong",
        "--algo=a3c",
        SMALL_NETWORK,
        "--frames=10k",
        "--set=workers=2",
        "--set=metrics_frames=2k",
    ];
    let output = coinop(dir.path()).args(args).output().unwrap();
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("2 workers, each with a thread and an environment, on "),
        "{said}"
    );
    let run_dir = dir.path().join("runs/pong-a3c-1");
    let rows = rows_without_times(&run_dir.join("metrics.csv"));
    assert!(
        rows.len() == 6 && rows[0].contains(",policy_loss,value_loss,entropy,"),
        "{rows:?}"
    );
    // A rollout is 20 steps of 4 frames, so that there is an update for each 80. Of 13 rollouts the means of pixels are taken.
    let updates: u64 = rows[5].split(',').nth(2).unwrap().parse().unwrap();
    assert!((106..=117).contains(&updates), "{updates}");
    let epsilons = fs::read_to_string(run_dir.join("epsilons.csv")).unwrap();
    assert!(epsilons.starts_with("frames,actor_0,actor_1\n"), "{epsilons}");
    let printed = succeed(
        dir.path(),
        &["eval", "pong-a3c-1", "--episodes=1", "--torch-threads=1", "--json"],
    );
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&report["algo"], &report["episodes"]), (&"a3c".into(), &1.into()));
    succeed(dir.path(), &["plot", "pong-a3c-1", "-o", "curve.svg"]);
    assert!(dir.path().join("curve.svg").exists());
}

#[test]
fn an_lstm_is_trained_and_evaluated_by_both_algorithms_that_have_one() {
    let dir = tempfile::tempdir().unwrap();
    for algo in ["a3c", "ppo"] {
        let args = ["train", "cartpole", "--algo", algo, "--frames=2k", "--set=core=lstm"];
        succeed(dir.path(), &args);
        let run = format!("cartpole-{algo}-1");
        let printed = succeed(
            dir.path(),
            &["eval", &run, "--episodes=3", "--torch-threads=1", "--json"],
        );
        let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert!(report["mean"].as_f64().unwrap() >= 8.0, "{report}");
        // Without the core, the checkpoint is of another network.
        let config = dir.path().join("runs").join(&run).join("config.toml");
        let other = fs::read_to_string(&config)
            .unwrap()
            .replace("core = \"lstm\"", "core = \"none\"");
        fs::write(&config, other).unwrap();
        let error = fail(coinop(dir.path()).args(["eval", &run, "--episodes=1"]));
        assert!(error.contains(&format!("{algo}.network.core = \"lstm\"")), "{error}");
    }
}

#[test]
fn a_wrong_setting_is_one_line_with_its_range() {
    if !program::has_pong("a_wrong_setting_is_one_line_with_its_range") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        ("workers=0", "error: a3c.workers = 0: it must be between 1 and 1024"),
        ("locked=2", "error: a3c.locked = 2: it must be true or false"),
        (
            "max_learning_rate=1e-9",
            "error: a3c.max_learning_rate = 0.000000001: it must be at least learning_rate",
        ),
    ] {
        let error = fail(coinop(dir.path()).args(["train", "pong", "--algo=a3c", "--set", setting]));
        assert!(error.starts_with(expected), "{setting}: {error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
