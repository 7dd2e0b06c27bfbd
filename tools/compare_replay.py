"""Times coinop's replay memory next to Tianshou's prioritized buffer and prints a Markdown table.

    cargo bench --bench replay
    pip install "numpy<2" tianshou==1.2.0
    python tools/compare_replay.py

Both hold 1,000,000 steps of 8 actors, each frame of 84x84 pixels once, stacks of 4 frames and proportional priorities. Tianshou's frames are
random numbers, which its buffer does not look at; coinop's are those of the benchmark, whose results are read from `target/criterion`. Nothing
else should run meanwhile.
"""
import json
import os
import statistics
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAPACITY, ACTORS, BATCH = 1_000_000, 8, 32


def criterion(name):
    """Microseconds, the median of the benchmark `name`."""
    folder = name.replace("/", "_")
    path = os.path.join(ROOT, "target", "criterion", "replay", folder, "new", "estimates.json")
    return json.load(open(path))["median"]["point_estimate"] / 1e3


def median_microseconds(run, times):
    run()
    results = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        results.append(time.perf_counter() - start)
    return 1e6 * statistics.median(results)


def tianshou():
    import numpy as np
    from tianshou.data import Batch, PrioritizedVectorReplayBuffer
    buffer = PrioritizedVectorReplayBuffer(
        CAPACITY, ACTORS, alpha=0.6, beta=0.4, stack_num=4, ignore_obs_next=True, save_only_last_obs=True)
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (64, ACTORS, 4, 84, 84), dtype=np.uint8)
    no, zeros = np.zeros(ACTORS, bool), np.zeros(ACTORS)
    step = 0

    def insert():
        nonlocal step
        step += 1
        done = np.full(ACTORS, step % 1000 == 0)
        buffer.add(Batch(obs=frames[step % 64], act=zeros.astype(int), rew=zeros, terminated=done, truncated=no,
                         obs_next=frames[(step + 1) % 64]))

    for _ in range(CAPACITY // ACTORS):
        insert()
    indices = None

    def sample():
        nonlocal indices
        batch, indices = buffer.sample(BATCH)
        return batch.obs, batch.obs_next, batch.weight

    sampled = median_microseconds(sample, 300)
    updated = median_microseconds(lambda: buffer.update_weight(indices, rng.random(BATCH)), 300)
    return sampled, updated, median_microseconds(insert, 300)


def copying():
    """Copying the frames of 32 transitions, twice a stack of 4 each, out of as many, and nothing else."""
    import numpy as np
    frames = np.empty((CAPACITY, 84 * 84), np.uint8)
    frames[:] = np.arange(84 * 84) % 256  # memory that is there
    out = np.empty((8 * BATCH, 84 * 84), np.uint8)
    rng = np.random.default_rng(1)
    stacks = np.array([0, 1, 2, 3, 1, 2, 3, 4])
    drawn = iter([(rng.integers(0, CAPACITY - 4, BATCH)[:, None] + stacks).ravel() for _ in range(1001)])
    return median_microseconds(lambda: np.take(frames, next(drawn), 0, out, "clip"), 1000)


if __name__ == "__main__":
    peer = tianshou()
    rows = [
        ("sample and gather 32", "sample 32/{}/proportional", peer[0]),
        ("update 32 priorities", "update 32/proportional", peer[1]),
        ("insert a step of 8 actors", "insert 8/{}/proportional", peer[2]),
    ]
    print("| microseconds | Tianshou 1.2.0 | coinop, raw | coinop, compressed | coinop is |\n|---|---|---|---|---|")
    for label, name, theirs in rows:
        raw, compressed = (criterion(name.format(store)) for store in ("raw", "compressed"))
        print(f"| {label} | {theirs:,.1f} | {raw:,.1f} | {compressed:,.1f} | {theirs / raw:.1f}x, {theirs / compressed:.1f}x |")
    print(f"\nNumPy copies the frames of 32 transitions in {copying():,.0f} microseconds.")
