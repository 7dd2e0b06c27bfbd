//! A set of games that are stepped by a pool of threads, all at once or as they become ready.

use crossbeam::channel::{Receiver, Sender, unbounded};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use coinop_envs::EnvError;

use crate::player::{Outcome, Player};

/// When an episode that has ended is followed by the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Autoreset {
    /// In the next step, whose action does not count.
    NextStep,
    /// In the same step, whose observation is the next episode's first.
    SameStep,
    /// Never: the caller resets it.
    Disabled,
}

/// What to do with a game.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Reset(Option<i32>),
    Step(usize),
}

/// A game, and what it did last.
pub(crate) struct Seat {
    pub(crate) number: usize,
    pub(crate) player: Player,
    pub(crate) outcome: Outcome,
    /// The last observation of an episode that ended in this step, if the next one has begun.
    pub(crate) final_obs: Option<Vec<u8>>,
    pub(crate) error: Option<EnvError>,
}

impl Seat {
    fn run(&mut self, task: Task, autoreset: Autoreset) {
        self.error = None;
        self.final_obs = None;
        let done = match task {
            Task::Reset(seed) => self.player.reset(seed),
            Task::Step(_) if self.player.is_over() => match autoreset {
                Autoreset::NextStep => self.player.reset(None),
                Autoreset::SameStep | Autoreset::Disabled => Err(EnvError::ResetNeeded),
            },
            Task::Step(action) => {
                let outcome = self.player.step(action);
                if autoreset == Autoreset::SameStep && outcome.is_over() && self.player.is_over() {
                    self.final_obs = Some(self.player.obs().to_vec());
                    self.player.reset(None).map(|begun| Outcome {
                        reward: outcome.reward,
                        terminated: outcome.terminated,
                        truncated: outcome.truncated,
                        ..begun
                    })
                } else {
                    Ok(outcome)
                }
            }
        };
        match done {
            Ok(outcome) => self.outcome = outcome,
            Err(error) => self.error = Some(error),
        }
    }
}

/// The threads, of the process that started them.
struct Crew {
    pool: ThreadPool,
    process: u32,
    done: (Sender<Box<Seat>>, Receiver<Box<Seat>>),
}

impl Crew {
    fn start(threads: usize) -> Result<Self, EnvError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("atari-{i}"))
            .build()
            .map_err(|error| EnvError::Other(error.into()))?;
        Ok(Self {
            pool,
            process: std::process::id(),
            done: unbounded(),
        })
    }
}

/// The games. Those that are under way are with the threads.
pub(crate) struct Set {
    seats: Vec<Option<Box<Seat>>>,
    crew: Option<Crew>,
    threads: usize,
    pub(crate) autoreset: Autoreset,
}

impl Set {
    pub(crate) fn new(players: Vec<Player>, threads: usize, autoreset: Autoreset) -> Self {
        let seat = |(number, player)| {
            Some(Box::new(Seat {
                number,
                player,
                outcome: Outcome::default(),
                final_obs: None,
                error: None,
            }))
        };
        Self {
            seats: players.into_iter().enumerate().map(seat).collect(),
            crew: None,
            threads,
            autoreset,
        }
    }

    /// The threads. A process that was forked has none of its parent's, and starts its own.
    fn crew(&mut self) -> Result<&Crew, EnvError> {
        if let Some(crew) = self.crew.take_if(|crew| crew.process != std::process::id()) {
            // Its threads are in another process: waiting for them would never end.
            std::mem::forget(crew);
        }
        match &mut self.crew {
            Some(crew) => Ok(crew),
            none => Ok(none.insert(Crew::start(self.threads)?)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// A game that is not under way.
    pub(crate) fn seat(&self, number: usize) -> Option<&Seat> {
        self.seats[number].as_deref()
    }

    pub(crate) fn seat_mut(&mut self, number: usize) -> Option<&mut Seat> {
        self.seats[number].as_deref_mut()
    }

    /// Whether all games are here.
    pub(crate) fn is_complete(&self) -> bool {
        self.seats.iter().all(Option::is_some)
    }

    /// Performs a task in every game, with each observation into a row of `obs`. All games must be here.
    pub(crate) fn run_all(&mut self, tasks: &[Option<Task>], obs: &mut [u8]) -> Result<(), EnvError> {
        self.crew()?;
        let (Some(crew), autoreset) = (&self.crew, self.autoreset) else {
            return Ok(());
        };
        let row = obs.len() / self.seats.len();
        let seats = self.seats.par_iter_mut().zip(tasks).zip(obs.par_chunks_exact_mut(row));
        crew.pool.install(|| {
            seats.for_each(|((seat, task), obs)| {
                if let Some(seat) = seat {
                    if let Some(task) = task {
                        seat.run(*task, autoreset);
                    }
                    obs.copy_from_slice(seat.player.obs());
                }
            });
        });
        self.seats
            .iter_mut()
            .flatten()
            .find_map(|seat| Some(Err(seat.error.take()?.of(seat.number))))
            .unwrap_or(Ok(()))
    }

    /// Starts tasks of games that are here.
    pub(crate) fn send(&mut self, tasks: impl Iterator<Item = (usize, Task)>) -> Result<(), EnvError> {
        self.crew()?;
        let autoreset = self.autoreset;
        for (number, task) in tasks {
            if let (Some(crew), Some(mut seat)) = (&self.crew, self.seats[number].take()) {
                let done = crew.done.0.clone();
                crew.pool.spawn(move || {
                    seat.run(task, autoreset);
                    // Whoever waits for it has the other end.
                    let _ = done.send(seat);
                });
            }
        }
        Ok(())
    }

    /// Waits for the next game that becomes ready; returns its number. `None` if none is under way.
    pub(crate) fn receive(&mut self) -> Result<Option<usize>, EnvError> {
        if self.is_complete() {
            return Ok(None);
        }
        let seat = {
            let process = self.crew.as_ref().map(|crew| crew.process);
            if process != Some(std::process::id()) {
                let text = "these games were under way when the process was forked; reset them";
                return Err(EnvError::BadSetting(text.to_owned()));
            }
            self.crew()?.done.1.recv()
        };
        let Ok(mut seat) = seat else { return Ok(None) };
        let (number, error) = (seat.number, seat.error.take());
        self.seats[number] = Some(seat);
        match error {
            Some(error) => Err(error.of(number)),
            None => Ok(Some(number)),
        }
    }
}
