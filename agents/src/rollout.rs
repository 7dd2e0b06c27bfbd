//! Rollouts: consecutive steps of several environments, written in place.
//!
//! ```text
//! obs            [steps + 1, envs, obs_shape]   row t + 1 is where the environments write while step t is done;
//!                                               the last row is the first of the next rollout
//! actions …      [steps, envs]
//! values         [steps + 1, envs]
//! ```

use std::convert::Infallible;

use coinop_envs::{End, Step};

use crate::returns::Rewards;
use crate::{CheckpointError, Section};

/// The storage of an on-policy learner. All slices are allocated once.
///
/// ```
/// use coinop_agents::rollout::Rollout;
/// use coinop_envs::Step;
///
/// let (steps, envs, obs_len) = (2, 1, 3);
/// let mut rollout = Rollout::<f32>::new(steps, envs, obs_len);
/// rollout.obs_mut(0).fill(0.5);
/// for t in 0..steps {
///     rollout.actions[t] = 1;
///     rollout.remember(t, 0, &Step::going_on(1.0));
/// }
/// rollout.finish(0.5, 1.0);
/// assert_eq!(rollout.returns(), [1.5, 1.0]);
/// ```
#[derive(Debug)]
pub struct Rollout<O> {
    steps: usize,
    /// The allocated number of steps.
    most_steps: usize,
    num_envs: usize,
    obs_len: usize,
    obs: Vec<O>,
    /// Whether each observation starts an episode, `[steps + 1, envs]`.
    pub is_first: Vec<bool>,
    /// Actions, `[steps, envs]`.
    pub actions: Vec<i64>,
    /// The epsilon of each action, `[steps, envs]`.
    pub epsilons: Vec<f32>,
    /// The log-probability of each action, epsilon included, `[steps, envs]`.
    pub log_probabilities: Vec<f32>,
    /// Rewards, `[steps, envs]`.
    pub rewards: Vec<f32>,
    /// 0 where the return ends, else 1, `[steps, envs]`.
    pub discounts: Vec<f32>,
    /// Whether, and why, each step ended the episode, `[steps, envs]`.
    pub ends: Vec<End>,
    /// The values of the final observations of truncated episodes, `[steps, envs]`.
    pub final_values: Vec<f32>,
    /// Values, `[steps + 1, envs]`.
    pub values: Vec<f32>,
    /// Advantages, `[steps, envs]`, once the rollout is complete.
    pub advantages: Vec<f32>,
}

impl<O: Copy + Default> Rollout<O> {
    /// Allocates `steps` steps of `num_envs` environments whose observations have `obs_len` elements.
    #[must_use]
    pub fn new(steps: usize, num_envs: usize, obs_len: usize) -> Self {
        let len = steps * num_envs;
        Self {
            steps,
            most_steps: steps,
            num_envs,
            obs_len,
            obs: vec![O::default(); (steps + 1) * num_envs * obs_len],
            is_first: vec![true; len + num_envs],
            actions: vec![0; len],
            epsilons: vec![0.0; len],
            log_probabilities: vec![0.0; len],
            rewards: vec![0.0; len],
            discounts: vec![0.0; len],
            ends: vec![End::No; len],
            final_values: vec![0.0; len],
            values: vec![0.0; len + num_envs],
            advantages: vec![0.0; len],
        }
    }

    /// The number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The number of environments.
    #[must_use]
    pub fn num_envs(&self) -> usize {
        self.num_envs
    }

    /// The observations of all environments before step `t`, which may be `steps`.
    #[must_use]
    pub fn obs(&self, t: usize) -> &[O] {
        let row = self.num_envs * self.obs_len;
        &self.obs[t * row..(t + 1) * row]
    }

    /// The same, mutable.
    pub fn obs_mut(&mut self, t: usize) -> &mut [O] {
        let row = self.num_envs * self.obs_len;
        &mut self.obs[t * row..(t + 1) * row]
    }

    /// The observations before every step, `[steps, envs]`.
    #[must_use]
    pub fn all_obs(&self) -> &[O] {
        &self.obs[..self.steps * self.num_envs * self.obs_len]
    }

    /// The index range of step `t` in slices of shape `[steps, envs]`.
    #[must_use]
    pub fn step(&self, t: usize) -> std::ops::Range<usize> {
        t * self.num_envs..(t + 1) * self.num_envs
    }

    /// The observations from step `t` on, including those after the last step.
    #[must_use]
    pub fn obs_from(&self, t: usize) -> &[O] {
        &self.obs[t * self.num_envs * self.obs_len..]
    }

    /// Whether the observations of step `t`, which may be `steps`, start episodes.
    #[must_use]
    pub fn is_first(&self, t: usize) -> &[bool] {
        &self.is_first[self.step(t)]
    }

    /// Whether the observations of every step start episodes, `[steps, envs]`.
    #[must_use]
    pub fn all_is_first(&self) -> &[bool] {
        &self.is_first[..self.actions.len()]
    }

    /// Ends the rollout early, after `steps` steps. [`begin`](Self::begin) restores the full length.
    ///
    /// ```
    /// use coinop_agents::rollout::Rollout;
    ///
    /// let mut rollout = Rollout::<f32>::new(5, 1, 3);
    /// rollout.cut(2);
    /// assert_eq!((rollout.steps(), rollout.actions.len(), rollout.all_obs().len()), (2, 2, 6));
    /// rollout.begin();
    /// assert_eq!(rollout.steps(), 5);
    /// ```
    ///
    /// # Panics
    ///
    /// If it has fewer steps.
    pub fn cut(&mut self, steps: usize) {
        assert!(
            steps <= self.steps,
            "a rollout of {} steps can't be cut to {steps}",
            self.steps
        );
        self.resize(steps);
    }

    /// Makes the observations after the last step the first ones of the next rollout.
    pub fn begin(&mut self) {
        let row = self.num_envs * self.obs_len;
        self.obs.copy_within(self.steps * row.., 0);
        self.is_first.copy_within(self.actions.len().., 0);
        self.resize(self.most_steps);
    }

    /// Sets the number of steps, within the allocation.
    fn resize(&mut self, steps: usize) {
        let (n, len) = (self.num_envs, steps * self.num_envs);
        self.steps = steps;
        self.obs.resize((len + n) * self.obs_len, O::default());
        self.is_first.resize(len + n, true);
        self.actions.resize(len, 0);
        self.ends.resize(len, End::No);
        for numbers in [
            &mut self.epsilons,
            &mut self.log_probabilities,
            &mut self.rewards,
            &mut self.discounts,
            &mut self.final_values,
            &mut self.advantages,
        ] {
            numbers.resize(len, 0.0);
        }
        self.values.resize(len + n, 0.0);
    }

    /// The observations after the last step, which the next rollout starts with, and whether they start episodes.
    pub fn following(&mut self) -> (&mut [O], &mut [bool]) {
        let row = self.num_envs * self.obs_len;
        (
            &mut self.obs[self.steps * row..],
            &mut self.is_first[self.actions.len()..],
        )
    }

    /// Makes the observations after the last step of `other` those after the last step of this one, so that
    /// [`begin`](Self::begin) continues from there.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.resize(self.most_steps);
        let (obs, is_first) = self.following();
        obs.copy_from_slice(other.obs(other.steps));
        is_first.copy_from_slice(other.is_first(other.steps));
    }

    /// Copies `other`, which has as many steps, to the environments from `first` on. Advantages are not copied.
    pub(crate) fn place(&mut self, first: usize, other: &Self) {
        let (all, n, len) = (self.num_envs, other.num_envs, self.obs_len);
        for t in 0..=self.steps {
            let (to, from) = (t * all + first, t * n);
            self.obs[to * len..(to + n) * len].copy_from_slice(other.obs(t));
            self.is_first[to..to + n].copy_from_slice(other.is_first(t));
            self.values[to..to + n].copy_from_slice(&other.values[from..from + n]);
            if t == self.steps {
                break;
            }
            self.actions[to..to + n].copy_from_slice(&other.actions[from..from + n]);
            self.ends[to..to + n].copy_from_slice(&other.ends[from..from + n]);
            for (to_all, from_all) in [
                (&mut self.epsilons, &other.epsilons),
                (&mut self.log_probabilities, &other.log_probabilities),
                (&mut self.rewards, &other.rewards),
                (&mut self.discounts, &other.discounts),
                (&mut self.final_values, &other.final_values),
            ] {
                to_all[to..to + n].copy_from_slice(&from_all[from..from + n]);
            }
        }
    }

    /// Stores the result of step `t` of environment `i`.
    pub fn remember(&mut self, t: usize, i: usize, step: &Step) {
        let at = t * self.num_envs + i;
        self.rewards[at] = step.reward;
        self.discounts[at] = step.discount;
        self.ends[at] = step.end;
        self.is_first[at + self.num_envs] = step.end.is_over();
    }

    /// Computes the advantages of a complete rollout.
    pub fn finish(&mut self, gamma: f32, lambda: f32) {
        let mut advantages = std::mem::take(&mut self.advantages);
        crate::returns::advantages(&self.rewards(), gamma, lambda, &mut advantages);
        self.advantages = advantages;
    }

    /// The Q(lambda) returns of a complete rollout whose `values` are the largest action values: see
    /// [`lambda_returns`](crate::returns::lambda_returns).
    #[must_use]
    pub fn lambda_returns(&self, gamma: f32, lambda: f32) -> Vec<f32> {
        let mut returns = vec![0.0; self.actions.len()];
        crate::returns::lambda_returns(&self.rewards(), gamma, lambda, &mut returns);
        returns
    }

    /// What returns are computed from.
    pub(crate) fn rewards(&self) -> Rewards<'_> {
        Rewards {
            num_envs: self.num_envs,
            rewards: &self.rewards,
            discounts: &self.discounts,
            ends: &self.ends,
            final_values: &self.final_values,
            values: &self.values,
        }
    }

    /// The returns of a complete rollout: the targets of the values.
    #[must_use]
    pub fn returns(&self) -> Vec<f32> {
        self.advantages.iter().zip(&self.values).map(|(a, v)| a + v).collect()
    }

    /// Normalises the advantages to mean 0 and standard deviation 1, or less if their deviation is less than `min_std`.
    pub fn normalize_advantages(&mut self, min_std: f64) {
        let Ok(()) = self.normalize_advantages_over(min_std, Ok::<f64, Infallible>);
    }

    /// The same over the rollouts of several ranks: `mean_of` is the mean of a number over all of them.
    pub(crate) fn normalize_advantages_over<E>(
        &mut self,
        min_std: f64,
        mean_of: impl Fn(f64) -> Result<f64, E>,
    ) -> Result<(), E> {
        // In double precision: a rollout of many environments has tens of thousands of samples.
        let wide = || self.advantages.iter().copied().map(f64::from);
        let n = self.advantages.len() as f64;
        let mean = mean_of(wide().sum::<f64>() / n)?;
        let variance = mean_of(wide().map(|advantage| (advantage - mean).powi(2)).sum::<f64>() / n)?;
        let scale = 1.0 / (variance.sqrt() + 1e-8).max(min_std);
        self.advantages
            .iter_mut()
            .for_each(|advantage| *advantage = ((f64::from(*advantage) - mean) * scale) as f32);
        Ok(())
    }
}

/// A complete rollout, for a checkpoint.
impl<O: bytemuck::Pod + Default> Rollout<O> {
    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let is_first: Vec<u8> = self.is_first.iter().map(|is_first| u8::from(*is_first)).collect();
        let ends: Vec<u8> = self.ends.iter().map(|end| *end as u8).collect();
        out.put_numbers("obs", &self.obs)?;
        out.put_numbers("is_first", &is_first)?;
        out.put_numbers("actions", &self.actions)?;
        out.put_numbers("ends", &ends)?;
        for (name, numbers) in NAMES.into_iter().zip(self.numbers()) {
            out.put_numbers(name, numbers)?;
        }
        Ok(())
    }

    /// Restores a rollout of the same lengths, in an environment of `num_actions` actions.
    pub(crate) fn load(&mut self, num_actions: usize, from: &Section) -> Result<(), CheckpointError> {
        let (mut is_first, mut ends) = (vec![0u8; self.is_first.len()], vec![0u8; self.ends.len()]);
        from.load_numbers("obs", &mut self.obs)?;
        from.load_numbers("is_first", &mut is_first)?;
        from.load_numbers("actions", &mut self.actions)?;
        from.load_numbers("ends", &mut ends)?;
        if !self
            .actions
            .iter()
            .all(|action| (0..num_actions as i64).contains(action))
        {
            return Err(CheckpointError::unfit("actions", &"there is no such action"));
        }
        for (is_first, saved) in self.is_first.iter_mut().zip(is_first) {
            *is_first = saved != 0;
        }
        for (end, saved) in self.ends.iter_mut().zip(ends) {
            *end = End::of(saved).ok_or_else(|| CheckpointError::unfit("ends", &"there is no such end"))?;
        }
        for (name, numbers) in NAMES.into_iter().zip(self.numbers_mut()) {
            from.load_numbers(name, numbers)?;
            if !numbers.iter().all(|number| number.is_finite()) {
                return Err(CheckpointError::unfit(name, &"a number is not finite"));
            }
        }
        Ok(())
    }

    /// Those of [`NAMES`].
    fn numbers(&self) -> [&[f32]; NAMES.len()] {
        [
            &self.epsilons,
            &self.log_probabilities,
            &self.rewards,
            &self.discounts,
            &self.final_values,
            &self.values,
        ]
    }

    fn numbers_mut(&mut self) -> [&mut [f32]; NAMES.len()] {
        [
            &mut self.epsilons,
            &mut self.log_probabilities,
            &mut self.rewards,
            &mut self.discounts,
            &mut self.final_values,
            &mut self.values,
        ]
    }
}

/// The names of the numbers in a checkpoint.
const NAMES: [&str; 6] = [
    "epsilons",
    "log_probabilities",
    "rewards",
    "discounts",
    "final_values",
    "values",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_observations_of_a_rollout_are_the_first_of_the_next() {
        let mut rollout = Rollout::<u8>::new(2, 3, 4);
        rollout
            .obs_mut(2)
            .copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(rollout.is_first(0), [true; 3]);
        for (i, end) in [End::No, End::Terminated, End::Truncated].into_iter().enumerate() {
            rollout.remember(
                1,
                i,
                &Step {
                    end,
                    ..Step::going_on(2.0)
                },
            );
        }
        rollout.begin();
        assert_eq!(rollout.obs(0), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(rollout.is_first(0), [false, true, true]);
        assert_eq!(rollout.all_obs().len(), 24);
    }

    /// Three steps of two environments of two numbers; `from` determines everything in a step.
    fn numbered(from: f32) -> Rollout<f32> {
        let mut rollout = Rollout::<f32>::new(3, 2, 2);
        let mut count = from;
        let mut next = || {
            count += 1.0;
            count
        };
        rollout.obs.fill_with(&mut next);
        for i in 0..6 {
            rollout.actions[i] = (next() as i64) % 3;
            rollout.ends[i] = [End::No, End::Terminated, End::Truncated][i % 3];
            rollout.is_first[i] = i % 2 == 0;
        }
        for numbers in rollout.numbers_mut() {
            numbers.fill_with(&mut next);
        }
        rollout
    }

    #[test]
    fn a_placed_rollout_is_found_among_the_environments_of_the_other() {
        let parts = [numbered(0.0), numbered(1_000.0)];
        let mut all = Rollout::<f32>::new(3, 4, 2);
        for (i, part) in parts.iter().enumerate() {
            all.place(2 * i, part);
        }
        for (i, part) in parts.iter().enumerate() {
            for t in 0..3 {
                assert_eq!(all.obs(t)[4 * i..][..4], *part.obs(t));
                assert_eq!(all.is_first(t)[2 * i..][..2], *part.is_first(t));
                let (at, of) = (4 * t + 2 * i, 2 * t);
                assert_eq!(all.actions[at..at + 2], part.actions[of..of + 2]);
                assert_eq!(all.ends[at..at + 2], part.ends[of..of + 2]);
                for (all, part) in all.numbers().into_iter().zip(part.numbers()) {
                    assert_eq!(all[at..at + 2], part[of..of + 2]);
                }
            }
            assert_eq!(all.obs(3)[4 * i..][..4], *part.obs(3));
        }
        let mut next = Rollout::<f32>::new(3, 2, 2);
        next.follow(&parts[0]);
        next.begin();
        assert_eq!((next.obs(0), next.is_first(0)), (parts[0].obs(3), parts[0].is_first(3)));
    }

    #[test]
    fn a_saved_rollout_is_restored_and_an_invalid_one_is_refused() {
        let saved = numbered(0.0);
        let mut section = Section::default();
        saved.save(&mut section).unwrap();
        let mut restored = Rollout::<f32>::new(3, 2, 2);
        restored.load(3, &section).unwrap();
        let mut again = Section::default();
        restored.save(&mut again).unwrap();
        assert!(again.differences(&section, &|_| false).is_empty());
        let refused = |rollout: &mut Rollout<f32>, section: &Section| rollout.load(3, section).unwrap_err().to_string();
        let mut spoilt = numbered(0.0);
        spoilt.actions[4] = 3;
        spoilt.save(&mut again).unwrap();
        assert!(refused(&mut restored, &again).contains("there is no such action"));
        let mut spoilt = numbered(0.0);
        spoilt.rewards[4] = f32::NAN;
        spoilt.save(&mut again).unwrap();
        assert!(refused(&mut restored, &again).contains("a number is not finite"));
        assert!(refused(&mut Rollout::new(3, 1, 2), &section).contains("obs"));
    }

    #[test]
    fn normalized_advantages_have_mean_0_and_deviation_1() {
        let mut rollout = Rollout::<u8>::new(2, 2, 1);
        rollout.advantages.copy_from_slice(&[1.0, 3.0, 1.0, 3.0]);
        rollout.normalize_advantages(0.5);
        assert_eq!(rollout.advantages, [-1.0, 1.0, -1.0, 1.0]);
        // Of a deviation of 1, divided by 4.
        rollout.normalize_advantages(4.0);
        assert_eq!(rollout.advantages, [-0.25, 0.25, -0.25, 0.25]);
    }
}
