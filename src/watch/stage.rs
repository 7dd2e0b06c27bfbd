//! The agent of the newest checkpoint, playing in its own environment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coinop_agents::Mode;
use coinop_envs::rng::derive_seed;

use super::data::Snapshot;
use super::view::Stage;
use crate::play::picture::{Film, Picture};
use crate::play::player::{Choice, Play, agent, in_short};
use crate::play::record::Thinner;
use crate::run::dir::RunDir;

/// Pictures a second: few, because the cores are for the training.
const FPS: f64 = 15.0;

/// Between two attempts to find a checkpoint.
const AGAIN: Duration = Duration::from_secs(2);

/// Plays one episode after the other, each with the newest checkpoint.
pub(crate) struct Troupe {
    is_on: bool,
    player: Option<Player>,
    /// Why there is no player.
    why: String,
    next: Instant,
    episodes: u64,
}

struct Player {
    play: Box<dyn Play>,
    film: Film,
    thinner: Thinner,
    pause: Duration,
    /// Drawn, and not yet shown.
    pictures: VecDeque<Picture>,
    shown: Option<Picture>,
    score: f64,
    is_over: bool,
}

impl Troupe {
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            player: None,
            why: String::new(),
            next: Instant::now(),
            episodes: 0,
        }
    }

    pub(crate) fn toggle(&mut self) {
        self.is_on = !self.is_on;
        self.next = Instant::now();
    }

    pub(crate) fn stage(&self) -> Stage<'_> {
        match &self.player {
            _ if !self.is_on => Stage::Off,
            Some(Player {
                shown: Some(picture), ..
            }) => Stage::Picture {
                picture,
                caption: &self.why,
            },
            _ => Stage::Empty(&self.why),
        }
    }

    /// Advances to the next picture if it is due; returns when the following one is.
    pub(crate) fn play(&mut self, dir: &RunDir, run: &Snapshot) -> Instant {
        let now = Instant::now();
        if !self.is_on {
            return now + Duration::from_secs(3600);
        }
        if now < self.next {
            return self.next;
        }
        if let Err(error) = self.try_to_play(dir, run) {
            self.player = None;
            self.why = error.to_string();
            self.next = now + AGAIN;
        }
        self.next
    }

    fn try_to_play(&mut self, dir: &RunDir, run: &Snapshot) -> anyhow::Result<()> {
        if self.player.as_ref().is_none_or(|player| player.is_over) {
            let Some(frames) = run.checkpoint else {
                anyhow::bail!("no checkpoint yet");
            };
            let section = dir.read_checkpoint(frames)?;
            let mut play = agent(&run.config, section, "cpu")?;
            let film = Film::default();
            let Some(fps) = play.set_viewer(Some(film.viewer())) else {
                anyhow::bail!("this environment has no pictures");
            };
            let every = (fps / FPS).round().max(1.0);
            self.episodes += 1;
            play.begin(derive_seed(run.config.run.seed, "watch", self.episodes))?;
            let mut pictures = VecDeque::from(film.take());
            pictures.drain(..pictures.len().saturating_sub(1));
            self.player = Some(Player {
                play,
                film,
                thinner: Thinner::new(every as usize, true),
                pause: Duration::from_secs_f64(every / fps),
                shown: None,
                pictures,
                score: 0.0,
                is_over: false,
            });
        }
        let Some(player) = &mut self.player else { return Ok(()) };
        while player.pictures.is_empty() && !player.is_over {
            let moment = player.play.step(Choice::Agent {
                mode: Mode::Sample,
                epsilon: 0.0,
            })?;
            player.score += f64::from(moment.step.score);
            player.is_over = moment.step.end.is_over();
            for picture in player.film.take() {
                player.pictures.extend(player.thinner.add(picture));
            }
        }
        if let Some(picture) = player.pictures.pop_front() {
            player.shown = Some(picture);
        }
        self.why = format!("score {}", in_short(player.score));
        self.next = (self.next + player.pause).max(Instant::now());
        Ok(())
    }
}
