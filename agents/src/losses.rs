//! Pieces of losses, from logits.

use tch::{Kind, TchError, Tensor};

/// The entropy `[n]` of distributions given by the logarithms of their probabilities `[n, actions]`, in nats.
///
/// From the logarithm of the softmax: the logarithm of a softmax that has become 0 would be infinite.
///
/// # Errors
///
/// When libtorch fails, for example for want of memory.
pub fn entropy(log_probabilities: &Tensor) -> Result<Tensor, TchError> {
    log_probabilities
        .f_exp()?
        .f_mul(log_probabilities)?
        .f_sum_dim_intlist(1i64, false, Kind::Float)?
        .f_neg()
}

/// The log-probability `[n]` of actions `[n]` under the mixture `(1 - epsilon) policy + epsilon uniform` that acted.
///
/// # Errors
///
/// When libtorch fails, for example for want of memory.
pub fn mixture_log_probability(
    log_probabilities: &Tensor,
    actions: &Tensor,
    epsilons: &Tensor,
) -> Result<Tensor, TchError> {
    let num_actions = log_probabilities.size()[1] as f64;
    let chosen = log_probabilities
        .f_gather(1, &actions.f_unsqueeze(1)?, false)?
        .f_squeeze_dim(1)?;
    let from_policy = chosen.f_add(&epsilons.f_neg()?.f_log1p()?)?;
    let from_uniform = epsilons.f_div_scalar(num_actions)?.f_log()?;
    from_policy.f_logaddexp(&from_uniform)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(actual: &Tensor, expected: &[f64]) {
        for (i, expected) in expected.iter().enumerate() {
            let actual = actual.double_value(&[i as i64]);
            assert!(
                (actual - expected).abs() < 1e-5,
                "{actual} instead of {expected} at {i}"
            );
        }
    }

    #[test]
    fn entropy_is_ln_n_for_equal_logits_and_0_with_a_gradient_of_0_for_certain_ones() {
        let logits = Tensor::from_slice2(&[[3.0f32, 3.0, 3.0, 3.0], [0.0, 1000.0, 0.0, 0.0]]).set_requires_grad(true);
        let entropy = entropy(&logits.log_softmax(1, Kind::Float)).unwrap();
        assert_near(&entropy, &[4f64.ln(), 0.0]);
        entropy.sum(Kind::Float).backward();
        assert_eq!(logits.grad().abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn the_mixture_of_certainty_and_chance() {
        // p = 1/4 each: (1 - e)/4 + e/4 = 1/4 whatever e; p = 0 (almost): e/2.
        let log_probabilities = Tensor::from_slice2(&[[0.5f32.ln(), 0.5f32.ln()], [0.0, -100.0], [0.0, -100.0]]);
        let actions = Tensor::from_slice(&[0i64, 1, 0]);
        let result =
            mixture_log_probability(&log_probabilities, &actions, &Tensor::from_slice(&[0.3f32, 0.2, 0.0])).unwrap();
        assert_near(&result, &[0.5f64.ln(), 0.1f64.ln(), 0.0]);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        for epsilon in [0.0f32, 0.1, 1.0] {
            let value = |logits: &Tensor| {
                let log_probabilities = logits.log_softmax(1, Kind::Float);
                mixture_log_probability(
                    &log_probabilities,
                    &Tensor::from_slice(&[2i64]),
                    &Tensor::from_slice(&[epsilon]),
                )
                .unwrap()
                .sum(Kind::Float)
            };
            let base = [0.3f32, -0.2, 0.1];
            let logits = Tensor::from_slice(&base).reshape([1, 3]).set_requires_grad(true);
            value(&logits).backward();
            for i in 0..3 {
                let at = |delta: f32| {
                    let mut moved = base;
                    moved[i] += delta;
                    value(&Tensor::from_slice(&moved).reshape([1, 3])).double_value(&[])
                };
                let expected = (at(0.01) - at(-0.01)) / 0.02;
                let actual = logits.grad().double_value(&[0, i as i64]);
                assert!(
                    (actual - expected).abs() < 1e-3,
                    "{actual} instead of {expected} for epsilon {epsilon}"
                );
            }
        }
    }
}
