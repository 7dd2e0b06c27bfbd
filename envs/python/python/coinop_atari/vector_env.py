"""Many games stepped together: Gymnasium's ``VectorEnv`` over the Rust machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from coinop_atari._machine import AtariSet
from coinop_atari.roms import folders

#: Arguments by name of a protocol; those that are passed count more.
PROTOCOLS: dict[str, dict[str, Any]] = {
    # Stable-Baselines3 and CleanRL.
    "sb3": {"episodic_life": True, "reward_clipping": True, "noop_max": 31, "use_fire_reset": True},
    # Mnih et al. 2015: no-op starts, a lost life ends the return, all rewards clipped, 30 minutes.
    "nature": {
        "episodic_life": True,
        "reward_clipping": True,
        "noop_max": 31,
        "use_fire_reset": False,
    },
    # Machado et al. 2018: sticky actions, all 18 actions, a lost life is nothing, 5 minutes.
    "machado": {
        "repeat_action_probability": 0.25,
        "full_action_space": True,
        "episodic_life": False,
        "noop_max": 0,
        "use_fire_reset": False,
        "max_num_frames_per_episode": 18_000,
    },
}


@dataclass(frozen=True)
class AtariVectorState:
    """The state of every environment of an :class:`AtariVectorEnv`, to be restored or pickled."""

    games: tuple[str, ...]
    states: tuple[bytes, ...]


_DEFAULTS: dict[str, Any] = {
    "max_num_frames_per_episode": 108_000,
    "repeat_action_probability": 0.0,
    "full_action_space": False,
    "img_height": 84,
    "img_width": 84,
    "grayscale": True,
    "stack_num": 4,
    "frameskip": 4,
    "maxpool": True,
    "noop_max": 30,
    "episodic_life": False,
    "life_loss_info": False,
    "reward_clipping": True,
    "use_fire_reset": True,
}


class AtariVectorEnv(VectorEnv):
    """Atari games with the preprocessing of deep reinforcement learning, stepped by a pool of threads.

    The keywords and their defaults are those of ``ale_py.vector_env.AtariVectorEnv``; ``games``, ``mode``,
    ``difficulty``, ``protocol`` and ``roms`` are more.

    Args:
        game: The game, e.g. ``"pong"`` or ``"ms_pacman"``; ``None`` with ``games``.
        num_envs: The number of environments.
        batch_size: How many environments ``recv`` returns, whichever are ready first; 0 for all.
        num_threads: Threads that step; 0 for as many as there are cores, at most one for each environment.
        thread_affinity_offset: Accepted and without effect: the operating system places threads.
        max_num_frames_per_episode: An episode is truncated after as many frames; 0 for never.
        repeat_action_probability: The probability in each frame that the last action is repeated.
        full_action_space: Whether there are all 18 actions in every game.
        continuous: Must be ``False``: there are no continuous paddles.
        continuous_action_threshold: Without effect.
        autoreset_mode: When the next episode begins. ``NEXT_STEP``: in the next step, whose action does not count.
            ``SAME_STEP``: in the same step, with the last observation in ``info["final_obs"]``. ``DISABLED``: when
            the caller resets it, by ``options={"reset_mask": …}``.
        img_height: From a third of the screen's height to all of it.
        img_width: From 54 to 160.
        grayscale: Gray pictures ``[stack_num, img_height, img_width]``, or colours in a last dimension of 3.
        stack_num: Pictures in an observation, the newest last; black before there are as many.
        frameskip: Frames of a step.
        maxpool: Whether a picture is the maximum of the step's last two frames.
        noop_max: An episode begins with up to ``noop_max - 1`` frames without action.
        episodic_life: Whether a lost life ends an episode, and the game begins anew.
        life_loss_info: Whether a lost life is reported as ``terminated`` while the game goes on.
        reward_clipping: Whether rewards are -1, 0 or 1.
        use_fire_reset: Whether an episode begins with FIRE, in games that have it.
        games: A game for each environment, or fewer, which are repeated. Games with different actions need
            ``full_action_space``.
        mode: The game's mode, one of ``game_info(game)[0]``.
        difficulty: The game's difficulty, one of ``game_info(game)[1]``.
        protocol: ``"sb3"``, ``"nature"`` or ``"machado"``: other defaults, see ``PROTOCOLS``.
        roms: The folder of ROMs; without one, see :func:`coinop_atari.roms.folders`.
    """

    def __init__(
        self,
        game: str | None = None,
        num_envs: int = 1,
        *,
        batch_size: int = 0,
        num_threads: int = 0,
        thread_affinity_offset: int = -1,
        max_num_frames_per_episode: int | None = None,
        repeat_action_probability: float | None = None,
        full_action_space: bool | None = None,
        continuous: bool = False,
        continuous_action_threshold: float = 0.5,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        img_height: int | None = None,
        img_width: int | None = None,
        grayscale: bool | None = None,
        stack_num: int | None = None,
        frameskip: int | None = None,
        maxpool: bool | None = None,
        noop_max: int | None = None,
        episodic_life: bool | None = None,
        life_loss_info: bool | None = None,
        reward_clipping: bool | None = None,
        use_fire_reset: bool | None = None,
        games: Sequence[str] | None = None,
        mode: int | None = None,
        difficulty: int = 0,
        protocol: str | None = None,
        roms: str | os.PathLike[str] | None = None,
    ) -> None:
        if continuous:
            raise ValueError("continuous = True: there are no continuous paddles; use discrete actions")
        if protocol is not None and protocol not in PROTOCOLS:
            raise ValueError(f"protocol = {protocol!r}: it must be one of {', '.join(map(repr, PROTOCOLS))}")
        passed = {
            "max_num_frames_per_episode": max_num_frames_per_episode,
            "repeat_action_probability": repeat_action_probability,
            "full_action_space": full_action_space,
            "img_height": img_height,
            "img_width": img_width,
            "grayscale": grayscale,
            "stack_num": stack_num,
            "frameskip": frameskip,
            "maxpool": maxpool,
            "noop_max": noop_max,
            "episodic_life": episodic_life,
            "life_loss_info": life_loss_info,
            "reward_clipping": reward_clipping,
            "use_fire_reset": use_fire_reset,
        }
        settings = _DEFAULTS | PROTOCOLS.get(protocol or "", {})
        settings |= {name: value for name, value in passed.items() if value is not None}
        num_envs = _number("num_envs", num_envs, 1, 65_536)
        batch_size = _number("batch_size", batch_size, 0, num_envs) or num_envs
        num_threads = _number("num_threads", num_threads, 0, 1_024)
        for name, most in (("frameskip", 1_000), ("stack_num", 256)):
            _number(name, settings[name], 1, most)
        for name in ("img_height", "img_width", "noop_max", "max_num_frames_per_episode"):
            _number(name, settings[name], 0, 2**31 - 1)
        names = _games(game, games)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._set = AtariSet(
            [names[i % len(names)] for i in range(num_envs)],
            folders(roms),
            batch_size=batch_size,
            num_threads=num_threads or min(cores, num_envs),
            autoreset_mode=self.autoreset_mode.value,
            mode=mode,
            difficulty=difficulty,
            **settings,
        )
        if len(set(self._set.num_actions)) > 1:
            raise ValueError("games: they have different actions; pass full_action_space=True")
        shape: tuple[int, ...] = (settings["stack_num"], settings["img_height"], settings["img_width"])
        if not settings["grayscale"]:
            shape += (3,)
        self.num_envs = num_envs
        self.batch_size = batch_size
        self.single_observation_space = Box(low=0, high=255, shape=shape, dtype=np.uint8)
        self.single_action_space = Discrete(self._set.num_actions[0])
        self.observation_space = batch_space(self.single_observation_space, batch_size)
        self.action_space = batch_space(self.single_action_space, batch_size)

    def reset(
        self,
        *,
        seed: int | Sequence[int] | np.ndarray | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins episodes.

        Args:
            seed: The seed of the first environment that is reset, of which the others have the following ones; or a
                seed for each that is reset. Without one, every environment continues its random numbers.
            options: ``reset_mask``, a boolean array ``[num_envs]``: which environments are reset.

        Returns:
            The observations ``[batch_size, …]``, and ``env_id``, ``lives``, ``frame_number`` and
            ``episode_frame_number`` of each.
        """
        mask = (options or {}).get("reset_mask")
        if mask is None:
            indices = np.arange(self.num_envs, dtype=np.int64)
        else:
            if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
                raise TypeError(f"reset_mask: it must be a boolean array, not {type(mask).__name__}")
            if mask.shape != (self.num_envs,):
                raise ValueError(f"reset_mask: its shape must be {(self.num_envs,)}, not {mask.shape}")
            indices = np.flatnonzero(mask).astype(np.int64)
        obs, _, _, _, info = self._set.reset(indices, _seeds(seed, len(indices)))
        return obs, info

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps the environments of the last batch.

        Args:
            actions: An action for each, ``[batch_size]``.

        Returns:
            Observations ``[batch_size, …]`` as bytes, rewards as ``int32``, ``terminated``, ``truncated``, and info.
        """
        return self._set.step(self._actions(actions))

    def send(self, actions: Any) -> None:
        """Starts a step of the environments of the last batch, and does not wait for it."""
        self._set.send(self._actions(actions))

    def recv(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Waits for the first ``batch_size`` environments that are ready; ``info["env_id"]`` says which they are."""
        return self._set.recv()

    def get_ram(self) -> np.ndarray:
        """The memory of each console, ``[num_envs, 128]``."""
        return self._set.ram()

    def clone_state(self) -> AtariVectorState:
        """Everything that the future of the environments depends on, screens and random numbers included."""
        return AtariVectorState(tuple(self._set.games), tuple(self._set.save()))

    def restore_state(self, state: AtariVectorState) -> tuple[np.ndarray, dict[str, Any]]:
        """Continues from a state of environments with the same arguments; returns what ``reset`` returns."""
        if not isinstance(state, AtariVectorState):
            raise TypeError(f"restore_state: it takes what clone_state() returned, not {type(state).__name__}")
        if state.games != tuple(self._set.games):
            raise ValueError("restore_state: it is the state of other games")
        obs, _, _, _, info = self._set.restore(state.states)
        return obs, info

    def _actions(self, actions: Any) -> np.ndarray:
        array = np.asarray(actions)
        if array.dtype.kind not in "iu":
            raise TypeError(f"actions: they must be integers, not {array.dtype}")
        if array.shape != (self.batch_size,):
            raise ValueError(f"actions: their shape must be {(self.batch_size,)}, not {array.shape}")
        return np.ascontiguousarray(array, dtype=np.int64)


def _number(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} = {value!r}: it must be an integer")
    if not low <= value <= high:
        raise ValueError(f"{name} = {value}: it must be from {low} to {high}")
    return int(value)


def _games(game: str | None, games: Sequence[str] | None) -> list[str]:
    if (game is None) == (games is None):
        raise ValueError("pass either game or games")
    names = [game] if game is not None else list(games or [])
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError("games: they must be names, e.g. [\"pong\", \"breakout\"]")
    return names


def _seeds(seed: Any, count: int) -> np.ndarray:
    if seed is None:
        return np.full(count, -1, dtype=np.int64)
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        seeds = np.arange(int(seed), int(seed) + count, dtype=np.int64)
    else:
        array = np.asarray(seed)
        if array.dtype.kind not in "iu":
            raise TypeError(f"seed: it must be an integer or an array of integers, not {type(seed).__name__}")
        if array.shape != (count,):
            raise ValueError(f"seed: one for each environment that is reset, {(count,)}, not {array.shape}")
        seeds = array.astype(np.int64)
    if count and (seeds.min() < 0 or seeds.max() > 2**31 - 1):
        raise ValueError("seed: it must be from 0 to 2147483647, that of the last environment too")
    return seeds
