//! `coinop atari trace`: plays a list of actions and prints the results.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};

use anyhow::bail;
use coinop_agents::checkpoint::write_file;
use coinop_atari::{Action, Atari, AtariSettings, Rom, find_game, trace};

use crate::cli::TraceArgs;
use crate::files;
use crate::output::{self, OutputError};

pub(crate) fn trace(args: &TraceArgs) -> anyhow::Result<()> {
    let (env, options) = args.game.resolve()?;
    let Some(options) = env.atari(&options) else {
        bail!(
            "{} is not a game of the Atari: `{} envs` lists them",
            env.id(),
            output::program()
        );
    };
    let game = find_game(env.short)?;
    let actions = trace::parse_actions(&files::read(&args.actions)?)?;
    let rom = Rom::find(game, args.roms.as_deref())?;
    let settings = AtariSettings {
        repeat_action_probability: args.sticky,
        random_seed: args.seed,
        frame_skip: args.frame_skip,
        mode: args.mode.or(options.mode),
        difficulty: args.difficulty.unwrap_or(options.difficulty),
        max_frames_per_episode: 0,
    };
    let mut atari = Atari::new(&rom, &settings)?;
    let mut out = BufWriter::new(io::stdout().lock());
    trace::write_trace(&mut atari, &actions, &mut out)
        .and_then(|()| out.flush())
        .map_err(OutputError::from)?;
    if let Some(path) = &args.writes {
        write_file(path, writes(Atari::new(&rom, &settings)?, &actions).as_bytes())?;
    }
    if let Some(path) = &args.dump {
        let mut bytes = atari.ram().to_vec();
        bytes.extend_from_slice(atari.screen());
        write_file(path, &bytes)?;
    }
    Ok(())
}

/// The writes of the last frame as CSV, one row each.
fn writes(mut atari: Atari, actions: &[Action]) -> String {
    let mut text = "address,pc,instruction,cycle,line,pixel\n".to_owned();
    atari.reset();
    let Some((last, before)) = actions.split_last() else {
        return text;
    };
    for &action in before {
        atari.act(action);
        if atari.is_terminal() {
            atari.reset();
        }
    }
    for written in atari.act_watched(*last).1 {
        let [opcode, low, high] = written.instruction;
        let _ = writeln!(
            text,
            "{:02X},{:04X},{opcode:02X} {low:02X} {high:02X},{},{},{}",
            written.address, written.pc, written.cycle, written.line, written.pixel
        );
    }
    text
}
