//! `coinop check`: checks an environment against the `Env` contract.

use anyhow::bail;
use coinop_agents::Device;
use coinop_agents::network::ActorCritic;
use coinop_envs::registry::EnvInfo;
use coinop_envs::rng::stream;
use coinop_envs::{AnyFactory, Elem, EnvFactory, EnvSpec, check_env};

use crate::cli::CheckArgs;
use crate::config::{Config, Request, layers_for};
use crate::output;

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let (info, mut options) = args.env.resolve()?;
    match (&args.roms, info.atari_mut(&mut options)) {
        (Some(roms), Some(atari)) => atari.roms = Some(roms.clone()),
        (Some(_), None) => bail!("--roms is for Atari games, which {} is not: leave it out", info.id()),
        (None, _) => {}
    }
    let factory = info.factory(&options)?;
    let found = match &factory {
        AnyFactory::Pixels(factory) => check(factory.as_ref()),
        AnyFactory::Features(factory) => check(factory.as_ref()),
    };
    let spec = factory.spec();
    let mut faults = found.as_ref().err().cloned().unwrap_or_default();
    faults.extend(unreadable(&info, &spec)?);
    if !faults.is_empty() {
        for fault in &faults {
            output::say(&format!("fault: {fault}"));
        }
        bail!(
            "{} breaks the Env contract: {}",
            info.id(),
            match faults.len() {
                1 => "the fault is above".to_owned(),
                many => format!("{many} faults are above"),
            }
        );
    }
    let snapshots = found.is_ok_and(|has_snapshots| has_snapshots);
    let EnvSpec {
        obs_shape,
        num_actions,
        frames_per_step,
        stacked_frames,
    } = spec;
    let observations = info.observations.name();
    output::print(&format!(
        "{} obeys the Env contract\n\
         observations  {obs_shape} {observations}, {stacked_frames} stacked\n\
         actions       {num_actions}\n\
         frames        {frames_per_step} per step\n\
         snapshots     {}\n",
        info.id(),
        if snapshots {
            "yes: an interrupted run resumes within its episodes"
        } else {
            "no: an interrupted run resumes with new episodes"
        }
    ))?;
    Ok(())
}

/// Returns whether snapshots are supported, or the violations.
fn check<O: Elem>(factory: &dyn EnvFactory<Obs = O>) -> Result<bool, Vec<String>> {
    let mut env = factory.make(0).map_err(|error| vec![error.to_string()])?;
    check_env(&mut env).map_err(|faults| faults.list().to_vec())?;
    Ok(env.snapshot().is_some())
}

/// The reason why the default network cannot read the observations, if it cannot.
fn unreadable(info: &EnvInfo, spec: &EnvSpec) -> anyhow::Result<Option<String>> {
    let config = Config::resolve(&Request {
        env: Some(info.id().parse()?),
        ..Request::default()
    })?;
    let Some(network) = config.algo.network() else {
        return Ok(None);
    };
    // Any weights: only the layers matter.
    let made = ActorCritic::new(network, spec, &mut stream(0, "check", 0), Device::Cpu);
    Ok(made.err().map(|error| {
        format!(
            "{error}, so that `train` needs layers of your own, e.g. --set \"{}\"",
            layers_for(spec)
        )
    }))
}
