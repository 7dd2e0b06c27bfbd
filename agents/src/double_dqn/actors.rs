//! Actors: environments stepped together by one network.

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{End, EnvError, Step, VecEnv};
use rand::RngExt;

use crate::episodes::Episodes;
use crate::explore::epsilon_greedy;
use crate::network::{Observation, QNetwork};
use crate::policy::answers;
use crate::replay::Replay;
use crate::times::{Part, Stopwatch};
use crate::under_way;
use crate::{AgentError, CheckpointError, Section, TrainError};

/// One step of several actors, one row each.
#[derive(Clone, Debug)]
pub(super) struct Transitions<O> {
    pub(super) obs: Vec<O>,
    pub(super) actions: Vec<u32>,
    pub(super) results: Vec<Step>,
    /// The final observations of ended episodes, in their rows.
    pub(super) final_obs: Vec<O>,
    /// The errors of the transitions that the step completed, of each actor, where actors compute them.
    pub(super) errors: Vec<Vec<f32>>,
}

impl<O: Observation> Transitions<O> {
    pub(super) fn new(actors: usize, obs_len: usize) -> Self {
        Self {
            obs: vec![O::default(); actors * obs_len],
            actions: vec![0; actors],
            results: vec![Step::default(); actors],
            final_obs: vec![O::default(); actors * obs_len],
            errors: Vec::new(),
        }
    }

    /// The number of actors.
    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    /// Stores the step in a memory for the actors from `first` on, and tracks ended episodes.
    pub(super) fn remember(
        &self,
        first: usize,
        replay: &mut Replay<O>,
        episodes: &mut Episodes,
    ) -> Result<(), AgentError> {
        let obs_len = self.obs.len() / self.actions.len();
        let rows = self.obs.chunks_exact(obs_len).zip(self.final_obs.chunks_exact(obs_len));
        for (i, (obs, final_obs)) in rows.enumerate() {
            replay.insert(first + i, obs, self.actions[i], &self.results[i], final_obs)?;
            if let Some(errors) = self.errors.get(i) {
                replay.prioritize_fresh(errors);
            }
            episodes.add(first + i, &self.results[i]);
        }
        Ok(())
    }
}

/// Saves and restores everything but the lengths.
impl<O: Observation> Transitions<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let numbers = |step: &Step| [step.reward, step.score, step.discount];
        let results: Vec<[f32; 3]> = self.results.iter().map(numbers).collect();
        let ends: Vec<u8> = self.results.iter().map(|step| step.end as u8).collect();
        out.put_numbers("obs", &self.obs)?;
        out.put_numbers("actions", &self.actions)?;
        out.put_numbers("results", &results)?;
        out.put_numbers("ends", &ends)?;
        out.put_numbers("last_obs", &self.final_obs)
    }

    fn load(&mut self, num_actions: usize, from: &Section) -> Result<(), CheckpointError> {
        let n = self.len();
        let (mut results, mut ends) = (vec![[0.0f32; 3]; n], vec![0u8; n]);
        from.load_numbers("obs", &mut self.obs)?;
        from.load_numbers("actions", &mut self.actions)?;
        from.load_numbers("results", &mut results)?;
        from.load_numbers("ends", &mut ends)?;
        from.load_numbers("last_obs", &mut self.final_obs)?;
        if self.actions.iter().any(|action| *action as usize >= num_actions) {
            return Err(CheckpointError::unfit("actions", &"there is no such action"));
        }
        let finite = |numbers: &[f32; 3]| numbers.iter().all(|number| number.is_finite());
        if !results.iter().all(finite) {
            return Err(CheckpointError::unfit("results", &"a number is not finite"));
        }
        for (i, ([reward, score, discount], end)) in results.into_iter().zip(ends).enumerate() {
            let end = End::of(end).ok_or_else(|| CheckpointError::unfit("ends", &"there is no such end"))?;
            self.results[i] = Step {
                reward,
                score,
                discount,
                end,
            };
        }
        Ok(())
    }
}

/// A snapshot of all actors that step in threads.
#[derive(Clone, Debug)]
pub(super) struct UnderWay<O> {
    streams: Vec<Rng>,
    snapshots: Vec<Vec<u8>>,
    /// The current observations, one row each.
    obs: Vec<O>,
    /// Steps that the learner has not received yet, in order, each with the index of its first actor.
    pub(super) in_flight: Vec<(usize, Transitions<O>)>,
}

impl<O: Observation> UnderWay<O> {
    /// Creates a snapshot of no actors.
    pub(super) fn new() -> Self {
        Self {
            streams: Vec::new(),
            snapshots: Vec::new(),
            obs: Vec::new(),
            in_flight: Vec::new(),
        }
    }

    /// Appends more actors; `None` if their environments do not support snapshots.
    pub(super) fn push(&mut self, actors: &Actors<O>) -> Option<()> {
        self.snapshots.extend(actors.snapshots()?);
        self.streams.extend_from_slice(&actors.streams);
        self.obs.extend_from_slice(&actors.obs);
        Some(())
    }

    pub(super) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("action_streams", &self.streams)?;
        under_way::save(Some(&self.snapshots), &self.obs, out)?;
        let firsts: Vec<(usize, usize)> = self
            .in_flight
            .iter()
            .map(|(first, steps)| (*first, steps.len()))
            .collect();
        out.put("in_flight", &firsts)?;
        for (i, (_, transitions)) in self.in_flight.iter().enumerate() {
            transitions.save(out.section_mut(&format!("in_flight_{i}")))?;
        }
        Ok(())
    }

    /// Loads the snapshot of `actors` actors, if there is one.
    pub(super) fn load(
        from: &Section,
        actors: usize,
        obs_len: usize,
        num_actions: usize,
    ) -> Result<Option<Self>, CheckpointError> {
        let mut obs = vec![O::default(); actors * obs_len];
        let Some(snapshots) = under_way::load(actors, &mut obs, from)? else {
            return Ok(None);
        };
        let mut in_flight = Vec::new();
        for (i, (first, len)) in from.get::<Vec<(usize, usize)>>("in_flight")?.into_iter().enumerate() {
            if len == 0 || first.checked_add(len).is_none_or(|end| end > actors) {
                return Err(CheckpointError::unfit(
                    "in_flight",
                    &"it is of more actors than there are",
                ));
            }
            let mut transitions = Transitions::new(len, obs_len);
            transitions.load(num_actions, from.section(&format!("in_flight_{i}"))?)?;
            in_flight.push((first, transitions));
        }
        Ok(Some(Self {
            streams: from.get_vec("action_streams", actors)?,
            snapshots,
            obs,
            in_flight,
        }))
    }
}

/// Actors that are stepped together.
pub(super) struct Actors<O: Observation> {
    env: Box<dyn VecEnv<Obs = O> + Send>,
    /// The current observations.
    obs: Vec<O>,
    /// One random stream per actor, so that actions do not depend on the other actors.
    streams: Vec<Rng>,
    values: Vec<f32>,
    /// Set during a step, and after one that failed: environments and observations then belong to different moments,
    /// so no episode can continue.
    in_step: bool,
}

impl<O: Observation> Actors<O> {
    /// Creates the actors from index `first` on, for the seed of a run.
    pub(super) fn new(env: Box<dyn VecEnv<Obs = O> + Send>, first: usize, seed: u64) -> Self {
        let n = env.num_envs();
        Self {
            obs: vec![O::default(); n * env.spec().obs_shape.len()],
            streams: (first..first + n)
                .map(|actor| stream(seed, "action", actor as u64))
                .collect(),
            values: Vec::new(),
            in_step: false,
            env,
        }
    }

    /// Restores them from a snapshot, as the actors from index `first` on.
    pub(super) fn go_on(&mut self, from: &UnderWay<O>, first: usize) -> Result<(), EnvError> {
        let own = first..first + self.streams.len();
        let row = self.obs.len() / self.streams.len();
        self.streams.clone_from_slice(&from.streams[own.clone()]);
        self.obs.copy_from_slice(&from.obs[own.start * row..own.end * row]);
        self.env.restore(&from.snapshots[own])
    }

    /// The action values by which the actors last acted, if they did by a network.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether the current episodes can be saved.
    pub(super) fn can_be_saved(&self) -> bool {
        self.snapshots().is_some()
    }

    fn snapshots(&self) -> Option<Vec<Vec<u8>>> {
        if self.in_step { None } else { self.env.snapshots() }
    }

    /// Draws from new streams, as the actors from index `first` on.
    pub(super) fn renew(&mut self, first: usize, seed: u64) {
        for (actor, rng) in (first..).zip(&mut self.streams) {
            *rng = stream(seed, "action", actor as u64);
        }
    }

    /// Starts an episode in every environment.
    pub(super) fn begin(&mut self, seed: u64) -> Result<(), EnvError> {
        self.env.reset(Some(seed), &mut self.obs)
    }

    /// Saves the streams and, if `begun`, the current episodes.
    pub(super) fn save(&self, begun: bool, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("action_streams", &self.streams)?;
        if begun {
            under_way::save(self.snapshots().as_deref(), &self.obs, out)?;
        }
        Ok(())
    }

    /// Restores them; `false` if there are no current episodes.
    pub(super) fn load(&mut self, from: &Section) -> Result<bool, CheckpointError> {
        self.streams = from.get_vec("action_streams", self.streams.len())?;
        self.in_step = false;
        let Some(snapshots) = under_way::load(self.streams.len(), &mut self.obs, from)? else {
            return Ok(false);
        };
        self.env.restore(&snapshots).map_err(under_way::unfit)?;
        Ok(true)
    }

    /// Steps once, epsilon-greedily or, without a network, with random actions.
    pub(super) fn step(
        &mut self,
        watch: &Stopwatch,
        mut network: Option<&mut QNetwork>,
        epsilons: &[f32],
        transitions: &mut Transitions<O>,
    ) -> Result<(), TrainError> {
        let num_actions = self.env.spec().num_actions;
        if let Some(network) = &mut network {
            // One noise for all actors, as DQN Zoo has one for a batch.
            network.draw_noise(&mut self.streams[0])?;
            let obs = watch.measure(Part::Copies, || network.body().input(&self.obs))?;
            watch.measure(Part::Inference, || {
                let values = network.infer(&obs)?;
                answers(&values, "the value of an action", &mut self.values)
            })?;
        }
        for (i, (action, rng)) in transitions.actions.iter_mut().zip(&mut self.streams).enumerate() {
            *action = match &network {
                None => rng.random_range(0..num_actions as u32),
                Some(_) => {
                    let values = &self.values[i * num_actions..(i + 1) * num_actions];
                    epsilon_greedy(values, epsilons[i], rng)
                }
            };
        }
        self.in_step = true;
        std::mem::swap(&mut self.obs, &mut transitions.obs);
        watch.measure(Part::Envs, || {
            self.env.step(
                &transitions.actions,
                &mut self.obs,
                &mut transitions.final_obs,
                &mut transitions.results,
            )
        })?;
        self.in_step = false;
        Ok(())
    }
}
