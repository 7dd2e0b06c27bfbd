//! A run: its folder, the training loop, and what the loop records and displays.

pub(crate) mod dir;
pub(crate) mod evaluations;
pub(crate) mod identity;
pub(crate) mod journal;
pub(crate) mod metrics;
pub(crate) mod progress;
mod run_loop;
mod sinks;
pub(crate) mod state;
mod tensorboard;

pub(crate) use run_loop::{Outcome, Run, Summary, evaluate_end};
