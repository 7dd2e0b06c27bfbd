#!/usr/bin/env python3
"""Records episodes of Gymnasium's classic control for `envs/tests/cart_pole.rs` and `envs/tests/classic.rs`.

    pip install gymnasium==1.4.0
    python3 tools/record_classic.py CartPole-v1 > envs/tests/cart_pole.csv
    python3 tools/record_classic.py MountainCar-v0 > envs/tests/mountain_car.csv
    python3 tools/record_classic.py Acrobot-v1 > envs/tests/acrobot.csv
    python3 tools/record_classic.py Pendulum-v1 > envs/tests/pendulum.csv

A row per state: the episode, the action that led there (empty for the first), the state in double precision, and what the step brought.
"""

import random
import sys

import gymnasium
import numpy as np


def balance(state, _):
    """Pushes towards where the pole falls."""
    return int(state[2] + 0.5 * state[3] + 0.02 * state[0] + 0.05 * state[1] > 0)


def with_the_speed(state, _):
    """Pushes to where the car goes already."""
    return 2 if state[1] >= 0 else 0


def pump(state, _):
    """Bends the joint against the swing of the first link, which adds energy."""
    return 0 if state[2] > 0 else 2


def swing(state, _):
    """Pushes with the swing until the pendulum is fast, then does nothing."""
    return 2 if abs(state[1]) > 5 else (4 if state[1] >= 0 else 0)


def always(action):
    return lambda _state, _rng: action


def at_random(actions):
    return lambda _state, rng: rng.randrange(actions)


# What a state is made of, and what is done in each episode.
ENVS = {
    "CartPole-v1": ("x,speed,theta,spin", [balance, at_random(2), at_random(2), always(0), always(1)]),
    "MountainCar-v0": ("position,speed", [with_the_speed, at_random(3), always(0), always(2)]),
    "Acrobot-v1": ("theta1,theta2,spin1,spin2", [pump, at_random(3), always(2)]),
    "Pendulum-v1": ("theta,spin", [swing, at_random(5), always(0)]),
}
# Of Pendulum-v1, whose actions are continuous.
TORQUES = [-2.0, -1.0, 0.0, 1.0, 2.0]


def main():
    name = sys.argv[1]
    columns, policies = ENVS[name]
    out = sys.stdout
    out.write(f"episode,action,{columns},reward,terminated,truncated\n")
    for episode, policy in enumerate(policies):
        env = gymnasium.make(name)
        rng = random.Random(episode)
        env.reset(seed=episode)
        row = lambda *rest: out.write(",".join([str(episode), *map(str, rest)]) + "\n")
        state = [float(number) for number in env.unwrapped.state]
        row("", *state, "", "", "")
        over = False
        while not over:
            action = policy(state, rng)
            done = np.array([TORQUES[action]], dtype=np.float32) if name == "Pendulum-v1" else action
            _, reward, terminated, truncated, _ = env.step(done)
            state = [float(number) for number in env.unwrapped.state]
            row(action, *state, reward, int(terminated), int(truncated))
            over = terminated or truncated


main()
