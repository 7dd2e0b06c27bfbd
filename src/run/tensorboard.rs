//! TensorBoard event files: metrics, evaluations, videos, and the settings as text and as hyper-parameters.
//!
//! ```text
//! file     record record …
//! record   length u64 · crc of length u32 · event · crc of event u32      little-endian; TensorFlow's TFRecord
//! event    a protocol buffer: when, at which step, which tag has which value
//! ```
//!
//! The messages are the parts of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto` that numbers and
//! texts and pictures need. The step is the number of frames.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::sinks::{Cell, Mark, Sink, begins_anew};
use crate::files::{FileError, failed};

/// File names have the time between these.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".coinop";

/// The first event of a file, which names its format.
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
    value: Vec<Value>,
}

/// A number, or a text as a tensor for the plugin `text`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<TextTensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

/// A picture; TensorBoard also shows animated ones.
#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// 3 is RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    /// A whole file.
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

/// A `tensor.proto` of strings.
#[derive(Clone, PartialEq, Message)]
struct TextTensor {
    /// 7 is `DT_STRING`.
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginData {
    #[prost(string, tag = "1")]
    plugin_name: String,
    /// For the plugin to read.
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

/// The content for the plugin `hparams`, of its `plugin_data.proto`.
#[derive(Clone, PartialEq, Message)]
struct Hparams {
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(message, optional, tag = "3")]
    session_start_info: Option<SessionStart>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionStart {
    #[prost(map = "string, message", tag = "1")]
    hparams: HashMap<String, Hparam>,
    #[prost(double, tag = "5")]
    start_time_secs: f64,
}

/// A `google.protobuf.Value`; exactly one field is set.
#[derive(Clone, PartialEq, Message)]
struct Hparam {
    #[prost(double, optional, tag = "2")]
    number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    text: Option<String>,
    #[prost(bool, optional, tag = "4")]
    truth: Option<bool>,
}

impl From<&toml::Value> for Hparam {
    fn from(value: &toml::Value) -> Self {
        use toml::Value::{Boolean, Float, Integer, String};
        match value {
            Integer(number) => Self {
                number: Some(*number as f64),
                ..Self::default()
            },
            Float(number) => Self {
                number: Some(*number),
                ..Self::default()
            },
            Boolean(truth) => Self {
                truth: Some(*truth),
                ..Self::default()
            },
            String(text) => Self {
                text: Some(text.clone()),
                ..Self::default()
            },
            other => Self {
                text: Some(other.to_string()),
                ..Self::default()
            },
        }
    }
}

/// The settings of a table by their full names, e.g. `ppo.gamma`.
fn hparams(table: &toml::Table, before: &str, into: &mut HashMap<String, Hparam>) {
    for (name, value) in table {
        let name = format!("{before}{name}");
        match value {
            toml::Value::Table(table) => hparams(table, &format!("{name}."), into),
            value => drop(into.insert(name, value.into())),
        }
    }
}

/// An event file in a run folder.
pub(crate) struct TensorBoard {
    file: File,
    path: PathBuf,
}

impl TensorBoard {
    /// Creates a file in `folder`. Its name contains the time, by which TensorBoard orders the files of a run.
    pub(crate) fn create(folder: &Path) -> Result<Self, FileError> {
        let name = format!("{PREFIX}{}{SUFFIX}", now().as_secs());
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(failed("can't create", &path))?;
        let mut board = Self { file, path };
        board.event(0, Some(FILE_VERSION.to_owned()), None)?;
        Ok(board)
    }

    /// Continues a file.
    pub(crate) fn resume(folder: &Path, mark: &Mark) -> Result<Self, FileError> {
        let is_own = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        match mark.reopen(folder, is_own)? {
            Some((path, file)) => Ok(Self { file, path }),
            None => {
                begins_anew(&folder.join(format!("{PREFIX}*{SUFFIX}")));
                Self::create(folder)
            }
        }
    }

    /// Adds a text in Markdown.
    pub(crate) fn text(&mut self, tag: &str, markdown: &str) -> Result<(), FileError> {
        const DT_STRING: i32 = 7;
        let value = vec![Value {
            tag: format!("{tag}/text_summary"),
            tensor: Some(TextTensor {
                dtype: DT_STRING,
                shape: Some(TensorShape {
                    dim: vec![Dim { size: 1 }],
                }),
                string_val: vec![markdown.as_bytes().to_vec()],
            }),
            metadata: Some(Metadata {
                plugin_data: Some(PluginData {
                    plugin_name: "text".to_owned(),
                    content: Vec::new(),
                }),
            }),
            ..Value::default()
        }];
        self.event(0, None, Some(Summary { value }))
    }

    /// Adds the settings for the plugin `hparams`, which compares runs by them.
    pub(crate) fn hyperparameters(&mut self, settings: &toml::Table) -> Result<(), FileError> {
        let mut all = HashMap::new();
        hparams(settings, "", &mut all);
        let content = Hparams {
            version: 0,
            session_start_info: Some(SessionStart {
                hparams: all,
                start_time_secs: now().as_secs_f64(),
            }),
        };
        let value = vec![Value {
            tag: "_hparams_/session_start_info".to_owned(),
            metadata: Some(Metadata {
                plugin_data: Some(PluginData {
                    plugin_name: "hparams".to_owned(),
                    content: content.encode_to_vec(),
                }),
            }),
            ..Value::default()
        }];
        self.event(0, None, Some(Summary { value }))
    }

    /// Adds a picture, a whole file that may move.
    pub(crate) fn picture(
        &mut self,
        frames: u64,
        tag: &str,
        (width, height): (usize, usize),
        file: Vec<u8>,
    ) -> Result<(), FileError> {
        const RGB: i32 = 3;
        let value = vec![Value {
            tag: tag.to_owned(),
            image: Some(Image {
                height: i32::try_from(height).unwrap_or(i32::MAX),
                width: i32::try_from(width).unwrap_or(i32::MAX),
                colorspace: RGB,
                encoded: file,
            }),
            ..Value::default()
        }];
        let step = i64::try_from(frames).unwrap_or(i64::MAX);
        self.event(step, None, Some(Summary { value }))
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
            Some(Value {
                tag: format!("{}/{}", cell.group, cell.name),
                simple_value: Some(cell.value? as f32),
                ..Value::default()
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

/// Encodes `data` as a TFRecord.
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

/// TensorFlow rotates the CRC-32C and adds a constant, because the CRC of data that contains its own CRC is weak.
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
                value: vec![Value {
                    tag: "train/loss".to_owned(),
                    simple_value: Some(0.25),
                    ..Value::default()
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
