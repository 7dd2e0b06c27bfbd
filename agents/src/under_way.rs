//! Current episodes in checkpoints: the environments' snapshots and observations, so that a resumed run continues its
//! episodes.

use coinop_envs::EnvError;
use coinop_envs::rng::derive_seed;

use crate::network::Observation;
use crate::rollout::Rollout;
use crate::{Checkpoint, CheckpointError, Episodes, Section};

const SECTION: &str = "envs";
const OBS: &str = "obs";

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

/// The snapshot of an environment whose episode is saved in the checkpoint of a trainer, wherever that keeps it.
///
/// ```
/// use coinop_agents::algorithm::{Algorithm, RunSettings};
/// use coinop_agents::ppo::PpoConfig;
/// use coinop_agents::{Checkpoint, Section, any_snapshot};
/// use coinop_envs::FromFn;
/// use coinop_envs::classic::CartPole;
///
/// let factory = std::sync::Arc::new(FromFn::new(|| Ok(CartPole::v1()))?);
/// let mut trainer = PpoConfig::classic().trainer(factory, &RunSettings::new(1_000, 1))?;
/// trainer.step()?;
/// let mut checkpoint = Section::default();
/// trainer.save(&mut checkpoint)?;
/// assert!(any_snapshot(&checkpoint).is_some());
/// # Ok::<(), coinop_agents::TrainError>(())
/// ```
#[must_use]
pub fn any_snapshot(trainer: &Section) -> Option<Vec<u8>> {
    let own = trainer.section(SECTION).and_then(|envs| envs.bytes(&name(0)));
    let of_worker = || {
        trainer
            .section("worker_0")
            .and_then(|worker| worker.section(SECTION)?.bytes(&name(0)))
    };
    own.or_else(|_| of_worker()).ok()
}

/// The error for an environment that rejects its snapshot.
pub(crate) fn unfit(error: EnvError) -> CheckpointError {
    CheckpointError::unfit(SECTION, &error)
}
