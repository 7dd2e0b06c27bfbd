//! Saving and restoring state.
//!
//! A component writes itself into a [`Section`]: named tensors, values and byte strings. Sections can be nested. On
//! disk, a checkpoint is a folder:
//!
//! ```text
//! checkpoint/
//!   manifest.json         format version, CRC-32 of itself, CRC-32 and size of the other files, where each byte string lies
//!   tensors.safetensors   all tensors, named `scope/scope/name`
//!   state.json            all values, named likewise
//!   bytes.bin             all byte strings, one after the other: memories of replay, environments
//! ```
//!
//! It is either complete or invisible: written to a sibling folder, synced, and renamed. Byte strings, which can be
//! gigabytes, are written to disk as they are added to a section and read piece by piece on demand; loading only the
//! weights never touches them.

mod bytes;
mod disk;
mod error;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Tensor;

pub use bytes::BytesReader;
use bytes::{Bytes, BytesWriter};
pub use disk::{Unpublished, begin, is_unfinished, read, recover, strip, write, write_file};
pub use error::CheckpointError;
pub(crate) use error::io;

/// A component with state that a run depends on.
///
/// ```
/// use coinop_agents::{Checkpoint, CheckpointError, Section};
///
/// struct Count(u64);
///
/// impl Checkpoint for Count {
///     fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
///         out.put("count", &self.0)
///     }
///
///     fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
///         self.0 = from.get("count")?;
///         Ok(())
///     }
/// }
///
/// let mut section = Section::default();
/// Count(3).save(&mut section)?;
/// let mut count = Count(0);
/// count.load(&section)?;
/// assert_eq!(count.0, 3);
/// # Ok::<(), CheckpointError>(())
/// ```
pub trait Checkpoint {
    /// Saves the state.
    ///
    /// # Errors
    ///
    /// If a value cannot be serialised.
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError>;

    /// Restores the state. After an error, the component is either unchanged or must not be used.
    ///
    /// # Errors
    ///
    /// If something is missing or does not fit this component.
    fn load(&mut self, from: &Section) -> Result<(), CheckpointError>;
}

/// Named tensors, values and byte strings, and nested sections.
///
/// ```
/// use coinop_agents::Section;
/// use coinop_agents::tch::Tensor;
///
/// let mut section = Section::default();
/// section.put("frames", &1_000_000u64)?;
/// section.section_mut("network").put_tensor("weight", &Tensor::from_slice(&[1.0f32, 2.0]))?;
/// assert_eq!(section.get::<u64>("frames")?, 1_000_000);
/// assert_eq!(section.section("network")?.tensor("weight")?.size(), [2]);
/// # Ok::<(), coinop_agents::CheckpointError>(())
/// ```
#[derive(Debug, Default)]
pub struct Section {
    tensors: BTreeMap<String, Tensor>,
    values: BTreeMap<String, serde_json::Value>,
    bytes: BTreeMap<String, Bytes>,
    sections: BTreeMap<String, Section>,
    /// The destination of byte strings; without one they stay in memory.
    writer: Option<BytesWriter>,
}

impl Section {
    /// Adds a tensor, copied to the CPU. A CPU tensor is not copied if the section is written to disk immediately.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn put_tensor(&mut self, name: &str, tensor: &Tensor) -> Result<(), CheckpointError> {
        let detached = match self.writer {
            Some(_) => tensor.f_detach(),
            None => tensor.f_detach_copy(),
        };
        let copy = detached.and_then(|tensor| tensor.f_to_device(tch::Device::Cpu));
        let copy = copy.map_err(|error| CheckpointError::unfit(name, &error))?;
        self.tensors.insert(name.to_owned(), copy);
        Ok(())
    }

    /// Returns the tensor `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`].
    pub fn tensor(&self, name: &str) -> Result<&Tensor, CheckpointError> {
        self.tensors
            .get(name)
            .ok_or_else(|| CheckpointError::Missing(name.to_owned()))
    }

    /// Copies the tensor `name` into an existing one of the same shape and type.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::Mismatch`].
    pub fn load_tensor(&self, name: &str, into: &mut Tensor) -> Result<(), CheckpointError> {
        let value = self.tensor(name)?;
        if (value.size(), value.kind()) != (into.size(), into.kind()) {
            let reason = format!(
                "it has shape {:?} and kind {:?}, {:?} and {:?} are needed",
                value.size(),
                value.kind(),
                into.size(),
                into.kind()
            );
            return Err(CheckpointError::unfit(name, &reason));
        }
        tch::no_grad(|| into.f_copy_(value)).map_err(|error| CheckpointError::unfit(name, &error))
    }

    /// Adds a byte string, given in pieces. It is written to disk immediately if the section is.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`].
    pub fn put_bytes<'a>(
        &mut self,
        name: &str,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), CheckpointError> {
        let bytes = match &self.writer {
            Some(writer) => writer.write(pieces)?,
            None => Bytes::Memory(pieces.into_iter().flatten().copied().collect()),
        };
        self.bytes.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// Returns a reader of the byte string `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::Io`].
    pub fn reader(&self, name: &str) -> Result<BytesReader<'_>, CheckpointError> {
        let bytes = self.bytes.get(name);
        bytes.ok_or_else(|| CheckpointError::Missing(name.to_owned()))?.reader()
    }

    /// Returns the byte string `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::Io`], [`CheckpointError::Damaged`].
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        self.reader(name)?.rest()
    }

    /// Adds numbers as a byte string, in this machine's byte order.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`].
    pub fn put_numbers<T: bytemuck::Pod>(&mut self, name: &str, numbers: &[T]) -> Result<(), CheckpointError> {
        self.put_bytes(name, [bytemuck::cast_slice(numbers)])
    }

    /// Reads numbers into `into`, which must have the right length.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Mismatch`] if the lengths differ; the errors of [`bytes`](Self::bytes).
    pub fn load_numbers<T: bytemuck::Pod>(&self, name: &str, into: &mut [T]) -> Result<(), CheckpointError> {
        let mut reader = self.reader(name)?;
        let wanted = size_of_val(into);
        if reader.left() != wanted as u64 {
            let reason = format!("it has {} bytes, {wanted} are needed", reader.left());
            return Err(CheckpointError::unfit(name, &reason));
        }
        reader.read(bytemuck::cast_slice_mut(into))?;
        reader.finish()
    }

    /// Whether there is a section `name`.
    #[must_use]
    pub fn has_section(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// Lists the names of entries that only one of two checkpoints has, or whose values differ, except those that are
    /// `ignored`.
    #[must_use]
    pub fn differences(&self, other: &Section, ignored: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        self.differ(other, "", &mut names);
        names.retain(|name| !ignored(name));
        names
    }

    fn differ(&self, other: &Section, prefix: &str, names: &mut Vec<String>) {
        let mut note = |name: &String| names.push(format!("{prefix}{name}"));
        keys(&self.tensors, &other.tensors)
            .filter(|name| !matches!((self.tensors.get(*name), other.tensors.get(*name)), (Some(a), Some(b)) if a.kind() == b.kind() && a.equal(b)))
            .for_each(&mut note);
        keys(&self.values, &other.values)
            .filter(|name| self.values.get(*name) != other.values.get(*name))
            .for_each(&mut note);
        let print = |bytes: Option<&Bytes>| bytes.map(Bytes::fingerprint);
        keys(&self.bytes, &other.bytes)
            .filter(|name| print(self.bytes.get(*name)) != print(other.bytes.get(*name)))
            .for_each(&mut note);
        let none = Section::default();
        for name in keys(&self.sections, &other.sections) {
            let [ours, theirs] = [self, other].map(|section| section.sections.get(name).unwrap_or(&none));
            ours.differ(theirs, &format!("{prefix}{name}/"), names);
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    ///
    /// When it cannot be serialised.
    pub fn put<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), CheckpointError> {
        let value = serde_json::to_value(value).map_err(|error| CheckpointError::unfit(name, &error))?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Returns the value `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::Mismatch`].
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, CheckpointError> {
        let value = self
            .values
            .get(name)
            .ok_or_else(|| CheckpointError::Missing(name.to_owned()))?;
        T::deserialize(value).map_err(|error| CheckpointError::unfit(name, &error))
    }

    /// Returns the count `name`, e.g. of steps: at most 2^53, so that adding to it or multiplying it by frames cannot
    /// overflow.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::Mismatch`].
    pub fn count(&self, name: &str) -> Result<u64, CheckpointError> {
        const MOST: u64 = 1 << 53;
        match self.get(name)? {
            count if count <= MOST => Ok(count),
            count => Err(CheckpointError::unfit(
                name,
                &format!("{count} is more than any run has"),
            )),
        }
    }

    /// Returns the values `name`, one per actor or environment; there must be `len`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`]; [`CheckpointError::Mismatch`], also if there are not `len` values.
    pub fn get_vec<T: DeserializeOwned>(&self, name: &str, len: usize) -> Result<Vec<T>, CheckpointError> {
        let values: Vec<T> = self.get(name)?;
        if values.len() != len {
            let reason = format!("it has {} entries, {len} are needed", values.len());
            return Err(CheckpointError::unfit(name, &reason));
        }
        Ok(values)
    }

    /// Returns the section `name`, creating it if needed.
    pub fn section_mut(&mut self, name: &str) -> &mut Section {
        let within = || Section {
            writer: self.writer.clone(),
            ..Section::default()
        };
        self.sections.entry(name.to_owned()).or_insert_with(within)
    }

    /// Returns the section `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`].
    pub fn section(&self, name: &str) -> Result<&Section, CheckpointError> {
        self.sections
            .get(name)
            .ok_or_else(|| CheckpointError::Missing(name.to_owned()))
    }

    /// Removes the section `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`].
    pub fn take_section(&mut self, name: &str) -> Result<Section, CheckpointError> {
        self.sections
            .remove(name)
            .ok_or_else(|| CheckpointError::Missing(name.to_owned()))
    }
}

/// The keys of either map.
fn keys<'a, V>(one: &'a BTreeMap<String, V>, other: &'a BTreeMap<String, V>) -> impl Iterator<Item = &'a String> {
    one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)))
}
