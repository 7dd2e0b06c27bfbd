//! Settings of OpenMP and of the memory allocator, which libtorch's speed depends on, and of SDL2, which gym-rs draws with.
//!
//! * **Threads that wait should sleep, but not at once.** libtorch computes with OpenMP, whose threads by default spin while there is nothing
//!   to compute. Between two calls the cores belong to the environments, and on a machine that is busy otherwise spinning threads keep even
//!   the computing ones from running: an evaluation took 20 times as long. But an update is hundreds of small computations, one after the
//!   other, and to wake a thread that sleeps costs some 50 microseconds in each. So they spin for less than a millisecond.
//! * **Freed memory should stay.** Every update allocates and frees the same tensors of some megabytes. By default glibc hands each
//!   of them back to the kernel, which clears the pages again for the next: a third of the time of a training.
//! * **Nobody watches.** SDL2 looks for a screen unless it is told to do without.
//!
//! `coinop` begins with [`apply`], and so should every program that trains with this library.
//!
//! These libraries read their settings when the program is loaded, so the only way to choose for them is to start again with the choice
//! in the environment. Whoever has set one of a group has chosen that group.

use std::env::var_os;

struct Group {
    settings: &'static [(&'static str, &'static str)],
    /// Other variables that say the same.
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

/// Starts the program again, in the same process, with the settings that nobody has chosen yet; or returns, if all are chosen or it can
/// not be done, which costs speed alone. For the beginning of `main`: whatever the program did before, it does once more.
///
/// ```
/// // The first line of a program that trains.
/// coinop_agents::process_settings::apply();
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
