//! RMSProp (Tieleman and Hinton 2012), in the variants used by the papers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor, no_grad};

use super::{Average, Varying, fused};
use crate::device::upload;
use crate::limits::{at_least_0, decay, divisor};
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// The settings of [`RmsProp`].
///
/// ```
/// use coinop_agents::optim::RmsPropConfig;
///
/// let config: RmsPropConfig = toml::from_str("decay = 0.99\nepsilon = 0.1\nepsilon_inside_root = true\ncentered = false")?;
/// assert!(!config.centered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RmsPropConfig {
    /// Decay of the moving averages, per update.
    pub decay: f64,
    /// Added to the mean square: inside the root as in A3C and PAAC, or outside it as in PyTorch.
    pub epsilon: f64,
    /// Whether `epsilon` is inside the root.
    pub epsilon_inside_root: bool,
    /// Subtract the squared mean gradient from the mean square, as DQN does (Graves 2013, arXiv 1308.0850).
    pub centered: bool,
    /// The mean square before the first update: 0 as in PyTorch, or 1 as in TensorFlow, which shortens the first steps.
    #[serde(default)]
    pub initial_mean_square: f64,
}

impl RmsPropConfig {
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        decay("optimizer.decay", self.decay)?;
        divisor("optimizer.epsilon", self.epsilon)?;
        at_least_0("optimizer.initial_mean_square", self.initial_mean_square)
    }

    pub(crate) fn update(&self, learning_rate: f64) -> RmsPropUpdate {
        let epsilon = self.epsilon as f32;
        let (inside, outside) = if self.epsilon_inside_root {
            (epsilon, 0.0)
        } else {
            (0.0, epsilon)
        };
        RmsPropUpdate {
            average: Average::new(self.decay),
            step: learning_rate as f32,
            inside,
            outside,
        }
    }
}

/// One update of a single parameter.
pub(crate) struct RmsPropUpdate {
    average: Average,
    step: f32,
    /// The epsilons inside and outside the root.
    inside: f32,
    outside: f32,
}

impl RmsPropUpdate {
    pub(crate) fn apply(&self, [params, mean_squares]: [&mut [f32]; 2], gradient: &[f32]) {
        for ((param, mean_square), gradient) in params.iter_mut().zip(mean_squares).zip(gradient) {
            *mean_square = self.average.next(*mean_square, gradient * gradient);
            *param -= self.step * gradient / self.divisor(*mean_square);
        }
    }

    fn apply_centered(&self, [params, mean_squares, means]: [&mut [f32]; 3], gradient: &[f32]) {
        let numbers = params.iter_mut().zip(mean_squares).zip(means).zip(gradient);
        for (((param, mean_square), mean), gradient) in numbers {
            *mean_square = self.average.next(*mean_square, gradient * gradient);
            *mean = self.average.next(*mean, *gradient);
            // Rounding may leave a tiny negative number, whose root would be NaN.
            *param -= self.step * gradient / self.divisor((*mean_square - *mean * *mean).max(0.0));
        }
    }

    fn divisor(&self, variance: f32) -> f32 {
        (variance + self.inside).sqrt() + self.outside
    }
}

/// `g2 <- decay g2 + (1 - decay) grad²; params <- params - lr grad / sqrt(g2 + epsilon)` (Mnih 2016, arXiv 1602.01783,
/// equations S2 and S3).
///
/// ```
/// use coinop_agents::optim::{RmsProp, RmsPropConfig};
/// use coinop_agents::tch::Tensor;
///
/// let config = RmsPropConfig {
///     decay: 0.99,
///     epsilon: 0.0,
///     epsilon_inside_root: true,
///     centered: false,
///     initial_mean_square: 0.0,
/// };
/// let mut weights = Tensor::from_slice(&[1.0f32, -1.0]);
/// let mut optimizer = RmsProp::new(config, &weights)?;
/// optimizer.step(&mut weights, &Tensor::from_slice(&[1.0f32, 1.0]), 0.1)?;
/// // The first mean square is a hundredth of the gradient's: the step is ten times the learning rate.
/// assert!(weights.double_value(&[0]).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
#[derive(Debug)]
pub struct RmsProp {
    config: RmsPropConfig,
    mean_square: Tensor,
    /// Only if centered.
    mean: Option<Tensor>,
}

impl RmsProp {
    /// Creates an optimiser for parameters like `params`; the mean of the gradients starts at 0.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn new(config: RmsPropConfig, params: &Tensor) -> Result<Self, TchError> {
        let mean = config.centered.then(|| params.f_zeros_like()).transpose()?;
        Ok(Self {
            config,
            mean_square: params.f_full_like(config.initial_mean_square)?,
            mean,
        })
    }

    /// Updates `params` in place.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn step(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        let all = [&*params, gradient, &self.mean_square].into_iter().chain(&self.mean);
        if fused::is_possible(&all.collect::<Vec<_>>()) {
            self.at_once(params, gradient, learning_rate)
        } else {
            let varying = upload(&self.next_step(learning_rate), &[3], gradient.device())?;
            self.by_tensors(params, gradient, &varying)
        }
    }

    /// What a step by [`by_tensors`](Self::by_tensors) depends on.
    pub(super) fn next_step(&self, learning_rate: f64) -> Varying {
        [-learning_rate as f32, 0.0, 0.0]
    }

    fn at_once(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        let update = self.config.update(learning_rate);
        match &mut self.mean {
            None => {
                let changed = [params, &mut self.mean_square];
                fused::update(changed, gradient, |numbers, gradient| update.apply(numbers, gradient))
            }
            Some(mean) => {
                let changed = [params, &mut self.mean_square, mean];
                fused::update(changed, gradient, |numbers, gradient| {
                    update.apply_centered(numbers, gradient);
                })
            }
        }
    }

    pub(super) fn by_tensors(
        &mut self,
        params: &mut Tensor,
        gradient: &Tensor,
        varying: &Tensor,
    ) -> Result<(), TchError> {
        let RmsPropConfig {
            decay,
            epsilon,
            epsilon_inside_root,
            ..
        } = self.config;
        no_grad(|| {
            let _ = self.mean_square.f_lerp_(&gradient.f_square()?, 1.0 - decay)?;
            let variance = match &mut self.mean {
                None => self.mean_square.shallow_clone(),
                Some(mean) => {
                    let _ = mean.f_lerp_(gradient, 1.0 - decay)?;
                    // Rounding may leave a tiny negative number, whose root would be NaN.
                    self.mean_square.f_sub(&mean.f_square()?)?.f_clamp_min(0.0)?
                }
            };
            let divisor = if epsilon_inside_root {
                variance.f_add_scalar(epsilon)?.f_sqrt()?
            } else {
                variance.f_sqrt()?.f_add_scalar(epsilon)?
            };
            let step = gradient.f_mul(&varying.f_select(0, 0)?)?;
            params.f_addcdiv_(&step, &divisor).map(drop)
        })
    }
}

impl Checkpoint for RmsProp {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put_tensor("mean_square", &self.mean_square)?;
        if let Some(mean) = &self.mean {
            out.put_tensor("mean", mean)?;
        }
        Ok(())
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        from.load_tensor("mean_square", &mut self.mean_square)?;
        match &mut self.mean {
            Some(mean) => from.load_tensor("mean", mean),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn one_pass_and_a_chain_of_tensors_are_the_same_to_the_last_bits() {
        for (epsilon_inside_root, centered) in [(true, false), (false, false), (true, true), (false, true)] {
            let config = RmsPropConfig {
                decay: 0.9,
                epsilon: 0.01,
                epsilon_inside_root,
                centered,
                initial_mean_square: 0.0,
            };
            let first = Tensor::linspace(-1.0, 1.0, 100_001, (Kind::Float, Device::Cpu));
            let mut params = [first.copy(), first.copy()];
            let [mut at_once, mut by_tensors] = [0, 1].map(|_| RmsProp::new(config, &first).unwrap());
            for update in 1..20 {
                let gradient = (first.square() * f64::from(update)).sin();
                at_once.at_once(&mut params[0], &gradient, 0.01).unwrap();
                let varying = Tensor::from_slice(&by_tensors.next_step(0.01));
                by_tensors.by_tensors(&mut params[1], &gradient, &varying).unwrap();
            }
            let largest = |difference: Tensor| difference.abs().max().double_value(&[]);
            let (off, moved) = (largest(&params[0] - &params[1]), largest(&params[0] - &first));
            assert!(off < 1e-6 && moved > 0.01, "{off} of {moved}");
        }
    }

    fn two_steps(config: RmsPropConfig) -> Vec<f64> {
        let mut params = Tensor::from_slice(&[1.0f32]);
        let mut optimizer = RmsProp::new(config, &params).unwrap();
        [2.0f32, -1.0]
            .map(|gradient| {
                optimizer
                    .step(&mut params, &Tensor::from_slice(&[gradient]), 0.1)
                    .unwrap();
                params.double_value(&[0])
            })
            .to_vec()
    }

    fn assert_near(actual: &[f64], expected: &[f64]) {
        let near = actual.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-6);
        assert!(
            near && actual.len() == expected.len(),
            "{actual:?} instead of {expected:?}"
        );
    }

    #[test]
    fn epsilon_inside_the_root_follows_the_a3c_paper() {
        // g2 = .1·4 = .4, then .36 + .1 = .46; 1 - .1·2/sqrt(.4 + .1), and that + .1·1/sqrt(.46 + .1).
        let config = RmsPropConfig {
            decay: 0.9,
            epsilon: 0.1,
            epsilon_inside_root: true,
            centered: false,
            initial_mean_square: 0.0,
        };
        assert_near(&two_steps(config), &[0.717_157_29, 0.850_788_50]);
    }

    #[test]
    fn epsilon_outside_the_root_follows_pytorch() {
        // torch.optim.RMSprop([p], lr=0.1, alpha=0.9, eps=0.1): 1 - .2/(sqrt(.4) + .1), and that + .1/(sqrt(.46) + .1).
        let config = RmsPropConfig {
            decay: 0.9,
            epsilon: 0.1,
            epsilon_inside_root: false,
            centered: false,
            initial_mean_square: 0.0,
        };
        assert_near(&two_steps(config), &[0.726_945_87, 0.855_442_11]);
    }

    #[test]
    fn the_centred_variant_divides_by_the_variance() {
        // g = .2, then .18 - .1 = .08; variances .4 - .04 = .36 and .46 - .0064 = .4536.
        let config = RmsPropConfig {
            decay: 0.9,
            epsilon: 0.0,
            epsilon_inside_root: true,
            centered: true,
            initial_mean_square: 0.0,
        };
        assert_near(&two_steps(config), &[0.666_666_67, 0.815_144_97]);
    }

    #[test]
    fn a_restored_optimiser_continues_as_the_saved_one() {
        let config = RmsPropConfig {
            decay: 0.9,
            epsilon: 0.1,
            epsilon_inside_root: true,
            centered: true,
            initial_mean_square: 0.0,
        };
        let gradient = Tensor::from_slice(&[2.0f32, -3.0]);
        let (mut a, mut b) = (Tensor::from_slice(&[1.0f32, 1.0]), Tensor::from_slice(&[1.0f32, 1.0]));
        let mut saved = RmsProp::new(config, &a).unwrap();
        saved.step(&mut a, &gradient, 0.1).unwrap();
        b.copy_(&a);
        let mut section = Section::default();
        saved.save(&mut section).unwrap();
        let mut restored = RmsProp::new(config, &b).unwrap();
        restored.load(&section).unwrap();
        saved.step(&mut a, &gradient, 0.1).unwrap();
        restored.step(&mut b, &gradient, 0.1).unwrap();
        assert_eq!(a, b);
    }
}
