"""Stable-Baselines3 on the vector environment."""

import numpy as np
import pytest

stable_baselines3 = pytest.importorskip("stable_baselines3")


def test_ppo_and_dqn_train_on_it() -> None:
    from coinop_atari.sb3 import make_vec

    envs = make_vec("breakout", 4, seed=1)
    obs = envs.reset()
    assert obs.shape == (4, 4, 84, 84)
    ended = 0
    for step in range(300):
        obs, rewards, dones, infos = envs.step(np.full(4, step % 4))
        for done, info in zip(dones, infos, strict=True):
            assert done == ("terminal_observation" in info)
            ended += bool(done)
    assert ended > 4
    ppo = stable_baselines3.PPO("CnnPolicy", make_vec("pong", 4, seed=1), n_steps=16, batch_size=32, device="cpu")
    ppo.learn(128)
    dqn = stable_baselines3.DQN("CnnPolicy", make_vec("pong", 2, seed=1), buffer_size=500, learning_starts=50, device="cpu")
    dqn.learn(100)
