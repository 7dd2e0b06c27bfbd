//! `coinop report`: a page about runs.

use std::fs;

use anyhow::{anyhow, bail};
use coinop_agents::Mode;

use crate::bench::Machine;
use crate::cli::ReportArgs;
use crate::commands::eval::{Which, read_checkpoint};
use crate::commands::plot::{MEAN_SCORE, Series, curve};
use crate::commands::settings::flat_settings;
use crate::commands::table::{COLUMNS, MEANING, Row};
use crate::config::Config;
use crate::count::{counted, short};
use crate::play::player::in_short;
use crate::play::record::{How, Look, record};
use crate::report::curve::{Over, draw};
use crate::report::groups::{Group, folder_name, groups};
use crate::report::page::Page;
use crate::run::dir::RunDir;
use crate::run::metrics::WINDOW;
use crate::{files, output};

/// The columns of `metrics.csv` that have a curve of their own, if all runs have them.
const CURVES: [&str; 5] = [
    "entropy",
    "loss",
    "mean_value",
    "explained_variance",
    "frames_per_second",
];

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    if args.output.extension().is_none_or(|ending| ending != "html") {
        bail!("`{}`: give a name that ends in .html", args.output.display());
    }
    files::check_writable(&args.output)?;
    let groups = groups(&args.runs, args.each)?;
    let title = match groups.as_slice() {
        [one] => one.name.clone(),
        many => format!("{} kinds of runs", many.len()),
    };
    let mut page = Page::new(&title);

    page.heading("Scores");
    let mut rows = Vec::new();
    for group in &groups {
        rows.push(Row::of(group)?.cells().to_vec());
    }
    page.table(&COLUMNS, &rows);
    page.note(MEANING);

    page.heading("Learning curves");
    match drawn(&groups, MEAN_SCORE, Over::Both)? {
        Some(svg) => page.svg(&svg),
        None => page.note("No episode has ended yet."),
    }
    let mut others = Vec::new();
    for column in CURVES {
        others.extend(drawn(&groups, column, Over::Frames)?);
    }
    page.grid(&others);

    if !args.no_video {
        page.heading("The agent playing");
        match video(args)? {
            Ok((gif, caption)) => page.gif(&gif, &caption),
            Err(why) => page.note(&why),
        }
    }

    settings(&mut page, &groups)?;
    machines(&mut page, args)?;
    files::write(&args.output, &page.finish())?;
    let what = counted(args.runs.len(), "run");
    output::say(&format!("report of {what} written to {}", args.output.display()));
    Ok(())
}

/// The curves of a column; `None` if a run has no value of it.
fn drawn(groups: &[Group<'_>], column: &str, over: Over) -> anyhow::Result<Option<String>> {
    let series = Series::of(column, 1);
    for run in groups.iter().flat_map(|group| &group.runs) {
        // Not every algorithm has every column.
        if series.read(run).map_or(true, |points| points.is_empty()) {
            return Ok(None);
        }
    }
    let curves = groups.iter().map(|group| curve(group, &series));
    let curves = curves.collect::<anyhow::Result<Vec<_>>>()?;
    let title = match column {
        MEAN_SCORE => format!("score, mean of the last {WINDOW} episodes"),
        other => other.to_owned(),
    };
    let svg = draw(&curves, over, &title, column);
    svg.map(Some).map_err(|error| anyhow!("can't draw the curves: {error}"))
}

/// A video of the first run's agent and what it shows; or why there is none.
fn video(args: &ReportArgs) -> anyhow::Result<Result<(Vec<u8>, String), String>> {
    let dir = RunDir::open(&args.runs[0])?;
    let mut config = Config::read(&dir.config())?;
    if let Some(roms) = &args.roms {
        config.set_roms(roms)?;
    }
    let made = read_checkpoint(&config, &dir, Which::Last).and_then(|(frames, section)| {
        let folder = tempfile::tempdir().map_err(files::failed("can't write into", &std::env::temp_dir()))?;
        let path = folder.path().join("agent.gif");
        let how = How {
            seed: 0,
            mode: Mode::Sample,
            epsilon: 0.0,
        };
        let look = Look {
            fps: 30.0,
            scale: 1,
            seconds: args.seconds,
            best_of: 1,
        };
        let made = record(&config, section, how, look, &path, &mut |_| ())?;
        let gif = fs::read(&path).map_err(files::failed("can't read", &path))?;
        Ok((gif, frames, made))
    });
    Ok(match made {
        Ok((gif, frames, made)) => {
            let name = folder_name(&args.runs[0])?;
            let caption = format!(
                "{name} after {} frames, in an episode with a score of {}",
                short(frames),
                in_short(made.score)
            );
            Ok((gif, caption))
        }
        Err(error) => Err(format!("There is no video: {error}.")),
    })
}

/// The settings: those in which the runs differ, and the rest.
fn settings(page: &mut Page, groups: &[Group<'_>]) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for group in groups {
        let config = Config::read(&RunDir::open(group.runs[0])?.config())?;
        let settings = flat_settings(&config)?;
        // The seeds are in the table above, and a path says nothing about the run.
        let is_told = |(name, _): &(String, String)| !["run.seed", "env.roms"].contains(&name.as_str());
        all.push(settings.into_iter().filter(is_told).collect::<Vec<_>>());
    }
    let value = |settings: &Vec<(String, String)>, name: &str| {
        let found = settings.iter().find(|(other, _)| other == name);
        found.map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in all.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let rows = |differs: bool| -> Vec<Vec<String>> {
        let row = |name: &&String| {
            let values: Vec<String> = all.iter().map(|settings| value(settings, name)).collect();
            let is_one = values.iter().all(|value| *value == values[0]);
            (is_one != differs).then(|| match differs {
                true => std::iter::once((*name).clone()).chain(values).collect(),
                false => vec![(*name).clone(), values[0].clone()],
            })
        };
        names.iter().filter_map(row).collect()
    };
    if groups.len() > 1 {
        page.heading("Settings that differ");
        let header: Vec<&str> = std::iter::once("setting")
            .chain(groups.iter().map(|group| group.name.as_str()))
            .collect();
        page.table(&header, &rows(true));
    }
    page.heading(if groups.len() > 1 {
        "Settings of all"
    } else {
        "Settings"
    });
    page.table(&["setting", "value"], &rows(false));
    Ok(())
}

/// What the runs were trained on, and by which program.
fn machines(page: &mut Page, args: &ReportArgs) -> anyhow::Result<()> {
    page.heading("Machine and program");
    let mut rows: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for run in &args.runs {
        let dir = RunDir::open(run)?;
        let name = folder_name(run)?;
        let machine = fs::read(dir.machine()).ok();
        let machine = machine.and_then(|text| serde_json::from_slice::<Machine>(&text).ok());
        let cells = match machine {
            Some(machine) => vec![
                machine.processor,
                machine.cores.to_string(),
                format!("{:.0} GB", machine.memory_gigabytes),
                machine.system,
                machine.libtorch,
                format!("{} ({})", machine.coinop, machine.commit),
            ],
            // Of a run that an older program began.
            None => vec!["not recorded".to_owned(); 6],
        };
        match rows.iter_mut().find(|(_, other)| *other == cells) {
            Some((names, _)) => names.push(name),
            None => rows.push((vec![name], cells)),
        }
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(names, cells)| std::iter::once(names.join(", ")).chain(cells).collect())
        .collect();
    page.table(
        &["runs", "processor", "cores", "memory", "system", "libtorch", "coinop"],
        &rows,
    );
    Ok(())
}
