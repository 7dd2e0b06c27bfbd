//! A dashboard of a run in the terminal: curves, metrics, and the agent playing.
//!
//! It reads the files of the run, so that it shows a run that trains in another process, has finished, or died.

pub(crate) mod data;
mod stage;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::count::short;
use crate::output;
use crate::play::terminal::{Colors, Session};
use crate::run::dir::RunDir;
use crate::run::progress::in_short;
use crate::run::state::State;
use crate::signals::StopRequest;
use data::Snapshot;
use stage::Troupe;
use view::{View, columns, draw};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wish {
    Quit,
    Interrupt,
    Next,
    Previous,
    Stage,
}

fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Interrupt,
        KeyCode::Esc | KeyCode::Char('q') => Wish::Quit,
        KeyCode::Tab | KeyCode::Right | KeyCode::Down => Wish::Next,
        KeyCode::BackTab | KeyCode::Left | KeyCode::Up => Wish::Previous,
        KeyCode::Char('s') => Wish::Stage,
        _ => return None,
    })
}

/// Watches a run on the terminal until the viewer quits.
pub(crate) fn watch(dir: &RunDir, stop: &StopRequest) -> anyhow::Result<()> {
    let session = Session::start()?;
    let ends = |wish| matches!(wish, Wish::Quit | Wish::Interrupt);
    show(dir, session, &ends, &|| stop.signal().is_some())
}

/// Watches a run that trains in this process, from a thread of its own.
pub(crate) struct Beside {
    thread: JoinHandle<anyhow::Result<()>>,
    over: Arc<AtomicBool>,
}

impl Beside {
    /// Starts. Nothing else is printed meanwhile.
    pub(crate) fn start(dir: &RunDir, stop: &StopRequest) -> anyhow::Result<Self> {
        let (dir, stop) = (RunDir::open(dir.path())?, stop.clone());
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let session = Session::start()?;
        let watch = move || {
            let _silence = output::silence();
            let ends = |wish| match wish {
                Wish::Interrupt => {
                    // As if the terminal had sent it: the run saves, and the dashboard ends with it.
                    stop.interrupt();
                    false
                }
                wish => wish == Wish::Quit,
            };
            show(&dir, session, &ends, &|| seen.load(Ordering::Relaxed))
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(watch);
        let thread = thread.map_err(|error| anyhow!("can't start a thread: {error}"))?;
        Ok(Self { thread, over })
    }

    /// Ends, if the viewer has not already done so.
    pub(crate) fn finish(self) {
        self.over.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => output::say(&format!("note: the dashboard ended: {error}")),
            Err(_) => output::say("note: the dashboard ended, because its thread died"),
        }
    }
}

fn show(
    dir: &RunDir,
    mut session: Session,
    ends: &dyn Fn(Wish) -> bool,
    is_over: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    let colors = Colors::of_terminal();
    let mut run = Snapshot::of(dir)?;
    let (mut column, mut looked) = (0, Instant::now());
    let mut troupe = Troupe::new(session.terminal.size()?.width >= 60);
    let mut note: Option<String> = None;
    while !is_over() {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            match Snapshot::of(dir) {
                Ok(now) => (run, note) = (now, None),
                Err(error) => note = Some(error.to_string()),
            }
        }
        let next = troupe.play(dir, &run);
        let names = columns(&run);
        column %= names.len();
        let keys = "q: quit  tab: next curve  s: show or hide the agent";
        session.terminal.draw(|frame| {
            let view = View {
                run: &run,
                column: &names[column],
                stage: troupe.stage(),
                colors,
                note: note.as_deref(),
                keys,
            };
            draw(frame, &view);
        })?;
        let mut quits = false;
        let until = next.min(looked + LOOK);
        session.keys_until(until, |key| {
            match wish(key) {
                Some(Wish::Next) => column += 1,
                Some(Wish::Previous) => column += names.len() - 1,
                Some(Wish::Stage) => troupe.toggle(),
                Some(wish) => quits = ends(wish),
                None => return true,
            }
            false
        })?;
        if quits {
            break;
        }
    }
    Ok(())
}

/// Follows a run line by line, where there is no terminal to draw on, until it no longer trains.
pub(crate) fn follow(dir: &RunDir, stop: &StopRequest, wait: &mut dyn FnMut(Duration)) -> anyhow::Result<()> {
    let (mut rows, mut evaluations) = (None, 0);
    loop {
        let run = Snapshot::of(dir)?;
        let is_first = rows.is_none();
        if rows != Some(run.metrics.len()) {
            rows = Some(run.metrics.len());
            output::print(&(line(&run) + "\n"))?;
        }
        for evaluated in &run.evaluated()[if is_first { run.evaluated().len() } else { evaluations }..] {
            output::print(&format!(
                "evaluation after {} frames: mean score {:.2} over {} episodes\n",
                short(evaluated.frames),
                evaluated.mean,
                evaluated.episodes
            ))?;
        }
        evaluations = run.evaluated().len();
        if run.state != State::Training || stop.signal().is_some() {
            return Ok(());
        }
        wait(LOOK);
    }
}

/// A run in one line.
fn line(run: &Snapshot) -> String {
    let (played, all) = run.frames();
    let mut text = format!("{}  {}/{} frames", run.state.name(), short(played), short(all));
    if let Some(speed) = run.metrics.last("frames_per_second") {
        text += &format!("  {speed:.0} frames/s");
    }
    match run.metrics.last("mean_score") {
        Some(score) => text += &format!("  score {score:.2}"),
        None => text += "  score -",
    }
    for name in ["loss", "entropy"] {
        if let Some(value) = run.metrics.last(name) {
            text += &format!("  {name} {value:.3}");
        }
    }
    if let Some(left) = run.seconds_left() {
        text += &format!("  ETA {}", in_short(left));
    }
    text
}
