//! TensorBoard's event files, with scalars.
//!
//! ```text
//! file     record record …
//! record   length u64 · crc of length u32 · event · crc of event u32      little-endian; TensorFlow's TFRecord
//! event    a protocol buffer: when, at which step, which tag has which value
//! ```
//!
//! The messages are those of TensorFlow's `event.proto` and `summary.proto`, as far as scalars need them. The step is the run's frames.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::sinks::{Cell, Mark, Sink};
use crate::files::{FileError, failed};

/// The first event of a file says what follows.
const FILE_VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// An event file in a run folder.
pub(crate) struct TensorBoard {
    file: File,
    path: PathBuf,
}

impl TensorBoard {
    /// A new file in `folder`. Its name has the time, by which TensorBoard orders the files of a run.
    pub(crate) fn create(folder: &Path) -> Result<Self, FileError> {
        let name = format!("events.out.tfevents.{}.coinop", now().as_secs());
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(failed("can't create", &path))?;
        let mut board = Self { file, path };
        board.event(0, Some(FILE_VERSION.to_owned()), None)?;
        Ok(board)
    }

    /// Goes on with a file.
    pub(crate) fn resume(folder: &Path, mark: &Mark) -> Result<Self, FileError> {
        let (path, file) = mark.reopen(folder)?;
        Ok(Self { file, path })
    }

    fn event(&mut self, step: i64, file_version: Option<String>, summary: Option<Summary>) -> Result<(), FileError> {
        let event = Event {
            wall_time: now().as_secs_f64(),
            step,
            file_version,
            summary,
        };
        let record = record(&event.encode_to_vec());
        self.file.write_all(&record).map_err(failed("can't write", &self.path))
    }
}

impl Sink for TensorBoard {
    fn mark(&self) -> Result<Mark, FileError> {
        Mark::of(&self.path, &self.file)
    }

    fn write(&mut self, frames: u64, cells: &[Cell<'_>]) -> Result<(), FileError> {
        let scalar = |cell: &Cell<'_>| {
            Some(Scalar {
                tag: format!("{}/{}", cell.group, cell.name),
                simple_value: Some(cell.value? as f32),
            })
        };
        let value = cells.iter().filter_map(scalar).collect();
        let step = i64::try_from(frames).unwrap_or(i64::MAX);
        self.event(step, None, Some(Summary { value }))
    }
}

/// The time since 1970; 0 for a clock that is set before that.
fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A TFRecord of `data`.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked_crc(&length).to_le_bytes(),
        data,
        &masked_crc(data).to_le_bytes(),
    ]
    .concat()
}

/// TensorFlow rotates a CRC-32C and adds a constant, because the CRC of data that holds its own CRC says little.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_an_event_are_those_of_tensorflow() {
        // By TensorBoard 2.20.0: `Event(wall_time=1.5, step=200, summary=…)` with `train/loss` at 0.25, through its `RecordWriter`.
        let event = Event {
            wall_time: 1.5,
            step: 200,
            file_version: None,
            summary: Some(Summary {
                value: vec![Scalar {
                    tag: "train/loss".to_owned(),
                    simple_value: Some(0.25),
                }],
            }),
        };
        let bytes: String = record(&event.encode_to_vec())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            bytes,
            "2100000000000000017becf609000000000000f83f10c8012a130a110a0a747261696e2f6c6f7373150000803e2d280b2f"
        );
    }
}
