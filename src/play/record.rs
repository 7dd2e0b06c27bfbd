//! Videos of agents.

use std::path::Path;
use std::time::Instant;

use anyhow::{anyhow, bail};
use coinop_agents::{Mode, Section};
use coinop_envs::registry::Family;

use super::picture::{Film, Picture};
use super::player::{Choice, Episode, agent, in_short};
use super::video::{self, Format, Plan};
use crate::config::Config;
use crate::run::progress::Line;

/// How an agent plays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) epsilon: f64,
}

impl How {
    pub(crate) fn choice(self) -> Choice {
        Choice::Agent {
            mode: self.mode,
            epsilon: self.epsilon,
        }
    }
}

/// How a video looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// The pictures a second that are wished for.
    pub(crate) fps: f64,
    pub(crate) scale: usize,
    /// The seconds after which it ends.
    pub(crate) seconds: f64,
    /// The number of episodes to choose the best from.
    pub(crate) best_of: u64,
}

/// Tells of an episode that has ended.
pub(crate) fn told(number: u64, episode: &Episode<'_>) -> String {
    format!(
        "episode {}: score {} in {} steps",
        number + 1,
        in_short(episode.score),
        episode.steps
    )
}

/// Takes one picture out of every few.
pub(crate) struct Thinner {
    every: usize,
    /// Whether objects that flicker must not vanish.
    brighten: bool,
    waiting: Option<Picture>,
    count: usize,
}

impl Thinner {
    pub(crate) fn new(every: usize, brighten: bool) -> Self {
        Self {
            every,
            brighten,
            waiting: None,
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, picture: Picture) -> Option<Picture> {
        self.waiting = Some(match self.waiting.take() {
            Some(mut waiting) if self.brighten => {
                waiting.brighten(&picture);
                waiting
            }
            _ => picture,
        });
        self.count += 1;
        if self.count.is_multiple_of(self.every) {
            self.waiting.take()
        } else {
            None
        }
    }
}

/// How many frames of an environment become one picture, and how many pictures that makes a second.
pub(crate) fn thinned(fps: f64, wanted: f64, most: f64) -> (usize, f64) {
    let mut every = (fps / wanted).round().max(1.0);
    while fps / every > most {
        every += 1.0;
    }
    (every as usize, fps / every)
}

fn is_flickering(config: &Config) -> anyhow::Result<bool> {
    Ok(config.env_info()?.family == Family::Atari)
}

pub(crate) fn no_pictures(env: &str) -> anyhow::Error {
    anyhow!("`{env}` cannot be shown: the environment does not implement `Env::set_viewer`")
}

/// A video that was made.
pub(crate) struct Made {
    pub(crate) pictures: usize,
    pub(crate) fps: f64,
    /// Width and height.
    pub(crate) size: (usize, usize),
    /// Of the episode that it shows.
    pub(crate) score: f64,
}

/// Makes a video of an agent.
pub(crate) fn record(
    config: &Config,
    section: Section,
    how: How,
    look: Look,
    path: &Path,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Made> {
    let mut play = agent(config, section, &config.run.device)?;
    let (film, choice) = (Film::default(), how.choice());
    let fps = play.set_viewer(Some(film.viewer()));
    let fps = fps.ok_or_else(|| no_pictures(&config.run.env))?;
    let (every, fps) = thinned(fps, look.fps, Format::of(path)?.most_fps());
    let most = (look.seconds * fps).ceil().max(1.0);
    // Every episode is played the same way again when its video is made.
    let mut best: Option<(f64, u64, usize)> = None;
    for number in 0..look.best_of {
        let seed = how.seed.wrapping_add(number);
        let mut episode = Episode::begin(play.as_mut(), &film, seed)?;
        episode.first();
        let mut frames = 0;
        loop {
            let shot = episode.step(choice)?;
            frames += shot.pictures.len();
            if shot.is_last {
                break;
            }
        }
        if look.best_of > 1 {
            say(&told(number, &episode));
        }
        if best.is_none_or(|(score, ..)| episode.score > score) {
            let pictures = ((1 + frames.div_ceil(every)) as f64).min(most) as usize;
            best = Some((episode.score, seed, pictures));
        }
    }
    let Some((score, seed, pictures)) = best else {
        bail!("at least 1 episode must be played");
    };
    let mut episode = Episode::begin(play.as_mut(), &film, seed)?;
    let first = episode.first().pictures.pop();
    let first = first.ok_or_else(|| no_pictures(&config.run.env))?;
    let first = first.captioned(&episode.caption(), look.scale);
    let plan = Plan {
        width: first.width,
        height: first.height,
        fps,
        pictures,
    };
    let mut video = video::create(path, plan)?;
    video.add(&first)?;
    let (mut added, mut line) = (1, Line::new(pictures as u64));
    let mut thinner = Thinner::new(every, is_flickering(config)?);
    while added < pictures {
        let shot = episode.step(choice)?;
        let caption = episode.caption();
        let mut ready: Vec<Picture> = shot.pictures.into_iter().filter_map(|one| thinner.add(one)).collect();
        if shot.is_last {
            ready.extend(thinner.waiting.take());
        }
        for picture in ready.into_iter().take(pictures - added) {
            video.add(&picture.captioned(&caption, look.scale))?;
            added += 1;
        }
        let now = Instant::now();
        if line.is_due(now) {
            line.show(now, added as u64, format!("{added} of {pictures} pictures"));
        }
        if shot.is_last {
            break;
        }
    }
    line.finish();
    video.finish()?;
    Ok(Made {
        pictures: added,
        fps,
        size: (plan.width, plan.height),
        score,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_thinned_to_what_is_wished_for_and_possible() {
        // Frames a second of the environment, as wished for, at most.
        for (fps, wanted, most, expected) in [
            (60.0, 30.0, f64::INFINITY, (2, 30.0)),
            (60.0, 60.0, f64::INFINITY, (1, 60.0)),
            (60.0, 60.0, 50.0, (2, 30.0)),
            (50.0, 30.0, 50.0, (2, 25.0)),
            (15.0, 30.0, 50.0, (1, 15.0)),
        ] {
            assert_eq!(thinned(fps, wanted, most), expected, "{fps}, {wanted}, {most}");
        }
    }
}
