//! Environments in checkpoints: their snapshots and observations, so that a resumed run continues its episodes, and what they
//! have learned.

use std::sync::Arc;

use coinop_envs::rng::derive_seed;
use coinop_envs::{EnvError, Learned};
use tch::{Kind, Tensor};

use crate::network::Observation;
use crate::rollout::Rollout;
use crate::{Checkpoint, CheckpointError, Episodes, Section};

const SECTION: &str = "envs";
const OBS: &str = "obs";
const LEARNED: &str = "learned_by_envs";

/// Saves the environments' snapshots and next observations, one row each; saves nothing if there are no snapshots.
pub(crate) fn save<O: Observation>(
    snapshots: Option<&[Vec<u8>]>,
    obs: &[O],
    out: &mut Section,
) -> Result<(), CheckpointError> {
    let Some(snapshots) = snapshots else { return Ok(()) };
    let out = out.section_mut(SECTION);
    out.put_numbers(OBS, obs)?;
    for (i, snapshot) in snapshots.iter().enumerate() {
        out.put_bytes(&name(i), [snapshot.as_slice()])?;
    }
    Ok(())
}

/// Loads the snapshots of `n` environments and their observations into `obs`. `None` if they were not saved, so new
/// episodes start.
pub(crate) fn load<O: Observation>(
    n: usize,
    obs: &mut [O],
    from: &Section,
) -> Result<Option<Vec<Vec<u8>>>, CheckpointError> {
    if !from.has_section(SECTION) {
        return Ok(None);
    }
    let from = from.section(SECTION)?;
    from.load_numbers(OBS, obs)?;
    (0..n).map(|i| from.bytes(&name(i))).collect::<Result<_, _>>().map(Some)
}

/// Saves the current episodes of the environments of a rollout: their snapshots, next observations and scores so far.
/// Saves nothing if there are no snapshots.
pub(crate) fn save_rollout<O: Observation>(
    snapshots: Option<&[Vec<u8>]>,
    rollout: &Rollout<O>,
    episodes: &Episodes,
    out: &mut Section,
) -> Result<(), CheckpointError> {
    if snapshots.is_none() {
        return Ok(());
    }
    let last = rollout.steps();
    out.put("begins", &rollout.is_first(last))?;
    episodes.save(out.section_mut("episodes"))?;
    save(snapshots, rollout.obs(last), out)
}

/// Loads them into the environments by `restore`. `false` if they were not saved, so new episodes start.
pub(crate) fn load_rollout<O: Observation>(
    rollout: &mut Rollout<O>,
    episodes: &mut Episodes,
    from: &Section,
    restore: impl FnOnce(&[Vec<u8>]) -> Result<(), EnvError>,
) -> Result<bool, CheckpointError> {
    let num_envs = rollout.num_envs();
    let (obs, is_first) = rollout.following();
    let Some(snapshots) = load(num_envs, obs, from)? else {
        episodes.interrupt();
        return Ok(false);
    };
    restore(&snapshots).map_err(unfit)?;
    is_first.copy_from_slice(&from.get_vec::<bool>("begins", is_first.len())?);
    episodes.load(from.section("episodes")?)?;
    Ok(true)
}

/// The seed of the episodes that start when a run of `seed` is resumed after `steps` steps without its current ones:
/// other episodes than those of the run's beginning, unless it is the beginning.
pub(crate) fn resumed_seed(seed: u64, steps: u64) -> u64 {
    if steps == 0 {
        seed
    } else {
        derive_seed(seed, "resumed", steps)
    }
}

fn name(i: usize) -> String {
    format!("env_{i}")
}

/// Saves what environments have learned, if they learn.
///
/// It is a tensor, so that it stays when a checkpoint is [stripped](crate::checkpoint::strip): an evaluation needs it.
pub(crate) fn save_learned(learned: Option<&Arc<dyn Learned>>, out: &mut Section) -> Result<(), CheckpointError> {
    let Some(learned) = learned else { return Ok(()) };
    out.put_tensor(LEARNED, &Tensor::from_slice(&learned.save()))
}

/// Loads it, if it was saved.
pub(crate) fn load_learned(learned: Option<&Arc<dyn Learned>>, from: &Section) -> Result<(), CheckpointError> {
    let Some(learned) = learned else { return Ok(()) };
    match learned_by_envs(from)? {
        Some(saved) => learned.load(&saved).map_err(unfit),
        None => Ok(()),
    }
}

/// What the environments of a trainer had [learned](coinop_envs::EnvFactory::learned), from its checkpoint; `None` if they
/// learn nothing.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop_agents::algorithm::{Algorithm, RunSettings};
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_agents::{Checkpoint, Section, learned_by_envs};
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::normalize::NormalizeObservation;
/// use coinop_envs::{EnvFactory, FromFn};
///
/// let factory = Arc::new(NormalizeObservation::new(FromFn::new(|| Ok(CartPole::v1()))?));
/// let mut trainer = PpoConfig::classic().trainer(factory.clone(), &RunSettings::new(1_000, 1))?;
/// trainer.step()?;
/// let mut checkpoint = Section::default();
/// trainer.save(&mut checkpoint)?;
/// let learned = learned_by_envs(&checkpoint)?.unwrap();
/// let for_evaluation = factory.frozen(&learned)?.unwrap();
/// # let _ = for_evaluation;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`CheckpointError::Mismatch`].
pub fn learned_by_envs(trainer: &Section) -> Result<Option<Vec<u8>>, CheckpointError> {
    let Ok(saved) = trainer.tensor(LEARNED) else {
        return Ok(None);
    };
    if saved.kind() != Kind::Uint8 || saved.dim() != 1 {
        return Err(CheckpointError::unfit(LEARNED, &"it is not a row of bytes"));
    }
    let bytes = Vec::try_from(saved).map_err(|error| CheckpointError::unfit(LEARNED, &error))?;
    Ok(Some(bytes))
}

/// The error for an environment that rejects its snapshot.
pub(crate) fn unfit(error: EnvError) -> CheckpointError {
    CheckpointError::unfit(SECTION, &error)
}
