//! Train Atari-style agents: the three libraries of coinop under one name.
//!
//! * [`atari`]: an Atari 2600 with the semantics of the Arcade Learning Environment.
//! * [`envs`]: the [`Env`](envs::Env) trait, wrappers, vectorised environments and the registry.
//! * [`agents`]: networks, optimisers, and the [`Trainer`](agents::Trainer)s.
//!
//! The program `coinop` is built from these alone.

pub use coinop_agents as agents;
pub use coinop_atari as atari;
pub use coinop_envs as envs;
