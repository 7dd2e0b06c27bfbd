//! What can go wrong with an environment.

use crate::EnvSpec;
use crate::atari::Protocol;
use crate::memory::size;

/// An error of an environment. Every text names the cause, and the way out where there is one.
///
/// ```
/// use coinop_envs::EnvError;
/// use coinop_envs::registry::find;
///
/// let error = find("pnog").unwrap_err();
/// assert!(matches!(error, EnvError::UnknownEnv { .. }));
/// assert!(error.to_string().contains("did you mean `pong`?"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// `step` got an action that the environment does not have.
    #[error("action {action} is out of range: this environment has {num_actions} actions, 0 to {}", num_actions - 1)]
    InvalidAction {
        /// The action.
        action: u32,
        /// The number of actions.
        num_actions: usize,
    },
    /// One of several environments that are stepped together failed.
    #[error("environment {number}: {source}")]
    InEnv {
        /// Which, counted from 0.
        number: usize,
        /// What happened.
        source: Box<EnvError>,
    },
    /// `step` was called before the first `reset` or after the end of an episode.
    #[error("the episode is over: call reset() before the next step()")]
    ResetNeeded,
    /// No environment has this name.
    #[error("there is no environment `{name}`{}", hint(.nearest))]
    UnknownEnv {
        /// The name that was asked for.
        name: String,
        /// The nearest known name, if one is near.
        nearest: Option<&'static str>,
    },
    /// The name is Gymnasium's, which stands for a game and for rules.
    #[error(
        "`{name}` is a name of Gymnasium: here that is `{short}`, and the protocol `{protocol}` has the rules that come nearest ({rules})"
    )]
    GymnasiumName {
        /// The name that was asked for.
        name: String,
        /// Our name of the game.
        short: &'static str,
        /// The protocol that comes nearest.
        protocol: Protocol,
        /// What it has in common with the name.
        rules: &'static str,
    },
    /// The Atari machine refused the ROM.
    #[error(transparent)]
    Atari(#[from] coinop_atari::AtariError),
    /// A setting has a value that it cannot have.
    #[error("{0}")]
    BadSetting(String),
    /// The environment's observations are made of something else.
    #[error("the observations of {env} are {found}, and {wanted} are needed")]
    OtherObservations {
        /// The environment's full name.
        env: String,
        /// What they are.
        found: &'static str,
        /// What they should be.
        wanted: &'static str,
    },
    /// Environments that were to be mixed differ.
    #[error(
        "environment {number} has observations of shape {}, {} actions and {} frames per step, but the first one has {}, {} and {}",
        found.obs_shape, found.num_actions, found.frames_per_step, first.obs_shape, first.num_actions, first.frames_per_step
    )]
    Mixed {
        /// Which, counted from 0.
        number: usize,
        /// What it is.
        found: Box<EnvSpec>,
        /// What the first is.
        first: Box<EnvSpec>,
    },
    /// A constant of an environment makes no sense.
    #[error("{what} is {value}: {reason}")]
    BadSpec {
        /// Which, e.g. `num_actions`.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What it must be.
        reason: String,
    },
    /// An environment returned a number that is not finite, or out of range.
    #[error("its {what} is {value} ({}step {step}){}", place(*.element), limit(what, *.value))]
    BadNumber {
        /// `observation`, `reward`, `score` or `discount`.
        what: &'static str,
        /// The number.
        value: f32,
        /// Which element of an observation.
        element: Option<usize>,
        /// The calls of `step` so far.
        step: u64,
    },
    /// An environment panicked.
    #[error("its {what} panicked: {message} (step {step})")]
    Panicked {
        /// In which function.
        what: &'static str,
        /// With which message.
        message: String,
        /// The calls of `step` so far.
        step: u64,
    },
    /// An environment that was registered by name can't be made.
    #[error("the environment {env} can't be made: {source}")]
    Unusable {
        /// Its full name.
        env: String,
        /// Why.
        source: std::sync::Arc<EnvError>,
    },
    /// Bytes are not a snapshot of this environment.
    #[error("not a snapshot of {env}: {reason}")]
    BadSnapshot {
        /// The kind of environment, or of wrapper.
        env: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment that gives no snapshots takes none.
    #[error("this environment has no snapshots, so it cannot be restored")]
    NoSnapshots,
    /// There is not enough memory.
    #[error("{what} needs {} of memory, and {} are available; {way_out}", size(*.needed), size(*.available))]
    Memory {
        /// What was to be allocated.
        what: String,
        /// The bytes that it takes.
        needed: u64,
        /// The bytes that there are.
        available: u64,
        /// What to do.
        way_out: &'static str,
    },
    /// An environment of somebody else failed.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

fn hint(nearest: &Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn place(element: Option<usize>) -> String {
    element.map_or_else(String::new, |element| format!("element {element}, "))
}

/// What a finite number is beyond.
fn limit(what: &str, value: f32) -> String {
    match what {
        _ if !value.is_finite() => String::new(),
        "discount" => ", not between 0 and 1".to_owned(),
        _ => format!(", beyond {:e}", crate::guard::MAX_MAGNITUDE),
    }
}

impl EnvError {
    /// The error of environment `number` of several.
    #[must_use]
    pub fn of(self, number: usize) -> Self {
        let source = Box::new(self);
        Self::InEnv { number, source }
    }

    /// The same, where the environments are those from number `first` on of more.
    #[must_use]
    pub fn counted_from(self, first: usize) -> Self {
        match self {
            Self::InEnv { number, source } => Self::InEnv {
                number: first.saturating_add(number),
                source,
            },
            other => other,
        }
    }

    /// What happened, whichever environment it was.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::InEnv { source, .. } => source.cause(),
            other => other,
        }
    }
}
