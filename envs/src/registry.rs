//! Environments by name.
//!
//! Each environment is one file plus one line here (Atari games are listed in `coinop-atari`). Environments that
//! share their options form a [`Family`]. Environments from other crates get their names from [`register`].

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use coinop_atari::names::nearest;
use coinop_atari::{Rom, find_game, games};
use serde::{Deserialize, Deserializer, Serialize};

use crate::arcade::{Bricks, Catch, Game, Invaders, Snake, trained};
use crate::atari::{AtariEnv, Protocol};
use crate::classic::{Acrobot, CartPole, MountainCar};
use crate::factory::{AnyFactory, Copies};
use crate::guard::catch;
use crate::{Elem, Env, EnvError, EnvFactory, VecEnv};

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
    /// Atari 2600 games; pixels.
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
            Family::Atari => &[
                "all_actions",
                "lost_life_stops_return",
                "mode",
                "pooled_frames",
                "repeat_action_probability",
                "roms",
            ],
            Family::Arcade | Family::Classic | Family::GymRs | Family::Custom => &[],
        }
    }
}

/// The kind of observations.
///
/// ```
/// use coinop_envs::registry::{Observations, find};
///
/// assert_eq!(find("cartpole")?.observations, Observations::Features);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observations {
    /// Pixels, `u8`.
    Pixels,
    /// Features, `f32`.
    Features,
}

impl Observations {
    /// The name of this kind: `pixels` or `features`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Observations::Pixels => u8::NAME,
            Observations::Features => f32::NAME,
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
            return Ok(find_game(self.short)?.minimal_actions.len());
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
        match (self.family, self.short) {
            (Family::Atari, game) => atari(game, &options.atari),
            (Family::Arcade, short) => known(ARCADE, short),
            (Family::Classic, short) => known(CLASSIC, short),
            (Family::GymRs, short) => gym_rs(short),
            (Family::Custom, short) => custom(short),
        }
    }
}

/// The options of all families. Environments ignore the options of other families.
///
/// ```
/// use coinop_envs::registry::{AtariOptions, EnvOptions, find};
///
/// let atari = AtariOptions { mode: Some(1), difficulty: 3, ..AtariOptions::default() };
/// let factory = find("pong")?.factory(&EnvOptions { atari })?;
/// assert_eq!(factory.spec().num_actions, 6);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvOptions {
    /// Options of Atari games.
    pub atari: AtariOptions,
}

/// Options of Atari games.
///
/// ```
/// use coinop_envs::atari::Protocol;
/// use coinop_envs::registry::{AtariOptions, EnvOptions, make_vec};
///
/// let atari = AtariOptions { protocol: Protocol::Machado, ..AtariOptions::default() };
/// let envs = make_vec::<u8>("breakout", &EnvOptions { atari }, 8, 2)?;
/// assert_eq!(envs.spec().num_actions, 18);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AtariOptions {
    /// The evaluation protocol.
    pub protocol: Protocol,
    /// Probability per frame of repeating the previous action; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_action_probability: Option<f32>,
    /// The number of frames at the end of an agent step whose maximum is observed; overrides the protocol, which has
    /// 2. With 4, no flickering object is missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooled_frames: Option<u32>,
    /// The game mode; the game's default if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The game's difficulty.
    pub difficulty: u32,
    /// Whether the agent has all 18 actions instead of the game's minimal set; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_actions: Option<bool>,
    /// Whether a lost life stops the return, though the episode goes on; overrides the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_life_stops_return: Option<bool>,
    /// The folder of ROMs, if not the one provided by set-up. The program stores it as an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roms: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OptionsOf<'a> {
    Atari(&'a AtariOptions),
    Others(NoOptions),
}

/// The options of families that have none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl EnvOptions {
    /// Reads the options of one family, e.g. from a section of a configuration.
    ///
    /// # Errors
    ///
    /// If an option is unknown or invalid.
    pub fn read<'de, D: Deserializer<'de>>(family: Family, from: D) -> Result<Self, D::Error> {
        match family {
            Family::Atari => AtariOptions::deserialize(from).map(|atari| Self { atari }),
            Family::Arcade | Family::Classic | Family::GymRs | Family::Custom => {
                NoOptions::deserialize(from).map(|_| Self::default())
            }
        }
    }

    /// Returns the options of one family, to be serialised.
    #[must_use]
    pub fn of(&self, family: Family) -> impl Serialize + '_ {
        match family {
            Family::Atari => OptionsOf::Atari(&self.atari),
            Family::Arcade | Family::Classic | Family::GymRs | Family::Custom => OptionsOf::Others(NoOptions {}),
        }
    }
}

/// An environment without options.
struct Known {
    short: &'static str,
    observations: Observations,
    gymnasium: Option<&'static str>,
    make: fn() -> AnyFactory,
}

const PIXELS: Observations = Observations::Pixels;
const FEATURES: Observations = Observations::Features;

/// Classic control, one line each, sorted by name.
#[rustfmt::skip]
const CLASSIC: &[Known] = &[
    Known { short: "acrobot", observations: FEATURES, gymnasium: Some("Acrobot-v1"), make: || features(Acrobot::v1()) },
    Known { short: "cartpole", observations: FEATURES, gymnasium: Some("CartPole-v1"), make: || features(CartPole::v1()) },
    Known { short: "mountain_car", observations: FEATURES, gymnasium: Some("MountainCar-v0"), make: || features(MountainCar::v0()) },
];

/// Arcade games, one line each, sorted by name.
#[rustfmt::skip]
const ARCADE: &[Known] = &[
    Known { short: "bricks", observations: PIXELS, gymnasium: None, make: || arcade::<Bricks>() },
    Known { short: "catch", observations: PIXELS, gymnasium: None, make: || arcade::<Catch>() },
    Known { short: "invaders", observations: PIXELS, gymnasium: None, make: || arcade::<Invaders>() },
    Known { short: "snake", observations: PIXELS, gymnasium: None, make: || arcade::<Snake>() },
];

fn known(list: &[Known], short: &str) -> Result<AnyFactory, EnvError> {
    let known = list.iter().find(|known| known.short == short);
    Ok((known.ok_or_else(|| unknown(short))?.make)())
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
    let game = |game: &'static coinop_atari::Game| EnvInfo {
        family: Family::Atari,
        short: game.name,
        observations: Observations::Pixels,
        gymnasium: None,
    };
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
    let envs = ours
        .chain(games().iter().map(game))
        .chain(CLASSIC.iter().map(of(Family::Classic)));
    let envs = envs.chain(GYM_RS.iter().map(gym_rs));
    envs.chain(registered().iter().map(|custom| custom.info)).collect()
}

/// A registered environment. Its factory is created on first use.
struct Custom {
    info: EnvInfo,
    make: Box<dyn Fn() -> Result<AnyFactory, EnvError> + Send + Sync>,
    made: OnceLock<Result<AnyFactory, Arc<EnvError>>>,
}

/// All registered environments, sorted by name.
static REGISTERED: RwLock<Vec<Arc<Custom>>> = RwLock::new(Vec::new());

fn registered() -> Vec<Arc<Custom>> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Registers an environment for the rest of the process. [`list`], [`find`], [`make_vec`] and the program then know
/// it as `custom/NAME`.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::registry::{EnvOptions, make_vec, register};
/// use coinop_envs::Made;
/// use coinop_envs::wrappers::TimeLimit;
///
/// // An episode of a hundred steps at most.
/// register("short_cartpole", Made::by(|| Ok(TimeLimit::new(CartPole::v1(), 100)))?)?;
/// let envs = make_vec::<f32>("short_cartpole", &EnvOptions::default(), 8, 1)?;
/// assert_eq!(envs.num_envs(), 8);
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
///
/// # Errors
///
/// If the name is taken, or is not a lower-case letter followed by lower-case letters, digits and `_`.
pub fn register<F: EnvFactory + 'static>(name: &str, factory: F) -> Result<(), EnvError> {
    let factory: Arc<dyn EnvFactory<Obs = F::Obs>> = Arc::new(factory);
    register_lazily(name, move || Ok(Arc::clone(&factory)))
}

/// Registers an environment whose factory `make` creates on first use and which is then kept. If `make` fails or
/// panics, [`EnvInfo::factory`] returns [`EnvError::Unusable`]; other environments are not affected.
///
/// ```
/// use std::sync::Arc;
///
/// use coinop_envs::registry::{EnvOptions, find, register_lazily};
/// use coinop_envs::{EnvError, EnvFactory};
///
/// register_lazily::<f32>("broken", || Err(EnvError::BadSetting("the camera is off".to_owned())))?;
/// let error = find("broken")?.factory(&EnvOptions::default()).unwrap_err();
/// assert_eq!(error.to_string(), "the environment custom/broken can't be made: the camera is off");
/// # Ok::<(), EnvError>(())
/// ```
///
/// # Errors
///
/// As for [`register`].
pub fn register_lazily<O: Elem>(
    name: &str,
    make: impl Fn() -> Result<Arc<dyn EnvFactory<Obs = O>>, EnvError> + Send + Sync + 'static,
) -> Result<(), EnvError> {
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_word {
        return Err(EnvError::BadSetting(format!(
            "`{name}` can't be the name of an environment: write small letters, digits and _, beginning with a letter"
        )));
    }
    if list().iter().any(|info| squeeze(info.short) == squeeze(name)) {
        return Err(EnvError::BadSetting(format!(
            "there is an environment `{name}` already: choose another name"
        )));
    }
    let custom = Custom {
        info: EnvInfo {
            family: Family::Custom,
            // Names are registered once and for all, and there are few.
            short: name.to_owned().leak(),
            observations: O::OBSERVATIONS,
            gymnasium: None,
        },
        make: Box::new(move || Ok(O::any(make()?))),
        made: OnceLock::new(),
    };
    let mut all = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let at = all.partition_point(|other| other.info.short < custom.info.short);
    all.insert(at, Arc::new(custom));
    Ok(())
}

fn custom(short: &str) -> Result<AnyFactory, EnvError> {
    let found = registered().into_iter().find(|custom| custom.info.short == short);
    let custom = found.ok_or_else(|| unknown(short))?;
    let made = || {
        let panicked = |what, message| EnvError::Panicked { what, message, step: 0 };
        let factory = catch(&custom.make).map_err(|message| panicked("constructor", message))??;
        let spec = catch(|| factory.spec()).map_err(|message| panicked("spec()", message))?;
        spec.validate()?;
        Ok(factory)
    };
    let made = custom.made.get_or_init(|| made().map_err(Arc::new)).clone();
    made.map_err(|source| EnvError::Unusable {
        env: custom.info.id(),
        source,
    })
}

/// The environments of gym-rs, sorted by name; empty without the feature.
const GYM_RS: &[(&str, Observations)] = if cfg!(feature = "gym-rs") {
    &[
        ("CartPole-v1", FEATURES),
        ("CartPole-v1-pixels", PIXELS),
        ("MountainCar-v0", FEATURES),
        ("MountainCar-v0-pixels", PIXELS),
    ]
} else {
    &[]
};

#[cfg(feature = "gym-rs")]
fn gym_rs(short: &str) -> Result<AnyFactory, EnvError> {
    use ::gym_rs::envs::classical_control::cartpole::CartPoleEnv;
    use ::gym_rs::envs::classical_control::mountain_car::MountainCarEnv;

    use crate::factory::InThreads;
    use crate::gym_rs::{cart_pole, mountain_car, pixels};
    Ok(match short {
        "CartPole-v1" => AnyFactory::Features(Arc::new(InThreads::new(|| Ok(cart_pole()))?)),
        "CartPole-v1-pixels" => AnyFactory::Pixels(Arc::new(InThreads::new(|| Ok(pixels::<CartPoleEnv>(500)))?)),
        "MountainCar-v0" => AnyFactory::Features(Arc::new(InThreads::new(|| Ok(mountain_car()))?)),
        "MountainCar-v0-pixels" => AnyFactory::Pixels(Arc::new(InThreads::new(|| Ok(pixels::<MountainCarEnv>(200)))?)),
        _ => return Err(unknown(short)),
    })
}

#[cfg(not(feature = "gym-rs"))]
fn gym_rs(short: &str) -> Result<AnyFactory, EnvError> {
    Err(unknown(short))
}

fn atari(game: &str, options: &AtariOptions) -> Result<AnyFactory, EnvError> {
    let rom = Rom::find(find_game(game)?, options.roms.as_deref())?;
    let mut config = options.protocol.config();
    config.mode = options.mode;
    config.difficulty = options.difficulty;
    config.pooled_frames = options.pooled_frames.unwrap_or(config.pooled_frames);
    config.all_actions = options.all_actions.unwrap_or(config.all_actions);
    config.lost_life_stops_return = options.lost_life_stops_return.unwrap_or(config.lost_life_stops_return);
    if let Some(probability) = options.repeat_action_probability {
        config.repeat_action_probability = probability;
    }
    let env = AtariEnv::new(&rom, &config)?;
    if options.mode.is_some() {
        // A few modes are over as soon as they begin, which is to be known before anybody trains in one.
        let mut trial = env.clone();
        trial.reset(Some(0), &mut vec![0; trial.obs_shape().len()])?;
    }
    Ok(AnyFactory::Pixels(Arc::new(Copies::of(env, AtariEnv::BYTES))))
}

/// Creates a factory of an arcade game with the wrappers of Atari training.
fn arcade<G: Game>() -> AnyFactory {
    // Four screens, two stacks, and the tables of the resizer.
    AnyFactory::Pixels(Arc::new(Copies::of(trained::<G>(), 250_000)))
}

/// Creates a factory of a small environment.
fn features<E: Env<Obs = f32> + Clone + Send + Sync + 'static>(env: E) -> AnyFactory {
    let bytes = size_of::<E>() as u64;
    AnyFactory::Features(Arc::new(Copies::of(env, bytes)))
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
    match find_gymnasium(name) {
        Some(Gymnasium { info, protocol, rules }) => Err(EnvError::GymnasiumName {
            name: name.to_owned(),
            short: info.short,
            protocol,
            rules,
        }),
        None => Err(unknown(name)),
    }
}

/// The meaning of a Gymnasium name such as `ALE/Pong-v5`: a game and its rules.
///
/// ```
/// use coinop_envs::atari::Protocol;
/// use coinop_envs::registry::find_gymnasium;
///
/// let pong = find_gymnasium("ALE/Pong-v5").expect("a game of the Atari");
/// assert_eq!((pong.info.short, pong.protocol), ("pong", Protocol::Machado));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gymnasium {
    /// The game.
    pub info: EnvInfo,
    /// The protocol closest to what Gymnasium plays under this name with its usual wrappers.
    pub protocol: Protocol,
    /// The rules that both have in common.
    pub rules: &'static str,
}

/// Parses a name such as `ALE/Pong-v5`, `PongNoFrameskip-v4` or `Pong-v0`; returns `None` for all others.
#[must_use]
pub fn find_gymnasium(name: &str) -> Option<Gymnasium> {
    let (game, protocol, rules) = gymnasium_name(name)?;
    let info = list()
        .into_iter()
        .find(|info| info.family == Family::Atari && squeeze(info.short) == squeeze(game))?;
    Some(Gymnasium { info, protocol, rules })
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

/// Removes case and separators from a name.
fn squeeze(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Splits a name such as `ALE/Pong-v5` into the game, the closest protocol, and the rules that both have in common.
fn gymnasium_name(name: &str) -> Option<(&str, Protocol, &'static str)> {
    let (game, version) = name.strip_prefix("ALE/").unwrap_or(name).rsplit_once("-v")?;
    let bare = game.strip_suffix("NoFrameskip").or(game.strip_suffix("Deterministic"));
    let (protocol, rules) = match version {
        "0" | "5" => (Protocol::Machado, "sticky actions with probability 0.25"),
        "4" => (Protocol::Sb3, "no sticky actions, and the usual wrappers around it"),
        _ => return None,
    };
    Some((bare.unwrap_or(game), protocol, rules))
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
mod tests {
    use super::*;

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
        use crate::factory::Made;
        use crate::wrappers::TimeLimit;
        let make = || Made::by(|| Ok(TimeLimit::new(CartPole::v1(), 3))).unwrap();
        register("short_pole", make()).unwrap();
        let info = find("custom/short_pole").unwrap();
        assert_eq!(
            (info, info.observations),
            (find("ShortPole").unwrap(), Observations::Features)
        );
        for threads in [1, 2] {
            let mut envs = make_vec::<f32>("short_pole", &EnvOptions::default(), 2, threads).unwrap();
            let (mut obs, mut last_obs, mut steps) = ([0.0; 8], [0.0; 8], [crate::Step::default(); 2]);
            envs.reset(Some(1), &mut obs).unwrap();
            for step in 1..=3 {
                envs.step(&[step % 2; 2], &mut obs, &mut last_obs, &mut steps).unwrap();
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

        use crate::factory::Made;
        let made = AtomicUsize::new(0);
        let make = move || match made.fetch_add(1, Ordering::Relaxed) {
            3 => Err(EnvError::BadSetting("no more".to_owned())),
            _ => Ok(CartPole::v1()),
        };
        // One is made to know their shape, then those numbered 0, 1 and 2.
        let error = Made::by(make).unwrap().make_vec(0, 5, 1).err().unwrap();
        assert_eq!(error.to_string(), "environment 2: no more");
    }

    #[test]
    fn a_family_reads_and_writes_its_own_options_alone() {
        let read = |family, text: &str| EnvOptions::read(family, &mut serde_json::Deserializer::from_str(text));
        let options = read(Family::Atari, r#"{"protocol": "machado", "mode": 2}"#).unwrap();
        assert_eq!(
            (options.atari.protocol, options.atari.mode),
            (Protocol::Machado, Some(2))
        );
        let defaults = serde_json::to_value(EnvOptions::default().of(Family::Atari)).unwrap();
        for name in Family::Atari.options_without_default() {
            assert!(defaults.get(name).is_none(), "{name}");
            assert!(read(Family::Atari, &format!(r#"{{"{name}": null}}"#)).is_ok(), "{name}");
        }
        let written = serde_json::to_value(options.of(Family::Atari)).unwrap();
        assert_eq!(
            written,
            serde_json::json!({"protocol": "machado", "mode": 2, "difficulty": 0})
        );
        assert_eq!(read(Family::Classic, "{}").unwrap(), EnvOptions::default());
        assert!(read(Family::Classic, r#"{"protocol": "machado"}"#).is_err());
        let written = serde_json::to_value(options.of(Family::Classic)).unwrap();
        assert_eq!(written, serde_json::json!({}));
    }
}
