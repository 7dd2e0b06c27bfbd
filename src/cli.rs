//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use coinop_envs::atari::Protocol;

use crate::algo::Algo;
use crate::bench::suites::Suite;
use crate::commands::eval::Which;
use crate::config::{EnvName, Setting};
use crate::count::parse_count;
use crate::output;
use crate::report::curve::Over;

/// The exit code of a wrong command line, as clap has it.
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(name = "coinop", version, about = "Train Atari-style agents, fast.", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Train an agent; everything goes into a run folder
    Train(TrainArgs),
    /// Show that a run which is interrupted and goes on is the run that it would have been
    VerifyResume(VerifyArgs),
    /// Play episodes with a trained agent and report its scores
    Eval(EvalArgs),
    /// List the environments, or say of one what can be chosen
    Envs {
        /// An environment
        env: Option<String>,
    },
    /// Try an environment against what every environment must do
    Check(CheckArgs),
    /// Measure how fast everything is, and where the time of training goes
    Bench(BenchArgs),
    /// Draw the learning curves of runs
    Plot(PlotArgs),
    /// The Atari machine by itself
    Atari {
        #[command(subcommand)]
        command: AtariCommand,
    },
}

#[derive(Subcommand)]
pub(crate) enum AtariCommand {
    /// Do a list of actions and print what happens, one CSV row per action
    Trace(TraceArgs),
}

/// Which settings, for whatever trains.
#[derive(Args, Clone, Default)]
pub(crate) struct SettingArgs {
    /// The algorithm [default: that of the config file, else paac]
    #[arg(long, value_enum)]
    pub(crate) algo: Option<Algo>,
    /// The settings to start from: `fast` (tuned for wall clock) or, for Atari games, `paac` (the paper's) [default: that of the config file, else fast]
    #[arg(long)]
    pub(crate) preset: Option<String>,
    /// A TOML file with settings that differ from the preset's, e.g. the config.toml of another run
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A setting, e.g. `paac.gamma=0.98` or, where no two sections have it, `gamma=0.98`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Threads that step environments [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) env_threads: Option<usize>,
    /// Threads that libtorch computes with [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) torch_threads: Option<usize>,
    /// Where the network computes: `cpu`, `cuda`, `cuda:1`
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The folder of the ROMs [default: COINOP_ROMS, else .roms here or above]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args, Default)]
pub(crate) struct TrainArgs {
    /// The environment, e.g. `pong`, `cartpole`, or with options `pong@mode=1,difficulty=3`; `coinop envs` lists all
    #[arg(required_unless_present = "resume")]
    pub(crate) env: Option<EnvName>,
    /// Go on with a run, a folder or its name under runs/, where its newest checkpoint was written; of its settings, only the frames, the threads, the
    /// device and the folder of the ROMs may be others
    #[arg(long, value_name = "RUN", conflicts_with_all = ["env", "algo", "preset", "config", "seed", "set", "run_dir"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Emulator frames to train for, over all environments, e.g. 10M or 1e7
    #[arg(long, value_parser = parse_count, allow_negative_numbers = true)]
    pub(crate) frames: Option<u64>,
    /// The seed; the same seed gives the same run
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// The run folder, which must not exist [default: runs/ENV-ALGO-N]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// What a run is trained with; `--frames` is 30k if it is not said
    #[command(flatten)]
    pub(crate) train: TrainArgs,
}

#[derive(Args)]
pub(crate) struct EvalArgs {
    /// The run folder, or its name under runs/
    pub(crate) run: PathBuf,
    /// The checkpoint: `last`, `best` by evaluation while training, or the frames after which it was written, e.g. 2M
    #[arg(long, default_value = "last", value_name = "WHICH")]
    pub(crate) checkpoint: Which,
    /// Episodes to play
    #[arg(long, default_value = "30", value_parser = parse_episodes, allow_negative_numbers = true)]
    pub(crate) episodes: usize,
    /// Of an Atari game: play by the rules of this protocol instead of those of the training: `nature`, `machado`, `sb3`
    #[arg(long)]
    pub(crate) protocol: Option<Protocol>,
    /// The seed of the environments and of the policy
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Take the most probable action instead of drawing one
    #[arg(long)]
    pub(crate) greedy: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads that step environments [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) env_threads: Option<usize>,
    /// Threads that libtorch computes with [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) torch_threads: Option<usize>,
    /// Where the network computes [default: where it was trained]
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The folder of the ROMs [default: that of the training]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// What to measure [default: all]
    #[arg(value_enum)]
    pub(crate) what: Vec<Suite>,
    /// The environment, perhaps with options, e.g. `pong@mode=1`; `envs` lists all
    #[arg(long, default_value = "pong")]
    pub(crate) env: EnvName,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Seconds of each repeat, and of warming up
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_name = "N", allow_negative_numbers = true)]
    pub(crate) repeats: usize,
    /// Print one JSON object instead of a table, which `--compare` reads
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw bars, too: an SVG
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// What `--json` printed before, to show ratios to
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The environment, perhaps with options, e.g. `pong@mode=1`; `envs` lists all
    pub(crate) env: EnvName,
    /// The folder of the ROMs [default: COINOP_ROMS, else .roms here or above]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PlotArgs {
    /// Run folders, or their names under runs/
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The picture to write, an SVG
    #[arg(short, long, default_value = "curve.svg", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What the scores are drawn over
    #[arg(long, default_value = "frames")]
    pub(crate) over: Over,
}

#[derive(Args)]
pub(crate) struct TraceArgs {
    /// The game, e.g. `pong`
    pub(crate) game: String,
    /// A file with one of ALE's action numbers (0 to 17) per line
    #[arg(long, value_name = "FILE")]
    pub(crate) actions: PathBuf,
    /// Probability that a frame repeats the action of the frame before
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) sticky: f32,
    /// Seeds the generator of sticky actions
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: i32,
    /// The game's mode [default: the game's own]
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) mode: Option<u32>,
    /// The game's difficulty
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) difficulty: u32,
    /// Frames per action
    #[arg(long, value_name = "K", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) frame_skip: u32,
    /// Write what is there at the end to a file: the 128 bytes of memory, then the screen's palette indices
    #[arg(long, value_name = "FILE")]
    pub(crate) dump: Option<PathBuf>,
    /// Write what the instructions of the last frame wrote to RAM and to the television chip to a file, as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) writes: Option<PathBuf>,
    /// The folder of the ROMs [default: COINOP_ROMS, else .roms here or above]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

/// The command that was asked for; or, after printing help or what is wrong, the exit code.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    Cli::try_parse()
        .map(|cli| cli.command)
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
            }
            _ => {
                output::say_error(&one_line(&error.to_string()));
                ExitCode::from(USAGE)
            }
        })
}

/// clap spreads an error over lines: cause, hints, usage, and where help is.
fn one_line(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("Usage:"));
    lines
        .collect::<Vec<_>>()
        .join("; ")
        .trim_start_matches("error: ")
        .trim_end_matches('.')
        .replace("; For more information, try", "; for more, try")
}

fn parse_episodes(text: &str) -> Result<usize, String> {
    match parse_count(text)? {
        0 => Err("at least 1 episode must be played".to_owned()),
        count => usize::try_from(count).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_takes_one_line() {
        let error = Cli::try_parse_from(["coinop", "train", "pong", "--frames", "ten"])
            .err()
            .unwrap();
        assert_eq!(
            one_line(&error.to_string()),
            "invalid value 'ten' for '--frames <FRAMES>': `ten` is no count: write a whole number, or one like 10M, 1.5k or 2e6; \
             for more, try '--help'"
        );
    }
}
