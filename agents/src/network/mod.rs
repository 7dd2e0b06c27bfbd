//! Networks: a shared body, an optional recurrent core, and small heads.
//!
//! ```text
//! body           what                                                    source
//! nature         conv 32 8x8/4 · conv 64 4x4/2 · conv 64 3x3/1 · 512     DQN, Mnih 2015
//! a3c            conv 16 8x8/4 · conv 32 4x4/2 · 256                     DQN, Mnih 2013 (arXiv 1312.5602); also that of A3C and PAAC
//! impala         3 sections of conv 3x3 · pool · 2 residual blocks, 256  IMPALA, Espeholt 2018 (arXiv 1802.01561)
//! mlp            64 · 64                                                 for features instead of pixels
//! layers         those that are listed                                   for observations of your own
//! your own name  a closure, see TorsoBuilder                             anything
//!
//! core           what                                                    source
//! none           nothing: feed-forward
//! lstm           256 LSTM cells                                          A3C-LSTM
//! peephole_lstm  256 LSTM cells whose gates see the cells                Gers and Schmidhuber 2000
//!
//! heads
//! ActorCritic    logits [n, actions] and value [n]
//! QNetwork       action values [n, actions], in one piece or dueling, or distributions of returns [n, actions, outputs]
//! ```
//!
//! Pixels are scaled to the range 0 to 1.
//!
//! Parameters are always `f32`. [`Precision`] sets the precision of the layers that process pixels.

mod actor_critic;
mod body;
mod core;
mod distribution;
mod layer;
mod onnx;
mod precision;
mod q_network;
mod torso;

use std::borrow::Cow;
use std::fmt;

use coinop_envs::normalize::Normalization;
use coinop_envs::{Elem, Observations, Shape};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::Tensor;

use crate::AgentError;
use crate::init::Init;
use crate::limits::check;

pub use actor_critic::ActorCritic;
pub use body::{Body, Pass};
pub(crate) use body::{joined, rows};
pub use core::{Core, RecurrentState};
pub use distribution::Distribution;
pub(crate) use distribution::midpoints;
pub use layer::{Buffer, Convolution, Layer, Norm, TorsoBuilder};
pub use onnx::OPSET;
pub use precision::Precision;
pub(crate) use q_network::Weights;
pub use q_network::{Head, QHead, QNetwork};
pub use torso::{Activation, Torso, register};

/// The architecture of a network, independent of the shape of observations and the number of actions.
///
/// ```
/// use coinop_agents::network::{BodyKind, NetworkConfig};
///
/// let config: NetworkConfig = toml::from_str(
///     r#"
///     body = { layers = { convolutions = [[16, 3, 1]], hidden = [128] } }
///     core = "none"
///     init = "orthogonal"
///     precision = "float32"
///     "#,
/// )?;
/// assert!(matches!(config.body, BodyKind::Layers(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The body.
    pub body: BodyKind,
    /// The recurrent core.
    pub core: Core,
    /// The initial weights.
    pub init: Init,
    /// The precision of computation.
    pub precision: Precision,
}

impl NetworkConfig {
    /// Checks the body.
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        let is_size = |size: &i64| (1..=65_536).contains(size);
        match &self.body {
            BodyKind::Registered(name) => torso::find(name).map(drop),
            BodyKind::Impala(Impala {
                channels,
                hidden,
                max_pool,
                ..
            }) => {
                let good = !channels.is_empty() && channels.iter().all(is_size);
                let reason = "it must be at least one number, each from 1 to 65536";
                check(good, "network.body.impala.channels", format!("{channels:?}"), reason)?;
                let reason = "it must be between 1 and 65536";
                check(is_size(hidden), "network.body.impala.hidden", hidden, reason)?;
                let size = max_pool.unwrap_or(1);
                let reason = "it must be between 1 and 256";
                check((1..=256).contains(&size), "network.body.impala.max_pool", size, reason)
            }
            kind => {
                let Layers {
                    convolutions,
                    hidden,
                    dropout,
                    ..
                } = kind.layers();
                let good = convolutions
                    .iter()
                    .all(|(filters, kernel, stride)| [filters, kernel, stride].into_iter().all(is_size));
                let reason = "each is three numbers from 1 to 65536: filters, kernel, stride";
                check(
                    good,
                    "network.body.layers.convolutions",
                    format!("{convolutions:?}"),
                    reason,
                )?;
                let good = !hidden.is_empty() && hidden.iter().all(is_size);
                let reason = "it must be at least one number, each from 1 to 65536";
                check(good, "network.body.layers.hidden", format!("{hidden:?}"), reason)?;
                let probability = dropout.unwrap_or(0.0);
                let reason = "it must be at least 0 and less than 1";
                let good = (0.0..1.0).contains(&probability);
                check(good, "network.body.layers.dropout", probability, reason)
            }
        }
    }

    /// Checks that there is no recurrent core, which networks of action values do not support.
    pub(crate) fn check_feed_forward(&self) -> Result<(), AgentError> {
        let reason = "action values come from feed-forward networks: it must be none";
        check(self.core == Core::None, "network.core", "lstm", reason)
    }

    /// Checks that a pass with a gradient changes nothing in the network: workers do not share what it would change.
    pub(crate) fn check_for_workers(&self) -> Result<(), AgentError> {
        let (name, norm, dropout) = match &self.body {
            BodyKind::Impala(impala) => ("network.body.impala.norm", impala.norm, None),
            BodyKind::Layers(layers) => ("network.body.layers.norm", layers.norm, layers.dropout),
            _ => return Ok(()),
        };
        let reason = "each worker learns from one environment, which is not a batch: it must be none or layer";
        check(norm != Norm::Batch, name, "batch", reason)?;
        let reason = "workers do not share their estimates of singular values: it must be none or layer";
        check(norm != Norm::Spectral, name, "spectral", reason)?;
        let probability = dropout.unwrap_or(0.0);
        let reason = "workers have no dropout: it must be left out";
        check(dropout.is_none(), "network.body.layers.dropout", probability, reason)
    }
}

/// The body of a network.
///
/// In a configuration, a name, or a description: `body = { layers = { convolutions = [[16, 3, 1]], hidden = [128] } }`,
/// `body = { impala = { channels = [32, 64, 64] } }`.
///
/// ```
/// use coinop_agents::network::{BodyKind, Impala};
///
/// let nature: BodyKind = serde_json::from_str("\"nature\"")?;
/// assert_eq!(nature, BodyKind::Nature);
/// let wide: BodyKind = serde_json::from_str(r#"{"impala": {"channels": [32, 64, 64]}}"#)?;
/// assert_eq!(wide, BodyKind::Impala(Impala { channels: vec![32, 64, 64], ..Impala::default() }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BodyKind {
    /// The network of the Nature DQN paper (Mnih et al. 2015).
    Nature,
    /// The smaller network of the first DQN paper (Mnih et al. 2013, arXiv 1312.5602), which A3C and PAAC took over.
    A3c,
    /// Two layers of 64 units, for features.
    Mlp,
    /// A residual network.
    Impala(Impala),
    /// Your own layers.
    Layers(Layers),
    /// A torso that was [registered](register) under this name.
    Registered(String),
}

/// The residual network of IMPALA (Espeholt et al. 2018, arXiv 1802.01561, figure 3): for each number of channels a
/// convolution, a pooling and two residual blocks; then a fully connected layer.
///
/// ```
/// use coinop_agents::network::Impala;
///
/// assert_eq!((Impala::default().channels, Impala::default().hidden), (vec![16, 32, 32], 256));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Impala {
    /// The channels of each section.
    pub channels: Vec<i64>,
    /// The width of the fully connected layer.
    pub hidden: i64,
    /// What normalises its layers; `spectral` only the convolutions of residual blocks.
    pub norm: Norm,
    /// Pools the last section's pictures to this height and width, whatever their size (adaptive max-pooling); `None` for
    /// pictures as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pool: Option<i64>,
}

impl Default for Impala {
    fn default() -> Self {
        Self {
            channels: vec![16, 32, 32],
            hidden: 256,
            norm: Norm::None,
            max_pool: None,
        }
    }
}

/// Layers one after another.
///
/// ```
/// use coinop_agents::network::{Layers, Norm};
///
/// let layers: Layers = toml::from_str("hidden = [128, 128]\nskip = true\nnorm = 'layer'")?;
/// assert_eq!((layers.norm, layers.convolutions.len()), (Norm::Layer, 0));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// Convolutions without padding, in order: filters, kernel size, stride. With convolutions, observations must have
    /// the shape (channels, height, width); without, they are flattened.
    #[serde(default)]
    pub convolutions: Vec<(i64, i64, i64)>,
    /// The widths of the fully connected layers that follow; at least one.
    pub hidden: Vec<i64>,
    /// What follows each layer.
    #[serde(default)]
    pub activation: Activation,
    /// What normalises the outputs of each layer before its activation.
    #[serde(default)]
    pub norm: Norm,
    /// Whether the input of a layer is added to its output where both have the same size.
    #[serde(default)]
    pub skip: bool,
    /// The probability of dropout after each fully connected layer (Srivastava et al. 2014): where a gradient is computed,
    /// outputs become 0 with this probability, and the others are divided by one minus it. A recurrent core has none
    /// between its steps (Zaremba et al. 2014, arXiv 1409.2329).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

impl BodyKind {
    /// The names of the networks that are built in.
    const NAMES: [&'static str; 4] = ["nature", "a3c", "mlp", "impala"];

    /// Convolutions (filters, kernel size, stride) and the widths of the fully connected layers that follow, each with a
    /// rectifier.
    #[must_use]
    pub fn layers_of(convolutions: &[(i64, i64, i64)], hidden: &[i64]) -> Self {
        Self::Layers(Layers {
            convolutions: convolutions.to_vec(),
            hidden: hidden.to_vec(),
            ..Layers::default()
        })
    }

    fn name(&self) -> &str {
        match self {
            BodyKind::Nature => "nature",
            BodyKind::A3c => "a3c",
            BodyKind::Mlp => "mlp",
            BodyKind::Impala(_) => "impala",
            BodyKind::Layers(_) => "layers",
            BodyKind::Registered(name) => name,
        }
    }

    /// The layers of those that are lists.
    fn layers(&self) -> Layers {
        let list = |convolutions: &[(i64, i64, i64)], hidden: &[i64]| Layers {
            convolutions: convolutions.to_vec(),
            hidden: hidden.to_vec(),
            ..Layers::default()
        };
        match self {
            BodyKind::Nature => list(&[(32, 8, 4), (64, 4, 2), (64, 3, 1)], &[512]),
            BodyKind::A3c => list(&[(16, 8, 4), (32, 4, 2)], &[256]),
            BodyKind::Mlp => list(&[], &[64, 64]),
            BodyKind::Layers(layers) => layers.clone(),
            BodyKind::Impala(_) | BodyKind::Registered(_) => Layers::default(),
        }
    }

    /// Whether it may compute with convolutions.
    fn convolves(&self) -> bool {
        match self {
            BodyKind::Impala(_) | BodyKind::Registered(_) => true,
            list => !list.layers().convolutions.is_empty(),
        }
    }

    /// The width of the fully connected layer at its end, if that can be left to the heads.
    fn last_width(&self) -> Option<i64> {
        match self {
            BodyKind::Impala(impala) => Some(impala.hidden),
            BodyKind::Registered(_) => None,
            list => list.layers().hidden.last().copied(),
        }
    }
}

impl Serialize for BodyKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Described<'a> {
            Impala(&'a Impala),
            Layers(&'a Layers),
        }
        match self {
            BodyKind::Impala(impala) if *impala != Impala::default() => Described::Impala(impala).serialize(to),
            BodyKind::Layers(layers) => Described::Layers(layers).serialize(to),
            named => named.name().serialize(to),
        }
    }
}

/// As it is read: a name, or a description.
impl JsonSchema for BodyKind {
    fn schema_name() -> Cow<'static, str> {
        "BodyKind".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (impala, layers) = (generator.subschema_for::<Impala>(), generator.subschema_for::<Layers>());
        json_schema!({
            "anyOf": [
                { "type": "string", "examples": Self::NAMES },
                { "type": "object", "properties": { "impala": impala } },
                { "type": "object", "properties": { "layers": layers } },
            ]
        })
    }
}

impl<'de> Deserialize<'de> for BodyKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NameOrDescription;

        impl<'de> Visitor<'de> for NameOrDescription {
            type Value = BodyKind;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("the name of a network, or a table like { layers = { hidden = [128] } }")
            }

            fn visit_str<E>(self, name: &str) -> Result<BodyKind, E> {
                Ok(match name {
                    "nature" => BodyKind::Nature,
                    "a3c" => BodyKind::A3c,
                    "mlp" => BodyKind::Mlp,
                    "impala" => BodyKind::Impala(Impala::default()),
                    // Whether there is one is checked with the other values.
                    other => BodyKind::Registered(other.to_owned()),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BodyKind, A::Error> {
                #[derive(Deserialize)]
                #[serde(rename_all = "snake_case")]
                enum Described {
                    Impala(Impala),
                    Layers(Layers),
                }
                Ok(match Described::deserialize(MapAccessDeserializer::new(map))? {
                    Described::Impala(impala) => BodyKind::Impala(impala),
                    Described::Layers(layers) => BodyKind::Layers(layers),
                })
            }
        }

        from.deserialize_any(NameOrDescription)
    }
}

fn wrong_shape(kind: &BodyKind, shape: Shape, reason: &'static str) -> AgentError {
    AgentError::Shape {
        network: kind.name().to_owned(),
        shape: shape.to_string(),
        reason: reason.to_owned(),
    }
}

/// The network of a policy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AnyNetwork<'a> {
    /// Of PPO, PAAC, IMPALA and A3C.
    ActorCritic(&'a ActorCritic),
    /// Of methods that learn the values of actions.
    QNetwork(&'a QNetwork),
}

impl AnyNetwork<'_> {
    /// Whether it has a recurrent core.
    #[must_use]
    pub fn is_recurrent(&self) -> bool {
        match self {
            Self::ActorCritic(network) => network.is_recurrent(),
            Self::QNetwork(_) => false,
        }
    }

    /// See [`ActorCritic::to_onnx`] and [`QNetwork::to_onnx`].
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
        match self {
            Self::ActorCritic(network) => network.to_onnx(observations, normalization, about),
            Self::QNetwork(network) => network.to_onnx(observations, normalization, about),
        }
    }

    /// Its parameters by name, and the means that it subtracts from pixels.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>, AgentError> {
        let (params, body) = match self {
            Self::ActorCritic(network) => (network.params(), network.body()),
            Self::QNetwork(network) => (network.params(), network.body()),
        };
        let named = params.named().chain(body.means());
        let copied = named.map(|(name, values)| Ok((name.to_owned(), values.f_detach_copy()?)));
        copied.collect()
    }
}

/// An observation element that libtorch supports and that can be viewed as bytes.
///
/// ```
/// use coinop_agents::network::Observation;
///
/// fn is_observation<O: Observation>(_: O) {}
/// is_observation(255u8);
/// is_observation(0.5f32);
/// ```
pub trait Observation: Elem + tch::kind::Element + bytemuck::Pod {}

impl<T: Elem + tch::kind::Element + bytemuck::Pod> Observation for T {}

#[cfg(test)]
mod tests;
