//! Several processes that train one network: each steps its own environments, and gradients are averaged.
//!
//! ```text
//! rank 0   environments 0 .. n     ── gradient ─┐
//! rank 1   environments n .. 2n    ── gradient ─┼─► mean ──► the same update in every rank
//! rank 2   environments 2n .. 3n   ── gradient ─┘
//! ```
//!
//! A learner knows no more of it than [`Ranks::mean`], between the gradient and its clipping. What carries the numbers is a [`Group`].

mod lead;
#[cfg(feature = "mpi")]
pub mod mpi;

use std::env;
use std::fmt;
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use tch::{Kind, Tensor};

use crate::AgentError;

pub use lead::{Leader, follow, saved_by};

/// The variables by which Open MPI, MPICH, Intel MPI and Slurm tell a process that there are others.
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

    /// Leaves the group. Every rank must call this before it ends, and nothing afterwards.
    fn finish(&self) {}

    /// Ends all ranks, because this one cannot go on.
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
}

/// Threads of one process in place of processes, to try an algorithm out.
///
/// ```
/// use coinop_agents::distributed::{Group, Threads};
///
/// let ranks = Threads::of(2);
/// let mean = |rank: Threads| {
///     let mut values = [rank.rank() as f32, 3.0];
///     rank.mean(&mut values).map(|()| values)
/// };
/// std::thread::scope(|scope| {
///     let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(move || mean(rank))).collect();
///     for thread in threads {
///         assert_eq!(thread.join().unwrap().unwrap(), [0.5, 3.0]);
///     }
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    barrier: Barrier,
    slots: Mutex<Vec<Vec<u8>>>,
}

impl Threads {
    /// The handles of `size` ranks, one for each thread. A thread that ends early leaves the others waiting.
    #[must_use]
    pub fn of(size: usize) -> Vec<Self> {
        let shared = Arc::new(Shared {
            barrier: Barrier::new(size),
            slots: Mutex::new(vec![Vec::new(); size]),
        });
        let handle = |rank| Self {
            rank,
            shared: Arc::clone(&shared),
        };
        (0..size).map(handle).collect()
    }
}

impl Group for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        let slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.len()
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AgentError> {
        let slots = || self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots()[self.rank] = bytes.to_vec();
        self.shared.barrier.wait();
        let all = slots().clone();
        // Nobody writes again before all have read.
        self.shared.barrier.wait();
        Ok(all)
    }
}

/// The ranks of a run.
#[derive(Clone, Debug)]
pub struct Ranks(Arc<dyn Group>);

impl Default for Ranks {
    fn default() -> Self {
        Self::new(Alone)
    }
}

impl Ranks {
    /// The ranks of a group.
    pub fn new(group: impl Group + 'static) -> Self {
        Self(Arc::new(group))
    }

    /// See [`Group::rank`].
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.rank()
    }

    /// See [`Group::size`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Whether there is one only.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// See [`Group::finish`].
    pub fn finish(&self) {
        self.0.finish();
    }

    /// See [`Group::abort`].
    pub fn abort(&self) -> ! {
        self.0.abort()
    }

    /// See [`Group::gather`].
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    pub fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AgentError> {
        self.0.gather(bytes)
    }

    /// See [`Group::broadcast`].
    ///
    /// # Errors
    ///
    /// If a rank cannot be reached.
    pub fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        self.0.broadcast(bytes)
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
        self.0.mean(&mut numbers)?;
        let mean = Tensor::f_from_slice(&numbers)?.f_view(values.size().as_slice())?;
        Ok(mean.f_to_device(values.device())?.f_to_kind(Kind::Float)?)
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
        let all = self.0.gather(&value.to_ne_bytes())?;
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
        let all = self.0.gather(&sum)?;
        match all.iter().position(|other| *other != all[0]) {
            None => Ok(()),
            Some(rank) => Err(AgentError::RanksDiffer { what, rank }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `f` in every rank, and returns what comes of it in the order of ranks.
    fn in_ranks<T: Send>(size: usize, f: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let spawn = |rank: Threads| {
                let f = &f;
                scope.spawn(move || f(Ranks::new(rank)))
            };
            let threads: Vec<_> = Threads::of(size).into_iter().map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

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
