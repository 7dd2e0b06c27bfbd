//! Keeps account of the episodes that the actors are playing.

use coinop_envs::Step;

use crate::trainer::Episode;

/// The running score and length of each actor's episode, and the episodes that ended since the last [`Episodes::begin`].
#[derive(Debug)]
pub(crate) struct Episodes {
    running: Vec<(f64, u64)>,
    finished: Vec<Episode>,
}

impl Episodes {
    pub(crate) fn new(actors: usize) -> Self {
        Self {
            running: vec![(0.0, 0); actors],
            finished: Vec::new(),
        }
    }

    /// Forgets the finished episodes.
    pub(crate) fn begin(&mut self) {
        self.finished.clear();
    }

    pub(crate) fn add(&mut self, actor: usize, step: &Step) {
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

    pub(crate) fn finished(&self) -> &[Episode] {
        &self.finished
    }
}
