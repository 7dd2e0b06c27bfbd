//! What the user sees while set-up works: lines on stderr, and a bar if that is a terminal.

use std::io::{Write, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::SetupError;

/// Writes one line to stderr and ignores errors; `eprintln!` would panic.
pub(crate) fn say(text: &str) {
    let _ = writeln!(stderr().lock(), "xtask: {text}");
}

/// The last line of a failure.
pub(crate) fn say_error(error: &SetupError) {
    // A path, or what pip printed, may hold what a terminal acts on.
    let text = error.to_string().replace(char::is_control, "?");
    let _ = writeln!(stderr().lock(), "error: {text}");
}

/// What takes less than a second needs no bar.
const MIN_BAR_BYTES: u64 = 50_000_000;

/// A bar that counts bytes; invisible where stderr is not a terminal, or the work is short.
pub(crate) fn bytes_bar(total_bytes: u64, what: &str) -> ProgressBar {
    if total_bytes < MIN_BAR_BYTES {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total_bytes).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template(
        "{msg} [{bar:40}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
    ) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Formats a size for people: `3.1 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sizes_keep_a_decimal() {
        assert_eq!(megabytes(3_100_000), "3.1 MB");
        assert_eq!(megabytes(530_604_548), "531 MB");
    }
}
