//! Pictures drawn by gym-rs, as observations.
//!
//! ```text
//! environment, in its thread:  some steps ── state ──► studio, one thread for all: gym-rs draws it with SDL2
//!                                          ◄── RGB ──
//! ```
//!
//! SDL2 may be used by only one thread of a process, so one thread draws for all environments. It draws only the
//! frames that the agent sees.
//!
//! Without a display, SDL2 needs `SDL_VIDEODRIVER=dummy` and `SDL_RENDER_DRIVER=software` in the environment. The
//! program sets both, and so do this repository's tests.

use std::any::Any;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use crossbeam::channel::{Receiver, Sender, bounded};
use gym_rs::core::Env as Gym;
use gym_rs::utils::renderer::{RenderColor, RenderMode, Renders};

use super::{GymRs, GymRsEnv};
use crate::snapshot::{bad, open, seal};
use crate::wrappers::{FrameStack, Grayscale, Resize, TimeLimit};
use crate::{Env, EnvError, Frame, Shape, Step, Viewer};

/// Height and width of the pictures.
const SIZE: (usize, usize) = (400, 600);

/// Replaces SDL2_gfx's delay by a function that returns at once: gym-rs waits a fiftieth of a second after each
/// picture, for human viewers, and offers no way to turn that off. The window is hidden here.
// SAFETY: it is called by the crate `sdl2` alone, with this signature; it does not touch what the pointer points to.
#[unsafe(no_mangle)]
extern "C" fn SDL_framerateDelay(_manager: *mut c_void) -> u32 {
    0
}

/// A job for the drawing thread.
type Job = Box<dyn FnOnce(&mut Studio) + Send>;

/// Draws: an environment that is set to the state to be shown. Only one has a window at a time, because SDL2 requires
/// that; a process that plays one kind keeps it.
#[derive(Default)]
struct Studio {
    model: Option<Box<dyn Any>>,
}

impl Studio {
    fn draw<E: GymRsEnv>(&mut self, state: &[f64], rgb: &mut [u8]) -> Result<(), EnvError> {
        if self.model.as_ref().is_none_or(|model| !model.is::<E>()) {
            // Its window is closed before the other opens.
            self.model = None;
            self.model = Some(Box::new(E::model()));
        }
        let model = self.model.as_mut().and_then(|model| model.downcast_mut::<E>());
        let model = model.ok_or_else(no_picture)?;
        if !model.set_state(state) {
            return Err(no_picture());
        }
        let Renders::SingleRgbArray(picture) = Gym::render(model, RenderMode::RgbArray) else {
            return Err(no_picture());
        };
        let pixels = picture.0.iter().flatten();
        let mut count = 0;
        for (out, RenderColor::RGB(r, g, b)) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
            *out = [*r, *g, *b];
            count += 1;
        }
        if count == SIZE.0 * SIZE.1 {
            Ok(())
        } else {
            Err(no_picture())
        }
    }
}

fn no_picture() -> EnvError {
    EnvError::Other("gym-rs drew nothing; without a screen, set SDL_VIDEODRIVER=dummy and SDL_RENDER_DRIVER=software in the environment".into())
}

/// The channel to the drawing thread, which starts with the first picture and is restarted if it died.
static STUDIO: Mutex<Option<Sender<Job>>> = Mutex::new(None);

fn do_in_studio(mut job: Job) -> Result<(), EnvError> {
    let mut studio = STUDIO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(jobs) = studio.as_ref() {
        match jobs.send(job) {
            Ok(()) => return Ok(()),
            Err(returned) => job = returned.0,
        }
    }
    let (jobs, received) = bounded::<Job>(64);
    let draw = move || {
        let mut studio = Studio::default();
        for job in received {
            job(&mut studio);
        }
    };
    let thread = std::thread::Builder::new().name("studio".to_owned()).spawn(draw);
    thread.map_err(|error| EnvError::Other(error.into()))?;
    jobs.send(job).map_err(|_| no_picture())?;
    *studio = Some(jobs);
    Ok(())
}

/// A picture and the result of drawing it, in a buffer that is sent back and forth.
type Reply = (Vec<u8>, Result<(), EnvError>);

/// Has states drawn.
#[derive(Debug)]
pub(super) struct Painter {
    rgb: Vec<u8>,
    replies: (Sender<Reply>, Receiver<Reply>),
}

impl Clone for Painter {
    /// Another one, because a reply is for the one who asked.
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Painter {
    pub(super) fn new() -> Self {
        Self {
            rgb: vec![0; SIZE.0 * SIZE.1 * 3],
            replies: bounded(1),
        }
    }

    /// Draws a state of an environment.
    fn draw<E: GymRsEnv>(&mut self, state: Vec<f64>) -> Result<&[u8], EnvError> {
        let mut rgb = std::mem::take(&mut self.rgb);
        let reply = self.replies.0.clone();
        let job = move |studio: &mut Studio| {
            // A panic of gym-rs or SDL2 ends the thread; its buffer is lost with it, and the reply tells.
            let drawn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| studio.draw::<E>(&state, &mut rgb)));
            let _ = reply.send((rgb, drawn.unwrap_or_else(|_| Err(no_picture()))));
        };
        do_in_studio(Box::new(job))?;
        let (rgb, drawn) = self.replies.1.recv().map_err(|_| no_picture())?;
        self.rgb = rgb;
        drawn.map(|()| self.rgb.as_slice())
    }

    /// Draws a state for a viewer.
    pub(super) fn show<E: GymRsEnv>(&mut self, state: Vec<f64>, viewer: &Viewer) -> Result<(), EnvError> {
        let frame = Frame {
            width: SIZE.1,
            height: SIZE.0,
            pixel_aspect: 1,
            rgb: self.draw::<E>(state)?,
        };
        viewer.show(frame);
        Ok(())
    }
}

/// An environment of gym-rs that observes its pictures: `[400, 600, 3]`, RGB.
///
/// Unlike elsewhere, steps allocate, because gym-rs allocates for each picture.
#[derive(Debug)]
pub struct GymRsPixels<E> {
    env: GymRs<E>,
    skip: u32,
    features: Vec<f32>,
    painter: Painter,
}

impl<E: GymRsEnv> GymRsPixels<E> {
    /// Repeats each action for `skip` steps and draws the last one. There is no maximum over two frames as for Atari,
    /// because moving objects are darker than the background.
    ///
    /// # Panics
    ///
    /// If `skip` is 0.
    #[must_use]
    pub fn new(skip: u32) -> Self {
        assert!(skip > 0, "a step is at least one step of gym-rs");
        let env = GymRs::new();
        Self {
            features: vec![0.0; env.obs_shape().len()],
            env,
            skip,
            painter: Painter::new(),
        }
    }

    fn look(&mut self, obs: &mut [u8]) -> Result<(), EnvError> {
        obs.copy_from_slice(self.painter.draw::<E>(self.env.env.state())?);
        Ok(())
    }
}

impl<E: GymRsEnv> Env for GymRsPixels<E> {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[SIZE.0, SIZE.1, 3])
    }

    fn num_actions(&self) -> usize {
        self.env.num_actions()
    }

    fn frames_per_step(&self) -> u32 {
        self.skip
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.env.set_viewer(viewer)
    }

    fn action_meanings(&self) -> Vec<String> {
        self.env.action_meanings()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.env.reset(seed, &mut self.features)?;
        self.look(obs)
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let mut sum = 0.0;
        for _ in 0..self.skip {
            let step = self.env.step(action, &mut self.features)?;
            sum += step.reward;
            if step.end.is_over() {
                self.look(obs)?;
                return Ok(Step {
                    reward: sum,
                    score: sum,
                    ..step
                });
            }
        }
        self.look(obs)?;
        Ok(Step::going_on(sum))
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("GymRsPixels", 1, &self.skip, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (skip, env) = open::<u32>("GymRsPixels", 1, snapshot)?;
        if skip != self.skip {
            return Err(bad(
                "GymRsPixels",
                format!("it skips {skip} frames, and this {}", self.skip),
            ));
        }
        self.env.restore(env)
    }
}

/// Creates an environment of gym-rs preprocessed for training from pictures: a frame skip of 2, 84x84 in gray, 4
/// frames stacked, and at most `max_frames` frames per episode.
#[must_use]
pub fn pixels<E: GymRsEnv>(max_frames: u32) -> impl Env<Obs = u8> {
    const SKIP: u32 = 2;
    let gray = Grayscale::new(GymRsPixels::<E>::new(SKIP));
    // In two steps, because one shrinks to a third at most.
    let small = Resize::new(Resize::new(gray, 168, 252), 84, 84);
    TimeLimit::new(FrameStack::new(small, 4), max_frames / SKIP)
}
