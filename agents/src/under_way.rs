//! Episodes under way: what a checkpoint keeps of environments and of what their agents see, so that a run goes on within its episodes.

use coinop_envs::EnvError;

use crate::network::Observation;
use crate::{CheckpointError, Section};

const SECTION: &str = "envs";
const OBS: &str = "obs";

/// Saves snapshots of environments and the observations that come next, a row for each; nothing if there are no snapshots.
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

/// The snapshots of `n` environments, with their observations in `obs`. `None` if they were not saved: new episodes begin.
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

fn name(i: usize) -> String {
    format!("env_{i}")
}

/// The error of environments that do not take the snapshots that were saved.
pub(crate) fn unfit(error: EnvError) -> CheckpointError {
    CheckpointError::unfit(SECTION, &error)
}
