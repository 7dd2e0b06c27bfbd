//! CSV files to which several processes add rows.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::anyhow;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::failed;

/// Reads all rows; a file that does not exist has none. An incomplete last line, left by a program that was killed, is ignored.
pub(super) fn read<Row: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(failed("can't read", path))?,
    };
    let whole = &text.as_bytes()[..whole_lines(text.as_bytes())];
    let rows = csv::Reader::from_reader(whole).into_deserialize();
    rows.map(|row| row.map_err(|error| anyhow!("`{}`: {error}", path.display())))
        .collect()
}

/// Adds rows at once, below those that other processes have added meanwhile. An incomplete last line is replaced.
pub(super) fn append<Row: Serialize>(path: &Path, rows: impl IntoIterator<Item = Row>) -> anyhow::Result<()> {
    let failed = failed("can't write", path);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(&failed)?;
    file.lock().map_err(&failed)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(&failed)?;
    let end = whole_lines(&text);
    file.set_len(end as u64).map_err(&failed)?;
    file.seek(SeekFrom::Start(end as u64)).map_err(&failed)?;
    let mut table = csv::WriterBuilder::new().has_headers(end == 0).from_writer(Vec::new());
    for row in rows {
        table.serialize(row)?;
    }
    let table = table.into_inner().map_err(|error| anyhow!("{error}"))?;
    file.write_all(&table).and_then(|()| file.sync_all()).map_err(&failed)?;
    Ok(())
}

/// The length of what ends with a line's end.
fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}
