//! Actors in other processes, after Ape-X (Horgan et al. 2018, arXiv 1803.00933): they only act, and send their
//! transitions, with initial priorities, to the learner in rank 0, which answers with its newest weights.
//!
//! A rank has one chunk under way, and plays the next when that has arrived. Rank 0 takes in as many as its updates
//! keep up with, so that the ratio of updates to steps is the configured one.

use std::collections::VecDeque;
use std::sync::Arc;

use coinop_envs::rng::derive_seed;
use coinop_envs::{End, EnvFactory, EnvSpec, Learned, Step, VecEnv};
use crossbeam::channel::{Receiver, bounded};
use zstd::bulk::{Compressor, decompress};

use super::actors::{Actors, Transitions};
use super::config::DoubleDqnConfig;
use super::threads::Broadcast;
use super::trainer::network;
use crate::algorithm::{Algorithm, RunSettings};
use crate::distributed::{Ranks, Server, Told, tell};
use crate::network::{Observation, QNetwork};
use crate::policy::answers;
use crate::shared::floats;
use crate::times::{Part, Stopwatch, Times};
use crate::{AgentError, Checkpoint, CheckpointError, Metrics, Progress, Resumption, Section, TrainError, Trainer};

/// The steps of each actor in a chunk; Ape-X sends as many (appendix D).
const STEPS: usize = 50;

/// Frames of one game differ little, so that the fastest level is enough.
const LEVEL: i32 = 1;

/// What a rank asks: for weights, with or without a chunk, or to add what its environments have learned.
const CHUNK: u8 = 0;
const LEARNED: u8 = 1;

/// Steps of the actors of another rank.
pub(super) struct Chunk {
    /// The first of its actors.
    first: usize,
    bytes: Vec<u8>,
    /// The number of bytes that were read.
    at: usize,
}

/// The other ranks, as rank 0 sees them.
pub(super) struct Others<O> {
    /// Dropped before the server, which may wait for it.
    pub(super) chunks: Receiver<Chunk>,
    /// The chunk that is being taken in, step by step.
    current: Option<Chunk>,
    /// Its last step: of each observation, the newest frame.
    step: Transitions<O>,
    #[expect(dead_code, reason = "it works until it is dropped")]
    server: Server,
}

impl<O: Observation> Others<O> {
    /// Starts to answer the ranks, whose actors have the seed `seed` and behave as `broadcast` says.
    pub(super) fn serve(
        ranks: &Ranks,
        (config, spec, seed): (&DoubleDqnConfig, &EnvSpec, u64),
        broadcast: Arc<Broadcast>,
        mut told: Told,
    ) -> Result<Self, TrainError> {
        let n = config.num_envs;
        let frame_len = spec.obs_shape.len() / spec.stacked_frames;
        let longest = STEPS * longest_step::<O>(n, frame_len);
        let (send, chunks) = bounded(1);
        let answer = move |rank: usize, question: &[u8]| {
            let question = match question {
                [LEARNED, theirs @ ..] => return told.answer(rank, theirs),
                [_, rest @ ..] => rest,
                [] => return None,
            };
            let (seen, packed) = question.split_first_chunk()?;
            if !packed.is_empty() {
                // A chunk that cannot be opened, or that is no longer wanted, ends its sender.
                let bytes = decompress(packed, longest).ok()?;
                let first = rank * n;
                send.send(Chunk { first, bytes, at: 0 }).ok()?;
            }
            broadcast
                .answer(seed, u64::from_le_bytes(*seen), rank * n..(rank + 1) * n)
                .ok()
        };
        Ok(Self {
            chunks,
            current: None,
            step: Transitions::new(n, frame_len),
            server: Server::start(ranks, answer)?,
        })
    }

    /// Whether there is a chunk to take steps from.
    pub(super) fn has_chunk(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn take(&mut self, chunk: Chunk) {
        self.current = Some(chunk);
    }

    /// The next step of the current chunk and its first actor; `None` if there is no chunk.
    pub(super) fn next(&mut self) -> Result<Option<(usize, &Transitions<O>)>, AgentError> {
        let Some(chunk) = &mut self.current else {
            return Ok(None);
        };
        let first = chunk.first;
        let mut rest = &chunk.bytes[chunk.at..];
        self.step.read(&mut rest).ok_or_else(|| {
            AgentError::Mpi(format!(
                "the steps of the actors from {first} on are not of these environments"
            ))
        })?;
        chunk.at = chunk.bytes.len() - rest.len();
        if rest.is_empty() {
            self.current = None;
        }
        Ok(Some((first, &self.step)))
    }
}

/// The most bytes of a step of `n` actors.
fn longest_step<O>(n: usize, frame_len: usize) -> usize {
    n * (17 + 2 * 4 + 1 + 2 * frame_len * size_of::<O>())
}

/// How a step is sent.
impl<O: Observation> Transitions<O> {
    /// Appends the step, with the newest frame of each observation, and the errors of the transitions that it
    /// completed.
    fn write(&self, frame_len: usize, errors: &[Errors], out: &mut Vec<u8>) {
        out.extend_from_slice(bytemuck::cast_slice(&self.actions));
        for step in &self.results {
            out.extend_from_slice(bytemuck::cast_slice(&[step.reward, step.score, step.discount]));
            out.push(step.end as u8);
        }
        for errors in errors {
            out.push(errors.complete.len() as u8);
            out.extend_from_slice(bytemuck::cast_slice(&errors.complete));
        }
        let obs_len = self.obs.len() / self.len();
        let rows = self.obs.chunks_exact(obs_len).zip(self.final_obs.chunks_exact(obs_len));
        for ((obs, final_obs), step) in rows.zip(&self.results) {
            out.extend_from_slice(bytemuck::cast_slice(&obs[obs_len - frame_len..]));
            if step.end == End::Truncated {
                out.extend_from_slice(bytemuck::cast_slice(&final_obs[obs_len - frame_len..]));
            }
        }
    }

    /// Reads what `write` wrote, into rows of a frame each; `None` if it is something else.
    fn read(&mut self, from: &mut &[u8]) -> Option<()> {
        let n = self.len();
        take(from, bytemuck::cast_slice_mut(&mut self.actions))?;
        for step in &mut self.results {
            let mut numbers = [0.0f32; 3];
            take(from, bytemuck::cast_slice_mut(&mut numbers))?;
            let mut end = [0];
            take(from, &mut end)?;
            let [reward, score, discount] = numbers;
            let end = End::of(end[0])?;
            *step = Step {
                reward,
                score,
                discount,
                end,
            };
        }
        self.errors.resize_with(n, Vec::new);
        for errors in &mut self.errors {
            let mut len = [0];
            take(from, &mut len)?;
            errors.resize(usize::from(len[0]), 0.0);
            take(from, bytemuck::cast_slice_mut(errors))?;
        }
        let frame_len = self.obs.len() / n;
        let rows = self.obs.chunks_exact_mut(frame_len);
        for ((obs, final_obs), step) in rows.zip(self.final_obs.chunks_exact_mut(frame_len)).zip(&self.results) {
            take(from, bytemuck::cast_slice_mut(obs))?;
            if step.end == End::Truncated {
                take(from, bytemuck::cast_slice_mut(final_obs))?;
            }
        }
        Some(())
    }
}

/// Takes bytes from the front.
fn take(from: &mut &[u8], out: &mut [u8]) -> Option<()> {
    let (front, rest) = from.split_at_checked(out.len())?;
    out.copy_from_slice(front);
    *from = rest;
    Some(())
}

/// What an error needs of a step, or of the final observation of a truncated episode.
#[derive(Clone, Copy)]
struct Visit {
    /// The value of the action taken, and the largest value; NaN for random actions.
    taken: f32,
    best: f32,
    reward: f32,
    discount: f32,
    is_last: bool,
    is_final: bool,
}

/// The n-step errors of an actor's transitions, from the values that it acted by.
#[derive(Default)]
struct Errors {
    visits: VecDeque<Visit>,
    /// Those that the last step completed, in the order in which the memory takes the transitions in.
    complete: Vec<f32>,
}

impl Errors {
    /// Adds a visit, which may complete the transition `n_step` visits before.
    fn push(&mut self, visit: Visit, n_step: usize, gamma: f32) {
        self.visits.push_back(visit);
        if self.visits.len() <= n_step {
            return;
        }
        let (mut target, mut discount) = (0.0, 1.0);
        let mut next = 0;
        while next < n_step {
            let visit = &self.visits[next];
            target += discount * visit.reward;
            discount *= gamma * visit.discount;
            next += 1;
            if visit.is_last || discount == 0.0 {
                break;
            }
        }
        if discount != 0.0 {
            target += discount * self.visits[next].best;
        }
        let first = self.visits[0];
        self.visits.pop_front();
        if !first.is_final {
            self.complete.push(target - first.taken);
        }
    }
}

/// The trainer of a rank that only acts. One [`step`](Trainer::step) is one chunk.
pub(super) struct Distant<O: Observation> {
    config: DoubleDqnConfig,
    spec: EnvSpec,
    ranks: Ranks,
    /// What the environments learn.
    learned: Option<Arc<dyn Learned>>,
    /// Until they have a seed.
    env: Option<Box<dyn VecEnv<Obs = O> + Send>>,
    actors: Option<Actors<O>>,
    network: QNetwork,
    /// Whether there are weights to act by.
    has_weights: bool,
    /// The version of the behaviour.
    version: u64,
    epsilons: Vec<f32>,
    transitions: Transitions<O>,
    errors: Vec<Errors>,
    compressor: Compressor<'static>,
    chunk: Vec<u8>,
    values: Vec<f32>,
    steps: u64,
    watch: Stopwatch,
    metrics: Metrics,
}

impl<O: Observation> Distant<O> {
    pub(super) fn new(
        config: &DoubleDqnConfig,
        factory: &dyn EnvFactory<Obs = O>,
        run: &RunSettings,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let (n, spec) = (config.num_envs, factory.spec());
        let first = run.ranks.own(n).start;
        Ok(Self {
            env: Some(factory.make_vec(first, n, run.env_threads)?),
            actors: None,
            network: network(config, &spec, run.seed, run.device)?,
            has_weights: false,
            version: 0,
            epsilons: vec![1.0; n],
            transitions: Transitions::new(n, spec.obs_shape.len()),
            errors: (0..n).map(|_| Errors::default()).collect(),
            compressor: Compressor::new(LEVEL).map_err(AgentError::Compression)?,
            chunk: Vec::new(),
            values: Vec::new(),
            steps: 0,
            watch: Stopwatch::default(),
            metrics: Metrics::default(),
            config: config.clone(),
            ranks: run.ranks.clone(),
            learned: factory.learned(),
            spec,
        })
    }

    /// Sends the chunk, and takes over what the learner says; returns the seed of this rank's actors.
    fn exchange(&mut self) -> Result<Option<u64>, AgentError> {
        let mut question = vec![CHUNK];
        question.extend(self.version.to_le_bytes());
        if !self.chunk.is_empty() {
            question.extend(self.compressor.compress(&self.chunk).map_err(AgentError::Compression)?);
        }
        let ask = || self.ranks.ask(&question);
        let Some(answer) = self.watch.measure(Part::Waiting, ask)? else {
            return Ok(None);
        };
        let read = || {
            let mut rest = answer.as_slice();
            let mut numbers = [0; 16];
            take(&mut rest, &mut numbers)?;
            take(&mut rest, bytemuck::cast_slice_mut(&mut self.epsilons))?;
            let (numbers, _) = numbers.as_chunks::<8>();
            Some((u64::from_le_bytes(numbers[0]), u64::from_le_bytes(numbers[1]), rest))
        };
        let garbled = || AgentError::Mpi("rank 0 sent something else than weights".to_owned());
        let (seed, version, weights) = { read }().ok_or_else(garbled)?;
        if !weights.is_empty() {
            let numbers = floats(weights, weights.len() / 4)?;
            if !self.network.read_numbers(&numbers)? {
                return Err(garbled());
            }
            self.has_weights = true;
        }
        self.version = version;
        Ok(Some(seed))
    }

    /// The errors of the transitions that the last step completed.
    fn note_errors(&mut self) -> Result<(), AgentError> {
        let (n_step, gamma) = (self.config.n_step, self.config.gamma as f32);
        let obs_len = self.spec.obs_shape.len();
        let num_actions = self.spec.num_actions;
        let values = self.actors.as_ref().map_or(&[][..], Actors::values);
        let largest = |values: &[f32]| values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (i, errors) in self.errors.iter_mut().enumerate() {
            errors.complete.clear();
            let (step, action) = (&self.transitions.results[i], self.transitions.actions[i] as usize);
            let own = values.get(i * num_actions..(i + 1) * num_actions);
            let own = own.filter(|_| self.has_weights);
            let visit = Visit {
                taken: own.map_or(f32::NAN, |values| values[action]),
                best: own.map_or(f32::NAN, largest),
                reward: step.reward,
                discount: if step.end == End::Terminated {
                    0.0
                } else {
                    step.discount
                },
                is_last: step.end.is_over(),
                is_final: false,
            };
            errors.push(visit, n_step, gamma);
            if step.end == End::Truncated {
                let mut best = f32::NAN;
                if self.has_weights {
                    let final_obs = &self.transitions.final_obs[i * obs_len..(i + 1) * obs_len];
                    let values = self.network.infer(&self.network.body().input(final_obs)?)?;
                    answers(&values, "the value of an action", &mut self.values)?;
                    best = largest(&self.values);
                }
                let visit = Visit {
                    taken: f32::NAN,
                    best,
                    reward: 0.0,
                    discount: 1.0,
                    is_last: false,
                    is_final: true,
                };
                errors.push(visit, n_step, gamma);
            }
        }
        Ok(())
    }
}

impl<O: Observation> Trainer for Distant<O> {
    fn resumption(&self) -> Resumption {
        Resumption::NewEpisodes
    }

    fn times(&self) -> Times {
        self.watch.times(1)
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        let n = self.config.num_envs;
        if let Some(env) = self.env.take()
            && let Some(seed) = self.exchange()?
        {
            tell(self.learned.as_ref(), &self.ranks, LEARNED)?;
            let first = self.ranks.own(n).start;
            let mut actors = Actors::new(env, first, seed);
            actors.begin(derive_seed(seed, "actors", first as u64))?;
            self.actors = Some(actors);
        }
        self.chunk.clear();
        let frame_len = self.spec.obs_shape.len() / self.spec.stacked_frames;
        for _ in 0..STEPS {
            let Some(actors) = &mut self.actors else { break };
            let network = self.has_weights.then_some(&mut self.network);
            actors.step(&self.watch, network, &self.epsilons, &mut self.transitions)?;
            self.note_errors()?;
            self.transitions.write(frame_len, &self.errors, &mut self.chunk);
            self.steps += n as u64;
        }
        self.exchange()?;
        tell(self.learned.as_ref(), &self.ranks, LEARNED)?;
        Ok(Progress {
            frames: self.steps * u64::from(self.spec.frames_per_step),
            steps: self.steps,
            updates: 0,
            episodes: &[],
            metrics: &self.metrics,
            epsilons: &self.epsilons,
        })
    }
}

/// Rank 0 has all that is saved.
impl<O: Observation> Checkpoint for Distant<O> {
    fn save(&self, _out: &mut Section) -> Result<(), CheckpointError> {
        Ok(())
    }

    fn load(&mut self, _from: &Section) -> Result<(), CheckpointError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(taken: f32, best: f32, reward: f32, end: End) -> Visit {
        Visit {
            taken,
            best,
            reward,
            discount: if end == End::Terminated { 0.0 } else { 1.0 },
            is_last: end.is_over(),
            is_final: false,
        }
    }

    #[test]
    fn errors_are_of_n_steps_and_stop_where_an_episode_does() {
        let mut errors = Errors::default();
        let mut push = |visit| {
            errors.complete.clear();
            errors.push(visit, 2, 0.5);
            errors.complete.clone()
        };
        assert!(push(visit(1.0, 2.0, 8.0, End::No)).is_empty());
        assert!(push(visit(3.0, 4.0, 16.0, End::No)).is_empty());
        // 8 + 0.5·16 + 0.25·12 - 1
        assert_eq!(push(visit(5.0, 12.0, 32.0, End::Terminated)), [18.0]);
        // 16 + 0.5·32 - 3: what follows the end does not count.
        assert_eq!(push(visit(0.0, 100.0, 1.0, End::Truncated)), [29.0]);
        let last = Visit {
            is_final: true,
            ..visit(f32::NAN, 6.0, 0.0, End::No)
        };
        // 32 - 5
        assert_eq!(push(last), [27.0]);
        // 1 + 0.5·6 - 0: the value of the final observation.
        assert_eq!(push(visit(1.0, 1.0, 1.0, End::No)), [4.0]);
        // Of the final observation itself, there is none.
        assert!(push(visit(1.0, 1.0, 1.0, End::No)).is_empty());
    }

    #[test]
    fn a_step_arrives_as_it_was_sent() {
        let mut sent = Transitions::<u8>::new(2, 6);
        sent.obs = (0..12).collect();
        sent.final_obs = (20..32).collect();
        sent.actions = vec![3, 1];
        sent.results = vec![
            Step::going_on(0.5),
            Step {
                end: End::Truncated,
                ..Step::going_on(-1.0)
            },
        ];
        let errors = [vec![], vec![1.5, -2.0]].map(|complete| Errors {
            complete,
            ..Errors::default()
        });
        let mut bytes = Vec::new();
        sent.write(2, &errors, &mut bytes);
        assert!(bytes.len() <= longest_step::<u8>(2, 2));
        let mut received = Transitions::<u8>::new(2, 2);
        let mut rest = bytes.as_slice();
        received.read(&mut rest).unwrap();
        assert!(rest.is_empty());
        // The newest frames; a final one only of the truncated episode.
        assert_eq!(received.obs, [4, 5, 10, 11]);
        assert_eq!(received.final_obs, [0, 0, 30, 31]);
        assert_eq!((&received.actions, &received.results), (&sent.actions, &sent.results));
        assert_eq!(received.errors, [vec![], vec![1.5, -2.0]]);
        for len in 0..bytes.len() {
            assert!(received.read(&mut &bytes[..len]).is_none(), "{len} bytes");
        }
    }
}
