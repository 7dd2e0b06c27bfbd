//! One game without preprocessing, for `gymnasium.make`.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use coinop_envs::coinop_atari::{Action, Atari, AtariSettings};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::{ale_name, find_rom};

/// A game frame by frame.
#[pyclass(frozen, module = "coinop_atari._machine")]
pub(crate) struct AtariMachine {
    actions: &'static [Action],
    inner: Mutex<(Atari, Box<Atari>)>,
}

impl AtariMachine {
    fn inner(&self) -> PyResult<MutexGuard<'_, (Atari, Box<Atari>)>> {
        self.inner
            .try_lock()
            .map_err(|_| PyRuntimeError::new_err("another thread uses this environment: give each thread its own"))
    }
}

#[pymethods]
impl AtariMachine {
    #[new]
    fn new(
        game: &str,
        roms: Vec<PathBuf>,
        repeat_action_probability: f32,
        full_action_space: bool,
        mode: Option<u32>,
        difficulty: u32,
        max_num_frames_per_episode: u32,
    ) -> PyResult<Self> {
        let rom = find_rom(game, &roms)?;
        let settings = AtariSettings {
            repeat_action_probability,
            mode,
            difficulty,
            max_frames_per_episode: max_num_frames_per_episode,
            ..AtariSettings::default()
        };
        let machine = Atari::new(&rom, &settings).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let actions = if full_action_space {
            &Action::ALL
        } else {
            rom.game().minimal_actions
        };
        Ok(Self {
            actions,
            inner: Mutex::new((machine.clone(), Box::new(machine))),
        })
    }

    /// The names of the actions.
    #[getter]
    fn action_names(&self) -> Vec<String> {
        self.actions.iter().copied().map(ale_name).collect()
    }

    /// Starts an episode; with a seed, as just after the console was switched on.
    #[pyo3(signature = (seed=None))]
    fn reset(&self, seed: Option<i32>) -> PyResult<()> {
        let mut inner = self.inner()?;
        let (machine, fresh) = &mut *inner;
        if let Some(seed) = seed {
            machine.clone_from(fresh);
            machine.seed(seed);
        }
        machine.reset();
        Ok(())
    }

    /// Plays `frames` frames, or fewer if the episode ends; returns the sum of rewards.
    fn act(&self, py: Python<'_>, action: usize, frames: u32) -> PyResult<i32> {
        let Some(&action) = self.actions.get(action) else {
            let text = format!("the action {action}: it must be from 0 to {}", self.actions.len() - 1);
            return Err(PyValueError::new_err(text));
        };
        let mut inner = self.inner()?;
        let machine = &mut inner.0;
        Ok(py.detach(|| (0..frames).map(|_| machine.act(action)).sum()))
    }

    #[getter]
    fn is_terminal(&self) -> PyResult<bool> {
        Ok(self.inner()?.0.is_terminal())
    }

    #[getter]
    fn is_truncated(&self) -> PyResult<bool> {
        Ok(self.inner()?.0.is_truncated())
    }

    /// Lives, frames since the console was switched on, and frames of the episode.
    #[getter]
    fn counters(&self) -> PyResult<(u32, u32, u32)> {
        let inner = self.inner()?;
        let machine = &inner.0;
        Ok((machine.lives(), machine.frame_number(), machine.episode_frame_number()))
    }

    /// Height and width of the screen.
    #[getter]
    fn size(&self) -> PyResult<(usize, usize)> {
        Ok((self.inner()?.0.height(), Atari::WIDTH))
    }

    /// The screen in colours, `[height, width, 3]`.
    fn rgb<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let mut inner = self.inner()?;
        let screen = PyArrayDyn::<u8>::zeros(py, vec![inner.0.height(), Atari::WIDTH, 3], false);
        inner.0.rgb(screen.readwrite().as_slice_mut()?);
        Ok(screen)
    }

    /// The screen in shades of gray, `[height, width]`.
    fn grayscale<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let mut inner = self.inner()?;
        let screen = PyArrayDyn::<u8>::zeros(py, vec![inner.0.height(), Atari::WIDTH], false);
        inner.0.grayscale(screen.readwrite().as_slice_mut()?);
        Ok(screen)
    }

    /// The console's memory, `[128]`.
    fn ram<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        Ok(PyArray1::from_slice(py, self.inner()?.0.ram()))
    }

    fn save<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.inner()?.0.save_state()))
    }

    fn restore(&self, state: &[u8]) -> PyResult<()> {
        let mut inner = self.inner()?;
        inner
            .0
            .load_state(state)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
