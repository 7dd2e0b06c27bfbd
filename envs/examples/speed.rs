//! Frames per second of the training environment: `cargo run --release -p coinop-envs --example speed -- pong 16 1 2000`
//! (game, environments, threads, steps).
use coinop_envs::Step;
use coinop_envs::registry::{EnvOptions, make_vec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [game, envs, threads, steps] = &arguments[..] else {
        return Err("usage: speed GAME ENVS THREADS STEPS".into());
    };
    let (envs, steps): (usize, u32) = (envs.parse()?, steps.parse()?);
    let mut env = make_vec(game, &EnvOptions::default(), envs, threads.parse()?)?;
    let len = envs * env.obs_shape().len();
    let (mut obs, mut last_obs, mut results) = (vec![0; len], vec![0; len], vec![Step::default(); envs]);
    env.reset(Some(1), &mut obs)?;
    let mut actions = vec![0; envs];
    let start = std::time::Instant::now();
    for t in 0..steps {
        for (i, action) in actions.iter_mut().enumerate() {
            *action = (t / 3 + i as u32) % env.num_actions() as u32;
        }
        env.step(&actions, &mut obs, &mut last_obs, &mut results)?;
    }
    let frames = f64::from(steps) * envs as f64 * f64::from(env.frames_per_step());
    println!("{:.0} frames/s", frames / start.elapsed().as_secs_f64());
    Ok(())
}
