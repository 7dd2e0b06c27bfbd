//! Frame skip.

use super::{Lives, forward};
use crate::{Env, EnvError, Step};

/// Repeats each action for `skip` frames, sums the rewards, and observes the pixelwise maximum of the last two
/// frames, because the Atari draws some objects only in every other frame (Mnih 2015). If the episode ends earlier,
/// only the last frame is observed.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::FrameSkip;
/// use coinop_envs::Env;
///
/// let env = FrameSkip::new(Arcade::<Catch>::new(Picture::Gray), 4);
/// assert_eq!(env.frames_per_step(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct FrameSkip<E> {
    env: E,
    skip: u32,
    /// Frames whose maximum is observed.
    pooled: u32,
    /// Their maximum so far.
    before: Vec<u8>,
}

impl<E: Env<Obs = u8>> FrameSkip<E> {
    /// # Panics
    ///
    /// If `skip` is 0.
    #[must_use]
    pub fn new(env: E, skip: u32) -> Self {
        Self::pooling(env, skip, 2)
    }

    /// Observes the maximum of the last `pooled` frames, or of all if there are fewer. The maximum of two misses
    /// objects that flicker more slowly than every other frame.
    ///
    /// # Panics
    ///
    /// If `skip` or `pooled` is 0.
    #[must_use]
    pub fn pooling(env: E, skip: u32, pooled: u32) -> Self {
        assert!(skip > 0, "an action is done for at least one frame");
        assert!(pooled > 0, "at least one frame is observed");
        let before = vec![0; env.obs_shape().len()];
        Self {
            env,
            skip,
            pooled,
            before,
        }
    }
}

/// Whether frame `frame` of `skip`, counted from 1, is one of the frames before the last that enter the maximum.
pub(crate) fn is_pooled(frame: u32, skip: u32, pooled: u32) -> bool {
    0 < frame && frame < skip && skip - frame < pooled
}

/// Stores the bytewise maximum of `out` and `other` in `out`.
pub(crate) fn max_into(out: &mut [u8], other: &[u8]) {
    out.iter_mut()
        .zip(other)
        .for_each(|(out, other)| *out = (*out).max(*other));
}

impl<E: Env<Obs = u8>> Env for FrameSkip<E> {
    type Obs = u8;

    forward!(obs_shape, num_actions, for_humans, reset, snapshot);

    fn frames_per_step(&self) -> u32 {
        self.skip * self.env.frames_per_step()
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let mut sum = Step::default();
        for frame in 1..=self.skip {
            let step = self.env.step(action, obs)?;
            sum.reward += step.reward;
            sum.score += step.score;
            sum.discount *= step.discount;
            sum.end = step.end;
            if sum.end.is_over() {
                return Ok(sum);
            }
            if is_pooled(frame, self.skip, self.pooled) {
                if is_pooled(frame - 1, self.skip, self.pooled) {
                    max_into(&mut self.before, obs);
                } else {
                    self.before.copy_from_slice(obs);
                }
            }
        }
        if is_pooled(self.skip - 1, self.skip, self.pooled) {
            max_into(obs, &self.before);
        }
        Ok(sum)
    }
}

impl<E: Lives> Lives for FrameSkip<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
