//! The benchmark suites.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use coinop_agents::algorithm::{Threading, Work, Workload};
use coinop_agents::distributed::Ranks;
use coinop_agents::network::Observation;
use coinop_agents::replay::{Replay, ReplayBatch};
use coinop_agents::tch::{Kind, Tensor};
use coinop_agents::times::{Part, Times};
use coinop_agents::{Device, Trainer, set_torch_threads};
use coinop_atari::{Atari, AtariSettings, Rom, find_game};
use coinop_envs::rng::{Rng, stream};
use coinop_envs::{AnyFactory, EnvFactory, EnvSpec, Step};
use rand::RngExt;

use super::{How, Measurement, Training, ale, median};
use crate::commands::train::{follow_rank_0, led, trainer_of};
use crate::config::{Config, cores};
use crate::count::counted;

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// The Atari machine alone: random actions, a gray screen every fourth frame
    Emulator,
    /// One environment, with random actions
    Env,
    /// As many environments as the algorithm trains with, by numbers of threads
    Vec,
    /// Answers of the algorithm's network, by sizes of batches
    Inference,
    /// Updates of the algorithm's network by its learner
    Learner,
    /// A replay memory: steps stored, batches sampled
    Replay,
    /// Training, where its time goes, and the floor: its network's answers and updates with nothing around them
    Train,
    /// Every suite that applies
    All,
}

impl Suite {
    /// The individual suites.
    const EACH: [Suite; 7] = [
        Suite::Emulator,
        Suite::Env,
        Suite::Vec,
        Suite::Inference,
        Suite::Learner,
        Suite::Replay,
        Suite::Train,
    ];

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The benchmark of one environment and one algorithm.
pub(crate) struct Bench<'a, O> {
    config: &'a Config,
    ranks: &'a Ranks,
    how: How,
    factory: Arc<dyn EnvFactory<Obs = O>>,
    spec: EnvSpec,
    device: Device,
    measurements: Vec<Measurement>,
}

/// Checks that the requested suites apply; [`Suite::All`] skips those that do not.
pub(crate) fn check(config: &Config, suites: &[Suite]) -> anyhow::Result<()> {
    let info = config.env_info()?;
    if suites.contains(&Suite::Emulator) && !has_emulator(config)? {
        bail!("{} has no emulator: name a game of the Atari with --env", info.id());
    }
    if suites
        .iter()
        .any(|suite| [Suite::Inference, Suite::Learner].contains(suite))
        && config.algo.workload().is_none()
    {
        bail!(
            "{} has a network of its own, which is not known here",
            config.run.algo.name()
        );
    }
    if suites.contains(&Suite::Replay) && config.algo.workload().is_none_or(|workload| workload.replay.is_none()) {
        bail!("{} has no replay memory: add --algo double-dqn", config.run.algo.name());
    }
    Ok(())
}

fn has_emulator(config: &Config) -> anyhow::Result<bool> {
    Ok(config.env_info()?.atari(&config.env).is_some())
}

/// Runs the measurements; `watch` receives what comes next.
pub(crate) fn run(
    config: &Config,
    ranks: &Ranks,
    suites: &[Suite],
    how: How,
    watch: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<Measurement>> {
    match config.env_info()?.factory(&config.env)? {
        AnyFactory::Pixels(factory) => Bench::new(config, ranks, how, factory)?.run(suites, watch),
        AnyFactory::Features(factory) => Bench::new(config, ranks, how, factory)?.run(suites, watch),
    }
}

/// Does what rank 0 needs for its measurements: training, and means.
pub(crate) fn follow(config: &Config, ranks: &Ranks, suites: &[Suite], how: How) -> anyhow::Result<()> {
    if suites.contains(&Suite::Train) || suites.contains(&Suite::All) {
        follow_rank_0(&as_measured(config), ranks)?;
        means(ranks, how)?;
    }
    Ok(())
}

/// The settings of the suite `train`.
fn as_measured(config: &Config) -> Config {
    let mut config = config.clone();
    // It learns soon enough to be seen.
    config.algo.shorten(0);
    config
}

/// The rate of means of a gradient over all processes: minimum, median and maximum. `None` if there was none.
fn means(ranks: &Ranks, how: How) -> anyhow::Result<Option<(f64, f64, f64)>> {
    let len = ranks.gradient_len();
    if ranks.is_alone() || len == 0 {
        return Ok(None);
    }
    let mut rates = Vec::new();
    // The first is to warm up.
    for _ in 0..=how.repeats {
        let (start, mut count) = (std::time::Instant::now(), 0.0);
        loop {
            let _ = ranks.mean(Tensor::zeros([len as i64], (Kind::Float, Device::Cpu)))?;
            count += 1.0;
            // All of them do as many: rank 0 says when it is enough.
            let is_enough = start.elapsed().as_secs_f64() >= how.seconds;
            if ranks.broadcast(&[u8::from(is_enough)])? == [1] {
                break;
            }
        }
        rates.push(count / start.elapsed().as_secs_f64());
    }
    rates.remove(0);
    rates.sort_by(f64::total_cmp);
    Ok(Some((rates[0], median(&rates), rates[rates.len() - 1])))
}

impl<'a, O: Observation> Bench<'a, O> {
    fn new(
        config: &'a Config,
        ranks: &'a Ranks,
        how: How,
        factory: Arc<dyn EnvFactory<Obs = O>>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            ranks,
            spec: factory.spec(),
            device: coinop_agents::device(&config.run.device)?,
            config,
            how,
            factory,
            measurements: Vec::new(),
        })
    }

    fn run(mut self, suites: &[Suite], watch: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Measurement>> {
        for suite in Suite::EACH {
            let asked = suites.contains(&Suite::All) || suites.contains(&suite);
            let is_there = check(self.config, &[suite]).is_ok();
            if !asked || !is_there {
                continue;
            }
            watch(&suite.name());
            match suite {
                Suite::Emulator => self.emulator()?,
                Suite::Env => self.env()?,
                Suite::Vec => self.vec()?,
                Suite::Inference => self.inference()?,
                Suite::Learner => self.learner()?,
                Suite::Replay => self.replay()?,
                Suite::Train => self.train()?,
                Suite::All => {}
            }
        }
        Ok(self.measurements)
    }

    /// Measures `work`, which counts in `unit`.
    fn measure(
        &mut self,
        suite: Suite,
        name: String,
        unit: &str,
        work: impl FnMut() -> anyhow::Result<f64>,
    ) -> anyhow::Result<&mut Measurement> {
        let (low, median, high) = self.how.rate(work)?;
        self.measurements.push(Measurement {
            what: suite.name(),
            name,
            unit: unit.to_owned(),
            median,
            low,
            high,
            frames_per_step: (unit == "frames").then_some(self.spec.frames_per_step),
            training: None,
        });
        let last = self.measurements.len() - 1;
        Ok(&mut self.measurements[last])
    }

    /// Measures the emulator of an Atari game.
    fn emulator(&mut self) -> anyhow::Result<()> {
        let info = self.config.env_info()?;
        let Some(options) = info.atari(&self.config.env) else {
            return Ok(());
        };
        let rom = Rom::find(find_game(info.short)?, options.roms.as_deref())?;
        let settings = AtariSettings {
            mode: options.mode,
            difficulty: options.difficulty,
            ..AtariSettings::default()
        };
        let mut atari = Atari::new(&rom, &settings)?;
        let mut screen = vec![0; atari.height() * Atari::WIDTH];
        let actions = find_game(info.short)?.minimal_actions;
        let mut random = stream(0, "bench", 0);
        let play = || {
            for frame in 0..1_000 {
                atari.act(actions[random.random_range(0..actions.len())]);
                if frame % 4 == 0 {
                    atari.grayscale(&mut screen);
                }
                if atari.is_terminal() {
                    atari.reset();
                }
            }
            Ok(1_000.0)
        };
        let measurement = self.measure(Suite::Emulator, "one core".to_owned(), "frames", play)?;
        // The machine knows frames alone.
        measurement.frames_per_step = None;
        if let Some(rates) = ale::rates(info.short, options.mode, options.difficulty, self.how) {
            self.measurements.push(Measurement {
                what: Suite::Emulator.name(),
                name: format!("{} {}", ale::NAME, rates.version),
                unit: "frames".to_owned(),
                median: rates.median,
                low: rates.low,
                high: rates.high,
                frames_per_step: None,
                training: None,
            });
        }
        Ok(())
    }

    fn env(&mut self) -> anyhow::Result<()> {
        let (mut env, spec) = (self.factory.make(0)?, self.spec);
        let mut obs = vec![O::default(); spec.obs_shape.len()];
        let mut random = stream(0, "bench", 0);
        env.reset(Some(0), &mut obs)?;
        let play = || {
            for _ in 0..100 {
                let action = random.random_range(0..spec.num_actions as u32);
                if env.step(action, &mut obs)?.end.is_over() {
                    env.reset(None, &mut obs)?;
                }
            }
            Ok(100.0 * f64::from(spec.frames_per_step))
        };
        self.measure(Suite::Env, "one environment".to_owned(), "frames", play)?;
        Ok(())
    }

    fn vec(&mut self) -> anyhow::Result<()> {
        let (n, spec) = (self.config.algo.num_envs(), self.spec);
        let mut threads = 1;
        let most = self.config.run.env_threads;
        while threads <= most {
            let mut envs = self.factory.make_vec(0, n, threads)?;
            let mut obs = vec![O::default(); n * spec.obs_shape.len()];
            let (mut final_obs, mut steps) = (obs.clone(), vec![Step::default(); n]);
            let mut random = stream(0, "bench", 0);
            let mut actions = vec![0; n];
            envs.reset(Some(0), &mut obs)?;
            let play = || {
                draw(&mut random, spec.num_actions, &mut actions);
                envs.step(&actions, &mut obs, &mut final_obs, &mut steps)?;
                Ok((n as u32 * spec.frames_per_step).into())
            };
            self.measure(
                Suite::Vec,
                format!("{n} environments, {}", counted(threads, "thread")),
                "frames",
                play,
            )?;
            // Twice as many, and at last all.
            threads = if threads < most {
                (2 * threads).min(most)
            } else {
                most + 1
            };
        }
        Ok(())
    }

    /// Creates the network and its learner, which answers `batch` observations, with as many threads as in training.
    fn work(&self, workload: &Workload, batch: usize) -> anyhow::Result<Box<dyn Work>> {
        set_torch_threads(if workload.workers > 1 {
            1
        } else {
            self.config.run.torch_threads
        });
        let work = self.config.algo.work::<O>(&self.spec, batch, self.device)?;
        work.ok_or_else(|| anyhow!("{} has a workload, but no work", self.config.run.algo.name()))
    }

    fn inference(&mut self) -> anyhow::Result<()> {
        let Some(workload) = self.config.algo.workload() else {
            return Ok(());
        };
        let mut sizes = vec![1, 8, 32, 128];
        if !sizes.contains(&workload.act_batch) {
            sizes.push(workload.act_batch);
            sizes.sort_unstable();
        }
        for n in sizes {
            let mut work = self.work(&workload, n)?;
            let act = || {
                work.act()?;
                Ok(n as f64)
            };
            self.measure(Suite::Inference, format!("batch of {n}"), "observations", act)?;
        }
        Ok(())
    }

    fn learner(&mut self) -> anyhow::Result<()> {
        let Some(workload) = self.config.algo.workload() else {
            return Ok(());
        };
        let mut work = self.work(&workload, workload.act_batch)?;
        let n = workload.learn_batch;
        let learn = || {
            work.learn()?;
            Ok(n as f64)
        };
        self.measure(Suite::Learner, format!("batch of {n}"), "samples", learn)?;
        Ok(())
    }

    /// Measures the algorithm's replay memory, filled by random play.
    fn replay(&mut self) -> anyhow::Result<()> {
        let Some(workload) = self.config.algo.workload() else {
            return Ok(());
        };
        let Some(config) = workload.replay else { return Ok(()) };
        let (n, batch_size) = (self.config.algo.num_envs(), workload.learn_batch);
        let spec = self.spec;
        let mut replay = Replay::<O>::new(&config, n, &spec)?;
        let mut envs = self.factory.make_vec(0, n, self.config.run.env_threads)?;
        let len = spec.obs_shape.len();
        let mut obs = vec![O::default(); n * len];
        let (mut final_obs, mut steps) = (obs.clone(), vec![Step::default(); n]);
        let (mut random, mut actions) = (stream(0, "bench", 0), vec![0; n]);
        envs.reset(Some(0), &mut obs)?;
        // What is stored again and again is a moment of all environments, each other than the one before.
        let mut moments = Vec::new();
        for _ in 0..1_000usize.div_ceil(n).max(8) {
            let before = obs.clone();
            draw(&mut random, spec.num_actions, &mut actions);
            envs.step(&actions, &mut obs, &mut final_obs, &mut steps)?;
            moments.push((before, actions.clone(), steps.clone(), final_obs.clone()));
        }
        let mut next = 0;
        let mut store = |replay: &mut Replay<O>| -> anyhow::Result<f64> {
            let (obs, actions, steps, final_obs) = &moments[next % moments.len()];
            for (actor, step) in steps.iter().enumerate() {
                let row = actor * len..(actor + 1) * len;
                replay.insert(actor, &obs[row.clone()], actions[actor], step, &final_obs[row])?;
            }
            next += 1;
            Ok(n as f64)
        };
        // Steps that can't be sampled yet take room, too, so that what can be never fills the capacity.
        let mut stored = 0.0;
        while stored < config.capacity.min(50_000) as f64 {
            stored += store(&mut replay)?;
        }
        self.measure(Suite::Replay, "stored".to_owned(), "steps", || store(&mut replay))?;
        let mut batch = ReplayBatch::new(batch_size, &spec);
        let errors = vec![0.5; batch_size];
        let sample = || {
            replay.sample(0.5, &mut random, &mut batch)?;
            replay.update_priorities(&batch.ids, &errors, 0)?;
            Ok(batch_size as f64)
        };
        let name = format!("sampled, {batch_size} at a time");
        self.measure(Suite::Replay, name, "transitions", sample)?;
        Ok(())
    }

    fn train(&mut self) -> anyhow::Result<()> {
        let config = as_measured(self.config);
        // Of several processes, the others would stand still meanwhile.
        let workload = config.algo.workload().filter(|_| self.ranks.is_alone());
        let floor = workload.map(|workload| self.floor(&workload)).transpose()?;
        let mut trainer = led(trainer_of(&config, self.ranks)?, &config, self.ranks);
        until_it_learns(trainer.as_mut())?;
        let (mut frames, mut before) = (trainer.step()?.frames, None);
        let start = std::time::Instant::now();
        let mut begun = start;
        let play = || {
            if before.is_none() && start.elapsed().as_secs_f64() >= self.how.seconds {
                // After what is done to warm up.
                (before, begun) = (Some(trainer.times()), std::time::Instant::now());
            }
            let now = trainer.step()?.frames;
            let played = now - frames;
            frames = now;
            Ok(played as f64)
        };
        let how = self.how;
        let (low, median, high) = how.rate(play)?;
        let times = trainer.times().since(&before.unwrap_or_default());
        let parts = shares(&times, begun.elapsed().as_secs_f64());
        self.measurements.push(Measurement {
            what: Suite::Train.name(),
            name: format!("{}, preset {}", config.run.algo.name(), config.run.preset),
            unit: "frames".to_owned(),
            median,
            low,
            high,
            frames_per_step: Some(self.spec.frames_per_step),
            training: Some(Training { parts, floor }),
        });
        // The others stop to train.
        drop(trainer);
        if let Some((low, median, high)) = means(self.ranks, how)? {
            let (numbers, processes) = (self.ranks.gradient_len(), self.ranks.size());
            self.measurements.push(Measurement {
                what: Suite::Train.name(),
                name: format!("means of {numbers} numbers over {processes} processes"),
                unit: "means".to_owned(),
                median,
                low,
                high,
                frames_per_step: None,
                training: None,
            });
        }
        Ok(())
    }

    /// Frames per second of a network that acts and learns as in training, with nothing else.
    fn floor(&self, workload: &Workload) -> anyhow::Result<f64> {
        let mut work = self.work(workload, workload.act_batch)?;
        let how = How {
            repeats: self.how.repeats.min(3),
            ..self.how
        };
        let (_, acts, _) = how.rate(|| {
            work.act()?;
            Ok(1.0)
        })?;
        let (_, learns, _) = how.rate(|| {
            work.learn()?;
            Ok(1.0)
        })?;
        let (answers, updates) = (workload.acts / acts, workload.learns / learns);
        let seconds = unit_seconds(self.config.algo.threading(), answers, updates);
        let at_once = workload.workers.min(cores()) as f64;
        Ok(at_once * workload.steps * f64::from(self.spec.frames_per_step) / seconds)
    }
}

/// The least time of a unit of training whose answers and updates take so many seconds by themselves.
fn unit_seconds(threading: Threading, answers: f64, updates: f64) -> f64 {
    match threading {
        Threading::Turns | Threading::Workers => answers + updates,
        // The slower side decides.
        Threading::AtOnce => answers.max(updates),
        Threading::Actors(actors) => (answers / actors.min(cores()) as f64).max(updates),
    }
}

/// Plays until the first update, for which Double-DQN must fill its memory.
fn until_it_learns(trainer: &mut dyn Trainer) -> anyhow::Result<()> {
    while trainer.step()?.updates == 0 {}
    Ok(())
}

fn draw(random: &mut Rng, num_actions: usize, actions: &mut [u32]) {
    actions.fill_with(|| random.random_range(0..num_actions as u32));
}

/// Each part's fraction of the threads' time, and the remainder.
fn shares(times: &Times, seconds: f64) -> Vec<(String, f64)> {
    let whole = seconds * times.threads.min(cores()).max(1) as f64;
    let measured: f64 = Part::ALL.iter().map(|part| times.of(*part).as_secs_f64()).sum();
    if measured == 0.0 {
        // It does not measure.
        return Vec::new();
    }
    // Threads that are more than the cores have waited for one within their parts.
    let whole = whole.max(measured);
    let share = |part: &Part| (part.name().to_owned(), times.of(*part).as_secs_f64() / whole);
    let mut shares: Vec<(String, f64)> = Part::ALL.iter().map(share).collect();
    shares.push(("the rest".to_owned(), 1.0 - measured / whole));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_updates_take_their_time_one_after_the_other_or_together() {
        for (threading, expected) in [
            (Threading::Turns, 5.0),
            (Threading::Workers, 5.0),
            (Threading::AtOnce, 3.0),
            (Threading::Actors(1), 3.0),
        ] {
            assert_eq!(unit_seconds(threading, 2.0, 3.0), expected, "{threading:?}");
        }
        assert_eq!(unit_seconds(Threading::Actors(1), 3.0, 2.0), 3.0);
        // Of more actors than there are cores, as many compute at a time as there are cores.
        let shared = unit_seconds(Threading::Actors(1 << 20), 3.0, 0.0);
        assert_eq!(shared, 3.0 / cores() as f64);
    }
}
