"""Frames per second of ale-py, measured as `coinop bench emulator` measures its own machine.

    python3 ale.py GAME SECONDS REPEATS MODE DIFFICULTY     # `-` for the default mode

Prints the version of ale-py, then the rate of each repeat.
"""
import random
import sys
import time
from importlib.metadata import version

import numpy
from ale_py import ALEInterface, LoggerMode, roms

game, seconds, repeats, mode, difficulty = sys.argv[1:]
ALEInterface.setLoggerMode(LoggerMode.Error)
ale = ALEInterface()
ale.setFloat("repeat_action_probability", 0.0)
ale.loadROM(roms.get_rom_path(game))
if mode != "-":
    ale.setMode(int(mode))
ale.setDifficulty(int(difficulty))
ale.reset_game()
actions = ale.getMinimalActionSet()
screen = numpy.zeros(ale.getScreenDims(), numpy.uint8)


def rate():
    frames, start = 0, time.perf_counter()
    while time.perf_counter() - start < float(seconds):
        for frame in range(1000):
            ale.act(random.choice(actions))
            if frame % 4 == 0:
                ale.getScreenGrayscale(screen)
            if ale.game_over():
                ale.reset_game()
        frames += 1000
    return frames / (time.perf_counter() - start)


rate()
print(version("ale-py"), *(rate() for _ in range(int(repeats))))
