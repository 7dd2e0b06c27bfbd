//! Frames per second of the machine alone, with random minimal actions and the grayscale screen read every fourth frame:
//! `cargo run --release -p coinop-atari --example frames -- pong 20000`.

use std::time::Instant;

use coinop_atari::{Atari, AtariSettings, Rom, find_game};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, frames] = &arguments[..] else {
        return Err("usage: frames GAME FRAMES".into());
    };
    let frames: u32 = frames.parse()?;
    let game = find_game(name)?;
    let mut atari = Atari::new(&Rom::find(game, None)?, &AtariSettings::default())?;
    atari.reset();
    let mut screen = vec![0; atari.screen().len()];
    let mut random = 1_u64;
    let start = Instant::now();
    for frame in 0..frames {
        // Knuth's MMIX generator.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let action = game.minimal_actions[(random >> 33) as usize % game.minimal_actions.len()];
        atari.act(action);
        if frame % 4 == 3 {
            atari.grayscale(&mut screen);
        }
        if atari.is_terminal() {
            atari.reset();
        }
    }
    println!("{:.0} frames/s", f64::from(frames) / start.elapsed().as_secs_f64());
    Ok(())
}
