//! Algorithms in several ranks, which are threads here.

use std::sync::Arc;

use coinop_envs::classic::CartPole;
use coinop_envs::normalize::NormalizeObservation;
use coinop_envs::rng::Rng;
use coinop_envs::{Env, EnvError, EnvFactory, FromFn, Shape, Step};
use tch::{Device, Kind, Tensor};

use super::{Ranks, Threads, assist};
use crate::a3c::A3cConfig;
use crate::algorithm::{Algorithm, AnyAlgorithm, RunSettings};
use crate::center::SharedCenter;
use crate::distill::{DistillConfig, Teacher};
use crate::double_dqn::{DoubleDqnBatch, DoubleDqnConfig, DoubleDqnLearner};
use crate::impala::ImpalaConfig;
use crate::network::{BodyKind, Layers, NetworkConfig, QNetwork};
use crate::ppo::PpoConfig;
use crate::pqn::PqnConfig;
use crate::test_help::{name_the_half, small_convolutions};
use crate::{Episode, Learner, Section, Trainer};

/// Calls `f` in every rank, and returns what comes of it in the order of ranks.
pub(super) fn in_ranks<T: Send>(size: usize, f: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let spawn = |rank: Threads| {
            let f = &f;
            scope.spawn(move || f(Ranks::new(rank)))
        };
        let threads: Vec<_> = Threads::of(size).into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn cart_pole() -> Arc<dyn EnvFactory<Obs = f32>> {
    Arc::new(FromFn::new(|| Ok(CartPole::v1())).unwrap())
}

fn run_of(ranks: &Ranks) -> RunSettings {
    let mut run = RunSettings::new(4_000, 3);
    run.ranks = ranks.clone();
    run
}

/// The bits of the network in a checkpoint.
fn network_of(trainer: &dyn Trainer, name: &str) -> Vec<u32> {
    let mut section = Section::default();
    trainer.save(&mut section).unwrap();
    let network = section.section("learner").unwrap().section("network").unwrap();
    let flat = network.tensor(name).unwrap().flatten(0, -1);
    Vec::<f32>::try_from(flat)
        .unwrap()
        .into_iter()
        .map(f32::to_bits)
        .collect()
}

fn double_dqn() -> DoubleDqnConfig {
    DoubleDqnConfig {
        num_envs: 2,
        learning_starts: 100,
        batch_size: 16,
        steps_per_update: 4,
        ..DoubleDqnConfig::classic()
    }
}

#[test]
fn ranks_of_double_dqn_have_the_same_weights_and_memories_of_their_own() {
    let learned = || {
        in_ranks(3, |ranks| {
            let mut trainer = double_dqn().trainer(cart_pole(), &run_of(&ranks)).unwrap();
            let (mut frames, mut updates) = (0, 0);
            for _ in 0..100 {
                let progress = trainer.step().unwrap();
                (frames, updates) = (progress.frames, progress.updates);
            }
            let mut section = Section::default();
            trainer.save(&mut section).unwrap();
            let remembered = section.section("replay").unwrap().section("actor_0").unwrap();
            let remembered = remembered.bytes("frames").ok();
            (
                network_of(trainer.as_ref(), "1_hidden_weight"),
                frames,
                updates,
                remembered,
            )
        })
    };
    let found = learned();
    assert_eq!((&found[0].0, &found[0].0), (&found[1].0, &found[2].0));
    // 100 steps of two environments in each of three ranks; after 100 frames, the 17th step, an update for every two.
    assert_eq!((found[2].1, found[2].2), (600, 42));
    assert_eq!(learned(), found, "a run repeats itself");
}

#[test]
fn two_ranks_learn_from_half_of_the_transitions_each_as_one_from_all() {
    let config = DoubleDqnConfig {
        network: crate::network::NetworkConfig {
            precision: crate::network::Precision::Float32,
            ..double_dqn().network
        },
        ..double_dqn()
    };
    let spec = cart_pole().spec();
    let network = || -> QNetwork {
        let mut rng = coinop_envs::rng::stream(5, "network", 0);
        QNetwork::new(&config.network, config.head, &spec, &mut rng, Device::Cpu).unwrap()
    };
    let batch = |from: usize, to: usize| {
        let numbers = |scale: f32, each: usize| -> Tensor {
            let values: Vec<f32> = (from * each..to * each).map(|i| (i as f32 * scale).sin()).collect();
            Tensor::from_slice(&values)
        };
        let n = (to - from) as i64;
        DoubleDqnBatch {
            obs: numbers(0.7, 4).view([n, 4]),
            actions: Tensor::from_slice(&(from..to).map(|i| (i % 2) as i64).collect::<Vec<_>>()),
            returns: numbers(0.3, 1),
            discounts: Tensor::full([n], 0.9, (Kind::Float, Device::Cpu)),
            next_obs: numbers(1.3, 4).view([n, 4]),
            weights: numbers(0.11, 1).abs(),
            learning_rate: 0.01,
        }
    };
    let learned = |ranks: &Ranks, from: usize, to: usize| {
        let mut learner = DoubleDqnLearner::new(&config, network(), network())
            .unwrap()
            .with(ranks.clone());
        for _ in 0..3 {
            learner.learn(&batch(from, to)).unwrap();
        }
        learner.network().weights().unwrap().numbers().unwrap()
    };
    let whole = learned(&Ranks::default(), 0, 12);
    let halves = in_ranks(2, |ranks| learned(&ranks, 6 * ranks.rank(), 6 * ranks.rank() + 6));
    assert_eq!(halves[0], halves[1]);
    let most = |other: &[f32]| {
        let off = whole.iter().zip(other).map(|(a, b)| (a - b).abs());
        off.fold(0.0, f32::max)
    };
    assert!(most(&halves[0]) < 1e-5, "{}", most(&halves[0]));
    assert!(
        most(&network().weights().unwrap().numbers().unwrap()) > 1e-3,
        "it learned"
    );
}

#[test]
fn ranks_of_impala_have_the_same_weights_and_actors_of_their_own() {
    let config = ImpalaConfig {
        envs_per_actor: 2,
        ..ImpalaConfig::classic()
    };
    let normalized = || Arc::new(NormalizeObservation::new(FromFn::new(|| Ok(CartPole::v1())).unwrap()));
    let found = in_ranks(3, |ranks| {
        let mut trainer = config.trainer(normalized(), &run_of(&ranks)).unwrap();
        let (mut frames, mut episodes) = (0, Vec::new());
        for _ in 0..20 {
            let progress = trainer.step().unwrap();
            frames = progress.frames;
            episodes.extend_from_slice(progress.episodes);
        }
        assert!(episodes.iter().all(|episode| episode.score == episode.steps as f64));
        (network_of(trainer.as_ref(), "1_hidden_weight"), frames, episodes)
    });
    assert_eq!((&found[0].0, &found[0].0), (&found[1].0, &found[2].0));
    // 20 batches of 16 steps of two environments in each of three ranks.
    assert_eq!(found[2].1, 20 * 16 * 2 * 3);
    assert_ne!(found[0].2, found[1].2);
}

#[test]
fn students_of_all_ranks_are_one() {
    let ppo = PpoConfig::classic();
    let trained = ppo.trainer(cart_pole(), &RunSettings::new(1_000, 5)).unwrap();
    let mut section = Section::default();
    trained.save(&mut section).unwrap();
    let teacher = Teacher::new(AnyAlgorithm::new(ppo), section);
    let config = DistillConfig {
        num_envs: 2,
        ..DistillConfig::classic()
    };
    let found = in_ranks(2, |ranks| {
        let mut run = run_of(&ranks);
        run.teacher = Some(teacher.clone());
        let mut trainer = config.trainer(cart_pole(), &run).unwrap();
        let frames = [(); 5].map(|()| trainer.step().unwrap().frames);
        (network_of(trainer.as_ref(), "1_hidden_weight"), frames[4])
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0].1, 5 * 8 * 2 * 2);
}

/// Whether two ranks of an algorithm, which have learned in `steps` steps, draw the same masks of dropout next.
fn draw_the_same_masks(config: &impl Algorithm, steps: usize) -> bool {
    let found = in_ranks(2, |ranks| {
        let mut trainer = config.trainer(cart_pole(), &run_of(&ranks)).unwrap();
        for _ in 0..steps {
            trainer.step().unwrap();
        }
        let mut section = Section::default();
        trainer.save(&mut section).unwrap();
        let network = section.section("learner").unwrap().section("network").unwrap();
        network.get::<Rng>("dropout").unwrap()
    });
    found[0] == found[1]
}

#[test]
fn each_rank_has_its_own_masks_of_dropout() {
    let network = NetworkConfig {
        body: BodyKind::Layers(Layers {
            hidden: vec![8],
            dropout: Some(0.5),
            ..Layers::default()
        }),
        ..PpoConfig::classic().network
    };
    let ppo = PpoConfig {
        network: network.clone(),
        ..PpoConfig::classic()
    };
    assert!(!draw_the_same_masks(&ppo, 1));
    let pqn = PqnConfig {
        network: network.clone(),
        ..PqnConfig::classic()
    };
    assert!(!draw_the_same_masks(&pqn, 1));
    let impala = ImpalaConfig {
        network: network.clone(),
        ..ImpalaConfig::classic()
    };
    assert!(!draw_the_same_masks(&impala, 1));
    let double_dqn = DoubleDqnConfig {
        network,
        ..double_dqn()
    };
    assert!(!draw_the_same_masks(&double_dqn, 100));
}

/// The episodes and updates of an asynchronous algorithm in three ranks.
fn led(config: &impl Algorithm) -> (Vec<Episode>, u64) {
    let mut all = in_ranks(3, |ranks| {
        let mut trainer = config.trainer(cart_pole(), &run_of(&ranks)).unwrap();
        if ranks.rank() > 0 {
            assist(trainer.as_mut(), &ranks).unwrap();
            return None;
        }
        let mut episodes = Vec::new();
        loop {
            let progress = trainer.step().unwrap();
            episodes.extend_from_slice(progress.episodes);
            // Until each of the six actors has ended an episode.
            let ended = |actor: usize| episodes.iter().any(|episode: &Episode| episode.actor == actor);
            if progress.frames >= 4_000 && (0..6).all(ended) {
                let updates = progress.updates;
                let mut section = Section::default();
                trainer.save(&mut section).unwrap();
                return Some((episodes, updates));
            }
        }
    });
    all.swap_remove(0).unwrap()
}

#[test]
fn workers_of_all_ranks_change_the_weights_of_rank_0() {
    let config = A3cConfig {
        workers: 2,
        ..A3cConfig::classic()
    };
    let (episodes, updates) = led(&config);
    let steps: u64 = episodes.iter().map(|episode| episode.steps).sum();
    // Rollouts are of at most `rollout_steps`.
    assert!(
        updates >= steps / config.rollout_steps as u64,
        "{updates} updates, {steps} steps"
    );
}

#[test]
fn workers_of_all_ranks_subtract_the_means_of_rank_0() {
    let mut config = A3cConfig {
        workers: 1,
        ..A3cConfig::fast()
    };
    config.network.body = small_convolutions();
    let centers = in_ranks(2, |ranks| {
        let center = SharedCenter::new(&ranks);
        center.add(&[1.0], 1_000);
        assert_eq!(center.answer().is_empty(), ranks.rank() > 0);
        let mut trainer = config.trainer(name_the_half(), &run_of(&ranks)).unwrap();
        if ranks.rank() > 0 {
            assist(trainer.as_mut(), &ranks).unwrap();
        } else {
            // It learns after 256 observations of its own.
            let mut from_others = 0;
            while from_others < 10 || trainer.step().unwrap().updates < 10 {
                from_others += usize::from(trainer.step().unwrap().episodes.iter().any(|episode| episode.actor > 0));
            }
        }
        network_of(trainer.as_ref(), "center")
    });
    assert_eq!(centers[0], centers[1]);
}

#[test]
fn all_ranks_of_double_dqn_subtract_the_same_means() {
    let mut config = DoubleDqnConfig {
        center_pixels: true,
        ..double_dqn()
    };
    config.network.body = small_convolutions();
    let centers = in_ranks(2, |ranks| {
        let mut trainer = config.trainer(name_the_half(), &run_of(&ranks)).unwrap();
        while trainer.step().unwrap().updates < 2 {}
        network_of(trainer.as_ref(), "center")
    });
    assert_eq!(centers[0], centers[1]);
}

#[test]
fn distant_actors_fill_the_memory_of_rank_0() {
    let config = DoubleDqnConfig {
        asynchronous: true,
        ..double_dqn()
    };
    let (episodes, updates) = led(&config);
    let steps: u64 = episodes.iter().map(|episode| episode.steps).sum();
    assert!(
        updates > 0 && updates >= (steps - 100) / 4 / 2,
        "{updates} updates, {steps} steps"
    );
    // Episodes of CartPole are as long as their score, in whatever rank they were played.
    assert!(episodes.iter().all(|episode| episode.score == episode.steps as f64));
}

/// Shows one number in episodes of five steps.
#[derive(Clone)]
struct Shows(f32, u32);

impl Env for Shows {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1])
    }

    fn num_actions(&self) -> usize {
        2
    }

    fn reset(&mut self, _seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        self.1 = 0;
        obs.fill(self.0);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.1 += 1;
        obs.fill(self.0);
        let reward = action as f32;
        Ok(match self.1 {
            5 => Step::terminated(reward),
            _ => Step::going_on(reward),
        })
    }
}

/// Makes a trainer.
type Make<'a> = dyn Fn(Arc<dyn EnvFactory<Obs = f32>>, &RunSettings) -> Box<dyn Trainer> + Sync + 'a;

/// Environments that show the number of their rank, normalised.
fn shows_its_rank(ranks: &Ranks) -> Arc<dyn EnvFactory<Obs = f32>> {
    let rank = ranks.rank() as f32;
    Arc::new(NormalizeObservation::new(
        FromFn::new(move || Ok(Shows(rank, 0))).unwrap(),
    ))
}

#[test]
fn all_ranks_normalise_by_the_observations_of_all() {
    let config = PpoConfig {
        num_envs: 2,
        rollout_steps: 8,
        minibatches: 2,
        ..PpoConfig::classic()
    };
    let synchronous = |trained: &Make<'_>| {
        in_ranks(3, |ranks| {
            let factory = shows_its_rank(&ranks);
            let mut trainer = trained(Arc::clone(&factory), &run_of(&ranks));
            for _ in 0..200 {
                trainer.step().unwrap();
            }
            factory.normalization().unwrap().mean[0]
        })
    };
    // Every rank has shown its number as often: 0, 1 and 2.
    let ppo = synchronous(&|factory, run| config.trainer(factory, run).unwrap());
    assert!(
        (ppo[0] - 1.0).abs() < 1e-6 && ppo[1] == ppo[0] && ppo[2] == ppo[0],
        "{ppo:?}"
    );
    // The steps since the last update are not known to all yet.
    let dqn = synchronous(&|factory, run| double_dqn().trainer(factory, run).unwrap());
    assert!(dqn.iter().all(|mean| (mean - 1.0).abs() < 0.02), "{dqn:?}");
}

#[test]
fn what_the_others_do_not_know_yet_is_restored_as_such() {
    let config = DoubleDqnConfig {
        steps_per_update: 40,
        ..double_dqn()
    };
    let found = in_ranks(2, |ranks| {
        let make =
            |factory: &Arc<dyn EnvFactory<Obs = f32>>| config.trainer(Arc::clone(factory), &run_of(&ranks)).unwrap();
        let normalized = || -> Arc<dyn EnvFactory<Obs = f32>> { Arc::new(NormalizeObservation::of(cart_pole())) };
        let (factory, again) = (normalized(), normalized());
        let mut trainer = make(&factory);
        // Between two updates, of which there is one for every twenty steps.
        for _ in 0..130 {
            trainer.step().unwrap();
        }
        let mut saved = Section::default();
        trainer.save(&mut saved).unwrap();
        let mut restored = make(&again);
        restored.load(&saved).unwrap();
        for trainer in [&mut trainer, &mut restored] {
            for _ in 0..100 {
                trainer.step().unwrap();
            }
        }
        [factory, again].map(|factory| factory.learned().unwrap().save())
    });
    for [whole, restored] in &found {
        assert!(whole == restored, "as if nothing had happened");
    }
}

#[test]
fn asynchronous_ranks_tell_each_other_what_their_environments_show() {
    let a3c = A3cConfig {
        workers: 1,
        ..A3cConfig::classic()
    };
    let double_dqn = DoubleDqnConfig {
        asynchronous: true,
        ..double_dqn()
    };
    let means = |trained: &Make<'_>| {
        in_ranks(3, |ranks| {
            let factory = shows_its_rank(&ranks);
            let mut trainer = trained(Arc::clone(&factory), &run_of(&ranks));
            if ranks.rank() > 0 {
                assist(trainer.as_mut(), &ranks).unwrap();
            } else {
                let mut from_others = 0;
                while from_others < 200 {
                    let progress = trainer.step().unwrap();
                    from_others += progress.episodes.iter().filter(|episode| episode.actor > 1).count();
                }
            }
            factory.normalization().unwrap().mean[0]
        })
    };
    let found = [
        means(&|factory, run| a3c.trainer(factory, run).unwrap()),
        means(&|factory, run| double_dqn.trainer(factory, run).unwrap()),
    ];
    // Without the others, 0, 1 and 2.
    for means in found {
        assert!(means[0] > 0.1 && means[2] < 1.9, "{means:?}");
    }
}
