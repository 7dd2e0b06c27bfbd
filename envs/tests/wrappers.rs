//! Each wrapper around an environment that writes down what is done to it.

#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

use std::cell::RefCell;
use std::rc::Rc;

use coinop_envs::wrappers::{
    ClipReward, EpisodicLife, FireStart, FrameSkip, FrameStack, Lives, NoopStart, StickyActions, TimeLimit,
};
use coinop_envs::{End, Env, EnvError, Shape, Step};

/// What was done, in order; `R` is a reset, a digit an action.
type Tape = Rc<RefCell<String>>;

/// Pays 7 per step; its two pixels are the number of steps, and 255 in every other step. A life of three is lost every four steps.
struct Taped {
    tape: Tape,
    steps: u8,
}

impl Taped {
    fn new() -> (Self, Tape) {
        let tape = Tape::default();
        (
            Self {
                tape: tape.clone(),
                steps: 0,
            },
            tape,
        )
    }

    fn look(&self, obs: &mut [u8]) {
        obs.copy_from_slice(&[self.steps, if self.steps % 2 == 1 { 255 } else { 0 }]);
    }
}

impl Env for Taped {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[2])
    }

    fn num_actions(&self) -> usize {
        4
    }

    fn reset(&mut self, _seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.tape.borrow_mut().push('R');
        self.steps = 0;
        self.look(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        self.tape.borrow_mut().push_str(&action.to_string());
        self.steps += 1;
        self.look(obs);
        Ok(if self.lives() == 0 {
            Step::terminated(7.0)
        } else {
            Step::going_on(7.0)
        })
    }
}

impl Lives for Taped {
    fn lives(&self) -> u32 {
        3 - u32::from(self.steps / 4).min(3)
    }
}

#[test]
fn frame_skip_repeats_sums_and_shows_the_larger_of_the_last_two() {
    let (env, tape) = Taped::new();
    let (mut env, mut obs) = (FrameSkip::new(env, 4), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    assert_eq!(env.step(2, &mut obs).unwrap(), Step::going_on(28.0));
    assert_eq!((obs, tape.borrow().as_str()), ([4, 255], "R2222"));
    assert_eq!(env.frames_per_step(), 4);
}

/// Four pixels; each frame lights the next one.
struct Flicker(usize);

impl Env for Flicker {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[4])
    }

    fn num_actions(&self) -> usize {
        1
    }

    fn reset(&mut self, _: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        self.0 = 0;
        obs.fill(0);
        Ok(())
    }

    fn step(&mut self, _: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        obs.fill(0);
        obs[self.0] = 255;
        self.0 = (self.0 + 1) % 4;
        Ok(Step::going_on(0.0))
    }
}

#[test]
fn frame_skip_shows_the_largest_of_as_many_frames_as_are_pooled() {
    for (pooled, seen) in [
        (1, [0, 0, 0, 255]),
        (2, [0, 0, 255, 255]),
        (3, [0, 255, 255, 255]),
        (4, [255; 4]),
        (9, [255; 4]),
    ] {
        let (mut env, mut obs) = (FrameSkip::pooling(Flicker(0), 4, pooled), [9; 4]);
        env.reset(None, &mut obs).unwrap();
        for _ in 0..3 {
            env.step(0, &mut obs).unwrap();
            assert_eq!(obs, seen, "{pooled} frames");
        }
    }
}

#[test]
fn frame_skip_stops_at_the_end_and_shows_the_last_frame() {
    let (env, tape) = Taped::new();
    let (mut env, mut obs) = (FrameSkip::new(env, 5), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    env.step(1, &mut obs).unwrap();
    env.step(1, &mut obs).unwrap();
    // Twelve steps take all lives: two are left for the third time.
    assert_eq!(env.step(1, &mut obs).unwrap(), Step::terminated(14.0));
    assert_eq!((obs, tape.borrow().len()), ([12, 0], 13));
}

#[test]
fn frame_stack_holds_the_oldest_first_and_repeats_the_first() {
    let (mut env, mut obs) = (FrameStack::new(Taped::new().0, 3), [9; 6]);
    assert_eq!(env.obs_shape(), Shape::new(&[3, 2]));
    env.reset(None, &mut obs).unwrap();
    assert_eq!(obs, [0, 0, 0, 0, 0, 0]);
    env.step(0, &mut obs).unwrap();
    env.step(0, &mut obs).unwrap();
    assert_eq!(obs, [0, 0, 1, 255, 2, 0]);
}

#[test]
fn clip_reward_leaves_the_score() {
    let (mut env, mut obs) = (ClipReward::new(Taped::new().0), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    let step = env.step(0, &mut obs).unwrap();
    assert_eq!((step.reward, step.score), (1.0, 7.0));
}

#[test]
fn episodic_life_stops_the_return_where_a_life_is_lost_and_continues() {
    let (mut env, mut obs) = (EpisodicLife::new(Taped::new().0), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    let steps: Vec<Step> = (0..8).map(|_| env.step(0, &mut obs).unwrap()).collect();
    let discounts: Vec<f32> = steps.iter().map(|step| step.discount).collect();
    assert_eq!(discounts, [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
    assert!(steps.iter().all(|step| step.end == End::No));
}

#[test]
fn episodic_life_does_a_noop_after_a_lost_life_if_it_is_asked_to() {
    let (env, tape) = Taped::new();
    let (mut env, mut obs) = (EpisodicLife::with_noop(env), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    let steps: Vec<Step> = (0..4).map(|_| env.step(3, &mut obs).unwrap()).collect();
    let last = steps[3];
    assert_eq!(
        (last.reward, last.score, last.discount, last.end),
        (7.0, 14.0, 0.0, End::No)
    );
    assert_eq!((obs, tape.borrow().as_str()), ([5, 255], "R33330"));
    // The last life is the end of the game, and nothing follows that.
    let over = (0..6).map(|_| env.step(3, &mut obs).unwrap()).last().unwrap();
    assert_eq!((over, tape.borrow().as_str()), (Step::terminated(7.0), "R333303330333"));
}

#[test]
fn fire_start_fires_after_a_reset_and_after_a_lost_life() {
    let (env, tape) = Taped::new();
    let (mut env, mut obs) = (FireStart::new(EpisodicLife::new(env)), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    assert_eq!(env.step(3, &mut obs).unwrap(), Step::going_on(7.0));
    // The fourth step loses a life. Firing pays into the score, not into the reward.
    let step = env.step(3, &mut obs).unwrap();
    assert_eq!(
        (step.reward, step.score, step.discount, step.end),
        (7.0, 21.0, 0.0, End::No)
    );
    assert_eq!(tape.borrow().as_str(), "R123312");
}

#[test]
fn noop_start_waits_one_step_to_the_most() {
    let (env, tape) = Taped::new();
    let (mut env, mut obs) = (NoopStart::new(env, 5), [0; 2]);
    (0..200).for_each(|seed| env.reset(Some(seed), &mut obs).unwrap());
    let tape = tape.borrow();
    let mut lengths: Vec<usize> = tape.split('R').skip(1).map(str::len).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [1, 2, 3, 4, 5]);
    assert!(tape.chars().all(|done| done == 'R' || done == '0'));
}

#[test]
fn sticky_actions_repeat_the_action_before_with_the_probability() {
    let share = |probability| {
        let (env, tape) = Taped::new();
        let (mut env, mut obs) = (StickyActions::new(env, probability), [0; 2]);
        let mut stuck = 0;
        for seed in 0..1000 {
            env.reset(Some(seed), &mut obs).unwrap();
            env.step(3, &mut obs).unwrap();
            // The action before the first is 0.
            stuck += u32::from(tape.borrow().ends_with('0'));
        }
        stuck
    };
    assert_eq!((share(0.0), share(1.0)), (0, 1000));
    // Binomial(1000, 1/4): 250, and a standard deviation of 13.7.
    assert!(share(0.25).abs_diff(250) < 60, "{} of 1000", share(0.25));
}

#[test]
fn a_time_limit_truncates_and_then_wants_a_reset() {
    let (mut env, mut obs) = (TimeLimit::new(Taped::new().0, 2), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    assert_eq!(env.step(0, &mut obs).unwrap(), Step::going_on(7.0));
    assert_eq!(env.step(0, &mut obs).unwrap(), Step::truncated(7.0));
    assert!(matches!(env.step(0, &mut obs), Err(EnvError::ResetNeeded)));
    env.reset(None, &mut obs).unwrap();
    assert_eq!(env.step(0, &mut obs).unwrap(), Step::going_on(7.0));
}

#[test]
fn a_time_limit_leaves_a_terminal_step_terminal() {
    let (mut env, mut obs) = (TimeLimit::new(FrameSkip::new(Taped::new().0, 12), 1), [0; 2]);
    env.reset(None, &mut obs).unwrap();
    assert_eq!(env.step(0, &mut obs).unwrap(), Step::terminated(84.0));
}
