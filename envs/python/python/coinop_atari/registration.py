"""Names for ``gymnasium.make`` and ``gymnasium.make_vec``."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from coinop_atari._machine import all_games


def register() -> None:
    """Registers ``coinop/Pong-v5`` and the others, with the defaults of ``ALE/Pong-v5``; does nothing a second time."""
    for game in all_games():
        name = f"coinop/{''.join(word.title() for word in game.split('_'))}-v5"
        if name in gymnasium.registry:
            continue
        gymnasium.register(
            id=name,
            entry_point="coinop_atari.env:AtariEnv",
            vector_entry_point="coinop_atari.registration:make_vec",
            kwargs={"game": game, "max_num_frames_per_episode": 108_000},
            disable_env_checker=True,
        )


def make_vec(game: str, num_envs: int = 1, **kwargs: Any) -> VectorEnv:
    """What ``gymnasium.make_vec`` makes: sticky actions by default, as the name says."""
    from coinop_atari.vector_env import AtariVectorEnv

    kwargs.setdefault("repeat_action_probability", 0.25)
    return AtariVectorEnv(game, num_envs, **kwargs)
