//! Errors of environments.

use crate::EnvSpec;
use crate::memory::size;

/// An error of an environment. Each message names the cause and, where there is one, the remedy.
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
    /// `step` was called with an action that the environment does not have.
    #[error("action {action} is out of range: this environment has {num_actions} actions, 0 to {}", num_actions - 1)]
    InvalidAction {
        /// The action.
        action: u32,
        /// The number of actions.
        num_actions: usize,
    },
    /// One of several environments stepped together failed.
    #[error("environment {number}: {source}")]
    InEnv {
        /// The index of the environment.
        number: usize,
        /// Its error.
        source: Box<EnvError>,
    },
    /// `step` was called before the first `reset` or after the end of an episode.
    #[error("the episode is over: call reset() before the next step()")]
    ResetNeeded,
    /// No environment has this name.
    #[error("there is no environment `{name}`{}", hint(.nearest))]
    UnknownEnv {
        /// The requested name.
        name: String,
        /// The nearest known name, if one is similar.
        nearest: Option<&'static str>,
    },
    /// The name is one of Gymnasium's, which denotes a game together with rules.
    #[error(
        "`{name}` is a name of Gymnasium: here that is `{short}`, and the protocol `{protocol}` has the rules that come nearest ({rules})"
    )]
    GymnasiumName {
        /// The requested name.
        name: String,
        /// The name of the game here.
        short: &'static str,
        /// The protocol with the most similar rules.
        protocol: &'static str,
        /// The rules that it shares with the name.
        rules: &'static str,
    },
    /// A setting has an invalid value.
    #[error("{0}")]
    BadSetting(String),
    /// The environment has observations of the other element type.
    #[error("the observations of {env} are {found}, and {wanted} are needed")]
    OtherObservations {
        /// The environment's full name.
        env: String,
        /// The element type of its observations.
        found: &'static str,
        /// The requested element type.
        wanted: &'static str,
    },
    /// Environments that are to be mixed differ in their constants.
    #[error(
        "environment {number} has observations of shape {}, {} actions and {} frames per step, but the first one has {}, {} and {}",
        found.obs_shape, found.num_actions, found.frames_per_step, first.obs_shape, first.num_actions, first.frames_per_step
    )]
    Mixed {
        /// The index of the first environment that differs.
        number: usize,
        /// Its constants.
        found: Box<EnvSpec>,
        /// The constants of environment 0.
        first: Box<EnvSpec>,
    },
    /// A constant of an environment is invalid.
    #[error("{what} is {value}: {reason}")]
    BadSpec {
        /// The name of the constant, e.g. `num_actions`.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The values that are allowed.
        reason: String,
    },
    /// An environment returned a NaN, an infinity or a number that is too large.
    #[error("its {what} is {value} ({}step {step}){}", place(*.element), limit(what, *.value))]
    BadNumber {
        /// `observation`, `reward`, `score` or `discount`.
        what: &'static str,
        /// The number.
        value: f32,
        /// The index within the observation.
        element: Option<usize>,
        /// The number of calls of `step` up to then.
        step: u64,
    },
    /// An environment panicked.
    #[error("its {what} panicked: {message} (step {step})")]
    Panicked {
        /// The method that panicked.
        what: &'static str,
        /// The panic message.
        message: String,
        /// The number of calls of `step` up to then.
        step: u64,
    },
    /// An environment that was registered by name could not be created.
    #[error("the environment {env} can't be made: {source}")]
    Unusable {
        /// Its full name.
        env: String,
        /// The reason.
        source: std::sync::Arc<EnvError>,
    },
    /// The bytes are not a snapshot of this environment.
    #[error("not a snapshot of {env}: {reason}")]
    BadSnapshot {
        /// The kind of environment or wrapper.
        env: &'static str,
        /// What does not match.
        reason: String,
    },
    /// `restore` was called on an environment that does not support snapshots.
    #[error("this environment has no snapshots, so it cannot be restored")]
    NoSnapshots,
    /// There is not enough free memory.
    #[error("{what} needs {} of memory, and {} are available; {way_out}", size(*.needed), size(*.available))]
    Memory {
        /// What needs the memory.
        what: String,
        /// The number of bytes needed.
        needed: u64,
        /// The number of bytes available.
        available: u64,
        /// How to need less.
        way_out: &'static str,
    },
    /// Any other error of an environment, for example a missing ROM.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

fn hint(nearest: &Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn place(element: Option<usize>) -> String {
    element.map_or_else(String::new, |element| format!("element {element}, "))
}

/// Describes the limit that a non-finite or huge number exceeds.
fn limit(what: &str, value: f32) -> String {
    match what {
        _ if !value.is_finite() => String::new(),
        "discount" => ", not between 0 and 1".to_owned(),
        _ => format!(", beyond {:e}", crate::guard::MAX_MAGNITUDE),
    }
}

impl EnvError {
    /// Wraps this as the error of environment `number`.
    #[must_use]
    pub fn of(self, number: usize) -> Self {
        let source = Box::new(self);
        Self::InEnv { number, source }
    }

    /// Adds `first` to the index of the environment, for a caller whose environments start at that index in a larger
    /// set.
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

    /// The underlying error, without the index of the environment.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::InEnv { source, .. } => source.cause(),
            other => other,
        }
    }
}
