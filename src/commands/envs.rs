//! `coinop envs`: the environments, one per line.

use coinop_envs::registry;

use crate::output;

pub(crate) fn run() -> anyhow::Result<()> {
    let envs = registry::list();
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
    output::print(&text)?;
    Ok(())
}
