//! Pictures: as observations, and for human eyes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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

/// A picture of an environment for human eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How wide a pixel is shown for each unit of its height: 2 for the Atari, whose pixels are broad.
    pub pixel_aspect: usize,
    /// Red, green and blue of each pixel, row by row: `3 * width * height` bytes.
    pub rgb: &'a [u8],
}

/// Receives every frame that an environment draws: see [`Env::set_viewer`](crate::Env::set_viewer).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use coinop_envs::arcade::{Catch, trained};
/// use coinop_envs::{Env, Viewer};
///
/// let mut env = trained::<Catch>();
/// let count = Arc::new(AtomicUsize::new(0));
/// let counter = Arc::clone(&count);
/// let viewer = Viewer::new(move |frame| {
///     assert_eq!((frame.width, frame.height), (160, 210));
///     counter.fetch_add(1, Ordering::Relaxed);
/// });
/// assert_eq!(env.set_viewer(Some(viewer)), Some(60.0));
/// let mut obs = vec![0; env.obs_shape().len()];
/// env.reset(Some(1), &mut obs)?;
/// env.step(0, &mut obs)?;
/// // The first frame, and those of one step.
/// assert_eq!(count.load(Ordering::Relaxed), 1 + 4);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone)]
pub struct Viewer(Arc<Mutex<Show>>);

type Show = dyn FnMut(Frame<'_>) + Send;

impl Viewer {
    /// Calls `show` with every frame.
    pub fn new(show: impl FnMut(Frame<'_>) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(show)))
    }

    /// Shows one frame.
    ///
    /// # Panics
    ///
    /// If `rgb` has another length than its width and height say.
    pub fn show(&self, frame: Frame<'_>) {
        assert_eq!(frame.rgb.len(), 3 * frame.width * frame.height, "bytes of a picture");
        // What another frame left behind when it panicked is not used again.
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))(frame);
    }
}

impl fmt::Debug for Viewer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Viewer")
    }
}
