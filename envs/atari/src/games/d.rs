//! Games from D.

use super::*;

pub(super) const DARKCHAMBERS: Game = Game {
    name: "darkchambers",
    md5: "106855474c69d08c8ffa308d47337269",
    mapper: Mapper::F6Ram,
    display: DisplayProperties {
        hmove_blanks: false,
        ..Game::DEFAULT.display
    },
    start_actions: &[(Noop, 486)],
    step: |ram, state| {
        let level = ram.get(0xD5);
        let score = 10 * ram.bcd2(0xCC, 0xCF);
        let mut reward = 0;
        // State: `previous` is the level.
        if level < state.previous {
            state.over = true;
        } else {
            state.previous = level;
            if score < state.score {
                state.over = true;
            } else {
                reward = state.gain(score);
            }
            let health = ram.get(0xCA) & 0x1F;
            state.over |= health == 0;
        }
        Outcome::new(reward, state.over, 1)
    },
    ..Game::DEFAULT
};

pub(super) const DEFENDER: Game = Game {
    name: "defender",
    md5: "0f643c34e40e3f1daafd9c524d3ffe64",
    mapper: Mapper::Flat,
    modes: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 16],
    default_mode: 1,
    difficulties: &[0, 1],
    step: |ram, state| {
        let digits = [0xA1, 0xA0, 0x9F, 0x9E, 0x9D, 0x9C];
        let reward = state.gain(ram.digits(digits, |byte| blank_is_0(byte & 15)));
        let lives = ram.get(0xC2);
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x9B) == mode)),
    ..Game::DEFAULT
};

pub(super) const DEMON_ATTACK: Game = Game {
    name: "demon_attack",
    md5: "f0e0addc07971561ab80d9abe1b8d333",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[1, 3, 5, 7],
    default_mode: 1,
    difficulties: &[0, 1],
    step: |ram, state| {
        let blank = (ram.get(0x81), ram.get(0x83), ram.get(0x85)) == (0xAB, 0xCD, 0xEA);
        let reward = state.gain(if blank { 0 } else { ram.bcd3(0x85, 0x83, 0x81) });
        // State: `begun` on the first frame after the choice of a mode, which can't be the end.
        let chosen = std::mem::take(&mut state.begun);
        let spare = ram.get(0xF2);
        Outcome::new(reward, spare == 0 && ram.get(0xF1) == 0xBD && !chosen, spare + 1)
    },
    set_mode: Some(|menu, mode| {
        menu.until(|ram| ram.get(0xEA) == mode, |menu| menu.select(1));
        menu.state().begun = true;
        menu.soft_reset();
    }),
    ..Game::DEFAULT
};

pub(super) const DONKEY_KONG: Game = Game {
    name: "donkey_kong",
    md5: "36b20c427975760cb9cf4a47e41369e4",
    mapper: Mapper::Flat,
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0x88, 0x87));
        let spare = ram.get(0xA3);
        let terminal = spare == 0 && ram.get(0x8F) == 0x03 && ram.get(0x8B) == 0x1F;
        Outcome::new(reward, terminal, spare)
    },
    ..Game::DEFAULT
};

pub(super) const DOUBLE_DUNK: Game = Game {
    name: "double_dunk",
    md5: "368d88a6c071caba60b4f778615aae94",
    mapper: Mapper::F6,
    modes: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    start_actions: &[(UpFire, 1)],
    step: |ram, state| {
        let (player, computer) = (ram.bcd(0xF6), ram.bcd(0xF7));
        let reward = state.gain(player - computer);
        let won = player >= 24 || computer >= 24;
        Outcome::new(reward, won && ram.get(0xFE) == 0xE7, 0)
    },
    set_mode: Some(|menu, mode| {
        // The menu of the cartridge, line by line: the stick goes down to a line, and right or left to switch it on or off.
        menu.select(1);
        go_down(menu);
        for (bit, line) in [0x08, 0x10, 0x04, 0x20].into_iter().enumerate() {
            go_down(menu);
            let on = mode >> bit & 1 == 1;
            let push = if on { Right } else { Left };
            menu.until(
                |ram| (ram.get(0x80) & line != 0) == on,
                |menu| push_and_let_go(menu, push),
            );
        }
        menu.soft_reset();
        push_and_let_go(menu, UpFire);
    }),
    ..Game::DEFAULT
};

/// Pushes the stick, and lets go.
fn push_and_let_go(menu: &mut Menu<'_>, push: Action) {
    menu.act(push);
    menu.act(Noop);
}

/// Goes to the next line of the menu.
fn go_down(menu: &mut Menu<'_>) {
    let line = menu.ram().get(0xB0);
    push_and_let_go(menu, Down);
    menu.until(|ram| ram.get(0xB0) != line, |menu| push_and_let_go(menu, Down));
}
