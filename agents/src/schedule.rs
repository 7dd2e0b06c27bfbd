//! Values that change over a run: learning rates, epsilons, the beta of prioritized replay.

use serde::{Deserialize, Serialize};

/// A value as a function of the number of frames played.
///
/// ```
/// use coinop_agents::schedule::Schedule;
///
/// let rate = Schedule::Linear { from: 0.002, to: 0.0, frames: 10_000_000 };
/// assert_eq!(rate.at(5_000_000), 0.001);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// A constant.
    Constant {
        /// The value.
        value: f64,
    },
    /// Linear interpolation between two values, constant afterwards.
    Linear {
        /// The value at frame 0.
        from: f64,
        /// The value at frame `frames` and later.
        to: f64,
        /// The duration in frames.
        frames: u64,
    },
}

impl Schedule {
    /// The value after `frames` frames of the run.
    #[must_use]
    pub fn at(&self, frames: u64) -> f64 {
        match *self {
            Self::Constant { value } => value,
            Self::Linear { to, frames: total, .. } if frames >= total => to,
            Self::Linear {
                from,
                to,
                frames: total,
            } => to + (from - to) * (1.0 - frames as f64 / total as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_and_ends_at_its_ends_and_stays_there() {
        let line = |from, to, frames| Schedule::Linear { from, to, frames };
        assert_eq!(
            [0, 25, 50, 100, 1_000].map(|at| line(1.0, 0.0, 100).at(at)),
            [1.0, 0.75, 0.5, 0.0, 0.0]
        );
        assert_eq!([0, 50, 100].map(|at| line(0.4, 1.0, 100).at(at)), [0.4, 0.7, 1.0]);
        assert_eq!(line(1.0, 0.1, 0).at(0), 0.1);
        assert_eq!(Schedule::Constant { value: 0.3 }.at(u64::MAX), 0.3);
    }
}
