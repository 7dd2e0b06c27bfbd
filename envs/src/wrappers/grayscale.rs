//! Conversion from RGB to gray.

use super::{Lives, forward};
use crate::{Env, EnvError, Shape, Step};

/// Converts observations `[height, width, 3]` in RGB to `[height, width]` luma with the weights of ITU-R BT.601, like
/// OpenCV: `0.299 R + 0.587 G + 0.114 B`, rounded.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::Picture;
/// use coinop_envs::wrappers::Grayscale;
/// use coinop_envs::Env;
///
/// let env = Grayscale::new(Arcade::<Catch>::new(Picture::Rgb));
/// assert_eq!(env.obs_shape().dims(), [210, 160]);
/// ```
#[derive(Clone, Debug)]
pub struct Grayscale<E> {
    env: E,
    rgb: Vec<u8>,
}

impl<E: Env<Obs = u8>> Grayscale<E> {
    /// # Panics
    ///
    /// If the observations of `env` are not `[height, width, 3]`.
    #[must_use]
    pub fn new(env: E) -> Self {
        let shape = env.obs_shape();
        assert!(
            matches!(shape.dims(), [_, _, 3]),
            "Grayscale needs observations [height, width, 3], not {shape}"
        );
        let rgb = vec![0; shape.len()];
        Self { env, rgb }
    }

    fn convert(&self, gray: &mut [u8]) {
        for (gray, [r, g, b]) in gray.iter_mut().zip(self.rgb.as_chunks::<3>().0) {
            let luma = 299 * u32::from(*r) + 587 * u32::from(*g) + 114 * u32::from(*b);
            *gray = ((luma + 500) / 1000) as u8;
        }
    }
}

impl<E: Env<Obs = u8>> Env for Grayscale<E> {
    type Obs = u8;

    forward!(num_actions, for_humans, frames_per_step, snapshot);

    fn obs_shape(&self) -> Shape {
        Shape::new(&self.env.obs_shape().dims()[..2])
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.env.reset(seed, &mut self.rgb)?;
        self.convert(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let step = self.env.step(action, &mut self.rgb)?;
        self.convert(obs);
        Ok(step)
    }
}

impl<E: Lives> Lives for Grayscale<E> {
    fn lives(&self) -> u32 {
        self.env.lives()
    }
}
