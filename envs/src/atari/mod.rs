//! Atari games as environments.

mod env;
mod game;
mod protocol;

pub use env::AtariEnv;
pub use game::AtariGame;
pub use protocol::{AtariConfig, Protocol};

impl From<coinop_atari::AtariError> for crate::EnvError {
    fn from(error: coinop_atari::AtariError) -> Self {
        Self::Other(Box::new(error))
    }
}
