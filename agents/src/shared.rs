//! Weights that many threads read and change concurrently, with the statistics of their optimiser.
//!
//! Hogwild (Recht 2011, arXiv 1106.5730) lets threads write to the same numbers without synchronisation. In Rust, as
//! in C++, concurrent writes to an ordinary number are undefined behaviour, whatever the processor would do. So the
//! numbers here are atomics, each with the bits of two `f32`, accessed with `Relaxed` ordering. This is well defined,
//! costs the same as ordinary loads and stores, and guarantees just what Hogwild needs: a thread may see some numbers
//! from before and some from after another's update, and of two simultaneous updates of a pair, one may be lost. With
//! the lock, neither happens. Tensors are never shared: each thread copies the numbers into its own network, and
//! updates them from its gradient.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor};

use crate::distributed::Ranks;
use crate::limits::{at_least_0, decay, divisor};
use crate::optim::fused::with_wide_vectors;
use crate::optim::{AdamConfig, RmsPropConfig};
use crate::{AgentError, CheckpointError, Section};

/// The optimiser that all threads share, with its settings.
///
/// ```
/// use coinop_agents::SharedOptimizerConfig;
///
/// let config: SharedOptimizerConfig = toml::from_str("kind = \"rms_prop\"\ndecay = 0.99\nepsilon = 0.1\ninitial_mean_square = 0.0")?;
/// assert!(matches!(config, SharedOptimizerConfig::RmsProp(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SharedOptimizerConfig {
    /// RMSProp, as in the paper.
    RmsProp(SharedRmsPropConfig),
    /// Adam, common in later implementations. Its bias correction counts the updates of all threads.
    Adam(AdamConfig),
}

impl SharedOptimizerConfig {
    pub(crate) fn validate(&self) -> Result<(), AgentError> {
        match self {
            Self::RmsProp(config) => config.validate(),
            Self::Adam(config) => config.validate(),
        }
    }

    /// The initial mean squared gradient.
    fn initial_mean_square(&self) -> f64 {
        match self {
            Self::RmsProp(config) => config.initial_mean_square,
            Self::Adam(_) => 0.0,
        }
    }
}

/// The settings of shared RMSProp (Mnih 2016, arXiv 1602.01783, equations S2 and S3).
///
/// ```
/// use coinop_agents::SharedRmsPropConfig;
///
/// let config: SharedRmsPropConfig = toml::from_str("decay = 0.99\nepsilon = 0.1\ninitial_mean_square = 0.0")?;
/// assert_eq!(config.decay, 0.99);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedRmsPropConfig {
    /// Decay of the moving average of squared gradients, per update.
    pub decay: f64,
    /// Added to the mean square, inside the root.
    pub epsilon: f64,
    /// The initial mean square. From 0, as in Torch, the first updates are up to `1 / sqrt(1 - decay)` times as large
    /// as later ones, which can permanently disable all rectifiers of a layer; from 1, as in TensorFlow, they start
    /// small.
    pub initial_mean_square: f64,
}

impl SharedRmsPropConfig {
    fn validate(&self) -> Result<(), AgentError> {
        decay("optimizer.decay", self.decay)?;
        divisor("optimizer.epsilon", self.epsilon)?;
        at_least_0("optimizer.initial_mean_square", self.initial_mean_square)
    }
}

/// Numbers shared between threads.
#[derive(Debug)]
struct Numbers {
    /// Two numbers each: compilers make no vectors of atomics, so one each would take twice as many instructions. If `len`
    /// is odd, the last has a 0 beside it.
    pairs: Box<[AtomicU64]>,
    len: usize,
}

impl Numbers {
    fn of(values: &[f32]) -> Self {
        let numbers = Self {
            pairs: (0..values.len().div_ceil(2)).map(|_| AtomicU64::new(0)).collect(),
            len: values.len(),
        };
        numbers.write(values);
        numbers
    }

    fn read(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.len, "shared numbers");
        load(&self.pairs, out);
    }

    fn write(&self, values: &[f32]) {
        assert_eq!(values.len(), self.len, "shared numbers");
        store(&self.pairs, values);
    }

    /// Parts of [`CHUNK`] numbers; the last may be shorter.
    fn chunks(&self) -> impl Iterator<Item = &[AtomicU64]> {
        self.pairs.chunks(CHUNK / 2)
    }
}

/// A gradient of all parameters, in consecutive parts: one for each parameter tensor, because concatenating them would
/// copy megabytes in every update.
#[derive(Debug)]
pub(crate) struct Gradient<'a> {
    parts: Vec<&'a [f32]>,
    /// A factor of all numbers.
    scale: f32,
}

impl<'a> Gradient<'a> {
    pub(crate) fn new(parts: Vec<&'a [f32]>) -> Self {
        Self { parts, scale: 1.0 }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Scales it to at most this Euclidean norm, and returns the norm that it had.
    pub(crate) fn clip(&mut self, max_norm: Option<f64>) -> f64 {
        let blocks = self.parts.iter().flat_map(|part| part.chunks(16 * CHUNK));
        let norm = blocks.map(sum_of_squares).sum::<f64>().sqrt();
        if let Some(max_norm) = max_norm
            && norm > max_norm
        {
            self.scale = (max_norm / norm) as f32;
        }
        norm
    }

    fn reader(&self) -> GradientReader<'_> {
        GradientReader {
            parts: self.parts.iter(),
            part: &[],
            scale: self.scale,
        }
    }
}

/// The sum of the squares of some thousand numbers.
fn sum_of_squares(numbers: &[f32]) -> f64 {
    with_wide_vectors(|| {
        // Several sums, so that the processor does not wait for one addition before the next.
        let mut sums = [0.0f32; 32];
        let (whole, rest) = numbers.as_chunks::<32>();
        for numbers in whole {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += number * number;
            }
        }
        let rest = rest.iter().map(|number| number * number);
        sums.into_iter().chain(rest).map(f64::from).sum()
    })
}

/// Reads the numbers of a [`Gradient`] in order.
struct GradientReader<'a> {
    parts: std::slice::Iter<'a, &'a [f32]>,
    part: &'a [f32],
    scale: f32,
}

impl GradientReader<'_> {
    /// Copies the next numbers into `buffer`, and returns them: fewer than fit only at the end.
    fn read<'b>(&mut self, buffer: &'b mut [f32; CHUNK]) -> &'b [f32] {
        let mut filled = 0;
        while filled < CHUNK {
            if self.part.is_empty() {
                match self.parts.next() {
                    Some(part) => self.part = part,
                    None => break,
                }
            }
            let (now, later) = self.part.split_at(self.part.len().min(CHUNK - filled));
            for (number, from) in buffer[filled..].iter_mut().zip(now) {
                *number = self.scale * from;
            }
            filled += now.len();
            self.part = later;
        }
        &buffer[..filled]
    }
}

/// The parameters of a network, flat, and their optimiser.
#[derive(Debug)]
pub(crate) struct SharedParams {
    params: Numbers,
    /// The mean gradient; only for Adam.
    mean: Option<Numbers>,
    mean_square: Numbers,
    config: SharedOptimizerConfig,
    /// Held while the numbers are read or changed; `None` for Hogwild.
    lock: Option<Mutex<()>>,
    updates: AtomicU64,
    /// Agent steps played by all threads, including those of rollouts not yet received.
    steps: AtomicU64,
    /// The ranks. Rank 0 has the weights and the optimiser; the others have copies of its weights.
    ranks: Ranks,
}

/// What another rank asks rank 0 for.
pub(crate) mod question {
    /// The weights.
    pub(crate) const WEIGHTS: u8 = 1;
    /// An update, and the weights: the learning rate, the steps of the gradient, and the gradient.
    pub(crate) const UPDATE: u8 = 2;
    /// To be told of a rollout.
    pub(crate) const REPORT: u8 = 3;
    /// To add what environments have learned, and for what all have.
    pub(crate) const LEARNED: u8 = 4;
    /// To count steps that are not learned from, and the weights.
    pub(crate) const STEPS: u8 = 5;
    /// The means of pixels, if they are known by now.
    pub(crate) const CENTER: u8 = 6;
}

/// Numbers per iteration of the inner loop. They are stored in pairs, and loaded as vectors: with only as many as a vector
/// has, the processor would wait for its own stores.
const CHUNK: usize = 256;

impl SharedParams {
    /// Creates shared parameters with the values of `flat`.
    pub(crate) fn new(flat: &Tensor, config: SharedOptimizerConfig, locked: bool) -> Result<Self, AgentError> {
        let values = to_vec(flat)?;
        let statistics = |value: f64| Numbers::of(&vec![value as f32; values.len()]);
        Ok(Self {
            params: Numbers::of(&values),
            mean: matches!(config, SharedOptimizerConfig::Adam(_)).then(|| statistics(0.0)),
            mean_square: statistics(config.initial_mean_square()),
            config,
            lock: locked.then(|| Mutex::new(())),
            updates: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            ranks: Ranks::default(),
        })
    }

    /// The same, shared by the threads of several processes.
    pub(crate) fn of(self, ranks: &Ranks) -> Self {
        let ranks = ranks.clone();
        Self { ranks, ..self }
    }

    /// The agent steps played by all threads.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Sets the agent steps played by all threads.
    pub(crate) fn set_steps(&self, steps: u64) {
        self.steps.store(steps, Ordering::Relaxed);
    }

    /// Moves the parameters against the gradient of a rollout of `steps` steps: here, or in rank 0.
    pub(crate) fn learn(&self, gradient: &Gradient<'_>, learning_rate: f64, steps: u64) -> Result<(), AgentError> {
        if self.ranks.rank() > 0 {
            let mut question = Vec::with_capacity(17 + 4 * self.numel());
            question.push(question::UPDATE);
            question.extend(learning_rate.to_le_bytes());
            question.extend(steps.to_le_bytes());
            let mut reader = gradient.reader();
            let mut buffer = [0.0; CHUNK];
            while let chunk @ [_, ..] = reader.read(&mut buffer) {
                question.extend_from_slice(bytemuck::cast_slice(chunk));
            }
            return self.ask(&question);
        }
        self.update(gradient, learning_rate);
        self.count(steps)
    }

    /// Counts the steps of a rollout that is not learned from.
    pub(crate) fn count(&self, steps: u64) -> Result<(), AgentError> {
        if self.ranks.rank() > 0 {
            return self.ask(&[&[question::STEPS][..], &steps.to_le_bytes()].concat());
        }
        self.steps.fetch_add(steps, Ordering::Relaxed);
        Ok(())
    }

    /// Copies the weights of rank 0.
    pub(crate) fn fetch(&self) -> Result<(), AgentError> {
        self.ask(&[question::WEIGHTS])
    }

    fn ask(&self, question: &[u8]) -> Result<(), AgentError> {
        // After the end, the weights stay as they are and are not read.
        let Some(answer) = self.ranks.ask(question)? else {
            return Ok(());
        };
        let (steps, weights) = split_number(&answer)?;
        let (updates, weights) = split_number(weights)?;
        let weights = floats(weights, self.numel())?;
        let _turn = self.turn();
        self.params.write(&weights);
        self.updates.store(updates, Ordering::Relaxed);
        self.set_steps(steps);
        Ok(())
    }

    /// Answers the question of another rank for weights, after an update or after counting steps, if it asks for that.
    pub(crate) fn answer(&self, question: &[u8]) -> Result<Vec<u8>, AgentError> {
        match question {
            [question::UPDATE, rest @ ..] => {
                let (learning_rate, rest) = split_number(rest)?;
                let (steps, gradient) = split_number(rest)?;
                let gradient = floats(gradient, self.numel())?;
                self.learn(&Gradient::new(vec![&gradient]), f64::from_bits(learning_rate), steps)?;
            }
            [question::STEPS, rest @ ..] => self.count(split_number(rest)?.0)?,
            _ => {}
        }
        let mut answer = Vec::with_capacity(17 + 4 * self.numel());
        answer.extend(self.steps().to_le_bytes());
        answer.extend(self.updates().to_le_bytes());
        let mut weights = vec![0.0; self.numel()];
        self.read(&mut weights);
        answer.extend_from_slice(bytemuck::cast_slice(&weights));
        Ok(answer)
    }

    /// The number of parameters.
    pub(crate) fn numel(&self) -> usize {
        self.params.len
    }

    /// The number of updates by all threads.
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

    /// Moves the parameters against `gradient`.
    pub(crate) fn update(&self, gradient: &Gradient<'_>, learning_rate: f64) {
        assert_eq!(gradient.len(), self.numel(), "a gradient of all parameters");
        let _turn = self.turn();
        let number = self.updates.fetch_add(1, Ordering::Relaxed) + 1;
        match self.config {
            SharedOptimizerConfig::RmsProp(config) => self.rms_prop(config, gradient, learning_rate),
            SharedOptimizerConfig::Adam(config) => self.adam(config, gradient, learning_rate, number),
        }
    }

    fn rms_prop(&self, config: SharedRmsPropConfig, gradient: &Gradient<'_>, learning_rate: f64) {
        let config = RmsPropConfig {
            decay: config.decay,
            epsilon: config.epsilon,
            epsilon_inside_root: true,
            centered: false,
            initial_mean_square: config.initial_mean_square,
        };
        let update = config.update(learning_rate);
        let (mut reader, mut buffer) = (gradient.reader(), [0.0; CHUNK]);
        for (params, mean_squares) in self.params.chunks().zip(self.mean_square.chunks()) {
            // Loaded, computed and stored in three loops, because the compiler makes vectors of the one in the middle.
            let (mut p, mut g) = (loaded(params), loaded(mean_squares));
            with_wide_vectors(|| update.apply([&mut p, &mut g], reader.read(&mut buffer)));
            store(params, &p);
            store(mean_squares, &g);
        }
    }

    /// Performs update `number`, counted from 1.
    fn adam(&self, config: AdamConfig, gradient: &Gradient<'_>, learning_rate: f64, number: u64) {
        let mean = self.mean.as_ref().expect("Adam was given a mean when it was made");
        let update = config.update(number, learning_rate);
        let statistics = mean.chunks().zip(self.mean_square.chunks());
        let (mut reader, mut buffer) = (gradient.reader(), [0.0; CHUNK]);
        for (params, (means, mean_squares)) in self.params.chunks().zip(statistics) {
            let (mut p, mut m, mut g) = (loaded(params), loaded(means), loaded(mean_squares));
            with_wide_vectors(|| update.apply([&mut p, &mut m, &mut g], reader.read(&mut buffer)));
            store(params, &p);
            store(means, &m);
            store(mean_squares, &g);
        }
    }

    /// Sets the values to those of `flat`.
    pub(crate) fn write(&self, flat: &Tensor) -> Result<(), AgentError> {
        let _turn = self.turn();
        self.params.write(&to_vec(flat)?);
        Ok(())
    }
}

/// The parameters of a target network that threads share: an older copy of [`SharedParams`].
#[derive(Debug)]
pub(crate) struct SharedTarget {
    /// Copied and read so rarely that a lock does not matter.
    params: Mutex<Vec<f32>>,
    /// Counts the copies, from 1.
    version: AtomicU64,
    every_frames: u64,
    /// When the next copy is due.
    next_frames: AtomicU64,
}

impl SharedTarget {
    /// Creates a target network with the values of `flat`, to be updated every `every_frames` frames of the run.
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

    /// Copies the parameters if that is due after `frames` frames of the run.
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

    /// Calls `take` with the parameters if they are newer than version `seen`.
    pub(crate) fn read(
        &self,
        seen: &mut u64,
        take: impl FnOnce(&[f32]) -> Result<(), TchError>,
    ) -> Result<(), TchError> {
        let version = self.version.load(Ordering::Acquire);
        if version != *seen {
            take(&self.params())?;
            *seen = version;
        }
        Ok(())
    }

    /// Sets the values to those of `flat`, after `frames` frames of the run.
    pub(crate) fn write(&self, flat: &Tensor, frames: u64) -> Result<(), AgentError> {
        *self.params() = to_vec(flat)?;
        let next = (frames / self.every_frames + 1) * self.every_frames;
        self.next_frames.store(next, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl SharedParams {
    /// The optimiser's statistics by name.
    fn statistics(&self) -> impl Iterator<Item = (&'static str, &Numbers)> {
        let mean = self.mean.iter().map(|mean| ("mean", mean));
        mean.chain([("mean_square", &self.mean_square)])
    }

    /// Saves the statistics; the parameters are saved with the network.
    pub(crate) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        let mut values = vec![0.0; self.numel()];
        for (name, numbers) in self.statistics() {
            numbers.read(&mut values);
            let tensor = Tensor::f_from_slice(&values);
            out.put_tensor(name, &tensor.map_err(|error| CheckpointError::unfit(name, &error))?)?;
        }
        out.put("updates", &self.updates())
    }

    /// Restores the statistics.
    pub(crate) fn restore(&self, from: &Section) -> Result<(), CheckpointError> {
        for (name, numbers) in self.statistics() {
            let unfit = |error: TchError| CheckpointError::unfit(name, &error);
            let len = self.numel() as i64;
            let mut tensor = Tensor::f_zeros([len], (tch::Kind::Float, Device::Cpu)).map_err(unfit)?;
            from.load_tensor(name, &mut tensor)?;
            numbers.write(&Vec::try_from(tensor).map_err(unfit)?);
        }
        self.updates.store(from.get("updates")?, Ordering::Relaxed);
        Ok(())
    }
}

/// The values of at most [`CHUNK`] numbers.
fn loaded(pairs: &[AtomicU64]) -> [f32; CHUNK] {
    let mut values = [0.0; CHUNK];
    load(pairs, &mut values);
    values
}

fn load(pairs: &[AtomicU64], out: &mut [f32]) {
    let values = |pair: &AtomicU64| {
        let bits = pair.load(Ordering::Relaxed);
        [bits as u32, (bits >> 32) as u32].map(f32::from_bits)
    };
    let (whole, rest) = out.as_chunks_mut::<2>();
    if let [last] = rest {
        [*last, _] = values(&pairs[whole.len()]);
    }
    for (out, pair) in whole.iter_mut().zip(pairs) {
        *out = values(pair);
    }
}

fn store(pairs: &[AtomicU64], values: &[f32]) {
    let bits = |[low, high]: [f32; 2]| u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32;
    let (whole, rest) = values.as_chunks::<2>();
    if let [last] = rest {
        pairs[whole.len()].store(bits([*last, 0.0]), Ordering::Relaxed);
    }
    for (values, pair) in whole.iter().zip(pairs) {
        pair.store(bits(*values), Ordering::Relaxed);
    }
}

/// The `len` numbers in the bytes of a message.
pub(crate) fn floats(bytes: &[u8], len: usize) -> Result<Vec<f32>, AgentError> {
    if bytes.len() != 4 * len {
        return Err(garbled());
    }
    let numbers = bytes.as_chunks::<4>().0.iter();
    Ok(numbers.map(|bytes| f32::from_ne_bytes(*bytes)).collect())
}

/// The number in front of a message, and the rest.
fn split_number(bytes: &[u8]) -> Result<(u64, &[u8]), AgentError> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(garbled)?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn garbled() -> AgentError {
    AgentError::Mpi("a message between two ranks has the wrong length".to_owned())
}

fn to_vec(flat: &Tensor) -> Result<Vec<f32>, AgentError> {
    Ok(Vec::try_from(flat.f_detach()?.f_to_device(Device::Cpu)?)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use coinop_envs::rng::stream;
    use rand::RngExt;

    use super::*;

    const RMS_PROP: SharedRmsPropConfig = SharedRmsPropConfig {
        decay: 0.9,
        epsilon: 0.1,
        initial_mean_square: 0.0,
    };
    const CONFIG: SharedOptimizerConfig = SharedOptimizerConfig::RmsProp(RMS_PROP);
    const ADAM: SharedOptimizerConfig = SharedOptimizerConfig::Adam(AdamConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 0.0,
    });

    fn read(shared: &SharedParams) -> Vec<f32> {
        let mut out = vec![0.0; shared.numel()];
        shared.read(&mut out);
        out
    }

    #[test]
    fn an_update_is_that_of_the_paper() {
        // g2 = .1·4 = .4, then .36 + .1 = .46; 1 - .1·2/sqrt(.4 + .1), and that + .1·1/sqrt(.46 + .1).
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32; CHUNK + 3]), CONFIG, false).unwrap();
        for (gradient, expected) in [(2.0, 0.717_157_3), (-1.0, 0.850_788_5)] {
            shared.update(&Gradient::new(vec![&[gradient; CHUNK + 3]]), 0.1);
            assert!(read(&shared).iter().all(|param| (param - expected).abs() < 1e-6));
        }
        assert_eq!(shared.updates(), 2);
    }

    #[test]
    fn two_updates_of_adam_follow_its_paper() {
        // The numbers of the test in optim/adam.rs.
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32; CHUNK + 3]), ADAM, false).unwrap();
        for (gradient, expected) in [(2.0, 0.9), (-1.0, 0.873_366_3)] {
            shared.update(&Gradient::new(vec![&[gradient; CHUNK + 3]]), 0.1);
            assert!(read(&shared).iter().all(|param| (param - expected).abs() < 1e-6));
        }
    }

    #[test]
    fn an_initial_mean_square_shortens_the_first_step() {
        // g2 = .9·1 + .1·4 = 1.3; 1 - .1·2/sqrt(1.3 + .1).
        let config = SharedOptimizerConfig::RmsProp(SharedRmsPropConfig {
            initial_mean_square: 1.0,
            ..RMS_PROP
        });
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32]), config, false).unwrap();
        shared.update(&Gradient::new(vec![&[2.0]]), 0.1);
        assert!((read(&shared)[0] - 0.830_969_1).abs() < 1e-6);
    }

    #[test]
    fn any_number_of_numbers_is_updated_once_each() {
        for len in [1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5] {
            for config in [CONFIG, ADAM] {
                let start: Vec<f32> = (0..len).map(|i| i as f32).collect();
                let gradient: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 3.0).collect();
                let all = SharedParams::new(&Tensor::from_slice(&start), config, false).unwrap();
                assert_eq!(read(&all), start);
                all.update(&Gradient::new(vec![&gradient]), 0.1);
                let alone = |i: usize| {
                    let one = SharedParams::new(&Tensor::from_slice(&start[i..=i]), config, false).unwrap();
                    one.update(&Gradient::new(vec![&gradient[i..=i]]), 0.1);
                    read(&one)[0].to_bits()
                };
                let bits: Vec<u32> = read(&all).into_iter().map(f32::to_bits).collect();
                assert_eq!(bits, (0..len).map(alone).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_gradient_in_parts_is_read_as_one() {
        let mut rng = stream(1, "test", 0);
        for _ in 0..200 {
            let lengths: Vec<usize> = (0..rng.random_range(1..5))
                .map(|_| rng.random_range(0..2 * CHUNK))
                .collect();
            let parts: Vec<Vec<f32>> = lengths
                .into_iter()
                .map(|len| (0..len).map(|_| rng.random_range(-3.0..3.0)).collect())
                .collect();
            let whole = parts.concat();
            let norm = whole
                .iter()
                .map(|&number| f64::from(number).powi(2))
                .sum::<f64>()
                .sqrt();
            for max_norm in [None, Some(1.0), Some(1e9)] {
                let mut gradient = Gradient::new(parts.iter().map(Vec::as_slice).collect());
                assert_eq!(gradient.len(), whole.len());
                assert!((gradient.clip(max_norm) - norm).abs() <= 1e-6 * norm);
                let (mut reader, mut read) = (gradient.reader(), Vec::new());
                let mut buffer = [9.0; CHUNK];
                while let chunk @ [_, ..] = reader.read(&mut buffer) {
                    read.extend_from_slice(chunk);
                }
                let scale = max_norm.map_or(1.0, |max_norm: f64| (max_norm / norm).min(1.0));
                assert_eq!(read.len(), whole.len());
                for (read, number) in read.iter().zip(&whole) {
                    assert!((f64::from(*read) - scale * f64::from(*number)).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn under_the_lock_no_update_is_lost() {
        let shared = Arc::new(SharedParams::new(&Tensor::from_slice(&[0.0f32; 100]), CONFIG, true).unwrap());
        // Without a gradient but of the first number, its mean square decays, and an update that was lost would show in the count that it makes.
        let work = || {
            let shared = Arc::clone(&shared);
            thread::spawn(move || (0..1_000).for_each(|_| shared.update(&Gradient::new(vec![&[1.0; 100]]), 0.0)))
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
    fn without_it_updates_may_be_lost_but_each_is_whole() {
        // The mean square stays 1, and its root with epsilon is 2: every update moves every number by exactly 1/1024.
        let config = SharedOptimizerConfig::RmsProp(SharedRmsPropConfig {
            decay: 0.5,
            epsilon: 3.0,
            initial_mean_square: 1.0,
        });
        let shared = Arc::new(SharedParams::new(&Tensor::from_slice(&[0.0f32; 100]), config, false).unwrap());
        let work = || {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                (0..1_000).for_each(|_| shared.update(&Gradient::new(vec![&[1.0; 100]]), 1.0 / 512.0))
            })
        };
        let threads = [(); 4].map(|()| work());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for param in read(&shared) {
            let updates = -param * 1024.0;
            assert!(updates.fract() == 0.0 && (1.0..=4_000.0).contains(&updates), "{param}");
        }
        assert_eq!(shared.updates(), 4_000);
    }

    #[test]
    fn a_restored_optimiser_has_the_saved_statistics() {
        let flat = Tensor::from_slice(&[1.0f32, 2.0]);
        for config in [CONFIG, ADAM] {
            let saved = SharedParams::new(&flat, config, true).unwrap();
            saved.update(&Gradient::new(vec![&[2.0], &[-3.0]]), 0.1);
            let mut section = Section::default();
            saved.save(&mut section).unwrap();
            let restored = SharedParams::new(&flat, config, true).unwrap();
            restored.restore(&section).unwrap();
            restored.write(&Tensor::from_slice(&read(&saved))).unwrap();
            saved.update(&Gradient::new(vec![&[1.0, 1.0]]), 0.1);
            restored.update(&Gradient::new(vec![&[1.0, 1.0]]), 0.1);
            assert_eq!((read(&saved), saved.updates()), (read(&restored), restored.updates()));
            let other = SharedParams::new(&Tensor::from_slice(&[1.0f32]), config, true).unwrap();
            assert!(matches!(other.restore(&section), Err(CheckpointError::Mismatch { .. })));
        }
    }

    #[test]
    fn a_target_is_what_the_parameters_were_when_it_was_due() {
        let shared = SharedParams::new(&Tensor::from_slice(&[1.0f32, 2.0]), CONFIG, false).unwrap();
        let target = SharedTarget::new(&Tensor::from_slice(&[1.0f32, 2.0]), 100).unwrap();
        let mut seen = 0;
        // The parameters if they are new.
        let mut read = || {
            let mut new = None;
            let take = |weights: &[f32]| {
                new = Some([weights[0], weights[1]]);
                Ok(())
            };
            target.read(&mut seen, take).unwrap();
            new
        };
        assert_eq!(read(), Some([1.0, 2.0]));
        shared.write(&Tensor::from_slice(&[3.0f32, 4.0])).unwrap();
        for (frames, expected) in [
            (99, None),
            (250, Some([3.0, 4.0])),
            (299, None),
            (300, Some([5.0, 6.0])),
        ] {
            target.refresh(&shared, frames);
            assert_eq!(read(), expected);
            if frames == 250 {
                shared.write(&Tensor::from_slice(&[5.0f32, 6.0])).unwrap();
            }
        }
        target.write(&Tensor::from_slice(&[7.0f32, 8.0]), 1_010).unwrap();
        target.refresh(&shared, 1_099);
        assert_eq!(read(), Some([7.0, 8.0]));
    }
}
