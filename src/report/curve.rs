//! Learning curves, mean score over frames or time, as an SVG.

use clap::ValueEnum;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::run::metrics::WINDOW;

const SIZE: (u32, u32) = (800, 480);

/// What a picture shows scores over.
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
    /// The axes, from left to right.
    fn axes(self) -> &'static [Axis] {
        match self {
            Over::Frames => &[FRAMES],
            Over::Time => &[TIME],
            Over::Both => &[FRAMES, TIME],
        }
    }
}

/// What an axis is called, and what a point has there.
type Axis = (&'static str, fn(&Point) -> f64);

const FRAMES: Axis = ("million frames", |point| point.frames / 1e6);
const TIME: Axis = ("minutes", |point| point.seconds / 60.0);

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) frames: f64,
    pub(crate) seconds: f64,
    pub(crate) score: f64,
}

/// A run's curve.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// Least and greatest, with some room, and never the same.
fn range(values: impl Iterator<Item = f64> + Clone, room: f64) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * room).max(1e-3);
    low - margin..high + margin
}

/// The picture of some curves, of which each has a point.
pub(crate) fn draw(curves: &[Curve], over: Over) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let axes = over.axes();
        let size = (SIZE.0 * axes.len() as u32, SIZE.1);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        for (panel, &(name, x)) in area.split_evenly((1, axes.len())).iter().zip(axes) {
            draw_panel(panel, curves, name, x)?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn draw_panel(
    panel: &DrawingArea<SVGBackend<'_>, Shift>,
    curves: &[Curve],
    name: &str,
    x: fn(&Point) -> f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let last = range(points().map(x), 0.0).end;
    let scores = range(points().map(|point| point.score), 0.05);
    let mut chart = ChartBuilder::on(panel)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..last, scores)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style(("sans-serif", 14))
        .x_desc(name)
        .y_desc(format!("mean score of the last {WINDOW} episodes"))
        .draw()?;
    for (i, curve) in curves.iter().enumerate() {
        let style = Palette99::pick(i).stroke_width(2);
        let line = curve.points.iter().map(|point| (x(point), point.score));
        chart
            .draw_series(LineSeries::new(line, style))?
            .label(curve.name.as_str())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_of_one_point_and_a_flat_one_can_be_drawn() {
        let point = |frames, score| Point {
            frames,
            seconds: 60.0,
            score,
        };
        for points in [vec![point(1e6, -21.0)], vec![point(5e5, 3.0), point(1e6, 3.0)]] {
            let name = "pong-paac-1".to_owned();
            let curve = Curve { name, points };
            for (over, frames, minutes) in [(Over::Frames, 1, 0), (Over::Time, 0, 1), (Over::Both, 1, 1)] {
                let svg = draw(std::slice::from_ref(&curve), over).unwrap();
                assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
                let count = |text| svg.matches(text).count();
                assert_eq!((count("million frames"), count("minutes")), (frames, minutes));
                assert_eq!(count("pong-paac-1"), frames + minutes);
            }
        }
    }
}
