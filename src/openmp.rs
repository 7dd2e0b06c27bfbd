//! How libtorch's threads wait.
//!
//! libtorch computes with OpenMP, whose threads by default spin while there is nothing to compute. Between two calls the cores belong
//! to the environments, and on a machine that is busy otherwise spinning threads keep even the computing ones from running: an
//! evaluation took 20 times as long. Threads that sleep cost some microseconds per call. OpenMP reads its settings when the program
//! is loaded, so the only way to choose for it is to start again with the choice in the environment.

use std::env::var_os;

/// OpenMP's own setting, and GNU's finer one. Whoever has set one of them has chosen.
const SETTINGS: [&str; 2] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];

/// Starts the program again, in the same process, with threads that sleep while they wait; or returns, if that is chosen already or
/// can not be done, which costs speed alone.
pub(crate) fn let_threads_sleep() {
    if SETTINGS.iter().any(|setting| var_os(setting).is_some()) {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let mut arguments = std::env::args_os();
        let Some(name) = arguments.next() else { return };
        // Not the name in argv[0]: that may be found through PATH, or lie in a folder that was left.
        let _ = std::process::Command::new("/proc/self/exe")
            .arg0(name)
            .args(arguments)
            .env(SETTINGS[0], "PASSIVE")
            .exec();
    }
}
