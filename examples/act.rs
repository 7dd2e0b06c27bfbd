//! A trained agent in a program: `cargo run --release --example act -- RUN`, after `coinop train cartpole`.

use coinop::envs::registry::{EnvOptions, find};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    coinop::process_settings::apply();
    let run = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "runs/cartpole-ppo-1".to_owned());
    let mut agent = coinop::load(run)?;
    let mut env = find("cartpole")?
        .factory(&EnvOptions::default())?
        .features("cartpole")?
        .make(0)?;
    let (mut obs, mut score) = ([0.0f32; 4], 0.0);
    env.reset(Some(1), &mut obs)?;
    while {
        let step = env.step(agent.act(&obs)?, &mut obs)?;
        score += step.score;
        !step.end.is_over()
    } {}
    println!("score {score}");
    Ok(())
}
