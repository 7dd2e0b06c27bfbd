//! Games from W.

use super::*;

pub(super) const WIZARD_OF_WOR: Game = Game {
    name: "wizard_of_wor",
    md5: "7e8aa18bc9502eb57daaf5e7c1e94da7",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpFire, RightFire, LeftFire, DownFire],
    difficulties: &[0, 1],
    controllers: Controllers::SwappedJoysticks,
    state: State { lives: 3, ..State::NEW },
    step: |ram, state| {
        let shown = ram.bcd2(0x86, 0x88);
        let reward = state.gain(100 * if shown >= 8000 { shown - 8000 } else { shown });
        let spare = ram.get(0x8D) & 15;
        if ram.get(0xD7) & 1 == 0 {
            state.lives = spare;
        }
        Outcome::new(reward, spare == 0 && ram.get(0xF4) == 0xF8, state.lives)
    },
    ..Game::DEFAULT
};

pub(super) const WORD_ZAPPER: Game = Game {
    name: "word_zapper",
    md5: "ec3beb6d8b5689e867bafb5d5f507491",
    mapper: Mapper::Flat,
    modes: &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
    ],
    difficulties: &[0, 1, 2, 3],
    start_actions: &[(Noop, 486), (Fire, 1), (Noop, 2)],
    step: |ram, state| {
        // While the clock stands, nothing changes, and what was paid last is paid again.
        if ram.get(0xCF) != 0 {
            let words = 2 - ram.signed(0xDC);
            state.reward = state.gain(words);
            state.over = words == 3 || ram.get(0xDE) == 0;
        }
        Outcome::new(state.reward, state.over, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xDB) == mode)),
    ..Game::DEFAULT
};
