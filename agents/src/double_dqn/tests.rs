//! Double-DQN on small environments.

use std::sync::Arc;

use coinop_envs::rng::stream;
use coinop_envs::wrappers::TimeLimit;
use coinop_envs::{End, Env, EnvError, EnvFactory, Mixed, Shape, Step};
use tch::{Device, Tensor};

use super::*;
use crate::algorithm::RunSettings;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::network::{BodyKind, Core, Distribution, Head, Layers, NetworkConfig, Norm, Precision, QNetwork};
use crate::optim::{AdamConfig, OptimizerConfig};
use crate::replay::{Normalize, SamplerConfig, Store};
use crate::schedule::Schedule;
use crate::test_help::{
    assert_a_failed_step_saves_no_episode, assert_continues_exactly, breaks, envs, name_the_bit, name_the_half, of,
    on_disk, remember_the_bit, run, small_convolutions, state,
};
use crate::{Algorithm, Checkpoint, Learner, Mode, Resumption, Trainer};

fn config() -> DoubleDqnConfig {
    DoubleDqnConfig {
        num_envs: 8,
        asynchronous: false,
        center_pixels: false,
        capacity: 2_000,
        store: Store::Raw,
        learning_starts: 200,
        batch_size: 32,
        steps_per_update: 8,
        target_frames: 200,
        double: true,
        n_step: 1,
        gamma: 0.5,
        error_clip: Some(1.0),
        distribution: None,
        munchausen: None,
        noisy: None,
        max_grad_norm: Some(10.0),
        learning_rate: 0.003.into(),
        eval_epsilon: 0.0,
        network: NetworkConfig {
            body: BodyKind::Mlp,
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        head: Head::Plain,
        sampler: SamplerConfig::Uniform,
        optimizer: OptimizerConfig::Adam(AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        }),
        epsilon: EpsilonConfig::Uniform {
            low: 0.0,
            high: 0.1,
            resample_frames: 400,
        },
    }
}

/// A bit is worth at most 2: `1 + 0.5 + 0.25 + …`.
const C51: Distribution = Distribution::C51 {
    atoms: 11,
    low: 0.0,
    high: 2.0,
};
const QUANTILE: Distribution = Distribution::Quantile { quantiles: 8 };

const IQN: Distribution = Distribution::Iqn {
    cosines: 8,
    samples: 6,
    target_samples: 5,
    policy_samples: 4,
};

/// The paper's.
const MUNCHAUSEN: Munchausen = Munchausen {
    alpha: 0.9,
    temperature: 0.03,
    low: -1.0,
};

/// All of its parts.
fn rainbow() -> DoubleDqnConfig {
    DoubleDqnConfig {
        noisy: Some(0.5),
        epsilon: EpsilonConfig::Fixed { value: 0.0 },
        distribution: Some(C51),
        head: Head::Dueling,
        sampler: SamplerConfig::PROPORTIONAL,
        n_step: 3,
        ..config()
    }
}

/// All that it has, with layers for features.
fn btr() -> DoubleDqnConfig {
    let layers = Layers {
        hidden: vec![32, 32, 32],
        norm: Norm::Spectral,
        dropout: Some(0.05),
        ..Layers::default()
    };
    DoubleDqnConfig {
        noisy: Some(0.5),
        distribution: Some(IQN),
        munchausen: Some(MUNCHAUSEN),
        double: false,
        head: Head::Dueling,
        sampler: SamplerConfig::PROPORTIONAL,
        n_step: 3,
        network: NetworkConfig {
            body: BodyKind::Layers(layers),
            ..config().network
        },
        ..config()
    }
}

fn run_of(env_threads: usize, seed: u64) -> RunSettings {
    let mut run = RunSettings::new(4_000, seed);
    run.env_threads = env_threads;
    run
}

fn with(
    config: &DoubleDqnConfig,
    factory: Arc<dyn EnvFactory<Obs = f32>>,
    threads: usize,
    seed: u64,
) -> DoubleDqn<f32> {
    DoubleDqn::new(config, factory, &run_of(threads, seed)).unwrap()
}

/// In eight environments where a bit is named.
fn trainer(config: &DoubleDqnConfig, seed: u64) -> DoubleDqn<f32> {
    with(config, of(name_the_bit()), 1, seed)
}

#[test]
fn each_variant_learns_to_name_the_bit() {
    let rank_based = SamplerConfig::RankBased {
        alpha: 0.7,
        beta: Schedule::over_run(0.5, 1.0),
        normalize: Normalize::Memory,
    };
    let variants = [
        DoubleDqnConfig {
            double: false,
            ..config()
        },
        DoubleDqnConfig {
            head: Head::Dueling,
            sampler: rank_based,
            ..config()
        },
        DoubleDqnConfig {
            n_step: 3,
            sampler: SamplerConfig::PROPORTIONAL,
            store: Store::Compressed,
            ..config()
        },
        DoubleDqnConfig {
            distribution: Some(C51),
            sampler: SamplerConfig::PROPORTIONAL,
            ..config()
        },
        DoubleDqnConfig {
            distribution: Some(QUANTILE),
            head: Head::Dueling,
            ..config()
        },
        DoubleDqnConfig {
            distribution: Some(IQN),
            ..config()
        },
        rainbow(),
        btr(),
        DoubleDqnConfig {
            noisy: Some(0.5),
            epsilon: EpsilonConfig::Fixed { value: 0.0 },
            ..config()
        },
        DoubleDqnConfig {
            munchausen: Some(MUNCHAUSEN),
            double: false,
            n_step: 3,
            ..config()
        },
        DoubleDqnConfig {
            munchausen: Some(MUNCHAUSEN),
            double: false,
            distribution: Some(QUANTILE),
            ..config()
        },
    ];
    for config in variants {
        let mut trainer = trainer(&config, 1);
        let scores = run(&mut trainer, 600);
        let mean = scores[scores.len() - 80..].iter().sum::<f64>() / 80.0;
        // Epsilon costs .05 · 2/3 of the ten points on average.
        assert!(mean > 9.0, "{mean} with {config:?}");
        let (obs, mut actions) = ([1.0, 0.0, 0.0, 1.0], [9; 2]);
        let rng = stream(1, "evaluation", 0);
        let mut policy = config
            .policy::<f32>(&envs().spec(), &state(&trainer), rng, Device::Cpu)
            .unwrap();
        policy.act(&obs, &[true; 2], Mode::Sample, &mut actions).unwrap();
        assert_eq!(actions, [1, 0]);
    }
}

/// Every step pays 1 and ends the episode.
#[derive(Clone)]
struct OneStep {
    end: End,
}

impl Env for OneStep {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1])
    }

    fn num_actions(&self) -> usize {
        2
    }

    fn reset(&mut self, _seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(1.0);
        Ok(())
    }

    fn step(&mut self, _action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        obs.fill(1.0);
        Ok(match self.end {
            End::Truncated => Step::truncated(1.0),
            _ => Step::terminated(1.0),
        })
    }
}

#[test]
fn the_value_of_an_episode_continues_where_it_was_truncated_and_stops_where_it_was_terminated() {
    // With gamma 1/2: 1 + 1/2 + 1/4 + … = 2, and 1.
    for (end, expected) in [(End::Truncated, 2.0), (End::Terminated, 1.0)] {
        let mut trainer = with(&config(), of(OneStep { end }), 1, 1);
        run(&mut trainer, 1_000);
        let value = trainer.step().unwrap().metrics.mean("mean_value").unwrap();
        assert!((value - expected).abs() < 0.05, "{value} instead of {expected}");
    }
}

#[test]
fn a_seed_gives_the_same_run_with_any_number_of_threads_and_another_seed_another() {
    let config = DoubleDqnConfig {
        sampler: SamplerConfig::PROPORTIONAL,
        ..config()
    };
    let after = |threads, seed| {
        let mut trainer = with(&config, of(name_the_bit()), threads, seed);
        run(&mut trainer, 100);
        on_disk(&trainer)
    };
    let first = after(1, 3);
    assert!(first == after(3, 3));
    assert!(first != after(1, 4));
}

#[test]
fn a_restored_trainer_continues_as_the_saved_one() {
    let config = DoubleDqnConfig {
        steps_per_update: 12,
        ..config()
    };
    let samplers = [
        SamplerConfig::Uniform,
        SamplerConfig::PROPORTIONAL,
        SamplerConfig::Proportional {
            alpha: 0.6,
            beta: Schedule::Linear {
                from: 0.4,
                to: 1.0,
                frames: Some(2_000),
            },
            priority_epsilon: 0.01,
            normalize: Normalize::Batch,
        },
        SamplerConfig::RankBased {
            alpha: 0.7,
            beta: Schedule::Linear {
                from: 0.5,
                to: 1.0,
                frames: Some(2_000),
            },
            normalize: Normalize::Memory,
        },
    ];
    for (i, sampler) in samplers.into_iter().enumerate() {
        let config = DoubleDqnConfig {
            sampler,
            // Of these, steps are given up for others; and the sum of three rewards is not in the memory's last entries.
            capacity: 800,
            n_step: 1 + 2 * (i % 2),
            ..config.clone()
        };
        assert_continues_exactly(|seed| trainer(&config, seed), 151, 100);
        // In the middle of filling the memory, and before the first step.
        assert_continues_exactly(|seed| trainer(&config, seed), 3, 40);
        for store in [Store::Raw, Store::Compressed] {
            let config = DoubleDqnConfig {
                store,
                center_pixels: store == Store::Compressed,
                network: NetworkConfig {
                    body: BodyKind::A3c,
                    ..config.network
                },
                ..config.clone()
            };
            let pixels = |seed| DoubleDqn::<u8>::new(&config, name_the_half(), &run_of(2, seed)).unwrap();
            assert_continues_exactly(pixels, 41, 20);
        }
    }
}

#[test]
fn environments_without_snapshots_begin_new_episodes_and_the_memory_knows() {
    let make = |seed| with(&config(), of(remember_the_bit()), 1, seed);
    let mut saved = make(1);
    run(&mut saved, 101);
    assert_eq!(saved.resumption(), Resumption::NewEpisodes);
    let mut restored = make(1);
    restored.load(&state(&saved)).unwrap();
    let updates = saved.step().unwrap().updates;
    assert_eq!(restored.step().unwrap().updates, updates);
    // After three steps each, all have ended an episode.
    let episodes: usize = (0..2).map(|_| restored.step().unwrap().episodes.len()).sum();
    assert_eq!(episodes, 8);
}

#[test]
fn actors_act_at_random_until_learning_starts_and_then_with_their_epsilons_and_updates_are_as_many_as_they_should_be() {
    let mut trainer = trainer(&config(), 1);
    for step in 1..=100u64 {
        let progress = trainer.step().unwrap();
        assert_eq!(progress.frames, 8 * step);
        let begun = progress.frames > 200;
        assert_eq!(progress.epsilons.iter().all(|epsilon| *epsilon == 1.0), !begun);
        assert!(!begun || progress.epsilons.iter().all(|epsilon| *epsilon <= 0.1));
        // One for each eight steps from the moment that the memory has the 200th.
        assert_eq!(progress.updates, step.saturating_sub(24));
        let names: Vec<&str> = progress.metrics.means().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "loss",
                "mean_value",
                "mean_error",
                "grad_norm",
                "beta",
                "replay_steps",
                "replay_megabytes"
            ]
        );
    }
}

fn learner(config: &DoubleDqnConfig) -> DoubleDqnLearner {
    let network = || {
        let spec = envs().spec();
        let mut rng = stream(5, "network", 0);
        QNetwork::with_head(&config.network, config.q_head(), &spec, &mut rng, Device::Cpu).unwrap()
    };
    DoubleDqnLearner::new(config, network(), network()).unwrap()
}

fn batch(returns: &[f32], discount: f32) -> DoubleDqnBatch {
    let n = returns.len() as i64;
    let float = (tch::Kind::Float, Device::Cpu);
    DoubleDqnBatch {
        obs: Tensor::from_slice(&[1.0f32, 0.0]).repeat([n, 1]),
        actions: Tensor::zeros([n], (tch::Kind::Int64, Device::Cpu)),
        returns: Tensor::from_slice(returns),
        discounts: Tensor::full([n], f64::from(discount), float),
        next_obs: Tensor::from_slice(&[0.0f32, 1.0]).repeat([n, 1]),
        weights: Tensor::ones([n], float),
        learning_rate: 0.003,
    }
}

#[test]
fn the_target_is_that_of_the_target_network_until_it_is_copied() {
    let mut learner = learner(&config());
    let value = |learner: &DoubleDqnLearner, obs: [f32; 2]| {
        let values = learner
            .network()
            .forward(&Tensor::from_slice(&obs).unsqueeze(0))
            .unwrap();
        Vec::<f32>::try_from(values.squeeze()).unwrap()
    };
    let largest = |values: &[f32]| values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let before = value(&learner, [0.0, 1.0]);
    let error = |learner: &mut DoubleDqnLearner| {
        let now = value(learner, [1.0, 0.0])[0];
        learner.learn(&batch(&[3.0], 0.5)).unwrap().errors[0] + now
    };
    // Network and target network are the same at first: 3 + max Q(s')/2.
    assert!((error(&mut learner) - (3.0 + 0.5 * largest(&before))).abs() < 1e-6);
    for _ in 0..50 {
        learner.learn(&batch(&[3.0], 0.5)).unwrap();
    }
    // The network has moved, and selects; the target network, which has not, says the value.
    let now = value(&learner, [0.0, 1.0]);
    assert_ne!(now, before);
    let selected = now.iter().position(|value| *value == largest(&now)).unwrap();
    assert!((error(&mut learner) - (3.0 + 0.5 * before[selected])).abs() < 1e-6);
    learner.update_target().unwrap();
    let now = value(&learner, [0.0, 1.0]);
    assert!((error(&mut learner) - (3.0 + 0.5 * largest(&now))).abs() < 1e-6);
}

#[test]
fn an_error_that_is_not_a_number_stops_training_before_it_reaches_the_weights() {
    let mut learner = learner(&config());
    learner.learn(&batch(&[1.0, 2.0], 0.5)).unwrap();
    let before = on_disk(&learner);
    for bad in [f32::NAN, f32::INFINITY] {
        let error = learner.learn(&batch(&[1.0, bad], 0.5)).unwrap_err().to_string();
        assert!(
            error.starts_with("the error of a transition is ") && error.contains(" after 1 updates: training diverged"),
            "{error}"
        );
    }
    assert!(on_disk(&learner) == before);
}

#[test]
fn an_invalid_value_is_named_with_the_reason() {
    config().validate().unwrap();
    type Spoil = fn(&mut DoubleDqnConfig);
    let cases: [(Spoil, &str); 8] = [
        (|c| c.num_envs = 0, "num_envs = 0: it must be between 1 and 10000"),
        (|c| c.capacity = 31, "capacity = 31: it must be at least batch_size"),
        (
            |c| c.n_step = 250,
            "capacity = 2000 for 8 environments and n_step = 250: each environment's share of the capacity must be more than n_step and a \
             stack of frames",
        ),
        (
            |c| c.steps_per_update = 0,
            "steps_per_update = 0: it must be at least 1",
        ),
        (|c| c.target_frames = 0, "target_frames = 0: it must be at least 1"),
        (
            |c| c.eval_epsilon = 1.5,
            "eval_epsilon = 1.5: it must be between 0 and 1",
        ),
        (
            |c| c.network.core = Core::Lstm,
            "network.core = lstm: action values come from feed-forward networks: it must be none",
        ),
        (
            |c| c.error_clip = Some(f64::NAN),
            "error_clip = NaN: it must be a number above 0, at most 1e30",
        ),
    ];
    for (spoil, text) in cases {
        let mut config = config();
        spoil(&mut config);
        assert_eq!(config.validate().unwrap_err().to_string(), text);
    }
    let features = DoubleDqnConfig {
        center_pixels: true,
        ..config()
    };
    assert_eq!(
        DoubleDqn::new(&features, of(name_the_bit()), &run_of(1, 1))
            .err()
            .unwrap()
            .to_string(),
        "center_pixels = true: observations are not pixels: it must be false"
    );
}

fn asynchronous() -> DoubleDqnConfig {
    DoubleDqnConfig {
        asynchronous: true,
        ..config()
    }
}

#[test]
fn actors_in_threads_learn_to_name_the_bit_with_as_many_updates_as_configured() {
    let mut trainer = with(&asynchronous(), of(name_the_bit()), 3, 1);
    let mut scores = Vec::new();
    let mut epsilons = Vec::new();
    for _ in 0..1_800 {
        let progress = trainer.step().unwrap();
        scores.extend(progress.episodes.iter().map(|episode| episode.score));
        epsilons = progress.epsilons.to_vec();
        // Whichever side is faster, there is an update every eight steps from about the 200th on.
        let due = progress.steps.saturating_sub(200) / 8;
        assert!(
            progress.updates.abs_diff(due) <= 2,
            "{} after {} steps",
            progress.updates,
            progress.steps
        );
    }
    let mean = scores[scores.len() - 80..].iter().sum::<f64>() / 80.0;
    assert!(mean > 9.0, "{mean}");
    assert!(
        epsilons.len() == 8 && epsilons.iter().all(|epsilon| *epsilon <= 0.1),
        "{epsilons:?}"
    );
    // A restored one continues, with more threads or fewer.
    let mut restored = with(&asynchronous(), of(name_the_bit()), 2, 2);
    let saved = state(&trainer);
    restored.load(&saved).unwrap();
    assert_eq!(state(&restored).differences(&saved, &|_| false), [""; 0]);
    // Every episode has ten steps, whichever thread plays it.
    let lengths = (0..100).flat_map(|_| restored.step().unwrap().episodes.to_vec());
    assert!(lengths.map(|episode| episode.steps).all(|steps| steps == 10));
    run(&mut trainer, 100);
    let again = state(&trainer);
    assert!(!again.differences(&saved, &|_| false).is_empty());
}

#[test]
fn both_networks_subtract_the_means_of_the_first_batch() {
    for asynchronous in [false, true] {
        let config = DoubleDqnConfig {
            asynchronous,
            center_pixels: true,
            network: NetworkConfig {
                body: small_convolutions(),
                ..config().network
            },
            ..config()
        };
        let mut trainer = DoubleDqn::<u8>::new(&config, name_the_half(), &run_of(2, 1)).unwrap();
        let center = |trainer: &DoubleDqn<u8>, network| {
            let section = state(trainer);
            let network = section.section("learner").unwrap().section(network).unwrap();
            network.tensor("center").ok().map(Tensor::copy)
        };
        while trainer.step().unwrap().updates == 0 {
            assert_eq!(center(&trainer, "network"), None);
        }
        let first = center(&trainer, "network").unwrap();
        assert_eq!(first.size(), [1, 1, 36, 36]);
        // One half is white, either about as often.
        let [left, right] = [0, 35].map(|column| first.double_value(&[0, 0, 7, column]));
        assert!(
            (left + right - 255.0).abs() < 1e-3 && (50.0..205.0).contains(&left),
            "{left}"
        );
        let scores = run(&mut trainer, 1_800);
        let mean = scores[scores.len() - 80..].iter().sum::<f64>() / 80.0;
        assert!(mean > 8.5, "asynchronous = {asynchronous}: {mean}");
        for network in ["network", "target"] {
            assert_eq!(center(&trainer, network).unwrap(), first, "{network}");
        }
    }
}

#[test]
fn an_actor_that_dies_stops_the_run_with_its_error_and_what_was_learned_can_be_saved() {
    // The smallest of three threads has two actors, and so sends 98 transitions before its error, however late the others come.
    let config = DoubleDqnConfig {
        learning_starts: 50,
        ..asynchronous()
    };
    for (panics, text) in [
        (false, "the cable was cut"),
        (true, "its step() panicked: a panic that a test wants (step 50)"),
    ] {
        let mut trainer = with(&config, of(breaks(50, panics)), 3, 1);
        let error = loop {
            if let Err(error) = trainer.step() {
                break error.to_string();
            }
        };
        assert!(error.contains(text), "{error}");
        let section = state(&trainer);
        assert!(section.section("learner").unwrap().get::<u64>("updates").unwrap() > 0);
        assert!(!section.has_section("envs"));
        assert_eq!(trainer.resumption(), Resumption::NewEpisodes);
    }
}

#[test]
fn a_step_that_failed_leaves_no_episode_to_go_on() {
    let config = DoubleDqnConfig {
        num_envs: 2,
        learning_starts: 4,
        batch_size: 2,
        steps_per_update: 2,
        ..config()
    };
    assert_a_failed_step_saves_no_episode(|| with(&config, of(breaks(7, false)), 1, 1), 7);
}

#[test]
fn each_actor_has_the_environment_of_its_number_in_turns_and_in_threads() {
    let kind = |steps| of(TimeLimit::new(name_the_bit(), steps));
    for config in [config(), asynchronous()] {
        let mixed = Arc::new(Mixed::of(vec![kind(2), kind(7)]).unwrap());
        // Three threads; the second begins with an odd number.
        let mut trainer = with(&config, mixed, 3, 1);
        let mut heard = [0; 8];
        while heard.iter().any(|episodes| *episodes < 3) {
            for episode in trainer.step().unwrap().episodes {
                assert_eq!(episode.steps, [2, 7][episode.actor % 2], "actor {}", episode.actor);
                heard[episode.actor] += 1;
            }
        }
    }
}

#[test]
fn distributions_of_returns_are_learned_and_their_errors_vanish() {
    for distribution in [C51, QUANTILE, IQN] {
        let config = DoubleDqnConfig {
            distribution: Some(distribution),
            ..config()
        };
        let mut learner = learner(&config);
        // One return of 0.6, again and again, which is that of an atom.
        let first = learner.learn(&batch(&[0.6; 4], 0.0)).unwrap();
        for _ in 0..600 {
            learner.learn(&batch(&[0.6; 4], 0.0)).unwrap();
        }
        let last = learner.learn(&batch(&[0.6; 4], 0.0)).unwrap();
        assert!((last.mean_value - 0.6).abs() < 0.02, "{last:?}");
        assert!(
            first.errors[0].abs() > 0.2 && last.errors[0].abs() < 0.05,
            "{first:?} {last:?}"
        );
        let obs = Tensor::from_slice2(&[[1.0f32, 0.0]]);
        let outputs = learner.network().infer_distributions(&obs).unwrap();
        assert_eq!(outputs.size(), [1, 3, distribution.outputs() as i64]);
        let values = learner.network().infer(&obs).unwrap();
        assert!((values.double_value(&[0, 0]) - 0.6).abs() < 0.02);
    }
}

#[test]
fn quantiles_of_two_returns_are_their_quantiles() {
    let config = DoubleDqnConfig {
        distribution: Some(QUANTILE),
        error_clip: None,
        ..config()
    };
    let mut learner = learner(&config);
    for _ in 0..3_000 {
        let mut batch = batch(&[1.0, 1.0, 1.0, 3.0], 0.0);
        batch.learning_rate = 0.001;
        learner.learn(&batch).unwrap();
    }
    let obs = Tensor::from_slice2(&[[1.0f32, 0.0]]);
    let outputs = learner.network().infer_distributions(&obs).unwrap();
    let found = Vec::<f32>::try_from(outputs.get(0).get(0)).unwrap();
    // Three quarters are 1: the quantiles at 1/16, 3/16, … 11/16. The others, at 13/16 and 15/16, are 3.
    for (i, quantile) in found.iter().enumerate() {
        let expected = if i < 6 { 1.0 } else { 3.0 };
        assert!((quantile - expected).abs() < 0.1, "{i}: {quantile} in {found:?}");
    }
}

#[test]
fn a_restored_trainer_of_distributions_continues_as_the_saved_one() {
    for distribution in [C51, QUANTILE, IQN] {
        let config = DoubleDqnConfig {
            distribution: Some(distribution),
            sampler: SamplerConfig::PROPORTIONAL,
            ..config()
        };
        assert_continues_exactly(|seed| trainer(&config, seed), 60, 20);
    }
    for config in [rainbow(), btr()] {
        assert_continues_exactly(|seed| trainer(&config, seed), 60, 20);
    }
}

#[test]
fn the_network_of_btr_has_the_papers_parameters_and_a_vector_for_each_spectral_norm() {
    let (config, spec) = (
        DoubleDqnConfig::btr(),
        coinop_envs::EnvSpec::new(Shape::new(&[4, 84, 84]), 6),
    );
    let network = super::trainer::network(&config, &spec, 1, Device::Cpu).unwrap();
    let conv = |inputs: usize, outputs: usize| (inputs * 9 + 1) * outputs;
    // Sections of 32, 64 and 64 channels, of which four convolutions each have a vector.
    let section = |inputs: usize, outputs: usize| conv(inputs, outputs) + 4 * (conv(outputs, outputs) + outputs);
    // Pooled to 6x6 pixels; cosines of fractions; two streams, with deviations.
    let features = 64 * 6 * 6;
    let streams = (features + 1) * 512 * 2 + 513 + 513 * 6;
    let expected = section(4, 32) + section(32, 64) + section(64, 64) + 65 * features + 2 * streams;
    assert_eq!(network.params().numel(), expected);
}

#[test]
fn invalid_distributions_are_refused() {
    let with = |distribution, head| DoubleDqnConfig {
        distribution: Some(distribution),
        head,
        ..config()
    };
    let c51 = |atoms, low, high| Distribution::C51 { atoms, low, high };
    let cases = [
        (
            with(c51(1, 0.0, 1.0), Head::Plain),
            "distribution.atoms = 1: it must be at least 2",
        ),
        (
            with(c51(5, 1.0, 1.0), Head::Plain),
            "distribution.low = 1: it must be below distribution.high",
        ),
        (
            with(c51(5, f64::NAN, 1.0), Head::Plain),
            "distribution.low = NaN: it must be below distribution.high",
        ),
        (
            with(Distribution::Quantile { quantiles: 0 }, Head::Plain),
            "distribution.quantiles = 0: it must be between 1 and 10000",
        ),
        (
            DoubleDqnConfig {
                munchausen: Some(MUNCHAUSEN),
                ..config()
            },
            "double = true: munchausen averages over all next actions: it must be false",
        ),
        (
            DoubleDqnConfig {
                munchausen: Some(MUNCHAUSEN),
                double: false,
                ..with(C51, Head::Plain)
            },
            "distribution.kind = c51: munchausen has no targets for it: it must be quantile or iqn, or left out",
        ),
        (
            with(QUANTILE, Head::SharedBias),
            "head = shared_bias: distributions and noisy layers share no bias: it must be plain or dueling",
        ),
    ];
    for (config, text) in cases {
        assert_eq!(config.validate().unwrap_err().to_string(), text);
    }
}

#[test]
fn the_target_of_munchausen_has_the_log_policy_and_the_entropy() {
    let config = DoubleDqnConfig {
        munchausen: Some(MUNCHAUSEN),
        double: false,
        ..config()
    };
    let mut learner = learner(&config);
    let values = |obs: [f32; 2]| {
        let values = learner.network().infer(&Tensor::from_slice(&obs).unsqueeze(0)).unwrap();
        Vec::<f32>::try_from(values.squeeze()).unwrap()
    };
    let (now, next) = (values([1.0, 0.0]), values([0.0, 1.0]));
    let soft = |values: &[f32]| {
        let sum: f64 = values.iter().map(|value| (f64::from(*value) / 0.03).exp()).sum();
        0.03 * sum.ln()
    };
    // tau log pi(a|s) = q(s, a) - tau ln sum exp(q / tau).
    let bonus = 0.9 * (f64::from(now[0]) - soft(&now)).max(-1.0);
    let expected = 3.0 + bonus + 0.5 * soft(&next) - f64::from(now[0]);
    let found = learner.learn(&batch(&[3.0], 0.5)).unwrap().errors[0];
    assert!(
        (f64::from(found) - expected).abs() < 1e-5,
        "{found} instead of {expected}"
    );
}

#[test]
fn noise_is_that_of_factors_and_none_in_an_agent_that_is_loaded() {
    let config = DoubleDqnConfig {
        noisy: Some(0.5),
        network: NetworkConfig {
            body: BodyKind::layers_of(&[], &[4]),
            ..config().network
        },
        ..config()
    };
    let spec = envs().spec();
    let make = || {
        let mut rng = stream(1, "network", 0);
        QNetwork::with_head(&config.network, config.q_head(), &spec, &mut rng, Device::Cpu).unwrap()
    };
    let obs = Tensor::from_slice2(&[[1.0f32, 0.0]]);
    let values = |network: &QNetwork| Vec::<f32>::try_from(network.infer(&obs).unwrap().squeeze()).unwrap();
    let (mut network, silent) = (make(), make());
    // 2·4 + 4 and 4·3 + 3 means, and as many deviations.
    assert_eq!(network.params().numel(), 2 * (12 + 15));
    assert_eq!(values(&network), values(&silent));
    // Over many draws, the values of one layer vary around their means as the deviations say.
    let mut rng = stream(2, "noise", 0);
    let mut draws = Vec::new();
    for _ in 0..2_000 {
        network.draw_noise(&mut rng).unwrap();
        draws.push(values(&network)[0]);
    }
    let mean = draws.iter().sum::<f32>() / 2_000.0;
    let deviation = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 2_000.0).sqrt();
    assert!(deviation > 0.1 && deviation < 2.0, "{deviation}");
    network.draw_noise(&mut stream(3, "noise", 0)).unwrap();
    let first = values(&network);
    network.draw_noise(&mut stream(3, "noise", 0)).unwrap();
    assert_eq!(values(&network), first, "the same stream draws the same noise");
    assert_ne!(first, values(&silent));
}
