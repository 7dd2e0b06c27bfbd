//! Statistics over few runs, as Agarwal et al. (2021, arXiv 2108.13264) recommend them.

use coinop_envs::rng::{Rng, stream};
use rand::RngExt;

/// Resamples behind an interval.
const RESAMPLES: usize = 10_000;

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The median: the mean of the middle two of an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// The interquartile mean: the mean of what remains without the lowest and the highest quarter (rounded down), SciPy's
/// `trim_mean(values, 0.25)`.
pub(crate) fn interquartile_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// The 95 % percentile bootstrap interval of a statistic of groups: each resample draws as many values from each group, with
/// replacement, as the group has. One group gives the interval of a mean over seeds; a group per game the stratified one of
/// an aggregate. `None` if no group has more than one value, because then every resample is the same.
pub(crate) fn interval(groups: &[Vec<f64>], statistic: impl Fn(&[Vec<f64>]) -> f64) -> Option<(f64, f64)> {
    if groups.iter().all(|group| group.len() < 2) {
        return None;
    }
    let mut rng: Rng = stream(0, "bootstrap", 0);
    let mut resample = groups.to_vec();
    let mut statistics: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            for (drawn, group) in resample.iter_mut().zip(groups) {
                drawn.fill_with(|| group[rng.random_range(0..group.len())]);
            }
            statistic(&resample)
        })
        .collect();
    statistics.sort_by(f64::total_cmp);
    let at = |share: f64| statistics[(share * (RESAMPLES - 1) as f64).round() as usize];
    Some((at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_numpy_and_scipy() {
        // numpy.median, scipy.stats.trim_mean(·, 0.25).
        let values = [5.0, 1.0, 2.0, 100.0, 3.0, 4.0];
        assert_eq!((median(&values), median(&values[..5])), (3.5, 3.0));
        assert_eq!(interquartile_mean(&values), 3.5);
        assert_eq!(interquartile_mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(interquartile_mean(&[0.0, 1.0, 2.0, 100.0]), 1.5);
    }

    #[test]
    fn an_interval_holds_the_mean_and_shrinks_with_the_number_of_values() {
        let of = |values: &[f64]| interval(&[values.to_vec()], |groups| mean(&groups[0]));
        assert_eq!((of(&[]), of(&[3.0]), of(&[3.0, 3.0])), (None, None, Some((3.0, 3.0))));
        // Of two values, the mean of a resample is the lower one, the mean or the upper one with 1/4, 1/2, 1/4.
        assert_eq!(of(&[1.0, 3.0]), Some((1.0, 3.0)));
        let many: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let (low, high) = of(&many).unwrap();
        // The standard error of 100 values with variance 8.25 is 0.287; 1.96 of it is 0.563.
        assert!(
            (low - (4.5 - 0.563)).abs() < 0.05 && (high - (4.5 + 0.563)).abs() < 0.05,
            "{low} {high}"
        );
    }

    #[test]
    fn an_aggregate_draws_from_each_game_on_its_own() {
        let games = [vec![0.0, 0.0], vec![10.0, 10.0]];
        let all = |groups: &[Vec<f64>]| mean(&groups.concat());
        assert_eq!(interval(&games, all), Some((5.0, 5.0)));
    }
}
