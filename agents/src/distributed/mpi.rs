//! Ranks that are processes of MPI, started by `mpirun`.
//!
//! MPI ends the whole job when a rank dies or a message is lost, so there is nothing to repair here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Root, Source};

use super::Group;
use crate::AgentError;

/// The tags of messages between two ranks.
const QUESTION: i32 = 1;
const ANSWER: i32 = 2;

/// The ranks of `mpirun`.
pub struct Mpi {
    /// Ends MPI when it is dropped; `None` afterwards. One thread at a time may call MPI.
    universe: Mutex<Option<Universe>>,
    rank: usize,
    size: usize,
    /// Whether MPI chooses the order of sums.
    fast: bool,
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Mpi {{ rank: {}, size: {} }}", self.rank, self.size)
    }
}

impl Mpi {
    /// Starts MPI in this process, once. With `fast`, MPI adds in an order of its own, which may differ from run to run.
    ///
    /// # Errors
    ///
    /// [`AgentError::Mpi`] if it is started already, or allows only one thread.
    pub fn start(fast: bool) -> Result<Self, AgentError> {
        let started = mpi::initialize_with_threading(Threading::Serialized);
        let Some((universe, threading)) = started else {
            return Err(AgentError::Mpi("it is started already".to_owned()));
        };
        if threading < Threading::Serialized {
            return Err(AgentError::Mpi(format!("it supports threads only as {threading:?}")));
        }
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Ok(Self {
            universe: Mutex::new(Some(universe)),
            rank,
            size,
            fast,
        })
    }

    /// All ranks, for one call at a time.
    fn world(&self) -> (MutexGuard<'_, Option<Universe>>, SimpleCommunicator) {
        let universe = self.universe.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(started) = universe.as_ref() else {
            unreachable!("MPI is called after its end");
        };
        let world = started.world();
        (universe, world)
    }
}

impl Group for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AgentError> {
        let (_one_at_a_time, world) = self.world();
        let mut lengths = vec![0u64; self.size];
        world.all_gather_into(&(bytes.len() as u64), &mut lengths[..]);
        // Pieces of one length, so that one call is enough; it is the same in most.
        let most = lengths.iter().copied().max().unwrap_or(0) as usize;
        if most == 0 {
            return Ok(vec![Vec::new(); self.size]);
        }
        let mut padded = bytes.to_vec();
        padded.resize(most, 0);
        let mut all = vec![0u8; most * self.size];
        world.all_gather_into(&padded[..], &mut all[..]);
        let pieces = all.chunks_exact(most).zip(&lengths);
        Ok(pieces
            .map(|(piece, &length)| piece[..length as usize].to_vec())
            .collect())
    }

    fn ask(&self, question: &[u8]) -> Result<Vec<u8>, AgentError> {
        let (_one_at_a_time, world) = self.world();
        let first = world.process_at_rank(0);
        send(&first, QUESTION, question);
        let (length, _) = first.receive_with_tag(ANSWER);
        Ok(receive(&first, ANSWER, length))
    }

    fn answer(&self, answer: &mut dyn FnMut(usize, Vec<u8>) -> Vec<u8>) -> Result<bool, AgentError> {
        let (one_at_a_time, world) = self.world();
        let Some((asked, status)) = world.any_process().immediate_matched_probe_with_tag(QUESTION) else {
            return Ok(false);
        };
        let (length, _) = asked.matched_receive();
        let rank = status.source_rank();
        let other = world.process_at_rank(rank);
        let question = receive(&other, QUESTION, length);
        // The answer may take a while, and another thread may have to reach the others meanwhile.
        drop(one_at_a_time);
        let answer = answer(rank as usize, question);
        let (_one_at_a_time, _) = self.world();
        send(&other, ANSWER, &answer);
        Ok(true)
    }

    fn finish(&self) {
        self.universe.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn abort(&self) -> ! {
        self.world().1.abort(1)
    }

    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        let (_one_at_a_time, world) = self.world();
        let root = world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        let mut all = bytes.to_vec();
        all.resize(length as usize, 0);
        root.broadcast_into(&mut all[..]);
        Ok(all)
    }

    fn mean(&self, values: &mut [f32]) -> Result<(), AgentError> {
        let scale = 1.0 / self.size as f32;
        let (_one_at_a_time, world) = self.world();
        if self.fast {
            let mut sums = vec![0.0f32; values.len()];
            world.all_reduce_into(&*values, &mut sums[..], SystemOperation::sum());
            values
                .iter_mut()
                .zip(sums)
                .for_each(|(value, sum)| *value = sum * scale);
            return Ok(());
        }
        let mut all = vec![0.0f32; values.len() * self.size];
        world.all_gather_into(&*values, &mut all[..]);
        for (i, value) in values.iter_mut().enumerate() {
            let len = all.len() / self.size;
            *value = (0..self.size).map(|rank| all[rank * len + i]).sum::<f32>() * scale;
        }
        Ok(())
    }
}

/// The bytes of a piece of a message, because MPI counts in 32 bits.
const PIECE: usize = 1 << 30;

/// Sends the length of a message, and its pieces.
fn send(to: &impl Destination, tag: i32, bytes: &[u8]) {
    to.send_with_tag(&(bytes.len() as u64), tag);
    bytes.chunks(PIECE).for_each(|piece| to.send_with_tag(piece, tag));
}

/// Receives the pieces of a message.
fn receive(from: &impl Source, tag: i32, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    for piece in bytes.chunks_mut(PIECE) {
        from.receive_into_with_tag(piece, tag);
    }
    bytes
}
