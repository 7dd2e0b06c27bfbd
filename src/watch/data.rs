//! The numbers in a run's files, read again and again while it trains.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::config::Config;
use crate::files;
use crate::run::dir::RunDir;
use crate::run::evaluations::{Evaluated, Evaluations};
use crate::run::state::State;

/// The rows of a CSV file of numbers; empty cells are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) header: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl Numbers {
    /// Reads the whole rows of a file; none if it does not exist yet.
    fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(&files::read(path)?).map_err(|error| anyhow!("`{}`: {error}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // The last row may be half written.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(whole.as_bytes());
        let header = table.headers()?.iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        for row in table.records() {
            let number = |cell: &str| cell.parse().ok().filter(|number: &f64| number.is_finite());
            rows.push(row?.iter().map(number).collect());
        }
        Ok(Self { header, rows })
    }

    /// The values of a column over those of the first, frames.
    pub(crate) fn column(&self, name: &str) -> Vec<(f64, f64)> {
        let Some(at) = self.header.iter().position(|other| other == name) else {
            return Vec::new();
        };
        let cell = |row: &Vec<Option<f64>>, at: usize| row.get(at).copied().flatten();
        let pairs = self.rows.iter().map(|row| Some((cell(row, 0)?, cell(row, at)?)));
        pairs.flatten().collect()
    }

    pub(crate) fn last(&self, name: &str) -> Option<f64> {
        self.column(name).last().map(|(_, value)| *value)
    }

    fn last_row(&self) -> &[Option<f64>] {
        self.rows.last().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// A run as it is now.
pub(crate) struct Snapshot {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) metrics: Numbers,
    pub(crate) evaluations: Evaluations,
    /// The current epsilon of each actor.
    pub(crate) epsilons: Vec<f64>,
    /// The frames of the newest checkpoint.
    pub(crate) checkpoint: Option<u64>,
}

impl Snapshot {
    pub(crate) fn of(dir: &RunDir) -> anyhow::Result<Self> {
        let config = Config::read(&dir.config())?;
        let epsilons = Numbers::read(&dir.epsilons())?;
        Ok(Self {
            path: dir.path().to_owned(),
            state: State::of(dir, &config)?,
            config,
            metrics: Numbers::read(&dir.metrics())?,
            evaluations: Evaluations::read(&dir.evaluations())?,
            epsilons: epsilons.last_row().iter().skip(1).copied().flatten().collect(),
            checkpoint: dir.checkpoints()?.last().copied(),
        })
    }

    /// Frames played, of how many.
    pub(crate) fn frames(&self) -> (u64, u64) {
        let played = self.metrics.last("frames").unwrap_or(0.0) as u64;
        (played, self.config.run.frames)
    }

    /// The seconds left at the speed of the last row, while it trains.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        let speed = self.metrics.last("frames_per_second").filter(|speed| *speed > 0.0)?;
        let (played, all) = self.frames();
        (self.state == State::Training).then(|| all.saturating_sub(played) as f64 / speed)
    }

    pub(crate) fn evaluated(&self) -> &[Evaluated] {
        self.evaluations.all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_over_frames_and_leave_out_what_is_empty() {
        let numbers = Numbers::parse("frames,loss,score\n100,0.5,\n200,0.25,-21\n300,NaN,-20.5\n400,0.1").unwrap();
        assert_eq!(numbers.column("loss"), [(100.0, 0.5), (200.0, 0.25)]);
        assert_eq!(numbers.column("score"), [(200.0, -21.0), (300.0, -20.5)]);
        assert_eq!(numbers.last("frames"), Some(300.0));
        assert_eq!(numbers.column("entropy"), []);
        assert_eq!(Numbers::parse("").unwrap(), Numbers::default());
    }
}
