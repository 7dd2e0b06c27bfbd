//! What the environments of all ranks learn, such as the statistics by which observations are normalised.

use std::sync::Arc;

use coinop_envs::Learned;

use super::Ranks;
use crate::under_way;
use crate::{CheckpointError, Section, TrainError};

/// Where a checkpoint has what all had learned when they last joined.
const SECTION: &str = "jointly_learned";
const BEFORE: &str = "before";

/// What the environments of this rank learn, and of the others when the ranks [`join`](Self::join).
pub(crate) struct JointlyLearned {
    learned: Option<Arc<dyn Learned>>,
    ranks: Ranks,
    /// What all had learned when they last joined.
    before: Vec<u8>,
}

impl JointlyLearned {
    pub(crate) fn new(learned: Option<Arc<dyn Learned>>, ranks: &Ranks) -> Self {
        let mut new = Self {
            learned,
            ranks: ranks.clone(),
            before: Vec::new(),
        };
        new.begin();
        new
    }

    fn begin(&mut self) {
        if let Some(learned) = &self.learned
            && !self.ranks.is_alone()
        {
            self.before = learned.save();
        }
    }

    /// Makes what was learned in any rank known to all. Every rank calls this.
    pub(crate) fn join(&mut self) -> Result<(), TrainError> {
        if let Some(learned) = &self.learned
            && !self.ranks.is_alone()
        {
            let all = self.ranks.gather(&learned.save())?;
            learned.load(&self.before)?;
            for one in &all {
                learned.add(&self.before, one)?;
            }
            self.begin();
        }
        Ok(())
    }

    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        under_way::save_learned(self.learned.as_ref(), out)?;
        // What was learned since is not known to the others yet.
        if !self.before.is_empty() {
            out.section_mut(SECTION).put_bytes(BEFORE, [self.before.as_slice()])?;
        }
        Ok(())
    }

    pub(crate) fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.take(from)?;
        if !self.before.is_empty() && from.has_section(SECTION) {
            self.before = from.section(SECTION)?.bytes(BEFORE)?;
        }
        Ok(())
    }

    /// Takes over what the environments of another run had learned.
    pub(crate) fn take(&mut self, from: &Section) -> Result<(), CheckpointError> {
        under_way::load_learned(self.learned.as_ref(), from)?;
        self.begin();
        Ok(())
    }
}

/// What rank 0 has told each other rank of what environments have learned, for asynchronous algorithms.
pub(crate) struct Told {
    learned: Option<Arc<dyn Learned>>,
    ranks: Vec<Option<Vec<u8>>>,
}

impl Told {
    pub(crate) fn new(learned: Option<Arc<dyn Learned>>, ranks: &Ranks) -> Self {
        Self {
            learned,
            ranks: vec![None; ranks.size()],
        }
    }

    /// Adds what `rank` has learned, which has the state `theirs`, and returns what all have; `None` if it cannot be
    /// added.
    pub(crate) fn answer(&mut self, rank: usize, theirs: &[u8]) -> Option<Vec<u8>> {
        let learned = self.learned.as_ref()?;
        let told = self.ranks.get_mut(rank)?;
        // A rank that says something for the first time has learned nothing yet.
        if let Some(before) = told {
            learned.add(before, theirs).ok()?;
        }
        Some(told.insert(learned.save()).clone())
    }
}

/// Tells rank 0, by a question that begins with the byte `kind`, what environments of this rank have learned, and takes
/// over what those of all ranks have.
pub(crate) fn tell(learned: Option<&Arc<dyn Learned>>, ranks: &Ranks, kind: u8) -> Result<(), TrainError> {
    let Some(learned) = learned else { return Ok(()) };
    let mut question = vec![kind];
    let said = learned.save();
    question.extend_from_slice(&said);
    if let Some(all) = ranks.ask(&question)? {
        // Environments in other threads may have learned something meanwhile.
        let now = learned.save();
        learned.load(&all)?;
        learned.add(&said, &now)?;
    }
    Ok(())
}
