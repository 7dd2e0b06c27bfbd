//! Adam (Kingma and Ba 2015, arXiv 1412.6980).

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor, no_grad};

use super::{Average, fused};
use crate::limits::{decay, divisor};
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// The settings of [`Adam`].
///
/// ```
/// use coinop_agents::optim::AdamConfig;
///
/// let config: AdamConfig = toml::from_str("beta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-5")?;
/// assert_eq!(config.epsilon, 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamConfig {
    /// Decay of the mean gradient, per update.
    pub beta1: f64,
    /// Decay of the mean squared gradient, per update.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
}

impl AdamConfig {
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        decay("optimizer.beta1", self.beta1)?;
        decay("optimizer.beta2", self.beta2)?;
        divisor("optimizer.epsilon", self.epsilon)
    }
}

/// Algorithm 1 of the paper, with bias-corrected moments.
///
/// ```
/// use coinop_agents::optim::{Adam, AdamConfig};
/// use coinop_agents::tch::Tensor;
///
/// let config = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
/// let mut weights = Tensor::from_slice(&[1.0f32, -1.0]);
/// let mut optimizer = Adam::new(config, &weights)?;
/// optimizer.step(&mut weights, &Tensor::from_slice(&[1.0f32, 0.0]), 0.1)?;
/// // The first step is as long as the learning rate, whatever the gradient.
/// assert!((weights.double_value(&[0]) - 0.9).abs() < 1e-6);
/// # Ok::<(), coinop_agents::tch::TchError>(())
/// ```
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    mean: Tensor,
    mean_square: Tensor,
    updates: u64,
}

impl Adam {
    /// For parameters like `params`; the moments start at 0.
    ///
    /// # Errors
    ///
    /// When there is no memory for them.
    pub fn new(config: AdamConfig, params: &Tensor) -> Result<Self, TchError> {
        Ok(Self {
            config,
            mean: params.f_zeros_like()?,
            mean_square: params.f_zeros_like()?,
            updates: 0,
        })
    }

    /// Moves `params` against `gradient`, in place.
    ///
    /// # Errors
    ///
    /// When libtorch fails.
    pub fn step(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        self.updates += 1;
        let correction = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        let corrections = [self.config.beta1, self.config.beta2].map(correction);
        if fused::is_possible(&[params, gradient, &self.mean, &self.mean_square]) {
            self.at_once(params, gradient, learning_rate, corrections)
        } else {
            self.by_tensors(params, gradient, learning_rate, corrections)
        }
    }

    fn at_once(
        &mut self,
        params: &mut Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        [first, second]: [f64; 2],
    ) -> Result<(), TchError> {
        let AdamConfig { beta1, beta2, epsilon } = self.config;
        let (mean_of, square_of) = (Average::new(beta1), Average::new(beta2));
        let [scale, inverse, epsilon] = [-learning_rate / first, 1.0 / second, epsilon].map(|value| value as f32);
        let changed = [params, &mut self.mean, &mut self.mean_square];
        fused::update(changed, gradient, |[params, mean, mean_square], gradient| {
            let numbers = params.iter_mut().zip(mean).zip(mean_square).zip(gradient);
            for (((param, mean), mean_square), gradient) in numbers {
                *mean = mean_of.next(*mean, *gradient);
                *mean_square = square_of.next(*mean_square, gradient * gradient);
                *param += scale * *mean / ((*mean_square * inverse).sqrt() + epsilon);
            }
        })
    }

    fn by_tensors(
        &mut self,
        params: &mut Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        [first, second]: [f64; 2],
    ) -> Result<(), TchError> {
        let AdamConfig { beta1, beta2, epsilon } = self.config;
        no_grad(|| {
            let _ = self.mean.f_lerp_(gradient, 1.0 - beta1)?;
            let _ = self.mean_square.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
            let divisor = self.mean_square.f_div_scalar(second)?.f_sqrt()?.f_add_scalar(epsilon)?;
            let step = self.mean.f_mul_scalar(-learning_rate / first)?;
            params.f_addcdiv_(&step, &divisor).map(drop)
        })
    }
}

impl Checkpoint for Adam {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put_tensor("mean", &self.mean)?;
        out.put_tensor("mean_square", &self.mean_square)?;
        out.put("updates", &self.updates)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        from.load_tensor("mean", &mut self.mean)?;
        from.load_tensor("mean_square", &mut self.mean_square)?;
        self.updates = from.get("updates")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn one_pass_and_a_chain_of_tensors_are_the_same_to_the_last_bits() {
        let config = AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        };
        let first = Tensor::linspace(-1.0, 1.0, 100_001, (Kind::Float, Device::Cpu));
        let mut params = [first.copy(), first.copy()];
        let [mut at_once, mut by_tensors] = [0, 1].map(|_| Adam::new(config, &first).unwrap());
        for update in 1..20 {
            let gradient = (first.square() * f64::from(update)).sin();
            let corrections = [0.1 * f64::from(update), 0.001 * f64::from(update)];
            at_once.at_once(&mut params[0], &gradient, 0.01, corrections).unwrap();
            by_tensors
                .by_tensors(&mut params[1], &gradient, 0.01, corrections)
                .unwrap();
        }
        let largest = |difference: Tensor| difference.abs().max().double_value(&[]);
        let (off, moved) = (largest(&params[0] - &params[1]), largest(&params[0] - &first));
        assert!(off < 1e-6 && moved > 0.01, "{off} of {moved}");
    }

    #[test]
    fn two_steps_follow_the_paper() {
        // Step 1: m = g, v = g² after correction, so -lr·sign(g). Step 2: m = (.9·.1·2 + .1·-1)/.19 = .421053,
        // v = (.999·.001·4 + .001·1)/.001999 = 2.499250; -.1·.421053/1.580902.
        let mut params = Tensor::from_slice(&[1.0f32]);
        let mut adam = Adam::new(
            AdamConfig {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 0.0,
            },
            &params,
        )
        .unwrap();
        adam.step(&mut params, &Tensor::from_slice(&[2.0f32]), 0.1).unwrap();
        assert!((params.double_value(&[0]) - 0.9).abs() < 1e-6);
        adam.step(&mut params, &Tensor::from_slice(&[-1.0f32]), 0.1).unwrap();
        assert!(
            (params.double_value(&[0]) - 0.873_366_32).abs() < 1e-6,
            "{}",
            params.double_value(&[0])
        );
    }

    #[test]
    fn a_restored_optimiser_goes_on_as_the_saved_one() {
        let config = AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        };
        let gradient = Tensor::from_slice(&[2.0f32, -3.0]);
        let (mut a, mut b) = (Tensor::from_slice(&[1.0f32, 1.0]), Tensor::from_slice(&[1.0f32, 1.0]));
        let mut saved = Adam::new(config, &a).unwrap();
        saved.step(&mut a, &gradient, 0.1).unwrap();
        b.copy_(&a);
        let mut section = Section::default();
        saved.save(&mut section).unwrap();
        let mut restored = Adam::new(config, &b).unwrap();
        restored.load(&section).unwrap();
        saved.step(&mut a, &gradient, 0.1).unwrap();
        restored.step(&mut b, &gradient, 0.1).unwrap();
        assert_eq!(a, b);
    }
}
