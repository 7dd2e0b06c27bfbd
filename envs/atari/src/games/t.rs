//! Games from T.

use super::*;

pub(super) const TENNIS: Game = Game {
    name: "tennis",
    md5: "42cdd6a9e42a3639e190722b8ea3fc51",
    mapper: Mapper::Flat,
    modes: &[0, 2],
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        // State: `score` is the difference in points, `previous` that in games; one that is won hides its last point.
        let (player, computer) = (ram.get(0xC7), ram.get(0xC8));
        let games = player - computer;
        let point = state.gain(ram.get(0xC5) - ram.get(0xC6));
        let game = games - std::mem::replace(&mut state.previous, games);
        let reward = if game == 0 { point } else { game };
        let terminal = player.max(computer) >= 6 && games.abs() >= 2 || player == 7 || computer == 7;
        Outcome::new(reward, terminal, 0)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const TETRIS: Game = Game {
    name: "tetris",
    md5: "b0e1ee07fbc73493eac5651a52f90f00",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, Down],
    step: |ram, state| {
        let reward = state.gain(ram.bcd2(0xF1, 0xF2)).max(0);
        let terminal = ram.get(0xF3) >= 0x80;
        if terminal {
            state.score = 0;
        }
        Outcome::new(reward, terminal, 0)
    },
    ..Game::DEFAULT
};

pub(super) const TIC_TAC_TOE_3D: Game = Game {
    name: "tic_tac_toe_3d",
    md5: "0db4f4150fecf77e4ce72ca4d04c052f",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    modes: &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    difficulties: &[0, 2],
    step: |ram, state| {
        let won = (ram.get(0xFE), ram.get(0xFF)) == (0x10, 0xF3);
        let reward = match (won, ram.get(0xE1)) {
            (false, _) => 0,
            (true, 0x08) => 1,
            (true, _) => -1,
        };
        let full = (0x9A..0xDA).all(|cell| ram.get(cell) != 0);
        state.over |= won || full;
        Outcome::new(reward, state.over, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x88) == mode)),
    ..Game::DEFAULT
};

pub(super) const TIME_PILOT: Game = Game {
    name: "time_pilot",
    md5: "fc2104dd2dadf9a6176c1c1c8f87ced9",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpFire, RightFire, LeftFire, DownFire],
    difficulties: &[0, 1, 2],
    state: State { lives: 5, ..State::NEW },
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0x8D, 0x8F));
        if ram.get(0x80) & 15 == 2 {
            state.lives = 1 + (ram.get(0x8B) & 7);
        }
        Outcome::new(reward, ram.get(0xA0) != 0, state.lives)
    },
    ..Game::DEFAULT
};

pub(super) const TRONDEAD: Game = Game {
    name: "trondead",
    md5: "fb27afe896e7c928089307b32e5642ee",
    mapper: Mapper::Flat,
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xBF, 0xBE, 0xBD));
        let lives = 5 - ram.get(0xC8);
        Outcome::new(reward, lives == 0, lives)
    },
    ..Game::DEFAULT
};

pub(super) const TURMOIL: Game = Game {
    name: "turmoil",
    md5: "7a5463545dfb2dcfdafa6074b2f2c15e",
    mapper: Mapper::Flat,
    minimal_actions: &[
        Noop, Fire, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft, RightFire, LeftFire,
    ],
    modes: &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(10 * (ram.bcd2(0x89, 0x8A) + ram.get(0xD3)));
        let lives = ram.get(0xB9);
        Outcome::new(reward, lives == 0 && ram.get(0xC5) == 1, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xEA) == mode)),
    ..Game::DEFAULT
};

pub(super) const TUTANKHAM: Game = Game {
    name: "tutankham",
    md5: "085322bae40d904f53bdcc56df0593fc",
    mapper: Mapper::E0,
    minimal_actions: &[Noop, Up, Right, Left, Down, UpFire, RightFire, LeftFire],
    modes: &[0, 4, 8, 12],
    step: |ram, state| {
        let reward = state.gain(ram.bcd2(0x9C, 0x9A));
        let lives = ram.get(0x9E);
        Outcome::new(reward, lives == 0 && ram.get(0x81) != 0x84, lives & 3)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xAB) == mode)),
    ..Game::DEFAULT
};
