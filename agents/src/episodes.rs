//! Tracks the scores and lengths of the actors' episodes.

use coinop_envs::Step;

use crate::trainer::Episode;
use crate::{Checkpoint, CheckpointError, Section};

/// The running score and length of each actor's episode, and the episodes that ended since the last [`Episodes::begin`].
///
/// ```
/// use coinop_agents::Episodes;
/// use coinop_envs::Step;
///
/// let mut episodes = Episodes::new(2);
/// episodes.add(1, &Step::going_on(1.0));
/// episodes.add(1, &Step::terminated(2.0));
/// assert_eq!((episodes.finished()[0].score, episodes.finished()[0].steps), (3.0, 2));
/// ```
#[derive(Debug)]
pub struct Episodes {
    running: Vec<(f64, u64)>,
    finished: Vec<Episode>,
}

impl Episodes {
    /// Creates counters for `actors` actors.
    #[must_use]
    pub fn new(actors: usize) -> Self {
        Self {
            running: vec![(0.0, 0); actors],
            finished: Vec::new(),
        }
    }

    /// Clears the finished episodes.
    pub fn begin(&mut self) {
        self.finished.clear();
    }

    /// Discards the running episodes, because new ones will start.
    pub fn interrupt(&mut self) {
        self.interrupt_from(0);
    }

    /// Discards those of the actors from `first` on.
    pub fn interrupt_from(&mut self, first: usize) {
        self.running[first..].fill((0.0, 0));
    }

    /// Counts a step of `actor`.
    ///
    /// # Panics
    ///
    /// If there is no such actor.
    pub fn add(&mut self, actor: usize, step: &Step) {
        let (score, steps) = &mut self.running[actor];
        *score += f64::from(step.score);
        *steps += 1;
        if step.end.is_over() {
            self.finished.push(Episode {
                actor,
                score: *score,
                steps: *steps,
            });
            self.running[actor] = (0.0, 0);
        }
    }

    /// Returns the finished episodes in the order in which they ended.
    #[must_use]
    pub fn finished(&self) -> &[Episode] {
        &self.finished
    }
}

/// Saves the running episodes.
impl Checkpoint for Episodes {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let (scores, steps): (Vec<f64>, Vec<u64>) = self.running.iter().copied().unzip();
        out.put_numbers("scores", &scores)?;
        out.put_numbers("steps", &steps)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let n = self.running.len();
        let (mut scores, mut steps) = (vec![0.0; n], vec![0; n]);
        from.load_numbers("scores", &mut scores)?;
        from.load_numbers("steps", &mut steps)?;
        self.running = scores.into_iter().zip(steps).collect();
        Ok(())
    }
}
