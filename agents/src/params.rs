//! The parameters of a network, in one flat tensor.
//!
//! ```text
//! flat  [ conv1.weight | conv1.bias | conv2.weight | … | value.bias ]
//!            ▲ leaf         ▲ leaf      views of `flat` that autograd knows
//! ```
//!
//! Clipping and the optimiser work on the whole at once, and several threads can share it. The gradient is a flat tensor of
//! the same layout.

use crate::{Checkpoint, CheckpointError, Section};
use tch::{Device, Kind, Tensor};

/// Named leaves over one flat tensor.
#[derive(Debug)]
pub struct Params {
    flat: Tensor,
    names: Vec<String>,
    leaves: Vec<Tensor>,
}

impl Params {
    /// Copies the values, in order, into one flat tensor on `device`.
    pub(crate) fn new(values: Vec<(String, Tensor)>, device: Device) -> Self {
        let pieces: Vec<Tensor> = values.iter().map(|(_, value)| value.reshape([-1])).collect();
        let flat = Tensor::cat(&pieces, 0).to_device(device).to_kind(Kind::Float);
        let mut leaves = Vec::with_capacity(values.len());
        let mut offset = 0;
        for (_, value) in &values {
            let len = value.numel() as i64;
            leaves.push(
                flat.narrow(0, offset, len)
                    .view(value.size().as_slice())
                    .detach()
                    .set_requires_grad(true),
            );
            offset += len;
        }
        let names = values.into_iter().map(|(name, _)| name).collect();
        Self { flat, names, leaves }
    }

    /// The number of parameters.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.flat.numel()
    }

    /// All parameters; changing them in place changes the network.
    pub(crate) fn flat(&self) -> Tensor {
        self.flat.shallow_clone()
    }

    /// The `i`-th leaf, in the order of construction.
    pub(crate) fn leaf(&self, i: usize) -> &Tensor {
        &self.leaves[i]
    }

    /// The gradient of a scalar loss, flat. The loss's graph is used up.
    pub(crate) fn gradient(&self, loss: &Tensor) -> Result<Tensor, tch::TchError> {
        let gradients = Tensor::f_run_backward(&[loss], &self.leaves, false, false)?;
        let pieces: Vec<Tensor> = gradients.iter().map(|gradient| gradient.reshape([-1])).collect();
        Tensor::f_cat(&pieces, 0)
    }
}

impl Checkpoint for Params {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        for (name, leaf) in self.names.iter().zip(&self.leaves) {
            out.put_tensor(name, leaf);
        }
        Ok(())
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let mut values = Vec::with_capacity(self.leaves.len());
        for (name, leaf) in self.names.iter().zip(&self.leaves) {
            let value = from.tensor(name)?;
            if value.size() != leaf.size() {
                let reason = format!("it has shape {:?}, the network needs {:?}", value.size(), leaf.size());
                return Err(CheckpointError::Mismatch {
                    name: name.clone(),
                    reason,
                });
            }
            values.push(value);
        }
        tch::no_grad(|| {
            for (value, leaf) in values.iter().zip(&self.leaves) {
                leaf.shallow_clone().copy_(value);
            }
        });
        Ok(())
    }
}
