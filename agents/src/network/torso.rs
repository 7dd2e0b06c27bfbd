//! Torsos: the layers between observations and heads, from a name, a list, or a closure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::body::{Observed, Pass};
use super::layer::{Convolution, Layer, Norm, Spec, TorsoBuilder};
use super::onnx::{Computed, Graph, Name, int, ints};
use super::{BodyKind, wrong_shape};
use crate::AgentError;
use crate::params::Params;

/// What a torso computes.
type Compute = dyn Fn(&Pass<'_>) -> Result<Tensor, TchError> + Send;

/// The layers between observations and heads, made by a closure with a [`TorsoBuilder`], where there is an example.
pub struct Torso {
    pub(super) width: i64,
    pub(super) compute: Box<Compute>,
    /// The layers, if they are a list.
    pub(super) sequence: Option<Arc<Sequence>>,
}

impl Torso {
    /// A torso that computes `width` features of each observation. With a gradient it is called for batches to learn
    /// from, without one to act; [`Pass`] is what both have in common.
    #[must_use]
    pub fn new(width: i64, compute: impl Fn(&Pass<'_>) -> Result<Tensor, TchError> + Send + 'static) -> Self {
        Self {
            width,
            compute: Box::new(compute),
            sequence: None,
        }
    }
}

impl fmt::Debug for Torso {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Torso")
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

/// The closure of a registered torso.
type Make = Arc<dyn Fn(&mut TorsoBuilder<'_>) -> Result<Torso, AgentError> + Send + Sync>;

static REGISTERED: RwLock<BTreeMap<String, Make>> = RwLock::new(BTreeMap::new());

/// Registers a torso for the rest of the process, as `body = "name"` in the settings of a network. See
/// [`TorsoBuilder`] for an example.
///
/// # Errors
///
/// If the name is taken, or is not of lower-case letters, digits, `-` and `_`.
pub fn register<F>(name: &str, make: F) -> Result<(), AgentError>
where
    F: Fn(&mut TorsoBuilder<'_>) -> Result<Torso, AgentError> + Send + Sync + 'static,
{
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let reason = if name.is_empty() || !name.chars().all(is_word) {
        "a name consists of lower-case letters, digits, - and _"
    } else if BodyKind::NAMES.contains(&name) || registered.contains_key(name) {
        "there is a network of that name already: choose another one"
    } else {
        registered.insert(name.to_owned(), Arc::new(make));
        return Ok(());
    };
    Err(AgentError::BadConfig {
        name: "network.body",
        value: name.to_owned(),
        reason,
    })
}

/// Finds a registered torso.
pub(super) fn find(name: &str) -> Result<Make, AgentError> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    registered.get(name).cloned().ok_or_else(|| AgentError::UnknownNetwork {
        name: name.to_owned(),
        known: BodyKind::NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .chain(registered.keys().cloned())
            .collect(),
    })
}

/// What follows a layer.
///
/// ```
/// use coinop_agents::network::Activation;
///
/// let activation: Activation = serde_json::from_str("\"elu\"")?;
/// assert_eq!(activation, Activation::Elu);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x`, or `exp(x) - 1` below 0 (Clevert et al. 2015, arXiv 1511.07289).
    Elu,
    /// `x Φ(x)` (Hendrycks and Gimpel 2016, arXiv 1606.08415).
    Gelu,
    /// `x sigmoid(x)`, also called swish (Ramachandran et al. 2017, arXiv 1710.05941).
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    pub(super) fn apply(self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Relu => x.f_relu(),
            Self::Elu => x.f_elu(),
            Self::Gelu => x.f_gelu("none"),
            Self::Silu => x.f_silu(),
            Self::Tanh => x.f_tanh(),
        }
    }

    /// Adds the activation to a graph.
    fn onnx(self, graph: &mut Graph, x: Computed) -> Computed {
        let name = match self {
            Self::Relu => graph.node("Relu", &[&x.name], Vec::new()),
            Self::Elu => graph.node("Elu", &[&x.name], Vec::new()),
            Self::Tanh => graph.node("Tanh", &[&x.name], Vec::new()),
            Self::Silu => {
                let gate = graph.node("Sigmoid", &[&x.name], Vec::new());
                graph.node("Mul", &[&x.name, &gate], Vec::new())
            }
            Self::Gelu => {
                // x (1 + erf(x / sqrt 2)) / 2
                let [root, one, half] = [std::f64::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|value| graph.number(value));
                let scaled = graph.node("Mul", &[&x.name, &root], Vec::new());
                let erf = graph.node("Erf", &[&scaled], Vec::new());
                let gate = graph.node("Add", &[&erf, &one], Vec::new());
                let twice = graph.node("Mul", &[&x.name, &gate], Vec::new());
                graph.node("Mul", &[&twice, &half], Vec::new())
            }
        };
        Computed { name, ..x }
    }

    /// The same of a tensor that nothing else needs.
    fn apply_to_own(self, mut x: Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Relu => x.f_relu_(),
            _ => self.apply(&x),
        }
    }
}

/// Adds adaptive max-pooling to a graph, for which ONNX has no operator: first of the rows of each region, then of its
/// columns. Region `i` of `to` on a side of `n` pixels has those from `floor(i n / to)` to `ceil((i + 1) n / to) - 1`,
/// as in libtorch.
fn adaptive_max_pool(graph: &mut Graph, x: &Name, from: [i64; 2], to: i64) -> Name {
    let mut x = x.clone();
    for (axis, n) in [2, 3].into_iter().zip(from) {
        let mut regions = Vec::new();
        for i in 0..to {
            let [start, end, axes] =
                [i * n / to, ((i + 1) * n + to - 1) / to, axis].map(|value| graph.lengths(&[value]));
            let region = graph.node("Slice", &[&x, &start, &end, &axes], Vec::new());
            let attributes = vec![ints("axes", &[axis]), int("keepdims", 1)];
            regions.push(graph.node("ReduceMax", &[&region], attributes));
        }
        let regions: Vec<&Name> = regions.iter().collect();
        x = graph.node("Concat", &regions, vec![int("axis", axis)]);
    }
    x
}

/// A step of a [`Sequence`].
enum Step {
    /// A layer and its activation.
    Layer(Layer, Option<Activation>),
    /// The same, added to its input.
    Skip(Layer, Activation),
    /// The largest of 3x3 pixels, with a stride of 2 and padding.
    MaxPool,
    /// The largest pixels of `to` times `to` regions that cover a picture of this height and width.
    AdaptiveMaxPool {
        from: [i64; 2],
        to: i64,
    },
    /// Dropout with this probability, where there is a gradient.
    Dropout(f64),
    Activation(Activation),
    /// Layers whose output is added to their input.
    Residual(Sequence),
}

/// Layers one after another, some of them with a way around them.
pub(super) struct Sequence {
    steps: Vec<Step>,
    size: Size,
}

/// The size of what a sequence has computed so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Picture { channels: i64, height: i64, width: i64 },
    Flat(i64),
}

impl Sequence {
    /// Begins with the observations of `kind`, whose shape must be that of pictures if `convolves`.
    pub(super) fn start(kind: &BodyKind, convolves: bool, builder: &TorsoBuilder<'_>) -> Result<Self, AgentError> {
        let shape = builder.obs_shape();
        let size = match (shape.dims(), convolves) {
            (_, false) => Size::Flat(shape.len() as i64),
            ([channels, height, width], true) => Size::Picture {
                channels: *channels as i64,
                height: *height as i64,
                width: *width as i64,
            },
            (_, true) => return Err(wrong_shape(kind, shape, "it needs channels, height and width")),
        };
        Ok(Self {
            steps: Vec::new(),
            size,
        })
    }

    /// Adds a convolution, unless the picture is smaller than its kernel: then it is `None`.
    fn convolve(
        &mut self,
        filters: i64,
        convolution: Convolution,
        builder: &mut TorsoBuilder<'_>,
    ) -> Result<Option<Layer>, AgentError> {
        let Size::Picture {
            channels,
            height,
            width,
        } = self.size
        else {
            return Ok(None);
        };
        let smallest = convolution.kernel - 2 * convolution.padding;
        if height < smallest || width < smallest {
            return Ok(None);
        }
        self.size = Size::Picture {
            channels: filters,
            height: convolution.outputs(height),
            width: convolution.outputs(width),
        };
        builder.conv(filters, channels, convolution).map(Some)
    }

    fn flat(&self) -> i64 {
        match self.size {
            Size::Flat(width) => width,
            Size::Picture {
                channels,
                height,
                width,
            } => channels * height * width,
        }
    }

    /// Convolutions and fully connected layers, each followed by its activation.
    pub(super) fn layers(
        mut self,
        kind: &BodyKind,
        list: &super::Layers,
        without: usize,
        builder: &mut TorsoBuilder<'_>,
    ) -> Result<Self, AgentError> {
        for &(filters, kernel, stride) in &list.convolutions {
            let convolution = Convolution {
                norm: list.norm,
                ..Convolution::new(kernel, stride)
            };
            let before = self.size;
            let Some(layer) = self.convolve(filters, convolution, builder)? else {
                return Err(wrong_shape(kind, builder.obs_shape(), "height and width are too small"));
            };
            self.add(layer, before, list);
        }
        for &width in &list.hidden[..list.hidden.len() - without] {
            let before = self.size;
            let layer = builder.normalized_linear(width, self.flat(), list.norm)?;
            self.size = Size::Flat(width);
            self.add(layer, before, list);
            self.steps.extend(list.dropout.map(Step::Dropout));
        }
        Ok(self)
    }

    /// Adds a layer, with a way around it if that is wanted and possible.
    fn add(&mut self, layer: Layer, before: Size, list: &super::Layers) {
        self.steps.push(if list.skip && before == self.size {
            Step::Skip(layer, list.activation)
        } else {
            Step::Layer(layer, Some(list.activation))
        });
    }

    /// The residual network of Espeholt et al. 2018 (arXiv 1802.01561, figure 3, right): sections of a convolution, a
    /// pooling and two residual blocks, then a fully connected layer.
    pub(super) fn impala(
        mut self,
        kind: &BodyKind,
        impala: &super::Impala,
        without: usize,
        builder: &mut TorsoBuilder<'_>,
    ) -> Result<Self, AgentError> {
        let convolution = |norm: Norm| Convolution {
            padding: 1,
            norm,
            ..Convolution::new(3, 1)
        };
        let outer_norm = match impala.norm {
            Norm::Spectral => Norm::None,
            norm => norm,
        };
        let too_small = |builder: &TorsoBuilder<'_>| wrong_shape(kind, builder.obs_shape(), "it is not a picture");
        for &channels in &impala.channels {
            let layer = self.convolve(channels, convolution(outer_norm), builder)?;
            let layer = layer.ok_or_else(|| too_small(builder))?;
            self.steps.push(Step::Layer(layer, None));
            self.pool();
            for _ in 0..2 {
                let mut block = Sequence {
                    steps: Vec::new(),
                    size: self.size,
                };
                for _ in 0..2 {
                    block.steps.push(Step::Activation(Activation::Relu));
                    let layer = block.convolve(channels, convolution(impala.norm), builder)?;
                    let layer = layer.ok_or_else(|| too_small(builder))?;
                    block.steps.push(Step::Layer(layer, None));
                }
                self.steps.push(Step::Residual(block));
            }
        }
        self.steps.push(Step::Activation(Activation::Relu));
        self.pool_to(impala.max_pool);
        if without == 0 {
            let layer = builder.normalized_linear(impala.hidden, self.flat(), outer_norm)?;
            self.size = Size::Flat(impala.hidden);
            self.steps.push(Step::Layer(layer, Some(Activation::Relu)));
        }
        Ok(self)
    }

    fn pool(&mut self) {
        if let Size::Picture { height, width, .. } = &mut self.size {
            (*height, *width) = ((*height + 1) / 2, (*width + 1) / 2);
        }
        self.steps.push(Step::MaxPool);
    }

    /// Pools the picture to `size` times `size` pixels.
    fn pool_to(&mut self, size: Option<i64>) {
        if let (Size::Picture { height, width, .. }, Some(to)) = (&mut self.size, size) {
            let from = [*height, *width];
            (*height, *width) = (to, to);
            self.steps.push(Step::AdaptiveMaxPool { from, to });
        }
    }

    pub(super) fn into_torso(self) -> Torso {
        let sequence = Arc::new(self);
        let layers = Arc::clone(&sequence);
        Torso {
            sequence: Some(sequence),
            ..Torso::new(layers.flat(), move |pass| layers.compute(pass, None))
        }
    }

    /// Adds the layers to a graph, as they are without a gradient: on `x`, or on the observations.
    pub(super) fn onnx(
        &self,
        graph: &mut Graph,
        layers: &[Spec],
        params: &Params,
        obs: &Observed,
        x: Option<Computed>,
    ) -> Result<Computed, TchError> {
        let mut x = x;
        for step in &self.steps {
            let through = |graph: &mut Graph, layer: &Layer, x: &Option<Computed>| match x {
                Some(x) => layers[layer.0].onnx(graph, params, x.clone(), None),
                None => layers[layer.0].onnx(graph, params, obs.unscaled.clone(), obs.scale),
            };
            let input = |graph: &mut Graph, x: &Option<Computed>| match x {
                Some(x) => x.clone(),
                None => obs.scaled(graph),
            };
            let with = |graph: &mut Graph, op: &str, a: &Computed, b: &Computed| Computed {
                name: graph.node(op, &[&a.name, &b.name], Vec::new()),
                ..a.clone()
            };
            x = Some(match step {
                Step::Layer(layer, None) => through(graph, layer, &x)?,
                Step::Layer(layer, Some(activation)) => {
                    let out = through(graph, layer, &x)?;
                    activation.onnx(graph, out)
                }
                Step::Skip(layer, activation) => {
                    let out = through(graph, layer, &x)?;
                    let out = activation.onnx(graph, out);
                    let before = input(graph, &x);
                    with(graph, "Add", &out, &before)
                }
                Step::MaxPool => {
                    let before = input(graph, &x);
                    let attributes = vec![
                        ints("kernel_shape", &[3, 3]),
                        ints("strides", &[2, 2]),
                        ints("pads", &[1, 1, 1, 1]),
                    ];
                    Computed {
                        name: graph.node("MaxPool", &[&before.name], attributes),
                        ..before
                    }
                }
                Step::AdaptiveMaxPool { from, to } => {
                    let before = input(graph, &x);
                    Computed {
                        name: adaptive_max_pool(graph, &before.name, *from, *to),
                        ..before
                    }
                }
                Step::Dropout(_) => input(graph, &x),
                Step::Activation(activation) => {
                    let before = input(graph, &x);
                    activation.onnx(graph, before)
                }
                Step::Residual(block) => {
                    let before = input(graph, &x);
                    let out = block.onnx(graph, layers, params, obs, Some(before.clone()))?;
                    with(graph, "Add", &out, &before)
                }
            });
        }
        Ok(match x {
            Some(x) => x,
            None => obs.scaled(graph),
        })
    }

    /// The layer that reads the observations, if it is the only step that does.
    pub(super) fn first_layer(&self) -> Option<Layer> {
        match self.steps.first() {
            Some(Step::Layer(layer, _)) => Some(*layer),
            _ => None,
        }
    }

    /// Computes from `x`, or from the observations.
    fn compute(&self, pass: &Pass<'_>, x: Option<&Tensor>) -> Result<Tensor, TchError> {
        let mut x = x.map(Tensor::shallow_clone);
        for step in &self.steps {
            let through = |layer: Layer| match &x {
                Some(x) => pass.apply(layer, x),
                None => pass.read(layer),
            };
            let input = || x.as_ref().map_or_else(|| pass.obs(), |x| Ok(x.shallow_clone()));
            x = Some(match step {
                Step::Layer(layer, None) => through(*layer)?,
                Step::Layer(layer, Some(activation)) => activation.apply_to_own(through(*layer)?)?,
                Step::Skip(layer, activation) => {
                    let out = activation.apply_to_own(through(*layer)?)?;
                    out.f_add(&input()?)?
                }
                Step::MaxPool => input()?.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?,
                Step::AdaptiveMaxPool { to, .. } => input()?.f_adaptive_max_pool2d([*to, *to])?.0,
                Step::Dropout(probability) => pass.dropout(&input()?, *probability)?,
                Step::Activation(activation) => activation.apply(&input()?)?,
                Step::Residual(block) => {
                    let input = input()?;
                    block.compute(pass, Some(&input))?.f_add(&input)?
                }
            });
        }
        x.map_or_else(|| pass.obs(), Ok)
    }
}
