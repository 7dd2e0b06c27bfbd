//! Rank 0 answers the others in a thread of its own, so that they never wait for an update of its learner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coinop_envs::EnvError;

use super::Ranks;
use crate::trainer::Trainer;
use crate::{AgentError, TrainError};

/// The last byte of an answer.
const GO_ON: u8 = 1;
const END: u8 = 0;

/// The pause before rank 0 looks again whether it was asked: far shorter than an answer's way through a network.
const PAUSE: Duration = Duration::from_micros(50);

/// The answer, or `None` if it says that rank 0 has ended.
pub(super) fn opened(mut answer: Vec<u8>) -> Option<Vec<u8>> {
    (answer.pop() == Some(GO_ON)).then_some(answer)
}

/// The thread in which rank 0 answers. When this is dropped, it ends after it has told every other rank to end.
#[derive(Debug)]
pub(crate) struct Server {
    is_ending: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to answer by `answer`, which is given the rank that asks, and its question; `None` tells it to end.
    pub(crate) fn start(
        ranks: &Ranks,
        answer: impl FnMut(usize, &[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) -> Result<Self, TrainError> {
        let is_ending = Arc::new(AtomicBool::new(false));
        let (ranks, ending) = (ranks.clone(), Arc::clone(&is_ending));
        let run = move || {
            if serve(&ranks, &ending, answer).is_err() {
                // The others can't be reached, and would wait for ever.
                ranks.abort();
            }
        };
        let handle = thread::Builder::new().name("ranks".to_owned()).spawn(run);
        Ok(Self {
            is_ending,
            handle: Some(handle.map_err(|error| EnvError::Other(error.into()))?),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        if let Some(handle) = self.handle.take() {
            // It does not panic unless the library does, and then nothing is left to receive the error.
            let _ = handle.join();
        }
    }
}

fn serve(
    ranks: &Ranks,
    is_ending: &AtomicBool,
    mut answer: impl FnMut(usize, &[u8]) -> Option<Vec<u8>>,
) -> Result<(), AgentError> {
    let mut playing = ranks.size() - 1;
    while playing > 0 {
        let was_asked = ranks.group.answer(&mut |rank, question| {
            let continues = !is_ending.load(Ordering::Acquire);
            match continues.then(|| answer(rank, &question)).flatten() {
                Some(mut bytes) => {
                    bytes.push(GO_ON);
                    bytes
                }
                None => {
                    playing -= 1;
                    vec![END]
                }
            }
        })?;
        if !was_asked {
            thread::park_timeout(PAUSE);
        }
    }
    Ok(())
}

/// Answers each of the other ranks once by `answer`, which is given the rank and its question.
pub(super) fn answer_all(ranks: &Ranks, mut answer: impl FnMut(usize, Vec<u8>) -> Vec<u8>) -> Result<(), AgentError> {
    let mut left = ranks.size() - 1;
    while left > 0 {
        let was_asked = ranks.group.answer(&mut |rank, question| {
            let mut bytes = answer(rank, question);
            bytes.push(GO_ON);
            bytes
        })?;
        if was_asked {
            left -= 1;
        } else {
            thread::park_timeout(PAUSE);
        }
    }
    Ok(())
}

/// Steps a trainer of another rank until rank 0 has ended.
///
/// # Errors
///
/// Those of the trainer, and if rank 0 cannot be reached.
pub fn assist(trainer: &mut dyn Trainer, ranks: &Ranks) -> Result<(), TrainError> {
    while !ranks.has_ended() {
        trainer.step()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Threads;
    use super::*;

    #[test]
    fn every_rank_hears_its_answers_and_then_the_end() {
        let mut ranks = Threads::of(3).into_iter().map(Ranks::new);
        let first = ranks.next().unwrap();
        thread::scope(|scope| {
            let ask = |ranks: Ranks| {
                move || {
                    let mut answers = Vec::new();
                    while let Some(answer) = ranks.ask(&[answers.len() as u8]).unwrap() {
                        answers.push(answer);
                    }
                    // It asks no more.
                    assert!(ranks.has_ended() && ranks.ask(&[]).unwrap().is_none());
                    answers
                }
            };
            let others: Vec<_> = ranks.map(|ranks| scope.spawn(ask(ranks))).collect();
            let (heard, hear) = crossbeam::channel::unbounded();
            let server = Server::start(&first, move |rank, question| {
                let _ = heard.send(());
                Some(vec![rank as u8, question[0]])
            });
            (0..50).for_each(|_| hear.recv().unwrap());
            drop(server.unwrap());
            for (other, rank) in others.into_iter().zip(1..) {
                let answers = other.join().unwrap();
                for (i, answer) in answers.iter().enumerate() {
                    assert_eq!(*answer, [rank, i as u8]);
                }
            }
        });
    }
}
