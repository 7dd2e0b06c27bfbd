//! Train Atari-style agents: the libraries of coinop under one name, and its program.
//!
//! * [`atari`]: an Atari 2600 with the semantics of the Arcade Learning Environment.
//! * [`envs`]: the [`Env`](envs::Env) trait, wrappers, vectorised environments and the registry.
//! * [`agents`]: networks, optimisers, and the [`Trainer`](agents::Trainer)s.
//! * [`train`], [`evaluate`] and [`load`]: whole runs from a program of your own.
//! * [`Program`]: the command line, also for your own environments and algorithms.

// See `output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub use coinop_agents as agents;
pub use coinop_agents::algorithm::{Algorithm, RunSettings};
pub use coinop_atari as atari;
pub use coinop_envs as envs;

mod algo;
mod bench;
mod cli;
mod commands;
mod config;
mod count;
#[cfg(test)]
mod documents;
mod evaluation;
mod files;
mod library;
mod log;
mod output;
mod play;
pub mod process_settings;
mod processes;
mod program;
mod ranks;
mod report;
mod run;
mod signals;
mod statistics;
mod suite;
mod tune;
mod watch;

pub use library::{Agent, Error, Evaluation, Report, TrainConfig, evaluate, load, train};
pub use program::Program;

/// The guide's chapters with code, so that the tests compile it.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/guide/src/custom-environment.md")]
    mod custom_environment {}
    #[doc = include_str!("../docs/guide/src/custom-network.md")]
    mod custom_network {}
    #[doc = include_str!("../docs/guide/src/custom-algorithm.md")]
    mod custom_algorithm {}
    #[doc = include_str!("../docs/guide/src/library.md")]
    mod library {}
    #[doc = include_str!("../docs/guide/src/vec-envs.md")]
    mod vec_envs {}
}
