//! The speed of a full replay memory: 1,000,000 steps of Seaquest by 8 actors that play at random, with stacks of 4 frames.
//! Needs ROMs, and 8 GB of memory for the raw store.

use std::time::Duration;

use coinop::agents::replay::{Replay, ReplayBatch, ReplayConfig, SamplerConfig, Store};
use coinop::envs::registry::{EnvOptions, make_vec};
use coinop::envs::rng::stream;
use coinop::envs::{EnvSpec, Step};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::RngExt;

const ACTORS: usize = 8;
/// Steps of each actor that are recorded; the memory is filled with them again and again.
const RECORDED: usize = 2_500;

/// Steps that are kept; where benchmarks are only tested, fewer.
fn capacity() -> usize {
    if std::env::args().any(|arg| arg == "--bench") {
        1_000_000
    } else {
        20_000
    }
}

/// Steps of all actors together, with what they saw before.
struct Recording {
    spec: EnvSpec,
    moments: Vec<(Vec<u8>, Vec<Step>, Vec<u8>)>,
}

fn record() -> Recording {
    let mut env = make_vec::<u8>("seaquest", &EnvOptions::default(), ACTORS, 2).expect("environments");
    let spec = env.spec();
    let mut rng = stream(1, "bench", 0);
    let mut obs = vec![0; ACTORS * spec.obs_shape.len()];
    let mut final_obs = obs.clone();
    let mut steps = vec![Step::default(); ACTORS];
    env.reset(Some(1), &mut obs).expect("a beginning");
    let mut moments = Vec::new();
    for _ in 0..RECORDED {
        let before = obs.clone();
        let actions: Vec<u32> = (0..ACTORS)
            .map(|_| rng.random_range(0..spec.num_actions as u32))
            .collect();
        env.step(&actions, &mut obs, &mut final_obs, &mut steps)
            .expect("a step");
        moments.push((before, steps.clone(), final_obs.clone()));
    }
    Recording { spec, moments }
}

impl Recording {
    fn insert(&self, replay: &mut Replay<u8>, moment: usize) {
        let len = self.spec.obs_shape.len();
        let (obs, steps, final_obs) = &self.moments[moment % RECORDED];
        for (actor, step) in steps.iter().enumerate() {
            let row = actor * len..(actor + 1) * len;
            replay
                .insert(actor, &obs[row.clone()], 0, step, &final_obs[row])
                .expect("room");
        }
    }

    fn full(&self, store: Store, sampler: SamplerConfig) -> Replay<u8> {
        let config = ReplayConfig {
            capacity: capacity(),
            store,
            n_step: 1,
            gamma: 0.99,
            sampler,
        };
        let mut replay = Replay::new(&config, ACTORS, &self.spec).expect("a memory");
        for moment in 0..capacity() / ACTORS + 100 {
            self.insert(&mut replay, moment);
        }
        replay
    }
}

fn benches(c: &mut Criterion) {
    let recording = record();
    let mut group = c.benchmark_group("replay");
    group.measurement_time(Duration::from_secs(3));
    for (store_name, store) in [("raw", Store::Raw), ("compressed", Store::Compressed)] {
        for (name, sampler) in [
            ("uniform", SamplerConfig::Uniform),
            ("proportional", SamplerConfig::PROPORTIONAL),
            ("rank_based", SamplerConfig::RANK_BASED),
        ] {
            let mut replay = recording.full(store, sampler);
            let mut rng = stream(2, "bench", 0);
            let mut batch = ReplayBatch::new(32, &recording.spec);
            group.bench_function(format!("sample 32/{store_name}/{name}"), |b| {
                b.iter(|| replay.sample(0.4, &mut rng, &mut batch).expect("a batch"));
            });
            if name != "uniform" && store == Store::Compressed {
                let ids = batch.ids.clone();
                group.bench_function(format!("update 32/{name}"), |b| {
                    b.iter(|| {
                        let errors: Vec<f32> = ids.iter().map(|_| rng.random()).collect();
                        replay.update_priorities(&ids, &errors, 0).expect("numbers");
                    });
                });
            }
            let mut moment = 0;
            group.bench_function(format!("insert 8/{store_name}/{name}"), |b| {
                b.iter(|| {
                    moment += 1;
                    recording.insert(&mut replay, moment);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
