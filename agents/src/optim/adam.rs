//! Adam (Kingma and Ba 2015, arXiv 1412.6980).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor, no_grad};

use super::{Average, Varying, fused};
use crate::device::upload;
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamConfig {
    /// Decay of the mean gradient, per update.
    pub beta1: f64,
    /// Decay of the mean squared gradient, per update.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
}

impl AdamConfig {
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        decay("optimizer.beta1", self.beta1)?;
        decay("optimizer.beta2", self.beta2)?;
        divisor("optimizer.epsilon", self.epsilon)
    }

    /// The bias corrections of both moments at update `number`, counted from 1.
    fn corrections(&self, number: u64) -> [f64; 2] {
        [self.beta1, self.beta2].map(|beta| 1.0 - beta.powf(number as f64))
    }

    /// Prepares update `number`, counted from 1.
    pub(crate) fn update(&self, number: u64, learning_rate: f64) -> AdamUpdate {
        let [first, second] = self.corrections(number);
        AdamUpdate {
            mean_of: Average::new(self.beta1),
            square_of: Average::new(self.beta2),
            step: (learning_rate / first) as f32,
            inverse: (1.0 / second) as f32,
            epsilon: self.epsilon as f32,
        }
    }

    /// Prepares update `number` of RAdam. While too few gradients are averaged to tell their variance, the step is the
    /// mean gradient; afterwards it is Adam's, shortened by the rectification (Liu et al. 2020, algorithm 2).
    fn rectified_update(&self, number: u64, learning_rate: f64) -> AdamUpdate {
        match self.rectification(number) {
            Some(rectification) => self.update(number, learning_rate * rectification),
            None => AdamUpdate {
                inverse: 0.0,
                epsilon: 1.0,
                ..self.update(number, learning_rate)
            },
        }
    }

    /// `r_t` of RAdam; `None` while the averages are of too few gradients. The paper rectifies from a length above 4 on,
    /// PyTorch and Optax from one above 5 on, and so does this.
    fn rectification(&self, number: u64) -> Option<f64> {
        let longest = 2.0 / (1.0 - self.beta2) - 1.0;
        let power = self.beta2.powf(number as f64);
        let length = longest - 2.0 * number as f64 * power / (1.0 - power);
        let variance = |length: f64| (length - 4.0) * (length - 2.0) / length;
        (length > 5.0).then(|| (variance(length) / variance(longest)).sqrt())
    }
}

/// One update by Algorithm 1 of the paper, for a single parameter.
pub(crate) struct AdamUpdate {
    mean_of: Average,
    square_of: Average,
    step: f32,
    inverse: f32,
    epsilon: f32,
}

impl AdamUpdate {
    pub(crate) fn apply(&self, [params, means, mean_squares]: [&mut [f32]; 3], gradient: &[f32]) {
        let numbers = params.iter_mut().zip(means).zip(mean_squares).zip(gradient);
        for (((param, mean), mean_square), gradient) in numbers {
            *mean = self.mean_of.next(*mean, *gradient);
            *mean_square = self.square_of.next(*mean_square, gradient * gradient);
            *param -= self.step * *mean / ((*mean_square * self.inverse).sqrt() + self.epsilon);
        }
    }
}

/// Adam, Algorithm 1 of the paper, with bias-corrected moments.
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
    rectified: bool,
    mean: Tensor,
    mean_square: Tensor,
    updates: u64,
}

impl Adam {
    /// Creates an optimiser for parameters like `params`; the moments start at 0.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn new(config: AdamConfig, params: &Tensor) -> Result<Self, TchError> {
        Ok(Self {
            config,
            rectified: false,
            mean: params.f_zeros_like()?,
            mean_square: params.f_zeros_like()?,
            updates: 0,
        })
    }

    /// Makes it RAdam (Liu et al. 2020, arXiv 1908.03265), whose steps are shorter while the average of squared gradients
    /// is of a few only.
    ///
    /// ```
    /// use coinop_agents::optim::{Adam, AdamConfig};
    /// use coinop_agents::tch::Tensor;
    ///
    /// let config = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    /// let mut weights = Tensor::from_slice(&[1.0f32]);
    /// let mut optimizer = Adam::new(config, &weights)?.rectified();
    /// optimizer.step(&mut weights, &Tensor::from_slice(&[0.5f32]), 0.1)?;
    /// // The first step is the gradient times the learning rate.
    /// assert!((weights.double_value(&[0]) - 0.95).abs() < 1e-6);
    /// # Ok::<(), coinop_agents::tch::TchError>(())
    /// ```
    #[must_use]
    pub fn rectified(self) -> Self {
        Self {
            rectified: true,
            ..self
        }
    }

    /// Updates `params` in place.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn step(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        self.updates += 1;
        if fused::is_possible(&[params, gradient, &self.mean, &self.mean_square]) {
            self.at_once(params, gradient, learning_rate)
        } else {
            let varying = upload(&self.varying(learning_rate), &[3], gradient.device())?;
            self.by_tensors(params, gradient, &varying)
        }
    }

    /// Counts a step that [`by_tensors`](Self::by_tensors) makes, and returns what it depends on.
    pub(super) fn next_step(&mut self, learning_rate: f64) -> Varying {
        self.updates += 1;
        self.varying(learning_rate)
    }

    fn varying(&self, learning_rate: f64) -> Varying {
        let update = self.update(learning_rate);
        [-update.step, update.inverse, update.epsilon]
    }

    fn at_once(&mut self, params: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        let update = self.update(learning_rate);
        let changed = [params, &mut self.mean, &mut self.mean_square];
        fused::update(changed, gradient, |numbers, gradient| update.apply(numbers, gradient))
    }

    pub(super) fn by_tensors(
        &mut self,
        params: &mut Tensor,
        gradient: &Tensor,
        varying: &Tensor,
    ) -> Result<(), TchError> {
        let AdamConfig { beta1, beta2, .. } = self.config;
        let [step, inverse, epsilon] = [0, 1, 2].map(|i| varying.f_select(0, i));
        no_grad(|| {
            let _ = self.mean.f_lerp_(gradient, 1.0 - beta1)?;
            let _ = self.mean_square.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
            let divisor = self.mean_square.f_mul(&inverse?)?.f_sqrt()?.f_add(&epsilon?)?;
            params.f_addcdiv_(&self.mean.f_mul(&step?)?, &divisor).map(drop)
        })
    }

    fn update(&self, learning_rate: f64) -> AdamUpdate {
        if self.rectified {
            self.config.rectified_update(self.updates, learning_rate)
        } else {
            self.config.update(self.updates, learning_rate)
        }
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
        for update in 1..20u32 {
            let gradient = (first.square() * f64::from(update)).sin();
            (at_once.updates, by_tensors.updates) = (update.into(), update.into());
            at_once.at_once(&mut params[0], &gradient, 0.01).unwrap();
            let varying = Tensor::from_slice(&by_tensors.varying(0.01));
            by_tensors.by_tensors(&mut params[1], &gradient, &varying).unwrap();
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
    fn ten_steps_of_radam_are_those_of_pytorch() {
        // torch.optim.RAdam of PyTorch 2.11 in double precision, with an epsilon of 1e-12.
        const EXPECTED: [[f64; 2]; 10] = [
            [1.100_000_000, 0.990_000_000],
            [1.042_105_263, 0.974_736_842],
            [0.931_773_160, 0.954_035_735],
            [0.882_601_889, 0.927_722_853],
            [0.796_599_105, 0.895_625_713],
            [0.794_954_568, 0.893_104_456],
            [0.793_563_237, 0.889_873_089],
            [0.791_442_398, 0.886_005_263],
            [0.788_633_374, 0.881_548_794],
            [0.786_348_243, 0.876_537_584],
        ];
        let config = AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-12,
        };
        for at_once in [true, false] {
            let mut params = Tensor::from_slice(&[1.0f32, 1.0]);
            let mut optimizer = Adam::new(config, &params).unwrap().rectified();
            for (t, expected) in (0u8..).zip(EXPECTED) {
                let sign = if t % 3 == 0 { -1.0 } else { 2.0 };
                let gradient = Tensor::from_slice(&[sign, 0.1 * (f32::from(t) + 1.0)]);
                let varying = Tensor::from_slice(&optimizer.next_step(0.1));
                if at_once {
                    optimizer.at_once(&mut params, &gradient, 0.1).unwrap();
                } else {
                    optimizer.by_tensors(&mut params, &gradient, &varying).unwrap();
                }
                for (i, expected) in expected.into_iter().enumerate() {
                    let found = params.double_value(&[i as i64]);
                    assert!((found - expected).abs() < 3e-6, "{found} instead of {expected}");
                }
            }
        }
    }

    #[test]
    fn a_restored_optimiser_continues_as_the_saved_one() {
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
