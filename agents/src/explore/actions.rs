//! Choosing actions from probabilities and values.

use coinop_envs::rng::Rng;
use rand::RngExt;

/// Draws an action from the mixture of a policy's distribution and the uniform one.
///
/// ```
/// use coinop_agents::explore::sample_action;
/// use coinop_envs::rng::stream;
///
/// let mut rng = stream(1, "action", 0);
/// let drawn: Vec<u32> = (0..1000).map(|_| sample_action(&[0.9, 0.1], 0.0, &mut rng)).collect();
/// assert!((50..150).contains(&drawn.iter().sum::<u32>()));
/// ```
#[must_use]
pub fn sample_action(probabilities: &[f32], epsilon: f32, rng: &mut Rng) -> u32 {
    let actions = probabilities.len();
    if rng.random::<f32>() < epsilon {
        return rng.random_range(0..actions as u32);
    }
    let mut left = rng.random::<f32>() * probabilities.iter().sum::<f32>();
    let chosen = probabilities.iter().position(|probability| {
        left -= probability;
        left < 0.0
    });
    // Rounding can leave a little at the end; it falls to the most probable action.
    chosen.unwrap_or_else(|| greedy_action(probabilities) as usize) as u32
}

/// Returns the greedy action or, with probability `epsilon`, a uniformly random one.
///
/// ```
/// use coinop_agents::explore::epsilon_greedy;
/// use coinop_envs::rng::stream;
///
/// assert_eq!(epsilon_greedy(&[0.1, 2.0, 1.0], 0.0, &mut stream(1, "action", 0)), 1);
/// ```
#[must_use]
pub fn epsilon_greedy(values: &[f32], epsilon: f32, rng: &mut Rng) -> u32 {
    if rng.random::<f32>() < epsilon {
        rng.random_range(0..values.len() as u32)
    } else {
        greedy_action(values)
    }
}

/// Returns the action with the largest value; the first one on ties.
///
/// ```
/// use coinop_agents::explore::greedy_action;
///
/// assert_eq!(greedy_action(&[0.1, 2.0, 2.0]), 1);
/// ```
#[must_use]
pub fn greedy_action(values: &[f32]) -> u32 {
    let mut best = 0;
    for (action, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = action;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use coinop_envs::rng::stream;

    use super::*;

    fn frequencies(probabilities: &[f32], epsilon: f32) -> Vec<f64> {
        let mut rng = stream(1, "test", 0);
        let mut counts = vec![0.0; probabilities.len()];
        for _ in 0..100_000 {
            counts[sample_action(probabilities, epsilon, &mut rng) as usize] += 1e-5;
        }
        counts
    }

    #[test]
    fn actions_come_from_the_mixture() {
        // (1 - .4)·p + .4/4; the standard error of a frequency is at most .0016.
        for (frequency, expected) in frequencies(&[0.5, 0.25, 0.25, 0.0], 0.4)
            .iter()
            .zip([0.4, 0.25, 0.25, 0.1])
        {
            assert!(
                (frequency - expected).abs() < 0.008,
                "{frequency} instead of {expected}"
            );
        }
        assert_eq!(frequencies(&[0.0, 1.0, 0.0], 0.0)[1].round(), 1.0);
    }
}
