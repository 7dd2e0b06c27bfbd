//! Network bodies, and the layers that bodies and heads consist of.
//!
//! Images are stored with the channels of each pixel next to each other, libtorch's channels-last memory format:
//!
//! ```text
//! an environment's   [n, channels, height, width]   in memory, too
//! a network's        the same size                  in memory [n, height, width, channels]
//! ```
//!
//! oneDNN's convolutions use this format. With the other one, every convolution and every gradient would first copy
//! its input.

use std::cell::RefCell;

use coinop_envs::rng::Rng;
use coinop_envs::{Shape, memory};
use tch::kind::Element;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::{BodyKind, NetworkConfig, Observation, Precision};
use crate::device::upload;
use crate::init::Init;
use crate::params::Params;
use crate::{AgentError, CheckpointError, Section};

/// Scales pixels from 0..255 to 0..1.
const PIXEL_SCALE: f64 = 1.0 / 255.0;

/// The parameter name of the means subtracted from pixels.
const CENTER: &str = "center";

/// The gain of orthogonal weights in layers followed by a rectifier.
pub(super) const HIDDEN_GAIN: f64 = std::f64::consts::SQRT_2;

/// The index of a layer's weight among the parameters; its bias follows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    Conv { weight: usize, stride: i64 },
    Linear { weight: usize },
}

impl Layer {
    /// Applies the layer to `x`, in the precision of `x`.
    pub(super) fn apply(self, params: &Params, x: &Tensor) -> Result<Tensor, TchError> {
        self.compute(x, &self.weights(params, x.kind(), None)?)
    }

    /// The layer's weight and bias as `kind`; the weight is multiplied by `scale`.
    fn weights(self, params: &Params, kind: Kind, scale: Option<f64>) -> Result<Weights, TchError> {
        let (Layer::Conv { weight: at, .. } | Layer::Linear { weight: at }) = self;
        let weight = match scale {
            Some(scale) => params.leaf(at).f_mul_scalar(scale)?.f_to_kind(kind)?,
            None => params.leaf(at).f_to_kind(kind)?,
        };
        let bias = params.leaf(at + 1).f_to_kind(kind)?;
        Ok(Weights { weight, bias })
    }

    fn compute(self, x: &Tensor, Weights { weight, bias }: &Weights) -> Result<Tensor, TchError> {
        match self {
            Layer::Conv { stride, .. } => x.f_conv2d(weight, Some(bias), [stride, stride], [0, 0], [1, 1], 1),
            Layer::Linear { .. } => x.f_linear(weight, Some(bias)),
        }
    }
}

/// The converted weight and bias of a layer.
#[derive(Debug)]
struct Weights {
    weight: Tensor,
    bias: Tensor,
}

/// The converted weights of all layers, valid as long as the parameters do not change.
#[derive(Debug)]
struct Kept {
    version: i64,
    obs_kind: Kind,
    weights: Vec<Weights>,
}

/// The layers that read observations, up to the heads of a network.
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
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// // Two observations of CartPole, as the network wants them.
/// let input = network.body().input(&[0.0f32; 8])?;
/// assert_eq!(input.size(), [2, 4]);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct Body {
    layers: Vec<Layer>,
    obs_shape: Shape,
    width: i64,
    device: Device,
    precision: Precision,
    kept: RefCell<Option<Kept>>,
    /// The means `[1, obs_shape…]` subtracted from pixels, `f32`.
    center: Option<Tensor>,
}

impl Body {
    /// Builds the body with its hidden layers, except the last `without` of them, which each head then has for
    /// itself.
    pub(super) fn build(
        config: &NetworkConfig,
        obs_shape: Shape,
        without: usize,
        device: Device,
        builder: &mut Builder<'_>,
    ) -> Result<Self, AgentError> {
        config.validate()?;
        let kind = &config.body;
        let (convolutions, widths) = kind.layers();
        let mut layers = Vec::new();
        let mut width = if convolutions.is_empty() {
            obs_shape.len() as i64
        } else {
            let [channels, height, width] = obs_shape.dims() else {
                return Err(wrong_shape(kind, obs_shape, "it needs channels, height and width"));
            };
            let (mut channels, mut height, mut width) = (*channels as i64, *height as i64, *width as i64);
            for &(filters, kernel, stride) in convolutions {
                if height < kernel || width < kernel {
                    return Err(wrong_shape(kind, obs_shape, "height and width are too small"));
                }
                layers.push(builder.conv(&[filters, channels, kernel, kernel], stride)?);
                channels = filters;
                height = (height - kernel) / stride + 1;
                width = (width - kernel) / stride + 1;
            }
            channels * height * width
        };
        for &next in &widths[..widths.len() - without] {
            layers.push(builder.linear("hidden", next, width, HIDDEN_GAIN)?);
            width = next;
        }
        Ok(Self {
            layers,
            obs_shape,
            width,
            device,
            precision: config.precision.resolved(device),
            kept: RefCell::new(None),
            center: None,
        })
    }

    /// The shape of one observation.
    #[must_use]
    pub fn obs_shape(&self) -> Shape {
        self.obs_shape
    }

    /// The number of features passed to the heads.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// The device of the network.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Copies consecutive observations into a tensor `[n, obs_shape…]` on the network's device, in the fastest memory
    /// format.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn input<O: Observation>(&self, obs: &[O]) -> Result<Tensor, AgentError> {
        let n = (obs.len() / self.obs_shape.len()) as i64;
        let ([channels, height, width], true) = (self.obs_shape.dims(), self.convolves()) else {
            return Ok(upload(obs, &self.size(n), self.device)?);
        };
        if self.device != Device::Cpu {
            // A GPU puts them in order much faster than they come to it.
            let pictures = upload(obs, &self.size(n), self.device)?.f_permute([0, 2, 3, 1])?;
            return Ok(pictures.f_contiguous()?.f_permute([0, 3, 1, 2])?);
        }
        let size = [n, *height as i64, *width as i64, *channels as i64];
        let pictures = upload(&channels_last(obs, *channels, height * width), &size, self.device)?;
        Ok(pictures.f_permute([0, 3, 1, 2])?)
    }

    /// Copies numbers that belong to observations, such as actions and rewards, into a tensor `[n]` on the network's
    /// device.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn numbers<T: Element>(&self, numbers: &[T]) -> Result<Tensor, TchError> {
        upload(numbers, &[numbers.len() as i64], self.device)
    }

    /// The tensor size `[n, obs_shape…]`.
    fn size(&self, n: i64) -> Vec<i64> {
        let dims = self.obs_shape.dims().iter().map(|&dim| dim as i64);
        std::iter::once(n).chain(dims).collect()
    }

    /// The features `[n, width]`, in `f32`, of observations `[n, obs_shape…]`, `u8` or `f32`.
    pub(super) fn forward(&self, params: &Params, obs: &Tensor) -> Result<Tensor, AgentError> {
        Ok(self.compute(obs, &self.weights(params, obs.kind())?)?)
    }

    /// The same without gradients; unchanged weights are not converted again.
    pub(super) fn infer(&self, params: &Params, obs: &Tensor) -> Result<Tensor, AgentError> {
        let (version, obs_kind) = (params.version()?, obs.kind());
        no_grad(|| {
            let mut kept = self.kept.borrow_mut();
            let kept = match kept.take() {
                Some(known) if (known.version, known.obs_kind) == (version, obs_kind) => kept.insert(known),
                _ => kept.insert(Kept {
                    version,
                    obs_kind,
                    weights: self.weights(params, obs_kind)?,
                }),
            };
            Ok(self.compute(obs, &kept.weights)?)
        })
    }

    /// The converted weights for observations of type `obs_kind`.
    fn weights(&self, params: &Params, obs_kind: Kind) -> Result<Vec<Weights>, TchError> {
        let kind = self.kind();
        // Weights are scaled instead of the pixels that meet them: there are far fewer.
        let mut scale = (obs_kind == Kind::Uint8).then_some(PIXEL_SCALE);
        let weights = |layer: &Layer| layer.weights(params, kind, scale.take());
        self.layers.iter().map(weights).collect()
    }

    /// Subtracts from every pixel its mean over these observations `[n, obs_shape…]`, `u8`, from now on.
    pub(super) fn center(&mut self, obs: &Tensor) -> Result<(), TchError> {
        self.set_center(&obs.f_mean_dim(0i64, true, Kind::Float)?)
    }

    /// Stores the means in the memory format of the observations.
    fn set_center(&mut self, center: &Tensor) -> Result<(), TchError> {
        self.center = Some(match center.dim() {
            4 => center
                .f_permute([0, 2, 3, 1])?
                .f_contiguous()?
                .f_permute([0, 3, 1, 2])?,
            _ => center.shallow_clone(),
        });
        Ok(())
    }

    pub(super) fn is_centered(&self) -> bool {
        self.center.is_some()
    }

    pub(super) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        match &self.center {
            Some(center) => out.put_tensor(CENTER, center),
            None => Ok(()),
        }
    }

    pub(super) fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.center = None;
        if from.tensor(CENTER).is_ok() {
            let unfit = |error: TchError| CheckpointError::unfit(CENTER, &error);
            let mut center = Tensor::f_zeros(self.size(1).as_slice(), (Kind::Float, self.device)).map_err(unfit)?;
            from.load_tensor(CENTER, &mut center)?;
            self.set_center(&center).map_err(unfit)?;
        }
        Ok(())
    }

    /// Converts observations to the input of the first layer.
    fn first(&self, obs: &Tensor) -> Result<Tensor, TchError> {
        let x = obs.f_to_kind(self.kind())?;
        match &self.center {
            None => Ok(x),
            Some(center) if obs.kind() == Kind::Uint8 => {
                // Numbers of its own, which may change.
                let mut x = x;
                x.f_sub_(&center.f_to_kind(x.kind())?)
            }
            Some(center) => x.f_sub(&center.f_mul_scalar(PIXEL_SCALE)?.f_to_kind(x.kind())?),
        }
    }

    fn compute(&self, obs: &Tensor, weights: &[Weights]) -> Result<Tensor, TchError> {
        let mut x = self.first(obs)?;
        for (layer, weights) in self.layers.iter().zip(weights) {
            if matches!(layer, Layer::Linear { .. }) {
                x = self.flat(&x)?;
            }
            x = layer.compute(&x, weights)?.f_relu_()?;
        }
        self.flat(&x)?.f_to_kind(Kind::Float)
    }

    /// Flattens each sample, of images in memory order.
    fn flat(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match x.dim() {
            4 if self.convolves() => x.f_permute([0, 2, 3, 1])?.f_flatten(1, -1),
            _ => x.f_flatten(1, -1),
        }
    }

    fn convolves(&self) -> bool {
        matches!(self.layers.first(), Some(Layer::Conv { .. }))
    }

    /// The number type that the layers compute with.
    fn kind(&self) -> Kind {
        if self.convolves() {
            self.precision.kind()
        } else {
            Kind::Float
        }
    }
}

/// Converts images from `[n, channels, plane]` to `[n, plane, channels]`.
fn channels_last<O: Copy>(pictures: &[O], channels: usize, plane: usize) -> Vec<O> {
    let mut out = Vec::with_capacity(pictures.len());
    for picture in pictures.chunks_exact(channels * plane) {
        if channels == 4 {
            // A stack of four frames, written so that the compiler takes many pixels at a time.
            let (first, second) = picture.split_at(2 * plane);
            let ((a, b), (c, d)) = (first.split_at(plane), second.split_at(plane));
            let pixels = a.iter().zip(b).zip(c).zip(d);
            out.extend(pixels.flat_map(|(((a, b), c), d)| [*a, *b, *c, *d]));
        } else {
            out.extend((0..plane).flat_map(|pixel| picture[pixel..].iter().step_by(plane)));
        }
    }
    out
}

/// Concatenates the samples of several tensors `[n, …]`, keeping the memory format of images.
pub(crate) fn joined(parts: &[Tensor]) -> Result<Tensor, TchError> {
    if parts.iter().any(|part| part.dim() != 4) {
        return Tensor::f_cat(parts, 0);
    }
    let parts: Result<Vec<_>, _> = parts.iter().map(|part| part.f_permute([0, 2, 3, 1])).collect();
    Tensor::f_cat(&parts?, 0)?.f_permute([0, 3, 1, 2])
}

/// Gathers samples of a tensor `[n, …]`, keeping the memory format of images.
pub(crate) fn rows(samples: &Tensor, numbers: &Tensor) -> Result<Tensor, TchError> {
    match samples.dim() {
        4 => samples
            .f_permute([0, 2, 3, 1])?
            .f_index_select(0, numbers)?
            .f_permute([0, 3, 1, 2]),
        _ => samples.f_index_select(0, numbers),
    }
}

fn wrong_shape(kind: &BodyKind, shape: Shape, reason: &'static str) -> AgentError {
    AgentError::Shape {
        network: kind.name(),
        shape: shape.to_string(),
        reason: reason.to_owned(),
    }
}

/// Draws the initial parameters of a network, layer by layer.
pub(super) struct Builder<'a> {
    values: Vec<(String, Tensor)>,
    init: Init,
    rng: &'a mut Rng,
}

impl<'a> Builder<'a> {
    pub(super) fn new(init: Init, rng: &'a mut Rng) -> Self {
        Self {
            values: Vec::new(),
            init,
            rng,
        }
    }

    fn conv(&mut self, shape: &[i64], stride: i64) -> Result<Layer, AgentError> {
        let weight = self.add("conv", shape, HIDDEN_GAIN)?;
        Ok(Layer::Conv { weight, stride })
    }

    /// Adds a layer from `inputs` to `outputs`; `gain` scales orthogonal weights.
    pub(super) fn linear(&mut self, name: &str, outputs: i64, inputs: i64, gain: f64) -> Result<Layer, AgentError> {
        let weight = self.add(name, &[outputs, inputs], gain)?;
        Ok(Layer::Linear { weight })
    }

    /// The same, with one bias for all outputs.
    pub(super) fn linear_with_one_bias(
        &mut self,
        name: &str,
        outputs: i64,
        inputs: i64,
        gain: f64,
    ) -> Result<Layer, AgentError> {
        let weight = self.add(name, &[outputs, inputs], gain)?;
        let bias = &mut self.values[weight + 1].1;
        *bias = bias.f_narrow(0, 0, 1)?;
        Ok(Layer::Linear { weight })
    }

    /// Adds the gates of a recurrent core.
    pub(super) fn gates(&mut self, name: &str, outputs: i64, inputs: i64) -> Result<usize, AgentError> {
        self.add(name, &[outputs, inputs], 1.0)
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
        let number = weight / 2 + 1;
        let values = self.init.draw(shape, gain, self.rng)?;
        self.values.push((format!("{number}_{name}_weight"), values.0));
        self.values.push((format!("{number}_{name}_bias"), values.1));
        Ok(weight)
    }

    /// Returns the parameters of all layers on `device`.
    pub(super) fn finish(self, device: Device) -> Result<Params, TchError> {
        Params::new(self.values, device)
    }
}
