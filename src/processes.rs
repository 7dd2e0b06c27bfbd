//! This program as processes of its own: trainings and evaluations of a suite or of a search.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::cores;
use crate::signals::StopRequest;

/// How often a process is looked after.
const POLL: Duration = Duration::from_millis(50);

/// This program.
pub(crate) fn program() -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    Ok(command)
}

/// Arguments that share the cores among runs.
pub(crate) fn threads(jobs: usize) -> Vec<String> {
    if jobs == 1 {
        return Vec::new();
    }
    let threads = (cores() / jobs).max(1).to_string();
    vec![
        "--env-threads".to_owned(),
        threads.clone(),
        "--torch-threads".to_owned(),
        threads,
    ]
}

/// Waits for a process, and passes on a request to stop, which it answers by saving. Returns whether it succeeded.
pub(crate) fn wait(mut child: Child, stop: &StopRequest, watch: &mut dyn FnMut()) -> anyhow::Result<bool> {
    let pid = rustix::process::Pid::from_child(&child);
    let (send, ended) = mpsc::channel();
    thread::spawn(move || send.send(child.wait()));
    let mut passed_on = false;
    loop {
        match ended.recv_timeout(POLL) {
            Ok(status) => return Ok(status.context("a process cannot be waited for")?.success()),
            Err(RecvTimeoutError::Disconnected) => bail!("the thread that waits for a process died"),
            Err(RecvTimeoutError::Timeout) => watch(),
        }
        if let Some(signal) = stop.signal()
            && !passed_on
        {
            // A terminal has sent it to both already; a second one within a second counts as the same.
            passed_on = true;
            if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }
}

/// Runs a process silently; returns the last line on its standard error if it failed.
pub(crate) fn last_words(
    mut command: Command,
    stop: &StopRequest,
    watch: &mut dyn FnMut(),
) -> anyhow::Result<Option<String>> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("training cannot be started")?;
    let stderr = child.stderr.take().context("no standard error")?;
    let reader = thread::spawn(move || {
        let lines = BufReader::new(stderr).lines().map_while(Result::ok);
        lines.filter(|line| !line.trim().is_empty()).last()
    });
    let ended = wait(child, stop, watch)?;
    let last = reader
        .join()
        .ok()
        .flatten()
        .unwrap_or_else(|| "no reason is given".to_owned());
    Ok((!ended && stop.signal().is_none()).then(|| last.trim_start_matches("error: ").to_owned()))
}

/// Runs a process and returns what it prints; `None` if `stop` was asked for.
pub(crate) fn output(mut command: Command, stop: &StopRequest) -> anyhow::Result<Option<String>> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("an evaluation cannot be started")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        thread::spawn(move || {
            let mut text = String::new();
            pipe.map(|mut pipe| pipe.read_to_string(&mut text));
            text
        })
    };
    let stdout = read(stdout.map(|pipe| Box::new(pipe) as _));
    let stderr = read(stderr.map(|pipe| Box::new(pipe) as _));
    let ended = wait(child, stop, &mut || ())?;
    let (printed, said) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    if stop.signal().is_some() {
        return Ok(None);
    }
    if !ended {
        let last = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("no reason is given");
        bail!("its evaluation failed: {}", last.trim_start_matches("error: "));
    }
    Ok(Some(printed))
}
