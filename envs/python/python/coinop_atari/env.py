"""One game without preprocessing: Gymnasium's ``Env`` over the Rust machine."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from coinop_atari._machine import AtariMachine
from coinop_atari.roms import folders


class AtariEnv(gymnasium.Env):
    """A game of the Atari 2600, as ``gymnasium.make("coinop/Pong-v5")`` makes it.

    The keywords and their defaults are those of ``ALE/…-v5``.

    Args:
        game: The game, e.g. ``"pong"``.
        mode: The game's mode; its default without one.
        difficulty: The game's difficulty.
        obs_type: ``"rgb"``, the screen ``[height, 160, 3]``; ``"grayscale"``, ``[height, 160]``; or ``"ram"``, ``[128]``.
        frameskip: Frames of a step, or a range ``(low, high)`` from which each step draws, without ``high``.
        repeat_action_probability: The probability in each frame that the last action is repeated.
        full_action_space: Whether there are all 18 actions.
        max_num_frames_per_episode: An episode is truncated after as many frames; ``None`` for never.
        render_mode: ``"rgb_array"``, or ``"human"`` with pygame.
        roms: The folder of ROMs; without one, see :func:`coinop_atari.roms.folders`.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 30}

    def __init__(
        self,
        game: str = "pong",
        mode: int | None = None,
        difficulty: int = 0,
        obs_type: str = "rgb",
        frameskip: int | tuple[int, int] = 4,
        repeat_action_probability: float = 0.25,
        full_action_space: bool = False,
        max_num_frames_per_episode: int | None = None,
        render_mode: str | None = None,
        roms: str | os.PathLike[str] | None = None,
    ) -> None:
        if obs_type not in ("rgb", "grayscale", "ram"):
            raise ValueError(f"obs_type = {obs_type!r}: it must be \"rgb\", \"grayscale\" or \"ram\"")
        if render_mode not in (None, "human", "rgb_array"):
            raise ValueError(f"render_mode = {render_mode!r}: it must be \"human\" or \"rgb_array\"")
        low, high = (frameskip, frameskip + 1) if isinstance(frameskip, int) else frameskip
        if not 0 < low < high:
            raise ValueError(f"frameskip = {frameskip}: it must be at least 1, or a range")
        self._machine = AtariMachine(
            game,
            folders(roms),
            repeat_action_probability,
            full_action_space,
            mode,
            difficulty,
            max_num_frames_per_episode or 0,
        )
        self._frameskip = (low, high)
        self._obs_type = obs_type
        self._screen: Any = None
        self.render_mode = render_mode
        self.action_space = Discrete(len(self._machine.action_names))
        height, width = self._machine.size
        shape = {"rgb": (height, width, 3), "grayscale": (height, width), "ram": (128,)}[obs_type]
        self.observation_space = Box(low=0, high=255, shape=shape, dtype=np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode; with a seed, as just after the console was switched on."""
        super().reset(seed=seed)
        of_machine = None if seed is None else int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
        self._machine.reset(of_machine)
        if self.render_mode == "human":
            self.render()
        return self._obs(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Plays ``frameskip`` frames, or fewer if the episode ends."""
        low, high = self._frameskip
        frames = low if high == low + 1 else int(self.np_random.integers(low, high))
        reward = self._machine.act(int(action), frames)
        if self.render_mode == "human":
            self.render()
        machine = self._machine
        return self._obs(), float(reward), machine.is_terminal, machine.is_truncated, self._info()

    def render(self) -> np.ndarray | None:
        """The screen in colours, or a window that shows it."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode: pass render_mode=\"rgb_array\" to gymnasium.make")
            return None
        picture = self._machine.rgb()
        if self.render_mode == "rgb_array":
            return picture
        try:
            import pygame
        except ImportError as error:
            raise gymnasium.error.DependencyNotInstalled("render_mode=\"human\" needs pygame: pip install pygame") from error
        height, width = picture.shape[:2]
        if self._screen is None:
            pygame.init()
            # A pixel of the Atari is about twice as wide as high.
            self._screen = pygame.display.set_mode((width * 4, height * 2))
        surface = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        pygame.transform.scale(surface, self._screen.get_size(), self._screen)
        pygame.display.flip()
        pygame.event.pump()
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._screen is not None:
            import pygame

            pygame.quit()
            self._screen = None

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return self._machine.action_names

    def clone_state(self) -> bytes:
        """Everything that the future of the game depends on; the random numbers of ``frameskip`` ranges are not in it."""
        return self._machine.save()

    def restore_state(self, state: bytes) -> None:
        """Continues from a state."""
        self._machine.restore(state)

    def _obs(self) -> np.ndarray:
        if self._obs_type == "ram":
            return self._machine.ram()
        return self._machine.rgb() if self._obs_type == "rgb" else self._machine.grayscale()

    def _info(self) -> dict[str, Any]:
        lives, frame_number, episode_frame_number = self._machine.counters
        return {
            "lives": lives,
            "episode_frame_number": episode_frame_number,
            "frame_number": frame_number,
        }
