//! Image resizing.

use super::{Lives, forward};
use crate::resize::AreaResizer;
use crate::{Env, EnvError, Shape, Step};

/// Shrinks observations `[height, width]` by area averaging, like OpenCV's `INTER_AREA`.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Resize;
/// use coinop_envs::Env;
///
/// let env = Resize::new(Arcade::<Catch>::new(Picture::Gray), 84, 84);
/// assert_eq!(env.obs_shape().dims(), [84, 84]);
/// ```
#[derive(Clone, Debug)]
pub struct Resize<E> {
    env: E,
    resizer: AreaResizer,
    picture: Vec<u8>,
    shape: Shape,
}

impl<E: Env<Obs = u8>> Resize<E> {
    /// Wraps `env`; observations become `[height, width]`.
    ///
    /// # Panics
    ///
    /// If the observations of `env` are not `[height, width]`, or are smaller than or more than three times as large
    /// as the result.
    #[must_use]
    pub fn new(env: E, height: usize, width: usize) -> Self {
        let shape = env.obs_shape();
        let &[from_height, from_width] = shape.dims() else {
            panic!("Resize needs observations [height, width], not {shape}")
        };
        let resizer = AreaResizer::new((from_height, from_width), (height, width));
        Self {
            env,
            resizer,
            picture: vec![0; shape.len()],
            shape: Shape::new(&[height, width]),
        }
    }
}

impl<E: Env<Obs = u8>> Env for Resize<E> {
    type Obs = u8;

    forward!(num_actions, for_humans, frames_per_step, snapshot);

    fn obs_shape(&self) -> Shape {
        self.shape
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.env.reset(seed, &mut self.picture)?;
        self.resizer.resize(&self.picture, obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let step = self.env.step(action, &mut self.picture)?;
        self.resizer.resize(&self.picture, obs);
        Ok(step)
    }
}

impl<E: Lives> Lives for Resize<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
