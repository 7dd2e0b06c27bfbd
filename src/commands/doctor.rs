//! `coinop doctor`: checks that everything coinop needs is there and works, and says how to fix what does not.

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use coinop_agents::algorithm::Algorithm;
use coinop_agents::network::Precision;
use coinop_agents::ppo::PpoConfig;
use coinop_agents::{Device, device, set_torch_threads};
use coinop_atari::{AtariError, Rom, find_game};
use coinop_envs::registry::{self, Family};
use coinop_envs::{EnvSpec, Shape, memory};
use serde::Serialize;

use crate::algo::Algo;
use crate::bench::Machine;
use crate::cli::DoctorArgs;
use crate::commands::train::new_trainer;
use crate::config::{Config, Request, cores};
use crate::count::{counted, short};
use crate::output;

/// Less free disk space than this may not be enough for a run with a large replay memory.
const LITTLE_DISK: u64 = 2_000_000_000;
/// Less free memory than this is little for a replay memory of a million frames.
const LITTLE_MEMORY: u64 = 1_000_000_000;
/// How long each part is tried.
const TRIAL: Duration = Duration::from_millis(700);

pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    let mut find = |what: &'static str, (state, text): (State, String)| {
        let finding = Finding { what, state, text };
        if !args.json {
            output::print(&format!("{finding}\n"))?;
        }
        findings.push(finding);
        anyhow::Ok(())
    };
    set_torch_threads(cores());
    find("program", program())?;
    find("toolchain", toolchain())?;
    find("libtorch", libtorch())?;
    find("GPU", gpu())?;
    find("processor", processor())?;
    find("cores", the_cores())?;
    find("memory", the_memory())?;
    find("disk", disk())?;
    find("ROMs", roms(args.roms.as_deref()))?;
    find("terminal", terminal())?;
    for (what, algo, settings) in TRIALS {
        find(what, trial(algo, settings))?;
    }
    if args.json {
        output::print(&(serde_json::to_string_pretty(&findings)? + "\n"))?;
    }
    let failed = findings.iter().filter(|finding| finding.state == State::Bad).count();
    if failed > 0 {
        bail!(
            "{} of {} failed: the lines marked `bad` say how to mend it",
            failed,
            counted(findings.len(), "check")
        );
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Something that some users need is not there.
    Note,
    Bad,
}

/// What was found out about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Bad => "bad",
        };
        write!(to, "{state:4}  {:11}  {}", self.what, self.text)
    }
}

fn program() -> (State, String) {
    let Machine { coinop, commit, .. } = Machine::this();
    let text = format!("coinop {coinop} ({commit})");
    if cfg!(debug_assertions) {
        return (
            State::Note,
            text + ", built without --release: many times slower than it could be",
        );
    }
    (State::Ok, text)
}

fn toolchain() -> (State, String) {
    let output = std::process::Command::new("rustc").arg("--version").output();
    match output {
        Ok(output) if output.status.success() => (State::Ok, String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        _ => (
            State::Note,
            "no rustc: needed to build coinop, from https://rustup.rs".to_owned(),
        ),
    }
}

fn libtorch() -> (State, String) {
    let version = Machine::this().libtorch;
    // Which of several was loaded, only the system knows.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let path = maps
        .lines()
        .filter_map(|line| line.split_once('/'))
        .map(|(_, path)| format!("/{path}"))
        .find(|path| path.contains("libtorch_cpu"));
    match path.as_deref().and_then(|path| Path::new(path).parent()) {
        Some(folder) => (State::Ok, format!("{version} in {}", folder.display())),
        None => (State::Ok, version),
    }
}

fn gpu() -> (State, String) {
    match device("cuda") {
        Ok(_) => (State::Ok, "libtorch can use it: --device cuda".to_owned()),
        Err(error) => {
            let text = error.to_string();
            (State::Note, text.trim_start_matches("`cuda` is not there: ").to_owned())
        }
    }
}

fn processor() -> (State, String) {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        for (name, is_there) in [
            ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
            ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
            ("AVX-512 BF16", std::arch::is_x86_feature_detected!("avx512bf16")),
            (
                "AMX",
                std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|info| info.contains("amx_bf16")),
            ),
        ] {
            if is_there {
                features.push(name);
            }
        }
    }
    let name = Machine::this().processor;
    let features = match features.as_slice() {
        [] => String::new(),
        some => format!(" with {}", some.join(", ")),
    };
    let spec = EnvSpec::new(Shape::new(&[4, 84, 84]), 6);
    let config = PpoConfig::fast();
    let batch = config.workload().map_or(256, |workload| workload.learn_batch);
    match Precision::tried(&config.network, &spec, batch, Device::Cpu) {
        Ok(Precision::Bfloat16) => (State::Ok, format!("{name}{features}; networks compute in bfloat16")),
        Ok(_) => (State::Ok, format!("{name}{features}; networks compute in float32")),
        Err(error) => (State::Bad, format!("{name}{features}; a network failed: {error}")),
    }
}

fn the_cores() -> (State, String) {
    let all = sysinfo::System::physical_core_count().unwrap_or(0);
    let text = counted(cores(), "core");
    if cores() < 2 {
        return (State::Note, text + ": environments and networks take turns");
    }
    (
        State::Ok,
        match all > cores() {
            true => format!("{text} of the machine's {all}"),
            false => text,
        },
    )
}

fn the_memory() -> (State, String) {
    let total = Machine::this().memory_gigabytes;
    match memory::available() {
        Some(free) if free < LITTLE_MEMORY => (
            State::Note,
            format!(
                "{:.1} of {total:.1} GB are free: lower capacity, if a run is refused",
                free as f64 / 1e9
            ),
        ),
        Some(free) => (State::Ok, format!("{:.1} of {total:.1} GB are free", free as f64 / 1e9)),
        None => (State::Note, "unknown".to_owned()),
    }
}

fn disk() -> (State, String) {
    match rustix::fs::statvfs(".") {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{:.1} GB are free in this folder", free as f64 / 1e9);
            match free < LITTLE_DISK {
                true => (State::Note, text + ": checkpoints of a large replay memory may not fit"),
                false => (State::Ok, text),
            }
        }
        Err(error) => (State::Note, format!("unknown: {error}")),
    }
}

fn roms(folder: Option<&Path>) -> (State, String) {
    let games = registry::list().into_iter().filter(|env| env.family == Family::Atari);
    let (mut found, mut missing) = (0, Vec::new());
    for env in games {
        let Ok(game) = find_game(env.short) else { continue };
        match Rom::find(game, folder) {
            Ok(_) => found += 1,
            Err(AtariError::RomMissing { .. }) => missing.push(env.short),
            Err(error) => {
                return (
                    State::Bad,
                    format!("{error}; `cargo xtask setup --force` provides the right ones"),
                );
            }
        }
    }
    let way_out = "`cargo xtask setup` provides them, --roms or COINOP_ROMS names another folder";
    match missing.as_slice() {
        [] => (State::Ok, format!("all {found} games, with the right MD5")),
        _ if found == 0 => (
            State::Note,
            format!("none, so that Atari games can't be played: {way_out}"),
        ),
        [first, ..] => (
            State::Note,
            format!(
                "{found} games; {} are missing, for example {first}: {way_out}",
                missing.len()
            ),
        ),
    }
}

fn terminal() -> (State, String) {
    if !std::io::stderr().is_terminal() {
        return (State::Ok, "none on standard error: plain lines".to_owned());
    }
    let kind = std::env::var("TERM").unwrap_or_else(|_| "unknown".to_owned());
    let how = if output::is_live() { "redrawn" } else { "plain" };
    (State::Ok, format!("{kind}, {} columns, {how} lines", output::columns()))
}

/// What is trained for a moment, in a game that needs no ROM.
const TRIALS: [(&str, &str, &[&str]); 2] = [
    (
        "network",
        "ppo",
        &["num_envs=4", "rollout_steps=16", "minibatches=1", "epochs=1"],
    ),
    (
        "replay",
        "double-dqn",
        &[
            "num_envs=4",
            "capacity=4000",
            "learning_starts=400",
            "batch_size=32",
            "steps_per_update=16",
        ],
    ),
];

fn trial(algo: &str, settings: &[&str]) -> (State, String) {
    match rate(algo, settings) {
        Ok(rate) => (
            State::Ok,
            format!(
                "{algo} learns the game bricks at {} frames/s with small batches",
                short(rate as u64)
            ),
        ),
        Err(error) => (State::Bad, format!("{algo} can't train in the game bricks: {error}")),
    }
}

/// The frames per second of training.
fn rate(algo: &str, settings: &[&str]) -> anyhow::Result<f64> {
    let settings = settings.iter().map(|setting| setting.parse());
    let config = Config::resolve(&Request {
        env: Some("bricks".parse()?),
        algo: Some(Algo::find(algo).map_err(anyhow::Error::msg)?),
        settings: settings.collect::<Result<_, _>>()?,
        ..Request::default()
    })?;
    let mut trainer = new_trainer(&config.for_this_machine()?)?;
    let start = Instant::now();
    loop {
        let progress = trainer.step()?;
        let seconds = start.elapsed();
        if progress.updates > 0 && seconds >= TRIAL {
            return Ok(progress.frames as f64 / seconds.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roms_that_are_not_there_are_a_note_and_wrong_ones_are_bad() {
        let folder = tempfile::tempdir().unwrap();
        let (state, text) = roms(Some(folder.path()));
        assert!(state == State::Note && text.starts_with("none, so that"), "{text}");
        std::fs::write(folder.path().join("pong.bin"), [0; 2048]).unwrap();
        let (state, text) = roms(Some(folder.path()));
        assert!(
            state == State::Bad && text.contains("pong") && text.contains("--force"),
            "{text}"
        );
    }

    #[test]
    fn a_finding_is_a_line() {
        let finding = Finding {
            what: "libtorch",
            state: State::Ok,
            text: "2.11".to_owned(),
        };
        assert_eq!(finding.to_string(), "ok    libtorch     2.11");
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            r#"{"what":"libtorch","state":"ok","text":"2.11"}"#
        );
    }

    #[test]
    fn what_is_tried_trains() {
        for (_, algo, settings) in TRIALS {
            let (state, text) = trial(algo, settings);
            assert_eq!(state, State::Ok, "{text}");
        }
        let (state, text) = trial("ppo", &["gamma=2"]);
        assert!(state == State::Bad && text.contains("gamma"), "{text}");
    }
}
