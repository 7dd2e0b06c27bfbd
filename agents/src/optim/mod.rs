//! Optimisers on flat parameter tensors, with state that can be saved.

mod adam;
mod rmsprop;

pub use adam::{Adam, AdamConfig};
pub use rmsprop::{RmsProp, RmsPropConfig};

use crate::{Checkpoint, CheckpointError, Section};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Which optimiser, with its settings. The learning rate is given at each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// RMSProp.
    RmsProp(RmsPropConfig),
    /// Adam.
    Adam(AdamConfig),
}

/// An optimiser at work.
#[derive(Debug)]
pub enum Optimizer {
    /// RMSProp.
    RmsProp(RmsProp),
    /// Adam.
    Adam(Adam),
}

impl Optimizer {
    /// For parameters like `params`, whose values do not matter.
    #[must_use]
    pub fn new(config: OptimizerConfig, params: &Tensor) -> Self {
        match config {
            OptimizerConfig::RmsProp(config) => Self::RmsProp(RmsProp::new(config, params)),
            OptimizerConfig::Adam(config) => Self::Adam(Adam::new(config, params)),
        }
    }

    /// Moves `params` against `gradient`, in place.
    pub fn step(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) {
        match self {
            Self::RmsProp(optimizer) => optimizer.step(params, gradient, learning_rate),
            Self::Adam(optimizer) => optimizer.step(params, gradient, learning_rate),
        }
    }
}

impl Checkpoint for Optimizer {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        match self {
            Self::RmsProp(optimizer) => optimizer.save(out),
            Self::Adam(optimizer) => optimizer.save(out),
        }
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        match self {
            Self::RmsProp(optimizer) => optimizer.load(from),
            Self::Adam(optimizer) => optimizer.load(from),
        }
    }
}

/// Scales `gradient` in place so that its Euclidean norm is at most `max_norm`, and returns the norm it had.
pub fn clip_grad_norm(gradient: &mut Tensor, max_norm: f64) -> f64 {
    let norm = gradient.norm().double_value(&[]);
    if norm > max_norm {
        let _ = tch::no_grad(|| gradient.g_mul_scalar_(max_norm / norm));
    }
    norm
}

/// Takes over a tensor of statistics from a checkpoint.
fn load_tensor(into: &mut Tensor, from: &Section, name: &str) -> Result<(), CheckpointError> {
    let value = from.tensor(name)?;
    if value.size() != into.size() {
        let reason = format!("it has shape {:?}, the optimiser needs {:?}", value.size(), into.size());
        return Err(CheckpointError::Mismatch {
            name: name.to_owned(),
            reason,
        });
    }
    tch::no_grad(|| into.copy_(value));
    Ok(())
}
