//! `coinop check`: tries an environment against the contract of every environment.

use anyhow::bail;
use coinop_envs::{AnyFactory, Elem, EnvFactory, EnvSpec, check_env};

use crate::cli::CheckArgs;
use crate::output;

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let (info, mut options) = args.env.resolve()?;
    if let Some(roms) = &args.roms {
        options.atari.roms = Some(roms.clone());
    }
    let factory = info.factory(&options)?;
    let found = match &factory {
        AnyFactory::Pixels(factory) => check(factory.as_ref()),
        AnyFactory::Features(factory) => check(factory.as_ref()),
    };
    let snapshots = match found {
        Ok(has_snapshots) => has_snapshots,
        Err(broken) => bail!("{}: {broken}", info.id()),
    };
    let EnvSpec {
        obs_shape,
        num_actions,
        frames_per_step,
        stacked_frames,
    } = factory.spec();
    let observations = info.observations.name();
    output::print(&format!(
        "{} does what every environment must do\n\
         observations  {obs_shape} {observations}, {stacked_frames} stacked\n\
         actions       {num_actions}\n\
         frames        {frames_per_step} for each step\n\
         snapshots     {}\n",
        info.id(),
        if snapshots {
            "yes: a run that was interrupted goes on within its episodes"
        } else {
            "no: a run that was interrupted goes on with new episodes"
        }
    ))?;
    Ok(())
}

/// Whether it has snapshots; or the first promise that it breaks.
fn check<O: Elem>(factory: &dyn EnvFactory<Obs = O>) -> Result<bool, String> {
    let mut env = factory.make().map_err(|error| error.to_string())?;
    check_env(&mut env)?;
    Ok(env.snapshot().is_some())
}
