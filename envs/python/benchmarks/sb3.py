"""Minutes that PPO of Stable-Baselines3 takes on Pong, on coinop_atari's environments and on its own.

    pip install coinop-atari ale-py stable-baselines3
    python benchmarks/sb3.py --steps 100000
"""

import argparse
import time

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

# 8 environments and the settings of RL Baselines3 Zoo for Atari, without its schedules.
ENVS = 8
SETTINGS = {
    "n_steps": 128,
    "n_epochs": 4,
    "batch_size": 256,
    "learning_rate": 2.5e-4,
    "clip_range": 0.1,
    "vf_coef": 0.5,
    "ent_coef": 0.01,
}


def coinop(threads: int) -> VecEnv:
    from coinop_atari.sb3 import make_vec

    return make_vec("pong", ENVS, num_threads=threads)


def stable_baselines3(_threads: int) -> VecEnv:
    import ale_py
    import gymnasium
    from stable_baselines3.common.env_util import make_atari_env

    gymnasium.register_envs(ale_py)
    return VecFrameStack(make_atari_env("PongNoFrameskip-v4", n_envs=ENVS, seed=1), 4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100_000, help="agent steps of all environments, of four frames each")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| environments | minutes | frames/s | mean score of the last 100 episodes |")
    print("|---|--:|--:|--:|")
    for name, make in (("coinop_atari", coinop), ("make_atari_env", stable_baselines3)):
        env = make(args.threads)
        model = PPO("CnnPolicy", env, seed=1, **SETTINGS)
        begun = time.perf_counter()
        model.learn(args.steps)
        seconds = time.perf_counter() - begun
        scores = [episode["r"] for episode in model.ep_info_buffer]
        score = f"{sum(scores) / len(scores):.1f}" if scores else "-"
        print(f"| {name} | {seconds / 60:.1f} | {4 * model.num_timesteps / seconds:,.0f} | {score} |", flush=True)
        env.close()


if __name__ == "__main__":
    main()
