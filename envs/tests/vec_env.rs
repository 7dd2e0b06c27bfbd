//! Every vectorised environment gives what the serial one gives.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coinop_envs::classic::{CartPole, MountainCar};
use coinop_envs::registry::{AtariOptions, EnvOptions, find, make_vec};
use coinop_envs::rng::derive_seed;
use coinop_envs::vec_env::{Asynchronous, Pooled, Remote, Serial, Threaded};
use coinop_envs::wrappers::TimeLimit;
use coinop_envs::{End, Env, EnvError, EnvFactory, FromFn, Mixed, Shape, Step, VecEnv, check_env};
use proptest::prelude::*;

/// The observations and steps of `steps` steps of `env` with fixed actions.
fn play(env: &mut dyn VecEnv<Obs = u8>, steps: u64) -> (Vec<u8>, Vec<Step>) {
    let n = env.num_envs();
    let len = env.spec().obs_shape.len() * n;
    let (mut obs, mut final_obs) = (vec![0; len], vec![0; len]);
    let mut results = vec![Step::default(); n];
    let (mut all_obs, mut all_steps) = (Vec::new(), Vec::new());
    env.reset(Some(7), &mut obs).unwrap();
    all_obs.extend_from_slice(&obs);
    for t in 0..steps {
        let actions: Vec<u32> = (0..n)
            .map(|i| (derive_seed(t, "action", i as u64) % env.spec().num_actions as u64) as u32)
            .collect();
        env.step(&actions, &mut obs, &mut final_obs, &mut results).unwrap();
        all_obs.extend_from_slice(&obs);
        all_obs.extend_from_slice(&final_obs);
        all_steps.extend_from_slice(&results);
    }
    (all_obs, all_steps)
}

#[test]
fn any_number_of_threads_gives_the_same_as_one() {
    if roms::are_missing() {
        return;
    }
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
    if roms::are_missing() {
        return;
    }
    let (obs, _) = play(make_vec("breakout", &EnvOptions::default(), 3, 1).unwrap().as_mut(), 20);
    let len = 4 * 84 * 84;
    assert_ne!(obs[..len], obs[len..2 * len], "different numbers of no-ops");
}

#[test]
fn an_action_that_does_not_exist_is_the_first_environments_error_whatever_the_threads() {
    if roms::are_missing() {
        return;
    }
    for threads in [1, 2] {
        let mut env = make_vec::<u8>("pong", &EnvOptions::default(), 3, threads).unwrap();
        let len = 3 * env.spec().obs_shape.len();
        let (mut obs, mut final_obs) = (vec![0; len], vec![0; len]);
        env.reset(Some(1), &mut obs).unwrap();
        let error = env
            .step(&[0, 9, 8], &mut obs, &mut final_obs, &mut [Step::default(); 3])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment 1: action 9 is out of range: this environment has 6 actions, 0 to 5"
        );
    }
}

/// CartPole, which must stay in the thread in which it was made.
struct Bound(TimeLimit<CartPole>, std::marker::PhantomData<std::rc::Rc<()>>);

impl Env for Bound {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        self.0.obs_shape()
    }

    fn num_actions(&self) -> usize {
        self.0.num_actions()
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        self.0.reset(seed, obs)
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0.step(action, obs)
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        self.0.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        self.0.restore(snapshot)
    }
}

fn bound() -> Result<Bound, EnvError> {
    Ok(Bound(TimeLimit::new(CartPole::new(), 15), std::marker::PhantomData))
}

proptest! {
    // Each starts some threads.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_set_of_environments_is_the_serial_one(
        n in 1usize..7,
        threads in 1usize..5,
        seed in any::<u64>(),
        actions in prop::collection::vec(prop::collection::vec(0u32..2, 6), 1..60),
        saved in any::<prop::sample::Index>(),
    ) {
        let env = || TimeLimit::new(CartPole::new(), 15);
        let mut serial = Serial::new(vec![env(); n]);
        let mut sets: Vec<Box<dyn VecEnv<Obs = f32>>> = vec![
            Box::new(Pooled::new(vec![env(); n], threads).unwrap()),
            Box::new(Threaded::new(bound, n).unwrap()),
            Box::new(Asynchronous::new(vec![env(); n], threads).unwrap()),
        ];
        let blank = || (vec![0.0; 4 * n], vec![0.0; 4 * n], vec![Step::default(); n]);
        let (mut obs, mut final_obs, mut steps) = blank();
        serial.reset(Some(seed), &mut obs).unwrap();
        let first = obs.clone();
        let mut expected = Vec::new();
        let saved = saved.index(actions.len());
        let mut snapshots = Vec::new();
        for (t, actions) in actions.iter().enumerate() {
            if t == saved {
                snapshots = serial.snapshots().unwrap();
            }
            serial.step(&actions[..n], &mut obs, &mut final_obs, &mut steps).unwrap();
            expected.push((obs.clone(), final_obs.clone(), steps.clone()));
        }
        for set in &mut sets {
            let (mut obs, mut final_obs, mut steps) = blank();
            set.reset(Some(seed), &mut obs).unwrap();
            prop_assert_eq!(&obs, &first);
            for (actions, expected) in actions.iter().zip(&expected) {
                set.step(&actions[..n], &mut obs, &mut final_obs, &mut steps).unwrap();
                prop_assert_eq!(&(obs.clone(), final_obs.clone(), steps.clone()), expected);
            }
            // From the snapshots of another kind.
            set.restore(&snapshots).unwrap();
            prop_assert_eq!(set.snapshots().unwrap(), snapshots.clone());
            set.step(&actions[saved][..n], &mut obs, &mut final_obs, &mut steps).unwrap();
            prop_assert_eq!((&obs, &steps), (&expected[saved].0, &expected[saved].2));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However many are received at a time, and in whichever order they get ready.
    #[test]
    fn each_environment_that_is_sent_and_received_plays_as_in_the_serial_set(
        n in 1usize..7,
        threads in 1usize..5,
        batch in 1usize..7,
        seed in any::<u64>(),
    ) {
        let batch = batch.min(n);
        let env = || TimeLimit::new(CartPole::new(), 15);
        let action = |number: usize, step: usize| derive_seed(seed, "action", (100 * number + step) as u64) as u32 % 2;
        const STEPS: usize = 40;

        let mut serial = Serial::new(vec![env(); n]);
        let (mut obs, mut final_obs, mut steps) = (vec![0.0; 4 * n], vec![0.0; 4 * n], vec![Step::default(); n]);
        serial.reset(Some(seed), &mut obs).unwrap();
        let row = |i: usize| 4 * i..4 * (i + 1);
        let mut expected: Vec<Vec<(Vec<f32>, Step)>> = (0..n).map(|i| vec![(obs[row(i)].to_vec(), Step::default())]).collect();
        for t in 0..STEPS {
            let actions: Vec<u32> = (0..n).map(|i| action(i, t)).collect();
            serial.step(&actions, &mut obs, &mut final_obs, &mut steps).unwrap();
            for i in 0..n {
                expected[i].push((obs[row(i)].to_vec(), steps[i]));
            }
        }

        let mut envs = Asynchronous::new(vec![env(); n], threads).unwrap();
        let mut seen: Vec<Vec<(Vec<f32>, Step)>> = vec![Vec::new(); n];
        // What is under way is forgotten when episodes begin.
        envs.begin(None).unwrap();
        envs.begin(Some(seed)).unwrap();
        prop_assert_eq!(envs.under_way(), n);
        while envs.under_way() > 0 {
            let count = batch.min(envs.under_way());
            let mut numbers = vec![0; count];
            let (mut obs, mut final_obs, mut steps) = (vec![0.0; 4 * count], vec![9.0; 4 * count], vec![Step::default(); count]);
            envs.receive(&mut numbers, &mut obs, &mut final_obs, &mut steps).unwrap();
            for (k, &i) in numbers.iter().enumerate() {
                prop_assert_eq!(steps[k].end.is_over(), final_obs[row(k)] != [9.0; 4]);
                seen[i].push((obs[row(k)].to_vec(), steps[k]));
                let done = seen[i].len() - 1;
                if done < STEPS {
                    envs.send(i, action(i, done)).unwrap();
                }
            }
        }
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn an_error_or_a_panic_of_an_environment_that_was_sent_comes_with_its_number() {
    let mut envs = Asynchronous::new(vec![CartPole::new(); 3], 2).unwrap();
    let (mut obs, mut final_obs) = ([0.0; 12], [0.0; 12]);
    envs.reset(Some(1), &mut obs).unwrap();
    envs.send(2, 7).unwrap();
    let error = envs
        .receive(&mut [0], &mut obs[..4], &mut final_obs[..4], &mut [Step::default()])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment 2: action 7 is out of range: this environment has 2 actions, 0 to 1"
    );
}

#[test]
#[should_panic(expected = "environment 1 is under way: receive it before it is sent again")]
fn an_environment_under_way_cannot_be_sent() {
    let mut envs = Asynchronous::new(vec![CartPole::new(); 2], 1).unwrap();
    envs.reset(None, &mut [0.0; 8]).unwrap();
    envs.send(1, 0).unwrap();
    envs.send(1, 0).unwrap();
}

#[test]
fn environments_of_different_shapes_are_an_error_that_names_the_first_that_differs() {
    // Every third one is a car on a mountain, whose observation has two numbers, not four.
    let made = AtomicUsize::new(0);
    let factory = FromFn::new(move || -> Result<Box<dyn Env<Obs = f32> + Send>, EnvError> {
        Ok(match made.fetch_add(1, Ordering::Relaxed) % 3 {
            2 => Box::new(MountainCar::v0()),
            _ => Box::new(CartPole::v1()),
        })
    });
    let factory = factory.unwrap();
    // The first was made to know what they are like.
    let error = factory.make_vec(0, 3, 1).err().unwrap().to_string();
    let expected =
        "environment 1 has observations of shape 2, 3 actions and 1 frames per step, but the first one has 4, 2 and 1";
    assert_eq!(error, expected);
    assert_eq!(factory.make(0).err().map(|error| error.to_string()), None);
    assert_eq!(factory.make(1).unwrap().num_actions(), 2);
    assert!(matches!(factory.make(2).err(), Some(EnvError::Mixed { number: 2, .. })));
}

#[test]
fn different_games_with_all_actions_are_stepped_together() {
    if roms::are_missing() {
        return;
    }
    let options = |all_actions| EnvOptions {
        atari: AtariOptions {
            all_actions: Some(all_actions),
            ..AtariOptions::default()
        },
        ..EnvOptions::default()
    };
    let mixed = |all_actions| {
        let factory = |game| {
            find(game)
                .unwrap()
                .factory(&options(all_actions))
                .unwrap()
                .pixels(game)
                .unwrap()
        };
        Mixed::of(["pong", "breakout"].map(factory).to_vec())
    };
    let mut both = mixed(true).unwrap().make_vec(0, 3, 2).unwrap();
    assert_eq!(both.spec().num_actions, 18);
    let (obs, _) = play(both.as_mut(), 30);
    // Environments 0 and 2 are of Pong; those of Pong alone have the same seeds.
    let (pong, _) = play(make_vec("pong", &options(true), 3, 1).unwrap().as_mut(), 30);
    let len = 4 * 84 * 84;
    // The observations after step `t`, behind which are the final ones.
    let row = |all: &[u8], t: usize, i: usize| all[((2 * t - 1) * 3 + i) * len..][..len].to_vec();
    for t in 1..=30 {
        for (i, equal) in [(0, true), (1, false), (2, true)] {
            assert_eq!(row(&obs, t, i) == row(&pong, t, i), equal, "step {t}, environment {i}");
        }
    }
    let Err(error) = mixed(false) else {
        panic!("6 actions and 4")
    };
    assert_eq!(
        error.to_string(),
        "environment 1 has observations of shape 4x84x84, 4 actions and 4 frames per step, but the first one has 4x84x84, 6 and 4"
    );
}

#[test]
fn an_environment_in_a_thread_of_its_own_keeps_the_contract_and_may_go_to_another_thread() {
    let mut remote = Remote::new(bound).unwrap();
    check_env(&mut remote).unwrap();
    let mut remote = std::thread::spawn(|| {
        remote.reset(Some(1), &mut [0.0; 4]).unwrap();
        remote
    })
    .join()
    .unwrap();
    assert_eq!(remote.step(1, &mut [0.0; 4]).unwrap(), Step::going_on(1.0));
    let error = remote.step(2, &mut [0.0; 4]).unwrap_err().to_string();
    assert_eq!(
        error,
        "action 2 is out of range: this environment has 2 actions, 0 to 1"
    );
    // An error takes nothing away.
    assert_eq!(remote.step(0, &mut [0.0; 4]).unwrap(), Step::going_on(1.0));
    let error = remote.restore(&[1, 2, 3]).unwrap_err().to_string();
    assert_eq!(error, "not a snapshot of TimeLimit: it is damaged");
    let none: Result<Remote<f32>, EnvError> =
        Remote::new(|| Err::<Bound, _>(EnvError::BadSetting("no such pole".to_owned())));
    assert_eq!(none.unwrap_err().to_string(), "no such pole");
}

/// Panics from its step `at` on.
struct Panics {
    steps: u32,
    at: u32,
}

impl Env for Panics {
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1])
    }

    fn num_actions(&self) -> usize {
        1
    }

    fn reset(&mut self, _: Option<u64>, _: &mut [f32]) -> Result<(), EnvError> {
        Ok(())
    }

    fn step(&mut self, _: u32, _: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        assert!(self.steps < self.at, "a panic that a test wants");
        Ok(Step::going_on(0.0))
    }
}

#[test]
fn a_panic_is_the_error_of_the_environment_that_panicked_in_every_set() {
    let panics = |number| Panics {
        steps: 0,
        at: if number == 1 { 3 } else { u32::MAX },
    };
    let made = Arc::new(AtomicUsize::new(0));
    let in_threads = move || Ok(panics(made.fetch_add(1, Ordering::Relaxed)));
    let all = || (0..3).map(panics).collect::<Vec<_>>();
    let sets: [Box<dyn VecEnv<Obs = f32>>; 4] = [
        Box::new(Serial::new(all())),
        Box::new(Pooled::new(all(), 2).unwrap()),
        Box::new(Asynchronous::new(all(), 2).unwrap()),
        Box::new(Threaded::new(in_threads, 3).unwrap()),
    ];
    for mut set in sets {
        set.reset(Some(1), &mut [0.0; 3]).unwrap();
        let mut step = || set.step(&[0; 3], &mut [0.0; 3], &mut [0.0; 3], &mut [Step::default(); 3]);
        step().unwrap();
        step().unwrap();
        // Also when it is asked once more.
        for count in [3, 4] {
            let error = step().unwrap_err().to_string();
            let expected = format!("environment 1: its step() panicked: a panic that a test wants (step {count})");
            assert_eq!(error, expected);
        }
    }
}
