//! `coinop suite` as a user meets it.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{assert_same_run, coinop, fail, run, succeed, text, wait_until};

/// A suite of CartPole with two seeds, called `small.toml`.
fn write_suite(dir: &Path, frames: u64, more: &str) {
    let suite = format!(
        "envs = ['cartpole']\nseeds = [1, 2]\nframes = {frames}\n[evaluation]\nepisodes = 3\n\
         [[agents]]\nname = 'ppo'\nalgo = 'ppo'\nset = ['num_envs=2', 'eval_frames=400', 'torch_threads=1', 'metrics_frames=100']\n{more}"
    );
    fs::write(dir.join("small.toml"), suite).unwrap();
}

/// The rows of the ledger, less what differs from machine to machine.
fn ledger(dir: &Path) -> Vec<Vec<String>> {
    let mut table = csv::Reader::from_path(dir.join("small.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let kept: Vec<usize> = (0..header.len())
        .filter(|&column| !["seconds", "revision", "machine"].contains(&&header[column]))
        .collect();
    let rows = table.records().map(|row| row.unwrap());
    rows.map(|row| kept.iter().map(|&column| row[column].to_owned()).collect())
        .collect()
}

/// The run folders, sorted.
fn runs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("runs/small")).unwrap();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

#[test]
fn what_is_in_the_ledger_is_not_played_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_suite(dir, 600, "");
    let outlook = succeed(dir, &["suite", "run", "small.toml", "--dry-run"]);
    assert_eq!(
        outlook,
        "ppo on cartpole, seed 1: to begin, 600 frames\nppo on cartpole, seed 2: to begin, 600 frames\n\
         2 runs: 0 done, 0 begun, 2 to begin; left: 1.2k frames of ppo, whose speed is not known yet\n"
    );
    let error = fail(coinop(dir).args(["suite", "table", "small.toml"]));
    assert!(error.contains("`small.csv` has no finished run yet"), "{error}");

    succeed(dir, &["suite", "run", "small.toml", "--shard", "2/2"]);
    let rows = ledger(dir);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][..5], ["ppo", "cartpole", "2", "ppo", "fast"]);
    let output = run(dir, &["suite", "run", "small.toml", "--jobs", "2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(ledger(dir)[0], rows[0]);
    assert_eq!(ledger(dir).len(), 2);
    let output = run(dir, &["suite", "run", "small.toml"]);
    let said = text(&output.stderr);
    assert!(
        said.starts_with("2 runs: 2 done, 0 begun, 0 to begin\n0 runs finished"),
        "{said}"
    );

    let table = succeed(dir, &["suite", "table", "small.toml"]);
    assert!(
        table.contains("\n| cartpole | 2 | ") && table.contains("\n| ppo | cartpole | 1 | "),
        "{table}"
    );
    succeed(dir, &["suite", "table", "small.toml", "--csv", "-o", "table.csv"]);
    let table = fs::read_to_string(dir.join("table.csv")).unwrap();
    assert!(
        table.starts_with("agent,env,seeds,") && table.contains("\nppo,cartpole,2,"),
        "{table}"
    );

    // Curves are kept beside the ledger, so pictures need no run folders.
    let picture = |name: &str| {
        succeed(dir, &["suite", "plot", "small.toml", "-o", name]);
        fs::read_to_string(dir.join(name)).unwrap()
    };
    let whole = picture("whole.svg");
    fs::rename(dir.join("runs"), dir.join("elsewhere")).unwrap();
    assert_eq!(picture("same.svg"), whole);
    fs::remove_file(dir.join("small-curves.csv")).unwrap();
    let error = fail(coinop(dir).args(["suite", "plot", "small.toml"]));
    assert!(
        error.contains("no run in `runs/small` has a score yet, and neither has a finished one beside"),
        "{error}"
    );

    // Other settings are other runs, and the table says which rows are of settings that the file no longer has.
    write_suite(dir, 800, "");
    let outlook = succeed(dir, &["suite", "run", "small.toml", "--dry-run"]);
    assert!(
        outlook.contains("2 runs: 0 done, 0 begun, 2 to begin; about 0.0 hours"),
        "{outlook}"
    );
    let table = succeed(dir, &["suite", "table", "small.toml"]);
    assert!(table.contains("\n| ppo* | cartpole | 1 | "), "{table}");
}

#[test]
#[cfg(unix)]
fn a_suite_that_is_stopped_continues_as_if_it_had_not_been() {
    let whole = tempfile::tempdir().unwrap();
    let whole = whole.path();
    write_suite(whole, 3_000, "");
    succeed(whole, &["suite", "run", "small.toml"]);

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_suite(dir, 3_000, "");
    let mut suite = coinop(dir).args(["suite", "run", "small.toml"]).spawn().unwrap();
    let has_metrics = || dir.join("runs/small").is_dir() && runs(dir).iter().any(|run| has_rows(run));
    wait_until(has_metrics);
    rustix::process::kill_process(rustix::process::Pid::from_child(&suite), rustix::process::Signal::TERM).unwrap();
    assert_eq!(suite.wait().unwrap().code(), Some(143));
    assert!(
        !dir.join("small.csv").exists() && runs(dir).len() == 1,
        "it was stopped in its first run"
    );
    let outlook = succeed(dir, &["suite", "run", "small.toml", "--dry-run"]);
    assert!(outlook.contains("2 runs: 0 done, 1 begun, 1 to begin"), "{outlook}");

    succeed(dir, &["suite", "run", "small.toml"]);
    assert_eq!(ledger(dir), ledger(whole));
    for (run, whole) in runs(dir).iter().zip(&runs(whole)) {
        assert_eq!(run.file_name(), whole.file_name());
        assert_same_run(run, whole);
    }
}

#[cfg(unix)]
fn has_rows(run: &Path) -> bool {
    fs::read_to_string(run.join("metrics.csv")).is_ok_and(|text| text.lines().count() > 3)
}

#[test]
fn a_run_that_fails_is_named_and_the_others_are_played() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_suite(
        dir,
        600,
        "[[agents]]\nname = 'dqn'\nalgo = 'double-dqn'\nset = ['gamma=2']\n",
    );
    let error = fail(coinop(dir).args(["suite", "run", "small.toml"]));
    assert!(
        error.starts_with("error: dqn on cartpole: "),
        "settings are checked first: {error}"
    );
    assert!(!dir.join("runs").exists());

    write_suite(dir, 600, "");
    fs::create_dir(dir.join("no")).unwrap();
    let suite = fs::read_to_string(dir.join("small.toml")).unwrap();
    fs::write(
        dir.join("small.toml"),
        suite.replace("['cartpole']", "['pong', 'cartpole']"),
    )
    .unwrap();
    for jobs in ["1", "2"] {
        let mut command = coinop(dir);
        command
            .args(["suite", "run", "small.toml", "--jobs", jobs])
            .env("COINOP_ROMS", "no");
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("ppo on pong, seed 1: failed: ") && said.contains("no ROM of pong"),
            "{said}"
        );
        assert!(
            said.ends_with("error: 2 runs failed; the same command tries again\n"),
            "{said}"
        );
        let rows = ledger(dir);
        assert_eq!(
            rows.iter().map(|row| row[1].as_str()).collect::<Vec<_>>(),
            ["cartpole"; 2]
        );
    }
}
