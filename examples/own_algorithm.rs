//! An algorithm of one's own: `cargo run --release --example own_algorithm`.
//!
//! REINFORCE with a learned baseline (Williams 1992; Sutton and Barto 2018, section 13.4): play an episode, and make each action more
//! probable by how much more came after it than was expected. Networks, optimiser, losses, accounts of episodes and checkpoints are
//! coinop's; what is here is the algorithm.

use coinop::agents::explore::sample_action;
use coinop::agents::init::Init;
use coinop::agents::losses::{policy_gradient_loss, value_loss};
use coinop::agents::network::{ActorCritic, BodyKind, Core, NetworkConfig, Precision, RecurrentState};
use coinop::agents::optim::{AdamConfig, Optimizer, OptimizerConfig};
use coinop::agents::tch::{Kind, Tensor, no_grad};
use coinop::agents::{
    AgentError, Checkpoint, CheckpointError, Device, Episodes, Learner, Progress, Resumption, Row, Section, TrainError,
    Trainer, process_settings, set_torch_threads,
};
use coinop::envs::Env;
use coinop::envs::classic::CartPole;
use coinop::envs::rng::{Rng, stream};

const GAMMA: f32 = 0.99;
const LEARNING_RATE: f64 = 0.001;

/// An episode: what a [`ReinforceLearner`] learns from.
#[derive(Default)]
struct Played {
    obs: Vec<f32>,
    actions: Vec<i64>,
    rewards: Vec<f32>,
}

impl Played {
    /// The discounted sum of the rewards from each step on.
    fn returns(&self) -> Vec<f32> {
        let mut following = 0.0;
        let mut returns: Vec<f32> = self.rewards.clone();
        for value in returns.iter_mut().rev() {
            following = *value + GAMMA * following;
            *value = following;
        }
        returns
    }
}

/// Turns an episode into better weights.
struct ReinforceLearner {
    network: ActorCritic,
    optimizer: Optimizer,
}

impl Learner for ReinforceLearner {
    type Batch = Played;
    /// The loss.
    type Stats = f64;

    fn learn(&mut self, episode: &Played) -> Result<f64, AgentError> {
        let obs = self.network.body().input(&episode.obs)?;
        let (logits, values) = self.network.forward(&obs, &[], &mut RecurrentState::default())?;
        let actions = Tensor::f_from_slice(&episode.actions)?.f_unsqueeze(1)?;
        let chosen = logits.f_log_softmax(1, Kind::Float)?.f_gather(1, &actions, false)?;
        let returns = Tensor::f_from_slice(&episode.returns())?;
        let advantages = returns.f_sub(&values.f_detach()?)?;
        let loss = policy_gradient_loss(&chosen.f_squeeze_dim(1)?, &advantages)?
            .f_add(&value_loss(&values, &returns)?.f_mul_scalar(0.5)?)?;
        let gradient = self.network.params().gradient(&loss)?;
        self.optimizer
            .step(&mut self.network.params().flat(), &gradient, LEARNING_RATE)?;
        Ok(loss.f_double_value(&[])?)
    }
}

/// Plays an episode and learns from it, again and again.
struct Reinforce<E> {
    env: E,
    learner: ReinforceLearner,
    actions: Rng,
    episodes: Episodes,
    steps: u64,
    updates: u64,
    metrics: Row,
}

impl<E: Env<Obs = f32>> Reinforce<E> {
    fn new(mut env: E, seed: u64) -> Result<Self, TrainError> {
        let config = NetworkConfig {
            body: BodyKind::Mlp,
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        };
        let adam = OptimizerConfig::Adam(AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        });
        let network = ActorCritic::new(&config, &env.spec(), &mut stream(seed, "network", 0), Device::Cpu)?;
        // Seeded once; every episode then begins with `None`.
        env.reset(Some(seed), &mut vec![0.0; env.obs_shape().len()])?;
        Ok(Self {
            env,
            learner: ReinforceLearner {
                optimizer: Optimizer::new(adam, &network.params().flat()).map_err(AgentError::from)?,
                network,
            },
            actions: stream(seed, "action", 0),
            episodes: Episodes::new(1),
            steps: 0,
            updates: 0,
            metrics: Row::of(&["loss"]),
        })
    }

    fn choose(&mut self, obs: &[f32]) -> Result<u32, AgentError> {
        let network = &self.learner.network;
        let obs = network.body().input(obs)?;
        let (logits, _) = no_grad(|| network.forward(&obs, &[], &mut RecurrentState::default()))?;
        let probabilities = Vec::<f32>::try_from(logits.f_softmax(1, Kind::Float)?.f_squeeze()?)?;
        Ok(sample_action(&probabilities, 0.0, &mut self.actions))
    }

    fn play(&mut self) -> Result<Played, TrainError> {
        let mut played = Played::default();
        let mut obs = vec![0.0; self.env.obs_shape().len()];
        self.env.reset(None, &mut obs)?;
        loop {
            let action = self.choose(&obs)?;
            played.obs.extend_from_slice(&obs);
            played.actions.push(i64::from(action));
            let step = self.env.step(action, &mut obs)?;
            played.rewards.push(step.reward);
            self.episodes.add(0, &step);
            if step.end.is_over() {
                return Ok(played);
            }
        }
    }
}

impl<E: Env<Obs = f32>> Trainer for Reinforce<E> {
    /// Between two steps no episode is under way; but where the environment's random stream is, is not saved.
    fn resumption(&self) -> Resumption {
        Resumption::NewEpisodes
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.episodes.begin();
        self.metrics.clear();
        let played = self.play()?;
        self.steps += played.actions.len() as u64;
        let loss = self.learner.learn(&played)?;
        self.updates += 1;
        self.metrics.record("loss", loss);
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

impl<E> Checkpoint for Reinforce<E> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.learner.network.save(out.section_mut("network"))?;
        self.learner.optimizer.save(out.section_mut("optimizer"))?;
        out.put("action_stream", &self.actions)?;
        out.put("steps", &self.steps)?;
        out.put("updates", &self.updates)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.learner.network.load(from.section("network")?)?;
        self.learner.optimizer.load(from.section("optimizer")?)?;
        self.actions = from.get("action_stream")?;
        self.steps = from.get("steps")?;
        self.updates = from.get("updates")?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    process_settings::apply();
    set_torch_threads(1);
    let mut trainer = Reinforce::new(CartPole::v1(), 1)?;
    let mut scores = Vec::new();
    while scores.len() < 1_500 {
        scores.extend(trainer.step()?.episodes.iter().map(|episode| episode.score));
        if scores.len() % 250 == 0 {
            let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
            println!("{:>4} episodes  mean score of the last 100: {mean:.1}", scores.len());
        }
    }
    Ok(())
}
