//! The environments of gym-rs keep the contract, and are gym-rs's own. With the feature `gym-rs`.

#![cfg(feature = "gym-rs")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_envs::gym_rs::{GymRs, GymRsPixels, cart_pole, mountain_car, pixels};
use coinop_envs::registry::{self, EnvOptions};
use coinop_envs::vec_env::Threaded;
use coinop_envs::{AnyFactory, End, Env, Step, VecEnv, check_env};
use gym_rs::core::Env as Gym;
use gym_rs::envs::classical_control::cartpole::CartPoleEnv;
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
        check_env(&mut factory.make(0).unwrap()).unwrap();
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
    let (mut obs, mut final_obs, mut steps) = (vec![0.0; 16], vec![0.0; 16], vec![Step::default(); 4]);
    set.reset(Some(1), &mut obs).unwrap();
    let first = obs.clone();
    assert_ne!(first[..4], first[4..8]);
    let mut episodes = 0;
    for _ in 0..50 {
        set.step(&[1; 4], &mut obs, &mut final_obs, &mut steps).unwrap();
        episodes += steps.iter().filter(|step| step.end == End::Terminated).count();
    }
    assert!(episodes >= 4, "{episodes}");
    set.reset(Some(1), &mut obs).unwrap();
    assert_eq!(obs, first);
}

#[test]
fn pictures_are_those_of_gym_rs_and_keep_the_contract() {
    check_env(&mut GymRsPixels::<CartPoleEnv>::new(1)).unwrap();
    check_env(&mut pixels::<MountainCarEnv>(200)).unwrap();
    let mut env = GymRsPixels::<CartPoleEnv>::new(2);
    let mut features = GymRs::<CartPoleEnv>::new();
    let (mut rgb, mut obs) = (vec![0; 400 * 600 * 3], [0.0; 4]);
    env.reset(Some(4), &mut rgb).unwrap();
    features.reset(Some(4), &mut obs).unwrap();
    for t in 0..6 {
        // Two steps of gym-rs for one.
        let step = env.step(t % 2, &mut rgb).unwrap();
        let both = [0, 1].map(|_| features.step(t % 2, &mut obs).unwrap().reward);
        assert_eq!(step.reward, both[0] + both[1]);
        // gym-rs draws the cart black on white, 50 wide, at x of 4.8 m on 600 pixels; its highest line is 30 above its lowest.
        let black: Vec<usize> = (0..600).filter(|x| rgb[(300 * 600 + x) * 3..][..3] == [0; 3]).collect();
        let middle = (black[0] + black[black.len() - 1]) as f32 / 2.0;
        let expected = obs[0] * 600.0 / 4.8 + 300.0;
        assert!((middle - expected).abs() < 3.0, "step {t}: {middle}, not {expected}");
        assert_eq!(rgb[..3], [255; 3], "the background");
    }
}

#[test]
fn sets_of_pictures_are_drawn_in_one_thread_for_all() {
    let mut set = registry::make_vec::<u8>("gym-rs/CartPole-v1-pixels", &EnvOptions::default(), 3, 1).unwrap();
    assert_eq!((set.spec().frames_per_step, set.spec().stacked_frames), (2, 4));
    let len = 4 * 84 * 84;
    let (mut obs, mut final_obs, mut steps) = (vec![0; 3 * len], vec![0; 3 * len], [Step::default(); 3]);
    set.reset(Some(1), &mut obs).unwrap();
    let (mut scores, mut ends) = (0.0, 0);
    while ends < 4 {
        set.step(&[1; 3], &mut obs, &mut final_obs, &mut steps).unwrap();
        scores += steps.iter().map(|step| step.score).sum::<f32>();
        ends += steps.iter().filter(|step| step.end == End::Terminated).count();
    }
    // Pushed to one side, it falls after some ten frames.
    assert!((20.0..80.0).contains(&scores), "{scores}");
    assert_ne!(obs[..len], obs[len..2 * len]);
}
