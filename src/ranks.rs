//! The processes that `mpirun` started, if it did.

use std::sync::OnceLock;

use anyhow::bail;
use coinop_agents::distributed::{self, Ranks};

use crate::config::Config;
use crate::output;

/// The ranks that were started.
static STARTED: OnceLock<Ranks> = OnceLock::new();

/// Tells of an error and ends all ranks, which would otherwise wait for this one; does nothing for a process alone.
pub(crate) fn end_all(error: &anyhow::Error) {
    if let Some(ranks) = STARTED.get().filter(|ranks| !ranks.is_alone()) {
        output::say_error(&format!("rank {}: {error}", ranks.rank()));
        ranks.abort();
    }
}

/// Says goodbye to the other ranks.
pub(crate) fn finish() {
    if let Some(ranks) = STARTED.get() {
        ranks.finish();
    }
}

/// The ranks of this process: itself alone, or those that were started together.
pub(crate) fn ranks(fast: bool) -> anyhow::Result<Ranks> {
    if !distributed::is_started() {
        if fast {
            bail!("--fast-reduce requires several processes, e.g. `mpirun -n 4 coinop …`");
        }
        return Ok(Ranks::default());
    }
    let ranks = start(fast)?;
    Ok(STARTED.get_or_init(|| ranks).clone())
}

#[cfg(feature = "mpi")]
fn start(fast: bool) -> anyhow::Result<Ranks> {
    Ok(Ranks::new(distributed::mpi::Mpi::start(fast)?))
}

#[cfg(not(feature = "mpi"))]
fn start(_: bool) -> anyhow::Result<Ranks> {
    bail!(
        "mpirun started this program, which was built without MPI: build it with `cargo build --release --features mpi`"
    )
}

/// Checks that all ranks were asked for the same. The precision, which a trial may have chosen, becomes that of rank 0.
pub(crate) fn agree(ranks: &Ranks, config: Config) -> anyhow::Result<Config> {
    if ranks.is_alone() {
        return Ok(config);
    }
    let chosen = config
        .algo
        .network()
        .map(|network| serde_json::to_string(&network.precision));
    let chosen = ranks.broadcast(chosen.transpose()?.unwrap_or_default().as_bytes())?;
    let config = match String::from_utf8(chosen)?.as_str() {
        "" => config,
        precision => {
            let setting = format!("{}.network.precision={precision}", config.algo.name());
            config.with(&[setting.parse()?])?
        }
    };
    let version = option_env!("COINOP_COMMIT").unwrap_or(env!("CARGO_PKG_VERSION"));
    let all = ranks.gather(format!("coinop = {version}\n{}", of_any_machine(&config)?).as_bytes())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let first = text(&all[0]);
    for (rank, other) in all.iter().enumerate() {
        if let Some((theirs, ours)) = difference(&text(other), &first) {
            bail!("rank {rank} has `{theirs}` and rank 0 has `{ours}`: start all ranks with the same command");
        }
    }
    Ok(config)
}

/// The settings that all ranks must share: not those of a machine.
fn of_any_machine(config: &Config) -> anyhow::Result<String> {
    let mut config = config.clone();
    (config.run.env_threads, config.run.torch_threads) = (1, 1);
    config.run.device.clear();
    if let Some(atari) = config.env_info()?.atari_mut(&mut config.env) {
        // Of every game, only one ROM is accepted.
        atari.roms = None;
    }
    config.to_toml()
}

/// The first lines in which two texts differ.
fn difference<'a>(a: &'a str, b: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut a, mut b) = (a.lines(), b.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((one.unwrap_or("nothing"), other.unwrap_or("nothing"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_that_differ_are_named() {
        assert_eq!(difference("a = 1\nb = 2\n", "a = 1\nb = 3\n"), Some(("b = 2", "b = 3")));
        assert_eq!(difference("a = 1\n", "a = 1\nb = 3\n"), Some(("nothing", "b = 3")));
        assert_eq!(difference("a = 1\n", "a = 1\n"), None);
    }
}
