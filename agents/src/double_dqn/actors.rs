//! Actors: environments that are stepped together by one network.

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{EnvError, Step, VecEnv};
use rand::RngExt;
use tch::no_grad;

use crate::episodes::Episodes;
use crate::explore::epsilon_greedy;
use crate::network::{Observation, QNetwork};
use crate::policy::answers;
use crate::replay::Replay;
use crate::under_way;
use crate::{AgentError, CheckpointError, Section, TrainError};

/// One step of some actors, a row for each: what they saw, what they did, and what came of it.
#[derive(Debug)]
pub(super) struct Transitions<O> {
    obs: Vec<O>,
    actions: Vec<u32>,
    results: Vec<Step>,
    /// Rows of episodes that ended: their final observation.
    last_obs: Vec<O>,
}

impl<O: Observation> Transitions<O> {
    pub(super) fn new(actors: usize, obs_len: usize) -> Self {
        Self {
            obs: vec![O::default(); actors * obs_len],
            actions: vec![0; actors],
            results: vec![Step::default(); actors],
            last_obs: vec![O::default(); actors * obs_len],
        }
    }

    /// The number of actors.
    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    /// Puts it into a memory, as that of the actors from `first` on, and takes note of episodes that ended.
    pub(super) fn remember(
        &self,
        first: usize,
        replay: &mut Replay<O>,
        episodes: &mut Episodes,
    ) -> Result<(), AgentError> {
        let obs_len = self.obs.len() / self.actions.len();
        let rows = self.obs.chunks_exact(obs_len).zip(self.last_obs.chunks_exact(obs_len));
        for (i, (obs, last_obs)) in rows.enumerate() {
            replay.insert(first + i, obs, self.actions[i], &self.results[i], last_obs)?;
            episodes.add(first + i, &self.results[i]);
        }
        Ok(())
    }
}

/// Actors that step together.
pub(super) struct Actors<O: Observation> {
    env: Box<dyn VecEnv<Obs = O>>,
    /// What they see now.
    obs: Vec<O>,
    /// Each draws its actions from its own stream, so that they do not depend on the others.
    streams: Vec<Rng>,
    values: Vec<f32>,
}

impl<O: Observation> Actors<O> {
    /// The actors from number `first` on of a run that was seeded with `seed`.
    pub(super) fn new(env: Box<dyn VecEnv<Obs = O>>, first: usize, seed: u64) -> Self {
        let n = env.num_envs();
        Self {
            obs: vec![O::default(); n * env.spec().obs_shape.len()],
            streams: (first..first + n)
                .map(|actor| stream(seed, "action", actor as u64))
                .collect(),
            values: Vec::new(),
            env,
        }
    }

    /// Whether the environments have snapshots.
    pub(super) fn can_be_saved(&self) -> bool {
        self.env.snapshots().is_some()
    }

    /// Begins an episode in every environment.
    pub(super) fn begin(&mut self, seed: u64) -> Result<(), EnvError> {
        self.env.reset(Some(seed), &mut self.obs)
    }

    /// Saves the streams and, where `begun`, the episodes under way.
    pub(super) fn save(&self, begun: bool, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("action_streams", &self.streams)?;
        if begun {
            under_way::save_all(self.env.as_ref(), &self.obs, out)?;
        }
        Ok(())
    }

    /// Restores them. `false` if there are no episodes under way.
    pub(super) fn load(&mut self, from: &Section) -> Result<bool, CheckpointError> {
        self.streams = from.get_vec("action_streams", self.streams.len())?;
        under_way::load_all(self.env.as_mut(), &mut self.obs, from)
    }

    /// Steps once: the most valuable action, or with an actor's epsilon any. Without a network, any.
    pub(super) fn step(
        &mut self,
        network: Option<&QNetwork>,
        epsilons: &[f32],
        transitions: &mut Transitions<O>,
    ) -> Result<(), TrainError> {
        let num_actions = self.env.spec().num_actions;
        if let Some(network) = network {
            let values = no_grad(|| network.forward(&network.body().input(&self.obs)?))?;
            answers(&values, "the value of an action", &mut self.values)?;
        }
        for (i, (action, rng)) in transitions.actions.iter_mut().zip(&mut self.streams).enumerate() {
            *action = match network {
                None => rng.random_range(0..num_actions as u32),
                Some(_) => {
                    let values = &self.values[i * num_actions..(i + 1) * num_actions];
                    epsilon_greedy(values, epsilons[i], rng)
                }
            };
        }
        std::mem::swap(&mut self.obs, &mut transitions.obs);
        self.env.step(
            &transitions.actions,
            &mut self.obs,
            &mut transitions.last_obs,
            &mut transitions.results,
        )?;
        Ok(())
    }
}
