//! Tables of a suite's results.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::file::SuiteFile;
use super::ledger::{Ledger, Line};
use super::plan::Job;
use crate::report::human::normalised;
use crate::report::numbers::{grouped, mean_in_words, number, percent};
use crate::statistics::{interquartile_mean, interval, mean, median};

/// The score of a run that tables are about: of the last checkpoint, with actions that are drawn from the policy.
fn score(line: &Line) -> f64 {
    line.last_sample
}

/// The results of an agent in an environment: one line per seed.
struct Cell<'a> {
    env: &'a str,
    lines: Vec<&'a Line>,
}

impl Cell<'_> {
    fn values(&self, of: impl Fn(&Line) -> Option<f64>) -> Vec<f64> {
        self.lines.iter().filter_map(|line| of(line)).collect()
    }

    fn minutes(&self) -> Option<f64> {
        let timed = self.values(|line| line.timed.then_some(line.seconds / 60.0));
        (!timed.is_empty()).then(|| mean(&timed))
    }

    /// The human-normalised scores; empty where there are none.
    fn normalised(&self) -> Vec<f64> {
        self.values(|line| normalised(self.env, score(line)))
    }
}

/// The newest line of each seed of an agent, by environment, in the order of the file.
fn cells<'a>(suite: &'a SuiteFile, ledger: &'a Ledger, agent: &str) -> Vec<Cell<'a>> {
    let cell = |env: &'a String| {
        let newest = |seed: &u64| {
            let is_of = |line: &&Line| line.agent == agent && &line.env == env && line.seed == *seed;
            ledger.lines().iter().rev().find(is_of)
        };
        Cell {
            env,
            lines: suite.seeds.iter().filter_map(newest).collect(),
        }
    };
    suite
        .envs
        .iter()
        .map(cell)
        .filter(|cell| !cell.lines.is_empty())
        .collect()
}

/// All results in Markdown. `jobs` are all runs with the settings that the file has today.
pub(crate) fn markdown(suite: &SuiteFile, jobs: &[Job], ledger: &Ledger) -> String {
    let mut text = String::new();
    for agent in &suite.agents {
        let cells = cells(suite, ledger, &agent.name);
        if cells.is_empty() {
            continue;
        }
        // Columns that would be empty are left out.
        let has_human = cells.iter().any(|cell| !cell.normalised().is_empty());
        let has_minutes = cells.iter().any(|cell| cell.minutes().is_some());
        let _ = write!(
            text,
            "## {}\n\n| environment | seeds | greedy | drawn | best, drawn |{}",
            agent.name,
            if has_human { " human |" } else { "" }
        );
        for reference in &suite.references {
            let _ = write!(text, " {} |", reference.name);
        }
        let columns = 5 + usize::from(has_human) + suite.references.len() + usize::from(has_minutes);
        let minutes = if has_minutes { " minutes |" } else { "" };
        let _ = writeln!(text, "{minutes}\n|{}", "---|".repeat(columns));
        for cell in &cells {
            let column = |of: fn(&Line) -> Option<f64>| mean_in_words(&cell.values(of));
            let _ = write!(
                text,
                "| {} | {} | {} | {} | {} |",
                cell.env,
                cell.lines.len(),
                column(|line| Some(line.last_greedy)),
                column(|line| Some(score(line))),
                column(|line| line.best_sample)
            );
            if has_human {
                let _ = write!(text, " {} |", percent(&cell.normalised()));
            }
            for reference in &suite.references {
                let score = reference.score(cell.env).map_or_else(|| "-".to_owned(), number);
                let _ = write!(text, " {score} |");
            }
            if has_minutes {
                let minutes = cell
                    .minutes()
                    .map_or_else(|| "-".to_owned(), |minutes| format!("{minutes:.1}"));
                let _ = write!(text, " {minutes} |");
            }
            text.push('\n');
        }
        text += &aggregates(&cells);
        text.push('\n');
    }
    text + &runs(suite, jobs, ledger)
}

/// The median and the interquartile mean over games of human-normalised scores. The median is that of the games' means over
/// seeds; the interquartile mean is over runs, as Agarwal et al. define it. Both take as many runs of each game as every
/// game has, so that all games have the same weight.
fn aggregates(cells: &[Cell<'_>]) -> String {
    let mut games: Vec<Vec<f64>> = cells
        .iter()
        .map(Cell::normalised)
        .filter(|scores| !scores.is_empty())
        .collect();
    if games.len() < 2 {
        return String::new();
    }
    let runs = games.iter().map(Vec::len).min().unwrap_or(0);
    for scores in &mut games {
        scores.truncate(runs);
    }
    let of_means = |games: &[Vec<f64>]| median(&games.iter().map(|scores| mean(scores)).collect::<Vec<_>>());
    let of_runs = |games: &[Vec<f64>]| interquartile_mean(&games.concat());
    let in_words = |statistic: &dyn Fn(&[Vec<f64>]) -> f64| {
        let interval = interval(&games, statistic);
        let interval = interval.map_or_else(String::new, |(low, high)| {
            format!(" [{:.0} %, {:.0} %]", 100.0 * low, 100.0 * high)
        });
        format!("{:.0} %{interval}", 100.0 * statistic(&games))
    };
    format!(
        "\nHuman-normalised over {} games, {runs} {} of each: median {}, interquartile mean {}.\n",
        games.len(),
        if runs == 1 { "run" } else { "runs" },
        in_words(&of_means),
        in_words(&of_runs)
    )
}

/// Every run.
fn runs(suite: &SuiteFile, jobs: &[Job], ledger: &Ledger) -> String {
    let mut text = "## Runs\n\n\
        | agent | environment | seed | greedy | drawn | best, greedy | best, drawn | best after | training | frames | minutes | revision |\n|"
        .to_owned();
    text += &"---|".repeat(12);
    text.push('\n');
    let mut episodes = BTreeSet::new();
    let mut notes = String::new();
    for agent in &suite.agents {
        for line in cells(suite, ledger, &agent.name).iter().flat_map(|cell| &cell.lines) {
            episodes.insert(line.episodes);
            let is_of = |job: &&Job| (&job.agent, &job.env, job.seed) == (&line.agent, &line.env, line.seed);
            let is_of_today = jobs.iter().find(is_of).is_some_and(|job| job.settings == line.settings);
            let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
            let _ = writeln!(
                text,
                "| {}{} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1}{} | {} |",
                line.agent,
                if is_of_today { "" } else { "*" },
                line.env,
                line.seed,
                number(line.last_greedy),
                number(line.last_sample),
                or_dash(line.best_greedy),
                or_dash(line.best_sample),
                line.best_frames
                    .map_or_else(|| "-".to_owned(), |frames| grouped(frames as f64)),
                or_dash(line.training),
                grouped(line.frames as f64),
                line.seconds / 60.0,
                if line.timed { "" } else { "†" },
                line.revision
            );
            if !is_of_today {
                "\\* With other settings than the agent has today.\n".clone_into(&mut notes);
            }
        }
    }
    let episodes: Vec<String> = episodes.iter().map(usize::to_string).collect();
    let _ = write!(
        text,
        "\nMean scores over {} evaluated episodes: `greedy` always takes the most probable action, or the one with the highest value; `drawn` acts as in \
         training, without exploration. `best` is the checkpoint that scored best in the evaluations during training. Intervals are 95 % bootstrap \
         intervals over seeds. † Other programs ran meanwhile.\n{notes}",
        episodes.join(" or ")
    );
    text
}

/// One row per agent and environment.
pub(crate) fn csv(suite: &SuiteFile, ledger: &Ledger) -> anyhow::Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let header = [
        "agent",
        "env",
        "seeds",
        "greedy",
        "drawn",
        "low",
        "high",
        "best_drawn",
        "human",
        "minutes",
    ];
    table.write_record(header)?;
    for agent in &suite.agents {
        for cell in cells(suite, ledger, &agent.name) {
            let scores = cell.values(|line| Some(score(line)));
            let interval = interval(std::slice::from_ref(&scores), |groups| mean(&groups[0]));
            let of = |values: Vec<f64>| (!values.is_empty()).then(|| mean(&values));
            let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            table.write_record([
                agent.name.clone(),
                cell.env.to_owned(),
                cell.lines.len().to_string(),
                or_empty(of(cell.values(|line| Some(line.last_greedy)))),
                or_empty(of(scores)),
                or_empty(interval.map(|(low, _)| low)),
                or_empty(interval.map(|(_, high)| high)),
                or_empty(of(cell.values(|line| line.best_sample))),
                or_empty(of(cell.normalised())),
                or_empty(cell.minutes()),
            ])?;
        }
    }
    Ok(String::from_utf8(table.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::line;
    use super::*;

    fn example() -> (SuiteFile, Ledger, tempfile::TempDir) {
        let suite = toml::from_str(
            "envs = ['pong', 'boxing', 'snake']\nseeds = [1, 2]\nframes = 1000\n[[agents]]\nname = 'ppo'\nalgo = 'ppo'\n\
             [[references]]\nname = 'Rainbow'\nscores = { pong = 15.2, boxing = 68 }\n",
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::read(&folder.path().join("ledger.csv")).unwrap();
        // The first line of seed 1 is replaced by a later one. Pong: random -20.7, human 14.6. Boxing: 0.1 and 12.1.
        for (env, seed, score) in [
            ("pong", 1, 0.0),
            ("pong", 1, 14.6),
            ("pong", 2, 14.6),
            ("boxing", 1, 24.1),
            ("snake", 2, 1_234.0),
        ] {
            ledger.add(line("ppo", env, seed, score)).unwrap();
        }
        (suite, ledger, folder)
    }

    #[test]
    fn a_table_has_the_newest_line_of_each_seed() {
        let (suite, ledger, _folder) = example();
        let text = markdown(&suite, &[], &ledger);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(
            rows[2],
            "| environment | seeds | greedy | drawn | best, drawn | human | Rainbow | minutes |"
        );
        assert_eq!(
            rows[4],
            "| pong | 2 | 15.6 [15.6, 15.6] | 14.6 [14.6, 14.6] | - | 100 % | 15.2 | 20.5 |"
        );
        assert_eq!(rows[5], "| boxing | 1 | 25.1 | 24.1 | - | 200 % | 68.0 | 20.5 |");
        assert_eq!(rows[6], "| snake | 1 | 1,235 | 1,234 | - | - | - | - |");
        // Of 100 % and 200 %: Boxing has one run only, so Pong's second one does not count.
        assert_eq!(
            rows[8],
            "Human-normalised over 2 games, 1 run of each: median 150 %, interquartile mean 150 %."
        );
        assert_eq!(rows.iter().filter(|row| row.starts_with("| ppo* | ")).count(), 4);
        assert!(
            text.contains("| ppo* | pong | 2 | 15.6 | 14.6 | - | - | - | 13.6 | 10,000,000 | 20.5† | 0123456789 |"),
            "{text}"
        );
    }

    #[test]
    fn aggregates_are_over_all_runs_where_games_have_equally_many() {
        let (suite, mut ledger, _folder) = example();
        ledger.add(line("ppo", "boxing", 2, 12.1)).unwrap();
        // The means are 100 % and 150 %; the runs are 100 %, 100 %, 100 % and 200 %, of which the middle two count.
        let text = markdown(&suite, &[], &ledger);
        let expected = "Human-normalised over 2 games, 2 runs of each: median 125 % [100 %, 150 %], interquartile mean 100 % [100 %, 150 %].";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_same_numbers_are_in_the_csv() {
        let (suite, ledger, _folder) = example();
        let text = csv(&suite, &ledger).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[1], "ppo,pong,2,15.6,14.6,14.6,14.6,,1,20.508333333333333");
        assert_eq!(rows[3], "ppo,snake,1,1235,1234,,,,,");
    }
}
