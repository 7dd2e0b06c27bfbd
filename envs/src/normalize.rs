//! Observations and rewards that are normalised by running statistics.
//!
//! The statistics are shared by all environments of a run, so these wrap a factory, not an environment. They are what its
//! environments [learn](EnvFactory::learned): a run saves them and resumes with them, and [`EnvFactory::frozen`] makes
//! environments for an evaluation, in which they no longer change.
//!
//! ```
//! use coinop_envs::classic::CartPole;
//! use coinop_envs::normalize::{NormalizeObservation, NormalizeReward};
//! use coinop_envs::{EnvFactory, FromFn, Step, VecEnv};
//!
//! let factory = NormalizeReward::new(NormalizeObservation::new(FromFn::new(|| Ok(CartPole::v1()))?), 0.99);
//! let mut envs = factory.make_vec(0, 8, 1)?;
//! let (mut obs, mut final_obs, mut steps) = ([0.0; 32], [0.0; 32], [Step::default(); 8]);
//! envs.reset(Some(1), &mut obs)?;
//! for step in 0..100 {
//!     envs.step(&[step % 2; 8], &mut obs, &mut final_obs, &mut steps)?;
//! }
//! // The longer a pole stands, the larger the return, so that a reward of 1 counts less and less.
//! assert!(steps[0].reward < 1.0 && steps[0].score == 1.0);
//! # Ok::<(), coinop_envs::EnvError>(())
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::factory::Learned;
use crate::snapshot::{bad, open, seal};
use crate::{Elem, End, Env, EnvError, EnvFactory, EnvSpec, Shape, Step, VecEnv, Viewer};

/// Added to variances before their root.
const EPSILON: f64 = 1e-8;

/// The largest magnitude of a normalised number, as in Stable-Baselines3.
const LARGEST: f64 = 10.0;

/// The mean and the variance of all vectors so far, element by element (Chan, Golub and LeVeque 1979).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Running {
    count: f64,
    means: Vec<f64>,
    /// Sums of squared deviations from the mean.
    squares: Vec<f64>,
}

impl Running {
    fn new(len: usize) -> Self {
        Self {
            count: 0.0,
            means: vec![0.0; len],
            squares: vec![0.0; len],
        }
    }

    /// Adds consecutive vectors, one after another.
    fn add(&mut self, numbers: impl ExactSizeIterator<Item = f64>) {
        for (i, number) in numbers.enumerate() {
            let at = i % self.means.len();
            if at == 0 {
                self.count += 1.0;
            }
            let off = number - self.means[at];
            self.means[at] += off / self.count;
            self.squares[at] += off * (number - self.means[at]);
        }
    }

    /// Adds the vectors that `after` has and `before`, an earlier state of it, has not (Chan et al. 1979, equations 2.1).
    fn add_those_since(&mut self, before: &Self, after: &Self) {
        let new = after.count - before.count;
        if new <= 0.0 {
            return;
        }
        let all = self.count + new;
        for at in 0..self.means.len() {
            let mean = (after.count * after.means[at] - before.count * before.means[at]) / new;
            let between = (before.means[at] - mean).powi(2) * before.count * new / after.count;
            let squares = (after.squares[at] - before.squares[at] - between).max(0.0);
            let off = mean - self.means[at];
            self.means[at] += off * new / all;
            self.squares[at] += squares + off * off * self.count * new / all;
        }
        self.count = all;
    }

    /// The standard deviation of element `at`; 1 before there are two vectors.
    fn deviation(&self, at: usize) -> f64 {
        if self.count < 2.0 {
            return 1.0;
        }
        (self.squares[at] / self.count + EPSILON).sqrt()
    }

    /// Replaces observations, one after another, by their distance from the mean in deviations.
    fn normalize(&self, obs: &mut [f32]) {
        let len = self.means.len();
        for (i, number) in obs.iter_mut().enumerate() {
            let at = i % len;
            let normalized = (f64::from(*number) - self.means[at]) / self.deviation(at);
            *number = normalized.clamp(-LARGEST, LARGEST) as f32;
        }
    }
}

/// What normalised observations are, in numbers: `(x - mean) / deviation`, from `-clip` to `clip`.
///
/// ```
/// use coinop_envs::EnvFactory;
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::normalize::NormalizeObservation;
/// use coinop_envs::{Env, FromFn};
///
/// let factory = NormalizeObservation::new(FromFn::new(|| Ok(CartPole::v1()))?);
/// factory.make(0)?.reset(Some(1), &mut [0.0; 4])?;
/// let normalization = factory.normalization().expect("it normalises");
/// // After one observation, its numbers are the means.
/// assert_eq!((normalization.deviation, normalization.clip), (vec![1.0; 4], 10.0));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// The mean of each number of an observation.
    pub mean: Vec<f32>,
    /// The standard deviation of each number.
    pub deviation: Vec<f32>,
    /// The greatest magnitude of a normalised number.
    pub clip: f32,
}

/// Statistics that environments, perhaps in several threads, share, unless they are frozen.
#[derive(Clone, Debug)]
struct Shared {
    running: Arc<Mutex<Running>>,
    frozen: bool,
}

impl Shared {
    fn new(running: Running, frozen: bool) -> Self {
        Self {
            running: Arc::new(Mutex::new(running)),
            frozen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statistics of a factory, and what the environments that it wraps learn.
struct Statistics {
    of: &'static str,
    shared: Shared,
    inner: Option<Arc<dyn Learned>>,
}

impl Learned for Statistics {
    fn save(&self) -> Vec<u8> {
        let inner = self.inner.as_ref().map(|inner| inner.save());
        seal(self.of, 1, &*self.shared.lock(), &inner.unwrap_or_default())
    }

    fn load(&self, saved: &[u8]) -> Result<(), EnvError> {
        let len = self.shared.lock().means.len();
        let (running, inner) = statistics(self.of, len, saved)?;
        if let Some(learned) = &self.inner {
            learned.load(inner)?;
        }
        if !self.shared.frozen {
            *self.shared.lock() = running;
        }
        Ok(())
    }

    fn add(&self, before: &[u8], after: &[u8]) -> Result<(), EnvError> {
        let len = self.shared.lock().means.len();
        let (before, inner_before) = statistics(self.of, len, before)?;
        let (after, inner_after) = statistics(self.of, len, after)?;
        if let Some(learned) = &self.inner {
            learned.add(inner_before, inner_after)?;
        }
        if !self.shared.frozen {
            self.shared.lock().add_those_since(&before, &after);
        }
        Ok(())
    }
}

/// Reads the statistics of vectors of `len` elements, and what follows them.
fn statistics<'a>(of: &'static str, len: usize, saved: &'a [u8]) -> Result<(Running, &'a [u8]), EnvError> {
    let (running, inner) = open::<Running>(of, 1, saved)?;
    if running.means.len() != len || running.squares.len() != len {
        let reason = format!(
            "it has {} means and {} variances of {len} numbers",
            running.means.len(),
            running.squares.len()
        );
        return Err(bad(of, reason));
    }
    Ok((running, inner))
}

/// A factory of environments whose features have mean 0 and variance 1 over everything that the environments of a run
/// have shown so far, and are at most 10 in magnitude. The environments of one [`VecEnv`] are taken in their order, so
/// that a run does not depend on the number of threads.
#[derive(Clone)]
pub struct NormalizeObservation {
    inner: Arc<dyn EnvFactory<Obs = f32>>,
    shared: Shared,
}

/// A factory of environments whose rewards are divided by the standard deviation of the discounted return, over
/// everything that the environments of a run have paid so far, and are at most 10 in magnitude (Engstrom et al. 2020,
/// arXiv 2005.12729, appendix A.2). Scores stay as they are.
#[derive(Clone)]
pub struct NormalizeReward<O: Elem> {
    inner: Arc<dyn EnvFactory<Obs = O>>,
    gamma: f64,
    shared: Shared,
}

const OBSERVATION: &str = "NormalizeObservation";
const REWARD: &str = "NormalizeReward";

impl NormalizeObservation {
    /// Normalises the observations of the environments of `inner`.
    #[must_use]
    pub fn new<F: EnvFactory<Obs = f32> + 'static>(inner: F) -> Self {
        Self::of(Arc::new(inner))
    }

    /// As [`new`](Self::new).
    #[must_use]
    pub fn of(inner: Arc<dyn EnvFactory<Obs = f32>>) -> Self {
        let shared = Shared::new(Running::new(inner.spec().obs_shape.len()), false);
        Self { inner, shared }
    }
}

impl<O: Elem> NormalizeReward<O> {
    /// Normalises the rewards of the environments of `inner`; the return is discounted by `gamma` per step.
    #[must_use]
    pub fn new<F: EnvFactory<Obs = O> + 'static>(inner: F, gamma: f64) -> Self {
        Self::of(Arc::new(inner), gamma)
    }

    /// As [`new`](Self::new).
    #[must_use]
    pub fn of(inner: Arc<dyn EnvFactory<Obs = O>>, gamma: f64) -> Self {
        Self {
            inner,
            gamma,
            shared: Shared::new(Running::new(1), false),
        }
    }
}

impl EnvFactory for NormalizeObservation {
    type Obs = f32;

    fn spec(&self) -> EnvSpec {
        self.inner.spec()
    }

    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = f32> + Send>, EnvError> {
        Ok(Box::new(Normalized {
            env: self.inner.make(number)?,
            shared: self.shared.clone(),
        }))
    }

    fn make_vec(
        &self,
        first: usize,
        count: usize,
        threads: usize,
    ) -> Result<Box<dyn VecEnv<Obs = f32> + Send>, EnvError> {
        Ok(Box::new(Normalized {
            env: self.inner.make_vec(first, count, threads)?,
            shared: self.shared.clone(),
        }))
    }

    fn learned(&self) -> Option<Arc<dyn Learned>> {
        Some(Arc::new(Statistics {
            of: OBSERVATION,
            shared: self.shared.clone(),
            inner: self.inner.learned(),
        }))
    }

    fn frozen(&self, learned: &[u8]) -> Result<Option<Arc<dyn EnvFactory<Obs = f32>>>, EnvError> {
        let (running, inner) = statistics(OBSERVATION, self.spec().obs_shape.len(), learned)?;
        Ok(Some(Arc::new(Self {
            inner: frozen(&self.inner, inner)?,
            shared: Shared::new(running, true),
        })))
    }

    fn observe(&self, obs: &mut [f32]) {
        self.inner.observe(obs);
        self.shared.lock().normalize(obs);
    }

    /// Of this factory; one around another that normalises, too, has none in one step.
    fn normalization(&self) -> Option<Normalization> {
        if self.inner.normalization().is_some() {
            return None;
        }
        let running = self.shared.lock();
        Some(Normalization {
            mean: running.means.iter().map(|mean| *mean as f32).collect(),
            deviation: (0..running.means.len())
                .map(|at| running.deviation(at) as f32)
                .collect(),
            clip: LARGEST as f32,
        })
    }
}

impl<O: Elem> EnvFactory for NormalizeReward<O> {
    type Obs = O;

    fn spec(&self) -> EnvSpec {
        self.inner.spec()
    }

    fn make(&self, number: usize) -> Result<Box<dyn Env<Obs = O> + Send>, EnvError> {
        Ok(Box::new(Rewarded {
            env: self.inner.make(number)?,
            shared: self.shared.clone(),
            gamma: self.gamma,
            returns: vec![0.0],
        }))
    }

    fn make_vec(
        &self,
        first: usize,
        count: usize,
        threads: usize,
    ) -> Result<Box<dyn VecEnv<Obs = O> + Send>, EnvError> {
        Ok(Box::new(Rewarded {
            env: self.inner.make_vec(first, count, threads)?,
            shared: self.shared.clone(),
            gamma: self.gamma,
            returns: vec![0.0; count],
        }))
    }

    fn learned(&self) -> Option<Arc<dyn Learned>> {
        Some(Arc::new(Statistics {
            of: REWARD,
            shared: self.shared.clone(),
            inner: self.inner.learned(),
        }))
    }

    fn frozen(&self, learned: &[u8]) -> Result<Option<Arc<dyn EnvFactory<Obs = O>>>, EnvError> {
        let (running, inner) = statistics(REWARD, 1, learned)?;
        Ok(Some(Arc::new(Self {
            inner: frozen(&self.inner, inner)?,
            gamma: self.gamma,
            shared: Shared::new(running, true),
        })))
    }

    fn observe(&self, obs: &mut [O]) {
        self.inner.observe(obs);
    }

    fn normalization(&self) -> Option<Normalization> {
        self.inner.normalization()
    }
}

/// `inner` itself if it learns nothing.
fn frozen<O: Elem>(
    inner: &Arc<dyn EnvFactory<Obs = O>>,
    learned: &[u8],
) -> Result<Arc<dyn EnvFactory<Obs = O>>, EnvError> {
    Ok(inner.frozen(learned)?.unwrap_or_else(|| Arc::clone(inner)))
}

/// Environments, or one, with normalised observations.
struct Normalized<E> {
    env: E,
    shared: Shared,
}

impl<E> Normalized<E> {
    /// Adds observations to the statistics and normalises them.
    fn see(&self, obs: &mut [f32]) {
        let mut running = self.shared.lock();
        if !self.shared.frozen {
            running.add(obs.iter().map(|number| f64::from(*number)));
        }
        running.normalize(obs);
    }
}

impl Env for Normalized<Box<dyn Env<Obs = f32> + Send>> {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        self.env.obs_shape()
    }

    fn num_actions(&self) -> usize {
        self.env.num_actions()
    }

    fn frames_per_step(&self) -> u32 {
        self.env.frames_per_step()
    }

    fn stacked_frames(&self) -> usize {
        self.env.stacked_frames()
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.env.set_viewer(viewer)
    }

    fn action_meanings(&self) -> Vec<String> {
        self.env.action_meanings()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        self.see(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        self.see(obs);
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        self.env.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        self.env.restore(snapshot)
    }
}

impl VecEnv for Normalized<Box<dyn VecEnv<Obs = f32> + Send>> {
    type Obs = f32;

    fn num_envs(&self) -> usize {
        self.env.num_envs()
    }

    fn spec(&self) -> EnvSpec {
        self.env.spec()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        self.see(obs);
        Ok(())
    }

    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [f32],
        final_obs: &mut [f32],
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        self.env.step(actions, obs, final_obs, steps)?;
        self.see(obs);
        let len = obs.len() / steps.len();
        for (step, final_obs) in steps.iter().zip(final_obs.chunks_exact_mut(len)) {
            if step.end.is_over() {
                self.see(final_obs);
            }
        }
        Ok(())
    }

    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        self.env.snapshots()
    }

    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError> {
        self.env.restore(snapshots)
    }
}

/// Environments, or one, with normalised rewards.
struct Rewarded<E> {
    env: E,
    shared: Shared,
    gamma: f64,
    /// The discounted return of each environment's episode.
    returns: Vec<f64>,
}

impl<E> Rewarded<E> {
    /// Adds rewards to the statistics and normalises them.
    fn see(&mut self, steps: &mut [Step]) {
        let mut running = self.shared.lock();
        for (step, sum) in steps.iter_mut().zip(&mut self.returns) {
            *sum = *sum * self.gamma + f64::from(step.reward);
            if !self.shared.frozen {
                running.add(std::iter::once(*sum));
            }
            if step.end != End::No {
                *sum = 0.0;
            }
        }
        let deviation = running.deviation(0);
        for step in steps {
            step.reward = (f64::from(step.reward) / deviation).clamp(-LARGEST, LARGEST) as f32;
        }
    }

    fn seal(&self, i: usize, inner: &[u8]) -> Vec<u8> {
        seal(REWARD, 1, &self.returns[i], inner)
    }

    /// Takes the return from a snapshot of environment `i`, and returns that of the inner environment.
    fn open<'a>(&mut self, i: usize, snapshot: &'a [u8]) -> Result<&'a [u8], EnvError> {
        let (sum, inner) = open(REWARD, 1, snapshot)?;
        self.returns[i] = sum;
        Ok(inner)
    }
}

impl<O: Elem> Env for Rewarded<Box<dyn Env<Obs = O> + Send>> {
    type Obs = O;

    fn obs_shape(&self) -> Shape {
        self.env.obs_shape()
    }

    fn num_actions(&self) -> usize {
        self.env.num_actions()
    }

    fn frames_per_step(&self) -> u32 {
        self.env.frames_per_step()
    }

    fn stacked_frames(&self) -> usize {
        self.env.stacked_frames()
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.env.set_viewer(viewer)
    }

    fn action_meanings(&self) -> Vec<String> {
        self.env.action_meanings()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [O]) -> Result<(), EnvError> {
        self.returns.fill(0.0);
        self.env.reset(seed, obs)
    }

    fn step(&mut self, action: u32, obs: &mut [O]) -> Result<Step, EnvError> {
        let mut step = [self.env.step(action, obs)?];
        self.see(&mut step);
        Ok(step[0])
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.seal(0, &self.env.snapshot()?))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let inner = self.open(0, snapshot)?;
        self.env.restore(inner)
    }
}

impl<O: Elem> VecEnv for Rewarded<Box<dyn VecEnv<Obs = O> + Send>> {
    type Obs = O;

    fn num_envs(&self) -> usize {
        self.env.num_envs()
    }

    fn spec(&self) -> EnvSpec {
        self.env.spec()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [O]) -> Result<(), EnvError> {
        self.returns.fill(0.0);
        self.env.reset(seed, obs)
    }

    fn step(
        &mut self,
        actions: &[u32],
        obs: &mut [O],
        final_obs: &mut [O],
        steps: &mut [Step],
    ) -> Result<(), EnvError> {
        self.env.step(actions, obs, final_obs, steps)?;
        self.see(steps);
        Ok(())
    }

    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        let inner = self.env.snapshots()?;
        Some(inner.iter().enumerate().map(|(i, inner)| self.seal(i, inner)).collect())
    }

    fn restore(&mut self, snapshots: &[Vec<u8>]) -> Result<(), EnvError> {
        if snapshots.len() != self.returns.len() {
            let reason = format!("there are {} for {} environments", snapshots.len(), self.returns.len());
            return Err(bad(REWARD, reason));
        }
        let mut inner = Vec::with_capacity(snapshots.len());
        for (i, snapshot) in snapshots.iter().enumerate() {
            inner.push(self.open(i, snapshot)?.to_vec());
        }
        self.env.restore(&inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_env;
    use crate::classic::CartPole;
    use crate::factory::FromFn;
    use crate::wrappers::TimeLimit;

    fn cartpole() -> impl EnvFactory<Obs = f32> {
        FromFn::new(|| Ok(TimeLimit::new(CartPole::v1(), 20))).unwrap()
    }

    /// Plays `steps` steps of four environments; all observations and rewards.
    fn play(envs: &mut dyn VecEnv<Obs = f32>, reset: bool, steps: u32) -> (Vec<f32>, Vec<f32>) {
        let (mut obs, mut final_obs, mut results) = ([0.0; 16], [0.0; 16], [Step::default(); 4]);
        let (mut seen, mut rewards) = (Vec::new(), Vec::new());
        if reset {
            envs.reset(Some(3), &mut obs).unwrap();
            seen.extend_from_slice(&obs);
        }
        for step in 0..steps {
            let actions = [step % 2, 0, 1, (step / 2) % 2];
            envs.step(&actions, &mut obs, &mut final_obs, &mut results).unwrap();
            seen.extend_from_slice(&obs);
            rewards.extend(results.map(|step| step.reward));
        }
        (seen, rewards)
    }

    #[test]
    fn statistics_of_several_processes_are_those_of_all_their_numbers() {
        let number = |i: u32| [f64::from(i).sin(), 100.0 + f64::from(i * i % 17)];
        let of = |before: &Running, numbers: std::ops::Range<u32>| {
            let mut running = before.clone();
            running.add(numbers.flat_map(number).collect::<Vec<_>>().into_iter());
            running
        };
        for first in [0, 1, 40] {
            let before = of(&Running::new(2), 0..first);
            let all = of(&before, first..first + 90);
            let mut joined = before.clone();
            // One of them has seen nothing new.
            for numbers in [first..first + 1, first + 1..first + 70, 0..0, first + 70..first + 90] {
                joined.add_those_since(&before, &of(&before, numbers));
            }
            assert_eq!(joined.count, all.count);
            for at in 0..2 {
                assert!((joined.means[at] - all.means[at]).abs() < 1e-9, "{first}");
                assert!((joined.squares[at] / all.squares[at] - 1.0).abs() < 1e-9, "{first}");
            }
        }
    }

    #[test]
    fn running_statistics_are_those_of_all_numbers() {
        let numbers = [[1.0, 10.0], [2.0, -10.0], [6.0, 30.0], [3.0, 30.0]];
        let mut running = Running::new(2);
        running.add(numbers[..1].concat().into_iter().collect::<Vec<_>>().into_iter());
        assert_eq!((running.deviation(0), running.deviation(1)), (1.0, 1.0));
        running.add(numbers[1..].concat().into_iter());
        // Means 3 and 15; variances (4 + 1 + 9 + 0) / 4 and (25 + 625 + 225 + 225) / 4.
        assert_eq!(running.means, [3.0, 15.0]);
        assert!((running.deviation(0) - 3.5f64.sqrt()).abs() < 1e-6);
        assert!((running.deviation(1) - 275f64.sqrt()).abs() < 1e-6);
        let mut obs = [3.0, 15.0, 1e9, -1e9];
        running.normalize(&mut obs);
        assert_eq!(obs, [0.0, 0.0, 10.0, -10.0]);
    }

    #[test]
    fn observations_are_those_of_the_inner_environments_normalised_with_all_before() {
        let (plain, _) = play(cartpole().make_vec(0, 4, 1).unwrap().as_mut(), true, 3);
        let factory = NormalizeObservation::new(cartpole());
        let (seen, _) = play(factory.make_vec(0, 4, 1).unwrap().as_mut(), true, 3);
        // A naive model: no episode ends within three steps, so that all that was seen is four rows at a time.
        for t in 0..4 {
            for at in 0..4 {
                let so_far: Vec<f64> = plain[..16 * (t + 1)]
                    .iter()
                    .skip(at)
                    .step_by(4)
                    .map(|x| f64::from(*x))
                    .collect();
                let n = so_far.len() as f64;
                let mean = so_far.iter().sum::<f64>() / n;
                let variance = so_far.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                for row in 0..4 {
                    let i = 16 * t + 4 * row + at;
                    let expected = (f64::from(plain[i]) - mean) / (variance + 1e-8).sqrt();
                    assert!((f64::from(seen[i]) - expected).abs() < 1e-4, "{t} {row} {at}");
                }
            }
        }
    }

    #[test]
    fn rewards_are_divided_by_the_deviation_of_the_return_and_scores_are_not() {
        let factory = NormalizeReward::new(cartpole(), 0.5);
        let mut env = factory.make(0).unwrap();
        let mut obs = [0.0; 4];
        env.reset(Some(1), &mut obs).unwrap();
        // Returns 1, 1.5 and 1.75: of the first, nothing is known; the second has a deviation of 0.25, so that 4 is paid.
        let steps: Vec<Step> = (0..3).map(|i| env.step(i % 2, &mut obs).unwrap()).collect();
        assert_eq!(steps[0].reward, 1.0);
        assert!((steps[1].reward - 4.0).abs() < 1e-5);
        let mean = (1.0 + 1.5 + 1.75) / 3.0;
        let variance: f64 = [1.0, 1.5, 1.75].iter().map(|x: &f64| (x - mean).powi(2)).sum::<f64>() / 3.0;
        assert!((f64::from(steps[2].reward) - 1.0 / variance.sqrt()).abs() < 1e-4);
        assert!(steps.iter().all(|step| step.score == 1.0));
    }

    #[test]
    fn they_do_not_depend_on_threads_and_resume_where_they_were() {
        let factory = || NormalizeReward::new(NormalizeObservation::new(cartpole()), 0.99);
        let mut whole = factory().make_vec(0, 4, 1).unwrap();
        let first = play(whole.as_mut(), true, 30);
        let rest = play(whole.as_mut(), false, 30);
        let made = factory();
        let mut threaded = made.make_vec(0, 4, 2).unwrap();
        assert_eq!(play(threaded.as_mut(), true, 30), first);
        let (snapshots, learned) = (threaded.snapshots().unwrap(), made.learned().unwrap().save());
        let again = factory();
        let mut resumed = again.make_vec(0, 4, 1).unwrap();
        resumed.restore(&snapshots).unwrap();
        again.learned().unwrap().load(&learned).unwrap();
        assert_eq!(play(resumed.as_mut(), false, 30), rest);
        assert!(resumed.restore(&snapshots[1..]).is_err());
        // Statistics of two numbers for an observation of four.
        let other = seal(
            REWARD,
            1,
            &Running::new(1),
            &seal(OBSERVATION, 1, &Running::new(2), &[]),
        );
        let error = again.learned().unwrap().load(&other).unwrap_err().to_string();
        assert!(error.contains("2 means and 2 variances of 4 numbers"), "{error}");
    }

    #[test]
    fn frozen_statistics_stay_as_they_are() {
        let factory = NormalizeReward::new(NormalizeObservation::new(cartpole()), 0.99);
        let mut envs = factory.make_vec(0, 4, 1).unwrap();
        play(envs.as_mut(), true, 50);
        let learned = factory.learned().unwrap().save();
        let frozen = || factory.frozen(&learned).unwrap().unwrap();
        let once = frozen();
        let first = play(once.make_vec(0, 4, 1).unwrap().as_mut(), true, 30);
        // The same again, with the same factory and with another one, though the training went on.
        play(envs.as_mut(), false, 50);
        assert_eq!(play(once.make_vec(0, 4, 1).unwrap().as_mut(), true, 30), first);
        assert_eq!(play(frozen().make_vec(0, 4, 1).unwrap().as_mut(), true, 30), first);
        assert_ne!(play(factory.make_vec(0, 4, 1).unwrap().as_mut(), true, 30), first);
        // Where nothing is learned there is nothing to freeze.
        assert!(cartpole().learned().is_none() && cartpole().frozen(&learned).unwrap().is_none());
        // An observation from elsewhere is shown as the environments show theirs.
        let (mut obs, mut plain) = ([0.0; 4], [0.0; 4]);
        once.make(0).unwrap().reset(Some(3), &mut obs).unwrap();
        cartpole().make(0).unwrap().reset(Some(3), &mut plain).unwrap();
        assert_ne!(obs, plain);
        once.observe(&mut plain);
        assert_eq!(obs, plain);
        // With its statistics frozen, an environment keeps the whole contract.
        check_env(&mut once.make(0).unwrap()).unwrap();
    }
}
