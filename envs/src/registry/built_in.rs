//! The environments of this crate, by family.

use std::sync::Arc;

use super::unknown;
use crate::arcade::{ArcadeGame, Bricks, Catch, Invaders, Snake, trained};
use crate::classic::{Acrobot, CartPole, MountainCar, Pendulum};
use crate::factory::{AnyFactory, Copies};
use crate::{Env, EnvError, Observations};

/// An environment without options.
pub(super) struct Known {
    pub(super) short: &'static str,
    pub(super) observations: Observations,
    pub(super) gymnasium: Option<&'static str>,
    make: fn() -> AnyFactory,
}

const PIXELS: Observations = Observations::Pixels;
const FEATURES: Observations = Observations::Features;

/// Classic control, one line each, sorted by name.
#[rustfmt::skip]
pub(super) const CLASSIC: &[Known] = &[
    Known { short: "acrobot", observations: FEATURES, gymnasium: Some("Acrobot-v1"), make: || features(Acrobot::v1()) },
    Known { short: "cartpole", observations: FEATURES, gymnasium: Some("CartPole-v1"), make: || features(CartPole::v1()) },
    Known { short: "mountain_car", observations: FEATURES, gymnasium: Some("MountainCar-v0"), make: || features(MountainCar::v0()) },
    Known { short: "pendulum", observations: FEATURES, gymnasium: None, make: || features(Pendulum::v1()) },
];

/// Arcade games, one line each, sorted by name.
#[rustfmt::skip]
pub(super) const ARCADE: &[Known] = &[
    Known { short: "bricks", observations: PIXELS, gymnasium: None, make: || arcade::<Bricks>() },
    Known { short: "catch", observations: PIXELS, gymnasium: None, make: || arcade::<Catch>() },
    Known { short: "invaders", observations: PIXELS, gymnasium: None, make: || arcade::<Invaders>() },
    Known { short: "snake", observations: PIXELS, gymnasium: None, make: || arcade::<Snake>() },
];

pub(super) fn known(list: &[Known], short: &str) -> Result<AnyFactory, EnvError> {
    let known = list.iter().find(|known| known.short == short);
    Ok((known.ok_or_else(|| unknown(short))?.make)())
}

/// The environments of gym-rs, sorted by name; empty without the feature.
pub(super) const GYM_RS: &[(&str, Observations)] = if cfg!(feature = "gym-rs") {
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
pub(super) fn gym_rs(short: &str) -> Result<AnyFactory, EnvError> {
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
pub(super) fn gym_rs(short: &str) -> Result<AnyFactory, EnvError> {
    Err(unknown(short))
}

/// Creates a factory of an arcade game with the wrappers of Atari training.
fn arcade<G: ArcadeGame>() -> AnyFactory {
    // Four screens, two stacks, and the tables of the resizer.
    AnyFactory::Pixels(Arc::new(Copies::of(trained::<G>(), 250_000)))
}

/// Creates a factory of a small environment.
fn features<E: Env<Obs = f32> + Clone + Send + Sync + 'static>(env: E) -> AnyFactory {
    let bytes = size_of::<E>() as u64;
    AnyFactory::Features(Arc::new(Copies::of(env, bytes)))
}
