//! Environments by name.
//!
//! Each environment is one file plus one line in `built_in.rs` (the games of the Atari are listed in `coinop-atari`).
//! Environments that share their options form a [`Family`]. Environments from other crates get their names from
//! [`register`].

#[cfg_attr(not(feature = "atari"), path = "without_atari.rs")]
mod atari;
mod built_in;
mod options;
mod registered;

use crate::factory::AnyFactory;
use crate::{Elem, EnvError, Observations, VecEnv};
use built_in::{ARCADE, CLASSIC, GYM_RS, Known, gym_rs, known};
use registered::{custom, registered};

#[cfg(feature = "atari")]
pub use atari::{AtariOptions, Gymnasium, find_gymnasium};
pub use options::{EnvOptions, NormalizeOptions};
pub use registered::{register, register_lazily};

/// A group of environments that share their options.
///
/// ```
/// use coinop_envs::registry::{Family, find};
///
/// assert_eq!(find("breakout")?.family, Family::Atari);
/// assert_eq!(find("snake")?.family.name(), "arcade");
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Atari 2600 games; pixels. Requires the feature `atari`.
    Atari,
    /// Our own arcade games; pixels.
    Arcade,
    /// Classic control; features.
    Classic,
    /// Environments of the crate gym-rs; features. Requires the feature `gym-rs`.
    GymRs,
    /// [Registered](register) environments.
    Custom,
}

impl Family {
    /// The name of the family, which prefixes the names of its environments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Family::Atari => "atari",
            Family::Arcade => "arcade",
            Family::Classic => "classic",
            Family::GymRs => "gym-rs",
            Family::Custom => "custom",
        }
    }

    /// The options that have no value unless the user sets one.
    #[must_use]
    pub fn options_without_default(self) -> &'static [&'static str] {
        match self {
            Family::Atari => atari::WITHOUT_DEFAULT,
            Family::Classic | Family::GymRs | Family::Custom => NormalizeOptions::WITHOUT_DEFAULT,
            Family::Arcade => &[],
        }
    }
}

/// An environment that is known by name.
///
/// ```
/// use coinop_envs::registry::find;
///
/// let env = find("CartPole-v1")?;
/// assert_eq!((env.id(), env.num_actions()?), ("classic/cartpole".to_owned(), 2));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvInfo {
    /// The family.
    pub family: Family,
    /// The short name, e.g. `pong`.
    pub short: &'static str,
    /// The kind of observations.
    pub observations: Observations,
    /// Gymnasium's name of the same environment, if there is one.
    pub gymnasium: Option<&'static str>,
}

impl EnvInfo {
    /// The full name, e.g. `atari/pong`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.family.name(), self.short)
    }

    /// The number of actions; for Atari games, of the minimal set.
    ///
    /// # Errors
    ///
    /// [`EnvError::Unusable`] if a registered environment cannot be created.
    pub fn num_actions(&self) -> Result<usize, EnvError> {
        if self.family == Family::Atari {
            return atari::num_actions(self.short);
        }
        Ok(self.factory(&EnvOptions::default())?.spec().num_actions)
    }

    /// Creates a factory of this environment.
    ///
    /// # Errors
    ///
    /// If a ROM is missing or wrong, or an option is invalid; [`EnvError::Unusable`] if a registered environment
    /// cannot be created.
    pub fn factory(&self, options: &EnvOptions) -> Result<AnyFactory, EnvError> {
        let factory = match (self.family, self.short) {
            (Family::Atari, game) => return atari::factory(game, options),
            (Family::Arcade, short) => return known(ARCADE, short),
            (Family::Classic, short) => known(CLASSIC, short),
            (Family::GymRs, short) => gym_rs(short),
            (Family::Custom, short) => custom(short),
        };
        options.normalize.wrap(self.short, factory?)
    }
}

/// Lists all environments, sorted by family and name.
///
/// ```
/// use coinop_envs::registry::{Family, list};
///
/// let games = list().into_iter().filter(|env| env.family == Family::Atari).count();
/// assert_eq!(games, 104);
/// ```
#[must_use]
pub fn list() -> Vec<EnvInfo> {
    let of = |family: Family| {
        move |known: &Known| EnvInfo {
            family,
            short: known.short,
            observations: known.observations,
            gymnasium: known.gymnasium,
        }
    };
    let gym_rs = |(short, observations): &(&'static str, Observations)| EnvInfo {
        family: Family::GymRs,
        short,
        observations: *observations,
        gymnasium: None,
    };
    let ours = ARCADE.iter().map(of(Family::Arcade));
    let envs = ours.chain(atari::list()).chain(CLASSIC.iter().map(of(Family::Classic)));
    let envs = envs.chain(GYM_RS.iter().map(gym_rs));
    envs.chain(registered().iter().map(|custom| custom.info)).collect()
}

/// Finds an environment by its full or short name, ignoring case: `atari/pong`, `pong`, `Pong`, `SpaceInvaders`,
/// `CartPole-v1`.
///
/// ```
/// use coinop_envs::registry::find;
///
/// assert_eq!(find("SpaceInvaders")?.id(), "atari/space_invaders");
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
///
/// # Errors
///
/// [`EnvError::GymnasiumName`] for names such as `ALE/Pong-v5`, which also denote rules; otherwise
/// [`EnvError::UnknownEnv`] with the nearest name.
pub fn find(name: &str) -> Result<EnvInfo, EnvError> {
    let envs = list();
    let called = |name: &str| {
        let squeezed = squeeze(name);
        envs.iter()
            .find(|info| info.id() == name || info.gymnasium == Some(name) || squeeze(info.short) == squeezed)
    };
    if let Some(info) = called(name) {
        return Ok(*info);
    }
    if name.starts_with("gym-rs/") && !cfg!(feature = "gym-rs") {
        return Err(EnvError::BadSetting(format!(
            "`{name}` is of gym-rs, which is not built in: build with --features gym-rs, which needs CMake, SDL2 and SDL2_gfx"
        )));
    }
    Err(atari::elsewhere(name).unwrap_or_else(|| unknown(name)))
}

fn unknown(name: &str) -> EnvError {
    let wanted = name.rsplit('/').next().unwrap_or(name);
    EnvError::UnknownEnv {
        name: name.to_owned(),
        // gym-rs's environments need their family in the name.
        nearest: nearest(
            wanted,
            list()
                .iter()
                .filter(|info| info.family != Family::GymRs)
                .map(|info| info.short),
        ),
    }
}

/// The known name that `name` is most like, if they are more alike than not.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, name);
    let best = known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.5).then_some(best)
}

/// Removes case and separators from a name.
fn squeeze(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Creates `num_envs` environments by name, stepped by `threads` threads (sequentially if that is 1).
///
/// ```no_run
/// use coinop_envs::registry::{EnvOptions, make_vec};
///
/// let pongs = make_vec::<u8>("pong", &EnvOptions::default(), 16, 2)?;
/// let carts = make_vec::<f32>("cartpole", &EnvOptions::default(), 8, 1)?;
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
///
/// # Errors
///
/// If the name is unknown, its observations do not consist of `O`, its ROM is missing or wrong, or an option is
/// invalid.
///
/// # Panics
///
/// If `num_envs` or `threads` is 0.
pub fn make_vec<O: Elem>(
    name: &str,
    options: &EnvOptions,
    num_envs: usize,
    threads: usize,
) -> Result<Box<dyn VecEnv<Obs = O> + Send>, EnvError> {
    let info = find(name)?;
    let factory = info.factory(options)?.wanted::<O>(&info.id())?;
    factory.make_vec(0, num_envs, threads)
}

#[cfg(test)]
#[cfg(feature = "atari")]
mod tests {
    use super::*;
    use crate::EnvFactory;
    use crate::classic::CartPole;

    #[test]
    fn an_environment_is_found_by_its_full_and_its_short_name() {
        assert_eq!(find("pong").unwrap(), find("atari/pong").unwrap());
        assert_eq!(find("pong").unwrap().id(), "atari/pong");
        for name in ["classic/cartpole", "cartpole", "CartPole", "CartPole-v1"] {
            assert_eq!(find(name).unwrap().id(), "classic/cartpole");
        }
        for (name, short) in [
            ("Pong", "pong"),
            ("SpaceInvaders", "space_invaders"),
            ("BEAM_RIDER", "beam_rider"),
        ] {
            assert_eq!(find(name).unwrap().short, short);
        }
    }

    #[test]
    fn a_name_of_gymnasium_is_an_error_that_says_what_it_is_here() {
        let error = |name| find(name).unwrap_err().to_string();
        assert_eq!(
            error("ALE/Pong-v5"),
            "`ALE/Pong-v5` is a name of Gymnasium: here that is `pong`, and the protocol `machado` has the rules that come nearest (sticky \
             actions with probability 0.25)"
        );
        for name in [
            "SpaceInvadersNoFrameskip-v4",
            "SpaceInvadersDeterministic-v4",
            "SpaceInvaders-v4",
        ] {
            let text = error(name);
            assert!(
                text.contains("here that is `space_invaders`, and the protocol `sb3`"),
                "{text}"
            );
        }
        assert!(error("PongNoFrameskip-v0").contains("protocol `machado`"));
        assert_eq!(
            error("CartPole-v0"),
            "there is no environment `CartPole-v0`; did you mean `cartpole`?"
        );
    }

    #[test]
    fn an_unknown_name_is_an_error_that_suggests_the_nearest() {
        let text = find("pnog").unwrap_err().to_string();
        assert_eq!(text, "there is no environment `pnog`; did you mean `pong`?");
        assert_eq!(find("x").unwrap_err().to_string(), "there is no environment `x`");
    }

    #[test]
    fn observations_of_another_kind_are_an_error() {
        let error = make_vec::<u8>("cartpole", &EnvOptions::default(), 1, 1).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the observations of classic/cartpole are features, and pixels are needed"
        );
    }

    #[test]
    fn what_is_registered_is_found_by_its_name_and_made() {
        use crate::factory::FromFn;
        use crate::wrappers::TimeLimit;
        let make = || FromFn::new(|| Ok(TimeLimit::new(CartPole::v1(), 3))).unwrap();
        register("short_pole", make()).unwrap();
        let info = find("custom/short_pole").unwrap();
        assert_eq!(
            (info, info.observations),
            (find("ShortPole").unwrap(), Observations::Features)
        );
        for threads in [1, 2] {
            let mut envs = make_vec::<f32>("short_pole", &EnvOptions::default(), 2, threads).unwrap();
            let (mut obs, mut final_obs, mut steps) = ([0.0; 8], [0.0; 8], [crate::Step::default(); 2]);
            envs.reset(Some(1), &mut obs).unwrap();
            for step in 1..=3 {
                envs.step(&[step % 2; 2], &mut obs, &mut final_obs, &mut steps).unwrap();
            }
            assert_eq!(steps.map(|step| step.end), [crate::End::Truncated; 2]);
        }
        let error = |name: &str| register(name, make()).unwrap_err().to_string();
        let taken = |name| format!("there is an environment `{name}` already: choose another name");
        for name in ["short_pole", "shortpole", "pong", "cartpole"] {
            assert_eq!(error(name), taken(name));
        }
        for name in ["", "Short", "a/b", "7up", "two words"] {
            assert!(error(name).contains("can't be the name of an environment"), "{name}");
        }
    }

    #[test]
    fn a_closure_that_fails_is_the_error_of_the_environment_that_it_was_to_make() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        use crate::factory::FromFn;
        let made = AtomicUsize::new(0);
        let make = move || match made.fetch_add(1, Ordering::Relaxed) {
            3 => Err(EnvError::BadSetting("no more".to_owned())),
            _ => Ok(CartPole::v1()),
        };
        // One is made to know their shape, then those numbered 0, 1 and 2.
        let error = FromFn::new(make).unwrap().make_vec(0, 5, 1).err().unwrap();
        assert_eq!(error.to_string(), "environment 2: no more");
    }
}
