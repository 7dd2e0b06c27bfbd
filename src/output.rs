//! Output of the program: results on standard output, everything else on standard error.
//!
//! | | standard output | standard error |
//! |---|---|---|
//! | closed by the reader, as in `coinop envs \| head -1` | [`OutputError::Closed`], which ends the program quietly |
//! dropped: training continues |
//! | on a full disk | [`OutputError::Failed`] | dropped |
//!
//! `println!` and `eprintln!` panic in these cases, so a lint bans them. Input typed or read from a file may contain
//! control characters, which must not reach a terminal: every line on standard error has them escaped.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::files::{FileError, failed};

/// Writing to standard output failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("nobody reads standard output")]
    Closed,
    #[error(transparent)]
    Failed(FileError),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(failed("can't write", Path::new("standard output"))(error)),
        }
    }
}

/// The command that starts the program, for messages that can be pasted: through cargo if cargo started it, else its
/// name.
pub(crate) fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    // cargo names the folder of the package in the environment of what it runs, and starts it by its path in the target folder.
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    if package.is_some_and(|package| Path::new(&path).starts_with("target") || Path::new(&path).starts_with(&package)) {
        return cargo_run(Path::new(&path));
    }
    let name = Path::new(&path)
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "coinop".to_owned())
}

/// The cargo command that starts the program in its target folder.
fn cargo_run(path: &Path) -> String {
    let is_within = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
    let mut command = "cargo run".to_owned();
    if is_within("release") {
        command += " --release";
    }
    if is_within("examples") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        command += &format!(" --example {name}");
    }
    command + " --"
}

/// Writes all of `text` to standard output.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// The number of [`Silence`]s.
static SILENCES: AtomicUsize = AtomicUsize::new(0);

/// As long as it lives, nothing is written to standard error.
pub(crate) struct Silence(());

/// Keeps the process silent, where it is not the program but a library of another one.
pub(crate) fn silence() -> Silence {
    SILENCES.fetch_add(1, Ordering::Relaxed);
    Silence(())
}

impl Drop for Silence {
    fn drop(&mut self) {
        SILENCES.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_silent() -> bool {
    SILENCES.load(Ordering::Relaxed) > 0
}

/// Writes one line to standard error. If that fails, it cannot be reported.
pub(crate) fn say(line: &str) {
    if is_silent() {
        return;
    }
    let _ = writeln!(io::stderr().lock(), "{}", escaped(line));
}

/// Writes the program's last line to standard error: `error: …`, on one line of reasonable length.
pub(crate) fn say_error(text: &str) {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    say(&shortened(&format!("error: {}", lines.join("; "))));
}

/// Whether lines on standard error can be redrawn.
pub(crate) fn is_live() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stderr().is_terminal() && !dumb && !is_silent()
}

/// The width of the terminal on standard error; 80 if unknown.
pub(crate) fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}

/// Whether standard error supports colours and they are wanted (<https://no-color.org>).
pub(crate) fn has_colors() -> bool {
    is_live() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Escapes characters that control a terminal or reverse text, as `\u{1b}`.
fn escaped(text: &str) -> String {
    let acts = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Keeps the beginning, which names the cause, and the end, which names the remedy, of a message with overlong input
/// between them.
fn shortened(text: &str) -> String {
    const BEGINNING: usize = 700;
    const END: usize = 300;
    let length = text.chars().count();
    if length <= BEGINNING + END {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    let end: String = text.chars().skip(length - END).collect();
    format!("{beginning}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_nothing_else() {
        assert_eq!(escaped("\u{1b}[31mred\r\n\t\u{7}"), r"\u{1b}[31mred\r\n\t\u{7}");
        assert_eq!(escaped("a\u{202e}b\u{9b}"), r"a\u{202e}b\u{9b}");
        assert_eq!(escaped("Grüße an `it's` \\ \"x\""), "Grüße an `it's` \\ \"x\"");
    }

    #[test]
    fn commands_can_be_pasted_where_cargo_started_the_program() {
        let of = |path| cargo_run(Path::new(path));
        assert_eq!(of("target/release/coinop"), "cargo run --release --");
        assert_eq!(of("/home/me/coinop/target/debug/coinop"), "cargo run --");
        assert_eq!(
            of("target/release/examples/custom_algorithm"),
            "cargo run --release --example custom_algorithm --"
        );
    }

    #[test]
    fn a_long_error_keeps_its_beginning_and_its_end() {
        let text = format!("there is no `{}`; the way out", "x".repeat(100_000));
        let short = shortened(&text);
        assert_eq!(short.chars().count(), 1_001);
        assert!(short.starts_with("there is no `xx") && short.ends_with("xx`; the way out"));
        assert_eq!(shortened("short"), "short");
    }
}
