//! Games from F.

use super::*;

pub(super) const FISHING_DERBY: Game = Game {
    name: "fishing_derby",
    md5: "b8865f05676e64f3bec72b9defdacfa7",
    mapper: Mapper::Flat,
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let (player, computer) = (ram.get(0xBD), ram.get(0xBE));
        let reward = state.gain(ram.bcd(0xBD) - ram.bcd(0xBE));
        Outcome::new(reward, player == 0x99 || computer == 0x99, 0)
    },
    ..Game::DEFAULT
};

pub(super) const FLAG_CAPTURE: Game = Game {
    name: "flag_capture",
    md5: "30512e0e83903fc05541d2f6a6a62654",
    mapper: Mapper::Flat,
    modes: &[8, 9, 10],
    default_mode: 8,
    step: |ram, state| {
        let reward = state.gain(ram.bcd(0xEA));
        let time = ram.get(0xEB);
        Outcome::new(reward, time == 0, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xD6) == mode)),
    ..Game::DEFAULT
};

pub(super) const FREEWAY: Game = Game {
    name: "freeway",
    md5: "8e0ab801b1705a740b476b7f588c6d16",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Up, Down],
    modes: &[0, 1, 2, 3, 4, 5, 6, 7],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd(0xE7)).clamp(0, 1);
        Outcome::new(reward, ram.get(0x96) == 1, 0)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const FROGGER: Game = Game {
    name: "frogger",
    md5: "081e2c114c9c20b61acf25fc95c71bf4",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Up, Right, Left, Down],
    modes: &[0, 1, 2],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd2(0xCE, 0xCC));
        let spare = ram.get(0xD0);
        Outcome::new(reward, spare == 0xFF, spare)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xDD) == 2 * mode + 1)),
    ..Game::DEFAULT
};

pub(super) const FROSTBITE: Game = Game {
    name: "frostbite",
    md5: "4ca73eb959299471788f0b685c3ba0b5",
    mapper: Mapper::Flat,
    modes: &[0, 2],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xCA, 0xC9, 0xC8));
        let spare = ram.get(0xCC) & 15;
        Outcome::new(reward, spare == 0 && ram.get(0xF1) >= 0x80, spare + 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};
