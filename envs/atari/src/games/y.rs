//! Games from Y.

use super::*;

pub(super) const YARS_REVENGE: Game = Game {
    name: "yars_revenge",
    md5: "c5930d0e8cdae3e037349bfa08e871be",
    mapper: Mapper::Flat,
    modes: &[0, 32, 64, 96],
    difficulties: &[0, 1],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xE2, 0xE1, 0xE0));
        let lives = ram.get(0x9E) >> 4;
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| {
        menu.select(2);
        menu.select_until(1, |ram| ram.get(0xE3) == mode);
    }),
    ..Game::DEFAULT
};
