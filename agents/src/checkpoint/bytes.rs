//! Byte strings of a checkpoint. They may be larger than the free memory, so they are written to and read from disk
//! piece by piece.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::CheckpointError;
use super::error::{damaged, io};

/// The position of a byte string in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) crc32: u32,
}

/// A byte string of a section.
#[derive(Clone, Debug)]
pub(super) enum Bytes {
    /// A byte string of a section without a file.
    Memory(Vec<u8>),
    /// A byte string that was written or read.
    File { path: Arc<PathBuf>, span: Span },
}

impl Bytes {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { span, .. } => span.len,
        }
    }

    /// A fingerprint: length and checksum.
    pub(super) fn fingerprint(&self) -> (u64, u32) {
        match self {
            Self::Memory(bytes) => (bytes.len() as u64, crc32fast::hash(bytes)),
            Self::File { span, .. } => (span.len, span.crc32),
        }
    }

    pub(super) fn reader(&self) -> Result<BytesReader<'_>, CheckpointError> {
        let source = match self {
            Self::Memory(bytes) => Source::Memory(bytes),
            Self::File { path, span } => {
                let mut file = File::open(path.as_path()).map_err(io("can't read", path))?;
                file.seek(SeekFrom::Start(span.at)).map_err(io("can't read", path))?;
                Source::File {
                    file: BufReader::with_capacity(BUFFER, file.take(span.len)),
                    path,
                    expected: span.crc32,
                    sum: crc32fast::Hasher::new(),
                }
            }
        };
        Ok(BytesReader {
            source,
            left: self.len(),
        })
    }
}

/// The size of the pieces that are read and written.
const BUFFER: usize = 1 << 18;

/// Reads a byte string sequentially. [`finish`](Self::finish) verifies its checksum.
///
/// ```
/// use coinop_agents::Section;
///
/// let mut section = Section::default();
/// section.put_bytes("frames", [&[1u8, 2][..], &[3]])?;
/// let mut reader = section.reader("frames")?;
/// let mut first = [0; 2];
/// reader.read(&mut first)?;
/// assert_eq!((first, reader.rest()?), ([1, 2], vec![3]));
/// # Ok::<(), coinop_agents::CheckpointError>(())
/// ```
#[derive(Debug)]
pub struct BytesReader<'a> {
    source: Source<'a>,
    left: u64,
}

#[derive(Debug)]
enum Source<'a> {
    Memory(&'a [u8]),
    File {
        file: BufReader<std::io::Take<File>>,
        path: &'a Path,
        expected: u32,
        sum: crc32fast::Hasher,
    },
}

impl BytesReader<'_> {
    /// The number of bytes left to read.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Reads the next bytes into `out`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`]; [`CheckpointError::Damaged`] if fewer bytes are left.
    pub fn read(&mut self, out: &mut [u8]) -> Result<(), CheckpointError> {
        let ends_early = |path: &Path| damaged(path, &"it ends early");
        match &mut self.source {
            Source::Memory(bytes) => {
                let (now, later) = bytes
                    .split_at_checked(out.len())
                    .ok_or_else(|| ends_early(Path::new("memory")))?;
                out.copy_from_slice(now);
                *bytes = later;
            }
            Source::File { file, path, sum, .. } => {
                file.read_exact(out).map_err(|error| match error.kind() {
                    ErrorKind::UnexpectedEof => ends_early(path),
                    _ => io("can't read", path)(error),
                })?;
                sum.update(out);
            }
        }
        self.left -= out.len() as u64;
        Ok(())
    }

    /// Reads all remaining bytes.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`], [`CheckpointError::Damaged`].
    pub fn rest(mut self) -> Result<Vec<u8>, CheckpointError> {
        let mut bytes = vec![0; usize::try_from(self.left).unwrap_or(usize::MAX)];
        self.read(&mut bytes)?;
        self.finish()?;
        Ok(bytes)
    }

    /// Checks that everything was read and that the checksum matches.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Damaged`].
    pub fn finish(self) -> Result<(), CheckpointError> {
        match self.source {
            Source::File {
                path, expected, sum, ..
            } => {
                let found = sum.finalize();
                if self.left > 0 || found != expected {
                    let reason = format!("CRC-32 {found:08x} of a byte string in it instead of {expected:08x}");
                    return Err(damaged(path, &reason));
                }
                Ok(())
            }
            Source::Memory(_) => Ok(()),
        }
    }
}

/// Writes byte strings into one file, one after the other.
#[derive(Clone, Debug)]
pub(super) struct BytesWriter(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    file: BufWriter<File>,
    path: Arc<PathBuf>,
    at: u64,
}

impl BytesWriter {
    pub(super) fn create(path: &Path) -> Result<Self, CheckpointError> {
        let file = File::create(path).map_err(io("can't write", path))?;
        Ok(Self(Arc::new(Mutex::new(Open {
            file: BufWriter::with_capacity(BUFFER, file),
            path: Arc::new(path.to_owned()),
            at: 0,
        }))))
    }

    /// Appends a byte string.
    pub(super) fn write<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Bytes, CheckpointError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = crc32fast::Hasher::new();
        let (at, mut len) = (open.at, 0);
        for piece in pieces {
            sum.update(piece);
            let written = open.file.write_all(piece);
            written.map_err(io("can't write", &open.path))?;
            len += piece.len() as u64;
        }
        open.at += len;
        let crc32 = sum.finalize();
        Ok(Bytes::File {
            path: Arc::clone(&open.path),
            span: Span { at, len, crc32 },
        })
    }

    /// Flushes everything to the system and returns the length of the file.
    pub(super) fn flush(&self) -> Result<u64, CheckpointError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = open.file.flush();
        flushed.map_err(io("can't write", &open.path))?;
        Ok(open.at)
    }
}
