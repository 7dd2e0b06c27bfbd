//! Games from M.

use super::*;

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
        let wanted = if mode == 0 { (1, 1) } else { (mode as i32, 0) };
        menu.select_until(10, |ram| (ram.get(0x99), ram.get(0xA1)) == wanted);
    }),
    ..Game::DEFAULT
};
