//! Games from V.

use super::*;

pub(super) const VENTURE: Game = Game {
    name: "venture",
    md5: "3e899eba0ca8cd2972da1ae5479b4f0d",
    mapper: Mapper::Flat,
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0xC8, 0xC7));
        let spare = ram.get(0xC6);
        let terminal = spare == 0 && ram.get(0xCD) == 0xFF && ram.get(0xBF) >= 0x80;
        Outcome::new(reward, terminal, 1 + (spare & 7))
    },
    ..Game::DEFAULT
};

pub(super) const VIDEO_CHECKERS: Game = Game {
    name: "video_checkers",
    md5: "539d26b6e9df0da8e7465f0f5ad863b7",
    mapper: Mapper::Flat,
    minimal_actions: &[Fire, UpRight, UpLeft, DownRight, DownLeft],
    modes: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19],
    default_mode: 1,
    step: |ram, state| {
        // Four rows of eight squares, each nine bytes after the one before.
        let squares = || {
            [0x80, 0x89, 0x92, 0x9B]
                .into_iter()
                .flat_map(|row| row..row + 8)
                .map(|at| ram.get(at))
        };
        let none = |men: [i32; 2]| !squares().any(|square| men.contains(&square));
        if none([0x10, 0x20]) {
            (state.over, state.reward) = (true, -1);
        } else if none([0x90, 0xA0]) {
            (state.over, state.reward) = (true, 1);
        }
        // State: `begun` in the modes in which losing all men wins.
        let reward = if state.begun { -state.reward } else { state.reward };
        Outcome::new(reward, state.over, 1)
    },
    set_mode: Some(|menu, mode| {
        let giveaway = mode >= 11;
        menu.state().begun = giveaway;
        let shown = if giveaway { mode + 6 } else { mode };
        menu.select_until(1, |ram| ram.get(0xF6) == shown);
    }),
    ..Game::DEFAULT
};

pub(super) const VIDEO_CHESS: Game = Game {
    name: "video_chess",
    md5: "f0b7db930ca0e548c41a97160b9f6275",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    modes: &[0, 1, 2, 3, 4],
    step: |ram, state| {
        let players_turn = ram.get(0xE1) == 0x82;
        let reward = match (players_turn, ram.get(0xEE)) {
            (true, 0) => 1,
            (true, 1) => -1,
            _ => 0,
        };
        state.over |= reward != 0;
        Outcome::new(reward, state.over, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0xEA) == mode)),
    ..Game::DEFAULT
};

pub(super) const VIDEO_CUBE: Game = Game {
    name: "video_cube",
    md5: "3f540a30fdee0b20aed7288e4a5ea528",
    mapper: Mapper::Flat,
    modes: &CUBES,
    difficulties: &[0, 1],
    start_actions: &[(Noop, 61), (Fire, 1), (Noop, 2)],
    step: |ram, state| {
        let of_one_color = |face: u8| (1..9).all(|square| ram.get(face + square) == ram.get(face));
        let faces = [0xA0, 0xA9, 0xB2, 0xBB, 0xC4, 0xCD]
            .into_iter()
            .filter(|&face| of_one_color(face))
            .count() as i32;
        let gain = state.gain(faces);
        // State: `previous` is the clock, which has run out when it goes from 255 to 0.
        let clock = ram.get(0xDB);
        let ran_out = clock == 0 && state.previous == 0xFF;
        state.previous = clock;
        let reward = if ran_out { -1 } else { gain };
        Outcome::new(reward, ran_out || faces == 6, 1)
    },
    // A hundred times the cube, and one of three ways to play it.
    set_mode: Some(|menu, mode| {
        let cube = (mode / 100).max(1);
        let shown = [0, 2, 8][mode as usize % 100 % 3];
        menu.select_until(2, |ram| ram.get(0xFB) & 0x1F == shown);
        menu.until(|ram| ram.bcd(0x9F) == cube, |menu| menu.act(Right));
    }),
    ..Game::DEFAULT
};

pub(super) const VIDEO_PINBALL: Game = Game {
    name: "video_pinball",
    md5: "107cc025334211e6d29da0b6be46aec7",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpFire, RightFire, LeftFire],
    modes: &[0, 2],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xB0, 0xB2, 0xB4));
        let (ball, extra) = (ram.get(0x99) & 7, ram.get(0xA8) & 1);
        Outcome::new(reward, ram.get(0xAF) & 1 == 1, 4 - ball + extra)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xC1) == mode)),
    ..Game::DEFAULT
};

/// The modes of Video Cube: 51 cubes, 3 ways.
static CUBES: [u32; 153] = {
    let mut modes = [0; 153];
    let mut at = 0;
    while at < modes.len() {
        modes[at] = (100 * (at / 3) + at % 3) as u32;
        at += 1;
    }
    modes
};
