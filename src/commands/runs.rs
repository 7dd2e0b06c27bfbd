//! `coinop runs`: the runs of a folder, with their states and scores.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::RunsArgs;
use crate::commands::plot::{MEAN_SCORE, Series};
use crate::config::Config;
use crate::count::short;
use crate::files::failed;
use crate::output;
use crate::report::numbers::number;
use crate::run::dir::{RUNS, RunDir};
use crate::run::state::State;

pub(crate) fn run(args: &RunsArgs) -> anyhow::Result<()> {
    let folder = args.folder.as_deref().unwrap_or(Path::new(RUNS));
    let mut rows = Vec::new();
    for path in folders(folder)? {
        match Row::of(folder, &path) {
            Ok(row) => rows.push(row),
            // One that cannot be read does not hide the others.
            Err(error) => output::say(&format!("note: {error}")),
        }
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&rows.iter().map(Row::json).collect::<Vec<_>>())? + "\n",
        false if rows.is_empty() => format!("no runs in {}\n", folder.display()),
        false => table(&rows),
    };
    output::print(&text)?;
    Ok(())
}

/// All run folders below `folder`, which may be in folders of their own, as a suite's are; sorted by name.
fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = left.pop() {
        if folder.join("config.toml").is_file() {
            found.push(folder);
        } else if depth < 2 && (depth > 0 || folder.exists()) {
            let entries = fs::read_dir(&folder).map_err(failed("can't list the folder", &folder))?;
            let paths = entries.flatten().map(|entry| entry.path());
            left.extend(paths.filter(|path| path.is_dir()).map(|path| (path, depth + 1)));
        }
    }
    found.sort();
    Ok(found)
}

struct Row {
    name: String,
    state: State,
    config: Config,
    /// The frames and the seconds of the last row.
    played: (u64, f64),
    score: Option<f64>,
}

impl Row {
    fn of(folder: &Path, path: &Path) -> anyhow::Result<Self> {
        let dir = RunDir::open(path)?;
        let config = Config::read(&dir.config())?;
        let (mut played, mut score) = ((0, 0.0), None);
        if dir.metrics().exists() {
            let last = Series::of("frames", 1).read(path)?.pop();
            played = last.map_or(played, |last| (last.frames as u64, last.seconds));
            score = Series::of(MEAN_SCORE, 1).read(path)?.pop().map(|point| point.value);
        }
        Ok(Self {
            name: path.strip_prefix(folder).unwrap_or(path).display().to_string(),
            state: State::of(&dir, &config)?,
            config,
            played,
            score,
        })
    }

    fn json(&self) -> serde_json::Value {
        let run = &self.config.run;
        json!({
            "name": self.name,
            "state": self.state.name(),
            "env": run.env,
            "algo": run.algo.name(),
            "preset": run.preset,
            "seed": run.seed,
            "frames": self.played.0,
            "of_frames": run.frames,
            "seconds": self.played.1,
            "mean_score": self.score,
        })
    }
}

fn table(rows: &[Row]) -> String {
    let width = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!(
        "{:width$}  state     {:>15}  {:>8}  {:>9}\n",
        "run", "frames", "minutes", "score"
    );
    for row in rows {
        let frames = format!("{} of {}", short(row.played.0), short(row.config.run.frames));
        let score = row.score.map_or_else(|| "-".to_owned(), number);
        text += &format!(
            "{:width$}  {:8}  {frames:>15}  {:>8.1}  {score:>9}\n",
            row.name,
            row.state.name(),
            row.played.1 / 60.0,
        );
    }
    text
}
