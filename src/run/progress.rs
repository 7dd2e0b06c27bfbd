//! Progress display: a live line on a terminal, plain lines every ten seconds elsewhere.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coinop_agents::Progress;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::count::short;
use crate::output;
use crate::run::metrics::Scores;

/// The interval of plain lines.
const PLAIN: Duration = Duration::from_secs(10);
/// The interval of live updates.
const LIVE: Duration = Duration::from_millis(200);
/// The period over which speed is averaged.
const STRETCH: Duration = Duration::from_secs(15);

/// The width of the bar in columns.
const BAR: usize = 12;

/// The trainer's metrics to show, if it has them.
const SHOWN: [&str; 2] = ["loss", "entropy"];

/// A progress line.
pub(crate) struct Line {
    /// `None` if lines cannot be redrawn.
    bar: Option<ProgressBar>,
    total: u64,
    next: Instant,
}

impl Line {
    /// Creates a line for work that is complete at `total`.
    pub(crate) fn new(total: u64) -> Self {
        let bar = output::is_live().then(|| {
            let bar = ProgressBar::new(total);
            let template = format!("{{bar:{BAR}}} {{msg}}");
            if let Ok(style) = ProgressStyle::with_template(if has_bar() { &template } else { "{msg}" }) {
                bar.set_style(style);
            }
            bar
        });
        let mut line = Self {
            bar,
            total,
            next: Instant::now(),
        };
        line.next += line.pause();
        line
    }

    fn pause(&self) -> Duration {
        if self.bar.is_some() { LIVE } else { PLAIN }
    }

    /// Whether an update is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Shows that the work is at `position`.
    pub(crate) fn show(&mut self, now: Instant, position: u64, text: String) {
        self.next = now + self.pause();
        match &self.bar {
            Some(bar) => {
                bar.set_position(position.min(self.total));
                bar.set_message(text);
            }
            None => output::say(&text),
        }
    }

    /// The columns available for text; unlimited if lines cannot be redrawn.
    fn columns(&self) -> usize {
        if self.bar.is_none() {
            return usize::MAX;
        }
        // A terminal that breaks lines does so behind the last column.
        let bar = if has_bar() { BAR + 1 } else { 0 };
        output::columns().saturating_sub(bar + 1)
    }

    /// Removes the live line.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Whether there is room for a bar.
fn has_bar() -> bool {
    output::columns() >= 60
}

/// Joins as many parts as fit into `columns`. Parts with the highest ranks are dropped first.
fn fitted(mut parts: Vec<(u8, String)>, columns: usize) -> String {
    loop {
        let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
        let line = texts.join("  ");
        let last = parts.iter().enumerate().max_by_key(|(_, (rank, _))| *rank);
        match last {
            Some((at, _)) if parts.len() > 1 && line.chars().count() > columns => drop(parts.remove(at)),
            _ => return line,
        }
    }
}

/// A time in short: `2m`.
pub(crate) fn in_short(seconds: f64) -> String {
    format!("{:#}", HumanDuration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9))))
}

/// Shows the progress of a run.
pub(crate) struct Display {
    line: Line,
    speed: Speed,
}

impl Display {
    /// Creates a display for a run that has already played `begun` frames.
    pub(crate) fn new(total_frames: u64, begun: u64) -> Self {
        Self {
            line: Line::new(total_frames),
            speed: Speed::new(Instant::now(), begun),
        }
    }

    /// Shows the state of the run, if an update is due.
    pub(crate) fn update(&mut self, progress: &Progress<'_>, scores: &Scores) {
        let now = Instant::now();
        if self.line.is_due(now) {
            self.speed.add(now, progress.frames);
            let text = self.text(progress, scores);
            self.line.show(now, progress.frames, text);
        }
    }

    /// Removes the live line.
    pub(crate) fn finish(&self) {
        self.line.finish();
    }

    fn text(&self, progress: &Progress<'_>, scores: &Scores) -> String {
        let mut parts = vec![(
            0,
            format!("{}/{} frames", short(progress.frames), short(self.line.total)),
        )];
        let speed = self.speed.frames_per_second();
        parts.push((2, format!("{speed:.0} frames/s")));
        let score = match scores.mean() {
            Some(mean) => format!("score {mean:.2}"),
            None => "score -".to_owned(),
        };
        parts.push((1, score));
        let metric = |name| Some((4, format!("{name} {:.3}", progress.metrics.mean(name)?)));
        parts.extend(SHOWN.into_iter().filter_map(metric));
        if speed > 0.0 {
            let left = self.line.total.saturating_sub(progress.frames) as f64 / speed;
            parts.push((3, format!("ETA {}", in_short(left))));
        }
        fitted(parts, self.line.columns())
    }
}

/// Frames per second over the last [`STRETCH`].
struct Speed {
    samples: VecDeque<(Instant, u64)>,
}

impl Speed {
    fn new(now: Instant, frames: u64) -> Self {
        Self {
            samples: VecDeque::from([(now, frames)]),
        }
    }

    fn add(&mut self, now: Instant, frames: u64) {
        // The oldest sample lies just outside the stretch, so that the stretch is always covered.
        while self
            .samples
            .get(1)
            .is_some_and(|sample| now.duration_since(sample.0) >= STRETCH)
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now, frames));
    }

    fn frames_per_second(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) if last.0 > first.0 => {
                (last.1 - first.1) as f64 / last.0.duration_since(first.0).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_every_ten_seconds_where_it_cannot_be_drawn_again() {
        let start = Instant::now();
        let mut line = Line {
            bar: None,
            total: 30,
            next: start,
        };
        assert!(line.is_due(start));
        line.show(start, 1, "1/30 episodes".to_owned());
        assert!(!line.is_due(start + Duration::from_secs(9)) && line.is_due(start + Duration::from_secs(10)));
    }

    #[test]
    fn a_line_says_as_much_as_fits_and_breaks_no_number() {
        let parts = || {
            let parts = [
                (0, "544.77k/2M frames"),
                (2, "11923 frames/s"),
                (1, "score -15.67"),
                (4, "loss -0.033"),
                (4, "entropy 0.638"),
                (3, "ETA 2m"),
            ];
            parts.map(|(rank, text)| (rank, text.to_owned())).to_vec()
        };
        let whole = "544.77k/2M frames  11923 frames/s  score -15.67  loss -0.033  entropy 0.638  ETA 2m";
        assert_eq!(fitted(parts(), usize::MAX), whole);
        // Beside a bar on 80 columns, and on 40.
        assert_eq!(
            fitted(parts(), 66),
            "544.77k/2M frames  11923 frames/s  score -15.67  ETA 2m"
        );
        assert_eq!(fitted(parts(), 39), "544.77k/2M frames  score -15.67");
        assert_eq!(fitted(parts(), 5), "544.77k/2M frames");
    }

    #[test]
    fn the_speed_is_that_of_the_last_stretch() {
        let start = Instant::now();
        let mut speed = Speed::new(start, 0);
        for second in 1..=60 {
            // 100 frames a second for half a minute, then 500.
            let frames = if second <= 30 {
                100 * second
            } else {
                3_000 + 500 * (second - 30)
            };
            speed.add(start + Duration::from_secs(second), frames);
        }
        assert_eq!(speed.frames_per_second(), 500.0);
    }
}
