//! `coinop plot`: the curves of runs, a column of `metrics.csv` over frames or time, as an SVG.

use std::path::Path;

use anyhow::{anyhow, bail};

use crate::cli::PlotArgs;
use crate::config::Config;
use crate::count::counted;
use crate::report::curve::{Curve, Point, draw, smoothed};
use crate::report::groups::{Group, groups};
use crate::report::human::normalised;
use crate::run::dir::RunDir;
use crate::run::metrics::WINDOW;
use crate::{files, output};

/// The column that is drawn unless another is asked for.
pub(crate) const MEAN_SCORE: &str = "mean_score";

pub(crate) fn run(args: &PlotArgs) -> anyhow::Result<()> {
    files::check_picture(&args.output, "curves are")?;
    let series = Series {
        human: args.human_normalized,
        ..Series::of(&args.y, args.smooth)
    };
    let curves = groups(&args.runs, args.each)?
        .iter()
        .map(|group| curve(group, &series))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let title = match curves.as_slice() {
        [curve] => format!("Learning curve of {}", curve.name),
        _ => format!("Learning curves of {} runs", args.runs.len()),
    };
    let svg = draw(&curves, args.over, &title, &series.title());
    let svg = svg.map_err(|error| anyhow!("can't draw the curves: {error}"))?;
    files::write_picture(&args.output, &svg)?;
    let what = counted(curves.len(), "curve");
    output::say(&format!("{what} drawn into {}", args.output.display()));
    Ok(())
}

pub(crate) fn curve(group: &Group<'_>, series: &Series<'_>) -> anyhow::Result<Curve> {
    let mut runs = Vec::new();
    for run in &group.runs {
        let points = series.read(run)?;
        if points.is_empty() {
            bail!(series.nothing(run)?);
        }
        runs.push(points);
    }
    Ok(Curve::mean_of(group.name.clone(), runs))
}

/// What is drawn of each run.
pub(crate) struct Series<'a> {
    /// A column of `metrics.csv`.
    column: &'a str,
    /// The number of rows whose mean is drawn.
    smooth: usize,
    /// Whether scores are human-normalised.
    human: bool,
}

impl<'a> Series<'a> {
    pub(crate) fn of(column: &'a str, smooth: usize) -> Self {
        Self {
            column,
            smooth,
            human: false,
        }
    }

    /// What the vertical axis shows.
    pub(crate) fn title(&self) -> String {
        let what = match self.column {
            MEAN_SCORE => format!("mean score of the last {WINDOW} episodes"),
            column => column.to_owned(),
        };
        let what = if self.human {
            format!("human-normalised {what}")
        } else {
            what
        };
        match self.smooth {
            1 => what,
            rows => format!("{what}, mean of {rows} rows"),
        }
    }

    /// The points of a run's curve; none before its first score.
    pub(crate) fn read(&self, run: &Path) -> anyhow::Result<Vec<Point>> {
        let dir = RunDir::open(run)?;
        let path = dir.metrics();
        let text = files::read(&path)?;
        let rows = whole_lines(&text);
        if rows.len() < text.len() {
            output::say(&format!(
                "note: `{}` ends in the middle of a row, which is left out",
                path.display()
            ));
        }
        let mut points = parse_points(rows, self.column).map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
        if self.human {
            normalise(&dir, &mut points)?;
        }
        Ok(smoothed(&points, self.smooth))
    }

    /// Why there is nothing to draw of a run.
    fn nothing(&self, run: &Path) -> anyhow::Result<String> {
        let path = RunDir::open(run)?.metrics();
        Ok(match self.column {
            MEAN_SCORE => format!("`{}` has no score yet: no episode has ended", path.display()),
            column => format!("`{}` has no value of `{column}` yet", path.display()),
        })
    }
}

/// Turns the scores of a run into human-normalised ones.
fn normalise(dir: &RunDir, points: &mut [Point]) -> anyhow::Result<()> {
    let config = Config::read(&dir.config())?;
    let env = config.env_info()?;
    for point in points {
        let normalised = env.atari(&config.env).and_then(|_| normalised(env.short, point.value));
        point.value = normalised.ok_or_else(|| {
            anyhow!(
                "`{}`: {} has no human-normalised scores, which are defined for 57 Atari games",
                dir.path().display(),
                env.id()
            )
        })?;
    }
    Ok(())
}

/// The complete lines: a killed run may leave half a line, whose last number could be wrong.
fn whole_lines(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

/// Parses the columns `frames`, `seconds` and `wanted` of a `metrics.csv`, skipping rows that have no value there.
fn parse_points(text: &str, wanted: &str) -> anyhow::Result<Vec<Point>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = table.headers()?.clone();
    if header.is_empty() {
        return Ok(Vec::new());
    }
    let column = |name| {
        let found = header.iter().position(|other| other == name);
        found.ok_or_else(|| {
            anyhow!(
                "there is no column `{name}`: choose one of {}",
                header.iter().collect::<Vec<_>>().join(", ")
            )
        })
    };
    let (frames, seconds, value) = (column("frames")?, column("seconds")?, column(wanted)?);
    let mut points = Vec::new();
    for row in table.records() {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() != header.len() {
            bail!("line {line} has {} fields instead of {}", row.len(), header.len());
        }
        if row[value].is_empty() {
            continue;
        }
        let field = |at: usize| -> anyhow::Result<f64> {
            let value = row[at].parse().ok().filter(|value: &f64| value.is_finite());
            value.ok_or_else(|| anyhow!("line {line} has `{}` where a number should be", &row[at]))
        };
        points.push(Point {
            frames: field(frames)?,
            seconds: field(seconds)?,
            value: field(value)?,
        });
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_before_the_first_score_are_left_out() {
        let text = "frames,seconds,mean_score\n1000000,1,\n2000000,2,-20.5\n3000000,3,-20\n";
        let point = |frames, seconds, value| Point { frames, seconds, value };
        let points = [point(2e6, 2.0, -20.5), point(3e6, 3.0, -20.0)];
        assert_eq!(parse_points(text, MEAN_SCORE).unwrap(), points);
        assert_eq!(parse_points(text, "seconds").unwrap()[0], point(1e6, 1.0, 1.0));
    }

    #[test]
    fn a_line_that_does_not_end_is_left_out() {
        assert_eq!(
            whole_lines("frames,mean_score\n1,-21\n2,-2"),
            "frames,mean_score\n1,-21\n"
        );
        assert_eq!(whole_lines("frames,mean_score\n1,-21\n"), "frames,mean_score\n1,-21\n");
        assert_eq!(whole_lines("frames,mea"), "");
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line() {
        let error = |text| parse_points(text, MEAN_SCORE).unwrap_err().to_string();
        assert_eq!(
            error("frames,seconds\n"),
            "there is no column `mean_score`: choose one of frames, seconds"
        );
        assert_eq!(
            error("frames,seconds,mean_score\n1,1,2\n3\n"),
            "line 3 has 1 fields instead of 3"
        );
        assert_eq!(
            error("frames,seconds,mean_score\n1,1,two\n"),
            "line 2 has `two` where a number should be"
        );
    }
}
