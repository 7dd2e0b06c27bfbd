//! Games from M.

use super::*;

pub(super) const MARIO_BROS: Game = Game {
    name: "mario_bros",
    md5: "e908611d99890733be31733a979c62d8",
    mapper: Mapper::F8,
    modes: &[0, 2, 4, 6],
    start_actions: &[(Noop, 10), (Fire, 7)],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0x8A, 0x89));
        let lives = ram.get(0x87);
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(5, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const MINIATURE_GOLF: Game = Game {
    name: "miniature_golf",
    md5: "df62a658496ac98a3aa4a6ee5719c251",
    mapper: Mapper::Flat,
    difficulties: &[0, 1],
    step: |ram, state| {
        // The left display shows the strokes (modulo 100) while the right one is 0, which shows the par before.
        // State: `score` is the strokes shown, `counters` are the hole, its par, full hundreds and strokes before the hole.
        let (left, right, hole) = (ram.bcd(0x87), ram.bcd(0x88), ram.bcd(0xAF));
        let [last_hole, par, carried, before] = &mut state.counters;
        let mut reward = 0;
        if hole != *last_hole {
            let strokes = state.score + *carried - *before;
            if strokes > 0 {
                reward = *par - strokes;
            }
            state.over |= hole == 0;
            (*last_hole, *carried, *before) = (hole, 0, state.score);
        }
        if right != 0 {
            *par = right;
        } else {
            if left < state.score {
                *carried += state.score;
            }
            state.score = left;
        }
        Outcome::new(reward, state.over, 1)
    },
    ..Game::DEFAULT
};

pub(super) const MONTEZUMA_REVENGE: Game = Game {
    name: "montezuma_revenge",
    md5: "3347a6dd59049b15a38394aa2dafa585",
    mapper: Mapper::E0,
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x95, 0x94, 0x93));
        let spare = ram.get(0xBA);
        Outcome::new(reward, spare == 0 && ram.get(0xFE) == 0x60, 1 + spare % 8)
    },
    ..Game::DEFAULT
};

pub(super) const MR_DO: Game = Game {
    name: "mr_do",
    md5: "aa7bb54d2c189a31bb1fa20099e42859",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpFire, RightFire, LeftFire, DownFire],
    modes: &[0, 1, 2, 3],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(10 * ram.bcd2(0x82, 0x83));
        Outcome::new(reward, ram.get(0xDA) == 0x40, ram.get(0xDB))
    },
    set_mode: Some(|menu, mode| menu.select_until(5, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const MS_PACMAN: Game = Game {
    name: "ms_pacman",
    md5: "87e79cd41ce136fd4f72cc6e2c161bee",
    mapper: Mapper::F8,
    display: DisplayProperties {
        hmove_blanks: false,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[Noop, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    modes: &[0, 1, 2, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xF8, 0xF9, 0xFA));
        let spare = ram.get(0xFB) & 15;
        Outcome::new(reward, spare == 0 && ram.get(0xA7) == 0x53, 1 + spare % 8)
    },
    set_mode: Some(|menu, mode| {
        let wanted = if mode == 0 { (1, 1) } else { (mode, 0) };
        menu.select_until(10, |ram| (ram.get(0x99), ram.get(0xA1)) == wanted);
    }),
    ..Game::DEFAULT
};
