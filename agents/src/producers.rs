//! Threads that play while the learner learns.
//!
//! ```text
//! producer 0   fill, fill, fill …  ──┐
//! producer 1   fill, fill, fill …  ──┴── full batches ──► learner
//!                 ▲                                         │
//!                 └────────────── empty batches ────────────┘
//! ```
//!
//! Each producer has so many batches, which go round: it waits while the learner has all of them, and the learner waits
//! while it has none. Waiting threads sleep. A producer is locked while it fills a batch, so a checkpoint is taken while
//! each is between two batches.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use coinop_envs::EnvError;
use crossbeam::channel::{Receiver, Sender, bounded};

use crate::workers::Farewell;
use crate::{TrainError, set_torch_threads};

/// What a thread does: it fills batches.
pub(crate) trait Producer: Send + 'static {
    type Batch: Send + 'static;

    /// Fills a batch that may have been filled before.
    fn fill(&mut self, batch: &mut Self::Batch) -> Result<(), TrainError>;
}

/// A full batch.
pub(crate) struct Full<B> {
    pub(crate) batch: B,
    /// The producer that it is returned to; `None` if it comes from a checkpoint.
    producer: Option<usize>,
}

pub(crate) type Message<B> = Result<Full<B>, TrainError>;

/// The running threads, which end when this is dropped.
pub(crate) struct Producers<P: Producer> {
    full: Receiver<Message<P::Batch>>,
    /// Received but not yet processed messages.
    pending: RefCell<VecDeque<Message<P::Batch>>>,
    producers: Vec<Arc<Mutex<P>>>,
    /// The channels that return batches to each thread.
    returns: Vec<Sender<P::Batch>>,
    handles: Vec<JoinHandle<()>>,
}

impl<P: Producer> Producers<P> {
    /// Starts a thread for each producer with its batches. `pending` are full batches that come first.
    pub(crate) fn start(
        producers: Vec<(P, Vec<P::Batch>)>,
        pending: impl IntoIterator<Item = P::Batch>,
    ) -> Result<Self, TrainError> {
        // With room for all batches, a full one is sent before its producer is unlocked.
        let batches = producers.iter().map(|(_, batches)| batches.len()).sum::<usize>();
        let (send, full) = bounded(batches + producers.len());
        let pending = pending.into_iter().map(|batch| Ok(Full { batch, producer: None }));
        let mut started = Self {
            full,
            pending: RefCell::new(pending.collect()),
            producers: Vec::new(),
            returns: Vec::new(),
            handles: Vec::new(),
        };
        for (number, (producer, batches)) in producers.into_iter().enumerate() {
            let (back, returned) = bounded(batches.len());
            for batch in batches {
                // There is room for all of them.
                let _ = back.send(batch);
            }
            let producer = Arc::new(Mutex::new(producer));
            started.producers.push(Arc::clone(&producer));
            started.returns.push(back);
            let send = send.clone();
            let run = move || {
                let farewell = Farewell { send, number };
                if let Err(error) = produce(&producer, number, &returned, &farewell.send) {
                    let _ = farewell.send.send(Err(error));
                }
            };
            let handle = thread::Builder::new().name(format!("actor-{number}")).spawn(run);
            started
                .handles
                .push(handle.map_err(|error| EnvError::Other(error.into()))?);
        }
        Ok(started)
    }

    /// Waits for the next batch of any thread.
    pub(crate) fn next(&mut self) -> Message<P::Batch> {
        match self.pending() {
            Some(message) => message,
            // A thread that ends sends a message, so a message always follows.
            None => self.full.recv().unwrap_or(Err(TrainError::ActorDied { number: 0 })),
        }
    }

    /// The next message that was received already.
    pub(crate) fn pending(&mut self) -> Option<Message<P::Batch>> {
        self.pending.get_mut().pop_front()
    }

    /// The channel of the messages after those [`pending`](Self::pending).
    pub(crate) fn full(&self) -> &Receiver<Message<P::Batch>> {
        &self.full
    }

    /// The number of batches that wait for the learner.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.borrow().len() + self.full.len()
    }

    /// Returns a batch to its thread, to be filled again.
    pub(crate) fn give_back(&self, full: Full<P::Batch>) {
        // Nobody takes it from a thread that has ended, which the next message says.
        if let Some(producer) = full.producer {
            let _ = self.returns[producer].send(full.batch);
        }
    }

    /// Calls `f` with all producers, each between two batches, and the full batches that the learner has not received.
    pub(crate) fn paused<R>(&self, f: impl FnOnce(&mut [MutexGuard<'_, P>], &[&P::Batch]) -> R) -> R {
        // A panic while filling has ended the run.
        let mut paused: Vec<MutexGuard<'_, P>> = self
            .producers
            .iter()
            .map(|producer| producer.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let mut pending = self.pending.borrow_mut();
        pending.extend(self.full.try_iter());
        let batches: Vec<&P::Batch> = pending
            .iter()
            .filter_map(|message| message.as_ref().ok())
            .map(|full| &full.batch)
            .collect();
        f(&mut paused, &batches)
    }
}

impl<P: Producer> Producers<P> {
    /// Stops the threads, each after its current batch; returns the producers, and the full batches that the learner has
    /// not received.
    pub(crate) fn stop(mut self) -> (Vec<P>, Vec<P::Batch>) {
        self.returns.clear();
        // A sent batch is in the channel, which has room for all.
        self.join();
        let mut messages = self.pending.take();
        messages.extend(self.full.try_iter());
        let batches = messages
            .into_iter()
            .filter_map(|message| Some(message.ok()?.batch))
            .collect();
        let producers = std::mem::take(&mut self.producers).into_iter();
        // Its thread, which has ended, had the only other reference.
        let producers = producers
            .filter_map(Arc::into_inner)
            .map(|producer| producer.into_inner().unwrap_or_else(PoisonError::into_inner));
        (producers.collect(), batches)
    }

    fn join(&mut self) {
        for handle in self.handles.drain(..) {
            // What a thread died of was sent.
            let _ = handle.join();
        }
    }
}

impl<P: Producer> Drop for Producers<P> {
    fn drop(&mut self) {
        // A thread that waits for an empty batch, or for space in the channel, wakes up with an error and ends.
        self.returns.clear();
        let (_, closed) = bounded(0);
        self.full = closed;
        self.join();
    }
}

/// Fills batches until the learner stops receiving.
fn produce<P: Producer>(
    producer: &Mutex<P>,
    number: usize,
    returned: &Receiver<P::Batch>,
    send: &Sender<Message<P::Batch>>,
) -> Result<(), TrainError> {
    // Each thread is one of many; libtorch's own threads would be one more for each.
    set_torch_threads(1);
    while let Ok(mut batch) = returned.recv() {
        // Only this thread fills batches; a checkpoint waits for the lock.
        let mut producer = producer.lock().unwrap_or_else(PoisonError::into_inner);
        producer.fill(&mut batch)?;
        let full = Full {
            batch,
            producer: Some(number),
        };
        if send.send(Ok(full)).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its batches; the last one fails.
    struct Counts {
        number: usize,
        filled: u64,
        last: u64,
    }

    impl Producer for Counts {
        type Batch = (usize, u64);

        fn fill(&mut self, batch: &mut Self::Batch) -> Result<(), TrainError> {
            if self.filled == self.last {
                let number = self.number;
                return Err(TrainError::ActorDied { number });
            }
            self.filled += 1;
            *batch = (self.number, self.filled);
            Ok(())
        }
    }

    fn start(last: u64, pending: Vec<(usize, u64)>) -> Producers<Counts> {
        let counts = |number| Counts {
            number,
            filled: 0,
            last,
        };
        let producers = (0..3).map(|number| (counts(number), vec![(0, 0); 2]));
        Producers::start(producers.collect(), pending).unwrap()
    }

    #[test]
    fn producers_fill_no_more_batches_than_they_have() {
        let mut producers = start(u64::MAX, Vec::new());
        let mut heard = [0; 3];
        for taken in 1..=100 {
            let full = producers.next().unwrap();
            let (number, count) = full.batch;
            // Each producer's batches come in order, and none is lost.
            heard[number] += 1;
            assert_eq!(count, heard[number]);
            let filled = producers.paused(|producers, waiting| {
                let filled = producers.iter().map(|producer| producer.filled).sum::<u64>();
                assert_eq!(filled, taken + waiting.len() as u64);
                filled
            });
            assert!(filled <= taken + 5, "{filled} after {taken}");
            producers.give_back(full);
        }
    }

    #[test]
    fn stopped_producers_and_their_batches_are_given_back() {
        let mut producers = start(u64::MAX, vec![(7, 70)]);
        let taken = producers.next().unwrap();
        assert_eq!(taken.batch, (7, 70));
        let (counts, batches) = producers.stop();
        let filled: u64 = counts.iter().map(|count| count.filled).sum();
        assert_eq!((counts.len(), batches.len() as u64), (3, filled));
    }

    #[test]
    fn batches_of_a_checkpoint_come_first_and_a_failure_after_the_batches_before_it() {
        let mut producers = start(1, vec![(7, 70), (8, 80)]);
        assert!(producers.waiting() >= 2);
        let first = [producers.next().unwrap(), producers.next().unwrap()];
        assert_eq!(first.map(|full| full.batch), [(7, 70), (8, 80)]);
        let mut filled = 0;
        let died = loop {
            match producers.next() {
                Ok(full) => {
                    filled += 1;
                    producers.give_back(full);
                }
                Err(error) => break error,
            }
        };
        assert!(matches!(died, TrainError::ActorDied { .. }));
        assert!((1..=3).contains(&filled), "{filled}");
    }
}
