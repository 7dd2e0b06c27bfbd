//! Games from I.

use super::*;

pub(super) const ICE_HOCKEY: Game = Game {
    name: "ice_hockey",
    md5: "a4c08c4994eb9d24fb78be1793e82e26",
    mapper: Mapper::Flat,
    modes: &[0, 2],
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd(0x8A) - ram.bcd(0x8B)).min(1);
        let time_is_up = ram.get(0x87) == 0 && ram.get(0x86) == 0;
        Outcome::new(reward, time_is_up, 0)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};
