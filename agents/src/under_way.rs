//! Current episodes in checkpoints: the environments' snapshots and observations, so that a resumed run continues its
//! episodes.

use coinop_envs::EnvError;

use crate::network::Observation;
use crate::{CheckpointError, Section};

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

fn name(i: usize) -> String {
    format!("env_{i}")
}

/// The error for an environment that rejects its snapshot.
pub(crate) fn unfit(error: EnvError) -> CheckpointError {
    CheckpointError::unfit(SECTION, &error)
}
