//! The boundary to third-party environments: their numbers are checked on entry, and their panics become errors.
//!
//! Every [`VecEnv`](crate::VecEnv) and every [`EnvFactory`](crate::EnvFactory) of this crate wraps its environments
//! in a [`Guarded`], so trainers and evaluators can rely on finite numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::env::sealed::Sealed;
use crate::{Env, EnvError, EnvSpec, Shape, Step, Viewer};

/// The largest magnitude allowed for observations, rewards and scores. Squares of larger values overflow an `f32`.
pub const MAX_MAGNITUDE: f32 = 1e18;

/// Calls `f` and returns the message if it panics. The panic hook still runs first; by default it prints the
/// location.
///
/// ```
/// use coinop_envs::guard::catch;
///
/// assert_eq!(catch(|| 3), Ok(3));
/// ```
///
/// # Errors
///
/// The panic message.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "a value that is not a text".to_owned())
    })
}

/// An environment whose numbers are checked and whose panics become errors.
///
/// Each step checks the reward, the score, the discount and, for `f32`, every element of the observation. This costs
/// one pass over the observation and allocates nothing.
///
/// ```
/// use coinop_envs::Env;
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::guard::Guarded;
///
/// let mut env = Guarded::new(CartPole::v1())?;
/// env.reset(Some(1), &mut [0.0; 4])?;
/// assert_eq!(env.step(1, &mut [0.0; 4])?.reward, 1.0);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Guarded<E> {
    env: E,
    spec: EnvSpec,
    /// Calls of `step` so far.
    steps: u64,
}

impl<E: Env> Guarded<E> {
    /// Wraps `env`.
    ///
    /// # Errors
    ///
    /// [`EnvError::BadSpec`] if a constant is invalid, [`EnvError::Panicked`] if reading them panics.
    pub fn new(env: E) -> Result<Self, EnvError> {
        let spec = catch(|| env.spec()).map_err(|message| panicked("spec()", message, 0))?;
        spec.validate()?;
        Ok(Self { env, spec, steps: 0 })
    }

    /// Asks the environment for its constants again.
    pub(crate) fn current_spec(&self) -> Result<EnvSpec, EnvError> {
        catch(|| self.env.spec()).map_err(|message| panicked("spec()", message, self.steps))
    }

    fn check_obs(&self, obs: &[E::Obs]) -> Result<(), EnvError> {
        match E::Obs::first_beyond(obs, MAX_MAGNITUDE) {
            None => Ok(()),
            Some((element, value)) => Err(EnvError::BadNumber {
                what: "observation",
                value,
                element: Some(element),
                step: self.steps,
            }),
        }
    }

    fn check_step(&self, step: &Step) -> Result<(), EnvError> {
        let is_good = |value: f32| value.abs() <= MAX_MAGNITUDE;
        let found = [
            ("reward", step.reward, is_good(step.reward)),
            ("score", step.score, is_good(step.score)),
            ("discount", step.discount, (0.0..=1.0).contains(&step.discount)),
        ];
        match found.into_iter().find(|(_, _, good)| !good) {
            None => Ok(()),
            Some((what, value, _)) => Err(EnvError::BadNumber {
                what,
                value,
                element: None,
                step: self.steps,
            }),
        }
    }
}

fn panicked(what: &'static str, message: String, step: u64) -> EnvError {
    EnvError::Panicked { what, message, step }
}

impl<E: Env> Env for Guarded<E> {
    type Obs = E::Obs;

    fn obs_shape(&self) -> Shape {
        self.spec.obs_shape
    }

    fn num_actions(&self) -> usize {
        self.spec.num_actions
    }

    fn frames_per_step(&self) -> u32 {
        self.spec.frames_per_step
    }

    fn stacked_frames(&self) -> usize {
        self.spec.stacked_frames
    }

    fn spec(&self) -> EnvSpec {
        self.spec
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        catch(|| self.env.set_viewer(viewer)).unwrap_or(None)
    }

    fn action_meanings(&self) -> Vec<String> {
        catch(|| self.env.action_meanings()).unwrap_or_default()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [E::Obs]) -> Result<(), EnvError> {
        let Self { env, steps, .. } = self;
        catch(|| env.reset(seed, obs)).unwrap_or_else(|message| Err(panicked("reset()", message, *steps)))?;
        self.check_obs(obs)
    }

    fn step(&mut self, action: u32, obs: &mut [E::Obs]) -> Result<Step, EnvError> {
        self.steps += 1;
        let Self { env, steps, .. } = self;
        let step =
            catch(|| env.step(action, obs)).unwrap_or_else(|message| Err(panicked("step()", message, *steps)))?;
        self.check_step(&step)?;
        self.check_obs(obs)?;
        Ok(step)
    }

    /// Also `None` if the environment panics, so that the rest of a checkpoint can still be saved, without this
    /// episode.
    fn snapshot(&self) -> Option<Vec<u8>> {
        catch(|| self.env.snapshot()).unwrap_or(None)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let Self { env, steps, .. } = self;
        catch(|| env.restore(snapshot)).unwrap_or_else(|message| Err(panicked("restore()", message, *steps)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in its third step, in a given way.
    struct Wrong {
        how: &'static str,
        steps: u32,
    }

    impl Env for Wrong {
        type Obs = f32;

        fn obs_shape(&self) -> Shape {
            Shape::new(&[2])
        }

        fn num_actions(&self) -> usize {
            usize::from(self.how != "has no actions")
        }

        fn reset(&mut self, _seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
            obs.fill(if self.how == "resets to NaN" { f32::NAN } else { 0.0 });
            Ok(())
        }

        fn step(&mut self, _action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
            self.steps += 1;
            obs.fill(0.0);
            let mut step = Step::going_on(1.0);
            if self.steps == 3 {
                match self.how {
                    "shows NaN" => obs[1] = f32::NAN,
                    "shows much" => obs[0] = 1e30,
                    "pays infinity" => step.reward = f32::INFINITY,
                    "scores NaN" => step.score = f32::NAN,
                    "discounts by 2" => step.discount = 2.0,
                    "panics" => panic!("a panic that a test wants"),
                    _ => {}
                }
            }
            Ok(step)
        }

        fn snapshot(&self) -> Option<Vec<u8>> {
            panic!("a panic that a test wants")
        }

        fn restore(&mut self, _snapshot: &[u8]) -> Result<(), EnvError> {
            panic!("a panic of step {}", self.steps)
        }
    }

    #[test]
    fn what_goes_wrong_is_named_with_its_step() {
        for (how, text) in [
            ("shows NaN", "its observation is NaN (element 1, step 3)"),
            (
                "shows much",
                "its observation is 1000000000000000000000000000000 (element 0, step 3), beyond 1e18",
            ),
            ("pays infinity", "its reward is inf (step 3)"),
            ("scores NaN", "its score is NaN (step 3)"),
            ("discounts by 2", "its discount is 2 (step 3), not between 0 and 1"),
            ("panics", "its step() panicked: a panic that a test wants (step 3)"),
            ("resets to NaN", "its observation is NaN (element 0, step 0)"),
            ("nothing", ""),
        ] {
            let mut env = Guarded::new(Wrong { how, steps: 0 }).unwrap();
            let mut obs = [0.0; 2];
            let played = env
                .reset(Some(1), &mut obs)
                .and_then(|()| (0..5).try_for_each(|_| env.step(0, &mut obs).map(drop)));
            assert_eq!(
                played.err().map_or(String::new(), |error| error.to_string()),
                text,
                "{how}"
            );
        }
        let error = Guarded::new(Wrong {
            how: "has no actions",
            steps: 0,
        })
        .err()
        .unwrap();
        assert_eq!(error.to_string(), "num_actions is 0: it must be between 1 and 1000000");
        let mut env = Guarded::new(Wrong {
            how: "nothing",
            steps: 0,
        })
        .unwrap();
        assert_eq!(env.snapshot(), None);
        let error = env.restore(&[]).unwrap_err().to_string();
        assert_eq!(error, "its restore() panicked: a panic of step 0 (step 0)");
    }
}
