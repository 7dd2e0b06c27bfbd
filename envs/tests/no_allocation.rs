//! Nothing allocates per environment step.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use coinop_envs::Step;
use coinop_envs::registry::{EnvOptions, make_vec};

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

#[test]
fn steps_and_resets_of_a_serial_vec_env_allocate_nothing() {
    let mut env = make_vec::<u8>("breakout", &EnvOptions::default(), 2, 1).unwrap();
    let len = 2 * env.spec().obs_shape.len();
    let (mut obs, mut last_obs, mut steps) = (vec![0; len], vec![0; len], [Step::default(); 2]);
    env.reset(Some(1), &mut obs).unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut episodes = 0;
    for t in 0..600u32 {
        env.step(&[t % 4, t / 4 % 4], &mut obs, &mut last_obs, &mut steps)
            .unwrap();
        episodes += steps.iter().filter(|step| step.end.is_over()).count();
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    assert!(episodes > 0, "some episodes ended, so that resets were counted too");
}
