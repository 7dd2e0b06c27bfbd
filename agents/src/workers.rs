//! Threads that each play and learn on their own.
//!
//! A worker is locked by its thread during a rollout, and by a checkpoint between two rollouts. Reports of rollouts
//! go through a bounded channel, so workers sleep when no one receives them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use coinop_envs::EnvError;
use crossbeam::channel::{Receiver, Sender, bounded, never};
use crossbeam::select;
use serde::{Deserialize, Serialize};

use crate::{Episode, Metrics, TrainError, set_torch_threads};

/// A worker, which plays and learns one rollout at a time.
pub(crate) trait Worker: Send + 'static {
    /// Plays one rollout and learns from it.
    fn rollout(&mut self) -> Result<Report, TrainError>;
}

/// The report of one rollout.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) worker: usize,
    pub(crate) steps: u64,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) metrics: Metrics,
    pub(crate) epsilon: f32,
}

type Message = Result<Report, TrainError>;

/// Workers, and their threads while they run.
pub(crate) struct Workers<W> {
    workers: Vec<Arc<Mutex<W>>>,
    running: Option<Running>,
}

struct Running {
    reports: Option<Receiver<Message>>,
    handles: Vec<JoinHandle<()>>,
}

impl<W: Worker> Workers<W> {
    pub(crate) fn new(workers: Vec<W>) -> Self {
        Self {
            workers: workers.into_iter().map(|worker| Arc::new(Mutex::new(worker))).collect(),
            running: None,
        }
    }

    /// Waits for the next rollout of any worker, of this process or of the `others`. The first call starts the threads.
    pub(crate) fn next(&mut self, others: Option<&Receiver<Report>>) -> Result<Report, TrainError> {
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(Running::start(&self.workers)?),
        };
        let (none, nobody) = (never(), never());
        let message = select! {
            recv(running.reports.as_ref().unwrap_or(&none)) -> message => message,
            recv(others.unwrap_or(&nobody)) -> report => report.map(Ok),
        };
        // A worker that ends says so, so that there is always one more message.
        message.unwrap_or(Err(TrainError::ActorDied { number: 0 }))
    }

    /// Locks all workers between two rollouts, until the guards are dropped.
    pub(crate) fn paused(&self) -> Vec<MutexGuard<'_, W>> {
        self.workers
            .iter()
            // A worker that panicked has ended the run, and what it learned before is in the shared weights.
            .map(|worker| worker.lock().unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    /// Stops the threads, each after its current rollout. The next call of [`next`](Self::next) restarts them.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }
}

impl Running {
    fn start<W: Worker>(workers: &[Arc<Mutex<W>>]) -> Result<Self, TrainError> {
        let (send, reports) = bounded(workers.len());
        let mut running = Self {
            reports: Some(reports),
            handles: Vec::new(),
        };
        for (number, worker) in workers.iter().enumerate() {
            let (worker, farewell) = (
                Arc::clone(worker),
                Farewell {
                    send: send.clone(),
                    number,
                },
            );
            let run = move || {
                // Each thread is one of many; libtorch's own would be one more for each.
                set_torch_threads(1);
                loop {
                    let report = worker.lock().unwrap_or_else(PoisonError::into_inner).rollout();
                    let is_last = report.is_err();
                    let report = report.map_err(|cause| match cause {
                        // The environment of a worker has its number.
                        TrainError::Env(error) => error.of(number).into(),
                        cause => TrainError::Worker {
                            number,
                            cause: Box::new(cause),
                        },
                    });
                    if farewell.send.send(report).is_err() || is_last {
                        return;
                    }
                }
            };
            let handle = thread::Builder::new().name(format!("worker-{number}")).spawn(run);
            running
                .handles
                .push(handle.map_err(|error| EnvError::Other(error.into()))?);
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A thread that sends a report gets an error and ends.
        self.reports = None;
        for handle in self.handles.drain(..) {
            // What a thread died of was sent.
            let _ = handle.join();
        }
    }
}

/// A thread's sender, which reports the thread's death when dropped.
pub(crate) struct Farewell<T> {
    pub(crate) send: Sender<Result<T, TrainError>>,
    pub(crate) number: usize,
}

impl<T> Drop for Farewell<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            let number = self.number;
            let _ = self.send.send(Err(TrainError::ActorDied { number }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its rollouts.
    struct Counts {
        number: usize,
        rollouts: u64,
    }

    impl Worker for Counts {
        fn rollout(&mut self) -> Result<Report, TrainError> {
            self.rollouts += 1;
            Ok(Report {
                worker: self.number,
                steps: self.rollouts,
                episodes: Vec::new(),
                metrics: Metrics::default(),
                epsilon: 0.0,
            })
        }
    }

    #[test]
    fn workers_wait_for_whoever_listens_stop_within_a_rollout_and_start_again() {
        let mut workers = Workers::new((0..3).map(|number| Counts { number, rollouts: 0 }).collect());
        let done = |workers: &Workers<Counts>| workers.paused().iter().map(|worker| worker.rollouts).sum::<u64>();
        let mut heard = [0; 3];
        for taken in 1..=100 {
            let report = workers.next(None).unwrap();
            // Each worker's reports come in their order, and none is lost.
            heard[report.worker] += 1;
            assert_eq!(report.steps, heard[report.worker]);
            // Three reports have room in the channel, and each worker may wait to send another.
            assert!(done(&workers) <= taken + 6, "{} after {taken}", done(&workers));
        }
        workers.stop();
        let stopped = done(&workers);
        assert!((100..=106).contains(&stopped), "{stopped}");
        assert_eq!(done(&workers), stopped);
        workers.next(None).unwrap();
        assert!(done(&workers) > stopped);
    }
}
