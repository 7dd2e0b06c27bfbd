//! One environment in which an agent or a person plays, and its picture.

use coinop_agents::{AnyPolicy, Mode, Outputs, Policy, Section};
use coinop_envs::rng::{Rng, stream};
use coinop_envs::{AnyFactory, Elem, Env, EnvFactory, EnvSpec, Step, Viewer};
use rand::RngExt;

use super::picture::{Film, Picture};
use crate::config::Config;
use crate::evaluation::frozen;

/// Who decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// The agent does, but for a share of random actions.
    Agent { mode: Mode, epsilon: f64 },
    /// Somebody else did.
    Action(u32),
}

/// What was done in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) step: Step,
    pub(crate) action: u32,
    /// The probability with which the agent takes this action.
    pub(crate) probability: Option<f32>,
    /// The return that the agent expected.
    pub(crate) value: Option<f32>,
}

/// An environment being played.
pub(crate) trait Play {
    fn spec(&self) -> EnvSpec;

    /// See [`Env::set_viewer`].
    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64>;

    fn action_meanings(&self) -> Vec<String>;

    /// Starts the episode of a seed, which is the same each time.
    fn begin(&mut self, seed: u64) -> anyhow::Result<()>;

    fn step(&mut self, choice: Choice) -> anyhow::Result<Moment>;
}

struct Player<O> {
    env: Box<dyn Env<Obs = O> + Send>,
    /// Makes the agent anew for every episode, so that none depends on those before; `None` without an agent.
    policy_of: Option<PolicyOf<O>>,
    policy: Option<Box<dyn Policy<Obs = O>>>,
    obs: Vec<O>,
    is_first: bool,
    random: Rng,
}

type PolicyOf<O> = Box<dyn Fn(Rng) -> anyhow::Result<Box<dyn Policy<Obs = O>>>>;

impl<O: Elem> Player<O> {
    fn new(factory: &dyn EnvFactory<Obs = O>, policy_of: Option<PolicyOf<O>>) -> anyhow::Result<Self> {
        let env = factory.make(0)?;
        Ok(Self {
            obs: vec![O::default(); env.obs_shape().len()],
            env,
            policy_of,
            policy: None,
            is_first: true,
            random: stream(0, "play epsilon", 0),
        })
    }
}

impl<O: Elem> Play for Player<O> {
    fn spec(&self) -> EnvSpec {
        self.env.spec()
    }

    fn set_viewer(&mut self, viewer: Option<Viewer>) -> Option<f64> {
        self.env.set_viewer(viewer)
    }

    fn action_meanings(&self) -> Vec<String> {
        self.env.action_meanings()
    }

    fn begin(&mut self, seed: u64) -> anyhow::Result<()> {
        if let Some(policy_of) = &self.policy_of {
            self.policy = Some(policy_of(stream(seed, "play", 0))?);
        }
        self.random = stream(seed, "play epsilon", 0);
        self.is_first = true;
        self.env.reset(Some(seed), &mut self.obs)?;
        Ok(())
    }

    fn step(&mut self, choice: Choice) -> anyhow::Result<Moment> {
        let num_actions = self.env.num_actions();
        let (mut action, mut probability, mut value) = ([0], None, None);
        match (choice, &mut self.policy) {
            (Choice::Agent { mode, epsilon }, Some(policy)) => {
                policy.act(&self.obs, &[self.is_first], mode, &mut action)?;
                if epsilon > 0.0 && self.random.random_bool(epsilon) {
                    action = [self.random.random_range(0..num_actions as u32)];
                }
                let of_action = |numbers: &[f32]| numbers.get(action[0] as usize).copied();
                match policy.outputs() {
                    Outputs::Probabilities(numbers) => probability = of_action(numbers),
                    Outputs::Values(numbers) => value = of_action(numbers),
                    _ => {}
                }
                value = policy
                    .state_values()
                    .and_then(|values| values.first().copied())
                    .or(value);
            }
            (Choice::Agent { .. }, None) => {}
            (Choice::Action(chosen), _) => action = [chosen],
        }
        self.is_first = false;
        let step = self.env.step(action[0], &mut self.obs)?;
        Ok(Moment {
            step,
            action: action[0],
            probability,
            value,
        })
    }
}

/// The environment of a run, and the agent of one of its checkpoints.
pub(crate) fn agent(config: &Config, section: Section, device: &str) -> anyhow::Result<Box<dyn Play>> {
    let factory = config.env_info()?.factory(&config.env)?;
    let factory = frozen(factory, section.section("trainer")?)?;
    let (observations, spec) = (factory.observations(), factory.spec());
    let device = coinop_agents::device(device)?;
    let algo = config.algo.clone();
    let policy = move |rng| algo.policy(observations, &spec, section.section("trainer")?, rng, device);
    Ok(match factory {
        AnyFactory::Pixels(factory) => {
            let policy_of: PolicyOf<u8> = Box::new(move |rng| match policy(rng)? {
                AnyPolicy::Pixels(policy) => Ok(policy),
                AnyPolicy::Features(_) => unreachable!("a policy for pixels was asked for"),
            });
            Box::new(Player::new(factory.as_ref(), Some(policy_of))?)
        }
        AnyFactory::Features(factory) => {
            let policy_of: PolicyOf<f32> = Box::new(move |rng| match policy(rng)? {
                AnyPolicy::Features(policy) => Ok(policy),
                AnyPolicy::Pixels(_) => unreachable!("a policy for features was asked for"),
            });
            Box::new(Player::new(factory.as_ref(), Some(policy_of))?)
        }
    })
}

/// An environment without an agent.
pub(crate) fn nobody(factory: &AnyFactory) -> anyhow::Result<Box<dyn Play>> {
    Ok(match factory {
        AnyFactory::Pixels(factory) => Box::new(Player::new(factory.as_ref(), None)?),
        AnyFactory::Features(factory) => Box::new(Player::new(factory.as_ref(), None)?),
    })
}

/// A score as people write it: with two decimals, if it is not a whole number.
pub(crate) fn in_short(score: f64) -> String {
    if score.fract() == 0.0 {
        format!("{score}")
    } else {
        format!("{score:.2}")
    }
}

/// The pictures of one step, and what was done in it.
pub(crate) struct Shot {
    pub(crate) pictures: Vec<Picture>,
    pub(crate) is_last: bool,
}

/// An episode, step by step.
pub(crate) struct Episode<'a> {
    play: &'a mut dyn Play,
    film: Film,
    meanings: Vec<String>,
    pub(crate) score: f64,
    pub(crate) steps: u64,
    /// The last step; `None` at the start.
    last: Option<Moment>,
}

impl<'a> Episode<'a> {
    /// Starts the episode of a seed; its frames go to `film`, whose viewer the environment must have.
    pub(crate) fn begin(play: &'a mut dyn Play, film: &Film, seed: u64) -> anyhow::Result<Self> {
        let _ = film.take();
        play.begin(seed)?;
        Ok(Self {
            meanings: play.action_meanings(),
            play,
            film: film.clone(),
            score: 0.0,
            steps: 0,
            last: None,
        })
    }

    /// The last frame of the reset; earlier ones are not shown.
    pub(crate) fn first(&self) -> Shot {
        let mut pictures = self.film.take();
        pictures.drain(..pictures.len().saturating_sub(1));
        Shot {
            pictures,
            is_last: false,
        }
    }

    pub(crate) fn step(&mut self, choice: Choice) -> anyhow::Result<Shot> {
        let moment = self.play.step(choice)?;
        self.score += f64::from(moment.step.score);
        self.steps += 1;
        self.last = Some(moment);
        Ok(Shot {
            pictures: self.film.take(),
            is_last: moment.step.end.is_over(),
        })
    }

    /// What is written below a picture: score, action, value.
    pub(crate) fn caption(&self) -> String {
        let mut text = format!("score {}", in_short(self.score));
        let Some(last) = self.last else { return text };
        text += &match self.meanings.get(last.action as usize) {
            Some(meaning) => format!("  {meaning:10}"),
            None => format!("  action {:<3}", last.action),
        };
        if let Some(probability) = last.probability {
            text += &format!("  p {probability:.2}");
        }
        if let Some(value) = last.value {
            text += &format!("  value {value:.2}");
        }
        text
    }
}
