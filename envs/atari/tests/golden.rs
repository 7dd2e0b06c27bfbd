//! Plays recorded lists of actions and compares every row of the trace (frame, reward, lives, end, RAM, screen) with what ale-py
//! 0.12.1 gave. `tools/record_traces.py` records `golden/*.csv`.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_atari::{Action, Atari, Rom, Settings, find_game, trace};

/// Rows per checksum.
const BLOCK: usize = 250;

/// Knuth's MMIX generator; the recorder has the same one.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn actions(kind: &str, seed: u64, minimal: &[Action], acts: usize) -> Vec<Action> {
    let mut random = Lcg(seed);
    let mut actions = Vec::new();
    while actions.len() < acts {
        match kind {
            "minimal" => actions.push(minimal[random.below(minimal.len() as u64) as usize]),
            "all" => actions.push(Action::ALL[random.below(18) as usize]),
            "holds" => {
                let action = Action::ALL[random.below(18) as usize];
                let times = 1 + random.below(60) as usize;
                actions.extend(std::iter::repeat_n(action, times));
            }
            "fire" => {
                let fire = random.below(2) == 1;
                actions.push(if fire {
                    Action::Fire
                } else {
                    Action::ALL[random.below(18) as usize]
                });
            }
            _ => panic!("unknown stream {kind}"),
        }
    }
    actions.truncate(acts);
    actions
}

/// One recorded trace: its settings, and the sums of its text after each block.
struct Golden {
    stream: String,
    settings: Settings,
    sums: Vec<u32>,
}

fn parse(line: &str) -> Golden {
    let fields: Vec<&str> = line.split(',').collect();
    let [stream, seed, sticky, frame_skip, mode, difficulty, sums] = fields[..] else {
        panic!("not a golden row: {line}")
    };
    Golden {
        stream: stream.to_owned(),
        settings: Settings {
            repeat_action_probability: sticky.parse().unwrap(),
            random_seed: seed.parse().unwrap(),
            frame_skip: frame_skip.parse().unwrap(),
            mode: (!mode.is_empty()).then(|| mode.parse().unwrap()),
            difficulty: difficulty.parse().unwrap(),
            max_frames_per_episode: 0,
        },
        sums: sums
            .split(' ')
            .map(|sum| u32::from_str_radix(sum, 16).unwrap())
            .collect(),
    }
}

fn check(name: &str, recorded: &str) {
    let game = find_game(name).unwrap();
    let rom = Rom::find(game, None).unwrap();
    for golden in recorded.lines().map(parse) {
        let mut atari = Atari::new(&rom, &golden.settings).unwrap();
        let seed = golden.settings.random_seed as u64;
        let acts = actions(&golden.stream, seed, game.minimal_actions, golden.sums.len() * BLOCK);
        let mut text = Vec::new();
        trace::write_trace(&mut atari, &acts, &mut text).unwrap();
        let rows: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').skip(1).collect();
        let mut sum = crc32fast::Hasher::new();
        for (block, (rows, expected)) in rows.chunks(BLOCK).zip(&golden.sums).enumerate() {
            rows.iter().for_each(|row| sum.update(row));
            let (from, to) = (block * BLOCK, (block + 1) * BLOCK);
            assert_eq!(
                sum.clone().finalize(),
                *expected,
                "{name} differs from ale-py between acts {from} and {to} of the stream {} with {:?}",
                golden.stream,
                golden.settings
            );
        }
    }
}

macro_rules! golden {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("golden/", stringify!($name), ".csv")));
        }
    )*};
}

golden! { pong breakout space_invaders seaquest qbert ms_pacman beam_rider montezuma_revenge }
