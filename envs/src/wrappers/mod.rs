//! Wrappers: environments around environments, chained like iterators.
//!
//! ```text
//! TimeLimit(ClipReward(FrameStack(Resize(FireStart(EpisodicLife(FrameSkip(NoopStart(game))))))))
//! ```
//!
//! is the chain of Atari training; [`AtariEnv`](crate::atari::AtariEnv) fuses it into one pass.

mod clip_reward;
mod episodic_life;
mod fire_start;
mod frame_skip;
mod frame_stack;
mod grayscale;
mod noop_start;
mod resize;
mod sticky_actions;
mod time_limit;

pub use clip_reward::ClipReward;
pub use episodic_life::{EpisodicLife, Lives};
pub use fire_start::FireStart;
pub use frame_skip::FrameSkip;
pub use frame_stack::FrameStack;
pub use grayscale::Grayscale;
pub use noop_start::NoopStart;
pub use resize::Resize;
pub use sticky_actions::StickyActions;
pub use time_limit::TimeLimit;

/// The parts of wrappers that fused environments share.
#[cfg(feature = "atari")]
pub(crate) mod fused {
    pub(crate) use super::clip_reward::sign;
    pub(crate) use super::episodic_life::lost_life;
    pub(crate) use super::frame_skip::{is_pooled, max_into};
    pub(crate) use super::frame_stack::Stack;
    pub(crate) use super::noop_start::{draw_noops, noop_stream};
}

/// Forwards the methods that most wrappers leave unchanged.
macro_rules! forward {
    ($($what:ident),*) => {$( $crate::wrappers::forward_one!($what); )*};
}

macro_rules! forward_one {
    (obs_shape) => {
        fn obs_shape(&self) -> $crate::Shape {
            self.env.obs_shape()
        }
    };
    (num_actions) => {
        fn num_actions(&self) -> usize {
            self.env.num_actions()
        }
    };
    (frames_per_step) => {
        fn frames_per_step(&self) -> u32 {
            self.env.frames_per_step()
        }
    };
    (stacked_frames) => {
        fn stacked_frames(&self) -> usize {
            self.env.stacked_frames()
        }
    };
    (for_humans) => {
        fn set_viewer(&mut self, viewer: Option<$crate::Viewer>) -> Option<f64> {
            self.env.set_viewer(viewer)
        }

        fn action_meanings(&self) -> Vec<String> {
            self.env.action_meanings()
        }
    };
    // Of a wrapper that remembers nothing from step to step.
    (snapshot) => {
        fn snapshot(&self) -> Option<Vec<u8>> {
            self.env.snapshot()
        }

        fn restore(&mut self, snapshot: &[u8]) -> Result<(), $crate::EnvError> {
            self.env.restore(snapshot)
        }
    };
    (reset) => {
        fn reset(&mut self, seed: Option<u64>, obs: &mut [Self::Obs]) -> Result<(), $crate::EnvError> {
            self.env.reset(seed, obs)
        }
    };
}
use {forward, forward_one};
