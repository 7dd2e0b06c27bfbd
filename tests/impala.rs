//! IMPALA as a user meets it.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use program::{coinop, fail, succeed};

#[test]
fn it_solves_the_cart_pole_and_leaves_a_folder_that_can_be_drawn() {
    let dir = tempfile::tempdir().unwrap();
    succeed(
        dir.path(),
        &[
            "train",
            "cartpole",
            "--algo=impala",
            "--frames=300k",
            "--torch-threads=1",
        ],
    );
    let args = [
        "eval",
        "cartpole-impala-1",
        // No two runs are the same, and some forget towards their end.
        "--checkpoint=best",
        "--episodes=20",
        "--torch-threads=1",
        "--greedy",
        "--json",
    ];
    let report: serde_json::Value = serde_json::from_str(&succeed(dir.path(), &args)).unwrap();
    assert_eq!(report["algo"], "impala");
    // 475 is the threshold of Gymnasium's registry.
    assert!(report["mean"].as_f64().unwrap() >= 475.0, "{report}");
    succeed(dir.path(), &["plot", "cartpole-impala-1", "-o", "curve.svg"]);
}

#[test]
fn a_wrong_setting_is_one_line_with_its_range() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        ("lambda=2", "error: impala.lambda = 2: it must be between 0 and 1"),
        ("actors=0", "error: impala.actors = 0: it must be between 1 and 1024"),
        (
            "center_pixels=true",
            "error: center_pixels = true: observations are not pixels: it must be false",
        ),
    ] {
        let error = fail(coinop(dir.path()).args(["train", "cartpole", "--algo=impala", "--set", setting]));
        assert!(error.starts_with(expected), "{setting}: {error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
