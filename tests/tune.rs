//! Searches for settings.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::fs;
use std::path::Path;

use program::{checkpoints, coinop, fail, run, succeed, text};

const SPACE: &str = "samples = 4\nbudgets = [512, 1024, '2k']\nkeep = 0.5\nepisodes = 3\n\n[settings]\n\"learning_rate.from\" = { log_uniform = [1e-4, \
                     1e-2] }\nepochs = { choice = [1, 2] }\n";

const TUNE: [&str; 7] = [
    "tune",
    "cartpole",
    "--space=space.toml",
    "--set=num_envs=8",
    "--set=rollout_steps=32",
    "--set=minibatches=4",
    "--set=learning_rate={from=0.001,to=0.0}",
];

fn results(dir: &Path) -> Vec<(usize, u64)> {
    let text = fs::read_to_string(dir.join("runs/tune-cartpole-ppo/results.csv")).unwrap();
    let lines = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].parse().unwrap(), cells[1].parse().unwrap())
    });
    lines.collect()
}

#[test]
fn the_best_samples_go_on_and_a_search_that_is_there_is_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("space.toml"), SPACE).unwrap();
    let printed = succeed(dir.path(), &TUNE);
    // Four samples, then the best two, then the best one.
    let counts = |results: &[(usize, u64)]| {
        [512, 1_024, 2_000].map(|at| results.iter().filter(|(_, frames)| *frames == at).count())
    };
    let first = results(dir.path());
    assert_eq!(counts(&first), [4, 2, 1]);
    let winner = first.last().unwrap().0;
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some("| sample | 512 | 1.02k | 2k | settings |"));
    assert!(
        lines.nth(1).unwrap().starts_with(&format!("| {winner} | ")),
        "{printed}"
    );
    assert_eq!(printed.lines().count(), 2 + 4);
    assert!(printed.contains("| the preset |"), "{printed}");
    // It went on from where it was, by a schedule over all frames.
    let folder = dir.path().join("runs/tune-cartpole-ppo");
    let run_dir = folder.join(format!("sample-{winner:03}"));
    assert_eq!(checkpoints(&run_dir), ["000000000512", "000000001024", "000000002048"]);
    let best = fs::read_to_string(folder.join("best.toml")).unwrap();
    assert_eq!(best, fs::read_to_string(run_dir.join("config.toml")).unwrap());
    assert!(best.contains("frames = 2000"), "{best}");
    succeed(
        dir.path(),
        &[
            "train",
            "cartpole",
            "--config=runs/tune-cartpole-ppo/best.toml",
            "--frames=1k",
            "--quiet",
        ],
    );

    // A line that is missing is evaluated again, and nothing else.
    let path = folder.join("results.csv");
    let text_before = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text_before.lines().take(6).collect();
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    let output = run(dir.path(), &TUNE);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&path).unwrap(), text_before);

    fs::write(
        dir.path().join("space.toml"),
        SPACE.replace("samples = 4", "samples = 5"),
    )
    .unwrap();
    let error = fail(coinop(dir.path()).args(TUNE));
    assert!(
        error.contains("has another search: choose another folder with --name NAME"),
        "{error}"
    );
}

#[test]
fn a_search_that_cannot_begin_says_why() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("bad.toml"),
        "budgets = [5]\n[settings]\ngama = { choice = [1] }\n",
    )
    .unwrap();
    fs::write(dir.path().join("keep.toml"), "budgets = [5]\nkeep = 2.0\n[settings]\n").unwrap();
    for (command, expected) in [
        ("tune cartpole --space bad.toml", "error: there is no setting `gama`"),
        (
            "tune cartpole --space keep.toml",
            "error: `keep.toml`: keep = 2: it must be between 0 and 1",
        ),
        ("tune nothing", "error: there is no environment `nothing`"),
        (
            "sweep cartpole",
            "error: unrecognized command 'sweep': here that is `tune ENV`",
        ),
    ] {
        let error = fail(coinop(dir.path()).args(command.split(' ')));
        assert!(error.starts_with(expected), "{command}: {error}");
    }
}
