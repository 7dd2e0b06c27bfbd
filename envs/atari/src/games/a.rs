//! Games from A.

use super::*;

pub(super) const ADVENTURE: Game = Game {
    name: "adventure",
    md5: "4b27f5397c442d25f0c418ccdacf1926",
    mapper: Mapper::Flat,
    modes: &[0, 1, 2],
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let home = ram.get(0xB9) == 0x12;
        if home {
            state.reward = 1;
        }
        Outcome {
            reward: state.reward,
            terminal: home || ram.get(0xE0) == 2, // Eaten.
            lives: 1,
        }
    },
    set_mode: Some(|menu, mode| {
        // Each try holds SELECT for a random time, which decides where things lie.
        menu.until(
            |ram| (ram.get(0xDD) >> 1) & 3 == mode,
            |menu| {
                let frames = 2 + menu.random_u32() % 256;
                menu.select(frames);
                menu.act(Noop);
            },
        );
        menu.soft_reset();
    }),
    ..Game::DEFAULT
};

pub(super) const AIR_RAID: Game = Game {
    name: "air_raid",
    md5: "35be55426c1fec32dfb503b4f0651572",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[1, 2, 3, 4, 5, 6, 7, 8],
    default_mode: 1,
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xAA, 0xA9, 0xA8));
        Outcome::new(reward, ram.get(0xA7) == 0xFF, 1)
    },
    set_mode: Some(|menu, mode| {
        menu.select(20);
        menu.select_until(10, |ram| ram.get(0xAA) == mode);
    }),
    ..Game::DEFAULT
};

pub(super) const ALIEN: Game = Game {
    name: "alien",
    md5: "f1a0a23e6464d954e3a9579c4ccd01c8",
    mapper: Mapper::Flat,
    modes: &[0, 1, 2, 3],
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let digit = |byte| if byte == 0x80 { 0 } else { byte >> 3 }; // 0x80 is a blank.
        let reward = state.gain(10 * ram.digits([0x83, 0x85, 0x87, 0x89, 0x8B], digit));
        let lives = ram.get(0xC0) & 15;
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0x81) == mode)),
    ..Game::DEFAULT
};

pub(super) const AMIDAR: Game = Game {
    name: "amidar",
    md5: "acb7750b4d0c4bd34969802a7deb2990",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down, UpFire, RightFire, LeftFire, DownFire],
    difficulties: &[0, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xD9, 0xDA, 0xDB));
        let lives = ram.get(0xD6);
        Outcome::new(reward, lives == 0x80, lives & 15)
    },
    ..Game::DEFAULT
};

pub(super) const ASSAULT: Game = Game {
    name: "assault",
    md5: "de78b3a064d374390ac0710f95edde92",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, RightFire, LeftFire],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x82, 0x81, 0x80));
        let lives = ram.get(0xE5);
        Outcome::new(reward, lives == 0, lives)
    },
    ..Game::DEFAULT
};

pub(super) const ASTERIX: Game = Game {
    name: "asterix",
    md5: "89a68746eff7f266bbf08de2483abe55",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    start_actions: &[(Fire, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xE0, 0xDF, 0xDE));
        let lives = ram.get(0xD3) & 15;
        // The last frame of the last death: a frame later, a held FIRE would begin a new game.
        Outcome::new(reward, lives == 1 && ram.get(0xC7) == 1, lives)
    },
    ..Game::DEFAULT
};

pub(super) const ASTEROIDS: Game = Game {
    name: "asteroids",
    md5: "ccbd36746ed4525821a8083b0d6d2c2c",
    mapper: Mapper::F8,
    display: DisplayProperties {
        hmove_blanks: false,
        ..Game::DEFAULT.display
    },
    minimal_actions: &[
        Noop,
        Fire,
        Up,
        Right,
        Left,
        Down,
        UpRight,
        UpLeft,
        UpFire,
        RightFire,
        LeftFire,
        DownFire,
        UpRightFire,
        UpLeftFire,
    ],
    modes: &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
        30, 31, 128,
    ],
    difficulties: &[0, 3],
    step: |ram, state| {
        let gain = state.gain(10 * ram.bcd2(0xBE, 0xBD));
        let reward = if gain < 0 { gain + 100_000 } else { gain }; // The digits went round.
        let lives = ram.get(0xBC) >> 4;
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const ATLANTIS: Game = Game {
    name: "atlantis",
    md5: "9ad36e699ef6f45d9eb6c4cf90475c9f",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, RightFire, LeftFire],
    modes: &[0, 1, 2, 3],
    step: |ram, state| {
        let lives = ram.get(0xF1);
        let terminal = lives == 0xFF;
        // At the end the score is garbage: it pays nothing, and is not remembered.
        let reward = if terminal {
            0
        } else {
            state.gain(100 * ram.bcd3(0xA2, 0xA3, 0xA1))
        };
        Outcome::new(reward, terminal, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x8D) == mode)),
    ..Game::DEFAULT
};

pub(super) const ATLANTIS2: Game = Game {
    name: "atlantis2",
    md5: "826481f6fc53ea47c9f272f7050eedf7",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, RightFire, LeftFire],
    step: |ram, state| {
        let lives = ram.get(0xF1);
        let terminal = lives == 0xFF;
        // At the end the score is garbage: it pays nothing, and is not remembered.
        let reward = if terminal {
            0
        } else {
            state.gain(ram.bcd3(0xA1, 0xA2, 0xA3))
        };
        Outcome::new(reward, terminal, lives)
    },
    ..Game::DEFAULT
};
