//! `coinop export`: a trained network for other programs, as ONNX or safetensors, with a card that describes it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{anyhow, bail};
use coinop_agents::network::OPSET;
use coinop_agents::tch::Tensor;
use coinop_agents::{AnyPolicy, Policy};
use coinop_envs::normalize::Normalization;
use coinop_envs::registry::Family;
use coinop_envs::rng::stream;
use coinop_envs::{AnyFactory, Elem, EnvFactory, Observations};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::cli::ExportArgs;
use crate::commands::eval::read_checkpoint;
use crate::config::Config;
use crate::count::short;
use crate::evaluation::frozen;
use crate::run::dir::RunDir;
use crate::run::evaluations::Evaluations;
use crate::{files, output};

/// The formats of a network.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Onnx,
    Safetensors,
}

impl Format {
    fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("onnx") => Ok(Self::Onnx),
            Some("safetensors") => Ok(Self::Safetensors),
            _ => bail!("`{}`: give a name that ends in .onnx or .safetensors", path.display()),
        }
    }
}

pub(crate) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let format = Format::of(&args.output)?;
    let card = args.output.with_extension("json");
    files::check_writable(&args.output)?;
    files::check_writable(&card)?;
    let dir = RunDir::open(&args.run)?;
    let mut config = Config::read(&dir.config())?;
    if let Some(roms) = &args.roms {
        config.set_roms(roms)?;
    }
    let (frames, section) = read_checkpoint(&config, &dir, args.checkpoint)?;
    let from = section.section("trainer")?;
    let factory = frozen(config.env_info()?.factory(&config.env)?, from)?;
    let device = coinop_agents::device("cpu")?;
    let rng = stream(0, "export", 0);
    let policy = config
        .algo
        .policy(factory.observations(), &factory.spec(), from, rng, device)?;
    let exported = match (&policy, &factory) {
        (AnyPolicy::Pixels(policy), AnyFactory::Pixels(factory)) => Exported::of(policy.as_ref(), factory.as_ref()),
        (AnyPolicy::Features(policy), AnyFactory::Features(factory)) => Exported::of(policy.as_ref(), factory.as_ref()),
        _ => unreachable!("a policy for the environment's observations was asked for"),
    }?;
    let about = about(&config, &dir, frames, &exported, format)?;
    let bytes = match format {
        Format::Onnx => exported.onnx(&policy, &about)?,
        Format::Safetensors => exported.safetensors(&about)?,
    };
    std::fs::write(&args.output, bytes).map_err(files::failed("can't write", &args.output))?;
    files::write(&card, &(serde_json::to_string_pretty(&about)? + "\n"))?;
    output::say(&format!(
        "exported the agent after {} frames to {}; its model card is {}",
        short(frames),
        args.output.display(),
        card.display()
    ));
    Ok(())
}

/// What is exported of a policy.
struct Exported {
    tensors: Vec<(String, Tensor)>,
    observations: Observations,
    obs_shape: Vec<usize>,
    actions: Vec<String>,
    num_actions: usize,
    frames_per_step: u32,
    stacked_frames: usize,
    normalization: Option<Normalization>,
}

impl Exported {
    fn of<O: Elem>(policy: &dyn Policy<Obs = O>, factory: &dyn EnvFactory<Obs = O>) -> anyhow::Result<Self> {
        let Some(network) = policy.network() else {
            bail!("the algorithm of this run does not expose its network: implement `Policy::network` for it");
        };
        let spec = factory.spec();
        Ok(Self {
            tensors: network.tensors()?,
            observations: O::OBSERVATIONS,
            obs_shape: spec.obs_shape.dims().to_vec(),
            actions: factory.make(0)?.action_meanings(),
            num_actions: spec.num_actions,
            frames_per_step: spec.frames_per_step,
            stacked_frames: spec.stacked_frames,
            normalization: factory.normalization(),
        })
    }

    fn onnx(&self, policy: &AnyPolicy, about: &Value) -> anyhow::Result<Vec<u8>> {
        let network = match policy {
            AnyPolicy::Pixels(policy) => policy.network(),
            AnyPolicy::Features(policy) => policy.network(),
        };
        let network = network.ok_or_else(|| anyhow!("the algorithm does not expose its network"))?;
        Ok(network.to_onnx(self.observations, self.normalization.as_ref(), &entries(about))?)
    }

    fn safetensors(&self, about: &Value) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (name, tensor) in &self.tensors {
            let tensor = tensor.f_contiguous()?;
            let mut numbers = vec![0.0f32; tensor.numel()];
            tensor.f_copy_data(&mut numbers, tensor.numel())?;
            let shape = tensor.size().iter().map(|&dim| dim as usize).collect();
            let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            bytes.push((name, shape, raw));
        }
        let views = bytes
            .iter()
            .map(|(name, shape, raw): &(&String, Vec<usize>, Vec<u8>)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), raw)?;
                Ok((name.as_str(), view))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let metadata: HashMap<String, String> = entries(about).into_iter().collect();
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}

/// A card as entries of texts, for the metadata of a file.
fn entries(about: &Value) -> Vec<(String, String)> {
    let fields = about.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// The card of an agent: what was trained, on what, how far, and what its inputs and outputs are.
fn about(config: &Config, dir: &RunDir, frames: u64, of: &Exported, format: Format) -> anyhow::Result<Value> {
    let run = &config.run;
    let evaluations = Evaluations::read(&dir.evaluations())?;
    let evaluation = evaluations.all().iter().find(|evaluated| evaluated.frames == frames);
    let mut settings: toml::Table = toml::from_str(&config.to_toml()?)?;
    if let Some(env) = settings.get_mut("env").and_then(toml::Value::as_table_mut) {
        // A path of this machine.
        env.remove("roms");
    }
    let mut card = json!({
        "library_name": "coinop",
        "tags": ["reinforcement-learning", run.env, run.algo.name()],
        "version": env!("CARGO_PKG_VERSION"),
        "env": run.env,
        "algo": run.algo.name(),
        "preset": run.preset,
        "seed": run.seed,
        "frames": frames,
        "mean_score": evaluation.map(|evaluated| evaluated.mean),
        "episodes": evaluation.map(|evaluated| evaluated.episodes),
        "num_actions": of.num_actions,
        "actions": of.actions,
        "observation": observation(config, of)?,
        "settings": settings,
    });
    if format == Format::Onnx {
        card["opset"] = json!(OPSET);
    }
    Ok(card)
}

/// What the network reads, and how that is made from what the environment shows.
fn observation(config: &Config, of: &Exported) -> anyhow::Result<Value> {
    let env = config.env_info()?;
    let mut text = json!({
        "shape": of.obs_shape,
        "type": if of.observations == Observations::Pixels { "uint8" } else { "float32" },
        "frames_per_step": of.frames_per_step,
        "stacked_frames": of.stacked_frames,
    });
    if matches!(env.family, Family::Atari | Family::Arcade) {
        let atari = env.atari(&config.env);
        let protocol = atari.map(|atari| atari.protocol);
        let pooled = atari.map(|atari| atari.pooled_frames.unwrap_or(atari.protocol.config().pooled_frames));
        text["preprocessing"] = json!({
            "protocol": protocol.map(|protocol| protocol.to_string()),
            "frame_skip": of.frames_per_step,
            "maximum_of_last_frames": pooled.unwrap_or(2),
            "grayscale": "ALE's getScreenGrayscale: luma by the weights of ITU-R BT.601",
            "resize": [84, 84],
            "interpolation": "area, as OpenCV's INTER_AREA",
            "stack": "oldest first; at the start of an episode, copies of the first",
            "pixels": "0 to 255; the network scales them",
        });
    }
    if let Some(normalization) = &of.normalization {
        text["normalization"] = json!({
            "mean": normalization.mean,
            "deviation": normalization.deviation,
            "clip": normalization.clip,
            "within_the_network": "in ONNX; safetensors hold the network alone",
        });
    }
    Ok(text)
}
