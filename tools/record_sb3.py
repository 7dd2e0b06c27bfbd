"""Records what Stable-Baselines3's Atari wrappers answer, for envs/tests/sb3.rs.

    pip install stable-baselines3==2.9.2 gymnasium==1.4.0 ale-py==0.12.1 opencv-python-headless
    python tools/record_sb3.py              # the table of the test
    python tools/record_sb3.py breakout     # every line of one game: reward, terminated, game over, lives

Actions come from Knuth's MMIX generator, as in the test. No-ops at the start are off, so that nothing else is random.
"""

import sys
import zlib

import ale_py
import gymnasium
from stable_baselines3.common.atari_wrappers import AtariWrapper

GAMES = ["breakout", "ms_pacman", "seaquest", "space_invaders", "qbert", "pong"]
STEPS = 1200


def play(game):
    """One line a step. Lives are those after the reset that an end is followed by."""
    name = "".join(part.capitalize() for part in game.split("_"))
    env = AtariWrapper(gymnasium.make(f"{name}NoFrameskip-v4"), noop_max=0)
    env.reset(seed=0)
    ale, state = env.unwrapped.ale, 1
    for _ in range(STEPS):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        _, reward, terminated, truncated, _ = env.step(int((state >> 33) % env.action_space.n))
        over = ale.game_over()
        if terminated or truncated:
            env.reset()
        yield f"{int(reward)} {int(terminated)} {int(over)} {ale.lives()}\n"


gymnasium.register_envs(ale_py)
if len(sys.argv) > 1:
    sys.stdout.writelines(play(sys.argv[1]))
else:
    for game in GAMES:
        crc, crcs, terminated, over = 0, [], 0, 0
        for t, line in enumerate(play(game), 1):
            crc = zlib.crc32(line.encode(), crc)
            terminated += int(line.split()[1])
            over += int(line.split()[2])
            if t % 100 == 0:
                crcs.append(f"0x{crc >> 16:04x}_{crc & 0xffff:04x}")
        print(f'("{game}", {terminated}, {over}, [{", ".join(crcs)}]),')
