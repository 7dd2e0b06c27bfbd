//! Networks of action values.

use coinop_envs::normalize::Normalization;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvSpec, Observations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor, no_grad};

use super::NetworkConfig;
use super::body::Body;
use super::layer::{HIDDEN_GAIN, HeadLayer, TorsoBuilder};
use super::onnx::{Graph, int, ints};
use crate::distributed::Ranks;
use crate::params::Params;
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// The gain of the heads' orthogonal weights.
const VALUE_GAIN: f64 = 1.0;

/// The head that computes action values from the features of the body.
///
/// ```
/// use coinop_agents::network::Head;
///
/// let head: Head = serde_json::from_str("\"dueling\"")?;
/// assert_eq!(head, Head::Dueling);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// One layer from the features to all action values (Mnih 2015).
    #[default]
    Plain,
    /// The same with one bias shared by all actions, as in the tuned version of van Hasselt 2015 (arXiv 1509.06461).
    SharedBias,
    /// Separate streams for the value of the state and the advantages of the actions, each with its own hidden layer
    /// (Wang 2016, arXiv 1511.06581): `Q(s, a) = V(s) + A(s, a) - mean_b A(s, b)`, equation 9. Wang et al. also scale
    /// the gradient that enters the body by `1/sqrt(2)`, which is not done here, and clip its norm to 10 (section
    /// 4.2), which `max_grad_norm` sets.
    Dueling,
}

/// The layers of a head.
#[derive(Debug)]
enum Layers {
    Plain(HeadLayer),
    Dueling {
        value: [HeadLayer; 2],
        advantage: [HeadLayer; 2],
    },
}

/// A network of action values.
///
/// ```
/// use coinop_agents::Device;
/// use coinop_agents::init::Init;
/// use coinop_agents::network::{BodyKind, Core, Head, NetworkConfig, Precision, QNetwork};
/// use coinop_envs::rng::stream;
/// use coinop_envs::{EnvSpec, Shape};
///
/// let config = NetworkConfig {
///     body: BodyKind::Mlp,
///     core: Core::None,
///     init: Init::Orthogonal,
///     precision: Precision::Float32,
/// };
/// let spec = EnvSpec::new(Shape::new(&[4]), 2);
/// let network = QNetwork::new(&config, Head::Dueling, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let obs = network.body().input(&[0.1f32, 0.0, -0.2, 0.0])?;
/// assert_eq!(network.forward(&obs)?.size(), [1, 2]);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct QNetwork {
    params: Params,
    body: Body,
    head: Layers,
    num_actions: usize,
}

impl QNetwork {
    /// Creates a network with initial weights from `rng`, for environments with the constants `spec`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Shape`] if the network cannot read such observations, [`AgentError::BadConfig`] if it has a
    /// recurrent core.
    pub fn new(
        config: &NetworkConfig,
        head: Head,
        spec: &EnvSpec,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, AgentError> {
        config.check_feed_forward()?;
        let mut builder = TorsoBuilder::new(config.init, spec.obs_shape, rng);
        let num_actions = spec.num_actions as i64;
        let own_hidden_layers = usize::from(head == Head::Dueling);
        let body = Body::build(config, own_hidden_layers, device, &mut builder)?;
        let hidden = config.body.last_width().unwrap_or(body.width());
        let mut stream = |name: &str, outputs: i64| -> Result<[HeadLayer; 2], AgentError> {
            Ok([
                builder.head(&format!("{name}_hidden"), hidden, body.width(), HIDDEN_GAIN)?,
                builder.head(name, outputs, hidden, VALUE_GAIN)?,
            ])
        };
        let head = match head {
            Head::Plain => Layers::Plain(builder.head("action_value", num_actions, body.width(), VALUE_GAIN)?),
            Head::SharedBias => {
                Layers::Plain(builder.head_with_one_bias("action_value", num_actions, body.width(), VALUE_GAIN)?)
            }
            Head::Dueling => Layers::Dueling {
                value: stream("value", 1)?,
                advantage: stream("advantage", num_actions)?,
            },
        };
        Ok(Self {
            params: builder.finish(device)?,
            body,
            head,
            num_actions: spec.num_actions,
        })
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Copies the parameters of a network of the same architecture.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn copy_from(&mut self, other: &QNetwork) -> Result<(), AgentError> {
        Ok(self.params.copy_from(&other.params)?)
    }

    /// Copies all parameters, for a network in another thread.
    pub(crate) fn weights(&self) -> Result<Tensor, AgentError> {
        Ok(self.params.flat().f_detach_copy()?)
    }

    /// Writes all parameters into such a copy.
    pub(crate) fn write_weights(&self, weights: &mut Tensor) -> Result<(), AgentError> {
        Ok(weights.f_copy_(&self.params.flat())?)
    }

    /// Sets all parameters from such a copy.
    pub(crate) fn read_weights(&mut self, weights: &Tensor) -> Result<(), AgentError> {
        Ok(self.params.flat().f_copy_(weights)?)
    }

    /// The body, which defines the observations that the network reads.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The number of actions.
    #[must_use]
    pub fn num_actions(&self) -> usize {
        self.num_actions
    }

    /// Subtracts from every pixel its mean over these observations `[n, obs_shape…]`, `u8`, of all ranks from now on.
    /// Static parts of the screen become 0, so that the network sees what moves.
    pub(crate) fn center_over(&mut self, obs: &Tensor, ranks: &Ranks) -> Result<(), AgentError> {
        self.body.center_over(obs, ranks)
    }

    /// Whether means are subtracted from pixels.
    #[must_use]
    pub fn is_centered(&self) -> bool {
        self.body.is_centered()
    }

    /// Returns action values `[n, actions]` of observations `[n, obs_shape…]`, `u8` or `f32`.
    ///
    /// # Errors
    ///
    /// If libtorch fails, for example because memory is exhausted.
    pub fn forward(&self, obs: &Tensor) -> Result<Tensor, AgentError> {
        Ok(self.answer(&self.body.forward(&self.params, obs)?)?)
    }

    /// Like [`forward`](Self::forward) but without gradients, and faster while the parameters do not change.
    ///
    /// # Errors
    ///
    /// If libtorch fails, for example because memory is exhausted.
    pub fn infer(&self, obs: &Tensor) -> Result<Tensor, AgentError> {
        no_grad(|| Ok(self.answer(&self.body.infer(&self.params, obs)?)?))
    }

    /// Writes the network as ONNX: `obs` to `action_values` `[n, actions]`. `normalization` is what the environment does to
    /// observations; `about` becomes the metadata.
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
        let x = self.body.onnx(&mut graph, params, observations, normalization)?;
        let values = match &self.head {
            Layers::Plain(layer) => layer.onnx(&mut graph, params, &x)?,
            Layers::Dueling { value, advantage } => {
                let mut stream = |[hidden, out]: &[HeadLayer; 2]| {
                    let hidden = hidden.onnx(&mut graph, params, &x)?;
                    let hidden = graph.node("Relu", &[&hidden], Vec::new());
                    out.onnx(&mut graph, params, &hidden)
                };
                let (value, advantages) = (stream(value)?, stream(advantage)?);
                let mean = graph.node(
                    "ReduceMean",
                    &[&advantages],
                    vec![ints("axes", &[1]), int("keepdims", 1)],
                );
                let advantages = graph.node("Sub", &[&advantages, &mean], Vec::new());
                graph.node("Add", &[&value, &advantages], Vec::new())
            }
        };
        graph.output("action_values", &values, &[self.num_actions]);
        Ok(graph.finish(about))
    }

    /// Applies the head to the features of the body.
    fn answer(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let stream = |[hidden, out]: &[HeadLayer; 2]| {
            let hidden = hidden.apply(&self.params, x)?.f_relu_()?;
            out.apply(&self.params, &hidden)
        };
        Ok(match &self.head {
            Layers::Plain(layer) => layer.apply(&self.params, x)?,
            Layers::Dueling { value, advantage } => {
                let advantages = stream(advantage)?;
                let mean = advantages.f_mean_dim(1i64, true, tch::Kind::Float)?;
                stream(value)?.f_add(&advantages.f_sub(&mean)?)?
            }
        })
    }
}

impl Checkpoint for QNetwork {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.params.save(out)?;
        self.body.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.params.load(from)?;
        self.body.load(from)
    }
}
