//! Games from P.

use super::*;

pub(super) const PACMAN: Game = Game {
    name: "pacman",
    md5: "fc2233fc116faef0d3c31541717ca2db",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Up, Right, Left, Down],
    modes: &[0, 1, 2, 3, 4, 5, 6, 7],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xCC, 0xCE, 0xD0));
        let spare = ram.get(0x98);
        Outcome::new(reward, spare == 0 && ram.get(0xE4) == 0x3F, spare + 1)
    },
    set_mode: Some(|menu, mode| {
        let one_player = (mode + 1, 0);
        menu.select_until(2, |ram| (ram.get(0xCC), ram.get(0xE6)) == one_player);
    }),
    ..Game::DEFAULT
};

pub(super) const PHOENIX: Game = Game {
    name: "phoenix",
    md5: "7e52a95074a66640fcfde124fffd491a",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Fire, Right, Left, Down, RightFire, LeftFire, DownFire],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0xC8, 0xC9) + 10 * (ram.get(0xC7) >> 4));
        Outcome::new(reward, ram.get(0xCC) == 0x80, ram.get(0xCB) % 8)
    },
    ..Game::DEFAULT
};

pub(super) const PITFALL: Game = Game {
    name: "pitfall",
    md5: "3e90cf23106f2e08b2781e41299de556",
    mapper: Mapper::Flat,
    start_actions: &[(Up, 1)],
    state: State {
        score: 2000,
        ..State::NEW
    },
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xD7, 0xD6, 0xD5));
        // What is drawn for the spare lives.
        let (picture, dying) = (ram.get(0x80) >> 4, ram.get(0x9E) != 0);
        let lives = match picture {
            0xA => 3,
            0x8 => 2,
            _ => 1,
        };
        Outcome::new(reward, picture == 0 && dying, lives)
    },
    ..Game::DEFAULT
};

pub(super) const PITFALL2: Game = Game {
    name: "pitfall2",
    md5: "6d842c96d5a01967be9680080dd5be54",
    mapper: Mapper::Dpc,
    start_actions: &[(Up, 1)],
    state: State {
        score: 4000,
        ..State::NEW
    },
    step: |ram, state| {
        let score = ram.bcd3(0xC9, 0xC8, 0xC7);
        let reward = state.gain(score);
        Outcome::new(reward, score == 199_000, 1)
    },
    ..Game::DEFAULT
};

pub(super) const PONG: Game = Game {
    name: "pong",
    md5: "60e0ea3cbe0913d39803477945e9e5ec",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[0, 1],
    difficulties: &[0, 1, 2, 3],
    controllers: Controllers::Paddles {
        swapped: true,
        both_ports: true,
        max_resistance: PADDLE_MAX,
    },
    step: |ram, state| {
        let (cpu, player) = (ram.get(0x8D), ram.get(0x8E));
        let reward = state.gain(player - cpu);
        Outcome {
            reward,
            terminal: cpu == 21 || player == 21,
            lives: 0,
        }
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x96) == mode)),
    ..Game::DEFAULT
};

pub(super) const POOYAN: Game = Game {
    name: "pooyan",
    md5: "4799a40b6e889370b7ee55c17ba65141",
    mapper: Mapper::Flat,
    display: DisplayProperties {
        y_start: 26,
        height: 220,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[Noop, Fire, Up, Down, UpFire, DownFire],
    modes: &[10, 30, 50, 70],
    default_mode: 10,
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x8A, 0x89, 0x88));
        let spare = ram.get(0x96);
        Outcome::new(reward, spare == 0 && ram.get(0x98) == 5, 1 + spare % 8)
    },
    set_mode: Some(|menu, mode| {
        menu.select(2);
        menu.select_until(2, |ram| ram.get(0xBD) == mode);
    }),
    ..Game::DEFAULT
};

pub(super) const PRIVATE_EYE: Game = Game {
    name: "private_eye",
    md5: "ef3a4f64b6494ba770862768caf04b86",
    mapper: Mapper::F8,
    modes: &[0, 1, 2, 3, 4],
    difficulties: &[0, 1, 2, 3],
    start_actions: &[(Up, 1)],
    state: State {
        score: 1000,
        ..State::NEW
    },
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xCA, 0xC9, 0xC8));
        Outcome::new(reward, ram.get(0xC2) > 1, 0)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};
