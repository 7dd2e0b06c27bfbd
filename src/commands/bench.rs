//! `coinop bench`: measures the speed of every part, and where training spends its time.

use std::path::Path;

use anyhow::{anyhow, bail};
use coinop_agents::distributed::Ranks;
use coinop_agents::network::Precision;

use crate::bench::suites::{self, Suite};
use crate::bench::{BenchSettings, How, Machine, Report};
use crate::cli::BenchArgs;
use crate::config::Config;
use crate::{files, output, ranks};

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let before = args.compare.as_deref().map(read).transpose()?;
    if let Some(picture) = &args.output {
        files::check_picture(picture, "bars are")?;
    }
    let ranks = ranks::ranks(args.fast_reduce)?;
    let measured = measured(args, &ranks, before.as_ref()).inspect_err(ranks::end_all);
    ranks::finish();
    measured
}

fn measured(args: &BenchArgs, ranks: &Ranks, before: Option<&Report>) -> anyhow::Result<()> {
    let config = ranks::agree(ranks, Config::new_run(&args.request())?)?;
    let how = How {
        seconds: args.seconds,
        repeats: args.repeats,
    };
    if !(0.001..=3_600.0).contains(&how.seconds) || !(1..=1_000).contains(&how.repeats) {
        bail!(
            "--seconds {} and --repeats {}: they must be between 0.001 and 3600, and between 1 and 1000",
            how.seconds,
            how.repeats
        );
    }
    let all = [Suite::All];
    let asked = if args.what.is_empty() { &all[..] } else { &args.what };
    if ranks.rank() > 0 {
        return suites::follow(&config, ranks, asked, how);
    }
    crate::commands::train::trainer(&config)?;
    suites::check(&config, asked)?;
    let measurements = suites::run(&config, ranks, asked, how, &mut |suite| {
        output::say(&format!("measuring {suite}"))
    })?;
    let report = Report {
        machine: Machine::this(),
        settings: settings(&config, how),
        measurements,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.table(before)
    };
    // First of all: whatever happens to the picture, the figures are not lost.
    output::print(&text)?;
    if let Some(picture) = &args.output {
        let svg = report.picture(before);
        files::write_picture(picture, &svg.map_err(|error| anyhow!("can't draw the bars: {error}"))?)?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Report> {
    serde_json::from_str(&files::read(path)?)
        .map_err(|error| anyhow!("`{}` is not a report of `bench --json`: {error}", path.display()))
}

fn settings(config: &Config, how: How) -> BenchSettings {
    let run = &config.run;
    BenchSettings {
        env: run.env.clone(),
        algo: run.algo.name().to_owned(),
        preset: run.preset.clone(),
        env_threads: run.env_threads,
        torch_threads: run.torch_threads,
        device: run.device.clone(),
        precision: match config.algo.network().map(|network| network.precision) {
            None => "its own precision",
            Some(Precision::Auto) => "auto",
            Some(Precision::Float32) => "float32",
            Some(Precision::Bfloat16) => "bfloat16",
        }
        .to_owned(),
        seconds: how.seconds,
        repeats: how.repeats,
    }
}
