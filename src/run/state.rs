//! The state of a run, read from its folder.

use super::dir::RunDir;
use crate::config::Config;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    /// A process is training it.
    Training,
    Finished,
    /// It was stopped, failed or was killed, and can be resumed.
    Stopped,
    /// It has no checkpoint.
    Empty,
}

impl State {
    pub(crate) fn of(dir: &RunDir, config: &Config) -> anyhow::Result<Self> {
        if dir.is_training() {
            return Ok(Self::Training);
        }
        Ok(match dir.checkpoints()?.last() {
            None => Self::Empty,
            Some(frames) if *frames >= config.run.frames => Self::Finished,
            Some(_) => Self::Stopped,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Empty => "empty",
        }
    }
}
