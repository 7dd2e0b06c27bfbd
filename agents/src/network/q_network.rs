//! Networks of action values.

use coinop_envs::normalize::Normalization;
use coinop_envs::rng::Rng;
use coinop_envs::{EnvSpec, Observations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::body::{Body, values};
use super::distribution::midpoints;
use super::layer::{HIDDEN_GAIN, HeadLayer, TorsoBuilder};
use super::onnx::{Graph, int, ints};
use super::{Distribution, NetworkConfig};
use crate::distributed::Ranks;
use crate::init::gaussian;
use crate::limits::{above_0, check, if_given};
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

/// Everything that follows the body of a network of action values.
///
/// ```
/// use coinop_agents::network::{Head, QHead};
///
/// let rainbow = QHead { noisy: Some(0.5), ..QHead::from(Head::Dueling) };
/// assert_eq!((rainbow.head, rainbow.distribution), (Head::Dueling, None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QHead {
    /// Its layers.
    pub head: Head,
    /// What its outputs are; `None` for action values.
    pub distribution: Option<Distribution>,
    /// The `sigma_0` of noisy layers: the noise of their weights begins with the deviation `sigma_0 / sqrt(inputs)`; `None` for layers without noise.
    pub noisy: Option<f64>,
}

impl QHead {
    /// Checks that the parts fit.
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        if let Some(distribution) = self.distribution {
            distribution.validate()?;
        }
        if_given("noisy", self.noisy, above_0)?;
        let reason = "distributions and noisy layers share no bias: it must be plain or dueling";
        let fits = self.head != Head::SharedBias || (self.distribution.is_none() && self.noisy.is_none());
        check(fits, "head", "shared_bias", reason)
    }
}

impl From<Head> for QHead {
    fn from(head: Head) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }
}

/// A layer of a head, with or without noise.
#[derive(Debug)]
struct Dense {
    means: HeadLayer,
    noise: Option<Noise>,
}

/// Factorised Gaussian noise (Fortunato et al. 2017, arXiv 1706.10295, equations 10 and 11): the noise of a weight is the
/// product of that of its output and that of its input.
#[derive(Debug)]
struct Noise {
    deviations: HeadLayer,
    inputs: i64,
    outputs: i64,
    /// `f` of what was drawn for the inputs, and for the outputs; `None` for no noise.
    drawn: Option<[Tensor; 2]>,
}

impl Dense {
    fn apply(&self, params: &Params, x: &Tensor) -> Result<Tensor, TchError> {
        let out = self.means.apply(params, x)?;
        let Some((deviations, [inputs, outputs])) = self.noise.as_ref().and_then(Noise::drawn) else {
            return Ok(out);
        };
        out.f_add(&deviations.apply(params, &x.f_mul(inputs)?)?.f_mul(outputs)?)
    }

    fn draw(&mut self, rng: &mut Rng, device: Device) -> Result<(), TchError> {
        let Some(noise) = &mut self.noise else { return Ok(()) };
        let mut scaled = |n: i64| {
            let values: Vec<f32> = (0..n)
                .map(|_| {
                    let x = gaussian(rng);
                    (x.signum() * x.abs().sqrt()) as f32
                })
                .collect();
            Tensor::f_from_slice(&values)?.f_to_device(device)
        };
        noise.drawn = Some([scaled(noise.inputs)?, scaled(noise.outputs)?]);
        Ok(())
    }
}

impl Noise {
    fn drawn(&self) -> Option<(HeadLayer, &[Tensor; 2])> {
        Some((self.deviations, self.drawn.as_ref()?))
    }
}

/// The layers of a head.
#[derive(Debug)]
enum Layers {
    Plain {
        /// Only with noise, which the body's last layer has none of, and with IQN, whose fractions come before it.
        hidden: Option<Dense>,
        out: Dense,
    },
    Dueling {
        value: [Dense; 2],
        advantage: [Dense; 2],
    },
}

impl Layers {
    fn each(&mut self) -> impl Iterator<Item = &mut Dense> {
        let (first, second) = match self {
            Self::Plain { hidden, out } => (hidden.as_mut_slice(), std::slice::from_mut(out)),
            Self::Dueling { value, advantage } => (value.as_mut_slice(), advantage.as_mut_slice()),
        };
        first.iter_mut().chain(second)
    }
}

/// A copy of all that a network computes with, for one in another thread or process.
#[derive(Debug)]
pub(crate) struct Weights {
    /// All parameters.
    params: Tensor,
    /// The means of pixels, if they are subtracted.
    center: Option<Tensor>,
}

impl Weights {
    /// The parameters, and after them the means of pixels, if there are any.
    pub(crate) fn numbers(&self) -> Result<Vec<f32>, AgentError> {
        let mut numbers = values(&self.params)?;
        if let Some(center) = &self.center {
            numbers.extend(values(center)?);
        }
        Ok(numbers)
    }
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
    distribution: Option<Distribution>,
    /// The returns of the atoms, if there are atoms.
    support: Option<Tensor>,
    /// The layer that embeds fractions, with IQN.
    embedding: Option<Embedding>,
}

/// The embedding of fractions by IQN (Dabney et al. 2018, arXiv 1806.06923, equation 4).
#[derive(Debug)]
struct Embedding {
    layer: HeadLayer,
    cosines: usize,
}

impl Embedding {
    /// `relu(sum_i cos(pi i tau) w_i + b)` `[m, k, width]` of fractions `tau` `[m, k]`.
    fn of(&self, params: &Params, fractions: &Tensor) -> Result<Tensor, TchError> {
        let i = Tensor::f_arange(self.cosines as i64, (Kind::Float, fractions.device()))?;
        let angles = fractions
            .f_unsqueeze(2)?
            .f_mul(&i.f_mul_scalar(std::f64::consts::PI)?)?;
        self.layer.apply(params, &angles.f_cos()?)?.f_relu()
    }
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
        Self::with_head(config, head.into(), spec, rng, device)
    }

    /// The same, with a head that may have distributions of returns and noise.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new); and [`AgentError::BadConfig`] if actions share a bias, and there is more than that.
    pub fn with_head(
        config: &NetworkConfig,
        head: QHead,
        spec: &EnvSpec,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, AgentError> {
        config.check_feed_forward()?;
        head.validate()?;
        let QHead {
            head,
            distribution,
            noisy,
        } = head;
        let outputs = match distribution {
            // One for each fraction that is put in.
            None | Some(Distribution::Iqn { .. }) => 1,
            Some(distribution) => distribution.outputs() as i64,
        };
        let mut builder = TorsoBuilder::new(config.init, spec.obs_shape, rng);
        let num_actions = spec.num_actions as i64;
        // A network whose head is noisy has no layers without noise but convolutions.
        let is_iqn = matches!(distribution, Some(Distribution::Iqn { .. }));
        let owns_hidden_layer = head == Head::Dueling || noisy.is_some() || is_iqn;
        let body = Body::build(config, usize::from(owns_hidden_layer), device, &mut builder)?;
        let (width, hidden) = (body.width(), config.body.last_width().unwrap_or(body.width()));
        let embedding = match distribution {
            Some(Distribution::Iqn { cosines, .. }) => Some(Embedding {
                layer: builder.head("fraction", width, cosines as i64, HIDDEN_GAIN)?,
                cosines,
            }),
            _ => None,
        };
        let mut dense = |name: &str, outputs: i64, inputs: i64, gain: f64| -> Result<Dense, AgentError> {
            let means = match head {
                Head::SharedBias => builder.head_with_one_bias(name, outputs, inputs, gain)?,
                _ => builder.head(name, outputs, inputs, gain)?,
            };
            let noise = match noisy {
                None => None,
                Some(sigma) => Some(Noise {
                    deviations: builder.deviations(
                        &format!("{name}_noise"),
                        outputs,
                        inputs,
                        sigma / (inputs as f64).sqrt(),
                    )?,
                    inputs,
                    outputs,
                    drawn: None,
                }),
            };
            Ok(Dense { means, noise })
        };
        let mut stream = |name: &str, outputs: i64| -> Result<[Dense; 2], AgentError> {
            Ok([
                dense(&format!("{name}_hidden"), hidden, width, HIDDEN_GAIN)?,
                dense(name, outputs, hidden, VALUE_GAIN)?,
            ])
        };
        let head = match head {
            Head::Dueling => Layers::Dueling {
                value: stream("value", outputs)?,
                advantage: stream("advantage", num_actions * outputs)?,
            },
            _ if owns_hidden_layer => {
                let [hidden, out] = stream("action_value", num_actions * outputs)?;
                let hidden = Some(hidden);
                Layers::Plain { hidden, out }
            }
            _ => Layers::Plain {
                hidden: None,
                out: dense("action_value", num_actions * outputs, width, VALUE_GAIN)?,
            },
        };
        Ok(Self {
            params: builder.finish(device)?,
            body,
            head,
            num_actions: spec.num_actions,
            support: distribution.map_or(Ok(None), |distribution| distribution.support(device))?,
            distribution,
            embedding,
        })
    }

    /// Draws new noise for the noisy layers, if there are any. Before the first time, and in loaded agents, there is none: the
    /// weights are their means.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn draw_noise(&mut self, rng: &mut Rng) -> Result<(), AgentError> {
        let device = self.body.device();
        Ok(self.head.each().try_for_each(|layer| layer.draw(rng, device))?)
    }

    /// How the distributions of returns are represented; `None` for action values alone.
    #[must_use]
    pub fn distribution(&self) -> Option<Distribution> {
        self.distribution
    }

    /// The returns of the atoms `[atoms]`, if there are atoms.
    #[must_use]
    pub fn support(&self) -> Option<&Tensor> {
        self.support.as_ref()
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Takes over the parameters of a network of the same architecture, and its means of pixels.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn copy_from(&mut self, other: &QNetwork) -> Result<(), AgentError> {
        self.params.copy_from(&other.params)?;
        self.body.take_center(other.body.center_tensor());
        Ok(())
    }

    /// Copies all weights, for a network in another thread.
    pub(crate) fn weights(&self) -> Result<Weights, AgentError> {
        Ok(Weights {
            params: self.params.flat().f_detach_copy()?,
            center: self.body.center_tensor(),
        })
    }

    /// Writes all weights into such a copy.
    pub(crate) fn write_weights(&self, weights: &mut Weights) -> Result<(), AgentError> {
        weights.params.f_copy_(&self.params.flat())?;
        weights.center = self.body.center_tensor();
        Ok(())
    }

    /// Sets all weights from such a copy.
    pub(crate) fn read_weights(&mut self, weights: &Weights) -> Result<(), AgentError> {
        self.params.flat().f_copy_(&weights.params)?;
        self.body
            .take_center(weights.center.as_ref().map(Tensor::shallow_clone));
        Ok(())
    }

    /// Sets all weights from [their numbers](Weights::numbers); `false` if they are those of another architecture.
    pub(crate) fn read_numbers(&mut self, numbers: &[f32]) -> Result<bool, AgentError> {
        let Some((params, means)) = numbers.split_at_checked(self.params.numel()) else {
            return Ok(false);
        };
        let means = Some(means).filter(|means| !means.is_empty());
        if means.is_some_and(|means| means.len() != self.body.obs_shape().len()) {
            return Ok(false);
        }
        self.params.take(params)?;
        self.body.set_center_values(means)?;
        Ok(true)
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

    /// Subtracts these means `[obs_shape…]` from pixels from now on, or nothing.
    pub(crate) fn set_center(&mut self, means: Option<&[f32]>) -> Result<(), AgentError> {
        self.body.set_center_values(means)
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
        Ok(self.values(&self.answer(&self.body.forward(&self.params, obs)?)?)?)
    }

    /// Returns the outputs `[n, actions, outputs]` for distributions of returns: logits of the atoms, or quantiles.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn forward_distributions(&self, obs: &Tensor) -> Result<Tensor, AgentError> {
        Ok(self.answer(&self.body.forward(&self.params, obs)?)?)
    }

    /// Like [`forward_distributions`](Self::forward_distributions) but without gradients.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn infer_distributions(&self, obs: &Tensor) -> Result<Tensor, AgentError> {
        no_grad(|| Ok(self.answer(&self.body.infer(&self.params, obs)?)?))
    }

    /// The quantiles `[n, actions, k]` of IQN at fractions `[n, k]`.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn forward_quantiles(&self, obs: &Tensor, fractions: &Tensor) -> Result<Tensor, AgentError> {
        Ok(self.quantiles(&self.body.forward(&self.params, obs)?, fractions)?)
    }

    /// Like [`forward_quantiles`](Self::forward_quantiles) but without gradients.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn infer_quantiles(&self, obs: &Tensor, fractions: &Tensor) -> Result<Tensor, AgentError> {
        no_grad(|| Ok(self.quantiles(&self.body.infer(&self.params, obs)?, fractions)?))
    }

    /// The means `[n, actions]` of distributions given as outputs `[n, actions, outputs]`; action values as they are.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn values(&self, outputs: &Tensor) -> Result<Tensor, TchError> {
        match (&self.distribution, &self.support) {
            (None, _) => Ok(outputs.shallow_clone()),
            (Some(_), Some(support)) => outputs.f_softmax(-1, Kind::Float)?.f_matmul(support),
            (Some(_), None) => outputs.f_mean_dim(-1i64, false, Kind::Float),
        }
    }

    /// Like [`forward`](Self::forward) but without gradients, and faster while the parameters do not change.
    ///
    /// # Errors
    ///
    /// If libtorch fails, for example because memory is exhausted.
    pub fn infer(&self, obs: &Tensor) -> Result<Tensor, AgentError> {
        no_grad(|| Ok(self.values(&self.answer(&self.body.infer(&self.params, obs)?)?)?))
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
        let mut x = self.body.onnx(&mut graph, params, observations, normalization)?;
        // With IQN, the quantiles of an observation are those of as many rows, which differ in what they are multiplied by.
        let fractions = match (&self.embedding, self.distribution) {
            (Some(embedding), Some(distribution)) => {
                let fractions = midpoints(distribution.outputs(), self.body.device())?;
                let embedded = no_grad(|| embedding.of(params, &fractions))?;
                let (axis, factors) = (graph.lengths(&[1]), graph.constant(&embedded)?);
                let row = graph.node("Unsqueeze", &[&x, &axis], Vec::new());
                let rows = graph.node("Mul", &[&row, &factors], Vec::new());
                let shape = graph.lengths(&[-1, self.body.width()]);
                x = graph.node("Reshape", &[&rows, &shape], Vec::new());
                Some(distribution.outputs() as i64)
            }
            _ => None,
        };
        let outputs = match fractions {
            Some(_) => None,
            None => self.distribution.map(|distribution| distribution.outputs() as i64),
        };
        let values = match &self.head {
            Layers::Plain { hidden: None, out } => out.means.onnx(&mut graph, params, &x)?,
            Layers::Plain {
                hidden: Some(hidden),
                out,
            } => {
                let hidden = hidden.means.onnx(&mut graph, params, &x)?;
                let hidden = graph.node("Relu", &[&hidden], Vec::new());
                out.means.onnx(&mut graph, params, &hidden)?
            }
            Layers::Dueling { value, advantage } => {
                let mut stream = |[hidden, out]: &[Dense; 2]| {
                    let hidden = hidden.means.onnx(&mut graph, params, &x)?;
                    let hidden = graph.node("Relu", &[&hidden], Vec::new());
                    out.means.onnx(&mut graph, params, &hidden)
                };
                let (value, advantages) = (stream(value)?, stream(advantage)?);
                // [n, actions, outputs], and [n, 1, outputs] to be added to all actions.
                let [value, advantages] =
                    [(value, 1), (advantages, self.num_actions)].map(|(x, actions)| match outputs {
                        None => x,
                        Some(outputs) => {
                            let shape = graph.lengths(&[-1, actions as i64, outputs]);
                            graph.node("Reshape", &[&x, &shape], Vec::new())
                        }
                    });
                let mean = graph.node(
                    "ReduceMean",
                    &[&advantages],
                    vec![ints("axes", &[1]), int("keepdims", 1)],
                );
                let advantages = graph.node("Sub", &[&advantages, &mean], Vec::new());
                graph.node("Add", &[&value, &advantages], Vec::new())
            }
        };
        let values = match (outputs, &self.support) {
            (None, _) => match fractions {
                Some(fractions) => {
                    let shape = graph.lengths(&[-1, fractions, self.num_actions as i64]);
                    let quantiles = graph.node("Reshape", &[&values, &shape], Vec::new());
                    let attributes = vec![ints("axes", &[1]), int("keepdims", 0)];
                    graph.node("ReduceMean", &[&quantiles], attributes)
                }
                None => values,
            },
            (Some(outputs), support) => {
                let shape = graph.lengths(&[-1, self.num_actions as i64, outputs]);
                let distributions = graph.node("Reshape", &[&values, &shape], Vec::new());
                match support {
                    Some(support) => {
                        let probabilities = graph.node("Softmax", &[&distributions], vec![int("axis", -1)]);
                        let support = graph.constant(support)?;
                        graph.node("MatMul", &[&probabilities, &support], Vec::new())
                    }
                    None => graph.node(
                        "ReduceMean",
                        &[&distributions],
                        vec![ints("axes", &[-1]), int("keepdims", 0)],
                    ),
                }
            }
        };
        graph.output("action_values", &values, &[self.num_actions]);
        Ok(graph.finish(about))
    }

    /// Applies the head to the features of the body: `[n, actions]`, or `[n, actions, outputs]` with a distribution.
    fn answer(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self.distribution {
            None => self.layers(x, None),
            Some(Distribution::Iqn { policy_samples, .. }) => {
                self.quantiles(x, &midpoints(policy_samples, self.body.device())?)
            }
            Some(distribution) => self.layers(x, Some(distribution.outputs() as i64)),
        }
    }

    /// The quantiles `[n, actions, k]` at fractions `[n, k]`, or `[1, k]` for all alike, from the features of the body.
    fn quantiles(&self, x: &Tensor, fractions: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_unsqueeze(1)?;
        let x = match &self.embedding {
            Some(embedding) => x.f_mul(&embedding.of(&self.params, fractions)?)?,
            None => x,
        };
        let [n, k, width] = x.size3()?.into();
        let quantiles = self.layers(&x.f_view([n * k, width])?, None)?;
        quantiles.f_view([n, k, -1])?.f_transpose(1, 2)
    }

    /// Applies the layers of the head: `[n, actions]`, or `[n, actions, outputs]`.
    fn layers(&self, x: &Tensor, outputs: Option<i64>) -> Result<Tensor, TchError> {
        let shaped = |out: Tensor, actions: usize| match outputs {
            None => Ok(out),
            Some(outputs) => out.f_view([-1, actions as i64, outputs]),
        };
        let through = |hidden: &Dense, out: &Dense| {
            let hidden = hidden.apply(&self.params, x)?.f_relu_()?;
            out.apply(&self.params, &hidden)
        };
        let stream = |[hidden, out]: &[Dense; 2]| through(hidden, out);
        Ok(match &self.head {
            Layers::Plain { hidden: None, out } => shaped(out.apply(&self.params, x)?, self.num_actions)?,
            Layers::Plain {
                hidden: Some(hidden),
                out,
            } => shaped(through(hidden, out)?, self.num_actions)?,
            Layers::Dueling { value, advantage } => {
                let advantages = shaped(stream(advantage)?, self.num_actions)?;
                let mean = advantages.f_mean_dim(1i64, true, Kind::Float)?;
                shaped(stream(value)?, 1)?.f_add(&advantages.f_sub(&mean)?)?
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
