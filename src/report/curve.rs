//! Learning curves, mean score over frames or time, as an SVG.

use clap::ValueEnum;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::run::metrics::WINDOW;

/// The size of a panel without the legend.
const SIZE: (u32, u32) = (800, 480);
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
    fn axes(self, curves: &[Curve]) -> Vec<Axis> {
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
    fn of(curves: &[Curve], value: fn(&Point) -> f64, units: &Units) -> Self {
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
    pub(crate) score: f64,
}

/// The curve of a run.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// The range of the values with some margin. If all are equal, the margin is their magnitude, so that ticks are round
/// numbers.
fn range(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let margin = if high > low {
        (high - low) * 0.05
    } else {
        (high.abs() * 0.1).max(1.0)
    };
    low - margin..high + margin
}

/// Formats a tick label.
fn tick(value: &f64) -> String {
    // Sums of steps such as 0.1 have errors far behind what anybody reads; -0 is 0.
    let rounded = (value * 1e6).round() / 1e6;
    (rounded + 0.0).to_string()
}

/// Draws the curves, each of which has at least one point.
pub(crate) fn draw(curves: &[Curve], over: Over) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let axes = over.axes(curves);
        let legend = LEGEND_LINE * curves.len() as u32 + LEGEND_LINE / 2;
        let size = (SIZE.0 * axes.len() as u32, SIZE.1 + legend);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let (panels, legend) = area.split_vertically(SIZE.1);
        let title = match curves {
            [curve] => format!("Learning curve of {}", curve.name),
            many => format!("Learning curves of {} runs", many.len()),
        };
        let panels = panels.titled(&title, ("sans-serif", 18))?;
        for (panel, axis) in panels.split_evenly((1, axes.len())).iter().zip(&axes) {
            draw_panel(panel, curves, axis)?;
        }
        draw_legend(&legend, curves)?;
        area.present()?;
    }
    Ok(svg)
}

fn color(curve: usize) -> RGBColor {
    COLORS[curve % COLORS.len()]
}

/// Draws the legend below the panels, one line per curve.
fn draw_legend(area: &DrawingArea<SVGBackend<'_>, Shift>, curves: &[Curve]) -> Result<(), Box<dyn std::error::Error>> {
    const LEFT: i32 = 80;
    for (i, curve) in curves.iter().enumerate() {
        let y = (LEGEND_LINE * i as u32 + LEGEND_LINE / 2) as i32;
        let line = vec![(LEFT, y), (LEFT + 24, y)];
        area.draw(&PathElement::new(line, color(i).stroke_width(2)))?;
        area.draw(&Text::new(curve.name.clone(), (LEFT + 32, y - 7), FONT))?;
    }
    Ok(())
}

fn draw_panel(
    panel: &DrawingArea<SVGBackend<'_>, Shift>,
    curves: &[Curve],
    axis: &Axis,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let last = points().map(|point| axis.at(point)).fold(0.0, f64::max);
    let last = if last > 0.0 { last } else { 1.0 };
    let scores = range(points().map(|point| point.score));
    // The title of the axis stands left of the widest label, never over it.
    let widest = [scores.start, scores.end].map(|score| tick(&score.round()).len() as u32 + 2);
    let mut chart = ChartBuilder::on(panel)
        .margin(16)
        .margin_right(24)
        .x_label_area_size(48)
        .y_label_area_size(28 + CHARACTER * widest[0].max(widest[1]))
        .build_cartesian_2d(0.0..last, scores)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style(FONT)
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .x_desc(axis.name)
        .y_desc(format!("mean score of the last {WINDOW} episodes"))
        .draw()?;
    for (i, curve) in curves.iter().enumerate() {
        let line = curve.points.iter().map(|point| (axis.at(point), point.score));
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
        let point = |&(frames, seconds, score)| Point { frames, seconds, score };
        let (name, points) = ("pong-ppo-1".to_owned(), points.iter().map(point).collect());
        Curve { name, points }
    }

    #[test]
    fn a_curve_of_one_point_is_a_point_and_a_flat_one_is_a_line() {
        for (points, dots) in [
            (&[(1e6, 60.0, -21.0)][..], 1),
            (&[(5e5, 30.0, 3.0), (1e6, 60.0, 3.0)], 0),
            (&[(0.0, 0.0, 0.0)], 1),
        ] {
            for (over, panels) in [(Over::Frames, 1), (Over::Time, 1), (Over::Both, 2)] {
                let svg = draw(&[curve(points)], over).unwrap();
                assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
                let count = |text| svg.matches(text).count();
                assert_eq!(count("<circle"), dots * panels);
                assert!(
                    count("Learning curve of pong-ppo-1") == 1 && !svg.contains("NaN"),
                    "{svg}"
                );
            }
        }
        // Sensible ticks around -21, not its neighbours behind the third decimal.
        let svg = draw(&[curve(&[(1e6, 60.0, -21.0)])], Over::Frames).unwrap();
        assert!(
            svg.contains("\n-21\n") && svg.contains("\n-22\n") && !svg.contains("-21.00"),
            "{svg}"
        );
    }

    #[test]
    fn units_suit_the_numbers() {
        let name = |over: Over, frames, seconds| over.axes(&[curve(&[(frames, seconds, 0.0)])])[0].name;
        for (frames, unit) in [(300.0, "frames"), (60e3, "thousand frames"), (2e6, "million frames")] {
            assert_eq!(name(Over::Frames, frames, 1.0), unit);
        }
        for (seconds, unit) in [(90.0, "seconds"), (240.0, "minutes"), (40_000.0, "hours")] {
            assert_eq!(name(Over::Time, 1.0, seconds), unit);
        }
        assert_eq!(
            [0.30000000000000004, -0.0, -20.0].map(|value| tick(&value)),
            ["0.3", "0", "-20"]
        );
    }
}
