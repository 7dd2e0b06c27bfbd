//! Available memory, checked before large allocations: a process that runs out of memory is killed without a message.

use std::fs;
use std::path::Path;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::EnvError;

/// The number of bytes that this process can still allocate: the smallest of what the system has available, what is
/// left of the memory limit of each enclosing control group (containers, systemd slices, Slurm jobs), and what is
/// left of `ulimit -v`. `None` if the system does not report it.
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
    let limits = [left_in_cgroups(Path::new("/")), left_of_address_space()];
    let least = limits.into_iter().flatten().min();
    Some(system.available_memory().min(least.unwrap_or(u64::MAX)))
}

/// What is left of the smallest memory limit along the path from this process's control group up to the root; systemd
/// and Slurm set their limits on ancestors. `root` is `/` except in tests.
fn left_in_cgroups(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let left = |line: &str| {
        // `0::/path` in version 2, `7:memory:/path` in version 1.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let names = match controllers {
            "" => Some(("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")),
            _ if controllers.split(',').any(|name| name == "memory") => Some((
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )),
            _ => None,
        };
        let (mount, limit, usage, reclaimable) = names?;
        let mount = root.join(mount);
        let own = mount.join(path.trim_start_matches('/'));
        let groups = own.ancestors().take_while(|group| group.starts_with(&mount));
        let left = groups.filter_map(|group| {
            let limit: u64 = read_number(&group.join(limit))?;
            let used = read_number(&group.join(usage)).unwrap_or(0);
            // What was read of files counts as used, and is given up when memory is needed.
            let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
            let files = stat
                .lines()
                .find_map(|line| line.strip_prefix(reclaimable)?.trim().parse().ok());
            Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
        });
        left.min()
    };
    groups.lines().filter_map(left).min()
}

/// Reads the number in a file; `None` for `max`.
fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What is left of the address space limit, `ulimit -v`.
#[cfg(target_os = "linux")]
fn left_of_address_space() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let pages: u64 = fs::read_to_string("/proc/self/statm")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    Some(limit.saturating_sub(pages.saturating_mul(rustix::param::page_size() as u64)))
}

#[cfg(not(target_os = "linux"))]
fn left_of_address_space() -> Option<u64> {
    None
}

/// Checks that `bytes` are available for `what`, e.g. `a set of 32 environments`; `way_out` tells the user how to
/// need less.
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
/// [`EnvError::Memory`] with both sizes.
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

/// Formats a size for people: `3.1 MB`, `2.8 TB`.
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
    fn the_smallest_limit_along_the_path_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let left = || left_in_cgroups(root.path());
        assert_eq!(left(), None);
        // Version 2: the limit is the slice's, and the group itself has none.
        write("proc/self/cgroup", "0::/batch.slice/job.scope\n");
        assert_eq!(left(), None);
        write("sys/fs/cgroup/batch.slice/job.scope/memory.max", "max\n");
        write("sys/fs/cgroup/batch.slice/memory.max", "1000\n");
        write("sys/fs/cgroup/batch.slice/memory.current", "700\n");
        write("sys/fs/cgroup/batch.slice/memory.stat", "anon 500\ninactive_file 200\n");
        assert_eq!(left(), Some(500));
        write("sys/fs/cgroup/batch.slice/job.scope/memory.max", "400\n");
        assert_eq!(left(), Some(400));
        // Version 1.
        write("proc/self/cgroup", "8:cpu,memory:/job\n1:name=systemd:/job\n0::/\n");
        write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "900\n");
        write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "100\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(left(), Some(800));
    }

    #[test]
    fn sizes_have_the_unit_that_people_use() {
        assert_eq!(
            [3_100_000, 20_100_000_000, 2_800_000_000_000].map(size),
            ["3.1 MB", "20.1 GB", "2.8 TB"]
        );
    }
}
