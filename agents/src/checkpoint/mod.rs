//! Saving and restoring state.
//!
//! A component writes itself into a [`Section`]: named tensors and named values. Sections nest by scope. On disk a
//! checkpoint is a folder:
//!
//! ```text
//! checkpoint/
//!   manifest.json         format version, CRC-32 and size of the other files
//!   tensors.safetensors   all tensors, named `scope/scope/name`
//!   state.json            all values, named likewise
//! ```
//!
//! It is complete or invisible: written into a sibling folder, synced, and renamed.

mod disk;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Tensor;

pub use disk::{is_unfinished, read, write, write_file};

/// Something with state that a run depends on.
pub trait Checkpoint {
    /// Writes the state.
    ///
    /// # Errors
    ///
    /// When a value can not be serialised.
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError>;

    /// Takes the state over. After an error the component is as it was, or must not be used.
    ///
    /// # Errors
    ///
    /// When something is missing, or does not fit this component.
    fn load(&mut self, from: &Section) -> Result<(), CheckpointError>;
}

/// Named tensors and values, and named sections within.
#[derive(Debug, Default)]
pub struct Section {
    tensors: BTreeMap<String, Tensor>,
    values: BTreeMap<String, serde_json::Value>,
    sections: BTreeMap<String, Section>,
}

/// A checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There is nothing of this name.
    #[error("the checkpoint has no `{0}`: it was written by another version or another algorithm")]
    Missing(String),
    /// A value or tensor does not fit.
    #[error("`{name}` in the checkpoint does not fit: {reason}")]
    Mismatch {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file is damaged.
    #[error("the checkpoint `{}` is damaged: {reason}; use another checkpoint", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor has a number that is none.
    #[error("the checkpoint `{}` is of no use: its tensor `{tensor}` holds NaN or infinity, so training had diverged; use another checkpoint", path.display())]
    NotFinite {
        /// The folder.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// The format is newer than this program.
    #[error("the checkpoint `{}` has format {found}, this program reads up to {known}; use a newer coinop", path.display())]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// The file system refused.
    #[error("{action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, e.g. `can't write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl CheckpointError {
    pub(crate) fn unfit(name: &str, reason: &dyn std::fmt::Display) -> Self {
        Self::Mismatch {
            name: name.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl Section {
    /// Adds a copy of a tensor, on the CPU.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn put_tensor(&mut self, name: &str, tensor: &Tensor) -> Result<(), CheckpointError> {
        let copy = tensor
            .f_detach_copy()
            .and_then(|copy| copy.f_to_device(tch::Device::Cpu));
        let copy = copy.map_err(|error| CheckpointError::unfit(name, &error))?;
        self.tensors.insert(name.to_owned(), copy);
        Ok(())
    }

    /// The tensor `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`].
    pub fn tensor(&self, name: &str) -> Result<&Tensor, CheckpointError> {
        self.tensors
            .get(name)
            .ok_or_else(|| CheckpointError::Missing(name.to_owned()))
    }

    /// Copies the tensor `name` into one that is already there, of the same shape and kind.
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

    /// Adds bytes, as a tensor of them.
    ///
    /// # Errors
    ///
    /// When there is no memory for a copy.
    pub fn put_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
        let tensor = Tensor::f_from_slice(bytes).map_err(|error| CheckpointError::unfit(name, &error))?;
        self.tensors.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// The bytes `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::Mismatch`].
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        Vec::try_from(self.tensor(name)?).map_err(|error: tch::TchError| CheckpointError::unfit(name, &error))
    }

    /// Adds a value.
    ///
    /// # Errors
    ///
    /// When it can not be serialised.
    pub fn put<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), CheckpointError> {
        let value = serde_json::to_value(value).map_err(|error| CheckpointError::unfit(name, &error))?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// The value `name`.
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

    /// The values `name`, one for each of `len` actors, environments or whatever else is counted.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`]; [`CheckpointError::Mismatch`], also where there are not `len` of them.
    pub fn get_vec<T: DeserializeOwned>(&self, name: &str, len: usize) -> Result<Vec<T>, CheckpointError> {
        let values: Vec<T> = self.get(name)?;
        if values.len() != len {
            let reason = format!("it has {} entries, {len} are needed", values.len());
            return Err(CheckpointError::unfit(name, &reason));
        }
        Ok(values)
    }

    /// The section `name`, made empty when it is not there.
    pub fn section_mut(&mut self, name: &str) -> &mut Section {
        self.sections.entry(name.to_owned()).or_default()
    }

    /// The section `name`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`].
    pub fn section(&self, name: &str) -> Result<&Section, CheckpointError> {
        self.sections
            .get(name)
            .ok_or_else(|| CheckpointError::Missing(name.to_owned()))
    }
}
