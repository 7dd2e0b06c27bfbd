//! `coinop play`: an agent plays, on the terminal or into a video, or a person does.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use coinop_agents::Mode;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::text::Line as TextLine;

use super::eval::{Which, read_checkpoint};
use crate::cli::PlayArgs;
use crate::config::{Config, EnvName};
use crate::play::keys::Joystick;
use crate::play::picture::{Film, Picture};
use crate::play::player::{Choice, Episode, Play, agent, in_short, nobody};
use crate::play::record::{How, Look, Thinner, no_pictures, record, thinned, told};
use crate::play::terminal::{self, Colors, Screen, Session};
use crate::play::video::Format;
use crate::run::dir::RunDir;
use crate::{files, output, signals};

/// The most pictures a second on a terminal.
const TERMINAL_FPS: f64 = 30.0;

pub(crate) fn run(args: &PlayArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.video
        && Format::of(path)? != Format::Pngs
    {
        files::check_writable(path)?;
    }
    let dir = match RunDir::open(&args.what) {
        Ok(dir) => dir,
        Err(error) => return by_hand(args, error),
    };
    let mut config = Config::read(&dir.config())?;
    if let Some(roms) = &args.roms {
        config.set_roms(roms)?;
    }
    let (frames, section) = read_checkpoint(&config, &dir, args.checkpoint)?;
    let how = How {
        seed: args.seed,
        mode: if args.greedy { Mode::Greedy } else { Mode::Sample },
        epsilon: args.epsilon,
    };
    if let Some(path) = &args.video {
        let look = Look {
            fps: args.fps,
            scale: args.scale,
            seconds: args.seconds.unwrap_or(f64::INFINITY),
            best_of: args.best_of,
        };
        let made = record(&config, section, how, look, path, &mut |line| output::say(line))?;
        output::say(&format!(
            "recorded {} pictures at {:.0} per second, of an episode with a score of {}, to {}",
            made.pictures,
            made.fps,
            in_short(made.score),
            path.display()
        ));
        return Ok(());
    }
    let device = args.device.as_deref().unwrap_or(&config.run.device);
    let mut play = agent(&config, section, device)?;
    if !terminal::is_there() {
        let choice = how.choice();
        for number in 0..args.episodes.unwrap_or(1) {
            let mut episode = Episode::begin(play.as_mut(), &Film::default(), how.seed.wrapping_add(number))?;
            while !episode.step(choice)?.is_last {}
            output::print(&(told(number, &episode) + "\n"))?;
        }
        return Ok(());
    }
    let title = format!(
        "{} on {}, checkpoint after {frames} frames",
        config.run.algo.name(),
        config.run.env
    );
    let lines = live(play.as_mut(), &title, args, Some(how))?;
    output::print(&lines)?;
    Ok(())
}

/// What a key asks for.
enum Wish {
    Quit,
    Pause,
    Next,
}

fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Esc | KeyCode::Char('q') => Some(Wish::Quit),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::Quit),
        KeyCode::Char('p') => Some(Wish::Pause),
        KeyCode::Char('n') => Some(Wish::Next),
        _ => None,
    }
}

/// Shows an agent or a person playing in the terminal; returns a line for each completed episode.
fn live(play: &mut dyn Play, title: &str, args: &PlayArgs, how: Option<How>) -> anyhow::Result<String> {
    let film = Film::default();
    let fps = play.set_viewer(Some(film.viewer()));
    let fps = fps.ok_or_else(|| no_pictures(title))?;
    let (every, fps) = thinned(fps, TERMINAL_FPS, TERMINAL_FPS);
    let colors = Colors::of_terminal();
    let stop = signals::listen()?;
    let mut session = Session::start()?;
    let mut joystick = Joystick::new(&play.action_meanings(), play.spec().num_actions, session.releases);
    let pause = Duration::from_secs_f64(1.0 / fps);
    let mut lines = String::new();
    let seed = args.seed;
    for number in 0..args.episodes.unwrap_or(u64::MAX) {
        let mut episode = Episode::begin(play, &film, seed.wrapping_add(number))?;
        let mut pictures = episode.first().pictures;
        let mut shown = pictures.last().cloned();
        let mut thinner = Thinner::new(every, true);
        let (mut is_last, mut is_paused, mut next) = (false, false, Instant::now());
        loop {
            for picture in pictures.drain(..) {
                let Some(picture) = thinner.add(picture) else { continue };
                shown = Some(picture);
                session.draw(title, shown.as_ref(), &episode.caption(), how.is_none(), colors)?;
                next = (next + pause).max(Instant::now() - pause);
                let mut asked = None;
                let mut hear = |key: KeyEvent| {
                    joystick.event(key, Instant::now());
                    asked = wish(key);
                    asked.is_none()
                };
                while session.keys_until(next, &mut hear)? && Instant::now() < next {}
                match asked {
                    Some(Wish::Quit) => return Ok(lines),
                    Some(Wish::Pause) => is_paused = true,
                    Some(Wish::Next) => is_last = true,
                    None => {}
                }
                if stop.signal().is_some() {
                    return Ok(lines);
                }
            }
            while is_paused {
                session.draw(
                    title,
                    shown.as_ref(),
                    "paused  p: continue  q: quit",
                    how.is_none(),
                    colors,
                )?;
                let mut asked = None;
                session.keys_until(Instant::now() + Duration::from_secs(1), |key| {
                    asked = wish(key);
                    asked.is_none()
                })?;
                match asked {
                    Some(Wish::Quit) => return Ok(lines),
                    Some(Wish::Pause | Wish::Next) => is_paused = false,
                    None if stop.signal().is_some() => return Ok(lines),
                    None => {}
                }
                next = Instant::now();
            }
            if is_last {
                break;
            }
            let choice = match how {
                Some(how) => how.choice(),
                None => Choice::Action(joystick.action(Instant::now())),
            };
            let shot = episode.step(choice)?;
            pictures = shot.pictures;
            if shot.is_last {
                lines += &told(number, &episode);
                lines.push('\n');
                is_last = true;
            }
        }
        if how.is_none() && !again(&mut session, title, shown.as_ref(), episode.score, colors)? {
            break;
        }
    }
    Ok(lines)
}

/// Asks a person whether to play again.
fn again(
    session: &mut Session,
    title: &str,
    shown: Option<&Picture>,
    score: f64,
    colors: Colors,
) -> anyhow::Result<bool> {
    let text = format!("game over, score {}  Enter: play again  q: quit", in_short(score));
    let mut answer = None;
    while answer.is_none() {
        session.draw(title, shown, &text, true, colors)?;
        session.keys_until(Instant::now() + Duration::from_secs(1), |key| {
            answer = match (key.code, wish(key)) {
                (_, Some(Wish::Quit)) => Some(false),
                (KeyCode::Enter, _) => Some(true),
                _ => None,
            };
            answer.is_none()
        })?;
    }
    Ok(answer == Some(true))
}

impl Session {
    /// Draws a title, a picture and a line of text.
    fn draw(
        &mut self,
        title: &str,
        picture: Option<&Picture>,
        text: &str,
        by_hand: bool,
        colors: Colors,
    ) -> anyhow::Result<()> {
        let keys = if by_hand {
            "arrows: move  space: fire  p: pause  q: quit"
        } else {
            "p: pause  n: next episode  q: quit"
        };
        let centered = |text: &str, width: u16| {
            let fits = text.chars().count() <= usize::from(width);
            let line = TextLine::from(text.to_owned());
            if fits { line.centered() } else { line }
        };
        self.terminal.draw(|frame| {
            let area = frame.area();
            let line = |y: u16| Rect::new(0, y.min(area.height.saturating_sub(1)), area.width, 1);
            if let Some(picture) = picture {
                let room = Rect::new(0, 1, area.width, area.height.saturating_sub(3));
                frame.render_widget(Screen { picture, colors }, room.intersection(area));
            }
            if area.height >= 3 {
                for (text, y) in [(title, 0), (text, area.height - 2), (keys, area.height - 1)] {
                    frame.render_widget(centered(text, area.width), line(y));
                }
            }
        })?;
        Ok(())
    }
}

/// A person plays.
fn by_hand(args: &PlayArgs, no_run: anyhow::Error) -> anyhow::Result<()> {
    let name = args.what.to_str().and_then(|name| name.parse::<EnvName>().ok());
    let Some((info, mut options)) = name.and_then(|name| name.resolve().ok()) else {
        return Err(anyhow!(
            "{no_run}; nor is it an environment to play: `{} envs` lists them",
            output::program()
        ));
    };
    if args.video.is_some() {
        bail!(
            "videos are of trained agents: name a run, e.g. `{} play {short}-ppo-1 --video {short}.gif`",
            output::program(),
            short = info.short
        );
    }
    let of_agents = [
        ("--greedy", args.greedy),
        ("--epsilon", args.epsilon > 0.0),
        ("--checkpoint", args.checkpoint != Which::Last),
        ("--device", args.device.is_some()),
    ];
    if let Some((flag, _)) = of_agents.iter().find(|(_, given)| *given) {
        bail!(
            "{flag} applies to agents only: leave it out to play {} yourself",
            info.id()
        );
    }
    if !terminal::is_there() {
        let why = if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
            "that can be redrawn, which TERM denies"
        } else {
            "on standard input and output"
        };
        bail!("playing requires a terminal {why}");
    }
    if let (Some(roms), Some(_)) = (&args.roms, info.atari(&options)) {
        options.atari.roms = Some(roms.clone());
    }
    let mut play = nobody(&info.factory(&options)?)?;
    let lines = live(play.as_mut(), &info.id(), args, None)?;
    output::print(&lines)?;
    Ok(())
}
