//! `coinop train`: from the command line to a run folder with a trained agent.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{anyhow, bail};
use coinop_agents::algorithm::{Processes, Threading};
use coinop_agents::distributed::{self, Leader, Ranks};
use coinop_agents::{CheckpointError, Resumption, Section, TrainError, Trainer, checkpoint};
use coinop_envs::AnyFactory;
use tracing::info;

use crate::cli::TrainArgs;
use crate::commands::distill;
use crate::commands::eval::last_checkpoint;
use crate::config::{Config, RunConfig, cores};
use crate::count::{counted, short};
use crate::output::{program, say};
use crate::play::terminal;
use crate::run::dir::RunDir;
use crate::run::journal::Journal;
use crate::run::metrics::WINDOW;
use crate::run::{Outcome, Run, Summary, evaluate_end, identity};
use crate::signals::StopRequest;
use crate::watch::Beside;
use crate::{log, ranks, signals};

pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    with_ranks(|| match &args.resume {
        None => Ok(begin(args, || Config::new_run(&args.request()))?.0),
        Some(run) => resume(args, run),
    })
}

/// Trains, perhaps in several processes, which leave each other at the end, or all end if this one fails.
pub(crate) fn with_ranks<T>(train: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let outcome = train().inspect_err(ranks::end_all);
    ranks::finish();
    outcome
}

/// Starts a new run with the settings that `config` resolves; returns its folder, if it got so far.
pub(crate) fn begin(
    args: &TrainArgs,
    config: impl FnOnce() -> anyhow::Result<Config>,
) -> anyhow::Result<(Outcome, Option<PathBuf>)> {
    // Before anything slow, so that Ctrl-C ends it in order from the first second on.
    let stop = listen()?;
    let ranks = ranks::ranks(args.fast_reduce)?;
    let config = config()?;
    check_until(args, &config, 0)?;
    let config = ranks::agree(&ranks, config)?;
    if ranks.rank() > 0 {
        return Ok((follow_rank_0(&config, &ranks)?, None));
    }
    // Everything that can be wrong with the environments and the settings is found before a folder is made.
    let trainer = new_trainer_of(&config, &ranks)?;
    if let Some(signal) = stop.signal() {
        return Ok((Outcome::Stopped { signal }, None));
    }
    let dir = match (&args.run_dir, &args.name) {
        (Some(path), _) => RunDir::create(path)?,
        (None, Some(name)) => RunDir::create_named(name)?,
        (None, None) => RunDir::create_for(config.env_info()?.short, config.run.algo.name())?,
    };
    log::start(&dir.log())?;
    let run = Run::create(config, trainer, dir)?;
    announce(&run.config, &ranks, &format!("into {}", run.dir.path().display()))?;
    let folder = run.dir.path().to_owned();
    Ok((play(run, &stop, args)?, Some(folder)))
}

/// Resumes a run.
fn resume(args: &TrainArgs, run: &Path) -> anyhow::Result<Outcome> {
    let stop = listen()?;
    let ranks = ranks::ranks(args.fast_reduce)?;
    let dir = RunDir::open(run)?;
    let before = Config::read(&dir.config())?;
    let config = ranks::agree(&ranks, before.clone().resumed(&args.request())?)?;
    if ranks.rank() > 0 {
        return follow_rank_0(&config, &ranks);
    }
    dir.lock()?;
    dir.recover_checkpoints()?;
    let Restored {
        trainer,
        section,
        frames,
        mut warnings,
    } = restored_of(&config, &dir, &ranks)?;
    if let Some(signal) = stop.signal() {
        return Ok(Outcome::Stopped { signal });
    }
    if frames >= config.run.frames {
        if evaluate_end(&config, &dir, &section, frames, &stop)? {
            let stopped = |signal| Outcome::Stopped { signal };
            return Ok(stop.signal().map_or(Outcome::Finished, stopped));
        }
        bail!(
            "the run `{}` already completed its {} frames; pass a larger --frames to continue",
            dir.path().display(),
            short(config.run.frames)
        );
    }
    check_until(args, &config, frames)?;
    if config != before {
        checkpoint::write_file(&dir.config(), config.to_toml()?.as_bytes())?;
    }
    log::start(&dir.log())?;
    let journal = Journal::resume(&dir, &config, &section)?;
    let what = format!("resumed in {} after {} frames", dir.path().display(), short(frames));
    announce(&config, &ranks, &what)?;
    warnings.extend(
        identity::differences(&config, &section)?
            .iter()
            .map(ToString::to_string),
    );
    warnings.extend(what_is_not_exact(&section, &config, &ranks, trainer.resumption())?);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let run = Run {
        config,
        trainer,
        dir,
        journal,
        begun: frames,
    };
    play(run, &stop, args)
}

/// Checks that `--until` has an effect.
fn check_until(args: &TrainArgs, config: &Config, begun: u64) -> anyhow::Result<()> {
    match args.until {
        Some(until) if until <= begun || until > config.run.frames => bail!(
            "--until {until}: it must be above {begun}, the frames already played, and at most {}, the frames of the run",
            config.run.frames
        ),
        _ => Ok(()),
    }
}

/// The state to resume from.
pub(crate) struct Restored {
    pub(crate) trainer: Box<dyn Trainer>,
    pub(crate) section: Section,
    /// The frames of the checkpoint.
    pub(crate) frames: u64,
    /// About checkpoints that were skipped.
    pub(crate) warnings: Vec<String>,
}

/// Restores a trainer from the newest readable checkpoint.
pub(crate) fn restored(config: &Config, dir: &RunDir) -> anyhow::Result<Restored> {
    restored_of(config, dir, &Ranks::default())
}

/// The same of all ranks.
fn restored_of(config: &Config, dir: &RunDir, ranks: &Ranks) -> anyhow::Result<Restored> {
    let mut warnings = Vec::new();
    for at in dir.checkpoints()?.into_iter().rev() {
        let path = dir.checkpoint(at);
        let restore = || -> anyhow::Result<_> {
            let section = dir.read_checkpoint(at)?;
            identity::check(config, &section, &path)?;
            let mut trainer = led(trainer_of(config, ranks)?, config, ranks);
            let loaded = section.section("trainer").and_then(|section| trainer.load(section));
            loaded.map_err(|error| because_of_settings(error, config, &section))?;
            Ok((trainer, section))
        };
        match restore() {
            Ok((trainer, section)) => {
                return Ok(Restored {
                    trainer,
                    section,
                    frames: at,
                    warnings,
                });
            }
            Err(error) if is_damage(&error) => {
                warnings.push(format!("the checkpoint after {at} frames is passed over: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    match warnings.first() {
        Some(damage) => bail!(
            "no checkpoint of the run `{}` can be read: {damage}",
            dir.path().display()
        ),
        None => bail!(
            "the run `{}` has no checkpoint to resume from: it failed or was killed before the first one; start a new run",
            dir.path().display()
        ),
    }
}

/// Names the settings that changed since a checkpoint that does not fit was written.
fn because_of_settings(error: CheckpointError, config: &Config, section: &Section) -> anyhow::Error {
    let does_not_fit = matches!(error, CheckpointError::Mismatch { .. } | CheckpointError::Missing(_));
    let differences = identity::differences(config, section).unwrap_or_default();
    if !does_not_fit || differences.is_empty() {
        return error.into();
    }
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    anyhow!("{}: put that back ({error})", differences.join("; "))
}

/// Whether another checkpoint might work.
fn is_damage(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(CheckpointError::Damaged { .. } | CheckpointError::NotFinite { .. } | CheckpointError::Io { .. })
    )
}

/// The reasons why the resumed run will not be bit for bit identical to an uninterrupted one.
fn what_is_not_exact(
    saved: &Section,
    now: &Config,
    ranks: &Ranks,
    resumption: Resumption,
) -> anyhow::Result<Vec<String>> {
    let mut reasons = Vec::new();
    let saved_by = distributed::saved_by(saved.section("trainer")?)?;
    if now.algo.processes() == Processes::Synchronous && saved_by != ranks.size() {
        reasons.push("another number of processes saved it, so new episodes begin");
    }
    let saved_as = identity::resumption(saved)?;
    if [resumption, saved_as].contains(&Resumption::NewEpisodes) {
        reasons.push("new episodes begin, because those under way could not be saved");
    }
    if [resumption, saved_as].contains(&Resumption::Timing) {
        reasons.push("thread timing, and the order in which a GPU adds, differ from run to run");
    }
    let was = |name: &str| identity::setting(saved, name);
    let run = &now.run;
    if was("run.torch_threads")? != Some(run.torch_threads.into())
        || was("run.device")? != Some(run.device.clone().into())
    {
        reasons.push("another number of libtorch threads or another device adds numbers in another order");
    }
    if was("run.frames")? != Some(run.frames.into()) {
        reasons.push("schedules, such as the learning rate's, now span another number of frames");
    }
    let sentence = |reason| format!("the resumed run does not equal an uninterrupted one bit for bit: {reason}");
    Ok(reasons.into_iter().map(sentence).collect())
}

/// Plays a run to its end.
fn play(mut run: Run, stop: &StopRequest, args: &TrainArgs) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    stop.will_save();
    // Without a terminal to draw on, lines tell of the progress as always.
    let beside = match args.watch && terminal::is_there() {
        true => Some(Beside::start(&run.dir, stop)?),
        false => None,
    };
    let played = run.play(args.until.unwrap_or(u64::MAX), stop);
    if let Some(beside) = beside {
        beside.finish();
    }
    let summary = played.inspect_err(|cause| info!(%cause, "training failed"))?;
    conclude(&summary, summary.frames - run.begun, &run.dir, start);
    Ok(summary.outcome)
}

fn listen() -> anyhow::Result<StopRequest> {
    signals::listen().map_err(|cause| anyhow!("can't listen to signals: {cause}"))
}

/// Creates a trainer for a new run, with the weights of another run if the configuration names one.
pub(crate) fn new_trainer(config: &Config) -> anyhow::Result<Box<dyn Trainer>> {
    new_trainer_of(config, &Ranks::default())
}

/// The same of all ranks.
fn new_trainer_of(config: &Config, ranks: &Ranks) -> anyhow::Result<Box<dyn Trainer>> {
    let mut trainer = led(trainer_of(config, ranks)?, config, ranks);
    if let Some(run) = &config.run.load {
        let section = last_checkpoint(run)?.1;
        let loaded = section.section("trainer").map_err(TrainError::from);
        loaded
            .and_then(|section| trainer.load_weights(section))
            .map_err(|error| anyhow!("can't start from the weights of `{}`: {error}", run.display()))?;
    }
    Ok(trainer)
}

/// The trainer of rank 0, which the others follow if the algorithm is synchronous.
pub(crate) fn led(trainer: Box<dyn Trainer>, config: &Config, ranks: &Ranks) -> Box<dyn Trainer> {
    if ranks.is_alone() || config.algo.processes() != Processes::Synchronous {
        return trainer;
    }
    Box::new(Leader::new(trainer, ranks.clone(), config.algo.num_envs()))
}

/// Does what rank 0 does, or what it needs; only rank 0 tells of it.
pub(crate) fn follow_rank_0(config: &Config, ranks: &Ranks) -> anyhow::Result<Outcome> {
    let mut trainer = trainer_of(config, ranks)?;
    match config.algo.processes() {
        Processes::Asynchronous => distributed::assist(trainer.as_mut(), ranks)?,
        Processes::One | Processes::Synchronous => distributed::follow(trainer.as_mut(), ranks)?,
    }
    Ok(Outcome::Finished)
}

/// Creates a trainer with new weights.
pub(crate) fn trainer(config: &Config) -> anyhow::Result<Box<dyn Trainer>> {
    trainer_of(config, &Ranks::default())
}

/// The same of this rank.
pub(crate) fn trainer_of(config: &Config, ranks: &Ranks) -> anyhow::Result<Box<dyn Trainer>> {
    let mut run = config.run_settings()?;
    run.ranks = ranks.clone();
    run.teacher = distill::teacher(&config.algo)?;
    coinop_agents::set_torch_threads(config.run.torch_threads);
    Ok(match config.env_info()?.factory(&config.env)? {
        AnyFactory::Pixels(factory) => config.algo.trainer(factory, &run)?,
        AnyFactory::Features(factory) => config.algo.trainer(factory, &run)?,
    })
}

/// Announces what will be trained, and `what` about the folder.
fn announce(config: &Config, ranks: &Ranks, what: &str) -> anyhow::Result<()> {
    let run = &config.run;
    let atari = config.env_info()?.atari(&config.env).map(|atari| atari.protocol);
    let rules = atari.map_or_else(String::new, |protocol| format!(" (protocol {protocol})"));
    say(&format!(
        "{} on {}{rules}, preset {}, seed {}, {} frames, {what}",
        run.algo.name(),
        run.env,
        run.preset,
        run.seed,
        short(run.frames)
    ));
    if !ranks.is_alone() {
        say(&format!("{} processes, each with:", ranks.size()));
    }
    let (envs, cores) = (config.algo.num_envs(), cores());
    let RunConfig {
        env_threads,
        torch_threads,
        device,
        ..
    } = run;
    let most = match config.algo.threading() {
        Threading::Turns | Threading::AtOnce => {
            let at_once = config.algo.threading() == Threading::AtOnce;
            let how = if at_once { "at the same time" } else { "in turns" };
            say(&format!(
                "{} on {} and libtorch on {torch_threads} ({device}), {how}, on {}",
                counted(envs, "environment"),
                counted(*env_threads, "thread"),
                counted(cores, "core")
            ));
            if at_once {
                env_threads + torch_threads
            } else {
                *env_threads.max(torch_threads)
            }
        }
        Threading::Actors(actors) => {
            say(&format!(
                "{} of {} each and libtorch on {torch_threads} ({device}), at the same time, on {}",
                counted(actors, "actor"),
                counted(envs / actors, "environment"),
                counted(cores, "core")
            ));
            // A learner that is waited for leaves its cores to the actors.
            0
        }
        Threading::Workers => {
            say(&format!(
                "{}, each with a thread and an environment, on {}",
                counted(envs, "worker"),
                counted(cores, "core")
            ));
            // More workers than cores are the algorithm's matter, not a mistake.
            0
        }
    };
    info!(version = env!("CARGO_PKG_VERSION"), ?config, "training begins");
    if most > cores {
        tracing::warn!("{most} threads on {cores} cores: more threads than cores make a run slower");
    }
    for warning in config.algo.warnings(run.frames) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Prints the summary; this process played `frames`.
fn conclude(summary: &Summary, frames: u64, dir: &RunDir, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let score = match summary.scores.mean() {
        Some(mean) => {
            let episodes = summary.scores.episodes().min(WINDOW as u64);
            format!("mean score {mean:.2} over the last {episodes} episodes")
        }
        None => "no episode ended".to_owned(),
    };
    let speed = frames as f64 / seconds.max(1e-9);
    say(&format!(
        "{} frames in {seconds:.0} s ({speed:.0} frames/s), {score}",
        short(frames)
    ));
    let path = dir.path().display().to_string();
    let (program, quoted) = (program(), quoted(&path));
    match summary.outcome {
        Outcome::Stopped { .. } | Outcome::Paused => say(&format!(
            "saved in {path}; resume it with `{program} train --resume {quoted}`"
        )),
        _ => say(&format!("saved in {path}; evaluate it with `{program} eval {quoted}`")),
    }
}

/// Quotes a path for the shell.
pub(crate) fn quoted(path: &str) -> String {
    shlex::try_quote(path).map_or_else(|_| path.to_owned(), Into::into)
}
