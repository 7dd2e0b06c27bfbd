//! Distillation on small environments.

use coinop_envs::EnvSpec;
use coinop_envs::Shape;
use coinop_envs::rng::stream;
use tch::{Device, Tensor};

use super::teacher::{Answers, soften};
use super::*;
use crate::algorithm::{Algorithm, AnyAlgorithm, RunSettings};
use crate::double_dqn::DoubleDqnConfig;
use crate::explore::EpsilonConfig;
use crate::init::Init;
use crate::network::{BodyKind, Core, NetworkConfig, Precision};
use crate::optim::{AdamConfig, OptimizerConfig};
use crate::ppo::PpoConfig;
use crate::schedule::Schedule;
use crate::test_help::{assert_continues_exactly, name_the_bit, of, remember_the_bit, run, state};
use crate::{ActorCriticPolicy, AnyPolicy, Learner, Mode, Outputs, Policy, Resumption, Section, TrainError, Trainer};

fn config() -> DistillConfig {
    DistillConfig {
        teacher: String::new(),
        temperature: None,
        num_envs: 8,
        center_pixels: false,
        rollout_steps: 5,
        learning_rate: Schedule::over_run(0.01, 0.0),
        value_weight: 0.5,
        max_grad_norm: Some(1.0),
        network: NetworkConfig {
            body: BodyKind::layers_of(&[], &[8]),
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        optimizer: OptimizerConfig::Adam(AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        }),
        epsilon: EpsilonConfig::Fixed { value: 0.1 },
    }
}

/// A policy that knows the bit, unless it is recurrent.
fn teacher_of(core: Core) -> Teacher {
    let ppo = PpoConfig {
        num_envs: 8,
        rollout_steps: 16,
        minibatches: 4,
        network: NetworkConfig {
            core,
            ..config().network
        },
        ..PpoConfig::classic()
    };
    let mut trainer = ppo.trainer(of(name_the_bit()), &RunSettings::new(20_000, 3)).unwrap();
    if core == Core::None {
        let scores = run(trainer.as_mut(), 60);
        let last = scores[scores.len() - 50..].iter().sum::<f64>() / 50.0;
        assert!(last > 9.0, "{last}");
    }
    Teacher::new(AnyAlgorithm::new(ppo), state(trainer.as_ref()))
}

fn student(config: &DistillConfig, teacher: &Teacher, seed: u64) -> Distill<f32> {
    let mut run = RunSettings::new(20_000, seed);
    run.teacher = Some(teacher.clone());
    Distill::for_run(config, of(name_the_bit()).as_ref(), &run).unwrap()
}

#[test]
fn a_smaller_network_learns_what_the_teacher_does_without_rewards() {
    let teacher = teacher_of(Core::None);
    let mut student = student(&config(), &teacher, 1);
    for _ in 0..150 {
        student.step().unwrap();
    }
    let metrics = student.step().unwrap().metrics.clone();
    assert!(metrics.mean("agreement").unwrap() > 0.99, "{metrics:?}");
    assert!(metrics.mean("divergence").unwrap() < 0.02, "{metrics:?}");
    let (spec, rng) = (EnvSpec::new(Shape::new(&[2]), 3), stream(1, "evaluation", 0));
    let mut policy =
        ActorCriticPolicy::<f32>::load(&config().network, &spec, &state(&student), rng, Device::Cpu).unwrap();
    let mut actions = [9; 2];
    policy
        .act(&[1.0, 0.0, 0.0, 1.0], &[true; 2], Mode::Greedy, &mut actions)
        .unwrap();
    assert_eq!(actions, [1, 0]);
}

#[test]
fn a_restored_student_continues_as_the_saved_one() {
    let teacher = teacher_of(Core::None);
    assert_continues_exactly(|seed| student(&config(), &teacher, seed), 20, 10);
    let recurrent = DistillConfig {
        network: NetworkConfig {
            core: Core::Lstm,
            ..config().network
        },
        ..config()
    };
    assert_continues_exactly(|seed| student(&recurrent, &teacher, seed), 2, 2);
    // What a recurrent teacher remembers of an episode is not saved.
    assert_eq!(
        student(&config(), &teacher_of(Core::Lstm), 1).resumption(),
        Resumption::NewEpisodes
    );
}

/// Says what it is given.
struct Says {
    numbers: Vec<f32>,
    are_values: bool,
    state_values: Option<Vec<f32>>,
}

impl Policy for Says {
    type Obs = f32;

    fn act(&mut self, _: &[f32], _: &[bool], _: Mode, actions: &mut [u32]) -> Result<(), crate::AgentError> {
        actions.fill(0);
        Ok(())
    }

    fn outputs(&self) -> Outputs<'_> {
        match self.are_values {
            true => Outputs::Values(&self.numbers),
            false => Outputs::Probabilities(&self.numbers),
        }
    }

    fn state_values(&self) -> Option<&[f32]> {
        self.state_values.as_deref()
    }
}

fn close(found: &[f32], expected: &[f32]) {
    let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(same && found.len() == expected.len(), "{found:?}, not {expected:?}");
}

#[test]
fn answers_are_softened_by_the_temperature_of_their_kind() {
    let ask = |says, temperature| {
        let mut answers = Answers::new(AnyPolicy::Features(Box::new(says)), temperature);
        answers.begin();
        answers.ask(&[0.0f32; 2], &[true; 2]).unwrap();
        (answers.targets, answers.values)
    };
    let values = || Says {
        numbers: vec![0.01, 0.02, -0.5, -0.5],
        are_values: true,
        state_values: None,
    };
    // e^1 / (e^1 + e^2), with the paper's 0.01; the value of an observation is that of its best action.
    let (targets, of_states) = ask(values(), None);
    close(&targets, &[0.268_941_4, 0.731_058_6, 0.5, 0.5]);
    close(&of_states, &[0.02, -0.5]);
    close(&ask(values(), Some(1e9)).0, &[0.5; 4]);
    let policy = |state_values| Says {
        numbers: vec![0.2, 0.8, 1.0, 0.0],
        are_values: false,
        state_values,
    };
    let (targets, of_states) = ask(policy(Some(vec![3.0, 4.0])), None);
    close(&targets, &[0.2, 0.8, 1.0, 0.0]);
    close(&of_states, &[3.0, 4.0]);
    // Roots: .2^.5 / (.2^.5 + .8^.5) = 1/3.
    let (targets, of_states) = ask(policy(None), Some(2.0));
    close(&targets, &[1.0 / 3.0, 2.0 / 3.0, 1.0, 0.0]);
    assert!(of_states.is_empty());
}

#[test]
fn softened_answers_are_probabilities_however_far_apart_they_are() {
    for numbers in [[1e30f32, -1e30], [1e-30, 0.0], [5.0, 5.0]] {
        for are_values in [true, false] {
            let mut out = vec![7.0];
            soften(&numbers, are_values, 0.01, &mut out);
            let sum: f32 = out[1..].iter().sum();
            assert!((sum - 1.0).abs() < 1e-6 && out[0] == 7.0, "{numbers:?}: {out:?}");
        }
    }
}

#[test]
fn action_values_teach_a_policy() {
    let double_dqn = DoubleDqnConfig {
        learning_starts: 500,
        steps_per_update: 2,
        target_frames: 100,
        ..DoubleDqnConfig::classic()
    };
    let mut trainer = double_dqn
        .trainer(of(name_the_bit()), &RunSettings::new(8_000, 3))
        .unwrap();
    while trainer.step().unwrap().frames < 8_000 {}
    let teacher = Teacher::new(AnyAlgorithm::new(double_dqn), state(trainer.as_ref()));
    let mut student = student(&config(), &teacher, 1);
    for _ in 0..200 {
        student.step().unwrap();
    }
    let scores = run(&mut student, 40);
    let mean = scores[scores.len() - 20..].iter().sum::<f64>() / 20.0;
    // Epsilon costs .1 · 2/3 of the ten points on average.
    assert!(mean > 8.5, "{mean}");
    assert!(student.step().unwrap().metrics.mean("value_loss").unwrap() > 0.0);
}

#[test]
fn the_loss_is_the_divergence_and_the_error_of_the_values() {
    let spec = EnvSpec::new(Shape::new(&[1]), 2);
    let config = DistillConfig {
        network: NetworkConfig {
            body: BodyKind::layers_of(&[], &[1]),
            ..config().network
        },
        max_grad_norm: None,
        ..config()
    };
    let network = trainer::network(&config, &spec, 1, Device::Cpu).unwrap();
    // The hidden unit passes a positive input on: logits s and 0, value 2 s.
    let weights = Tensor::from_slice(&[1.0f32, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    assert_eq!(network.params().numel(), 8);
    tch::no_grad(|| network.params().flat().copy_(&weights));
    let mut learner = DistillLearner::new(&config, network).unwrap();
    let batch = |values| DistillBatch {
        obs: Tensor::from_slice2(&[[1.0f32], [2.0]]),
        targets: Tensor::from_slice2(&[[0.5f32, 0.5], [0.0, 1.0]]),
        values,
        is_first: vec![true; 2],
        state: Default::default(),
        learning_rate: 0.0,
    };
    // pi = .7310586 and .2689414; .8807971 and .1192029.
    // .5 ln(.5/.7310586) + .5 ln(.5/.2689414) = .1201145; -ln .1192029 = 2.126928.
    let stats = learner.learn(&batch(None)).unwrap();
    assert!((stats.divergence - 1.123_521).abs() < 1e-5, "{stats:?}");
    assert_eq!((stats.loss, stats.value_loss), (stats.divergence, 0.0));
    assert_eq!(stats.agreement, 0.5);
    // The values are 2 and 4, the targets 1 and 6: (1 + 4) / 2, over (1 + 36) / 2, by one half.
    let stats = learner.learn(&batch(Some(Tensor::from_slice(&[1.0f32, 6.0])))).unwrap();
    assert!((stats.value_loss - 5.0 / 37.0).abs() < 1e-6, "{stats:?}");
    assert!((stats.loss - 1.123_521 - 2.5 / 37.0).abs() < 1e-5, "{stats:?}");
}

#[test]
fn who_has_no_teacher_or_one_of_another_environment_is_told_so() {
    let refused = |teacher: Option<Teacher>, config: &DistillConfig| {
        let mut run = RunSettings::new(1_000, 1);
        run.teacher = teacher;
        match Distill::for_run(config, of(remember_the_bit()).as_ref(), &run) {
            Ok(_) => panic!("it was taken"),
            Err(error) => error,
        }
    };
    assert_eq!(
        refused(None, &config()).to_string(),
        "teacher = \"\": it must be a run to learn from"
    );
    // Three numbers in place of two.
    let other = refused(Some(teacher_of(Core::None)), &config());
    assert!(matches!(other, TrainError::Checkpoint(_)), "{other}");
    let empty = Teacher::new(AnyAlgorithm::new(PpoConfig::classic()), Section::default());
    assert!(matches!(refused(Some(empty), &config()), TrainError::Checkpoint(_)));
}
