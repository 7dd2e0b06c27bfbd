//! Curves of runs, a column of `metrics.csv` over frames or time, as an SVG.

use std::collections::BTreeMap;

use clap::ValueEnum;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::statistics::{interval, mean};

/// The size of a panel without the legend.
const SIZE: (u32, u32) = (800, 480);
/// The size of a panel of a grid.
const GRID_PANEL: (u32, u32) = (420, 300);
/// A line of the legend.
const LEGEND_LINE: u32 = 22;
const FONT: (&str, u32) = ("sans-serif", 14);
/// The maximum width of a character of the labels in pixels.
const CHARACTER: u32 = 9;

/// Colours that colour-blind readers can tell apart (Okabe and Ito 2008), darkest first, without yellow on white.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// The horizontal axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Over {
    /// Emulator frames
    #[default]
    Frames,
    /// Wall-clock time
    Time,
    /// Frames and time, side by side
    Both,
}

impl Over {
    /// The axes from left to right, in units that suit the data.
    fn axes(self, curves: &[&Curve]) -> Vec<Axis> {
        let frames = || Axis::of(curves, |point| point.frames, &FRAME_UNITS);
        let time = || Axis::of(curves, |point| point.seconds, &TIME_UNITS);
        match self {
            Over::Frames => vec![frames()],
            Over::Time => vec![time()],
            Over::Both => vec![frames(), time()],
        }
    }
}

/// An axis: its name, and the position of a point on it.
struct Axis {
    name: &'static str,
    value: fn(&Point) -> f64,
    unit: f64,
}

/// Units: name, size, and the value from which each is used; the first applies to everything smaller.
type Units = [(&'static str, f64, f64); 3];

const FRAME_UNITS: Units = [
    ("frames", 1.0, 0.0),
    ("thousand frames", 1e3, 5e3),
    ("million frames", 1e6, 1e6),
];
const TIME_UNITS: Units = [
    ("seconds", 1.0, 0.0),
    ("minutes", 60.0, 180.0),
    ("hours", 3_600.0, 3.0 * 3_600.0),
];

impl Axis {
    fn of(curves: &[&Curve], value: fn(&Point) -> f64, units: &Units) -> Self {
        let points = curves.iter().flat_map(|curve| &curve.points);
        let last = points.map(value).fold(0.0, f64::max);
        let suits = |(_, _, from): &&(&str, f64, f64)| last >= *from;
        let (name, unit, _) = units.iter().rev().find(suits).unwrap_or(&units[0]);
        Self {
            name,
            value,
            unit: *unit,
        }
    }

    fn at(&self, point: &Point) -> f64 {
        (self.value)(point) / self.unit
    }
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) frames: f64,
    pub(crate) seconds: f64,
    pub(crate) value: f64,
}

/// The curve of a run, or the mean of several.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
    /// The lower and the upper end of an interval around each point; empty for a single run.
    pub(crate) band: Vec<(f64, f64)>,
}

/// The number of points of a mean of curves.
const MEAN_POINTS: usize = 100;

impl Curve {
    /// The mean of the curves of several runs, over the frames that all of them have, with a band: the 95 % bootstrap interval of
    /// the mean. Values and seconds between two rows are interpolated linearly. One run stays as it is.
    pub(crate) fn mean_of(name: String, runs: Vec<Vec<Point>>) -> Self {
        let ends =
            |of: fn(&[Point]) -> Option<&Point>| runs.iter().filter_map(move |run| of(run)).map(|point| point.frames);
        let (first, last) = (
            ends(<[Point]>::first).fold(0.0, f64::max),
            ends(<[Point]>::last).fold(f64::INFINITY, f64::min),
        );
        if runs.len() < 2 || first >= last {
            let points = runs.into_iter().next().unwrap_or_default();
            return Self {
                name,
                points,
                band: Vec::new(),
            };
        }
        let (mut points, mut band) = (Vec::new(), Vec::new());
        for i in 0..MEAN_POINTS {
            let frames = first + (last - first) * i as f64 / (MEAN_POINTS - 1) as f64;
            let at: Vec<Point> = runs.iter().map(|run| interpolated(run, frames)).collect();
            let of = |value: fn(&Point) -> f64| at.iter().map(value).collect::<Vec<f64>>();
            let values = of(|point| point.value);
            band.extend(interval(std::slice::from_ref(&values), |groups| mean(&groups[0])));
            points.push(Point {
                frames,
                seconds: mean(&of(|point| point.seconds)),
                value: mean(&values),
            });
        }
        Self { name, points, band }
    }
}

/// A point between those of a run, whose frames grow.
fn interpolated(run: &[Point], frames: f64) -> Point {
    let after = run
        .partition_point(|point| point.frames < frames)
        .clamp(1, run.len() - 1);
    let (a, b) = (run[after - 1], run[after]);
    let share = (frames - a.frames) / (b.frames - a.frames);
    let between = |a: f64, b: f64| a + (b - a) * share;
    Point {
        frames,
        seconds: between(a.seconds, b.seconds),
        value: between(a.value, b.value),
    }
}

/// The range of the values with some margin. If all are equal, the margin is a tenth of their magnitude.
fn range(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let margin = if high > low {
        (high - low) * 0.05
    } else if high == 0.0 {
        1.0
    } else {
        high.abs() * 0.1
    };
    low - margin..high + margin
}

/// Formats the label of a tick on an axis that spans `span`. Sums of steps such as 0.1 have rounding errors, far below what is
/// displayed.
fn tick(value: f64, span: f64) -> String {
    let text = format!("{value:.*}", decimals(span / 1e5));
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The number of decimals that tell apart numbers a `step` apart.
fn decimals(step: f64) -> usize {
    (-step.log10()).ceil().clamp(0.0, 18.0) as usize
}

/// The mean of each point and of those before it, `rows` in all: fewer at the beginning.
pub(crate) fn smoothed(points: &[Point], rows: usize) -> Vec<Point> {
    let before = |i: usize| &points[(i + 1).saturating_sub(rows)..=i];
    let value = |i| mean(&before(i).iter().map(|point| point.value).collect::<Vec<f64>>());
    let smooth = |(i, point): (usize, &Point)| Point {
        value: value(i),
        ..*point
    };
    points.iter().enumerate().map(smooth).collect()
}

/// Draws the curves, each with at least one point; `y` names what they show.
pub(crate) fn draw(curves: &[Curve], over: Over, title: &str, y: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let axes = over.axes(&curves.iter().collect::<Vec<_>>());
        let legend = LEGEND_LINE * curves.len() as u32 + LEGEND_LINE / 2;
        let size = (SIZE.0 * axes.len() as u32, SIZE.1 + legend);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let (panels, legend) = area.split_vertically(SIZE.1);
        let panels = panels.titled(title, ("sans-serif", 18))?;
        let shown: Vec<(usize, &Curve)> = curves.iter().enumerate().collect();
        for (panel, axis) in panels.split_evenly((1, axes.len())).iter().zip(&axes) {
            draw_panel(panel, &shown, axis, y, None)?;
        }
        let names = curves.iter().map(|curve| curve.name.as_str()).enumerate();
        draw_legend(&legend, names)?;
        area.present()?;
    }
    Ok(svg)
}

/// A panel of a grid: its title, and its curves, each with a number that decides its colour.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) curves: Vec<(usize, Curve)>,
}

/// Draws panels side by side, with one legend for all, where curves with the same number share a line. Each panel has at
/// least one curve, and each curve one point.
pub(crate) fn draw_grid(panels: &[Panel], over: Over, y: &str) -> Result<String, Box<dyn std::error::Error>> {
    let cells: Vec<(&Panel, Axis)> = panels
        .iter()
        .flat_map(|panel| {
            let curves: Vec<&Curve> = panel.curves.iter().map(|(_, curve)| curve).collect();
            over.axes(&curves).into_iter().map(move |axis| (panel, axis))
        })
        .collect();
    let curves = panels.iter().flat_map(|panel| &panel.curves);
    let names: BTreeMap<usize, &str> = curves.map(|(number, curve)| (*number, curve.name.as_str())).collect();
    // Frames and time of a panel stand side by side, and four panels are a square.
    let most = if over == Over::Both || cells.len() == 4 { 2 } else { 3 };
    let columns = cells.len().clamp(1, most);
    let rows = cells.len().div_ceil(columns);
    let mut svg = String::new();
    {
        let height = GRID_PANEL.1 * rows as u32;
        let legend = LEGEND_LINE * names.len() as u32 + LEGEND_LINE / 2;
        let size = (GRID_PANEL.0 * columns as u32, height + legend);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let (grid, legend) = area.split_vertically(height);
        for (place, (panel, axis)) in grid.split_evenly((rows, columns)).iter().zip(&cells) {
            let shown: Vec<(usize, &Curve)> = panel.curves.iter().map(|(number, curve)| (*number, curve)).collect();
            draw_panel(place, &shown, axis, y, Some(&panel.title))?;
        }
        draw_legend(&legend, names)?;
        area.present()?;
    }
    Ok(svg)
}

fn color(curve: usize) -> RGBColor {
    COLORS[curve % COLORS.len()]
}

/// Draws the legend below the panels, one line per curve, each with its number.
fn draw_legend<'a>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    names: impl IntoIterator<Item = (usize, &'a str)>,
) -> Result<(), Box<dyn std::error::Error>> {
    const LEFT: i32 = 80;
    for (i, (number, name)) in names.into_iter().enumerate() {
        let y = (LEGEND_LINE * i as u32 + LEGEND_LINE / 2) as i32;
        let line = vec![(LEFT, y), (LEFT + 24, y)];
        area.draw(&PathElement::new(line, color(number).stroke_width(2)))?;
        area.draw(&Text::new(name.to_owned(), (LEFT + 32, y - 7), FONT))?;
    }
    Ok(())
}

fn draw_panel(
    panel: &DrawingArea<SVGBackend<'_>, Shift>,
    curves: &[(usize, &Curve)],
    axis: &Axis,
    y: &str,
    title: Option<&str>,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|(_, curve)| curve.points.iter());
    let band = || {
        curves
            .iter()
            .flat_map(|(_, curve)| curve.band.iter().flat_map(|(low, high)| [*low, *high]))
    };
    let last = points().map(|point| axis.at(point)).fold(0.0, f64::max);
    let last = if last > 0.0 { last } else { 1.0 };
    let values = range(points().map(|point| point.value).chain(band()));
    // The title of the axis stands left of the widest label, never over it.
    let span = values.end - values.start;
    let widest = [values.start, values.end].map(|value| format!("{value:.*}", decimals(span / 10.0)).len() as u32 + 1);
    let mut builder = ChartBuilder::on(panel);
    if let Some(title) = title {
        builder.caption(title, FONT);
    }
    let mut chart = builder
        .margin(16)
        .margin_right(24)
        .x_label_area_size(48)
        .y_label_area_size(28 + CHARACTER * widest[0].max(widest[1]))
        .build_cartesian_2d(0.0..last, values)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style(FONT)
        .x_label_formatter(&|value| tick(*value, last))
        .y_label_formatter(&|value| tick(*value, span))
        .x_desc(axis.name)
        .y_desc(y)
        .draw()?;
    for &(i, curve) in curves {
        if !curve.band.is_empty() {
            let x = || curve.points.iter().map(|point| axis.at(point));
            let low = x().zip(curve.band.iter().map(|(low, _)| *low));
            let high = x().zip(curve.band.iter().map(|(_, high)| *high));
            let outline: Vec<(f64, f64)> = low.chain(high.collect::<Vec<_>>().into_iter().rev()).collect();
            chart.draw_series(std::iter::once(Polygon::new(outline, color(i).mix(0.2).filled())))?;
        }
        let line = curve.points.iter().map(|point| (axis.at(point), point.value));
        match curve.points.as_slice() {
            [_] => {
                let dot = |at| Circle::new(at, 4, color(i).filled());
                chart.draw_series(line.map(dot))?;
            }
            _ => {
                chart.draw_series(LineSeries::new(line, color(i).stroke_width(2)))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64, f64)]) -> Curve {
        let point = |&(frames, seconds, value)| Point { frames, seconds, value };
        Curve {
            name: "pong-ppo-1".to_owned(),
            points: points.iter().map(point).collect(),
            band: Vec::new(),
        }
    }

    #[test]
    fn a_mean_of_runs_has_a_band_over_the_frames_that_all_have() {
        let runs = [
            &[(0.0, 0.0, 0.0), (100.0, 10.0, 10.0)][..],
            &[(20.0, 1.0, 2.0), (60.0, 5.0, 10.0), (100.0, 9.0, 20.0)],
        ];
        let mean = Curve::mean_of("both".to_owned(), runs.iter().map(|run| curve(run).points).collect());
        let (first, last) = (mean.points[0], mean.points[MEAN_POINTS - 1]);
        // At 20 frames, the first run has a fifth of its way.
        assert_eq!((first.frames, first.seconds, first.value), (20.0, 1.5, 2.0));
        assert_eq!((last.frames, last.seconds, last.value), (100.0, 9.5, 15.0));
        assert_eq!((mean.band[0], mean.band[MEAN_POINTS - 1]), ((2.0, 2.0), (10.0, 20.0)));
        let one = Curve::mean_of("one".to_owned(), vec![curve(runs[0]).points]);
        assert!(one.points.len() == 2 && one.band.is_empty());
    }

    #[test]
    fn a_grid_has_a_panel_for_each_title_and_one_legend() {
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            curves: vec![(
                1,
                Curve::mean_of(
                    "dqn".to_owned(),
                    vec![curve(&[(0.0, 0.0, 1.0), (9.0, 1.0, 2.0)]).points; 2],
                ),
            )],
        };
        let svg = draw_grid(
            &["pong", "boxing", "qbert", "breakout"].map(panel),
            Over::Frames,
            "score",
        )
        .unwrap();
        let count = |text: &str| svg.matches(text).count();
        assert_eq!(
            (
                count("\npong\n"),
                count("\nbreakout\n"),
                count("\ndqn\n"),
                count("<polygon")
            ),
            (1, 1, 1, 4)
        );
        // The second colour, although there is no first curve.
        assert_eq!([count("#0072B2"), count("#D55E00")], [0, 9]);
        let both = draw_grid(&["pong", "boxing"].map(panel), Over::Both, "score").unwrap();
        assert_eq!(
            (both.matches("\npong\n").count(), both.matches("<polygon").count()),
            (2, 4)
        );
        // Two rows and the legend; three columns of five panels.
        assert!(svg.contains("width=\"840\" height=\"633\""), "{svg}");
        let five = ["pong", "boxing", "qbert", "breakout", "freeway"].map(panel);
        let svg = draw_grid(&five, Over::Frames, "score").unwrap();
        assert!(svg.contains("width=\"1260\" height=\"633\""), "{svg}");
    }

    #[test]
    fn a_curve_of_one_point_is_a_point_and_a_flat_one_is_a_line() {
        for (points, dots) in [
            (&[(1e6, 60.0, -21.0)][..], 1),
            (&[(5e5, 30.0, 3.0), (1e6, 60.0, 3.0)], 0),
            (&[(0.0, 0.0, 0.0)], 1),
        ] {
            for (over, panels) in [(Over::Frames, 1), (Over::Time, 1), (Over::Both, 2)] {
                let svg = draw(&[curve(points)], over, "One run", "score").unwrap();
                assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
                let count = |text| svg.matches(text).count();
                assert_eq!(count("<circle"), dots * panels);
                assert!(
                    count("One run") == 1 && count("score") == panels && !svg.contains("NaN"),
                    "{svg}"
                );
            }
        }
        // Sensible ticks around -21, not its neighbours behind the third decimal.
        let svg = draw(&[curve(&[(1e6, 60.0, -21.0)])], Over::Frames, "", "").unwrap();
        assert!(
            svg.contains("\n-21\n") && svg.contains("\n-22\n") && !svg.contains("-21.00"),
            "{svg}"
        );
    }

    #[test]
    fn units_suit_the_numbers() {
        let name = |over: Over, frames, seconds| over.axes(&[&curve(&[(frames, seconds, 0.0)])])[0].name;
        for (frames, unit) in [(300.0, "frames"), (60e3, "thousand frames"), (2e6, "million frames")] {
            assert_eq!(name(Over::Frames, frames, 1.0), unit);
        }
        for (seconds, unit) in [(90.0, "seconds"), (240.0, "minutes"), (40_000.0, "hours")] {
            assert_eq!(name(Over::Time, 1.0, seconds), unit);
        }
        assert_eq!(
            [0.30000000000000004, -1e-17, -20.0].map(|value| tick(value, 30.0)),
            ["0.3", "0", "-20"]
        );
        assert_eq!(
            [2.5e-7, 3.0000000000000004e-7].map(|value| tick(value, 1e-7)),
            ["0.00000025", "0.0000003"]
        );
        assert_eq!(tick(1_500_000.0, 2e6), "1500000");
    }

    #[test]
    fn a_smoothed_value_is_the_mean_of_it_and_of_those_before() {
        let points = curve(&[(1.0, 1.0, 3.0), (2.0, 2.0, 5.0), (3.0, 3.0, 10.0), (4.0, 4.0, 0.0)]).points;
        let values = |rows| {
            smoothed(&points, rows)
                .iter()
                .map(|point| point.value)
                .collect::<Vec<f64>>()
        };
        assert_eq!(values(1), [3.0, 5.0, 10.0, 0.0]);
        assert_eq!(values(2), [3.0, 4.0, 7.5, 5.0]);
        assert_eq!(values(9), [3.0, 4.0, 6.0, 4.5]);
        assert_eq!(
            (smoothed(&points, 2)[2].frames, smoothed(&points, 2)[2].seconds),
            (3.0, 3.0)
        );
    }
}
