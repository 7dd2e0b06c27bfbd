"""Steps per second of vector environments: coinop_atari, ale-py and EnvPool, one after the other.

    pip install coinop-atari ale-py envpool
    python benchmarks/speed.py --threads 2 --envs 16
"""

import argparse
import statistics
import time

import numpy as np

GAMES = ["pong", "breakout", "space_invaders", "seaquest", "ms_pacman"]


def coinop(game: str, envs: int, threads: int):
    from coinop_atari import AtariVectorEnv

    return AtariVectorEnv(game, envs, num_threads=threads)


def ale(game: str, envs: int, threads: int):
    from ale_py.vector_env import AtariVectorEnv

    return AtariVectorEnv(game, envs, num_threads=threads)


def envpool(game: str, envs: int, threads: int):
    import envpool as package

    name = "".join(word.capitalize() for word in game.split("_"))
    return package.make(f"{name}-v5", env_type="gymnasium", num_envs=envs, num_threads=threads, reward_clip=True)


def rate(make, game: str, envs: int, threads: int, seconds: float) -> float:
    """Frames per second over some seconds, after some to warm up."""
    env = make(game, envs, threads)
    env.reset()
    random = np.random.default_rng(0)
    actions = random.integers(0, env.action_space.nvec[0] if hasattr(env.action_space, "nvec") else env.action_space.n, (512, envs))
    actions = actions.astype(np.int32)
    for end in (time.perf_counter() + seconds / 3, time.perf_counter() + seconds / 3 + seconds):
        steps, begun = 0, time.perf_counter()
        while time.perf_counter() < end:
            env.step(actions[steps % 512])
            steps += 1
    frames = 4 * envs * steps / (time.perf_counter() - begun)
    env.close()
    return frames


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--envs", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    makers = {"coinop": coinop, "ale-py": ale, "EnvPool": envpool}
    print("| threads | environments | game | coinop, frames/s | ale-py | EnvPool | times ale-py | times EnvPool |")
    print("|--:|--:|---|--:|--:|--:|--:|--:|")
    for threads in args.threads:
        for envs in args.envs:
            for game in args.games:
                rates = {name: [] for name in makers}
                for _ in range(args.repeats):
                    for name, make in makers.items():
                        rates[name].append(rate(make, game, envs, threads, args.seconds))
                ours, ales, pools = (statistics.median(rates[name]) for name in makers)
                print(
                    f"| {threads} | {envs} | {game} | {ours:,.0f} | {ales:,.0f} | {pools:,.0f} | {ours / ales:.1f} | {ours / pools:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
