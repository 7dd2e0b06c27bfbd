//! Fakes for the tests: wheels of a few bytes, and an index that serves them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::error::SetupError;
use crate::pip::Wheels;

/// Writes a wheel whose files are stored, not compressed.
pub(crate) fn write_wheel(path: &Path, files: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(
            *name,
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
        )
        .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// A package index in memory, which remembers what was asked of it. What it does not have, it fails to reach.
#[derive(Default)]
pub(crate) struct FakeIndex {
    wheels: HashMap<String, Vec<(String, Vec<u8>)>>,
    fetched: RefCell<Vec<String>>,
}

impl FakeIndex {
    pub(crate) fn with(mut self, requirement: &str, files: &[(&str, &[u8])]) -> FakeIndex {
        let files = files
            .iter()
            .map(|&(name, bytes)| (name.to_owned(), bytes.to_owned()))
            .collect();
        self.wheels.insert(requirement.to_owned(), files);
        self
    }

    /// The requirements that were fetched, in order.
    pub(crate) fn fetched(&self) -> Vec<String> {
        self.fetched.borrow().clone()
    }
}

impl Wheels for FakeIndex {
    fn fetch(&self, requirement: &str, into: &Path) -> Result<PathBuf, SetupError> {
        self.fetched.borrow_mut().push(requirement.to_owned());
        let Some(files) = self.wheels.get(requirement) else {
            return Err(SetupError::Network {
                requirement: requirement.to_owned(),
                cause: "fake".to_owned(),
            });
        };
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        let path = into.join("package-1.0-py3-none-any.whl");
        write_wheel(&path, &files);
        Ok(path)
    }
}
