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
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::{PROCESS_SETTINGS, SMALL_NETWORK, assert_same_run, checkpoints, rows_without_times, text};

/// Runs the program in several ranks.
fn mpirun(dir: &Path, ranks: usize, args: &[&str]) -> Output {
    // Without the banner of `mpirun` around our own error.
    let mut command = mpirun_command(dir, ranks, args);
    command.env("OMPI_MCA_orte_execute_quiet", "1").output().unwrap()
}

fn mpirun_command(dir: &Path, ranks: usize, args: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--bind-to", "none", "-n", &ranks.to_string()])
        .arg(env!("CARGO_BIN_EXE_coinop"))
        .args(args)
        .current_dir(dir)
        .envs(PROCESS_SETTINGS)
        // What containers and few cores need.
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    command
}

/// A short run on `catch`: rollouts of 256 frames in each rank.
const TRAIN: [&str; 8] = [
    "train",
    "catch",
    // A trial may choose another one the next time.
    "--set=precision=float32",
    "--set=num_envs=2",
    "--set=rollout_steps=32",
    "--set=minibatches=2",
    "--set=metrics_frames=512",
    SMALL_NETWORK,
];

fn trained(dir: &Path, ranks: usize, frames: &str, more: &[&str]) -> String {
    let output = mpirun(dir, ranks, &[&TRAIN[..], &["--frames", frames], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn a_run_of_two_ranks_resumes_exactly_and_counts_the_frames_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let told = trained(dir.path(), 2, "2k", &["--run-dir=whole"]);
    assert!(told.contains("2 processes, each with:\n"), "{told}");
    assert_eq!(told.matches("saved in whole").count(), 1, "rank 0 alone tells: {told}");
    let whole = dir.path().join("whole");
    let rows = rows_without_times(&whole.join("metrics.csv"));
    // A header, and a row for each step of both ranks.
    assert_eq!(rows.len(), 1 + 4, "{rows:?}");
    trained(dir.path(), 2, "2k", &["--run-dir=part", "--until=1k"]);
    let part = dir.path().join("part");
    assert_eq!(checkpoints(&part), ["000000001024"]);
    let output = mpirun(dir.path(), 2, &["train", "--resume", "part"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same_run(&whole, &part);

    trained(dir.path(), 1, "2k", &["--run-dir=one"]);
    let alone = program::run(dir.path(), &[&TRAIN[..], &["--frames=2k", "--run-dir=alone"]].concat());
    assert!(alone.status.success());
    assert_same_run(&dir.path().join("one"), &dir.path().join("alone"));
}

/// Settings that make a short run of each other algorithm.
const OTHERS: [&[&str]; 7] = [
    &["--algo=paac", "--set=num_envs=2"],
    &["--algo=pqn", "--set=num_envs=2"],
    &[
        "--algo=double-dqn",
        "--set=num_envs=2",
        "--set=learning_starts=256",
        "--set=batch_size=8",
    ],
    &[
        "--algo=double-dqn",
        "--set=num_envs=2",
        "--set=learning_starts=256",
        "--set=batch_size=8",
        "--set=asynchronous=true",
    ],
    &["--algo=a3c", "--set=workers=2"],
    &["--algo=impala", "--set=envs_per_actor=1", "--set=rollout_steps=8"],
    &["--algo=async-nstep-q", "--set=workers=2"],
];

#[test]
fn every_algorithm_trains_in_ranks_and_continues_with_them() {
    for (i, algorithm) in OTHERS.iter().enumerate() {
        // Synchronous algorithms repeat themselves, whatever the order in which three gradients arrive.
        let (takes_turns, ranks) = if i < 3 { (true, 3) } else { (false, 2) };
        let dir = tempfile::tempdir().unwrap();
        let train = |more: &[&str]| {
            let common = [
                "train",
                "catch",
                "--frames=3k",
                "--set=precision=float32",
                SMALL_NETWORK,
            ];
            let args = [&common[..], algorithm, more].concat();
            let output = mpirun(dir.path(), ranks, &args);
            assert!(output.status.success(), "{algorithm:?}: {}", text(&output.stderr));
        };
        train(&["--run-dir=part", "--until=1500"]);
        let output = mpirun(dir.path(), ranks, &["train", "--resume", "part"]);
        assert!(output.status.success(), "{algorithm:?}: {}", text(&output.stderr));
        if takes_turns {
            train(&["--run-dir=whole"]);
            assert_same_run(&dir.path().join("whole"), &dir.path().join("part"));
        }
    }
}

#[test]
fn another_number_of_ranks_continues_with_new_episodes_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for algorithm in [&["--algo=ppo"][..], OTHERS[1], OTHERS[2]] {
        let name = algorithm[0].trim_start_matches("--algo=");
        let run = format!("--run-dir={name}");
        let mut args = vec![
            "train",
            "catch",
            "--frames=5k",
            "--until=1k",
            "--set=precision=float32",
            SMALL_NETWORK,
        ];
        args.extend(algorithm);
        args.extend(["--set=num_envs=2", &run]);
        if name == "ppo" {
            args.extend(["--set=rollout_steps=32", "--set=minibatches=2"]);
        }
        let output = mpirun(dir.path(), 2, &args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for (ranks, until) in [(3, "3k"), (1, "5k")] {
            let output = mpirun(dir.path(), ranks, &["train", "--resume", name, "--until", until]);
            let told = text(&output.stderr);
            assert!(output.status.success(), "{ranks}: {told}");
            assert!(
                told.contains("another number of processes saved it, so new episodes begin"),
                "{ranks}: {told}"
            );
        }
    }
    // The memory of an asynchronous run is in one place, and of as many actors as it was.
    let args = [
        &[
            "train",
            "catch",
            "--frames=8k",
            "--until=1k",
            "--run-dir=async",
            SMALL_NETWORK,
        ],
        OTHERS[3],
    ]
    .concat();
    assert!(mpirun(dir.path(), 2, &args).status.success());
    let error = text(&mpirun(dir.path(), 3, &["train", "--resume", "async"]).stderr);
    assert!(
        error.contains("the memory is of 2 processes, and there are 3: start as many"),
        "{error}"
    );
}

#[test]
fn a_rank_that_is_killed_ends_the_job_which_continues_from_its_last_checkpoint() {
    kill_ranks(4, "32k");
}

#[test]
#[ignore = "takes a minute; the test above is its short form"]
fn twenty_kills() {
    kill_ranks(20, "64k");
}

/// Kills a rank up to `kills` times during a run of `frames` frames.
fn kill_ranks(kills: usize, frames: &str) {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), 2, frames, &["--run-dir=whole"]);
    let part = dir.path().join("part");
    let saves_often = "--set=run.checkpoint_minutes=0.0001";
    let (mut random, mut killed_in_time) = (1u64, 0);
    for kill in 0..kills {
        let resume = ["train", "--resume", "part"];
        let begin = [&TRAIN[..], &["--run-dir=part", "--frames", frames, saves_often]].concat();
        let args = if part.exists() { &resume[..] } else { &begin };
        let mut job = mpirun_command(dir.path(), 2, args)
            // The seconds that `mpirun` gives the other rank to end by itself, which it cannot.
            .env("OMPI_MCA_odls_base_sigkill_timeout", "0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Some die while they start, most after they have saved once more.
        let saved = || checkpoints_so_far(&part);
        let before = saved();
        let starts = kill % 5 == 4;
        let is_due = || starts || saved() != before;
        let (_never, waits) = std::sync::mpsc::channel::<()>();
        while !is_due() && job.try_wait().unwrap().is_none() {
            let _ = waits.recv_timeout(Duration::from_millis(20));
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let _ = waits.recv_timeout(Duration::from_millis((random >> 33) % 300));
        let rank = (kill % 2).to_string();
        let Some(victim) = process_of_rank(job.id(), &rank) else {
            // It had not started yet, or had ended.
            let _ = job.kill();
            let _ = job.wait();
            continue;
        };
        let killed = Instant::now();
        assert!(
            Command::new("kill")
                .args(["-KILL", &victim])
                .status()
                .unwrap()
                .success()
        );
        let output = job.wait_with_output().unwrap();
        let told = text(&output.stderr);
        assert!(!output.status.success(), "{told}");
        assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
        assert!(told.contains(&format!("rank {rank}")), "{told}");
        killed_in_time += 1;
    }
    assert!(2 * killed_in_time >= kills, "{killed_in_time}");
    let output = mpirun(dir.path(), 2, &["train", "--resume", "part"]);
    let told = text(&output.stderr);
    assert!(output.status.success() || told.contains("already completed"), "{told}");
    assert_same_run(&dir.path().join("whole"), &part);
}

#[test]
fn a_signal_to_all_ranks_saves_once() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&TRAIN[..], &["--run-dir=run", "--frames=10M"]].concat();
    let job = mpirun_command(dir.path(), 2, &args)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    // It has begun when there are rows of metrics.
    let metrics = dir.path().join("run/metrics.csv");
    let (_never, waits) = std::sync::mpsc::channel::<()>();
    while !fs::read_to_string(&metrics).is_ok_and(|rows| rows.lines().count() > 1) {
        assert!(started.elapsed() < Duration::from_secs(120));
        let _ = waits.recv_timeout(Duration::from_millis(50));
    }
    let ranks = ["0", "1"].map(|rank| process_of_rank(job.id(), rank).unwrap());
    assert!(
        Command::new("kill")
            .arg("-TERM")
            .args(&ranks)
            .status()
            .unwrap()
            .success()
    );
    let told = text(&job.wait_with_output().unwrap().stderr);
    assert_eq!(told.matches("saved in run; resume it").count(), 1, "{told}");
    assert_eq!(checkpoints(&dir.path().join("run")).len(), 1);
}

/// The checkpoints of a run that may not have begun.
fn checkpoints_so_far(run: &Path) -> Vec<String> {
    match run.join("checkpoints").is_dir() {
        true => checkpoints(run),
        false => Vec::new(),
    }
}

/// The process of a rank that `mpirun` started, by its environment.
fn process_of_rank(job: u32, rank: &str) -> Option<String> {
    let is_of_rank = |process: &fs::DirEntry| {
        let of = |file: &str| fs::read(process.path().join(file)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&of("stat")).into_owned();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        let rank = format!("OMPI_COMM_WORLD_RANK={rank}");
        parent == Some(&job.to_string()) && of("environ").split(|byte| *byte == 0).any(|one| one == rank.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let found = processes.filter(|process| process.file_name().to_string_lossy().parse::<u32>().is_ok());
    Some(
        found
            .into_iter()
            .find(is_of_rank)?
            .file_name()
            .to_string_lossy()
            .into_owned(),
    )
}

#[test]
fn ranks_that_cannot_train_together_say_why() {
    let dir = tempfile::tempdir().unwrap();
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
