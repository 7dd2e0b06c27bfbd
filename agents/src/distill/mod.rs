//! Distillation: a network learns to do what a trained agent does (policy distillation, Rusu et al. 2015, arXiv
//! 1511.06295; soft targets, Hinton et al. 2015, arXiv 1503.02531), in observations that it meets itself.
//!
//! ```text
//! student   plays, with a policy that may be another network's: smaller, larger, recurrent
//! teacher   answers the same observations, with probabilities or values of actions
//! loss      how far the student's policy is from the teacher's answers, softened by a temperature; and its value from the teacher's
//! ```

mod config;
mod learner;
mod teacher;
mod trainer;

pub use config::DistillConfig;
pub use learner::{DistillBatch, DistillLearner, DistillStats};
pub use teacher::Teacher;
pub use trainer::Distill;

#[cfg(test)]
mod tests;
