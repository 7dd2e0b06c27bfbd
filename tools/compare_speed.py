"""Times coinop next to the Python stack on this machine and prints Markdown tables.

    cargo build --release --workspace --examples --bins
    pip install torch==2.11.0 ale-py==0.12.1 gymnasium==1.4.0 envpool==1.2.5 stable-baselines3==2.9.2 opencv-python-headless
    python tools/compare_speed.py atari57 env train dqn memory

Sample Factory needs older packages, so that it has an environment of its own, whose Python is named in SAMPLE_FACTORY:

    pip install torch==2.11.0 sample-factory==2.1.1 ale-py==0.10.1 opencv-python-headless
    SAMPLE_FACTORY=.../bin/python python tools/compare_speed.py appo

Every program runs by itself, one after the other, in turns, ROUNDS times; the tables show medians and their ratio to the best of the other
programs. Nothing else should run meanwhile. Frames are those of the emulator: 4 per agent step. Networks compute in float32 but where it is said;
the rows in bfloat16 appear where the processor has instructions for it.
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("ROUNDS", 3))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = os.path.join(ROOT, "target", "release", "examples")
PROGRAM = os.path.join(ROOT, "target", "release", "coinop")
STEPS = 16_000
with open("/proc/cpuinfo") as cpuinfo:
    BFLOAT16 = "avx512_bf16" in cpuinfo.read()


# Each of these runs in a process of its own and prints frames per second.


def ale_act(game, frames=40_000):
    import numpy as np
    from ale_py import ALEInterface, LoggerMode, roms
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path(game))
    actions = ale.getMinimalActionSet()
    picks = np.random.default_rng(0).integers(0, len(actions), frames)
    screen = np.zeros(ale.getScreenDims(), np.uint8)
    start = time.perf_counter()
    for i in range(frames):
        ale.act(actions[picks[i]])
        if i % 4 == 3:
            ale.getScreenGrayscale(screen)
        if ale.game_over():
            ale.reset_game()
    return frames / (time.perf_counter() - start)


def rate_of_steps(env, step_count, envs, num_actions):
    import numpy as np
    rounds = step_count // envs
    actions = np.random.default_rng(0).integers(0, num_actions, (rounds, envs)).astype(np.int32)
    start = time.perf_counter()
    for row in actions:
        env.step(row)
    return 4 * rounds * envs / (time.perf_counter() - start)


def ale_vector(game, envs, threads):
    from ale_py.vector_env import AtariVectorEnv
    env = AtariVectorEnv(game=game, num_envs=envs, num_threads=threads)
    env.reset(seed=1)
    return rate_of_steps(env, STEPS, envs, env.single_action_space.n)


def envpool_sync(game, envs, threads):
    import envpool
    env = envpool.make_gymnasium(f"{game.title()}-v5", num_envs=envs, batch_size=envs, num_threads=threads)
    env.reset()
    return rate_of_steps(env, STEPS, envs, env.action_space.n)


def sb3(algo, threads):
    import ale_py
    import gymnasium as gym
    import torch
    from stable_baselines3 import A2C, DQN, PPO
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack
    torch.set_num_threads(threads)
    gym.register_envs(ale_py)
    envs = {"a2c": 16, "ppo": 32, "dqn": 1}[algo]
    env = VecFrameStack(make_atari_env("PongNoFrameskip-v4", n_envs=envs, seed=0), 4)
    if algo == "a2c":
        model, steps = A2C("CnnPolicy", env, n_steps=5, ent_coef=0.01, vf_coef=0.25), 32_000
    elif algo == "dqn":
        model, steps = DQN("CnnPolicy", env, buffer_size=20_000, learning_starts=1_000, batch_size=32, train_freq=4,
                           target_update_interval=1_000, learning_rate=1e-4, exploration_fraction=0.01), 8_000
    else:
        model, steps = PPO("CnnPolicy", env, n_steps=32, n_epochs=2, batch_size=256), 16_384
    start = time.perf_counter()
    model.learn(steps)
    return 4 * steps / (time.perf_counter() - start)


def sample_factory():
    """APPO with 2 workers of 16 environments each, rollouts of 32 steps, 4 epochs of 4 minibatches of 256."""
    with tempfile.TemporaryDirectory() as scratch:
        # Its processes start this file anew, each of which has to be told of the Atari.
        program = os.path.join(scratch, "program.py")
        with open(program, "w") as file:
            file.write("import ale_py, sys\nfrom sf_examples.atari.train_atari import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
        command = [os.environ["SAMPLE_FACTORY"], program, "--env=atari_pong", "--device=cpu", f"--train_dir={scratch}", "--experiment=speed",
                   "--num_workers=2", "--num_envs_per_worker=16", "--rollout=32", "--train_for_env_steps=40000"]
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        return float(re.findall(r"FPS: ([\d.]+)", run.stdout + run.stderr)[-1])


def python(name, *args):
    call = f"import sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r}); import compare_speed as c; print(c.{name}(*{args!r}))"
    out = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True).stdout
    return float(out.split()[-1])


def example(name, *args):
    out = subprocess.run([os.path.join(EXAMPLES, name), *map(str, args)], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return float(re.match(r"(\d+) frames/s", out)[1])


def train(frames, preset, *settings, algo="ppo"):
    """The rate over the whole run, from the last row of metrics.csv."""
    with tempfile.TemporaryDirectory() as scratch:
        run = os.path.join(scratch, "run")
        command = [PROGRAM, "train", "pong", "--algo", algo, "--preset", preset, "--frames", str(frames), "--run-dir", run]
        command += [part for setting in settings for part in ("--set", setting)]
        subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
        rows = [line.strip().split(",") for line in open(os.path.join(run, "metrics.csv"))]
        last = dict(zip(rows[0], rows[-1]))
        return float(last["frames"]) / float(last["seconds"])


def table(title, rows):
    """`rows`: label and function; coinop's labels begin with its name."""
    if not BFLOAT16:
        rows = [row for row in rows if "bfloat16" not in row[0]]
    results = [[] for _ in rows]
    for _ in range(ROUNDS):
        for result, (_, measure) in zip(results, rows):
            result.append(measure())
    medians = [statistics.median(result) for result in results]
    best = max(median for (label, _), median in zip(rows, medians) if not label.startswith("coinop"))
    print(f"\n| {title} | frames/s | from - to | to the best of the others |\n|---|---:|---:|---:|")
    for (label, _), result, median in zip(rows, results, medians):
        print(f"| {label} | {median:,.0f} | {min(result):,.0f} - {max(result):,.0f} | {median / best:.2f}x |", flush=True)


ATARI_57 = """alien amidar assault asterix asteroids atlantis bank_heist battle_zone beam_rider berzerk bowling boxing breakout
    centipede chopper_command crazy_climber defender demon_attack double_dunk enduro fishing_derby freeway frostbite gopher gravitar hero
    ice_hockey jamesbond kangaroo krull kung_fu_master montezuma_revenge ms_pacman name_this_game phoenix pitfall pong private_eye qbert
    riverraid road_runner robotank seaquest skiing solaris space_invaders star_gunner surround tennis time_pilot tutankham up_n_down venture
    video_pinball wizard_of_wor yars_revenge zaxxon""".split()


def atari57():
    """Each game of the Atari-57 list, on one core that both are bound to."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print("\n| game, one core, gray screen every 4th frame | coinop-atari, frames/s | ale-py 0.12.1 | coinop is |\n|---|---:|---:|---:|")
    ratios = []
    for game in ATARI_57:
        pairs = [(example("frames", game, 100_000), python("ale_act", game, 15_000)) for _ in range(ROUNDS)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        ratios.append(ours / theirs)
        print(f"| {game} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f}x |", flush=True)
    print(f"| **geometric mean; least; most** | | | {statistics.geometric_mean(ratios):.2f}x; {min(ratios):.2f}x; {max(ratios):.2f}x |")


def env():
    for game in ("pong", "breakout"):
        for threads in (1, 2):
            table(f"{game}, 16 environments, {threads} thread{'s' * (threads > 1)}, 84x84x4", [
                ("coinop", lambda: example("speed", game, 16, threads, STEPS)),
                ("ale-py `AtariVectorEnv`", lambda: python("ale_vector", game, 16, threads)),
                ("EnvPool sync", lambda: python("envpool_sync", game, 16, threads)),
            ])


def training():
    table("Pong, Nature network, 16 environments, one update per 5 steps, 2 threads", [
        ("coinop PAAC", lambda: train(320_000, "paac", "network.body=nature", "num_envs=16", "protocol=sb3", algo="paac")),
        ("coinop PAAC in bfloat16", lambda: train(320_000, "paac", "network.body=nature", "num_envs=16", "protocol=sb3", "precision=bfloat16", algo="paac")),
        ("Stable-Baselines3 A2C", lambda: python("sb3", "a2c", 2)),
    ])
    table("Pong, Nature network, 32 environments, 32 steps, 2 epochs of 4 minibatches, 2 threads", [
        ("coinop PPO", lambda: train(160_000, "pong", "network.body=nature", "center_pixels=false", "target_kl=none", "epochs=2", "precision=float32")),
        ("coinop PPO, in bfloat16", lambda: train(160_000, "pong", "network.body=nature", "center_pixels=false", "target_kl=none", "epochs=2", "precision=bfloat16")),
        ("Stable-Baselines3 PPO", lambda: python("sb3", "ppo", 2)),
    ])


def appo():
    table("Pong, Nature network, 32 environments, 32 steps, 4 epochs of 4 minibatches, 2 threads", [
        ("coinop PPO", lambda: train(160_000, "pong", "network.body=nature", "center_pixels=false", "target_kl=none", "epochs=4", "precision=float32")),
        ("coinop PPO, in bfloat16", lambda: train(160_000, "pong", "network.body=nature", "center_pixels=false", "target_kl=none", "epochs=4", "precision=bfloat16")),
        ("Sample Factory APPO", sample_factory),
    ])


def peak(command, **options):
    """The most memory that a program had, in MB."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, **options)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, f"{command} failed"
    return usage.ru_maxrss / 1024


def memory():
    """What training takes at the most, with what it begins with."""
    tools = os.path.dirname(os.path.abspath(__file__))

    def ours(algo, preset, frames):
        with tempfile.TemporaryDirectory() as scratch:
            return peak([PROGRAM, "train", "pong", "--algo", algo, "--preset", preset, "--frames", str(frames), "--run-dir", os.path.join(scratch, "run")])

    def theirs(algo):
        return peak([sys.executable, "-c", f"import sys; sys.path.insert(0, {tools!r}); import compare_speed as c; c.sb3({algo!r}, 2)"])

    print("\n| training of Pong | peak memory, MB |\n|---|---:|")
    for label, measure in (
        ("coinop PPO, preset `pong`, 32 environments, 200,000 frames", lambda: ours("ppo", "pong", 200_000)),
        ("coinop A3C, preset `fast`, 200,000 frames", lambda: ours("a3c", "fast", 200_000)),
        ("coinop Double-DQN, preset `fast`, 200,000 frames", lambda: ours("double-dqn", "fast", 200_000)),
        ("Stable-Baselines3 A2C, 16 environments", lambda: theirs("a2c")),
        ("Stable-Baselines3 PPO, 32 environments, rollouts of 32", lambda: theirs("ppo")),
        ("Stable-Baselines3 DQN, a memory of 20,000", lambda: theirs("dqn")),
    ):
        print(f"| {label} | {measure():,.0f} |", flush=True)


def dqn():
    adam = "optimizer={kind='adam',beta1=0.9,beta2=0.999,epsilon=1e-8}"
    settings = ["capacity=20k", "learning_starts=4k", "target_frames=4k", "learning_rate=1e-4", "max_grad_norm=10", adam,
                "epsilon={kind='fixed',value=0.05}", "protocol=sb3"]
    table("Pong, Nature network, DQN, a batch of 32 every 4 steps, 2 threads", [
        ("coinop DQN", lambda: train(32_000, "dqn-nature", *settings, algo="double-dqn")),
        ("coinop DQN in bfloat16", lambda: train(32_000, "dqn-nature", *settings, "precision=bfloat16", algo="double-dqn")),
        ("Stable-Baselines3 DQN", lambda: python("sb3", "dqn", 2)),
    ])


if __name__ == "__main__":
    for name in sys.argv[1:] or ("atari57", "env", "train", "dqn"):
        {"atari57": atari57, "env": env, "train": training, "appo": appo, "dqn": dqn, "memory": memory}[name]()
