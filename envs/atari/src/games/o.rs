//! Games from O.

use super::*;

pub(super) const OTHELLO: Game = Game {
    name: "othello",
    md5: "113cd09c9771ac278544b7e90efe7df2",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    modes: &[0, 1, 2],
    difficulties: &[0, 2],
    step: |ram, state| {
        let reward = state.gain(ram.bcd(0xCE) - ram.bcd(0xD0));
        // The frames in which neither player may move.
        let [quiet, ..] = &mut state.counters;
        *quiet = if ram.get(0xC0) == 0 { *quiet + 1 } else { 0 };
        Outcome::new(reward, *quiet > 50, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xDE) == mode + 1)),
    ..Game::DEFAULT
};
