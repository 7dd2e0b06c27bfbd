//! Networks: from observations to action logits and a value.
//!
//! ```text
//! nature   conv 32 8x8/4 · conv 64 4x4/2 · conv 64 3x3/1 · 512      Mnih 2015
//! a3c      conv 16 8x8/4 · conv 32 4x4/2 · 256                      Mnih 2013; A3C (1602.01783) and PAAC's "nips" network
//! mlp      64 · 64                                                  for features instead of pixels
//!                                              └─ logits [n, actions] and value [n]
//! ```
//!
//! All hidden layers end in a rectifier. Pixels are scaled to 0 to 1.
//!
//! Parameters are `f32`, always. What is computed with them in layers that see pixels is as precise as [`Precision`] says.

use coinop_envs::rng::Rng;
use coinop_envs::{Elem, Shape};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use crate::init::Init;
use crate::params::Params;
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// The network of the Nature DQN paper (Mnih et al. 2015).
    Nature,
    /// The smaller network of A3C and PAAC.
    A3c,
    /// Two layers of 64 units, for observations of one dimension.
    Mlp,
}

impl NetworkKind {
    fn name(self) -> &'static str {
        match self {
            NetworkKind::Nature => "nature",
            NetworkKind::A3c => "a3c",
            NetworkKind::Mlp => "mlp",
        }
    }

    /// Convolutions as (channels, kernel, stride), and the widths of the hidden layers after them.
    fn layers(self) -> (&'static [(i64, i64, i64)], &'static [i64]) {
        match self {
            NetworkKind::Nature => (&[(32, 8, 4), (64, 4, 2), (64, 3, 1)], &[512]),
            NetworkKind::A3c => (&[(16, 8, 4), (32, 4, 2)], &[256]),
            NetworkKind::Mlp => (&[], &[64, 64]),
        }
    }
}

/// How precisely a network's hidden layers compute with pixels. Parameters, heads, losses and optimisers are `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `bfloat16` on a processor that has instructions for it, else `float32`.
    #[default]
    Auto,
    /// 24 bits of mantissa.
    Float32,
    /// 8 bits of mantissa: about twice as fast where the processor has instructions for it, and many times slower where it has not.
    Bfloat16,
}

impl Precision {
    /// What [`Precision::Auto`] stands for on this machine; anything else as it is.
    #[must_use]
    pub fn resolved(self, device: Device) -> Self {
        #[cfg(target_arch = "x86_64")]
        let has_instructions = std::arch::is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        let has_instructions = false;
        match self {
            Self::Auto if device == Device::Cpu && has_instructions => Self::Bfloat16,
            Self::Auto => Self::Float32,
            chosen => chosen,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Bfloat16 => Kind::BFloat16,
            Self::Auto | Self::Float32 => Kind::Float,
        }
    }
}

/// An element of observations that libtorch knows too.
pub trait Observation: Elem + tch::kind::Element {}

impl<T: Elem + tch::kind::Element> Observation for T {}

/// A layer's place among the parameters: its weight; its bias follows.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Conv { weight: usize, stride: i64 },
    Linear { weight: usize },
}

/// An actor-critic network: one body, and two heads.
#[derive(Debug)]
pub struct ActorCritic {
    params: Params,
    body: Vec<Layer>,
    policy: Layer,
    value: Layer,
    obs_shape: Shape,
    num_actions: usize,
    device: Device,
    precision: Precision,
}

/// A pixel of 255 is 1.
const PIXEL_SCALE: f64 = 1.0 / 255.0;

/// Gains of orthogonal weights: for rectified layers, the policy head and the value head (Andrychowicz 2020, arXiv 2006.05990, finds
/// that a small one for the policy matters).
const HIDDEN_GAIN: f64 = std::f64::consts::SQRT_2;
const POLICY_GAIN: f64 = 0.01;
const VALUE_GAIN: f64 = 1.0;

impl ActorCritic {
    /// A network with initial weights from `rng`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Shape`] when the network can not read such observations.
    pub fn new(
        kind: NetworkKind,
        init: Init,
        obs_shape: Shape,
        num_actions: usize,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, AgentError> {
        let mut builder = Builder {
            values: Vec::new(),
            init,
            rng,
        };
        let (convolutions, widths) = kind.layers();
        let mut body = Vec::new();
        let mut width = if convolutions.is_empty() {
            let [width] = obs_shape.dims() else {
                return Err(wrong_shape(kind, obs_shape, "it needs one dimension"));
            };
            *width as i64
        } else {
            let [channels, height, width] = obs_shape.dims() else {
                return Err(wrong_shape(kind, obs_shape, "it needs channels, height and width"));
            };
            let (mut channels, mut height, mut width) = (*channels as i64, *height as i64, *width as i64);
            for &(filters, kernel, stride) in convolutions {
                if height < kernel || width < kernel {
                    return Err(wrong_shape(kind, obs_shape, "height and width are too small"));
                }
                body.push(builder.conv(&[filters, channels, kernel, kernel], stride)?);
                channels = filters;
                height = (height - kernel) / stride + 1;
                width = (width - kernel) / stride + 1;
            }
            channels * height * width
        };
        for &next in widths {
            body.push(builder.linear("hidden", next, width, HIDDEN_GAIN)?);
            width = next;
        }
        let policy = builder.linear("policy", num_actions as i64, width, POLICY_GAIN)?;
        let value = builder.linear("value", 1, width, VALUE_GAIN)?;
        let params = Params::new(builder.values, device)?;
        Ok(Self {
            params,
            body,
            policy,
            value,
            obs_shape,
            num_actions,
            device,
            precision: Precision::Float32,
        })
    }

    /// The same network, computing with another precision.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision.resolved(self.device);
        self
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The shape of one observation.
    #[must_use]
    pub fn obs_shape(&self) -> Shape {
        self.obs_shape
    }

    /// The number of actions.
    #[must_use]
    pub fn num_actions(&self) -> usize {
        self.num_actions
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

    /// Logits `[n, actions]` and values `[n]` of observations `[n, obs_shape…]`, `u8` or `f32`.
    ///
    /// # Errors
    ///
    /// When libtorch fails, for example for want of memory.
    pub fn forward(&self, obs: &Tensor) -> Result<(Tensor, Tensor), AgentError> {
        let kind = if obs.dim() == 4 {
            self.precision.kind()
        } else {
            Kind::Float
        };
        let mut x = match kind {
            Kind::Float if obs.dim() == 4 => channels_last(obs)?.f_to_kind(kind)?,
            _ => obs.f_to_kind(kind)?,
        };
        // Weights are scaled instead of the pixels that meet them: there are far fewer.
        let mut scale = (obs.kind() == Kind::Uint8).then_some(PIXEL_SCALE);
        for &layer in &self.body {
            if matches!(layer, Layer::Linear { .. }) {
                x = x.f_flatten(1, -1)?;
            }
            x = self.apply(layer, &x, scale.take())?.f_relu_()?;
        }
        let x = x.f_to_kind(Kind::Float)?;
        Ok((
            self.apply(self.policy, &x, None)?,
            self.apply(self.value, &x, None)?.f_squeeze_dim(1)?,
        ))
    }

    /// A layer, with its weights times `scale`, in the precision of `x`.
    fn apply(&self, layer: Layer, x: &Tensor, scale: Option<f64>) -> Result<Tensor, TchError> {
        let (Layer::Conv { weight: at, .. } | Layer::Linear { weight: at }) = layer;
        let weight = match scale {
            Some(scale) => self.params.leaf(at).f_mul_scalar(scale)?.f_to_kind(x.kind())?,
            None => self.params.leaf(at).f_to_kind(x.kind())?,
        };
        let bias = Some(self.params.leaf(at + 1).f_to_kind(x.kind())?);
        match layer {
            Layer::Conv { stride, .. } => x.f_conv2d(&weight, bias, [stride, stride], [0, 0], [1, 1], 1),
            Layer::Linear { .. } => x.f_linear(&weight, bias),
        }
    }
}

impl Checkpoint for ActorCritic {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.params.save(out)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.params.load(from)
    }
}

/// The same pictures with the channels of a pixel next to each other in memory, the order in which libtorch convolves fastest.
fn channels_last(pictures: &Tensor) -> Result<Tensor, AgentError> {
    Ok(pictures
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])?)
}

fn wrong_shape(kind: NetworkKind, shape: Shape, reason: &'static str) -> AgentError {
    AgentError::Shape {
        network: kind.name(),
        shape: shape.to_string(),
        reason: reason.to_owned(),
    }
}

struct Builder<'a> {
    values: Vec<(String, Tensor)>,
    init: Init,
    rng: &'a mut Rng,
}

impl Builder<'_> {
    fn conv(&mut self, shape: &[i64], stride: i64) -> Result<Layer, TchError> {
        let weight = self.add("conv", shape, HIDDEN_GAIN)?;
        Ok(Layer::Conv { weight, stride })
    }

    fn linear(&mut self, name: &str, outputs: i64, inputs: i64, gain: f64) -> Result<Layer, TchError> {
        let weight = self.add(name, &[outputs, inputs], gain)?;
        Ok(Layer::Linear { weight })
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
}

#[cfg(test)]
mod tests {
    use coinop_envs::rng::stream;

    use super::*;

    fn network(kind: NetworkKind, shape: &[usize]) -> Result<ActorCritic, AgentError> {
        ActorCritic::new(
            kind,
            Init::Uniform,
            Shape::new(shape),
            6,
            &mut stream(1, "init", 0),
            Device::Cpu,
        )
    }

    #[test]
    fn networks_have_the_papers_numbers_of_parameters() {
        // nature: 8224 + 32832 + 36928 + 1606144 + 6·513 + 513; a3c: 4112 + 8224 + 663808 + 6·257 + 257.
        assert_eq!(
            network(NetworkKind::Nature, &[4, 84, 84]).unwrap().params().numel(),
            1_687_719
        );
        assert_eq!(
            network(NetworkKind::A3c, &[4, 84, 84]).unwrap().params().numel(),
            677_943
        );
    }

    #[test]
    fn a_batch_gives_logits_and_values() {
        for (kind, shape) in [
            (NetworkKind::Nature, &[4, 84, 84][..]),
            (NetworkKind::A3c, &[4, 84, 84]),
            (NetworkKind::Mlp, &[5]),
        ] {
            let network = network(kind, shape).unwrap();
            let obs = vec![7u8; 3 * network.obs_shape().len()];
            let (logits, values) = network.forward(&network.input(&obs).unwrap()).unwrap();
            assert_eq!((logits.size(), values.size()), (vec![3, 6], vec![3]));
        }
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn a_pixel_of_255_is_1() {
        let network = network(NetworkKind::A3c, &[4, 84, 84]).unwrap();
        let pixels: Vec<u8> = (0..2 * 4 * 84 * 84).map(|i: u32| (i * i % 251) as u8).collect();
        let scaled: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        let (a, b) = (
            network.forward(&network.input(&pixels).unwrap()).unwrap(),
            network.forward(&network.input(&scaled).unwrap()).unwrap(),
        );
        assert!(largest_difference(&a.0, &b.0) < 1e-5 && largest_difference(&a.1, &b.1) < 1e-5);
    }

    #[test]
    fn bfloat16_answers_nearly_the_same_with_nearly_the_same_gradient_in_f32() {
        let at = |precision| {
            let network = network(NetworkKind::A3c, &[4, 84, 84])
                .unwrap()
                .with_precision(precision);
            let pixels: Vec<u8> = (0..4 * 84 * 84).map(|i: u32| (i * i % 251) as u8).collect();
            let (logits, values) = network.forward(&network.input(&pixels).unwrap()).unwrap();
            let loss = logits.square().sum(Kind::Float) + values.square().sum(Kind::Float);
            let gradient = network.params().gradient(&loss).unwrap();
            (logits, gradient)
        };
        let (exact, rough) = (at(Precision::Float32), at(Precision::Bfloat16));
        assert_eq!((rough.0.kind(), rough.1.kind()), (Kind::Float, Kind::Float));
        // A number of bfloat16 has 8 bits, so that each is off by up to 0.4 %.
        let off = largest_difference(&exact.0, &rough.0);
        assert!(off > 0.0 && off < 0.01 * exact.0.abs().max().double_value(&[]), "{off}");
        let cosine = Tensor::cosine_similarity(&exact.1, &rough.1, 0, 1e-12).double_value(&[]);
        assert!(cosine > 0.999, "{cosine}");
    }

    #[test]
    fn a_precision_that_was_chosen_stays_and_a_gpu_is_exact_unless_told_otherwise() {
        let gpu = Device::Cuda(0);
        assert_eq!(Precision::Auto.resolved(gpu), Precision::Float32);
        assert_ne!(Precision::Auto.resolved(Device::Cpu), Precision::Auto);
        for chosen in [Precision::Float32, Precision::Bfloat16] {
            assert_eq!([Device::Cpu, gpu].map(|device| chosen.resolved(device)), [chosen; 2]);
        }
    }

    #[test]
    fn a_shape_that_a_network_can_not_read_is_an_error_with_the_reason() {
        let error = network(NetworkKind::A3c, &[7]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the network `a3c` can not read observations of shape 7: it needs channels, height and width"
        );
        assert!(network(NetworkKind::Nature, &[4, 20, 20]).is_err());
        assert!(network(NetworkKind::Mlp, &[4, 84, 84]).is_err());
    }

    #[test]
    fn the_same_stream_gives_the_same_weights() {
        let shape = [4, 84, 84];
        let (a, b) = (
            network(NetworkKind::A3c, &shape).unwrap(),
            network(NetworkKind::A3c, &shape).unwrap(),
        );
        assert_eq!(a.params().flat(), b.params().flat());
    }
}
