//! Replay memory.
//!
//! Each actor has a ring of entries. An entry is the newest frame of an observation and what followed: action,
//! reward, discount, and whether the episode ended. Each frame is stored once; frame stacks and n-step returns are
//! assembled when a batch is sampled, directly in its buffers.
//!
//! ```text
//! entry          0     1     2     3     4     5     6     7     8       stacks of 2, 2-step returns
//! frame          a     b     c     d    (e)    p     q     r     s       an episode a to e, truncated; e is kept without an action
//! what follows   0     1     2     3     -     5     6     7     8
//!
//! entry 1:  observation a b;  return r1 + γ r2;  next observation c d, times γ²
//! entry 3:  observation c d;  return r3;         next observation d e, times γ: the episode was cut off, so its value goes on
//! entry 5:  observation p p: the first of an episode is one frame twice
//! entry 7:  not yet: what comes two steps later is not there
//! ```
//!
//! An actor's entries can be sampled from the oldest one with a complete stack to the newest one with a complete
//! return, except those without an action.

mod batch;
mod config;
mod entry;
mod frames;
mod group;
mod memory;
mod rank;
mod sampler;
mod tree;

pub use batch::{Id, ReplayBatch};
pub use config::ReplayConfig;
pub use frames::Store;
pub use group::GROUP;
pub use memory::Replay;
pub use sampler::{Normalize, SamplerConfig};
