//! Plays a game at random and saves it as a GIF:
//! `cargo run --release -p coinop-atari --example gif -- space_invaders 600 space_invaders.gif` (game, frames, file).

use std::fs::File;
use std::io::BufWriter;

use coinop_atari::{Atari, AtariSettings, Rom, find_game};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbImage, buffer::ConvertBuffer};

/// Frames of the game per picture; the game has 60 frames per second.
const EVERY: u32 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, frames, path] = &arguments[..] else {
        return Err("usage: gif GAME FRAMES FILE".into());
    };
    let frames: u32 = frames.parse()?;
    let game = find_game(name)?;
    let mut atari = Atari::new(&Rom::find(game, None)?, &AtariSettings::default())?;
    atari.reset();

    let mut gif = GifEncoder::new_with_speed(BufWriter::new(File::create(path)?), 10);
    gif.set_repeat(Repeat::Infinite)?;
    let (width, height) = (Atari::WIDTH as u32, atari.height() as u32);
    let mut picture = RgbImage::new(width, height);
    let (mut random, mut score) = (1_u64, 0);
    let mut action = game.minimal_actions[0];
    for frame in 0..frames {
        if frame % (3 * EVERY) == 0 {
            // Knuth's MMIX generator.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            action = game.minimal_actions[(random >> 33) as usize % game.minimal_actions.len()];
        }
        score += atari.act(action);
        if frame % EVERY == 0 {
            atari.rgb(&mut picture);
            let delay = Delay::from_numer_denom_ms(1000 * EVERY, 60);
            gif.encode_frame(Frame::from_parts(picture.convert(), 0, 0, delay))?;
        }
        if atari.is_terminal() {
            println!("game over in frame {frame} with {score}");
            score = 0;
            atari.reset();
        }
    }
    Ok(())
}
