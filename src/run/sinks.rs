//! Destinations of a run's metrics.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::files::{FileError, failed};

/// A named number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    /// The kind of number, e.g. `episode` or `train`.
    pub(crate) group: &'static str,
    pub(crate) name: &'a str,
    /// `None` if there is no value yet.
    pub(crate) value: Option<f64>,
}

/// Receives the metrics of a run at regular intervals. Every row has the same names in the same order.
pub(crate) trait Sink {
    /// Writes the metrics of the frames up to `frames`.
    fn write(&mut self, frames: u64, cells: &[Cell<'_>]) -> Result<(), FileError>;

    /// The current end of the file; what follows is discarded when a run resumes from here.
    fn mark(&self) -> Result<Mark, FileError>;
}

/// A position in a file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Its name in the run folder.
    name: String,
    bytes: u64,
}

impl Mark {
    pub(crate) fn of(path: &Path, file: &File) -> Result<Self, FileError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = file.metadata().map_err(failed("can't read", path))?.len();
        Ok(Self { name, bytes })
    }

    /// Opens the file at this position and truncates the rest; `None` if the file is missing. `is_own` must accept
    /// its name, because anyone can have written a checkpoint.
    pub(crate) fn reopen(
        &self,
        folder: &Path,
        is_own: impl Fn(&str) -> bool,
    ) -> Result<Option<(PathBuf, File)>, FileError> {
        let path = folder.join(&self.name);
        let open = || {
            if !is_own(&self.name) || self.name.contains(['/', '\\']) {
                return Err(io::Error::other(
                    "a run has no file of this name: the checkpoint is damaged",
                ));
            }
            let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let found = file.metadata()?.len();
            if found < self.bytes {
                let text = format!(
                    "it has {found} bytes, and had {} at the checkpoint; put the whole file back, or move it away to begin it anew",
                    self.bytes
                );
                return Err(io::Error::other(text));
            }
            if path.extension().is_some_and(|extension| extension == "csv") {
                self.check_lines(&mut file)?;
            }
            file.set_len(self.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(Some(file))
        };
        let file = open().map_err(failed("can't continue", &path))?;
        Ok(file.map(|file| (path, file)))
    }

    /// Checks that a line ends at this position. An editor that writes `\r\n` moves every line.
    fn check_lines(&self, file: &mut File) -> io::Result<()> {
        let mut reader = BufReader::new(file.take(self.bytes));
        let (mut last, mut has_return) = (b'\n', false);
        loop {
            let piece = reader.fill_buf()?;
            let Some(end) = piece.last() else { break };
            last = *end;
            has_return |= piece.contains(&b'\r');
            let len = piece.len();
            reader.consume(len);
        }
        if last == b'\n' && !has_return {
            return Ok(());
        }
        Err(io::Error::other(
            "it was changed since the checkpoint, so that no line ends where one did; put it back as it was, or move it away to begin it anew",
        ))
    }
}

/// Logs that a file of a run is missing.
pub(crate) fn begins_anew(path: &Path) {
    warn!("`{}` is gone: it begins anew here", path.display());
}

/// A table whose rows are passed to the system as soon as they are written.
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

    /// Continues the file `path` of a run, or creates it again if it is missing.
    pub(crate) fn resume(path: &Path, mark: &Mark) -> Result<Self, FileError> {
        let folder = path.parent().unwrap_or(path);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((path, file)) = mark.reopen(folder, |found| found == name)? else {
            begins_anew(path);
            return Self::create(path);
        };
        Ok(Self {
            table: csv::Writer::from_writer(file),
            path,
            has_header: mark.bytes > 0,
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
    fn mark(&self) -> Result<Mark, FileError> {
        Mark::of(&self.path, self.table.get_ref())
    }

    fn write(&mut self, frames: u64, cells: &[Cell<'_>]) -> Result<(), FileError> {
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

    #[test]
    fn a_table_continues_where_it_was_marked_and_nowhere_else() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("metrics.csv");
        let mut csv = Csv::create(&path).unwrap();
        let row = |csv: &mut Csv, name: &str| csv.row(["frames"], [name.to_owned()]).unwrap();
        let empty = csv.mark().unwrap();
        row(&mut csv, "1");
        let mark = csv.mark().unwrap();
        row(&mut csv, "2");
        row(&mut Csv::resume(&path, &mark).unwrap(), "3");
        let text = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(text(), "frames\n1\n3\n");
        row(&mut Csv::resume(&path, &empty).unwrap(), "4");
        assert_eq!(text(), "frames\n4\n");
        let error = |mark: &Mark| Csv::resume(&path, mark).err().unwrap().to_string();
        std::fs::write(&path, "frames").unwrap();
        let found = error(&mark);
        assert!(
            found.ends_with(
                "it has 6 bytes, and had 9 at the checkpoint; put the whole file back, or move it away to begin it anew"
            ),
            "{found}"
        );
        // Of another system's editor, and of one that moved the rows.
        for text in ["frames\r\n1\r\n2\r\n", "frames,xy\n1,2\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(error(&mark).contains("it was changed since the checkpoint"), "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        // What a checkpoint names and a run does not have.
        let precious = base.path().join("precious.csv");
        std::fs::write(&precious, "frames\n1\n2\n").unwrap();
        for name in ["precious.csv", "../precious.csv", "/etc/passwd"] {
            let mark = Mark {
                name: name.to_owned(),
                bytes: 0,
            };
            assert!(error(&mark).contains("a run has no file of this name"), "{name}");
        }
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "frames\n1\n2\n");
        // One that is gone begins anew, with its header.
        std::fs::remove_file(&path).unwrap();
        row(&mut Csv::resume(&path, &mark).unwrap(), "5");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "frames\n5\n");
    }
}
