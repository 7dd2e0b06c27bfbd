//! `coinop tune`: a search for settings.

use std::path::Path;

use anyhow::anyhow;

use crate::cli::TuneArgs;
use crate::commands::train::quoted;
use crate::config::{Config, Request};
use crate::run::dir::RUNS;
use crate::tune::{Search, Space, best};
use crate::{files, output, signals};

/// Returns the signal that ended it early, if one did.
pub(crate) fn run(args: &TuneArgs) -> anyhow::Result<Option<i32>> {
    let algo = args.algo.unwrap_or_default();
    let request = |settings: &[String]| -> anyhow::Result<Config> {
        let mut all = args.set.clone();
        for setting in settings {
            all.push(setting.parse()?);
        }
        Config::resolve(&Request {
            env: Some(args.env.clone()),
            algo: Some(algo),
            preset: args.preset.clone(),
            settings: all,
            roms: args.roms.clone(),
            ..Request::default()
        })
    };
    let config = request(&[])?;
    let space = match &args.space {
        Some(path) => Space::read(path)?,
        None => Space::around(&config)?,
    };
    // A name that the algorithm does not have is found before anything is trained.
    request(&space.sample(1))?;
    let short = config.env_info()?.short;
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| format!("tune-{short}-{}", algo.name()));
    let mut arguments = vec![
        args.env.to_string(),
        "--algo".to_owned(),
        algo.name().to_owned(),
        "--preset".to_owned(),
        config.run.preset.clone(),
    ];
    for setting in &args.set {
        arguments.extend(["--set".to_owned(), setting.to_string()]);
    }
    let search = Search {
        folder: Path::new(RUNS).join(name),
        space,
        arguments,
        jobs: args.jobs,
        roms: args.roms.as_deref().map(files::absolute).transpose()?,
    };
    let stop = signals::listen().map_err(|cause| anyhow!("can't listen to signals: {cause}"))?;
    let Some(results) = search.run(&stop)? else {
        output::say("stopped; the same command resumes");
        return Ok(stop.signal());
    };
    output::print(&search.ranking(&results)?)?;
    let best = best(&search.folder).display().to_string();
    output::say(&format!(
        "the best settings are in {best}; train with `{} train {} --config {}`",
        output::program(),
        quoted(&args.env.to_string()),
        quoted(&best)
    ));
    Ok(None)
}
