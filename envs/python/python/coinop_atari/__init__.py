"""Atari 2600 environments for Gymnasium, on the machine of coinop."""

from coinop_atari._machine import __version__, all_games, game_info
from coinop_atari.env import AtariEnv
from coinop_atari.registration import register
from coinop_atari.vector_env import PROTOCOLS, AtariVectorEnv, AtariVectorState

__all__ = [
    "PROTOCOLS",
    "AtariEnv",
    "AtariVectorEnv",
    "AtariVectorState",
    "__version__",
    "all_games",
    "game_info",
    "register",
]

register()
