//! Is there enough memory? Asked before much is allocated, because a program that gets none is ended without a word.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::EnvError;

/// The bytes that this process may still allocate without driving others out: what the system has available, or what is left of a limit
/// that a container sets. `None` where the system does not say.
///
/// ```
/// if let Some(bytes) = coinop_envs::memory::available() {
///     println!("{} MiB are left", bytes >> 20);
/// }
/// ```
#[must_use]
pub fn available() -> Option<u64> {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory).ok()?;
    // What a container has read of files counts as used there, and is given up when memory is needed.
    let limit = system
        .cgroup_limits()
        .map(|limits| limits.total_memory.saturating_sub(limits.rss));
    Some(system.available_memory().min(limit.unwrap_or(u64::MAX)))
}

/// Checks that there are `bytes` for `what`, e.g. `a set of 32 environments`; `way_out` is what to do if not.
///
/// ```
/// use coinop_envs::memory::require;
///
/// let error = require(|| "a table".to_owned(), u64::MAX / 2, "make it smaller").unwrap_err();
/// assert!(error.to_string().ends_with("make it smaller"));
/// ```
///
/// # Errors
///
/// [`EnvError::Memory`] with both numbers.
pub fn require(what: impl FnOnce() -> String, bytes: u64, way_out: &'static str) -> Result<(), EnvError> {
    // Looking costs some file accesses; what is smaller than this is there.
    const UNQUESTIONED: u64 = 64 << 20;
    if bytes <= UNQUESTIONED {
        return Ok(());
    }
    match available() {
        Some(available) if bytes > available => Err(EnvError::Memory {
            what: what(),
            needed: bytes,
            available,
            way_out,
        }),
        _ => Ok(()),
    }
}

/// A size as people say it: `3.1 MB`, `2.8 TB`.
pub(crate) fn size(bytes: u64) -> String {
    let (number, unit) = match bytes {
        0..1_000_000_000 => (bytes as f64 / 1e6, "MB"),
        1_000_000_000..1_000_000_000_000 => (bytes as f64 / 1e9, "GB"),
        _ => (bytes as f64 / 1e12, "TB"),
    };
    format!("{number:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error_with_both_numbers() {
        assert!(available().is_some_and(|bytes| bytes > 0));
        require(|| unreachable!(), 1, "").unwrap();
        let error = require(|| "a rollout".to_owned(), 2_800_000_000_000_000, "take fewer steps").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("a rollout needs 2800.0 TB of memory, and "), "{text}");
        assert!(text.ends_with(" are available; take fewer steps"), "{text}");
    }

    #[test]
    fn sizes_have_the_unit_that_people_use() {
        assert_eq!(
            [3_100_000, 20_100_000_000, 2_800_000_000_000].map(size),
            ["3.1 MB", "20.1 GB", "2.8 TB"]
        );
    }
}
