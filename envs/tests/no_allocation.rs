//! Nothing allocates per environment step.

#![cfg(feature = "atari")]
#![allow(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, in its helpers too"
)]

#[path = "../atari/tests/roms/mod.rs"]
mod roms;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use coinop_envs::arcade::{Invaders, Snake, trained};
use coinop_envs::classic::CartPole;
use coinop_envs::registry::{EnvOptions, make_vec};
use coinop_envs::vec_env::{Asynchronous, Pooled, Serial, Threaded};
use coinop_envs::{Elem, Step, VecEnv};

/// The system's allocator, which counts.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What 600 steps of small environments allocate, after some to warm up.
fn allocations<O: Elem>(mut env: impl VecEnv<Obs = O>) -> usize {
    let n = env.num_envs();
    let len = n * env.spec().obs_shape.len();
    let (mut obs, mut final_obs) = (vec![O::default(); len], vec![O::default(); len]);
    let mut steps = vec![Step::default(); n];
    let mut actions = vec![0; n];
    env.reset(Some(1), &mut obs).unwrap();
    let mut before = 0;
    for t in 0..700u32 {
        if t == 100 {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        actions.fill(t / 4 % 2);
        env.step(&actions, &mut obs, &mut final_obs, &mut steps).unwrap();
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

// One test, because the count is the process's.
#[test]
fn steps_and_resets_of_vec_envs_allocate_nothing() {
    let envs = || vec![CartPole::v1(); 3];
    assert_eq!(allocations(Serial::new(envs())), 0);
    assert_eq!(allocations(Serial::new(vec![trained::<Snake>(); 2])), 0);
    assert_eq!(allocations(Serial::new(vec![trained::<Invaders>(); 2])), 0);
    // A thread allocates what it waits with the first time that it waits: four threads, both ways.
    let threaded = allocations(Threaded::new(|| Ok(CartPole::v1()), 3).unwrap());
    assert!(threaded <= 8, "{threaded} allocations in 600 steps");
    let asynchronous = allocations(Asynchronous::new(envs(), 2).unwrap());
    assert!(asynchronous <= 8, "{asynchronous} allocations in 600 steps");
    // rayon allocates a block of its queue now and then, however many steps it is for.
    let pooled = allocations(Pooled::new(envs(), 2).unwrap());
    assert!(pooled <= 30, "{pooled} allocations in 600 steps");

    if roms::are_missing() {
        return;
    }
    let mut env = make_vec::<u8>("breakout", &EnvOptions::default(), 2, 1).unwrap();
    let len = 2 * env.spec().obs_shape.len();
    let (mut obs, mut final_obs, mut steps) = (vec![0; len], vec![0; len], [Step::default(); 2]);
    env.reset(Some(1), &mut obs).unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut episodes = 0;
    for t in 0..600u32 {
        env.step(&[t % 4, t / 4 % 4], &mut obs, &mut final_obs, &mut steps)
            .unwrap();
        episodes += steps.iter().filter(|step| step.end.is_over()).count();
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    assert!(episodes > 0, "some episodes ended, so that resets were counted too");
}
