"""Stable-Baselines3's ``VecEnv`` over :class:`coinop_atari.AtariVectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from coinop_atari.vector_env import AtariVectorEnv


class AtariVecEnv(VecEnv):
    """Environments whose episodes begin anew in the same step, with ``terminal_observation`` and ``episode`` in the infos."""

    def __init__(self, envs: AtariVectorEnv) -> None:
        if envs.autoreset_mode != AutoresetMode.SAME_STEP or envs.batch_size != envs.num_envs:
            raise ValueError("Stable-Baselines3 needs autoreset_mode=SAME_STEP and all environments in a batch")
        self.envs = envs
        self.render_mode = None
        self._seeds: int | None = None
        self._actions: np.ndarray | None = None
        self._scores = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, dtype=np.int64)
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> np.ndarray:
        obs, _ = self.envs.reset(seed=self._seeds)
        self._seeds = None
        self._scores[:] = 0
        self._lengths[:] = 0
        return obs

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds the next reset: the first environment with ``seed``, the others with the following numbers."""
        self._seeds = seed
        return [None if seed is None else seed + i for i in range(self.num_envs)]

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        obs, rewards, terminated, truncated, info = self.envs.step(self._actions)
        dones = terminated | truncated
        self._scores += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{"lives": int(lives)} for lives in info["lives"]]
        for i in np.flatnonzero(dones):
            infos[i]["terminal_observation"] = info["final_obs"][i]
            infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
            infos[i]["episode"] = {"r": float(self._scores[i]), "l": int(self._lengths[i]), "t": 0.0}
            self._scores[i] = 0
            self._lengths[i] = 0
        return obs, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.envs, attr_name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(f"{attr_name}: all environments share their settings; make new ones")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        result = getattr(self.envs, method_name)(*args, **kwargs)
        return [result] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * len(self._indices(indices))

    def _indices(self, indices: Any) -> list[int]:
        return list(self._get_indices(indices))


def make_vec(game: str, num_envs: int, *, seed: int | None = None, protocol: str = "sb3", **kwargs: Any) -> AtariVecEnv:
    """Environments for Stable-Baselines3, by default with the preprocessing of its ``make_atari_env`` with four frames.

    Args:
        game: The game, e.g. ``"pong"``.
        num_envs: The number of environments.
        seed: The seed of the first environment; the others have the following ones.
        protocol: See :class:`coinop_atari.AtariVectorEnv`.
        kwargs: Other arguments of :class:`coinop_atari.AtariVectorEnv`.
    """
    envs = AtariVectorEnv(game, num_envs, protocol=protocol, autoreset_mode=AutoresetMode.SAME_STEP, **kwargs)
    vec_env = AtariVecEnv(envs)
    vec_env.seed(seed)
    return vec_env
