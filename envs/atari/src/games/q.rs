//! Games from Q.

use super::*;

pub(super) const QBERT: Game = Game {
    name: "qbert",
    md5: "484b0076816a104875e00467d431c2d2",
    mapper: Mapper::Flat,
    display: DisplayProperties {
        y_start: 40,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down],
    difficulties: &[0, 1],
    state: State {
        lives: 4,
        previous: 2,
        ..State::NEW
    },
    step: |ram, state| {
        let spare = i32::from(ram.get(0x88) as u8 as i8);
        let terminal = spare == -2 || (spare == 2 && state.previous == -1);
        if spare == state.previous - 1 {
            state.lives -= 1; // Lives that the game gives are not counted: the number only ever falls.
        }
        state.previous = spare;
        // The score is garbage at the end: it pays nothing, and is not remembered.
        let reward = if terminal {
            0
        } else {
            state.gain(ram.bcd3(0xDB, 0xDA, 0xD9))
        };
        Outcome::new(reward, terminal, state.lives)
    },
    ..Game::DEFAULT
};
