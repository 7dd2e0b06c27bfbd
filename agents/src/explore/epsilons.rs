//! The epsilons of some actors.

use std::ops::Range;

use coinop_envs::rng::{Rng, stream};

use super::config::{EpsilonConfig, pick};
use crate::{Checkpoint, CheckpointError, Section};

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

#[cfg(test)]
mod tests {
    use super::*;

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
