//! Games from J.

use super::*;

pub(super) const JAMESBOND: Game = Game {
    name: "jamesbond",
    md5: "e51030251e440cffaab1ac63438b44ae",
    mapper: Mapper::E0,
    modes: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xDC, 0xDD, 0xDE));
        let spare = ram.get(0x86) & 15;
        Outcome::new(reward, spare == 0 && ram.get(0x8C) == 0x68, spare + 1)
    },
    set_mode: Some(|menu, mode| {
        let shown = [mode, mode + 0x48];
        menu.select_until(20, |ram| shown.contains(&ram.get(0x8C)));
    }),
    ..Game::DEFAULT
};

pub(super) const JOURNEY_ESCAPE: Game = Game {
    name: "journey_escape",
    md5: "718ae62c70af4e5fd8e932fee216948a",
    mapper: Mapper::Flat,
    display: DisplayProperties {
        height: 230,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[
        Noop,
        Up,
        Right,
        Left,
        Down,
        UpRight,
        UpLeft,
        DownRight,
        DownLeft,
        RightFire,
        LeftFire,
        DownFire,
        UpRightFire,
        UpLeftFire,
        DownRightFire,
        DownLeftFire,
    ],
    difficulties: &[0, 1],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let gain = state.gain(ram.bcd3(0x92, 0x91, 0x90));
        let reward = if gain == 50_000 { 0 } else { gain }; // The money to begin with.
        Outcome::new(reward, ram.get(0x95) == 0 && ram.get(0x96) == 0, 0)
    },
    ..Game::DEFAULT
};
