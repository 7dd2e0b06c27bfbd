//! The [`Policy`] trait, and the policies of the built-in networks.

use std::marker::PhantomData;

use coinop_envs::rng::{Rng, stream};
use coinop_envs::{Elem, EnvSpec};
use tch::{Device, Kind, Tensor};

use crate::explore::{epsilon_greedy, greedy_action, sample_action};
use crate::network::{ActorCritic, AnyNetwork, NetworkConfig, Observation, QNetwork, RecurrentState};
use crate::{AgentError, Checkpoint, Section, TrainError};

/// How a policy chooses actions.
///
/// ```
/// use coinop_agents::Mode;
///
/// /// As `coinop eval` chooses, with and without `--greedy`.
/// fn mode(greedy: bool) -> Mode {
///     if greedy { Mode::Greedy } else { Mode::Sample }
/// }
/// # let _ = mode;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sample from the policy's distribution.
    Sample,
    /// Take the most probable (or most valuable) action.
    Greedy,
}

/// Maps batches of observations to actions.
///
/// ```
/// use coinop_agents::{AgentError, Mode, Policy};
///
/// /// Pushes the cart to where its pole leans.
/// struct Lean;
///
/// impl Policy for Lean {
///     type Obs = f32;
///
///     fn act(&mut self, obs: &[f32], is_first: &[bool], _: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
///         let each = obs.len() / is_first.len();
///         for (obs, action) in obs.chunks_exact(each).zip(actions) {
///             *action = u32::from(obs[2] > 0.0);
///         }
///         Ok(())
///     }
/// }
///
/// let mut actions = [9, 9];
/// Lean.act(&[0.0, 0.0, 0.1, 0.0, 0.0, 0.0, -0.1, 0.0], &[true, true], Mode::Sample, &mut actions)?;
/// assert_eq!(actions, [1, 0]);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
pub trait Policy {
    /// The element type of observations.
    type Obs: Elem;

    /// Writes one action per observation. `obs` holds `actions.len()` consecutive observations. Row `i` always
    /// belongs to the same environment, and `is_first[i]` tells whether it starts an episode, so a policy may keep
    /// state per row.
    ///
    /// # Errors
    ///
    /// If the network fails, or returns NaN or infinity.
    ///
    /// # Panics
    ///
    /// If `obs` does not hold `actions.len()` observations, or `is_first` and `actions` differ in length.
    fn act(&mut self, obs: &[Self::Obs], is_first: &[bool], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError>;

    /// What the last [`act`](Self::act) computed of every action.
    fn outputs(&self) -> Outputs<'_> {
        Outputs::Unknown
    }

    /// The value of each observation of the last [`act`](Self::act), the expected return from it; `None`, the default, if
    /// the policy has no estimate other than its [`outputs`](Self::outputs).
    fn state_values(&self) -> Option<&[f32]> {
        None
    }

    /// Its network, for export; `None`, the default, if it has none of ours.
    fn network(&self) -> Option<AnyNetwork<'_>> {
        None
    }
}

/// What a policy computes of every action, `[n, actions]`.
///
/// ```
/// use coinop_agents::Outputs;
///
/// fn best(outputs: Outputs<'_>) -> Option<f32> {
///     let (Outputs::Probabilities(numbers) | Outputs::Values(numbers)) = outputs else { return None };
///     numbers.iter().copied().max_by(f32::total_cmp)
/// }
/// assert_eq!(best(Outputs::Values(&[0.5, 1.5])), Some(1.5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outputs<'a> {
    /// It does not say.
    Unknown,
    /// The probability of each action.
    Probabilities(&'a [f32]),
    /// The value of each action: the expected return after it.
    Values(&'a [f32]),
}

/// A policy for either kind of observations.
///
/// ```
/// use coinop_agents::AnyPolicy;
///
/// fn kind(policy: &AnyPolicy) -> &'static str {
///     match policy {
///         AnyPolicy::Pixels(_) => "pixels",
///         AnyPolicy::Features(_) => "features",
///     }
/// }
/// # let _ = kind;
/// ```
pub enum AnyPolicy {
    /// Observations are pixels.
    Pixels(Box<dyn Policy<Obs = u8>>),
    /// Observations are features.
    Features(Box<dyn Policy<Obs = f32>>),
}

/// Returns the first non-finite value, if any.
pub(crate) fn not_finite(values: &[f32]) -> Option<f64> {
    values.iter().find(|value| !value.is_finite()).copied().map(f64::from)
}

/// Copies a network's outputs `[n, actions]` into `out`, resizing it as needed.
pub(crate) fn answers(tensor: &Tensor, what: &'static str, out: &mut Vec<f32>) -> Result<(), AgentError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    out.resize(tensor.numel(), 0.0);
    tensor.f_copy_data(out, tensor.numel())?;
    not_finite(out).map_or(Ok(()), |value| Err(AgentError::Useless { what, value }))
}

fn assert_lengths<T>(obs: &[T], obs_len: usize, is_first: &[bool], actions: &[u32]) {
    let n = actions.len();
    assert_eq!(obs.len(), n * obs_len, "elements of {n} observations");
    assert_eq!(is_first.len(), n, "beginnings of {n} observations");
}

/// The policy of an actor-critic network.
///
/// ```
/// use coinop_agents::network::ActorCritic;
/// use coinop_agents::{ActorCriticPolicy, Mode, Policy};
/// # use coinop_agents::Device;
/// # use coinop_agents::init::Init;
/// # use coinop_agents::network::{BodyKind, Core, NetworkConfig, Precision};
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::Env;
/// # let config = NetworkConfig { body: BodyKind::Mlp, core: Core::None, init: Init::Orthogonal, precision: Precision::Float32 };
/// # let spec = CartPole::v1().spec();
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let mut policy = ActorCriticPolicy::<f32>::new(network, stream(1, "policy", 0));
/// let mut actions = [9; 2];
/// policy.act(&[0.1; 8], &[true, true], Mode::Sample, &mut actions)?;
/// assert!(actions.iter().all(|&action| action < 2));
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct ActorCriticPolicy<O> {
    network: ActorCritic,
    /// The recurrent state of each environment's episode.
    state: Option<RecurrentState>,
    rng: Rng,
    probabilities: Vec<f32>,
    values: Vec<f32>,
    obs: PhantomData<O>,
}

impl<O: Observation> ActorCriticPolicy<O> {
    /// Loads the network from a trainer's checkpoint, where it is `learner/network`.
    ///
    /// # Errors
    ///
    /// If the checkpoint does not match.
    pub fn load(
        config: &NetworkConfig,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Self, TrainError> {
        // Any weights: those of the checkpoint replace them.
        let mut network = ActorCritic::new(config, spec, &mut stream(0, "network", 0), device)?;
        network.load(from.section("learner")?.section("network")?)?;
        Ok(Self::new(network, rng))
    }

    /// Creates the policy of a network; [`Mode::Sample`] draws from `rng`.
    #[must_use]
    pub fn new(network: ActorCritic, rng: Rng) -> Self {
        Self {
            network,
            state: None,
            rng,
            probabilities: Vec::new(),
            values: Vec::new(),
            obs: PhantomData,
        }
    }
}

impl<O: Observation> Policy for ActorCriticPolicy<O> {
    type Obs = O;

    fn act(&mut self, obs: &[O], is_first: &[bool], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
        let network = &self.network;
        assert_lengths(obs, network.body().obs_shape().len(), is_first, actions);
        let state = match &mut self.state {
            Some(state) => state,
            None => self.state.insert(network.initial_state(actions.len())?),
        };
        let (logits, values) = network.infer(&network.body().input(obs)?, is_first, state)?;
        let what = "the probability of an action";
        answers(&logits.f_softmax(1, Kind::Float)?, what, &mut self.probabilities)?;
        answers(&values, "the value of an observation", &mut self.values)?;
        let rows = self.probabilities.chunks_exact(network.num_actions());
        for (action, probabilities) in actions.iter_mut().zip(rows) {
            *action = match mode {
                Mode::Sample => sample_action(probabilities, 0.0, &mut self.rng),
                Mode::Greedy => greedy_action(probabilities),
            };
        }
        Ok(())
    }

    fn outputs(&self) -> Outputs<'_> {
        Outputs::Probabilities(&self.probabilities)
    }

    fn state_values(&self) -> Option<&[f32]> {
        Some(&self.values)
    }

    fn network(&self) -> Option<AnyNetwork<'_>> {
        Some(AnyNetwork::ActorCritic(&self.network))
    }
}

/// The epsilon-greedy policy of a network of action values.
///
/// ```
/// use coinop_agents::network::{Head, QNetwork};
/// use coinop_agents::{Mode, Policy, ValuePolicy};
/// # use coinop_agents::Device;
/// # use coinop_agents::init::Init;
/// # use coinop_agents::network::{BodyKind, Core, NetworkConfig, Precision};
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::Env;
/// # let config = NetworkConfig { body: BodyKind::Mlp, core: Core::None, init: Init::Orthogonal, precision: Precision::Float32 };
/// # let spec = CartPole::v1().spec();
/// let network = QNetwork::new(&config, Head::Plain, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// let mut policy = ValuePolicy::<f32>::new(network, 0.05, stream(1, "policy", 0));
/// let mut actions = [9];
/// policy.act(&[0.1; 4], &[true], Mode::Sample, &mut actions)?;
/// assert!(actions[0] < 2);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct ValuePolicy<O> {
    network: QNetwork,
    epsilon: f32,
    rng: Rng,
    values: Vec<f32>,
    obs: PhantomData<O>,
}

impl<O: Observation> ValuePolicy<O> {
    /// Loads a network from a trainer's checkpoint, where it is `learner/network`; `network` has its architecture, and
    /// any weights. For `epsilon` and `rng` see [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// If the checkpoint does not match.
    pub fn load(mut network: QNetwork, epsilon: f32, from: &Section, rng: Rng) -> Result<Self, TrainError> {
        network.load(from.section("learner")?.section("network")?)?;
        Ok(Self::new(network, epsilon, rng))
    }

    /// Creates the policy of a network. [`Mode::Sample`] takes a uniformly random action with probability `epsilon`
    /// (0.05 in the evaluations of Mnih 2015), drawn from `rng`; [`Mode::Greedy`] never does.
    #[must_use]
    pub fn new(network: QNetwork, epsilon: f32, rng: Rng) -> Self {
        Self {
            network,
            epsilon,
            rng,
            values: Vec::new(),
            obs: PhantomData,
        }
    }
}

impl<O: Observation> Policy for ValuePolicy<O> {
    type Obs = O;

    fn act(&mut self, obs: &[O], is_first: &[bool], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
        let network = &self.network;
        assert_lengths(obs, network.body().obs_shape().len(), is_first, actions);
        let values = network.infer(&network.body().input(obs)?)?;
        answers(&values, "the value of an action", &mut self.values)?;
        let num_actions = network.num_actions();
        for (action, values) in actions.iter_mut().zip(self.values.chunks_exact(num_actions)) {
            *action = match mode {
                Mode::Sample => epsilon_greedy(values, self.epsilon, &mut self.rng),
                Mode::Greedy => greedy_action(values),
            };
        }
        Ok(())
    }

    fn outputs(&self) -> Outputs<'_> {
        Outputs::Values(&self.values)
    }

    fn network(&self) -> Option<AnyNetwork<'_>> {
        Some(AnyNetwork::QNetwork(&self.network))
    }
}

#[cfg(test)]
mod tests {
    use coinop_envs::Shape;

    use super::*;
    use crate::init::Init;
    use crate::network::{BodyKind, Core, Head, Precision};

    #[test]
    fn a_value_policy_takes_the_most_valuable_action_but_for_epsilon() {
        let network = || {
            let config = NetworkConfig {
                body: BodyKind::Mlp,
                core: Core::None,
                init: Init::Uniform,
                precision: Precision::Float32,
            };
            let spec = EnvSpec::new(Shape::new(&[2]), 4);
            QNetwork::new(&config, Head::Plain, &spec, &mut stream(1, "network", 0), Device::Cpu).unwrap()
        };
        let obs = [0.5f32, -1.0].repeat(1000);
        let best = {
            let network = network();
            let values = network.forward(&network.body().input(&obs[..2]).unwrap()).unwrap();
            values.argmax(1, false).int64_value(&[0]) as u32
        };
        let act = |epsilon, mode| {
            let mut actions = [9; 1000];
            let mut policy = ValuePolicy::new(network(), epsilon, stream(2, "policy", 0));
            policy.act(&obs, &[false; 1000], mode, &mut actions).unwrap();
            actions
        };
        assert_eq!(act(1.0, Mode::Greedy), [best; 1000]);
        assert_eq!(act(0.0, Mode::Sample), [best; 1000]);
        // Of 1000 draws with epsilon 0.4, 300 are another action on average, with a standard deviation of 14.
        let others = act(0.4, Mode::Sample).iter().filter(|action| **action != best).count();
        assert!((240..360).contains(&others), "{others}");
    }
}
