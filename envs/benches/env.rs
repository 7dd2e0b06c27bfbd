//! How fast one agent step is: four frames, the picture and the stack. Needs ROMs. Throughput is in emulator frames.

use coinop_envs::Env;
use coinop_envs::atari::{AtariEnv, Protocol};
use coinop_envs::coinop_atari::{Rom, find_game};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for game in ["pong", "breakout", "seaquest"] {
        let rom = Rom::find(find_game(game).expect("a game"), None).expect("its ROM");
        let mut env = AtariEnv::new(&rom, &Protocol::Sb3.config()).expect("an environment");
        let mut obs = vec![0; env.obs_shape().len()];
        env.reset(Some(1), &mut obs).expect("a start");
        group.throughput(Throughput::Elements(u64::from(env.frames_per_step())));
        let mut action = 0;
        group.bench_function(game, |b| {
            b.iter(|| {
                action = (action + 1) % env.num_actions() as u32;
                let step = env.step(action, &mut obs).expect("a step");
                if step.end.is_over() {
                    env.reset(None, &mut obs).expect("a start");
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
