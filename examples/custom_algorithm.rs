//! An algorithm of your own, with the whole command line of coinop:
//!
//! ```console
//! $ cargo run --release --example custom_algorithm -- train cartpole --algo reinforce
//! $ cargo run --release --example custom_algorithm -- eval cartpole-reinforce-1
//! $ cargo run --release --example custom_algorithm -- train --resume cartpole-reinforce-1 --frames 1M
//! ```
//!
//! REINFORCE with a learned baseline (Williams 1992; Sutton and Barto 2018, section 13.4): play an episode, and make each action more
//! probable by how much more reward followed it than was expected. Networks, optimiser, losses, episode statistics and checkpoints are
//! coinop's; only the algorithm is here.

use std::process::ExitCode;
use std::sync::Arc;

use coinop::agents::algorithm::Preset;
use coinop::agents::explore::sample_action;
use coinop::agents::init::Init;
use coinop::agents::losses::{policy_gradient_loss, value_loss};
use coinop::agents::network::{ActorCritic, BodyKind, Core, NetworkConfig, Observation, Precision, RecurrentState};
use coinop::agents::optim::{AdamConfig, Optimizer, OptimizerConfig};
use coinop::agents::tch::Kind;
use coinop::agents::{
    ActorCriticPolicy, AgentError, Checkpoint, CheckpointError, Device, Episodes, Learner, Metrics, Policy, Progress,
    Resumption, Section, TrainError, Trainer,
};
use coinop::envs::Observations;
use coinop::envs::rng::{Rng, derive_seed, stream};
use coinop::envs::{End, Env, EnvFactory, EnvSpec};
use coinop::{Algorithm, Program, RunSettings};
use serde::{Deserialize, Serialize};

/// What can be chosen: `--set reinforce.gamma=0.9`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReinforceConfig {
    gamma: f32,
    learning_rate: f64,
}

const PRESET: &str = r#"
[run]
frames = 300_000
seed = 1
env_threads = 1
torch_threads = 1
device = "cpu"
metrics_frames = 5_000
eval_frames = 50_000

[reinforce]
gamma = 0.99
learning_rate = 0.001
"#;

/// An episode: what a [`ReinforceLearner`] learns from.
struct Played<O> {
    obs: Vec<O>,
    actions: Vec<i64>,
    rewards: Vec<f32>,
    /// 0 where the return stops, else 1.
    discounts: Vec<f32>,
    /// What came after the last step is worth: the value of the final observation where the episode was truncated, else nothing.
    final_value: f32,
}

impl<O> Played<O> {
    /// The discounted sum of the rewards from each step on. A time limit cuts an episode off without ending what it is worth.
    fn returns(&self, gamma: f32) -> Vec<f32> {
        let mut following = self.final_value;
        let mut returns: Vec<f32> = self.rewards.clone();
        for (value, discount) in returns.iter_mut().zip(&self.discounts).rev() {
            following = *value + gamma * discount * following;
            *value = following;
        }
        returns
    }
}

/// Turns an episode into better weights.
struct ReinforceLearner<O> {
    network: ActorCritic,
    optimizer: Optimizer,
    settings: ReinforceConfig,
    obs: std::marker::PhantomData<O>,
}

impl<O: Observation> Learner for ReinforceLearner<O> {
    type Batch = Played<O>;
    /// The loss.
    type Stats = f64;

    fn learn(&mut self, episode: &Played<O>) -> Result<f64, AgentError> {
        let obs = self.network.body().input(&episode.obs)?;
        let (logits, values) = self.network.forward(&obs, &[], &mut RecurrentState::default())?;
        // Where the network is, which may be a GPU.
        let body = self.network.body();
        let actions = body.numbers(&episode.actions)?.f_unsqueeze(1)?;
        let chosen = logits.f_log_softmax(1, Kind::Float)?.f_gather(1, &actions, false)?;
        let returns = body.numbers(&episode.returns(self.settings.gamma))?;
        let advantages = returns.f_sub(&values.f_detach()?)?;
        let loss = policy_gradient_loss(&chosen.f_squeeze_dim(1)?, &advantages)?
            .f_add(&value_loss(&values, &returns)?.f_mul_scalar(0.5)?)?;
        let gradient = self.network.params().gradient(&loss)?;
        let rate = self.settings.learning_rate;
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, rate)?;
        Ok(loss.f_double_value(&[])?)
    }
}

/// The network, with initial weights of a run that was seeded with `seed`.
fn network(spec: &EnvSpec, seed: u64, device: Device) -> Result<ActorCritic, AgentError> {
    let config = NetworkConfig {
        body: BodyKind::Mlp,
        core: Core::None,
        init: Init::Orthogonal,
        precision: Precision::Float32,
    };
    ActorCritic::new(&config, spec, &mut stream(seed, "network", 0), device)
}

/// Plays an episode and learns from it, again and again.
struct Reinforce<O> {
    env: Box<dyn Env<Obs = O> + Send>,
    learner: ReinforceLearner<O>,
    actions: Rng,
    /// The seed that the environment is reset with before the next episode; without one it continues its random stream.
    env_seed: Option<u64>,
    seed: u64,
    episodes: Episodes,
    steps: u64,
    updates: u64,
    /// While a step is under way, and after one that failed, within an episode: then the environment is not saved.
    in_step: bool,
    metrics: Metrics,
}

impl<O: Observation> Reinforce<O> {
    fn new(
        settings: ReinforceConfig,
        factory: &dyn EnvFactory<Obs = O>,
        seed: u64,
        device: Device,
    ) -> Result<Self, TrainError> {
        let adam = OptimizerConfig::Adam(AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        });
        let env = factory.make(0)?;
        let network = network(&env.spec(), seed, device)?;
        Ok(Self {
            env,
            learner: ReinforceLearner {
                optimizer: Optimizer::new(adam, &network.params().flat()).map_err(AgentError::from)?,
                network,
                settings,
                obs: std::marker::PhantomData,
            },
            actions: stream(seed, "action", 0),
            env_seed: Some(seed),
            seed,
            episodes: Episodes::new(1),
            steps: 0,
            updates: 0,
            in_step: false,
            metrics: Metrics::of(&["loss"]),
        })
    }

    /// An action, and the value of the observation.
    fn choose(&mut self, obs: &[O]) -> Result<(u32, f32), AgentError> {
        let network = &self.learner.network;
        let obs = network.body().input(obs)?;
        let (logits, value) = network.infer(&obs, &[], &mut RecurrentState::default())?;
        let probabilities = Vec::<f32>::try_from(logits.f_softmax(1, Kind::Float)?.f_flatten(0, -1)?)?;
        let action = sample_action(&probabilities, 0.0, &mut self.actions);
        Ok((action, value.f_double_value(&[0])? as f32))
    }

    fn play(&mut self) -> Result<Played<O>, TrainError> {
        let mut played = Played {
            obs: Vec::new(),
            actions: Vec::new(),
            rewards: Vec::new(),
            discounts: Vec::new(),
            final_value: 0.0,
        };
        let mut obs = vec![O::default(); self.env.obs_shape().len()];
        self.env.reset(self.env_seed.take(), &mut obs)?;
        loop {
            let (action, _) = self.choose(&obs)?;
            played.obs.extend_from_slice(&obs);
            played.actions.push(i64::from(action));
            let step = self.env.step(action, &mut obs)?;
            played.rewards.push(step.reward);
            played.discounts.push(step.discount);
            self.episodes.add(0, &step);
            if step.end == End::Truncated {
                (_, played.final_value) = self.choose(&obs)?;
            }
            if step.end.is_over() {
                return Ok(played);
            }
        }
    }
}

impl<O: Observation> Trainer for Reinforce<O> {
    fn resumption(&self) -> Resumption {
        match self.snapshot() {
            Some(_) => Resumption::Exact,
            None => Resumption::NewEpisodes,
        }
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.in_step = true;
        self.episodes.begin();
        self.metrics.clear();
        let played = self.play()?;
        self.steps += played.actions.len() as u64;
        let loss = self.learner.learn(&played)?;
        self.updates += 1;
        self.metrics.record("loss", loss);
        self.in_step = false;
        Ok(Progress {
            frames: self.steps * u64::from(self.env.frames_per_step()),
            steps: self.steps,
            updates: self.updates,
            episodes: self.episodes.finished(),
            metrics: &self.metrics,
            epsilons: &[],
        })
    }
}

impl<O: Observation> Reinforce<O> {
    /// Between two steps no episode is under way, but the environment's random stream is somewhere.
    fn snapshot(&self) -> Option<Vec<u8>> {
        if self.in_step { None } else { self.env.snapshot() }
    }
}

impl<O: Observation> Checkpoint for Reinforce<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.network.save(out.section_mut("network"))?;
        self.learner.optimizer.save(out.section_mut("optimizer"))?;
        out.put("action_stream", &self.actions)?;
        if let Some(snapshot) = self.snapshot() {
            out.put_bytes("env", [snapshot.as_slice()])?;
        }
        out.put("steps", &self.steps)?;
        out.put("updates", &self.updates)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.learner.network.load(from.section("network")?)?;
        self.learner.optimizer.load(from.section("optimizer")?)?;
        self.actions = from.get("action_stream")?;
        self.steps = from.count("steps")?;
        self.updates = from.count("updates")?;
        self.in_step = false;
        self.episodes.interrupt();
        self.env_seed = match from.bytes("env") {
            Ok(snapshot) => {
                let restored = self.env.restore(&snapshot);
                restored.map_err(|error| CheckpointError::Mismatch {
                    name: "env".to_owned(),
                    reason: error.to_string(),
                })?;
                None
            }
            // Other episodes than those of the run's beginning.
            Err(CheckpointError::Missing(_)) if self.steps > 0 => Some(derive_seed(self.seed, "resumed", self.steps)),
            Err(CheckpointError::Missing(_)) => Some(self.seed),
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

impl Algorithm for ReinforceConfig {
    const NAME: &'static str = "reinforce";
    const ABOUT: &'static str = "REINFORCE with a learned baseline (Williams 1992)";

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            // Two layers of 64 see little in pictures.
            Observations::Pixels => vec![],
            Observations::Features => vec![Preset::new("fast", PRESET)],
        }
    }

    fn num_envs(&self) -> usize {
        1
    }

    fn trainer<O: Observation>(
        &self,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        Ok(Box::new(Reinforce::new(*self, factory.as_ref(), run.seed, run.device)?))
    }

    fn policy<O: Observation>(
        &self,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
        // Any weights: those of the checkpoint replace them.
        let mut network = network(spec, 0, device)?;
        network.load(from.section("network")?)?;
        Ok(Box::new(ActorCriticPolicy::new(network, rng)))
    }
}

fn main() -> ExitCode {
    Program::new().algorithm::<ReinforceConfig>().main()
}

#[cfg(test)]
mod tests {
    use coinop::envs::Copies;
    use coinop::envs::classic::CartPole;
    use coinop::envs::wrappers::TimeLimit;

    use super::*;

    fn played(final_value: f32, discounts: [f32; 3]) -> Played<f32> {
        Played {
            obs: Vec::new(),
            actions: Vec::new(),
            rewards: vec![1.0, 2.0, 4.0],
            discounts: discounts.to_vec(),
            final_value,
        }
    }

    #[test]
    fn a_truncated_episode_is_worth_what_its_final_observation_is_and_a_lost_life_nothing_more() {
        assert_eq!(
            played(0.0, [1.0, 1.0, 0.0]).returns(0.5),
            [1.0 + 1.0 + 1.0, 2.0 + 2.0, 4.0]
        );
        assert_eq!(
            played(8.0, [1.0; 3]).returns(0.5),
            [1.0 + 1.0 + 1.0 + 1.0, 2.0 + 2.0 + 2.0, 4.0 + 4.0]
        );
        assert_eq!(played(8.0, [0.0, 1.0, 1.0]).returns(0.5), [1.0, 6.0, 8.0]);
    }

    #[test]
    fn a_run_that_is_resumed_is_the_run_that_was_not() {
        let settings = ReinforceConfig {
            gamma: 0.9,
            learning_rate: 0.001,
        };
        let factory = Copies::of(TimeLimit::new(CartPole::v1(), 30), 200);
        let make = |seed| Reinforce::<f32>::new(settings, &factory, seed, Device::Cpu).expect("a trainer");
        let state = |trainer: &Reinforce<f32>| {
            let mut section = Section::default();
            trainer.save(&mut section).expect("a state");
            section
        };
        let mut whole = make(1);
        let steps = |trainer: &mut Reinforce<f32>, n| (0..n).for_each(|_| assert!(trainer.step().is_ok()));
        steps(&mut whole, 5);
        let mut resumed = make(2);
        resumed.load(&state(&whole)).expect("the state");
        assert_eq!(resumed.resumption(), Resumption::Exact);
        steps(&mut whole, 5);
        steps(&mut resumed, 5);
        assert_eq!(state(&whole).differences(&state(&resumed), &|_| false), [""; 0]);
    }
}
