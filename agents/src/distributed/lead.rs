//! One rank leads and the others follow: the run loop belongs to rank 0, and what its trainer does, all do.
//!
//! ```text
//! rank 0   run loop ── step, save, load ──► Leader ──► its trainer
//!                                             │ the same word to all
//! rank 1                                  follow() ──► its trainer
//! ```

use std::fs;
use std::path::Path;

use super::Ranks;
use super::serve::answer_all;
use crate::checkpoint::io;
use crate::times::Times;
use crate::trainer::{Episode, Progress, Resumption, Trainer};
use crate::{AgentError, Checkpoint, CheckpointError, Section, TrainError, checkpoint};

/// The number of ranks that saved a trainer.
///
/// # Errors
///
/// If the section is damaged.
pub fn saved_by(trainer: &Section) -> Result<usize, CheckpointError> {
    if !trainer.has_section(SECTION) {
        return Ok(1);
    }
    trainer.section(SECTION)?.get("size")
}

/// What rank 0 says before each thing that all do.
const STEP: u8 = 1;
const SAVE: u8 = 2;
const LOAD: u8 = 3;
const LOAD_WEIGHTS: u8 = 4;
const RENEW: u8 = 5;
const END: u8 = 6;

/// The parts of the other ranks in a checkpoint.
const SECTION: &str = "ranks";

/// The trainer of rank 0, which makes those of the other ranks do what it does. Its episodes are those of all ranks, and its
/// checkpoints have the parts of all.
pub struct Leader {
    inner: Box<dyn Trainer>,
    ranks: Ranks,
    episodes: Vec<Episode>,
    /// The actors of one rank.
    actors: usize,
}

impl Leader {
    /// The trainer of rank 0; the other ranks must [`follow`]. Each has `actors` actors.
    #[must_use]
    pub fn new(inner: Box<dyn Trainer>, ranks: Ranks, actors: usize) -> Self {
        Self {
            inner,
            ranks,
            episodes: Vec::new(),
            actors,
        }
    }

    fn say(&self, word: u8) -> Result<(), AgentError> {
        self.ranks.broadcast(&[word]).map(|_| ())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // The others end with it. When MPI is lost, so are they.
        let _ = self.say(END);
    }
}

/// Does what rank 0 does, until it ends.
///
/// # Errors
///
/// Those of the trainer, and if rank 0 cannot be reached.
pub fn follow(trainer: &mut dyn Trainer, ranks: &Ranks) -> Result<(), TrainError> {
    loop {
        match ranks.broadcast(&[])?.first() {
            Some(&STEP) => {
                let episodes = encoded(trainer.step()?.episodes);
                ranks.gather(&episodes)?;
            }
            Some(&SAVE) => {
                let part = packed(|section| trainer.save(section));
                // Rank 0 must not wait for a part that could not be written.
                ranks.ask(part.as_deref().unwrap_or_default())?;
                part?;
            }
            Some(word @ (&LOAD | &RENEW)) => {
                let part = ranks.ask(&[])?.unwrap_or_default();
                unpacked(&part, |section| trainer.load(section))?;
                if *word == RENEW {
                    trainer.renew()?;
                }
            }
            Some(&LOAD_WEIGHTS) => {
                let part = ranks.broadcast(&[])?;
                unpacked(&part, |section| trainer.load_weights(section))?;
            }
            _ => return Ok(()),
        }
    }
}

impl Trainer for Leader {
    fn resumption(&self) -> Resumption {
        self.inner.resumption()
    }

    fn times(&self) -> Times {
        self.inner.times()
    }

    fn load_weights(&mut self, from: &Section) -> Result<(), TrainError> {
        self.inner.load_weights(from)?;
        // Of this trainer, which has them now: what they came from may be on this machine alone.
        let part = packed(|section| self.inner.save(section))?;
        self.say(LOAD_WEIGHTS)?;
        self.ranks.broadcast(&part)?;
        Ok(())
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        self.say(STEP)?;
        let progress = self.inner.step()?;
        let all = self.ranks.gather(&encoded(progress.episodes))?;
        self.episodes.clear();
        for (rank, bytes) in all.iter().enumerate() {
            self.episodes.extend(decoded(bytes).map(|episode| Episode {
                actor: rank * self.actors + episode.actor,
                ..episode
            }));
        }
        Ok(Progress {
            episodes: &self.episodes,
            ..progress
        })
    }
}

impl Checkpoint for Leader {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        self.inner.save(out)?;
        self.say(SAVE).map_err(lost)?;
        let mut parts = vec![Vec::new(); self.ranks.size()];
        answer_all(&self.ranks, |rank, part| {
            parts[rank] = part;
            Vec::new()
        })
        .map_err(lost)?;
        let section = out.section_mut(SECTION);
        section.put("size", &self.ranks.size())?;
        for (rank, part) in parts.iter().enumerate().skip(1) {
            if part.is_empty() {
                return Err(CheckpointError::unfit(
                    SECTION,
                    &format!("rank {rank} could not write its part: see its error"),
                ));
            }
            section.put_bytes(&rank.to_string(), [part.as_slice()])?;
        }
        Ok(())
    }

    /// If another number of ranks saved it, each takes the part of the rank whose number is the remainder, and begins
    /// new episodes.
    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let saved = saved_by(from)?;
        self.inner.load(from)?;
        // For ranks that take the part of rank 0.
        let first = match saved < self.ranks.size() {
            true => packed(|section| self.inner.save(section))?,
            false => Vec::new(),
        };
        let mut parts = vec![first];
        if saved > 1 {
            let saved_parts = from.section(SECTION)?;
            let part = |rank: usize| saved_parts.bytes(&rank.to_string());
            for rank in 1..saved {
                parts.push(part(rank)?);
            }
        }
        let is_renewed = saved != self.ranks.size();
        self.say(if is_renewed { RENEW } else { LOAD }).map_err(lost)?;
        answer_all(&self.ranks, |rank, _| parts[rank % saved].clone()).map_err(lost)?;
        if is_renewed {
            self.inner
                .renew()
                .map_err(|error| CheckpointError::unfit(SECTION, &error))?;
        }
        Ok(())
    }
}

/// The error of a checkpoint that is not whole because a rank cannot be reached.
fn lost(error: AgentError) -> CheckpointError {
    CheckpointError::unfit(SECTION, &error)
}

/// Episodes as bytes: actor, score and steps, eight bytes each.
fn encoded(episodes: &[Episode]) -> Vec<u8> {
    let one = |episode: &Episode| {
        let words = [
            (episode.actor as u64).to_le_bytes(),
            episode.score.to_bits().to_le_bytes(),
            episode.steps.to_le_bytes(),
        ];
        words.into_iter().flatten()
    };
    episodes.iter().flat_map(one).collect()
}

fn decoded(bytes: &[u8]) -> impl Iterator<Item = Episode> + '_ {
    let words = |bytes: &[u8; 24]| {
        let word = |i: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
            u64::from_le_bytes(word)
        };
        Episode {
            actor: word(0) as usize,
            score: f64::from_bits(word(1)),
            steps: word(2),
        }
    };
    bytes.as_chunks::<24>().0.iter().map(words)
}

/// A checkpoint as one string of bytes: the name, the length and the contents of each of its files.
fn packed(save: impl FnOnce(&mut Section) -> Result<(), CheckpointError>) -> Result<Vec<u8>, CheckpointError> {
    let folder = scratch()?;
    let path = folder.path().join("part");
    checkpoint::write(&path, save)?;
    let failed = io("can't read", &path);
    let mut bytes = Vec::new();
    for entry in fs::read_dir(&path).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let contents = fs::read(entry.path()).map_err(&failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend((contents.len() as u64).to_le_bytes());
        bytes.extend(contents);
    }
    Ok(bytes)
}

/// Passes the checkpoint of [`packed`] bytes on. Its byte strings are in files, which are there as long.
fn unpacked<E: From<CheckpointError>>(bytes: &[u8], load: impl FnOnce(&Section) -> Result<(), E>) -> Result<(), E> {
    let folder = scratch()?;
    let path = folder.path().join("part");
    write_files(bytes, &path)?;
    load(&checkpoint::read(&path)?)
}

fn write_files(bytes: &[u8], path: &Path) -> Result<(), CheckpointError> {
    let damaged = || CheckpointError::unfit(SECTION, &"a part is cut off");
    fs::create_dir(path).map_err(io("can't create", path))?;
    let mut rest = bytes;
    let mut piece = || -> Result<Option<&[u8]>, CheckpointError> {
        if rest.is_empty() {
            return Ok(None);
        }
        let (length, after) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
        let piece = after.get(..length).ok_or_else(damaged)?;
        rest = &after[length..];
        Ok(Some(piece))
    };
    while let Some(name) = piece()? {
        let contents = piece()?.ok_or_else(damaged)?;
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.contains(['/', '\\']));
        let file = path.join(name.ok_or_else(damaged)?);
        fs::write(&file, contents).map_err(io("can't write", &file))?;
    }
    Ok(())
}

fn scratch() -> Result<tempfile::TempDir, CheckpointError> {
    tempfile::tempdir().map_err(io("can't write into", &std::env::temp_dir()))
}
