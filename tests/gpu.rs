//! What a GPU computes is what the CPU computes, and every trainer learns on one.
//!
//! ```console
//! $ LIBTORCH=/path/to/libtorch-with-cuda cargo test --release --test gpu -- --ignored
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

use std::sync::Arc;

use coinop::agents::a3c::A3cConfig;
use coinop::agents::algorithm::RunSettings;
use coinop::agents::async_q::{AsyncQConfig, NStepQ, OneStepQ, OneStepSarsa};
use coinop::agents::double_dqn::DoubleDqnConfig;
use coinop::agents::impala::ImpalaConfig;
use coinop::agents::init::Init;
use coinop::agents::network::{ActorCritic, BodyKind, Core, Distribution, NetworkConfig, Precision, RecurrentState};
use coinop::agents::on_policy::{OnPolicyBatch, OnPolicyConfig, OnPolicyLearner};
use coinop::agents::ppo::PpoConfig;
use coinop::agents::pqn::PqnConfig;
use coinop::agents::tch::{Kind, Tensor};
use coinop::agents::{Algorithm, Device, Learner, Mode, Section, Trainer};
use coinop::envs::classic::CartPole;
use coinop::envs::rng::stream;
use coinop::envs::{EnvFactory, EnvSpec, FromFn, Shape};

/// The first one.
fn gpu() -> Device {
    coinop::agents::device("cuda").unwrap()
}

fn cartpole() -> Arc<dyn EnvFactory<Obs = f32>> {
    Arc::new(FromFn::new(|| Ok(CartPole::v1())).unwrap())
}

/// A new trainer for CartPole.
fn trainer(algorithm: &impl Algorithm) -> Box<dyn Trainer> {
    let mut run = RunSettings::new(500_000, 1);
    (run.env_threads, run.device) = (2, gpu());
    algorithm.trainer(cartpole(), &run).unwrap()
}

/// A network's answers to the same pictures, and the gradient of a loss that all of its numbers have a part in.
fn answers_and_gradient(precision: Precision, core: Core, device: Device) -> [Tensor; 3] {
    let spec = EnvSpec::new(Shape::new(&[4, 84, 84]), 6);
    let config = NetworkConfig {
        body: BodyKind::Nature,
        core,
        init: Init::Orthogonal,
        precision,
    };
    let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), device).unwrap();
    let pixels: Vec<u8> = (0..32 * spec.obs_shape.len()).map(|i| (i * i % 251) as u8).collect();
    let obs = network.body().input(&pixels).unwrap();
    let mut state = match core {
        Core::None => RecurrentState::default(),
        _ => network.initial_state(32).unwrap(),
    };
    let (logits, values) = network.forward(&obs, &[true; 32], &mut state).unwrap();
    let loss = logits.square().mean(Kind::Float) + values.square().mean(Kind::Float);
    let gradient = network.params().gradient(&loss).unwrap();
    [logits, values, gradient].map(|tensor| tensor.detach().flatten(0, -1).to_device(Device::Cpu))
}

#[test]
#[ignore = "it needs a GPU"]
fn networks_answer_alike_and_have_the_same_gradients() {
    for core in [Core::None, Core::Lstm] {
        let expected = answers_and_gradient(Precision::Float32, core, Device::Cpu);
        // Convolutions of a GPU round float32 to 10 bits; bfloat16 has 7.
        for (precision, least) in [(Precision::Float32, 0.999_9), (Precision::Bfloat16, 0.99)] {
            let found = answers_and_gradient(precision, core, gpu());
            for (expected, found) in expected.iter().zip(&found) {
                let cosine = Tensor::cosine_similarity(expected, found, 0, 1e-12).double_value(&[]);
                println!("{core:?} {precision:?}: {cosine}");
                assert!(cosine > least, "{core:?} {precision:?}: {cosine}");
            }
        }
    }
}

/// Trains until the mean length of the last 20 episodes is at least 100 steps, five times what a random policy gets.
fn learns(trainer: &mut dyn Trainer, most: u64) {
    let mut lengths = Vec::new();
    let mut steps = 0;
    while steps < most {
        let progress = trainer.step().unwrap();
        steps = progress.steps;
        lengths.extend(progress.episodes.iter().map(|episode| episode.steps as f64));
        let last = &lengths[lengths.len().saturating_sub(20)..];
        if last.len() == 20 && last.iter().sum::<f64>() / 20.0 >= 100.0 {
            return;
        }
    }
    panic!(
        "no better after {steps} steps: {:?}",
        &lengths[lengths.len().saturating_sub(20)..]
    );
}

#[test]
#[ignore = "it needs a GPU"]
fn ppo_learns_and_its_checkpoint_is_good_on_the_cpu() {
    let config = PpoConfig::classic();
    let mut learned = trainer(&config);
    learns(learned.as_mut(), 300_000);
    let mut checkpoint = Section::default();
    learned.save(&mut checkpoint).unwrap();
    let mut restored = trainer(&config);
    restored.load(&checkpoint).unwrap();
    let obs: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin() * 0.1).collect();
    let actions = |device| {
        let rng = stream(1, "test", 0);
        let mut policy = config
            .policy::<f32>(&cartpole().spec(), &checkpoint, rng, device)
            .unwrap();
        let mut actions = [0; 16];
        policy.act(&obs, &[true; 16], Mode::Greedy, &mut actions).unwrap();
        actions
    };
    assert_eq!(actions(gpu()), actions(Device::Cpu));
}

/// The parameters after a few updates from made-up batches, less the first ones.
fn learned_from_made_up_batches(cuda_graphs: bool) -> Tensor {
    let spec = EnvSpec::new(Shape::new(&[4, 84, 84]), 6);
    let config = OnPolicyConfig::from(&PpoConfig {
        cuda_graphs,
        ..PpoConfig::pong()
    });
    let network = ActorCritic::new(&config.network, &spec, &mut stream(1, "network", 0), gpu()).unwrap();
    let first = network.params().flat().copy();
    let mut learner = OnPolicyLearner::new(&config, network).unwrap();
    let n = 64;
    for update in 0..20usize {
        let body = learner.network().body();
        let pixels: Vec<u8> = (0..n * spec.obs_shape.len())
            .map(|i| ((i + update) * i % 251) as u8)
            .collect();
        let numbers = |seed: usize| {
            let numbers: Vec<f32> = (0..n).map(|i| ((i + n * update) * seed) as f32).map(f32::sin).collect();
            body.numbers(&numbers).unwrap()
        };
        let actions: Vec<i64> = (0..n as i64).map(|i| i % 6).collect();
        let batch = OnPolicyBatch {
            obs: body.input(&pixels).unwrap(),
            actions: body.numbers(&actions).unwrap(),
            epsilons: numbers(1).abs() * 0.1,
            log_probabilities: numbers(2) * 0.1 - 1.8,
            values: numbers(3),
            advantages: numbers(4),
            returns: numbers(5),
            is_first: vec![false; n],
            state: RecurrentState::default(),
            learning_rate: 1e-4 * (20 - update) as f64,
        };
        let stats = learner.learn(&batch).unwrap();
        assert!(stats.loss.is_finite() && stats.grad_norm > 0.0, "{stats:?}");
    }
    assert_eq!(learner.updates(), 20);
    learner.network().params().flat() - first
}

#[test]
#[ignore = "it needs a GPU, and CUDA's headers when it is built"]
fn recorded_updates_learn_what_others_learn() {
    let [expected, found] = [false, true].map(learned_from_made_up_batches);
    let cosine = Tensor::cosine_similarity(&expected, &found, 0, 1e-12).double_value(&[]);
    println!("{cosine}");
    assert!(cosine > 0.99, "{cosine}");
    let config = PpoConfig {
        cuda_graphs: true,
        ..PpoConfig::classic()
    };
    learns(trainer(&config).as_mut(), 300_000);
}

#[test]
#[ignore = "it needs a GPU"]
fn double_dqn_learns_in_turns_and_with_threads() {
    for asynchronous in [false, true] {
        let config = DoubleDqnConfig {
            asynchronous,
            ..DoubleDqnConfig::classic()
        };
        learns(trainer(&config).as_mut(), 300_000);
    }
}

#[test]
#[ignore = "it needs a GPU"]
fn pqn_impala_and_every_distribution_of_returns_learn() {
    learns(trainer(&ImpalaConfig::classic()).as_mut(), 300_000);
    learns(trainer(&PqnConfig::classic()).as_mut(), 300_000);
    for distribution in [
        Distribution::C51 {
            atoms: 51,
            low: 0.0,
            high: 100.0,
        },
        Distribution::Quantile { quantiles: 32 },
        Distribution::Iqn {
            cosines: 32,
            samples: 16,
            target_samples: 16,
            policy_samples: 32,
        },
    ] {
        let config = DoubleDqnConfig {
            distribution: Some(distribution),
            noisy: Some(0.5),
            ..DoubleDqnConfig::classic()
        };
        learns(trainer(&config).as_mut(), 300_000);
    }
}

#[test]
#[ignore = "it needs a GPU"]
fn actor_learners_learn() {
    learns(trainer(&A3cConfig::classic()).as_mut(), 300_000);
    let config = AsyncQConfig::classic;
    for mut trainer in [
        trainer(&OneStepQ(config())),
        trainer(&OneStepSarsa(config())),
        trainer(&NStepQ(config())),
    ] {
        for _ in 0..50 {
            trainer.step().unwrap();
        }
    }
}
