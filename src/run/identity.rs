//! What a checkpoint is of.
//!
//! A checkpoint is read beside a `config.toml`, which says how to build what it is loaded into. Both are files that people move and
//! edit, so the checkpoint carries the settings that decide what its numbers mean, and they are compared before it is used.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use coinop_agents::Section;
use coinop_envs::registry::Family;
use serde_json::{Value, json};

use crate::config::Config;

/// The section's name in a checkpoint.
const SECTION: &str = "of";

/// The settings that a checkpoint has a meaning with, by name.
fn settings(config: &Config) -> anyhow::Result<BTreeMap<String, Value>> {
    let (run, algo) = (&config.run, config.run.algo.name());
    let mut settings = BTreeMap::from([
        ("run.algo".to_owned(), json!(run.algo)),
        ("run.env".to_owned(), json!(run.env)),
    ]);
    if let Some(network) = config.algo.network() {
        settings.extend([
            (format!("{algo}.network.body"), json!(network.body)),
            (format!("{algo}.network.core"), json!(network.core)),
        ]);
    }
    match config.env_info()?.family {
        Family::Atari => {
            let env = &config.env.atari;
            settings.extend([
                ("env.protocol".to_owned(), json!(env.protocol)),
                ("env.all_actions".to_owned(), json!(env.all_actions)),
                ("env.mode".to_owned(), json!(env.mode)),
                ("env.difficulty".to_owned(), json!(env.difficulty)),
                (
                    "env.repeat_action_probability".to_owned(),
                    json!(env.repeat_action_probability),
                ),
            ]);
        }
        Family::Arcade | Family::Classic | Family::GymRs | Family::Custom => {}
    }
    Ok(settings)
}

/// Writes what the checkpoint is of.
pub(crate) fn save(config: &Config, out: &mut Section) -> anyhow::Result<()> {
    let of = out.section_mut(SECTION);
    of.put("version", &env!("CARGO_PKG_VERSION"))?;
    for (name, value) in settings(config)? {
        of.put(&name, &value)?;
    }
    Ok(())
}

/// Checks that the checkpoint `from`, read from `path`, is of what `config` says.
pub(crate) fn check(config: &Config, from: &Section, path: &Path) -> anyhow::Result<()> {
    let of = from.section(SECTION)?;
    for (name, value) in settings(config)? {
        let trained: Value = of.get(&name)?;
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
