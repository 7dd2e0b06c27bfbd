//! How many frames per second the environments of a training make:
//! `cargo run --release -p coinop-envs --example speed -- pong 16 2 8000` (game, environments, threads, agent steps in all).

use std::time::Instant;

use coinop_envs::Step;
use coinop_envs::registry::{EnvOptions, make_vec};
use coinop_envs::rng::stream;
use rand::RngExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [game, envs, threads, steps] = &arguments[..] else {
        return Err("usage: speed GAME ENVS THREADS STEPS".into());
    };
    let (envs, steps): (usize, usize) = (envs.parse()?, steps.parse()?);
    let mut env = make_vec::<u8>(game, &EnvOptions::default(), envs, threads.parse()?)?;
    let len = envs * env.spec().obs_shape.len();
    let (mut obs, mut final_obs, mut results) = (vec![0; len], vec![0; len], vec![Step::default(); envs]);
    env.reset(Some(1), &mut obs)?;
    let (mut random, num_actions) = (stream(1, "action", 0), env.spec().num_actions as u32);
    let mut actions = vec![0; envs];
    let start = Instant::now();
    for _ in 0..steps / envs {
        actions.fill_with(|| random.random_range(0..num_actions));
        env.step(&actions, &mut obs, &mut final_obs, &mut results)?;
    }
    let frames = (steps / envs * envs) as f64 * f64::from(env.spec().frames_per_step);
    println!("{:.0} frames/s", frames / start.elapsed().as_secs_f64());
    Ok(())
}
