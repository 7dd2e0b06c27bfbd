//! The memory: rings of entries, from which batches are gathered.

use coinop_envs::rng::Rng;
use coinop_envs::{End, EnvSpec, Step, memory};
use rand::RngExt;
use rayon::prelude::*;

use super::entry::{Entry, Kind};
use super::frames::{Frames, Store};
use super::group::Opener;
use super::sampler::{Sampled, Sampler};
use super::{Id, ReplayBatch, ReplayConfig};
use crate::network::Observation;
use crate::{AgentError, Checkpoint, CheckpointError, Section, TrainError};

/// The entries and frames of one actor.
struct Ring {
    frames: Frames,
    /// Entry `i` is at `i % entries.len()`.
    entries: Vec<Entry>,
    /// Whether the next entry starts an episode.
    is_first: bool,
}

/// The replay memory.
///
/// ```
/// use coinop_agents::replay::{Replay, ReplayBatch, ReplayConfig, SamplerConfig, Store};
/// use coinop_envs::rng::stream;
/// use coinop_envs::{EnvSpec, Shape, Step};
///
/// let config = ReplayConfig {
///     capacity: 100,
///     store: Store::Raw,
///     n_step: 1,
///     gamma: 0.99,
///     sampler: SamplerConfig::PROPORTIONAL,
/// };
/// let spec = EnvSpec::new(Shape::new(&[2]), 3);
/// let mut replay = Replay::<f32>::new(&config, 1, &spec)?;
/// // Ten steps of actor 0: what it saw, what it did, and what came of it.
/// for t in 0..10 {
///     replay.insert(0, &[t as f32, 0.0], 1, &Step::going_on(1.0), &[0.0; 2])?;
/// }
/// let mut batch = ReplayBatch::new(4, &spec);
/// replay.sample(0.4, &mut stream(1, "replay", 0), &mut batch)?;
/// assert_eq!(batch.actions, [1; 4]);
/// replay.update_priorities(&batch.ids, &[0.5, 0.1, 2.0, 0.0], 1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Replay<O> {
    rings: Vec<Ring>,
    /// Slots per ring: entry `i` of actor `a` has the slot `a * slots + i % slots`.
    slots: usize,
    sampler: Sampler,
    stack: usize,
    n_step: usize,
    gamma: f32,
    frame_len: usize,
    /// The number of transitions that can be sampled.
    sampleable: usize,
    /// Those that became so by the last step that was added.
    fresh: Vec<Id>,
    num_actions: usize,
    /// One per gathering thread.
    openers: Vec<Opener>,
    obs: std::marker::PhantomData<O>,
}

impl<O: Observation> Replay<O> {
    /// Creates an empty memory for `actors` actors in environments with the constants `spec`.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or there is not enough memory.
    pub fn new(config: &ReplayConfig, actors: usize, spec: &EnvSpec) -> Result<Self, TrainError> {
        config.validate(actors, 0)?;
        let stack = spec.stacked_frames;
        config.check_share(actors, stack)?;
        let frame_len = spec.obs_shape.len() / stack;
        let bytes = frame_len * size_of::<O>();
        let of_frames = match config.store {
            Store::Raw => config.capacity as u64 * bytes as u64,
            // An estimate: the exact size is not known before.
            Store::Compressed => config.capacity as u64 * bytes as u64 / 14,
        };
        let what = || format!("a replay memory of {} steps", config.capacity);
        let way_out = "lower capacity, or choose the store `compressed`";
        memory::require(what, of_frames + 40 * config.capacity as u64, way_out)?;
        let capacity = config.capacity / actors;
        let ring = |_| {
            let frames = Frames::new(config.store, capacity, bytes)?;
            Ok(Ring {
                entries: vec![Entry::default(); frames.most()],
                frames,
                is_first: true,
            })
        };
        let rings: Vec<Ring> = (0..actors).map(ring).collect::<Result<_, AgentError>>()?;
        let slots = rings[0].entries.len();
        let openers = (0..rayon::current_num_threads()).map(|_| Opener::new());
        Ok(Self {
            sampler: Sampler::new(config.sampler, slots * actors),
            rings,
            slots,
            stack,
            n_step: config.n_step,
            gamma: config.gamma as f32,
            frame_len,
            sampleable: 0,
            fresh: Vec::new(),
            num_actions: spec.num_actions,
            openers: openers.collect::<Result<_, _>>()?,
            obs: std::marker::PhantomData,
        })
    }

    /// The number of transitions that can be sampled. This excludes the final observations of truncated episodes,
    /// which are stored as well.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sampleable
    }

    /// Whether there is nothing to sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sampleable == 0
    }

    /// The memory used by frames, entries and priorities, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let ring = |ring: &Ring| ring.frames.bytes() + size_of_val(ring.entries.as_slice());
        self.rings.iter().map(ring).sum::<usize>() + self.sampler.bytes()
    }

    /// An actor's entries with complete stacks and returns.
    fn ready(&self, actor: usize) -> std::ops::Range<u64> {
        let frames = &self.rings[actor].frames;
        let end = frames.end().saturating_sub(self.n_step as u64);
        let first = match frames.first() {
            0 => 0,
            first => first + self.stack as u64 - 1,
        };
        first.min(end)..end
    }

    /// Adds a step of an actor: the observation before it, or its newest frame, the action, and the result. `final_obs`
    /// is the final observation if the step ended the episode; it is read only if the episode was truncated.
    ///
    /// # Errors
    ///
    /// If a frame cannot be compressed because memory is exhausted.
    ///
    /// # Panics
    ///
    /// If an observation has the wrong length, or there is no such actor.
    pub fn insert(
        &mut self,
        actor: usize,
        obs: &[O],
        action: u32,
        step: &Step,
        final_obs: &[O],
    ) -> Result<(), AgentError> {
        self.fresh.clear();
        let terminated = step.end == End::Terminated;
        let entry = Entry {
            action,
            reward: step.reward,
            discount: if terminated { 0.0 } else { step.discount },
            kind: if step.end.is_over() { Kind::LastStep } else { Kind::Step },
            is_first: self.rings[actor].is_first,
        };
        self.push(actor, obs, entry)?;
        self.rings[actor].is_first = step.end.is_over();
        if step.end == End::Truncated {
            let entry = Entry {
                kind: Kind::Final,
                ..Entry::default()
            };
            self.push(actor, final_obs, entry)?;
        }
        Ok(())
    }

    /// Sets the priorities of the transitions that the last step completed, from their errors; the last error is of the
    /// last of them. Until then, and where an error is NaN, they have the largest priority so far.
    pub(crate) fn prioritize_fresh(&mut self, errors: &[f32]) {
        for (id, error) in self.fresh.iter().rev().zip(errors.iter().rev()) {
            if error.is_finite() {
                self.sampler.update(self.slot(id.actor as usize, id.entry), *error);
            }
        }
    }

    /// Ends all current episodes, because they will not continue. The last step of each is discarded, as its result
    /// is missing, and the step before it becomes the end of a truncated episode.
    pub fn interrupt(&mut self) {
        self.interrupt_from(0);
    }

    /// Ends those of the actors from `first` on.
    pub fn interrupt_from(&mut self, first: usize) {
        for actor in first..self.rings.len() {
            let end = self.rings[actor].frames.end();
            if self.rings[actor].is_first || end == 0 {
                continue;
            }
            let last = end - 1;
            let starts = self.entry(actor, last).is_first;
            self.entry_mut(actor, last).kind = Kind::Final;
            if !starts && last > self.rings[actor].frames.first() {
                self.entry_mut(actor, last - 1).kind = Kind::LastStep;
            }
            self.rings[actor].is_first = true;
        }
    }

    fn push(&mut self, actor: usize, obs: &[O], entry: Entry) -> Result<(), AgentError> {
        let is_whole = obs.len() == self.frame_len * self.stack || obs.len() == self.frame_len;
        assert!(is_whole, "{} elements of an observation", obs.len());
        let before = self.ready(actor);
        let ring = &mut self.rings[actor];
        let frame = &obs[obs.len() - self.frame_len..];
        let at = (ring.frames.end() % self.slots as u64) as usize;
        ring.frames.push(bytemuck::cast_slice(frame))?;
        let after = self.ready(actor);
        // Before the new entry takes the place of one of these.
        for gone in before.start..after.start.min(before.end) {
            if self.entry(actor, gone).kind != Kind::Final {
                self.sampler.remove(self.slot(actor, gone));
                self.sampleable -= 1;
            }
        }
        self.rings[actor].entries[at] = entry;
        for new in before.end.max(after.start)..after.end {
            if self.entry(actor, new).kind != Kind::Final {
                self.sampler.add(self.slot(actor, new));
                self.sampleable += 1;
                self.fresh.push(Id {
                    actor: actor as u32,
                    entry: new,
                });
            }
        }
        Ok(())
    }

    fn slot(&self, actor: usize, entry: u64) -> usize {
        actor * self.slots + (entry % self.slots as u64) as usize
    }

    fn entry(&self, actor: usize, entry: u64) -> &Entry {
        &self.rings[actor].entries[(entry % self.slots as u64) as usize]
    }

    fn entry_mut(&mut self, actor: usize, entry: u64) -> &mut Entry {
        &mut self.rings[actor].entries[(entry % self.slots as u64) as usize]
    }

    /// The transition in a slot.
    fn id(&self, slot: usize) -> Id {
        let (actor, at) = (slot / self.slots, (slot % self.slots) as u64);
        let (first, slots) = (self.ready(actor).start, self.slots as u64);
        Id {
            actor: actor as u32,
            entry: first + (at + slots - first % slots) % slots,
        }
    }

    /// Samples a batch by priority; `beta` sets how far the importance weights correct for that.
    ///
    /// # Errors
    ///
    /// If frames cannot be decompressed because memory is exhausted.
    ///
    /// # Panics
    ///
    /// If there is nothing to sample: see [`len`](Self::len).
    pub fn sample(&mut self, beta: f64, rng: &mut Rng, batch: &mut ReplayBatch<O>) -> Result<(), AgentError> {
        let n = self.len();
        assert!(n > 0, "a memory that is sampled from has transitions");
        let mut sampled = std::mem::take(&mut batch.sampled);
        self.sampler.sample(rng, |rng| self.any(n, rng), &mut sampled);
        self.sampler.weights(&sampled, n, beta, &mut batch.weights);
        for (id, one) in batch.ids.iter_mut().zip(&sampled) {
            *id = self.id(one.slot);
        }
        batch.sampled = sampled;
        self.gather(batch)
    }

    /// Samples one of all `n` transitions uniformly, rejecting entries without an action.
    fn any(&self, n: usize, rng: &mut Rng) -> Sampled {
        let ready = (0..self.rings.len()).map(|actor| self.ready(actor));
        let ready: u64 = ready.map(|ready| ready.end - ready.start).sum();
        loop {
            let mut at = rng.random_range(0..ready);
            for actor in 0..self.rings.len() {
                let ready = self.ready(actor);
                let len = ready.end - ready.start;
                if at >= len {
                    at -= len;
                    continue;
                }
                let entry = ready.start + at;
                if self.entry(actor, entry).kind != Kind::Final {
                    let probability = 1.0 / n as f64;
                    return Sampled {
                        slot: self.slot(actor, entry),
                        probability,
                    };
                }
                break;
            }
        }
    }

    /// Fills the rows of a batch whose ids are set, using all threads.
    fn gather(&mut self, batch: &mut ReplayBatch<O>) -> Result<(), AgentError> {
        let mut openers = std::mem::take(&mut self.openers);
        let obs_len = self.frame_len * self.stack;
        let share = batch.ids.len().div_ceil(openers.len()).max(MIN_SHARE);
        let this = &*self;
        let result = (
            openers.par_iter_mut(),
            batch.ids.par_chunks(share),
            batch.obs.par_chunks_mut(share * obs_len),
            batch.next_obs.par_chunks_mut(share * obs_len),
            (
                batch.actions.par_chunks_mut(share),
                batch.returns.par_chunks_mut(share),
                batch.discounts.par_chunks_mut(share),
            )
                .into_par_iter(),
        )
            .into_par_iter()
            .try_for_each(|(opener, ids, obs, next_obs, (actions, returns, discounts))| {
                let pictures = obs.chunks_exact_mut(obs_len).zip(next_obs.chunks_exact_mut(obs_len));
                for (i, (id, (obs, next_obs))) in ids.iter().zip(pictures).enumerate() {
                    let row = this.gather_one(*id, obs, next_obs, opener)?;
                    (actions[i], returns[i], discounts[i]) = (i64::from(row.action), row.reward, row.discount);
                }
                Ok(())
            });
        self.openers = openers;
        result
    }

    /// Fills the observations of a transition and returns its action, return and discount.
    fn gather_one(&self, id: Id, obs: &mut [O], next_obs: &mut [O], opener: &mut Opener) -> Result<Entry, AgentError> {
        let actor = id.actor as usize;
        let mut row = *self.entry(actor, id.entry);
        (row.reward, row.discount) = (0.0, 1.0);
        let mut at = id.entry;
        for _ in 0..self.n_step {
            let entry = self.entry(actor, at);
            row.reward += row.discount * entry.reward;
            row.discount *= self.gamma * entry.discount;
            at += 1;
            if entry.kind == Kind::LastStep || row.discount == 0.0 {
                break;
            }
        }
        let frames = &self.rings[actor].frames;
        let stack = self.stack_of(actor, id.entry);
        // Of a return that stops, the next observation does not count: it is any.
        let next = match row.discount {
            0.0 => stack.clone(),
            _ => self.stack_of(actor, at),
        };
        let mut put = |number: u64, frame: &[u8]| {
            let frame = bytemuck::cast_slice(frame);
            self.put(number, frame, &stack, obs);
            self.put(number, frame, &next, next_obs);
        };
        // Most frames are in both, and nothing lies between them unless returns are longer than stacks.
        if next.start <= stack.end {
            frames.visit(stack.start..next.end, opener, put)?;
        } else {
            frames.visit(stack.clone(), opener, &mut put)?;
            frames.visit(next.clone(), opener, &mut put)?;
        }
        Ok(row)
    }

    /// Copies a frame to its places in an observation; if `stack` has too few frames, the first one is repeated.
    fn put(&self, number: u64, frame: &[O], stack: &std::ops::Range<u64>, out: &mut [O]) {
        if !stack.contains(&number) {
            return;
        }
        let row = self.stack - (stack.end - number) as usize;
        let first = if number == stack.start { 0 } else { row };
        for row in out.chunks_exact_mut(self.frame_len).take(row + 1).skip(first) {
            row.copy_from_slice(frame);
        }
    }

    /// The frames of an entry's observation: a full stack, or fewer near the start of an episode.
    fn stack_of(&self, actor: usize, entry: u64) -> std::ops::Range<u64> {
        let mut first = entry;
        while entry + 1 - first < self.stack as u64 && first > 0 && !self.entry(actor, first).is_first {
            first -= 1;
        }
        first..entry + 1
    }

    /// Updates the priorities of transitions from their errors. Ids that are gone are skipped; if an id occurs twice,
    /// the last error counts.
    ///
    /// # Errors
    ///
    /// [`AgentError::NotFinite`] if an error is NaN or infinite, in which case nothing changes; `updates` is part of
    /// the message.
    ///
    /// # Panics
    ///
    /// If `ids` and `errors` differ in length.
    pub fn update_priorities(&mut self, ids: &[Id], errors: &[f32], updates: u64) -> Result<(), AgentError> {
        assert_eq!(ids.len(), errors.len(), "an error for each transition");
        if let Some(value) = crate::policy::not_finite(errors) {
            let what = "the error of a transition";
            return Err(AgentError::NotFinite { what, value, updates });
        }
        for (id, error) in ids.iter().zip(errors) {
            if self.ready(id.actor as usize).contains(&id.entry) {
                self.sampler.update(self.slot(id.actor as usize, id.entry), *error);
            }
        }
        Ok(())
    }
}

/// Saves the complete memory in the layout of its rings, including current episodes. After restoring a memory without
/// its environments, call [`interrupt`](Replay::interrupt).
impl<O: Observation> Checkpoint for Replay<O> {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        for (actor, ring) in self.rings.iter().enumerate() {
            let out = out.section_mut(&format!("actor_{actor}"));
            ring.frames.save(out)?;
            out.put("begins", &ring.is_first)?;
            let used = self.slots.min(ring.frames.end() as usize);
            let entries: Vec<[u32; 4]> = ring.entries[..used].iter().map(|entry| entry.to_numbers()).collect();
            out.put_numbers("entries", &entries)?;
        }
        self.sampler.save(out.section_mut("sampler"))
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        for (actor, ring) in self.rings.iter_mut().enumerate() {
            let from = from.section(&format!("actor_{actor}"))?;
            ring.frames.load(from)?;
            ring.is_first = from.get("begins")?;
            let used = self.slots.min(ring.frames.end() as usize);
            let mut entries = vec![[0; 4]; used];
            from.load_numbers("entries", &mut entries)?;
            for (entry, numbers) in ring.entries.iter_mut().zip(entries) {
                *entry = Entry::of_numbers(numbers)
                    .filter(|entry| (entry.action as usize) < self.num_actions)
                    .ok_or_else(|| CheckpointError::unfit("entries", &"one of them is not a step"))?;
            }
        }
        let mut may_be_sampled = vec![false; self.slots * self.rings.len()];
        for actor in 0..self.rings.len() {
            for entry in self.ready(actor) {
                may_be_sampled[self.slot(actor, entry)] = self.entry(actor, entry).kind != Kind::Final;
            }
        }
        self.sampleable = may_be_sampled.iter().filter(|may| **may).count();
        self.sampler.load(from.section("sampler")?, &may_be_sampled)
    }
}

/// Smaller shares are not worth a thread.
const MIN_SHARE: usize = 8;

#[cfg(test)]
mod tests;
