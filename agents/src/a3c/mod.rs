//! A3C, the asynchronous advantage actor-critic of Mnih et al. (2016), arXiv 1602.01783: threads that each play and
//! learn on their own, with shared weights.

mod config;
mod learner;
mod trainer;

pub use config::A3cConfig;

#[cfg(test)]
mod tests;
