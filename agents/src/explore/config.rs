//! How epsilons are chosen.

use coinop_envs::rng::Rng;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::limits::{at_least_0, check, unit};
use crate::schedule::Schedule;

/// How the actors' epsilons are chosen.
///
/// ```
/// use coinop_agents::explore::EpsilonConfig;
///
/// let uniform: EpsilonConfig = toml::from_str(
///     r#"
///     kind = "uniform"
///     low = 0.0
///     high = 0.1
///     resample_frames = 50_000
///     "#,
/// )?;
/// uniform.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EpsilonConfig {
    /// The same constant for all actors.
    Fixed {
        /// The epsilon.
        value: f64,
    },
    /// Uniform between bounds, redrawn for each actor every `resample_frames` frames.
    Uniform {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
        /// Frames of the run, over all actors, between two draws.
        resample_frames: u64,
    },
    /// One of a few values, redrawn for each actor every `resample_frames` frames, as in the A3C paper (arXiv
    /// 1602.01783, section 5).
    Discrete {
        /// The values.
        values: Vec<f64>,
        /// Their probabilities, which sum to 1.
        probabilities: Vec<f64>,
        /// Frames of the run, over all actors, between two draws.
        resample_frames: u64,
    },
    /// The same for all actors, changing linearly from the first frame that is learned from, as in the DQN papers.
    Linear {
        /// The initial epsilon.
        from: f64,
        /// The final epsilon.
        to: f64,
        /// The duration in frames of the run, over all actors.
        frames: u64,
    },
    /// A final value per actor, drawn from a few values, which its epsilon approaches linearly, as in the
    /// asynchronous value methods of the A3C paper (section 8 of its supplement).
    Annealed {
        /// The initial epsilon of all actors.
        from: f64,
        /// The final values.
        values: Vec<f64>,
        /// Their probabilities, which sum to 1.
        probabilities: Vec<f64>,
        /// The duration in frames of the run, over all actors.
        frames: u64,
    },
    /// The constant `base^(1 + alpha i / (n - 1))` for actor `i` of `n` (Ape-X, arXiv 1803.00933, section 3).
    Ladder {
        /// The largest epsilon.
        base: f64,
        /// How far the ladder descends.
        alpha: f64,
    },
}

impl EpsilonConfig {
    /// Checks that every epsilon is a probability.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        let resampled = |frames: u64| check(frames > 0, "epsilon.resample_frames", frames, "it must be at least 1");
        match self {
            Self::Fixed { value } => unit("epsilon.value", *value),
            Self::Uniform {
                low,
                high,
                resample_frames,
            } => {
                unit("epsilon.low", *low)?;
                unit("epsilon.high", *high)?;
                check(low <= high, "epsilon.low", low, "it must be at most epsilon.high")?;
                resampled(*resample_frames)
            }
            Self::Annealed {
                from,
                values,
                probabilities,
                ..
            } => {
                unit("epsilon.from", *from)?;
                distribution(values, probabilities)
            }
            Self::Discrete {
                values,
                probabilities,
                resample_frames,
            } => {
                distribution(values, probabilities)?;
                resampled(*resample_frames)
            }
            Self::Linear { from, to, .. } => {
                unit("epsilon.from", *from)?;
                unit("epsilon.to", *to)
            }
            Self::Ladder { base, alpha } => {
                unit("epsilon.base", *base)?;
                at_least_0("epsilon.alpha", *alpha)
            }
        }
    }

    pub(super) fn resample_frames(&self) -> Option<u64> {
        match self {
            Self::Uniform { resample_frames, .. } | Self::Discrete { resample_frames, .. } => Some(*resample_frames),
            Self::Linear { frames, .. } | Self::Annealed { frames, .. } => {
                Some((frames / LINE_POINTS).clamp(1, LINE_FRAMES))
            }
            Self::Fixed { .. } | Self::Ladder { .. } => None,
        }
    }

    pub(super) fn draw(&self, actor: usize, actors: usize, frames: u64, last: f32, rng: &mut Rng) -> f32 {
        let epsilon = match self {
            Self::Fixed { value } => *value,
            Self::Uniform { low, high, .. } => low + (high - low) * rng.random::<f64>(),
            Self::Discrete {
                values, probabilities, ..
            } => pick(values, probabilities, rng),
            Self::Annealed {
                from, frames: length, ..
            } => line(*from, f64::from(last), *length, frames),
            Self::Linear {
                from,
                to,
                frames: length,
            } => line(*from, *to, *length, frames),
            Self::Ladder { base, alpha } => base.powf(1.0 + alpha * actor as f64 / (actors.max(2) - 1) as f64),
        };
        epsilon as f32
    }
}

/// The value at `frames` of a line of `length` frames.
fn line(from: f64, to: f64, length: u64, frames: u64) -> f64 {
    Schedule::over_run(from, to).at(frames, length)
}

/// Checks that values and probabilities form a distribution over epsilons.
fn distribution(values: &[f64], probabilities: &[f64]) -> Result<(), AgentError> {
    let sum: f64 = probabilities.iter().sum();
    let counts = format!("{} with {} probabilities", values.len(), probabilities.len());
    let as_many = !values.is_empty() && values.len() == probabilities.len();
    check(as_many, "epsilon.values", counts, "there must be as many, at least one")?;
    values.iter().try_for_each(|value| unit("epsilon.values", *value))?;
    let mut each = probabilities.iter();
    each.try_for_each(|probability| unit("epsilon.probabilities", *probability))?;
    let is_1 = (sum - 1.0).abs() <= 1e-6;
    check(is_1, "epsilon.probabilities", format!("a sum of {sum}"), "it must be 1")
}

/// Draws one of some values by their probabilities.
pub(super) fn pick(values: &[f64], probabilities: &[f64], rng: &mut Rng) -> f64 {
    let mut left = rng.random::<f64>();
    let chosen = probabilities.iter().position(|probability| {
        left -= probability;
        left < 0.0
    });
    values[chosen.unwrap_or(values.len() - 1)]
}

/// The number of points of a linear schedule, and the maximum number of frames between two of them. Every change is
/// logged, and steps of this size are small enough.
const LINE_POINTS: u64 = 100;
const LINE_FRAMES: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_refused_with_the_value_and_the_reason() {
        let uniform = |low, high, resample_frames| EpsilonConfig::Uniform {
            low,
            high,
            resample_frames,
        };
        let discrete = EpsilonConfig::Discrete {
            values: vec![0.1],
            probabilities: vec![0.5],
            resample_frames: 1,
        };
        let ladder = |base, alpha| EpsilonConfig::Ladder { base, alpha };
        let cases = [
            (
                EpsilonConfig::Fixed { value: 1.5 },
                "epsilon.value = 1.5: it must be between 0 and 1",
            ),
            (
                uniform(0.3, 0.2, 1),
                "epsilon.low = 0.3: it must be at most epsilon.high",
            ),
            (
                uniform(0.1, 0.2, 0),
                "epsilon.resample_frames = 0: it must be at least 1",
            ),
            (discrete, "epsilon.probabilities = a sum of 0.5: it must be 1"),
            (ladder(f64::NAN, 7.0), "epsilon.base = NaN: it must be between 0 and 1"),
            (
                ladder(0.4, f64::INFINITY),
                "epsilon.alpha = inf: it must be a number from 0 to 1e30",
            ),
        ];
        for (config, text) in cases {
            assert_eq!(config.validate().unwrap_err().to_string(), text);
        }
    }
}
