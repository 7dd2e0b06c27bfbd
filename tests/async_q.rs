//! The asynchronous value methods as a user meets them.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use program::{coinop, fail, rows_without_times, succeed};

#[test]
fn each_method_leaves_a_folder_that_can_be_evaluated_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    for algo in ["async-q", "async-sarsa", "async-nstep-q"] {
        let args = [
            "train",
            "cartpole",
            "--algo",
            algo,
            "--frames=10k",
            "--set=workers=2",
            "--set=metrics_frames=2k",
        ];
        succeed(dir.path(), &args);
        let run = format!("cartpole-{algo}-1");
        let rows = rows_without_times(&dir.path().join("runs").join(&run).join("metrics.csv"));
        assert!(
            rows.len() == 6 && rows[0].contains(",loss,mean_value,grad_norm,learning_rate,"),
            "{rows:?}"
        );
        let printed = succeed(
            dir.path(),
            &["eval", &run, "--episodes=2", "--torch-threads=1", "--json"],
        );
        let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&report["algo"], &report["episodes"]), (&algo.into(), &2.into()));
        succeed(dir.path(), &["plot", &run, "-o", &format!("{algo}.svg")]);
    }
    // The checkpoint is of its method, whose config.toml says so.
    let config = std::fs::read_to_string(dir.path().join("runs/cartpole-async-sarsa-1/config.toml")).unwrap();
    assert!(
        config.contains("algo = \"async-sarsa\"") && config.contains("\n[async-sarsa]\n"),
        "{config}"
    );
}

#[test]
fn a_wrong_setting_is_one_line_with_its_range() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        (
            "target_frames=0",
            "error: async-q.target_frames = 0: it must be at least 1",
        ),
        (
            "core=lstm",
            "error: async-q.network.core = lstm: action values come from feed-forward networks: it must be none",
        ),
    ] {
        let error = fail(coinop(dir.path()).args(["train", "cartpole", "--algo=async-q", "--set", setting]));
        assert!(error.starts_with(expected), "{setting}: {error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
