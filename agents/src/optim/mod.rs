//! Optimisers on flat parameter tensors, with state that can be saved.

mod adam;
pub(crate) mod fused;
mod rmsprop;

pub use adam::{Adam, AdamConfig};
pub use rmsprop::{RmsProp, RmsPropConfig};

use crate::{AgentError, Checkpoint, CheckpointError, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor};

/// The optimiser and its settings. The learning rate is passed to each step.
///
/// ```
/// use coinop_agents::optim::OptimizerConfig;
///
/// let config: OptimizerConfig = toml::from_str("kind = \"adam\"\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-5")?;
/// assert!(matches!(config, OptimizerConfig::Adam(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// RMSProp.
    RmsProp(RmsPropConfig),
    /// Adam.
    Adam(AdamConfig),
    /// RAdam (Liu et al. 2020, arXiv 1908.03265): Adam whose first steps are shorter.
    #[serde(rename = "radam")]
    RAdam(AdamConfig),
}

impl OptimizerConfig {
    /// Checks all values.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    pub fn validate(&self) -> Result<(), AgentError> {
        match self {
            Self::RmsProp(config) => config.validate(),
            Self::Adam(config) | Self::RAdam(config) => config.validate(),
        }
    }
}

/// An optimiser with its statistics.
///
/// ```
/// use coinop_agents::optim::{AdamConfig, Optimizer, OptimizerConfig};
/// use coinop_agents::tch::Tensor;
///
/// let mut params = Tensor::from_slice(&[1.0f32, 1.0]);
/// let config = OptimizerConfig::Adam(AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 0.0 });
/// let mut adam = Optimizer::new(config, &params)?;
/// adam.step(&mut params, &Tensor::from_slice(&[3.0f32, -0.1]), 0.25)?;
/// // The first step of Adam is as long as the learning rate, whatever the gradient.
/// assert_eq!(Vec::<f32>::try_from(&params)?, [0.75, 1.25]);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
#[derive(Debug)]
pub enum Optimizer {
    /// RMSProp.
    RmsProp(RmsProp),
    /// Adam or RAdam.
    Adam(Adam),
}

impl Optimizer {
    /// Creates an optimiser for parameters like `params`; only their shape matters.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn new(config: OptimizerConfig, params: &Tensor) -> Result<Self, TchError> {
        Ok(match config {
            OptimizerConfig::RmsProp(config) => Self::RmsProp(RmsProp::new(config, params)?),
            OptimizerConfig::Adam(config) => Self::Adam(Adam::new(config, params)?),
            OptimizerConfig::RAdam(config) => Self::Adam(Adam::new(config, params)?.rectified()),
        })
    }

    /// Updates `params` in place.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn step(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        match self {
            Self::RmsProp(optimizer) => optimizer.step(params, gradient, learning_rate),
            Self::Adam(optimizer) => optimizer.step(params, gradient, learning_rate),
        }
    }

    /// Counts a step that [`apply`](Self::apply) makes, and returns what differs between it and others.
    pub(crate) fn next_step(&mut self, learning_rate: f64) -> Varying {
        match self {
            Self::RmsProp(optimizer) => optimizer.next_step(learning_rate),
            Self::Adam(optimizer) => optimizer.next_step(learning_rate),
        }
    }

    /// Updates `params` in place by tensor operations that can be recorded and repeated: what differs between steps is in
    /// the tensor `varying`, on the same device.
    pub(crate) fn apply(&mut self, params: &mut Tensor, gradient: &Tensor, varying: &Tensor) -> Result<(), TchError> {
        match self {
            Self::RmsProp(optimizer) => optimizer.by_tensors(params, gradient, varying),
            Self::Adam(optimizer) => optimizer.by_tensors(params, gradient, varying),
        }
    }
}

/// The numbers of a step that depend on the learning rate and on how many steps came before.
pub(crate) type Varying = [f32; 3];

impl Checkpoint for Optimizer {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        match self {
            Self::RmsProp(optimizer) => optimizer.save(out),
            Self::Adam(optimizer) => optimizer.save(out),
        }
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        match self {
            Self::RmsProp(optimizer) => optimizer.load(from),
            Self::Adam(optimizer) => optimizer.load(from),
        }
    }
}

/// An exponential moving average.
#[derive(Clone, Copy, Debug)]
struct Average {
    keep: f32,
    take: f32,
}

impl Average {
    /// Creates an average with the given decay.
    fn new(decay: f64) -> Self {
        Self {
            keep: decay as f32,
            take: (1.0 - decay) as f32,
        }
    }

    /// Returns the average after `value`.
    ///
    /// Without gradients, the average decays to the smallest subnormal number and stays there, because multiplying it
    /// by the decay rounds back to itself. Processors are a hundred times slower with subnormals: after a minute of
    /// Pong, this cost a fifth of the training time. So subnormals are flushed to 0.
    #[inline]
    fn next(self, average: f32, value: f32) -> f32 {
        let next = self.keep * average + self.take * value;
        if next.abs() < f32::MIN_POSITIVE { 0.0 } else { next }
    }
}

/// Scales `gradient` in place so that its Euclidean norm is at most `max_norm`, and returns its original norm. On a
/// GPU this does not wait for the result, so the norm may be read after the gradient was used; a non-finite gradient
/// is set to 0 there, so that it does no harm until then.
///
/// ```
/// use coinop_agents::optim::clip_grad_norm;
/// use coinop_agents::tch::Tensor;
///
/// let mut gradient = Tensor::from_slice(&[3.0f32, 4.0]);
/// assert_eq!(clip_grad_norm(&mut gradient, 1.0)?.double_value(&[]), 5.0);
/// assert!((gradient.double_value(&[0]) - 0.6).abs() < 1e-5);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
///
/// # Errors
///
/// If libtorch fails.
pub fn clip_grad_norm(gradient: &mut Tensor, max_norm: f64) -> Result<Tensor, TchError> {
    let norm = gradient.f_norm()?;
    if gradient.device() == Device::Cpu {
        // Where it is at hand, a gradient that is short enough is left alone.
        let known = norm.f_double_value(&[])?;
        if known > max_norm {
            let _ = tch::no_grad(|| gradient.f_mul_scalar_(max_norm / known))?;
        }
    } else {
        scale_to(gradient, &norm, max_norm)?;
    }
    Ok(norm)
}

/// Scales a gradient whose norm is still on the device, possibly by 1.
fn scale_to(gradient: &mut Tensor, norm: &Tensor, max_norm: f64) -> Result<(), TchError> {
    tch::no_grad(|| {
        let scale = norm.f_reciprocal()?.f_mul_scalar(max_norm)?.f_clamp_max(1.0)?;
        gradient.f_mul_(&scale)?.f_nan_to_num_(0.0, 0.0, 0.0).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_end_at_0_and_not_in_numbers_that_take_long() {
        for decay in [0.9, 0.95, 0.99, 0.999] {
            let average = Average::new(decay);
            let (mut value, mut steps) = (-1.0, 0);
            while value != 0.0 {
                value = average.next(value, 0.0);
                assert!(value == 0.0 || value.is_normal(), "{value:e}");
                steps += 1;
            }
            // 2^-126 is decay to this power.
            let expected = -126.0 * 2f64.ln() / decay.ln();
            assert!(
                (f64::from(steps) - expected).abs() < 0.01 * expected,
                "{steps} instead of {expected}"
            );
        }
    }

    #[test]
    fn what_had_no_gradient_for_long_leaves_nothing_in_an_optimiser() {
        let rms_prop = |centered| {
            OptimizerConfig::RmsProp(RmsPropConfig {
                decay: 0.9,
                epsilon: 1e-5,
                epsilon_inside_root: false,
                centered,
                initial_mean_square: 0.0,
            })
        };
        let adam = OptimizerConfig::Adam(AdamConfig {
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-5,
        });
        for config in [rms_prop(false), rms_prop(true), adam] {
            let mut params = Tensor::from_slice(&[1.0f32, 1.0]);
            let mut optimizer = Optimizer::new(config, &params).unwrap();
            for update in 0..2_000 {
                let once = if update == 0 { 0.5 } else { 0.0 };
                let gradient = Tensor::from_slice(&[once, 0.5f32]);
                optimizer.step(&mut params, &gradient, 1e-3).unwrap();
            }
            let mut section = Section::default();
            optimizer.save(&mut section).unwrap();
            for name in ["mean", "mean_square"] {
                let Ok(statistic) = section.tensor(name) else {
                    assert_eq!(name, "mean", "what RMSProp has only when it is centred");
                    continue;
                };
                let [once, always] = [0, 1].map(|i| statistic.double_value(&[i]));
                assert!(once == 0.0 && always > 0.2, "{name}: {once:e} and {always}");
            }
        }
    }

    #[test]
    fn a_gradient_is_scaled_to_the_largest_norm_and_a_smaller_one_left_alone() {
        // |(3, 4)| = 5: scaled by 2/5.
        type Clip = fn(&mut Tensor, f64) -> f64;
        let here: Clip = |gradient, max| clip_grad_norm(gradient, max).unwrap().double_value(&[]);
        let elsewhere: Clip = |gradient, max| {
            let norm = gradient.norm();
            scale_to(gradient, &norm, max).unwrap();
            norm.double_value(&[])
        };
        for clip in [here, elsewhere] {
            let mut gradient = Tensor::from_slice(&[3.0f32, 4.0]);
            assert_eq!(clip(&mut gradient, 2.0), 5.0);
            let [a, b] = [0, 1].map(|i| gradient.double_value(&[i]));
            assert!((a - 1.2).abs() < 1e-6 && (b - 1.6).abs() < 1e-6, "{a} {b}");
            for max in [6.0, f64::INFINITY] {
                let mut gradient = Tensor::from_slice(&[3.0f32, 4.0]);
                assert_eq!(clip(&mut gradient, max), 5.0);
                assert_eq!(gradient, Tensor::from_slice(&[3.0f32, 4.0]));
            }
            let mut none = Tensor::from_slice(&[0.0f32, 0.0]);
            assert_eq!(clip(&mut none, 2.0), 0.0);
            assert_eq!(none, none.zeros_like());
        }
        // Where the norm has not been read yet, nothing may be learned.
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut gradient = Tensor::from_slice(&[3.0f32, bad]);
            assert!(!elsewhere(&mut gradient, 2.0).is_finite());
            assert_eq!(gradient, gradient.zeros_like());
        }
    }

    #[test]
    fn an_invalid_setting_is_named_with_its_range() {
        let adam = |beta1, beta2, epsilon| OptimizerConfig::Adam(AdamConfig { beta1, beta2, epsilon });
        let error = |config: OptimizerConfig| config.validate().unwrap_err().to_string();
        adam(0.9, 0.999, 1e-5).validate().unwrap();
        assert_eq!(
            error(adam(5.0, 0.999, 1e-5)),
            "optimizer.beta1 = 5: it must be at least 0 and below 1"
        );
        assert_eq!(
            error(adam(0.9, 2.0, 1e-5)),
            "optimizer.beta2 = 2: it must be at least 0 and below 1"
        );
        assert_eq!(
            error(adam(0.9, 0.999, -1.0)),
            "optimizer.epsilon = -1: it must be a number from 1e-30 to 1e30"
        );
        assert!(adam(0.9, f64::NAN, 1e-5).validate().is_err());
    }
}
