//! Every game plays a share of what ale-py 0.12.1 was recorded to do. `cargo xtask golden` plays everything.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

mod records;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use coinop_atari::{Game, Rom, games};

/// One record of each this many is played.
const SHARE: usize = 8;
/// Blocks of 250 acts that are played of it.
const BLOCKS: usize = 3;

#[test]
fn every_game_plays_as_recorded() {
    let differences = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(game) = games().get(next.fetch_add(1, Ordering::Relaxed)) {
                    differences.lock().unwrap().extend(differences_of(game));
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
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
