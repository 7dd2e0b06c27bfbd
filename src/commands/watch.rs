//! `coinop watch`: a dashboard of a run.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cli::WatchArgs;
use crate::play::terminal;
use crate::run::dir::RunDir;
use crate::signals;
use crate::watch::{follow, watch};

pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    let dir = RunDir::open(&args.run)?;
    let stop = signals::listen()?;
    // The network is small, and the cores are for the training.
    coinop_agents::set_torch_threads(1);
    if terminal::is_there() {
        return watch(&dir, &stop);
    }
    let (_keep, never) = mpsc::channel::<()>();
    follow(&dir, &stop, &mut |time: Duration| {
        let until = Instant::now() + time;
        while stop.signal().is_none() && Instant::now() < until {
            let _ = never.recv_timeout(Duration::from_millis(100));
        }
    })
}
