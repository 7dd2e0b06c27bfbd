//! A run: its folder, the loop that trains, and what the loop writes down and shows.

pub(crate) mod dir;
pub(crate) mod evaluations;
pub(crate) mod identity;
pub(crate) mod journal;
pub(crate) mod metrics;
pub(crate) mod progress;
mod run_loop;
mod sinks;
mod tensorboard;

pub(crate) use run_loop::{Outcome, Run, Summary, evaluate_end};
