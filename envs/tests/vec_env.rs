//! Every vectorised environment gives what the serial one gives.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_envs::registry::{EnvOptions, make_vec};
use coinop_envs::rng::derive_seed;
use coinop_envs::{End, Step, VecEnv};

/// The observations and steps of `steps` steps of `env` with fixed actions.
fn play(env: &mut dyn VecEnv<Obs = u8>, steps: u64) -> (Vec<u8>, Vec<Step>) {
    let n = env.num_envs();
    let len = env.spec().obs_shape.len() * n;
    let (mut obs, mut last_obs) = (vec![0; len], vec![0; len]);
    let mut results = vec![Step::default(); n];
    let (mut all_obs, mut all_steps) = (Vec::new(), Vec::new());
    env.reset(Some(7), &mut obs).unwrap();
    all_obs.extend_from_slice(&obs);
    for t in 0..steps {
        let actions: Vec<u32> = (0..n)
            .map(|i| (derive_seed(t, "action", i as u64) % env.spec().num_actions as u64) as u32)
            .collect();
        env.step(&actions, &mut obs, &mut last_obs, &mut results).unwrap();
        all_obs.extend_from_slice(&obs);
        all_obs.extend_from_slice(&last_obs);
        all_steps.extend_from_slice(&results);
    }
    (all_obs, all_steps)
}

#[test]
fn any_number_of_threads_gives_the_same_as_one() {
    let options = EnvOptions::default();
    let (obs, steps) = play(make_vec("breakout", &options, 5, 1).unwrap().as_mut(), 120);
    assert!(
        steps.iter().any(|step| step.end == End::Terminated),
        "the actions end some games"
    );
    for threads in [2, 3, 8] {
        let (other_obs, other_steps) = play(make_vec("breakout", &options, 5, threads).unwrap().as_mut(), 120);
        assert_eq!(other_steps, steps, "{threads} threads");
        assert!(other_obs == obs, "observations differ with {threads} threads");
    }
}

#[test]
fn environments_of_one_seed_differ_from_each_other() {
    let (obs, _) = play(make_vec("breakout", &EnvOptions::default(), 3, 1).unwrap().as_mut(), 20);
    let len = 4 * 84 * 84;
    assert_ne!(obs[..len], obs[len..2 * len], "different numbers of no-ops");
}

#[test]
fn an_action_that_does_not_exist_is_the_first_environments_error_whatever_the_threads() {
    for threads in [1, 2] {
        let mut env = make_vec::<u8>("pong", &EnvOptions::default(), 3, threads).unwrap();
        let len = 3 * env.spec().obs_shape.len();
        let (mut obs, mut last_obs) = (vec![0; len], vec![0; len]);
        env.reset(Some(1), &mut obs).unwrap();
        let error = env
            .step(&[0, 9, 8], &mut obs, &mut last_obs, &mut [Step::default(); 3])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "action 9 is out of range: this environment has 6 actions, 0 to 5"
        );
    }
}
