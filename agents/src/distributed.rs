//! Several processes that train one network, each with its own environments.
//!
//! Synchronous algorithms average gradients:
//!
//! ```text
//! rank 0   environments 0 .. n     ── gradient ─┐
//! rank 1   environments n .. 2n    ── gradient ─┼─► mean ──► the same update in every rank
//! rank 2   environments 2n .. 3n   ── gradient ─┘
//! ```
//!
//! Their learners know no more of it than [`Ranks::mean`], between the gradient and its clipping. Of asynchronous
//! algorithms, rank 0 holds the weights, and answers the others:
//!
//! ```text
//! rank 1   ── a gradient, or transitions ──► rank 0
//!          ◄──────────── weights ───────────
//! ```
//!
//! What carries the bytes is a [`Group`].

mod lead;
mod learned;
#[cfg(feature = "mpi")]
pub mod mpi;
mod serve;
mod threads;

use std::env;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coinop_envs::rng::{Rng, derive_seed, stream};
use tch::{Kind, Tensor};

use crate::AgentError;

pub use lead::{Leader, follow, saved_by};
pub(crate) use learned::{JointlyLearned, Told, tell};
pub(crate) use serve::Server;
pub use serve::assist;
pub use threads::Threads;

/// The variables that Open MPI, MPICH, Intel MPI and Slurm set in the processes of a job.
const STARTED: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "MPI_LOCALNRANKS"];

/// The variables by which they say how many of these are on this machine.
const LOCAL: [&str; 3] = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"];

/// Whether a program that starts MPI, such as `mpirun`, started this process.
#[must_use]
pub fn is_started() -> bool {
    STARTED.iter().any(|name| env::var_os(name).is_some())
}

/// The number of ranks that share this machine; 1 if that is not said.
#[must_use]
pub fn ranks_here() -> usize {
    let said = LOCAL.iter().find_map(|name| env::var(name).ok()?.parse().ok());
    said.filter(|ranks| *ranks > 0).unwrap_or(1)
}

/// Updates between two checks that all ranks have the same parameters.
const CHECK: u64 = 1_000;

/// The processes of a run, called ranks, as one of them sees them. Every rank makes the same calls in the same order.
pub trait Group: Send + Sync + fmt::Debug {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Gives every rank the bytes of all, in the order of ranks.
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AgentError>;

    /// Sends a question to rank 0 and waits for its answer. The other ranks call this, one thread of each at a time.
    ///
    /// # Errors
    ///
    /// If rank 0 cannot be reached.
    fn ask(&self, question: &[u8]) -> Result<Vec<u8>, AgentError>;

    /// Answers a question of another rank by `answer`, which is given the rank and the question; returns whether there
    /// was one. Rank 0 calls this.
    ///
    /// # Errors
    ///
    /// If that rank cannot be reached.
    fn answer(&self, answer: &mut dyn FnMut(usize, Vec<u8>) -> Vec<u8>) -> Result<bool, AgentError>;

    /// Leaves the group. Every rank must call this before it ends, and nothing afterwards.
    fn finish(&self) {}

    /// Ends all ranks, because this one cannot continue.
    fn abort(&self) -> ! {
        std::process::abort()
    }

    /// Gives every rank the bytes of rank 0; those of the others do not matter.
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        Ok(self.gather(bytes)?.swap_remove(0))
    }

    /// Replaces the values by their means over all ranks. The default adds in the order of ranks, so that a run is
    /// reproducible for its number of ranks.
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    fn mean(&self, values: &mut [f32]) -> Result<(), AgentError> {
        let all = self.gather(bytemuck::cast_slice(values))?;
        let scale = 1.0 / all.len() as f32;
        let mut sums = vec![0.0f32; values.len()];
        for bytes in &all {
            let numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes));
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        }
        values
            .iter_mut()
            .zip(sums)
            .for_each(|(value, sum)| *value = sum * scale);
        Ok(())
    }
}

/// A process that trains by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AgentError> {
        Ok(vec![bytes.to_vec()])
    }

    fn ask(&self, _question: &[u8]) -> Result<Vec<u8>, AgentError> {
        Err(AgentError::Mpi("rank 0 asks itself".to_owned()))
    }

    fn answer(&self, _answer: &mut dyn FnMut(usize, Vec<u8>) -> Vec<u8>) -> Result<bool, AgentError> {
        Ok(false)
    }
}

/// The ranks of a run.
#[derive(Clone, Debug)]
pub struct Ranks {
    group: Arc<dyn Group>,
    /// Whether rank 0 has ended; locked while a thread asks.
    has_ended: Arc<Mutex<bool>>,
    means: Arc<Means>,
}

/// What the means of gradients have taken.
#[derive(Debug, Default)]
struct Means {
    nanoseconds: AtomicU64,
    /// The numbers of the last one.
    len: AtomicUsize,
}

impl Default for Ranks {
    fn default() -> Self {
        Self::new(Alone)
    }
}

impl Ranks {
    /// The ranks of a group.
    pub fn new(group: impl Group + 'static) -> Self {
        Self {
            group: Arc::new(group),
            has_ended: Arc::default(),
            means: Arc::default(),
        }
    }

    /// See [`Group::rank`].
    #[must_use]
    pub fn rank(&self) -> usize {
        self.group.rank()
    }

    /// See [`Group::size`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.group.size()
    }

    /// Whether there is one only.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// See [`Group::finish`].
    pub fn finish(&self) {
        self.group.finish();
    }

    /// See [`Group::abort`].
    pub fn abort(&self) -> ! {
        self.group.abort()
    }

    /// See [`Group::gather`].
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    pub fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AgentError> {
        self.group.gather(bytes)
    }

    /// See [`Group::broadcast`].
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    pub fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        self.group.broadcast(bytes)
    }

    /// Asks rank 0; `None` once that has ended. Several threads may ask; one waits for the other.
    ///
    /// # Errors
    ///
    /// If rank 0 cannot be reached.
    pub(crate) fn ask(&self, question: &[u8]) -> Result<Option<Vec<u8>>, AgentError> {
        let mut has_ended = self.turn();
        if *has_ended {
            return Ok(None);
        }
        let answer = serve::opened(self.group.ask(question)?);
        *has_ended = answer.is_none();
        Ok(answer)
    }

    /// Whether rank 0 has ended, as an answer said.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        *self.turn()
    }

    fn turn(&self) -> MutexGuard<'_, bool> {
        self.has_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seed of this rank's environments: that of the run in rank 0.
    pub(crate) fn seed(&self, seed: u64) -> u64 {
        match self.rank() {
            0 => seed,
            rank => derive_seed(seed, "rank", rank as u64),
        }
    }

    /// A random stream of this rank, for what must differ between ranks.
    pub(crate) fn stream(&self, seed: u64, label: &str) -> Rng {
        stream(seed, label, self.rank() as u64)
    }

    /// The actors of this rank among those of all, if each has `actors`.
    pub(crate) fn own(&self, actors: usize) -> Range<usize> {
        self.rank() * actors..(self.rank() + 1) * actors
    }

    /// Whether all ranks say so.
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    pub(crate) fn all(&self, said: bool) -> Result<bool, AgentError> {
        if self.is_alone() {
            return Ok(said);
        }
        let all = self.group.gather(&[u8::from(said)])?;
        Ok(all.iter().all(|said| *said == [1]))
    }

    /// The means of a tensor of `f32` over all ranks.
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached, or libtorch fails.
    pub fn mean(&self, values: Tensor) -> Result<Tensor, AgentError> {
        if self.is_alone() {
            return Ok(values);
        }
        let flat = values.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0.0f32; flat.numel()];
        flat.f_copy_data(&mut numbers, flat.numel())?;
        let start = Instant::now();
        self.group.mean(&mut numbers)?;
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.means.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.means.len.store(numbers.len(), Ordering::Relaxed);
        let mean = Tensor::f_from_slice(&numbers)?.f_view(values.size().as_slice())?;
        Ok(mean.f_to_device(values.device())?.f_to_kind(Kind::Float)?)
    }

    /// The time that this rank has spent in [`mean`](Self::mean), which waits for the others.
    #[must_use]
    pub fn time_of_means(&self) -> Duration {
        Duration::from_nanos(self.means.nanoseconds.load(Ordering::Relaxed))
    }

    /// The numbers of the last [`mean`](Self::mean): of a gradient. 0 before the first.
    #[must_use]
    pub fn gradient_len(&self) -> usize {
        self.means.len.load(Ordering::Relaxed)
    }

    /// The mean of a number over all ranks.
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    pub fn mean_number(&self, value: f64) -> Result<f64, AgentError> {
        if self.is_alone() {
            return Ok(value);
        }
        let all = self.group.gather(&value.to_ne_bytes())?;
        let numbers = all
            .iter()
            .filter_map(|bytes| Some(f64::from_ne_bytes(bytes.as_slice().try_into().ok()?)));
        Ok(numbers.sum::<f64>() / all.len() as f64)
    }

    /// Checks that a tensor is the same in every rank, bit for bit; `what` names it.
    ///
    /// # Errors
    ///
    /// [`AgentError::RanksDiffer`] for the first rank whose tensor differs from that of rank 0.
    pub fn check_equal(&self, what: &'static str, values: &Tensor) -> Result<(), AgentError> {
        if self.is_alone() {
            return Ok(());
        }
        let flat = values.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0.0f32; flat.numel()];
        flat.f_copy_data(&mut numbers, flat.numel())?;
        let sum = crc32fast::hash(bytemuck::cast_slice(&numbers)).to_ne_bytes();
        let all = self.group.gather(&sum)?;
        match all.iter().position(|other| *other != all[0]) {
            None => Ok(()),
            Some(rank) => Err(AgentError::RanksDiffer { what, rank }),
        }
    }

    /// Checks after every thousandth update that the parameters are the same in every rank.
    pub(crate) fn check_now_and_then(&self, updates: u64, params: &Tensor) -> Result<(), AgentError> {
        match updates.is_multiple_of(CHECK) {
            true => self.check_equal("a parameter", params),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod of_numbers {
    use super::tests::in_ranks;
    use super::*;

    #[test]
    fn means_are_the_same_bits_in_every_rank() {
        let means = in_ranks(3, |ranks| {
            let values = Tensor::from_slice(&[0.1f32 * ranks.rank() as f32, 1e-8, -7.0]);
            let mean = ranks.mean(values.view([3, 1])).unwrap();
            assert_eq!(mean.size(), [3, 1]);
            (
                Vec::<f32>::try_from(mean.view(3)).unwrap(),
                ranks.mean_number(ranks.rank() as f64).unwrap(),
            )
        });
        assert_eq!(means[0], means[1]);
        assert_eq!(means[0], means[2]);
        assert!((means[0].0[0] - 0.1).abs() < 1e-7 && means[0].0[2] == -7.0);
        assert_eq!(means[0].1, 1.0);
    }

    #[test]
    fn a_rank_that_differs_is_named() {
        let found = in_ranks(3, |ranks| {
            let odd = if ranks.rank() == 2 { 1.000_000_1f32 } else { 1.0 };
            ranks.check_equal("a parameter", &Tensor::from_slice(&[0.5, odd]))
        });
        for error in found {
            let error = error.unwrap_err().to_string();
            assert!(
                error.starts_with("a parameter of rank 2 differs from that of rank 0"),
                "{error}"
            );
        }
        let same = in_ranks(2, |ranks| {
            ranks.check_equal("a parameter", &Tensor::from_slice(&[0.5f32]))
        });
        assert!(same.iter().all(Result::is_ok));
    }

    #[test]
    fn who_is_alone_keeps_the_values() {
        let ranks = Ranks::default();
        let values = Tensor::from_slice(&[0.1f32, 0.2]);
        assert_eq!(ranks.mean(values.shallow_clone()).unwrap(), values);
        assert_eq!(
            (ranks.mean_number(0.1).unwrap(), ranks.rank(), ranks.size()),
            (0.1, 0, 1)
        );
    }
}
