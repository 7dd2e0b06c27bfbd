//! The frames of one actor, in order, each stored once; the newest replace the oldest.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group::{GROUP, Opener, Packer};
use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// How a memory stores frames.
///
/// ```
/// use coinop_agents::replay::Store;
///
/// let store: Store = serde_json::from_str("\"compressed\"")?;
/// assert_eq!(store, Store::Compressed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Uncompressed: 7 KB per frame of 84x84 pixels.
    Raw,
    /// Compressed without loss, in groups of [`GROUP`]: 100 to 360 bytes per frame of 84x84 pixels in most Atari
    /// games.
    Compressed,
}

/// A ring of frames of `frame_len` bytes each, numbered from 0 over the lifetime of the actor.
pub(super) struct Frames {
    frame_len: usize,
    end: u64,
    kept: Kept,
}

enum Kept {
    /// Frame `i` is at `i % capacity`.
    Raw { bytes: Vec<u8>, capacity: usize },
    /// Group `i` is at `i % groups.len()`; frames after the last complete group are in `open`.
    Compressed {
        groups: Vec<Box<[u8]>>,
        open: Vec<u8>,
        /// The size of all groups in bytes.
        used: usize,
        packer: Packer,
    },
}

impl Frames {
    /// Creates a ring for at least `capacity` frames.
    pub(super) fn new(store: Store, capacity: usize, frame_len: usize) -> Result<Self, AgentError> {
        let kept = match store {
            Store::Raw => Kept::Raw {
                bytes: vec![0; capacity * frame_len],
                capacity,
            },
            Store::Compressed => Kept::Compressed {
                groups: vec![Box::default(); capacity.div_ceil(GROUP)],
                open: Vec::with_capacity(GROUP * frame_len),
                used: 0,
                packer: Packer::new()?,
            },
        };
        Ok(Self {
            frame_len,
            end: 0,
            kept,
        })
    }

    /// The maximum number of frames in the ring.
    pub(super) fn most(&self) -> usize {
        match &self.kept {
            Kept::Raw { capacity, .. } => *capacity,
            Kept::Compressed { groups, .. } => (groups.len() + 1) * GROUP,
        }
    }

    /// The number of the oldest frame.
    pub(super) fn first(&self) -> u64 {
        match &self.kept {
            Kept::Raw { capacity, .. } => self.end.saturating_sub(*capacity as u64),
            Kept::Compressed { groups, .. } => {
                (self.end / GROUP as u64).saturating_sub(groups.len() as u64) * GROUP as u64
            }
        }
    }

    /// The number of the next frame.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The memory used by frames, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match &self.kept {
            Kept::Raw { capacity, .. } => self.frame_len * (*capacity).min(self.end as usize),
            Kept::Compressed { groups, open, used, .. } => used + size_of_val(groups.as_slice()) + open.capacity(),
        }
    }

    /// Appends a frame.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<(), AgentError> {
        assert_eq!(frame.len(), self.frame_len, "bytes of a frame");
        match &mut self.kept {
            Kept::Raw { bytes, capacity } => {
                let at = (self.end % *capacity as u64) as usize * frame.len();
                bytes[at..at + frame.len()].copy_from_slice(frame);
            }
            Kept::Compressed {
                groups,
                open,
                used,
                packer,
            } => {
                open.extend_from_slice(frame);
                if open.len() == GROUP * self.frame_len {
                    let group = self.end / GROUP as u64;
                    let at = (group % groups.len() as u64) as usize;
                    let bytes = packer.pack(open, self.frame_len)?;
                    *used = *used + bytes.len() - groups[at].len();
                    groups[at] = bytes;
                    open.clear();
                }
            }
        }
        self.end += 1;
        Ok(())
    }

    /// Calls back with consecutive frames and their numbers.
    pub(super) fn visit(
        &self,
        range: Range<u64>,
        opener: &mut Opener,
        mut each: impl FnMut(u64, &[u8]),
    ) -> Result<(), AgentError> {
        debug_assert!(range.start >= self.first() && range.end <= self.end, "{range:?}");
        match &self.kept {
            Kept::Raw { bytes, capacity } => {
                for number in range {
                    let at = (number % *capacity as u64) as usize * self.frame_len;
                    each(number, &bytes[at..at + self.frame_len]);
                }
            }
            Kept::Compressed { groups, open, .. } => {
                let size = GROUP as u64;
                for group in range.start / size..range.end.div_ceil(size) {
                    let begin = group * size;
                    let wanted = range.start.max(begin)..range.end.min(begin + size);
                    if group == self.end / size {
                        for number in wanted {
                            let at = (number - begin) as usize * self.frame_len;
                            each(number, &open[at..at + self.frame_len]);
                        }
                        continue;
                    }
                    let bytes = &groups[(group % groups.len() as u64) as usize];
                    let mut opened = opener.open(bytes, self.frame_len)?;
                    for number in begin..wanted.end {
                        if number > begin {
                            opened.advance()?;
                        }
                        if number >= wanted.start {
                            each(number, opened.frame());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Checkpoint for Frames {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        out.put("end", &self.end)?;
        match &self.kept {
            Kept::Raw { bytes, capacity } => {
                // In the order of the ring, as far as it is in use.
                let used = self.frame_len * (*capacity).min(self.end as usize);
                out.put_bytes("frames", [&bytes[..used]])
            }
            Kept::Compressed { groups, open, .. } => {
                let lens: Vec<u32> = groups.iter().map(|group| group.len() as u32).collect();
                out.put_numbers("group_lens", &lens)?;
                out.put_bytes("frames", groups.iter().map(|group| &**group))?;
                out.put_bytes("open", [open.as_slice()])
            }
        }
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let end = from.count("end")?;
        let mismatch = |name: &str, reason: &str| Err(CheckpointError::unfit(name, &reason));
        let mut saved = from.reader("frames")?;
        match &mut self.kept {
            Kept::Raw { bytes, capacity } => {
                if saved.left() != self.frame_len as u64 * end.min(*capacity as u64) {
                    return mismatch("frames", "it is of another number or size of frames");
                }
                let used = saved.left() as usize;
                saved.read(&mut bytes[..used])?;
            }
            Kept::Compressed { groups, open, used, .. } => {
                let mut lens = vec![0u32; groups.len()];
                from.load_numbers("group_lens", &mut lens)?;
                let still_open = from.bytes("open")?;
                if still_open.len() != (end % GROUP as u64) as usize * self.frame_len {
                    return mismatch("open", "it is of another number or size of frames");
                }
                let filled = lens.iter().filter(|len| **len > 0).count() as u64;
                let total: u64 = lens.iter().map(|len| u64::from(*len)).sum();
                if total != saved.left() || filled != (end / GROUP as u64).min(groups.len() as u64) {
                    return mismatch("group_lens", "its lengths are not those of the frames");
                }
                for (group, len) in groups.iter_mut().zip(lens) {
                    let mut bytes = vec![0; len as usize];
                    saved.read(&mut bytes)?;
                    *group = bytes.into();
                }
                *used = total as usize;
                open.clear();
                open.extend_from_slice(&still_open);
            }
        }
        saved.finish()?;
        self.end = end;
        Ok(())
    }
}
