//! Games from Z.

use super::*;

pub(super) const ZAXXON: Game = Game {
    name: "zaxxon",
    md5: "eea0da9b987d661264cce69a7c13c3bd",
    mapper: Mapper::F8,
    modes: &[0, 8, 16, 24],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0xE9, 0xE8));
        let lives = ram.get(0xEA) & 7;
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(10, |ram| ram.get(0x82) == mode)),
    ..Game::DEFAULT
};
