//! Games from E.

use super::*;

pub(super) const EARTHWORLD: Game = Game {
    name: "earthworld",
    md5: "5aea9974b975a6a844e6df10d2b861c4",
    mapper: Mapper::F8,
    step: |ram, state| {
        let clues = ram.bcd(0xA7);
        let reward = state.gain(clues);
        Outcome::new(reward, clues == 10, 1)
    },
    ..Game::DEFAULT
};

pub(super) const ELEVATOR_ACTION: Game = Game {
    name: "elevator_action",
    md5: "71f8bacfbdca019113f3f0801849057e",
    mapper: Mapper::F8Ram,
    start_actions: &[(Fire, 16)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x89, 0x88, 0x87));
        let lives = ram.get(0x83);
        let playing = ram.get(0x81) != 0;
        Outcome::new(reward, lives == 0 && playing, lives)
    },
    ..Game::DEFAULT
};

pub(super) const ENDURO: Game = Game {
    name: "enduro",
    md5: "94b92a882f6dbaa6993a46e2dcc58402",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, Down, DownRight, DownLeft, RightFire, LeftFire],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let (day, cars_left) = (ram.get(0xAD), ram.bcd2(0xAB, 0xAC));
        // 200 cars to overtake on the first day, 300 on each other one.
        let overtaken = match day {
            0 => 0,
            1 => 200 - cars_left,
            _ => 300 * day - 100 - cars_left,
        };
        let reward = state.gain(overtaken);
        Outcome::new(reward, ram.get(0xAF) == 0xFF, 0)
    },
    ..Game::DEFAULT
};

pub(super) const ENTOMBED: Game = Game {
    name: "entombed",
    md5: "6b683be69f92958abe0e2a9945157ad5",
    mapper: Mapper::Flat,
    difficulties: &[0, 2],
    start_actions: &[(Fire, 1), (Noop, 5)],
    step: |ram, state| {
        let reward = state.gain(ram.get(0xE3));
        let lives = ram.get(0xC7) & 3;
        Outcome::new(reward, lives == 0, 1)
    },
    ..Game::DEFAULT
};

pub(super) const ET: Game = Game {
    name: "et",
    md5: "615a3bf251a38eb6638cdc7ffbde5480",
    mapper: Mapper::F8,
    modes: &[0, 1, 2],
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xE1, 0xE0, 0xDF));
        let lives = i32::from((ram.get(0xE5) + 1) as i8);
        Outcome::new(reward, lives == 0 && ram.get(0x80) == 8, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(25, |ram| ram.get(0xEA) == mode + 1)),
    ..Game::DEFAULT
};
