//! `coinop table`: the scores of runs as Markdown, CSV or JSON.

use anyhow::bail;
use coinop_envs::registry::Family;
use serde_json::json;

use crate::cli::TableArgs;
use crate::commands::plot::{MEAN_SCORE, Series};
use crate::config::Config;
use crate::report::groups::{Group, groups};
use crate::report::human::normalised;
use crate::report::numbers::{grouped, mean_in_words, percent};
use crate::run::dir::RunDir;
use crate::run::evaluations::Evaluations;
use crate::statistics::{interval, mean};
use crate::{files, output};

pub(crate) fn run(args: &TableArgs) -> anyhow::Result<()> {
    let rows = groups(&args.runs, args.each)?;
    let rows = rows.iter().map(Row::of).collect::<anyhow::Result<Vec<_>>>()?;
    let text = if args.json {
        let rows: Vec<serde_json::Value> = rows.iter().map(Row::json).collect();
        serde_json::to_string_pretty(&rows)? + "\n"
    } else if args.csv {
        csv(&rows)?
    } else {
        markdown(&rows)
    };
    match &args.output {
        Some(path) => files::write(path, &text)?,
        None => output::print(&text)?,
    }
    Ok(())
}

/// A run, or several that differ in their seed alone. Scores have a number for each run that has one.
pub(crate) struct Row {
    name: String,
    env: String,
    algo: &'static str,
    seeds: Vec<u64>,
    frames: Vec<f64>,
    minutes: Vec<f64>,
    /// The mean scores of the last 100 episodes of training.
    training: Vec<f64>,
    /// The mean scores of the last evaluation during training.
    evaluation: Vec<f64>,
    /// The highest mean scores of an evaluation during training.
    best: Vec<f64>,
    /// Those of the last evaluation, human-normalised; none for most environments.
    human: Vec<f64>,
}

impl Row {
    pub(crate) fn of(group: &Group<'_>) -> anyhow::Result<Self> {
        let first = Config::read(&RunDir::open(group.runs[0])?.config())?;
        let env = first.env_info()?;
        let mut row = Self {
            name: group.name.clone(),
            env: first.run.env.clone(),
            algo: first.run.algo.name(),
            seeds: Vec::new(),
            frames: Vec::new(),
            minutes: Vec::new(),
            training: Vec::new(),
            evaluation: Vec::new(),
            best: Vec::new(),
            human: Vec::new(),
        };
        for run in &group.runs {
            let dir = RunDir::open(run)?;
            let Some(last) = Series::of("frames", 1).read(run)?.pop() else {
                bail!("`{}` has no row yet", dir.metrics().display());
            };
            row.seeds.push(Config::read(&dir.config())?.run.seed);
            row.frames.push(last.frames);
            row.minutes.push(last.seconds / 60.0);
            row.training
                .extend(Series::of(MEAN_SCORE, 1).read(run)?.last().map(|point| point.value));
            let evaluations = Evaluations::read(&dir.evaluations())?;
            row.evaluation.extend(evaluations.last().map(|last| last.mean));
            row.best.extend(evaluations.best().map(|best| best.mean));
        }
        if env.family == Family::Atari {
            row.human = row
                .evaluation
                .iter()
                .filter_map(|score| normalised(env.short, *score))
                .collect();
        }
        Ok(row)
    }

    /// The cells of the [`COLUMNS`].
    pub(crate) fn cells(&self) -> [String; 10] {
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        [
            self.name.clone(),
            self.env.clone(),
            self.algo.to_owned(),
            seeds.join(", "),
            grouped(mean(&self.frames)),
            format!("{:.1}", mean(&self.minutes)),
            mean_in_words(&self.training),
            mean_in_words(&self.evaluation),
            mean_in_words(&self.best),
            percent(&self.human),
        ]
    }

    fn json(&self) -> serde_json::Value {
        let scores = |values: &[f64]| {
            let interval = interval_of(values);
            json!({
                "mean": of(values, mean),
                "low": interval.map(|(low, _)| low),
                "high": interval.map(|(_, high)| high),
                "runs": values,
            })
        };
        json!({
            "name": self.name,
            "env": self.env,
            "algo": self.algo,
            "seeds": self.seeds,
            "frames": mean(&self.frames),
            "minutes": mean(&self.minutes),
            "training": scores(&self.training),
            "evaluation": scores(&self.evaluation),
            "best_evaluation": scores(&self.best),
            "human_normalized": of(&self.human, mean),
        })
    }
}

fn interval_of(values: &[f64]) -> Option<(f64, f64)> {
    interval(std::slice::from_ref(&values.to_vec()), |groups| mean(&groups[0]))
}

/// A statistic, if there are values.
fn of(values: &[f64], statistic: fn(&[f64]) -> f64) -> Option<f64> {
    (!values.is_empty()).then(|| statistic(values))
}

/// The columns of a table for people.
pub(crate) const COLUMNS: [&str; 10] = [
    "runs",
    "environment",
    "algorithm",
    "seeds",
    "frames",
    "minutes",
    "training",
    "evaluation",
    "best evaluation",
    "human",
];

/// What the columns mean.
pub(crate) const MEANING: &str = "Means over runs, with 95 % bootstrap intervals. `training`: the last 100 episodes; `evaluation`: the last one during training.";

fn markdown(rows: &[Row]) -> String {
    let mut text = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for row in rows {
        text += &format!("| {} |\n", row.cells().join(" | "));
    }
    text + &format!("\n{MEANING}\n")
}

fn csv(rows: &[Row]) -> anyhow::Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let scores = |name: &str| ["", "_low", "_high"].map(|end| format!("{name}{end}"));
    let header = ["name", "env", "algo", "seeds", "frames", "minutes"].map(str::to_owned);
    table.write_record(
        header
            .into_iter()
            .chain(
                ["training", "evaluation", "best_evaluation"]
                    .into_iter()
                    .flat_map(scores),
            )
            .chain(["human_normalized".to_owned()]),
    )?;
    let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for row in rows {
        let seeds: Vec<String> = row.seeds.iter().map(u64::to_string).collect();
        let scores = |values: &Vec<f64>| {
            let interval = interval_of(values);
            [
                of(values, mean),
                interval.map(|(low, _)| low),
                interval.map(|(_, high)| high),
            ]
            .map(or_empty)
        };
        let first = [
            row.name.clone(),
            row.env.clone(),
            row.algo.to_owned(),
            seeds.join(" "),
            mean(&row.frames).to_string(),
            mean(&row.minutes).to_string(),
        ];
        table.write_record(
            first
                .into_iter()
                .chain([&row.training, &row.evaluation, &row.best].into_iter().flat_map(scores))
                .chain([or_empty(of(&row.human, mean))]),
        )?;
    }
    Ok(String::from_utf8(table.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            name: "pong-ppo (2 runs)".to_owned(),
            env: "atari/pong".to_owned(),
            algo: "ppo",
            seeds: vec![1, 2],
            frames: vec![2e6, 2e6],
            minutes: vec![3.0, 5.0],
            training: vec![18.0, 18.0],
            evaluation: vec![14.6, 14.6],
            best: vec![20.0],
            human: vec![1.0, 1.0],
        }
    }

    #[test]
    fn a_row_has_the_means_of_its_runs() {
        let text = markdown(&[row()]);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(
            rows[2],
            "| pong-ppo (2 runs) | atari/pong | ppo | 1, 2 | 2,000,000 | 4.0 | 18.0 [18.0, 18.0] | 14.6 [14.6, 14.6] | 20.0 | 100 % |"
        );
        let text = csv(&[row()]).unwrap();
        assert_eq!(
            text.lines().last().unwrap(),
            "pong-ppo (2 runs),atari/pong,ppo,1 2,2000000,4,18,18,18,14.6,14.6,14.6,20,,,1"
        );
        let columns = |row: &str| row.split(',').count();
        assert!(text.lines().all(|row| columns(row) == 16), "{text}");
        let json = row().json();
        assert_eq!(
            json["best_evaluation"],
            json!({"mean": 20.0, "low": null, "high": null, "runs": [20.0]})
        );
        assert_eq!((&json["minutes"], &json["seeds"]), (&json!(4.0), &json!([1, 2])));
    }
}
