//! Games from U.

use super::*;

pub(super) const UP_N_DOWN: Game = Game {
    name: "up_n_down",
    md5: "a499d720e7ee35c62424de882a3351b6",
    mapper: Mapper::F8,
    display: DisplayProperties {
        y_start: 30,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[Noop, Fire, Up, Down, UpFire, DownFire],
    difficulties: &[0, 1, 2, 3],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x82, 0x81, 0x80));
        let spare = ram.get(0x86) & 15;
        Outcome::new(reward, spare == 0 && ram.get(0x94) > 0x40, spare + 1)
    },
    ..Game::DEFAULT
};
