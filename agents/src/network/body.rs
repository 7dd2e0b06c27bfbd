//! The body of a network: a torso with its number types, memory formats and kept weights.
//!
//! Images are stored with the channels of each pixel next to each other, libtorch's channels-last memory format:
//!
//! ```text
//! an environment's   [n, channels, height, width]   in memory, too
//! a network's        the same size                  in memory [n, height, width, channels]
//! ```
//!
//! oneDNN's convolutions use this format. With the other one, every convolution and every gradient would first copy
//! its input.
//!
//! Where a processor multiplies whole tiles of bfloat16 (AMX), a first layer whose kernels are far apart leaves most of a
//! tile empty. There, pictures are laid out in blocks as large as its stride, whose pixels become channels, and the layer
//! convolves blocks with a stride of 1. A convolution of 8x8 pixels with a stride of 4 becomes one of 2x2 blocks:
//!
//! ```text
//! [n, 4, 84, 84]     [n, 84, 84, 4]            8x8, stride 4
//! [n, 64, 21, 21]    [n, 21, 21, 4 · 4 · 4]    2x2, stride 1
//! ```
//!
//! Parameters and means of pixels are saved as they are without blocks.

use std::cell::{OnceCell, RefCell};

use coinop_envs::normalize::Normalization;
use coinop_envs::rng::Rng;
use coinop_envs::{Observations, Shape};
use rand::RngExt;
use tch::kind::Element;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::layer::{Buffer, Layer, Spec, TorsoBuilder, Weights, flat, in_blocks, out_of_blocks};
use super::onnx::{Computed, Graph, Name, int, normalized};
use super::torso::{Sequence, Torso, find};
use super::{BodyKind, NetworkConfig, Observation, Precision};
use crate::device::upload;
use crate::distributed::Ranks;
use crate::params::Params;
use crate::{AgentError, CheckpointError, Section};

/// Scales pixels from 0..255 to 0..1.
const PIXEL_SCALE: f64 = 1.0 / 255.0;

/// The parameter name of the means subtracted from pixels.
const CENTER: &str = "center";

/// The name of the random stream of dropout in checkpoints.
const DROPOUT: &str = "dropout";

/// The converted weights of all layers, valid as long as the parameters do not change: for the outputs of other layers,
/// and for observations.
#[derive(Debug)]
struct Kept {
    version: i64,
    obs_kind: Kind,
    weights: RefCell<Vec<[Option<Weights>; 2]>>,
}

/// One pass of a batch through a [`Torso`]: its layers, with or without a gradient.
pub struct Pass<'a> {
    body: &'a Body,
    params: &'a Params,
    obs: &'a Tensor,
    /// The observations as the layers compute with them, once a layer has read them.
    input: OnceCell<Tensor>,
    /// The weights of a pass without a gradient.
    kept: Option<&'a Kept>,
}

impl Pass<'_> {
    /// Applies a layer to the observations.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn read(&self, layer: Layer) -> Result<Tensor, TchError> {
        let input = match self.input.get() {
            Some(input) => input,
            None => {
                let input = self.body.first(self.obs)?;
                self.input.get_or_init(|| input)
            }
        };
        self.through(layer, input, true)
    }

    /// Applies a layer to the outputs of others. A fully connected layer flattens them.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn apply(&self, layer: Layer, x: &Tensor) -> Result<Tensor, TchError> {
        self.through(layer, x, false)
    }

    /// The observations themselves, with pixels from 0 to 1: pictures `[n, channels, height, width]`, never in blocks, if
    /// the torso has convolutions, else `[n, numbers]`.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn obs(&self) -> Result<Tensor, TchError> {
        let x = self.body.plain(self.body.first(self.obs)?)?;
        let x = match self.obs.kind() {
            Kind::Uint8 => x.f_mul_scalar(PIXEL_SCALE)?,
            _ => x,
        };
        if self.body.convolves() {
            Ok(x)
        } else {
            x.f_flatten(1, -1)
        }
    }

    /// A constant of the torso.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn buffer(&self, buffer: Buffer) -> Result<Tensor, TchError> {
        buffer.values(self.params)?.f_to_kind(self.body.kind())
    }

    /// Dropout (Srivastava et al. 2014): where there is a gradient, each number becomes 0 with this probability, and the
    /// others are divided by one minus it; without a gradient, `x` stays as it is.
    ///
    /// # Errors
    ///
    /// If libtorch fails.
    pub fn dropout(&self, x: &Tensor, probability: f64) -> Result<Tensor, TchError> {
        if !self.has_gradient() {
            return Ok(x.shallow_clone());
        }
        let kept = (1.0 / (1.0 - probability)) as f32;
        let mut masks = self.body.masks.borrow_mut();
        masks.are_drawn = true;
        let mask: Vec<f32> = (0..x.numel())
            .map(|_| if masks.rng.random_bool(probability) { 0.0 } else { kept })
            .collect();
        let mask = upload(&mask, &x.size(), self.body.device)?;
        x.f_mul(&mask.f_to_kind(x.kind())?)
    }

    /// Whether this pass is for a gradient.
    #[must_use]
    pub fn has_gradient(&self) -> bool {
        self.kept.is_none()
    }

    fn through(&self, layer: Layer, x: &Tensor, is_obs: bool) -> Result<Tensor, TchError> {
        let body = self.body;
        let spec = &body.layers[layer.0];
        // Weights are scaled instead of the pixels that meet them: there are far fewer.
        let scale = (is_obs && self.obs.kind() == Kind::Uint8).then_some(PIXEL_SCALE);
        let block = body.block.filter(|_| is_obs);
        let flat = (!spec.is_convolution()).then(|| body.flat(x)).transpose()?;
        let x = flat.as_ref().unwrap_or(x);
        let Some(kept) = self.kept else {
            return spec.compute(x, &spec.weights(self.params, body.kind(), scale, block, true)?);
        };
        let mut all = kept.weights.borrow_mut();
        let weights = &mut all[layer.0][usize::from(is_obs)];
        let weights = match weights {
            Some(weights) => weights,
            None => weights.insert(spec.weights(self.params, body.kind(), scale, block, false)?),
        };
        spec.compute(x, weights)
    }
}

/// The observations in a graph, before they are scaled.
pub(super) struct Observed {
    pub(super) unscaled: Computed,
    /// What a layer that reads them multiplies its weights by.
    pub(super) scale: Option<f64>,
}

impl Observed {
    /// The observations with pixels from 0 to 1.
    pub(super) fn scaled(&self, graph: &mut Graph) -> Computed {
        let Some(scale) = self.scale else {
            return self.unscaled.clone();
        };
        let scale = graph.number(scale);
        Computed {
            name: graph.node("Mul", &[&self.unscaled.name, &scale], Vec::new()),
            ..self.unscaled
        }
    }
}

/// The layers that read observations, up to the heads of a network.
///
/// ```
/// # use coinop_agents::network::ActorCritic;
/// # use coinop_agents::Device;
/// # use coinop_agents::init::Init;
/// # use coinop_agents::network::{BodyKind, Core, NetworkConfig, Precision};
/// # use coinop_envs::classic::CartPole;
/// # use coinop_envs::rng::stream;
/// # use coinop_envs::Env;
/// # let config = NetworkConfig { body: BodyKind::Mlp, core: Core::None, init: Init::Orthogonal, precision: Precision::Float32 };
/// # let spec = CartPole::v1().spec();
/// let network = ActorCritic::new(&config, &spec, &mut stream(1, "network", 0), Device::Cpu)?;
/// // Two observations of CartPole, as the network wants them.
/// let input = network.body().input(&[0.0f32; 8])?;
/// assert_eq!(input.size(), [2, 4]);
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
#[derive(Debug)]
pub struct Body {
    torso: Torso,
    layers: Vec<Spec>,
    obs_shape: Shape,
    device: Device,
    precision: Precision,
    /// The size of the blocks of pictures, if they are laid out in blocks.
    block: Option<i64>,
    kept: RefCell<Option<Kept>>,
    /// The means `[1, obs_shape…]` subtracted from pixels, `f32`.
    center: Option<Tensor>,
    /// The same, laid out like the observations.
    center_of_input: OnceCell<Tensor>,
    masks: RefCell<Masks>,
}

/// What the masks of dropout are drawn from. It is part of checkpoints, so that a resumed run draws the same ones.
#[derive(Debug)]
struct Masks {
    rng: Rng,
    /// Whether there is anything to save.
    are_drawn: bool,
}

impl Body {
    /// Builds the body. Of the fully connected layers at its end it leaves out `without`, which each head then has for
    /// itself; a torso of a closure is never without them.
    pub(super) fn build(
        config: &NetworkConfig,
        without: usize,
        device: Device,
        builder: &mut TorsoBuilder<'_>,
    ) -> Result<Self, AgentError> {
        config.validate()?;
        let kind = &config.body;
        let start = |convolves: bool, builder: &TorsoBuilder<'_>| Sequence::start(kind, convolves, builder);
        let torso = match kind {
            BodyKind::Registered(name) => find(name)?(builder)?,
            BodyKind::Impala(impala) => start(true, builder)?
                .impala(kind, impala, without, builder)?
                .into_torso(),
            _ => {
                let list = kind.layers();
                let sequence = start(!list.convolutions.is_empty(), builder)?;
                sequence.layers(kind, &list, without, builder)?.into_torso()
            }
        };
        let (layers, obs_shape) = (builder.take_layers(), builder.obs_shape());
        let precision = config.precision.resolved(device);
        let fills_tiles = device == Device::Cpu && precision == Precision::Bfloat16 && has_tiles();
        Ok(Self {
            block: block_size(&torso, &layers, obs_shape).filter(|_| fills_tiles),
            torso,
            layers,
            obs_shape,
            device,
            precision,
            kept: RefCell::new(None),
            center: None,
            center_of_input: OnceCell::new(),
            masks: RefCell::new(Masks {
                rng: builder.another_rng(),
                are_drawn: false,
            }),
        })
    }

    /// Lays out pictures in blocks where that is possible, on any processor.
    #[cfg(test)]
    pub(super) fn use_blocks(&mut self) -> Option<i64> {
        self.block = block_size(&self.torso, &self.layers, self.obs_shape);
        self.block
    }

    /// Draws the masks of dropout from `rng` from now on.
    pub(crate) fn draw_masks_from(&self, rng: Rng) {
        self.masks.borrow_mut().rng = rng;
    }

    /// Whether a pass for a gradient has drawn masks of dropout.
    pub(crate) fn draws_masks(&self) -> bool {
        self.masks.borrow().are_drawn
    }

    /// The shape of one observation.
    #[must_use]
    pub fn obs_shape(&self) -> Shape {
        self.obs_shape
    }

    /// The number of features passed to the heads.
    pub(super) fn width(&self) -> i64 {
        self.torso.width
    }

    /// The device of the network.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Copies consecutive observations into a tensor `[n, obs_shape…]` on the network's device, in the fastest memory
    /// format. Pictures may be in blocks.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn input<O: Observation>(&self, obs: &[O]) -> Result<Tensor, AgentError> {
        let n = (obs.len() / self.obs_shape.len()) as i64;
        let ([channels, height, width], true) = (self.obs_shape.dims(), self.convolves()) else {
            return Ok(upload(obs, &self.size(n), self.device)?);
        };
        if self.device != Device::Cpu {
            // A GPU puts them in order much faster than they come to it.
            let pictures = upload(obs, &self.size(n), self.device)?.f_permute([0, 2, 3, 1])?;
            return Ok(pictures.f_contiguous()?.f_permute([0, 3, 1, 2])?);
        }
        let mut size = [n, *height as i64, *width as i64, *channels as i64];
        let mut pictures = channels_last(obs, *channels, height * width);
        if let Some(block) = self.block {
            pictures = blocks(&pictures, width * channels, block as usize, *channels);
            size = [n, size[1] / block, size[2] / block, size[3] * block * block];
        }
        Ok(upload(&pictures, &size, self.device)?.f_permute([0, 3, 1, 2])?)
    }

    /// Copies numbers that belong to observations, such as actions and rewards, into a tensor `[n]` on the network's
    /// device.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn numbers<T: Element>(&self, numbers: &[T]) -> Result<Tensor, TchError> {
        upload(numbers, &[numbers.len() as i64], self.device)
    }

    /// The tensor size `[n, obs_shape…]`.
    fn size(&self, n: i64) -> Vec<i64> {
        let dims = self.obs_shape.dims().iter().map(|&dim| dim as i64);
        std::iter::once(n).chain(dims).collect()
    }

    /// The features `[n, width]`, in `f32`, of observations `[n, obs_shape…]`, `u8` or `f32`.
    pub(super) fn forward(&self, params: &Params, obs: &Tensor) -> Result<Tensor, AgentError> {
        if self.layers.iter().any(Spec::is_changed_by_passes) {
            // libtorch does not count what this pass changes as a new version.
            self.kept.replace(None);
        }
        Ok(self.compute(params, obs, None)?)
    }

    /// The same without gradients; unchanged weights are not converted again.
    pub(super) fn infer(&self, params: &Params, obs: &Tensor) -> Result<Tensor, AgentError> {
        let (version, obs_kind) = (params.version()?, obs.kind());
        no_grad(|| {
            let mut kept = self.kept.borrow_mut();
            let kept = match kept.take() {
                Some(known) if (known.version, known.obs_kind) == (version, obs_kind) => kept.insert(known),
                _ => kept.insert(Kept {
                    version,
                    obs_kind,
                    weights: RefCell::new(self.layers.iter().map(|_| [None, None]).collect()),
                }),
            };
            Ok(self.compute(params, obs, Some(kept))?)
        })
    }

    fn compute(&self, params: &Params, obs: &Tensor, kept: Option<&Kept>) -> Result<Tensor, TchError> {
        let pass = Pass {
            body: self,
            params,
            obs,
            input: OnceCell::new(),
            kept,
        };
        let features = (self.torso.compute)(&pass)?;
        self.flat(&features)?.f_to_kind(Kind::Float)
    }

    /// Adds the body to a graph, from observations to features.
    pub(super) fn onnx(
        &self,
        graph: &mut Graph,
        params: &Params,
        observations: Observations,
        normalization: Option<&Normalization>,
    ) -> Result<Name, AgentError> {
        let Some(sequence) = &self.torso.sequence else {
            return Err(AgentError::BadConfig {
                name: "network.body",
                value: "a closure".to_owned(),
                reason: "what a closure computes cannot be written as ONNX: write its parameters as .safetensors",
            });
        };
        let is_pixels = observations == Observations::Pixels;
        let dims = self.obs_shape.dims();
        let mut x = graph.input("obs", is_pixels, dims);
        if is_pixels {
            // 1 is a 32-bit float.
            x = graph.node("Cast", &[&x], vec![int("to", 1)]);
        }
        if let Some(by) = normalization {
            x = normalized(graph, &x, by)?;
        }
        if let Some(center) = &self.center {
            let scale = if is_pixels { 1.0 } else { PIXEL_SCALE };
            let center = graph.constant(&center.f_mul_scalar(scale)?)?;
            x = graph.node("Sub", &[&x, &center], Vec::new());
        }
        let is_picture = self.convolves();
        if !is_picture && dims.len() > 1 {
            x = graph.node("Flatten", &[&x], vec![int("axis", 1)]);
        }
        let obs = Observed {
            unscaled: Computed { name: x, is_picture },
            scale: is_pixels.then_some(PIXEL_SCALE),
        };
        let out = sequence.onnx(graph, &self.layers, params, &obs, None)?;
        Ok(flat(graph, out))
    }

    /// The means that are subtracted from pixels.
    pub(super) fn means(&self) -> Option<(&'static str, &Tensor)> {
        self.center.as_ref().map(|center| (CENTER, center))
    }

    /// Subtracts from every pixel its mean over these observations `[n, obs_shape…]`, `u8`, from now on.
    pub(super) fn center(&mut self, obs: &Tensor) -> Result<(), TchError> {
        let means = obs.f_mean_dim(0i64, true, Kind::Float)?;
        self.set_center(&self.plain(means)?)
    }

    /// The size of the blocks of these pictures, if they are in blocks: they are unless they came from elsewhere than
    /// [`input`](Self::input).
    fn block_of(&self, pictures: &Tensor) -> Option<i64> {
        let channels = *self.obs_shape.dims().first()? as i64;
        self.block.filter(|_| pictures.size()[1] != channels)
    }

    /// Pictures that are not in blocks.
    fn plain(&self, pictures: Tensor) -> Result<Tensor, TchError> {
        match self.block_of(&pictures) {
            Some(size) => out_of_blocks(&pictures, size),
            None => Ok(pictures),
        }
    }

    /// Pictures in blocks, if the layers read them so.
    fn laid_out(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        match (self.block, self.block_of(pictures)) {
            (Some(size), None) => channels_together(&in_blocks(pictures, size)?),
            _ => Ok(pictures.shallow_clone()),
        }
    }

    /// The same over the observations of several ranks, equally many in each.
    pub(super) fn center_over(&mut self, obs: &Tensor, ranks: &Ranks) -> Result<(), AgentError> {
        self.center(obs)?;
        if !ranks.is_alone()
            && let Some(center) = self.center.take()
        {
            self.set_center(&ranks.mean(center)?)?;
        }
        Ok(())
    }

    /// Stores the means in the memory format of the observations.
    fn set_center(&mut self, center: &Tensor) -> Result<(), TchError> {
        let center = channels_together(center)?;
        self.take_center(Some(center));
        Ok(())
    }

    /// The means that are subtracted from pixels `[obs_shape…]`.
    pub(crate) fn center_values(&self) -> Result<Option<Vec<f32>>, TchError> {
        let center = self.center.as_ref();
        center.map(values).transpose()
    }

    /// Subtracts these means `[obs_shape…]` from pixels from now on, or nothing.
    pub(crate) fn set_center_values(&mut self, means: Option<&[f32]>) -> Result<(), AgentError> {
        self.take_center(None);
        if let Some(means) = means {
            self.set_center(&upload(means, &self.size(1), self.device)?)?;
        }
        Ok(())
    }

    /// The sum of each pixel `[obs_shape…]` over observations.
    pub(crate) fn sums<O: Observation>(&self, obs: &[O]) -> Result<Vec<f32>, AgentError> {
        let sums = self.input(obs)?.f_sum_dim_intlist(0i64, true, Kind::Float)?;
        Ok(values(&self.plain(sums)?)?)
    }

    /// The means that are subtracted from pixels, as [`take_center`](Self::take_center) takes them.
    pub(super) fn center_tensor(&self) -> Option<Tensor> {
        self.center.as_ref().map(Tensor::shallow_clone)
    }

    /// Takes over the means of another body.
    pub(super) fn take_center(&mut self, center: Option<Tensor>) {
        (self.center, self.center_of_input) = (center, OnceCell::new());
    }

    /// The means that are subtracted from pixels, laid out like the observations.
    fn center_of_input(&self) -> Result<Option<&Tensor>, TchError> {
        if let (Some(center), None) = (&self.center, self.center_of_input.get()) {
            // It was empty a moment ago.
            let _ = self.center_of_input.set(self.laid_out(center)?);
        }
        Ok(self.center_of_input.get())
    }

    pub(crate) fn is_centered(&self) -> bool {
        self.center.is_some()
    }

    pub(super) fn save(&self, out: &mut Section) -> Result<(), CheckpointError> {
        if let Some(center) = &self.center {
            out.put_tensor(CENTER, center)?;
        }
        let masks = self.masks.borrow();
        if masks.are_drawn {
            out.put(DROPOUT, &masks.rng)?;
        }
        Ok(())
    }

    pub(super) fn load(&mut self, from: &Section) -> Result<(), CheckpointError> {
        self.take_center(None);
        if from.tensor(CENTER).is_ok() {
            let unfit = |error: TchError| CheckpointError::unfit(CENTER, &error);
            let mut center = Tensor::f_zeros(self.size(1).as_slice(), (Kind::Float, self.device)).map_err(unfit)?;
            from.load_tensor(CENTER, &mut center)?;
            self.set_center(&center).map_err(unfit)?;
        }
        if let Ok(rng) = from.get(DROPOUT) {
            self.masks.replace(Masks { rng, are_drawn: true });
        }
        Ok(())
    }

    /// Converts observations to the input of the first layer.
    fn first(&self, obs: &Tensor) -> Result<Tensor, TchError> {
        let obs = &self.laid_out(obs)?;
        let x = obs.f_to_kind(self.kind())?;
        match self.center_of_input()? {
            None => Ok(x),
            Some(center) if obs.kind() == Kind::Uint8 => {
                // Numbers of its own, which may change.
                let mut x = x;
                x.f_sub_(&center.f_to_kind(x.kind())?)
            }
            Some(center) => x.f_sub(&center.f_mul_scalar(PIXEL_SCALE)?.f_to_kind(x.kind())?),
        }
    }

    /// Flattens each sample, of images in memory order.
    fn flat(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match x.dim() {
            4 if self.convolves() => x.f_permute([0, 2, 3, 1])?.f_flatten(1, -1),
            _ => x.f_flatten(1, -1),
        }
    }

    fn convolves(&self) -> bool {
        self.layers.iter().any(Spec::is_convolution)
    }

    /// The number type that the layers compute with.
    fn kind(&self) -> Kind {
        if self.convolves() {
            self.precision.kind()
        } else {
            Kind::Float
        }
    }
}

/// Whether the processor multiplies tiles of bfloat16.
fn has_tiles() -> bool {
    // AMX-BF16 (Intel's manual, volume 2A, CPUID).
    #[cfg(target_arch = "x86_64")]
    return std::arch::x86_64::__cpuid(0).eax >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & 1 << 22 != 0;
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The size of the blocks in which a torso can read pictures.
fn block_size(torso: &Torso, layers: &[Spec], obs_shape: Shape) -> Option<i64> {
    let first = torso.sequence.as_ref()?.first_layer()?;
    match *obs_shape.dims() {
        [_, height, width] => layers[first.0].block_size([height, width]),
        _ => None,
    }
}

/// Stores the channels of each pixel of pictures next to each other.
fn channels_together(pictures: &Tensor) -> Result<Tensor, TchError> {
    match pictures.dim() {
        4 => pictures
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?
            .f_permute([0, 3, 1, 2]),
        _ => Ok(pictures.shallow_clone()),
    }
}

/// Lays out pictures, whose rows have `row` numbers, in blocks of `size` times `size` pixels with all of their channels.
fn blocks<O: Copy>(pictures: &[O], row: usize, size: usize, channels: usize) -> Vec<O> {
    let mut out = Vec::with_capacity(pictures.len());
    for rows in pictures.chunks_exact(size * row) {
        for start in (0..row).step_by(size * channels) {
            for row in rows.chunks_exact(row) {
                out.extend_from_slice(&row[start..][..size * channels]);
            }
        }
    }
    out
}

/// Converts images from `[n, channels, plane]` to `[n, plane, channels]`.
fn channels_last<O: Copy>(pictures: &[O], channels: usize, plane: usize) -> Vec<O> {
    let mut out = Vec::with_capacity(pictures.len());
    for picture in pictures.chunks_exact(channels * plane) {
        if channels == 4 {
            // A stack of four frames, written so that the compiler takes many pixels at a time.
            let (first, second) = picture.split_at(2 * plane);
            let ((a, b), (c, d)) = (first.split_at(plane), second.split_at(plane));
            let pixels = a.iter().zip(b).zip(c).zip(d);
            out.extend(pixels.flat_map(|(((a, b), c), d)| [*a, *b, *c, *d]));
        } else {
            out.extend((0..plane).flat_map(|pixel| picture[pixel..].iter().step_by(plane)));
        }
    }
    out
}

/// Concatenates the samples of several tensors `[n, …]`, keeping the memory format of images.
pub(crate) fn joined(parts: &[Tensor]) -> Result<Tensor, TchError> {
    if parts.iter().any(|part| part.dim() != 4) {
        return Tensor::f_cat(parts, 0);
    }
    let parts: Result<Vec<_>, _> = parts.iter().map(|part| part.f_permute([0, 2, 3, 1])).collect();
    Tensor::f_cat(&parts?, 0)?.f_permute([0, 3, 1, 2])
}

/// Gathers samples of a tensor `[n, …]`, keeping the memory format of images.
pub(crate) fn rows(samples: &Tensor, numbers: &Tensor) -> Result<Tensor, TchError> {
    match samples.dim() {
        4 => samples
            .f_permute([0, 2, 3, 1])?
            .f_index_select(0, numbers)?
            .f_permute([0, 3, 1, 2]),
        _ => samples.f_index_select(0, numbers),
    }
}

/// The numbers of a tensor in the order of its dimensions, whatever the order in memory.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    Vec::try_from(tensor.f_to_device(Device::Cpu)?.f_reshape([-1])?)
}
