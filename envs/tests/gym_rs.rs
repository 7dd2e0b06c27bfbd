//! The environments of gym-rs keep the contract, and are gym-rs's own. With the feature `gym-rs`.

#![cfg(feature = "gym-rs")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_envs::gym_rs::{GymRs, cart_pole, mountain_car};
use coinop_envs::registry::{self, EnvOptions};
use coinop_envs::vec_env::Threaded;
use coinop_envs::{AnyFactory, End, Env, Step, VecEnv, check_env};
use gym_rs::core::Env as Gym;
use gym_rs::envs::classical_control::mountain_car::MountainCarEnv;
use gym_rs::utils::renderer::RenderMode;

#[test]
fn they_keep_the_contract() {
    check_env(&mut cart_pole()).unwrap();
    check_env(&mut mountain_car()).unwrap();
    for name in ["gym-rs/CartPole-v1", "gym-rs/MountainCar-v0"] {
        let AnyFactory::Features(factory) = registry::find(name).unwrap().factory(&EnvOptions::default()).unwrap()
        else {
            panic!("{name} has features");
        };
        check_env(&mut factory.make().unwrap()).unwrap();
    }
}

#[test]
fn steps_are_those_of_gym_rs() {
    let mut ours = GymRs::<MountainCarEnv>::new();
    let mut theirs = MountainCarEnv::new(RenderMode::None);
    let mut obs = [0.0; 2];
    ours.reset(Some(3), &mut obs).unwrap();
    // Their state from our observation, which has 24 of its 53 bits.
    theirs.state.position = f64::from(obs[0]).into();
    theirs.state.velocity = f64::from(obs[1]).into();
    for t in 0..100u32 {
        let step = ours.step(t / 20 % 3, &mut obs).unwrap();
        let answer = theirs.step((t / 20 % 3) as usize);
        assert_eq!(step, Step::going_on(-1.0));
        let expected: Vec<f64> = answer.observation.into();
        for (ours, theirs) in obs.iter().zip(expected) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-5, "step {t}: {obs:?}");
        }
    }
}

#[test]
fn an_episode_begins_near_the_middle_and_is_truncated_after_500_steps_at_the_latest() {
    let mut env = cart_pole();
    let mut obs = [0.0; 4];
    for seed in 0..100 {
        env.reset(Some(seed), &mut obs).unwrap();
        assert!(obs.iter().all(|value| value.abs() <= 0.05), "{obs:?}");
        let mut steps = 0;
        let end = loop {
            // Pushes towards where the pole falls.
            let action = u32::from(obs[2] + 0.5 * obs[3] > 0.0);
            steps += 1;
            let step = env.step(action, &mut obs).unwrap();
            if step.end.is_over() {
                break step.end;
            }
        };
        assert!(
            (steps < 500) == (end == End::Terminated) && steps <= 500,
            "{steps}: {end:?}"
        );
    }
}

#[test]
fn sets_of_them_step_in_threads() {
    let mut set = Threaded::new(|| Ok(cart_pole()), 4).unwrap();
    let (mut obs, mut last_obs, mut steps) = (vec![0.0; 16], vec![0.0; 16], vec![Step::default(); 4]);
    set.reset(Some(1), &mut obs).unwrap();
    let first = obs.clone();
    assert_ne!(first[..4], first[4..8]);
    let mut episodes = 0;
    for _ in 0..50 {
        set.step(&[1; 4], &mut obs, &mut last_obs, &mut steps).unwrap();
        episodes += steps.iter().filter(|step| step.end == End::Terminated).count();
    }
    assert!(episodes >= 4, "{episodes}");
    set.reset(Some(1), &mut obs).unwrap();
    assert_eq!(obs, first);
}
