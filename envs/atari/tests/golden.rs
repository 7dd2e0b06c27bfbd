//! Every game plays a share of what ale-py 0.12.1 was recorded to do. `cargo xtask golden` plays everything.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

mod records;
mod roms;

use coinop_atari::{Game, Rom, games};
use rayon::prelude::*;

/// One record of each this many is played.
const SHARE: usize = 8;
/// Blocks of 250 acts that are played of it.
const BLOCKS: usize = 3;

#[test]
fn every_game_plays_as_recorded() {
    if roms::are_missing() {
        return;
    }
    let differences: Vec<String> = games().par_iter().flat_map(differences_of).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn differences_of(game: &'static Game) -> Vec<String> {
    let rom = Rom::find(game, None).unwrap();
    // Other games begin with other records, so that all kinds are among those played.
    let first = game.name.len() % SHARE;
    let mut differences = Vec::new();
    for record in records::read(game).iter().skip(first).step_by(SHARE) {
        if let Some(acts) = record.play(game, &rom, BLOCKS).difference {
            differences.push(format!(
                "{} differs from ale-py in one of the acts {acts:?} of the stream {} with {:?}",
                game.name, record.stream, record.settings
            ));
        }
    }
    differences
}
