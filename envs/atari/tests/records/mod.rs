//! Recorded play of ale-py 0.12.1, and playing it again. `tools/record_traces.py` records `golden/*.csv`.

use std::path::Path;

use coinop_atari::{Action, Atari, AtariSettings, Game, Rom, trace};

/// Rows per checksum.
const BLOCK: usize = 250;

/// A trace: what was played, and running checksums of its text after every [`BLOCK`] rows.
pub(crate) struct Record {
    pub(crate) stream: String,
    pub(crate) settings: AtariSettings,
    rows: usize,
    sums: Vec<u32>,
}

/// What came of playing a record again.
pub(crate) struct Played {
    #[allow(dead_code, reason = "the example prints it, the test does not")]
    pub(crate) frames: u64,
    /// The first rows among which one differs.
    pub(crate) difference: Option<std::ops::Range<usize>>,
}

/// The records of a game.
pub(crate) fn read(game: &Game) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{}.csv", game.name));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> Record {
    let fields: Vec<&str> = line.split(',').collect();
    let [stream, seed, sticky, frame_skip, mode, difficulty, rows, sums] = fields[..] else {
        panic!("not a record: {line}")
    };
    Record {
        stream: stream.to_owned(),
        settings: AtariSettings {
            repeat_action_probability: sticky.parse().unwrap(),
            random_seed: seed.parse().unwrap(),
            frame_skip: frame_skip.parse().unwrap(),
            mode: (!mode.is_empty()).then(|| mode.parse().unwrap()),
            difficulty: difficulty.parse().unwrap(),
            max_frames_per_episode: 0,
        },
        rows: rows.parse().unwrap(),
        sums: sums
            .split(' ')
            .map(|sum| u32::from_str_radix(sum, 16).unwrap())
            .collect(),
    }
}

impl Record {
    /// Plays at most the first `most` blocks.
    pub(crate) fn play(&self, game: &Game, rom: &Rom, most: usize) -> Played {
        let mut atari = Atari::new(rom, &self.settings).unwrap();
        let rows = self.rows.min(most.saturating_mul(BLOCK));
        let mut text = Vec::new();
        atari.reset();
        if self.stream == "resets" {
            for _ in 0..rows {
                atari.reset();
                trace::write_act(&mut atari, Action::Noop, &mut text).unwrap();
            }
        } else {
            let seed = self.settings.random_seed as u64;
            for action in actions(&self.stream, seed, game.minimal_actions, rows) {
                trace::write_act(&mut atari, action, &mut text).unwrap();
                if atari.is_terminal() {
                    atari.reset();
                }
            }
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        let mut sum = crc32fast::Hasher::new();
        let differs = lines.chunks(BLOCK).zip(&self.sums).position(|(lines, expected)| {
            lines.iter().for_each(|line| sum.update(line));
            sum.clone().finalize() != *expected
        });
        Played {
            frames: rows as u64 * u64::from(self.settings.frame_skip),
            difference: differs.map(|block| block * BLOCK..rows.min((block + 1) * BLOCK)),
        }
    }
}

/// Knuth's MMIX generator; the recorder has the same one.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// The actions of a stream: uniform over the minimal set or all 18, held for up to 60 acts, or every other one FIRE.
fn actions(stream: &str, seed: u64, minimal: &[Action], acts: usize) -> Vec<Action> {
    let mut random = Lcg(seed);
    let mut actions = Vec::new();
    while actions.len() < acts {
        match stream {
            "minimal" => actions.push(minimal[random.below(minimal.len())]),
            "all" => actions.push(Action::ALL[random.below(18)]),
            "holds" => {
                let action = Action::ALL[random.below(18)];
                let times = 1 + random.below(60);
                actions.extend(std::iter::repeat_n(action, times));
            }
            "fire" if random.below(2) == 1 => actions.push(Action::Fire),
            "fire" => actions.push(Action::ALL[random.below(18)]),
            _ => panic!("unknown stream {stream}"),
        }
    }
    actions.truncate(acts);
    actions
}
