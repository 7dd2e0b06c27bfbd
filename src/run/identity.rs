//! The identity of a checkpoint.
//!
//! A checkpoint is read together with a `config.toml`, which describes how to build what it is loaded into. Both are
//! files that people move and edit, so the checkpoint contains the settings that it was written with. Those that
//! determine the meaning of its numbers must match; other differences are reported.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use coinop_agents::{Resumption, Section};
use serde_json::Value;

use crate::config::Config;

/// The section's name in a checkpoint.
const SECTION: &str = "of";

/// Settings that may change when a run is resumed: they do not affect learning, or `--resume` offers them.
const FREE: [&str; 12] = [
    "run.frames",
    "run.env_threads",
    "run.torch_threads",
    "run.device",
    "run.metrics_frames",
    "run.checkpoint_minutes",
    "run.keep_checkpoints",
    "run.milestone_frames",
    "run.eval_frames",
    "run.eval_episodes",
    "run.video_frames",
    "env.roms",
];

/// Whether a checkpoint is only meaningful with the same value of a setting.
fn is_decisive(name: &str, algo: &str) -> bool {
    let of_network = name
        .strip_prefix(algo)
        .is_some_and(|rest| rest.starts_with(".network.body") || rest.starts_with(".network.core"));
    let of_game = [
        "env.protocol",
        "env.all_actions",
        "env.mode",
        "env.difficulty",
        "env.repeat_action_probability",
        "env.normalize_observations",
    ];
    ["run.algo", "run.env"].contains(&name) || of_network || of_game.contains(&name)
}

/// All settings by full name.
fn settings(config: &Config) -> anyhow::Result<BTreeMap<String, Value>> {
    let table: toml::Table = toml::from_str(&config.to_toml()?)?;
    let mut settings = BTreeMap::new();
    flatten(&serde_json::to_value(table)?, "", &mut settings);
    Ok(settings)
}

fn flatten(value: &Value, name: &str, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                flatten(value, &name, out);
            }
        }
        value => {
            out.insert(name.to_owned(), value.clone());
        }
    }
}

/// Saves the settings, and how a run continues from this checkpoint.
pub(crate) fn save(config: &Config, resumption: Resumption, out: &mut Section) -> anyhow::Result<()> {
    let of = out.section_mut(SECTION);
    of.put("version", &env!("CARGO_PKG_VERSION"))?;
    of.put("resumption", &resumption)?;
    Ok(of.put("settings", &settings(config)?)?)
}

/// How a run continues from the checkpoint.
pub(crate) fn resumption(from: &Section) -> anyhow::Result<Resumption> {
    Ok(from.section(SECTION)?.get("resumption")?)
}

/// A setting at the time the checkpoint was written.
pub(crate) fn setting(from: &Section, name: &str) -> anyhow::Result<Option<Value>> {
    let mut trained: BTreeMap<String, Value> = from.section(SECTION)?.get("settings")?;
    Ok(trained.remove(name))
}

/// Checks that the checkpoint `from`, read from `path`, matches `config`.
pub(crate) fn check(config: &Config, from: &Section, path: &Path) -> anyhow::Result<()> {
    let algo = config.run.algo.name();
    for Difference { name, trained, now } in differences(config, from)? {
        if is_decisive(&name, algo) {
            bail!(
                "`{}` is a checkpoint of {name} = {trained}, but config.toml says {now}: they are not of the same run; put the config.toml of that \
                 run back",
                path.display()
            );
        }
    }
    Ok(())
}

/// A setting that changed since the checkpoint was written.
pub(crate) struct Difference {
    pub(crate) name: String,
    trained: String,
    now: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, trained, now } = self;
        write!(
            f,
            "config.toml says {name} = {now}, and the checkpoint was written with {trained}"
        )
    }
}

/// The settings that differ and are not [free](FREE) to.
pub(crate) fn differences(config: &Config, from: &Section) -> anyhow::Result<Vec<Difference>> {
    let trained: BTreeMap<String, Value> = from.section(SECTION)?.get("settings")?;
    let now = settings(config)?;
    let mut names: Vec<&String> = trained.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let differs = names.into_iter().filter(|name| trained.get(*name) != now.get(*name));
    let differs = differs.filter(|name| !FREE.contains(&name.as_str()));
    let difference = |name: &String| Difference {
        name: name.clone(),
        trained: text(trained.get(name)),
        now: text(now.get(name)),
    };
    Ok(differs.map(difference).collect())
}
