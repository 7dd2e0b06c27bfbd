//! Playing episodes with a trained agent.
//!
//! The number of episodes per environment is fixed in advance. Counting the first `n` episodes to finish would favour
//! short ones, which are the bad ones in most games.

use anyhow::bail;
use coinop_agents::{AnyPolicy, Mode, Policy, Section, learned_by_envs};
use coinop_envs::rng::stream;
use coinop_envs::{AnyFactory, Elem, EnvFactory, Step, VecEnv};
use rand::RngExt;

use crate::config::Config;

/// The maximum number of parallel environments.
const MAX_ENVS: usize = 32;

/// An episode with more steps is taken for one that never ends. The longest Atari episode has 27,000.
pub(crate) const LONG_STEPS: u64 = 100_000;

/// How to play.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) episodes: usize,
    /// The frames after which it ends, with the episodes that have ended by then.
    pub(crate) frames: u64,
    /// The seed of the environments and of the policy.
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    /// The probability of a random action instead of the policy's.
    pub(crate) epsilon: f64,
    pub(crate) env_threads: usize,
    /// The device of the network.
    pub(crate) device: String,
}

/// The evaluated episodes.
#[derive(Debug, PartialEq)]
pub(crate) struct Played {
    /// The score and agent steps of each episode, by environment and then in order of play.
    pub(crate) episodes: Vec<(f64, u64)>,
    /// The number of frames per agent step.
    pub(crate) frames_per_step: u32,
}

impl Played {
    pub(crate) fn scores(&self) -> Vec<f64> {
        self.episodes.iter().map(|(score, _)| *score).collect()
    }

    /// Emulator frames over all episodes.
    pub(crate) fn frames(&self) -> u64 {
        let steps: u64 = self.episodes.iter().map(|(_, steps)| steps).sum();
        steps * u64::from(self.frames_per_step)
    }
}

/// Plays in the environments of `config` with the policy of a checkpoint. After each step, `watch` receives the
/// number of finished episodes; if it returns `false`, the evaluation is abandoned.
pub(crate) fn evaluate(
    config: &Config,
    from: &Section,
    how: &How,
    watch: &mut dyn FnMut(usize) -> bool,
) -> anyhow::Result<Option<Played>> {
    let factory = config.env_info()?.factory(&config.env)?;
    let device = coinop_agents::device(&how.device)?;
    let rng = stream(how.seed, "evaluation", 0);
    let from = from.section("trainer")?;
    let factory = frozen(factory, from)?;
    let policy = config
        .algo
        .policy(factory.observations(), &factory.spec(), from, rng, device)?;
    match (factory, policy) {
        (AnyFactory::Pixels(factory), AnyPolicy::Pixels(mut policy)) => {
            play_in(policy.as_mut(), how, factory.as_ref(), watch)
        }
        (AnyFactory::Features(factory), AnyPolicy::Features(mut policy)) => {
            play_in(policy.as_mut(), how, factory.as_ref(), watch)
        }
        _ => unreachable!("a policy for the environment's observations was asked for"),
    }
}

/// The environments that the agent was trained in, with what they learned by then.
pub(crate) fn frozen(factory: AnyFactory, from: &Section) -> anyhow::Result<AnyFactory> {
    let Some(learned) = learned_by_envs(from)? else {
        return Ok(factory);
    };
    let frozen = match &factory {
        AnyFactory::Pixels(factory) => factory.frozen(&learned)?.map(AnyFactory::Pixels),
        AnyFactory::Features(factory) => factory.frozen(&learned)?.map(AnyFactory::Features),
    };
    Ok(frozen.unwrap_or(factory))
}

fn play_in<O: Elem>(
    policy: &mut dyn Policy<Obs = O>,
    how: &How,
    factory: &dyn EnvFactory<Obs = O>,
    watch: &mut dyn FnMut(usize) -> bool,
) -> anyhow::Result<Option<Played>> {
    let mut env = factory.make_vec(0, how.episodes.min(MAX_ENVS), how.env_threads)?;
    play(policy, how, env.as_mut(), watch)
}

/// Environment `i` of `n` plays `episodes / n` episodes, or one more if `i < episodes % n`.
fn play<O: Elem>(
    policy: &mut dyn Policy<Obs = O>,
    how: &How,
    env: &mut dyn VecEnv<Obs = O>,
    watch: &mut dyn FnMut(usize) -> bool,
) -> anyhow::Result<Option<Played>> {
    let n = env.num_envs();
    let quota = |i: usize| how.episodes / n + usize::from(i < how.episodes % n);
    let mut obs = vec![O::default(); n * env.spec().obs_shape.len()];
    let mut final_obs = obs.clone();
    let mut actions = vec![0; n];
    let mut is_first = vec![true; n];
    let mut steps = vec![Step::default(); n];
    let mut finished: Vec<Vec<(f64, u64)>> = vec![Vec::new(); n];
    let mut running = vec![(0.0, 0); n];
    let mut rng = stream(how.seed, "evaluation epsilon", 0);
    let num_actions = env.spec().num_actions as u32;
    env.reset(Some(how.seed), &mut obs)?;
    let most = how.frames / u64::from(env.spec().frames_per_step) / n as u64;
    let mut played = 0;
    while played < most && (0..n).any(|i| finished[i].len() < quota(i)) {
        played += 1;
        policy.act(&obs, &is_first, how.mode, &mut actions)?;
        if how.epsilon > 0.0 {
            for action in &mut actions {
                if rng.random_bool(how.epsilon) {
                    *action = rng.random_range(0..num_actions);
                }
            }
        }
        env.step(&actions, &mut obs, &mut final_obs, &mut steps)?;
        for (i, step) in steps.iter().enumerate() {
            running[i].0 += f64::from(step.score);
            running[i].1 += 1;
            is_first[i] = step.end.is_over();
            if running[i].1 >= LONG_STEPS && !is_first[i] && finished[i].len() < quota(i) {
                bail!(
                    "an episode of environment {i} has not ended after {LONG_STEPS} steps, so that there is no score: wrap the environment in \
                     `TimeLimit`"
                );
            }
            if is_first[i] {
                let episode = std::mem::take(&mut running[i]);
                if finished[i].len() < quota(i) {
                    finished[i].push(episode);
                }
            }
        }
        if !watch(finished.iter().map(Vec::len).sum()) {
            return Ok(None);
        }
    }
    if finished.iter().all(Vec::is_empty) {
        bail!(
            "no episode ended within {} frames over {n} environments: give more",
            how.frames
        );
    }
    Ok(Some(Played {
        episodes: finished.concat(),
        frames_per_step: env.spec().frames_per_step,
    }))
}

/// Mean, standard deviation, minimum and maximum.
pub(crate) fn statistics(scores: &[f64]) -> (f64, f64, f64, f64) {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n;
    let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (mean, variance.sqrt(), min, max)
}

#[cfg(test)]
mod tests {
    use coinop_agents::AgentError;
    use coinop_envs::vec_env::Serial;
    use coinop_envs::{End, Env, EnvError, Shape};

    use super::*;

    /// Its episodes score their length, which depends on the environment's seed and on how many came before.
    struct Lengths {
        length: u64,
        step: u64,
    }

    impl Env for Lengths {
        type Obs = u8;

        fn obs_shape(&self) -> Shape {
            Shape::new(&[1])
        }

        fn num_actions(&self) -> usize {
            2
        }

        fn reset(&mut self, seed: Option<u64>, _obs: &mut [u8]) -> Result<(), EnvError> {
            self.length = seed.map_or(self.length * 2, |seed| 1 + seed % 4);
            self.step = 0;
            Ok(())
        }

        fn step(&mut self, _action: u32, _obs: &mut [u8]) -> Result<Step, EnvError> {
            self.step += 1;
            Ok(if self.step == self.length {
                Step::truncated(1.0)
            } else {
                Step::going_on(1.0)
            })
        }
    }

    struct Still;

    impl Policy for Still {
        type Obs = u8;

        fn act(&mut self, _obs: &[u8], _begins: &[bool], _mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
            actions.fill(0);
            Ok(())
        }
    }

    #[test]
    fn every_environment_plays_its_share_however_long_its_episodes_are() {
        let first: Vec<f64> = (0..3)
            .map(|i| 1.0 + (coinop_envs::rng::derive_seed(5, "env", i) % 4) as f64)
            .collect();
        let mut env = Serial::new((0..3).map(|_| Lengths { length: 0, step: 0 }).collect());
        let how = How {
            episodes: 7,
            frames: u64::MAX,
            seed: 5,
            mode: Mode::Sample,
            epsilon: 0.0,
            env_threads: 1,
            device: "cpu".to_owned(),
        };
        let mut seen = Vec::new();
        let mut watch = |played| {
            seen.push(played);
            true
        };
        let played = play(&mut Still, &how, &mut env, &mut watch).unwrap().unwrap();
        // 7 = 3 + 2 + 2, and each episode of an environment is twice as long as the one before.
        let [a, b, c] = [first[0], first[1], first[2]];
        let lengths = [a, 2.0 * a, 4.0 * a, b, 2.0 * b, c, 2.0 * c];
        assert_eq!(played.episodes, lengths.map(|length| (length, length as u64)));
        assert_eq!(played.frames() as f64, lengths.iter().sum::<f64>());
        assert!(seen.is_sorted() && seen.last() == Some(&7));
        assert_eq!(play(&mut Still, &how, &mut env, &mut |_| false).unwrap(), None);
    }

    #[test]
    fn a_number_of_frames_ends_an_evaluation_with_the_episodes_so_far() {
        let how = |frames| How {
            episodes: usize::MAX,
            frames,
            seed: 5,
            mode: Mode::Sample,
            epsilon: 0.0,
            env_threads: 1,
            device: "cpu".to_owned(),
        };
        // Episodes of 100 steps in two environments.
        let play = |frames| {
            let mut env = Serial::new((0..2).map(|_| Actions(0)).collect());
            play(&mut Still, &how(frames), &mut env, &mut |_| true)
        };
        let episodes = |frames| play(frames).unwrap().unwrap().episodes;
        assert_eq!(episodes(200), [(0.0, 100); 2]);
        assert_eq!(episodes(599), [(0.0, 100); 4]);
        let error = play(199).unwrap_err().to_string();
        assert_eq!(
            error,
            "no episode ended within 199 frames over 2 environments: give more"
        );
    }

    /// Its episodes have 100 steps, each of which scores its action.
    struct Actions(u32);

    impl Env for Actions {
        type Obs = u8;

        fn obs_shape(&self) -> Shape {
            Shape::new(&[1])
        }

        fn num_actions(&self) -> usize {
            2
        }

        fn reset(&mut self, _seed: Option<u64>, _obs: &mut [u8]) -> Result<(), EnvError> {
            self.0 = 0;
            Ok(())
        }

        fn step(&mut self, action: u32, _obs: &mut [u8]) -> Result<Step, EnvError> {
            self.0 += 1;
            let end = if self.0 == 100 { End::Terminated } else { End::No };
            let score = action as f32;
            Ok(Step {
                score,
                end,
                ..Step::default()
            })
        }
    }

    #[test]
    fn an_epsilon_replaces_actions_by_random_ones() {
        let scores = |epsilon, seed| {
            let mut env = Serial::new((0..4).map(|_| Actions(0)).collect());
            let how = How {
                episodes: 16,
                frames: u64::MAX,
                seed,
                mode: Mode::Greedy,
                epsilon,
                env_threads: 1,
                device: "cpu".to_owned(),
            };
            play(&mut Still, &how, &mut env, &mut |_| true)
                .unwrap()
                .unwrap()
                .scores()
        };
        assert_eq!(scores(0.0, 1), [0.0; 16]);
        // Half of the random half of 1,600 actions: 400, give or take 17.
        let sum: f64 = scores(0.5, 1).iter().sum();
        assert!((330.0..470.0).contains(&sum), "{sum}");
        assert_eq!(scores(0.5, 1), scores(0.5, 1));
        assert_ne!(scores(0.5, 1), scores(0.5, 2));
    }

    #[test]
    fn the_deviation_is_that_of_the_scores_themselves() {
        assert_eq!(
            statistics(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]),
            (5.0, 2.0, 2.0, 9.0)
        );
        assert_eq!(statistics(&[-21.0]), (-21.0, 0.0, -21.0, -21.0));
    }

    #[test]
    fn environments_of_an_evaluation_know_what_those_of_the_training_had_learned() {
        use std::sync::Arc;

        use coinop_agents::algorithm::{Algorithm, RunSettings};
        use coinop_agents::ppo::PpoConfig;
        use coinop_envs::FromFn;
        use coinop_envs::classic::CartPole;
        use coinop_envs::normalize::NormalizeObservation;

        let carts = || Arc::new(NormalizeObservation::new(FromFn::new(|| Ok(CartPole::v1())).unwrap()));
        let mut trainer = PpoConfig::classic()
            .trainer(carts(), &RunSettings::new(1_000, 1))
            .unwrap();
        trainer.step().unwrap();
        // Even if all that is left is what a milestone keeps.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        coinop_agents::checkpoint::write(&path, |section| trainer.save(section)).unwrap();
        coinop_agents::checkpoint::strip(&path).unwrap();
        let section = coinop_agents::checkpoint::read(&path).unwrap();
        let first = |factory: AnyFactory| {
            let mut obs = [0.0; 4];
            let mut env = factory.features("cartpole").unwrap().make(0).unwrap();
            env.reset(Some(1), &mut obs).unwrap();
            obs
        };
        // The mean of one observation is itself.
        assert_eq!(first(AnyFactory::Features(carts())), [0.0; 4]);
        let known = first(frozen(AnyFactory::Features(carts()), &section).unwrap());
        assert!(known.iter().all(|number| *number != 0.0), "{known:?}");
    }
}
