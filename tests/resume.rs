//! Interrupted and resumed runs: bit for bit equal to uninterrupted ones.
//!
//! Without the ROM of Pong, which `cargo xtask setup` provides, most tests are skipped.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use coinop_envs::rng::{Rng, stream};
use program::{
    SMALL_NETWORK, assert_same_run, checkpoints, coinop, fail, last_checkpoint, rows_without_times, run, succeed, text,
    wait_until,
};
use rand::RngExt;

/// A checkpoint five times a second.
const OFTEN: &str = "--set=checkpoint_minutes=0.003";

/// Runs of a few seconds, of every trainer that is exact.
const EXACT: &[(&str, &[&str])] = &[
    ("ppo", &["cartpole", "--frames=10k", "--set=metrics_frames=1k"]),
    (
        "lstm",
        &[
            "cartpole",
            "--frames=3k",
            "--set=core=lstm",
            "--set=num_envs=2",
            "--set=rollout_steps=20",
            "--set=minibatches=1",
            "--set=metrics_frames=500",
        ],
    ),
    (
        "pong",
        &[
            "pong",
            "--frames=10k",
            "--set=num_envs=2",
            "--set=metrics_frames=1k",
            SMALL_NETWORK,
        ],
    ),
    (
        "replay",
        &[
            "pong",
            "--algo=double-dqn",
            "--preset=prioritized",
            SMALL_NETWORK,
            "--frames=6k",
            "--set=learning_starts=2k",
            "--set=capacity=1k",
            "--set=steps_per_update=32",
            "--set=metrics_frames=500",
        ],
    ),
];

fn train(dir: &Path, name: &str, args: &[&str]) -> Command {
    let mut command = coinop(dir);
    command
        .args(["train", "--torch-threads=1", "--run-dir", name])
        .args(args);
    command.stderr(Stdio::null());
    command
}

fn resume(dir: &Path, name: &str, args: &[&str]) -> Command {
    let mut command = coinop(dir);
    command
        .args(["train", "--resume", name])
        .args(args)
        .stderr(Stdio::null());
    command
}

/// The names of a run's finished checkpoints, the oldest first.
fn finished_checkpoints(run: &Path) -> Vec<String> {
    let mut found = if run.join("checkpoints").is_dir() {
        checkpoints(run)
    } else {
        Vec::new()
    };
    found.retain(|name| !name.contains('.'));
    found
}

/// Waits until a run has this many checkpoints, finished or not.
fn wait_for_checkpoints(run: &Path, count: usize) {
    wait_until(|| run.join("checkpoints").is_dir() && checkpoints(run).len() >= count);
}

/// Kills a run at random instants, `kills` times, and resumes it each time; returns how often there was a checkpoint to resume from.
///
/// Every second kill waits for a new checkpoint first, so that there is one however slow the machine is.
fn kill_and_resume(dir: &Path, name: &str, args: &[&str], kills: usize, most: Duration, random: &mut Rng) -> usize {
    let run = dir.join(name);
    let (mut resumed, mut newest) = (0, String::new());
    // Nothing ever comes: what is waited for is the instant.
    let (_silent, never) = channel::<()>();
    for kill in 0..=kills {
        let mut command = match finished_checkpoints(&run).pop() {
            Some(last) => {
                // No more is lost than what came after a checkpoint.
                assert!(last >= newest, "{last} after {newest}");
                newest = last;
                resumed += 1;
                resume(dir, name, &[])
            }
            None => {
                // Killed before its first checkpoint.
                let _ = fs::remove_dir_all(&run);
                train(dir, name, &[args, &[OFTEN]].concat())
            }
        };
        let mut child = command.spawn().unwrap();
        if kill == kills {
            // If the last kill came after the last checkpoint, there is nothing left to do, which is an error. The result is compared either way.
            child.wait().unwrap();
            break;
        }
        while kill % 2 == 1
            && child.try_wait().unwrap().is_none()
            && finished_checkpoints(&run).last().is_none_or(|last| *last <= newest)
        {
            let _ = never.recv_timeout(Duration::from_millis(10));
        }
        let _ = never.recv_timeout(most.mul_f64(random.random()));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            // It came to its end before; then the end is what is compared.
            return resumed;
        }
    }
    resumed
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_never_was() {
    if !program::has_pong("a_run_that_is_killed_again_and_again_ends_as_one_that_never_was") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut random = stream(1, "kills", 0);
    let mut all = 0;
    for (name, args) in EXACT {
        let whole = format!("{name}-whole");
        assert!(train(dir.path(), &whole, args).status().unwrap().success());
        let most = Duration::from_millis(900);
        let resumed = kill_and_resume(dir.path(), name, args, 3, most, &mut random);
        println!("{name}: resumed {resumed} times");
        all += resumed;
        assert_same_run(&dir.path().join(name), &dir.path().join(&whole));
    }
    assert!(all > 0, "no run was ever resumed");
}

/// `cargo xtask kill-test` runs this, and prints what it prints.
#[test]
#[ignore = "a hundred kills take minutes"]
fn a_hundred_kills() {
    if !program::has_pong("a_hundred_kills") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut random = stream(2, "kills", 0);
    for (name, args) in EXACT {
        let start = Instant::now();
        let whole = format!("{name}-whole");
        assert!(train(dir.path(), &whole, args).status().unwrap().success());
        // So that 25 kills fall into all parts of the run, its beginning and its end included.
        let most = start.elapsed().div_f64(6.0) + Duration::from_millis(300);
        let resumed = kill_and_resume(dir.path(), name, args, 25, most, &mut random);
        assert!(resumed > 0, "{name} was never resumed");
        assert_same_run(&dir.path().join(name), &dir.path().join(&whole));
        println!(
            "{name}: 25 kills at random instants, resumed {resumed} times, equal to the run that was never killed"
        );
    }
}

#[test]
fn a_run_that_was_asked_to_stop_continues_as_if_it_had_not_and_with_more_frames() {
    if !program::has_pong("a_run_that_was_asked_to_stop_continues_as_if_it_had_not_and_with_more_frames") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, args) = EXACT[0];
    assert!(train(dir.path(), "whole", args).status().unwrap().success());
    let mut child = train(dir.path(), "run", &[args, &[OFTEN]].concat()).spawn().unwrap();
    wait_for_checkpoints(&dir.path().join("run"), 1);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let rows = rows_without_times(&dir.path().join("run/metrics.csv")).len();
    let output = run(dir.path(), &["train", "--resume", "run"]);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("resumed in run after "),
        "{said}"
    );
    assert!(!said.contains("bit for bit"), "{said}");
    assert!(rows_without_times(&dir.path().join("run/metrics.csv")).len() >= rows);
    assert_same_run(&dir.path().join("run"), &dir.path().join("whole"));

    let error = fail(coinop(dir.path()).args(["train", "--resume", "run"]));
    assert_eq!(
        error,
        "error: the run `run` already completed its 10k frames; pass a larger --frames to continue"
    );
    let output = run(dir.path(), &["train", "--resume", "run", "--frames=11k"]);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("uninterrupted one bit for bit: schedules"),
        "{said}"
    );
    assert!(
        fs::read_to_string(dir.path().join("run/config.toml"))
            .unwrap()
            .contains("frames = 11000")
    );
    // Everything else is the run's own.
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run", "--seed=3"]));
    assert!(error.contains("cannot be used with"), "{error}");
    let error = fail(coinop(dir.path()).args(["train", "pong", "--resume", "run"]));
    assert!(error.contains("cannot be used with"), "{error}");
}

#[test]
fn evaluations_while_training_change_nothing_and_the_best_checkpoint_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "cartpole",
        "--frames=12k",
        "--set=metrics_frames=1k",
        "--set=eval_frames=0",
    ];
    assert!(train(dir.path(), "without", &args).status().unwrap().success());
    let with = [&args[..3], &["--set=eval_frames=2k", "--set=eval_episodes=3"]].concat();
    let output = train(dir.path(), "with", &with)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("evaluation after ").count(), 6, "{said}");
    let weights = |run: &str| fs::read(last_checkpoint(&dir.path().join(run)).join("tensors.safetensors")).unwrap();
    assert!(weights("with") == weights("without"));
    let rows = |run: &str| rows_without_times(&dir.path().join(run).join("metrics.csv"));
    assert_eq!(rows("with"), rows("without"));

    let evals = fs::read_to_string(dir.path().join("with/eval.csv")).unwrap();
    let cells: Vec<Vec<f64>> = evals
        .lines()
        .skip(1)
        .map(|row| row.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    assert_eq!(cells.len(), 18);
    let mean = |three: &[Vec<f64>]| three.iter().map(|row| row[2]).sum::<f64>() / 3.0;
    let best = cells.chunks(3).max_by(|a, b| mean(a).total_cmp(&mean(b))).unwrap();
    let name = format!("{:012}", best[0][0]);
    assert!(checkpoints(&dir.path().join("with")).contains(&name), "{name}");
    let eval = |which: &str| {
        let args = [
            "eval",
            "with",
            "--episodes=3",
            "--torch-threads=1",
            "--json",
            "--checkpoint",
        ];
        succeed(dir.path(), &[args.as_slice(), &[which]].concat())
    };
    assert_eq!(eval("best"), eval(name.trim_start_matches('0')));
    let error = fail(coinop(dir.path()).args(["eval", "without", "--checkpoint=best"]));
    assert!(error.contains("was not evaluated while it trained"), "{error}");

    // A run killed during its last evaluation makes that up when it is resumed, and is then complete.
    let run = dir.path().join("with");
    for left in [evals.len() - 5, evals.len() - 40] {
        fs::write(run.join("eval.csv"), &evals[..left]).unwrap();
        succeed(dir.path(), &["train", "--resume", "with"]);
        assert_eq!(fs::read_to_string(run.join("eval.csv")).unwrap(), evals);
        let error = fail(coinop(dir.path()).args(["train", "--resume", "with"]));
        assert!(error.contains("already completed its 12k frames"), "{error}");
    }

    // A run that is killed in the middle of it evaluates again, and ends as the other.
    let mut random = stream(3, "kills", 0);
    let most = Duration::from_millis(1500);
    kill_and_resume(dir.path(), "killed", &with, 3, most, &mut random);
    assert_same_run(&dir.path().join("killed"), &dir.path().join("with"));
    assert_eq!(fs::read_to_string(dir.path().join("killed/eval.csv")).unwrap(), evals);
}

#[test]
fn a_run_that_another_process_trains_is_refused_and_one_that_was_killed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = train(dir.path(), "run", &["cartpole", "--frames=100M", OFTEN])
        .spawn()
        .unwrap();
    wait_for_checkpoints(&dir.path().join("run"), 2);
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run"]));
    assert_eq!(
        error,
        "error: another process is training in the run folder `run`: wait until it has ended, or stop it"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run", "--frames=1"]));
    assert!(error.contains("already completed its 1 frames"), "{error}");
}

#[test]
fn what_verify_resume_shows() {
    let dir = tempfile::tempdir().unwrap();
    let verify = |args: &[&str]| {
        let base = ["verify-resume", "cartpole", "--torch-threads=1", "--frames=4k"];
        succeed(dir.path(), &[&base, args].concat())
    };
    let printed = verify(&["--set=eval_frames=1k"]);
    assert!(
        printed.starts_with("ppo on classic/cartpole: the two are equal bit for bit: "),
        "{printed}"
    );
    // The preset of PPO normalises observations and rewards; Double-DQN's does not.
    let printed = verify(&["--algo=double-dqn", "--set=normalize_observations=true"]);
    assert!(
        printed.starts_with("double-dqn on classic/cartpole: the two are equal bit for bit: "),
        "{printed}"
    );
    let printed = verify(&["--algo=pqn"]);
    assert!(
        printed.starts_with("pqn on classic/cartpole: the two are equal bit for bit: "),
        "{printed}"
    );
    let c51 = "--set=distribution={kind='c51', atoms=21, low=0.0, high=50.0}";
    let printed = verify(&["--algo=double-dqn", c51]);
    assert!(
        printed.starts_with("double-dqn on classic/cartpole: the two are equal bit for bit: "),
        "{printed}"
    );
    let printed = verify(&["--algo=a3c"]);
    assert!(
        printed.contains("everything is restored except the timing of threads"),
        "{printed}"
    );
    let printed = verify(&["--algo=impala"]);
    assert!(
        printed.contains("everything is restored except the timing of threads"),
        "{printed}"
    );
    let printed = verify(&["--algo=double-dqn", "--set=asynchronous=true"]);
    assert!(
        printed.contains("everything is restored except the timing of threads"),
        "{printed}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "its runs are elsewhere");
    let error = fail(coinop(dir.path()).args(["verify-resume", "cartpole", "--run-dir=run"]));
    assert!(error.ends_with("leave --resume and --run-dir out"), "{error}");
}

#[test]
fn a_checkpoint_that_cannot_be_written_does_not_end_a_run_and_divergence_names_the_last_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run/checkpoints");
    let mut command = train(
        dir.path(),
        "run",
        &[
            "cartpole",
            "--frames=100M",
            "--set=keep_checkpoints=2",
            "--set=eval_frames=1k",
            "--set=eval_episodes=1",
            OFTEN,
        ],
    );
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let whole = || {
        let names = checkpoints(&dir.path().join("run")).into_iter();
        names.filter(|name| !name.contains('.')).collect::<Vec<_>>()
    };
    wait_until(|| folder.is_dir() && whole().len() >= 2);
    let away = dir.path().join("away");
    fs::rename(&folder, &away).unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let warning = lines
        .find(|line| line.as_ref().unwrap().contains("no checkpoint after"))
        .unwrap()
        .unwrap();
    assert!(
        warning.contains("training continues") && warning.contains("the last good checkpoint is"),
        "{warning}"
    );
    fs::remove_dir_all(&folder).ok();
    fs::rename(&away, &folder).unwrap();
    // It writes checkpoints again.
    let before = whole();
    wait_until(|| whole() != before);
    child.kill().unwrap();
    child.wait().unwrap();

    succeed(
        dir.path(),
        &[
            "train",
            "cartpole",
            "--frames=2k",
            "--run-dir=diverges",
            "--torch-threads=1",
        ],
    );
    let config = dir.path().join("diverges/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("from = 0.001", "from = 1e30")).unwrap();
    let good = Path::new("diverges/checkpoints").join(checkpoints(&dir.path().join("diverges")).pop().unwrap());
    let error = fail(coinop(dir.path()).args(["train", "--resume", "diverges", "--frames=100k"]));
    let expected = format!("; the last good checkpoint is `{}`", good.display());
    assert!(error.contains("NaN") && error.ends_with(&expected), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_what_does_not_fit_is_named() {
    if !program::has_pong("a_damaged_checkpoint_is_passed_over_and_what_does_not_fit_is_named") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let replay = [EXACT[3].1, &["--torch-threads=1", OFTEN, "--set=keep_checkpoints=2"]].concat();
    succeed(dir.path(), &[&["train", "--run-dir=run"], replay.as_slice()].concat());
    let folder = dir.path().join("run/checkpoints");
    let names = checkpoints(&dir.path().join("run"));
    let bytes_of = |at: usize| folder.join(&names[at]).join("bytes.bin");
    let good = fs::read(bytes_of(1)).unwrap();
    // Cut short, and changed in the middle, where the memory is.
    for bad in [&good[..good.len() / 2], &{
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        bad
    }] {
        fs::write(bytes_of(1), bad).unwrap();
        let output = run(dir.path(), &["train", "--resume", "run", "--frames=6100"]);
        let said = text(&output.stderr);
        let passed = format!(
            "the checkpoint after {} frames is passed over: ",
            names[1].trim_start_matches('0')
        );
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains(&passed) && said.contains("bytes.bin` is damaged"),
            "{said}"
        );
        // That of the frames after the damaged one.
        fs::remove_dir_all(&folder).unwrap();
        succeed(dir.path(), &[&["train", "--run-dir=again"], replay.as_slice()].concat());
        fs::remove_dir_all(dir.path().join("run")).unwrap();
        fs::rename(dir.path().join("again"), dir.path().join("run")).unwrap();
    }
    // A memory of another game.
    let other: Vec<&str> = replay
        .iter()
        .map(|arg| if *arg == "pong" { "breakout" } else { *arg })
        .collect();
    succeed(dir.path(), &[&["train", "--run-dir=other"], other.as_slice()].concat());
    let theirs = dir
        .path()
        .join("other/checkpoints")
        .join(checkpoints(&dir.path().join("other")).last().unwrap());
    for file in ["bytes.bin", "manifest.json", "state.json", "tensors.safetensors"] {
        fs::copy(theirs.join(file), folder.join(&names[1]).join(file)).unwrap();
    }
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run", "--frames=7k"]));
    assert!(
        error.contains("is a checkpoint of run.env = \"atari/breakout\", but config.toml says \"atari/pong\""),
        "{error}"
    );
    fs::write(dir.path().join("run/metrics.csv"), "frames").unwrap();
    fs::remove_dir_all(folder.join(&names[1])).unwrap();
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run", "--frames=7k"]));
    assert!(
        error.contains("can't continue `run/metrics.csv`")
            && error.ends_with("put the whole file back, or move it away to begin it anew"),
        "{error}"
    );
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run", "--frames=7k"]));
    assert!(error.contains("has no checkpoint to resume from"), "{error}");
}

/// A finished run of CartPole in the folder `run`, and its newest checkpoint.
fn cartpole(dir: &Path) -> String {
    let args = [
        "train",
        "cartpole",
        "--frames=3k",
        "--run-dir=run",
        "--set=metrics_frames=500",
        "--set=eval_frames=1k",
        "--set=eval_episodes=2",
        "--set=num_envs=8",
        "--set=rollout_steps=32",
        "--set=minibatches=4",
        "--torch-threads=1",
    ];
    succeed(dir, &args);
    checkpoints(&dir.join("run")).pop().unwrap()
}

/// Resumes it for some frames more; whether that succeeded, and what it said.
fn go_on(dir: &Path) -> (bool, String) {
    let output = run(dir, &["train", "--resume", "run", "--frames=5k"]);
    (output.status.success(), text(&output.stderr))
}

#[test]
fn settings_that_were_others_at_the_checkpoint_are_named_with_both_values() {
    let dir = tempfile::tempdir().unwrap();
    cartpole(dir.path());
    let path = dir.path().join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}: {config}");
        fs::write(&path, config.replace(from, to)).unwrap();
    };
    // What does not fit any more.
    edit("num_envs = 8", "num_envs = 16");
    let (done, said) = go_on(dir.path());
    let expected = "config.toml says ppo.num_envs = 16, and the checkpoint was written with 8: put that back";
    assert!(!done && said.contains(expected), "{said}");
    // What decides what the numbers mean.
    edit("body = \"mlp\"", "body = { layers = { hidden = [9] } }");
    let (done, said) = go_on(dir.path());
    assert!(!done && said.contains("is a checkpoint of ppo.network.body"), "{said}");
    // What may be meant.
    fs::write(
        &path,
        config
            .replace("gamma = 0.98", "gamma = 0.97")
            .replace("seed = 1", "seed = 2"),
    )
    .unwrap();
    let (done, said) = go_on(dir.path());
    assert!(done, "{said}");
    for line in [
        "config.toml says ppo.gamma = 0.97, and the checkpoint was written with 0.98",
        "config.toml says run.seed = 2, and the checkpoint was written with 1",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn files_of_a_run_that_are_gone_begin_anew_and_those_that_were_changed_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    cartpole(dir.path());
    let run_dir = dir.path().join("run");
    let metrics = fs::read_to_string(run_dir.join("metrics.csv")).unwrap();
    fs::write(run_dir.join("metrics.csv"), metrics.replace('\n', "\r\n")).unwrap();
    let (done, said) = go_on(dir.path());
    assert!(
        !done && said.contains("run/metrics.csv`: it was changed since the checkpoint"),
        "{said}"
    );
    assert!(
        fs::read_to_string(run_dir.join("metrics.csv")).unwrap().contains('\r'),
        "it was not touched"
    );
    let mut gone = ["metrics.csv", "eval.csv", "epsilons.csv", "log.txt"]
        .map(str::to_owned)
        .to_vec();
    let names = fs::read_dir(&run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    gone.extend(names.filter(|name| name.starts_with("events.")));
    for name in &gone {
        fs::remove_file(run_dir.join(name)).unwrap();
    }
    let (done, said) = go_on(dir.path());
    assert!(done, "{said}");
    assert_eq!(said.matches("is gone: it begins anew here").count(), 4, "{said}");
    assert!(rows_without_times(&run_dir.join("metrics.csv")).len() > 3);
    succeed(dir.path(), &["plot", "run"]);
    fs::remove_dir_all(run_dir.join("checkpoints")).unwrap();
    let error = fail(coinop(dir.path()).args(["train", "--resume", "run", "--frames=6k"]));
    assert!(error.contains("has no checkpoint to resume from"), "{error}");
}

#[test]
fn a_checkpoint_whose_folder_was_renamed_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let newest = cartpole(dir.path());
    let folder = dir.path().join("run/checkpoints");
    let older = checkpoints(&dir.path().join("run"))[0].clone();
    fs::rename(folder.join(&older), folder.join("000000099999")).unwrap();
    let (done, said) = go_on(dir.path());
    let frames = older.trim_start_matches('0');
    let passed = format!("its name says 99999 frames, and it was written after {frames}: somebody renamed it");
    assert!(done && said.contains(&passed), "{said}");
    assert!(
        said.contains(&format!("resumed in run after {} frames", short(&newest))),
        "{said}"
    );
}

/// As the program shortens counts: `3072` is `3.07k`.
fn short(frames: &str) -> String {
    let frames: f64 = frames.parse().unwrap();
    let text = format!("{:.2}", frames / 1e3);
    format!("{}k", text.trim_end_matches('0').trim_end_matches('.'))
}

#[test]
fn verify_resume_needs_two_steps_and_stops_when_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["--frames=256"][..],
        &["--frames=1"],
        &["--frames=2", "--algo=double-dqn"],
    ] {
        let error = fail(
            coinop(dir.path())
                .args(["verify-resume", "cartpole", "--torch-threads=1"])
                .args(args),
        );
        assert!(error.starts_with("error: that is one step of training, of "), "{error}");
    }
    let mut command = coinop(dir.path());
    let args = ["verify-resume", "cartpole", "--torch-threads=1", "--frames=100M"];
    let mut child = command.args(args).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("in one go, and in two pieces"));
    interrupt(child.id());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert_eq!(rest, ["stopping; Ctrl-C again ends at once"]);
}

fn interrupt(process: u32) {
    let sent = Command::new("kill").args(["-INT", &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_interrupted_before_it_begins_ends_in_order_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = train(dir.path(), "run", &["cartpole"]).spawn().unwrap();
    // From the moment on that it listens: SIGINT, signal 2, is bit 1 of the signals that it catches.
    let listens = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0
    };
    while !listens() {
        std::thread::yield_now();
    }
    let had_begun = dir.path().join("run").exists();
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // What takes its time comes after listening, so that this is the beginning.
    assert!(!had_begun);
    let run = dir.path().join("run");
    assert!(
        !run.exists() || !checkpoints(&run).is_empty(),
        "nothing is left, or all that was begun is saved"
    );
}

#[test]
fn asynchronous_runs_go_on_and_say_what_is_not_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (name, algo) in [("a", "--algo=a3c"), ("q", "--algo=async-nstep-q")] {
        let mut command = train(dir.path(), name, &["cartpole", algo, "--frames=100M", OFTEN]);
        let mut child = command.spawn().unwrap();
        wait_for_checkpoints(&dir.path().join(name), 3);
        child.kill().unwrap();
        child.wait().unwrap();
        let names = checkpoints(&dir.path().join(name));
        let last: u64 = names.iter().rev().find_map(|name| name.parse().ok()).unwrap();
        let frames = (last + 5_000).to_string();
        let output = run(dir.path(), &["train", "--resume", name, "--frames", &frames]);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("thread timing"), "{said}");
    }
}
