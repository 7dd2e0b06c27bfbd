//! Time measurements of the parts of training.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A part of the work of training.
///
/// ```
/// use coinop_agents::times::Part;
///
/// // The header of a table.
/// println!("{}", Part::ALL.map(Part::name).join("  "));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stepping environments.
    Envs,
    /// Copying observations, batches and weights between devices.
    Copies,
    /// Forward passes for acting.
    Inference,
    /// Losses, gradients and the optimiser.
    Learning,
    /// Storing to and sampling from replay memory.
    Replay,
    /// Waiting for other threads and processes.
    Waiting,
}

impl Part {
    /// All parts.
    pub const ALL: [Part; 6] = [
        Part::Envs,
        Part::Copies,
        Part::Inference,
        Part::Learning,
        Part::Replay,
        Part::Waiting,
    ];

    /// The name of the part.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Envs => "environments",
            Part::Copies => "copies",
            Part::Inference => "inference",
            Part::Learning => "learning",
            Part::Replay => "replay",
            Part::Waiting => "waiting",
        }
    }
}

/// The time spent in each part, summed over all training threads.
///
/// ```
/// use coinop_agents::times::{Part, Stopwatch};
///
/// let stopwatch = Stopwatch::default();
/// let before = stopwatch.times(1);
/// stopwatch.measure(Part::Learning, || std::hint::black_box(2 + 2));
/// let spent = stopwatch.times(1).since(&before);
/// assert!(spent.of(Part::Learning) >= spent.of(Part::Inference));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    nanoseconds: [u64; Part::ALL.len()],
    /// The number of threads that the times are summed over.
    pub threads: usize,
}

impl Times {
    /// The time of a part.
    #[must_use]
    pub fn of(&self, part: Part) -> Duration {
        Duration::from_nanos(self.nanoseconds[part as usize])
    }

    /// The same with `waited` of learning as waiting.
    pub(crate) fn waiting(mut self, waited: Duration) -> Times {
        let nanoseconds = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let learning = &mut self.nanoseconds[Part::Learning as usize];
        let nanoseconds = nanoseconds.min(*learning);
        *learning -= nanoseconds;
        self.nanoseconds[Part::Waiting as usize] += nanoseconds;
        self
    }

    /// The time spent since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Times) -> Times {
        let mut times = *self;
        for (now, then) in times.nanoseconds.iter_mut().zip(earlier.nanoseconds) {
            *now = now.saturating_sub(then);
        }
        times
    }
}

/// Measures parts; clones add to the same totals. Each measurement costs about fifty nanoseconds.
///
/// ```
/// use coinop_agents::times::{Part, Stopwatch};
///
/// let watch = Stopwatch::default();
/// let sum = watch.measure(Part::Learning, || (0..1_000).sum::<u64>());
/// assert_eq!(sum, 499_500);
/// assert!(watch.times(1).of(Part::Learning).as_nanos() > 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stopwatch(Arc<[AtomicU64; Part::ALL.len()]>);

impl Stopwatch {
    /// Runs `work` and adds its duration to a part.
    pub fn measure<T>(&self, part: Part, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0[part as usize].fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }

    /// The totals so far, of `threads` threads.
    #[must_use]
    pub fn times(&self, threads: usize) -> Times {
        let mut nanoseconds = [0; Part::ALL.len()];
        for (out, sum) in nanoseconds.iter_mut().zip(&*self.0) {
            *out = sum.load(Ordering::Relaxed);
        }
        Times { nanoseconds, threads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_add_to_the_same_times_and_parts_are_kept_apart() {
        let watch = Stopwatch::default();
        let work = || (0..100_000u64).map(std::hint::black_box).sum::<u64>();
        watch.measure(Part::Envs, work);
        let before = watch.times(2);
        watch.clone().measure(Part::Waiting, work);
        let since = watch.times(2).since(&before);
        assert!(before.of(Part::Envs) > Duration::ZERO && since.of(Part::Waiting) > Duration::ZERO);
        assert_eq!((since.of(Part::Envs), since.threads), (Duration::ZERO, 2));
    }
}
