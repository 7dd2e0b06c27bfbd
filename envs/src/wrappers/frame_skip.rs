//! Repeating an action for several frames.

use super::{Lives, forward};
use crate::{Env, EnvError, Step};

/// Repeats every action for `skip` frames, sums the rewards, and observes the maximum of the last two frames, pixel by pixel, since the
/// Atari draws some objects only in every other frame (Mnih 2015). If the episode ends within, the last frame alone is observed.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::atari::Picture;
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
    before_last: Vec<u8>,
}

impl<E: Env<Obs = u8>> FrameSkip<E> {
    /// # Panics
    ///
    /// If `skip` is 0.
    #[must_use]
    pub fn new(env: E, skip: u32) -> Self {
        assert!(skip > 0, "an action is done for at least one frame");
        let before_last = vec![0; env.obs_shape().len()];
        Self { env, skip, before_last }
    }
}

/// `out` becomes the larger of `out` and `other`, byte by byte.
pub(crate) fn max_into(out: &mut [u8], other: &[u8]) {
    out.iter_mut()
        .zip(other)
        .for_each(|(out, other)| *out = (*out).max(*other));
}

impl<E: Env<Obs = u8>> Env for FrameSkip<E> {
    type Obs = u8;

    forward!(obs_shape, num_actions, reset, snapshot);

    fn frames_per_step(&self) -> u32 {
        self.skip * self.env.frames_per_step()
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let mut sum = Step::default();
        for frame in 1..=self.skip {
            if frame == self.skip {
                self.before_last.copy_from_slice(obs);
            }
            let step = self.env.step(action, obs)?;
            sum.reward += step.reward;
            sum.score += step.score;
            sum.discount *= step.discount;
            sum.end = step.end;
            if sum.end.is_over() {
                return Ok(sum);
            }
        }
        if self.skip > 1 {
            max_into(obs, &self.before_last);
        }
        Ok(sum)
    }
}

impl<E: Lives> Lives for FrameSkip<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
