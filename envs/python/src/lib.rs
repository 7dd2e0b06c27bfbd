//! The Rust half of the Python package `coinop_atari`: see its README.
//!
//! ```text
//! python/coinop_atari   spaces, arguments, Gymnasium's classes
//! lib.rs                what Python calls; NumPy's arrays
//! set.rs                games and their threads
//! player.rs             one game with its preprocessing
//! single.rs             one game without
//! ```

mod player;
mod set;
mod single;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use coinop_envs::EnvError;
use coinop_envs::coinop_atari::{Action, Rom, find_game, games};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::{PyFileNotFoundError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use player::{Player, Settings};
use set::{Autoreset, Set, Task};

/// The Python error for one of ours.
fn python_error(error: EnvError) -> PyErr {
    match &error {
        error if matches!(error.cause(), EnvError::ResetNeeded) => PyRuntimeError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}

/// Reads the ROM of a game from the first of `folders` that has it.
fn find_rom(game: &str, folders: &[PathBuf]) -> PyResult<Rom> {
    let game = find_game(game).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let has_it = |folder: &&PathBuf| folder.join(format!("{}.bin", game.name)).is_file();
    let folder = folders.iter().find(has_it).map(PathBuf::as_path);
    if folder.is_none() {
        let places: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let looked = if places.is_empty() {
            "nowhere".to_owned()
        } else {
            places.join(", ")
        };
        return Err(PyFileNotFoundError::new_err(format!(
            "no ROM of {0} (looked for {0}.bin in {looked}): pip install ale-py, set COINOP_ROMS, or pass roms=",
            game.name
        )));
    }
    Rom::find(game, folder).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The arrays of a step.
type Arrays<'py> = (
    Bound<'py, PyArrayDyn<u8>>,
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyDict>,
);

/// Games that are stepped together.
#[pyclass(frozen, module = "coinop_atari._machine")]
struct AtariSet {
    settings: Arc<Settings>,
    batch_size: usize,
    num_actions: Vec<usize>,
    names: Vec<&'static str>,
    inner: Mutex<Inner>,
}

struct Inner {
    set: Set,
    /// The games of the last batch, which the next actions are for.
    batch: Vec<usize>,
    /// Whether every game has been reset.
    begun: bool,
}

impl AtariSet {
    /// The games, unless another thread uses them. It is not waited for, because it may need the GIL of this one.
    fn inner(&self) -> PyResult<MutexGuard<'_, Inner>> {
        self.inner.try_lock().map_err(|_| {
            PyRuntimeError::new_err(
                "another thread uses these environments, or one failed while it did: give each thread its own",
            )
        })
    }

    fn shape(&self, rows: usize) -> Vec<usize> {
        let settings = &self.settings;
        let mut shape = vec![rows, settings.stack_num, settings.img_height, settings.img_width];
        if !settings.grayscale {
            shape.push(3);
        }
        shape
    }

    /// The results of the games of a batch, besides their observations.
    fn results<'py>(&self, py: Python<'py>, inner: &Inner, obs: Bound<'py, PyArrayDyn<u8>>) -> PyResult<Arrays<'py>> {
        let seats: Vec<&set::Seat> = inner
            .batch
            .iter()
            .filter_map(|number| inner.set.seat(*number))
            .collect();
        let numbers = |f: &dyn Fn(&set::Seat) -> i32| PyArray1::from_iter(py, seats.iter().map(|seat| f(seat)));
        let flags = |f: &dyn Fn(&set::Seat) -> bool| PyArray1::from_iter(py, seats.iter().map(|seat| f(seat)));
        let info = PyDict::new(py);
        info.set_item("env_id", numbers(&|seat| seat.number as i32))?;
        info.set_item("lives", numbers(&|seat| seat.outcome.lives))?;
        info.set_item("frame_number", numbers(&|seat| seat.outcome.frame_number))?;
        info.set_item(
            "episode_frame_number",
            numbers(&|seat| seat.outcome.episode_frame_number),
        )?;
        if seats.iter().any(|seat| seat.final_obs.is_some()) {
            let finals = PyArrayDyn::<u8>::zeros(py, self.shape(seats.len()), false);
            {
                let mut rows = finals.readwrite();
                let rows = rows.as_slice_mut()?;
                let row = self.settings.obs_len();
                for (row, seat) in rows.chunks_exact_mut(row).zip(&seats) {
                    row.copy_from_slice(seat.final_obs.as_deref().unwrap_or_else(|| seat.player.obs()));
                }
            }
            info.set_item("final_obs", finals)?;
        }
        Ok((
            obs,
            numbers(&|seat| seat.outcome.reward),
            flags(&|seat| seat.outcome.terminated),
            flags(&|seat| seat.outcome.truncated),
            info,
        ))
    }

    /// Performs a task in every game.
    fn run_all<'py>(&self, py: Python<'py>, inner: &mut Inner, tasks: &[Option<Task>]) -> PyResult<Arrays<'py>> {
        let obs = PyArrayDyn::<u8>::zeros(py, self.shape(inner.set.len()), false);
        {
            let mut rows = obs.readwrite();
            let rows = rows.as_slice_mut()?;
            py.detach(|| inner.set.run_all(tasks, rows)).map_err(python_error)?;
        }
        inner.batch = (0..inner.set.len()).collect();
        self.results(py, inner, obs)
    }

    fn receive<'py>(&self, py: Python<'py>, inner: &mut Inner) -> PyResult<Arrays<'py>> {
        let (batch_size, row) = (self.batch_size, self.settings.obs_len());
        let obs = PyArrayDyn::<u8>::zeros(py, self.shape(batch_size), false);
        {
            let mut rows = obs.readwrite();
            let rows = rows.as_slice_mut()?;
            let received = py.detach(|| -> Result<Option<()>, EnvError> {
                inner.batch.clear();
                while inner.batch.len() < batch_size {
                    match inner.set.receive()? {
                        Some(number) => inner.batch.push(number),
                        None => return Ok(None),
                    }
                }
                if batch_size == inner.set.len() {
                    inner.batch.sort_unstable();
                }
                for (row, number) in rows.chunks_exact_mut(row).zip(&inner.batch) {
                    if let Some(seat) = inner.set.seat(*number) {
                        row.copy_from_slice(seat.player.obs());
                    }
                }
                Ok(Some(()))
            });
            if received.map_err(python_error)?.is_none() {
                return Err(PyRuntimeError::new_err(
                    "recv() before reset() or send(): no environment is under way",
                ));
            }
        }
        self.results(py, inner, obs)
    }
}

#[pymethods]
impl AtariSet {
    #[new]
    #[pyo3(signature = (games, roms, *, batch_size, num_threads, max_num_frames_per_episode, repeat_action_probability, full_action_space, autoreset_mode, img_height, img_width, grayscale, stack_num, frameskip, maxpool, noop_max, episodic_life, life_loss_info, reward_clipping, use_fire_reset, mode, difficulty))]
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the Python class")]
    #[expect(clippy::fn_params_excessive_bools, reason = "as above")]
    fn new(
        py: Python<'_>,
        games: Vec<String>,
        roms: Vec<PathBuf>,
        batch_size: usize,
        num_threads: usize,
        max_num_frames_per_episode: u32,
        repeat_action_probability: f32,
        full_action_space: bool,
        autoreset_mode: &str,
        img_height: usize,
        img_width: usize,
        grayscale: bool,
        stack_num: usize,
        frameskip: u32,
        maxpool: bool,
        noop_max: u32,
        episodic_life: bool,
        life_loss_info: bool,
        reward_clipping: bool,
        use_fire_reset: bool,
        mode: Option<u32>,
        difficulty: u32,
    ) -> PyResult<Self> {
        let settings = Arc::new(Settings {
            frameskip,
            stack_num,
            img_height,
            img_width,
            grayscale,
            maxpool,
            noop_max,
            use_fire_reset,
            episodic_life,
            life_loss_info,
            reward_clipping,
            max_num_frames_per_episode,
            full_action_space,
            repeat_action_probability,
            mode,
            difficulty,
        });
        let autoreset = match autoreset_mode {
            "NextStep" => Autoreset::NextStep,
            "SameStep" => Autoreset::SameStep,
            "Disabled" => Autoreset::Disabled,
            other => {
                return Err(PyValueError::new_err(format!(
                    "autoreset_mode = {other:?}: it must be \"NextStep\", \"SameStep\" or \"Disabled\""
                )));
            }
        };
        let mut made: Vec<(String, Player)> = Vec::new();
        let mut players = Vec::with_capacity(games.len());
        for game in &games {
            // Switching a machine on takes longer than copying one.
            if !made.iter().any(|(name, _)| name == game) {
                let rom = find_rom(game, &roms)?;
                let player = py.detach(|| Player::new(&rom, &settings)).map_err(python_error)?;
                made.push((game.clone(), player));
            }
            players.extend(
                made.iter()
                    .find(|(name, _)| name == game)
                    .map(|(_, player)| player.clone()),
            );
        }
        let names = games
            .iter()
            .filter_map(|game| Some(find_game(game).ok()?.name))
            .collect();
        Ok(Self {
            settings,
            batch_size,
            num_actions: players.iter().map(|player| player.actions().len()).collect(),
            names,
            inner: Mutex::new(Inner {
                set: Set::new(players, num_threads, autoreset),
                batch: Vec::new(),
                begun: false,
            }),
        })
    }

    /// The actions of each game.
    #[getter]
    fn num_actions(&self) -> Vec<usize> {
        self.num_actions.clone()
    }

    /// Each game.
    #[getter]
    fn games(&self) -> Vec<&'static str> {
        self.names.clone()
    }

    /// Begins an episode in the games of `indices`, with a seed for each, or -1 to continue its random numbers.
    fn reset<'py>(
        &self,
        py: Python<'py>,
        indices: PyReadonlyArray1<'py, i64>,
        seeds: PyReadonlyArray1<'py, i64>,
    ) -> PyResult<Arrays<'py>> {
        let mut guard = self.inner()?;
        let inner = &mut *guard;
        let n = inner.set.len();
        let mut tasks = vec![None; n];
        for (&index, &seed) in indices.as_slice()?.iter().zip(seeds.as_slice()?) {
            let seed = match seed {
                -1 => None,
                seed => Some(i32::try_from(seed).map_err(|_| {
                    PyValueError::new_err(format!("the seed {seed}: it must be from 0 to {}", i32::MAX))
                })?),
            };
            let task = usize::try_from(index).ok().and_then(|index| tasks.get_mut(index));
            let Some(task) = task else {
                return Err(PyValueError::new_err(format!("there is no environment {index} of {n}")));
            };
            *task = Some(Task::Reset(seed));
        }
        let is_whole = tasks.iter().all(Option::is_some);
        if !is_whole && (!inner.begun || self.batch_size < n) {
            let text = "reset_mask: it needs a reset of all environments before, and batch_size = num_envs";
            return Err(PyValueError::new_err(text));
        }
        // What is under way is waited for and discarded.
        py.detach(|| {
            while !inner.set.is_complete() {
                // An error of a step that was discarded.
                let _ = inner.set.receive();
            }
        });
        inner.begun = true;
        if self.batch_size == n {
            return self.run_all(py, inner, &tasks);
        }
        let tasks = tasks
            .into_iter()
            .enumerate()
            .filter_map(|(number, task)| Some((number, task?)));
        inner.set.send(tasks).map_err(python_error)?;
        self.receive(py, inner)
    }

    /// Steps all games.
    fn step<'py>(&self, py: Python<'py>, actions: PyReadonlyArray1<'py, i64>) -> PyResult<Arrays<'py>> {
        let mut inner = self.inner()?;
        let tasks = self.tasks(&inner, actions.as_slice()?)?;
        if self.batch_size == inner.set.len() {
            let tasks: Vec<Option<Task>> = tasks.into_iter().map(|(_, task)| Some(task)).collect();
            return self.run_all(py, &mut inner, &tasks);
        }
        inner.set.send(tasks.into_iter()).map_err(python_error)?;
        self.receive(py, &mut inner)
    }

    /// Starts a step of the games of the last batch.
    fn send(&self, actions: PyReadonlyArray1<'_, i64>) -> PyResult<()> {
        let mut inner = self.inner()?;
        let tasks = self.tasks(&inner, actions.as_slice()?)?;
        inner.set.send(tasks.into_iter()).map_err(python_error)
    }

    /// Waits for a batch.
    fn recv<'py>(&self, py: Python<'py>) -> PyResult<Arrays<'py>> {
        let mut inner = self.inner()?;
        self.receive(py, &mut inner)
    }

    /// The memory of each game's console, `[num_envs, 128]`.
    fn ram<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let inner = self.inner()?;
        Self::here(&inner)?;
        let ram = PyArrayDyn::<u8>::zeros(py, vec![inner.set.len(), 128], false);
        {
            let mut rows = ram.readwrite();
            for (number, row) in rows.as_slice_mut()?.chunks_exact_mut(128).enumerate() {
                if let Some(seat) = inner.set.seat(number) {
                    row.copy_from_slice(seat.player.ram());
                }
            }
        }
        Ok(ram)
    }

    /// The state of each game.
    fn save<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let inner = self.inner()?;
        Self::here(&inner)?;
        let seats = (0..inner.set.len()).filter_map(|number| inner.set.seat(number));
        Ok(seats.map(|seat| PyBytes::new(py, &seat.player.save())).collect())
    }

    /// Restores the state of each game, and returns what a reset would.
    fn restore<'py>(&self, py: Python<'py>, states: Vec<Vec<u8>>) -> PyResult<Arrays<'py>> {
        let mut inner = self.inner()?;
        Self::here(&inner)?;
        let n = inner.set.len();
        if states.len() != n {
            let text = format!("a state of {} environments, and there are {n}", states.len());
            return Err(PyValueError::new_err(text));
        }
        for (number, state) in states.iter().enumerate() {
            if let Some(seat) = inner.set.seat_mut(number) {
                seat.player
                    .restore(state)
                    .map_err(|error| python_error(error.of(number)))?;
                seat.outcome = seat.player.outcome(0);
                seat.final_obs = None;
            }
        }
        inner.begun = true;
        self.run_all(py, &mut inner, &vec![None; n])
    }
}

impl AtariSet {
    fn here(inner: &Inner) -> PyResult<()> {
        match inner.set.is_complete() {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err("environments are under way: call recv() first")),
        }
    }

    /// The steps of the last batch.
    fn tasks(&self, inner: &Inner, actions: &[i64]) -> PyResult<Vec<(usize, Task)>> {
        if !inner.begun {
            return Err(PyRuntimeError::new_err("call reset() before the first step"));
        }
        if inner.batch.len() != self.batch_size || inner.batch.iter().any(|number| inner.set.seat(*number).is_none()) {
            return Err(PyRuntimeError::new_err(
                "environments are under way: call recv() before the next actions",
            ));
        }
        if actions.len() != self.batch_size {
            let text = format!("{} actions for {} environments", actions.len(), self.batch_size);
            return Err(PyValueError::new_err(text));
        }
        let task = |(&number, &action): (&usize, &i64)| {
            let num_actions = self.num_actions[number];
            let valid = usize::try_from(action).ok().filter(|action| *action < num_actions);
            let valid = valid.ok_or_else(|| {
                PyValueError::new_err(format!(
                    "the action {action} of environment {number}: it must be from 0 to {}",
                    num_actions - 1
                ))
            })?;
            Ok((number, Task::Step(valid)))
        };
        inner.batch.iter().zip(actions).map(task).collect()
    }
}

/// The name of an action, as ALE writes it.
fn ale_name(action: Action) -> String {
    action.name().to_uppercase()
}

/// The names of all games.
#[pyfunction]
fn all_games() -> Vec<&'static str> {
    games().iter().map(|game| game.name).collect()
}

/// What can be chosen for a game: its modes, its difficulties, and the names of its minimal actions.
#[pyfunction]
fn game_info(name: &str) -> PyResult<(Vec<u32>, Vec<u32>, Vec<String>)> {
    let game = find_game(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let actions = game.minimal_actions.iter().copied().map(ale_name).collect();
    Ok((game.modes.to_vec(), game.difficulties.to_vec(), actions))
}

#[pymodule]
fn _machine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AtariSet>()?;
    module.add_class::<single::AtariMachine>()?;
    module.add_function(wrap_pyfunction!(all_games, module)?)?;
    module.add_function(wrap_pyfunction!(game_info, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
