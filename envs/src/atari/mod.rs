//! Atari games as environments.

mod env;
mod game;
mod protocol;

pub use env::AtariEnv;
pub use game::{AtariGame, Picture};
pub use protocol::{AtariConfig, Protocol};
