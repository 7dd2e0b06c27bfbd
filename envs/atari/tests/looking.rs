//! Frames that nobody looks at are not drawn, which must not be noticeable later.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

mod roms;

use coinop_atari::{Action, Atari, AtariSettings, Game, Rom, games};
use rayon::prelude::*;

#[test]
fn a_frame_shows_the_same_whether_or_not_those_before_it_were_looked_at() {
    if roms::are_missing() {
        return;
    }
    games().par_iter().for_each(check);
}

fn check(game: &'static Game) {
    let rom = Rom::find(game, None).unwrap();
    let mut watched = Atari::new(&rom, &AtariSettings::default()).unwrap();
    let mut glanced_at = watched.clone();
    let mut random = 1_u64;
    for frame in 0..1500 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let action = Action::ALL[(random >> 33) as usize % 18];
        // In a rhythm, and then now and then.
        let look = if frame % 400 < 200 {
            frame % 4 >= 2
        } else {
            random >> 60 == 0
        };
        if frame % 400 == 0 {
            watched.reset();
            glanced_at.reset();
        } else {
            assert_eq!(watched.act(action), glanced_at.act(action));
        }
        let screen = watched.screen().to_vec();
        if look {
            assert!(glanced_at.screen() == screen, "frame {frame} of {}", game.name);
        }
        assert_eq!(watched.ram(), glanced_at.ram(), "frame {frame} of {}", game.name);
    }
}
