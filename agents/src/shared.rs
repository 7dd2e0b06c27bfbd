//! Weights that many threads read and change at once, with the statistics of their optimiser.
//!
//! Hogwild (Recht 2011, arXiv 1106.5730) lets threads write to the same numbers without waiting for each other. In Rust, as in C++, two threads that
//! write to one ordinary number at once have undefined behaviour, whatever the processor would do. So every number here is an atomic that
//! holds the bits of an `f32`, and is loaded and stored `Relaxed`: that is defined, costs what an ordinary load or store costs, and promises what
//! Hogwild needs and no more. A thread may see some numbers from before another's update and some from after; and of two updates of one number
//! at the same moment, one may be lost. Under the lock neither happens. Tensors are never shared: each thread copies the numbers into its own
//! network, and its gradient out of it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor};

use crate::limits::{at_least_0, decay, divisor};
use crate::{AgentError, CheckpointError, Section};

/// The settings of the RMSProp that all threads share (Mnih 2016, arXiv 1602.01783, equations S2 and S3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedRmsPropConfig {
    /// Decay of the moving average of squared gradients, per update.
    pub decay: f64,
    /// Added to it inside the root.
    pub epsilon: f64,
    /// What it begins with. From 0, as in Torch, the first updates are up to `1 / sqrt(1 - decay)` times as long as later ones, which can
    /// switch off every rectifier of a layer for good; from 1, as in TensorFlow, they begin short.
    pub initial_mean_square: f64,
}

impl SharedRmsPropConfig {
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        decay("optimizer.decay", self.decay)?;
        divisor("optimizer.epsilon", self.epsilon)?;
        at_least_0("optimizer.initial_mean_square", self.initial_mean_square)
    }
}

/// Numbers that threads share.
#[derive(Debug)]
struct Numbers(Box<[AtomicU32]>);

impl Numbers {
    fn zeros(len: usize) -> Self {
        Self((0..len).map(|_| AtomicU32::new(0)).collect())
    }

    fn read(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.0.len(), "shared numbers");
        for (out, number) in out.iter_mut().zip(&self.0) {
            *out = f32::from_bits(number.load(Ordering::Relaxed));
        }
    }

    fn write(&self, values: &[f32]) {
        assert_eq!(values.len(), self.0.len(), "shared numbers");
        for (value, number) in values.iter().zip(&self.0) {
            number.store(value.to_bits(), Ordering::Relaxed);
        }
    }
}

/// The parameters of a network, flat, and their optimiser.
#[derive(Debug)]
pub(crate) struct SharedParams {
    params: Numbers,
    mean_square: Numbers,
    config: SharedRmsPropConfig,
    /// Held while the numbers are read or changed; `None` where nobody waits.
    lock: Option<Mutex<()>>,
    updates: AtomicU64,
}

/// Numbers of the inner loop: enough for the widest vectors.
const CHUNK: usize = 16;

impl SharedParams {
    /// With the values of `flat`.
    pub(crate) fn new(flat: &Tensor, config: SharedRmsPropConfig, locked: bool) -> Result<Self, AgentError> {
        let values = to_vec(flat)?;
        let params = Numbers::zeros(values.len());
        params.write(&values);
        let mean_square = Numbers::zeros(values.len());
        mean_square.write(&vec![config.initial_mean_square as f32; values.len()]);
        Ok(Self {
            mean_square,
            params,
            config,
            lock: locked.then(|| Mutex::new(())),
            updates: AtomicU64::new(0),
        })
    }

    /// The number of parameters.
    pub(crate) fn numel(&self) -> usize {
        self.params.0.len()
    }

    /// Updates by all threads.
    pub(crate) fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }

    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        // A thread that panicked has ended the run; what it left is numbers.
        let lock = self.lock.as_ref()?;
        Some(lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies all parameters.
    pub(crate) fn read(&self, out: &mut [f32]) {
        let _turn = self.turn();
        self.params.read(out);
    }

    /// `g <- decay g + (1 - decay) gradient²; params <- params - lr gradient / sqrt(g + epsilon)`.
    pub(crate) fn update(&self, gradient: &[f32], learning_rate: f64) {
        let SharedRmsPropConfig { decay, epsilon, .. } = self.config;
        let (decay, epsilon, rate) = (decay as f32, epsilon as f32, learning_rate as f32);
        assert_eq!(gradient.len(), self.params.0.len(), "a gradient of all parameters");
        let _turn = self.turn();
        let chunks = self.params.0.chunks(CHUNK).zip(self.mean_square.0.chunks(CHUNK));
        for ((params, mean_squares), gradient) in chunks.zip(gradient.chunks(CHUNK)) {
            // Loaded, computed and stored in three loops, because the compiler makes vectors of the one in the middle.
            let (mut p, mut g) = ([0.0f32; CHUNK], [0.0f32; CHUNK]);
            for (i, (param, mean_square)) in params.iter().zip(mean_squares).enumerate() {
                p[i] = f32::from_bits(param.load(Ordering::Relaxed));
                g[i] = f32::from_bits(mean_square.load(Ordering::Relaxed));
            }
            for ((p, g), d) in p.iter_mut().zip(&mut g).zip(gradient) {
                *g = decay * *g + (1.0 - decay) * d * d;
                *p -= rate * d / (*g + epsilon).sqrt();
            }
            for (i, (param, mean_square)) in params.iter().zip(mean_squares).enumerate() {
                param.store(p[i].to_bits(), Ordering::Relaxed);
                mean_square.store(g[i].to_bits(), Ordering::Relaxed);
            }
        }
        self.updates.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes over the values of `flat`.
    pub(crate) fn write(&self, flat: &Tensor) -> Result<(), AgentError> {
        let _turn = self.turn();
        self.params.write(&to_vec(flat)?);
        Ok(())
    }
}

/// The parameters of a target network that threads share: those of [`SharedParams`] as they were some frames ago.
#[derive(Debug)]
pub(crate) struct SharedTarget {
    /// Copied and read so rarely that nobody minds to wait.
    params: Mutex<Vec<f32>>,
    /// Counts the copies, from 1.
    version: AtomicU64,
    every_frames: u64,
    /// When the next copy is due.
    next_frames: AtomicU64,
}

impl SharedTarget {
    /// With the values of `flat`, to be replaced every so many frames of the run.
    pub(crate) fn new(flat: &Tensor, every_frames: u64) -> Result<Self, AgentError> {
        Ok(Self {
            params: Mutex::new(to_vec(flat)?),
            version: AtomicU64::new(1),
            every_frames,
            next_frames: AtomicU64::new(every_frames),
        })
    }

    fn params(&self) -> MutexGuard<'_, Vec<f32>> {
        // A thread that panicked has ended the run; what it left is numbers.
        self.params.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the parameters over if that is due after `frames` frames of the run.
    pub(crate) fn refresh(&self, from: &SharedParams, frames: u64) {
        let due = self.next_frames.load(Ordering::Relaxed);
        let next = (frames / self.every_frames + 1) * self.every_frames;
        let exchanged = || {
            self.next_frames
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        // Of the threads that see it, one does it.
        if frames >= due && exchanged().is_ok() {
            from.read(&mut self.params());
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Copies them, if they are other than those of the version `seen`, and says whether it did.
    pub(crate) fn read(&self, seen: &mut u64, out: &mut [f32]) -> bool {
        let version = self.version.load(Ordering::Acquire);
        let is_new = version != *seen;
        if is_new {
            out.copy_from_slice(&self.params());
            *seen = version;
        }
        is_new
    }

    /// Takes over the values of `flat`, after `frames` frames of the run.
    pub(crate) fn write(&self, flat: &Tensor, frames: u64) -> Result<(), AgentError> {
        *self.params() = to_vec(flat)?;
        let next = (frames / self.every_frames + 1) * self.every_frames;
        self.next_frames.store(next, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl SharedParams {
    /// Writes the statistics; the parameters are saved as those of a network.
    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let mut numbers = vec![0.0; self.mean_square.0.len()];
        self.mean_square.read(&mut numbers);
        let unfit = |error: TchError| CheckpointError::unfit("mean_square", &error);
        out.put_tensor("mean_square", &Tensor::f_from_slice(&numbers).map_err(unfit)?)?;
        out.put("updates", &self.updates())
    }

    /// Takes them over.
    pub(crate) fn restore(&self, from: &Section) -> Result<(), CheckpointError> {
        let unfit = |error: TchError| CheckpointError::unfit("mean_square", &error);
        let len = self.mean_square.0.len() as i64;
        let mut numbers = Tensor::f_zeros([len], (tch::Kind::Float, Device::Cpu)).map_err(unfit)?;
        from.load_tensor("mean_square", &mut numbers)?;
        self.mean_square.write(&Vec::try_from(numbers).map_err(unfit)?);
        self.updates.store(from.get("updates")?, Ordering::Relaxed);
        Ok(())
    }
}

fn to_vec(flat: &Tensor) -> Result<Vec<f32>, AgentError> {
    Ok(Vec::try_from(flat.f_detach()?.f_to_device(Device::Cpu)?)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const CONFIG: SharedRmsPropConfig = SharedRmsPropConfig {
        decay: 0.9,
        epsilon: 0.1,
        initial_mean_square: 0.0,
    };

    fn read(shared: &SharedParams) -> Vec<f32> {
        let mut out = vec![0.0; shared.params.0.len()];
        shared.read(&mut out);
        out
    }

    #[test]
    fn an_update_is_that_of_the_paper() {
        // g2 = .1·4 = .4, then .36 + .1 = .46; 1 - .1·2/sqrt(.4 + .1), and that + .1·1/sqrt(.46 + .1).
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32; 19]), CONFIG, false).unwrap();
        for (gradient, expected) in [(2.0, 0.717_157_3), (-1.0, 0.850_788_5)] {
            shared.update(&[gradient; 19], 0.1);
            assert!(read(&shared).iter().all(|param| (param - expected).abs() < 1e-6));
        }
        assert_eq!(shared.updates(), 2);
    }

    #[test]
    fn an_initial_mean_square_shortens_the_first_step() {
        // g2 = .9·1 + .1·4 = 1.3; 1 - .1·2/sqrt(1.3 + .1).
        let config = SharedRmsPropConfig {
            initial_mean_square: 1.0,
            ..CONFIG
        };
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32]), config, false).unwrap();
        shared.update(&[2.0], 0.1);
        assert!((read(&shared)[0] - 0.830_969_1).abs() < 1e-6);
    }

    #[test]
    fn under_the_lock_no_update_is_lost() {
        let shared = Arc::new(SharedParams::new(&Tensor::from_slice(&[0.0f32; 100]), CONFIG, true).unwrap());
        // Without a gradient but of the first number, its mean square decays, and an update that was lost would show in the count that it makes.
        let work = || {
            let shared = Arc::clone(&shared);
            thread::spawn(move || (0..1_000).for_each(|_| shared.update(&[1.0; 100], 0.0)))
        };
        let threads: Vec<_> = (0..4).map(|_| work()).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut alone = 0.0f32;
        for _ in 0..4_000 {
            alone = 0.9 * alone + (1.0 - 0.9) * 1.0;
        }
        let mut squares = vec![0.0; 100];
        shared.mean_square.read(&mut squares);
        assert_eq!(squares, vec![alone; 100]);
        assert_eq!(shared.updates(), 4_000);
    }

    #[test]
    fn without_it_numbers_stay_numbers() {
        let shared = Arc::new(SharedParams::new(&Tensor::from_slice(&[0.0f32; 100]), CONFIG, false).unwrap());
        let work = |sign: f32| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || (0..1_000).for_each(|_| shared.update(&[sign; 100], 1e-3)))
        };
        let threads = [1.0, -1.0, 1.0, -1.0].map(work);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // Each moves by 1e-3 / sqrt(1.1) at most, 4,000 times.
        assert!(read(&shared).iter().all(|param| param.abs() < 4.0));
        assert_eq!(shared.updates(), 4_000);
    }

    #[test]
    fn a_restored_optimiser_has_the_saved_statistics() {
        let flat = Tensor::from_slice(&[1.0f32, 2.0]);
        let saved = SharedParams::new(&flat, CONFIG, true).unwrap();
        saved.update(&[2.0, -3.0], 0.1);
        let mut section = Section::default();
        saved.save(&mut section).unwrap();
        let restored = SharedParams::new(&flat, CONFIG, true).unwrap();
        restored.restore(&section).unwrap();
        restored.write(&Tensor::from_slice(&read(&saved))).unwrap();
        saved.update(&[1.0, 1.0], 0.1);
        restored.update(&[1.0, 1.0], 0.1);
        assert_eq!((read(&saved), saved.updates()), (read(&restored), restored.updates()));
        let other = SharedParams::new(&Tensor::from_slice(&[1.0f32]), CONFIG, true).unwrap();
        assert!(matches!(other.restore(&section), Err(CheckpointError::Mismatch { .. })));
    }

    #[test]
    fn a_target_is_what_the_parameters_were_when_it_was_due() {
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32, 2.0]), CONFIG, false).unwrap();
        let target = SharedTarget::new(&Tensor::from_slice(&[1.0f32, 2.0]), 100).unwrap();
        let (mut seen, mut own) = (0, vec![0.0; 2]);
        assert!(target.read(&mut seen, &mut own) && own == [1.0, 2.0]);
        shared.write(&Tensor::from_slice(&[3.0f32, 4.0])).unwrap();
        for (frames, is_new, expected) in [
            (99, false, [1.0, 2.0]),
            (250, true, [3.0, 4.0]),
            (299, false, [3.0, 4.0]),
            (300, true, [5.0, 6.0]),
        ] {
            target.refresh(&shared, frames);
            assert_eq!((target.read(&mut seen, &mut own), &own[..]), (is_new, &expected[..]));
            if frames == 250 {
                shared.write(&Tensor::from_slice(&[5.0f32, 6.0])).unwrap();
            }
        }
        target.write(&Tensor::from_slice(&[7.0f32, 8.0]), 1_010).unwrap();
        target.refresh(&shared, 1_099);
        assert!(target.read(&mut seen, &mut own) && own == [7.0, 8.0]);
    }
}
