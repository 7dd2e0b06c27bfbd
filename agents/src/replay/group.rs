//! Groups of consecutive frames: the first one compressed, then for each other frame its difference from the previous
//! one.
//!
//! ```text
//! length of the first frame's compressed bytes   4 bytes, as all numbers the lowest first
//! length of what follows that, if it is
//!   compressed, too; else 0                      4 bytes
//! the first frame                                Zstandard
//! for each other frame                           Zstandard, if it would be long
//!   number of runs                               4 bytes
//!   for each run
//!     bytes that stay, bytes that change         2 bytes each
//!     the new bytes
//! ```
//!
//! In most games little moves between frames, so reading a frame costs hardly more than copying it.

use std::io::{Error, ErrorKind};

use zstd::bulk::{Compressor, Decompressor};

use crate::AgentError;

/// Frames per group. Larger groups take less memory and longer to decompress.
pub const GROUP: usize = 8;

/// Zstandard's compression level. Negative levels are the fast ones; higher levels make these frames slightly smaller
/// but no faster to decompress.
const LEVEL: i32 = -1;
/// The number of unchanged bytes that ends a run of changed ones: about the cost of starting another run.
const GAP: usize = 4;

/// The changes in a group are long if they exceed a frame divided by this.
const SHORT: usize = 2;
/// The upper bound of their length, per frame of the group: this many times the size of a frame, plus these bytes.
const MOST: (usize, usize) = (2, 64);

/// Compresses groups.
pub(super) struct Packer {
    compressor: Compressor<'static>,
    /// The changes in the current group.
    changes: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Result<Self, AgentError> {
        Ok(Self {
            compressor: Compressor::new(LEVEL).map_err(AgentError::Compression)?,
            changes: Vec::new(),
        })
    }

    /// Compresses a group of one or more frames of `frame_len` bytes each.
    pub(super) fn pack(&mut self, frames: &[u8], frame_len: usize) -> Result<Box<[u8]>, AgentError> {
        self.changes.clear();
        let (before, after) = (&frames[..frames.len() - frame_len], &frames[frame_len..]);
        for (before, after) in before.chunks_exact(frame_len).zip(after.chunks_exact(frame_len)) {
            put_changes(before, after, &mut self.changes);
        }
        let mut compressed = |bytes| self.compressor.compress(bytes).map_err(AgentError::Compression);
        let first = compressed(&frames[..frame_len])?;
        let numbers = |len: usize| [first.len() as u32, len as u32].map(u32::to_le_bytes);
        Ok(if self.changes.len() <= frame_len / SHORT {
            [numbers(0).as_flattened(), &first, &self.changes].concat()
        } else {
            let changes = compressed(&self.changes)?;
            [numbers(self.changes.len()).as_flattened(), &first, &changes].concat()
        }
        .into())
    }
}

/// Appends the changes from `before` to `after`.
fn put_changes(before: &[u8], after: &[u8], out: &mut Vec<u8>) {
    let count_at = out.len();
    out.extend([0; 4]);
    let mut runs = 0u32;
    let mut put = |stay: usize, new: &[u8]| {
        out.extend((stay as u16).to_le_bytes());
        out.extend((new.len() as u16).to_le_bytes());
        out.extend(new);
        runs += 1;
    };
    let most = usize::from(u16::MAX);
    let mut at = 0;
    loop {
        let mut from = at + same(&before[at..], &after[at..]);
        if from == after.len() {
            break;
        }
        let mut to = from + 1;
        // As long as the next change is near.
        loop {
            let stay = same(&before[to..], &after[to..]);
            if to + stay == after.len() || stay >= GAP {
                break;
            }
            to += stay + 1;
        }
        // Numbers of two bytes do for all but pictures that are much larger than an Atari's.
        while from - at > most {
            put(most, &[]);
            at += most;
        }
        while to - from > most {
            put(from - at, &after[from..from + most]);
            from += most;
            at = from;
        }
        put(from - at, &after[from..to]);
        at = to;
    }
    out[count_at..count_at + 4].copy_from_slice(&runs.to_le_bytes());
}

/// The length of the common prefix.
fn same(a: &[u8], b: &[u8]) -> usize {
    // Eight at a time.
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let mut equal = 0;
    for (a, b) in words {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return equal + differing.trailing_zeros() as usize / 8;
        }
        equal += 8;
    }
    equal + a[equal..].iter().zip(&b[equal..]).take_while(|(a, b)| a == b).count()
}

/// Decompresses groups, one at a time.
pub(super) struct Opener {
    decompressor: Decompressor<'static>,
    frame: Vec<u8>,
    changes: Vec<u8>,
}

impl Opener {
    pub(super) fn new() -> Result<Self, AgentError> {
        Ok(Self {
            decompressor: Decompressor::new().map_err(AgentError::Compression)?,
            frame: Vec::new(),
            changes: Vec::new(),
        })
    }

    /// Opens a group at its first frame.
    pub(super) fn open<'a>(&'a mut self, bytes: &'a [u8], frame_len: usize) -> Result<Opened<'a>, AgentError> {
        let mut rest = bytes;
        let (first_len, changes_len) = (number::<4>(&mut rest)?, number::<4>(&mut rest)?);
        let first = take(&mut rest, first_len)?;
        decompress(&mut self.decompressor, first, frame_len, &mut self.frame)?;
        if changes_len > 0 {
            if changes_len > GROUP * (MOST.0 * frame_len + MOST.1) {
                return Err(damaged());
            }
            decompress(&mut self.decompressor, rest, changes_len, &mut self.changes)?;
            rest = &self.changes;
        }
        Ok(Opened {
            frame: &mut self.frame,
            rest,
        })
    }
}

/// A group at one of its frames.
pub(super) struct Opened<'a> {
    frame: &'a mut [u8],
    /// The data after that frame.
    rest: &'a [u8],
}

impl Opened<'_> {
    pub(super) fn frame(&self) -> &[u8] {
        self.frame
    }

    /// Advances to the next frame.
    pub(super) fn advance(&mut self) -> Result<(), AgentError> {
        let mut at = 0;
        for _ in 0..number::<4>(&mut self.rest)? {
            let (stay, change) = (number::<2>(&mut self.rest)?, number::<2>(&mut self.rest)?);
            let new = take(&mut self.rest, change)?;
            let from = at + stay;
            at = from + change;
            self.frame.get_mut(from..at).ok_or_else(damaged)?.copy_from_slice(new);
        }
        Ok(())
    }
}

/// Decompresses data of `len` bytes.
fn decompress(
    decompressor: &mut Decompressor<'_>,
    bytes: &[u8],
    len: usize,
    out: &mut Vec<u8>,
) -> Result<(), AgentError> {
    out.resize(len, 0);
    match decompressor.decompress_to_buffer(bytes, &mut out[..]) {
        Ok(decompressed) if decompressed == len => Ok(()),
        Ok(_) => Err(damaged()),
        Err(error) => Err(AgentError::Compression(error)),
    }
}

fn number<const N: usize>(bytes: &mut &[u8]) -> Result<usize, AgentError> {
    let mut number = [0; 8];
    number[..N].copy_from_slice(take(bytes, N)?);
    Ok(u64::from_le_bytes(number) as usize)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], AgentError> {
    bytes.split_off(..len).ok_or_else(damaged)
}

fn damaged() -> AgentError {
    AgentError::Compression(Error::new(ErrorKind::InvalidData, "a group of frames is damaged"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unpacked(bytes: &[u8], count: usize, frame_len: usize) -> Result<Vec<u8>, AgentError> {
        let mut opener = Opener::new()?;
        let mut opened = opener.open(bytes, frame_len)?;
        let mut frames = opened.frame().to_vec();
        for _ in 1..count {
            opened.advance()?;
            frames.extend(opened.frame());
        }
        Ok(frames)
    }

    #[test]
    fn what_changes_is_kept_and_near_changes_are_one_run() {
        let before = [0; 20];
        let mut after = before;
        (after[1], after[4], after[12]) = (7, 8, 9);
        let mut bytes = Vec::new();
        put_changes(&before, &after, &mut bytes);
        let runs = [&[2, 0, 0, 0][..], &[1, 0, 4, 0, 7, 0, 0, 8], &[7, 0, 1, 0, 9]];
        assert_eq!(bytes, runs.concat());
    }

    #[test]
    fn frames_that_are_larger_than_a_run_can_be_are_kept_all_the_same() {
        let len = 200_000;
        let mut frames = vec![0; 3 * len];
        frames[len..2 * len].fill(1);
        frames[2 * len..].fill(1);
        frames[3 * len - 1] = 2;
        let bytes = Packer::new().unwrap().pack(&frames, len).unwrap();
        assert!(unpacked(&bytes, 3, len).unwrap() == frames);
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(
            len in 1usize..200,
            changes in prop::collection::vec(prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40), 1..9),
        ) {
            let mut frame = vec![0; len];
            let mut frames = Vec::new();
            for changes in &changes {
                changes.iter().for_each(|(at, new)| frame[at.index(len)] = *new);
                frames.extend(&frame);
            }
            let bytes = Packer::new().unwrap().pack(&frames, len).unwrap();
            prop_assert_eq!(unpacked(&bytes, changes.len(), len).unwrap(), frames);
        }

        #[test]
        fn damaged_groups_are_errors_or_frames(at: prop::sample::Index, new: u8, cut: prop::sample::Index) {
            let frames: Vec<u8> = (0..400u32).map(|i| (i * i / 50) as u8).collect();
            let mut bytes = Packer::new().unwrap().pack(&frames, 100).unwrap().into_vec();
            let at = at.index(bytes.len());
            bytes[at] = new;
            let _ = unpacked(&bytes, 4, 100);
            let _ = unpacked(&bytes[..cut.index(bytes.len())], 4, 100);
        }
    }
}
