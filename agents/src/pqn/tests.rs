//! PQN on small environments.

use coinop_envs::rng::stream;
use coinop_envs::vec_env::Serial;
use coinop_envs::{EnvSpec, Shape};
use tch::{Device, Tensor};

use super::*;
use crate::algorithm::RunSettings;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::network::{BodyKind, Core, Head, Layers, NetworkConfig, Norm, Precision, QNetwork};
use crate::optim::{AdamConfig, OptimizerConfig};
use crate::schedule::Schedule;
use crate::test_help::{
    assert_a_failed_step_saves_no_episode, assert_continues_exactly, breaks, envs, name_the_half, remember_the_bit,
    run, small_convolutions, state,
};
use crate::{Checkpoint, Learner, Mode, Policy, Resumption, Trainer, ValuePolicy};

fn config() -> PqnConfig {
    PqnConfig {
        num_envs: 8,
        center_pixels: false,
        rollout_steps: 5,
        epochs: 2,
        minibatches: 2,
        gamma: 0.9,
        lambda: 0.65,
        learning_rate: Schedule::over_run(0.01, 0.0),
        max_grad_norm: Some(10.0),
        eval_epsilon: 0.0,
        network: NetworkConfig {
            body: BodyKind::Layers(Layers {
                hidden: vec![32],
                norm: Norm::Layer,
                ..Layers::default()
            }),
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        head: Head::Plain,
        optimizer: OptimizerConfig::RAdam(AdamConfig {
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

fn trainer(config: &PqnConfig, seed: u64) -> Pqn<f32> {
    Pqn::new(config, envs(), &RunSettings::new(20_000, seed)).unwrap()
}

#[test]
fn it_learns_to_name_the_bit() {
    let mut trainer = trainer(&config(), 1);
    let scores = run(&mut trainer, 300);
    let last = &scores[scores.len() - 100..];
    let mean = last.iter().sum::<f64>() / 100.0;
    // Epsilon costs .05 · 2/3 of the ten points on average.
    assert!(mean > 9.0, "{mean}");
    let network = trainer::network(&config(), &EnvSpec::new(Shape::new(&[2]), 3), 0, Device::Cpu).unwrap();
    let rng = stream(1, "evaluation", 0);
    let mut policy = ValuePolicy::<f32>::load(network, 0.0, &state(&trainer), rng).unwrap();
    let mut actions = [9; 2];
    policy
        .act(&[1.0, 0.0, 0.0, 1.0], &[true; 2], Mode::Greedy, &mut actions)
        .unwrap();
    assert_eq!(actions, [1, 0]);
}

#[test]
fn a_restored_trainer_continues_as_the_saved_one() {
    assert_continues_exactly(|seed| trainer(&config(), seed), 20, 10);
    // With pixels and their means, before and after these are known.
    let config = PqnConfig {
        center_pixels: true,
        network: NetworkConfig {
            body: small_convolutions(),
            ..config().network
        },
        ..config()
    };
    let make = |seed| {
        let envs = name_the_half().make_vec(0, config.num_envs, 1).unwrap();
        Pqn::<u8>::new(&config, envs, &RunSettings::new(40_000, seed)).unwrap()
    };
    assert_continues_exactly(make, 4, 4);
    assert_continues_exactly(make, 1, 3);
    let mut trainer = make(1);
    let updates = [(); 2].map(|()| trainer.step().unwrap().updates);
    assert_eq!(updates, [0, 4], "the first rollout is only for the means");
}

#[test]
fn the_loss_is_half_the_squared_error_and_its_gradient_the_error() {
    // One linear layer of one input: Q(s, a) = w_a s + b_a.
    let config = PqnConfig {
        max_grad_norm: None,
        optimizer: OptimizerConfig::Adam(AdamConfig {
            beta1: 0.0,
            beta2: 0.0,
            epsilon: 1e-30,
        }),
        network: NetworkConfig {
            body: BodyKind::layers_of(&[], &[1]),
            ..config().network
        },
        ..config()
    };
    let spec = EnvSpec::new(Shape::new(&[1]), 2);
    let network = QNetwork::new(
        &config.network,
        Head::Plain,
        &spec,
        &mut stream(1, "network", 0),
        Device::Cpu,
    )
    .unwrap();
    // The hidden unit passes a positive input on; the actions' values are 2 s + 0.5 and 3 s.
    let weights = Tensor::from_slice(&[1.0f32, 0.0, 2.0, 3.0, 0.5, 0.0]);
    assert_eq!(network.params().numel(), 6);
    tch::no_grad(|| network.params().flat().copy_(&weights));
    let mut learner = PqnLearner::new(&config, network).unwrap();
    let batch = PqnBatch {
        obs: Tensor::from_slice2(&[[1.0f32], [2.0]]),
        actions: Tensor::from_slice(&[0i64, 1]),
        returns: Tensor::from_slice(&[4.5f32, 2.0]),
        learning_rate: 0.0,
    };
    let stats = learner.learn(&batch).unwrap();
    // Errors 2 and -4: (4 + 16) / 2 / 2.
    assert!((stats.loss - 5.0).abs() < 1e-6, "{stats:?}");
    // dL/dQ are -1 and 2. w: -1·1, 2·2; b: -1, 2; hidden weight: -1·2·1 + 2·3·2 = 10; its bias: -2 + 6 = 4.
    let norm = [1.0, 16.0, 1.0, 4.0, 100.0, 16.0f64].iter().sum::<f64>().sqrt();
    assert!((stats.grad_norm - norm).abs() < 1e-5, "{stats:?}, not {norm}");
    assert_eq!(batch.select(&[1]).unwrap().returns, Tensor::from_slice(&[2.0f32]));
}

#[test]
fn every_epoch_updates_once_per_minibatch() {
    let config = PqnConfig {
        minibatches: 4,
        epochs: 3,
        ..config()
    };
    assert_eq!(trainer(&config, 1).step().unwrap().updates, 12);
}

#[test]
fn weights_of_another_run_are_taken_and_nothing_else() {
    let mut learned = trainer(&config(), 1);
    run(&mut learned, 3);
    let mut other = trainer(&config(), 2);
    let before = state(&other);
    other.load_weights(&state(&learned)).unwrap();
    let differences = before.differences(&state(&other), &|_| false);
    assert!(
        !differences.is_empty() && differences.iter().all(|name| name.starts_with("learner/network/")),
        "{differences:?}"
    );
}

#[test]
fn environments_without_snapshots_begin_new_episodes() {
    let env = || Box::new(Serial::new(vec![remember_the_bit(); 8]));
    let make = |seed| Pqn::<f32>::new(&config(), env(), &RunSettings::new(100_000, seed)).unwrap();
    let mut saved = make(1);
    run(&mut saved, 2);
    assert_eq!(saved.resumption(), Resumption::NewEpisodes);
    let mut restored = make(1);
    restored.load(&state(&saved)).unwrap();
    assert!(state(&restored).differences(&state(&saved), &|_| false).is_empty());
    assert_eq!(saved.step().unwrap().episodes.len(), 16);
    assert_eq!(restored.step().unwrap().episodes.len(), 8);
}

#[test]
fn a_step_that_failed_leaves_no_episode_to_go_on() {
    let config = PqnConfig {
        num_envs: 1,
        minibatches: 1,
        ..config()
    };
    let make = || {
        let env = Serial::new(vec![breaks(7, false)]);
        Pqn::<f32>::new(&config, Box::new(env), &RunSettings::new(1_000, 1)).unwrap()
    };
    assert_a_failed_step_saves_no_episode(make, 2);
}

#[test]
fn values_that_are_not_numbers_are_an_error() {
    let mut trainer = trainer(&config(), 1);
    let flat = trainer.learner().network().params().flat();
    let _ = tch::no_grad(|| flat.shallow_clone().fill_(f64::NAN));
    assert_eq!(
        trainer.step().err().unwrap().to_string(),
        "the value of an action is NaN after 0 updates: training diverged; try a lower learning rate"
    );
}
