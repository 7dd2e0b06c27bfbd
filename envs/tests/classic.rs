//! MountainCar, Acrobot and Pendulum do what Gymnasium's do, on trajectories recorded there by `tools/record_classic.py`.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_envs::classic::{Acrobot, MountainCar, Pendulum};
use coinop_envs::{End, Env, EnvError, Step, check_env};

/// A row of a recording.
struct Row {
    episode: u32,
    /// `None` where an episode begins.
    action: Option<u32>,
    state: Vec<f64>,
    reward: f32,
    terminated: bool,
    truncated: bool,
}

fn rows(recorded: &str) -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let n = fields.len();
        Row {
            episode: fields[0].parse().unwrap(),
            action: fields[1].parse().ok(),
            state: fields[2..n - 3].iter().map(|field| field.parse().unwrap()).collect(),
            reward: fields[n - 3].parse().unwrap_or(0.0),
            terminated: fields[n - 2] == "1",
            truncated: fields[n - 1] == "1",
        }
    };
    recorded.lines().skip(1).map(row).collect()
}

/// Each step from the recorded state before it, and the lengths of the episodes that the environment ends by itself. `begin` and `state` are those
/// of an environment.
fn assert_gymnasiums<E: Env<Obs = f32>>(
    env: &mut E,
    recorded: &str,
    begin: impl Fn(&mut E, &[f64], &mut [f32]),
    state: impl Fn(&E) -> Vec<f64>,
) -> Vec<(usize, bool)> {
    let mut obs = vec![0.0; env.obs_shape().len()];
    let (mut before, mut steps, mut ends) = (Vec::new(), 0, Vec::new());
    for row in rows(recorded) {
        if let Some(action) = row.action {
            begin(env, &before, &mut obs);
            let step = env.step(action, &mut obs).unwrap();
            steps += 1;
            let at = format!("episode {}, step {steps}", row.episode);
            let expected = if row.terminated {
                Step::terminated(row.reward)
            } else {
                Step::going_on(row.reward)
            };
            // Gymnasium computes a part of the pendulum's reward in single precision.
            assert!(
                (step.reward - expected.reward).abs() <= 1e-6 * expected.reward.abs(),
                "{at}: {step:?} {expected:?}"
            );
            assert_eq!((step.end, step.score), (expected.end, step.reward), "{at}");
            for (ours, gymnasiums) in state(env).into_iter().zip(&row.state) {
                // Sines of two libraries may differ in the last of 53 bits.
                assert!(
                    (ours - gymnasiums).abs() < 1e-13,
                    "{at}: {ours} instead of {gymnasiums}"
                );
            }
            if row.terminated || row.truncated {
                ends.push((steps, row.terminated));
            }
        } else {
            steps = 0;
        }
        before = row.state;
    }
    ends
}

#[test]
fn mountain_car_moves_as_gymnasiums() {
    let ends = assert_gymnasiums(
        &mut MountainCar::new(),
        include_str!("mountain_car.csv"),
        |env, state, obs| env.begin_at(state.try_into().unwrap(), obs),
        |env| env.state().to_vec(),
    );
    assert_eq!(
        ends,
        [(122, true), (200, false), (200, false), (200, false)],
        "the lengths of the recorded episodes"
    );
}

#[test]
fn acrobot_swings_as_gymnasiums() {
    let ends = assert_gymnasiums(
        &mut Acrobot::new(),
        include_str!("acrobot.csv"),
        |env, state, obs| env.begin_at(state.try_into().unwrap(), obs),
        |env| env.state().to_vec(),
    );
    assert_eq!(
        ends,
        [(77, true), (500, false), (500, false)],
        "the lengths of the recorded episodes"
    );
}

#[test]
fn pendulum_swings_as_gymnasiums() {
    let ends = assert_gymnasiums(
        &mut Pendulum::new(),
        include_str!("pendulum.csv"),
        |env, state, obs| env.begin_at(state.try_into().unwrap(), obs),
        |env| env.state().to_vec(),
    );
    assert_eq!(ends, [(200, false); 3], "the lengths of the recorded episodes");
}

#[test]
fn an_observation_of_acrobot_is_of_cosines_and_sines() {
    let mut obs = [0.0; 6];
    Acrobot::new().begin_at([0.0, std::f64::consts::FRAC_PI_2, 0.5, -0.25], &mut obs);
    assert_eq!(obs[..2], [1.0, 0.0]);
    assert!(obs[2].abs() < 1e-7 && obs[3] == 1.0);
    assert_eq!(obs[4..], [0.5, -0.25]);
}

/// The steps after which an environment that is never pushed truncates.
fn limit<E: Env<Obs = f32>>(mut env: E) -> usize {
    check_env(&mut env).unwrap();
    let mut obs = vec![0.0; env.obs_shape().len()];
    env.reset(Some(1), &mut obs).unwrap();
    let end = (1..).find(|_| env.step(1, &mut obs).unwrap().end == End::Truncated);
    assert!(matches!(env.step(1, &mut obs), Err(EnvError::ResetNeeded)));
    end.unwrap()
}

#[test]
fn limits_are_gymnasiums_and_contracts_are_kept() {
    assert_eq!(limit(MountainCar::v0()), 200);
    assert_eq!(limit(Acrobot::v1()), 500);
    assert_eq!(limit(Pendulum::v1()), 200);
}

#[test]
fn a_state_starts_where_gymnasiums_does() {
    let (mut car, mut links) = (MountainCar::new(), Acrobot::new());
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for seed in 0..300 {
        car.reset(Some(seed), &mut [0.0; 2]).unwrap();
        let [position, speed] = car.state();
        assert_eq!(speed, 0.0);
        (least, most) = (least.min(position), most.max(position));
        links.reset(Some(seed), &mut [0.0; 6]).unwrap();
        assert!(links.state().iter().all(|value| value.abs() <= 0.1));
    }
    assert!(
        (-0.6..-0.595).contains(&least) && (-0.405..-0.4).contains(&most),
        "{least} to {most}"
    );
}
