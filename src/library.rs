//! Training, evaluating and acting from a program of your own, without the command line.
//!
//! ```no_run
//! use coinop::TrainConfig;
//! use coinop::agents::ppo::PpoConfig;
//!
//! let mut config = TrainConfig::new("cartpole", PpoConfig::classic())?;
//! config.frames = 100_000;
//! let report = coinop::train(&config, "runs/mine")?;
//! println!("{:?} over the last episodes", report.mean_score);
//!
//! println!("{:.1} over 30 episodes", coinop::evaluate("runs/mine", 30)?.mean());
//!
//! let mut agent = coinop::load("runs/mine")?;
//! let action = agent.act(&[0.0f32, 0.0, 0.05, 0.0])?;
//! # let _ = action;
//! # Ok::<(), coinop::Error>(())
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use bytemuck::cast_slice;
use coinop_agents::algorithm::{Algorithm, AnyAlgorithm};
use coinop_agents::network::Observation;
use coinop_agents::{AgentError, AnyPolicy, Mode, Outputs, Policy};
use coinop_envs::rng::stream;
use coinop_envs::{AnyFactory, EnvFactory, EnvSpec, Observations};

use crate::algo::{self, Algo};
use crate::commands::eval::last_checkpoint;
use crate::commands::train::new_trainer;
use crate::config::{Config, KeyError, Setting, threads_or_cores};
use crate::evaluation::{How, evaluate as play, frozen, statistics};
use crate::output;
use crate::run::Run;
use crate::run::dir::RunDir;
use crate::signals::StopRequest;

/// Why training, evaluating or loading failed, in one line.
#[derive(Debug)]
pub struct Error(anyhow::Error);

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// What to train: an environment, the settings of an algorithm, and how long.
///
/// ```
/// use coinop::TrainConfig;
/// use coinop::agents::double_dqn::DoubleDqnConfig;
///
/// let mut config = TrainConfig::new("bricks", DoubleDqnConfig::fast())?;
/// (config.frames, config.seed) = (2_000_000, 7);
/// // Everything that `coinop train --set` takes.
/// config.set("run.eval_episodes=20")?;
/// # Ok::<(), coinop::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainConfig {
    /// The environment's name, perhaps with options: `pong@mode=1`. [`coinop_envs::registry::register`] adds your own.
    pub env: String,
    /// The algorithm and its settings.
    pub algorithm: AnyAlgorithm,
    /// Emulator frames to train for, over all environments.
    pub frames: u64,
    /// The seed of every random stream.
    pub seed: u64,
    /// The number of threads that step environments; 0 for as many as there are cores.
    pub env_threads: usize,
    /// The number of libtorch threads; 0 for as many as there are cores.
    pub torch_threads: usize,
    /// The device of the network: `cpu`, `cuda` or `cuda:1`.
    pub device: String,
    settings: Vec<Setting>,
}

impl TrainConfig {
    /// Settings for an environment by name, with the seed and the number of frames of the algorithm's default preset.
    ///
    /// # Errors
    ///
    /// If there is no such environment, or the algorithm cannot learn from its observations.
    pub fn new<A: Algorithm>(env: &str, algorithm: A) -> Result<Self, Error> {
        if Algo::find(A::NAME).is_err() {
            algo::register::<A>().map_err(|error| Error(anyhow!(error)))?;
        }
        let algorithm = AnyAlgorithm::new(algorithm);
        let preset = Config::for_algorithm(env, &algorithm).map_err(Error)?;
        Ok(Self {
            env: env.to_owned(),
            algorithm,
            frames: preset.run.frames,
            seed: preset.run.seed,
            env_threads: preset.run.env_threads,
            torch_threads: preset.run.torch_threads,
            device: preset.run.device,
            settings: Vec::new(),
        })
    }

    /// Adds a setting as the command line writes it, `key=value`. Settings are applied in order when training starts,
    /// after the fields.
    ///
    /// # Errors
    ///
    /// If it is not of the form `key=value`.
    pub fn set(&mut self, setting: &str) -> Result<(), Error> {
        self.settings
            .push(setting.parse().map_err(|error: KeyError| Error(error.into()))?);
        Ok(())
    }

    fn resolved(&self) -> anyhow::Result<Config> {
        let mut config = Config::for_algorithm(&self.env, &self.algorithm)?;
        let run = &mut config.run;
        (run.frames, run.seed) = (self.frames, self.seed);
        (run.env_threads, run.torch_threads) = (self.env_threads, self.torch_threads);
        run.device.clone_from(&self.device);
        config.with(&self.settings)?.for_this_machine()
    }
}

/// The result of [`train`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The run folder.
    pub run: PathBuf,
    /// Emulator frames played.
    pub frames: u64,
    /// The number of episodes that ended.
    pub episodes: u64,
    /// The mean score of the last 100 episodes; `None` if none ended.
    pub mean_score: Option<f64>,
}

/// Trains a new agent to its end, into a new run folder, which `coinop eval`, `plot` and `train --resume` take, too.
///
/// It prints nothing and listens to no signals. Events go to the [`tracing`] subscriber of the program.
/// [`process_settings::apply`](crate::process_settings::apply), called first in `main`, makes training faster.
///
/// # Errors
///
/// If a setting is wrong, the folder exists, an environment fails, or training diverges.
pub fn train(config: &TrainConfig, run: impl AsRef<Path>) -> Result<Report, Error> {
    let _quiet = output::silence();
    train_in(config, run.as_ref()).map_err(Error)
}

fn train_in(config: &TrainConfig, path: &Path) -> anyhow::Result<Report> {
    let config = config.resolved()?;
    let trainer = new_trainer(&config)?;
    let mut run = Run::create(config, trainer, RunDir::create(path)?)?;
    let summary = run.play(u64::MAX, &StopRequest::default())?;
    Ok(Report {
        run: run.dir.path().to_owned(),
        frames: summary.frames,
        episodes: summary.scores.episodes(),
        mean_score: summary.scores.mean(),
    })
}

/// The scores of evaluated episodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The score of each episode.
    pub scores: Vec<f64>,
}

impl Evaluation {
    /// The mean score.
    #[must_use]
    pub fn mean(&self) -> f64 {
        statistics(&self.scores).0
    }

    /// The population standard deviation of the scores.
    #[must_use]
    pub fn std(&self) -> f64 {
        statistics(&self.scores).1
    }
}

/// Plays episodes with the agent of a run's last checkpoint, as `coinop eval` does: with actions that are sampled from
/// the policy, in the environment of the run.
///
/// # Errors
///
/// If the run has no checkpoint, it does not match, or an environment fails.
pub fn evaluate(run: impl AsRef<Path>, episodes: usize) -> Result<Evaluation, Error> {
    let _quiet = output::silence();
    evaluate_in(run.as_ref(), episodes).map_err(Error)
}

fn evaluate_in(run: &Path, episodes: usize) -> anyhow::Result<Evaluation> {
    if episodes == 0 {
        bail!("at least 1 episode must be played");
    }
    let (config, section) = last_checkpoint(run)?;
    let how = How {
        episodes,
        frames: u64::MAX,
        seed: 0,
        mode: Mode::Sample,
        epsilon: 0.0,
        env_threads: threads_or_cores(0),
        device: config.run.device.clone(),
    };
    let played = play(&config, &section, &how, &mut |_| true)?;
    let scores = played.map(|played| played.scores()).unwrap_or_default();
    Ok(Evaluation { scores })
}

/// Loads the agent of a run's last checkpoint.
///
/// # Errors
///
/// If the run has no checkpoint, or it does not match.
pub fn load(run: impl AsRef<Path>) -> Result<Agent, Error> {
    let _quiet = output::silence();
    load_from(run.as_ref()).map_err(Error)
}

fn load_from(run: &Path) -> anyhow::Result<Agent> {
    let (config, section) = last_checkpoint(run)?;
    let from = section.section("trainer")?;
    let factory = frozen(config.env_info()?.factory(&config.env)?, from)?;
    let (spec, rng) = (factory.spec(), stream(0, "agent", 0));
    let device = coinop_agents::device(&config.run.device)?;
    let policy = config.algo.policy(factory.observations(), &spec, from, rng, device)?;
    let player = match (policy, factory) {
        (AnyPolicy::Pixels(policy), AnyFactory::Pixels(factory)) => AnyPlayer::Pixels(Player::new(policy, factory)),
        (AnyPolicy::Features(policy), AnyFactory::Features(factory)) => {
            AnyPlayer::Features(Player::new(policy, factory))
        }
        _ => unreachable!("a policy for the environment's observations was asked for"),
    };
    Ok(Agent {
        player,
        spec,
        mode: Mode::Sample,
        is_first: true,
    })
}

/// A trained agent that acts in one environment.
///
/// For many environments at a time, take its [`policy`](Self::policy).
pub struct Agent {
    player: AnyPlayer,
    spec: EnvSpec,
    mode: Mode,
    /// Whether the next observation starts an episode.
    is_first: bool,
}

enum AnyPlayer {
    Pixels(Player<u8>),
    Features(Player<f32>),
}

/// A policy, and the environments that it was trained in.
struct Player<O> {
    policy: Box<dyn Policy<Obs = O>>,
    factory: Arc<dyn EnvFactory<Obs = O>>,
    /// The observation as those environments would show it.
    seen: Vec<O>,
}

impl<O: Observation> Player<O> {
    fn new(policy: Box<dyn Policy<Obs = O>>, factory: Arc<dyn EnvFactory<Obs = O>>) -> Self {
        let seen = vec![O::default(); factory.spec().obs_shape.len()];
        Self { policy, factory, seen }
    }

    fn act(&mut self, obs: &[O], is_first: bool, mode: Mode) -> Result<u32, AgentError> {
        self.seen.copy_from_slice(obs);
        self.factory.observe(&mut self.seen);
        let mut action = [0];
        self.policy.act(&self.seen, &[is_first], mode, &mut action)?;
        Ok(action[0])
    }
}

impl Agent {
    /// Chooses an action. The observation is that of the environment itself: if the agent was trained on normalised ones
    /// (`normalize_observations`), it is normalised first. The first observation starts an episode; call [`begin`](Self::begin) before that of the next
    /// one.
    ///
    /// # Errors
    ///
    /// If the observation is not of the kind and size that the agent was trained on, or the network fails.
    pub fn act<O: Observation>(&mut self, obs: &[O]) -> Result<u32, Error> {
        if obs.len() != self.spec.obs_shape.len() {
            return Err(Error(anyhow!(
                "an observation of {} numbers: the agent was trained on observations of shape {}",
                obs.len(),
                self.spec.obs_shape
            )));
        }
        let (mode, is_first) = (self.mode, self.is_first);
        let action = match (&mut self.player, O::OBSERVATIONS) {
            (AnyPlayer::Pixels(player), Observations::Pixels) => player.act(cast_slice(obs), is_first, mode),
            (AnyPlayer::Features(player), Observations::Features) => player.act(cast_slice(obs), is_first, mode),
            (_, kind) => return Err(Error(anyhow!("the agent was not trained on {}", kind.name()))),
        };
        let action = action.map_err(|error| Error(error.into()))?;
        self.is_first = false;
        Ok(action)
    }

    /// Declares that the next observation starts an episode, which resets a recurrent network.
    pub fn begin(&mut self) {
        self.is_first = true;
    }

    /// Chooses how to act: [`Mode::Sample`], the default, or [`Mode::Greedy`].
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// The action probabilities or values that led to the last action.
    #[must_use]
    pub fn outputs(&self) -> Outputs<'_> {
        match &self.player {
            AnyPlayer::Pixels(player) => player.policy.outputs(),
            AnyPlayer::Features(player) => player.policy.outputs(),
        }
    }

    /// The constants of the environment that it was trained in.
    #[must_use]
    pub fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// The policy, which acts in several environments at a time. It takes observations as the environments of the run show
    /// them: normalised, if the agent was trained so.
    #[must_use]
    pub fn policy(self) -> AnyPolicy {
        match self.player {
            AnyPlayer::Pixels(player) => AnyPolicy::Pixels(player.policy),
            AnyPlayer::Features(player) => AnyPolicy::Features(player.policy),
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Agent")
            .field("spec", &self.spec)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use coinop_agents::ppo::PpoConfig;

    use super::*;

    #[test]
    fn a_program_trains_evaluates_and_acts_without_a_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut config = TrainConfig::new("cartpole", PpoConfig::classic()).unwrap();
        (config.frames, config.torch_threads) = (600, 1);
        for setting in ["eval_frames=0", "num_envs=4", "rollout_steps=32", "minibatches=4"] {
            config.set(setting).unwrap();
        }
        let report = train(&config, &run).unwrap();
        // Five rollouts of four environments and 32 steps.
        assert_eq!((&report.run, report.frames), (&run, 640));
        assert!(report.episodes > 5 && report.mean_score.unwrap() >= 8.0, "{report:?}");
        let error = train(&config, &run).unwrap_err().to_string();
        assert!(error.contains("exists"), "{error}");

        let evaluation = evaluate(&run, 3).unwrap();
        assert!(evaluation.scores.len() == 3 && evaluation.mean() >= 8.0 && evaluation.std() >= 0.0);
        assert!(evaluate(&run, 0).is_err());

        let mut agent = load(&run).unwrap();
        let AnyPlayer::Features(player) = &agent.player else {
            panic!("features");
        };
        // The preset normalises observations.
        let mut obs = [0.2; 4];
        player.factory.observe(&mut obs);
        assert!(obs.iter().all(|number| *number != 0.2), "{obs:?}");
        agent.set_mode(Mode::Greedy);
        let actions = [0.2f32, -0.2].map(|angle| agent.act(&[0.0, 0.0, angle, 0.0]).unwrap());
        assert!(actions.iter().all(|action| *action < 2));
        let Outputs::Probabilities(probabilities) = agent.outputs() else {
            panic!("{:?}", agent.outputs());
        };
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(agent.spec().num_actions, 2);
        assert_eq!(
            agent.act(&[0u8; 4]).unwrap_err().to_string(),
            "the agent was not trained on pixels"
        );
        assert_eq!(
            agent.act(&[0.0f32; 5]).unwrap_err().to_string(),
            "an observation of 5 numbers: the agent was trained on observations of shape 4"
        );
    }

    #[test]
    fn a_wrong_setting_is_an_error_that_names_it() {
        assert!(
            TrainConfig::new("cartpole", PpoConfig::classic())
                .unwrap()
                .set("gamma")
                .is_err()
        );
        let error = TrainConfig::new("carpole", PpoConfig::classic())
            .unwrap_err()
            .to_string();
        assert!(error.contains("cartpole"), "{error}");
        let mut config = TrainConfig::new(
            "cartpole",
            PpoConfig {
                gamma: 2.0,
                ..PpoConfig::classic()
            },
        );
        assert_eq!(
            config.unwrap_err().to_string(),
            "ppo.gamma = 2: it must be between 0 and 1"
        );
        config = TrainConfig::new("cartpole", PpoConfig::classic());
        let mut config = config.unwrap();
        config.set("gama=0.9").unwrap();
        let error = train(&config, "never").unwrap_err().to_string();
        assert_eq!(error, "there is no setting `gama`; did you mean `ppo.gamma`?");
    }
}
