//! Exploration: each actor has its own epsilon, which can be sampled and resampled.
//!
//! An actor follows the mixture `(1 - epsilon) policy + epsilon uniform`. Policy gradient methods use the
//! log-probability under this *mixture*, because it is the distribution that chose the action.

use std::ops::Range;

use coinop_envs::rng::{Rng, stream};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::limits::{at_least_0, check, unit};
use crate::schedule::Schedule;
use crate::{AgentError, Checkpoint, CheckpointError, Section};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

    fn resample_frames(&self) -> Option<u64> {
        match self {
            Self::Uniform { resample_frames, .. } | Self::Discrete { resample_frames, .. } => Some(*resample_frames),
            Self::Linear { frames, .. } | Self::Annealed { frames, .. } => {
                Some((frames / LINE_POINTS).clamp(1, LINE_FRAMES))
            }
            Self::Fixed { .. } | Self::Ladder { .. } => None,
        }
    }

    fn draw(&self, actor: usize, actors: usize, frames: u64, last: f32, rng: &mut Rng) -> f32 {
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
fn pick(values: &[f64], probabilities: &[f64], rng: &mut Rng) -> f64 {
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

/// The current epsilons of some actors.
///
/// ```
/// use coinop_agents::explore::{EpsilonConfig, Epsilons};
///
/// // Each of eight actors draws its own, and another after 50,000 frames of the run.
/// let config = EpsilonConfig::Uniform { low: 0.0, high: 0.1, resample_frames: 50_000 };
/// let mut epsilons = Epsilons::new(config, 8, 1);
/// let first = epsilons.current().to_vec();
/// assert!(first.iter().all(|epsilon| (0.0..0.1).contains(epsilon)));
/// epsilons.resample(50_000);
/// assert_ne!(epsilons.current(), first);
/// ```
#[derive(Debug)]
pub struct Epsilons {
    config: EpsilonConfig,
    /// The index of the first of these actors, and the number of actors in the run.
    first: usize,
    actors: usize,
    streams: Vec<Rng>,
    current: Vec<f32>,
    /// The final epsilon of each actor, if they are annealed.
    last: Vec<f32>,
    /// The frame at which the next draw is due.
    next_draw: u64,
}

impl Epsilons {
    /// Draws the first epsilon for each of `actors` actors.
    #[must_use]
    pub fn new(config: EpsilonConfig, actors: usize, seed: u64) -> Self {
        Self::of(config, 0..actors, actors, seed)
    }

    /// Draws the first epsilon for the actors `own` out of the `actors` in the run: the same values that
    /// [`new`](Self::new) draws for them.
    #[must_use]
    pub fn of(config: EpsilonConfig, own: Range<usize>, actors: usize, seed: u64) -> Self {
        let mut streams: Vec<Rng> = own.clone().map(|actor| stream(seed, "epsilon", actor as u64)).collect();
        let last = match &config {
            EpsilonConfig::Annealed {
                values, probabilities, ..
            } => streams
                .iter_mut()
                .map(|rng| pick(values, probabilities, rng) as f32)
                .collect(),
            _ => vec![0.0; own.len()],
        };
        let mut epsilons = Self {
            config,
            first: own.start,
            actors,
            streams,
            current: vec![0.0; own.len()],
            last,
            next_draw: 0,
        };
        epsilons.draw(0);
        epsilons.next_draw = epsilons.config.resample_frames().unwrap_or(u64::MAX);
        epsilons
    }

    /// The epsilon of each actor.
    #[must_use]
    pub fn current(&self) -> &[f32] {
        &self.current
    }

    /// Redraws the epsilons if that is due after `frames` frames of the run.
    pub fn resample(&mut self, frames: u64) {
        if let Some(every) = self.config.resample_frames()
            && frames >= self.next_draw
        {
            self.draw(frames);
            self.next_draw = (frames / every + 1) * every;
        }
    }

    fn draw(&mut self, frames: u64) {
        for (i, (epsilon, rng)) in self.current.iter_mut().zip(&mut self.streams).enumerate() {
            let actor = self.first + i;
            *epsilon = self.config.draw(actor, self.actors, frames, self.last[i], rng);
        }
    }
}

impl Checkpoint for Epsilons {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("streams", &self.streams)?;
        out.put("current", &self.current)?;
        out.put("last", &self.last)?;
        out.put("next_draw", &self.next_draw)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let actors = self.current.len();
        self.streams = from.get_vec("streams", actors)?;
        self.current = from.get_vec("current", actors)?;
        self.last = from.get_vec("last", actors)?;
        self.next_draw = from.get("next_draw")?;
        Ok(())
    }
}

/// Draws an action from the mixture of a policy's distribution and the uniform one.
///
/// ```
/// use coinop_agents::explore::sample_action;
/// use coinop_envs::rng::stream;
///
/// let mut rng = stream(1, "action", 0);
/// let drawn: Vec<u32> = (0..1000).map(|_| sample_action(&[0.9, 0.1], 0.0, &mut rng)).collect();
/// assert!((50..150).contains(&drawn.iter().sum::<u32>()));
/// ```
#[must_use]
pub fn sample_action(probabilities: &[f32], epsilon: f32, rng: &mut Rng) -> u32 {
    let actions = probabilities.len();
    if rng.random::<f32>() < epsilon {
        return rng.random_range(0..actions as u32);
    }
    let mut left = rng.random::<f32>() * probabilities.iter().sum::<f32>();
    let chosen = probabilities.iter().position(|probability| {
        left -= probability;
        left < 0.0
    });
    // Rounding can leave a little at the end; it falls to the most probable action.
    chosen.unwrap_or_else(|| greedy_action(probabilities) as usize) as u32
}

/// Returns the greedy action or, with probability `epsilon`, a uniformly random one.
///
/// ```
/// use coinop_agents::explore::epsilon_greedy;
/// use coinop_envs::rng::stream;
///
/// assert_eq!(epsilon_greedy(&[0.1, 2.0, 1.0], 0.0, &mut stream(1, "action", 0)), 1);
/// ```
#[must_use]
pub fn epsilon_greedy(values: &[f32], epsilon: f32, rng: &mut Rng) -> u32 {
    if rng.random::<f32>() < epsilon {
        rng.random_range(0..values.len() as u32)
    } else {
        greedy_action(values)
    }
}

/// Returns the action with the largest value; the first one on ties.
///
/// ```
/// use coinop_agents::explore::greedy_action;
///
/// assert_eq!(greedy_action(&[0.1, 2.0, 2.0]), 1);
/// ```
#[must_use]
pub fn greedy_action(values: &[f32]) -> u32 {
    let mut best = 0;
    for (action, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = action;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(probabilities: &[f32], epsilon: f32) -> Vec<f64> {
        let mut rng = stream(1, "test", 0);
        let mut counts = vec![0.0; probabilities.len()];
        for _ in 0..100_000 {
            counts[sample_action(probabilities, epsilon, &mut rng) as usize] += 1e-5;
        }
        counts
    }

    #[test]
    fn actions_come_from_the_mixture() {
        // (1 - .4)·p + .4/4; the standard error of a frequency is at most .0016.
        for (frequency, expected) in frequencies(&[0.5, 0.25, 0.25, 0.0], 0.4)
            .iter()
            .zip([0.4, 0.25, 0.25, 0.1])
        {
            assert!(
                (frequency - expected).abs() < 0.008,
                "{frequency} instead of {expected}"
            );
        }
        assert_eq!(frequencies(&[0.0, 1.0, 0.0], 0.0)[1].round(), 1.0);
    }

    #[test]
    fn a_uniform_epsilon_stays_in_its_bounds_differs_between_actors_and_is_resampled_when_due() {
        let config = EpsilonConfig::Uniform {
            low: 0.1,
            high: 0.2,
            resample_frames: 100,
        };
        let mut epsilons = Epsilons::new(config, 50, 1);
        let first = epsilons.current().to_vec();
        assert!(first.iter().all(|epsilon| (0.1..=0.2).contains(epsilon)));
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]));
        epsilons.resample(99);
        assert_eq!(epsilons.current(), first);
        epsilons.resample(100);
        assert!(epsilons.current().iter().zip(&first).all(|(new, old)| new != old));
        let second = epsilons.current().to_vec();
        epsilons.resample(199);
        assert_eq!(epsilons.current(), second);
    }

    #[test]
    fn the_ladder_is_that_of_ape_x() {
        // Section 3: epsilon 0.4, alpha 7, so from .4 down to .4^8.
        let epsilons = Epsilons::new(EpsilonConfig::Ladder { base: 0.4, alpha: 7.0 }, 8, 1);
        assert_eq!(epsilons.current()[0], 0.4);
        assert!((epsilons.current()[1] - 0.16).abs() < 1e-6);
        assert!((epsilons.current()[7] - 0.000_655_36).abs() < 1e-8);
    }

    #[test]
    fn a_line_falls_to_its_end_and_stays_there() {
        // Nature 2015: from 1 to 0.1 over the first million agent steps.
        let mut epsilons = Epsilons::new(
            EpsilonConfig::Linear {
                from: 1.0,
                to: 0.1,
                frames: 4_000_000,
            },
            2,
            1,
        );
        let mut at = |frames| {
            epsilons.resample(frames);
            epsilons.current().to_vec()
        };
        assert_eq!(at(0), [1.0, 1.0]);
        assert_eq!(at(2_000_000), [0.55, 0.55]);
        assert_eq!(at(4_000_000), [0.1, 0.1]);
        assert_eq!(at(200_000_000), [0.1, 0.1]);
    }

    #[test]
    fn a_short_line_has_as_many_points_as_a_long_one() {
        let line = EpsilonConfig::Linear {
            from: 1.0,
            to: 0.0,
            frames: 1_000,
        };
        let mut epsilons = Epsilons::new(line, 1, 1);
        for (frames, expected) in [
            (9, 1.0),
            (10, 0.99),
            (505, 0.495),
            (509, 0.495),
            (990, 0.01),
            (1_000, 0.0),
        ] {
            epsilons.resample(frames);
            assert_eq!(epsilons.current(), [expected], "{frames}");
        }
    }

    #[test]
    fn annealed_epsilons_fall_to_values_with_their_probabilities() {
        // Mnih 2016: from 1 over 4 million frames to .1, .01 or .5 with probabilities .4, .3 and .3.
        let config = EpsilonConfig::Annealed {
            from: 1.0,
            values: vec![0.1, 0.01, 0.5],
            probabilities: vec![0.4, 0.3, 0.3],
            frames: 4_000_000,
        };
        config.validate().unwrap();
        let mut epsilons = Epsilons::new(config.clone(), 20_000, 1);
        assert!(epsilons.current().iter().all(|epsilon| *epsilon == 1.0));
        epsilons.resample(2_000_000);
        let halfway = epsilons.current().to_vec();
        epsilons.resample(4_000_000);
        for (half, last) in halfway.iter().zip(epsilons.current()) {
            assert!([0.1, 0.01, 0.5].contains(last) && (half - (1.0 + last) / 2.0).abs() < 1e-6);
        }
        let share = epsilons.current().iter().filter(|&&epsilon| epsilon == 0.1).count() as f64 / 20_000.0;
        assert!((share - 0.4).abs() < 0.015, "{share}");
        // One actor's are those that it has among all.
        let mut one = Epsilons::of(config, 7..8, 20_000, 1);
        one.resample(4_000_000);
        assert_eq!(one.current(), &epsilons.current()[7..8]);
    }

    #[test]
    fn discrete_epsilons_have_their_probabilities() {
        let config = EpsilonConfig::Discrete {
            values: vec![0.1, 0.01, 0.5],
            probabilities: vec![0.4, 0.3, 0.3],
            resample_frames: 1,
        };
        let epsilons = Epsilons::new(config, 20_000, 1);
        let share = epsilons.current().iter().filter(|&&epsilon| epsilon == 0.1).count() as f64 / 20_000.0;
        assert!((share - 0.4).abs() < 0.015, "{share}");
    }

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

    #[test]
    fn epsilons_of_another_number_of_actors_are_refused() {
        let epsilons = |actors| Epsilons::new(EpsilonConfig::Fixed { value: 0.1 }, actors, 1);
        let mut section = Section::default();
        epsilons(3).save(&mut section).unwrap();
        let error = epsilons(4).load(&section).unwrap_err().to_string();
        assert_eq!(
            error,
            "`streams` in the checkpoint does not fit: it has 3 entries, 4 are needed"
        );
    }
}
