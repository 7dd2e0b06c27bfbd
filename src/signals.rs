//! Stop requests: Ctrl-C, a scheduler, a container, or a closing terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::output;

/// A second signal within this time is the same request: `timeout`, `mpirun` and terminals signal both a process and
/// its group, so it arrives twice.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Whether the program was asked to stop, and by which signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopRequest {
    signal: Arc<AtomicI32>,
    saves: Arc<AtomicBool>,
}

impl StopRequest {
    /// The first signal, once there is one.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }

    /// Asks the program to stop, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        if low_level::raise(SIGINT).is_err() {
            self.signal.store(SIGINT, Ordering::Relaxed);
        }
    }

    /// Declares that the program saves its state when it stops.
    pub(crate) fn will_save(&self) {
        self.saves.store(true, Ordering::Relaxed);
    }
}

/// The exit code for a program that a signal ended, by the convention of shells.
pub(crate) fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// Starts listening. The first signal is a request; a later one ends the process immediately.
pub(crate) fn listen() -> io::Result<StopRequest> {
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| {
        // `nohup` ignores it for us: a run under it must outlive the terminal.
        signal != SIGHUP || !is_ignored(signal)
    });
    let mut signals = Signals::new(wanted)?;
    let request = StopRequest::default();
    let asked = request.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut first = None;
        for signal in signals.forever() {
            match meaning(first, Instant::now()) {
                Meaning::Stop => {
                    first = Some(Instant::now());
                    asked.signal.store(signal, Ordering::Relaxed);
                    if output::is_live() {
                        // Behind the progress, in whose line the cursor is, and `^C`.
                        output::say("");
                    }
                    output::say(if asked.saves.load(Ordering::Relaxed) {
                        "stopping after this step and saving; Ctrl-C again ends at once, without saving"
                    } else {
                        "stopping; Ctrl-C again ends at once"
                    });
                }
                Meaning::Again => {}
                // Without the destructors of libtorch, whose threads are still computing: `std::process::exit` would run them.
                Meaning::EndAtOnce => low_level::exit(128 + signal),
            }
        }
    })?;
    Ok(request)
}

/// The meaning of a signal.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Stop,
    Again,
    EndAtOnce,
}

/// The meaning of a signal at `now`, given the time of the first one.
fn meaning(first: Option<Instant>, now: Instant) -> Meaning {
    match first {
        None => Meaning::Stop,
        Some(first) if now.duration_since(first) < SAME_REQUEST => Meaning::Again,
        Some(_) => Meaning::EndAtOnce,
    }
}

/// Whether the process was started with `signal` ignored.
fn is_ignored(signal: i32) -> bool {
    // Only Linux says so without unsafe code; elsewhere `nohup` does not protect a run.
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignored_in(&status, signal))
}

/// Looks up `signal` in the mask of `/proc/self/status`.
fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_counts_from_one() {
        // `nohup grep SigIgn /proc/self/status`: SIGHUP is signal 1; SIGPIPE, 13, is bit 12.
        let status = "Name:\tgrep\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignored_in(status, SIGHUP) && ignored_in(status, 13));
        assert!(!ignored_in(status, SIGINT) && !ignored_in("", SIGHUP));
    }

    #[test]
    fn a_second_signal_within_a_second_is_the_first_and_a_later_one_ends_at_once() {
        let first = Instant::now();
        let after = |milliseconds| meaning(Some(first), first + Duration::from_millis(milliseconds));
        assert_eq!(meaning(None, first), Meaning::Stop);
        assert_eq!(
            [after(0), after(20), after(999)],
            [Meaning::Again, Meaning::Again, Meaning::Again]
        );
        assert_eq!([after(1_000), after(60_000)], [Meaning::EndAtOnce, Meaning::EndAtOnce]);
    }

    #[test]
    fn exit_codes_are_those_of_shells() {
        assert_eq!([SIGHUP, SIGINT, SIGTERM].map(exit_code), [129, 130, 143]);
    }
}
