//! Runs that are shown together.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::run::dir::RunDir;

/// Runs whose settings differ in the seed alone.
pub(crate) struct Group<'a> {
    pub(crate) runs: Vec<&'a PathBuf>,
    pub(crate) name: String,
}

impl<'a> Group<'a> {
    fn of_one(run: &'a PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            runs: vec![run],
            name: folder_name(run)?,
        })
    }
}

/// Groups runs by their settings, in the order of their first ones; with `each`, every run is a group.
pub(crate) fn groups(runs: &[PathBuf], each: bool) -> anyhow::Result<Vec<Group<'_>>> {
    if each {
        return runs.iter().map(Group::of_one).collect();
    }
    let mut groups: Vec<(String, Group<'_>)> = Vec::new();
    for run in runs {
        let settings = Config::read(&RunDir::open(run)?.config())?.hash()?;
        match groups.iter_mut().find(|(others, _)| *others == settings) {
            Some((_, group)) => group.runs.push(run),
            None => groups.push((settings, Group::of_one(run)?)),
        }
    }
    let mut groups: Vec<Group<'_>> = groups.into_iter().map(|(_, group)| group).collect();
    for group in &mut groups {
        if group.runs.len() > 1 {
            let names = group.runs.iter().map(|run| folder_name(run));
            group.name = name_of_all(&names.collect::<anyhow::Result<Vec<_>>>()?);
        }
    }
    Ok(groups)
}

/// `pong-ppo (3 runs)` of `pong-ppo-1`, `pong-ppo-2` and `pong-ppo-3`; all names if they do not begin alike.
fn name_of_all(names: &[String]) -> String {
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let len = names.iter().map(|name| shared(name, &names[0])).min().unwrap_or(0);
    let same = names[0].get(..len).unwrap_or_default();
    let same = same.trim_end_matches(|c: char| !c.is_alphabetic());
    if same.is_empty() {
        return names.join(", ");
    }
    format!("{same} ({} runs)", names.len())
}

/// The name of a run: that of its folder.
pub(crate) fn folder_name(run: &Path) -> anyhow::Result<String> {
    let dir = RunDir::open(run)?;
    let name = dir.path().file_name().unwrap_or(dir.path().as_os_str());
    Ok(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_kind_have_one_name() {
        let name = |names: &[&str]| name_of_all(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(name(&["pong-ppo-1", "pong-ppo-2", "pong-ppo-13"]), "pong-ppo (3 runs)");
        assert_eq!(name(&["pong-ppo-1", "pong-ppo-1"]), "pong-ppo (2 runs)");
        assert_eq!(name(&["1", "2"]), "1, 2");
        assert_eq!(name(&["gä1", "gö1"]), "gä1, gö1");
    }
}
