//! What tests of several algorithms need: an environment that agents learn in a second, and a look at a state.

use std::sync::Arc;

use coinop_envs::rng::{Rng, stream};
use coinop_envs::snapshot::{open, seal};
use coinop_envs::vec_env::Serial;
use coinop_envs::{Copies, Env, EnvError, EnvFactory, Shape, Step, VecEnv};

use crate::network::BodyKind;
use crate::{Checkpoint, Progress, Resumption, Section, Trainer, checkpoint};

/// Shows a bit; naming it pays 1, anything else nothing. An episode has ten steps and is then truncated.
#[derive(Clone)]
pub(crate) struct NameTheBit {
    random: Rng,
    bit: u32,
    step: u32,
}

impl NameTheBit {
    fn show(&mut self, obs: &mut [f32]) {
        self.bit = rand::RngExt::random_range(&mut self.random, 0..2);
        obs.copy_from_slice(&[self.bit as f32, 1.0 - self.bit as f32]);
    }
}

impl Env for NameTheBit {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[2])
    }

    fn num_actions(&self) -> usize {
        3
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "bits", 0);
        }
        self.step = 0;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.step += 1;
        let reward = f32::from(u8::from(action == self.bit));
        self.show(obs);
        Ok(if self.step == 10 {
            Step::truncated(reward)
        } else {
            Step::going_on(reward)
        })
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("NameTheBit", 1, &(&self.random, self.bit, self.step), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        ((self.random, self.bit, self.step), _) = open("NameTheBit", 1, snapshot)?;
        Ok(())
    }
}

/// One of them.
pub(crate) fn name_the_bit() -> NameTheBit {
    NameTheBit {
        random: stream(0, "bits", 0),
        bit: 0,
        step: 0,
    }
}

/// It has no snapshots. Shows a bit, then nothing, then a question; naming the bit then pays 1 and ends the episode. Only who remembers it can do better than guess.
#[derive(Clone)]
pub(crate) struct RememberTheBit {
    random: Rng,
    bit: u32,
    step: u32,
}

impl Env for RememberTheBit {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[3])
    }

    fn num_actions(&self) -> usize {
        2
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "bits", 0);
        }
        self.step = 0;
        self.bit = rand::RngExt::random_range(&mut self.random, 0..2);
        obs.copy_from_slice(&[self.bit as f32, 1.0 - self.bit as f32, 0.0]);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.step += 1;
        obs.copy_from_slice(&[0.0, 0.0, f32::from(u8::from(self.step == 2))]);
        Ok(match self.step {
            3 => Step::terminated(f32::from(u8::from(action == self.bit))),
            _ => Step::going_on(0.0),
        })
    }
}

/// One of them.
pub(crate) fn remember_the_bit() -> RememberTheBit {
    RememberTheBit {
        random: stream(0, "bits", 0),
        bit: 0,
        step: 0,
    }
}

/// Eight of them, one after the other.
pub(crate) fn envs() -> Box<dyn VecEnv<Obs = f32> + Send> {
    Box::new(Serial::new(vec![name_the_bit(); 8]))
}

/// Makes copies of an environment.
pub(crate) fn of<E: Env<Obs = f32> + Clone + Send + Sync + 'static>(env: E) -> Arc<dyn EnvFactory<Obs = f32>> {
    Arc::new(Copies::of(env, 100))
}

/// Fails, or panics, with its step `at`; it has snapshots.
#[derive(Clone)]
pub(crate) struct Breaks {
    steps: u32,
    at: u32,
    panics: bool,
}

/// One that breaks with its step `at`.
pub(crate) fn breaks(at: u32, panics: bool) -> Breaks {
    Breaks { steps: 0, at, panics }
}

impl Env for Breaks {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1])
    }

    fn num_actions(&self) -> usize {
        2
    }

    fn reset(&mut self, _seed: Option<u64>, _obs: &mut [f32]) -> Result<(), EnvError> {
        Ok(())
    }

    fn step(&mut self, _action: u32, _obs: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        assert!(self.steps < self.at || !self.panics, "a panic that a test wants");
        if self.steps < self.at {
            Ok(Step::going_on(0.0))
        } else {
            Err(EnvError::Other("the cable was cut".into()))
        }
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(seal("Breaks", 1, &self.steps, &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        (self.steps, _) = open("Breaks", 1, snapshot)?;
        Ok(())
    }
}

/// Checks what a trainer saves whose environments break before its `steps`th step is complete: no episode under way, which would be a mixture of two
/// moments; `make` gives one. Another one begins new episodes from it.
pub(crate) fn assert_a_failed_step_saves_no_episode<T: Trainer>(make: impl Fn() -> T, steps: usize) {
    let mut trainer = make();
    assert!((1..steps).all(|_| trainer.step().is_ok()));
    assert!(has_episodes(&state(&trainer)));
    let error = trainer.step().map(drop).unwrap_err().to_string();
    assert_eq!(error, "environment 0: the cable was cut");
    assert_eq!(trainer.resumption(), Resumption::NewEpisodes);
    let section = state(&trainer);
    assert!(!has_episodes(&section));
    let mut restored = make();
    restored.load(&section).unwrap();
    // Its environments are new, and break as late as those.
    assert!((1..steps).all(|_| restored.step().is_ok()));
    assert!(restored.step().is_err());
}

/// Whether there are episodes under way in what a trainer has saved.
fn has_episodes(section: &Section) -> bool {
    section.has_section("envs")
        || section
            .section("worker_0")
            .is_ok_and(|worker| worker.has_section("envs"))
}

/// Performs some steps of a trainer and returns the scores of the episodes that ended.
pub(crate) fn run(trainer: &mut dyn Trainer, steps: usize) -> Vec<f64> {
    let mut scores = Vec::new();
    for _ in 0..steps {
        scores.extend(trainer.step().unwrap().episodes.iter().map(|episode| episode.score));
    }
    scores
}

/// What can be seen of a step of a trainer.
fn seen(progress: &Progress<'_>) -> String {
    let metrics: Vec<_> = progress.metrics.means().collect();
    let Progress {
        frames,
        steps,
        updates,
        episodes,
        epsilons,
        ..
    } = progress;
    format!("{frames} {steps} {updates} {episodes:?} {epsilons:?} {metrics:?}")
}

/// Checks that a trainer loaded from another's checkpoint does from then on what the other does; `make` gives one that
/// was seeded with a number.
pub(crate) fn assert_continues_exactly<T: Trainer>(make: impl Fn(u64) -> T, before: usize, after: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut saved = make(1);
    assert_eq!(saved.resumption(), Resumption::Exact);
    run(&mut saved, before);
    checkpoint::write(&path, |out| saved.save(out)).unwrap();
    // Another seed: everything that it draws and learns differs until it is restored.
    let mut restored = make(2);
    run(&mut restored, before / 2);
    assert_ne!(state(&restored).differences(&state(&saved), &|_| false), [""; 0]);
    restored.load(&checkpoint::read(&path).unwrap()).unwrap();
    assert_eq!(state(&restored).differences(&state(&saved), &|_| false), [""; 0]);
    for step in 0..after {
        assert_eq!(
            seen(&restored.step().unwrap()),
            seen(&saved.step().unwrap()),
            "step {step}"
        );
    }
    assert_eq!(state(&restored).differences(&state(&saved), &|_| false), [""; 0]);
}

/// A component's state.
pub(crate) fn state(of: &(impl Checkpoint + ?Sized)) -> Section {
    let mut section = Section::default();
    of.save(&mut section).unwrap();
    section
}

/// The state as the bytes of its files.
pub(crate) fn on_disk(of: &(impl Checkpoint + ?Sized)) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    checkpoint::write(&path, |out| of.save(out)).unwrap();
    let files = ["tensors.safetensors", "state.json", "bytes.bin"];
    files.map(|name| std::fs::read(path.join(name)).unwrap()).to_vec()
}

/// Shows a picture of 36x36 pixels with one half lit; naming the half pays 1. An episode has ten steps.
#[derive(Clone)]
pub(crate) struct NameTheHalf(NameTheBit);

impl NameTheHalf {
    fn show(&self, obs: &mut [u8]) {
        for (i, pixel) in obs.iter_mut().enumerate() {
            let right = u32::from(i % 36 >= 18);
            *pixel = if right == self.0.bit { 255 } else { 0 };
        }
    }
}

impl Env for NameTheHalf {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1, 36, 36])
    }

    fn num_actions(&self) -> usize {
        3
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.0.reset(seed, &mut [0.0; 2])?;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        let step = self.0.step(action, &mut [0.0; 2])?;
        self.show(obs);
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        self.0.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        self.0.restore(snapshot)
    }
}

/// A network that learns it in a second.
pub(crate) fn small_convolutions() -> BodyKind {
    BodyKind::layers_of(&[(4, 6, 3)], &[16])
}

/// Makes them.
pub(crate) fn name_the_half() -> Arc<dyn EnvFactory<Obs = u8>> {
    Arc::new(Copies::of(NameTheHalf(name_the_bit()), 100))
}
