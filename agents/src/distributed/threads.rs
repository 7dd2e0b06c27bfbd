//! Ranks that are threads of one process.

use std::sync::{Arc, Barrier, Mutex, PoisonError};

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

use super::Group;
use crate::AgentError;

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
    /// Questions to rank 0.
    questions: (Sender<Question>, Receiver<Question>),
}

/// Who asks, what, and where the answer goes.
type Question = (usize, Vec<u8>, Sender<Vec<u8>>);

impl Threads {
    /// The handles of `size` ranks, one for each thread. A thread that ends early leaves the others waiting.
    #[must_use]
    pub fn of(size: usize) -> Vec<Self> {
        let shared = Arc::new(Shared {
            barrier: Barrier::new(size),
            slots: Mutex::new(vec![Vec::new(); size]),
            questions: unbounded(),
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

    fn ask(&self, question: &[u8]) -> Result<Vec<u8>, AgentError> {
        let (send, answer) = bounded(1);
        // This end of the channel is in the same place as the other, so that neither is closed.
        let _ = self.shared.questions.0.send((self.rank, question.to_vec(), send));
        answer.recv().map_err(|_| AgentError::Mpi("rank 0 has died".to_owned()))
    }

    fn answer(&self, answer: &mut dyn FnMut(usize, Vec<u8>) -> Vec<u8>) -> Result<bool, AgentError> {
        let Ok((rank, question, send)) = self.shared.questions.1.try_recv() else {
            return Ok(false);
        };
        // Whoever asked may have died meanwhile.
        let _ = send.send(answer(rank, question));
        Ok(true)
    }
}
