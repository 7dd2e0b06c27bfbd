//! Environment variables of OpenMP and the memory allocator, which libtorch's speed depends on, and of SDL2, which
//! gym-rs uses.
//!
//! * **Waiting threads should sleep, but not immediately.** libtorch uses OpenMP, whose threads by default spin while
//!   there is nothing to compute. Between two calls the cores belong to the environments, and on a busy machine
//!   spinning threads even keep the computing ones from running: an evaluation took 20 times as long. But an update
//!   consists of hundreds of small operations, and waking a sleeping thread costs some 50 microseconds in each. So
//!   threads spin for less than a millisecond.
//! * **Freed memory should be kept.** Every update allocates and frees the same tensors of some megabytes. By default
//!   glibc returns each of them to the kernel, which clears the pages again for the next: a third of the training
//!   time.
//! * **There is no display.** SDL2 looks for one unless told otherwise.
//!
//! The program starts with [`apply`], and so should every program that trains with this library.
//!
//! The libraries read these variables when the program is loaded, so setting them means restarting the program. If
//! one variable of a group is already set, the whole group is left alone.

use std::env::var_os;

struct Group {
    settings: &'static [(&'static str, &'static str)],
    /// Other variables with the same effect.
    instead: &'static [&'static str],
}

const GROUPS: [Group; 3] = [
    Group {
        settings: &[("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "10000")],
        instead: &[],
    },
    Group {
        // Blocks below 1 GB come from the heap, and the heap is not trimmed while less than that is free at its top.
        settings: &[
            ("MALLOC_MMAP_THRESHOLD_", "1000000000"),
            ("MALLOC_TRIM_THRESHOLD_", "1000000000"),
        ],
        instead: &["MALLOC_TOP_PAD_", "GLIBC_TUNABLES", "LD_PRELOAD"],
    },
    Group {
        settings: &[("SDL_VIDEODRIVER", "dummy"), ("SDL_RENDER_DRIVER", "software")],
        instead: &[],
    },
];

impl Group {
    fn is_chosen(&self) -> bool {
        let mut names = self.settings.iter().map(|(name, _)| name).chain(self.instead);
        names.any(|name| var_os(name).is_some())
    }
}

/// Restarts the program in the same process with the variables that are not set yet. Returns if all are set or if the
/// restart fails, which only affects speed. Call it at the beginning of `main`: everything before it runs twice.
///
/// ```
/// // The first line of a program that trains.
/// coinop::process_settings::apply();
/// ```
pub fn apply() {
    let missing: Vec<_> = GROUPS
        .iter()
        .filter(|group| !group.is_chosen())
        .flat_map(|group| group.settings)
        .copied()
        .collect();
    if missing.is_empty() {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let mut arguments = std::env::args_os();
        let Some(name) = arguments.next() else { return };
        let Ok(program) = std::env::current_exe() else { return };
        let _ = std::process::Command::new(program)
            .arg0(name)
            .args(arguments)
            .envs(missing)
            .exec();
    }
}
