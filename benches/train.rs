//! The speed of PPO, in emulator frames: one rollout and the updates from it, with the settings of the preset `pong`.
//! Needs ROMs and libtorch.

use coinop::agents::on_policy::{OnPolicy, OnPolicyConfig};
use coinop::agents::ppo::PpoConfig;
use coinop::agents::{Trainer, set_torch_threads};
use coinop::envs::registry::{EnvOptions, make_vec};
use coinop::{RunSettings, process_settings};
use criterion::{Criterion, Throughput, criterion_group};

fn step(c: &mut Criterion) {
    let config = OnPolicyConfig::from(&PpoConfig::pong());
    let mut group = c.benchmark_group("train");
    group.sample_size(10);
    for threads in [1, 2] {
        set_torch_threads(threads);
        let env = make_vec::<u8>("pong", &EnvOptions::default(), config.num_envs, threads).expect("environments");
        let mut trainer = OnPolicy::new(&config, env, &RunSettings::new(12_000_000, 1)).expect("a trainer");
        let frames = 4 * config.num_envs * config.rollout_steps;
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(format!("ppo/fast/{threads} threads"), |b| {
            b.iter(|| trainer.step().expect("a step").frames);
        });
    }
    group.finish();
}

criterion_group!(benches, step);

fn main() {
    process_settings::apply();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
