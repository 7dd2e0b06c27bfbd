//! Settings as nested tables: merging them, with errors for unknown names and invalid values.
//!
//! ```text
//! preset  ◄──  config file  ◄──  --set key=value        what is on the right replaces what is on the left
//! ```
//!
//! A preset contains every name, so names and values are checked against it.

use std::fmt;
use std::str::FromStr;

use coinop_atari::names::likeness;
use toml::{Table, Value};

use super::legacy::modernize;
use crate::count::parse_count;
use crate::output::say;

/// The maximum number of parts of a key. No setting has more, and parsing thousands of nested tables would overflow
/// the stack.
const MAX_PARTS: usize = 8;

/// The key that selects which other keys its table has.
const KIND: &str = "kind";

/// The only keys of a table that describes what a word names elsewhere: `body = { layers = … }` in place of `body = "a3c"`.
const DESCRIPTIONS: [&str; 2] = ["layers", "impala"];

/// A key of a schedule, which is a table or a number: `learning_rate = { from = 0.002, to = 0.0 }`.
const SCHEDULE: &str = "from";

/// The value that removes a setting that may be absent.
pub(super) const OFF: &str = "none";

/// An unknown setting or an invalid value.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("there is no setting `{key}`{}", nearest.as_ref().map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?")))]
    Unknown { key: String, nearest: Option<String> },
    #[error("`{key}` is in more than one section: write one of {candidates}")]
    Ambiguous { key: String, candidates: String },
    #[error("{key} = {value}: it must be {expected}")]
    Value {
        key: String,
        value: String,
        expected: String,
    },
    #[error("`{0}` is not of the form KEY=VALUE, e.g. ppo.gamma=0.98")]
    NoPair(String),
    #[error("{key} can't be set: it is chosen by {way}")]
    Elsewhere { key: String, way: &'static str },
    #[error("{0}")]
    Legacy(String),
}

/// Merges `over` into `base`.
///
/// `optional` lists the settings that may be absent, even from a preset. [`OFF`] removes them.
pub(crate) fn merge(base: &mut Table, mut over: Table, optional: &[String]) -> Result<(), KeyError> {
    for warning in modernize(&mut over, optional).map_err(KeyError::Legacy)? {
        say(&format!("warning: {warning}"));
    }
    let names = Names {
        all: names_in(base, optional),
        optional,
    };
    merge_below(base, over, "", &names)
}

/// The full names of all settings, and of those that may be absent.
struct Names<'a> {
    all: Vec<String>,
    optional: &'a [String],
}

/// One setting from the command line, `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// The name; its section may be omitted if the name is unambiguous.
    key: String,
    value: Value,
}

impl Setting {
    /// Whether this sets the setting with this full name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.key == name
    }

    /// Rejects settings that would have no effect because something else determines them.
    pub(crate) fn check_effect(&self, base: &Table) -> Result<(), KeyError> {
        let key = full_name(base, &self.key, &names_in(base, &[])).unwrap_or_else(|_| self.key.clone());
        let way = match key.as_str() {
            "run.preset" => "--preset NAME",
            "run.algo" => "--algo NAME",
            "run.env" => "the name after the command",
            _ => return Ok(()),
        };
        Err(KeyError::Elsewhere { key, way })
    }

    /// Prefixes the name with a section.
    pub(super) fn of(self, section: &str) -> Self {
        Self {
            key: format!("{section}.{}", self.key),
            ..self
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} = {}", self.key, self.value)
    }
}

impl FromStr for Setting {
    type Err = KeyError;

    fn from_str(pair: &str) -> Result<Self, KeyError> {
        let (key, value) = pair.split_once('=').ok_or_else(|| KeyError::NoPair(pair.to_owned()))?;
        Ok(Self {
            key: key.trim().to_owned(),
            value: parse_value(value.trim()),
        })
    }
}

/// Merges one setting into `base`; `optional` as in [`merge`].
pub(crate) fn set(base: &mut Table, setting: &Setting, optional: &[String]) -> Result<(), KeyError> {
    let key = full_name(base, &setting.key, &names_in(base, optional))?;
    if key.split('.').count() > MAX_PARTS {
        return Err(KeyError::Unknown { key, nearest: None });
    }
    let mut parts = key.rsplit('.');
    let last = parts.next().unwrap_or_default().to_owned();
    let innermost = Table::from_iter([(last, setting.value.clone())]);
    let over = parts.fold(innermost, |below, part| {
        Table::from_iter([(part.to_owned(), Value::Table(below))])
    });
    merge(base, over, optional)
}

fn merge_below(base: &mut Table, over: Table, prefix: &str, names: &Names<'_>) -> Result<(), KeyError> {
    let has_kind = base.contains_key(KIND);
    for (key, value) in over {
        let name = format!("{prefix}{key}");
        if value.as_str() == Some(OFF) && names.optional.contains(&name) {
            base.remove(&key);
            continue;
        }
        match base.get_mut(&key) {
            Some(Value::Table(below)) => match value {
                Value::Table(over) if changes_kind(below, &over) || describes_another(below, &over) => *below = over,
                Value::Table(over) => merge_below(below, over, &format!("{name}."), names)?,
                Value::String(word) if DESCRIPTIONS.iter().any(|description| below.keys().eq([description])) => {
                    base.insert(key, Value::String(word));
                }
                Value::Float(number) if below.contains_key(SCHEDULE) => {
                    base.insert(key, Value::Float(number));
                }
                Value::Integer(number) if below.contains_key(SCHEDULE) => {
                    base.insert(key, Value::Float(number as f64));
                }
                other => return Err(unfit(name, &other, "a section of settings")),
            },
            Some(old) => *old = coerce(&name, old, value)?,
            // The keys of a kind are checked when it is parsed.
            None if has_kind || names.all.contains(&name) => {
                base.insert(key, counted(&name, value));
            }
            None => {
                return Err(KeyError::Unknown {
                    nearest: of_other_tools(&name, &names.all).or_else(|| nearest(&name, &names.all)),
                    key: name,
                });
            }
        }
    }
    Ok(())
}

/// A number of frames may be written as `10M` also where there is no other value to take the type of.
fn counted(name: &str, value: Value) -> Value {
    let count = value.as_str().filter(|_| name.ends_with("frames")).map(parse_count);
    match count {
        Some(Ok(count)) => i64::try_from(count).map_or(value, Value::Integer),
        _ => value,
    }
}

/// Whether both describe what a word could name, by different keys.
fn describes_another(base: &Table, over: &Table) -> bool {
    let describes = |table: &Table| {
        DESCRIPTIONS
            .iter()
            .position(|description| table.keys().eq([description]))
    };
    matches!((describes(base), describes(over)), (Some(base), Some(over)) if base != over)
}

fn changes_kind(base: &Table, over: &Table) -> bool {
    over.get(KIND)
        .is_some_and(|kind| base.contains_key(KIND) && base.get(KIND) != Some(kind))
}

/// Converts `new` to the type of `old`.
fn coerce(key: &str, old: &Value, new: Value) -> Result<Value, KeyError> {
    let fits = match (old, &new) {
        (Value::Integer(_), Value::Integer(count)) => *count >= 0,
        (Value::Integer(_), Value::Float(number)) => {
            return match integer(*number) {
                Some(count) => Ok(Value::Integer(count)),
                None => Err(unfit(key.to_owned(), &new, expected(old))),
            };
        }
        (Value::Integer(_), Value::String(text)) => {
            let count = parse_count(text).ok().and_then(|count| i64::try_from(count).ok());
            return count
                .map(Value::Integer)
                .ok_or_else(|| unfit(key.to_owned(), &new, expected(old)));
        }
        (Value::Float(_), Value::Integer(number)) => return Ok(Value::Float(*number as f64)),
        (Value::Float(_), Value::Table(line)) => line.contains_key(SCHEDULE),
        // A table may describe what a word would name, e.g. the layers of a network. It is checked when it is parsed.
        (Value::String(_), Value::Table(_)) => true,
        _ => old.same_type(&new),
    };
    if fits {
        Ok(new)
    } else {
        Err(unfit(key.to_owned(), &new, expected(old)))
    }
}

/// Converts an integer written as `1e6`.
fn integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number)).then_some(number as i64)
}

fn expected(old: &Value) -> &'static str {
    match old {
        Value::Integer(_) => "a whole number from 0 to 9223372036854775807, e.g. 10M",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section of settings",
        Value::String(_) | Value::Datetime(_) => "a word",
    }
}

fn unfit(key: String, value: &Value, expected: &str) -> KeyError {
    KeyError::Value {
        key,
        value: value.to_string(),
        expected: expected.to_owned(),
    }
}

/// Parses a value; text that is not TOML becomes a string: `orthogonal`, `10M`, `/some/folder`.
fn parse_value(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
    let value = parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Completes a key that may lack its section. Keys of a table with a kind are resolved through their section, because
/// not all of them are known.
fn full_name(base: &Table, key: &str, names: &[String]) -> Result<String, KeyError> {
    let (first, rest) = key
        .split_once('.')
        .map_or((key, ""), |(first, _)| (first, &key[first.len()..]));
    if first.is_empty() || base.contains_key(first) || names.iter().any(|name| name == key) {
        return Ok(key.to_owned());
    }
    let suffix = format!(".{first}");
    let depth = |name: &str| name.matches('.').count();
    let candidates = || names.iter().filter(|name| name.ends_with(&suffix));
    // `epsilon` is a section of PAAC and also a value of its optimiser: the outer one is meant.
    let Some(outermost) = candidates().map(|name| depth(name)).min() else {
        return Ok(key.to_owned());
    };
    match candidates()
        .filter(|name| depth(name) == outermost)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [name] => Ok(format!("{name}{rest}")),
        many => {
            let candidates = many
                .iter()
                .map(|name| format!("`{name}{rest}`"))
                .collect::<Vec<_>>()
                .join(", ");
            Err(KeyError::Ambiguous {
                key: key.to_owned(),
                candidates,
            })
        }
    }
}

/// The full names of all settings and sections, including optional ones.
fn names_in(table: &Table, optional: &[String]) -> Vec<String> {
    let mut names = all_names(table, "");
    let absent = optional.iter().filter(|name| !names.contains(name)).cloned();
    names.extend(absent.collect::<Vec<_>>());
    names
}

/// The full names of all settings and sections in a table.
fn all_names(table: &Table, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in table {
        names.push(format!("{prefix}{key}"));
        if let Value::Table(below) = value {
            names.extend(all_names(below, &format!("{prefix}{key}.")));
        }
    }
    names
}

/// Names of settings in other tools (Stable-Baselines3, CleanRL, Sample Factory), by their last part, and our
/// equivalents.
const OF_OTHER_TOOLS: &[(&str, &str)] = &[
    ("lr", "learning_rate"),
    ("anneal_frames", "learning_rate.frames"),
    ("alpha", "learning_rate"),
    ("total_timesteps", "frames"),
    ("timesteps", "frames"),
    ("total_steps", "frames"),
    ("n_envs", "num_envs"),
    ("num_workers", "workers"),
    ("n_steps", "rollout_steps"),
    ("num_steps", "rollout_steps"),
    ("rollout", "rollout_steps"),
    ("t_max", "rollout_steps"),
    ("ent_coef", "entropy_weight"),
    ("vf_coef", "value_weight"),
    ("clip_range", "clip_ratio"),
    ("clip_coef", "clip_ratio"),
    ("n_epochs", "epochs"),
    ("update_epochs", "epochs"),
    ("num_minibatches", "minibatches"),
    ("discount", "gamma"),
    ("buffer_size", "capacity"),
    ("train_freq", "steps_per_update"),
    ("train_frequency", "steps_per_update"),
    ("target_update_interval", "target_frames"),
    ("target_network_frequency", "target_frames"),
    ("gae_lambda", "lambda"),
    ("q_lambda", "lambda"),
    ("n_atoms", "distribution.atoms"),
    ("num_atoms", "distribution.atoms"),
    ("v_min", "distribution.low"),
    ("v_max", "distribution.high"),
    ("n_quantiles", "distribution.quantiles"),
];

/// Returns our name for another tool's `key`, if the algorithm has it.
fn of_other_tools(key: &str, names: &[String]) -> Option<String> {
    let wanted = key.rsplit('.').next()?.replace('-', "_");
    let ours = OF_OTHER_TOOLS.iter().filter(|(theirs, _)| *theirs == wanted);
    let has = |(_, ours): &(&str, &str)| {
        let suffix = format!(".{ours}");
        let mut found = names.iter().filter(|name| name.ends_with(&suffix));
        found.next().cloned()
    };
    ours.filter_map(has).next()
}

/// Returns the name most similar to `key`, as a whole or in its last part.
fn nearest(key: &str, names: &[String]) -> Option<String> {
    fn last(name: &str) -> &str {
        name.rsplit('.').next().unwrap_or(name)
    }
    let either = |name: &str| likeness(name, key).max(likeness(last(name), last(key)) - 0.01);
    let best = names.iter().max_by(|a, b| either(a).total_cmp(&either(b)))?;
    (either(best) > 0.5).then(|| best.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Table {
        toml::from_str(
            "[run]\nframes = 100\nseed = 1\ndevice = 'cpu'\n[env]\nprotocol = 'sb3'\n\
             [ppo]\ngamma = 0.99\nseed = 2\nnormalize = true\n[ppo.epsilon]\nkind = 'fixed'\nvalue = 0.0\n\
             [ppo.optimizer]\nkind = 'adam'\nepsilon = 1e-5",
        )
        .unwrap()
    }

    fn after(pairs: &[&str]) -> Result<Table, KeyError> {
        let mut table = base();
        for pair in pairs {
            let optional = ["env.mode".to_owned(), "env.roms".to_owned()];
            set(&mut table, &pair.parse()?, &optional)?;
        }
        Ok(table)
    }

    fn error(pair: &str) -> String {
        after(&[pair]).unwrap_err().to_string()
    }

    #[test]
    fn values_take_the_type_of_the_preset() {
        let table = after(&[
            "frames=10M",
            "gamma=1",
            "device=cuda:1",
            "ppo.normalize=false",
            "run.seed = 1e3",
        ])
        .unwrap();
        assert_eq!(table["run"]["frames"], Value::Integer(10_000_000));
        assert_eq!(table["run"]["device"], Value::String("cuda:1".to_owned()));
        assert_eq!(table["run"]["seed"], Value::Integer(1_000));
        assert_eq!(table["ppo"]["gamma"], Value::Float(1.0));
        assert_eq!(table["ppo"]["normalize"], Value::Boolean(false));
    }

    #[test]
    fn settings_without_a_default_can_be_given() {
        let table = after(&["mode=3", "env.roms=/some/folder"]).unwrap();
        assert_eq!(table["env"]["mode"], Value::Integer(3));
        assert_eq!(table["env"]["roms"], Value::String("/some/folder".to_owned()));
    }

    #[test]
    fn a_schedule_is_a_number_or_a_line() {
        let mut table: Table =
            toml::from_str("[ppo]\nlearning_rate = { from = 0.002, to = 0.0 }\ngamma = 0.9").unwrap();
        let optional = ["ppo.learning_rate.frames".to_owned()];
        for (pair, expected) in [
            ("learning_rate.from=0.5", "{ from = 0.5, to = 0.0 }"),
            ("learning_rate.frames=1M", "{ frames = 1000000, from = 0.5, to = 0.0 }"),
            ("learning_rate=1", "1.0"),
            ("learning_rate={from=1e-3, to=0.0}", "{ from = 0.001, to = 0.0 }"),
            ("learning_rate.frames=9", "{ frames = 9, from = 0.001, to = 0.0 }"),
            ("learning_rate.frames=none", "{ from = 0.001, to = 0.0 }"),
        ] {
            set(&mut table, &pair.parse().unwrap(), &optional).unwrap();
            assert_eq!(table["ppo"]["learning_rate"].to_string(), expected, "{pair}");
        }
        assert!(set(&mut table, &"gamma={to=1}".parse().unwrap(), &optional).is_err());
    }

    #[test]
    fn a_setting_that_may_be_absent_can_be_removed() {
        let table = after(&["mode=3", "mode=none"]).unwrap();
        assert!(!table["env"].as_table().unwrap().contains_key("mode"));
        // Others can't.
        assert_eq!(error("gamma=none"), r#"ppo.gamma = "none": it must be a number"#);
    }

    #[test]
    fn another_kind_replaces_the_whole_table() {
        let table = after(&["ppo.epsilon.kind=uniform", "ppo.epsilon.low=0.1", "epsilon.high=0.2"]).unwrap();
        assert_eq!(
            table["ppo"]["epsilon"].to_string(),
            r#"{ high = 0.2, kind = "uniform", low = 0.1 }"#
        );
        let table = after(&["epsilon={kind='uniform', low=0.5}"]).unwrap();
        assert_eq!(
            table["ppo"]["epsilon"].to_string(),
            r#"{ kind = "uniform", low = 0.5 }"#
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        assert_eq!(
            error("ppo.gama=1"),
            "there is no setting `ppo.gama`; did you mean `ppo.gamma`?"
        );
        assert_eq!(
            error("protocoll=sb3"),
            "there is no setting `protocoll`; did you mean `env.protocol`?"
        );
        assert_eq!(error("pp0.gamma=1"), "there is no setting `pp0`; did you mean `ppo`?");
        assert_eq!(error("zzzzzz=1"), "there is no setting `zzzzzz`");
    }

    #[test]
    fn a_word_of_another_tool_names_ours() {
        for (pair, ours) in [
            ("total_timesteps=1", "run.frames"),
            ("ppo.discount=1", "ppo.gamma"),
            ("total-timesteps=1", "run.frames"),
        ] {
            let key = pair.trim_end_matches("=1");
            assert_eq!(
                error(pair),
                format!("there is no setting `{key}`; did you mean `{ours}`?")
            );
        }
    }

    #[test]
    fn a_bad_value_says_what_it_must_be() {
        assert_eq!(error("gamma=high"), r#"ppo.gamma = "high": it must be a number"#);
        assert_eq!(
            error("frames=-1"),
            "run.frames = -1: it must be a whole number from 0 to 9223372036854775807, e.g. 10M"
        );
        assert_eq!(
            error("frames=0.5"),
            "run.frames = 0.5: it must be a whole number from 0 to 9223372036854775807, e.g. 10M"
        );
        assert_eq!(error("normalize=1"), "ppo.normalize = 1: it must be true or false");
        assert_eq!(error("ppo=1"), "ppo = 1: it must be a section of settings");
        assert_eq!(
            error("gamma"),
            "`gamma` is not of the form KEY=VALUE, e.g. ppo.gamma=0.98"
        );
    }

    #[test]
    fn a_description_in_place_of_a_word_gives_way_to_a_word_again() {
        let mut table: Table = toml::from_str("[ppo.network]\nbody = 'a3c'").unwrap();
        for (pair, expected) in [
            ("body={layers={hidden=[9]}}", "body = { layers = { hidden = [9] } }"),
            ("body={impala={hidden=9}}", "body = { impala = { hidden = 9 } }"),
            ("body=nature", "body = 'nature'"),
        ] {
            set(&mut table, &pair.parse().unwrap(), &[]).unwrap();
            assert_eq!(table["ppo"]["network"], Value::Table(toml::from_str(expected).unwrap()));
        }
    }

    #[test]
    fn a_key_of_two_sections_needs_its_section() {
        assert_eq!(
            error("seed=3"),
            "`seed` is in more than one section: write one of `ppo.seed`, `run.seed`"
        );
    }
}
