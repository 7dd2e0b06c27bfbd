//! Games from P.

use super::*;

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
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x96) == mode as i32)),
    ..Game::DEFAULT
};
