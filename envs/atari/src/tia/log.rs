//! Writes, logged and replayed only where their result is observable.
//!
//! An agent observes two of the four frames of a step, and many games never read collisions. So a write to a register that
//! only the picture depends on goes into the log of its frame, which costs next to nothing, and is replayed later: with
//! pixels if the screen is read, for collisions alone if only those are read, and otherwise just for the registers.

use serde::{Deserialize, Serialize};

use super::picture::Picture;
use super::{Display, MOST_TIME};
use crate::cpu::MOST_CYCLES;

/// A write to a register at a CPU cycle of its frame.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Write {
    pub(super) cycles: u32,
    pub(super) register: u8,
    pub(super) value: u8,
}

/// A frame: what the picture's registers were at its start, and what was written since.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frame {
    /// The registers at the start; meaningless until the frame before has been played.
    pub(super) start: Picture,
    pub(super) writes: Vec<Write>,
    /// The registers after the first `played` writes.
    pub(super) now: Picture,
    pub(super) played: usize,
    /// The pixels of those are on the screen.
    pub(super) drawn: bool,
    /// Colour clock at which the frame ended.
    pub(super) end: i32,
    /// The same for the instruction with which it ended.
    pub(super) elapsed: i32,
}

impl Frame {
    /// Room for the writes of nearly every frame, so that nothing is allocated later.
    const WRITES: usize = 2048;

    pub(super) fn new(picture: Picture) -> Self {
        Self {
            start: picture,
            writes: Vec::with_capacity(Self::WRITES),
            now: picture,
            played: 0,
            drawn: true,
            end: 0,
            elapsed: 0,
        }
    }

    /// Gives a saved one its picture's format, if it can be played.
    pub(super) fn adopt(&mut self, display: Display) -> Result<(), &'static str> {
        let is_write = |write: &Write| write.register < 64 && write.cycles <= MOST_CYCLES;
        let time = 0..=MOST_TIME;
        let fits = self.writes.iter().all(is_write)
            && self.played <= self.writes.len()
            && time.contains(&self.end)
            && time.contains(&self.elapsed);
        if !fits {
            return Err("log");
        }
        self.writes.reserve(Self::WRITES.saturating_sub(self.writes.len()));
        self.start.adopt(display)?;
        self.now.adopt(display)
    }

    /// Makes room for another frame.
    pub(super) fn clear(&mut self) {
        self.writes.clear();
        self.played = 0;
        self.drawn = false;
        self.end = 0;
    }

    /// The registers at the start have become known.
    pub(super) fn begin(&mut self, picture: Picture) {
        self.start = picture;
        self.now = picture;
    }

    /// Forgets what was played, to play it again with pixels.
    pub(super) fn rewind(&mut self) {
        self.now = self.start;
        self.played = 0;
        self.drawn = true;
    }
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        let mut frame = Self::new(self.start);
        frame.writes.extend_from_slice(&self.writes);
        Self {
            writes: frame.writes,
            ..*self
        }
    }
}
