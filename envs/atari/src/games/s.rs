//! Games from S.

use super::*;

pub(super) const SEAQUEST: Game = Game {
    name: "seaquest",
    md5: "240bfbac5163af4df5ae713985386f92",
    mapper: Mapper::Flat,
    difficulties: &[0, 1],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xBA, 0xB9, 0xB8));
        Outcome::new(reward, ram.get(0xA3) != 0, 1 + ram.get(0xBB))
    },
    ..Game::DEFAULT
};

pub(super) const SIR_LANCELOT: Game = Game {
    name: "sir_lancelot",
    md5: "dd0cbe5351551a538414fb9e37fc56e8",
    mapper: Mapper::F8,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    starts_with_reset: true,
    start_actions: &[(Left, 1)],
    step: |ram, state| {
        let reward = state.gain(ram.bcd3(0xA0, 0x9F, 0x9E));
        let lives = ram.get(0xA9);
        Outcome::new(reward, lives == 0 && ram.get(0xA7) == 0xA0, lives)
    },
    ..Game::DEFAULT
};

pub(super) const SKIING: Game = Game {
    name: "skiing",
    md5: "b76fbadc8ffb1f83e2ca08b6fb4d6c9f",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Right, Left],
    legal_actions: WITHOUT_FIRE,
    start_actions: &[(Down, 16)],
    step: |ram, state| {
        // Minutes in binary, the rest in hundredths of a second: time costs.
        let time = ram.bcd2(0xEA, 0xE9) + 6000 * ram.get(0xE8);
        let reward = -state.gain(time);
        Outcome::new(reward, ram.get(0x91) == 0xFF, 0)
    },
    ..Game::DEFAULT
};

pub(super) const SOLARIS: Game = Game {
    name: "solaris",
    md5: "e72eb8d4410152bdcb69e7fba327b420",
    mapper: Mapper::F6,
    step: |ram, state| {
        let reward = state.gain(10 * ram.bcd3(0xDC, 0xDD, 0xDE));
        let lives = ram.get(0xD9);
        Outcome::new(reward, lives == 0, lives & 15)
    },
    ..Game::DEFAULT
};

pub(super) const SPACE_INVADERS: Game = Game {
    name: "space_invaders",
    md5: "72ffbef6504b75e69ee1045af9075f66",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Fire, Right, Left, RightFire, LeftFire],
    modes: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    difficulties: &[0, 1],
    step: |ram, state| {
        let gain = state.gain(ram.bcd2(0xE8, 0xE6));
        let reward = if gain < 0 { gain + 10_000 } else { gain }; // The four digits went round.
        let lives = ram.get(0xC9);
        Outcome::new(reward, lives == 0 || ram.get(0x98) >= 0x80, lives)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xDC) == mode)),
    ..Game::DEFAULT
};

pub(super) const SPACE_WAR: Game = Game {
    name: "space_war",
    md5: "b702641d698c60bcdc922dbd8c9dd49c",
    mapper: Mapper::Flat,
    modes: &[6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
    default_mode: 6,
    step: |ram, state| {
        let hits = ram.bcd(0xA7);
        let reward = state.gain(hits);
        let time = ram.get(0x80);
        Outcome::new(reward, hits == 10 || time == 0, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.bcd(0xA7) == mode)),
    ..Game::DEFAULT
};

pub(super) const STAR_GUNNER: Game = Game {
    name: "star_gunner",
    md5: "a3c1c70024d7aabb41381adbfb6d3b25",
    mapper: Mapper::Flat,
    modes: &[0, 1, 2, 3],
    step: |ram, state| {
        let hundreds = ram.digits([0x86, 0x85, 0x84, 0x83], |byte| blank_is_0(byte & 15));
        let reward = state.gain(100 * hundreds);
        let lives = ram.get(0x87);
        state.begun |= lives == 5;
        let shown = if state.begun { lives & 15 } else { 5 };
        Outcome::new(reward, lives == 0, shown)
    },
    set_mode: Some(|menu, mode| menu.select_until(15, |ram| ram.get(0xF4) == mode)),
    ..Game::DEFAULT
};

pub(super) const SUPERMAN: Game = Game {
    name: "superman",
    md5: "a9531c763077464307086ec9a1fd057d",
    mapper: Mapper::Flat,
    difficulties: &[0, 1, 2, 3],
    step: |ram, _| {
        // The only reward is for what is left of 99:59 minutes at the end.
        let in_the_office = (ram.get(0x80), ram.get(0x81)) == (0xAC, 0xF2);
        let terminal = in_the_office && ram.get(0x9F) & 0x40 != 0;
        let seconds = 60 * ram.bcd(0xE3) + ram.bcd(0xE2);
        let reward = if terminal { 5999 - seconds } else { 0 };
        Outcome::new(reward, terminal, 1)
    },
    ..Game::DEFAULT
};

pub(super) const SURROUND: Game = Game {
    name: "surround",
    md5: "4d7517ae69f95cfbc053be01312b7dba",
    mapper: Mapper::Flat,
    minimal_actions: &[Noop, Up, Right, Left, Down],
    modes: &[0, 2],
    difficulties: &[0, 1, 2, 3],
    controllers: Controllers::SwappedJoysticks,
    step: |ram, state| {
        let (player, computer) = (ram.bcd(0xF7), ram.bcd(0xF6));
        let reward = state.gain(player - computer);
        Outcome::new(reward, player == 10 || computer == 10, 1)
    },
    set_mode: Some(|menu, mode| menu.select_until(2, |ram| ram.get(0xF9) == mode + 1)),
    ..Game::DEFAULT
};
