//! Environments for coinop: the [`Env`] trait, wrappers, vectorised environments, classic control, and Atari. No libtorch here.

pub mod arcade;
#[cfg(feature = "atari")]
pub mod atari;
mod check;
pub mod classic;
mod env;
mod error;
mod factory;
pub mod guard;
#[cfg(feature = "gym-rs")]
pub mod gym_rs;
pub mod memory;
pub mod normalize;
mod picture;
pub mod registry;
mod resize;
pub mod rng;
mod shape;
pub mod snapshot;
pub mod vec_env;
pub mod wrappers;

pub use check::{Faults, check_env};
#[cfg(feature = "atari")]
pub use coinop_atari;
pub use env::{Elem, End, Env, EnvSpec, Observations, Step};
pub use error::EnvError;
pub use factory::{AnyFactory, Copies, EnvFactory, FromFn, InThreads, Learned, Mixed};
pub use picture::{Frame, Picture, Viewer};
pub use resize::AreaResizer;
pub use shape::Shape;
pub use vec_env::VecEnv;
