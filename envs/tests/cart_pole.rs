//! CartPole does what Gymnasium's `CartPole-v1` does, on trajectories recorded there by `tools/record_classic.py`.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use coinop_envs::classic::CartPole;
use coinop_envs::wrappers::TimeLimit;
use coinop_envs::{End, Env, EnvError, check_env};

const RECORDED: &str = include_str!("cart_pole.csv");

/// A row of the recording.
struct Row {
    episode: u32,
    /// `None` where an episode begins.
    action: Option<u32>,
    state: [f64; 4],
    reward: f32,
    end: End,
}

fn rows() -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Row {
            episode: fields[0].parse().unwrap(),
            action: fields[1].parse().ok(),
            state: std::array::from_fn(|i| fields[2 + i].parse().unwrap()),
            reward: fields[6].parse().unwrap_or(0.0),
            end: match (fields[7], fields[8]) {
                ("1", _) => End::Terminated,
                (_, "1") => End::Truncated,
                _ => End::No,
            },
        }
    };
    RECORDED.lines().skip(1).map(row).collect()
}

#[test]
fn trajectories_are_gymnasiums() {
    let rows = rows();
    let mut obs = [0.0; 4];
    let (mut env, mut steps, mut ends) = (CartPole::new(), 0, Vec::new());
    for row in &rows {
        let Some(action) = row.action else {
            env.begin_at(row.state, &mut obs);
            steps = 0;
            continue;
        };
        let step = env.step(action, &mut obs).unwrap();
        steps += 1;
        // The limit of steps is the wrapper's, which the next test has.
        let end = if steps == CartPole::V1_STEPS {
            End::Truncated
        } else {
            step.end
        };
        assert_eq!(
            (step.reward, step.score, end),
            (row.reward, row.reward, row.end),
            "episode {}, step {steps}",
            row.episode
        );
        for (ours, gymnasiums) in obs.iter().zip(row.state) {
            // An observation is the double rounded to 24 bits; sines of two libraries may differ in the last of 53.
            assert!(
                (f64::from(*ours) - gymnasiums).abs() <= 1e-6 * gymnasiums.abs().max(1e-3),
                "episode {}, step {steps}: {obs:?} instead of {:?}",
                row.episode,
                row.state
            );
        }
        if end != End::No {
            ends.push((steps, end));
        }
    }
    let fell = |steps| (steps, End::Terminated);
    assert_eq!(
        ends,
        [(500, End::Truncated), fell(50), fell(13), fell(9), fell(10)],
        "the lengths of the recorded episodes"
    );
}

#[test]
fn version_1_truncates_after_500_steps_and_keeps_the_contract() {
    check_env(&mut CartPole::new()).unwrap();
    check_env(&mut CartPole::v1()).unwrap();
    // A limit that the pole outlives, to see that the return continues beyond it.
    let mut env = TimeLimit::new(CartPole::new(), 5);
    let mut obs = [0.0; 4];
    env.reset(Some(1), &mut obs).unwrap();
    let steps: Vec<_> = (0..5).map(|t| env.step(t % 2, &mut obs).unwrap()).collect();
    assert_eq!(
        (steps[3].end, steps[4].end, steps[4].discount),
        (End::No, End::Truncated, 1.0)
    );
}

#[test]
fn an_episode_begins_within_a_twentieth_and_seeds_tell_episodes_apart() {
    let mut env = CartPole::v1();
    let mut starts = Vec::new();
    for seed in [Some(1), Some(2), None, None] {
        let mut obs = [9.0; 4];
        env.reset(seed, &mut obs).unwrap();
        assert!(obs.iter().all(|value| value.abs() <= 0.05), "{obs:?}");
        assert!(!starts.contains(&obs), "{obs:?} came twice");
        starts.push(obs);
    }
}

#[test]
fn a_third_action_and_a_step_after_the_end_are_refused() {
    let mut env = CartPole::new();
    let mut obs = [0.0; 4];
    env.begin_at([2.39, 3.0, 0.0, 0.0], &mut obs);
    assert!(matches!(
        env.step(2, &mut obs),
        Err(EnvError::InvalidAction {
            action: 2,
            num_actions: 2
        })
    ));
    // 2.39 + 0.02 · 3 is beyond 2.4.
    let step = env.step(1, &mut obs).unwrap();
    assert_eq!((step.end, step.discount, step.reward), (End::Terminated, 0.0, 1.0));
    assert!(matches!(env.step(1, &mut obs), Err(EnvError::ResetNeeded)));
}
