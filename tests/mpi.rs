//! Training by several processes under `mpirun`. Needs the feature `mpi` and an MPI.
//!
//! ```console
//! $ cargo test --workspace --features mpi --test mpi
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use program::{assert_same_run, checkpoints, rows_without_times, text};

/// Runs the program in so many ranks.
fn mpirun(dir: &Path, ranks: usize, args: &[&str]) -> Output {
    Command::new("mpirun")
        .args(["--quiet", "--bind-to", "none", "-n", &ranks.to_string()])
        .arg(env!("CARGO_BIN_EXE_coinop"))
        .args(args)
        .current_dir(dir)
        // What containers and few cores need.
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .output()
        .unwrap()
}

/// A short run on `catch`: rollouts of 256 frames in each rank.
const TRAIN: [&str; 9] = [
    "train",
    "catch",
    "--frames=2k",
    // A trial may choose another one the next time.
    "--set=precision=float32",
    "--set=num_envs=2",
    "--set=rollout_steps=32",
    "--set=minibatches=2",
    "--set=metrics_frames=512",
    "--set=body={layers={convolutions=[[4,8,8]],hidden=[16]}}",
];

fn trained(dir: &Path, ranks: usize, more: &[&str]) -> String {
    let output = mpirun(dir, ranks, &[&TRAIN[..], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn a_run_of_two_ranks_resumes_exactly_and_counts_the_frames_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let told = trained(dir.path(), 2, &["--run-dir=whole"]);
    assert!(told.contains("2 processes, each with:\n"), "{told}");
    assert_eq!(told.matches("saved in whole").count(), 1, "rank 0 alone tells: {told}");
    let whole = dir.path().join("whole");
    let rows = rows_without_times(&whole.join("metrics.csv"));
    // A header, and a row for each step of both ranks.
    assert_eq!(rows.len(), 1 + 4, "{rows:?}");
    trained(dir.path(), 2, &["--run-dir=part", "--until=1k"]);
    let part = dir.path().join("part");
    assert_eq!(checkpoints(&part), ["000000001024"]);
    // With another number there would be environments without a past.
    let error = text(&mpirun(dir.path(), 3, &["train", "--resume", "part"]).stderr);
    assert!(
        error.contains("the checkpoint after 1024 frames was saved by 2 ranks, but 3 were started: start 2"),
        "{error}"
    );
    let output = mpirun(dir.path(), 2, &["train", "--resume", "part"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same_run(&whole, &part);

    trained(dir.path(), 1, &["--run-dir=one"]);
    let alone = program::run(dir.path(), &[&TRAIN[..], &["--run-dir=alone"]].concat());
    assert!(alone.status.success());
    assert_same_run(&dir.path().join("one"), &dir.path().join("alone"));
}

#[test]
fn ranks_that_cannot_train_together_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let error = text(&mpirun(dir.path(), 2, &["train", "catch", "--algo=double-dqn"]).stderr);
    assert!(
        error.contains("algo = double-dqn: it trains in one process; ppo and paac train in several"),
        "{error}"
    );
    // Another setting in rank 1.
    let script = "exec \"$0\" train catch --run-dir run --set num_envs=$((4 + OMPI_COMM_WORLD_RANK))";
    let output = Command::new("mpirun")
        .args(["--quiet", "--bind-to", "none", "-n", "2", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_coinop"))
        .current_dir(dir.path())
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .output()
        .unwrap();
    let error = text(&output.stderr);
    assert!(!output.status.success());
    assert!(
        error.contains("rank 1 has `num_envs = 5` and rank 0 has `num_envs = 4`"),
        "{error}"
    );
    assert!(!dir.path().join("run").exists());
    let error = program::fail(program::coinop(dir.path()).args(["train", "catch", "--fast-reduce"]));
    assert!(
        error.starts_with("error: --fast-reduce requires several processes"),
        "{error}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
