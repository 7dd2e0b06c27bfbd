//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use coinop_envs::atari::Protocol;

use crate::algo::Algo;
use crate::bench::suites::Suite;
use crate::commands::eval::Which;
use crate::commands::plot::MEAN_SCORE;
use crate::config::{EnvName, Request, Setting};
use crate::count::parse_count;
use crate::output;
use crate::report::curve::Over;

/// The exit code for a wrong command line, the same as clap's.
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(name = "coinop", version, about = "Train Atari-style agents, fast.", long_about = None)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print results and errors only
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Train an agent; all files go into a run folder
    Train(TrainArgs),
    /// Train a network to do what a trained agent does, and compare their scores
    Distill(DistillArgs),
    /// Verify that an interrupted and resumed run equals an uninterrupted one
    VerifyResume(VerifyArgs),
    /// Play episodes with a trained agent and report its scores
    Eval(EvalArgs),
    /// Watch a trained agent play in the terminal, record a video of it, or play a game yourself
    Play(PlayArgs),
    /// Show a dashboard of a run in the terminal: curves, metrics, and the agent playing
    Watch(WatchArgs),
    /// Export the network of a run as ONNX or safetensors
    Export(ExportArgs),
    /// List environments, or show the options of one
    Envs {
        /// An environment, perhaps with options, e.g. `pong@mode=1`
        env: Option<EnvName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List an algorithm's settings with their meanings and their values in each preset
    Settings(SettingsArgs),
    /// List runs, with their states and scores
    Runs(RunsArgs),
    /// Check that an environment obeys the `Env` contract
    Check(CheckArgs),
    /// Measure the speed of every part, and where training spends its time
    Bench(BenchArgs),
    /// Check that everything coinop needs is there and works; bug reports should have its output
    Doctor(DoctorArgs),
    /// Draw the learning curves of runs; those that differ in their seed alone are one curve, their mean with its 95 % interval
    Plot(PlotArgs),
    /// Write an HTML page about runs: curves, scores, settings, a video, and the hardware
    Report(ReportArgs),
    /// Print the scores of runs; those that differ in their seed alone are one row
    Table(TableArgs),
    /// Play the runs of a file, environments by agents by seeds, and make tables of their results
    Suite(SuiteArgs),
    /// Search for settings by random sampling and successive halving
    Tune(TuneArgs),
    /// Print a script that completes the command line, e.g. `source <(coinop completions bash)`
    Completions { shell: Shell },
    /// Write manual pages, one for each command
    Man {
        /// The folder to write them into
        folder: PathBuf,
    },
    /// Use the Atari machine directly
    Atari {
        #[command(subcommand)]
        command: AtariCommand,
    },
}

#[derive(Subcommand)]
pub(crate) enum AtariCommand {
    /// Play a list of actions and print one CSV row per action
    Trace(TraceArgs),
}

/// Which settings, for whatever trains.
#[derive(Args, Clone, Default)]
pub(crate) struct SettingArgs {
    /// The algorithm [default: the config file's, else ppo]
    #[arg(long, value_enum)]
    pub(crate) algo: Option<Algo>,
    /// The settings to start from, e.g. `fast` (for a small machine) or `ppo` (the paper's, for Atari games) [default: the config file's, else
    /// fast]
    #[arg(long)]
    pub(crate) preset: Option<String>,
    /// A TOML file whose settings override the preset's, e.g. the config.toml of another run
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A setting, e.g. `ppo.gamma=0.98`, or `gamma=0.98` if only one section has it; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Threads that step environments [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) env_threads: Option<usize>,
    /// Threads that libtorch uses [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) torch_threads: Option<usize>,
    /// The device of the network: `cpu`, `cuda` or `cuda:1`
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The ROM folder [default: COINOP_ROMS, else .roms here or in a parent folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args, Default)]
pub(crate) struct TrainArgs {
    /// The environment, e.g. `pong`, `cartpole`, or with options `pong@mode=1,difficulty=3`; `coinop envs` lists all
    #[arg(required_unless_present = "resume")]
    pub(crate) env: Option<EnvName>,
    /// Resume a run (a folder, or its name under runs/) from its newest checkpoint; only the frames, the threads, the device and the ROM folder may be
    /// changed
    #[arg(long, value_name = "RUN", conflicts_with_all = ["env", "load", "algo", "preset", "config", "seed", "set", "run_dir", "name"])]
    pub(crate) resume: Option<PathBuf>,
    /// Start from the weights of another run's last checkpoint (a folder, or its name under runs/), with the settings of the new run
    #[arg(long, value_name = "RUN")]
    pub(crate) load: Option<PathBuf>,
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
    /// The name of the run folder under runs/
    #[arg(long, conflicts_with = "run_dir")]
    pub(crate) name: Option<String>,
    /// Save and stop after N frames; `--resume` continues. Schedules still span all frames of the run
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    pub(crate) until: Option<u64>,
    /// Show the dashboard of `coinop watch` while training
    #[arg(long)]
    pub(crate) watch: bool,
    /// With several processes: let MPI choose the order of gradient sums, which is faster but may not be reproducible
    #[arg(long)]
    pub(crate) fast_reduce: bool,
}

#[derive(Args)]
pub(crate) struct DistillArgs {
    /// The run of the agent to learn from: a folder, or its name under runs/
    #[arg(value_name = "RUN")]
    pub(crate) teacher: PathBuf,
    /// The body of the student's network, e.g. `a3c` or `{layers={convolutions=[], hidden=[32]}}` [default: the preset's]
    #[arg(long)]
    pub(crate) body: Option<String>,
    /// Emulator frames that the student plays, over all environments, e.g. 1M [default: the preset's]
    #[arg(long, value_parser = parse_count, allow_negative_numbers = true)]
    pub(crate) frames: Option<u64>,
    /// The seed; the same seed gives the same run
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// The preset of `distill` to start from
    #[arg(long)]
    pub(crate) preset: Option<String>,
    /// A TOML file whose settings override the preset's
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A setting, e.g. `temperature=0.1`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// The run folder of the student, which must not exist [default: runs/ENV-distill-N]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// The name of the run folder under runs/
    #[arg(long, conflicts_with = "run_dir")]
    pub(crate) name: Option<String>,
    /// Episodes that teacher and student play afterwards
    #[arg(long, default_value = "30", value_parser = parse_episodes, allow_negative_numbers = true)]
    pub(crate) episodes: usize,
    /// Take the most probable actions in these episodes instead of sampling
    #[arg(long)]
    pub(crate) greedy: bool,
    /// Print a JSON object for each of the two
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads that step environments [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) env_threads: Option<usize>,
    /// Threads that libtorch uses [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) torch_threads: Option<usize>,
    /// The device of the networks: `cpu`, `cuda` or `cuda:1`
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The ROM folder [default: the teacher's]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
    /// Show the dashboard of `coinop watch` while training
    #[arg(long)]
    pub(crate) watch: bool,
}

impl DistillArgs {
    /// What of it `coinop train` takes, too.
    pub(crate) fn training(&self) -> TrainArgs {
        TrainArgs {
            run_dir: self.run_dir.clone(),
            name: self.name.clone(),
            watch: self.watch,
            ..TrainArgs::default()
        }
    }
}

#[derive(Args)]
pub(crate) struct RunsArgs {
    /// The folder of the runs [default: runs]
    pub(crate) folder: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The training to verify; `--frames` defaults to 30k
    #[command(flatten)]
    pub(crate) train: TrainArgs,
}

#[derive(Args)]
pub(crate) struct EvalArgs {
    /// Run folders, or their names under runs/; the results of several are a table
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The checkpoint: `last`, `best` (by evaluation during training), or its frames, e.g. 2M
    #[arg(long, default_value = "last", value_name = "WHICH")]
    pub(crate) checkpoint: Which,
    /// Episodes to play
    #[arg(long, default_value = "30", value_parser = parse_episodes, allow_negative_numbers = true)]
    pub(crate) episodes: usize,
    /// For Atari games: evaluate under this protocol instead of the training's: `nature`, `machado` or `sb3`
    #[arg(long)]
    pub(crate) protocol: Option<Protocol>,
    /// Play N emulator frames and count the episodes that end within them, instead of a fixed number of episodes
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "episodes", allow_negative_numbers = true)]
    pub(crate) frames: Option<u64>,
    /// A setting of the environment, e.g. `max_episode_frames=18k`, `max_noops=0`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// The seed of the environments and of the policy
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Take the most probable action instead of sampling
    #[arg(long)]
    pub(crate) greedy: bool,
    /// The probability of a random action instead of the agent's
    #[arg(long, default_value = "0", value_name = "P", value_parser = parse_probability, allow_negative_numbers = true)]
    pub(crate) epsilon: f64,
    /// Print a JSON object for each run
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a CSV file, a row per episode
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Threads that step environments [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) env_threads: Option<usize>,
    /// Threads that libtorch uses [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) torch_threads: Option<usize>,
    /// The device of the network [default: the training's]
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The ROM folder [default: the training's]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TuneArgs {
    /// The environment, perhaps with options, e.g. `pong@mode=1`; `envs` lists all
    pub(crate) env: EnvName,
    /// A TOML file with distributions and budgets [default: learning rate and entropy weight around the preset's values]
    #[arg(long, value_name = "FILE")]
    pub(crate) space: Option<PathBuf>,
    /// The algorithm
    #[arg(long, value_enum, default_value = "ppo")]
    pub(crate) algo: Option<Algo>,
    /// The settings to start from [default: fast]
    #[arg(long)]
    pub(crate) preset: Option<String>,
    /// A setting shared by all samples; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// The name of the search folder under runs/ [default: tune-ENV-ALGO]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Runs at a time, which share the cores
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_jobs, allow_negative_numbers = true)]
    pub(crate) jobs: usize,
    /// The ROM folder [default: COINOP_ROMS, else .roms here or in a parent folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// A run folder, or its name under runs/
    pub(crate) run: PathBuf,
    /// The file to write, .onnx or .safetensors; a model card (JSON) is written next to it
    #[arg(short, long, default_value = "agent.onnx", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The checkpoint: `last`, `best` (by evaluation during training), or its frames, e.g. 2M
    #[arg(long, default_value = "last", value_name = "WHICH")]
    pub(crate) checkpoint: Which,
    /// The ROM folder [default: the training's]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SettingsArgs {
    /// The environment, perhaps with options, e.g. `pong@mode=1`
    pub(crate) env: EnvName,
    /// Only settings whose names contain all of these words, e.g. `epsilon`
    pub(crate) about: Vec<String>,
    /// The algorithm
    #[arg(long, value_enum, default_value = "ppo")]
    pub(crate) algo: Option<Algo>,
    /// The preset [default: fast]
    #[arg(long)]
    pub(crate) preset: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct WatchArgs {
    /// A run folder, or its name under runs/; it may be training, finished or stopped
    pub(crate) run: PathBuf,
}

#[derive(Args)]
pub(crate) struct PlayArgs {
    /// A run folder or its name under runs/ (its agent plays), or an environment (you play)
    #[arg(value_name = "RUN|ENV")]
    pub(crate) what: PathBuf,
    /// Record a video to this file: .gif, .apng, .mp4 (requires ffmpeg), or .png-sequence (a folder of PNGs)
    #[arg(long, value_name = "FILE")]
    pub(crate) video: Option<PathBuf>,
    /// Play N episodes and record the best one
    #[arg(long, requires = "video", default_value = "1", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000), allow_negative_numbers = true)]
    pub(crate) best_of: u64,
    /// Pictures per second of the video, rounded to whole frames; GIFs have at most 50
    #[arg(long, requires = "video", default_value = "30", value_parser = parse_fps, allow_negative_numbers = true)]
    pub(crate) fps: f64,
    /// Maximum length of the video in seconds
    #[arg(long, requires = "video", value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub(crate) seconds: Option<f64>,
    /// Scale of the video
    #[arg(long, requires = "video", default_value = "1", value_name = "N", value_parser = parse_scale, allow_negative_numbers = true)]
    pub(crate) scale: usize,
    /// The checkpoint: `last`, `best` (by evaluation during training), or its frames, e.g. 2M
    #[arg(long, default_value = "last", value_name = "WHICH")]
    pub(crate) checkpoint: Which,
    /// Episodes to play [default: until you quit; 1 without a terminal]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "video", allow_negative_numbers = true)]
    pub(crate) episodes: Option<u64>,
    /// The seed of the first episode; later episodes count up from it
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Take the most probable action instead of sampling
    #[arg(long)]
    pub(crate) greedy: bool,
    /// The probability of a random action instead of the agent's
    #[arg(long, default_value = "0", value_name = "P", value_parser = parse_probability, allow_negative_numbers = true)]
    pub(crate) epsilon: f64,
    /// The device of the network [default: the training's]
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The ROM folder [default: the training's]
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
    /// Seconds per repetition, and of warm-up
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Repetitions of each measurement
    #[arg(long, default_value_t = 5, value_name = "N", allow_negative_numbers = true)]
    pub(crate) repeats: usize,
    /// Print one JSON object, which `--compare` reads, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Also draw bars, into an .svg or a .png
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Let MPI choose the order in which it adds the gradients of several processes
    #[arg(long)]
    pub(crate) fast_reduce: bool,
    /// An earlier output of `--json`, to show ratios against
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The environment, perhaps with options, e.g. `pong@mode=1`; `envs` lists all
    pub(crate) env: EnvName,
    /// The ROM folder [default: COINOP_ROMS, else .roms here or in a parent folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// The ROM folder [default: COINOP_ROMS, else .roms here or in a parent folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct PlotArgs {
    /// Run folders, or their names under runs/
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The picture to write, .svg or .png
    #[arg(short, long, default_value = "curve.svg", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The horizontal axis
    #[arg(long, default_value = "frames")]
    pub(crate) over: Over,
    /// The vertical axis: a column of metrics.csv, e.g. `entropy`
    #[arg(long, default_value = MEAN_SCORE, value_name = "COLUMN")]
    pub(crate) y: String,
    /// Draw the mean of so many rows: each one and those before it
    #[arg(long, default_value = "1", value_name = "ROWS", value_parser = parse_rows, allow_negative_numbers = true)]
    pub(crate) smooth: usize,
    /// A curve for each run
    #[arg(long)]
    pub(crate) each: bool,
    /// Show human-normalised scores of Atari games: 0 is random play, 1 is a human tester
    #[arg(long, conflicts_with = "y")]
    pub(crate) human_normalized: bool,
}

#[derive(Args)]
pub(crate) struct ReportArgs {
    /// Run folders, or their names under runs/
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The page to write; it is self-contained
    #[arg(short, long, default_value = "report.html", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// A curve and a row for each run
    #[arg(long)]
    pub(crate) each: bool,
    /// Omit the video of the first run's agent
    #[arg(long)]
    pub(crate) no_video: bool,
    /// Maximum length of the video in seconds
    #[arg(long, conflicts_with = "no_video", default_value = "30", value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// The ROM folder [default: the training's]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TableArgs {
    /// Run folders, or their names under runs/
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// CSV instead of Markdown
    #[arg(long)]
    pub(crate) csv: bool,
    /// JSON instead of Markdown, with the scores of each run
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// A row for each run
    #[arg(long)]
    pub(crate) each: bool,
    /// A file to write instead
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SuiteArgs {
    #[command(subcommand)]
    pub(crate) command: SuiteCommand,
}

#[derive(Subcommand)]
pub(crate) enum SuiteCommand {
    /// Train and evaluate the runs that are missing from the ledger; after an interruption, the same command resumes
    Run(SuiteRunArgs),
    /// Print the results in the ledger as Markdown
    Table(SuiteTableArgs),
    /// Draw the learning curves: a panel for each environment, a curve for each agent, the mean over its seeds
    Plot(SuitePlotArgs),
}

#[derive(Args)]
pub(crate) struct SuiteRunArgs {
    /// The suite, a TOML file
    pub(crate) file: PathBuf,
    /// Runs at a time, which share the cores
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_jobs, allow_negative_numbers = true)]
    pub(crate) jobs: usize,
    /// An agent or an environment: only its runs; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// A part of the runs, for several machines: `2/8` is the second of eight
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<(usize, usize)>,
    /// Print what is left and how long it will take, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Nothing else runs on this machine: the ledger then has the minutes of these runs as measured
    #[arg(long, conflicts_with = "jobs")]
    pub(crate) timed: bool,
    /// The ROM folder [default: COINOP_ROMS, else .roms here or in a parent folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SuiteTableArgs {
    /// The suite, a TOML file
    pub(crate) file: PathBuf,
    /// CSV, a row per agent and environment
    #[arg(long)]
    pub(crate) csv: bool,
    /// A file to write instead
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SuitePlotArgs {
    /// The suite, a TOML file
    pub(crate) file: PathBuf,
    /// The picture to write, .svg or .png
    #[arg(short, long, default_value = "suite.svg", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The horizontal axis
    #[arg(long, default_value = "frames")]
    pub(crate) over: Over,
}

#[derive(Args)]
pub(crate) struct TraceArgs {
    /// The game, perhaps with a mode and a difficulty, e.g. `pong@mode=1`
    pub(crate) game: EnvName,
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
    /// The game's difficulty [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) difficulty: Option<u32>,
    /// Frames per action
    #[arg(long, value_name = "K", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) frame_skip: u32,
    /// Write the final state to a file: the 128 bytes of RAM, then the screen's palette indices
    #[arg(long, value_name = "FILE")]
    pub(crate) dump: Option<PathBuf>,
    /// Write to a CSV file what the last frame's instructions wrote to RAM and to the television chip
    #[arg(long, value_name = "FILE")]
    pub(crate) writes: Option<PathBuf>,
    /// The ROM folder [default: COINOP_ROMS, else .roms here or in a parent folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) roms: Option<PathBuf>,
}

impl SettingArgs {
    fn request(&self) -> Request {
        Request {
            algo: self.algo,
            preset: self.preset.clone(),
            file: self.config.clone(),
            settings: self.set.clone(),
            env_threads: self.env_threads,
            torch_threads: self.torch_threads,
            device: self.device.clone(),
            roms: self.roms.clone(),
            ..Request::default()
        }
    }
}

impl TrainArgs {
    pub(crate) fn request(&self) -> Request {
        Request {
            env: self.env.clone(),
            frames: self.frames,
            seed: self.seed,
            load: self.load.clone(),
            ..self.settings.request()
        }
    }
}

impl BenchArgs {
    pub(crate) fn request(&self) -> Request {
        Request {
            env: Some(self.env.clone()),
            ..self.settings.request()
        }
    }
}

/// The command line, for what is made from it.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line; returns the exit code after printing help or an error.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
        }
        _ => {
            let text = word_of_others(&error).unwrap_or_else(|| one_line(&error.to_string()));
            output::say_error(&text);
            ExitCode::from(USAGE)
        }
    })
}

/// Flags of other tools (Stable-Baselines3, CleanRL, RLlib, Sample Factory) and our equivalents.
const FLAGS_OF_OTHERS: [(&[&str], &str); 13] = [
    (
        &[
            "total-timesteps",
            "timesteps",
            "total-steps",
            "num-steps",
            "train-for-env-steps",
        ],
        "--frames N (emulator frames; an agent step on the Atari is 4)",
    ),
    (
        &["num-envs", "n-envs", "num-workers"],
        "--set num_envs=N, or --set workers=N for asynchronous methods",
    ),
    (&["lr", "learning-rate"], "--set learning_rate=X"),
    (&["gamma", "discount"], "--set gamma=X"),
    (&["batch-size"], "--set batch_size=N, or --set minibatches=N"),
    (&["gpu", "cuda", "use-gpu"], "--device cuda"),
    (&["cpu"], "--device cpu"),
    (
        &["env", "env-id", "game", "environment"],
        "the name after the command, e.g. `train pong`",
    ),
    (&["silent", "q"], "--quiet; log.txt in the run folder has everything"),
    (&["threads", "num-threads"], "--env-threads N and --torch-threads N"),
    (&["output", "log-dir", "logdir"], "--run-dir DIR"),
    (
        &["experiment", "exp-name", "run-name", "experiment-name"],
        "--name NAME",
    ),
    (&["lstm", "recurrent"], "--set core=lstm"),
];

/// Other names of algorithms and our equivalents.
const ALGORITHMS_OF_OTHERS: [(&[&str], &str); 7] = [
    (&["ppo2"], "ppo"),
    (&["appo", "vtrace", "v-trace"], "impala"),
    (
        &["a2c", "acktr", "actor-critic"],
        "paac, which updates once per rollout, too",
    ),
    (
        &["dqn", "nature-dqn"],
        "double-dqn, with --preset dqn-nature for DQN itself",
    ),
    (
        &["ddqn", "doubledqn", "dueling-dqn", "prioritized-dqn", "per"],
        "double-dqn",
    ),
    (&["async-dqn", "q-learning", "asyncq"], "async-q"),
    (&["sarsa"], "async-sarsa"),
];

/// Other names of commands and our equivalents.
const COMMANDS_OF_OTHERS: [(&[&str], &str); 7] = [
    (&["enjoy", "demo", "show", "render"], "play RUN"),
    (&["record", "video", "record-video"], "play RUN --video FILE.gif"),
    (&["evaluate", "test", "evaluation"], "eval RUN"),
    (&["learn", "fit", "run"], "train ENV"),
    (&["resume", "continue"], "train --resume RUN"),
    (&["benchmark", "profile", "speed"], "bench"),
    (&["sweep", "optimize", "hpo", "search"], "tune ENV"),
];

/// Suggests our name for a word of another tool.
fn word_of_others(error: &clap::Error) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let plain = |text: &str| text.trim_start_matches('-').to_ascii_lowercase().replace('_', "-");
    if let Some(command) = context(ContextKind::InvalidSubcommand) {
        let wanted = plain(&command);
        let mut known = COMMANDS_OF_OTHERS.iter();
        let (_, ours) = known.find(|(theirs, _)| theirs.contains(&wanted.as_str()))?;
        return Some(format!("unrecognized command '{command}': here that is `{ours}`"));
    }
    let argument = context(ContextKind::InvalidArg)?;
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let wanted = plain(argument.split('=').next()?);
            let (_, ours) = FLAGS_OF_OTHERS
                .iter()
                .find(|(theirs, _)| theirs.contains(&wanted.as_str()))?;
            Some(format!("unexpected argument '{argument}' found: here that is {ours}"))
        }
        ErrorKind::InvalidValue if argument.starts_with("--algo") => {
            let value = context(ContextKind::InvalidValue)?;
            let wanted = plain(&value);
            let named = Algo::value_variants().iter().find(|algo| algo.name() == wanted);
            let of_others = || {
                ALGORITHMS_OF_OTHERS
                    .iter()
                    .find(|(theirs, _)| theirs.contains(&wanted.as_str()))
            };
            let ours = named.map(|algo| algo.name()).or_else(|| Some(of_others()?.1))?;
            Some(format!("invalid value '{value}' for '--algo': use {ours}"))
        }
        _ => None,
    }
}

/// Joins clap's multi-line error (cause, hints, usage, help) into one line.
fn one_line(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("Usage:"));
    // What clap suggests for a word that looks like a flag would make it the name of an environment.
    lines
        .filter(|line| !line.starts_with("tip: to pass"))
        .collect::<Vec<_>>()
        .join("; ")
        .replace(":; ", ": ")
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

fn parse_probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(probability @ 0.0..=1.0) => Ok(probability),
        _ => Err(format!("`{text}` is not a probability, from 0 to 1")),
    }
}

fn parse_fps(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(fps) if (1.0..=240.0).contains(&fps) => Ok(fps),
        _ => Err(format!("`{text}` is not a number of pictures a second, from 1 to 240")),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0.0 => Ok(seconds),
        _ => Err(format!("`{text}` is not a number of seconds above 0")),
    }
}

fn parse_scale(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(scale @ 1..=16) => Ok(scale),
        _ => Err(format!("`{text}` is not a whole number from 1 to 16")),
    }
}

fn parse_rows(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rows @ 1..=1_000_000) => Ok(rows),
        _ => Err(format!("`{text}` is not a number of rows, from 1 to 1000000")),
    }
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=1024) => Ok(jobs),
        _ => Err(format!("`{text}` is not a number of runs, from 1 to 1024")),
    }
}

/// Parses `2/8`.
fn parse_shard(text: &str) -> Result<(usize, usize), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((i, n)) if 1 <= i && i <= n => Ok((i, n)),
        _ => Err(format!(
            "`{text}` is not a part of a whole: write `2/8` for the second of eight"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_word_of_another_tool_names_ours() {
        let said = |args: &[&str]| {
            let error = Cli::try_parse_from([&["coinop", "train", "pong"], args].concat())
                .err()
                .unwrap();
            word_of_others(&error).unwrap_or_else(|| one_line(&error.to_string()))
        };
        for (args, ours) in [
            (&["--total-timesteps", "1000"][..], "--frames N"),
            (&["--total_timesteps=1000"], "--frames N"),
            (&["--num-envs", "8"], "--set num_envs=N"),
            (&["--lr=0.1"], "--set learning_rate=X"),
            (&["--gpu"], "--device cuda"),
            (&["--silent"], "--quiet"),
            (&["--exp_name=x"], "--name NAME"),
            (&["--algo", "PPO2"], "use ppo"),
            (&["--algo", "a2c"], "use paac, which updates once per rollout, too"),
            (&["--algo", "dqn"], "use double-dqn, with --preset dqn-nature"),
            (&["--algo", "PAAC"], "use paac"),
            (&["--algo", "double_dqn"], "use double-dqn"),
        ] {
            let said = said(args);
            assert!(said.contains(ours), "{args:?}: {said}");
        }
        assert_eq!(
            said(&["--xyzzy"]),
            "unexpected argument '--xyzzy' found; for more, try '--help'"
        );
    }

    #[test]
    fn a_shard_is_one_of_a_number_of_parts() {
        assert_eq!((parse_shard("1/1"), parse_shard("2/8")), (Ok((1, 1)), Ok((2, 8))));
        for wrong in ["0/8", "9/8", "2", "a/b", "1/0", "-1/2"] {
            assert!(parse_shard(wrong).is_err(), "{wrong}");
        }
        assert!(parse_jobs("0").is_err() && parse_jobs("2") == Ok(2));
    }

    #[test]
    fn a_wrong_command_line_takes_one_line() {
        let error = Cli::try_parse_from(["coinop", "train", "pong", "--frames", "ten"])
            .err()
            .unwrap();
        assert_eq!(
            one_line(&error.to_string()),
            "invalid value 'ten' for '--frames <FRAMES>': `ten` is not a valid count: write a whole number, or one like 10M, 1.5k or 2e6; \
             for more, try '--help'"
        );
    }
}
