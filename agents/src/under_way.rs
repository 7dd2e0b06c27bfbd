//! Episodes under way: what a checkpoint keeps of environments and of what their agents see, so that a run goes on within its episodes.

use coinop_envs::{Env, VecEnv};

use crate::network::Observation;
use crate::{CheckpointError, Section};

/// The section of environments that step together.
const ENVS: &str = "envs";
/// The name of an environment that steps alone.
const ENV: &str = "env";
const OBS: &str = "obs";

/// Saves environments that step together, and the observations that come next; nothing if they have no snapshots.
pub(crate) fn save_all<O: Observation>(
    env: &dyn VecEnv<Obs = O>,
    obs: &[O],
    out: &mut Section,
) -> Result<(), CheckpointError> {
    let Some(snapshots) = env.snapshots() else {
        return Ok(());
    };
    let out = out.section_mut(ENVS);
    out.put_numbers(OBS, obs)?;
    for (i, snapshot) in snapshots.iter().enumerate() {
        out.put_bytes(&format!("{ENV}_{i}"), [snapshot.as_slice()])?;
    }
    Ok(())
}

/// Restores them. `false` if they were not saved: they begin new episodes.
pub(crate) fn load_all<O: Observation>(
    env: &mut dyn VecEnv<Obs = O>,
    obs: &mut [O],
    from: &Section,
) -> Result<bool, CheckpointError> {
    if !from.has_section(ENVS) {
        return Ok(false);
    }
    let from = from.section(ENVS)?;
    from.load_numbers(OBS, obs)?;
    let snapshots = (0..env.num_envs()).map(|i| from.bytes(&format!("{ENV}_{i}")));
    let snapshots: Vec<Vec<u8>> = snapshots.collect::<Result<_, _>>()?;
    let restored = env.restore(&snapshots);
    restored.map_err(|error| CheckpointError::unfit(ENVS, &error))?;
    Ok(true)
}

/// Saves an environment that steps alone, and the observation that comes next; nothing if it has no snapshots.
pub(crate) fn save<O: Observation>(
    env: &dyn Env<Obs = O>,
    obs: &[O],
    out: &mut Section,
) -> Result<(), CheckpointError> {
    let Some(snapshot) = env.snapshot() else { return Ok(()) };
    let out = out.section_mut(ENVS);
    out.put_numbers(OBS, obs)?;
    out.put_bytes(ENV, [snapshot.as_slice()])
}

/// Restores it. `false` if it was not saved: it begins a new episode.
pub(crate) fn load<O: Observation>(
    env: &mut dyn Env<Obs = O>,
    obs: &mut [O],
    from: &Section,
) -> Result<bool, CheckpointError> {
    if !from.has_section(ENVS) {
        return Ok(false);
    }
    let from = from.section(ENVS)?;
    from.load_numbers(OBS, obs)?;
    let restored = env.restore(&from.bytes(ENV)?);
    restored.map_err(|error| CheckpointError::unfit(ENV, &error))?;
    Ok(true)
}
