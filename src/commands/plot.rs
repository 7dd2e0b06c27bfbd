//! `coinop plot`: the learning curves of runs, mean score over frames or time, as an SVG.

use std::path::Path;

use anyhow::{anyhow, bail};

use crate::cli::PlotArgs;
use crate::count::counted;
use crate::report::curve::{Curve, Point, draw};
use crate::run::dir::RunDir;
use crate::{files, output};

pub(crate) fn run(args: &PlotArgs) -> anyhow::Result<()> {
    files::check_svg(&args.output, "curves are")?;
    let curves = args
        .runs
        .iter()
        .map(|run| read_curve(run))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let svg = draw(&curves, args.over).map_err(|error| anyhow!("can't draw the curves: {error}"))?;
    files::write(&args.output, &svg)?;
    let what = counted(curves.len(), "curve");
    output::say(&format!("{what} drawn into {}", args.output.display()));
    Ok(())
}

fn read_curve(run: &Path) -> anyhow::Result<Curve> {
    let dir = RunDir::open(run)?;
    let points = read_points(run)?;
    if points.is_empty() {
        bail!("`{}` has no score yet: no episode has ended", dir.metrics().display());
    }
    let name = dir
        .path()
        .file_name()
        .unwrap_or(dir.path().as_os_str())
        .to_string_lossy()
        .into_owned();
    Ok(Curve {
        name,
        points,
        band: Vec::new(),
    })
}

/// The points of a run's curve; none before its first score.
pub(crate) fn read_points(run: &Path) -> anyhow::Result<Vec<Point>> {
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
    parse_points(rows).map_err(|error| anyhow!("`{}`: {error}", path.display()))
}

/// The complete lines: a killed run may leave half a line, whose last number could be wrong.
fn whole_lines(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

/// Parses the columns `frames`, `seconds` and `mean_score` of a `metrics.csv`, skipping rows before the first score.
fn parse_points(text: &str) -> anyhow::Result<Vec<Point>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = table.headers()?.clone();
    if header.is_empty() {
        return Ok(Vec::new());
    }
    let column = |name| {
        let found = header.iter().position(|other| other == name);
        found.ok_or_else(|| anyhow!("there is no column `{name}`"))
    };
    let (frames, seconds, score) = (column("frames")?, column("seconds")?, column("mean_score")?);
    let mut points = Vec::new();
    for row in table.records() {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() != header.len() {
            bail!("line {line} has {} fields instead of {}", row.len(), header.len());
        }
        if row[score].is_empty() {
            continue;
        }
        let field = |at: usize| -> anyhow::Result<f64> {
            let value = row[at].parse().ok().filter(|value: &f64| value.is_finite());
            value.ok_or_else(|| anyhow!("line {line} has `{}` where a number should be", &row[at]))
        };
        points.push(Point {
            frames: field(frames)?,
            seconds: field(seconds)?,
            score: field(score)?,
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
        let point = |frames, seconds, score| Point { frames, seconds, score };
        let points = [point(2e6, 2.0, -20.5), point(3e6, 3.0, -20.0)];
        assert_eq!(parse_points(text).unwrap(), points);
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
        let error = |text| parse_points(text).unwrap_err().to_string();
        assert_eq!(error("frames,seconds\n"), "there is no column `mean_score`");
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
