//! The boundary to algorithms of other crates: panics and non-finite scores become errors that name the algorithm.

use coinop_envs::guard::catch;

use crate::network::{AnyNetwork, Observation};
use crate::times::Times;
use crate::{
    AgentError, Checkpoint, CheckpointError, Mode, Outputs, Policy, Progress, Resumption, Section, TrainError, Trainer,
};

pub(super) fn failed(name: &'static str, cause: String) -> AgentError {
    AgentError::Algorithm { name, cause }
}

/// Calls a function of an algorithm; a panic becomes an error.
pub(super) fn call<T, E: From<AgentError>>(
    name: &'static str,
    function: &str,
    f: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    catch(f).unwrap_or_else(|message| Err(failed(name, format!("its {function} panicked: {message}")).into()))
}

/// A trainer whose panics and non-finite scores are errors.
pub(super) struct GuardedTrainer {
    name: &'static str,
    inner: Box<dyn Trainer>,
}

impl GuardedTrainer {
    pub(super) fn new(name: &'static str, inner: Box<dyn Trainer>) -> Self {
        Self { name, inner }
    }

    fn panicked(&self, what: &'static str, message: String) -> CheckpointError {
        let name = self.name;
        CheckpointError::Panicked { name, what, message }
    }
}

impl Trainer for GuardedTrainer {
    fn resumption(&self) -> Resumption {
        catch(|| self.inner.resumption()).unwrap_or(Resumption::NewEpisodes)
    }

    fn times(&self) -> Times {
        catch(|| self.inner.times()).unwrap_or_default()
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        let Self { name, inner } = self;
        call(name, "load_weights()", move || inner.load_weights(from))
    }

    fn renew(&mut self) -> Result<(), TrainError> {
        let Self { name, inner } = self;
        call(name, "renew()", move || inner.renew())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        let Self { name, inner } = self;
        let progress = call(name, "step()", move || inner.step())?;
        match progress.episodes.iter().find(|episode| !episode.score.is_finite()) {
            None => Ok(progress),
            Some(episode) => {
                let cause = format!(
                    "it says of an episode of actor {} that it scored {}",
                    episode.actor, episode.score
                );
                Err(failed(name, cause).into())
            }
        }
    }
}

impl Checkpoint for GuardedTrainer {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        catch(|| self.inner.save(out)).unwrap_or_else(|message| Err(self.panicked("save()", message)))
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let loaded = catch(|| self.inner.load(from));
        loaded.unwrap_or_else(|message| Err(self.panicked("load()", message)))
    }
}

/// A policy whose panics are errors.
struct GuardedPolicy<O> {
    name: &'static str,
    inner: Box<dyn Policy<Obs = O>>,
}

pub(super) fn guarded_policy<O: Observation>(
    name: &'static str,
    inner: Box<dyn Policy<Obs = O>>,
) -> Box<dyn Policy<Obs = O>> {
    Box::new(GuardedPolicy { name, inner })
}

impl<O: Observation> Policy for GuardedPolicy<O> {
    type Obs = O;

    fn act(&mut self, obs: &[O], is_first: &[bool], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
        call(self.name, "policy's act()", || {
            self.inner.act(obs, is_first, mode, actions)
        })
    }

    fn outputs(&self) -> Outputs<'_> {
        catch(|| self.inner.outputs()).unwrap_or(Outputs::Unknown)
    }

    fn state_values(&self) -> Option<&[f32]> {
        catch(|| self.inner.state_values()).unwrap_or(None)
    }

    fn network(&self) -> Option<AnyNetwork<'_>> {
        catch(|| self.inner.network()).unwrap_or(None)
    }
}
