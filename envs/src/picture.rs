//! Formats of pictures.

/// The format of a game's screen as an observation.
///
/// ```
/// use coinop_envs::arcade::{Arcade, Catch};
/// use coinop_envs::{Env, Picture};
///
/// assert_eq!(Arcade::<Catch>::new(Picture::Gray).obs_shape().dims(), [210, 160]);
/// assert_eq!(Arcade::<Catch>::new(Picture::Rgb).obs_shape().dims(), [210, 160, 3]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Gray, `[height, 160]`, as ALE's `getScreenGrayscale`.
    Gray,
    /// RGB, `[height, 160, 3]`.
    Rgb,
}
