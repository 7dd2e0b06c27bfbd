//! Viewers see every frame, and an environment that is watched plays as one that is not.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use std::sync::{Arc, Mutex};

use coinop_envs::registry::{EnvOptions, find};
use coinop_envs::rng::stream;
use coinop_envs::vec_env::Remote;
use coinop_envs::{AnyFactory, Elem, Env, EnvFactory, Viewer};
use rand::RngExt;

type Frames = Arc<Mutex<Vec<(usize, usize, Vec<u8>)>>>;

fn recorder() -> (Frames, Viewer) {
    let frames = Frames::default();
    let to = Arc::clone(&frames);
    let viewer = Viewer::new(move |frame| {
        to.lock().unwrap().push((frame.width, frame.height, frame.rgb.to_vec()));
    });
    (frames, viewer)
}

fn compare<O: Elem>(factory: &dyn EnvFactory<Obs = O>, name: &str) {
    let (mut watched, mut alone) = (factory.make(0).unwrap(), factory.make(0).unwrap());
    let (frames, viewer) = recorder();
    assert!(watched.set_viewer(Some(viewer)).is_some(), "{name}");
    let spec = watched.spec();
    let (mut obs, mut expected) = (
        vec![O::default(); spec.obs_shape.len()],
        vec![O::default(); spec.obs_shape.len()],
    );
    let mut random = stream(1, name, 0);
    watched.reset(Some(3), &mut obs).unwrap();
    alone.reset(Some(3), &mut expected).unwrap();
    let mut sizes = Vec::new();
    for number in 0..300 {
        assert!(obs == expected, "{name}, step {number}");
        let drawn: Vec<_> = std::mem::take(&mut *frames.lock().unwrap());
        assert!(!drawn.is_empty(), "{name}, step {number}");
        sizes.extend(drawn.iter().map(|(width, height, _)| (*width, *height)));
        let action = random.random_range(0..spec.num_actions as u32);
        let (step, other) = (
            watched.step(action, &mut obs).unwrap(),
            alone.step(action, &mut expected).unwrap(),
        );
        assert_eq!(step, other, "{name}, step {number}");
        if step.end.is_over() {
            watched.reset(None, &mut obs).unwrap();
            alone.reset(None, &mut expected).unwrap();
        } else if step.discount == 1.0 {
            let count = frames.lock().unwrap().len();
            assert_eq!(count, spec.frames_per_step as usize, "{name}, step {number}");
        }
    }
    sizes.dedup();
    assert_eq!(sizes.len(), 1, "{name}: {sizes:?}");
    // Whoever is sent away sees nothing more.
    watched.set_viewer(None);
    watched.reset(None, &mut obs).unwrap();
    frames.lock().unwrap().clear();
    watched.step(0, &mut obs).unwrap();
    assert!(frames.lock().unwrap().is_empty(), "{name}");
}

#[test]
fn who_watches_changes_nothing() {
    let mut names = vec![
        "bricks",
        "catch",
        "invaders",
        "snake",
        "cartpole",
        "acrobot",
        "mountain_car",
        "pendulum",
    ];
    if !roms::are_missing() {
        names.extend(["pong", "breakout", "seaquest"]);
    }
    if cfg!(feature = "gym-rs") {
        names.extend(["gym-rs/CartPole-v1", "gym-rs/MountainCar-v0-pixels"]);
    }
    for name in names {
        match find(name).unwrap().factory(&EnvOptions::default()).unwrap() {
            AnyFactory::Pixels(factory) => compare(factory.as_ref(), name),
            AnyFactory::Features(factory) => compare(factory.as_ref(), name),
        }
    }
}

#[test]
fn the_picture_is_that_of_the_machine() {
    use coinop_envs::Picture;
    use coinop_envs::arcade::{Arcade, Bricks};

    let (frames, viewer) = recorder();
    let mut env = Arcade::<Bricks>::new(Picture::Rgb);
    env.set_viewer(Some(viewer));
    let mut obs = vec![0; 210 * 160 * 3];
    env.reset(Some(1), &mut obs).unwrap();
    assert_eq!(*frames.lock().unwrap(), [(160, 210, obs)]);
}

#[test]
fn frames_of_another_thread_are_shown_too() {
    use coinop_envs::classic::Pendulum;

    let mut env = Remote::new(|| Ok(Pendulum::v1())).unwrap();
    let (frames, viewer) = recorder();
    assert_eq!(env.set_viewer(Some(viewer)), Some(20.0));
    env.reset(Some(1), &mut [0.0; 3]).unwrap();
    env.step(0, &mut [0.0; 3]).unwrap();
    let frames = frames.lock().unwrap();
    assert_eq!(frames.len(), 2);
    assert_eq!((frames[0].0, frames[0].1), (300, 200));
    // The pivot is black, and the corner white.
    assert_eq!(frames[0].2[3 * (100 * 300 + 150)..][..3], [0, 0, 0]);
    assert_eq!(frames[0].2[..3], [255, 255, 255]);
}
