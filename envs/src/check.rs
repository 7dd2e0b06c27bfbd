//! A check of anybody's environment against the contract of [`Env`].

use crate::{End, Env, EnvError, EnvSpec};

/// Plays some episodes with fixed actions and checks what [`Env`] promises: reproducible by seed, whole observations, nothing resets
/// itself, bad actions are refused, the four parts of a step fit together, and a snapshot, if there is one, holds all that the future depends
/// on.
///
/// ```
/// use coinop_envs::check_env;
/// use coinop_envs::classic::CartPole;
///
/// check_env(&mut CartPole::v1())?;
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
///
/// The first broken promise, in words.
pub fn check_env<E: Env>(env: &mut E) -> Result<(), String> {
    let num_actions = env.num_actions();
    if num_actions == 0 {
        return Err("num_actions() is 0: an environment has at least one action".to_owned());
    }
    if env.stacked_frames() == 0 {
        return Err(stack_broken(&env.spec(), "an observation is at least one frame"));
    }
    let mut obs = vec![<E::Obs>::default(); env.obs_shape().len()];
    check_refusals(env, &mut obs)?;
    let first = play(env, 1, 0)?;
    if play(env, 1, 255)? != first {
        // Either the episode depends on more than the seed, or the observation on what the slice held before.
        return Err(if play(env, 1, 0)? == first {
            "an observation was not written whole: reset() and step() fill every element of the slice".to_owned()
        } else {
            "the same seed and actions gave another episode: draw random numbers only from a stream that \
             reset(Some(seed)) restarts"
                .to_owned()
        });
    }
    check_snapshot(env)
}

/// Plays on from some moments of an episode, and again from their snapshots.
fn check_snapshot<E: Env>(env: &mut E) -> Result<(), String> {
    let num_actions = env.num_actions() as u64;
    let mut obs = vec![<E::Obs>::default(); env.obs_shape().len()];
    let mut play = |env: &mut E, label: &str| -> Result<Played<E::Obs>, String> {
        let mut played = Vec::new();
        for i in 0..40 {
            let action = (crate::rng::derive_seed(2, label, i) % num_actions) as u32;
            let step = env.step(action, &mut obs).map_err(failed("step()"))?;
            played.push((obs.clone(), Some(step)));
            if step.end.is_over() {
                env.reset(None, &mut obs).map_err(failed("reset()"))?;
                played.push((obs.clone(), None));
            }
        }
        Ok(played)
    };
    let mut first = vec![<E::Obs>::default(); env.obs_shape().len()];
    env.reset(Some(3), &mut first).map_err(failed("reset()"))?;
    for _ in 0..3 {
        let Some(snapshot) = env.snapshot() else { return Ok(()) };
        let future = play(env, "future")?;
        env.restore(&snapshot).map_err(failed("restore() of an own snapshot"))?;
        if env.snapshot().as_ref() != Some(&snapshot) || play(env, "future")? != future {
            return Err(
                "an environment that was restored goes on in another way: snapshot() holds all that its future depends on, random \
                 streams included"
                    .to_owned(),
            );
        }
        env.restore(&snapshot).map_err(failed("restore() of an own snapshot"))?;
        if let Some(cut) = snapshot.len().checked_sub(1)
            && env.restore(&snapshot[..cut]).is_ok()
        {
            return Err("restore() takes half a snapshot: what is damaged is an error".to_owned());
        }
        env.restore(&snapshot).map_err(failed("restore() of an own snapshot"))?;
        play(env, "on")?;
    }
    Ok(())
}

fn failed(what: &str) -> impl Fn(EnvError) -> String + '_ {
    move |error| format!("{what} failed: {error}")
}

fn check_refusals<E: Env>(env: &mut E, obs: &mut [E::Obs]) -> Result<(), String> {
    if !matches!(env.step(0, obs), Err(EnvError::ResetNeeded)) {
        return Err("step() before the first reset() must be EnvError::ResetNeeded".to_owned());
    }
    env.reset(Some(1), obs).map_err(failed("reset()"))?;
    let beyond = env.num_actions() as u32;
    if !matches!(env.step(beyond, obs), Err(EnvError::InvalidAction { .. })) {
        return Err(format!(
            "step({beyond}) must be EnvError::InvalidAction: there are {beyond} actions, counted from 0"
        ));
    }
    Ok(())
}

fn stack_broken(spec: &EnvSpec, what: &str) -> String {
    format!(
        "stacked_frames() is {}, but {what}: return 1 if an observation is no stack",
        spec.stacked_frames
    )
}

/// The first observation of an episode is one frame, as often as frames are stacked.
fn check_first<T: PartialEq>(spec: &EnvSpec, obs: &[T]) -> Result<(), String> {
    let n = spec.stacked_frames;
    if n > 1 && spec.obs_shape.dims()[0] != n {
        return Err(stack_broken(spec, "that is not the first dimension of an observation"));
    }
    let mut frames = obs.chunks_exact(obs.len() / n);
    let first = frames.next();
    if frames.any(|frame| Some(frame) != first) {
        return Err(stack_broken(spec, "an episode does not begin with equal frames"));
    }
    Ok(())
}

/// The observations and steps of up to two episodes, of 2000 steps in all.
type Played<T> = Vec<(Vec<T>, Option<crate::Step>)>;

/// Plays with slices that hold `fill` before they are filled.
fn play<E: Env>(env: &mut E, seed: u64, fill: u8) -> Result<Played<E::Obs>, String> {
    let spec = env.spec();
    let shape = spec.obs_shape;
    // What a step leaves of the observation before: all but the oldest frame.
    let shifted = shape.len() - shape.len() / spec.stacked_frames;
    let fill = E::Obs::from(fill);
    let mut obs = vec![fill; shape.len()];
    let mut played = Vec::new();
    env.reset(Some(seed), &mut obs).map_err(failed("reset()"))?;
    check_first(&spec, &obs)?;
    let mut last = obs.clone();
    played.push((obs.clone(), None));
    let mut episodes = 0;
    for i in 0..2000u64 {
        let action = (crate::rng::derive_seed(seed, "check", i) % spec.num_actions as u64) as u32;
        obs.fill(fill);
        let step = env.step(action, &mut obs).map_err(failed("step()"))?;
        if !(step.reward.is_finite() && step.score.is_finite()) {
            return Err(format!(
                "a step paid {} (score {}): both must be finite",
                step.reward, step.score
            ));
        }
        if step.discount != 0.0 && step.discount != 1.0 {
            return Err(format!(
                "a step has discount {}: it is 0 where nothing follows, else 1",
                step.discount
            ));
        }
        if step.end == End::Terminated && step.discount != 0.0 {
            return Err("a terminated step has discount 1: nothing follows it, so it is 0".to_owned());
        }
        if env.spec() != spec {
            return Err(format!(
                "spec() was {spec:?} and became {:?}: it is constant",
                env.spec()
            ));
        }
        if obs[..shifted] != last[shape.len() - shifted..] {
            return Err(stack_broken(
                &spec,
                "a step does not drop the oldest frame and keep the others",
            ));
        }
        last.copy_from_slice(&obs);
        played.push((obs.clone(), Some(step)));
        if step.end.is_over() {
            if !matches!(env.step(0, &mut obs), Err(EnvError::ResetNeeded)) {
                return Err(
                    "step() after the end of an episode must be EnvError::ResetNeeded: nothing resets itself"
                        .to_owned(),
                );
            }
            episodes += 1;
            if episodes == 2 {
                break;
            }
            obs.fill(fill);
            env.reset(None, &mut obs).map_err(failed("reset()"))?;
            check_first(&spec, &obs)?;
            last.copy_from_slice(&obs);
            played.push((obs.clone(), None));
        }
    }
    Ok(played)
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
            if action >= 2 && self.flaw != "takes any action" {
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
            if self.flaw == "swaps its frames" {
                obs.swap(0, 1);
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
                "discounts by gamma" => Step { discount: 0.99, ..step },
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
        assert_eq!(check_env(&mut Walk::with("none")), Ok(()));
        for (flaw, word) in [
            ("ignores the seed", "the same seed"),
            ("leaves a hole", "not written whole"),
            ("begins with an empty frame", "does not begin with equal frames"),
            ("swaps its frames", "does not drop the oldest frame"),
            ("takes any action", "InvalidAction"),
            ("resets itself", "ResetNeeded"),
            ("pays NaN", "finite"),
            ("goes on after the end", "terminated"),
            ("discounts by gamma", "discount 0.99"),
            ("forgets its stream", "random streams included"),
            ("takes anything", "half a snapshot"),
        ] {
            let error = check_env(&mut Walk::with(flaw)).unwrap_err();
            assert!(error.contains(word), "{flaw}: {error}");
        }
    }
}
