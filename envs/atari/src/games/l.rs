//! Games from L.

use super::*;

pub(super) const LASER_GATES: Game = Game {
    name: "laser_gates",
    md5: "8e4cd60d93fcde8065c1a2b972a26377",
    mapper: Mapper::Flat,
    starts_with_reset: true,
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x82, 0x81, 0x80));
        let energy = ram.get(0x83);
        Outcome::new(reward, energy == 0, 0)
    },
    ..Game::DEFAULT
};

pub(super) const LOST_LUGGAGE: Game = Game {
    name: "lost_luggage",
    md5: "2d76c5d1aad506442b9e9fb67765e051",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    legal_actions: WITHOUT_FIRE,
    modes: &[0, 1],
    difficulties: &[0, 1],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x96, 0x95, 0x94));
        let lives = ram.get(0xCA);
        let terminal = (lives, ram.get(0xC8), ram.get(0xA5), ram.get(0xA9)) == (0, 10, 0, 0);
        Outcome::new(reward, terminal, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x94) == 1 + 3 * mode)),
    ..Game::DEFAULT
};
