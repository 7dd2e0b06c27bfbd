//! Checks any environment against the contract of [`Env`].

use std::fmt;

use crate::guard::Guarded;
use crate::rng::derive_seed;
use crate::{Elem, End, Env, EnvError, EnvSpec, Step};

/// Steps of a play-through that is compared with another one.
const COMPARED_STEPS: u64 = 2_000;
/// The minimum number of steps of a play-through, however short its episodes are.
const LEAST_STEPS: u64 = 500;
/// An episode longer than this is taken for one that never ends.
const LONGEST_EPISODE_STEPS: u64 = 100_000;

/// The violations of the [`Env`] contract that [`check_env`] found; at least one.
///
/// ```
/// use coinop_envs::check_env;
/// use coinop_envs::classic::CartPole;
///
/// if let Err(faults) = check_env(&mut CartPole::v1()) {
///     faults.list().iter().for_each(|fault| println!("{fault}"));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl Faults {
    /// One sentence per violation.
    #[must_use]
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Faults {}

/// Plays a few episodes with fixed actions and checks what [`Env`] promises: valid constants, finite numbers,
/// episodes that are reproducible from their seed and end, observations that are written completely, no automatic
/// reset, errors for invalid actions, consistent reward, score, discount and end of each step, and snapshots (if
/// there are any) that capture the complete state. A panic is reported like any other violation.
///
/// ```
/// use coinop_envs::check_env;
/// use coinop_envs::classic::CartPole;
///
/// check_env(&mut CartPole::v1())?;
/// # Ok::<(), coinop_envs::Faults>(())
/// ```
///
/// # Errors
///
/// All violations that were found.
pub fn check_env<E: Env>(env: &mut E) -> Result<(), Faults> {
    let mut env = Guarded::new(env).map_err(|error| Faults(vec![error.to_string()]))?;
    let mut check = Check { faults: Vec::new() };
    let mut obs = vec![<E::Obs>::default(); env.obs_shape().len()];
    check.refusals(&mut env, &mut obs);
    let first = check.play(&mut env, 1, 0);
    if let Some(first) = &first {
        check.reproducible(&mut env, first);
        if first.episodes == 0 {
            check.ends(&mut env, &mut obs);
        }
    }
    check.snapshots(&mut env);
    match check.faults.is_empty() {
        true => Ok(()),
        false => Err(Faults(check.faults)),
    }
}

/// What was found so far.
struct Check {
    faults: Vec<String>,
}

/// What a play was like: checksums of observations, which may be large, and steps, bit by bit.
#[derive(PartialEq, Eq)]
struct Played {
    records: Vec<(u32, [u32; 4])>,
    episodes: u32,
}

impl Played {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            episodes: 0,
        }
    }

    fn add<O: Elem>(&mut self, obs: &[O], step: Option<&Step>) {
        let step = step.map_or([0; 4], |step| {
            let Step {
                reward,
                score,
                discount,
                end,
            } = step;
            [reward.to_bits(), score.to_bits(), discount.to_bits(), 1 + *end as u32]
        });
        self.records.push((O::checksum(obs), step));
    }
}

impl Check {
    fn note(&mut self, fault: impl Into<String>) {
        let fault = fault.into();
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// The value of what must not fail.
    fn value<T>(&mut self, what: &str, result: Result<T, EnvError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // It names the function by itself.
            Err(error @ (EnvError::Panicked { .. } | EnvError::BadNumber { .. })) => {
                self.note(without_step(error));
                None
            }
            Err(error) => {
                self.note(format!("{what} failed: {error}"));
                None
            }
        }
    }

    fn refusals<E: Env>(&mut self, env: &mut Guarded<E>, obs: &mut [E::Obs]) {
        if !matches!(env.step(0, obs), Err(EnvError::ResetNeeded)) {
            self.note("step() before the first reset() must be EnvError::ResetNeeded");
        }
        let reset = env.reset(Some(1), obs);
        if self.value("reset()", reset).is_none() {
            return;
        }
        let beyond = env.num_actions() as u32;
        if !matches!(env.step(beyond, obs), Err(EnvError::InvalidAction { .. })) {
            self.note(format!(
                "step({beyond}) must be EnvError::InvalidAction: there are {beyond} actions, counted from 0"
            ));
        }
    }

    /// Plays the same once more, over other bytes.
    fn reproducible<E: Env>(&mut self, env: &mut Guarded<E>, first: &Played) {
        let Some(second) = self.play(env, 1, 255) else { return };
        if second == *first {
            return;
        }
        // Either the episode depends on more than the seed, or the observation on what the slice held before.
        let again = self.play(env, 1, 0);
        self.note(if again.as_ref() == Some(first) {
            "an observation was not written whole: reset() and step() fill every element of the slice"
        } else {
            "the same seed and actions gave another episode: draw random numbers only from a stream that reset(Some(seed)) restarts"
        });
    }

    /// Plays on until an episode ends.
    fn ends<E: Env>(&mut self, env: &mut Guarded<E>, obs: &mut [E::Obs]) {
        let (actions, mut steps) = (env.num_actions() as u64, 0);
        let reset = env.reset(Some(1), obs);
        if self.value("reset()", reset).is_none() {
            return;
        }
        while steps < LONGEST_EPISODE_STEPS {
            let action = (derive_seed(1, "check", steps) % actions) as u32;
            let step = env.step(action, obs);
            let Some(step) = self.value("step()", step) else { return };
            if step.end.is_over() {
                return;
            }
            steps += 1;
        }
        self.note(format!(
            "no episode ended within {LONGEST_EPISODE_STEPS} steps of random actions, so that no score is known: wrap it in `TimeLimit`"
        ));
    }

    /// Plays on from some moments of an episode, and again from their snapshots.
    fn snapshots<E: Env>(&mut self, env: &mut Guarded<E>) {
        let mut obs = vec![<E::Obs>::default(); env.obs_shape().len()];
        let reset = env.reset(Some(3), &mut obs);
        if self.value("reset()", reset).is_none() {
            return;
        }
        for _ in 0..3 {
            let Some(snapshot) = env.snapshot() else { return };
            let Some(future) = self.future(env, "future", &mut obs) else {
                return;
            };
            if !self.restores(env, &snapshot) {
                return;
            }
            let again = env.snapshot();
            if again.as_ref() != Some(&snapshot) || self.future(env, "future", &mut obs) != Some(future) {
                return self.note(
                    "a restored environment continues differently: snapshot() holds all that its future depends on, random streams \
                     included",
                );
            }
            if !self.restores(env, &snapshot) {
                return;
            }
            if let Some(cut) = snapshot.len().checked_sub(1)
                && env.restore(&snapshot[..cut]).is_ok()
            {
                return self.note("restore() takes half a snapshot: what is damaged is an error");
            }
            if !self.restores(env, &snapshot) || self.future(env, "on", &mut obs).is_none() {
                return;
            }
        }
    }

    fn restores<E: Env>(&mut self, env: &mut Guarded<E>, snapshot: &[u8]) -> bool {
        let restored = env.restore(snapshot);
        self.value("restore() of an own snapshot", restored).is_some()
    }

    /// Forty steps from here.
    fn future<E: Env>(&mut self, env: &mut Guarded<E>, label: &str, obs: &mut [E::Obs]) -> Option<Played> {
        let num_actions = env.num_actions() as u64;
        let mut played = Played::new();
        for i in 0..40 {
            let action = (derive_seed(2, label, i) % num_actions) as u32;
            let step = env.step(action, obs);
            let step = self.value("step()", step)?;
            played.add(obs, Some(&step));
            if step.end.is_over() {
                let reset = env.reset(None, obs);
                self.value("reset()", reset)?;
                played.add(obs, None);
            }
        }
        Some(played)
    }

    /// Plays two episodes or some more, with slices that hold `fill` before they are filled. `None` where something failed.
    fn play<E: Env>(&mut self, env: &mut Guarded<E>, seed: u64, fill: u8) -> Option<Played> {
        let spec = env.spec();
        let shape = spec.obs_shape;
        // What a step leaves of the observation before: all but the oldest frame.
        let shifted = shape.len() - shape.len() / spec.stacked_frames;
        let fill = E::Obs::from(fill);
        let mut obs = vec![fill; shape.len()];
        let mut played = Played::new();
        let reset = env.reset(Some(seed), &mut obs);
        self.value("reset()", reset)?;
        self.first(&spec, &obs);
        let mut last = obs.clone();
        played.add(&obs, None);
        for i in 0..COMPARED_STEPS {
            let action = (derive_seed(seed, "check", i) % spec.num_actions as u64) as u32;
            obs.fill(fill);
            let step = env.step(action, &mut obs);
            let step = self.value("step()", step)?;
            if step.discount != 0.0 && step.discount != 1.0 {
                let discount = step.discount;
                self.note(format!(
                    "a step has discount {discount}: it is 0 where nothing follows, else 1"
                ));
            }
            if step.end == End::Terminated && step.discount != 0.0 {
                self.note("a terminated step has discount 1: nothing follows it, so it is 0");
            }
            let now = env.current_spec();
            let now = self.value("spec()", now)?;
            if now != spec {
                self.note(format!("spec() was {spec:?} and became {now:?}: it is constant"));
                return None;
            }
            if obs[..shifted] != last[shape.len() - shifted..] {
                self.note(stack_broken(
                    &spec,
                    "a step does not drop the oldest frame and keep the others",
                ));
            }
            last.copy_from_slice(&obs);
            played.add(&obs, Some(&step));
            if step.end.is_over() {
                if !matches!(env.step(0, &mut obs), Err(EnvError::ResetNeeded)) {
                    self.note(
                        "step() after the end of an episode must be EnvError::ResetNeeded: nothing resets itself",
                    );
                }
                played.episodes += 1;
                if played.episodes >= 2 && i >= LEAST_STEPS {
                    break;
                }
                obs.fill(fill);
                let reset = env.reset(None, &mut obs);
                self.value("reset()", reset)?;
                self.first(&spec, &obs);
                last.copy_from_slice(&obs);
                played.add(&obs, None);
            }
        }
        Some(played)
    }

    /// The first observation of an episode is one frame, as often as frames are stacked.
    fn first<T: PartialEq>(&mut self, spec: &EnvSpec, obs: &[T]) {
        let mut frames = obs.chunks_exact(obs.len() / spec.stacked_frames);
        let first = frames.next();
        if frames.any(|frame| Some(frame) != first) {
            self.note(stack_broken(spec, "an episode does not begin with equal frames"));
        }
    }
}

/// The same fault in a later step is the same.
fn without_step(error: EnvError) -> String {
    match error {
        EnvError::BadNumber { what, value, .. } if value.is_finite() => {
            format!("its {what} is {value:e}: beyond what networks compute with")
        }
        EnvError::BadNumber { what, value, .. } => format!("its {what} is {value}: it must be finite"),
        EnvError::Panicked { what, message, .. } => format!("its {what} panicked: {message}"),
        other => other.to_string(),
    }
}

fn stack_broken(spec: &EnvSpec, what: &str) -> String {
    format!(
        "stacked_frames() is {}, but {what}: return 1 if an observation is not a stack",
        spec.stacked_frames
    )
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::rng::{Rng, stream};
    use crate::snapshot::{open, seal};
    use crate::{Shape, Step};

    /// A walk of ten steps whose flaws can be chosen.
    struct Walk {
        flaw: &'static str,
        rng: Rng,
        left: u32,
        /// The newer of the two frames of an observation.
        newest: f32,
    }

    impl Walk {
        fn with(flaw: &'static str) -> Self {
            Self {
                flaw,
                rng: stream(0, "walk", 0),
                left: 0,
                newest: 0.0,
            }
        }
    }

    impl Env for Walk {
        type Obs = f32;

        fn obs_shape(&self) -> Shape {
            Shape::new(&[2, 1])
        }

        fn stacked_frames(&self) -> usize {
            2
        }

        fn num_actions(&self) -> usize {
            2
        }

        fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
            if let Some(seed) = seed.filter(|_| self.flaw != "ignores the seed") {
                self.rng = stream(seed, "walk", 0);
            }
            self.left = 10;
            self.newest = self.rng.random();
            obs.fill(self.newest);
            if self.flaw == "begins with an empty frame" {
                obs[0] = 0.0;
            }
            Ok(())
        }

        fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
            if action >= 2 && !self.flaw.contains("takes any action") {
                return Err(EnvError::InvalidAction { action, num_actions: 2 });
            }
            if self.left == 0 {
                if self.flaw != "resets itself" {
                    return Err(EnvError::ResetNeeded);
                }
                self.left = 10;
            }
            self.left -= 1;
            obs[0] = self.newest;
            if self.flaw != "leaves a hole" {
                obs[1] = self.rng.random();
            }
            self.newest = obs[1];
            match self.flaw {
                "swaps its frames" => obs.swap(0, 1),
                "shows NaN" => obs[1] = f32::NAN,
                "shows much" => obs[1] = 1e30,
                "panics" => panic!("a panic that a test wants"),
                "never ends" => self.left = 10,
                _ => {}
            }
            let step = if self.left == 0 {
                Step::terminated(1.0)
            } else {
                Step::going_on(0.0)
            };
            Ok(match self.flaw {
                "pays NaN" => Step {
                    reward: f32::NAN,
                    ..step
                },
                "goes on after the end" => Step { discount: 1.0, ..step },
                "discounts by gamma" | "takes any action and discounts by gamma" if step.end == End::No => {
                    Step { discount: 0.99, ..step }
                }
                _ => step,
            })
        }

        fn snapshot(&self) -> Option<Vec<u8>> {
            Some(seal("Walk", 1, &(&self.rng, self.left, self.newest), &[]))
        }

        fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
            let opened = open::<(Rng, u32, f32)>("Walk", 1, snapshot);
            if opened.is_err() && self.flaw == "takes anything" {
                return Ok(());
            }
            let (rng, left, newest) = opened?.0;
            if self.flaw != "forgets its stream" {
                self.rng = rng;
            }
            (self.left, self.newest) = (left, newest);
            Ok(())
        }
    }

    #[test]
    fn a_good_environment_passes_and_every_flaw_is_named() {
        check_env(&mut Walk::with("none")).unwrap();
        for (flaw, word) in [
            ("ignores the seed", "the same seed"),
            ("leaves a hole", "not written whole"),
            ("begins with an empty frame", "does not begin with equal frames"),
            ("swaps its frames", "does not drop the oldest frame"),
            ("takes any action", "InvalidAction"),
            ("resets itself", "ResetNeeded"),
            ("pays NaN", "its reward is NaN: it must be finite"),
            ("shows NaN", "its observation is NaN: it must be finite"),
            ("shows much", "its observation is 1e30"),
            ("panics", "its step() panicked: a panic that a test wants"),
            ("never ends", "wrap it in `TimeLimit`"),
            ("goes on after the end", "terminated"),
            ("discounts by gamma", "discount 0.99"),
            ("forgets its stream", "random streams included"),
            ("takes anything", "half a snapshot"),
        ] {
            let faults = check_env(&mut Walk::with(flaw)).unwrap_err();
            assert!(faults.to_string().contains(word), "{flaw}: {faults}");
            // One flaw is one fault; two of these break two promises.
            let count = 1 + usize::from(["leaves a hole", "resets itself"].contains(&flaw));
            assert_eq!(faults.list().len(), count, "{flaw}: {faults}");
        }
        let both = check_env(&mut Walk::with("takes any action and discounts by gamma")).unwrap_err();
        assert_eq!(both.list().len(), 2, "{both}");
    }
}
