//! Games from B.

use super::*;

pub(super) const BEAM_RIDER: Game = Game {
    name: "beam_rider",
    md5: "79ab4123a83dc11d468fb2108ea09e2e",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Fire, Up, Right, Left, UpRight, UpLeft, RightFire, LeftFire],
    difficulties: &[0, 1],
    start_actions: &[(Right, 1)],
    state: State { lives: 3, ..State::NEW },
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x89, 0x8A, 0x8B));
        // The counter blinks while the ship explodes: a fall by one counts only when the explosion's own counter says so.
        let lives = ram.get(0x85) + 1;
        if lives != state.lives - 1 || ram.get(0x8C) == 1 {
            state.lives = lives;
        }
        Outcome::new(reward, ram.get(0x85) == 0xFF, state.lives)
    },
    ..Game::DEFAULT
};

pub(super) const BREAKOUT: Game = Game {
    name: "breakout",
    md5: "f34f08e5eb96e500e851a80be3277a56",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left],
    modes: &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44],
    difficulties: &[0, 1],
    controllers: Controllers::Paddles {
        swapped: false,
        both_ports: false,
        max_resistance: PADDLE_MAX,
    },
    step: |ram, state| {
        let reward = state.gain(100 * (ram.get(0xCC) & 15) + ram.bcd(0xCD));
        let balls = ram.get(0xB9);
        state.begun |= balls == 5;
        Outcome::new(reward, state.begun && balls == 0, balls)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0xB2) == mode as i32)),
    ..Game::DEFAULT
};
