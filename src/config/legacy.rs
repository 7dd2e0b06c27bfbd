//! Settings as earlier versions wrote them.
//!
//! * PAAC had the settings of PPO, which is now an algorithm of its own. Where they were those of PAAC they are
//!   dropped; where they were those of PPO they are refused.
//! * Some settings were 0 where they are now absent.
//! * Schedules were two settings: `learning_rate` and `anneal_frames`, `beta` and `beta_frames`.

use toml::{Table, Value};

use super::keys::OFF;

/// The settings that PAAC had, with the values that PAAC itself has.
const OF_PPO: [(&str, f64); 4] = [
    ("epochs", 1.0),
    ("minibatches", 1.0),
    ("clip_ratio", 0.0),
    ("target_kl", 0.0),
];

/// Rewrites the settings of a whole or partial configuration; `optional` has the full names of those that may be
/// absent. Returns warnings.
///
/// # Errors
///
/// If they are of an algorithm that now has another name.
pub(super) fn modernize(table: &mut Table, optional: &[String]) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    if let Some(Value::Table(paac)) = table.get_mut("paac") {
        for (name, plain) in OF_PPO {
            match paac.get(name).and_then(number) {
                None => {}
                Some(value) if value == plain => {
                    paac.remove(name);
                    warnings.push(format!(
                        "paac has no {name} any more, and {plain} is what it does: leave it out"
                    ));
                }
                Some(value) => {
                    return Err(format!(
                        "paac.{name} = {value}: what was called paac with a clip or several epochs is ppo now; use --algo ppo and the section \
                         [ppo], without loss_scale"
                    ));
                }
            }
        }
    }
    for (_, section) in table.iter_mut() {
        let Value::Table(section) = section else { continue };
        warnings.extend(schedule(section, "learning_rate", "anneal_frames", 0.0));
        if let Some(Value::Table(sampler)) = section.get_mut("sampler") {
            warnings.extend(schedule(sampler, "beta", "beta_frames", 1.0));
        }
    }
    for full in optional {
        let Some((section, name)) = full.split_once('.') else {
            continue;
        };
        let Some(Value::Table(section)) = table.get_mut(section) else {
            continue;
        };
        if WERE_0.contains(&name) && section.get(name).and_then(number) == Some(0.0) {
            section.insert(name.to_owned(), Value::String(OFF.to_owned()));
            warnings.push(format!(
                "{full} = 0 is read as {OFF}: write {full} = \"{OFF}\", or leave it out"
            ));
        }
    }
    Ok(warnings)
}

/// Removes what is [`OFF`] from a complete configuration.
pub(super) fn remove_off(table: &mut Table, optional: &[String]) {
    for full in optional {
        let mut parts: Vec<&str> = full.split('.').collect();
        let Some(last) = parts.pop() else { continue };
        let section = parts
            .into_iter()
            .try_fold(&mut *table, |table, part| table.get_mut(part)?.as_table_mut());
        if let Some(section) = section
            && section.get(last).and_then(Value::as_str) == Some(OFF)
        {
            section.remove(last);
        }
    }
}

/// The settings for which 0 was nothing.
const WERE_0: [&str; 4] = ["target_kl", "max_grad_norm", "error_clip", "max_learning_rate"];

/// Joins a value and the frames over which it changed linearly to `to`, where 0 frames were the whole run.
fn schedule(section: &mut Table, name: &str, frames_name: &str, to: f64) -> Option<String> {
    let frames = section.remove(frames_name)?;
    let mut line = Table::from_iter([("to".to_owned(), Value::Float(to))]);
    if let Some(from) = section.get(name).and_then(number) {
        line.insert("from".to_owned(), Value::Float(from));
    }
    if number(&frames) != Some(0.0) {
        line.insert("frames".to_owned(), frames);
    }
    section.insert(name.to_owned(), Value::Table(line));
    Some(format!(
        "{frames_name} is a part of {name} now: write {name} = {}",
        section[name]
    ))
}

fn number(value: &Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|value| value as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modernized(text: &str) -> Result<(Table, usize), String> {
        let mut table: Table = toml::from_str(text).unwrap();
        let warnings = modernize(&mut table, &["ppo.target_kl".to_owned(), "env.mode".to_owned()])?;
        Ok((table, warnings.len()))
    }

    #[test]
    fn a_plain_update_was_paac_and_a_clip_was_ppo() {
        let (table, warnings) =
            modernized("[paac]\nepochs = 1\ntarget_kl = 0.0\nminibatches = 1\nclip_ratio = 0.0\ngamma = 0.9").unwrap();
        assert_eq!((table["paac"].to_string().as_str(), warnings), ("{ gamma = 0.9 }", 4));
        assert_eq!(
            modernized("[paac]\nclip_ratio = 0.2").unwrap_err(),
            "paac.clip_ratio = 0.2: what was called paac with a clip or several epochs is ppo now; use --algo ppo and the section [ppo], \
             without loss_scale"
        );
        assert!(modernized("[paac]\nepochs = 3").is_err());
    }

    #[test]
    fn two_settings_become_one_schedule() {
        let (table, warnings) = modernized(
            "[ppo]\nlearning_rate = 0.5\nanneal_frames = 0\n[double-dqn.sampler]\nkind = 'proportional'\nbeta = 0.4\nbeta_frames = 9",
        )
        .unwrap();
        assert_eq!(table["ppo"].to_string(), "{ learning_rate = { from = 0.5, to = 0.0 } }");
        let sampler = &table["double-dqn"]["sampler"];
        assert_eq!(sampler["beta"].to_string(), "{ frames = 9, from = 0.4, to = 1.0 }");
        assert_eq!((sampler.get("beta_frames"), warnings), (None, 2));
    }

    #[test]
    fn a_0_that_was_nothing_is_off_and_any_other_0_stays() {
        let (table, warnings) = modernized("[ppo]\ntarget_kl = 0.0\nentropy_weight = 0.0\n[env]\nmode = 0").unwrap();
        assert_eq!(table["ppo"]["target_kl"].as_str(), Some(OFF));
        assert_eq!(table["ppo"]["entropy_weight"].as_float(), Some(0.0));
        assert_eq!((table["env"]["mode"].as_integer(), warnings), (Some(0), 1));
    }
}
