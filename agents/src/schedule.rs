//! Settings that change over a run: learning rates, the beta of prioritized replay.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::AgentError;

/// A setting that is constant, or changes linearly with the frames of the run.
///
/// In a configuration it is a number, or a table: `{ from = 0.002, to = 0.0 }` over the whole run,
/// `{ from = 0.4, to = 1.0, frames = 10_000_000 }` over its first ten million frames.
///
/// ```
/// use coinop_agents::schedule::Schedule;
///
/// let rate = Schedule::over_run(0.002, 0.0);
/// assert_eq!(rate.at(5_000_000, 10_000_000), 0.001);
/// assert_eq!(Schedule::Constant(0.3).at(5_000_000, 10_000_000), 0.3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Schedule {
    /// A constant.
    Constant(f64),
    /// Linear interpolation between two values, constant afterwards.
    Linear {
        /// The value at frame 0.
        from: f64,
        /// The value at frame `frames` and later.
        to: f64,
        /// The duration in frames; `None` for the whole run.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames: Option<u64>,
    },
}

impl Schedule {
    /// A line over the whole run.
    #[must_use]
    pub const fn over_run(from: f64, to: f64) -> Self {
        Self::Linear { from, to, frames: None }
    }

    /// The value after `frames` frames of a run of `run_frames`.
    #[must_use]
    pub fn at(&self, frames: u64, run_frames: u64) -> f64 {
        match *self {
            Self::Constant(value) => value,
            Self::Linear { from, to, frames: line } => {
                let line = line.unwrap_or(run_frames);
                if frames >= line {
                    return to;
                }
                to + (from - to) * (1.0 - frames as f64 / line as f64)
            }
        }
    }

    /// The value at frame 0.
    #[must_use]
    pub fn start(&self) -> f64 {
        match *self {
            Self::Constant(value) | Self::Linear { from: value, .. } => value,
        }
    }

    /// The same schedule with another value at frame 0.
    #[must_use]
    pub fn starting_at(self, from: f64) -> Self {
        match self {
            Self::Constant(_) => Self::Constant(from),
            Self::Linear { to, frames, .. } => Self::Linear { from, to, frames },
        }
    }

    /// Checks both ends of the setting `name`.
    pub(crate) fn check(
        &self,
        name: &'static str,
        check_from: impl Fn(&'static str, f64) -> Result<(), AgentError>,
        check_to: impl Fn(&'static str, f64) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        check_from(name, self.start())?;
        match self {
            Self::Constant(_) => Ok(()),
            Self::Linear { to, .. } => check_to(name, *to),
        }
    }

    /// Warns about a learning rate that reaches 0 before the end of a run of `run_frames` frames.
    pub(crate) fn warn_of_early_end(&self, run_frames: u64) -> Vec<String> {
        match *self {
            Self::Linear {
                to: 0.0,
                frames: Some(frames),
                ..
            } if frames < run_frames => vec![format!(
                "the learning rate is 0 from frame {frames} on, and the run has {run_frames}: the rest learns nothing; raise \
                 learning_rate.frames, or leave it out for the length of the run"
            )],
            _ => Vec::new(),
        }
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrLine;

        impl<'de> Visitor<'de> for NumberOrLine {
            type Value = Schedule;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a number, or a table like { from = 0.001, to = 0.0 }")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Schedule, E> {
                Ok(Schedule::Constant(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Schedule, E> {
                Ok(Schedule::Constant(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Schedule, E> {
                Ok(Schedule::Constant(value as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Line {
                    from: f64,
                    to: f64,
                    #[serde(default)]
                    frames: Option<u64>,
                }
                let Line { from, to, frames } = Line::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Schedule::Linear { from, to, frames })
            }
        }

        from.deserialize_any(NumberOrLine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_and_ends_at_its_ends_and_stays_there() {
        let line = |from, to, frames| Schedule::Linear { from, to, frames };
        let falling = line(1.0, 0.0, Some(100));
        assert_eq!(
            [0, 25, 50, 100, 1_000].map(|at| falling.at(at, 1_000_000)),
            [1.0, 0.75, 0.5, 0.0, 0.0]
        );
        assert_eq!([0, 50, 100].map(|at| line(0.4, 1.0, None).at(at, 100)), [0.4, 0.7, 1.0]);
        assert_eq!(line(1.0, 0.1, Some(0)).at(0, 100), 0.1);
        assert_eq!(Schedule::Constant(0.3).at(u64::MAX, 100), 0.3);
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        rate: Schedule,
    }

    #[test]
    fn it_is_a_number_or_a_table() {
        for (text, rate) in [
            ("rate = 0.5", Schedule::Constant(0.5)),
            ("rate = 1", Schedule::Constant(1.0)),
            ("rate = { from = 0.5, to = 0 }", Schedule::over_run(0.5, 0.0)),
            (
                "rate = { from = 0.5, to = 0.1, frames = 7 }",
                Schedule::Linear {
                    from: 0.5,
                    to: 0.1,
                    frames: Some(7),
                },
            ),
        ] {
            let read: Settings = toml::from_str(text).unwrap();
            assert_eq!(read, Settings { rate }, "{text}");
            let written = toml::to_string(&read).unwrap();
            assert_eq!(toml::from_str::<Settings>(&written).unwrap(), read, "{written}");
        }
        for text in [
            "rate = 'high'",
            "rate = { from = 0.5 }",
            "rate = { from = 1, to = 0, steps = 3 }",
        ] {
            assert!(toml::from_str::<Settings>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_learning_rate_that_ends_before_the_run_is_warned_of() {
        let to = |to, frames| Schedule::Linear { from: 0.1, to, frames };
        for (schedule, warnings) in [
            (to(0.0, None), 0),
            (to(0.0, Some(99)), 1),
            (to(0.0, Some(100)), 0),
            (to(0.01, Some(99)), 0),
            (Schedule::Constant(0.1), 0),
        ] {
            assert_eq!(schedule.warn_of_early_end(100).len(), warnings, "{schedule:?}");
        }
    }
}
