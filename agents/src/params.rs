//! The parameters of a network in one flat tensor.
//!
//! ```text
//! flat  [ conv1.weight | conv1.bias | conv2.weight | … | value.bias ]
//!            ▲ leaf         ▲ leaf      views of `flat` that autograd knows
//! ```
//!
//! Clipping and the optimiser process the whole tensor at once. The gradient is a flat tensor with the same layout.
//!
//! Threads do not share it: concurrent writes to one number are undefined behaviour. `shared.rs` explains what
//! Hogwild needs instead, within Rust's rules; numbers are copied between there and here.

use std::ops::Range;

use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::distributed::Ranks;
use crate::optim::fused;
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// Named views of one flat tensor.
///
/// ```
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::Device;
/// # use coinop_agents::init::Init;
/// # use coinop_agents::network::{BodyKind, Core, NetworkConfig, Precision};
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::Env;
/// # let config = NetworkConfig { body: BodyKind::Mlp, core: Core::None, init: Init::Orthogonal, precision: Precision::Float32 };
/// # let spec = CartPole::v1().spec();
/// # use coinop_agents::tch::Kind;
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let params = network.params();
/// let obs = network.body().input(&[0.1f32; 4])?;
/// let (_, value) = network.forward(&obs, &[true], &mut network.initial_state(1)?)?;
/// // The gradient of one number with respect to all, in the order of the flat tensor; 0 where it does not depend on one.
/// let gradient = params.gradient(&value.f_sum(Kind::Float)?)?;
/// assert_eq!(gradient.size(), params.flat().size());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Params {
    flat: Tensor,
    names: Vec<String>,
    leaves: Vec<Tensor>,
    /// The parts of `flat` that are averages of batches.
    averages: Vec<Range<i64>>,
}

impl Params {
    /// Copies the values, in order, into one flat tensor on `device`.
    pub(crate) fn new(values: Vec<(String, Tensor)>, device: Device) -> Result<Self, TchError> {
        let flat = concatenate(values.iter().map(|(_, value)| value))?
            .f_to_device(device)?
            .f_to_kind(Kind::Float)?;
        let mut leaves = Vec::with_capacity(values.len());
        let mut offset = 0;
        for (_, value) in &values {
            let len = value.numel() as i64;
            leaves.push(
                flat.f_narrow(0, offset, len)?
                    .f_view(value.size().as_slice())?
                    .f_detach()?
                    .f_set_requires_grad(true)?,
            );
            offset += len;
        }
        let names = values.into_iter().map(|(name, _)| name).collect();
        Ok(Self {
            flat,
            names,
            leaves,
            averages: Vec::new(),
        })
    }

    /// Says which leaves are averages of batches: no gradient changes them, and those of several ranks differ.
    #[must_use]
    pub(crate) fn with_averages(mut self, leaves: &[usize]) -> Self {
        let part = |&leaf: &usize| {
            let len = |leaf: &Tensor| leaf.numel() as i64;
            let start = self.leaves[..leaf].iter().map(len).sum();
            start..start + len(&self.leaves[leaf])
        };
        self.averages = leaves.iter().map(part).collect();
        self
    }

    /// The number of parameters.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.flat.numel()
    }

    /// All parameters, flat. Changing them in place, as an optimiser does, changes the network.
    pub fn flat(&self) -> Tensor {
        self.flat.shallow_clone()
    }

    /// The values with their names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.iter().map(String::as_str).zip(&self.leaves)
    }

    /// A version number that changes whenever a value does.
    pub(crate) fn version(&self) -> Result<i64, TchError> {
        self.flat.f_internal_version()
    }

    /// Copies the values of parameters with the same layout.
    pub(crate) fn copy_from(&mut self, other: &Params) -> Result<(), TchError> {
        no_grad(|| self.flat.f_copy_(&other.flat))
    }

    /// Sets all values from a flat slice.
    pub(crate) fn take(&self, values: &[f32]) -> Result<(), TchError> {
        self.set(|flat| flat.copy_from_slice(values))
    }

    /// Sets all values to those that `write` writes.
    pub(crate) fn set(&self, write: impl FnOnce(&mut [f32])) -> Result<(), TchError> {
        fused::set(&mut self.flat(), write)
    }

    /// The `i`-th leaf, in the order of construction.
    pub(crate) fn leaf(&self, i: usize) -> &Tensor {
        &self.leaves[i]
    }

    /// Computes the flat gradient of a scalar loss, which is 0 for parameters that the loss does not depend on. Frees
    /// the loss's graph.
    ///
    /// # Errors
    ///
    /// If libtorch fails, for example because memory is exhausted.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor, TchError> {
        concatenate(&self.gradients(&[loss])?)
    }

    /// Computes the gradient of the sum of all elements of `terms` for each leaf, in order, and frees their graphs.
    pub(crate) fn gradients(&self, terms: &[&Tensor]) -> Result<Vec<Tensor>, TchError> {
        // libtorch begins with a gradient of 1 for each element, which is that of their sum.
        let gradients = Tensor::f_run_backward(terms, &self.leaves, false, false)?;
        let or_0 = |(gradient, leaf): (Tensor, &Tensor)| {
            if gradient.defined() {
                Ok(gradient)
            } else {
                leaf.f_zeros_like()
            }
        };
        gradients.into_iter().zip(&self.leaves).map(or_0).collect()
    }

    /// Like [`gradient`](Self::gradient), averaged over all ranks. Averages of batches are averaged over the ranks, too.
    pub(crate) fn mean_gradient(&self, loss: &Tensor, ranks: &Ranks) -> Result<Tensor, AgentError> {
        let gradient = self.gradient(loss)?;
        if ranks.is_alone() {
            return Ok(gradient);
        }
        // The averages have no gradient, so they travel in its place.
        let part = |of: &Tensor, part: &Range<i64>| of.f_narrow(0, part.start, part.end - part.start);
        for average in &self.averages {
            part(&gradient, average)?.f_copy_(&part(&self.flat, average)?)?;
        }
        let mean = ranks.mean(gradient)?;
        no_grad(|| {
            for average in &self.averages {
                let mut sent = part(&mean, average)?;
                part(&self.flat, average)?.f_copy_(&sent)?;
                let _ = sent.f_zero_()?;
            }
            Ok(mean)
        })
    }
}

/// Concatenates the elements of all tensors.
fn concatenate<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Tensor, TchError> {
    let flat = tensors.into_iter().map(|tensor| tensor.f_reshape([-1]));
    Tensor::f_cat(&flat.collect::<Result<Vec<_>, _>>()?, 0)
}

impl Checkpoint for Params {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        for (name, leaf) in self.names.iter().zip(&self.leaves) {
            out.put_tensor(name, leaf)?;
        }
        Ok(())
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        for (name, leaf) in self.names.iter().zip(&mut self.leaves) {
            from.load_tensor(name, leaf)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_0_where_the_loss_does_not_depend_on_a_parameter() {
        let value = |value: f32| Tensor::from_slice(&[value]);
        let values = vec![("used".to_owned(), value(3.0)), ("unused".to_owned(), value(5.0))];
        let params = Params::new(values, Device::Cpu).unwrap();
        let loss = params.leaf(0).square().sum(Kind::Float);
        let gradient = params.gradient(&loss).unwrap();
        assert_eq!(Vec::<f32>::try_from(gradient).unwrap(), [6.0, 0.0]);
    }
}
