//! Games from N.

use super::*;

pub(super) const NAME_THIS_GAME: Game = Game {
    name: "name_this_game",
    md5: "36306070f0c90a72461551a7a4f3a209",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[8, 24, 40],
    default_mode: 8,
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xC6, 0xC5, 0xC4));
        let lives = ram.get(0xC7) % 8;
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xDE) == mode)),
    ..Game::DEFAULT
};
