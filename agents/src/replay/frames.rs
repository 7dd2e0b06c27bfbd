//! The frames that one actor saw, in their order, each once; the oldest are given up for the newest.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::{AgentError, Checkpoint, CheckpointError, Section};

/// How a memory keeps frames.
///
/// ```
/// use coinop_agents::replay::Store;
///
/// let store: Store = serde_json::from_str("\"compressed\"")?;
/// assert_eq!(store, Store::Compressed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// As they are: 7 KB for each frame of 84x84 pixels.
    Raw,
    /// Compressed without loss, [`GROUP`] consecutive ones together: 60 to 300 bytes for each frame of 84x84 pixels of most Atari games.
    Compressed,
}

/// Frames that are compressed together. A stack is four or five consecutive frames, so that opening a group is mostly of use; larger
/// groups are smaller in memory and slower to open.
pub const GROUP: usize = 8;

/// Zstandard's level. The negative ones are its fast ones; more effort makes these frames a little smaller and no faster to open.
const LEVEL: i32 = -1;

/// A ring of frames of `frame_len` bytes each, counted from 0 over the life of the actor.
pub(super) struct Frames {
    frame_len: usize,
    end: u64,
    kept: Kept,
}

enum Kept {
    /// Frame `i` is at `i % capacity`.
    Raw { bytes: Vec<u8>, capacity: usize },
    /// Group `i` is at `i % groups.len()`; the frames since the last whole group are in `open`.
    Compressed {
        groups: Vec<Box<[u8]>>,
        open: Vec<u8>,
        /// Bytes of all groups.
        used: usize,
        compressor: Compressor<'static>,
    },
}

/// What reading needs, one for each thread that reads.
pub(super) struct Scratch {
    decompressor: Decompressor<'static>,
    /// The two groups that were opened last, because an observation and the one that follows it may both lie across the same two.
    opened: [Opened; 2],
    /// Which of them is the older one.
    oldest: usize,
}

/// A group as it is when it is opened.
#[derive(Default)]
struct Opened {
    /// Of which frames, and its number.
    group: Option<(usize, u64)>,
    frames: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Result<Self, AgentError> {
        Ok(Self {
            decompressor: Decompressor::new().map_err(AgentError::Compression)?,
            opened: Default::default(),
            oldest: 0,
        })
    }

    /// Forgets what is opened, because other frames may be of the same number now.
    pub(super) fn forget(&mut self) {
        self.opened.iter_mut().for_each(|opened| opened.group = None);
    }

    /// The frames, `len` bytes, of a group whose compressed bytes are `bytes`.
    fn open(&mut self, group: (usize, u64), bytes: &[u8], len: usize) -> Result<&[u8], AgentError> {
        let at = match self.opened.iter().position(|opened| opened.group == Some(group)) {
            Some(at) => at,
            None => {
                let at = self.oldest;
                let opened = &mut self.opened[at];
                opened.group = None;
                opened.frames.resize(len, 0);
                self.decompressor
                    .decompress_to_buffer(bytes, &mut opened.frames[..])
                    .map_err(AgentError::Compression)?;
                opened.group = Some(group);
                self.oldest = 1 - at;
                at
            }
        };
        Ok(&self.opened[at].frames)
    }
}

impl Frames {
    /// Memory for at least `capacity` frames.
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
                compressor: Compressor::new(LEVEL).map_err(AgentError::Compression)?,
            },
        };
        Ok(Self {
            frame_len,
            end: 0,
            kept,
        })
    }

    /// The most frames that there ever are.
    pub(super) fn most(&self) -> usize {
        match &self.kept {
            Kept::Raw { capacity, .. } => *capacity,
            Kept::Compressed { groups, .. } => (groups.len() + 1) * GROUP,
        }
    }

    /// The oldest frame that is still there.
    pub(super) fn first(&self) -> u64 {
        match &self.kept {
            Kept::Raw { capacity, .. } => self.end.saturating_sub(*capacity as u64),
            Kept::Compressed { groups, .. } => {
                (self.end / GROUP as u64).saturating_sub(groups.len() as u64) * GROUP as u64
            }
        }
    }

    /// The number of the frame that comes next.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The bytes that are in use for frames.
    pub(super) fn bytes(&self) -> usize {
        match &self.kept {
            Kept::Raw { capacity, .. } => self.frame_len * (*capacity).min(self.end as usize),
            Kept::Compressed { groups, open, used, .. } => used + size_of_val(groups.as_slice()) + open.capacity(),
        }
    }

    /// Adds a frame.
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
                compressor,
            } => {
                open.extend_from_slice(frame);
                if open.len() == GROUP * self.frame_len {
                    let group = self.end / GROUP as u64;
                    let at = (group % groups.len() as u64) as usize;
                    let bytes = compressor.compress(open).map_err(AgentError::Compression)?;
                    *used = *used + bytes.len() - groups[at].len();
                    groups[at] = bytes.into_boxed_slice();
                    open.clear();
                }
            }
        }
        self.end += 1;
        Ok(())
    }

    /// Copies consecutive frames into `out`. `key` tells these frames from others that are read with the same scratch.
    pub(super) fn read(
        &self,
        range: Range<u64>,
        out: &mut [u8],
        key: usize,
        scratch: &mut Scratch,
    ) -> Result<(), AgentError> {
        debug_assert!(range.start >= self.first() && range.end <= self.end, "{range:?}");
        match &self.kept {
            Kept::Raw { bytes, capacity } => {
                for (frame, out) in range.zip(out.chunks_exact_mut(self.frame_len)) {
                    let at = (frame % *capacity as u64) as usize * self.frame_len;
                    out.copy_from_slice(&bytes[at..at + self.frame_len]);
                }
            }
            Kept::Compressed { groups, open, .. } => {
                let size = GROUP as u64;
                let mut rest = out;
                let mut frame = range.start;
                while frame < range.end {
                    let group = frame / size;
                    let until = range.end.min((group + 1) * size);
                    let frames: &[u8] = if group == self.end / size {
                        open
                    } else {
                        let bytes = &groups[(group % groups.len() as u64) as usize];
                        scratch.open((key, group), bytes, GROUP * self.frame_len)?
                    };
                    let from = (frame % size) as usize * self.frame_len;
                    let len = (until - frame) as usize * self.frame_len;
                    let (now, later) = rest.split_at_mut(len);
                    now.copy_from_slice(&frames[from..from + len]);
                    (rest, frame) = (later, until);
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
                out.put_numbers("groups", &lens)?;
                out.put_bytes("frames", groups.iter().map(|group| &**group))?;
                out.put_bytes("open", [open.as_slice()])
            }
        }
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let end: u64 = from.get("end")?;
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
                from.load_numbers("groups", &mut lens)?;
                let still_open = from.bytes("open")?;
                if still_open.len() != (end % GROUP as u64) as usize * self.frame_len {
                    return mismatch("open", "it is of another number or size of frames");
                }
                let filled = lens.iter().filter(|len| **len > 0).count() as u64;
                let total: u64 = lens.iter().map(|len| u64::from(*len)).sum();
                if total != saved.left() || filled != (end / GROUP as u64).min(groups.len() as u64) {
                    return mismatch("groups", "its lengths are not those of the frames");
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
