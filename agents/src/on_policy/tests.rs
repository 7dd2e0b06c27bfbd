//! The synchronous actor-critic on small environments.

use coinop_envs::rng::stream;
use coinop_envs::vec_env::Serial;
use coinop_envs::{EnvSpec, Shape, Step, VecEnv};
use tch::{Device, Kind, Tensor, no_grad};

use super::*;
use crate::algorithm::RunSettings;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::network::{ActorCritic, BodyKind, Core, Layers, NetworkConfig, Norm, Precision, RecurrentState};
use crate::optim::{AdamConfig, OptimizerConfig, RmsPropConfig};
use crate::schedule::Schedule;
use crate::test_help::{
    assert_a_failed_step_saves_no_episode, assert_continues_exactly, breaks, envs, name_the_bit, name_the_half,
    on_disk, remember_the_bit, run, state,
};
use crate::{ActorCriticPolicy, Checkpoint, Learner, Mode, Policy, Resumption, Trainer};

pub(super) fn config() -> OnPolicyConfig {
    OnPolicyConfig {
        num_envs: 8,
        center_pixels: false,
        rollout_steps: 5,
        epochs: 1,
        target_kl: None,
        minibatches: 1,
        clip_ratio: None,
        value_clip: None,
        gamma: 0.9,
        gae_lambda: 1.0,
        normalize_advantages: false,
        min_advantage_std: None,
        learning_rate: Schedule::over_run(0.01, 0.0),
        entropy_weight: 0.01,
        value_weight: 0.5,
        loss_scale: 1.0,
        max_grad_norm: Some(1.0),
        cuda_graphs: false,
        network: NetworkConfig {
            body: BodyKind::Mlp,
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        optimizer: OptimizerConfig::RmsProp(RmsPropConfig {
            decay: 0.99,
            epsilon: 1e-5,
            epsilon_inside_root: true,
            centered: false,
            initial_mean_square: 0.0,
        }),
        epsilon: EpsilonConfig::Uniform {
            low: 0.0,
            high: 0.1,
            resample_frames: 400,
        },
    }
}

fn trainer(config: &OnPolicyConfig, seed: u64) -> OnPolicy<f32> {
    OnPolicy::new(config, envs(), &RunSettings::new(40_000, seed)).unwrap()
}

fn weights(trainer: &OnPolicy<f32>) -> Tensor {
    let section = state(trainer);
    let network = section.section("learner").unwrap().section("network").unwrap();
    network.tensor("1_hidden_weight").unwrap().copy()
}

/// The policy of what a trainer would save.
fn policy(trainer: &OnPolicy<f32>) -> ActorCriticPolicy<f32> {
    let rng = stream(1, "evaluation", 0);
    ActorCriticPolicy::load(&config().network, &envs().spec(), &state(trainer), rng, Device::Cpu).unwrap()
}

/// A network of two features and three actions.
fn uniform_network() -> ActorCritic {
    let network_config = NetworkConfig {
        init: Init::Uniform,
        ..config().network
    };
    let spec = EnvSpec::new(Shape::new(&[2]), 3);
    ActorCritic::new(&network_config, &spec, &mut stream(5, "x", 0), Device::Cpu).unwrap()
}

#[test]
fn it_learns_to_name_the_bit() {
    let mut trainer = trainer(&config(), 1);
    let mut scores = Vec::new();
    for _ in 0..500 {
        scores.extend(trainer.step().unwrap().episodes.iter().map(|episode| episode.score));
    }
    let last = &scores[scores.len() - 100..];
    let mean = last.iter().sum::<f64>() / 100.0;
    // Epsilon costs .05 · 2/3 of the ten points on average.
    assert!(mean > 9.0, "{mean}");
    let (obs, mut actions) = ([1.0, 0.0, 0.0, 1.0], [9; 2]);
    policy(&trainer)
        .act(&obs, &[true; 2], Mode::Greedy, &mut actions)
        .unwrap();
    assert_eq!(actions, [1, 0]);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let mut trainer = trainer(&config(), seed);
        for _ in 0..20 {
            trainer.step().unwrap();
        }
        weights(&trainer)
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn weights_of_another_run_are_taken_and_nothing_else() {
    let mut learned = trainer(&config(), 1);
    for _ in 0..3 {
        learned.step().unwrap();
    }
    let mut other = trainer(&config(), 2);
    let before = state(&other);
    other.load_weights(&state(&learned)).unwrap();
    assert_eq!(weights(&other), weights(&learned));
    let differences = before.differences(&state(&other), &|_| false);
    assert!(
        !differences.is_empty() && differences.iter().all(|name| name.starts_with("learner/network/")),
        "{differences:?}"
    );
    let mut wider = config();
    wider.network.body = BodyKind::layers_of(&[], &[9]);
    assert!(trainer(&wider, 1).load_weights(&state(&learned)).is_err());
}

#[test]
fn a_restored_trainer_continues_as_the_saved_one() {
    // Adam has the most statistics, and minibatches use the stream that shuffles.
    let config = OnPolicyConfig {
        minibatches: 4,
        optimizer: OptimizerConfig::Adam(AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        }),
        ..config()
    };
    assert_continues_exactly(|seed| trainer(&config, seed), 20, 10);
    let recurrent = OnPolicyConfig {
        network: NetworkConfig {
            core: Core::Lstm,
            // With what a pass with a gradient changes.
            body: BodyKind::Layers(Layers {
                hidden: vec![16, 16],
                norm: Norm::Spectral,
                dropout: Some(0.1),
                ..Layers::default()
            }),
            ..config.network
        },
        ..config
    };
    assert_continues_exactly(|seed| trainer(&recurrent, seed), 5, 5);
}

#[test]
fn centered_pixels_are_compared_with_the_first_rollout_which_is_not_learned_from() {
    let config = OnPolicyConfig {
        center_pixels: true,
        network: NetworkConfig {
            body: BodyKind::A3c,
            ..config().network
        },
        ..config()
    };
    let make = |seed| {
        let envs = name_the_half().make_vec(0, config.num_envs, 1).unwrap();
        OnPolicy::<u8>::new(&config, envs, &RunSettings::new(40_000, seed)).unwrap()
    };
    let mut trainer = make(1);
    assert_eq!(trainer.step().unwrap().updates, 0);
    assert_eq!(trainer.step().unwrap().updates, 1);
    let section = state(&trainer);
    let network = section.section("learner").unwrap().section("network").unwrap();
    let center = network.tensor("center").unwrap();
    assert_eq!(center.size(), [1, 1, 36, 36]);
    // One half or the other is lit, so that the means of both are those of all that is lit.
    let [left, right] = [0, 35].map(|column| center.double_value(&[0, 0, 7, column]));
    assert!(
        (left + right - 255.0).abs() < 1e-3 && left > 0.0 && right > 0.0,
        "{left} and {right}"
    );
    assert_continues_exactly(make, 4, 4);
    // Before the first update, too.
    assert_continues_exactly(make, 1, 3);

    let features = OnPolicy::<f32>::new(&config, envs(), &RunSettings::new(40_000, 1)).map(drop);
    assert_eq!(
        features.unwrap_err().to_string(),
        "center_pixels = true: observations are not pixels: it must be false"
    );
}

#[test]
fn environments_without_snapshots_begin_new_episodes() {
    let env = || Box::new(Serial::new(vec![remember_the_bit(); 8]));
    let make = |seed| OnPolicy::<f32>::new(&config(), env(), &RunSettings::new(100_000, seed)).unwrap();
    let mut saved = make(1);
    // Ten steps of each of the eight, which is one after the end of an episode.
    run(&mut saved, 2);
    assert_eq!(saved.resumption(), Resumption::NewEpisodes);
    let mut restored = make(1);
    restored.load(&state(&saved)).unwrap();
    // No episode is in either.
    assert!(state(&restored).differences(&state(&saved), &|_| false).is_empty());
    // In five steps, a trainer that continues its episodes of three steps ends two, and one that starts new ones ends one.
    assert_eq!(saved.step().unwrap().episodes.len(), 16);
    assert_eq!(restored.step().unwrap().episodes.len(), 8);
}

#[test]
fn a_step_that_failed_leaves_no_episode_to_go_on() {
    let config = OnPolicyConfig {
        num_envs: 1,
        ..config()
    };
    // The environment breaks in its 7th step, in the second rollout of five.
    let make = || {
        let env = Serial::new(vec![breaks(7, false)]);
        OnPolicy::<f32>::new(&config, Box::new(env), &RunSettings::new(1_000, 1)).unwrap()
    };
    assert_a_failed_step_saves_no_episode(make, 2);
    let mut trainer = make();
    trainer.step().unwrap();
    assert!(trainer.step().is_err());
    // Those of the rollout that was not completed do not count.
    assert_eq!(state(&trainer).get::<u64>("steps").unwrap(), 5);
}

#[test]
fn an_episode_that_is_truncated_is_worth_what_its_final_observation_is_to_an_lstm_that_remembers_it() {
    // Ten steps make a rollout and an episode, which is truncated.
    let config = OnPolicyConfig {
        num_envs: 2,
        rollout_steps: 10,
        ..recurrent()
    };
    let env = || Serial::new(vec![name_the_bit(); 2]);
    let mut trainer = OnPolicy::<f32>::new(&config, Box::new(env()), &RunSettings::new(1_000, 1)).unwrap();
    // Before the first update, so that the network is still the one that acted.
    trainer.collect().unwrap();
    let network = ActorCritic::new(
        &config.network,
        &env().spec(),
        &mut stream(1, "network", 0),
        Device::Cpu,
    )
    .unwrap();
    // The same play, seen by a network that is informed only of the first episode.
    let mut env = env();
    let (mut obs, mut last, mut steps) = (vec![0.0; 4], vec![0.0; 4], [Step::default(); 2]);
    env.reset(Some(1), &mut obs).unwrap();
    let mut memory = network.initial_state(2).unwrap();
    let mut value = |obs: &[f32], first: bool| {
        let obs = network.body().input(obs).unwrap();
        let (_, values) = no_grad(|| network.forward(&obs, &[first; 2], &mut memory)).unwrap();
        Vec::<f32>::try_from(values).unwrap()
    };
    let actions = trainer.rollout_actions();
    for t in 0..10 {
        value(&obs, t == 0);
        env.step(&actions[2 * t..2 * t + 2], &mut obs, &mut last, &mut steps)
            .unwrap();
    }
    let expected = value(&last, false);
    let found = trainer.final_values();
    for (found, expected) in found[18..].iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
    }
    assert_eq!(found[..18], [0.0; 18], "no other step ended an episode");
}

#[test]
fn returns_that_are_all_the_same_leave_the_explained_variance_out() {
    // Nothing is paid, and nothing is worth anything without a discount.
    let config = OnPolicyConfig {
        num_envs: 1,
        gamma: 0.0,
        ..config()
    };
    let env = Serial::new(vec![breaks(100, false)]);
    let mut trainer = OnPolicy::<f32>::new(&config, Box::new(env), &RunSettings::new(1_000, 1)).unwrap();
    let progress = trainer.step().unwrap();
    assert_eq!(progress.metrics.mean("explained_variance"), None);
    assert!(
        progress
            .metrics
            .means()
            .all(|(_, mean)| mean.is_none_or(f64::is_finite))
    );
}

#[test]
fn the_state_of_another_number_of_actors_is_refused() {
    let mut section = state(&trainer(&config(), 1));
    let streams: Vec<coinop_envs::rng::Rng> = section.get("action_streams").unwrap();
    section.put("action_streams", &streams[..7].to_vec()).unwrap();
    let error = trainer(&config(), 1).load(&section).unwrap_err().to_string();
    assert_eq!(
        error,
        "`action_streams` in the checkpoint does not fit: it has 7 entries, 8 are needed"
    );
}

#[test]
fn weights_that_are_not_numbers_are_an_error_of_the_policy_and_of_training() {
    let mut trainer = trainer(&config(), 1);
    let network = trainer.learner().network();
    let bias = network.params().numel() as i64 - 1;
    let _ = tch::no_grad(|| network.params().flat().narrow(0, bias, 1).fill_(f64::NAN));
    let error = trainer.step().err().unwrap().to_string();
    assert_eq!(
        error,
        "a value is NaN after 0 updates: training diverged; try a lower learning rate"
    );
    let network = trainer.learner().network();
    let _ = tch::no_grad(|| network.params().flat().fill_(f64::INFINITY));
    let error = policy(&trainer)
        .act(&[1.0, 0.0], &[true], Mode::Greedy, &mut [0])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the network produced NaN as the probability of an action; these weights are unusable, use another checkpoint"
    );
}

#[test]
fn a_rollout_that_does_not_fit_into_memory_is_an_error_before_it_is_made() {
    let config = OnPolicyConfig {
        num_envs: 10_000,
        rollout_steps: 10_000,
        ..config()
    };
    // 10^8 observations of 28,224 bytes, three times, and once more in 6 bytes each for the only minibatch: 25.4 TB.
    let error = OnPolicy::<u8>::check_memory(&config, Shape::new(&[4, 84, 84]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("a rollout of 10000 steps in 10000 environments needs 25.4 TB of memory, and "),
        "{error}"
    );
}

#[test]
fn every_epoch_updates_once_per_minibatch() {
    let config = OnPolicyConfig {
        minibatches: 4,
        epochs: 3,
        clip_ratio: Some(0.2),
        ..config()
    };
    let mut trainer = trainer(&config, 1);
    assert_eq!(trainer.step().unwrap().updates, 12);
}

#[test]
fn an_epoch_that_moves_the_policy_too_far_is_the_last() {
    let updates = |target_kl| {
        let config = OnPolicyConfig {
            epochs: 5,
            target_kl,
            clip_ratio: Some(0.2),
            ..config()
        };
        let mut trainer = trainer(&config, 1);
        let report = trainer.step().unwrap();
        assert_eq!(report.metrics.mean("epochs"), Some(report.updates as f64));
        report.updates
    };
    // Each update is an epoch. The first one starts at the policy that acted, so its divergence is 0 except for rounding.
    assert_eq!([updates(None), updates(Some(1e-6)), updates(Some(1e6))], [5, 2, 5]);
}

#[test]
fn a_ratio_beyond_the_clip_has_no_gradient_where_it_would_pay_to_go_further() {
    let config = OnPolicyConfig {
        clip_ratio: Some(0.2),
        value_weight: 0.0,
        entropy_weight: 0.0,
        ..config()
    };
    let grad_norm = |old_log_probability: f32, advantage: f32| {
        let batch = OnPolicyBatch {
            obs: Tensor::from_slice2(&[[0.5f32, -1.0]]),
            actions: Tensor::from_slice(&[2i64]),
            epsilons: Tensor::from_slice(&[0.0f32]),
            log_probabilities: Tensor::from_slice(&[old_log_probability]),
            values: Tensor::zeros([1], (Kind::Float, Device::Cpu)),
            advantages: Tensor::from_slice(&[advantage]),
            returns: Tensor::from_slice(&[0.0f32]),
            is_first: vec![true],
            state: RecurrentState::default(),
            learning_rate: 0.0,
        };
        OnPolicyLearner::new(&config, uniform_network())
            .unwrap()
            .learn(&batch)
            .unwrap()
            .grad_norm
    };
    // The probability is about 1/3. If it was .1, the ratio is beyond 1.2; if it was .9, below .8.
    assert_eq!(grad_norm(0.1f32.ln(), 1.0), 0.0);
    assert!(grad_norm(0.1f32.ln(), -1.0) > 0.0);
    assert_eq!(grad_norm(0.9f32.ln(), -1.0), 0.0);
    assert!(grad_norm(0.9f32.ln(), 1.0) > 0.0);
}

#[test]
fn the_learning_rate_falls_from_all_to_0_and_no_rollout_of_the_run_is_without() {
    // Two rollouts of 8 environments and 5 steps make the run of 80 frames; a third would come after its end.
    let mut trainer = OnPolicy::new(&config(), envs(), &RunSettings::new(80, 1)).unwrap();
    for rate in [0.01, 0.005, 0.0] {
        assert_eq!(trainer.step().unwrap().metrics.mean("learning_rate"), Some(rate));
    }
}

#[test]
fn the_gradient_of_the_loss_is_that_of_finite_differences() {
    let config = OnPolicyConfig {
        loss_scale: 2.0,
        entropy_weight: 0.1,
        ..config()
    };
    let loss = |network: &ActorCritic| {
        let (logits, values) = network
            .forward(
                &Tensor::from_slice2(&[[0.5f32, -1.0], [0.2, 0.3]]),
                &[],
                &mut RecurrentState::default(),
            )
            .unwrap();
        let log_p = logits.log_softmax(1, Kind::Float);
        // Written out from the definition: A = (1.5, -.5), epsilon = (.2, 0), actions (2, 0), R = (1, -1).
        let p = |row: i64, action: i64| log_p.double_value(&[row, action]).exp();
        let mixed = (0.8 * p(0, 2) + 0.2 / 3.0).ln();
        let policy = -(1.5 * mixed - 0.5 * p(1, 0).ln()) / 2.0;
        let entropy: f64 = (0..2)
            .map(|row| (0..3).map(|a| -p(row, a) * p(row, a).ln()).sum::<f64>())
            .sum::<f64>()
            / 2.0;
        let value = ((1.0 - values.double_value(&[0])).powi(2) + (-1.0 - values.double_value(&[1])).powi(2)) / 2.0;
        2.0 * (policy - 0.1 * entropy + 0.5 * value)
    };
    let mut learner = OnPolicyLearner::new(&config, uniform_network()).unwrap();
    let stats = learner
        .learn(&OnPolicyBatch {
            obs: Tensor::from_slice2(&[[0.5f32, -1.0], [0.2, 0.3]]),
            actions: Tensor::from_slice(&[2i64, 0]),
            epsilons: Tensor::from_slice(&[0.2f32, 0.0]),
            log_probabilities: Tensor::from_slice(&[0.0f32, 0.0]),
            values: Tensor::zeros([2], (Kind::Float, Device::Cpu)),
            advantages: Tensor::from_slice(&[1.5f32, -0.5]),
            returns: Tensor::from_slice(&[1.0f32, -1.0]),
            is_first: vec![true; 2],
            state: RecurrentState::default(),
            learning_rate: 0.0,
        })
        .unwrap();
    assert!(
        (stats.loss - loss(&uniform_network())).abs() < 1e-5,
        "{} instead of {}",
        stats.loss,
        loss(&uniform_network())
    );
    // The norm of the gradient against central differences in every parameter.
    let network = uniform_network();
    let flat = network.params().flat();
    let mut square = 0.0;
    for i in 0..network.params().numel() as i64 {
        let at = |delta: f64| {
            let _ = tch::no_grad(|| flat.narrow(0, i, 1).g_add_scalar_(delta));
            let value = loss(&network);
            let _ = tch::no_grad(|| flat.narrow(0, i, 1).g_add_scalar_(-delta));
            value
        };
        square += ((at(0.002) - at(-0.002)) / 0.004).powi(2);
    }
    assert!(
        (stats.grad_norm - square.sqrt()).abs() < 0.01 * stats.grad_norm,
        "{} instead of {}",
        stats.grad_norm,
        square.sqrt()
    );
}

fn recurrent() -> OnPolicyConfig {
    let network = NetworkConfig {
        core: Core::Lstm,
        ..config().network
    };
    OnPolicyConfig { network, ..config() }
}

#[test]
fn an_lstm_learns_what_has_to_be_remembered_and_evaluation_remembers_too() {
    let score = |config: &OnPolicyConfig| {
        let env = Serial::new(vec![remember_the_bit(); 8]);
        let spec = env.spec();
        let mut trainer = OnPolicy::new(config, Box::new(env), &RunSettings::new(100_000, 1)).unwrap();
        for _ in 0..250 {
            trainer.step().unwrap();
        }
        let rng = stream(1, "evaluation", 0);
        let mut policy =
            ActorCriticPolicy::<f32>::load(&config.network, &spec, &state(&trainer), rng, Device::Cpu).unwrap();
        let (mut obs, mut last, mut steps) = (vec![0.0; 24], vec![0.0; 24], [Step::default(); 8]);
        let mut env = Serial::new(vec![remember_the_bit(); 8]);
        env.reset(Some(5), &mut obs).unwrap();
        let (mut is_first, mut actions, mut right) = ([true; 8], [0; 8], 0.0);
        // 800 episodes of three steps.
        for _ in 0..300 {
            policy.act(&obs, &is_first, Mode::Greedy, &mut actions).unwrap();
            env.step(&actions, &mut obs, &mut last, &mut steps).unwrap();
            is_first = steps.map(|step| step.end.is_over());
            right += steps.iter().map(|step| step.score).sum::<f32>();
        }
        right / 800.0
    };
    // Who does not remember guesses: half of the time, within five standard deviations of 0.018.
    assert!((score(&config()) - 0.5).abs() < 0.09);
    let remembering = score(&recurrent());
    assert!(remembering > 0.98, "{remembering}");
}

#[test]
fn minibatches_of_whole_environments_have_together_the_gradient_of_all() {
    // Steps of four environments; the second begins an episode in the third step.
    let (steps, n) = (5, 4);
    let len = steps * n;
    let spec = EnvSpec::new(Shape::new(&[2]), 3);
    let network = || ActorCritic::new(&recurrent().network, &spec, &mut stream(5, "x", 0), Device::Cpu).unwrap();
    let numbers = |count: usize, scale: f32| -> Vec<f32> { (0..count).map(|i| (i as f32 * scale).sin()).collect() };
    let mut is_first = vec![false; len];
    is_first[..n].fill(true);
    is_first[2 * n + 1] = true;
    let mut first = network().initial_state(n).unwrap();
    let obs = Tensor::from_slice(&numbers(2 * n, 0.3)).reshape([n as i64, 2]);
    let _ = no_grad(|| network().forward(&obs, &[true; 4], &mut first)).unwrap();
    let whole = OnPolicyBatch {
        obs: Tensor::from_slice(&numbers(2 * len, 0.7)).reshape([len as i64, 2]),
        actions: Tensor::from_slice(&(0..len as i64).map(|i| i * i % 3).collect::<Vec<_>>()),
        epsilons: Tensor::from_slice(&vec![0.1f32; len]),
        log_probabilities: Tensor::from_slice(&vec![-1.0f32; len]),
        values: Tensor::zeros([len as i64], (Kind::Float, Device::Cpu)),
        advantages: Tensor::from_slice(&numbers(len, 1.1)),
        returns: Tensor::from_slice(&numbers(len, 1.7)),
        is_first,
        state: first,
        learning_rate: 0.0,
    };
    let config = OnPolicyConfig {
        max_grad_norm: None,
        ..recurrent()
    };
    let stats = |batch: &OnPolicyBatch| OnPolicyLearner::new(&config, network()).unwrap().learn(batch).unwrap();
    let part_of = |envs: [i64; 2]| {
        let samples = (0..len as i64).filter(|sample| envs.contains(&(sample % n as i64)));
        let part = Minibatch {
            samples: samples.collect(),
            envs: envs.to_vec(),
        };
        whole.select(&part).unwrap()
    };
    let part_of_all = || {
        let samples = (0..len as i64).collect();
        let envs = (0..n as i64).collect();
        whole.select(&Minibatch { samples, envs }).unwrap()
    };
    let part = |envs| stats(&part_of(envs));
    let (all, a, b) = (stats(&whole), part([0, 2]), part([1, 3]));
    assert!((all.loss - (a.loss + b.loss) / 2.0).abs() < 1e-5);
    assert!((all.entropy - (a.entropy + b.entropy) / 2.0).abs() < 1e-5);
    // The gradients themselves, number by number. With an epsilon that drowns the mean square, a step of RMSProp is one along the gradient.
    let plain = OnPolicyConfig {
        learning_rate: 1e8.into(),
        optimizer: OptimizerConfig::RmsProp(RmsPropConfig {
            decay: 0.0,
            epsilon: 1e8,
            epsilon_inside_root: false,
            centered: false,
            initial_mean_square: 0.0,
        }),
        ..config
    };
    let gradient = |batch: OnPolicyBatch| {
        let mut learner = OnPolicyLearner::new(&plain, network()).unwrap();
        let flat = || Vec::<f32>::try_from(network().params().flat()).unwrap();
        learner
            .learn(&OnPolicyBatch {
                learning_rate: 1e8,
                ..batch
            })
            .unwrap();
        let after = Vec::<f32>::try_from(learner.network().params().flat()).unwrap();
        flat()
            .iter()
            .zip(&after)
            .map(|(before, after)| before - after)
            .collect::<Vec<_>>()
    };
    let [a, b] = [[0, 2], [1, 3]].map(|envs| gradient(part_of(envs)));
    for ((all, a), b) in gradient(part_of_all()).iter().zip(&a).zip(&b) {
        assert!(
            (all - (a + b) / 2.0).abs() < 1e-4,
            "{all} instead of the mean of {a} and {b}"
        );
    }
    assert!(a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-2), "the parts differ");
}

#[test]
fn an_lstm_with_minibatches_is_the_same_run_for_the_same_seed() {
    let config = OnPolicyConfig {
        minibatches: 4,
        epochs: 2,
        ..recurrent()
    };
    let weights = |seed| {
        let mut trainer = OnPolicy::new(&config, envs(), &RunSettings::new(100_000, seed)).unwrap();
        for _ in 0..5 {
            trainer.step().unwrap();
        }
        on_disk(&trainer)
    };
    assert!(weights(1) == weights(1));
    assert!(weights(1) != weights(2));
}

/// What ranks come to: their parameters, as bits, and their frames.
fn in_ranks(size: usize, config: &OnPolicyConfig, steps: usize) -> Vec<(Vec<u32>, u64)> {
    use crate::distributed::{Ranks, Threads};

    let play = |ranks: Ranks| {
        let mut run = RunSettings::new(4_000, 7);
        run.ranks = ranks;
        let env = Serial::new(vec![name_the_bit(); config.num_envs]);
        let mut trainer = OnPolicy::new(config, Box::new(env), &run).unwrap();
        let mut frames = 0;
        for _ in 0..steps {
            frames = trainer.step().unwrap().frames;
        }
        let params = trainer.learner().network().params().flat();
        let bits = Vec::<f32>::try_from(params.view(-1))
            .unwrap()
            .into_iter()
            .map(f32::to_bits);
        (bits.collect(), frames)
    };
    std::thread::scope(|scope| {
        let play = &play;
        let spawn = |rank: Threads| scope.spawn(move || play(Ranks::new(rank)));
        let threads: Vec<_> = Threads::of(size).into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn ranks_have_the_same_parameters_and_count_the_frames_of_all() {
    let config = OnPolicyConfig {
        epochs: 4,
        minibatches: 2,
        target_kl: Some(1e-4),
        clip_ratio: Some(0.2),
        normalize_advantages: true,
        ..config()
    };
    let found = in_ranks(3, &config, 10);
    assert_eq!(found[0].0, found[1].0);
    assert_eq!(found[0].0, found[2].0);
    // 10 rollouts of 5 steps in 8 environments each.
    assert_eq!(found[2].1, 10 * 5 * 8 * 3);
    // Each has episodes and actions of its own, so that three learn something else than one.
    let alone = in_ranks(1, &config, 10);
    assert_ne!(alone[0].0, found[0].0);
    assert_eq!(in_ranks(3, &config, 10), found, "a run repeats itself");
}

#[test]
fn ranks_average_the_statistics_of_batch_normalization() {
    let layers = Layers {
        hidden: vec![8],
        norm: Norm::Batch,
        ..Layers::default()
    };
    let mut config = config();
    config.network.body = BodyKind::Layers(layers);
    let found = in_ranks(2, &config, 3);
    assert_eq!(found[0], found[1]);
    // Weights and biases of two inputs, gains and biases; then the means, which are 0 in a network that has seen nothing.
    let means = &found[0].0[2 * 8 + 8 + 8 + 8..][..8];
    assert!(means.iter().any(|bits| f32::from_bits(*bits) != 0.0));
}

#[test]
fn one_rank_is_a_run_without_ranks_bit_for_bit() {
    let config = OnPolicyConfig {
        normalize_advantages: true,
        ..config()
    };
    let mut trainer = OnPolicy::new(
        &config,
        Box::new(Serial::new(vec![name_the_bit(); 8])),
        &RunSettings::new(4_000, 7),
    )
    .unwrap();
    for _ in 0..5 {
        trainer.step().unwrap();
    }
    let params = trainer.learner().network().params().flat();
    let bits: Vec<u32> = Vec::<f32>::try_from(params.view(-1))
        .unwrap()
        .into_iter()
        .map(f32::to_bits)
        .collect();
    assert_eq!(in_ranks(1, &config, 5)[0].0, bits);
}

#[test]
fn two_ranks_learn_from_half_of_the_samples_each_as_one_from_all() {
    use crate::distributed::{Ranks, Threads};

    let config = OnPolicyConfig {
        clip_ratio: Some(0.2),
        ..config()
    };
    // Samples from..to of twelve.
    let batch = |from: usize, to: usize| {
        let numbers = |scale: f32| -> Tensor {
            let values: Vec<f32> = (from..to).map(|i| (i as f32 * scale).sin()).collect();
            Tensor::from_slice(&values)
        };
        let n = to - from;
        OnPolicyBatch {
            obs: Tensor::stack(&[numbers(0.7), numbers(1.3)], 1),
            actions: Tensor::from_slice(&(from..to).map(|i| (i % 3) as i64).collect::<Vec<_>>()),
            epsilons: Tensor::zeros([n as i64], (Kind::Float, Device::Cpu)),
            log_probabilities: numbers(0.3) - 1.5,
            values: Tensor::zeros([n as i64], (Kind::Float, Device::Cpu)),
            advantages: numbers(2.1),
            returns: numbers(0.9),
            is_first: vec![true; n],
            state: RecurrentState::default(),
            learning_rate: 0.01,
        }
    };
    let learned = |ranks: Ranks, from: usize, to: usize| {
        let mut learner = OnPolicyLearner::new(&config, uniform_network()).unwrap().with(ranks);
        for _ in 0..3 {
            learner.learn(&batch(from, to)).unwrap();
        }
        Vec::<f32>::try_from(learner.network().params().flat().view(-1)).unwrap()
    };
    let whole = learned(Ranks::default(), 0, 12);
    let halves: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let learned = &learned;
        let spawn =
            |(rank, handle): (usize, Threads)| scope.spawn(move || learned(Ranks::new(handle), 6 * rank, 6 * rank + 6));
        let threads: Vec<_> = Threads::of(2).into_iter().enumerate().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(halves[0], halves[1]);
    let most = whole
        .iter()
        .zip(&halves[0])
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(most < 1e-5, "{most}");
    let start = Vec::<f32>::try_from(uniform_network().params().flat().view(-1)).unwrap();
    assert!(
        whole.iter().zip(&start).any(|(a, b)| (a - b).abs() > 1e-3),
        "it learned"
    );
}
