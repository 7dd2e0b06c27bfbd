//! Actor-critic networks: a policy head and a value head on one body.

use coinop_envs::normalize::Normalization;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvSpec, Observations};
use tch::{Device, Tensor, no_grad};

use super::body::Body;
use super::core::Lstm;
use super::layer::{HeadLayer, TorsoBuilder};
use super::onnx::Graph;
use super::{NetworkConfig, RecurrentState};
use crate::distributed::Ranks;
use crate::params::Params;
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// The gains of the heads' orthogonal weights (Andrychowicz 2020, arXiv 2006.05990, finds that a small one matters
/// for the policy).
const POLICY_GAIN: f64 = 0.01;
const VALUE_GAIN: f64 = 1.0;

/// An actor-critic network: a body, an optional recurrent core, and two heads.
///
/// ```
/// use coinop_agents::Device;
/// use coinop_agents::init::Init;
/// use coinop_agents::network::{ActorCritic, BodyKind, Core, NetworkConfig, Precision};
/// use coinop_envs::rng::stream;
/// use coinop_envs::{EnvSpec, Shape};
///
/// let config = NetworkConfig {
///     body: BodyKind::Mlp,
///     core: Core::Lstm,
///     init: Init::Orthogonal,
///     precision: Precision::Float32,
/// };
/// let spec = EnvSpec::new(Shape::new(&[4]), 2);
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// // One environment, whose episode begins with this observation.
/// let mut state = network.initial_state(1)?;
/// let obs = network.body().input(&[0.1f32, 0.0, -0.2, 0.0])?;
/// let (logits, values) = network.forward(&obs, &[true], &mut state)?;
/// assert_eq!((logits.size(), values.size()), (vec![1, 2], vec![1]));
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct ActorCritic {
    params: Params,
    body: Body,
    core: Option<Lstm>,
    policy: HeadLayer,
    value: HeadLayer,
    num_actions: usize,
}

impl ActorCritic {
    /// Creates a network with initial weights from `rng`, for environments with the constants `spec`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Shape`] if the network cannot read such observations.
    pub fn new(config: &NetworkConfig, spec: &EnvSpec, rng: &mut Rng, device: Device) -> Result<Self, AgentError> {
        let mut builder = TorsoBuilder::new(config.init, spec.obs_shape, rng);
        let body = Body::build(config, 0, device, &mut builder)?;
        let (core, width) = Lstm::build(config.core, body.width(), &mut builder)?;
        let policy = builder.head("policy", spec.num_actions as i64, width, POLICY_GAIN)?;
        let value = builder.head("value", 1, width, VALUE_GAIN)?;
        Ok(Self {
            params: builder.finish(device)?,
            body,
            core,
            policy,
            value,
            num_actions: spec.num_actions,
        })
    }

    /// Takes over the parameters of another network of the same configuration, and its means of pixels.
    pub(crate) fn copy_from(&mut self, other: &Self) -> Result<(), AgentError> {
        self.params.copy_from(&other.params)?;
        self.body.take_center(other.body.center_tensor());
        Ok(())
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The body, which defines the observations that the network reads.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    #[cfg(test)]
    pub(super) fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The number of actions.
    #[must_use]
    pub fn num_actions(&self) -> usize {
        self.num_actions
    }

    /// Whether it has a recurrent core.
    #[must_use]
    pub fn is_recurrent(&self) -> bool {
        self.core.is_some()
    }

    /// Subtracts from every pixel its mean over these observations `[n, obs_shape…]`, `u8`, from now on. Static parts
    /// of the screen become 0, so that the network sees what moves.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn center(&mut self, obs: &Tensor) -> Result<(), AgentError> {
        Ok(self.body.center(obs)?)
    }

    /// The same over the observations of several ranks, equally many in each.
    pub(crate) fn center_over(&mut self, obs: &Tensor, ranks: &Ranks) -> Result<(), AgentError> {
        self.body.center_over(obs, ranks)
    }

    /// Subtracts these means `[obs_shape…]` from pixels from now on, or nothing.
    pub(crate) fn set_center(&mut self, means: Option<&[f32]>) -> Result<(), AgentError> {
        self.body.set_center_values(means)
    }

    /// Whether means are subtracted from pixels.
    #[must_use]
    pub fn is_centered(&self) -> bool {
        self.body.is_centered()
    }

    /// The initial recurrent state of `n` environments.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn initial_state(&self, n: usize) -> Result<RecurrentState, AgentError> {
        Lstm::initial_state(self.core.as_ref(), n, self.body.device())
    }

    /// Returns logits `[t · n, actions]` and values `[t · n]` of observations `[t · n, obs_shape…]`, `u8` or `f32`:
    /// `t` steps of the `n` environments of `state`, step by step. `state` is the recurrent state before the first
    /// step and is updated to that after the last one; it is reset wherever `is_first` marks the start of an episode.
    /// Feed-forward networks ignore both.
    ///
    /// # Errors
    ///
    /// If libtorch fails, for example because memory is exhausted.
    ///
    /// # Panics
    ///
    /// If the lengths do not match, or `state` belongs to another network.
    pub fn forward(
        &self,
        obs: &Tensor,
        is_first: &[bool],
        state: &mut RecurrentState,
    ) -> Result<(Tensor, Tensor), AgentError> {
        self.answer(self.body.forward(&self.params, obs)?, is_first, state)
    }

    /// Like [`forward`](Self::forward) but without gradients, and faster while the parameters do not change.
    ///
    /// # Errors
    ///
    /// If libtorch fails, for example because memory is exhausted.
    ///
    /// # Panics
    ///
    /// If the lengths do not match, or `state` belongs to another network.
    pub fn infer(
        &self,
        obs: &Tensor,
        is_first: &[bool],
        state: &mut RecurrentState,
    ) -> Result<(Tensor, Tensor), AgentError> {
        no_grad(|| self.answer(self.body.infer(&self.params, obs)?, is_first, state))
    }

    /// Writes the network as ONNX: `obs` to `logits` `[n, actions]` and `value` `[n]`, and with an LSTM `hidden` and
    /// `cell` to `hidden_out` and `cell_out`, both `[n, 256]`, 0 at the start of an episode. `normalization` is what the
    /// environment does to observations; `about` becomes the metadata.
    ///
    /// # Errors
    ///
    /// If its torso is a closure, or libtorch fails.
    pub fn to_onnx(
        &self,
        observations: Observations,
        normalization: Option<&Normalization>,
        about: &[(String, String)],
    ) -> Result<Vec<u8>, AgentError> {
        let (mut graph, params) = (Graph::new(), &self.params);
        let mut x = self.body.onnx(&mut graph, params, observations, normalization)?;
        if let Some(core) = &self.core {
            x = core.onnx(&mut graph, params, &x)?;
        }
        let logits = self.policy.onnx(&mut graph, params, &x)?;
        let value = self.value.onnx(&mut graph, params, &x)?;
        let axis = graph.lengths(&[1]);
        let value = graph.node("Squeeze", &[&value, &axis], Vec::new());
        graph.output("logits", &logits, &[self.num_actions]);
        graph.output("value", &value, &[]);
        Ok(graph.finish(about))
    }

    /// Applies the heads to the features of the body.
    fn answer(
        &self,
        mut x: Tensor,
        is_first: &[bool],
        state: &mut RecurrentState,
    ) -> Result<(Tensor, Tensor), AgentError> {
        if let Some(core) = &self.core {
            x = core.forward(&self.params, &x, is_first, state)?;
        }
        Ok((
            self.policy.apply(&self.params, &x)?,
            self.value.apply(&self.params, &x)?.f_squeeze_dim(1)?,
        ))
    }
}

impl Checkpoint for ActorCritic {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.params.save(out)?;
        self.body.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.params.load(from)?;
        self.body.load(from)
    }
}
