//! The log of a run: everything to its `log.txt`, warnings also to standard error.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::files::{FileError, failed};
use crate::output;

/// Starts logging to the end of `path` for the rest of the process.
pub(crate) fn start(path: &Path) -> Result<(), FileError> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed("can't write", path))?;
    // A line that cannot be written (a full disk) is not worth a second complaint: the metrics beside it will make the run fail.
    let to_file = fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(Mutex::new(file));
    let to_stderr = fmt::layer()
        .with_ansi(output::has_colors())
        .without_time()
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(io::stderr);
    // A second call would change nothing; the program makes one.
    let _ = tracing_subscriber::registry()
        .with(to_file.with_filter(LevelFilter::INFO))
        .with(to_stderr.with_filter(LevelFilter::WARN))
        .try_init();
    Ok(())
}
