//! Frame stacking.

use super::forward;
use crate::snapshot::{bad, open, seal};
use crate::{Elem, Env, EnvError, Shape, Step};

/// Stacks the last `n` observations along a new first dimension, oldest first. After a reset, the first observation
/// is repeated `n` times.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::FrameStack;
/// use coinop_envs::Env;
///
/// let env = FrameStack::new(Arcade::<Catch>::new(Picture::Gray), 4);
/// assert_eq!(env.obs_shape().dims(), [4, 210, 160]);
/// ```
#[derive(Clone, Debug)]
pub struct FrameStack<E: Env> {
    env: E,
    stack: Stack<E::Obs>,
}

/// The last few frames, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Stack<T> {
    frames: Vec<T>,
    frame_len: usize,
}

impl<T: Elem> Stack<T> {
    pub(crate) fn new(n: usize, frame_len: usize) -> Self {
        Self {
            frames: vec![T::default(); n * frame_len],
            frame_len,
        }
    }

    /// The newest frame, to be written.
    pub(crate) fn newest(&mut self) -> &mut [T] {
        let start = self.frames.len() - self.frame_len;
        &mut self.frames[start..]
    }

    /// Drops the oldest frame; the newest is then there twice.
    pub(crate) fn shift(&mut self) {
        self.frames.copy_within(self.frame_len.., 0);
    }

    /// Copies the newest frame to all places.
    pub(crate) fn fill(&mut self) {
        let start = self.frames.len() - self.frame_len;
        for at in (0..start).step_by(self.frame_len) {
            self.frames.copy_within(start.., at);
        }
    }

    pub(crate) fn frames(&self) -> &[T] {
        &self.frames
    }

    /// Restores frames; returns `None` if their number is wrong.
    pub(crate) fn restore(&mut self, frames: &[T]) -> Option<()> {
        (frames.len() == self.frames.len()).then(|| self.frames.copy_from_slice(frames))
    }
}

impl<E: Env> FrameStack<E> {
    /// Stacks `n` observations of `env`.
    ///
    /// # Panics
    ///
    /// If `n` is 0, or the observations of `env` have four dimensions already.
    #[must_use]
    pub fn new(env: E, n: usize) -> Self {
        assert!(n > 0, "a stack has at least one observation");
        let stack = Stack::new(n, env.obs_shape().len());
        Self { env, stack }
    }
}

impl<E: Env> Env for FrameStack<E> {
    type Obs = E::Obs;

    forward!(num_actions, for_humans, frames_per_step);

    fn obs_shape(&self) -> Shape {
        let inner = self.env.obs_shape();
        let n = self.stacked_frames();
        let dims: [usize; 4] = std::array::from_fn(|i| {
            if i == 0 {
                n
            } else {
                *inner.dims().get(i - 1).unwrap_or(&1)
            }
        });
        Shape::new(&dims[..=inner.dims().len()])
    }

    fn stacked_frames(&self) -> usize {
        self.stack.frames.len() / self.stack.frame_len
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        self.env.reset(seed, self.stack.newest())?;
        self.stack.fill();
        obs.copy_from_slice(self.stack.frames());
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        self.stack.shift();
        let step = self.env.step(action, self.stack.newest())?;
        obs.copy_from_slice(self.stack.frames());
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("FrameStack", 1, &self.stack.frames, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (frames, inner): (Vec<E::Obs>, _) = open("FrameStack", 1, snapshot)?;
        self.stack
            .restore(&frames)
            .ok_or_else(|| bad("FrameStack", "its frames are others"))?;
        self.env.restore(inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stack_is_a_queue(n in 1usize..5, frames in prop::collection::vec((any::<bool>(), any::<[u8; 3]>()), 1..20)) {
            let mut stack = Stack::new(n, 3);
            let mut queue = VecDeque::from(vec![[0; 3]; n]);
            for (reset, frame) in frames {
                if reset {
                    queue = VecDeque::from(vec![frame; n]);
                } else {
                    queue.pop_front();
                    queue.push_back(frame);
                    stack.shift();
                }
                stack.newest().copy_from_slice(&frame);
                if reset {
                    stack.fill();
                }
                let expected: Vec<u8> = queue.iter().flatten().copied().collect();
                prop_assert_eq!(stack.frames(), expected);
            }
        }
    }
}
