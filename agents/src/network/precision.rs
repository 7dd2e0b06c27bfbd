//! The precision of a network's computation, and which one suits this machine.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use coinop_envs::EnvSpec;
use coinop_envs::rng::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{ActorCritic, NetworkConfig, RecurrentState};
use crate::AgentError;

/// The maximum number of samples in a trial.
const MOST: usize = 512;
/// The maximum number of runs per precision. The fastest counts, because other load on the machine only adds time.
const TRIES: usize = 5;
/// The number of runs after which a ratio of times outside [`UNCLEAR`] decides.
const FEWEST_TRIES: usize = 3;
/// The minimum cosine between the two gradients. Rounding alone stays above 0.99; a broken convolution, which some
/// versions of libtorch have on some processors, can give anything.
const LEAST_COSINE: f64 = 0.98;
/// The maximum time relative to `float32`. With AMX, bfloat16 takes half of it; with AVX-512 BF16 alone, one Intel Xeon took
/// 1.6 times as long. The limit lies where no processor is expected to, so that the choice, and with it the run, is the
/// same another time.
const MOST_TIMES: f64 = 0.9;
/// The times relative to `float32` that take all runs to decide.
const UNCLEAR: RangeInclusive<f64> = 0.65..=1.3;

/// The precision with which a network's hidden layers process pixels. Parameters, heads, losses and optimisers are
/// always `f32`.
///
/// ```
/// use coinop_agents::Device;
/// use coinop_agents::network::Precision;
///
/// // What `auto` is depends on the processor; what is chosen stays as it is.
/// assert_ne!(Precision::Auto.resolved(Device::Cpu), Precision::Auto);
/// assert_eq!(Precision::Float32.resolved(Device::Cpu), Precision::Float32);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `bfloat16` on processors where it is faster, else `float32`. `coinop train` and `coinop bench` try it, see
    /// [`tried`](Self::tried).
    #[default]
    Auto,
    /// 24 bits of mantissa.
    Float32,
    /// 8 bits of mantissa: about twice as fast on processors that multiply matrices of it (AMX), and slower on others.
    Bfloat16,
}

impl Precision {
    /// Resolves [`Precision::Auto`] for this machine by its processor's instructions; returns others unchanged.
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

    /// Resolves [`Precision::Auto`] for a network by a trial: `bfloat16` if the processor has instructions for it, and
    /// its gradient of a batch takes at most 0.9 of the time of `float32` and points in the same direction, which with
    /// some versions of libtorch on some processors it does not. `batch` is the size of the learner's batches; a trial
    /// takes as long as eight to twelve updates.
    ///
    /// ```
    /// # use coinop_agents::Device;
    /// # use coinop_agents::init::Init;
    /// use coinop_agents::network::{BodyKind, Core, NetworkConfig, Precision};
    /// use coinop_envs::{EnvSpec, Shape};
    ///
    /// let spec = EnvSpec::new(Shape::new(&[4, 84, 84]), 6);
    /// let mut config = NetworkConfig {
    ///     body: BodyKind::A3c,
    ///     core: Core::None,
    ///     init: Init::Orthogonal,
    ///     precision: Precision::Auto,
    /// };
    /// config.precision = Precision::tried(&config, &spec, 32, Device::Cpu)?;
    /// assert_ne!(config.precision, Precision::Auto);
    /// # Ok::<(), coinop_agents::AgentError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the network cannot be built, or libtorch fails.
    pub fn tried(config: &NetworkConfig, spec: &EnvSpec, batch: usize, device: Device) -> Result<Self, AgentError> {
        if Self::Auto.resolved(device) == Self::Float32 || !config.body.convolves() {
            return Ok(Self::Float32);
        }
        let [exact, rough] =
            [Self::Float32, Self::Bfloat16].map(|precision| Trial::new(config, spec, batch, precision, device));
        let (mut exact, mut rough) = (exact?, rough?);
        // The first one of each kind prepares what later ones use.
        let cosine =
            Tensor::f_cosine_similarity(&exact.gradient()?, &rough.gradient()?, 0, 1e-12)?.f_double_value(&[])?;
        if cosine.is_nan() || cosine < LEAST_COSINE {
            return Ok(Self::Float32);
        }
        let mut ratio = f64::INFINITY;
        for tries in 1..=TRIES {
            exact.time()?;
            rough.time()?;
            ratio = rough.fastest.div_duration_f64(exact.fastest);
            if tries >= FEWEST_TRIES && !UNCLEAR.contains(&ratio) {
                break;
            }
        }
        Ok(if ratio > MOST_TIMES {
            Self::Float32
        } else {
            Self::Bfloat16
        })
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Bfloat16 => Kind::BFloat16,
            Self::Auto | Self::Float32 => Kind::Float,
        }
    }
}

/// A network and a batch, to time a gradient.
struct Trial {
    network: ActorCritic,
    obs: Tensor,
    is_first: Vec<bool>,
    fastest: Duration,
}

impl Trial {
    /// Creates the same trial for either precision.
    fn new(
        config: &NetworkConfig,
        spec: &EnvSpec,
        batch: usize,
        precision: Precision,
        device: Device,
    ) -> Result<Self, AgentError> {
        let config = NetworkConfig {
            precision,
            ..config.clone()
        };
        let n = batch.clamp(1, MOST);
        let network = ActorCritic::new(&config, spec, &mut stream(0, "precision", 0), device)?;
        let pixels: Vec<u8> = (0..n * spec.obs_shape.len())
            .map(|i| (i.wrapping_mul(i) % 251) as u8)
            .collect();
        Ok(Self {
            obs: network.body().input(&pixels)?,
            network,
            is_first: vec![true; n],
            fastest: Duration::MAX,
        })
    }

    /// The gradient of a loss that depends on all outputs of the network.
    fn gradient(&self) -> Result<Tensor, AgentError> {
        let mut state = match self.network.is_recurrent() {
            true => self.network.initial_state(self.is_first.len())?,
            false => RecurrentState::default(),
        };
        let (logits, values) = self.network.forward(&self.obs, &self.is_first, &mut state)?;
        let loss = logits
            .f_square()?
            .f_mean(Kind::Float)?
            .f_add(&values.f_square()?.f_mean(Kind::Float)?)?;
        Ok(self.network.params().gradient(&loss)?)
    }

    fn time(&mut self) -> Result<(), AgentError> {
        let start = Instant::now();
        // Reading a number waits for it, wherever it is computed.
        self.gradient()?.f_double_value(&[0])?;
        self.fastest = self.fastest.min(start.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use coinop_envs::Shape;

    use super::*;
    use crate::init::Init;
    use crate::network::{BodyKind, Core};

    #[test]
    fn a_precision_that_was_chosen_stays_and_a_gpu_is_exact_unless_told_otherwise() {
        let gpu = Device::Cuda(0);
        assert_eq!(Precision::Auto.resolved(gpu), Precision::Float32);
        assert_ne!(Precision::Auto.resolved(Device::Cpu), Precision::Auto);
        for chosen in [Precision::Float32, Precision::Bfloat16] {
            assert_eq!([Device::Cpu, gpu].map(|device| chosen.resolved(device)), [chosen; 2]);
        }
    }

    fn config(body: BodyKind, core: Core) -> NetworkConfig {
        NetworkConfig {
            body,
            core,
            init: Init::Orthogonal,
            precision: Precision::Auto,
        }
    }

    #[test]
    fn the_gradients_that_are_compared_agree_where_both_are_right() {
        // Whether there are instructions or not: then it is slow, but right.
        let spec = EnvSpec::new(Shape::new(&[4, 84, 84]), 6);
        for core in [Core::None, Core::Lstm] {
            let gradient = |precision| {
                let trial = Trial::new(&config(BodyKind::A3c, core), &spec, 8, precision, Device::Cpu).unwrap();
                trial.gradient().unwrap()
            };
            let (exact, rough) = (gradient(Precision::Float32), gradient(Precision::Bfloat16));
            let cosine = Tensor::cosine_similarity(&exact, &rough, 0, 1e-12).double_value(&[]);
            assert!(cosine > 0.99 && exact != rough, "{cosine}");
        }
    }

    #[test]
    fn without_pictures_there_is_nothing_to_try() {
        let spec = EnvSpec::new(Shape::new(&[4]), 2);
        let mlp = config(BodyKind::Mlp, Core::None);
        assert_eq!(
            Precision::tried(&mlp, &spec, 64, Device::Cpu).unwrap(),
            Precision::Float32
        );
        // On a GPU it is float32 without a trial.
        let nature = config(BodyKind::Nature, Core::None);
        assert_eq!(
            Precision::tried(&nature, &spec, 64, Device::Cuda(0)).unwrap(),
            Precision::Float32
        );
    }
}
