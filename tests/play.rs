//! Runs and agents that are shown: as videos and as lines.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;

use program::{coinop, fail, rows_without_times, run, succeed, text};

/// A short run on cart-pole, in the folder `run`.
const TRAIN: [&str; 8] = [
    "train",
    "cartpole",
    "--frames=1k",
    "--run-dir=run",
    "--set=num_envs=8",
    "--set=rollout_steps=32",
    "--set=minibatches=4",
    "--quiet",
];

#[test]
fn an_agent_is_shown_in_a_video_and_in_lines() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), &TRAIN);
    // One line for an episode, and the same one each time.
    let line = succeed(dir.path(), &["play", "run", "--episodes=2"]);
    assert_eq!(line.lines().count(), 2, "{line}");
    assert!(line.starts_with("episode 1: score "), "{line}");
    assert_eq!(succeed(dir.path(), &["play", "run", "--episodes=2"]), line);
    let score = |line: &str| {
        let words = line.split(' ').nth(3).map(|word| word.trim_end_matches(','));
        words.unwrap().parse::<f64>().unwrap()
    };
    let best = line.lines().map(score).fold(0.0, f64::max);
    let output = run(dir.path(), &["play", "run", "--video=a.gif", "--best-of=2"]);
    let told = text(&output.stderr);
    // Every step of cart-pole is a frame. Two frames are one picture, and the first is a picture by itself.
    let pictures = 1 + (best as usize).div_ceil(2);
    let expected =
        format!("recorded {pictures} pictures at 25 per second, of an episode with a score of {best}, to a.gif\n");
    assert!(told.ends_with(&expected), "{told}");
    assert!(fs::read(dir.path().join("a.gif")).unwrap().starts_with(b"GIF89a"));
    let args = ["play", "run", "--video=a.png-sequence", "--fps=50", "--seconds=0.1"];
    succeed(dir.path(), &args);
    assert_eq!(fs::read_dir(dir.path().join("a.png-sequence")).unwrap().count(), 5);
}

#[test]
fn a_run_is_watched_in_lines_where_there_is_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), &TRAIN);
    let printed = succeed(dir.path(), &["watch", "run"]);
    assert!(printed.starts_with("finished  1.02k/1k frames  "), "{printed}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    // `--watch` trains as always then.
    let args = [&TRAIN[..3], &["--run-dir=other", "--watch"], &TRAIN[4..7]].concat();
    let output = run(dir.path(), &args);
    let told = text(&output.stderr);
    assert!(told.contains("saved in other"), "{told}");
}

#[test]
fn a_report_is_one_page_with_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), &TRAIN);
    let args = [&TRAIN[..3], &["--run-dir=other", "--set=gamma=0.9"], &TRAIN[4..]].concat();
    succeed(dir.path(), &args);
    let output = run(dir.path(), &["report", "run", "other", "--seconds=1"]);
    assert!(text(&output.stderr).ends_with("report of 2 runs written to report.html\n"));
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    // Nothing is fetched from elsewhere.
    assert!(!page.contains("src=\"http") && !page.contains("href"), "a link");
    for part in [
        "<h1>2 kinds of runs</h1>",
        "<td>classic/cartpole</td>",
        "src=\"data:image/gif;base64,R0lGODlh",
        "<h2>Settings that differ</h2>",
        "<td>ppo.gamma</td><td>0.98</td><td>0.9</td>",
        "<td>run, other</td>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.matches("<svg ").count() >= 5);
    let error = fail(coinop(dir.path()).args(["report", "run", "-o", "report.pdf"]));
    assert_eq!(error, "error: `report.pdf`: give a name that ends in .html");
}

#[test]
fn videos_while_training_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let train = |run: &str, more: &[&str]| {
        let run_dir = format!("--run-dir={run}");
        let args = [&TRAIN[..3], &[run_dir.as_str()], &TRAIN[4..], more].concat();
        succeed(dir.path(), &args);
        dir.path().join(run)
    };
    let (one, other) = (train("without", &[]), train("with", &["--set=video_frames=500"]));
    let made = fs::read_dir(other.join("videos")).unwrap();
    let mut made: Vec<String> = made
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    made.sort();
    // After the first rollouts of 256 frames that pass 500 and 1,000.
    assert_eq!(made, ["000000000512.gif", "000000001024.gif"]);
    assert_eq!(
        rows_without_times(&one.join("metrics.csv")),
        rows_without_times(&other.join("metrics.csv"))
    );
}

#[test]
fn what_cannot_be_shown_says_why() {
    let dir = tempfile::tempdir().unwrap();
    for (command, expected) in [
        (
            "play pong",
            "error: playing requires a terminal on standard input and output",
        ),
        (
            "play nothing",
            "error: there is no run folder `nothing`; `coinop runs` shows those of this directory; nor is it an environment to play: \
             `coinop envs` lists them",
        ),
        (
            "play pong --video=a.avi",
            "error: `a.avi`: give a name that ends in .gif, .apng, .mp4 or .png-sequence (a folder of PNGs)",
        ),
        (
            "play catch --video=a.gif",
            "error: videos are of trained agents: name a run, e.g. `coinop play catch-ppo-1 --video catch.gif`",
        ),
        (
            "play pong --greedy",
            "error: --greedy applies to agents only: leave it out to play atari/pong yourself",
        ),
        (
            "play catch --scale 2",
            "error: the following required arguments were not provided: --video <FILE>; ",
        ),
        (
            "enjoy run",
            "error: unrecognized command 'enjoy': here that is `play RUN`",
        ),
    ] {
        let error = fail(coinop(dir.path()).args(command.split(' ')));
        assert!(error.starts_with(expected), "{command}: {error}");
    }
}
