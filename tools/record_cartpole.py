#!/usr/bin/env python3
"""Records episodes of Gymnasium's CartPole-v1 for `envs/tests/cart_pole.rs`.

    pip install gymnasium==1.4.0
    python3 tools/record_cartpole.py > envs/tests/cart_pole.csv

A row per state: the episode, the action that led there (empty for the first), the state in double precision, and what the step brought.
The first episode is balanced until it is truncated; the others end as soon as the pole falls.
"""

import random
import sys

import gymnasium


def balance(state, _):
    """Pushes towards where the pole falls."""
    return int(state[2] + 0.5 * state[3] + 0.02 * state[0] + 0.05 * state[1] > 0)


def at_random(_, rng):
    return rng.randrange(2)


def always_left(_state, _rng):
    return 0


def always_right(_state, _rng):
    return 1


def main():
    out = sys.stdout
    out.write("episode,action,x,speed,theta,spin,reward,terminated,truncated\n")
    for episode, policy in enumerate([balance, at_random, at_random, always_left, always_right]):
        env = gymnasium.make("CartPole-v1")
        rng = random.Random(episode)
        env.reset(seed=episode)
        row = lambda *rest: out.write(",".join([str(episode), *map(str, rest)]) + "\n")
        state = [float(number) for number in env.unwrapped.state]
        row("", *state, "", "", "")
        over = False
        while not over:
            action = policy(state, rng)
            _, reward, terminated, truncated, _ = env.step(action)
            state = [float(number) for number in env.unwrapped.state]
            row(action, *state, reward, int(terminated), int(truncated))
            over = terminated or truncated


main()
