//! Games from G.

use super::*;

pub(super) const GALAXIAN: Game = Game {
    name: "galaxian",
    md5: "211774f4c5739042618be8ff67351177",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
    default_mode: 1,
    difficulties: &[0, 1],
    step: |ram, state| {
        let gain = state.gain(ram.bcd3(0xAE, 0xAD, 0xAC));
        let reward = if gain < 0 { gain + 1_000_000 } else { gain }; // The digits went round.
        Outcome::new(reward, ram.get(0xBF) >= 0x80, ram.get(0xB9) + 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0xB3) == mode)),
    ..Game::DEFAULT
};

pub(super) const GOPHER: Game = Game {
    name: "gopher",
    md5: "c16c79aad6272baffb8aae9a7fff0864",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, UpFire, RightFire, LeftFire],
    modes: &[0, 2],
    difficulties: &[0, 1],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xB2, 0xB1, 0xB0));
        let carrots = (ram.get(0xB4) & 7).count_ones() as i32;
        Outcome::new(reward, carrots == 0, carrots)
    },
    set_mode: Some(|menu, mode| {
        menu.soft_reset();
        menu.select_until(5, |ram| ram.get(0xD3) == mode);
    }),
    ..Game::DEFAULT
};

pub(super) const GRAVITAR: Game = Game {
    name: "gravitar",
    md5: "8ac18076d01a6b63acf6e2cab4968940",
    mapper: Mapper::F8,
    modes: &[0, 1, 2, 3, 4],
    start_actions: &[(Fire, 16)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x89, 0x88, 0x87));
        let screen = ram.get(0x81);
        let lives = if screen == 0 { 6 } else { ram.get(0x84) + 1 };
        Outcome::new(reward, screen == 1, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(10, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};
