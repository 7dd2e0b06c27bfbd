//! The update of A3C: the gradient of a rollout, computed with a worker's own network and applied to the shared
//! weights.

use std::sync::Arc;

use tch::Tensor;

use super::config::A3cConfig;
use crate::actor_learners::Exchange;
use crate::collect::copy_to;
use crate::metrics::statistics;
use crate::network::{ActorCritic, RecurrentState};
use crate::shared::SharedParams;
use crate::{AgentError, Learner};

/// The batch of an update: a rollout of `n` steps, with `n` of everything.
#[derive(Debug)]
pub(super) struct A3cBatch {
    /// Observations `[n, obs_shape…]`.
    pub(super) obs: Tensor,
    /// The actions taken.
    pub(super) actions: Vec<i64>,
    /// The epsilons of the actions.
    pub(super) epsilons: Vec<f32>,
    /// Advantages; constants to the loss.
    pub(super) advantages: Vec<f32>,
    /// Returns, the targets of the values.
    pub(super) returns: Vec<f32>,
    /// Whether each observation starts an episode; ignored by feed-forward networks.
    pub(super) is_first: Vec<bool>,
    /// The recurrent state before the first step.
    pub(super) state: RecurrentState,
    /// The learning rate of this update.
    pub(super) learning_rate: f64,
}

statistics! {
    /// Statistics of one update.
    pub(super) struct A3cStats {
        /// The total loss, as a mean over the steps.
        loss,
        /// `-mean(A log pi)`.
        policy_loss,
        /// `mean((R - V)²)`.
        value_loss,
        /// The mean entropy of the policy, in nats.
        entropy,
        /// The norm of the gradient before clipping.
        grad_norm,
    }
}

/// A worker's own network and the shared weights.
///
/// The loss is `sum(-A log pi(a|s) - beta H + c (R - V)²)` over the steps of a rollout (Mnih 2016, arXiv 1602.01783, section 4 and algorithm
/// S3).
pub(super) struct A3cLearner {
    pub(super) network: ActorCritic,
    exchange: Exchange,
    entropy_weight: f64,
    value_weight: f64,
    // Written by every update; allocated once.
    logits: Vec<f32>,
    values: Vec<f32>,
}

impl A3cLearner {
    pub(super) fn new(config: &A3cConfig, network: ActorCritic, shared: Arc<SharedParams>) -> Self {
        Self {
            network,
            exchange: Exchange::new(shared, config.max_grad_norm),
            entropy_weight: config.entropy_weight,
            value_weight: config.value_weight,
            logits: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Copies the shared weights into the worker's network.
    pub(super) fn synchronize(&mut self) -> Result<(), AgentError> {
        self.exchange.read(self.network.params())
    }

    /// Replaces the shared weights by the worker's own.
    pub(super) fn publish(&self) -> Result<(), AgentError> {
        self.exchange.publish(self.network.params())
    }
}

impl Learner for A3cLearner {
    type Batch = A3cBatch;
    type Stats = A3cStats;

    fn learn(&mut self, batch: &A3cBatch) -> Result<A3cStats, AgentError> {
        let (logits, values) = self
            .network
            .forward(&batch.obs, &batch.is_first, &mut batch.state.copy()?)?;
        let n = batch.actions.len();
        copy_to(&values, resized(&mut self.values, n))?;
        copy_to(&logits, resized(&mut self.logits, n * self.network.num_actions()))?;
        let weights = (self.entropy_weight, self.value_weight);
        // From here on the numbers are those of the loss's gradient.
        let terms = rollout_loss(&mut self.logits, &mut self.values, batch, weights);
        let slopes = |slopes: &[f32], of: &Tensor| self.network.body().numbers(slopes)?.f_view_as(of);
        // Products with constants, whose gradient is that of the loss.
        let (logits, values) = (
            logits.f_mul(&slopes(&self.logits, &logits)?)?,
            values.f_mul(&slopes(&self.values, &values)?)?,
        );
        let (params, rate) = (self.network.params(), batch.learning_rate);
        let [loss, policy_loss, value_loss, entropy] = terms;
        let grad_norm = self.exchange.update(params, &[&logits, &values], loss, n, rate)?;
        Ok(A3cStats::of([loss, policy_loss, value_loss, entropy, grad_norm]))
    }
}

fn resized(numbers: &mut Vec<f32>, len: usize) -> &mut [f32] {
    numbers.resize(len, 0.0);
    numbers
}

/// The loss of a rollout, the policy loss, the value loss and the entropy, as means over its steps. Replaces logits
/// `[n, actions]` and values `[n]` by the gradient of the loss's sum with respect to them.
///
/// As tensors, these few numbers would take some forty operations and as many for their gradient. An action `a` was
/// chosen by the mixture `m = (1 - epsilon) p + epsilon / actions` of the policy `p` and a uniform one, so with the
/// policy's share `w = (1 - epsilon) p_a / m_a` and the entropy `H`:
///
/// ```text
/// d(-A log m_a) / d logit_j = -A w (1{j = a} - p_j)
/// d(-beta H)    / d logit_j = beta p_j (log p_j + H)
/// d c (R - V)²  / d V       = -2 c (R - V)
/// ```
fn rollout_loss(
    logits: &mut [f32],
    values: &mut [f32],
    batch: &A3cBatch,
    (entropy_weight, value_weight): (f64, f64),
) -> [f64; 4] {
    let (n, num_actions) = (values.len(), logits.len() / values.len());
    let mut sums = [0.0; 3];
    for (i, (logits, value)) in logits.chunks_exact_mut(num_actions).zip(values).enumerate() {
        let (action, epsilon) = (batch.actions[i] as usize, f64::from(batch.epsilons[i]));
        let (advantage, error) = (
            f64::from(batch.advantages[i]),
            f64::from(batch.returns[i]) - f64::from(*value),
        );
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let above = |logit: f32| f64::from(logit) - f64::from(largest);
        let log_sum = logits.iter().map(|&logit| above(logit).exp()).sum::<f64>().ln();
        let log_p = |logit: f32| above(logit) - log_sum;
        let entropy = -logits
            .iter()
            .map(|&logit| log_p(logit).exp() * log_p(logit))
            .sum::<f64>();
        let from_policy = log_p(logits[action]) + (-epsilon).ln_1p();
        let from_uniform = (epsilon / num_actions as f64).ln();
        let log_chosen = from_policy.max(from_uniform) + (-(from_policy - from_uniform).abs()).exp().ln_1p();
        let share = (from_policy - log_chosen).exp();
        for (j, logit) in logits.iter_mut().enumerate() {
            let (log_p, chosen) = (log_p(*logit), f64::from(u8::from(j == action)));
            let p = log_p.exp();
            *logit = (-advantage * share * (chosen - p) + entropy_weight * p * (log_p + entropy)) as f32;
        }
        *value = (-2.0 * value_weight * error) as f32;
        for (sum, term) in sums.iter_mut().zip([-advantage * log_chosen, error * error, entropy]) {
            *sum += term;
        }
    }
    let [policy_loss, value_loss, entropy] = sums.map(|sum| sum / n as f64);
    let loss = policy_loss - entropy_weight * entropy + value_weight * value_loss;
    [loss, policy_loss, value_loss, entropy]
}

#[cfg(test)]
mod tests {
    use coinop_envs::rng::stream;
    use rand::RngExt;
    use tch::{Device, Kind};

    use super::*;
    use crate::losses;

    /// Compares the loss with the functions of `losses`, and its gradient with autograd's.
    #[test]
    fn loss_and_gradient_are_those_of_tensors() {
        let mut rng = stream(1, "test", 0);
        for case in 0..300 {
            let (n, actions) = (rng.random_range(1..8), rng.random_range(1..7));
            let scale = [0.1, 1.0, 30.0][case % 3];
            let numbers = |len: usize, rng: &mut coinop_envs::rng::Rng| -> Vec<f32> {
                (0..len).map(|_| rng.random_range(-scale..scale)).collect()
            };
            let (mut logits, mut values) = (numbers(n * actions, &mut rng), numbers(n, &mut rng));
            let batch = A3cBatch {
                obs: Tensor::from_slice(&[0.0f32]),
                actions: (0..n).map(|_| rng.random_range(0..actions as i64)).collect(),
                epsilons: (0..n).map(|_| [0.0, 0.1, 1.0][rng.random_range(0..3)]).collect(),
                advantages: numbers(n, &mut rng),
                returns: numbers(n, &mut rng),
                is_first: vec![false; n],
                state: RecurrentState::default(),
                learning_rate: 0.0,
            };
            let leaf = |numbers: &[f32], size: &[i64]| {
                let tensor = Tensor::from_slice(numbers).view(size).to_kind(Kind::Double);
                tensor.set_requires_grad(true)
            };
            let of_logits = leaf(&logits, &[n as i64, actions as i64]);
            let of_values = leaf(&values, &[n as i64]);
            let [advantages, returns, epsilons] = [&batch.advantages, &batch.returns, &batch.epsilons]
                .map(|numbers| Tensor::from_slice(numbers).to_kind(Kind::Double));
            let log = of_logits.log_softmax(1, Kind::Double);
            let chosen = losses::mixture_log_probability(&log, &Tensor::from_slice(&batch.actions), &epsilons).unwrap();
            let terms = [
                -(advantages * chosen).mean(Kind::Double),
                (returns - &of_values).square().mean(Kind::Double),
                -(log.exp() * &log).sum(Kind::Double) / n as f64,
            ];
            let loss = &terms[0] - 0.03 * &terms[2] + 0.5 * &terms[1];
            let expected: Vec<f64> = [&loss]
                .into_iter()
                .chain(&terms)
                .map(|term| term.double_value(&[]))
                .collect();
            let gradients = Tensor::run_backward(&[loss * n as f64], &[of_logits, of_values], false, false);

            let found = rollout_loss(&mut logits, &mut values, &batch, (0.03, 0.5));
            let near = |found: f64, expected: f64| {
                let bound = 1e-5 * (1.0 + f64::from(scale) * f64::from(scale));
                assert!(
                    (found - expected).abs() < bound,
                    "case {case}: {found} instead of {expected}"
                );
            };
            found
                .into_iter()
                .zip(expected)
                .for_each(|(found, expected)| near(found, expected));
            for (found, expected) in [logits, values].into_iter().zip(gradients) {
                let expected = Vec::<f64>::try_from(expected.to_device(Device::Cpu).flatten(0, -1)).unwrap();
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.into_iter().zip(expected) {
                    near(f64::from(found), expected);
                }
            }
        }
    }
}
