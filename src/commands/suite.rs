//! `coinop suite`: many runs from one file.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};

use crate::cli::{SuiteArgs, SuiteCommand, SuitePlotArgs, SuiteRunArgs, SuiteTableArgs};
use crate::count::{counted, short};
use crate::suite::file::SuiteFile;
use crate::suite::ledger::Ledger;
use crate::suite::plan::{Job, Selection, State, jobs};
use crate::suite::{plot, runner, table};
use crate::{files, output, signals};

/// Returns the signal that ended it early, if one did.
pub(crate) fn run(args: &SuiteArgs) -> anyhow::Result<Option<i32>> {
    match &args.command {
        SuiteCommand::Run(args) => play(args),
        SuiteCommand::Table(args) => write_table(args).map(|()| None),
        SuiteCommand::Plot(args) => draw(args).map(|()| None),
    }
}

fn play(args: &SuiteRunArgs) -> anyhow::Result<Option<i32>> {
    let suite = SuiteFile::read(&args.file)?;
    let roms = args.roms.as_deref().map(files::absolute).transpose()?;
    let selection = Selection {
        only: args.only.clone(),
        shard: args.shard,
        roms,
    };
    let jobs = jobs(&suite, &selection)?;
    let ledger = Ledger::read(&suite.ledger)?;
    let states = jobs
        .iter()
        .map(|job| job.state(&ledger))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if args.dry_run {
        output::print(&outlook(&jobs, &states, &ledger, args.jobs))?;
        return Ok(None);
    }
    files::check_writable(&suite.ledger)?;
    std::fs::create_dir_all(&suite.runs).map_err(files::failed("can't create", &suite.runs))?;
    let stop = signals::listen().map_err(|cause| anyhow!("can't listen to signals: {cause}"))?;
    output::say(&summary(&jobs, &states));
    let how = runner::How {
        jobs: args.jobs,
        timed: args.timed,
    };
    let outcome = runner::run(jobs, &suite.evaluation, ledger, &how, &stop)?;
    if let Some(signal) = stop.signal() {
        output::say("stopped; the same command resumes");
        return Ok(Some(signal));
    }
    if outcome.failed > 0 {
        bail!(
            "{} failed; the same command tries again",
            counted(outcome.failed, "run")
        );
    }
    let ledger = suite.ledger.display();
    output::say(&format!(
        "{} finished; results are in {ledger}",
        counted(outcome.finished, "run")
    ));
    Ok(None)
}

/// `12 runs: 3 done, 1 begun, 8 to begin`.
fn summary(jobs: &[Job], states: &[State]) -> String {
    let of = |is: fn(&State) -> bool| states.iter().filter(|state| is(state)).count();
    format!(
        "{}: {} done, {} begun, {} to begin",
        counted(jobs.len(), "run"),
        of(|state| matches!(state, State::Done(_))),
        of(|state| matches!(state, State::Begun(_) | State::Elsewhere)),
        of(|state| matches!(state, State::New))
    )
}

/// What is left, and how long it will take at the speed of the runs in the ledger.
fn outlook(jobs: &[Job], states: &[State], ledger: &Ledger, at_once: usize) -> String {
    let mut text = String::new();
    for (job, state) in jobs.iter().zip(states) {
        let all = short(job.config.run.frames);
        let state = match state {
            State::Done(line) => format!("done, {:.2}", line.last_sample),
            State::Begun(frames) => format!("{} of {all} frames", short(*frames)),
            State::New => format!("to begin, {all} frames"),
            State::Elsewhere => "another process is training it".to_owned(),
        };
        text += &format!("{job}: {state}\n");
    }
    text += &summary(jobs, states);
    let mut frames_left: BTreeMap<&str, u64> = BTreeMap::new();
    for (job, state) in jobs.iter().zip(states) {
        *frames_left.entry(&job.agent).or_default() += job.frames_left(state);
    }
    let mut seconds = 0.0;
    let mut unknown = Vec::new();
    for (agent, frames) in frames_left.into_iter().filter(|(_, frames)| *frames > 0) {
        let played = || ledger.lines().iter().filter(|line| line.agent == agent);
        let (all, time) = (
            played().map(|line| line.frames as f64).sum::<f64>(),
            played().map(|line| line.seconds).sum::<f64>(),
        );
        if all > 0.0 && time > 0.0 {
            seconds += frames as f64 * time / all;
        } else {
            unknown.push(format!(
                "{} frames of {agent}, whose speed is not known yet",
                short(frames)
            ));
        }
    }
    if seconds > 0.0 {
        let hours = seconds / 3_600.0 / at_once as f64;
        text += &format!("; about {hours:.1} hours of training are left");
    }
    if !unknown.is_empty() {
        text += &format!("; left: {}", unknown.join(", "));
    }
    text + "\n"
}

fn draw(args: &SuitePlotArgs) -> anyhow::Result<()> {
    files::check_picture(&args.output, "curves are")?;
    let suite = SuiteFile::read(&args.file)?;
    let jobs = jobs(&suite, &Selection::default())?;
    files::write_picture(&args.output, &plot::svg(&suite, &jobs, args.over)?)?;
    output::say(&format!("drawn into {}", args.output.display()));
    Ok(())
}

fn write_table(args: &SuiteTableArgs) -> anyhow::Result<()> {
    let suite = SuiteFile::read(&args.file)?;
    let ledger = Ledger::read(&suite.ledger)?;
    if ledger.lines().is_empty() {
        bail!(
            "`{}` has no finished run yet: play some with `{} suite run`",
            suite.ledger.display(),
            output::program()
        );
    }
    let text = if args.csv {
        table::csv(&suite, &ledger)?
    } else {
        let jobs = jobs(&suite, &Selection::default())?;
        table::markdown(&suite, &jobs, &ledger)
    };
    match &args.output {
        Some(path) => files::write(path, &text)?,
        None => output::print(&text)?,
    }
    Ok(())
}
