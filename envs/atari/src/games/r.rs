//! Games from R.

use super::*;

pub(super) const RIVERRAID: Game = Game {
    name: "riverraid",
    md5: "393948436d1f4cc3192410bb918f9724",
    mapper: Mapper::Flat,
    difficulties: &[0, 1],
    state: State {
        previous: 0x58,
        ..State::NEW
    },
    step: |ram, state| {
        // Eight times a digit, or something that shows none.
        let digit = |byte| if byte % 8 == 0 && byte <= 72 { byte / 8 } else { 0 };
        let reward = state.gain(ram.digits([0xCD, 0xCF, 0xD1, 0xD3, 0xD5, 0xD7], digit));
        let shown = ram.get(0xC0);
        let terminal = shown == 0x58 && state.previous == 0x59;
        state.previous = shown;
        let lives = match shown {
            0x58 => 4,
            0x59 => 1,
            _ => shown / 8 + 1,
        };
        Outcome::new(reward, terminal, lives)
    },
    ..Game::DEFAULT
};

pub(super) const ROAD_RUNNER: Game = Game {
    name: "road_runner",
    md5: "ce5cc62608be2cd3ed8abd844efb8919",
    mapper: Mapper::F6,
    step: |ram, state| {
        let hundreds = ram.digits([0xCC, 0xCB, 0xCA, 0xC9], |byte| blank_is_0(byte & 15));
        let reward = state.gain(100 * hundreds);
        let spare = ram.get(0xC4) % 8;
        let dead = ram.get(0xB9) != 0 || ram.get(0xBD) != 0;
        Outcome::new(reward, spare == 0 && dead, spare + 1)
    },
    ..Game::DEFAULT
};

pub(super) const ROBOTANK: Game = Game {
    name: "robotank",
    md5: "4f618c2429138e0280969193ed6c107e",
    mapper: Mapper::Fe,
    step: |ram, state| {
        let reward = state.gain(ram.get(0xB5) + 12 * ram.get(0xB6));
        let spare = ram.get(0xA8);
        Outcome::new(reward, spare == 0 && ram.get(0xB4) == 0xFF, 1 + spare % 16)
    },
    ..Game::DEFAULT
};
