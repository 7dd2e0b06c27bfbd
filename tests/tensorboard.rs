//! TensorBoard reads what a run writes for it.
//!
//! ```console
//! $ python3 -m pip install --target target/tensorboard tensorboard==2.20.0
//! $ cargo test --test tensorboard -- --ignored
//! ```

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;

use program::{succeed, text};

/// Prints every scalar that TensorBoard finds in a folder: tag, step, value.
const READER: &str = "
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
for tag in events.Tags()['scalars']:
    for event in events.Scalars(tag):
        print(tag, event.step, repr(event.value))
for tag in events.Tags()['tensors']:
    for event in events.Tensors(tag):
        print('TEXT', tag, repr(event.tensor_proto.string_val[0].decode()))
for tag in events.Tags()['images']:
    for event in events.Images(tag):
        print('IMAGE', tag, event.step, event.width, event.height, event.encoded_image_string[:6].decode())
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
for tag, content in events.PluginTagToContent('hparams').items():
    for name, value in HParamsPluginData.FromString(content).session_start_info.hparams.items():
        print('HPARAM', tag, name, repr(getattr(value, value.WhichOneof('kind'))))
";

#[test]
#[ignore = "needs TensorBoard from PyPI, see the top of this file"]
fn tensorboard_reads_the_numbers_of_metrics_csv() {
    let dir = tempfile::tempdir().unwrap();
    succeed(
        dir.path(),
        &[
            "train",
            "cartpole",
            "--frames=3k",
            "--run-dir=run",
            "--set=metrics_frames=1k",
            "--set=eval_frames=2k",
            "--set=eval_episodes=3",
            "--set=video_frames=2k",
            "--set=num_envs=8",
            "--set=rollout_steps=32",
            "--set=minibatches=4",
        ],
    );
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tensorboard");
    let output = Command::new("python3")
        .args(["-c", READER, "run"])
        .env("PYTHONPATH", modules)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let read = text(&output.stdout);
    let (texts, read): (Vec<&str>, Vec<&str>) = read.lines().partition(|line| line.starts_with("TEXT "));
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].starts_with("TEXT settings/text_summary '```toml\\n[run]"),
        "{texts:?}"
    );
    assert!(texts[0].contains("env = \"classic/cartpole\""), "{texts:?}");
    let (hyperparameters, read): (Vec<&str>, Vec<&str>) =
        read.into_iter().partition(|line| line.starts_with("HPARAM "));
    for expected in [
        "ppo.gamma 0.98",
        "ppo.num_envs 8.0",
        "run.env 'classic/cartpole'",
        "ppo.normalize_advantages True",
    ] {
        let line = format!("HPARAM _hparams_/session_start_info {expected}");
        assert!(
            hyperparameters.contains(&line.as_str()),
            "{expected}: {hyperparameters:?}"
        );
    }
    let (pictures, read): (Vec<&str>, Vec<&str>) = read.into_iter().partition(|line| line.starts_with("IMAGE "));
    let mut videos = fs::read_dir(dir.path().join("run/videos")).unwrap();
    let video = videos.next().unwrap().unwrap().file_name().into_string().unwrap();
    let frames = video.trim_start_matches('0').trim_end_matches(".gif");
    assert_eq!(pictures, [format!("IMAGE video {frames} 300 214 GIF89a")]);
    let (evaluations, read): (Vec<&str>, Vec<&str>) =
        read.into_iter().partition(|line| line.starts_with("evaluation/"));
    let evals = fs::read_to_string(dir.path().join("run/eval.csv")).unwrap();
    let rows: Vec<Vec<f64>> = evals
        .lines()
        .skip(1)
        .map(|row| row.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    let mean = rows.iter().map(|row| row[2]).sum::<f64>() / 3.0;
    let expected = format!("evaluation/mean_score {} {:?}", rows[0][0], f64::from(mean as f32));
    assert!(evaluations.contains(&expected.as_str()), "{expected}: {evaluations:?}");
    assert_eq!(evaluations.len(), 4, "mean, deviation, least and greatest");
    let read = read.join("\n");

    let csv = fs::read_to_string(dir.path().join("run/metrics.csv")).unwrap();
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let mut found = 0;
    for row in rows {
        for (name, value) in header.iter().zip(&row).skip(1).filter(|(_, value)| !value.is_empty()) {
            // A number is rounded once on its way to TensorBoard, from 64 bits to 32.
            let value = value.parse::<f64>().unwrap() as f32;
            let is_it = |line: &&str| {
                let [tag, step, read] = line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}");
                };
                tag.ends_with(&format!("/{name}")) && step == row[0] && read.parse::<f32>().unwrap() == value
            };
            assert!(
                read.lines().any(|line| is_it(&line)),
                "{name} at {}: {value}\n{read}",
                row[0]
            );
            found += 1;
        }
    }
    assert_eq!(
        found,
        read.lines().count(),
        "TensorBoard has what the table has, and no more"
    );
    assert!(found > 40, "{found}");
}
