//! The means of pixels on which the workers of an asynchronous method agree.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::AgentError;
use crate::distributed::Ranks;
use crate::shared::{floats, question};

/// The number of observations whose mean is taken, at least.
const OBSERVATIONS: usize = 256;

/// The mean of each pixel over the first observations of all workers. Every worker subtracts the same means, because all
/// compute with the same weights.
#[derive(Debug)]
pub(crate) struct SharedCenter {
    state: Mutex<State>,
    /// The ranks. Rank 0 has the means.
    ranks: Ranks,
}

#[derive(Debug)]
enum State {
    /// Sums over the observations so far: whole numbers, so their order does not matter.
    Unknown { sums: Vec<f32>, count: usize },
    /// `[obs_shape…]`.
    Known(Arc<[f32]>),
}

impl State {
    const NEW: Self = Self::Unknown {
        sums: Vec::new(),
        count: 0,
    };
}

impl SharedCenter {
    pub(crate) fn new(ranks: &Ranks) -> Self {
        Self {
            state: Mutex::new(State::NEW),
            ranks: ranks.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked has ended the run.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The means `[obs_shape…]` of so many pixels, if they are known by now.
    pub(crate) fn means(&self, pixels: usize) -> Result<Option<Arc<[f32]>>, AgentError> {
        let mut state = self.state();
        if self.ranks.rank() > 0
            && matches!(*state, State::Unknown { .. })
            && let Some(answer) = self.ranks.ask(&[question::CENTER])?
            && !answer.is_empty()
        {
            *state = State::Known(floats(&answer, pixels)?.into());
        }
        match &*state {
            State::Known(means) => Ok(Some(Arc::clone(means))),
            State::Unknown { .. } => Ok(None),
        }
    }

    /// What rank 0 answers to [`question::CENTER`]: the means, or nothing.
    pub(crate) fn answer(&self) -> Vec<u8> {
        match &*self.state() {
            State::Known(means) => bytemuck::cast_slice(means).to_vec(),
            State::Unknown { .. } => Vec::new(),
        }
    }

    /// Adds observations: their number, and the sum of each pixel `[obs_shape…]`. Those of other ranks than 0 do not count.
    pub(crate) fn add(&self, added: &[f32], observations: usize) {
        if self.ranks.rank() > 0 {
            return;
        }
        let mut state = self.state();
        let State::Unknown { sums, count } = &mut *state else {
            return;
        };
        sums.resize(added.len(), 0.0);
        for (sum, added) in sums.iter_mut().zip(added) {
            *sum += added;
        }
        *count += observations;
        if *count >= OBSERVATIONS {
            let means = sums.iter().map(|sum| sum / *count as f32).collect();
            *state = State::Known(means);
        }
    }

    /// Replaces the means; without any, it begins anew.
    pub(crate) fn replace(&self, means: Option<&[f32]>) {
        *self.state() = means.map_or(State::NEW, |means| State::Known(means.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_first_observations_of_all() {
        let center = SharedCenter::new(&Ranks::default());
        center.add(&[100.0, 0.0], 100);
        center.add(&[300.0, 10.0], 155);
        assert_eq!(center.means(2).unwrap(), None);
        assert!(center.answer().is_empty());
        center.add(&[112.0, 118.0], 1);
        let means = center.means(2).unwrap().unwrap();
        assert_eq!(*means, [2.0, 0.5]);
        assert_eq!(center.answer(), [0, 0, 0, 64, 0, 0, 0, 63]);
        // Those that come later change nothing.
        center.add(&[1e6, 1e6], 1000);
        assert_eq!(center.means(2).unwrap(), Some(means));
        center.replace(Some(&[1.0, 2.0]));
        assert_eq!(*center.means(2).unwrap().unwrap(), [1.0, 2.0]);
        center.replace(None);
        assert_eq!(center.means(2).unwrap(), None);
    }
}
