//! What a program does with environments and algorithms of other people that misbehave.
//!
//! The program is this file, which starts itself: see `main`.

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

mod program;

use std::marker::PhantomData;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};

use coinop::agents::algorithm::Preset;
use coinop::agents::network::Observation;
use coinop::agents::{
    AgentError, Checkpoint, CheckpointError, Device, Episode, Metrics, Mode, Policy, Progress, Resumption, Section,
    TrainError, Trainer,
};
use coinop::envs::Observations;
use coinop::envs::rng::Rng;
use coinop::envs::snapshot::{open, seal};
use coinop::envs::wrappers::TimeLimit;
use coinop::envs::{Env, EnvError, EnvFactory, EnvSpec, Shape, Step};
use coinop::{Algorithm, Program, RunSettings};
use program::{checkpoints, of_program, text};
use serde::{Deserialize, Serialize};

/// Set where this file is the program.
const AS_PROGRAM: &str = "COINOP_TEST_AS_PROGRAM";

/// What an environment may do wrong from its step 300 on, and how `train` says it.
const FLAWS: &[(&str, &str)] = &[
    (
        "shows_nan",
        "environment 0: its observation is NaN (element 1, step 300)",
    ),
    (
        "shows_infinity",
        "environment 0: its observation is inf (element 1, step 300)",
    ),
    (
        "shows_much",
        "environment 0: its observation is 1000000000000000000000000000000 (element 1, step 300), beyond 1e18",
    ),
    ("pays_nan", "environment 0: its reward is NaN (step 300)"),
    ("pays_infinity", "environment 0: its reward is inf (step 300)"),
    ("scores_nan", "environment 0: its score is NaN (step 300)"),
    ("scores_infinity", "environment 0: its score is inf (step 300)"),
    (
        "panics",
        "environment 0: its step() panicked: a panic that a test wants (step 300)",
    ),
    ("fails", "environment 0: the cable was cut"),
];

/// Shows two numbers, which say nothing, and pays 1. Episodes have 20 steps, or no end.
struct Odd {
    flaw: &'static str,
    steps: u32,
    begun: bool,
}

fn odd(flaw: &'static str) -> Odd {
    Odd {
        flaw,
        steps: 0,
        begun: false,
    }
}

impl Env for Odd {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        assert!(self.flaw != "has_no_shape", "no shape");
        Shape::new(&[2])
    }

    fn num_actions(&self) -> usize {
        if self.flaw == "no_actions" { 0 } else { 2 }
    }

    fn frames_per_step(&self) -> u32 {
        u32::from(self.flaw != "no_frames")
    }

    fn stacked_frames(&self) -> usize {
        match self.flaw {
            "no_stack" => 0,
            "odd_stack" => 3,
            _ => 1,
        }
    }

    fn reset(&mut self, _seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        self.begun = true;
        obs.fill(0.5);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 1 {
            return Err(EnvError::InvalidAction { action, num_actions: 2 });
        }
        if !self.begun {
            return Err(EnvError::ResetNeeded);
        }
        self.steps += 1;
        obs.fill(0.5);
        let mut step = Step::going_on(1.0);
        if self.steps >= 300 {
            match self.flaw {
                "shows_nan" => obs[1] = f32::NAN,
                "shows_infinity" => obs[1] = f32::INFINITY,
                "shows_much" => obs[1] = 1e30,
                "pays_nan" => step.reward = f32::NAN,
                "pays_infinity" => step.reward = f32::INFINITY,
                "scores_nan" => step.score = f32::NAN,
                "scores_infinity" => step.score = f32::INFINITY,
                "panics" => panic!("a panic that a test wants"),
                "fails" => return Err(EnvError::Other("the cable was cut".into())),
                _ => {}
            }
        }
        Ok(step)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        assert!(self.flaw != "no_picture", "a panic that a test wants");
        Some(seal("Odd", 1, &(self.steps, self.begun), &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        ((self.steps, self.begun), _) = open("Odd", 1, snapshot)?;
        Ok(())
    }
}

/// A small picture, and an episode of ten steps.
struct Picture;

impl Env for Picture {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1, 12, 12])
    }

    fn num_actions(&self) -> usize {
        2
    }

    fn reset(&mut self, _seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        obs.fill(9);
        Ok(())
    }

    fn step(&mut self, _action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        obs.fill(9);
        Ok(Step::going_on(1.0))
    }
}

/// An algorithm that does nothing, except fail in a given way.
struct Idle {
    settings: Settings,
    steps: u64,
    episodes: Vec<Episode>,
    metrics: Metrics,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    flaw: String,
}

impl Trainer for Idle {
    fn resumption(&self) -> Resumption {
        Resumption::Exact
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        assert!(
            self.settings.flaw != "step" || self.steps < 50,
            "a panic that a test wants"
        );
        self.steps += 1;
        let score = if self.settings.flaw == "score" { f64::NAN } else { 1.0 };
        let (actor, steps) = (0, 1);
        self.episodes.clear();
        if self.settings.flaw != "no_episodes" {
            self.episodes.push(Episode { actor, score, steps });
        }
        Ok(Progress {
            frames: self.steps,
            steps: self.steps,
            updates: 0,
            episodes: &self.episodes,
            metrics: &self.metrics,
            epsilons: &[],
        })
    }
}

impl Checkpoint for Idle {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        assert!(self.settings.flaw != "save", "a panic that a test wants");
        out.put("steps", &self.steps)
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.steps = from.count("steps")?;
        Ok(())
    }
}

/// Always takes action 0.
struct Still<O>(PhantomData<O>);

impl<O: Observation> Policy for Still<O> {
    type Obs = O;

    fn act(&mut self, _obs: &[O], _begins: &[bool], _mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
        actions.fill(0);
        Ok(())
    }
}

const PRESET: &str = "[run]\nframes = 100\nseed = 1\nenv_threads = 1\ntorch_threads = 1\ndevice = \"cpu\"\nmetrics_frames = 10\n\
                      [idle]\nflaw = \"none\"";

impl Algorithm for Settings {
    const NAME: &'static str = "idle";
    const ABOUT: &'static str = "Does nothing";

    fn presets(observations: Observations) -> Vec<Preset> {
        match observations {
            Observations::Pixels => vec![],
            Observations::Features => vec![Preset::new("fast", PRESET)],
        }
    }

    fn num_envs(&self) -> usize {
        assert!(self.flaw != "num_envs", "a panic that a test wants");
        1
    }

    fn trainer<O: Observation>(
        &self,
        _: Arc<dyn EnvFactory<Obs = O>>,
        _: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        assert!(self.flaw != "trainer", "a panic that a test wants");
        Ok(Box::new(Idle {
            settings: self.clone(),
            steps: 0,
            episodes: Vec::new(),
            metrics: Metrics::default(),
        }))
    }

    fn policy<O: Observation>(
        &self,
        _: &EnvSpec,
        _: &Section,
        _: Rng,
        _: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
        assert!(self.flaw == "no_episodes", "a panic that a test wants");
        Ok(Box::new(Still(PhantomData)))
    }
}

/// One whose settings are others when they are read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Forgetful {
    #[serde(skip_serializing)]
    rate: f64,
}

impl Algorithm for Forgetful {
    const NAME: &'static str = "forgetful";
    const ABOUT: &'static str = "Forgets its settings";

    fn presets(_: Observations) -> Vec<Preset> {
        const TOML: &str = "[run]\nframes = 1\nseed = 1\nenv_threads = 1\ntorch_threads = 1\ndevice = \"cpu\"\nmetrics_frames = 1\n\
                            [forgetful]\nrate = 0.5";
        vec![Preset::new("fast", TOML)]
    }

    fn num_envs(&self) -> usize {
        unreachable!("its settings are never good, whatever the rate of {}", self.rate)
    }

    fn trainer<O: Observation>(
        &self,
        _: Arc<dyn EnvFactory<Obs = O>>,
        _: &RunSettings,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        unreachable!("its settings are never good")
    }

    fn policy<O: Observation>(
        &self,
        _: &EnvSpec,
        _: &Section,
        _: Rng,
        _: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
        unreachable!("its settings are never good")
    }
}

fn as_program() -> ExitCode {
    let mut program = Program::new().algorithm::<Settings>().algorithm::<Forgetful>();
    let flaws = FLAWS.iter().map(|(flaw, _)| *flaw);
    let of_spec = [
        "no_actions",
        "no_frames",
        "no_stack",
        "odd_stack",
        "has_no_shape",
        "no_picture",
        "none",
    ];
    for flaw in flaws.chain(of_spec) {
        program = program.env(flaw, move || Ok(TimeLimit::new(odd(flaw), 20)));
    }
    program
        .env("endless", || Ok(odd("none")))
        .env("cannot_be_made", || -> Result<Odd, EnvError> {
            Err(EnvError::BadSetting("the camera is off".to_owned()))
        })
        .env("panics_when_made", || -> Result<Odd, EnvError> {
            panic!("a panic that a test wants")
        })
        .env("picture", || Ok(TimeLimit::new(Picture, 10)))
        .main()
}

fn main() -> ExitCode {
    if std::env::var_os(AS_PROGRAM).is_some() {
        return as_program();
    }
    // As libtest does, so that a filter runs a part.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    type Test = (&'static str, fn(&Path));
    let tests: &[Test] = &[
        (
            "numbers_and_panics_of_environments_are_blamed_on_them",
            numbers_and_panics_of_environments_are_blamed_on_them,
        ),
        (
            "constants_that_make_no_sense_are_refused",
            constants_that_make_no_sense_are_refused,
        ),
        (
            "an_environment_that_cannot_be_made_breaks_nothing_else",
            an_environment_that_cannot_be_made_breaks_nothing_else,
        ),
        ("an_episode_that_never_ends_is_said", an_episode_that_never_ends_is_said),
        ("a_panic_of_an_algorithm_names_it", a_panic_of_an_algorithm_names_it),
        (
            "small_pictures_have_rows_and_evaluations",
            small_pictures_have_rows_and_evaluations,
        ),
        (
            "an_environment_whose_snapshot_panics_is_saved_without_episodes",
            an_environment_whose_snapshot_panics_is_saved_without_episodes,
        ),
    ];
    let is_chosen = |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let chosen = Mutex::new(tests.iter().filter(|(name, _)| is_chosen(name)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((name, test)) = chosen.lock().unwrap().next() else {
                        break;
                    };
                    let dir = tempfile::tempdir().unwrap();
                    test(dir.path());
                    println!("test {name} ... ok");
                }
            });
        }
    });
    ExitCode::SUCCESS
}

/// The program, with these arguments.
fn foreign(dir: &Path, args: &str) -> Command {
    let mut command = of_program(&std::env::current_exe().unwrap(), dir);
    command.env(AS_PROGRAM, "1").args(args.split_whitespace());
    command
}

/// What must succeed: its standard output and error.
fn succeed(dir: &Path, args: &str) -> String {
    let output = foreign(dir, args).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{args}: {said}");
    said
}

/// The last line of what must fail; a panic that was caught may stand above it.
fn error(dir: &Path, args: &str) -> String {
    let output = foreign(dir, args).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args}: {said}");
    said.lines().last().unwrap().to_owned()
}

fn numbers_and_panics_of_environments_are_blamed_on_them(dir: &Path) {
    for algo in [
        "ppo --set num_envs=1",
        "double-dqn --set num_envs=1",
        "a3c --set workers=1",
    ] {
        for (flaw, expected) in FLAWS {
            let name = format!("{flaw}-{}", algo.split(' ').next().unwrap());
            let line = error(dir, &format!("train {flaw} --algo {algo} --frames 2k --run-dir {name}"));
            let saved = format!("; what was learned before is saved in `{name}`, without the episodes under way");
            assert_eq!(line, format!("error: {expected}{saved}"), "{algo}");
            // 299 steps, and of those the ones that were learned from.
            let saved: u64 = checkpoints(&dir.join(&name))[0].parse().unwrap();
            assert!((200..300).contains(&saved), "{saved}");
        }
    }
    // The run continues from what was saved, with new episodes, until the environment, which is new too, does it again.
    let output = foreign(dir, "train --resume panics-ppo").output().unwrap();
    let said = text(&output.stderr);
    assert!(
        said.contains("new episodes begin, because those under way could not be saved"),
        "{said}"
    );
    assert!(said.contains("environment 0: its step() panicked"), "{said}");
    for (flaw, word) in [
        ("shows_nan", "its observation is NaN: it must be finite"),
        ("shows_infinity", "its observation is inf: it must be finite"),
        ("shows_much", "its observation is 1e30"),
        ("pays_infinity", "its reward is inf: it must be finite"),
        ("panics", "its step() panicked: a panic that a test wants"),
    ] {
        let output = foreign(dir, &format!("check {flaw}")).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(word), "{flaw}: {said}");
    }
}

fn constants_that_make_no_sense_are_refused(dir: &Path) {
    for (flaw, expected) in [
        ("no_actions", "num_actions is 0: it must be between 1 and 1000000"),
        ("no_frames", "frames_per_step is 0: it must be between 1 and 1000000"),
        (
            "no_stack",
            "stacked_frames is 0: it must be 1, or the first dimension of an observation, whose shape is 2",
        ),
        (
            "odd_stack",
            "stacked_frames is 3: it must be 1, or the first dimension of an observation, whose shape is 2",
        ),
        ("has_no_shape", "its spec() panicked: no shape (step 0)"),
    ] {
        for command in ["train", "check", "bench env --env"] {
            let line = error(dir, &format!("{command} {flaw}"));
            assert_eq!(
                line,
                format!("error: the environment custom/{flaw} can't be made: {expected}"),
                "{command}"
            );
        }
    }
    assert!(
        !dir.join("runs").exists(),
        "nothing is left of a run that could not begin"
    );
}

fn an_environment_that_cannot_be_made_breaks_nothing_else(dir: &Path) {
    let listed = succeed(dir, "envs");
    assert!(
        listed.contains("custom/cannot_be_made") && listed.contains("custom/none"),
        "{listed}"
    );
    succeed(dir, "train none --frames 300");
    // Where it is not asked for, it is not even tried.
    assert!(!succeed(dir, "check cartpole").contains("panicked"));
    let line = error(dir, "train cannot_be_made");
    assert_eq!(
        line,
        "error: the environment custom/cannot_be_made can't be made: the camera is off"
    );
    let line = error(dir, "envs panics_when_made");
    let expected = "its constructor panicked: a panic that a test wants (step 0)";
    assert_eq!(
        line,
        format!("error: the environment custom/panics_when_made can't be made: {expected}")
    );
}

fn an_episode_that_never_ends_is_said(dir: &Path) {
    let output = foreign(dir, "check endless").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for expected in [
        "fault: no episode ended within 100000 steps of random actions",
        "wrap it in `TimeLimit`",
        "error: custom/endless breaks the Env contract: the fault is above",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    let said = succeed(
        dir,
        "train endless --algo idle --set flaw=no_episodes --frames 110k --set metrics_frames=10k",
    );
    assert!(
        said.contains("no episode has ended after 100000 steps of each environment"),
        "{said}"
    );
    let line = error(dir, "eval endless-idle-1 --episodes 1");
    let expected = "error: an episode of environment 0 has not ended after 100000 steps";
    assert!(
        line.starts_with(expected) && line.ends_with("wrap the environment in `TimeLimit`"),
        "{line}"
    );
}

fn a_panic_of_an_algorithm_names_it(dir: &Path) {
    let train = |flaw: &str| {
        error(
            dir,
            &format!("train none --algo idle --set flaw={flaw} --run-dir {flaw}"),
        )
    };
    let panicked = |what: &str| format!("the algorithm idle: its {what} panicked: a panic that a test wants");
    let saved = |flaw: &str| format!("; what was learned before is saved in `{flaw}`, without the episodes under way");
    assert_eq!(train("num_envs"), format!("error: idle.{}", panicked("num_envs()")));
    assert_eq!(train("trainer"), format!("error: {}", panicked("trainer()")));
    assert_eq!(train("step"), format!("error: {}{}", panicked("step()"), saved("step")));
    assert_eq!(checkpoints(&dir.join("step")), ["000000000050"]);
    assert_eq!(train("save"), format!("error: {}", panicked("save()")));
    let line = train("score");
    assert!(
        line.starts_with("error: the algorithm idle: it says of an episode of actor 0 that it scored NaN"),
        "{line}"
    );
    succeed(dir, "train none --algo idle --run-dir good");
    let line = error(dir, "eval good");
    assert_eq!(line, format!("error: {}", panicked("policy()")));
    let line = error(dir, "train none --algo forgetful");
    assert_eq!(
        line,
        "error: the algorithm forgetful: its settings can't be read again when they are written: missing field `rate` in `forgetful`"
    );
    let line = error(dir, "train bricks --algo idle");
    assert_eq!(
        line,
        "error: idle can't learn from pixels, which arcade/bricks has: choose another environment"
    );
}

fn small_pictures_have_rows_and_evaluations(dir: &Path) {
    // A network of the Atari can't read them, which `check` says with what can.
    let said = text(&foreign(dir, "check picture").output().unwrap().stderr);
    assert!(said.contains("cannot read observations of shape 1x12x12"), "{said}");
    let layers = "network.body={layers={convolutions=[[16,3,1]],hidden=[128]}}";
    assert!(said.contains(layers), "{said}");
    succeed(
        dir,
        &format!(
            "train picture --frames 20k --set {layers} --set rollout_steps=64 --run-dir run --set eval_episodes=2"
        ),
    );
    let rows = |name: &str| {
        std::fs::read_to_string(dir.join("run").join(name))
            .unwrap()
            .lines()
            .count()
    };
    // A step of training is 1,024 frames, so that rows are every 1,024.
    assert!(rows("metrics.csv") > 15, "{}", rows("metrics.csv"));
    assert!(rows("eval.csv") > 15, "{}", rows("eval.csv"));
}

fn an_environment_whose_snapshot_panics_is_saved_without_episodes(dir: &Path) {
    let short = "--set num_envs=8 --set rollout_steps=32 --set minibatches=4";
    succeed(dir, &format!("train no_picture --frames 600 --run-dir run {short}"));
    let said = succeed(dir, "train --resume run --frames 1200");
    assert!(
        said.contains("new episodes begin, because those under way could not be saved"),
        "{said}"
    );
}
