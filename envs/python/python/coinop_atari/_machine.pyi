from collections.abc import Sequence
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt

__version__: str

_Arrays = tuple[
    npt.NDArray[np.uint8],
    npt.NDArray[np.int32],
    npt.NDArray[np.bool_],
    npt.NDArray[np.bool_],
    dict[str, Any],
]

def all_games() -> list[str]: ...
def game_info(name: str) -> tuple[list[int], list[int], list[str]]: ...
@final
class AtariSet:
    def __new__(
        cls,
        games: Sequence[str],
        roms: Sequence[str | PathLike[str]],
        *,
        batch_size: int,
        num_threads: int,
        max_num_frames_per_episode: int,
        repeat_action_probability: float,
        full_action_space: bool,
        autoreset_mode: str,
        img_height: int,
        img_width: int,
        grayscale: bool,
        stack_num: int,
        frameskip: int,
        maxpool: bool,
        noop_max: int,
        episodic_life: bool,
        life_loss_info: bool,
        reward_clipping: bool,
        use_fire_reset: bool,
        mode: int | None,
        difficulty: int,
    ) -> AtariSet: ...
    @property
    def num_actions(self) -> list[int]: ...
    @property
    def games(self) -> list[str]: ...
    def reset(self, indices: npt.NDArray[np.int64], seeds: npt.NDArray[np.int64]) -> _Arrays: ...
    def step(self, actions: npt.NDArray[np.int64]) -> _Arrays: ...
    def send(self, actions: npt.NDArray[np.int64]) -> None: ...
    def recv(self) -> _Arrays: ...
    def ram(self) -> npt.NDArray[np.uint8]: ...
    def save(self) -> list[bytes]: ...
    def restore(self, states: Sequence[bytes]) -> _Arrays: ...

@final
class AtariMachine:
    def __new__(
        cls,
        game: str,
        roms: Sequence[str | PathLike[str]],
        repeat_action_probability: float,
        full_action_space: bool,
        mode: int | None,
        difficulty: int,
        max_num_frames_per_episode: int,
    ) -> AtariMachine: ...
    @property
    def action_names(self) -> list[str]: ...
    @property
    def is_terminal(self) -> bool: ...
    @property
    def is_truncated(self) -> bool: ...
    @property
    def counters(self) -> tuple[int, int, int]: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def reset(self, seed: int | None = None) -> None: ...
    def act(self, action: int, frames: int) -> int: ...
    def rgb(self) -> npt.NDArray[np.uint8]: ...
    def grayscale(self) -> npt.NDArray[np.uint8]: ...
    def ram(self) -> npt.NDArray[np.uint8]: ...
    def save(self) -> bytes: ...
    def restore(self, state: bytes) -> None: ...
