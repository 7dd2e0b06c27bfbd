//! A network of your own layers, trained with PAAC through the library: `cargo run --release --example custom_network`.
//!
//! Catch: a ball falls from the top of a board, one row per step, and the paddle in the last row moves to be below it. The board is a picture of
//! 10x5 pixels, which is too small for the networks of the Atari. On the command line the same network is
//! `--set "body={layers={convolutions=[[16,3,1]],hidden=[64]}}"`.

use coinop::agents::explore::EpsilonConfig;
use coinop::agents::init::Init;
use coinop::agents::network::{BodyKind, Core, NetworkConfig, Precision};
use coinop::agents::on_policy::{OnPolicy, OnPolicyConfig};
use coinop::agents::paac::PaacConfig;
use coinop::agents::schedule::Schedule;
use coinop::agents::{Trainer, set_torch_threads};
use coinop::envs::rng::{Rng, stream};
use coinop::envs::vec_env::Serial;
use coinop::envs::{Env, EnvError, Shape, Step, check_env};
use coinop::{RunSettings, process_settings};
use rand::RngExt;

const ROWS: usize = 10;
const COLUMNS: usize = 5;

struct Catch {
    random: Rng,
    ball: (usize, usize),
    paddle: usize,
    over: bool,
}

impl Catch {
    fn new() -> Self {
        Self {
            random: stream(0, "catch", 0),
            ball: (0, 0),
            paddle: 0,
            over: true,
        }
    }

    fn observe(&self, obs: &mut [u8]) {
        obs.fill(0);
        obs[self.ball.0 * COLUMNS + self.ball.1] = 255;
        obs[(ROWS - 1) * COLUMNS + self.paddle] = 255;
    }
}

impl Env for Catch {
    type Obs = u8;

    fn obs_shape(&self) -> Shape {
        Shape::new(&[1, ROWS, COLUMNS])
    }

    /// Left, stay, right.
    fn num_actions(&self) -> usize {
        3
    }

    fn reset(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.random = stream(seed, "catch", 0);
        }
        self.ball = (0, self.random.random_range(0..COLUMNS));
        self.paddle = COLUMNS / 2;
        self.over = false;
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, action: u32, obs: &mut [u8]) -> Result<Step, EnvError> {
        if action >= 3 {
            return Err(EnvError::InvalidAction { action, num_actions: 3 });
        }
        if self.over {
            return Err(EnvError::ResetNeeded);
        }
        self.paddle = (self.paddle + action as usize).saturating_sub(1).min(COLUMNS - 1);
        self.ball.0 += 1;
        self.over = self.ball.0 == ROWS - 1;
        self.observe(obs);
        let caught = if self.ball.1 == self.paddle { 1.0 } else { -1.0 };
        Ok(if self.over {
            Step::terminated(caught)
        } else {
            Step::going_on(0.0)
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    process_settings::apply();
    // What every environment must do, tried on this one.
    check_env(&mut Catch::new())?;

    let config = PaacConfig {
        num_envs: 32,
        center_pixels: false,
        normalize_advantages: false,
        learning_rate: Schedule::over_run(3e-3, 0.0),
        network: NetworkConfig {
            body: BodyKind::layers_of(&[(16, 3, 1)], &[64]),
            core: Core::None,
            init: Init::Orthogonal,
            precision: Precision::Float32,
        },
        epsilon: EpsilonConfig::Uniform {
            low: 0.0,
            high: 0.02,
            resample_frames: 10_000,
        },
        ..PaacConfig::fast()
    };
    set_torch_threads(1);
    let envs = Serial::new((0..config.num_envs).map(|_| Catch::new()).collect());
    let run = RunSettings::new(100_000, 1);
    let mut trainer = OnPolicy::new(&OnPolicyConfig::from(&config), Box::new(envs), &run)?;
    let (mut scores, mut next) = (Vec::new(), 0);
    loop {
        let progress = trainer.step()?;
        scores.extend(progress.episodes.iter().map(|episode| episode.score));
        if progress.frames >= next {
            let last = &scores[scores.len().saturating_sub(500)..];
            if !last.is_empty() {
                let mean = last.iter().sum::<f64>() / last.len() as f64;
                println!("{:>6} steps  score {mean:+.2}", progress.steps);
            }
            next += 10_000;
        }
        if progress.frames >= run.frames {
            return Ok(());
        }
    }
}
