//! Third-party algorithms, selected by name on the command line.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock};

use coinop_agents::network::Observation;
use coinop_agents::times::Times;
use coinop_agents::{
    AgentError, Checkpoint, CheckpointError, Device, Mode, Policy, Progress, Resumption, Section, TrainError, Trainer,
};
use coinop_envs::guard::catch;
use coinop_envs::registry::Observations;
use coinop_envs::rng::Rng;
use coinop_envs::{AnyFactory, EnvFactory, EnvSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A third-party algorithm for [`Program::algorithm`](crate::Program::algorithm). The command line trains, resumes,
/// evaluates and plots it like coinop's own. `examples/custom_algorithm.rs` is a complete one.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop::agents::network::Observation;
/// use coinop::agents::paac::{Paac, PaacConfig, restore_policy};
/// use coinop::agents::{AgentError, Device, Policy, Section, TrainError, Trainer};
/// use coinop::envs::registry::Observations;
/// use coinop::envs::rng::Rng;
/// use coinop::envs::{EnvFactory, EnvSpec};
/// use coinop::{Algorithm, RunSettings};
///
/// /// PAAC with only one setting, the learning rate.
/// struct SimplePaac;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     learning_rate: f64,
/// }
///
/// fn config(settings: &Settings) -> PaacConfig {
/// #   let preset: toml::Table =
/// #       include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/paac-classic.toml")).parse().expect("a preset");
/// #   let preset: PaacConfig = preset["paac"].clone().try_into().expect("its section");
///     PaacConfig { learning_rate: settings.learning_rate, ..preset }
/// }
///
/// impl Algorithm for SimplePaac {
///     const NAME: &'static str = "simple-paac";
///     type Settings = Settings;
///
///     fn preset(observations: Observations) -> Option<&'static str> {
///         (observations == Observations::Features).then_some(
///             r#"
///             [run]
///             frames = 100_000
///             seed = 1
///             env_threads = 1
///             torch_threads = 1
///             device = "cpu"
///             metrics_frames = 5_000
///
///             [simple-paac]
///             learning_rate = 0.003
///             "#,
///         )
///     }
///
///     fn num_envs(settings: &Settings) -> usize {
///         config(settings).num_envs
///     }
///
///     fn trainer<O: Observation>(
///         settings: &Settings,
///         factory: Arc<dyn EnvFactory<Obs = O>>,
///         run: &RunSettings,
///         device: Device,
///     ) -> Result<Box<dyn Trainer>, TrainError> {
///         let config = config(settings);
///         let envs = factory.make_vec(0, config.num_envs, run.env_threads)?;
///         Ok(Box::new(Paac::new(&config, envs, run.frames, run.seed, device)?))
///     }
///
///     fn policy<O: Observation>(
///         settings: &Settings,
///         spec: &EnvSpec,
///         from: &Section,
///         rng: Rng,
///         device: Device,
///     ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
///         Ok(Box::new(restore_policy(&config(settings), spec, from, rng, device)?))
///     }
/// }
///
/// // In `main`, this has `train cartpole --algo simple-paac` and all other commands.
/// let program = coinop::Program::new().algorithm::<SimplePaac>();
/// # let _ = program;
/// ```
pub trait Algorithm: Send + Sync + 'static {
    /// The name of the algorithm, in lower-case letters, digits and `-`: the value of `--algo`, and its section of a
    /// configuration.
    const NAME: &'static str;

    /// The settings, read from its section. Reject unknown ones: `#[serde(deny_unknown_fields)]`.
    type Settings: Serialize + DeserializeOwned;

    /// Returns the default settings for environments with these observations, as TOML with the sections `run` (at
    /// least `frames`, `seed`, `env_threads`, `torch_threads`, `device` and `metrics_frames`) and
    /// [`NAME`](Self::NAME). `None` if the algorithm does not support them.
    fn preset(observations: Observations) -> Option<&'static str>;

    /// The number of environments to train with.
    fn num_envs(settings: &Self::Settings) -> usize;

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`AgentError::BadConfig`] for the first invalid value.
    fn validate(settings: &Self::Settings) -> Result<(), AgentError> {
        let _ = settings;
        Ok(())
    }

    /// Creates a trainer for a new run.
    ///
    /// # Errors
    ///
    /// If a setting does not fit the environments, or there is not enough memory.
    fn trainer<O: Observation>(
        settings: &Self::Settings,
        factory: Arc<dyn EnvFactory<Obs = O>>,
        run: &RunSettings,
        device: Device,
    ) -> Result<Box<dyn Trainer>, TrainError>;

    /// Loads the policy from a checkpoint of the trainer, for environments with the constants `spec`; it draws from
    /// `rng`.
    ///
    /// # Errors
    ///
    /// If the checkpoint does not match.
    fn policy<O: Observation>(
        settings: &Self::Settings,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Policy<Obs = O>>, TrainError>;
}

/// The settings of the run that a trainer needs.
///
/// ```
/// use coinop::RunSettings;
///
/// let run = RunSettings { frames: 1_000_000, seed: 1, env_threads: 2 };
/// assert_eq!(run.frames, 1_000_000);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RunSettings {
    /// Emulator frames to train for, over all environments.
    pub frames: u64,
    /// The seed of every random stream.
    pub seed: u64,
    /// The number of threads that step environments.
    pub env_threads: usize,
}

/// An [`Algorithm`] without its types. Settings are a table that [`check`](Self::check) accepted.
pub(crate) trait Erased: Send + Sync {
    fn read(&self, settings: Value) -> Result<Table, toml::de::Error>;
    fn check(&self, settings: &Table) -> Result<(), AgentError>;
    fn num_envs(&self, settings: &Table) -> Result<usize, AgentError>;
    fn trainer(
        &self,
        settings: &Table,
        factory: AnyFactory,
        run: &RunSettings,
        device: Device,
    ) -> Result<Box<dyn Trainer>, TrainError>;
    /// Returns a `Box<dyn Policy<Obs = O>>` for the requested `O`.
    fn policy(
        &self,
        observations: Observations,
        settings: &Table,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Any>, TrainError>;
}

struct Eraser<A>(std::marker::PhantomData<fn() -> A>);

/// Parses settings again that [`Erased::read`] accepted.
fn settings_of<A: Algorithm>(table: &Table) -> Result<A::Settings, AgentError> {
    let read = table.clone().try_into();
    read.map_err(|error| failed(A::NAME, format!("its settings can't be read again: {error}")))
}

fn failed(name: &'static str, cause: String) -> AgentError {
    AgentError::Algorithm { name, cause }
}

/// Calls a function of an algorithm; a panic becomes an error.
fn call<T, E: From<AgentError>>(name: &'static str, function: &str, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch(f).unwrap_or_else(|message| Err(failed(name, format!("its {function} panicked: {message}")).into()))
}

impl<A: Algorithm> Erased for Eraser<A> {
    fn read(&self, settings: Value) -> Result<Table, toml::de::Error> {
        use serde::de::Error;
        let panicked = |message| Error::custom(format!("the algorithm {}: its settings panicked: {message}", A::NAME));
        // What it has not got, its default writes down.
        catch(|| {
            let settings: A::Settings = settings.try_into()?;
            let table = Table::try_from(settings).map_err(Error::custom)?;
            // They will be read again and again.
            let again: Result<A::Settings, _> = table.clone().try_into();
            match again.and_then(|again| Table::try_from(again).map_err(Error::custom)) {
                Ok(again) if again == table => Ok(table),
                Ok(_) => Err(Error::custom(format!(
                    "the algorithm {}: its settings are others when they are written and read again",
                    A::NAME
                ))),
                Err(error) => Err(Error::custom(format!(
                    "the algorithm {}: its settings can't be read again when they are written: {error}",
                    A::NAME
                ))),
            }
        })
        .unwrap_or_else(|message| Err(panicked(message)))
    }

    fn check(&self, settings: &Table) -> Result<(), AgentError> {
        call(A::NAME, "validate()", || A::validate(&settings_of::<A>(settings)?))?;
        self.num_envs(settings).map(drop)
    }

    fn num_envs(&self, settings: &Table) -> Result<usize, AgentError> {
        call(A::NAME, "num_envs()", || Ok(A::num_envs(&settings_of::<A>(settings)?)))
    }

    fn trainer(
        &self,
        settings: &Table,
        factory: AnyFactory,
        run: &RunSettings,
        device: Device,
    ) -> Result<Box<dyn Trainer>, TrainError> {
        let settings = settings_of::<A>(settings)?;
        let trainer = call(A::NAME, "trainer()", || match factory {
            AnyFactory::Pixels(factory) => A::trainer(&settings, factory, run, device),
            AnyFactory::Features(factory) => A::trainer(&settings, factory, run, device),
        });
        let (name, inner) = (A::NAME, trainer?);
        Ok(Box::new(GuardedTrainer { name, inner }))
    }

    fn policy(
        &self,
        observations: Observations,
        settings: &Table,
        spec: &EnvSpec,
        from: &Section,
        rng: Rng,
        device: Device,
    ) -> Result<Box<dyn Any>, TrainError> {
        let settings = settings_of::<A>(settings)?;
        let name = A::NAME;
        call(name, "policy()", || {
            Ok(match observations {
                Observations::Pixels => guarded(name, A::policy::<u8>(&settings, spec, from, rng, device)?),
                Observations::Features => guarded(name, A::policy::<f32>(&settings, spec, from, rng, device)?),
            })
        })
    }
}

/// A third-party trainer; panics and non-finite scores become errors that name the algorithm.
struct GuardedTrainer {
    name: &'static str,
    inner: Box<dyn Trainer>,
}

impl Trainer for GuardedTrainer {
    fn resumption(&self) -> Resumption {
        catch(|| self.inner.resumption()).unwrap_or(Resumption::NewEpisodes)
    }

    fn times(&self) -> Times {
        catch(|| self.inner.times()).unwrap_or_default()
    }

    fn step(&mut self) -> Result<Progress<'_>, TrainError> {
        let Self { name, inner } = self;
        let progress = call(name, "step()", move || inner.step())?;
        match progress.episodes.iter().find(|episode| !episode.score.is_finite()) {
            None => Ok(progress),
            Some(episode) => {
                let cause = format!(
                    "it says of an episode of actor {} that it scored {}",
                    episode.actor, episode.score
                );
                Err(failed(name, cause).into())
            }
        }
    }
}

impl Checkpoint for GuardedTrainer {
    fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        catch(|| self.inner.save(out)).unwrap_or_else(|message| Err(self.panicked("save()", message)))
    }

    fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        let loaded = catch(|| self.inner.load(from));
        loaded.unwrap_or_else(|message| Err(self.panicked("load()", message)))
    }
}

impl GuardedTrainer {
    fn panicked(&self, what: &'static str, message: String) -> CheckpointError {
        let name = self.name;
        CheckpointError::Panicked { name, what, message }
    }
}

/// A third-party policy, guarded likewise.
struct GuardedPolicy<O> {
    name: &'static str,
    inner: Box<dyn Policy<Obs = O>>,
}

fn guarded<O: Observation>(name: &'static str, inner: Box<dyn Policy<Obs = O>>) -> Box<dyn Any> {
    let policy: Box<dyn Policy<Obs = O>> = Box::new(GuardedPolicy { name, inner });
    Box::new(policy)
}

impl<O: Observation> Policy for GuardedPolicy<O> {
    type Obs = O;

    fn act(&mut self, obs: &[O], begins: &[bool], mode: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
        call(self.name, "policy's act()", || {
            self.inner.act(obs, begins, mode, actions)
        })
    }
}

/// Presets: name and TOML.
type Presets = &'static [(&'static str, &'static str)];

/// A registered algorithm.
#[derive(Clone, Copy)]
pub(crate) struct Custom {
    pub(crate) name: &'static str,
    pixels: Presets,
    features: Presets,
    pub(crate) algorithm: &'static dyn Erased,
}

impl Custom {
    pub(crate) fn presets(&self, observations: Observations) -> Presets {
        match observations {
            Observations::Pixels => self.pixels,
            Observations::Features => self.features,
        }
    }
}

static REGISTERED: RwLock<Vec<Custom>> = RwLock::new(Vec::new());

/// All registered algorithms, in order of registration.
pub(crate) fn all() -> Vec<Custom> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Finds a registered algorithm by name.
pub(crate) fn find(name: &str) -> Custom {
    let found = all().into_iter().find(|custom| custom.name == name);
    found.unwrap_or_else(|| panic!("there is no algorithm `{name}`, which was there before"))
}

/// Registers an algorithm for the rest of the process; `taken` are the names of other algorithms.
pub(crate) fn register<A: Algorithm>(taken: &[&str]) -> Result<(), String> {
    let name = A::NAME;
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !is_word {
        return Err(format!(
            "`{name}` can't be the name of an algorithm: write small letters, digits and -, beginning with a letter"
        ));
    }
    if taken.contains(&name) || ["run", "env", "async"].contains(&name) {
        return Err(format!("there is an algorithm `{name}` already: choose another name"));
    }
    // Registered once and for all, and there are few.
    let presets = |observations| -> Presets {
        let preset = A::preset(observations).map(|toml| ("fast", toml));
        Vec::leak(preset.into_iter().collect())
    };
    let custom = Custom {
        name,
        pixels: presets(Observations::Pixels),
        features: presets(Observations::Features),
        algorithm: Box::leak(Box::new(Eraser::<A>(std::marker::PhantomData))),
    };
    REGISTERED.write().unwrap_or_else(PoisonError::into_inner).push(custom);
    Ok(())
}

#[cfg(test)]
mod tests {
    use coinop_agents::Row;
    use coinop_envs::registry;
    use coinop_envs::rng::stream;
    use serde::Deserialize;

    use super::*;
    use crate::algo::Algo;
    use crate::config::of_preset;

    /// Does nothing, a frame at a time, and always acts alike.
    struct Idle {
        frames: u64,
        metrics: Row,
    }

    impl Checkpoint for Idle {
        fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
            out.put("frames", &self.frames)
        }

        fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
            self.frames = from.get("frames")?;
            Ok(())
        }
    }

    impl Trainer for Idle {
        fn resumption(&self) -> Resumption {
            Resumption::Exact
        }

        fn step(&mut self) -> Result<Progress<'_>, TrainError> {
            self.frames += 1;
            Ok(Progress {
                frames: self.frames,
                steps: self.frames,
                updates: 0,
                episodes: &[],
                metrics: &self.metrics,
                epsilons: &[],
            })
        }
    }

    struct Always<O>(u32, std::marker::PhantomData<O>);

    impl<O: Observation> Policy for Always<O> {
        type Obs = O;

        fn act(&mut self, _: &[O], _: &[bool], _: Mode, actions: &mut [u32]) -> Result<(), AgentError> {
            actions.fill(self.0);
            Ok(())
        }
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        action: u32,
    }

    struct Idleness;

    impl Algorithm for Idleness {
        const NAME: &'static str = "idle-1";
        type Settings = Settings;

        fn preset(observations: Observations) -> Option<&'static str> {
            let preset = "[run]\nframes = 9\nseed = 1\nenv_threads = 1\ntorch_threads = 1\ndevice = \"cpu\"\nmetrics_frames = 3\n\
                          [idle-1]\naction = 1";
            (observations == Observations::Features).then_some(preset)
        }

        fn num_envs(_: &Settings) -> usize {
            1
        }

        fn validate(settings: &Settings) -> Result<(), AgentError> {
            match settings.action {
                0 | 1 => Ok(()),
                other => Err(AgentError::BadConfig {
                    name: "action",
                    value: other.to_string(),
                    reason: "it must be 0 or 1",
                }),
            }
        }

        fn trainer<O: Observation>(
            _: &Settings,
            _: Arc<dyn EnvFactory<Obs = O>>,
            run: &RunSettings,
            _: Device,
        ) -> Result<Box<dyn Trainer>, TrainError> {
            assert_eq!((run.frames, run.seed), (9, 1));
            let metrics = Row::default();
            Ok(Box::new(Idle { frames: 0, metrics }))
        }

        fn policy<O: Observation>(
            settings: &Settings,
            _: &EnvSpec,
            from: &Section,
            _: Rng,
            _: Device,
        ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
            from.get::<u64>("frames")?;
            Ok(Box::new(Always(settings.action, std::marker::PhantomData)))
        }
    }

    struct Bad;

    impl Algorithm for Bad {
        const NAME: &'static str = "run";
        type Settings = Settings;

        fn preset(_: Observations) -> Option<&'static str> {
            None
        }

        fn num_envs(_: &Settings) -> usize {
            1
        }

        fn trainer<O: Observation>(
            _: &Settings,
            _: Arc<dyn EnvFactory<Obs = O>>,
            _: &RunSettings,
            _: Device,
        ) -> Result<Box<dyn Trainer>, TrainError> {
            unreachable!("it is not registered")
        }

        fn policy<O: Observation>(
            _: &Settings,
            _: &EnvSpec,
            _: &Section,
            _: Rng,
            _: Device,
        ) -> Result<Box<dyn Policy<Obs = O>>, TrainError> {
            unreachable!("it is not registered")
        }
    }

    #[test]
    fn an_algorithm_that_was_registered_has_its_section_its_trainer_and_its_policy() {
        register::<Idleness>(&["paac"]).unwrap();
        let error = register::<Idleness>(&["paac", "idle-1"]).unwrap_err();
        assert_eq!(error, "there is an algorithm `idle-1` already: choose another name");
        assert!(register::<Bad>(&[]).is_err());
        let algo = Algo::Custom("idle-1");
        assert!(clap::ValueEnum::from_str("idle-1", false) == Ok(algo));

        let config = of_preset(algo, "cartpole").unwrap();
        let text = config.to_toml().unwrap();
        let table: Table = toml::from_str(&text).unwrap();
        assert_eq!(
            table["idle-1"],
            Value::Table(Table::from_iter([("action".to_owned(), Value::Integer(1))]))
        );
        assert_eq!(table["run"]["algo"].as_str(), Some("idle-1"));
        let error = of_preset(algo, "bricks").unwrap_err().to_string();
        assert_eq!(
            error,
            "idle-1 can't learn from pixels, which arcade/bricks has: choose another environment"
        );

        let factory = registry::find("cartpole").unwrap().factory(&config.env).unwrap();
        let factory = factory.features("cartpole").unwrap();
        let mut trainer = config
            .algo
            .trainer(Arc::clone(&factory), &config.run, Device::Cpu)
            .unwrap();
        assert_eq!(trainer.step().unwrap().frames, 1);
        let mut section = Section::default();
        trainer.save(&mut section).unwrap();
        let (spec, rng) = (factory.spec(), stream(1, "x", 0));
        let mut policy = config.algo.policy::<f32>(&spec, &section, rng, Device::Cpu).unwrap();
        let mut actions = [7];
        policy.act(&[0.0; 4], &[true], Mode::Greedy, &mut actions).unwrap();
        assert_eq!(actions, [1]);

        let read = |text: &str| algo.read(toml::from_str::<Table>(text).unwrap().into());
        assert!(read("action = 1\nspeed = 2").is_err());
        let error = read("action = 3").unwrap().validate().unwrap_err().to_string();
        assert_eq!(error, "action = 3: it must be 0 or 1");
    }
}
