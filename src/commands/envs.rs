//! `coinop envs`: the environments, one per line, or what can be chosen of one.

use coinop_atari::{Action, find_game};
use coinop_envs::registry::{self, EnvInfo, Family};

use crate::output;

pub(crate) fn run(name: Option<&str>) -> anyhow::Result<()> {
    let text = match name {
        Some(name) => one(&registry::find(name)?)?,
        None => all(&registry::list()),
    };
    output::print(&text)?;
    Ok(())
}

fn all(envs: &[EnvInfo]) -> String {
    let width = envs.iter().map(|env| env.short.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:>7}  {:12}  full name\n",
        "name", "actions", "observations"
    );
    for env in envs {
        text += &format!(
            "{:width$}  {:>7}  {:12}  {}\n",
            env.short,
            env.num_actions,
            env.observations.name(),
            env.id()
        );
    }
    text
}

fn one(env: &EnvInfo) -> anyhow::Result<String> {
    let mut text = format!("{}\nobservations  {}\n", env.id(), env.observations.name());
    if env.family != Family::Atari {
        return Ok(text + &format!("actions       {}\n", env.num_actions));
    }
    let game = find_game(env.short)?;
    let names: Vec<String> = game.minimal_actions.iter().map(|&action| name_of(action)).collect();
    let (modes, difficulties) = (numbers(game.modes), numbers(game.difficulties));
    text += &format!("actions       {}: {}\n", names.len(), names.join(", "));
    text += &format!("modes         {modes}; {} unless chosen\n", game.default_mode);
    text += &format!("difficulties  {difficulties}; 0 unless chosen\n");
    if let (Some(mode), Some(difficulty)) = (game.modes.last(), game.difficulties.last()) {
        let short = env.short;
        text += &format!("choose them   {short}@mode={mode},difficulty={difficulty}\n");
    }
    Ok(text)
}

fn name_of(action: Action) -> String {
    format!("{action:?}").to_lowercase()
}

fn numbers(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(", ")
}
