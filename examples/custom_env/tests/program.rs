//! The program of this crate, as its user runs it.

use std::path::Path;
use std::process::Command;

/// Runs the program in a folder, and returns what it printed.
fn run(folder: &Path, args: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_custom_env"))
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args}: {text}");
    text
}

#[test]
fn it_is_checked_trained_resumed_evaluated_and_plotted_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(run(folder, "check courier").contains("custom/courier obeys the Env contract"));
    assert!(run(folder, "envs").contains("custom/courier"));
    for algo in ["ppo", "a3c", "double-dqn"] {
        let text = run(
            folder,
            &format!("train courier --algo {algo} --frames 6k --set eval_frames=3k"),
        );
        assert!(
            text.contains(&format!("`custom_env eval runs/courier-{algo}-1`")),
            "{text}"
        );
        assert!(run(folder, &format!("eval courier-{algo}-1 --episodes 3")).contains("mean score"));
    }
    run(folder, "train --resume courier-ppo-1 --frames 9k");
    assert!(run(folder, "verify-resume courier --frames 3k").contains("equal"));
    run(folder, "plot courier-ppo-1 courier-a3c-1 courier-double-dqn-1");
    assert!(
        std::fs::read_to_string(folder.join("curve.svg"))
            .unwrap()
            .contains("courier-a3c-1")
    );
}
