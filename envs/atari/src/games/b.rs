//! Games from B.

use super::*;

pub(super) const BACKGAMMON: Game = Game {
    name: "backgammon",
    md5: "8556b42aa05f94bc29ff39c39b11bff4",
    mapper: Mapper::Flat,
    minimal_actions: &[Fire, Right, Left],
    difficulties: &[3],
    controllers: Controllers::Paddles {
        swapped: false,
        both_ports: false,
        max_resistance: 1_000_000,
    },
    step: |ram, state| {
        // A byte for each point of the board: the computer's men are positive, the player's negative.
        let board = || (0x81..0x9C).filter(|&at| at != 0x8E).map(|at| ram.signed(at));
        let computer_home = board().filter(|&men| men > 0).sum::<i32>() as i8;
        let player_home = -board().filter(|&men| men < 0).sum::<i32>() as i8;
        let computer_off = ram.signed(0x8E) as i8;
        let player_off = -ram.get(0x80) as i8;
        let men = |home: i8, off: i8| i32::from(home) + i32::from(off);
        // The computer calculates in the same memory; it is a board when all men are there.
        if men(computer_home, computer_off) == 15 && men(player_home, player_off) == 15 {
            if player_off == 15 {
                (state.over, state.reward) = (true, 1);
            } else if computer_off == 15 {
                (state.over, state.reward) = (true, -1);
            }
        }
        Outcome::new(state.reward, state.over, 1)
    },
    // One player, without doubling.
    set_mode: Some(|menu, _| menu.select_until(1, |ram| ram.get(0xDC) == 3)),
    ..Game::DEFAULT
};

pub(super) const BANK_HEIST: Game = Game {
    name: "bank_heist",
    md5: "00ce0bdd43aed84a983bef38fe7f5ee3",
    mapper: Mapper::Flat,
    modes: &[0, 4, 8, 12, 16, 20, 24, 28],
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xDA, 0xD9, 0xD8));
        let spare = ram.get(0xD5);
        Outcome::new(reward, spare == 0 && ram.get(0xCE) == 1, spare)
    },
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0x80) == mode)),
    ..Game::DEFAULT
};

pub(super) const BASIC_MATH: Game = Game {
    name: "basic_math",
    md5: "819aeeb9a2e11deb54e6de334f843894",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Right, Left, Down],
    modes: &[5, 6, 7, 8],
    default_mode: 5,
    difficulties: &[0, 2, 3],
    step: |ram, state| {
        let reward = state.gain(ram.bcd(0x84));
        Outcome::new(reward, ram.get(0x86) != 0, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xC5) == mode)),
    ..Game::DEFAULT
};

pub(super) const BATTLE_ZONE: Game = Game {
    name: "battle_zone",
    md5: "41f252a66c6301f1e8ab3612c19bc5d4",
    mapper: Mapper::F8,
    display: DisplayProperties {
        hmove_blanks: false,
        ..Game::DEFAULT.display
    },
    modes: &[1, 2, 3],
    default_mode: 1,
    step: |ram, state| {
        let digits = [ram.get(0x9E) >> 4, ram.get(0x9E) & 15, ram.get(0x9D) >> 4];
        let thousands = digits.iter().fold(0, |score, &digit| 10 * score + blank_is_0(digit));
        let reward = state.gain(1000 * thousands);
        let lives = ram.get(0xBA) & 15;
        Outcome::new(reward, lives == 0, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xA1) == mode)),
    ..Game::DEFAULT
};

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

pub(super) const BERZERK: Game = Game {
    name: "berzerk",
    md5: "136f75c4dd02c29283752b7e5799f978",
    mapper: Mapper::Flat,
    modes: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18],
    default_mode: 1,
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xDF, 0xDE, 0xDD));
        let spare = ram.get(0xDA);
        Outcome::new(reward, spare == 0xFF, spare + 1)
    },
    set_mode: Some(|menu, mode| {
        (0..20).for_each(|_| menu.act(Noop));
        menu.select_until(2, |ram| ram.get(0x80) == mode);
    }),
    ..Game::DEFAULT
};

pub(super) const BLACKJACK: Game = Game {
    name: "blackjack",
    md5: "0a981c03204ac2b278ba392674682560",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Down],
    difficulties: &[0, 1, 2, 3],
    controllers: Controllers::Paddles {
        swapped: false,
        both_ports: false,
        max_resistance: 795_000,
    },
    step: |ram, state| {
        let broke = ram.get(0x86) == 0x0B && ram.get(0x89) == 0xBB;
        let chips = if broke { 0 } else { ram.bcd2(0x89, 0x86) };
        let reward = state.gain(chips);
        Outcome::new(reward, broke || chips >= 1000, 1)
    },
    ..Game::DEFAULT
};

pub(super) const BOWLING: Game = Game {
    name: "bowling",
    md5: "c9b7afad3bfd922e006a6bfc1d4f3fe7",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Up, Down, UpFire, DownFire],
    modes: &[0, 2, 4],
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd2(0xA1, 0xA6));
        Outcome::new(reward, ram.get(0xA4) > 0x10, 0)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0x82) == mode)),
    ..Game::DEFAULT
};

pub(super) const BOXING: Game = Game {
    name: "boxing",
    md5: "c3ef5c4653212088eda54dc91d787870",
    mapper: Mapper::Flat,
    difficulties: &[0, 1, 2, 3],
    step: |ram, state| {
        // 0xC0 shows a knock-out.
        let points = |at| if ram.get(at) == 0xC0 { 100 } else { ram.bcd(at) };
        let (player, computer) = (points(0x92), points(0x93));
        let reward = state.gain(player - computer);
        let time_is_up = ram.get(0x90) >> 4 == 0 && ram.bcd(0x91) == 0;
        Outcome::new(reward, player == 100 || computer == 100 || time_is_up, 0)
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
    set_mode: Some(|menu, mode| menu.select_until(1, |ram| ram.get(0xB2) == mode)),
    ..Game::DEFAULT
};
