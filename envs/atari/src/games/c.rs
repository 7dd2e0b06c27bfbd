//! Games from C.

use super::*;

pub(super) const CARNIVAL: Game = Game {
    name: "carnival",
    md5: "028024fb8e5e5f18ea586652f9799c96",
    mapper: Mapper::Flat,
    display: DisplayProperties {
        y_start: 26,
        height: 214,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    step: |ram, state| {
        let reward = state.gain(10 * ram.bcd2(0xAE, 0xAD));
        let bullets = ram.get(0x83);
        Outcome::new(reward, bullets == 0, 0)
    },
    ..Game::DEFAULT
};

pub(super) const CASINO: Game = Game {
    name: "casino",
    md5: "b816296311019ab69a21cb9e9e235d12",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Down],
    modes: &[0, 2, 3],
    difficulties: &[0, 1, 2, 3],
    start_actions: &[(Noop, 60), (Fire, 2)],
    controllers: Controllers::Paddles {
        swapped: false,
        both_ports: false,
        max_resistance: PADDLE_MAX,
    },
    step: |ram, state| {
        let chips = ram.bcd2(0x95, 0x8C);
        let gain = state.gain(chips);
        let solitaire = ram.get(0xD4) == 3;
        let locked = ram.get(0xD3) & 0x80 != 0;
        // While the player must wait, what was paid last is paid again.
        if solitaire || !locked {
            state.reward = gain;
        }
        let terminal = if solitaire {
            chips > 0 && ram.get(0x9E) == 0xAA
        } else {
            chips == 0 || locked && ram.get(0x9E) != 0
        };
        Outcome::new(state.reward, terminal, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xD4) == mode)),
    ..Game::DEFAULT
};

pub(super) const CENTIPEDE: Game = Game {
    name: "centipede",
    md5: "91c2098e88a6b13f977af8c003e0bca5",
    mapper: Mapper::F8,
    modes: &[22, 86],
    default_mode: 22,
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xF6, 0xF5, 0xF4)).max(0);
        let lives = (ram.get(0xED) >> 4 & 7) + 1;
        Outcome::new(reward, ram.get(0xA6) & 0x40 != 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xA7) == mode)),
    ..Game::DEFAULT
};

pub(super) const CHOPPER_COMMAND: Game = Game {
    name: "chopper_command",
    md5: "c1cb228470a87beb5f36e90ac745da26",
    mapper: Mapper::Flat,
    modes: &[0, 2],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0xEE, 0xEC));
        state.begun |= ram.get(0xC2) & 1 == 1; // The helicopter looks to the right.
        let lives = ram.get(0xE4) & 15;
        Outcome::new(reward, state.begun && lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xE0) == mode)),
    ..Game::DEFAULT
};

pub(super) const CRAZY_CLIMBER: Game = Game {
    name: "crazy_climber",
    md5: "55ef7b65066428367844342ed59f956c",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    modes: &[0, 1, 2, 3],
    difficulties: &[0, 1],
    step: |ram, state| {
        let hundreds = ram.digits([0x85, 0x84, 0x83, 0x82], |byte| byte);
        let reward = state.gain(100 * hundreds).max(0);
        let lives = ram.get(0xAA);
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const CROSSBOW: Game = Game {
    name: "crossbow",
    md5: "8cd26dcf249456fe4aeb8db42d49df74",
    mapper: Mapper::F6,
    modes: &[0, 2, 4, 6],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x8D, 0x8C, 0x8B));
        Outcome::new(reward, ram.get(0xE7) == 0x82, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x8D) == mode + 1)),
    ..Game::DEFAULT
};
