//! The speed of an agent step of the Atari (four frames, the picture and the stack), in emulator frames, which needs ROMs;
//! and of the rules of the arcade games, without pictures.

use coinop_envs::Env;
use coinop_envs::arcade::{ArcadeGame, Bricks, Catch, Invaders, Snake};
use coinop_envs::atari::{AtariEnv, Protocol};
use coinop_envs::coinop_atari::{Rom, find_game};
use coinop_envs::rng::stream;
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

/// The rules of an arcade game alone, a frame at a time.
fn tick<G: ArcadeGame>(c: &mut Criterion) {
    let mut group = c.benchmark_group("tick");
    group.throughput(Throughput::Elements(1));
    let mut random = stream(1, "bench", 0);
    let mut game = G::default();
    game.begin(&mut random);
    let mut frame = 0;
    group.bench_function(G::NAME, |b| {
        b.iter(|| {
            frame += 1;
            game.tick(frame / 8 % G::ACTIONS.len() as u32, &mut random);
            if game.lives() == 0 {
                game.begin(&mut random);
            }
        });
    });
    group.finish();
}

fn arcade(c: &mut Criterion) {
    tick::<Bricks>(c);
    tick::<Catch>(c);
    tick::<Invaders>(c);
    tick::<Snake>(c);
}

criterion_group!(benches, step, arcade);
criterion_main!(benches);
