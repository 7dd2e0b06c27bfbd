//! Prints the trace of a game under a list of actions: `cargo run --release -p coinop-atari --example trace -- pong actions.txt`.
use coinop_atari::{Atari, AtariSettings, Rom, find_game, trace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [game, actions, rest @ ..] = &arguments[..] else {
        return Err("usage: trace GAME ACTIONS [SEED STICKY SKIP]".into());
    };
    let mut settings = AtariSettings::default();
    if let [seed, sticky, skip, ..] = rest {
        settings = AtariSettings {
            random_seed: seed.parse()?,
            repeat_action_probability: sticky.parse()?,
            frame_skip: skip.parse()?,
            ..settings
        };
    }
    let rom = Rom::find(find_game(game)?, None)?;
    let actions = trace::parse_actions(&std::fs::read_to_string(actions)?)?;
    trace::write_trace(
        &mut Atari::new(&rom, &settings)?,
        &actions,
        &mut std::io::stdout().lock(),
    )?;
    Ok(())
}
