//! IMPALA on small environments.

use coinop_envs::rng::stream;
use coinop_envs::{End, EnvSpec, Shape};
use tch::{Device, Tensor};

use super::*;
use crate::algorithm::RunSettings;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::network::{ActorCritic, BodyKind, Core, NetworkConfig, Precision};
use crate::on_policy::{OnPolicyBatch, OnPolicyConfig, OnPolicyLearner};
use crate::optim::{AdamConfig, OptimizerConfig};
use crate::paac::PaacConfig;
use crate::schedule::Schedule;
use crate::test_help::{breaks, name_the_bit, name_the_half, of, remember_the_bit, run, small_convolutions, state};
use crate::{ActorCriticPolicy, Checkpoint, Episode, Learner, Mode, Policy, Resumption, Trainer};

fn config() -> ImpalaConfig {
    ImpalaConfig {
        actors: 2,
        envs_per_actor: 4,
        center_pixels: false,
        rollout_steps: 5,
        batch_rollouts: 2,
        queue_rollouts: 1,
        gamma: 0.9,
        lambda: 1.0,
        rho_clip: 1.0,
        c_clip: 1.0,
        learning_rate: Schedule::over_run(0.01, 0.0),
        entropy_weight: 0.01,
        value_weight: 0.5,
        loss_scale: 1.0,
        max_grad_norm: Some(1.0),
        network: NetworkConfig {
            body: BodyKind::layers_of(&[], &[32]),
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
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

fn trainer(config: &ImpalaConfig, seed: u64) -> Impala<f32> {
    Impala::new(config, of(name_the_bit()).as_ref(), &RunSettings::new(20_000, seed)).unwrap()
}

fn mean_of_last_100(scores: &[f64]) -> f64 {
    scores[scores.len() - 100..].iter().sum::<f64>() / 100.0
}

#[test]
fn it_learns_to_name_the_bit() {
    let mut trainer = trainer(&config(), 1);
    let mean = mean_of_last_100(&run(&mut trainer, 300));
    // Epsilon costs .05 · 2/3 of the ten points on average.
    assert!(mean > 9.0, "{mean}");
    let (spec, rng) = (EnvSpec::new(Shape::new(&[2]), 3), stream(1, "evaluation", 0));
    let mut policy =
        ActorCriticPolicy::<f32>::load(&config().network, &spec, &state(&trainer), rng, Device::Cpu).unwrap();
    let mut actions = [9; 2];
    policy
        .act(&[1.0, 0.0, 0.0, 1.0], &[true; 2], Mode::Greedy, &mut actions)
        .unwrap();
    assert_eq!(actions, [1, 0]);
}

#[test]
fn an_lstm_learns_what_has_to_be_remembered() {
    let config = ImpalaConfig {
        network: NetworkConfig {
            core: Core::Lstm,
            ..config().network
        },
        ..config()
    };
    let run_settings = RunSettings::new(40_000, 1);
    let mut trainer = Impala::new(&config, of(remember_the_bit()).as_ref(), &run_settings).unwrap();
    let mean = mean_of_last_100(&run(&mut trainer, 300));
    assert!(mean > 0.9, "{mean}");
}

#[test]
fn means_of_pixels_reach_the_actors() {
    let config = ImpalaConfig {
        center_pixels: true,
        network: NetworkConfig {
            body: small_convolutions(),
            ..config().network
        },
        ..config()
    };
    let run_settings = RunSettings::new(40_000, 1);
    let mut trainer = Impala::<u8>::new(&config, name_the_half().as_ref(), &run_settings).unwrap();
    let updates = [(); 2].map(|()| trainer.step().unwrap().updates);
    assert_eq!(updates, [0, 1], "the first batch is only for the means");
    let scores = run(&mut trainer, 300);
    assert!(trainer.learner().network().is_centered());
    // Actors without the means would see other pictures than the learner.
    let mean = mean_of_last_100(&scores);
    assert!(mean > 9.0, "{mean}");
}

#[test]
fn a_batch_has_the_rollouts_of_several_actors_and_its_lag_is_measured() {
    let config = ImpalaConfig {
        actors: 3,
        batch_rollouts: 5,
        queue_rollouts: 2,
        ..config()
    };
    let mut trainer = trainer(&config, 1);
    let (mut lags, mut queued) = (Vec::new(), Vec::new());
    for step in 1..=20 {
        let progress = trainer.step().unwrap();
        assert_eq!((progress.steps, progress.updates), (step * 5 * 4 * 5, step));
        assert_eq!(progress.epsilons.len(), 12);
        lags.push(progress.metrics.mean("policy_lag").unwrap());
        queued.push(progress.metrics.mean("queued_rollouts").unwrap());
    }
    assert_eq!(lags[0], 0.0);
    // Of nine rollouts, a batch takes five.
    assert!(lags.iter().all(|lag| (0.0..=3.0).contains(lag)), "{lags:?}");
    assert!(queued.iter().all(|queued| (0.0..=9.0).contains(queued)), "{queued:?}");
}

/// The learner of a network that is the same for each call, and its initial parameters.
fn learner(config: &ImpalaConfig) -> ImpalaLearner {
    let spec = EnvSpec::new(Shape::new(&[2]), 3);
    ImpalaLearner::new(config, trainer::network(config, &spec, 7, Device::Cpu).unwrap()).unwrap()
}

/// Two steps of two environments; the second environment ends its episode with the first step.
fn batch(network: &ActorCritic, log_probabilities: Vec<f32>) -> ImpalaBatch {
    ImpalaBatch {
        obs: Tensor::from_slice2(&[
            [1.0f32, 0.0],
            [0.0, 1.0],
            [0.5, 0.5],
            [1.0, 1.0],
            [0.2, 0.1],
            [0.9, 0.3],
        ]),
        actions: Tensor::from_slice(&[0i64, 2, 1, 1]),
        log_probabilities,
        rewards: vec![1.0, -1.0, 0.5, 2.0],
        discounts: vec![1.0, 0.0, 1.0, 1.0],
        ends: vec![End::No, End::Terminated, End::No, End::No],
        final_values: vec![0.0; 4],
        is_first: vec![true, true, false, true, false, false],
        state: network.initial_state(2).unwrap(),
        learning_rate: 0.1,
    }
}

/// The log-probabilities of the actions of the batch, and the values of all observations.
fn answers(network: &ActorCritic, batch: &ImpalaBatch) -> (Vec<f32>, Vec<f32>) {
    let (logits, values) = network
        .forward(&batch.obs, &batch.is_first, &mut batch.state.copy().unwrap())
        .unwrap();
    let chosen = logits.log_softmax(1, tch::Kind::Float).narrow(0, 0, 4);
    let chosen = chosen.gather(1, &batch.actions.unsqueeze(1), false).squeeze_dim(1);
    (Vec::try_from(chosen).unwrap(), Vec::try_from(values).unwrap())
}

#[test]
fn with_the_policy_that_played_an_update_is_that_of_paac() {
    let mut impala = learner(&config());
    let made_up = batch(impala.network(), vec![0.0; 4]);
    let (own, values) = answers(impala.network(), &made_up);
    let stats = impala.learn(&batch(impala.network(), own)).unwrap();
    // A ratio of 1, exactly but for the order of sums.
    assert!(stats.approx_kl < 1e-6 && stats.clip_fraction <= 1.0, "{stats:?}");
    let paac = OnPolicyConfig {
        num_envs: 2,
        rollout_steps: 2,
        entropy_weight: 0.01,
        value_weight: 0.5,
        loss_scale: 1.0,
        max_grad_norm: Some(1.0),
        network: config().network,
        optimizer: config().optimizer,
        ..OnPolicyConfig::from(&PaacConfig::classic())
    };
    let network = trainer::network(&config(), &EnvSpec::new(Shape::new(&[2]), 3), 7, Device::Cpu).unwrap();
    // n-step returns: .5 + .9 V, 2 + .9 V; 1 + .9 of the first, -1.
    let late = [0.5 + 0.9 * values[4], 2.0 + 0.9 * values[5]];
    let returns = [1.0 + 0.9 * late[0], -1.0, late[0], late[1]];
    let advantages: Vec<f32> = returns.iter().zip(&values).map(|(of, value)| of - value).collect();
    let on_policy = OnPolicyBatch {
        obs: made_up.obs.narrow(0, 0, 4),
        actions: made_up.actions.copy(),
        epsilons: Tensor::from_slice(&[0f32; 4]),
        log_probabilities: Tensor::from_slice(&[0f32; 4]),
        values: Tensor::from_slice(&values[..4]),
        advantages: Tensor::from_slice(&advantages),
        returns: Tensor::from_slice(&returns),
        is_first: made_up.is_first[..4].to_vec(),
        state: network.initial_state(2).unwrap(),
        learning_rate: 0.1,
    };
    let mut other = OnPolicyLearner::new(&paac, network).unwrap();
    let of_other = other.learn(&on_policy).unwrap();
    for (found, expected) in [
        (stats.loss, of_other.loss),
        (stats.policy_loss, of_other.policy_loss),
        (stats.value_loss, of_other.value_loss),
        (stats.entropy, of_other.entropy),
        (stats.grad_norm, of_other.grad_norm),
    ] {
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
    }
    let off = impala.network().params().flat() - other.network().params().flat();
    let most = off.abs().max().double_value(&[]);
    assert!(most < 1e-4, "{most}");
}

#[test]
fn an_action_that_the_policy_no_longer_chooses_is_hardly_learned_from() {
    let mut impala = learner(&config());
    let made_up = batch(impala.network(), vec![0.0; 4]);
    let (own, _) = answers(impala.network(), &made_up);
    // The policies that played were e^20 times as sure, of actions that this one does not choose.
    let old = own.iter().map(|new| new + 20.0).collect();
    let stats = impala.learn(&batch(impala.network(), old)).unwrap();
    assert!(stats.policy_loss.abs() < 1e-7 && stats.value_loss < 1e-12, "{stats:?}");
    assert_eq!(stats.clip_fraction, 0.0);
    // r - 1 - ln r.
    assert!((stats.approx_kl - 19.0).abs() < 1e-4, "{stats:?}");
    let old = own.iter().map(|new| new - 1.0).collect();
    assert_eq!(impala.learn(&batch(impala.network(), old)).unwrap().clip_fraction, 1.0);
}

#[test]
fn what_is_saved_is_restored_with_the_rollouts_in_the_queue() {
    for core in [Core::None, Core::Lstm] {
        let config = ImpalaConfig {
            queue_rollouts: 3,
            network: NetworkConfig {
                core,
                ..config().network
            },
            ..config()
        };
        let mut saved = trainer(&config, 1);
        run(&mut saved, 20);
        assert_eq!(saved.resumption(), Resumption::Timing);
        // The actors go on until the queue is full: what they have then is saved.
        let first = loop {
            let section = state(&saved);
            if section.count("queued_rollouts").unwrap() >= 6 {
                break section;
            }
            std::thread::yield_now();
        };
        let mut restored = trainer(&config, 2);
        run(&mut restored, 3);
        restored.load(&first).unwrap();
        assert_eq!(state(&restored).differences(&first, &|_| false), [""; 0]);
        let progress = restored.step().unwrap();
        assert_eq!((progress.updates, progress.steps), (21, 21 * 40));
        run(&mut restored, 20);
    }
}

/// Episodes of each environment, in order, of a trainer that hardly learns.
fn episodes(trainer: &mut Impala<f32>, steps: u64) -> Vec<Vec<Episode>> {
    let mut all = vec![Vec::new(); 8];
    for _ in 0..steps {
        for episode in trainer.step().unwrap().episodes {
            all[episode.actor].push(*episode);
        }
    }
    all
}

#[test]
fn every_actor_continues_where_it_was() {
    // With weights that stay as they are, what an actor does depends on no other thread.
    let config = ImpalaConfig {
        learning_rate: Schedule::from(1e-30),
        epsilon: EpsilonConfig::Fixed { value: 0.1 },
        ..config()
    };
    let mut whole = trainer(&config, 1);
    let expected = episodes(&mut whole, 60);
    let mut first = trainer(&config, 1);
    let mut found = episodes(&mut first, 20);
    let mut second = trainer(&config, 9);
    second.load(&state(&first)).unwrap();
    drop(first);
    for (found, more) in found.iter_mut().zip(episodes(&mut second, 40)) {
        found.extend(more);
    }
    for (actor, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // Thread timing decides how many rollouts of each actor are learned from.
        let both = found.len().min(expected.len());
        assert!(both >= 10, "{both} episodes of {actor}");
        assert_eq!(found[..both], expected[..both], "actor {actor}");
    }
}

#[test]
fn environments_without_snapshots_begin_new_episodes() {
    let factory = of(remember_the_bit());
    let make = || Impala::new(&config(), factory.as_ref(), &RunSettings::new(100_000, 1)).unwrap();
    let mut saved = make();
    run(&mut saved, 2);
    assert_eq!(saved.resumption(), Resumption::NewEpisodes);
    let mut restored = make();
    restored.load(&state(&saved)).unwrap();
    drop(saved);
    assert_eq!(restored.step().unwrap().updates, 3);
}

#[test]
fn an_environment_that_breaks_is_named_and_what_was_learned_can_be_saved() {
    let config = ImpalaConfig {
        envs_per_actor: 2,
        actors: 1,
        batch_rollouts: 1,
        ..config()
    };
    let make = || Impala::new(&config, of(breaks(7, false)).as_ref(), &RunSettings::new(1_000, 1)).unwrap();
    let mut trainer = make();
    assert_eq!(trainer.step().unwrap().updates, 1);
    let error = trainer.step().map(drop).unwrap_err().to_string();
    assert_eq!(error, "environment 0: the cable was cut");
    assert_eq!(trainer.resumption(), Resumption::NewEpisodes);
    let section = state(&trainer);
    assert!(!section.has_section("actors"));
    let mut restored = make();
    restored.load(&section).unwrap();
    assert_eq!(restored.step().unwrap().updates, 2);
    let mut panics = Impala::new(&config, of(breaks(2, true)).as_ref(), &RunSettings::new(1_000, 1)).unwrap();
    let error = panics.step().map(drop).unwrap_err().to_string();
    assert!(error.starts_with("environment 0: "), "{error}");
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
fn a_checkpoint_that_does_not_fit_is_refused() {
    let mut saved = trainer(
        &ImpalaConfig {
            queue_rollouts: 3,
            ..config()
        },
        1,
    );
    run(&mut saved, 2);
    let section = loop {
        let section = state(&saved);
        if section.count("queued_rollouts").unwrap() > 0 {
            break section;
        }
        std::thread::yield_now();
    };
    let refused = |config: &ImpalaConfig| trainer(config, 1).load(&section).unwrap_err().to_string();
    for actors in [1, 3] {
        let error = refused(&ImpalaConfig { actors, ..config() });
        assert!(error.contains(&format!("there are 2, {actors} are needed")), "{error}");
    }
    let longer = ImpalaConfig {
        rollout_steps: 6,
        ..config()
    };
    assert!(refused(&longer).contains("obs"), "{}", refused(&longer));
}

#[test]
fn values_that_are_not_numbers_are_an_error() {
    let mut trainer = trainer(&config(), 1);
    let flat = trainer.learner().network().params().flat();
    let _ = tch::no_grad(|| flat.shallow_clone().fill_(f64::NAN));
    assert_eq!(
        trainer.step().err().unwrap().to_string(),
        "a value is NaN after 0 updates: training diverged; try a lower learning rate"
    );
}
