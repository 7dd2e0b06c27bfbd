//! Environments of other crates, by name.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{EnvInfo, Family, list, squeeze, unknown};
use crate::factory::AnyFactory;
use crate::guard::catch;
use crate::{Elem, EnvError, EnvFactory};

/// A registered environment. Its factory is created on first use.
pub(super) struct Custom {
    pub(super) info: EnvInfo,
    make: Box<dyn Fn() -> Result<AnyFactory, EnvError> + Send + Sync>,
    made: OnceLock<Result<AnyFactory, Arc<EnvError>>>,
}

/// All registered environments, sorted by name.
static REGISTERED: RwLock<Vec<Arc<Custom>>> = RwLock::new(Vec::new());

pub(super) fn registered() -> Vec<Arc<Custom>> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Registers an environment for the rest of the process. [`list`], [`find`](super::find),
/// [`make_vec`](super::make_vec) and the program then know it as `custom/NAME`.
///
/// ```
/// use coinop_envs::classic::CartPole;
/// use coinop_envs::registry::{EnvOptions, make_vec, register};
/// use coinop_envs::FromFn;
/// use coinop_envs::wrappers::TimeLimit;
///
/// // An episode of a hundred steps at most.
/// register("short_cartpole", FromFn::new(|| Ok(TimeLimit::new(CartPole::v1(), 100)))?)?;
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

pub(super) fn custom(short: &str) -> Result<AnyFactory, EnvError> {
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
