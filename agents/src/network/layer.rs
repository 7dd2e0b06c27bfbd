//! Layers, and the builder that draws their parameters.

use coinop_envs::memory;
use coinop_envs::rng::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::onnx::{Computed, Graph, Name, float, int, ints};
use crate::AgentError;
use crate::init::{Init, gaussian};
use crate::params::Params;

/// The gain of orthogonal weights in layers followed by a rectifier.
pub(super) const HIDDEN_GAIN: f64 = std::f64::consts::SQRT_2;

/// Added to variances before their root.
const NORM_EPSILON: f64 = 1e-5;

/// What is divided by instead of a smaller norm.
const SMALLEST_NORM: f64 = 1e-12;

/// The steps of power iteration when a weight has just been drawn.
const FIRST_STEPS: usize = 15;

/// The weight of a batch in the running statistics of batch normalisation.
const NORM_MOMENTUM: f64 = 0.1;

/// A layer of a torso, made by a [`TorsoBuilder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer(pub(super) usize);

/// A constant of a torso, made by a [`TorsoBuilder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer(usize);

/// What normalises the outputs of a layer before its activation.
///
/// ```
/// use coinop_agents::network::Norm;
///
/// let norm: Norm = serde_json::from_str("\"layer\"")?;
/// assert_eq!(norm, Norm::Layer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Nothing.
    #[default]
    None,
    /// Layer normalisation (Ba et al. 2016, arXiv 1607.06450) over the outputs of a linear layer, or the filters of
    /// each pixel.
    Layer,
    /// Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167). With a gradient it uses the statistics of the
    /// batch, and averages them; without, it uses the averages, which are absorbed into the layer's weights.
    Batch,
    /// Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957), of the weight instead of the outputs: it is divided
    /// by its largest singular value. That is estimated by power iteration, one step in each pass with a gradient.
    Spectral,
}

/// What a layer computes, and where its parameters are.
#[derive(Debug)]
pub(super) struct Spec {
    op: Op,
    /// The index of the weight; the bias follows it.
    weight: usize,
    norm: NormSpec,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Conv { kernel: i64, stride: i64, padding: i64 },
    Linear,
}

/// Where the parameters of a normalisation are: gain and bias, and for batches the averaged mean and variance; or the
/// first left singular vector of the weight.
#[derive(Clone, Copy, Debug)]
enum NormSpec {
    None,
    Layer { gain: usize },
    Batch { gain: usize, mean: usize },
    Spectral { vector: usize },
}

/// The parameters of a layer, ready to compute with.
#[derive(Debug)]
pub(super) struct Weights {
    weight: Tensor,
    bias: Tensor,
    norm: NormWeights,
    /// Whether the weight is for pictures in [blocks](in_blocks).
    is_in_blocks: bool,
}

#[derive(Debug)]
enum NormWeights {
    /// None, or one within the weights.
    None,
    Layer {
        gain: Tensor,
        bias: Tensor,
    },
    Batch {
        gain: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
    },
}

impl Spec {
    pub(super) fn is_convolution(&self) -> bool {
        matches!(self.op, Op::Conv { .. })
    }

    /// The size of the blocks in which a convolution can read pictures of this height and width: its stride, if kernel and
    /// picture consist of whole blocks.
    pub(super) fn block_size(&self, picture: [usize; 2]) -> Option<i64> {
        let Op::Conv {
            kernel,
            stride,
            padding,
        } = self.op
        else {
            return None;
        };
        let whole = |length: i64| length % stride == 0;
        let all = whole(kernel) && picture.into_iter().all(|side| whole(side as i64));
        (stride > 1 && padding == 0 && all).then_some(stride)
    }

    /// Whether a pass with a gradient changes its averages, or its singular vector.
    pub(super) fn is_changed_by_passes(&self) -> bool {
        matches!(self.norm, NormSpec::Batch { .. } | NormSpec::Spectral { .. })
    }

    /// The layer's parameters as `kind`; the weight is multiplied by `scale`, and laid out for pictures in blocks of size
    /// `block`. `for_gradient` is false where batch
    /// normalisation uses its averages, and spectral normalisation its singular vector as it is.
    pub(super) fn weights(
        &self,
        params: &Params,
        kind: Kind,
        scale: Option<f64>,
        block: Option<i64>,
        for_gradient: bool,
    ) -> Result<Weights, TchError> {
        let (mut weight, mut bias) = (
            params.leaf(self.weight).shallow_clone(),
            params.leaf(self.weight + 1).shallow_clone(),
        );
        if let NormSpec::Spectral { vector } = self.norm {
            let vector = params.leaf(vector);
            if for_gradient {
                // Changed without a new version, which would forbid the gradient of an earlier pass.
                power_iteration(&weight, &mut vector.f_data()?, 1)?;
            }
            weight = weight.f_div(&largest_singular_value(&weight, vector)?)?;
        }
        if let Some(scale) = scale {
            weight = weight.f_mul_scalar(scale)?;
        }
        let leaf = |at: usize| params.leaf(at).f_to_kind(kind);
        let norm = match self.norm {
            NormSpec::None | NormSpec::Spectral { .. } => NormWeights::None,
            NormSpec::Layer { gain } => NormWeights::Layer {
                gain: leaf(gain)?,
                bias: leaf(gain + 1)?,
            },
            NormSpec::Batch { gain, mean } if for_gradient => NormWeights::Batch {
                gain: params.leaf(gain).shallow_clone(),
                bias: params.leaf(gain + 1).shallow_clone(),
                mean: params.leaf(mean).f_detach()?,
                variance: params.leaf(mean + 1).f_detach()?,
            },
            NormSpec::Batch { gain, mean } => {
                // gain (W x + b - mean) / deviation + shift, as a layer of its own.
                let deviation = params.leaf(mean + 1).f_add_scalar(NORM_EPSILON)?.f_sqrt()?;
                let factor = params.leaf(gain).f_div(&deviation)?;
                let mut per_output = vec![-1];
                per_output.resize(weight.dim(), 1);
                weight = weight.f_mul(&factor.f_view(per_output.as_slice())?)?;
                bias = bias
                    .f_sub(params.leaf(mean))?
                    .f_mul(&factor)?
                    .f_add(params.leaf(gain + 1))?;
                NormWeights::None
            }
        };
        let weight = weight.f_to_kind(kind)?;
        Ok(Weights {
            weight: match block {
                Some(size) => in_blocks(&weight, size)?,
                None => weight,
            },
            bias: bias.f_to_kind(kind)?,
            norm,
            is_in_blocks: block.is_some(),
        })
    }

    /// Applies the layer to `x`, of the kind of its weights.
    pub(super) fn compute(&self, x: &Tensor, weights: &Weights) -> Result<Tensor, TchError> {
        let Weights {
            weight,
            bias,
            norm,
            is_in_blocks,
        } = weights;
        let out = match self.op {
            Op::Conv { stride, padding, .. } => {
                let stride = if *is_in_blocks { 1 } else { stride };
                x.f_conv2d(weight, Some(bias), [stride, stride], [padding, padding], [1, 1], 1)?
            }
            Op::Linear => x.f_linear(weight, Some(bias))?,
        };
        match norm {
            NormWeights::None => Ok(out),
            NormWeights::Layer { gain, bias } => by_pixel(&out, |x| {
                x.f_layer_norm([gain.numel() as i64], Some(gain), Some(bias), NORM_EPSILON, false)
            }),
            NormWeights::Batch {
                gain,
                bias,
                mean,
                variance,
            } => out.f_batch_norm(
                Some(gain),
                Some(bias),
                Some(mean),
                Some(variance),
                true,
                NORM_MOMENTUM,
                NORM_EPSILON,
                false,
            ),
        }
    }
}

impl Spec {
    /// Adds the layer to a graph, as it is without a gradient.
    pub(super) fn onnx(
        &self,
        graph: &mut Graph,
        params: &Params,
        x: Computed,
        scale: Option<f64>,
    ) -> Result<Computed, TchError> {
        let Weights { weight, bias, norm, .. } = self.weights(params, Kind::Float, scale, None, false)?;
        let (weight, bias) = (graph.constant(&weight)?, graph.constant(&bias)?);
        let is_picture = self.is_convolution();
        let name = match self.op {
            Op::Conv { stride, padding, .. } => {
                let attributes = vec![
                    ints("strides", &[stride; 2]),
                    ints("pads", &[padding; 4]),
                    // The default, which not every engine knows.
                    ints("dilations", &[1, 1]),
                ];
                graph.node("Conv", &[&x.name, &weight, &bias], attributes)
            }
            Op::Linear => {
                let x = flat(graph, x);
                graph.node("Gemm", &[&x, &weight, &bias], vec![int("transB", 1)])
            }
        };
        let NormWeights::Layer { gain, bias } = norm else {
            // The others are within the weights.
            return Ok(Computed { name, is_picture });
        };
        let turned = |graph: &mut Graph, x: &Name, order: &[i64]| match is_picture {
            true => graph.node("Transpose", &[x], vec![ints("perm", order)]),
            false => x.clone(),
        };
        let (gain, bias) = (graph.constant(&gain)?, graph.constant(&bias)?);
        let x = turned(graph, &name, &[0, 2, 3, 1]);
        let attributes = vec![int("axis", -1), float("epsilon", NORM_EPSILON)];
        let x = graph.node("LayerNormalization", &[&x, &gain, &bias], attributes);
        let name = turned(graph, &x, &[0, 3, 1, 2]);
        Ok(Computed { name, is_picture })
    }
}

/// Lays out pictures or kernels `[n, channels, height, width]` in blocks of `size` times `size` pixels, which become
/// channels: `[n, size · size · channels, height / size, width / size]`.
pub(super) fn in_blocks(x: &Tensor, size: i64) -> Result<Tensor, TchError> {
    let (n, channels, height, width) = x.size4()?;
    x.f_reshape([n, channels, height / size, size, width / size, size])?
        .f_permute([0, 3, 5, 1, 2, 4])?
        .f_reshape([n, size * size * channels, height / size, width / size])
}

/// The inverse of [`in_blocks`].
pub(super) fn out_of_blocks(x: &Tensor, size: i64) -> Result<Tensor, TchError> {
    let (n, channels, height, width) = x.size4()?;
    x.f_reshape([n, size, size, channels / (size * size), height, width])?
        .f_permute([0, 3, 4, 1, 5, 2])?
        .f_reshape([n, channels / (size * size), height * size, width * size])
}

/// A weight as a matrix with a row for each output.
fn matrix(weight: &Tensor) -> Result<Tensor, TchError> {
    weight.f_flatten(1, -1)
}

/// Takes steps of power iteration: they bring `vector` `[outputs]` closer to the first left singular vector of a weight
/// (Miyato et al. 2018, algorithm 1).
fn power_iteration(weight: &Tensor, vector: &mut Tensor, steps: usize) -> Result<(), TchError> {
    let unit = |x: Tensor| x.f_div(&x.f_norm()?.f_clamp_min(SMALLEST_NORM)?);
    no_grad(|| {
        let matrix = matrix(weight)?;
        for _ in 0..steps {
            let right = unit(matrix.f_tr()?.f_mv(vector)?)?;
            vector.f_copy_(&unit(matrix.f_mv(&right)?)?)?;
        }
        Ok(())
    })
}

/// The largest singular value of a weight `W` with the first left singular vector `u`: `|Wᵀu|`, whose gradient is `u vᵀ`
/// with the first right singular vector `v`, as in Miyato et al. 2018.
fn largest_singular_value(weight: &Tensor, vector: &Tensor) -> Result<Tensor, TchError> {
    // A copy, because later passes change the vector and the gradient needs that of this one.
    let vector = no_grad(|| vector.f_detach_copy())?;
    matrix(weight)?
        .f_tr()?
        .f_mv(&vector)?
        .f_norm()?
        .f_clamp_min(SMALLEST_NORM)
}

/// Flattens each sample, pictures pixel by pixel.
pub(super) fn flat(graph: &mut Graph, x: Computed) -> Name {
    if !x.is_picture {
        return x.name;
    }
    let x = graph.node("Transpose", &[&x.name], vec![ints("perm", &[0, 2, 3, 1])]);
    graph.node("Flatten", &[&x], vec![int("axis", 1)])
}

/// Applies `f` to a tensor whose last dimension is that of the filters; pictures are stored that way.
fn by_pixel(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<Tensor, TchError> {
    match x.dim() {
        4 => f(&x.f_permute([0, 2, 3, 1])?)?.f_permute([0, 3, 1, 2]),
        _ => f(x),
    }
}

/// A linear layer of a head, always `f32`.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLayer {
    weight: usize,
}

impl HeadLayer {
    /// Adds the layer to a graph.
    pub(super) fn onnx(self, graph: &mut Graph, params: &Params, x: &Name) -> Result<Name, TchError> {
        let weight = graph.constant(params.leaf(self.weight))?;
        let bias = graph.constant(params.leaf(self.weight + 1))?;
        Ok(graph.node("Gemm", &[x, &weight, &bias], vec![int("transB", 1)]))
    }

    pub(super) fn apply(self, params: &Params, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(params.leaf(self.weight), Some(params.leaf(self.weight + 1)))
    }
}

/// Draws the initial parameters of a network, layer by layer, and keeps what its torso's layers are.
///
/// ```
/// use coinop_agents::Device;
/// use coinop_agents::network::{ActorCritic, NetworkConfig, Torso, TorsoBuilder};
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_agents::{AgentError, tch};
/// use coinop_envs::rng::stream;
/// use coinop_envs::{EnvSpec, Shape};
///
/// /// Two layers side by side, whose outputs are added: nothing that a list could say.
/// fn side_by_side(builder: &mut TorsoBuilder<'_>) -> Result<Torso, AgentError> {
///     let inputs = builder.obs_shape().len() as i64;
///     let (left, right) = (builder.linear(32, inputs)?, builder.linear(32, inputs)?);
///     Ok(Torso::new(32, move |pass| pass.read(left)?.f_tanh()?.f_add(&pass.read(right)?.f_relu()?)))
/// }
///
/// coinop_agents::network::register("side-by-side", side_by_side)?;
/// let config: NetworkConfig = toml::from_str("body = 'side-by-side'\ncore = 'none'\ninit = 'orthogonal'\nprecision = 'float32'")?;
/// let spec = EnvSpec::new(Shape::new(&[4]), 2);
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// assert_eq!(network.params().numel(), 2 * (32 * 4 + 32) + 2 * 33 + 33);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TorsoBuilder<'a> {
    values: Vec<(String, Tensor)>,
    /// Those that are averages of batches.
    averages: Vec<usize>,
    layers: Vec<Spec>,
    init: Init,
    obs_shape: coinop_envs::Shape,
    rng: &'a mut Rng,
}

impl<'a> TorsoBuilder<'a> {
    pub(super) fn new(init: Init, obs_shape: coinop_envs::Shape, rng: &'a mut Rng) -> Self {
        Self {
            values: Vec::new(),
            averages: Vec::new(),
            layers: Vec::new(),
            init,
            obs_shape,
            rng,
        }
    }

    /// The shape of one observation: channels, height and width of pictures.
    #[must_use]
    pub fn obs_shape(&self) -> coinop_envs::Shape {
        self.obs_shape
    }

    /// Adds a convolution with square kernels.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn conv(&mut self, filters: i64, channels: i64, convolution: Convolution) -> Result<Layer, AgentError> {
        let Convolution {
            kernel,
            stride,
            padding,
            norm,
        } = convolution;
        let weight = self.add("conv", &[filters, channels, kernel, kernel], HIDDEN_GAIN)?;
        self.layer(
            Op::Conv {
                kernel,
                stride,
                padding,
            },
            weight,
            filters,
            norm,
        )
    }

    /// Adds a fully connected layer.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn linear(&mut self, outputs: i64, inputs: i64) -> Result<Layer, AgentError> {
        self.normalized_linear(outputs, inputs, Norm::None)
    }

    /// Adds a fully connected layer whose outputs are normalised.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn normalized_linear(&mut self, outputs: i64, inputs: i64, norm: Norm) -> Result<Layer, AgentError> {
        let weight = self.add("hidden", &[outputs, inputs], HIDDEN_GAIN)?;
        self.layer(Op::Linear, weight, outputs, norm)
    }

    /// Adds constants that are saved, copied and loaded with the network's parameters, and that no gradient changes.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn buffer(&mut self, name: &str, values: &Tensor) -> Result<Buffer, AgentError> {
        let at = self.values.len();
        self.values
            .push((format!("{}_{name}", at + 1), values.f_to_kind(Kind::Float)?));
        Ok(Buffer(at))
    }

    fn layer(&mut self, op: Op, weight: usize, outputs: i64, norm: Norm) -> Result<Layer, AgentError> {
        let number = self.layers.len() + 1;
        let mut push = |what: &str, value: f64| -> Result<usize, TchError> {
            let values = Tensor::f_full([outputs], value, (Kind::Float, Device::Cpu))?;
            self.values.push((format!("{number}_norm_{what}"), values));
            Ok(self.values.len() - 1)
        };
        let norm = match norm {
            Norm::None => NormSpec::None,
            Norm::Layer => {
                let gain = push("gain", 1.0)?;
                push("bias", 0.0)?;
                NormSpec::Layer { gain }
            }
            Norm::Batch => {
                let gain = push("gain", 1.0)?;
                push("bias", 0.0)?;
                // Averages are among the parameters, so that whatever copies or saves these copies and saves them. They have no
                // gradient, and no optimiser here changes what never had one.
                let mean = push("mean", 0.0)?;
                let variance = push("variance", 1.0)?;
                self.averages.extend([mean, variance]);
                NormSpec::Batch { gain, mean }
            }
            Norm::Spectral => {
                // Among the parameters like the averages of batches, for the same reasons.
                let numbers: Vec<f32> = (0..outputs).map(|_| gaussian(self.rng) as f32).collect();
                let mut values = Tensor::f_from_slice(&numbers)?;
                power_iteration(&self.values[weight].1, &mut values, FIRST_STEPS)?;
                self.values.push((format!("{number}_norm_vector"), values));
                NormSpec::Spectral {
                    vector: self.values.len() - 1,
                }
            }
        };
        self.layers.push(Spec { op, weight, norm });
        Ok(Layer(self.layers.len() - 1))
    }

    /// Another stream of random numbers. Initial weights do not depend on whether there is one.
    pub(super) fn another_rng(&self) -> Rng {
        let mut rng = self.rng.clone();
        rng.long_jump();
        rng
    }

    /// The torso's layers so far.
    pub(super) fn take_layers(&mut self) -> Vec<Spec> {
        std::mem::take(&mut self.layers)
    }

    /// Adds a layer of a head; `gain` scales orthogonal weights.
    pub(super) fn head(&mut self, name: &str, outputs: i64, inputs: i64, gain: f64) -> Result<HeadLayer, AgentError> {
        let weight = self.add(name, &[outputs, inputs], gain)?;
        Ok(HeadLayer { weight })
    }

    /// Adds the deviations of a noisy head layer: all of them `value` at first.
    pub(super) fn deviations(
        &mut self,
        name: &str,
        outputs: i64,
        inputs: i64,
        value: f64,
    ) -> Result<HeadLayer, AgentError> {
        let weight = self.add(name, &[outputs, inputs], 1.0)?;
        for (_, values) in &mut self.values[weight..] {
            let _ = values.f_fill_(value)?;
        }
        Ok(HeadLayer { weight })
    }

    /// The same as [`head`](Self::head), with one bias for all outputs.
    pub(super) fn head_with_one_bias(
        &mut self,
        name: &str,
        outputs: i64,
        inputs: i64,
        gain: f64,
    ) -> Result<HeadLayer, AgentError> {
        let weight = self.add(name, &[outputs, inputs], gain)?;
        let bias = &mut self.values[weight + 1].1;
        *bias = bias.f_narrow(0, 0, 1)?;
        Ok(HeadLayer { weight })
    }

    /// Adds the gates of a recurrent core.
    pub(super) fn gates(&mut self, name: &str, outputs: i64, inputs: i64) -> Result<usize, AgentError> {
        self.add(name, &[outputs, inputs], 1.0)
    }

    /// Adds parameters that are 0 at first.
    pub(super) fn zeros(&mut self, name: &str, len: i64) -> Result<(), TchError> {
        let zeros = Tensor::f_zeros([len], (Kind::Float, Device::Cpu))?;
        self.values.push((name.to_owned(), zeros));
        Ok(())
    }

    /// Sets a part of the bias that belongs to the weight with index `weight`.
    pub(super) fn set_bias(&mut self, weight: usize, first: i64, len: i64, value: f64) -> Result<(), TchError> {
        let _ = self.values[weight + 1].1.f_narrow(0, first, len)?.f_fill_(value)?;
        Ok(())
    }

    /// Adds a weight and its bias and returns the index of the weight. Checks for memory before drawing them.
    fn add(&mut self, name: &str, shape: &[i64], gain: f64) -> Result<usize, AgentError> {
        // A gradient, up to two averages of it, and what orthogonal weights are drawn from.
        const COPIES: u64 = 6 * size_of::<f32>() as u64;
        let before: u64 = self.values.iter().map(|(_, value)| value.numel() as u64).sum();
        let own = shape
            .iter()
            .fold(1u64, |product, dim| product.saturating_mul(*dim as u64));
        let parameters = before.saturating_add(own);
        let what = || format!("a network with {parameters} parameters");
        let way_out = "choose fewer or narrower layers";
        memory::require(what, parameters.saturating_mul(COPIES), way_out).map_err(AgentError::Memory)?;
        let weight = self.values.len();
        let number = self.values.iter().filter(|(name, _)| name.ends_with("_weight")).count() + 1;
        let values = self.init.draw(shape, gain, self.rng)?;
        self.values.push((format!("{number}_{name}_weight"), values.0));
        self.values.push((format!("{number}_{name}_bias"), values.1));
        Ok(weight)
    }

    /// Returns the parameters of all layers on `device`.
    pub(super) fn finish(self, device: Device) -> Result<Params, TchError> {
        Ok(Params::new(self.values, device)?.with_averages(&self.averages))
    }
}

/// The kernels of a convolution.
///
/// ```
/// use coinop_agents::network::Convolution;
///
/// // The first layer of DQN.
/// let first = Convolution::new(8, 4);
/// assert_eq!(first.outputs(84), 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Convolution {
    /// Height and width.
    pub kernel: i64,
    /// Pixels from one kernel to the next.
    pub stride: i64,
    /// Zeros around the picture.
    pub padding: i64,
    /// What normalises the outputs.
    pub norm: Norm,
}

impl Convolution {
    /// Kernels without padding and normalisation.
    #[must_use]
    pub fn new(kernel: i64, stride: i64) -> Self {
        Self {
            kernel,
            stride,
            padding: 0,
            norm: Norm::None,
        }
    }

    /// The height or width of the outputs, from that of the inputs.
    #[must_use]
    pub fn outputs(&self, inputs: i64) -> i64 {
        (inputs + 2 * self.padding - self.kernel) / self.stride + 1
    }
}

impl Buffer {
    pub(super) fn values(self, params: &Params) -> Result<Tensor, TchError> {
        params.leaf(self.0).f_detach()
    }
}
