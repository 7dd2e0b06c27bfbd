//! Draws the dashboard.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, LineGauge, Paragraph};

use super::data::Snapshot;
use crate::commands::plot::MEAN_SCORE;
use crate::count::short;
use crate::play::picture::Picture;
use crate::play::terminal::{Colors, Screen};
use crate::report::numbers::number;
use crate::run::metrics::WINDOW;
use crate::run::progress::in_short;
use crate::run::state::State;

/// Columns that are counters or times, which have no curve of their own.
const NOT_DRAWN: [&str; 3] = ["frames", "steps", "seconds"];

/// What is shown beside the numbers.
pub(crate) struct View<'a> {
    pub(crate) run: &'a Snapshot,
    /// The column of the large curve.
    pub(crate) column: &'a str,
    pub(crate) stage: Stage<'a>,
    pub(crate) colors: Colors,
    /// An error, or what is about to happen.
    pub(crate) note: Option<&'a str>,
    /// What the keys do.
    pub(crate) keys: &'a str,
}

/// The pane that shows the agent.
#[derive(Clone, Copy)]
pub(crate) enum Stage<'a> {
    Off,
    /// Why there is nothing to see.
    Empty(&'a str),
    Picture {
        picture: &'a Picture,
        caption: &'a str,
    },
}

/// The columns that can be drawn, those that matter most first.
pub(crate) fn columns(run: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> = run.metrics.header.clone();
    names.retain(|name| !NOT_DRAWN.contains(&name.as_str()) && !run.metrics.column(name).is_empty());
    names.sort_by_key(|name| match name.as_str() {
        MEAN_SCORE => 0,
        "loss" | "entropy" | "grad_norm" => 1,
        "frames_per_second" | "episodes" | "updates" => 3,
        _ => 2,
    });
    if names.first().is_none_or(|first| first != MEAN_SCORE) {
        names.insert(0, MEAN_SCORE.to_owned());
    }
    names
}

pub(crate) fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let area = frame.area();
    let (wide, has_stage) = (area.width >= 60, !matches!(view.stage, Stage::Off));
    let names = columns(view.run);
    let small: Vec<&String> = names.iter().filter(|name| *name != view.column).collect();
    let per_row = if wide { 2 } else { 1 };
    let rows = small.len().div_ceil(per_row) as u16;
    // The curve has half of the height, the small ones what is left.
    let rows = rows.min(area.height.saturating_sub(4) * 2 / 5);
    let [title, gauge, middle, numbers, epsilons, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(rows),
        Constraint::Length(u16::from(area.height >= 12)),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(heading(view.run), title);
    frame.render_widget(progress(view.run), gauge);
    match (has_stage, wide) {
        (true, true) => {
            // The Atari's screen is 4:3, and a character twice as high as wide.
            let width = (middle.height * 8 / 3 + 2).min(middle.width / 2);
            let [left, right] = Layout::horizontal([Constraint::Min(10), Constraint::Length(width)]).areas(middle);
            curve(frame, view, left);
            stage(frame, view, right);
        }
        (true, false) => stage(frame, view, middle),
        (false, _) => curve(frame, view, middle),
    }
    let per_column = usize::from(numbers.height);
    let columns = Layout::horizontal(vec![Constraint::Fill(1); per_row]).split(numbers);
    for (area, names) in columns.iter().zip(small.chunks(per_column.max(1))) {
        let width = usize::from(area.width);
        let lines: Vec<Line<'_>> = names.iter().map(|name| small_curve(view.run, name, width)).collect();
        frame.render_widget(Paragraph::new(lines), *area);
    }
    frame.render_widget(of_epsilons(&view.run.epsilons, usize::from(area.width)), epsilons);
    let last = match view.note {
        Some(note) => Line::from(note.to_owned()).yellow(),
        None => Line::from(view.keys.to_owned()).dim(),
    };
    frame.render_widget(last, keys);
}

fn heading(run: &Snapshot) -> Line<'static> {
    let state = match run.state {
        State::Training => Span::from("training").green(),
        State::Finished => Span::from("finished").cyan(),
        State::Stopped | State::Empty => Span::from(run.state.name()).red(),
    };
    let what = format!(
        " {} on {}, {}",
        run.config.run.algo.name(),
        run.config.run.env,
        run.path.display()
    );
    Line::from(vec![state, Span::from(what)])
}

fn progress(run: &Snapshot) -> LineGauge<'static> {
    let (played, all) = run.frames();
    let mut text = format!("{}/{}", short(played), short(all));
    if let Some(speed) = run.metrics.last("frames_per_second")
        && run.state == State::Training
    {
        text += &format!(" {} frames/s", number(speed));
    }
    if let Some(left) = run.seconds_left() {
        text += &format!(" ETA {}", in_short(left));
    } else if let Some(seconds) = run.metrics.last("seconds") {
        text += &format!(" in {}", in_short(seconds));
    }
    LineGauge::default()
        .ratio((played as f64 / all.max(1) as f64).clamp(0.0, 1.0))
        .filled_style(Style::new().fg(Color::Cyan))
        .label(text)
}

/// The units of the horizontal axis.
fn frames_in_words(frames: f64) -> String {
    short(frames as u64)
}

fn curve(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let points = view.run.metrics.column(view.column);
    let evaluated: Vec<(f64, f64)> = match view.column {
        MEAN_SCORE => view
            .run
            .evaluated()
            .iter()
            .map(|evaluated| (evaluated.frames as f64, evaluated.mean))
            .collect(),
        _ => Vec::new(),
    };
    let title = match (view.column, points.last()) {
        (MEAN_SCORE, Some((_, last))) => format!(" score of {WINDOW} episodes: {} ", number(*last)),
        (MEAN_SCORE, None) => " no episode has ended yet ".to_owned(),
        (name, Some((_, last))) => format!(" {name}: {last:.4} "),
        (name, None) => format!(" {name} "),
    };
    let mut block = Block::bordered().title(title);
    if let Some((_, last)) = evaluated.last() {
        block = block.title_bottom(format!(" evaluations: {} ", number(*last)).yellow());
    }
    let all = || points.iter().chain(&evaluated);
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, value)| {
        (low.min(*value), high.max(*value))
    });
    let last = all().map(|(frames, _)| *frames).fold(1.0, f64::max);
    let (low, high) = if low > high {
        (0.0, 1.0)
    } else if low == high {
        (low - 0.5, high + 0.5)
    } else {
        (low, high)
    };
    let datasets = vec![
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(Color::Cyan))
            .data(&points),
        Dataset::default()
            .marker(Marker::Dot)
            .graph_type(GraphType::Scatter)
            .style(Style::new().fg(Color::Yellow))
            .data(&evaluated),
    ];
    let label = |value: f64| Span::from(number(value));
    let chart = Chart::new(datasets)
        .block(block)
        .x_axis(
            Axis::default()
                .bounds([0.0, last])
                .labels([Span::from("0"), Span::from(frames_in_words(last))]),
        )
        .y_axis(Axis::default().bounds([low, high]).labels([label(low), label(high)]));
    frame.render_widget(chart, area);
}

fn stage(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let title = match view.run.checkpoint {
        Some(frames) => format!(" after {} ", short(frames)),
        None => " - ".to_owned(),
    };
    let mut block = Block::bordered().title(title);
    let inner = block.inner(area);
    match view.stage {
        Stage::Off => return,
        Stage::Empty(why) => {
            let text = Paragraph::new(why.to_owned()).wrap(ratatui::widgets::Wrap { trim: true });
            frame.render_widget(text, inner);
        }
        Stage::Picture { picture, caption } => {
            block = block.title_bottom(format!(" {caption} "));
            let colors = view.colors;
            frame.render_widget(Screen { picture, colors }, inner);
        }
    }
    frame.render_widget(block, area);
}

/// The eight heights of a character.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A curve as high as a line: the means of equally many values, from the least to the greatest.
pub(crate) fn sparkline(values: &[f64], width: usize) -> String {
    let width = width.min(values.len());
    let mean = |i: usize| {
        let range = i * values.len() / width..(i + 1) * values.len() / width;
        let count = range.len() as f64;
        values[range].iter().sum::<f64>() / count
    };
    let means: Vec<f64> = (0..width).map(mean).collect();
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let most = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let height = |value: &f64| {
        let share = if most > least {
            (value - least) / (most - least)
        } else {
            0.0
        };
        HEIGHTS[((share * 8.0) as usize).min(7)]
    };
    means.iter().map(height).collect()
}

fn small_curve(run: &Snapshot, name: &str, width: usize) -> Line<'static> {
    let values: Vec<f64> = run.metrics.column(name).iter().map(|(_, value)| *value).collect();
    let last = values
        .last()
        .map_or_else(|| "-".to_owned(), |last| value_in_short(*last));
    let text = format!("{name:<18.18} {last:>9} ");
    let left = width.saturating_sub(text.chars().count() + 2);
    Line::from(vec![
        Span::from(text),
        Span::from(sparkline(&values, left.min(40))).cyan(),
    ])
}

/// Four significant digits, whatever the size.
fn value_in_short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        0.001..1e5 => {
            let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
            format!("{value:.digits$}")
        }
        _ => format!("{value:.2e}"),
    }
}

fn of_epsilons(epsilons: &[f64], width: usize) -> Line<'static> {
    if epsilons.is_empty() {
        return Line::default();
    }
    let least = epsilons.iter().copied().fold(f64::INFINITY, f64::min);
    let most = epsilons.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let text = format!(
        "epsilon of {} actors, {} to {} ",
        epsilons.len(),
        value_in_short(least),
        value_in_short(most)
    );
    let left = width.saturating_sub(text.chars().count());
    Line::from(vec![Span::from(text), Span::from(sparkline(epsilons, left)).yellow()])
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::config::{Config, Request};
    use crate::run::dir::RunDir;

    #[test]
    fn a_sparkline_goes_from_the_least_to_the_greatest() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0], 10), "▁▃▆█");
        // Means of two.
        assert_eq!(sparkline(&[0.0, 2.0, 5.0, 5.0, 1.0, 1.0], 3), "▁█▁");
        assert_eq!(sparkline(&[7.0, 7.0], 5), "▁▁");
        assert_eq!(sparkline(&[], 5), "");
        assert_eq!(sparkline(&[1.0], 0), "");
    }

    /// A run on Pong that was killed, with some rows.
    fn snapshot() -> (tempfile::TempDir, Snapshot) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::resolve(&Request {
            env: Some("pong".parse().unwrap()),
            frames: Some(1_000_000),
            ..Request::default()
        });
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("config.toml", &config.unwrap().to_toml().unwrap());
        let rows = (1..=10).map(|i| format!("{},{i},{},{},0.5\n", i * 50_000, 4_000 + i, -21.0 + f64::from(i)));
        let header = "frames,seconds,frames_per_second,mean_score,entropy\n";
        write("metrics.csv", &(header.to_owned() + &rows.collect::<String>()));
        write(
            "eval.csv",
            "frames,episode,score,steps\n250000,0,-17,900\n250000,1,-16,900\n",
        );
        write("epsilons.csv", "frames,actor_0,actor_1\n0,0.1,0.2\n");
        std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let run = Snapshot::of(&RunDir::open(folder.path()).unwrap()).unwrap();
        (folder, run)
    }

    fn drawn(run: &Snapshot, stage: Stage<'_>, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let view = View {
            run,
            column: MEAN_SCORE,
            stage,
            colors: Colors::True,
            note: None,
            keys: "q quits",
        };
        terminal.draw(|frame| draw(frame, &view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_run_is_drawn_on_terminals_of_all_sizes() {
        let (_folder, run) = snapshot();
        let picture = Picture {
            width: 160,
            height: 210,
            pixel_aspect: 2,
            rgb: vec![99; 3 * 160 * 210],
        };
        let stage = Stage::Picture {
            picture: &picture,
            caption: "score 3",
        };
        let large = drawn(&run, stage, 80, 24);
        for part in [
            "empty ppo on atari/pong",
            "500k/1M in 10s",
            " score of 100 episodes: -11.0 ",
            " evaluations: -16.5 ",
            " score 3 ",
            "▀▀▀▀▀",
            "entropy               0.5000",
            "epsilon of 2 actors, 0.1000 to 0.2000 ▁█",
            "q quits",
        ] {
            assert!(large.contains(part), "{part}\n{large}");
        }
        let small = drawn(&run, Stage::Off, 40, 20);
        assert!(
            small.contains("score of 100 episodes: -11.0") && small.contains("q quits"),
            "{small}"
        );
        for (width, height) in [(1, 1), (5, 2), (20, 5), (61, 8), (300, 100)] {
            drawn(&run, stage, width, height);
            drawn(&run, Stage::Empty("no checkpoint yet"), width, height);
        }
    }

    #[test]
    fn values_have_four_digits() {
        let texts = [0.0, 0.6123, -1.5, 123.456, 99_999.0, 1e6, 0.000_25, 0.0012].map(value_in_short);
        assert_eq!(
            texts,
            [
                "0", "0.6123", "-1.500", "123.5", "99999", "1.00e6", "2.50e-4", "0.001200"
            ]
        );
    }
}
