//! Returns and advantages of a rollout.

use coinop_envs::End;

/// The data of a complete rollout. All slices are `[steps, envs]`, step by step, except `values`, which has one more
/// step.
///
/// ```
/// use coinop_agents::returns::{Rewards, advantages};
/// use coinop_envs::End;
///
/// // Two steps of one environment. The second ends the episode, so that nothing follows.
/// let rollout = Rewards {
///     num_envs: 1,
///     rewards: &[1.0, 2.0],
///     discounts: &[1.0, 0.0],
///     ends: &[End::No, End::Terminated],
///     final_values: &[0.0, 0.0],
///     values: &[0.5, 0.5, 9.0],
/// };
/// let mut gains = [0.0; 2];
/// advantages(&rollout, 0.5, 1.0, &mut gains);
/// assert_eq!(gains, [1.0 + 0.5 * 2.0 - 0.5, 2.0 - 0.5]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rewards<'a> {
    /// The number of environments.
    pub num_envs: usize,
    /// Rewards.
    pub rewards: &'a [f32],
    /// 0 where the return ends, else 1.
    pub discounts: &'a [f32],
    /// Whether the step ended the episode.
    pub ends: &'a [End],
    /// The value of the final observation of truncated episodes; ignored elsewhere.
    pub final_values: &'a [f32],
    /// The values of the observations before each step, and of those after the last step.
    pub values: &'a [f32],
}

impl Rewards<'_> {
    /// Panics unless all slices have `len` steps.
    fn assert_steps(&self, len: usize) {
        let lens = [
            self.rewards.len(),
            self.discounts.len(),
            self.ends.len(),
            self.final_values.len(),
        ];
        assert_eq!(lens, [len; 4], "steps of a rollout");
        let n = self.num_envs;
        let values = self.values.len();
        assert_eq!(
            values,
            len + n,
            "values of a rollout of {len} steps of {n} environments"
        );
    }
}

/// Writes the advantages of a rollout by generalised advantage estimation (Schulman 2016, arXiv 1506.02438, equation
/// 16):
///
/// ```text
/// delta_t = r_t + gamma d_t V(s_t+1) - V(s_t)
/// A_t     = delta_t + gamma d_t lambda A_t+1
/// ```
///
/// where nothing crosses the end of an episode: after its last step, V is the value of its final observation (which
/// counts only if it was truncated, because `d_t` is 1 then), and A is 0. With `lambda` 1, `A_t + V(s_t)` is the
/// n-step return of A3C and PAAC.
///
/// ```
/// use coinop_agents::returns::{Rewards, advantages};
/// use coinop_envs::End;
///
/// // Two steps of one environment, where the second one ends the episode.
/// let rollout = Rewards {
///     num_envs: 1,
///     rewards: &[0.0, 1.0],
///     discounts: &[1.0, 0.0],
///     ends: &[End::No, End::Terminated],
///     final_values: &[0.0, 0.0],
///     values: &[0.2, 0.5, 9.0],
/// };
/// let mut out = [0.0; 2];
/// advantages(&rollout, 0.5, 1.0, &mut out);
/// // 0 + 0.5 · 1 - 0.2, and 1 - 0.5.
/// assert_eq!(out, [0.3, 0.5]);
/// ```
///
/// # Panics
///
/// If a slice does not have the length of `advantages`.
pub fn advantages(rollout: &Rewards<'_>, gamma: f32, lambda: f32, advantages: &mut [f32]) {
    let (n, len) = (rollout.num_envs, advantages.len());
    rollout.assert_steps(len);
    for i in (0..len).rev() {
        let discount = gamma * rollout.discounts[i];
        let (next_value, next_advantage) = match rollout.ends[i] {
            End::No if i + n < len => (rollout.values[i + n], advantages[i + n]),
            End::No => (rollout.values[i + n], 0.0),
            End::Terminated => (0.0, 0.0),
            End::Truncated => (rollout.final_values[i], 0.0),
        };
        let delta = rollout.rewards[i] + discount * next_value - rollout.values[i];
        advantages[i] = delta + discount * lambda * next_advantage;
    }
}

/// The settings of [`v_trace`].
#[derive(Clone, Copy, Debug)]
pub struct VTrace {
    /// Discount per agent step.
    pub gamma: f32,
    /// A factor of the trace; 1 in the paper's experiments.
    pub lambda: f32,
    /// The most that a ratio counts in an error, rho-bar: what the values converge to depends on it.
    pub rho_clip: f32,
    /// The most that a ratio counts in the trace, c-bar: how fast they converge depends on it.
    pub c_clip: f32,
}

/// Writes the targets of the values and the advantages of a rollout that another policy played, mu, for the policy pi
/// that learns, by V-trace (Espeholt et al. 2018, arXiv 1802.01561, equation 1 and remark 1, and the policy gradient of
/// section 4.2):
///
/// ```text
/// rho_t = min(rho-bar, pi(a_t|s_t) / mu(a_t|s_t)),    c_t = lambda min(c-bar, pi(a_t|s_t) / mu(a_t|s_t))
/// v_t   = V(s_t) + rho_t (r_t + gamma d_t V(s_t+1) - V(s_t)) + gamma d_t c_t (v_t+1 - V(s_t+1))
/// A_t   = rho_t (r_t + gamma d_t v_t+1 - V(s_t))
/// ```
///
/// where `ratios` are pi / mu before they are clipped, and nothing crosses the end of an episode: after its last step,
/// both V and v are the value of its final observation, which counts only if it was truncated, because `d_t` is 1 then.
/// After the last step of the rollout, v is V. If the policies are equal and nothing is clipped below 1, `v_t` is the
/// n-step return.
///
/// ```
/// use coinop_agents::returns::{Rewards, VTrace, v_trace};
/// use coinop_envs::End;
///
/// let rollout = Rewards {
///     num_envs: 1,
///     rewards: &[0.0, 1.0],
///     discounts: &[1.0, 1.0],
///     ends: &[End::No, End::No],
///     final_values: &[0.0, 0.0],
///     values: &[1.0, 2.0, 4.0],
/// };
/// let settings = VTrace { gamma: 0.5, lambda: 1.0, rho_clip: 1.0, c_clip: 1.0 };
/// let (mut targets, mut gains) = ([0.0; 2], [0.0; 2]);
/// // The first action is half as probable as it was, the second three times.
/// v_trace(&rollout, &[0.5, 3.0], settings, &mut targets, &mut gains);
/// // 2 + (1 + 0.5 · 4 - 2), and 1 + 0.5 (0 + 0.5 · 2 - 1) + 0.5 · 0.5 (3 - 2).
/// assert_eq!(targets, [1.25, 3.0]);
/// // 1 + 0.5 · 4 - 2, and 0.5 (0 + 0.5 · 3 - 1).
/// assert_eq!(gains, [0.25, 1.0]);
/// ```
///
/// # Panics
///
/// If a slice does not have the length of `targets`.
pub fn v_trace(rollout: &Rewards<'_>, ratios: &[f32], by: VTrace, targets: &mut [f32], advantages: &mut [f32]) {
    let (n, len) = (rollout.num_envs, targets.len());
    rollout.assert_steps(len);
    assert_eq!((ratios.len(), advantages.len()), (len, len), "steps of a rollout");
    for i in (0..len).rev() {
        let discount = by.gamma * rollout.discounts[i];
        let (next_value, next_target) = match rollout.ends[i] {
            End::No if i + n < len => (rollout.values[i + n], targets[i + n]),
            End::No => (rollout.values[i + n], rollout.values[i + n]),
            End::Terminated => (0.0, 0.0),
            End::Truncated => (rollout.final_values[i], rollout.final_values[i]),
        };
        let (reward, value) = (rollout.rewards[i], rollout.values[i]);
        let (rho, c) = (ratios[i].min(by.rho_clip), by.lambda * ratios[i].min(by.c_clip));
        let error = rho * (reward + discount * next_value - value);
        targets[i] = value + error + discount * c * (next_target - next_value);
        advantages[i] = rho * (reward + discount * next_target - value);
    }
}

/// Writes the Q(lambda) returns of a rollout (Peng and Williams 1996; Gallici et al. 2024, arXiv 2407.04811):
///
/// ```text
/// R_t = r_t + gamma d_t ((1 - lambda) V(s_t+1) + lambda R_t+1),    V(s) = max_a Q(s, a)
/// ```
///
/// where `values` of the rollout are V. After the last step of the rollout, R is V of the next observation; after that of
/// an episode, it is V of the final observation, which counts only if the episode was truncated. The return goes on
/// beyond exploratory actions, which is Peng's form. With `lambda` 0, it is the target of one-step Q-learning.
///
/// ```
/// use coinop_agents::returns::{Rewards, lambda_returns};
/// use coinop_envs::End;
///
/// let rollout = Rewards {
///     num_envs: 1,
///     rewards: &[1.0, 0.0],
///     discounts: &[1.0, 1.0],
///     ends: &[End::No, End::No],
///     final_values: &[0.0, 0.0],
///     values: &[9.0, 4.0, 2.0],
/// };
/// let mut returns = [0.0; 2];
/// lambda_returns(&rollout, 0.5, 0.5, &mut returns);
/// // 0 + 0.5 · 2, and 1 + 0.5 (0.5 · 4 + 0.5 · 1).
/// assert_eq!(returns, [2.25, 1.0]);
/// ```
///
/// # Panics
///
/// If a slice does not have the length of `returns`.
pub fn lambda_returns(rollout: &Rewards<'_>, gamma: f32, lambda: f32, returns: &mut [f32]) {
    let (n, len) = (rollout.num_envs, returns.len());
    rollout.assert_steps(len);
    for i in (0..len).rev() {
        let following = match rollout.ends[i] {
            End::No if i + n < len => (1.0 - lambda) * rollout.values[i + n] + lambda * returns[i + n],
            End::No => rollout.values[i + n],
            End::Terminated => 0.0,
            End::Truncated => rollout.final_values[i],
        };
        returns[i] = rollout.rewards[i] + gamma * rollout.discounts[i] * following;
    }
}

/// The fraction of the returns' variance that the values explain: 1 for perfect values, 0 for a constant, below 0 for
/// worse. Not finite if all returns are equal.
///
/// ```
/// use coinop_agents::returns::explained_variance;
///
/// assert_eq!(explained_variance(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 1.0);
/// assert_eq!(explained_variance(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0]), 0.0);
/// ```
///
/// # Panics
///
/// If the slices differ in length.
#[must_use]
pub fn explained_variance(values: &[f32], returns: &[f32]) -> f64 {
    assert_eq!(values.len(), returns.len(), "values and returns");
    let errors = values.iter().zip(returns).map(|(value, of)| f64::from(of - value));
    1.0 - variance(errors) / variance(returns.iter().copied().map(f64::from))
}

/// The mean, in double precision.
pub(crate) fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().copied().map(f64::from).sum::<f64>() / numbers.len() as f64
}

fn variance(numbers: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let n = numbers.len() as f64;
    let mean = numbers.clone().sum::<f64>() / n;
    numbers.map(|number| (number - mean).powi(2)).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOES_ON: [End; 2] = [End::No; 2];
    const VALUES: [f32; 3] = [10.0, 20.0, 8.0];

    /// Two steps of one environment that pay 1 and 4, with a discount of one half.
    fn of(discounts: [f32; 2], ends: [End; 2], final_values: [f32; 2], lambda: f32) -> [f32; 2] {
        let rollout = Rewards {
            num_envs: 1,
            rewards: &[1.0, 4.0],
            discounts: &discounts,
            ends: &ends,
            final_values: &final_values,
            values: &VALUES,
        };
        let mut out = [0.0; 2];
        advantages(&rollout, 0.5, lambda, &mut out);
        out
    }

    #[test]
    fn with_lambda_1_the_advantage_is_the_n_step_return_minus_the_value() {
        // R_1 = 4 + .5·8 = 8, R_0 = 1 + .5·8 = 5.
        assert_eq!(of([1.0, 1.0], GOES_ON, [f32::NAN; 2], 1.0), [-5.0, -12.0]);
    }

    #[test]
    fn with_lambda_0_it_is_the_error_of_one_step() {
        // 1 + .5·20 - 10, 4 + .5·8 - 20.
        assert_eq!(of([1.0, 1.0], GOES_ON, [f32::NAN; 2], 0.0), [1.0, -12.0]);
    }

    #[test]
    fn nothing_follows_a_terminal_step_and_a_truncated_one_continues_with_the_final_value() {
        let terminated = of([0.0, 1.0], [End::Terminated, End::No], [f32::NAN; 2], 1.0);
        assert_eq!(terminated, [-9.0, -12.0]);
        // 1 + .5·6 - 10.
        let truncated = of([1.0, 1.0], [End::Truncated, End::No], [6.0, f32::NAN], 1.0);
        assert_eq!(truncated, [-6.0, -12.0]);
    }

    #[test]
    fn a_lost_life_stops_the_return_within_an_episode() {
        assert_eq!(of([0.0, 1.0], GOES_ON, [f32::NAN; 2], 1.0), [-9.0, -12.0]);
    }

    #[test]
    fn a_truncation_in_the_step_that_lost_a_life_does_not_go_on() {
        let both = of([0.0, 1.0], [End::Truncated, End::No], [6.0, f32::NAN], 1.0);
        assert_eq!(both, [-9.0, -12.0]);
    }

    #[test]
    fn q_lambda_returns_mix_the_next_return_with_the_best_next_value() {
        let returns = |discounts: [f32; 2], ends: [End; 2], lambda| {
            let rollout = Rewards {
                num_envs: 1,
                rewards: &[1.0, 4.0],
                discounts: &discounts,
                ends: &ends,
                final_values: &[6.0, f32::NAN],
                values: &VALUES,
            };
            let mut out = [0.0; 2];
            lambda_returns(&rollout, 0.5, lambda, &mut out);
            out
        };
        // R_1 = 4 + .5·8 = 8; R_0 = 1 + .5·20, 1 + .5·8, or the mean of both.
        assert_eq!(returns([1.0, 1.0], GOES_ON, 0.0), [11.0, 8.0]);
        assert_eq!(returns([1.0, 1.0], GOES_ON, 1.0), [5.0, 8.0]);
        assert_eq!(returns([1.0, 1.0], GOES_ON, 0.5), [8.0, 8.0]);
        // A lost life, the end of an episode, and one that was truncated: 1 + .5·6.
        assert_eq!(returns([0.0, 1.0], GOES_ON, 0.5), [1.0, 8.0]);
        assert_eq!(returns([0.0, 1.0], [End::Terminated, End::No], 0.5), [1.0, 8.0]);
        assert_eq!(returns([1.0, 1.0], [End::Truncated, End::No], 0.5), [4.0, 8.0]);
    }

    #[test]
    fn v_trace_weighs_errors_by_clipped_ratios_and_stops_where_the_episode_does() {
        let v_trace = |discounts: [f32; 2], ends: [End; 2], ratios: [f32; 2]| {
            let rollout = Rewards {
                num_envs: 1,
                rewards: &[1.0, 4.0],
                discounts: &discounts,
                ends: &ends,
                final_values: &[6.0, f32::NAN],
                values: &VALUES,
            };
            let by = VTrace {
                gamma: 0.5,
                lambda: 0.5,
                rho_clip: 2.0,
                c_clip: 1.0,
            };
            let (mut targets, mut advantages) = ([0.0; 2], [0.0; 2]);
            super::v_trace(&rollout, &ratios, by, &mut targets, &mut advantages);
            (targets, advantages)
        };
        // Errors 4 + .5·8 - 20 = -12 and 1 + .5·20 - 10 = 1. v_1 = 20 - .25·12 = 17;
        // v_0 = 10 + 2·1 + .5·.5·1 (17 - 20) = 11.25; A_0 = 2 (1 + .5·17 - 10).
        assert_eq!(v_trace([1.0, 1.0], GOES_ON, [3.0, 0.25]), ([11.25, 17.0], [-1.0, -3.0]));
        // A lost life: 10 + 1 - 10; an end: the same; a truncation: 10 + (1 + .5·6 - 10).
        assert_eq!(v_trace([0.0, 1.0], GOES_ON, [1.0; 2]).0, [1.0, 8.0]);
        assert_eq!(v_trace([0.0, 1.0], [End::Terminated, End::No], [1.0; 2]).0, [1.0, 8.0]);
        let truncated = v_trace([1.0, 1.0], [End::Truncated, End::No], [1.0; 2]);
        assert_eq!(truncated, ([4.0, 8.0], [-6.0, -12.0]));
    }

    #[test]
    fn values_explain_all_none_or_less_than_none_of_the_variance() {
        let returns = [1.0, 2.0, 3.0];
        assert_eq!(explained_variance(&returns, &returns), 1.0);
        assert_eq!(explained_variance(&[5.0; 3], &returns), 0.0);
        // Errors -2, 0, 2: four times the variance of the returns.
        assert_eq!(explained_variance(&[3.0, 2.0, 1.0], &returns), -3.0);
        assert!(explained_variance(&[1.0, 2.0], &[4.0, 4.0]).is_infinite());
    }

    proptest! {
        #[test]
        fn it_is_the_discounted_sum_of_errors_up_to_the_end_of_the_episode(
            steps in prop::collection::vec((-1.0f32..1.0, 0u8..4, -2.0f32..2.0, -2.0f32..2.0), 1..30),
            n in 1usize..4, lambda in 0.0f32..1.0,
        ) {
            let len = steps.len() / n * n;
            prop_assume!(len > 0);
            let rewards: Vec<f32> = steps[..len].iter().map(|s| s.0).collect();
            let discounts: Vec<f32> = steps[..len].iter().map(|s| if s.1 == 0 { 0.0 } else { 1.0 }).collect();
            let ends: Vec<End> = steps[..len].iter().map(|s| [End::Terminated, End::Truncated, End::No, End::No][usize::from(s.1)]).collect();
            let final_values: Vec<f32> = steps[..len].iter().map(|s| s.2).collect();
            let values: Vec<f32> = (0..len + n).map(|i| steps[i % steps.len()].3).collect();
            let mut out = vec![0.0; len];
            advantages(&Rewards { num_envs: n, rewards: &rewards, discounts: &discounts, ends: &ends, final_values: &final_values, values: &values }, 0.9, lambda, &mut out);
            for (i, out) in out.iter().enumerate() {
                let (mut sum, mut weight, mut j) = (0.0, 1.0, i);
                loop {
                    let next = if ends[j].is_over() { final_values[j] } else { values[j + n] };
                    sum += weight * (rewards[j] + 0.9 * discounts[j] * next - values[j]);
                    weight *= 0.9 * discounts[j] * lambda;
                    if ends[j].is_over() || j + n >= len { break; }
                    j += n;
                }
                prop_assert!((out - sum).abs() < 1e-4, "{out} instead of {sum}");
            }
            // With V = max Q, the Q(lambda) return is the advantage and the value.
            let mut returns = vec![0.0; len];
            lambda_returns(&Rewards { num_envs: n, rewards: &rewards, discounts: &discounts, ends: &ends, final_values: &final_values, values: &values }, 0.9, lambda, &mut returns);
            for (i, found) in returns.iter().enumerate() {
                prop_assert!((found - out[i] - values[i]).abs() < 1e-4, "{found} instead of {} + {}", out[i], values[i]);
            }
        }

        /// The definition: the mean of all n-step returns, weighted by `(1 - lambda) lambda^(n-1)`, and the longest one by what is left.
        #[test]
        fn q_lambda_returns_are_the_weighted_mean_of_all_n_step_returns(
            steps in prop::collection::vec((-1.0f32..1.0, 0u8..5, -2.0f32..2.0, -2.0f32..2.0), 1..12), lambda in 0.0f32..1.0,
        ) {
            let len = steps.len();
            let rewards: Vec<f32> = steps.iter().map(|s| s.0).collect();
            let ends: Vec<End> = steps.iter().map(|s| [End::Terminated, End::Truncated, End::No, End::No, End::No][usize::from(s.1)]).collect();
            let discounts: Vec<f32> = ends.iter().map(|end| if *end == End::Terminated { 0.0 } else { 1.0 }).collect();
            let final_values: Vec<f32> = steps.iter().map(|s| s.2).collect();
            let values: Vec<f32> = (0..=len).map(|i| steps[i % len].3).collect();
            let rollout = Rewards { num_envs: 1, rewards: &rewards, discounts: &discounts, ends: &ends, final_values: &final_values, values: &values };
            let mut out = vec![0.0; len];
            lambda_returns(&rollout, 0.9, lambda, &mut out);
            for (t, out) in out.iter().enumerate() {
                let (mut mean, mut left, mut sum, mut discount) = (0.0, 1.0, 0.0, 1.0);
                for k in t..len {
                    sum += discount * rewards[k];
                    discount *= 0.9;
                    let bootstrap = if ends[k].is_over() { final_values[k] } else { values[k + 1] };
                    let n_step = sum + discount * discounts[k] * bootstrap;
                    if ends[k].is_over() || k + 1 == len {
                        mean += left * n_step;
                        break;
                    }
                    mean += left * (1.0 - lambda) * n_step;
                    left *= lambda;
                }
                prop_assert!((out - mean).abs() < 1e-4, "{out} instead of {mean}");
            }
        }

        /// Equation 1 of the paper, which is a sum over the rest of the rollout. Where the policies are equal, the target is the n-step return.
        #[test]
        fn v_trace_is_the_sum_of_the_paper(
            steps in prop::collection::vec((-1.0f32..1.0, 0u8..6, -2.0f32..2.0, 0.0f32..4.0), 1..20),
            rho_clip in 0.5f32..3.0, c_clip in 0.5f32..3.0, lambda in 0.0f32..1.0,
        ) {
            let len = steps.len();
            let rewards: Vec<f32> = steps.iter().map(|s| s.0).collect();
            let ends: Vec<End> = steps.iter().map(|s| [End::Terminated, End::Truncated, End::No].get(usize::from(s.1)).copied().unwrap_or(End::No)).collect();
            let discounts: Vec<f32> = ends.iter().map(|end| if *end == End::Terminated { 0.0 } else { 1.0 }).collect();
            let final_values: Vec<f32> = steps.iter().map(|s| s.2).collect();
            let values: Vec<f32> = (0..=len).map(|i| steps[i % len].2).collect();
            let ratios: Vec<f32> = steps.iter().map(|s| s.3).collect();
            let rollout = Rewards { num_envs: 1, rewards: &rewards, discounts: &discounts, ends: &ends, final_values: &final_values, values: &values };
            let by = VTrace { gamma: 0.9, lambda, rho_clip, c_clip };
            let (mut targets, mut gains) = (vec![0.0; len], vec![0.0; len]);
            v_trace(&rollout, &ratios, by, &mut targets, &mut gains);
            let next = |t: usize| if ends[t].is_over() { final_values[t] } else { values[t + 1] };
            let naive = |s: usize| {
                let (mut sum, mut product) = (values[s], 1.0);
                for t in s..len {
                    let error = rewards[t] + 0.9 * discounts[t] * next(t) - values[t];
                    sum += product * ratios[t].min(rho_clip) * error;
                    product *= 0.9 * discounts[t] * lambda * ratios[t].min(c_clip);
                    if ends[t].is_over() { break; }
                }
                sum
            };
            for t in 0..len {
                prop_assert!((targets[t] - naive(t)).abs() < 1e-3, "{} instead of {}", targets[t], naive(t));
                let following = if ends[t].is_over() { final_values[t] } else if t + 1 < len { naive(t + 1) } else { values[t + 1] };
                let gain = ratios[t].min(rho_clip) * (rewards[t] + 0.9 * discounts[t] * following - values[t]);
                prop_assert!((gains[t] - gain).abs() < 1e-3, "{} instead of {gain}", gains[t]);
            }
            let by = VTrace { gamma: 0.9, lambda: 1.0, rho_clip: 1.0, c_clip: 1.0 };
            v_trace(&rollout, &vec![1.0; len], by, &mut targets, &mut gains);
            let mut n_step = vec![0.0; len];
            advantages(&rollout, 0.9, 1.0, &mut n_step);
            for t in 0..len {
                prop_assert!((targets[t] - n_step[t] - values[t]).abs() < 1e-4);
                prop_assert!((gains[t] - n_step[t]).abs() < 1e-4);
            }
        }
    }
}
