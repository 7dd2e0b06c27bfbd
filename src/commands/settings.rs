//! `coinop settings`: every setting with its meaning, its value, and those of the other presets.

use anyhow::bail;
use coinop_agents::algorithm::Preset;
use coinop_envs::registry::EnvOptions;
use schemars::schema_for;
use serde_json::{Value as Json, json};
use toml::{Table, Value};

use crate::algo::Algo;
use crate::cli::SettingsArgs;
use crate::config::{Config, Request, RunConfig, optional_settings};
use crate::output;

/// The number of columns of the text.
const COLUMNS: usize = 100;

pub(crate) fn run(args: &SettingsArgs) -> anyhow::Result<()> {
    let algo = args.algo.unwrap_or_default();
    let of_preset = |preset: Option<&str>| -> anyhow::Result<Config> {
        Config::resolve(&Request {
            env: Some(args.env.clone()),
            algo: Some(algo),
            preset: preset.map(str::to_owned),
            ..Request::default()
        })
    };
    let config = of_preset(args.preset.as_deref())?;
    let observations = config.env_info()?.observations;
    let chosen = flat(&toml::from_str(&config.to_toml()?)?);
    let mut others = Vec::new();
    for preset in algo.presets(observations).iter().map(Preset::name) {
        if preset != config.run.preset {
            let other = of_preset(Some(preset))?;
            others.push((preset.to_owned(), flat(&toml::from_str(&other.to_toml()?)?)));
        }
    }
    let known = Known::of(&config, algo)?;
    let mut names: Vec<String> = chosen.iter().map(|(name, _)| name.clone()).collect();
    for (_, other) in &others {
        names.extend(other.iter().map(|(name, _)| name.clone()));
    }
    names.extend(optional_settings(&config.env_info()?, algo));
    // In the order of the file, each once.
    let mut rows: Vec<Row> = Vec::new();
    for name in names {
        let is_there = rows.iter().any(|row| row.name == name);
        let is_given = ["run.env", "run.algo", "run.preset"].contains(&name.as_str());
        let is_wanted = args.about.iter().all(|word| name.contains(word.as_str()));
        if is_there || is_given || !is_wanted {
            continue;
        }
        let value = value_of(&chosen, &name);
        let differs = |(preset, other): &(String, Flat)| {
            let theirs = value_of(other, &name);
            (theirs != value).then(|| (preset.clone(), theirs))
        };
        rows.push(Row {
            others: others.iter().filter_map(differs).collect(),
            about: known.about(&name),
            value,
            name,
        });
    }
    // Those of one section together.
    let sections = ["run.", "env."];
    rows.sort_by_key(|row| {
        let of = sections.iter().position(|section| row.name.starts_with(section));
        of.unwrap_or(sections.len())
    });
    if rows.is_empty() {
        bail!(
            "no setting of {} on {} contains `{}`",
            algo.name(),
            config.run.env,
            args.about.join("` and `")
        );
    }
    let text = if args.json {
        let rows: Vec<Json> = rows.iter().map(Row::json).collect();
        serde_json::to_string_pretty(&json!({
            "env": config.run.env,
            "algo": algo.name(),
            "preset": config.run.preset,
            "settings": rows,
        }))? + "\n"
    } else {
        let mut text = format!(
            "{} on {}, preset {}: change a setting with --set NAME=VALUE\n",
            algo.name(),
            config.run.env,
            config.run.preset
        );
        rows.iter().for_each(|row| text += &row.text());
        text
    };
    output::print(&text)?;
    Ok(())
}

/// Settings by their full names, in the order of the file.
type Flat = Vec<(String, Value)>;

/// The settings of a table by their full names. A table that describes a value, e.g. a list of layers, is one of them.
fn flat(table: &Table) -> Flat {
    fn add(table: &Table, before: &str, into: &mut Flat) {
        for (name, value) in table {
            let name = format!("{before}{name}");
            match value {
                Value::Table(inner) if !name.ends_with(".body") => add(inner, &format!("{name}."), into),
                value => into.push((name, value.clone())),
            }
        }
    }
    let mut all = Vec::new();
    add(table, "", &mut all);
    all
}

/// The settings of a run by their full names, as text.
pub(crate) fn flat_settings(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let settings = flat(&toml::from_str(&config.to_toml()?)?);
    Ok(settings
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .collect())
}

fn value_of(settings: &Flat, name: &str) -> Option<Value> {
    let found = settings.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.clone())
}

struct Row {
    name: String,
    /// `None` if it is not set.
    value: Option<Value>,
    /// The values of presets that differ.
    others: Vec<(String, Option<Value>)>,
    about: Option<String>,
}

fn in_words(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), Value::to_string)
}

impl Row {
    fn text(&self) -> String {
        let mut text = format!("\n{} = {}", self.name, in_words(self.value.as_ref()));
        if !self.others.is_empty() {
            let others = self.others.iter();
            let others: Vec<String> = others
                .map(|(preset, value)| format!("{preset}: {}", in_words(value.as_ref())))
                .collect();
            text += &format!("    ({})", others.join(", "));
        }
        text.push('\n');
        for line in self.about.as_deref().map(lines).unwrap_or_default() {
            text += &format!("    {line}\n");
        }
        text
    }

    fn json(&self) -> Json {
        let others = self.others.iter();
        let others = others.map(|(preset, value)| (preset.clone(), json!(value)));
        json!({
            "name": self.name,
            "value": self.value,
            "presets": others.collect::<serde_json::Map<_, _>>(),
            "about": self.about,
        })
    }
}

/// Breaks a text into lines.
fn lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS - 4 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What is known of the settings.
struct Known(Vec<(String, Json)>);

impl Known {
    fn of(config: &Config, algo: Algo) -> anyhow::Result<Self> {
        let mut schemas = vec![("run".to_owned(), schema_for!(RunConfig).to_value())];
        if let Some(schema) = EnvOptions::schema(config.env_info()?.family) {
            schemas.push(("env".to_owned(), schema.to_value()));
        }
        if let Some(schema) = algo.schema() {
            schemas.push((algo.name().to_owned(), schema.to_value()));
        }
        Ok(Self(schemas))
    }

    /// What a setting means; `None` if its algorithm does not say.
    fn about(&self, name: &str) -> Option<String> {
        let (section, rest) = name.split_once('.')?;
        let (_, schema) = self.0.iter().find(|(other, _)| other == section)?;
        let path: Vec<&str> = rest.split('.').collect();
        let nodes_of = |path: &[&str]| nodes(schema, schema, path);
        let described = |nodes: &[&Json]| {
            let mut all = nodes.iter().filter_map(|node| node["description"].as_str());
            all.next().map(plain)
        };
        let (nodes, outer) = (nodes_of(&path), nodes_of(&path[..path.len() - 1]));
        // What a part of a value is for: the bounds of an epsilon, the ends of a learning rate.
        let outer = match path.as_slice() {
            [_] | ["network", _] => None,
            _ => described(&outer),
        };
        let parts = [outer, described(&nodes)];
        let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return None;
        }
        let choices = choices(schema, &nodes);
        if choices.len() > 1 {
            text += &format!(" One of {}.", choices.join(", "));
        }
        Some(text)
    }
}

/// The descriptions of a setting: several, if it is in several of the forms that its section may have.
fn nodes<'a>(root: &'a Json, node: &'a Json, path: &[&str]) -> Vec<&'a Json> {
    let Some((name, rest)) = path.split_first() else {
        return vec![node];
    };
    let mut found = Vec::new();
    for form in forms(root, node) {
        if let Some(property) = form["properties"].get(name) {
            found.extend(nodes(root, property, rest));
        }
    }
    found
}

/// A schema, what it refers to, and its alternatives.
fn forms<'a>(root: &'a Json, node: &'a Json) -> Vec<&'a Json> {
    let mut all = vec![node];
    if let Some(path) = node["$ref"].as_str()
        && let Some(target) = root.pointer(path.trim_start_matches('#'))
    {
        all.extend(forms(root, target));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for alternative in node[key].as_array().into_iter().flatten() {
            all.extend(forms(root, alternative));
        }
    }
    all
}

/// The words that a setting accepts.
fn choices(root: &Json, nodes: &[&Json]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for form in nodes.iter().flat_map(|node| forms(root, node)) {
        let lists = ["enum", "examples"].map(|key| form[key].as_array());
        let words = lists.into_iter().flatten().flatten().chain([&form["const"]]);
        for word in words.filter_map(Json::as_str) {
            if !found.iter().any(|other| other == word) {
                found.push(word.to_owned());
            }
        }
    }
    found
}

/// Documentation without the links of Rust.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some(open) = rest.find('[') {
        text += &rest[..open];
        rest = &rest[open + 1..];
        let Some(close) = rest.find(']') else {
            text.push('[');
            break;
        };
        let (inner, after) = (&rest[..close], &rest[close + 1..]);
        match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, left)) => {
                text += inner;
                rest = left;
            }
            // A link to an item of that name, or brackets that mean themselves.
            None if inner.starts_with('`') => {
                text += inner;
                rest = after;
            }
            None => {
                text += &format!("[{inner}]");
                rest = after;
            }
        }
    }
    (text + rest).replace('\n', " ").replace("`None`", "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_their_text() {
        assert_eq!(
            plain(
                "If the mean of [`approx_kl`](crate::on_policy::OnPolicyStats::approx_kl) over\nan epoch exceeds this"
            ),
            "If the mean of `approx_kl` over an epoch exceeds this"
        );
        assert_eq!(plain("see [`new`], in [0, 1]"), "see `new`, in [0, 1]");
        assert_eq!(plain("an open [ stays"), "an open [ stays");
    }

    #[test]
    fn every_setting_of_every_algorithm_says_what_it_means() {
        for algo in [
            "ppo",
            "paac",
            "a3c",
            "double-dqn",
            "pqn",
            "impala",
            "async-q",
            "async-sarsa",
            "async-nstep-q",
            "distill",
        ] {
            let algo = Algo::find(algo).unwrap();
            for env in ["pong", "cartpole", "bricks"] {
                let env: crate::config::EnvName = env.parse().unwrap();
                let observations = env.find().unwrap().0.observations;
                for preset in algo.presets(observations) {
                    let config = Config::resolve(&Request {
                        env: Some(env.clone()),
                        algo: Some(algo),
                        preset: Some(preset.name().to_owned()),
                        ..Request::default()
                    })
                    .unwrap();
                    let known = Known::of(&config, algo).unwrap();
                    let mut names: Vec<String> = flat(&toml::from_str(&config.to_toml().unwrap()).unwrap())
                        .into_iter()
                        .map(|(name, _)| name)
                        .collect();
                    names.extend(optional_settings(&config.env_info().unwrap(), algo));
                    for name in names {
                        let about = known.about(&name);
                        assert!(about.is_some_and(|about| about.len() > 5), "{}: {name}", algo.name());
                    }
                }
            }
        }
    }

    #[test]
    fn words_that_a_setting_may_be_are_listed() {
        let algo = Algo::find("ppo").unwrap();
        let config = Config::resolve(&Request {
            env: Some("pong".parse().unwrap()),
            ..Request::default()
        })
        .unwrap();
        let known = Known::of(&config, algo).unwrap();
        let about = known.about("ppo.epsilon.kind").unwrap();
        assert!(
            about.ends_with("One of fixed, uniform, discrete, linear, annealed, ladder."),
            "{about}"
        );
        let about = known.about("ppo.network.body").unwrap();
        assert!(about.contains("One of nature, a3c, mlp, impala"), "{about}");
        let about = known.about("env.protocol").unwrap();
        assert!(about.contains("One of nature, machado, sb3"), "{about}");
    }
}
