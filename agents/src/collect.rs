//! Rollouts: the environments of a trainer, or of one of its actors, stepped together by one network.

use std::ops::Range;

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{End, EnvError, Shape, Step, VecEnv, memory};
use tch::{Device, Kind, Tensor};

use crate::episodes::Episodes;
use crate::explore::{EpsilonConfig, Epsilons, sample_action};
use crate::limits::check;
use crate::network::{ActorCritic, Observation, RecurrentState};
use crate::policy::not_finite;
use crate::rollout::Rollout;
use crate::times::{Part, Stopwatch};
use crate::under_way;
use crate::{AgentError, Checkpoint, CheckpointError, Resumption, Section, TrainError};

/// A network that plays.
pub(crate) trait Player<O> {
    /// Prepares for a rollout.
    fn begin(&mut self) -> Result<(), AgentError>;

    /// Chooses the actions of step `t`, each by the epsilon and the random stream of its actor, and stores them in the
    /// rollout with everything else that learning needs.
    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, by: Actors<'_>) -> Result<(), AgentError>;

    /// The value of the final observation of an episode of environment `env`.
    fn final_value(&mut self, obs: &[O], env: usize) -> Result<f32, AgentError>;

    /// The values of the observations after the last step.
    fn last_values(&mut self, rollout: &Rollout<O>) -> Result<Vec<f32>, AgentError>;
}

/// The actors of a step.
pub(crate) struct Actors<'a> {
    pub(crate) epsilons: &'a [f32],
    pub(crate) streams: &'a mut [Rng],
    /// What they choose.
    pub(crate) actions: &'a mut [u32],
}

/// The settings of a [`Collector`].
pub(crate) struct Plan<'a> {
    pub(crate) rollout_steps: usize,
    pub(crate) epsilon: &'a EpsilonConfig,
    /// The actors, numbered through all threads and processes, so that each has streams of its own.
    pub(crate) own: Range<usize>,
    /// The number of actors of all threads and processes.
    pub(crate) all: usize,
    pub(crate) seed: u64,
    /// The seed of the environments.
    pub(crate) env_seed: u64,
}

/// Environments, and the rollout that they fill.
pub(crate) struct Collector<O: Observation> {
    env: Box<dyn VecEnv<Obs = O> + Send>,
    pub(crate) rollout: Rollout<O>,
    pub(crate) episodes: Episodes,
    epsilon: EpsilonConfig,
    epsilons: Epsilons,
    own: Range<usize>,
    all: usize,
    /// One random stream per actor, so that actions do not depend on the other actors.
    action_streams: Vec<Rng>,
    /// The seed to reset the environments with before the next step.
    env_seed: Option<u64>,
    /// Set during a rollout and its updates, and after one that failed: environments, observations and recurrent state
    /// then belong to different moments, so no episode can continue.
    in_step: bool,
    watch: Stopwatch,
    // Written by every environment step; allocated once.
    actions: Vec<u32>,
    final_obs: Vec<O>,
    results: Vec<Step>,
}

impl<O: Observation> Collector<O> {
    pub(crate) fn new(plan: Plan<'_>, env: Box<dyn VecEnv<Obs = O> + Send>, watch: &Stopwatch) -> Self {
        let (n, obs_len) = (env.num_envs(), env.spec().obs_shape.len());
        let Plan { own, all, seed, .. } = plan;
        Self {
            env,
            rollout: Rollout::new(plan.rollout_steps, n, obs_len),
            episodes: Episodes::new(n),
            epsilons: Epsilons::of(plan.epsilon.clone(), own.clone(), all, seed),
            epsilon: plan.epsilon.clone(),
            action_streams: streams(own.clone(), seed),
            own,
            all,
            env_seed: Some(plan.env_seed),
            in_step: false,
            watch: watch.clone(),
            actions: vec![0; n],
            final_obs: vec![O::default(); n * obs_len],
            results: vec![Step::default(); n],
        }
    }

    /// The number of environments.
    pub(crate) fn num_envs(&self) -> usize {
        self.actions.len()
    }

    /// The epsilons of the actors.
    pub(crate) fn epsilons(&self) -> &[f32] {
        self.epsilons.current()
    }

    /// Frames per environment and step.
    pub(crate) fn frames_per_step(&self) -> u64 {
        u64::from(self.env.spec().frames_per_step)
    }

    /// Fills the rollout, after `frames` frames of the run; a step of all actors there are adds `frames_per_step`.
    ///
    /// Until [`end`](Self::end) is called, no episode can continue in a checkpoint.
    pub(crate) fn collect(
        &mut self,
        player: &mut impl Player<O>,
        frames: u64,
        frames_per_step: u64,
    ) -> Result<(), TrainError> {
        self.in_step = true;
        match self.env_seed.take() {
            Some(seed) => {
                self.env.reset(Some(seed), self.rollout.obs_mut(0))?;
                let first = self.rollout.step(0);
                self.rollout.is_first[first].fill(true);
            }
            None => self.rollout.begin(),
        }
        player.begin()?;
        self.episodes.begin();
        let mut frames = frames;
        for t in 0..self.rollout.steps() {
            self.epsilons.resample(frames);
            let by = Actors {
                epsilons: self.epsilons.current(),
                streams: &mut self.action_streams,
                actions: &mut self.actions,
            };
            player.act(&mut self.rollout, t, by)?;
            self.watch.measure(Part::Envs, || {
                self.env.step(
                    &self.actions,
                    self.rollout.obs_mut(t + 1),
                    &mut self.final_obs,
                    &mut self.results,
                )
            })?;
            frames = frames.saturating_add(frames_per_step);
            self.remember(player, t)?;
        }
        Ok(())
    }

    /// Stores the values of the observations after the last step.
    pub(crate) fn estimate(&mut self, player: &mut impl Player<O>) -> Result<(), AgentError> {
        let values = player.last_values(&self.rollout)?;
        let following = self.rollout.actions.len();
        self.rollout.values[following..].copy_from_slice(&values);
        Ok(())
    }

    /// Stores the environments' results.
    fn remember(&mut self, player: &mut impl Player<O>, t: usize) -> Result<(), AgentError> {
        let first = self.rollout.step(t).start;
        let obs_len = self.final_obs.len() / self.results.len();
        for (i, step) in self.results.iter().enumerate() {
            self.rollout.remember(t, i, step);
            self.episodes.add(i, step);
            if step.end == End::Truncated {
                let final_obs = &self.final_obs[i * obs_len..(i + 1) * obs_len];
                self.rollout.final_values[first + i] = player.final_value(final_obs, i)?;
            }
        }
        Ok(())
    }

    /// Says that the rollout has been learned from.
    pub(crate) fn end(&mut self) {
        self.in_step = false;
    }

    /// How a run resumed from a checkpoint taken now would continue, if the network and the learner do the same again or,
    /// because of threads or a GPU, not quite.
    pub(crate) fn resumption(&self, is_exact: bool) -> Resumption {
        match self.env.snapshots() {
            Some(_) if self.in_step => Resumption::NewEpisodes,
            Some(_) if is_exact => Resumption::Exact,
            Some(_) => Resumption::Timing,
            None => Resumption::NewEpisodes,
        }
    }

    /// Begins new episodes with new random streams.
    pub(crate) fn renew(&mut self, seed: u64, env_seed: u64) {
        self.epsilons = Epsilons::of(self.epsilon.clone(), self.own.clone(), self.all, seed);
        self.action_streams = streams(self.own.clone(), seed);
        self.episodes.interrupt();
        self.env_seed = Some(env_seed);
    }

    /// Saves random streams and current episodes.
    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.epsilons.save(out.section_mut("epsilons"))?;
        out.put("action_streams", &self.action_streams)?;
        let can_continue = self.env_seed.is_none() && !self.in_step;
        let snapshots = can_continue.then(|| self.env.snapshots()).flatten();
        under_way::save_rollout(snapshots.as_deref(), &self.rollout, &self.episodes, out)
    }

    /// Restores them; returns whether the episodes continue. If not, the environments are reset with `env_seed`.
    pub(crate) fn load(&mut self, from: &Section, env_seed: u64) -> Result<bool, CheckpointError> {
        self.epsilons.load(from.section("epsilons")?)?;
        self.action_streams = from.get_vec("action_streams", self.action_streams.len())?;
        self.in_step = false;
        let restore = |snapshots: &[Vec<u8>]| self.env.restore(snapshots);
        let continues = under_way::load_rollout(&mut self.rollout, &mut self.episodes, from, restore)?;
        self.env_seed = (!continues).then_some(env_seed);
        Ok(continues)
    }
}

/// The random streams of the actions of some actors.
fn streams(actors: Range<usize>, seed: u64) -> Vec<Rng> {
    actors.map(|actor| stream(seed, "action", actor as u64)).collect()
}

/// Checks that pixels are centred only where there are pixels.
pub(crate) fn check_center<O: Observation>(center_pixels: bool) -> Result<(), AgentError> {
    let reason = "observations are not pixels: it must be false";
    check(O::KIND == Kind::Uint8 || !center_pixels, "center_pixels", true, reason)
}

/// Checks that there is enough memory for the rollout of a synchronous trainer, which is nearly all that it allocates.
pub(crate) fn require_memory<O: Observation>(
    num_envs: usize,
    steps: usize,
    minibatches: usize,
    obs_shape: Shape,
) -> Result<(), EnvError> {
    let row = num_envs as u64 * obs_shape.len() as u64 * size_of::<O>() as u64;
    let rollout = steps as u64 * row;
    // The rollout and the final observations; what the network has seen, and the batch of all samples; and a minibatch,
    // with its pixels as floating-point numbers.
    let bytes = rollout + 2 * row + 2 * rollout + rollout / minibatches as u64 * (2 + 4);
    let what = || format!("a rollout of {steps} steps in {num_envs} environments");
    memory::require(what, bytes, "lower num_envs or rollout_steps, or raise minibatches")
}

/// What an actor-critic network remembers while it plays.
#[derive(Debug)]
pub(crate) struct PolicyMemory {
    /// The current recurrent state.
    pub(crate) state: RecurrentState,
    /// The recurrent state before the rollout.
    pub(crate) first_state: RecurrentState,
    /// The observations of each step of the rollout, on the network's device.
    pub(crate) seen: Vec<Tensor>,
    /// The values of all environments, then their action probabilities.
    answers: Vec<f32>,
}

impl PolicyMemory {
    /// The memory of a network that plays `num_envs` environments.
    pub(crate) fn new(network: &ActorCritic, num_envs: usize) -> Result<Self, AgentError> {
        Ok(Self {
            state: network.initial_state(num_envs)?,
            first_state: RecurrentState::default(),
            seen: Vec::new(),
            answers: vec![0.0; num_envs * (1 + network.num_actions())],
        })
    }
}

/// An actor-critic network that plays: it draws actions from its policy, mixed with random ones by epsilon.
pub(crate) struct PolicyPlayer<'a> {
    pub(crate) network: &'a ActorCritic,
    pub(crate) memory: &'a mut PolicyMemory,
    /// The updates that made the network.
    pub(crate) updates: u64,
    pub(crate) watch: &'a Stopwatch,
}

impl PolicyPlayer<'_> {
    /// The values of observations of the environments of `state`.
    fn values<O: Observation>(
        &self,
        obs: &[O],
        is_first: &[bool],
        mut state: RecurrentState,
    ) -> Result<Vec<f32>, AgentError> {
        let out = self.watch.measure(Part::Inference, || -> Result<_, AgentError> {
            let obs = self.network.body().input(obs)?;
            let (_, values) = self.network.infer(&obs, is_first, &mut state)?;
            let mut out = vec![0.0; values.numel()];
            copy_to(&values, &mut out)?;
            Ok(out)
        })?;
        check_finite("a value", &out, self.updates)?;
        Ok(out)
    }
}

impl<O: Observation> Player<O> for PolicyPlayer<'_> {
    fn begin(&mut self) -> Result<(), AgentError> {
        self.memory.first_state = self.memory.state.copy()?;
        self.memory.seen.clear();
        Ok(())
    }

    fn act(&mut self, rollout: &mut Rollout<O>, t: usize, by: Actors<'_>) -> Result<(), AgentError> {
        let (network, memory) = (self.network, &mut *self.memory);
        let obs = self
            .watch
            .measure(Part::Copies, || network.body().input(rollout.obs(t)))?;
        self.watch.measure(Part::Inference, || -> Result<(), AgentError> {
            let (logits, values) = network.infer(&obs, rollout.is_first(t), &mut memory.state)?;
            // All in one piece: a GPU is waited for once.
            let answers = [values, logits.f_softmax(1, Kind::Float)?.f_flatten(0, -1)?];
            copy_to(&Tensor::f_cat(&answers, 0)?, &mut memory.answers)
        })?;
        memory.seen.push(obs);
        let span = rollout.step(t);
        let (values, probabilities) = memory.answers.split_at(span.len());
        check_finite("a value", values, self.updates)?;
        check_finite("the probability of an action", probabilities, self.updates)?;
        rollout.values[span.clone()].copy_from_slice(values);
        let num_actions = network.num_actions();
        for (i, probabilities) in probabilities.chunks_exact(num_actions).enumerate() {
            let epsilon = by.epsilons[i];
            let action = sample_action(probabilities, epsilon, &mut by.streams[i]);
            by.actions[i] = action;
            rollout.actions[span.start + i] = i64::from(action);
            rollout.epsilons[span.start + i] = epsilon;
            let mixture = (1.0 - epsilon) * probabilities[action as usize] + epsilon / num_actions as f32;
            rollout.log_probabilities[span.start + i] = mixture.ln();
        }
        Ok(())
    }

    fn final_value(&mut self, obs: &[O], env: usize) -> Result<f32, AgentError> {
        Ok(self.values(obs, &[false], self.memory.state.rows(&[env as i64])?)?[0])
    }

    fn last_values(&mut self, rollout: &Rollout<O>) -> Result<Vec<f32>, AgentError> {
        let last = rollout.steps();
        self.values(rollout.obs(last), rollout.is_first(last), self.memory.state.copy()?)
    }
}

/// Returns an error if a number of a network is not finite, which `updates` updates made.
pub(crate) fn check_finite(what: &'static str, values: &[f32], updates: u64) -> Result<(), AgentError> {
    not_finite(values).map_or(Ok(()), |value| Err(AgentError::NotFinite { what, value, updates }))
}

/// Copies the numbers of a tensor, from any device.
pub(crate) fn copy_to(tensor: &Tensor, out: &mut [f32]) -> Result<(), AgentError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    Ok(tensor.f_copy_data(out, out.len())?)
}
