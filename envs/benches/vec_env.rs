//! The speed of each kind of vectorised environment, in frames: sixteen environments on two threads. Atari games need ROMs.

use coinop_envs::arcade::{Bricks, trained};
use coinop_envs::atari::{AtariEnv, Protocol};
use coinop_envs::classic::{Acrobot, CartPole, MountainCar};
use coinop_envs::coinop_atari::{Rom, find_game};
use coinop_envs::vec_env::{Asynchronous, Pooled, Serial, Threaded};
use coinop_envs::{Elem, Env, Step, VecEnv};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ENVS: usize = 16;
const THREADS: usize = 2;

fn steps<O: Elem>(c: &mut Criterion, name: &str, kind: &str, mut envs: impl VecEnv<Obs = O>) {
    let spec = envs.spec();
    let len = ENVS * spec.obs_shape.len();
    let (mut obs, mut final_obs) = (vec![O::default(); len], vec![O::default(); len]);
    let mut results = [Step::default(); ENVS];
    envs.reset(Some(1), &mut obs).expect("a start");
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(ENVS as u64 * u64::from(spec.frames_per_step)));
    let mut action = 0;
    group.bench_function(kind, |b| {
        b.iter(|| {
            action = (action + 1) % spec.num_actions as u32;
            envs.step(&[action; ENVS], &mut obs, &mut final_obs, &mut results)
                .expect("a step");
        });
    });
    group.finish();
}

/// All four kinds, of copies of one environment.
fn kinds<E: Env + Clone + Send + Sync + 'static>(c: &mut Criterion, name: &str, env: &E) {
    let envs = || vec![env.clone(); ENVS];
    steps(c, name, "serial", Serial::new(envs()));
    steps(c, name, "pooled", Pooled::new(envs(), THREADS).expect("threads"));
    steps(
        c,
        name,
        "asynchronous",
        Asynchronous::new(envs(), THREADS).expect("threads"),
    );
    let one = env.clone();
    let threaded = Threaded::new(move || Ok(one.clone()), ENVS).expect("threads");
    steps(c, name, "threaded", threaded);
}

fn all(c: &mut Criterion) {
    kinds(c, "cartpole", &CartPole::v1());
    kinds(c, "mountain_car", &MountainCar::v0());
    kinds(c, "acrobot", &Acrobot::v1());
    kinds(c, "bricks", &trained::<Bricks>());
    for game in ["pong", "breakout"] {
        let rom = Rom::find(find_game(game).expect("a game"), None).expect("its ROM");
        let env = AtariEnv::new(&rom, &Protocol::Sb3.config()).expect("an environment");
        kinds(c, game, &env);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
