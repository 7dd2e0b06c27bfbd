"""Times A3C next to PFRL's on this machine, and how much sooner more workers reach a score. Prints Markdown tables.

    cargo build --release
    pip install torch==2.11.0 ale-py==0.12.1 gymnasium==1.4.0 pfrl==0.4.0 gym==0.26.2 opencv-python-headless packaging
    python tools/compare_a3c.py speed score

`speed`: Pong, the network and the rollouts of five steps of the A3C paper, float32, as many threads here as processes there, one after the other,
ROUNDS times in turns; medians. `score`: CartPole, the time until the mean score of the last 100 episodes is 400. Nothing else should run meanwhile.
"""
import csv
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("ROUNDS", 3))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "target", "release", "coinop")
WORKERS = (1, 2, 4, 8, 16)


def pfrl_steps_per_second(processes, steps):
    """Agent steps per second of PFRL, from the first tenth of the run on, so that starting processes does not count."""
    import multiprocessing as mp

    import ale_py
    import gymnasium
    import numpy as np
    import pfrl
    import torch
    from pfrl.agents import a3c
    from pfrl.optimizers import SharedRMSpropEpsInsideSqrt
    from torch import nn

    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    gymnasium.register_envs(ale_py)

    class OldInterface:
        """What PFRL expects: `reset()` gives an observation, `step()` four things."""

        def __init__(self, seed):
            env = gymnasium.make("PongNoFrameskip-v4")
            env = gymnasium.wrappers.AtariPreprocessing(env, noop_max=30)
            self.env = gymnasium.wrappers.FrameStackObservation(env, 4)
            self.action_space, self.seed = self.env.action_space, seed

        def reset(self):
            obs, _ = self.env.reset(seed=self.seed)
            self.seed = None
            return obs

        def step(self, action):
            obs, reward, terminated, truncated, info = self.env.step(int(action))
            return obs, np.sign(reward), terminated or truncated, info

        def close(self):
            self.env.close()

    model = nn.Sequential(
        nn.Conv2d(4, 16, 8, stride=4), nn.ReLU(), nn.Conv2d(16, 32, 4, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(2592, 256), nn.ReLU(),
        pfrl.nn.Branched(nn.Sequential(nn.Linear(256, 6), pfrl.policies.SoftmaxCategoricalHead()), nn.Linear(256, 1)),
    )
    optimizer = SharedRMSpropEpsInsideSqrt(model.parameters(), lr=7e-4, eps=1e-1, alpha=0.99)
    agent = a3c.A3C(model, optimizer, t_max=5, gamma=0.99, beta=1e-2, max_grad_norm=40.0,
                    phi=lambda obs: np.asarray(obs, dtype=np.float32) / 255)
    times = mp.Array("d", 2)

    def hook(_env, _agent, step):
        if step <= steps // 10:
            times[0] = time.perf_counter()
        times[1] = max(times[1], time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        pfrl.experiments.train_agent_async(
            scratch, processes, lambda number, test: OldInterface(number), steps=steps, eval_interval=None, agent=agent,
            random_seeds=list(range(processes)),
            global_step_hooks=[hook])
    return (steps - steps // 10) / (times[1] - times[0])


def python(processes, steps):
    call = (f"import sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r}); import compare_a3c as c; "
            f"print(c.pfrl_steps_per_second({processes}, {steps}))")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True, env=environment).stdout
    return float(out.split()[-1])


def rows_of_run(env, algo, *options, enough=lambda row: False):
    """What a run wrote; it is ended when a row is `enough`."""
    with tempfile.TemporaryDirectory() as scratch:
        run = os.path.join(scratch, "run")
        command = [PROGRAM, "train", env, "--algo", algo, "--run-dir", run, *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        rows, ended = [], False
        while not ended:
            time.sleep(0.2)
            ended = process.poll() is not None
            path = os.path.join(run, "metrics.csv")
            if os.path.exists(path):
                with open(path, newline="") as file:
                    lines = [line for line in file if line.endswith("\n")]
                rows = [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(lines)]
            if not ended and any(map(enough, rows)):
                process.send_signal(signal.SIGINT)
                process.wait()
                return rows
        if process.returncode != 0:
            sys.exit(f"failed: {' '.join(command)}")
        return rows


def coinop(workers, steps):
    options = ["--preset", "a3c", "--frames", str(4 * steps), "--set", f"workers={workers}", "--set", f"metrics_frames={4 * steps // 10}"]
    rows = rows_of_run("pong", "a3c", *options)
    first, last = rows[0], rows[-1]
    return (last["steps"] - first["steps"]) / (last["seconds"] - first["seconds"])


def speed():
    print("| workers | coinop, steps/s | from - to | PFRL 0.4.0, steps/s | from - to | coinop is |\n|---|---|---|---|---|---|")
    for workers in WORKERS:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(coinop(workers, 10_000))
            theirs.append(python(workers, 2_000))
        cell = lambda results: f"{statistics.median(results):,.0f} | {min(results):,.0f} - {max(results):,.0f}"
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f"| {workers} | {cell(ours)} | {cell(theirs)} | {ratio:.1f}x |", flush=True)


def seconds_and_frames(algo, workers, seed, score=400.0):
    options = ["--seed", str(seed), "--set", f"workers={workers}", "--set", "metrics_frames=2000"]
    rows = rows_of_run("cartpole", algo, *options, enough=lambda row: row["mean_score"] >= score)
    for row in rows:
        if row["mean_score"] >= score:
            return row["seconds"], row["frames"]
    return float("inf"), float("inf")


def score():
    for algo in ("a3c", "async-nstep-q"):
        print(f"\n| {algo}, workers | seconds to a mean of 400, median of {ROUNDS} seeds | from - to | frames, median | speed-up |\n|---|---|---|---|---|")
        alone = None
        for workers in (1, 2, 4, 8):
            results = [seconds_and_frames(algo, workers, seed) for seed in range(1, ROUNDS + 1)]
            seconds, frames = ([result[i] for result in results] for i in (0, 1))
            median = statistics.median(seconds)
            alone = alone or median
            number = lambda value, digits: "not reached" if value == float("inf") else f"{value:,.{digits}f}"
            print(f"| {workers} | {number(median, 1)} | {number(min(seconds), 1)} - {number(max(seconds), 1)} | "
                  f"{number(statistics.median(frames), 0)} | {alone / median:.1f} |", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["speed", "score"]:
        globals()[name]()
