//! Small programs that write every register at every cycle of a line, and what ale-py 0.12.1 was recorded to show of them.
//!
//! `tools/record_probes.py` says what they are, and records `probes.csv`.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_atari::{Action, Atari, AtariSettings, Rom, find_game};
use rayon::prelude::*;

const VSYNC: u8 = 0x00;
const VBLANK: u8 = 0x01;
const WSYNC: u8 = 0x02;
const HMOVE: u8 = 0x2A;
const CXCLR: u8 = 0x2C;
const FIRST_CYCLE: usize = 5;
const LINES: u8 = 200;

/// Register and value, in the order in which they are written at the top of every frame.
#[rustfmt::skip]
const PICTURE: [(u8, u8); 27] = [
    (0x04, 0x15), (0x05, 0x22), (0x06, 0x1E), (0x07, 0x4A), (0x08, 0x88), (0x09, 0x02), (0x0A, 0x11), (0x0B, 0x00), (0x0C, 0x08),
    (0x0D, 0xA0), (0x0E, 0x5A), (0x0F, 0x81), (0x25, 0x00), (0x26, 0x01), (0x27, 0x00), (0x28, 0x00), (0x29, 0x00),
    (0x1B, 0xD3), (0x1C, 0x65), (0x1D, 0x02), (0x1E, 0x02), (0x1F, 0x02), (0x20, 0x70), (0x21, 0x90), (0x22, 0x10), (0x23, 0xF0),
    (0x24, 0x80),
];
/// Where the objects are positioned: the register, and NOPs before it.
const PLACES: [(u8, usize); 5] = [(0x10, 14), (0x11, 18), (0x12, 20), (0x13, 24), (0x14, 28)];

/// A program that grows.
struct Code(Vec<u8>);

impl Code {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn sta(&mut self, register: u8) -> &mut Self {
        self.put(&[0x85, register])
    }

    fn lda(&mut self, value: u8) -> &mut Self {
        self.put(&[0xA9, value])
    }

    /// Waits for `count` lines.
    fn lines(&mut self, count: u8) -> &mut Self {
        self.put(&[0xA2, count]).sta(WSYNC).put(&[0xCA, 0xD0, 0xFB])
    }

    /// NOP takes two cycles, LDY $F0 three.
    fn wait(&mut self, cycles: usize) -> &mut Self {
        let odd = cycles % 2;
        self.put(&[0xA4, 0xF0].repeat(odd));
        self.put(&[0xEA].repeat((cycles - 3 * odd) / 2))
    }
}

fn program(register: u8, hmove: bool, cycle: usize) -> Vec<u8> {
    let mut code = Code(vec![0x78, 0xD8, 0xA2, 0xFF, 0x9A]);
    let frame = 0xF000 + code.0.len() as u16;
    code.lda(2).sta(VBLANK).sta(WSYNC).sta(VSYNC);
    code.sta(WSYNC).sta(WSYNC).sta(WSYNC).lda(0).sta(VSYNC);
    for (place, nops) in PLACES {
        code.sta(WSYNC).put(&vec![0xEA; nops]).sta(place);
    }
    for (name, value) in PICTURE {
        code.lda(value).sta(name);
    }
    code.lines(25).lda(0).sta(WSYNC).sta(VBLANK).sta(CXCLR);
    code.put(&[0xA2, LINES]);
    let start = code.0.len();
    code.sta(WSYNC);
    if hmove {
        code.sta(HMOVE);
    }
    code.wait(cycle - 3 * usize::from(hmove))
        .put(&[0x86, register, 0xCA, 0xD0]);
    let back = (start as i32 - code.0.len() as i32 - 1) as u8;
    code.put(&[back]).lda(2).sta(WSYNC).sta(VBLANK);
    for latch in 0..8 {
        code.put(&[0xA5, 0x30 + latch]).sta(0x80 + latch);
    }
    let [low, high] = frame.to_le_bytes();
    code.lines(20).put(&[0x4C, low, high]);
    let mut image = code.0;
    image.resize(4096, 0xEA);
    image[0xFFC..].copy_from_slice(&[0x00, 0xF0, 0x00, 0xF0]);
    image
}

fn play(image: &[u8], translated: bool) -> u32 {
    let rom = Rom::unverified(find_game("seaquest").unwrap(), image).unwrap();
    let rom = if translated { rom } else { rom.interpreted() };
    let mut atari = Atari::new(&rom, &AtariSettings::default()).unwrap();
    atari.reset();
    for _ in 0..3 {
        atari.act(Action::Noop);
    }
    let mut sum = crc32fast::Hasher::new();
    sum.update(atari.screen());
    sum.update(atari.ram());
    sum.finalize()
}

/// The cycles at which the machine shows something else than ale-py does.
fn differences(row: &str) -> Option<String> {
    let [register, hmove, images, sums] = row.split(',').collect::<Vec<_>>()[..] else {
        panic!("not a row: {row}")
    };
    let (register, hmove) = (register.parse().unwrap(), hmove == "1");
    let mut all = crc32fast::Hasher::new();
    let mut differ = Vec::new();
    for (cycle, sum) in (FIRST_CYCLE..).zip(sums.split(' ')) {
        let image = program(register, hmove, cycle);
        all.update(&image);
        // To translate a program that is played for some frames takes longer than to play it, so that one in eight is.
        if play(&image, cycle % 8 == 3) != u32::from_str_radix(sum, 16).unwrap() {
            differ.push(cycle);
        }
    }
    assert_eq!(
        format!("{:08x}", all.finalize()),
        images,
        "the assembler is another than the recorder's"
    );
    let with = if hmove { "with" } else { "without" };
    (!differ.is_empty()).then(|| format!("register ${register:02X} {with} HMOVE: cycles {differ:?}"))
}

#[test]
fn every_register_is_seen_to_change_when_it_does_in_ale() {
    let text = include_str!("probes.csv");
    let rows: Vec<&str> = text.lines().collect();
    let found: Vec<String> = rows.par_iter().filter_map(|row| differences(row)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
