//! A3C on small environments.

use std::sync::Arc;

use coinop_envs::rng::{derive_seed, stream};
use coinop_envs::wrappers::TimeLimit;
use coinop_envs::{Copies, End, Env, EnvFactory, Mixed};
use tch::{Device, Kind, Tensor, no_grad};

use super::trainer::A3c;
use super::*;
use crate::algorithm::RunSettings;
use crate::explore::{EpsilonConfig, Epsilons, sample_action};
use crate::init::Init;
use crate::network::{ActorCritic, BodyKind, Core, NetworkConfig, Observation, Precision, RecurrentState};
use crate::schedule::Schedule;
use crate::shared::{SharedOptimizerConfig, SharedRmsPropConfig};
use crate::test_help::{breaks, name_the_bit, name_the_half, of, remember_the_bit, run, small_convolutions, state};
use crate::{Algorithm, Checkpoint, Mode, Resumption, Section, Trainer};

const RMS_PROP: SharedRmsPropConfig = SharedRmsPropConfig {
    decay: 0.99,
    epsilon: 1e-3,
    initial_mean_square: 0.0,
};

pub(super) fn config() -> A3cConfig {
    A3cConfig {
        workers: 3,
        locked: false,
        center_pixels: false,
        rollout_steps: 5,
        gamma: 0.9,
        gae_lambda: 1.0,
        learning_rate: Schedule::over_run(0.005, 0.0),
        max_learning_rate: None,
        entropy_weight: 0.01,
        value_weight: 0.5,
        max_grad_norm: Some(40.0),
        network: NetworkConfig {
            body: BodyKind::Mlp,
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        optimizer: SharedOptimizerConfig::RmsProp(RMS_PROP),
        epsilon: EpsilonConfig::Uniform {
            low: 0.0,
            high: 0.1,
            resample_frames: 400,
        },
    }
}

fn made<O: Observation>(config: &A3cConfig, factory: &dyn EnvFactory<Obs = O>, frames: u64, seed: u64) -> A3c<O> {
    super::trainer::trainer(config, factory, &RunSettings::new(frames, seed)).unwrap()
}

fn trainer(config: &A3cConfig, seed: u64) -> A3c<f32> {
    made(config, of(name_the_bit()).as_ref(), 20_000, seed)
}

#[test]
fn workers_learn_to_name_the_bit_with_and_without_a_lock() {
    for locked in [false, true] {
        let config = A3cConfig { locked, ..config() };
        let mut trainer = trainer(&config, 1);
        let scores = run(&mut trainer, 1_500);
        let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
        // Epsilon costs .05 · 2/3 of the ten points on average.
        assert!(mean > 9.0, "{mean}");
        let progress = trainer.step().unwrap();
        assert_eq!(progress.steps, 5 * 1_501);
        assert!(progress.updates >= 1_501);
        assert!(progress.epsilons.len() == 3 && progress.epsilons.iter().all(|epsilon| *epsilon <= 0.1));
        let rng = stream(1, "evaluation", 0);
        let spec = of(name_the_bit()).spec();
        let mut policy = config.policy::<f32>(&spec, &state(&trainer), rng, Device::Cpu).unwrap();
        let (obs, mut actions) = ([1.0, 0.0, 0.0, 1.0], [9; 2]);
        policy.act(&obs, &[true; 2], Mode::Greedy, &mut actions).unwrap();
        assert_eq!(actions, [1, 0]);
    }
}

#[test]
fn both_kinds_of_networks_learn_from_pixels() {
    for core in [Core::None, Core::Lstm] {
        let mut config = config();
        config.network.body = small_convolutions();
        config.network.core = core;
        config.learning_rate = Schedule::over_run(0.001, 0.0);
        let factory = name_the_half();
        let mut trainer = made::<u8>(&config, factory.as_ref(), 10_000, 1);
        let scores = run(&mut trainer, 600);
        let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
        assert!(mean > 8.5, "{core:?}: {mean}");
    }
}

/// The means of pixels in a checkpoint.
fn center(section: &Section) -> Option<Vec<f32>> {
    let network = section.section("learner").unwrap().section("network").unwrap();
    let center = network.tensor("center").ok()?;
    Some(Vec::try_from(center.flatten(0, -1)).unwrap())
}

/// The number of updates in a checkpoint.
fn updates(section: &Section) -> u64 {
    let learner = section.section("learner").unwrap();
    learner.section("optimizer").unwrap().get("updates").unwrap()
}

#[test]
fn workers_subtract_the_same_means_of_pixels_and_learn_from_then_on() {
    let mut config = A3cConfig {
        center_pixels: true,
        learning_rate: Schedule::over_run(0.001, 0.0),
        ..config()
    };
    config.network.body = small_convolutions();
    let factory = name_the_half();
    let mut trainer = made::<u8>(&config, factory.as_ref(), 10_000, 1);
    let first = trainer.step().unwrap();
    assert_eq!((first.steps, first.updates), (5, 0));
    run(&mut trainer, 20);
    let early = state(&trainer);
    assert_eq!(center(&early), None);
    let scores = run(&mut trainer, 600);
    // Workers without the means would see other pictures than those who changed the weights.
    let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
    assert!(mean > 8.5, "{mean}");
    let late = state(&trainer);
    let means = center(&late).unwrap();
    assert!(means.iter().all(|mean| (0.0..=255.0).contains(mean)));
    let steps: u64 = late.get("steps").unwrap();
    // 256 observations are 52 rollouts, and the other two workers may have been in another one.
    let not_learned = steps / 5 - updates(&late);
    assert!((52..=54).contains(&not_learned), "{not_learned} of {steps} steps");

    // All workers of a restored trainer have them at once, and lose them with a checkpoint from before.
    let mut restored = made::<u8>(&config, factory.as_ref(), 10_000, 2);
    for (section, expected) in [(&late, Some(&means)), (&early, None)] {
        restored.load(section).unwrap();
        let again = state(&restored);
        assert_eq!(center(&again).as_ref(), expected);
        assert_eq!(section.differences(&again, &|_| false), [""; 0]);
        run(&mut restored, 10);
        assert_eq!(updates(&state(&restored)) > updates(section), expected.is_some());
    }

    // Without the setting, weights are still used with the means that they were learned with.
    let plain = A3cConfig {
        center_pixels: false,
        ..config
    };
    let mut continued = made::<u8>(&plain, factory.as_ref(), 10_000, 3);
    continued.load_weights(&late).unwrap();
    let scores = run(&mut continued, 100);
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!(mean > 8.5, "{mean}");
}

/// One worker as the paper's algorithm S3 says, in plain numbers: its weights after some rollouts.
fn reference<E: Env<Obs = f32>>(
    config: &A3cConfig,
    mut env: E,
    seed: u64,
    total_frames: u64,
    rollouts: usize,
) -> Vec<f32> {
    let obs_len = env.obs_shape().len();
    let num_actions = env.num_actions() as f64;
    let mut network_stream = stream(seed, "network", 0);
    let network = ActorCritic::new(&config.network, &env.spec(), &mut network_stream, Device::Cpu).unwrap();
    let mut weights = Vec::<f32>::try_from(network.params().flat()).unwrap();
    let mut mean_square = vec![0.0f32; weights.len()];
    let mut epsilons = Epsilons::new(config.epsilon.clone(), 1, seed);
    let mut actions = stream(seed, "action", 0);
    let mut obs = vec![0.0f32; obs_len];
    env.reset(Some(derive_seed(seed, "env", 0)), &mut obs).unwrap();
    let answer = |obs: &[f32]| {
        let (logits, value) = no_grad(|| {
            network
                .forward(
                    &Tensor::from_slice(obs).unsqueeze(0),
                    &[],
                    &mut RecurrentState::default(),
                )
                .unwrap()
        });
        let probabilities = Vec::<f32>::try_from(logits.softmax(1, Kind::Float).squeeze()).unwrap();
        (probabilities, value.double_value(&[0]) as f32)
    };
    let (mut frames, mut clipped) = (0, 0);
    for _ in 0..rollouts {
        let rate = config.learning_rate.start() * (1.0 - frames as f64 / total_frames as f64);
        epsilons.resample(frames);
        network.params().take(&weights).unwrap();
        let epsilon = epsilons.current()[0];
        let (mut seen, mut done, mut rewards) = (vec![], vec![], vec![]);
        // "until terminal s_t or t - t_start == t_max"; then R is 0 for terminal s_t, else V(s_t).
        let mut following = loop {
            let action = sample_action(&answer(&obs).0, epsilon, &mut actions);
            seen.extend_from_slice(&obs);
            done.push(i64::from(action));
            let step = env.step(action, &mut obs).unwrap();
            rewards.push(step.reward);
            let value = if step.end == End::Terminated {
                0.0
            } else {
                answer(&obs).1
            };
            if step.end.is_over() {
                env.reset(None, &mut obs).unwrap();
            }
            if step.end.is_over() || rewards.len() == config.rollout_steps {
                break value;
            }
        };
        let mut returns = vec![0.0f32; rewards.len()];
        for (i, reward) in rewards.iter().enumerate().rev() {
            following = reward + config.gamma as f32 * following;
            returns[i] = following;
        }
        let (logits, values) = network
            .forward(
                &Tensor::from_slice(&seen).reshape([-1, obs_len as i64]),
                &[],
                &mut RecurrentState::default(),
            )
            .unwrap();
        let policy = logits.softmax(1, Kind::Float);
        let mixture = &policy * (1.0 - f64::from(epsilon)) + f64::from(epsilon) / num_actions;
        let chosen = mixture
            .gather(1, &Tensor::from_slice(&done).unsqueeze(1), false)
            .squeeze_dim(1);
        let errors = Tensor::from_slice(&returns) - values;
        let entropy = -(&policy * policy.log()).sum(Kind::Float);
        let loss = -(chosen.log() * errors.detach()).sum(Kind::Float) - config.entropy_weight * entropy
            + config.value_weight * errors.square().sum(Kind::Float);
        let gradient = Vec::<f32>::try_from(network.params().gradient(&loss).unwrap()).unwrap();
        let norm = gradient.iter().map(|d| d * d).sum::<f32>().sqrt();
        let scale = (config.max_grad_norm.unwrap() as f32 / norm).min(1.0);
        clipped += usize::from(scale < 1.0);
        let (decay, root) = (RMS_PROP.decay as f32, RMS_PROP.epsilon as f32);
        for ((weight, square), d) in weights.iter_mut().zip(&mut mean_square).zip(gradient) {
            let d = scale * d;
            *square = decay * *square + (1.0 - decay) * d * d;
            *weight -= rate as f32 * d / (*square + root).sqrt();
        }
        frames += rewards.len() as u64;
    }
    assert!(clipped > 0, "some gradients of this test are to be clipped");
    weights
}

#[test]
fn one_worker_is_the_algorithm_of_the_paper_step_by_step() {
    // Episodes of the one have ten steps and are truncated, of the other three and are terminated.
    compare(&name_the_bit(), 40.0);
    compare(&remember_the_bit(), 1.0);
}

fn compare<E: Env<Obs = f32> + Clone + Send + Sync + 'static>(env: &E, max_grad_norm: f64) {
    let config = A3cConfig {
        workers: 1,
        locked: true,
        max_grad_norm: Some(max_grad_norm),
        ..config()
    };
    let mut trainer = made(&config, of(env.clone()).as_ref(), 4_000, 7);
    let mut restored = made(&config, of(env.clone()).as_ref(), 4_000, 8);
    for _ in 0..60 {
        trainer.step().unwrap();
    }
    // The worker may be some rollouts ahead of what was taken in.
    let section = state(&trainer);
    let optimizer = section.section("learner").unwrap().section("optimizer").unwrap();
    let played = optimizer.get::<usize>("updates").unwrap();
    restored.load(&section).unwrap();
    let spec = of(env.clone()).spec();
    let mut network = ActorCritic::new(&config.network, &spec, &mut stream(0, "x", 0), Device::Cpu).unwrap();
    network
        .load(section.section("learner").unwrap().section("network").unwrap())
        .unwrap();
    let weights = Vec::<f32>::try_from(network.params().flat()).unwrap();
    let expected = reference(&config, env.clone(), 7, 4_000, played);
    let furthest = weights
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(played >= 60 && furthest < 1e-4, "{furthest} after {played} rollouts");
    assert_ne!(weights, reference(&config, env.clone(), 7, 4_000, played - 1));
}

#[test]
fn a_rollout_ends_with_its_episode() {
    // t_max is 5, and an episode has three steps.
    let mut trainer = made(&config(), of(remember_the_bit()).as_ref(), 4_000, 1);
    for rollouts in 1..=40 {
        let progress = trainer.step().unwrap();
        assert_eq!((progress.steps, progress.episodes.len()), (3 * rollouts, 1));
        assert_eq!(progress.episodes[0].steps, 3);
    }
}

#[test]
fn a_rollout_that_failed_leaves_no_episode_to_go_on() {
    let config = A3cConfig { workers: 1, ..config() };
    // The environment breaks in its 7th step, in the second rollout of five.
    let make = || made(&config, of(breaks(7, false)).as_ref(), 4_000, 1);
    let mut trainer = make();
    trainer.step().unwrap();
    let error = trainer.step().map(drop).unwrap_err().to_string();
    assert_eq!(error, "environment 0: the cable was cut");
    assert_eq!(trainer.resumption(), Resumption::NewEpisodes);
    let section = state(&trainer);
    assert!(!section.section("worker_0").unwrap().has_section("envs"));
    assert_eq!(section.get::<u64>("steps").unwrap(), 5);
    let mut restored = make();
    restored.load(&section).unwrap();
    assert_eq!(restored.step().unwrap().steps, 10);
}

#[test]
fn each_worker_has_the_environment_of_its_number() {
    // The kinds differ in the lengths of their episodes.
    let kind =
        |steps| -> Arc<dyn EnvFactory<Obs = f32>> { Arc::new(Copies::of(TimeLimit::new(name_the_bit(), steps), 100)) };
    let mixed = Mixed::of(vec![kind(2), kind(7)]).unwrap();
    let config = A3cConfig { workers: 4, ..config() };
    let mut trainer = made(&config, &mixed, 4_000, 1);
    let mut heard = [0; 4];
    while heard.iter().any(|episodes| *episodes < 3) {
        for episode in trainer.step().unwrap().episodes {
            assert_eq!(episode.steps, [2, 7][episode.actor % 2], "actor {}", episode.actor);
            heard[episode.actor] += 1;
        }
    }
}

#[test]
fn a_restored_trainer_has_the_weights_statistics_streams_and_counters_of_the_saved_one() {
    let mut saved = trainer(&config(), 1);
    run(&mut saved, 100);
    let section = state(&saved);
    let mut restored = trainer(&config(), 2);
    run(&mut restored, 10);
    restored.load(&section).unwrap();
    assert_eq!(section.differences(&state(&restored), &|_| false), [""; 0]);
    assert_eq!(restored.step().unwrap().steps, section.get::<u64>("steps").unwrap() + 5);
}

#[test]
fn a_worker_that_dies_stops_the_run_with_its_number_and_cause_and_what_was_learned_can_be_saved() {
    for (panics, text) in [
        (false, "the cable was cut"),
        (true, "its step() panicked: a panic that a test wants (step 50)"),
    ] {
        let factory = of(breaks(50, panics));
        let mut trainer = made(&config(), factory.as_ref(), 4_000, 1);
        let error = loop {
            if let Err(error) = trainer.step() {
                break error.to_string();
            }
        };
        assert!(error.starts_with("environment ") && error.ends_with(text), "{error}");
        let section = state(&trainer);
        assert!(updates(&section) > 0);
    }
}

#[test]
fn a_learning_rate_is_drawn_log_uniformly_where_it_has_a_range() {
    let config = A3cConfig {
        learning_rate: Schedule::over_run(1e-4, 0.0),
        max_learning_rate: Some(1e-2),
        ..config()
    };
    let rates: Vec<f64> = (0..2_000)
        .map(|seed| config.drawn_learning_rate(seed).start())
        .collect();
    assert!(rates.iter().all(|rate| (1e-4..=1e-2).contains(rate)));
    // Half of them lie below the geometric mean, within five standard deviations.
    let low = rates.iter().filter(|rate| **rate < 1e-3).count();
    assert!(low.abs_diff(1_000) < 112, "{low}");
}

#[test]
fn an_invalid_value_is_named_with_the_reason() {
    config().validate().unwrap();
    type Spoil = fn(&mut A3cConfig);
    let cases: [(Spoil, &str); 5] = [
        (|c| c.workers = 0, "workers = 0: it must be between 1 and 1024"),
        (
            |c| c.rollout_steps = 0,
            "rollout_steps = 0: it must be between 1 and 10000",
        ),
        (
            |c| c.max_learning_rate = Some(1e-9),
            "max_learning_rate = 0.000000001: it must be at least learning_rate",
        ),
        (
            |c| {
                c.optimizer = SharedOptimizerConfig::RmsProp(SharedRmsPropConfig { decay: 1.0, ..RMS_PROP });
            },
            "optimizer.decay = 1: it must be at least 0 and below 1",
        ),
        (
            |c| c.max_grad_norm = Some(f64::NAN),
            "max_grad_norm = NaN: it must be a number above 0, at most 1e30",
        ),
    ];
    for (spoil, text) in cases {
        let mut config = config();
        spoil(&mut config);
        assert_eq!(config.validate().unwrap_err().to_string(), text);
    }
}

#[test]
fn an_lstm_learns_what_has_to_be_remembered() {
    let mut config = config();
    config.network.core = Core::Lstm;
    let factory = of(remember_the_bit());
    let mut trainer = made(&config, factory.as_ref(), 40_000, 1);
    let scores = run(&mut trainer, 1_500);
    // Who does not remember guesses: half of the points. Epsilon is .05 on average, and half of its actions are wrong.
    let mean = scores[scores.len() - 200..].iter().sum::<f64>() / 200.0;
    assert!(mean > 0.9, "{mean}");
}
