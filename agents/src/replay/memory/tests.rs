//! The memory beside a naive one, which keeps every observation whole and for ever.

use coinop_envs::Shape;
use coinop_envs::rng::stream;
use proptest::prelude::*;

use super::*;
use crate::replay::{Normalize, SamplerConfig, sampler};
use crate::schedule::Schedule;
use crate::test_help::{on_disk, state};

const STACK: usize = 3;
const FRAME: usize = 4;
const ACTORS: usize = 3;
const GAMMA: f32 = 0.5;

fn spec() -> EnvSpec {
    EnvSpec {
        stacked_frames: STACK,
        ..EnvSpec::new(Shape::new(&[STACK, 2, 2]), 6)
    }
}

fn config(store: Store, n_step: usize, sampler: SamplerConfig) -> ReplayConfig {
    ReplayConfig {
        capacity: 96,
        store,
        n_step,
        gamma: f64::from(GAMMA),
        sampler,
    }
}

const PROPORTIONAL: SamplerConfig = SamplerConfig::PROPORTIONAL;
const RANK_BASED: SamplerConfig = SamplerConfig::RANK_BASED;

/// Plays an actor's part: frames that are all different, stacked as environments stack them.
struct Player {
    obs: Vec<u8>,
    frames: u32,
}

impl Player {
    fn new(actor: usize) -> Self {
        let mut player = Self {
            obs: vec![0; STACK * FRAME],
            frames: actor as u32 * 10_000,
        };
        player.reset();
        player
    }

    fn frame(&mut self) -> [u8; FRAME] {
        self.frames += 1;
        self.frames.to_le_bytes()
    }

    fn reset(&mut self) {
        let frame = self.frame();
        self.obs = frame.repeat(STACK);
    }

    fn step(&mut self) {
        let frame = self.frame();
        self.obs.drain(..FRAME);
        self.obs.extend_from_slice(&frame);
    }
}

/// An observation, and the step after it; none after the last observation of a truncated episode.
struct Record {
    obs: Vec<u8>,
    step: Option<(u32, Step)>,
}

/// The memory and the naive one, filled alike.
struct Both {
    replay: Replay<u8>,
    players: Vec<Player>,
    records: Vec<Vec<Record>>,
    n_step: usize,
}

impl Both {
    fn new(config: &ReplayConfig) -> Self {
        Self {
            replay: Replay::new(config, ACTORS, &spec()).unwrap(),
            players: (0..ACTORS).map(Player::new).collect(),
            records: (0..ACTORS).map(|_| Vec::new()).collect(),
            n_step: config.n_step,
        }
    }

    fn insert(&mut self, actor: usize, step: Step) {
        let player = &mut self.players[actor];
        let before = player.obs.clone();
        let action = player.frames % 6;
        player.step();
        self.replay.insert(actor, &before, action, &step, &player.obs).unwrap();
        self.records[actor].push(Record {
            obs: before,
            step: Some((action, step)),
        });
        if step.end == End::Truncated {
            let obs = player.obs.clone();
            self.records[actor].push(Record { obs, step: None });
        }
        if step.end.is_over() {
            player.reset();
        }
    }

    fn insert_many(&mut self, steps: usize) {
        for i in 0..steps {
            self.insert(i % ACTORS, Step::going_on(i as f32));
        }
    }

    /// Observation, action, return, discount, next observation: from the records.
    fn expected(&self, id: Id) -> (Vec<u8>, i64, f32, f32, Option<Vec<u8>>) {
        let records = &self.records[id.actor as usize][id.entry as usize..];
        let (mut total, mut discount, mut next) = (0.0, 1.0, None);
        for i in 0..self.n_step {
            let (_, step) = records[i].step.unwrap();
            total += discount * step.reward;
            discount *= GAMMA * step.discount;
            next = Some(&records[i + 1].obs);
            if step.end.is_over() || discount == 0.0 {
                break;
            }
        }
        let next = next.filter(|_| discount > 0.0).cloned();
        let action = i64::from(records[0].step.unwrap().0);
        (records[0].obs.clone(), action, total, discount, next)
    }

    /// All transitions that may be sampled, by the words of the module's documentation.
    fn sampleable(&self) -> Vec<Id> {
        let mut ids = Vec::new();
        for (actor, records) in self.records.iter().enumerate() {
            let first = self.replay.rings[actor].frames.first();
            for entry in first..(records.len().saturating_sub(self.n_step)) as u64 {
                let has_stack = first == 0 || entry >= first + STACK as u64 - 1;
                if has_stack && records[entry as usize].step.is_some() {
                    ids.push(Id {
                        actor: actor as u32,
                        entry,
                    });
                }
            }
        }
        ids
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let ids = self.sampleable();
        let mut batch = ReplayBatch::new(ids.len(), &spec());
        batch.ids.copy_from_slice(&ids);
        self.replay.gather(&mut batch).unwrap();
        let rows = batch
            .obs
            .chunks(STACK * FRAME)
            .zip(batch.next_obs.chunks(STACK * FRAME));
        for (i, (obs, next_obs)) in rows.enumerate() {
            let (expected_obs, action, total, discount, next) = self.expected(ids[i]);
            prop_assert_eq!(obs, expected_obs);
            prop_assert_eq!(
                (batch.actions[i], batch.returns[i], batch.discounts[i]),
                (action, total, discount)
            );
            if let Some(next) = next {
                prop_assert_eq!(next_obs, next);
            }
        }
        prop_assert_eq!(self.replay.len(), ids.len());
        if ids.is_empty() {
            return Ok(());
        }
        let mut batch = ReplayBatch::new(8, &spec());
        self.replay.sample(1.0, &mut stream(1, "test", 0), &mut batch).unwrap();
        for id in &batch.ids {
            prop_assert!(ids.contains(id), "{id:?}");
        }
        Ok(())
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let reward = -3i8..4;
    (reward, 0u8..20).prop_map(|(reward, what)| {
        let reward = f32::from(reward);
        match what {
            0 => Step::terminated(reward),
            1 => Step::truncated(reward),
            // A life that was lost.
            2 => Step {
                discount: 0.0,
                ..Step::going_on(reward)
            },
            // The same in the moment of a time limit.
            3 => Step {
                discount: 0.0,
                ..Step::truncated(reward)
            },
            _ => Step::going_on(reward),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn it_gives_back_what_the_naive_memory_does(
        raw in any::<bool>(),
        n_step in 1usize..5,
        sampler in prop::sample::select(vec![SamplerConfig::Uniform, PROPORTIONAL, RANK_BASED]),
        operations in prop::collection::vec((0..ACTORS, steps()), 1..400),
        check_every in 1usize..40,
    ) {
        let store = if raw { Store::Raw } else { Store::Compressed };
        let mut both = Both::new(&config(store, n_step, sampler));
        for (i, (actor, step)) in operations.into_iter().enumerate() {
            both.insert(actor, step);
            if i % check_every == 0 {
                both.check()?;
                // New errors for some, and for some that are long gone.
                let ids: Vec<Id> = both.sampleable().into_iter().step_by(3).collect();
                let old = Id { actor: 0, entry: 0 };
                let errors: Vec<f32> = (0..=ids.len()).map(|i| i as f32).collect();
                both.replay.update_priorities(&[&ids[..], &[old]].concat(), &errors, 0).unwrap();
            }
        }
        both.check()?;
    }
}

#[test]
fn the_example_of_the_documentation() {
    let config = ReplayConfig {
        capacity: 32,
        ..config(Store::Compressed, 2, SamplerConfig::Uniform)
    };
    let spec = EnvSpec {
        stacked_frames: 2,
        ..EnvSpec::new(Shape::new(&[2, 1, 1]), 1)
    };
    let mut replay = Replay::<u8>::new(&config, 1, &spec).unwrap();
    let insert =
        |replay: &mut Replay<u8>, obs: &[u8; 2], step, last: &[u8; 2]| replay.insert(0, obs, 0, &step, last).unwrap();
    for (obs, reward) in [(b"aa", 0.0), (b"ab", 1.0), (b"bc", 2.0)] {
        insert(&mut replay, obs, Step::going_on(reward), b"..");
    }
    insert(&mut replay, b"cd", Step::truncated(3.0), b"de");
    for (obs, reward) in [(b"pp", 5.0), (b"pq", 6.0), (b"qr", 7.0), (b"rs", 8.0)] {
        insert(&mut replay, obs, Step::going_on(reward), b"..");
    }
    let mut batch = ReplayBatch::new(3, &spec);
    batch.ids = [1, 3, 5].map(|entry| Id { actor: 0, entry }).to_vec();
    replay.gather(&mut batch).unwrap();
    assert_eq!((&batch.obs[..], &batch.next_obs[..]), (&b"abcdpp"[..], &b"cddeqr"[..]));
    assert_eq!(batch.returns, [1.0 + 0.5 * 2.0, 3.0, 5.0 + 0.5 * 6.0]);
    assert_eq!(batch.discounts, [0.25, 0.5, 0.25]);
    assert_eq!(replay.ready(0), 0..7);
}

/// Pearson's statistic of how often each transition was sampled, and how many degrees of freedom it has.
fn chi_square(both: &mut Both, probability: impl Fn(Id) -> f64) -> (f64, usize) {
    const DRAWS: usize = 40_000;
    let ids = both.sampleable();
    let mut rng = stream(7, "test", 0);
    let mut counts = vec![0.0; ids.len()];
    // Batches of one are drawn independently of each other; in larger ones the frequencies are nearer to the probabilities.
    let mut batch = ReplayBatch::new(1, &spec());
    for _ in 0..DRAWS {
        both.replay.sample(0.4, &mut rng, &mut batch).unwrap();
        counts[ids.iter().position(|id| *id == batch.ids[0]).unwrap()] += 1.0;
    }
    let statistic = ids.iter().zip(&counts).map(|(id, count): (&Id, &f64)| {
        let expected = DRAWS as f64 * probability(*id);
        (count - expected).powi(2) / expected
    });
    (statistic.sum(), ids.len() - 1)
}

/// Beyond five standard deviations of the distribution, which has mean `k` and variance `2k`.
fn assert_fits((statistic, freedom): (f64, usize)) {
    let bound = freedom as f64 + 5.0 * (2.0 * freedom as f64).sqrt();
    assert!(statistic < bound, "{statistic} with {freedom} degrees of freedom");
}

/// A full memory with an error for each transition.
fn with_errors(sampler: SamplerConfig) -> (Both, Vec<(Id, f32)>) {
    let mut both = Both::new(&config(Store::Raw, 1, sampler));
    both.insert_many(200);
    let errors: Vec<(Id, f32)> = both
        .sampleable()
        .into_iter()
        .enumerate()
        .map(|(i, id)| (id, ((i * 37) % 61) as f32 / 10.0 - 3.0))
        .collect();
    let (ids, values): (Vec<Id>, Vec<f32>) = errors.iter().copied().unzip();
    both.replay.update_priorities(&ids, &values, 0).unwrap();
    (both, errors)
}

fn error_of(errors: &[(Id, f32)], id: Id) -> f32 {
    errors.iter().find(|(other, _)| *other == id).unwrap().1
}

#[test]
fn uniform_samples_are_uniform() {
    let (mut both, errors) = with_errors(SamplerConfig::Uniform);
    let n = errors.len() as f64;
    assert_fits(chi_square(&mut both, |_| 1.0 / n));
}

#[test]
fn proportional_samples_have_the_papers_probabilities_and_weights() {
    let (mut both, errors) = with_errors(PROPORTIONAL);
    let priority = |error: f32| (f64::from(error.abs()) + 0.01).powf(0.6);
    let total: f64 = errors.iter().map(|(_, error)| priority(*error)).sum();
    let probability = |id| priority(error_of(&errors, id)) / total;
    assert_fits(chi_square(&mut both, probability));

    // (n P)^-beta, divided by the largest of the batch.
    let mut batch = ReplayBatch::new(8, &spec());
    both.replay.sample(0.4, &mut stream(1, "test", 0), &mut batch).unwrap();
    let weight = |id: &Id| (errors.len() as f64 * probability(*id)).powf(-0.4);
    let largest = batch.ids.iter().map(weight).fold(0.0, f64::max);
    for (id, actual) in batch.ids.iter().zip(&batch.weights) {
        assert!((f64::from(*actual) - weight(id) / largest).abs() < 1e-6);
    }
}

#[test]
fn rank_based_samples_have_the_papers_probabilities() {
    let (mut both, mut errors) = with_errors(RANK_BASED);
    if let sampler::Priorities::RankBased(ranks) = &mut both.replay.sampler.priorities {
        ranks.sort();
    }
    // Errors that are alike may have their ranks in any order: there are two of most here, whose counts are added up.
    errors.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let total: f64 = (1..=errors.len()).map(|rank| (rank as f64).powf(-0.7)).sum();
    let share = |rank: usize| (rank as f64).powf(-0.7) / total;
    let mut rng = stream(7, "test", 0);
    let mut batch = ReplayBatch::new(1, &spec());
    let mut counts = std::collections::BTreeMap::<u32, [f64; 2]>::new();
    for (i, (_, error)) in errors.iter().enumerate() {
        counts.entry(error.abs().to_bits()).or_default()[0] += 40_000.0 * share(i + 1);
    }
    for _ in 0..40_000 {
        both.replay.sample(0.4, &mut rng, &mut batch).unwrap();
        let error = error_of(&errors, batch.ids[0]).abs();
        counts.get_mut(&error.to_bits()).unwrap()[1] += 1.0;
    }
    let statistic = counts
        .values()
        .map(|[expected, count]| (count - expected).powi(2) / expected);
    assert_fits((statistic.sum(), counts.len() - 1));
}

#[test]
fn a_batch_takes_one_from_each_range_of_equal_probability() {
    for sampler in [PROPORTIONAL, RANK_BASED] {
        let mut both = Both::new(&config(Store::Raw, 1, sampler));
        both.insert_many(90);
        let ids = both.sampleable();
        // One has the first rank, whose share of 90 is more than a sixteenth, so that it is in every batch.
        both.replay.update_priorities(&ids, &vec![1e-9; ids.len()], 0).unwrap();
        both.replay.update_priorities(&ids[5..6], &[1e9], 0).unwrap();
        let mut rng = stream(1, "test", 0);
        let mut batch = ReplayBatch::new(16, &spec());
        for _ in 0..20 {
            both.replay.sample(0.5, &mut rng, &mut batch).unwrap();
            assert!(batch.ids.contains(&ids[5]));
        }
    }
}

#[test]
fn four_of_equal_priorities_are_each_in_every_batch_of_four() {
    let mut both = Both::new(&config(Store::Raw, 1, PROPORTIONAL));
    // Five steps of the first actor are four transitions.
    (0..5).for_each(|_| both.insert(0, Step::going_on(0.0)));
    let ids = both.sampleable();
    both.replay.update_priorities(&ids, &[0.5; 4], 0).unwrap();
    let mut rng = stream(1, "test", 0);
    let mut batch = ReplayBatch::new(4, &spec());
    // Four draws without the four ranges would be all different with probability 4!/4^4, one in eleven.
    for _ in 0..100 {
        both.replay.sample(0.5, &mut rng, &mut batch).unwrap();
        assert_eq!(batch.ids, ids);
    }
}

#[test]
fn final_observations_are_not_counted_and_a_memory_of_them_alone_is_empty() {
    for sampler in [SamplerConfig::Uniform, PROPORTIONAL, RANK_BASED] {
        let mut both = Both::new(&config(Store::Raw, 1, sampler));
        let insert = |both: &mut Both| {
            let player = &both.players[0];
            let (obs, step) = (player.obs.clone(), Step::going_on(1.0));
            both.replay.insert(0, &obs, 0, &step, &obs).unwrap();
        };
        // The only step of an episode that was interrupted becomes its final observation.
        insert(&mut both);
        both.replay.interrupt();
        insert(&mut both);
        assert!(both.replay.is_empty());
        insert(&mut both);
        assert_eq!(both.replay.len(), 1);
        let mut batch = ReplayBatch::new(8, &spec());
        both.replay.sample(0.5, &mut stream(1, "test", 0), &mut batch).unwrap();
        assert!(batch.ids.iter().all(|id| id.entry == 1));
        assert!(batch.weights.iter().all(|weight| *weight == 1.0), "{:?}", batch.weights);
    }
}

#[test]
fn an_invalid_action_or_priority_is_refused() {
    let config = config(Store::Raw, 1, PROPORTIONAL);
    let mut both = Both::new(&config);
    both.insert_many(30);
    let section = state(&both.replay);
    let load = |spoil: &dyn Fn(&mut Section)| {
        let mut spoiled = state(&both.replay);
        spoil(&mut spoiled);
        let mut other = Replay::<u8>::new(&config, ACTORS, &spec()).unwrap();
        other.load(&spoiled).map_err(|error| error.to_string())
    };
    load(&|_| {}).unwrap();
    let mut entries = vec![[0u32; 4]; 10];
    section
        .section("actor_0")
        .unwrap()
        .load_numbers("entries", &mut entries)
        .unwrap();
    entries[3][0] = 6;
    let error = load(&|out| out.section_mut("actor_0").put_numbers("entries", &entries).unwrap()).unwrap_err();
    assert_eq!(
        error,
        "`entries` in the checkpoint does not fit: one of them is not a step"
    );
    // Entry 9 of an actor is not ready: what came of it is not known yet.
    let bytes = section.section("sampler").unwrap().bytes("priorities").unwrap();
    let priorities: Vec<f64> = bytemuck::allocation::pod_collect_to_vec(&bytes);
    for (slot, priority) in [(9, 1.0), (3, 0.0), (3, f64::NAN)] {
        let mut priorities = priorities.clone();
        priorities[slot] = priority;
        let error = load(&|out| {
            out.section_mut("sampler")
                .put_numbers("priorities", &priorities)
                .unwrap()
        })
        .unwrap_err();
        assert_eq!(
            error,
            "`priorities` in the checkpoint does not fit: it is of another memory"
        );
    }
}

#[test]
fn weights_may_be_normalised_by_the_memorys_largest() {
    let with = |sampler| {
        let (mut both, _) = with_errors(sampler);
        let mut batch = ReplayBatch::new(4, &spec());
        both.replay.sample(0.5, &mut stream(3, "test", 0), &mut batch).unwrap();
        (batch.ids, batch.weights)
    };
    for (in_batch, in_memory) in [
        (
            PROPORTIONAL,
            SamplerConfig::Proportional {
                alpha: 0.6,
                beta: Schedule::over_run(0.4, 1.0),
                priority_epsilon: 0.01,
                normalize: Normalize::Memory,
            },
        ),
        (
            RANK_BASED,
            SamplerConfig::RankBased {
                alpha: 0.7,
                beta: Schedule::over_run(0.5, 1.0),
                normalize: Normalize::Memory,
            },
        ),
    ] {
        let ((ids, by_batch), (same, by_memory)) = (with(in_batch), with(in_memory));
        assert_eq!(ids, same);
        // The same weights but for one factor: the share that the batch's largest has of the memory's.
        let ratio = by_memory[0] / by_batch[0];
        assert!(ratio < 1.0 && by_batch.contains(&1.0), "{ratio}");
        for (a, b) in by_memory.iter().zip(&by_batch) {
            assert!((a / b - ratio).abs() < 1e-6);
        }
    }
}

#[test]
fn new_transitions_have_the_largest_priority_so_far_and_the_last_of_two_errors_counts() {
    let mut both = Both::new(&config(Store::Raw, 1, PROPORTIONAL));
    both.insert_many(30);
    let ids = both.sampleable();
    both.replay
        .update_priorities(&[ids[0], ids[0], ids[1]], &[-7.0, 2.0, 0.0], 0)
        .unwrap();
    both.insert_many(3);
    let new = both.sampleable().into_iter().find(|id| !ids.contains(id)).unwrap();
    let sampler::Priorities::Proportional { sums, .. } = &both.replay.sampler.priorities else {
        unreachable!()
    };
    let priority = |id: Id| sums.get(both.replay.slot(id.actor as usize, id.entry));
    let of = |error: f64| (error + 0.01).powf(0.6);
    assert_eq!(
        [ids[0], ids[1], ids[2], new].map(priority),
        [of(2.0), of(0.0), of(1.0), of(7.0)]
    );
}

#[test]
fn an_error_that_is_not_a_number_is_refused_and_changes_nothing() {
    let (mut both, errors) = with_errors(PROPORTIONAL);
    let before = on_disk(&both.replay);
    let ids = [errors[0].0, errors[1].0];
    let error = both.replay.update_priorities(&ids, &[1.0, f32::NAN], 41).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the error of a transition is NaN after 41 updates: training diverged; try a lower learning rate"
    );
    assert!(before == on_disk(&both.replay));
}

#[test]
fn a_restored_memory_is_the_saved_one_and_continues_as_it() {
    for store in [Store::Raw, Store::Compressed] {
        for sampler in [SamplerConfig::Uniform, PROPORTIONAL, RANK_BASED] {
            let config = config(store, 2, sampler);
            let mut original = Both::new(&config);
            // Two thirds of a round, and more than a round.
            for steps in [70, 90] {
                original.insert_many(steps);
                let ids = original.sampleable();
                let errors: Vec<f32> = (0..ids.len()).map(|i| (i % 7) as f32).collect();
                original.replay.update_priorities(&ids, &errors, 0).unwrap();
                let mut restored = Replay::<u8>::new(&config, ACTORS, &spec()).unwrap();
                restored.load(&state(&original.replay)).unwrap();
                assert!(on_disk(&restored) == on_disk(&original.replay));
                let sample = |replay: &mut Replay<u8>| {
                    let mut batch = ReplayBatch::new(8, &spec());
                    replay.sample(0.4, &mut stream(1, "test", 0), &mut batch).unwrap();
                    (batch.ids, batch.obs, batch.next_obs, batch.weights)
                };
                assert_eq!(sample(&mut restored), sample(&mut original.replay));
            }
            let mut other = Replay::<u8>::new(
                &ReplayConfig {
                    capacity: 120,
                    ..config
                },
                ACTORS,
                &spec(),
            )
            .unwrap();
            assert!(matches!(
                other.load(&state(&original.replay)),
                Err(CheckpointError::Mismatch { .. })
            ));
        }
    }
}

#[test]
fn an_interrupted_episode_ends_with_the_step_before_its_last_observation() {
    for n_step in [1, 3] {
        let mut both = Both::new(&config(Store::Compressed, n_step, PROPORTIONAL));
        both.insert_many(21);
        both.replay.interrupt();
        // What is there now: each actor's last step has become the final observation of a truncated episode.
        for (records, player) in both.records.iter_mut().zip(&mut both.players) {
            let last = records.len() - 1;
            records[last].step = None;
            if let Some((_, step)) = &mut records[last - 1].step {
                step.end = End::Truncated;
            }
            player.reset();
        }
        both.insert_many(21);
        both.check().unwrap();
        both.replay.interrupt();
        both.replay.interrupt();
    }
}

#[test]
fn features_are_kept_like_pixels() {
    let spec = EnvSpec::new(Shape::new(&[2]), 2);
    for store in [Store::Raw, Store::Compressed] {
        let mut replay = Replay::<f32>::new(&config(store, 1, SamplerConfig::Uniform), 1, &spec).unwrap();
        for i in 0..20 {
            let i = i as f32;
            replay.insert(0, &[i, -i], 1, &Step::going_on(i), &[]).unwrap();
        }
        let mut batch = ReplayBatch::new(1, &spec);
        batch.ids = vec![Id { actor: 0, entry: 7 }];
        replay.gather(&mut batch).unwrap();
        assert_eq!(
            (&batch.obs[..], &batch.next_obs[..]),
            (&[7.0, -7.0][..], &[8.0, -8.0][..])
        );
    }
}

#[test]
fn an_invalid_setting_is_named_with_the_reason() {
    let good = config(Store::Raw, 1, PROPORTIONAL);
    good.validate(3, 32).unwrap();
    let error = |config: ReplayConfig| config.validate(3, 32).unwrap_err().to_string();
    assert_eq!(
        error(ReplayConfig { capacity: 31, ..good }),
        "capacity = 31: it must be at least batch_size"
    );
    assert_eq!(
        error(ReplayConfig { n_step: 31, ..good }),
        "capacity = 96 for 3 environments and n_step = 31: each environment's share of the capacity must be more than n_step and a stack of frames"
    );
    assert_eq!(
        error(ReplayConfig { n_step: 0, ..good }),
        "n_step = 0: it must be at least 1"
    );
    let proportional = |alpha, beta, priority_epsilon| ReplayConfig {
        sampler: SamplerConfig::Proportional {
            alpha,
            beta: Schedule::over_run(beta, 1.0),
            priority_epsilon,
            normalize: Normalize::Batch,
        },
        ..good
    };
    assert_eq!(
        error(proportional(1.5, 0.4, 0.01)),
        "sampler.alpha = 1.5: it must be between 0 and 1"
    );
    assert_eq!(
        error(proportional(0.6, f64::NAN, 0.01)),
        "sampler.beta = NaN: it must be between 0 and 1"
    );
    assert_eq!(
        error(proportional(0.6, 0.4, 0.0)),
        "sampler.priority_epsilon = 0: it must be a number from 1e-30 to 1e30"
    );
    let stacks = EnvSpec {
        stacked_frames: 40,
        ..EnvSpec::new(Shape::new(&[40, 2, 2]), 6)
    };
    assert!(Replay::<u8>::new(&good, 3, &stacks).is_err());
}

#[test]
fn the_newest_frame_is_enough_and_fresh_transitions_take_their_errors() {
    let replay = || Replay::<u8>::new(&config(Store::Raw, 2, SamplerConfig::PROPORTIONAL), ACTORS, &spec()).unwrap();
    let (mut whole, mut frames) = (replay(), replay());
    let mut obs = [0u8; STACK * FRAME];
    for t in 0..9u64 {
        obs.rotate_left(FRAME);
        obs[(STACK - 1) * FRAME..].fill(t as u8);
        let truncated = Step {
            end: End::Truncated,
            ..Step::going_on(1.0)
        };
        let step = if t == 5 { truncated } else { Step::going_on(1.0) };
        whole.insert(1, &obs, 3, &step, &obs).unwrap();
        frames
            .insert(1, &obs[(STACK - 1) * FRAME..], 3, &step, &obs[(STACK - 1) * FRAME..])
            .unwrap();
        // Two steps later. The truncated episode has a final observation, entry 6, which is not a transition.
        let complete: &[u64] = match t {
            0 | 1 => &[],
            5 => &[3, 4],
            6 => &[5],
            7 => &[],
            8 => &[7],
            _ => &[t - 2],
        };
        let errors: Vec<f32> = complete.iter().map(|entry| 10.0 + *entry as f32).collect();
        let ids: Vec<Id> = complete.iter().map(|&entry| Id { actor: 1, entry }).collect();
        whole.update_priorities(&ids, &errors, 0).unwrap();
        frames.prioritize_fresh(&errors);
        // An error that nobody knows leaves what it is.
        frames.prioritize_fresh(&vec![f32::NAN; errors.len()]);
    }
    let sampled = |replay: &mut Replay<u8>| {
        let (mut batch, mut rng) = (ReplayBatch::new(64, &spec()), stream(1, "sample", 0));
        replay.sample(0.5, &mut rng, &mut batch).unwrap();
        (batch.ids, batch.obs, batch.next_obs, batch.weights)
    };
    assert_eq!(sampled(&mut whole), sampled(&mut frames));
}
