//! `coinop envs`: lists environments, or the options of one.

use coinop_atari::find_game;
use coinop_envs::EnvError;
use coinop_envs::registry::{self, EnvInfo, EnvOptions};
use serde_json::json;

use crate::config::EnvName;
use crate::output;

pub(crate) fn run(name: Option<&EnvName>, as_json: bool) -> anyhow::Result<()> {
    let text = match name {
        Some(name) => {
            let (env, options) = name.resolve()?;
            match as_json {
                true => serde_json::to_string_pretty(&json(&env))? + "\n",
                false => one(&env, &options)?,
            }
        }
        None if as_json => serde_json::to_string_pretty(&registry::list().iter().map(json).collect::<Vec<_>>())? + "\n",
        None => all(&registry::list()),
    };
    output::print(&text)?;
    Ok(())
}

/// The name that selects an environment.
fn name(env: &EnvInfo) -> String {
    match registry::find(env.short) {
        Ok(found) if found == *env => env.short.to_owned(),
        // The short name is another's.
        _ => env.id(),
    }
}

fn json(env: &EnvInfo) -> serde_json::Value {
    let mut value = json!({
        "name": name(env),
        "full_name": env.id(),
        "family": env.family.name(),
        "observations": env.observations.name(),
        "num_actions": env.num_actions().ok(),
        "gymnasium": env.gymnasium,
    });
    // Other families have neither.
    if let (Some(_), Ok(game)) = (env.atari(&EnvOptions::default()), find_game(env.short)) {
        let actions: Vec<&str> = game.minimal_actions.iter().map(|action| action.name()).collect();
        value["actions"] = json!(actions);
        value["modes"] = json!(game.modes);
        value["default_mode"] = json!(game.default_mode);
        value["difficulties"] = json!(game.difficulties);
    }
    value
}

fn all(envs: &[EnvInfo]) -> String {
    let width = envs.iter().map(|env| name(env).len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:>7}  {:12}  full name\n",
        "name", "actions", "observations"
    );
    for env in envs {
        text += &format!(
            "{:width$}  {:>7}  {:12}  {}\n",
            name(env),
            env.num_actions()
                .map_or_else(|_| "-".to_owned(), |actions| actions.to_string()),
            env.observations.name(),
            env.id()
        );
    }
    text
}

fn one(env: &EnvInfo, options: &EnvOptions) -> anyhow::Result<String> {
    let mut text = format!("{}\nobservations  {}\n", env.id(), env.observations.name());
    let Some(chosen) = env.atari(options) else {
        return Ok(text + &format!("actions       {}\n", env.num_actions()?));
    };
    let game = find_game(env.short)?;
    let names: Vec<&str> = game.minimal_actions.iter().map(|action| action.name()).collect();
    let (playable, over): (Vec<u32>, Vec<u32>) =
        game.modes.iter().partition(|mode| can_be_played(env, options, **mode));
    let (modes, difficulties) = (numbers(&playable), numbers(game.difficulties));
    text += &format!("actions       {}: {}\n", names.len(), names.join(", "));
    text += &format!("modes         {modes}; {} unless chosen\n", game.default_mode);
    if !over.is_empty() {
        text += &format!(
            "              not {}, which are over as soon as they begin\n",
            numbers(&over)
        );
    }
    text += &format!("difficulties  {difficulties}; 0 unless chosen\n");
    if let (Some(mode), Some(difficulty)) = (playable.last(), game.difficulties.last()) {
        let short = env.short;
        text += &format!("choose them   {short}@mode={mode},difficulty={difficulty}\n");
        if let Some(mode) = chosen.mode {
            text += &format!(
                "chosen        mode {mode}, difficulty {}, protocol {}\n",
                chosen.difficulty, chosen.protocol
            );
        }
    }
    Ok(text)
}

/// Whether a run can start in a mode. Without the ROM this is unknown, and all modes are listed.
fn can_be_played(env: &EnvInfo, options: &EnvOptions, mode: u32) -> bool {
    let mut options = options.clone();
    if let Some(atari) = env.atari_mut(&mut options) {
        atari.mode = Some(mode);
    }
    !matches!(env.factory(&options), Err(EnvError::BadSetting(_)))
}

fn numbers(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(", ")
}
