//! Updates that a GPU replays.

use tch::{Cuda, Device, Kind, Tensor};

use super::{OnPolicyBatch, OnPolicyConfig};
use crate::AgentError;
use crate::cuda_graph::{self, CudaGraph};
use crate::device::upload;
use crate::limits::check;
use crate::metrics::Unread;
use crate::network::Body;
use crate::optim::Varying;

/// The number of updates before the recorded one, in which libraries initialise themselves and choose their kernels.
const WARM_UPS: u32 = 3;

/// A recorded update with the tensors it reads, which stay where they are.
#[derive(Debug)]
pub(super) struct Recorded {
    /// The samples.
    batch: OnPolicyBatch,
    /// The numbers of the optimiser's step, `[3]`.
    varying: Tensor,
    /// The recording, and the statistics that it writes.
    replayed: Option<(CudaGraph, Unread)>,
    pub(super) warm_ups: u32,
}

impl Recorded {
    /// Checks that updates of a network can be recorded.
    pub(super) fn check(config: &OnPolicyConfig, body: &Body) -> Result<(), AgentError> {
        if !config.cuda_graphs {
            return Ok(());
        }
        let reason = "it is for a GPU: add `--device cuda`, or leave it out";
        check(body.device() != Device::Cpu, "cuda_graphs", true, reason)?;
        cuda_graph::is_possible()
    }

    /// Prepares to record updates from batches like this one.
    pub(super) fn new(batch: &OnPolicyBatch) -> Result<Self, AgentError> {
        let device = batch.obs.device();
        if device != Device::Cpu {
            // The sizes stay the same, so cuDNN may try which of its convolutions are the fastest for them.
            Cuda::cudnn_set_benchmark(true);
        }
        Ok(Self {
            batch: batch.blank()?,
            varying: Tensor::f_zeros([3], (Kind::Float, device))?,
            replayed: None,
            warm_ups: WARM_UPS,
        })
    }

    /// Whether it is for batches like this one.
    pub(super) fn fits(&self, batch: &OnPolicyBatch) -> bool {
        self.batch.obs.size() == batch.obs.size()
    }

    /// Copies the inputs of the next update.
    pub(super) fn take(&mut self, batch: &OnPolicyBatch, varying: Varying) -> Result<(), AgentError> {
        self.batch.copy_from(batch)?;
        let varying = upload(&varying, &[3], batch.obs.device())?;
        Ok(self.varying.f_copy_(&varying)?)
    }

    /// Performs an update: the first ones by calling `compute`, later ones by replaying it.
    pub(super) fn update(
        &mut self,
        mut compute: impl FnMut(&OnPolicyBatch, &Tensor) -> Result<Unread, AgentError>,
    ) -> Result<Unread, AgentError> {
        if self.warm_ups > 0 {
            self.warm_ups -= 1;
            return compute(&self.batch, &self.varying);
        }
        if self.replayed.is_none() {
            let device = self.batch.obs.device();
            let recorded = CudaGraph::record(device, || compute(&self.batch, &self.varying));
            Cuda::cudnn_set_benchmark(false);
            self.replayed = Some(recorded?);
        }
        let (graph, stats) = self.replayed.as_ref().expect("it was recorded");
        graph.replay()?;
        // The next replay overwrites them.
        stats.copy()
    }
}
