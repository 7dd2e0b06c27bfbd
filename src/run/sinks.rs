//! Where the numbers of a run go.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::files::{FileError, failed};

/// A number, and what it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// What kind of number it is, e.g. `episode` or `train`.
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// `None` where there is none yet.
    pub(crate) value: Option<f64>,
}

/// Takes the numbers of a run, a row every so many frames. Every row has the same names in the same order.
pub(crate) trait Sink {
    /// Takes the numbers of the frames up to `frames`.
    fn write(&mut self, frames: u64, cells: &[Cell]) -> Result<(), FileError>;
}

/// A table whose rows are with the system as soon as they are written.
pub(crate) struct Csv {
    table: csv::Writer<File>,
    path: PathBuf,
    has_header: bool,
}

impl Csv {
    /// A new file.
    pub(crate) fn create(path: &Path) -> Result<Self, FileError> {
        let file = File::create_new(path).map_err(failed("can't create", path))?;
        Ok(Self {
            table: csv::Writer::from_writer(file),
            path: path.to_owned(),
            has_header: false,
        })
    }

    /// Writes a row, and before the first one the header.
    pub(crate) fn row<H: AsRef<[u8]>>(
        &mut self,
        header: impl IntoIterator<Item = H>,
        row: impl IntoIterator<Item = String>,
    ) -> Result<(), FileError> {
        let write = || {
            if !self.has_header {
                self.table.write_record(header)?;
                self.has_header = true;
            }
            self.table.write_record(row)?;
            self.table.flush()
        };
        write().map_err(failed("can't write", &self.path))
    }
}

impl Sink for Csv {
    fn write(&mut self, frames: u64, cells: &[Cell]) -> Result<(), FileError> {
        let header = std::iter::once("frames").chain(cells.iter().map(|cell| cell.name));
        let values = cells
            .iter()
            .map(|cell| cell.value.map_or_else(String::new, |value| value.to_string()));
        self.row(header, std::iter::once(frames.to_string()).chain(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_begins_with_its_header_and_leaves_empty_what_is_not_there_yet() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("metrics.csv");
        let mut csv = Csv::create(&path).unwrap();
        for (frames, value) in [(100, None), (200, Some(-20.5)), (300, Some(3.0))] {
            let cell = Cell {
                group: "episode",
                name: "mean_score",
                value,
            };
            csv.write(frames, &[cell]).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "frames,mean_score\n100,\n200,-20.5\n300,3\n");
        assert!(Csv::create(&path).is_err(), "a file that exists is never written over");
    }
}
