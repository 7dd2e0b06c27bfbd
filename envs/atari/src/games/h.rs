//! Games from H.

use super::*;

pub(super) const HANGMAN: Game = Game {
    name: "hangman",
    md5: "f16c709df0a6c52f47ff52b9d95b7d8d",
    mapper: Mapper::Flat,
    modes: &[0, 1, 2, 3],
    difficulties: &[0, 1],
    state: State {
        previous: -1,
        ..State::NEW
    },
    step: |ram, state| {
        let reward = state.gain(ram.bcd(0xEB) - ram.bcd(0xEC));
        // State: `previous` is the clock, which has run out when it goes from 255 to 0.
        let clock = ram.get(0xF1);
        let ran_out = clock == 0 && state.previous == 255;
        state.previous = clock;
        Outcome::new(reward, reward != 0 || ran_out, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xEE) == mode)),
    ..Game::DEFAULT
};

pub(super) const HAUNTED_HOUSE: Game = Game {
    name: "haunted_house",
    md5: "f0a6e99f5875891246c3dbecbf2d2cea",
    mapper: Mapper::Flat,
    modes: &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    difficulties: &[0, 1],
    step: |ram, state| {
        let matches = if state.gain(ram.bcd(0x82)) == 0 { 0 } else { -1 };
        let won = ram.get(0x99) == 0x44;
        let reward = matches + if won { 100 } else { 0 };
        let lives = ram.get(0x96);
        Outcome::new(reward, lives == 0 || won, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xCC) == mode)),
    ..Game::DEFAULT
};

pub(super) const HERO: Game = Game {
    name: "hero",
    md5: "fca4a5be1251927027f2c24774a02160",
    mapper: Mapper::F8,
    modes: &[0, 1, 2, 3, 4],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xB9, 0xB8, 0xB7));
        let lives = ram.get(0xB3);
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const HUMAN_CANNONBALL: Game = Game {
    name: "human_cannonball",
    md5: "7972e5101fa548b952d852db24ad6060",
    mapper: Mapper::Flat,
    modes: &[0, 1, 2, 3, 4, 5, 6, 7],
    difficulties: &[0, 1],
    step: |ram, state| {
        let hits = ram.bcd(0xB6);
        let reward = state.gain(hits);
        Outcome::new(reward, hits == 7 || ram.bcd(0xB7) == 7, 1)
    },
    set_mode: Some(|menu, mode| {
        let one_player = (mode + 1, 1);
        menu.select_until(2, |ram| (ram.get(0xB6), ram.get(0xB7)) == one_player);
    }),
    ..Game::DEFAULT
};
