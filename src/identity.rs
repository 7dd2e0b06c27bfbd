//! What a checkpoint is of.
//!
//! A checkpoint is read beside a `config.toml`, which says how to build what it is loaded into. Both are files that people move and
//! edit, so the checkpoint carries the settings that decide what its numbers mean, and they are compared before it is used.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use coinop_agents::{CheckpointError, Section};
use serde_json::{Value, json};

use crate::config::Config;

/// The section's name in a checkpoint.
const SECTION: &str = "of";

/// The settings that a checkpoint has a meaning with, by name.
fn settings(config: &Config) -> BTreeMap<&'static str, Value> {
    let (run, env) = (&config.run, &config.env);
    let (network_key, network) = run.algo.network(config);
    BTreeMap::from([
        ("run.algo", json!(run.algo)),
        ("run.env", json!(run.env)),
        ("env.protocol", json!(env.protocol)),
        ("env.mode", json!(env.mode)),
        ("env.difficulty", json!(env.difficulty)),
        ("env.repeat_action_probability", json!(env.repeat_action_probability)),
        (network_key, json!(network)),
    ])
}

/// Writes what the checkpoint is of.
pub(crate) fn save(config: &Config, out: &mut Section) -> Result<(), CheckpointError> {
    let of = out.section_mut(SECTION);
    of.put("version", &env!("CARGO_PKG_VERSION"))?;
    settings(config)
        .iter()
        .try_for_each(|(name, value)| of.put(name, value))
}

/// Checks that the checkpoint `from`, read from `path`, is of what `config` says.
pub(crate) fn check(config: &Config, from: &Section, path: &Path) -> anyhow::Result<()> {
    let of = from.section(SECTION)?;
    for (name, value) in settings(config) {
        let trained: Value = of.get(name)?;
        if trained != value {
            bail!(
                "`{}` is a checkpoint of {name} = {trained}, but config.toml says {value}: they are not of the same run; put the config.toml \
                 of that run back",
                path.display()
            );
        }
    }
    Ok(())
}
