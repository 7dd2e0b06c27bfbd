"""Records what agents see of Atari games through Gymnasium, for envs/tests/observations.rs and envs/tests/pictures.rs.

    python tools/record_observations.py

needs ale-py 0.12.1, gymnasium 1.4.0 and opencv-python 5.0.0. It prints, per game, the CRC-32 of everything seen so far after every
100 steps of play with actions from a fixed generator: observations (4, 84, 84) that AtariPreprocessing and FrameStackObservation make,
with no no-ops and no sticky actions. Observations at the end of an episode are left out: where an episode ends within the four
frames of a step, AtariPreprocessing shows the last two frames of the step before. Last come CRC-32 sums of noise shrunk by OpenCV.
"""

import zlib

import ale_py
import cv2
import gymnasium
import numpy
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

GAMES = ["Pong", "Breakout", "SpaceInvaders", "Seaquest"]
STEPS = 1500


SIZES = [  # height, width, before and after
    ((210, 160), (84, 84)),
    ((250, 160), (84, 84)),
    ((210, 160), (84, 80)),
    ((210, 160), (210, 100)),
    ((100, 77), (64, 64)),
    ((90, 91), (90, 50)),
    ((84, 84), (84, 84)),
]


def numbers(below):
    """Knuth's MMIX generator; the tests have the same one."""
    state = 1
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 33) % below


def shrink(before, after):
    """CRC-32 of a picture of noise, shrunk by area."""
    pixels = [value for value, _ in zip(numbers(256), range(before[0] * before[1]))]
    picture = numpy.array(pixels, numpy.uint8).reshape(before)
    return zlib.crc32(cv2.resize(picture, after[::-1], interpolation=cv2.INTER_AREA).tobytes())


def record(game):
    """CRC-32 sums after every 100 steps, the score, and how many episodes ended."""
    env = gymnasium.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0, full_action_space=True)
    env = FrameStackObservation(AtariPreprocessing(env, noop_max=0, frame_skip=4), 4)
    observation, _ = env.reset()
    crc = zlib.crc32(observation.tobytes())
    crcs, score, episodes = [], 0, 0
    for step, action in zip(range(1, STEPS + 1), numbers(18)):
        observation, reward, terminated, truncated, _ = env.step(action)
        score += int(reward)
        if terminated or truncated:
            episodes += 1
            observation, _ = env.reset()
        crc = zlib.crc32(observation.tobytes(), crc)
        if step % 100 == 0:
            crcs.append(crc)
    return crcs, score, episodes


gymnasium.register_envs(ale_py)
for game in GAMES:
    crcs, score, episodes = record(game)
    print(f"{game}: score {score}, {episodes} episodes ended; CRC-32", ", ".join(f"0x{crc:08x}" for crc in crcs))
for before, after in SIZES:
    print(f"{before} to {after}: 0x{shrink(before, after):08x}")
