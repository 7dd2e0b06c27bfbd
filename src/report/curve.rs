//! Learning curves, mean score over frames, as an SVG.

use plotters::prelude::*;

use crate::run::metrics::WINDOW;

const SIZE: (u32, u32) = (800, 480);

/// A run's curve: millions of frames, and the mean score there.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Least and greatest, with some room, and never the same.
fn range(values: impl Iterator<Item = f64> + Clone, room: f64) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * room).max(1e-3);
    low - margin..high + margin
}

/// The picture of some curves, of which each has a point.
pub(crate) fn draw(curves: &[Curve]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let points = || curves.iter().flat_map(|curve| curve.points.iter());
        let last = range(points().map(|point| point.0), 0.0).end;
        let scores = range(points().map(|point| point.1), 0.05);
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..last, scores)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.1))
            .label_style(("sans-serif", 14))
            .x_desc("million frames")
            .y_desc(format!("mean score of the last {WINDOW} episodes"))
            .draw()?;
        for (i, curve) in curves.iter().enumerate() {
            let style = Palette99::pick(i).stroke_width(2);
            chart
                .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
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
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_of_one_point_and_a_flat_one_can_be_drawn() {
        for points in [vec![(1.0, -21.0)], vec![(0.5, 3.0), (1.0, 3.0)]] {
            let svg = draw(&[Curve {
                name: "pong-paac-1".to_owned(),
                points,
            }])
            .unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(svg.contains("pong-paac-1") && svg.contains("million frames"));
        }
    }
}
