//! Environments for coinop: the [`Env`] trait, wrappers, vectorised environments, and Atari. No libtorch here.

mod env;
mod error;
pub mod rng;
mod shape;
pub mod vec_env;

pub use env::{Elem, ElemKind, End, Env, Step};
pub use error::EnvError;
pub use shape::Shape;
pub use vec_env::VecEnv;
