//! Games from S.

use super::*;

pub(super) const SEAQUEST: Game = Game {
    name: "seaquest",
    md5: "240bfbac5163af4df5ae713985386f92",
    mapper: Mapper::Flat,
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xBA, 0xB9, 0xB8));
        Outcome::new(reward, ram.get(0xA3) != 0, 1 + ram.get(0xBB))
    },
    ..Game::DEFAULT
};

pub(super) const SPACE_INVADERS: Game = Game {
    name: "space_invaders",
    md5: "72ffbef6504b75e69ee1045af9075f66",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    difficulties: &[0, 1],
    step: |ram, state| {
        let gain = state.gain(ram.bcd2(0xE8, 0xE6));
        let reward = if gain < 0 { gain + 10_000 } else { gain }; // The four digits went round.
        let lives = ram.get(0xC9);
        Outcome::new(reward, lives == 0 || ram.get(0x98) >= 0x80, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xDC) == mode as i32)),
    ..Game::DEFAULT
};
