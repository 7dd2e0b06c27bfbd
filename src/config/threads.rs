//! Numbers of threads, and what else depends on the machine.

use std::thread::available_parallelism;

use anyhow::bail;
use coinop_agents::algorithm::Threading;
use coinop_agents::distributed;

use super::Config;

impl Config {
    /// Resolves what depends on this machine: numbers of threads, and the precision if none is set.
    pub(crate) fn for_this_machine(mut self) -> anyhow::Result<Self> {
        self.resolve_threads();
        let device = coinop_agents::device(&self.run.device)?;
        coinop_agents::set_torch_threads(self.run.torch_threads);
        let spec = self.env_info()?.factory(&self.env)?.spec();
        self.algo.choose_precision(&spec, device)?;
        Ok(self)
    }

    /// Replaces 0 threads by the number of cores, or by the remaining cores if both kinds of threads run at the same
    /// time.
    pub(super) fn resolve_threads(&mut self) {
        let run = &mut self.run;
        if self.algo.threading() == Threading::AtOnce {
            let half = (cores() / 2).max(1);
            if run.env_threads == 0 {
                let left = cores().saturating_sub(run.torch_threads);
                run.env_threads = if run.torch_threads == 0 { half } else { left.max(1) };
            }
            if run.torch_threads == 0 {
                run.torch_threads = cores().saturating_sub(run.env_threads).max(1);
            }
        }
        // Actors leave at least half of the cores to the learner, which all of them wait for.
        if let Threading::Actors(actors) = self.algo.threading()
            && run.torch_threads == 0
        {
            run.torch_threads = cores().saturating_sub(actors).max(cores() / 2).max(1);
        }
        run.env_threads = threads_or_cores(run.env_threads);
        run.torch_threads = threads_or_cores(run.torch_threads);
    }
}

/// More threads are a mistake, and the system might not start them.
const MAX_THREADS: usize = 1024;

/// Checks a number of threads, set by the setting or flag `name`.
pub(crate) fn check_threads(name: &str, threads: usize) -> anyhow::Result<()> {
    if threads > MAX_THREADS {
        bail!("{name} = {threads}: it must be at most {MAX_THREADS}");
    }
    Ok(())
}

/// The number of cores that this process may use: its share, if it is one of several ranks on this machine.
pub(crate) fn cores() -> usize {
    (available_parallelism().map_or(1, usize::from) / distributed::ranks_here()).max(1)
}

/// Replaces 0 by the number of cores.
pub(crate) fn threads_or_cores(threads: usize) -> usize {
    if threads == 0 { cores() } else { threads }
}
