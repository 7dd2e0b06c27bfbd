//! Distillation as a user meets it.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use program::{coinop, fail, succeed};

#[test]
fn a_student_is_trained_by_a_run_and_both_are_scored() {
    let dir = tempfile::tempdir().unwrap();
    succeed(
        dir.path(),
        &[
            "train",
            "cartpole",
            "--frames=60k",
            "--torch-threads=1",
            "--set=eval_frames=0",
        ],
    );
    let args = [
        "distill",
        "cartpole-ppo-1",
        "--body={layers={convolutions=[], hidden=[16]}}",
        "--frames=30k",
        "--episodes=5",
        "--set=eval_frames=0",
        "--torch-threads=1",
        "--json",
    ];
    let printed = succeed(dir.path(), &args);
    let reports: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| reports.iter().map(|report| report[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("algo"), ["ppo", "distill"]);
    // The teacher is worth 300 and more after so many frames; whoever does not learn, 9 or 20.
    assert!(
        of("mean").iter().all(|mean| mean.as_f64().unwrap() > 100.0),
        "{printed}"
    );
    let config = std::fs::read_to_string(dir.path().join("runs/cartpole-distill-1/config.toml")).unwrap();
    assert!(config.contains("normalize_observations = true"), "{config}");
    assert!(config.contains("runs/cartpole-ppo-1"), "{config}");
    succeed(
        dir.path(),
        &[
            "train",
            "cartpole",
            "--load=cartpole-distill-1",
            "--set=network.body={layers={convolutions=[], hidden=[16]}}",
            "--frames=2k",
            "--torch-threads=1",
        ],
    );
    let verified = succeed(
        dir.path(),
        &[
            "verify-resume",
            "cartpole",
            "--algo=distill",
            "--set=teacher=cartpole-ppo-1",
            "--set=normalize_rewards=0.98",
            "--frames=4k",
            "--torch-threads=1",
        ],
    );
    assert!(
        verified.starts_with("distill on classic/cartpole: the two are equal bit for bit: "),
        "{verified}"
    );
}

#[test]
fn a_teacher_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = fail(coinop(dir.path()).args(["distill", "nobody"]));
    assert!(error.contains("nobody"), "{error}");
    let error = fail(coinop(dir.path()).args(["train", "cartpole", "--algo=distill"]));
    assert_eq!(error, "error: teacher = \"\": it must be a run to learn from");
    let error = fail(coinop(dir.path()).args(["train", "cartpole", "--algo=distill", "--set=teacher=nobody"]));
    assert!(error.starts_with("error: the teacher can't be loaded: "), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
