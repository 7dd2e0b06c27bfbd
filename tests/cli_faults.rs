//! The program under what goes wrong around it: signals, readers that leave, folders that move, files that somebody edited.
//!
//! Without the ROM of Pong, which `cargo xtask setup` provides, most tests are skipped.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use program::{
    SMALL, checkpoints, coinop, fail, last_checkpoint, rows_without_times, run, succeed, text, train, wait_until,
};

/// A run that continues until it is asked to stop.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Starts `command`, and waits until it trains in the folder `run`.
    fn start(command: &mut Command) -> Self {
        Self::start_with(command, &[])
    }

    fn start_with(command: &mut Command, settings: &[&str]) -> Self {
        let args = [
            &[
                "train",
                "pong",
                "--frames=100M",
                "--run-dir=run",
                "--set=metrics_frames=500",
            ],
            SMALL,
            settings,
        ];
        let command = command.args(args.concat()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines
            .find(|line| line.as_ref().unwrap().contains("environments on"))
            .unwrap()
            .unwrap();
        Self { child, lines }
    }

    fn send(&self, signals: &[&str]) {
        let kill = signals
            .iter()
            .map(|signal| format!("kill -{signal} {}", self.child.id()));
        let sent = Command::new("sh")
            .args(["-c", &kill.collect::<Vec<_>>().join("; ")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, and the rest of what it said.
    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let rest = self.lines.map(Result::unwrap).collect();
        (self.child.wait().unwrap(), rest)
    }
}

fn is_saved(run: &Path) -> bool {
    !checkpoints(run).is_empty() && last_checkpoint(run).join("manifest.json").is_file()
}

#[test]
fn every_signal_that_asks_to_stop_saves_and_has_its_exit_code() {
    if !program::has_pong("every_signal_that_asks_to_stop_saves_and_has_its_exit_code") {
        return;
    }
    // As shells have it: 128 and the number of the signal. Some send theirs twice, to the process and to its group.
    for (signals, code) in [
        (&["INT"][..], 130),
        (&["INT", "INT"], 130),
        (&["INT", "INT", "INT"], 130),
        (&["TERM"], 143),
        (&["TERM", "TERM"], 143),
        (&["HUP"], 129),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start(&mut coinop(dir.path()));
        running.send(signals);
        let (status, rest) = running.end();
        assert_eq!(status.code(), Some(code), "{signals:?}: {rest:?}");
        assert!(rest.iter().any(|line| line.starts_with("saved in run")), "{rest:?}");
        assert!(is_saved(&dir.path().join("run")));
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    if !program::has_pong("a_run_under_nohup_outlives_its_terminal") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_coinop");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", program]);
    command.current_dir(dir.path()).env("COINOP_ROMS", program::roms());
    let running = Running::start(&mut command);
    running.send(&["HUP", "INT"]);
    assert_eq!(running.end().0.code(), Some(130));
}

#[test]
fn training_continues_when_nobody_can_be_told() {
    if !program::has_pong("training_continues_when_nobody_can_be_told") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let args = |run_dir| [&["train", "pong", "--frames=4k", "--run-dir", run_dir], SMALL].concat();
    if cfg!(target_os = "linux") {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = coinop(dir.path()).args(args("full")).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(is_saved(&dir.path().join("full")));
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = coinop(dir.path()).args(args("closed")).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(is_saved(&dir.path().join("closed")));

    // The reader leaves during the run.
    let mut running = Running::start(&mut coinop(dir.path()));
    running.lines = BufReader::new(closed_stderr()).lines();
    running.send(&["INT"]);
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
    assert!(is_saved(&dir.path().join("run")));
}

/// The standard error of a process that has ended.
fn closed_stderr() -> ChildStderr {
    let mut child = Command::new("true").stderr(Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stderr.unwrap()
}

#[test]
fn a_closed_output_ends_a_command_quietly_and_does_not_hide_a_wrong_one() {
    if !program::has_pong("a_closed_output_ends_a_command_quietly_and_does_not_hide_a_wrong_one") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "run", &["--frames=400"]);
    fs::write(dir.path().join("actions"), "0\n".repeat(10_000)).unwrap();
    let eval = ["eval", "run", "--episodes=1", "--torch-threads=1"];
    for args in [&["envs"][..], &eval, &["atari", "trace", "pong", "--actions=actions"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = coinop(dir.path()).args(args).stdout(writer).output().unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
    for (args, code) in [(&["trian"][..], 2), (&["train", "pnog"], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = coinop(dir.path()).args(args).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_folder_that_is_renamed_is_followed() {
    if !program::has_pong("a_run_folder_that_is_renamed_is_followed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&mut coinop(dir.path()));
    fs::rename(dir.path().join("run"), dir.path().join("other")).unwrap();
    running.send(&["INT"]);
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(130), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.contains("the run folder `run` is now `")),
        "{rest:?}"
    );
    assert!(is_saved(&dir.path().join("other")) && !dir.path().join("run").exists());
    assert!(rows_without_times(&dir.path().join("other/metrics.csv")).len() > 1);
}

#[test]
fn a_run_folder_that_is_removed_ends_the_run_with_an_error() {
    if !program::has_pong("a_run_folder_that_is_removed_ends_the_run_with_an_error") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&mut coinop(dir.path()));
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(1), "{rest:?}");
    assert!(
        rest.last()
            .unwrap()
            .starts_with("error: the run folder `run` is gone: "),
        "{rest:?}"
    );
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_run_without_a_checkpoint_is_training_or_has_ended() {
    if !program::has_pong("a_run_without_a_checkpoint_is_training_or_has_ended") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&mut coinop(dir.path()));
    let error = fail(coinop(dir.path()).args(["eval", "run"]));
    assert!(error.starts_with("error: the run `run` is still training: "), "{error}");
    running.send(&["KILL"]);
    running.end();
    let error = fail(coinop(dir.path()).args(["eval", "run"]));
    assert!(
        error.starts_with("error: the run `run` ended without a checkpoint: "),
        "{error}"
    );
}

#[test]
fn a_run_that_is_killed_leaves_its_last_checkpoint_and_what_it_did_not_finish_is_no_harm() {
    if !program::has_pong("a_run_that_is_killed_leaves_its_last_checkpoint_and_what_it_did_not_finish_is_no_harm") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // After every step.
    let often = ["--set=checkpoint_minutes=1e-9", "--set=milestone_frames=320"];
    let running = Running::start_with(&mut coinop(dir.path()), &often);
    let run_dir = dir.path().join("run");
    wait_until(|| checkpoints(&run_dir).len() >= 6);
    running.send(&["KILL"]);
    running.end();
    let printed = succeed(
        dir.path(),
        &["eval", "run", "--episodes=1", "--torch-threads=1", "--json"],
    );
    assert!(printed.contains("\"episodes\":1"), "{printed}");
}

#[test]
fn checkpoints_are_written_while_training_and_the_newest_and_milestones_are_kept() {
    if !program::has_pong("checkpoints_are_written_while_training_and_the_newest_and_milestones_are_kept") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let often = [
        "--frames=1600",
        "--set=checkpoint_minutes=1e-9",
        "--set=keep_checkpoints=2",
        "--set=milestone_frames=640",
    ];
    let run_dir = train(dir.path(), "run", &often);
    // A step is 160 frames: 640 and 1,280 are milestones, and the last two stay.
    let expected = ["000000000640", "000000001280", "000000001440", "000000001600"];
    assert_eq!(checkpoints(&run_dir), expected);
    let eval = |which: &str| {
        run(
            dir.path(),
            &[
                "eval",
                "run",
                "--episodes=1",
                "--torch-threads=1",
                "--checkpoint",
                which,
            ],
        )
    };
    for which in ["last", "640", "1.28k"] {
        let output = eval(which);
        assert!(output.status.success(), "{which}: {}", text(&output.stderr));
    }
    let error = fail(coinop(dir.path()).args(["eval", "run", "--checkpoint=800"]));
    assert_eq!(
        error,
        "error: the run `run` has no checkpoint after 800 frames: there are those after 640, 1280, 1440, 1600"
    );
    let error = fail(coinop(dir.path()).args(["eval", "run", "--checkpoint=first"]));
    assert!(error.contains("or write `last` or `best`"), "{error}");
    // Training does not depend on it.
    let plain = train(dir.path(), "plain", &["--frames=1600"]);
    assert_eq!(checkpoints(&plain), ["000000001600"]);
    let weights = |run: &Path| fs::read(last_checkpoint(run).join("tensors.safetensors")).unwrap();
    assert!(weights(&run_dir) == weights(&plain));
}

#[test]
fn a_row_that_was_not_finished_is_left_out_of_the_curve() {
    if !program::has_pong("a_row_that_was_not_finished_is_left_out_of_the_curve") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run_dir = train(dir.path(), "run", &["--frames=12k", "--set=metrics_frames=4k"]);
    let metrics = fs::read_to_string(run_dir.join("metrics.csv")).unwrap();
    fs::write(run_dir.join("metrics.csv"), &metrics[..metrics.len() - 20]).unwrap();
    let output = run(dir.path(), &["plot", "run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stderr),
        "note: `run/metrics.csv` ends in the middle of a row, which is left out\n1 curve drawn into curve.svg\n"
    );
    assert!(dir.path().join("curve.svg").is_file());
}

#[test]
fn a_relative_folder_of_roms_means_the_same_from_everywhere() {
    if !program::has_pong("a_relative_folder_of_roms_means_the_same_from_everywhere") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for folder in ["myroms", "here", "there"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::copy(program::roms().join("pong.bin"), dir.path().join("myroms/pong.bin")).unwrap();
    let without_default = |folder: &str| {
        let mut command = coinop(&dir.path().join(folder));
        command.env_remove("COINOP_ROMS");
        command
    };
    for (run_dir, roms) in [("../a", "--roms=../myroms"), ("../b", "--set=env.roms=../myroms")] {
        let args = [&["train", "pong", "--frames=80", roms, "--run-dir", run_dir], SMALL].concat();
        let output = without_default("here").args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let args = ["eval", run_dir, "--episodes=1", "--torch-threads=1"];
        let output = without_default("there").args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn a_checkpoint_of_something_else_than_its_config_says_is_refused() {
    if !program::has_pong("a_checkpoint_of_something_else_than_its_config_says_is_refused") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run_dir = train(dir.path(), "run", &["--frames=400", "--set=body=a3c"]);
    let config = fs::read_to_string(run_dir.join("config.toml")).unwrap();
    for (from, to, named) in [
        (
            "env = \"atari/pong\"",
            "env = \"atari/qbert\"",
            "run.env = \"atari/pong\"",
        ),
        ("protocol = \"sb3\"", "protocol = \"nature\"", "env.protocol = \"sb3\""),
        ("body = \"a3c\"", "body = \"nature\"", "ppo.network.body = \"a3c\""),
        ("difficulty = 0", "difficulty = 1", "env.difficulty = 0"),
    ] {
        assert!(config.contains(from), "{from}");
        fs::write(run_dir.join("config.toml"), config.replace(from, to)).unwrap();
        let error = fail(coinop(dir.path()).args(["eval", "run"]));
        let expected =
            format!("error: `run/checkpoints/000000000480` is a checkpoint of {named}, but config.toml says ");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn errors_show_what_was_typed_without_control_characters_and_not_all_of_it() {
    if !program::has_pong("errors_show_what_was_typed_without_control_characters_and_not_all_of_it") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("actions"), "\u{1b}[31mred\u{7}\n").unwrap();
    fs::write(dir.path().join("long"), "x".repeat(1_000_000)).unwrap();
    fs::write(dir.path().join("keys.toml"), "[ppo]\n\"\u{9b}gamma\" = 1\n").unwrap();
    let deep = format!("--set={}=1", vec!["a"; 50_000].join("."));
    let inline = format!("--set=ppo={{{} = 1}}", vec!["a"; 50_000].join("."));
    let long = "y".repeat(100_000);
    for args in [
        &["atari", "trace", "pong", "--actions=actions"][..],
        &["atari", "trace", "pong", "--actions=long"],
        &["train", "\u{1b}]0;title\u{7}"],
        &["train", &long],
        &["train", "pong", "--set=\u{1b}[2J=1"],
        &["train", "pong", "--set=gamma=\u{1b}[2J"],
        &["train", "pong", &deep],
        &["train", "pong", &inline],
        &["train", "pong", "--frames=\u{1b}[2J"],
        &["train", "pong", "--config=keys.toml"],
        &["eval", "\u{1b}[2J"],
    ] {
        let error = fail(coinop(dir.path()).args(args));
        assert!(!error.contains(char::is_control), "{error:?}");
        assert!(error.chars().count() <= 1_001, "{} characters", error.chars().count());
    }
}

#[test]
fn a_file_of_errors_has_no_colours() {
    if !program::has_pong("a_file_of_errors_has_no_colours") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = run(
        dir.path(),
        &[&["train", "pong", "--frames=400", "--env-threads=64"], SMALL].concat(),
    );
    let stderr = text(&output.stderr);
    assert!(stderr.contains("more threads than cores"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
}

#[test]
fn the_command_that_a_run_ends_with_can_be_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&["train", "Pong", "--frames=4e2", "--run-dir=my run"], SMALL].concat();
    let output = run(dir.path(), &args);
    let stderr = text(&output.stderr);
    assert!(
        stderr.ends_with("evaluate it with `coinop eval 'my run'`\n"),
        "{stderr}"
    );
    succeed(dir.path(), &["eval", "my run", "--episodes=1", "--torch-threads=1"]);
}

#[test]
fn the_learning_rate_of_a_run_is_never_0_and_a_shorter_schedule_is_warned_of() {
    if !program::has_pong("the_learning_rate_of_a_run_is_never_0_and_a_shorter_schedule_is_warned_of") {
        return;
    }
    const ALL_LEARNED: &str = "--set=center_pixels=false";
    let dir = tempfile::tempdir().unwrap();
    let rates = |run_dir: &Path| -> Vec<f64> {
        let metrics = fs::read_to_string(run_dir.join("metrics.csv")).unwrap();
        let mut rows = metrics.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let column = rows
            .next()
            .unwrap()
            .iter()
            .position(|name| *name == "learning_rate")
            .unwrap();
        rows.map(|row| row[column].parse().unwrap()).collect()
    };
    // A rollout of SMALL has 2 environments, 20 steps and 4 frames each: 160 frames. The preset's learning rate is 0.001.
    let one = train(dir.path(), "one", &["--frames=1", ALL_LEARNED]);
    assert_eq!(rates(&one), [0.001]);
    let two = train(
        dir.path(),
        "two",
        &["--frames=320", "--set=metrics_frames=160", ALL_LEARNED],
    );
    assert_eq!(rates(&two), [0.001, 0.0005]);
    // A first rollout that pixels are compared with has the column, and nothing in it.
    let centered = train(dir.path(), "centered", &["--frames=1"]);
    let metrics = fs::read_to_string(centered.join("metrics.csv")).unwrap();
    let rows: Vec<Vec<&str>> = metrics.lines().map(|line| line.split(',').collect()).collect();
    let column = rows[0].iter().position(|name| *name == "learning_rate").unwrap();
    assert_eq!(rows[1][column], "");
    let output = run(
        dir.path(),
        &[
            &["train", "pong", "--frames=400", "--set=learning_rate.frames=160"],
            SMALL,
        ]
        .concat(),
    );
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("the learning rate is 0 from frame 160 on, and the run has 400: the rest learns nothing"),
        "{stderr}"
    );
}
