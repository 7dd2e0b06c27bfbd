//! The measurements of `coinop bench` and their report.
//!
//! ```text
//! ale.rs      ale-py beside the emulator
//! suites.rs   emulator, env, vec, inference, learner, replay, train      what is measured
//! show.rs     a table, a picture, a comparison
//! ```

mod ale;
pub(crate) mod show;
pub(crate) mod suites;

use std::time::Instant;

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::config::cores;

/// All measurements, and the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: BenchSettings,
    pub(crate) measurements: Vec<Measurement>,
}

/// The machine and the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gigabytes: f64,
    pub(crate) system: String,
    pub(crate) coinop: String,
    /// The commit of the source, if known.
    pub(crate) commit: String,
    pub(crate) libtorch: String,
}

impl Machine {
    /// This machine and this program.
    pub(crate) fn this() -> Self {
        let wanted = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(wanted).ok();
        let processor = system.as_ref().and_then(|system| system.cpus().first());
        let unknown = || "unknown".to_owned();
        Machine {
            processor: processor.map_or_else(unknown, |processor| processor.brand().trim().to_owned()),
            cores: cores(),
            memory_gigabytes: system.as_ref().map_or(0.0, |system| system.total_memory() as f64 / 1e9),
            system: System::long_os_version().unwrap_or_else(|_| unknown()),
            coinop: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("COINOP_COMMIT").map_or_else(unknown, str::to_owned),
            // The only version that the crate tch takes.
            libtorch: "2.11".to_owned(),
        }
    }
}

/// The settings of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BenchSettings {
    pub(crate) env: String,
    pub(crate) algo: String,
    pub(crate) preset: String,
    pub(crate) env_threads: usize,
    pub(crate) torch_threads: usize,
    pub(crate) device: String,
    pub(crate) precision: String,
    pub(crate) seconds: f64,
    pub(crate) repeats: usize,
}

/// A rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The suite, as named on the command line.
    pub(crate) what: String,
    /// The variant.
    pub(crate) name: String,
    /// The unit counted: `frames`, `observations`, `updates`, ...
    pub(crate) unit: String,
    /// Over the repetitions, per second.
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Frames per agent step, if frames are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) frames_per_step: Option<u32>,
    /// Where the time went, for training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) training: Option<Training>,
}

/// Where training spent its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Training {
    /// Names and fractions of the training threads' time.
    pub(crate) parts: Vec<(String, f64)>,
    /// The rate of the network's forward passes and updates alone, in the same unit, if the network is known.
    pub(crate) floor: Option<f64>,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// The minimum duration of each repetition and of the warm-up.
    pub(crate) seconds: f64,
    pub(crate) repeats: usize,
}

impl How {
    /// Measures the rate at which `work` does what it counts: minimum, median and maximum over the repetitions.
    pub(crate) fn rate(self, mut work: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<(f64, f64, f64)> {
        let mut once = || -> anyhow::Result<f64> {
            let start = Instant::now();
            let mut count = 0.0;
            loop {
                count += work()?;
                let seconds = start.elapsed().as_secs_f64();
                if seconds >= self.seconds {
                    return Ok(count / seconds);
                }
            }
        };
        once()?;
        let mut rates = (0..self.repeats)
            .map(|_| once())
            .collect::<anyhow::Result<Vec<f64>>>()?;
        rates.sort_by(f64::total_cmp);
        Ok((rates[0], median(&rates), rates[rates.len() - 1]))
    }
}

/// The median of sorted numbers.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_counted_by_the_time_it_took() {
        let how = How {
            seconds: 0.01,
            repeats: 3,
        };
        let mut calls = 0.0;
        let (low, median, high) = how
            .rate(|| {
                calls += 1.0;
                Ok(10.0)
            })
            .unwrap();
        assert!(0.0 < low && low <= median && median <= high);
        // Of four times a hundredth of a second at least, three count.
        assert!(median <= 10.0 * calls / 0.01);
        let failed = how.rate(|| anyhow::bail!("no"));
        assert_eq!(failed.unwrap_err().to_string(), "no");
    }

    #[test]
    fn a_median_is_the_one_in_the_middle_or_the_mean_of_two() {
        assert_eq!((median(&[1.0, 2.0, 9.0]), median(&[1.0, 2.0, 4.0, 9.0])), (2.0, 3.0));
    }
}
