//! Games from K.

use super::*;

pub(super) const KABOOM: Game = Game {
    name: "kaboom",
    md5: "5428cdfada281c569c74c7308c7f2c26",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left],
    start_actions: &[(Fire, 1)],
    controllers: Controllers::Paddles {
        swapped: false,
        both_ports: false,
        max_resistance: PADDLE_MAX,
    },
    step: |ram, state| {
        let score = ram.bcd3(0xA5, 0xA4, 0xA3);
        let reward = state.gain(score);
        let buckets = ram.get(0xA1);
        Outcome::new(reward, buckets == 0 || score == 999_999, 1)
    },
    ..Game::DEFAULT
};

pub(super) const KANGAROO: Game = Game {
    name: "kangaroo",
    md5: "4326edb70ff20d0ee5ba58fa5cb09d60",
    mapper: Mapper::F8,
    modes: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0xA8, 0xA7));
        let spare = ram.get(0xAD);
        Outcome::new(reward, spare == 0xFF, (spare & 7) + 1)
    },
    set_mode: Some(|menu, mode| {
        let shown = [mode, mode + 0x80];
        menu.select_until(2, |ram| shown.contains(&ram.get(0xBA)));
    }),
    ..Game::DEFAULT
};

pub(super) const KEYSTONE_KAPERS: Game = Game {
    name: "keystone_kapers",
    md5: "6c1f3f2e359dbf55df462ccbcdd2f6bf",
    mapper: Mapper::Flat,
    minimal_actions: &[
        Noop, Fire, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft, UpFire, RightFire, LeftFire, DownFire,
    ],
    starts_with_reset: true,
    step: |ram, state| {
        let reward = state.gain(ram.bcd2(0x9C, 0x9B));
        let spare = ram.get(0x96);
        Outcome::new(reward, spare == 0 && ram.get(0x88) == 0, spare)
    },
    ..Game::DEFAULT
};

pub(super) const KING_KONG: Game = Game {
    name: "king_kong",
    md5: "0dd4c69b5f9a7ae96a7a08329496779a",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down],
    modes: &[0, 1, 2, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd2(0x83, 0x82));
        let lives = ram.get(0xEE);
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xEC) == 2 * mode)),
    ..Game::DEFAULT
};

pub(super) const KLAX: Game = Game {
    name: "klax",
    md5: "eed9eaf1a0b6a2b9bc4c8032cb43e3fb",
    mapper: Mapper::F6Ram,
    modes: &[0, 1, 2],
    start_actions: &[(Fire, 1), (Noop, 1)],
    step: |ram, state| {
        // Score, level and misses are kept in the cartridge.
        let digits = |index| bcd(ram.cartridge(index));
        let reward = state.gain(digits(0x34) + 100 * digits(0x35) + 10_000 * digits(0x36));
        let (missed, allowed) = (ram.cartridge(0x6E), ram.cartridge(0x69));
        let last_level = ram.cartridge(0x1D) == 0x99;
        let playing = ram.get(0xA8) == 4;
        let full = playing && (0xB3..0xCC).all(|at| ![0, 2, 6, 10, 14].contains(&ram.get(at)));
        let terminal = full || allowed > 0 && missed == allowed || last_level;
        Outcome::new(reward, terminal, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.cartridge(0x6A) == mode)),
    ..Game::DEFAULT
};

pub(super) const KOOLAID: Game = Game {
    name: "koolaid",
    md5: "534e23210dd1993c828d944c6ac4d9fb",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Up, Right, Left, Down, UpRight, UpLeft, DownRight, DownLeft],
    step: |ram, state| {
        let reward = state.gain(100 * ram.bcd2(0x81, 0x80));
        Outcome::new(reward, ram.get(0xD1) == 0x80, 0)
    },
    ..Game::DEFAULT
};

pub(super) const KRULL: Game = Game {
    name: "krull",
    md5: "4baada22435320d185c95b7dd2bcdb24",
    mapper: Mapper::F8,
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x9E, 0x9D, 0x9C));
        let spare = ram.get(0x9F);
        let terminal = (spare, ram.get(0xA2), ram.get(0x80)) == (0, 3, 0x80);
        Outcome::new(reward, terminal, 1 + spare % 8)
    },
    ..Game::DEFAULT
};

pub(super) const KUNG_FU_MASTER: Game = Game {
    name: "kung_fu_master",
    md5: "5b92a93b23523ff16e2789b820e2a4c5",
    mapper: Mapper::F8,
    minimal_actions: &[
        Noop,
        Up,
        Right,
        Left,
        Down,
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
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0x9A, 0x99, 0x98));
        let spare = ram.get(0x9D);
        Outcome::new(reward, spare == 0xFF, 1 + spare % 8)
    },
    ..Game::DEFAULT
};
