//! An environment of your own, with coinop's whole command line:
//!
//! ```console
//! $ cargo run --release -- check courier                        # does it obey the contract of `Env`?
//! $ cargo run --release -- train courier                        # PPO
//! $ cargo run --release -- train courier --algo a3c
//! $ cargo run --release -- train courier --algo double-dqn
//! $ cargo run --release -- eval courier-ppo-1
//! $ cargo run --release -- plot courier-ppo-1 courier-a3c-1 courier-double-dqn-1 -o curves.svg
//! ```

use std::process::ExitCode;

use coinop::Program;
use coinop::envs::rng::{Rng, stream};
use coinop::envs::snapshot::{bad, open, seal};
use coinop::envs::wrappers::TimeLimit;
use coinop::envs::{Env, EnvError, Shape, Step};
use rand::RngExt;

/// The square that the courier walks on has this many fields on each side.
const SIZE: i32 = 7;

/// A courier walks to a parcel, which pays 1; then there is another parcel elsewhere.
struct Courier {
    random: Rng,
    courier: [i32; 2],
    parcel: [i32; 2],
    begun: bool,
}

impl Courier {
    fn new() -> Self {
        Self {
            random: stream(0, "courier", 0),
            courier: [0; 2],
            parcel: [0; 2],
            begun: false,
        }
    }

    fn place(&mut self) -> [i32; 2] {
        [0; 2].map(|_| self.random.random_range(0..SIZE))
    }

    /// Two places, each coordinate between -1 and 1.
    fn observe(&self, obs: &mut [f32]) {
        let places = self.courier.iter().chain(&self.parcel);
        for (out, place) in obs.iter_mut().zip(places) {
            *out = 2.0 * *place as f32 / (SIZE - 1) as f32 - 1.0;
        }
    }
}

impl Env for Courier {
    /// Features; pixels are `u8`.
    type Obs = f32;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[4])
    }

    /// Left, right, up, down.
    fn num_actions(&self) -> usize {
        4
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "courier", 0);
        }
        (self.courier, self.parcel) = (self.place(), self.place());
        self.begun = true;
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [f32]) -> Result<Step, EnvError> {
        let [dx, dy] = match action {
            0 => [-1, 0],
            1 => [1, 0],
            2 => [0, -1],
            3 => [0, 1],
            _ => return Err(EnvError::InvalidAction { action, num_actions: 4 }),
        };
        if !self.begun {
            return Err(EnvError::ResetNeeded);
        }
        let [x, y] = self.courier;
        self.courier = [x + dx, y + dy].map(|place| place.clamp(0, SIZE - 1));
        let arrived = self.courier == self.parcel;
        if arrived {
            self.parcel = self.place();
        }
        self.observe(obs);
        Ok(Step::going_on(f32::from(u8::from(arrived))))
    }

    // These two are optional; without them, an interrupted run resumes with new episodes.

    fn snapshot(&self) -> Option<Vec<u8>> {
        let state = (&self.random, self.courier, self.parcel, self.begun);
        Some(seal("Courier", 1, &state, &[]))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), EnvError> {
        let (state, _) = open::<(Rng, [i32; 2], [i32; 2], bool)>("Courier", 1, snapshot)?;
        if [state.1, state.2]
            .iter()
            .flatten()
            .any(|place| !(0..SIZE).contains(place))
        {
            return Err(bad("Courier", "a place is outside"));
        }
        (self.random, self.courier, self.parcel, self.begun) = state;
        Ok(())
    }
}

fn main() -> ExitCode {
    Program::new()
        // An episode is a hundred steps.
        .env("courier", || Ok(TimeLimit::new(Courier::new(), 100)))
        .main()
}
