//! The asynchronous value methods on small environments.

use coinop_envs::rng::{derive_seed, stream};
use coinop_envs::{End, Env, EnvFactory};
use tch::{Device, Kind, Tensor, no_grad};

use super::config::ValueMethod;
use super::trainer::AsyncQ;
use super::*;
use crate::algorithm::RunSettings;
use crate::explore::{EpsilonConfig, Epsilons, epsilon_greedy};
use crate::init::Init;
use crate::network::{BodyKind, Core, Head, NetworkConfig, Observation, Precision, QNetwork};
use crate::schedule::Schedule;
use crate::shared::{SharedOptimizerConfig, SharedRmsPropConfig};
use crate::test_help::{breaks, name_the_bit, name_the_half, of, remember_the_bit, run, small_convolutions, state};
use crate::{Algorithm, Checkpoint, Mode, Trainer};

const METHODS: [ValueMethod; 3] = [ValueMethod::OneStepQ, ValueMethod::OneStepSarsa, ValueMethod::NStepQ];

const RMS_PROP: SharedRmsPropConfig = SharedRmsPropConfig {
    decay: 0.99,
    epsilon: 1e-2,
    initial_mean_square: 0.0,
};

fn config() -> AsyncQConfig {
    AsyncQConfig {
        workers: 3,
        locked: false,
        center_pixels: false,
        rollout_steps: 5,
        target_frames: 100,
        gamma: 0.5,
        learning_rate: Schedule::over_run(0.01, 0.0),
        max_learning_rate: None,
        max_grad_norm: Some(40.0),
        eval_epsilon: 0.0,
        network: NetworkConfig {
            body: BodyKind::Mlp,
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        optimizer: SharedOptimizerConfig::RmsProp(RMS_PROP),
        epsilon: EpsilonConfig::Annealed {
            from: 1.0,
            values: vec![0.1, 0.01],
            probabilities: vec![0.5, 0.5],
            frames: 3_000,
        },
    }
}

fn made<O: Observation>(
    method: ValueMethod,
    config: &AsyncQConfig,
    factory: &dyn EnvFactory<Obs = O>,
    frames: u64,
    seed: u64,
) -> AsyncQ<O> {
    super::trainer::trainer(method, config, factory, &RunSettings::new(frames, seed)).unwrap()
}

fn trainer(method: ValueMethod, config: &AsyncQConfig, seed: u64) -> AsyncQ<f32> {
    made(method, config, of(name_the_bit()).as_ref(), 20_000, seed)
}

#[test]
fn each_method_learns_to_name_the_bit_with_and_without_a_lock() {
    for (method, locked) in METHODS.into_iter().flat_map(|method| [(method, false), (method, true)]) {
        let config = AsyncQConfig { locked, ..config() };
        let mut trainer = trainer(method, &config, 1);
        let scores = run(&mut trainer, 1_500);
        let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
        // Epsilon costs at most .1 · 2/3 of the ten points on average.
        assert!(mean > 8.8, "{method:?}, locked {locked}: {mean}");
        let progress = trainer.step().unwrap();
        assert_eq!(progress.steps, 5 * 1_501);
        assert!(progress.updates >= 1_501);
        let last = [0.1, 0.01];
        assert!(progress.epsilons.len() == 3 && progress.epsilons.iter().all(|epsilon| last.contains(epsilon)));
        let rng = stream(1, "evaluation", 0);
        let spec = of(name_the_bit()).spec();
        let mut policy = OneStepQ(config.clone())
            .policy::<f32>(&spec, &state(&trainer), rng, Device::Cpu)
            .unwrap();
        let (obs, mut actions) = ([1.0, 0.0, 0.0, 1.0], [9; 2]);
        policy.act(&obs, &[true; 2], Mode::Greedy, &mut actions).unwrap();
        assert_eq!(actions, [1, 0]);
    }
}

#[test]
fn each_method_learns_from_pixels() {
    for method in METHODS {
        let mut config = config();
        config.network.body = small_convolutions();
        config.learning_rate = Schedule::over_run(0.001, 0.0);
        let factory = name_the_half();
        let mut trainer = made::<u8>(method, &config, factory.as_ref(), 10_000, 1);
        let scores = run(&mut trainer, 900);
        let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
        assert!(mean > 8.5, "{method:?}: {mean}");
    }
}

#[test]
fn both_networks_subtract_the_means_of_pixels() {
    let mut config = AsyncQConfig {
        center_pixels: true,
        learning_rate: Schedule::over_run(0.001, 0.0),
        ..config()
    };
    config.network.body = small_convolutions();
    let mut trainer = made::<u8>(ValueMethod::OneStepSarsa, &config, name_the_half().as_ref(), 10_000, 1);
    let scores = run(&mut trainer, 900);
    let mean = scores[scores.len() - 100..].iter().sum::<f64>() / 100.0;
    assert!(mean > 8.5, "{mean}");
    let section = state(&trainer);
    let center = |network| {
        let network = section.section("learner").unwrap().section(network).unwrap();
        network.tensor("center").unwrap().copy()
    };
    assert_eq!(center("network"), center("target"));
}

/// One worker as the paper's algorithms say, in plain numbers: its weights after some rollouts.
fn reference<E: Env<Obs = f32>>(
    method: ValueMethod,
    config: &AsyncQConfig,
    mut env: E,
    seed: u64,
    total_frames: u64,
    rollouts: usize,
) -> Vec<f32> {
    let network = |seed| {
        let mut rng = stream(seed, "network", 0);
        QNetwork::new(&config.network, Head::Plain, &env.spec(), &mut rng, Device::Cpu).unwrap()
    };
    let (network, target) = (network(seed), network(seed));
    let obs_len = env.obs_shape().len() as i64;
    let mut weights = Vec::<f32>::try_from(network.params().flat()).unwrap();
    let mut mean_square = vec![0.0f32; weights.len()];
    let mut epsilons = Epsilons::new(config.epsilon.clone(), 1, seed);
    let mut actions = stream(seed, "action", 0);
    let mut obs = vec![0.0f32; obs_len as usize];
    env.reset(Some(derive_seed(seed, "env", 0)), &mut obs).unwrap();
    let answer = |network: &QNetwork, obs: &[f32]| {
        let values = no_grad(|| network.forward(&Tensor::from_slice(obs).unsqueeze(0)).unwrap());
        Vec::<f32>::try_from(values.squeeze()).unwrap()
    };
    let largest = |values: &[f32]| values.iter().copied().fold(f32::MIN, f32::max);
    let (mut frames, mut copies, mut next_action) = (0, 0, None);
    for _ in 0..rollouts {
        let rate = config.learning_rate.start() * (1.0 - frames as f64 / total_frames as f64);
        epsilons.resample(frames);
        let epsilon = epsilons.current()[0];
        if frames / config.target_frames > copies {
            copies = frames / config.target_frames;
            target.params().take(&weights).unwrap();
        }
        network.params().take(&weights).unwrap();
        let (mut seen, mut done, mut steps, mut worth) = (vec![], vec![], vec![], vec![]);
        // Algorithm 1: "if t mod I_AsyncUpdate == 0 or s is terminal"; algorithm S2: "until terminal s_t or t - t_start == t_max".
        while steps.len() < config.rollout_steps {
            let mut choose = |obs: &[f32]| epsilon_greedy(&answer(&network, obs), epsilon, &mut actions);
            let action = next_action.take().unwrap_or_else(|| choose(&obs));
            seen.extend_from_slice(&obs);
            done.push(i64::from(action));
            let step = env.step(action, &mut obs).unwrap();
            // What follows, in the same episode.
            worth.push(match (method, step.end) {
                (_, End::Terminated) => 0.0,
                (ValueMethod::OneStepSarsa, End::Truncated) => answer(&target, &obs)[choose(&obs) as usize],
                (ValueMethod::OneStepSarsa, End::No) => {
                    let action = *next_action.insert(choose(&obs));
                    answer(&target, &obs)[action as usize]
                }
                _ => largest(&answer(&target, &obs)),
            });
            steps.push(step);
            if step.end.is_over() {
                env.reset(None, &mut obs).unwrap();
                break;
            }
        }
        // The first action of an episode that the next rollout begins with is chosen when this one ends.
        if method == ValueMethod::OneStepSarsa && next_action.is_none() {
            next_action = Some(epsilon_greedy(&answer(&network, &obs), epsilon, &mut actions));
        }
        let mut targets = vec![0.0f32; steps.len()];
        for i in (0..steps.len()).rev() {
            let continues = method == ValueMethod::NStepQ && i + 1 < steps.len();
            let following = if continues { targets[i + 1] } else { worth[i] };
            targets[i] = steps[i].reward + config.gamma as f32 * following;
        }
        let values = network
            .forward(&Tensor::from_slice(&seen).reshape([-1, obs_len]))
            .unwrap();
        let chosen = values
            .gather(1, &Tensor::from_slice(&done).unsqueeze(1), false)
            .squeeze_dim(1);
        let loss = (Tensor::from_slice(&targets) - chosen).square().sum(Kind::Float);
        let gradient = Vec::<f32>::try_from(network.params().gradient(&loss).unwrap()).unwrap();
        let norm = gradient.iter().map(|d| d * d).sum::<f32>().sqrt();
        let scale = (config.max_grad_norm.unwrap() as f32 / norm).min(1.0);
        let (decay, root) = (RMS_PROP.decay as f32, RMS_PROP.epsilon as f32);
        for ((weight, square), d) in weights.iter_mut().zip(&mut mean_square).zip(gradient) {
            let d = scale * d;
            *square = decay * *square + (1.0 - decay) * d * d;
            *weight -= rate as f32 * d / (*square + root).sqrt();
        }
        frames += steps.len() as u64;
    }
    weights
}

/// A worker beside the reference.
fn compare<E: Env<Obs = f32> + Clone + Send + Sync + 'static>(method: ValueMethod, env: &E) {
    let config = AsyncQConfig {
        workers: 1,
        locked: true,
        max_grad_norm: Some(1.0),
        ..config()
    };
    let mut trainer = made(method, &config, of(env.clone()).as_ref(), 4_000, 7);
    for _ in 0..60 {
        trainer.step().unwrap();
    }
    // The worker may be some rollouts ahead of what was taken in.
    let section = state(&trainer);
    let optimizer = section.section("learner").unwrap().section("optimizer").unwrap();
    let played = optimizer.get::<usize>("updates").unwrap();
    let mut rng = stream(0, "x", 0);
    let mut network = QNetwork::new(&config.network, Head::Plain, &env.spec(), &mut rng, Device::Cpu).unwrap();
    network
        .load(section.section("learner").unwrap().section("network").unwrap())
        .unwrap();
    let weights = Vec::<f32>::try_from(network.params().flat()).unwrap();
    let expected = reference(method, &config, env.clone(), 7, 4_000, played);
    let furthest = weights
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(
        played >= 60 && furthest < 1e-4,
        "{method:?}: {furthest} after {played} rollouts"
    );
    assert_ne!(weights, reference(method, &config, env.clone(), 7, 4_000, played - 1));
}

#[test]
fn one_worker_is_the_algorithm_of_the_paper_step_by_step() {
    for method in METHODS {
        // Episodes of the one are truncated, of the other terminated.
        compare(method, &name_the_bit());
        compare(method, &remember_the_bit());
    }
}

#[test]
fn a_restored_trainer_has_the_weights_statistics_streams_and_counters_of_the_saved_one() {
    let mut saved = trainer(ValueMethod::OneStepSarsa, &config(), 1);
    run(&mut saved, 100);
    let section = state(&saved);
    let mut restored = trainer(ValueMethod::OneStepSarsa, &config(), 2);
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
        let mut trainer = made(ValueMethod::NStepQ, &config(), factory.as_ref(), 4_000, 1);
        let error = loop {
            if let Err(error) = trainer.step() {
                break error.to_string();
            }
        };
        assert!(error.starts_with("environment ") && error.ends_with(text), "{error}");
        let section = state(&trainer);
        let optimizer = section.section("learner").unwrap().section("optimizer").unwrap();
        assert!(optimizer.get::<u64>("updates").unwrap() > 0);
    }
}

#[test]
fn an_invalid_value_is_named_with_the_reason() {
    config().validate().unwrap();
    type Spoil = fn(&mut AsyncQConfig);
    let cases: [(Spoil, &str); 5] = [
        (|c| c.workers = 0, "workers = 0: it must be between 1 and 1024"),
        (|c| c.target_frames = 0, "target_frames = 0: it must be at least 1"),
        (|c| c.gamma = 1.5, "gamma = 1.5: it must be between 0 and 1"),
        (
            |c| c.eval_epsilon = -0.1,
            "eval_epsilon = -0.1: it must be between 0 and 1",
        ),
        (
            |c| c.network.core = Core::Lstm,
            "network.core = lstm: action values come from feed-forward networks: it must be none",
        ),
    ];
    for (spoil, text) in cases {
        let mut config = config();
        spoil(&mut config);
        assert_eq!(config.validate().unwrap_err().to_string(), text);
    }
}
