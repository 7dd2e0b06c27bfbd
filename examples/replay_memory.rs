//! Bytes per step of the replay memory: plays a game with random actions, and prints a row of a Markdown table.
//!
//!     cargo run --release --example replay_memory -- pong 200k
//!
//! The memory is the compressed store with proportional priorities, for as many steps as are played, by 8 actors. A step is four frames of the
//! emulator, and one of the agent's.

use coinop::agents::replay::{Replay, ReplayConfig, SamplerConfig, Store};
use coinop::envs::Step;
use coinop::envs::registry::{EnvOptions, make_vec};
use coinop::envs::rng::stream;
use rand::RngExt;

const ACTORS: usize = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(game), Some(steps)) = (args.next(), args.next()) else {
        return Err("usage: replay_memory GAME STEPS".into());
    };
    let steps: usize = steps.replace('k', "000").replace('M', "000000").parse()?;
    let mut env = make_vec::<u8>(&game, &EnvOptions::default(), ACTORS, 2)?;
    let spec = env.spec();
    let len = spec.obs_shape.len();
    let config = ReplayConfig {
        capacity: steps,
        store: Store::Compressed,
        n_step: 1,
        gamma: 0.99,
        sampler: SamplerConfig::PROPORTIONAL,
    };
    let mut replay = Replay::new(&config, ACTORS, &spec)?;
    let mut rng = stream(1, "example", 0);
    let mut obs = vec![0; ACTORS * len];
    let mut before = obs.clone();
    let mut final_obs = obs.clone();
    let mut actions = vec![0; ACTORS];
    let mut results = vec![Step::default(); ACTORS];
    env.reset(Some(1), &mut obs)?;
    for _ in 0..steps / ACTORS {
        actions.fill_with(|| rng.random_range(0..spec.num_actions as u32));
        before.copy_from_slice(&obs);
        env.step(&actions, &mut obs, &mut final_obs, &mut results)?;
        for (actor, result) in results.iter().enumerate() {
            let row = actor * len..(actor + 1) * len;
            replay.insert(actor, &before[row.clone()], actions[actor], result, &final_obs[row])?;
        }
    }
    let bytes = replay.bytes() as f64 / steps as f64;
    println!("| {game} | {bytes:.0} | {:.2} GB |", bytes * 1e6 / 1e9);
    Ok(())
}
