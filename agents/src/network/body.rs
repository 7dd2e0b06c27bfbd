//! The body of a network, and the layers that bodies and heads are made of.

use coinop_envs::Shape;
use coinop_envs::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::{BodyKind, NetworkConfig, Observation, Precision};
use crate::AgentError;
use crate::init::Init;
use crate::params::Params;

/// A pixel of 255 is 1.
const PIXEL_SCALE: f64 = 1.0 / 255.0;

/// The gain of orthogonal weights of layers that end in a rectifier.
pub(super) const HIDDEN_GAIN: f64 = std::f64::consts::SQRT_2;

/// A layer's place among the parameters: its weight; its bias follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    Conv { weight: usize, stride: i64 },
    Linear { weight: usize },
}

impl Layer {
    /// The layer's answer to `x`, with its weights times `scale`, in the precision of `x`.
    pub(super) fn apply(self, params: &Params, x: &Tensor, scale: Option<f64>) -> Result<Tensor, TchError> {
        let (Layer::Conv { weight: at, .. } | Layer::Linear { weight: at }) = self;
        let weight = match scale {
            Some(scale) => params.leaf(at).f_mul_scalar(scale)?.f_to_kind(x.kind())?,
            None => params.leaf(at).f_to_kind(x.kind())?,
        };
        let bias = Some(params.leaf(at + 1).f_to_kind(x.kind())?);
        match self {
            Layer::Conv { stride, .. } => x.f_conv2d(&weight, bias, [stride, stride], [0, 0], [1, 1], 1),
            Layer::Linear { .. } => x.f_linear(&weight, bias),
        }
    }
}

/// The layers that read observations, up to where the heads of a network begin.
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
}

impl Body {
    /// The body with its hidden layers, or with all but the last `without` of them, which the heads will have each for itself.
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
        })
    }

    /// The shape of one observation.
    #[must_use]
    pub fn obs_shape(&self) -> Shape {
        self.obs_shape
    }

    /// The number of features that heads begin with.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// Where the network is.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Observations, one after another, as a tensor `[n, obs_shape…]` on the network's device.
    ///
    /// # Errors
    ///
    /// When libtorch has no memory for it.
    pub fn input<O: Observation>(&self, obs: &[O]) -> Result<Tensor, AgentError> {
        let mut size = vec![(obs.len() / self.obs_shape.len()) as i64];
        size.extend(self.obs_shape.dims().iter().map(|&dim| dim as i64));
        Ok(Tensor::f_from_slice(obs)?.f_reshape(size)?.f_to_device(self.device)?)
    }

    /// The features `[n, width]`, in `f32`, of observations `[n, obs_shape…]`, `u8` or `f32`.
    pub(super) fn forward(&self, params: &Params, obs: &Tensor) -> Result<Tensor, AgentError> {
        let convolves = matches!(self.layers.first(), Some(Layer::Conv { .. }));
        let kind = if convolves { self.precision.kind() } else { Kind::Float };
        let mut x = match kind {
            Kind::Float if convolves => channels_last(obs)?.f_to_kind(kind)?,
            _ => obs.f_to_kind(kind)?,
        };
        // Weights are scaled instead of the pixels that meet them: there are far fewer.
        let mut scale = (obs.kind() == Kind::Uint8).then_some(PIXEL_SCALE);
        for &layer in &self.layers {
            if matches!(layer, Layer::Linear { .. }) {
                x = x.f_flatten(1, -1)?;
            }
            x = layer.apply(params, &x, scale.take())?.f_relu_()?;
        }
        Ok(x.f_flatten(1, -1)?.f_to_kind(Kind::Float)?)
    }
}

/// The same pictures with the channels of a pixel next to each other in memory, the order in which libtorch convolves fastest.
fn channels_last(pictures: &Tensor) -> Result<Tensor, AgentError> {
    Ok(pictures
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])?)
}

fn wrong_shape(kind: &BodyKind, shape: Shape, reason: &'static str) -> AgentError {
    AgentError::Shape {
        network: kind.name(),
        shape: shape.to_string(),
        reason: reason.to_owned(),
    }
}

/// Draws the initial values of a network's parameters, layer by layer.
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

    fn conv(&mut self, shape: &[i64], stride: i64) -> Result<Layer, TchError> {
        let weight = self.add("conv", shape, HIDDEN_GAIN)?;
        Ok(Layer::Conv { weight, stride })
    }

    /// A layer from `inputs` to `outputs`; `gain` is that of orthogonal weights.
    pub(super) fn linear(&mut self, name: &str, outputs: i64, inputs: i64, gain: f64) -> Result<Layer, TchError> {
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
    ) -> Result<Layer, TchError> {
        let weight = self.add(name, &[outputs, inputs], gain)?;
        let bias = &mut self.values[weight + 1].1;
        *bias = bias.f_narrow(0, 0, 1)?;
        Ok(Layer::Linear { weight })
    }

    /// The gates of a recurrent core.
    pub(super) fn gates(&mut self, name: &str, outputs: i64, inputs: i64) -> Result<usize, TchError> {
        self.add(name, &[outputs, inputs], 1.0)
    }

    /// Sets a part of the bias of the layer whose weight is `weight`.
    pub(super) fn set_bias(&mut self, weight: usize, first: i64, len: i64, value: f64) -> Result<(), TchError> {
        let _ = self.values[weight + 1].1.f_narrow(0, first, len)?.f_fill_(value)?;
        Ok(())
    }

    /// Adds a weight and its bias, and returns the index of the weight.
    fn add(&mut self, name: &str, shape: &[i64], gain: f64) -> Result<usize, TchError> {
        let weight = self.values.len();
        let number = weight / 2 + 1;
        let values = self.init.draw(shape, gain, self.rng)?;
        self.values.push((format!("{number}_{name}_weight"), values.0));
        self.values.push((format!("{number}_{name}_bias"), values.1));
        Ok(weight)
    }

    /// The parameters of all layers so far, on `device`.
    pub(super) fn finish(self, device: Device) -> Result<Params, TchError> {
        Params::new(self.values, device)
    }
}
