"""The vector environment by itself."""

import importlib.util
import multiprocessing
import os
import pickle
import resource
import threading

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import coinop_atari
from coinop_atari import AtariVectorEnv


def play(env: AtariVectorEnv, steps: int, seed: int | None = 3) -> list[np.ndarray]:
    """Everything that comes of random actions."""
    if seed is not None:
        env.reset(seed=seed)
    random = np.random.default_rng(0)
    seen = []
    for _ in range(steps):
        obs, rewards, terminated, truncated, info = env.step(random.integers(0, env.single_action_space.n, env.num_envs))
        seen += [obs, rewards, terminated, truncated, *(info[name] for name in sorted(info))]
    return seen


def assert_same(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_seed_determines_everything_whatever_the_number_of_threads() -> None:
    seen = [play(AtariVectorEnv("breakout", 5, num_threads=threads, repeat_action_probability=0.25), 60) for threads in (1, 2, 7)]
    assert_same(seen[0], seen[1])
    assert_same(seen[0], seen[2])
    # The first environment has the seed itself, the second the next one.
    alone = play(AtariVectorEnv("breakout", 1, repeat_action_probability=0.25), 1, seed=4)
    np.testing.assert_array_equal(alone[5], seen[0][5][1:2])
    each = AtariVectorEnv("breakout", 5, repeat_action_probability=0.25)
    np.testing.assert_array_equal(each.reset(seed=[3, 4, 5, 6, 7])[0], AtariVectorEnv("breakout", 5, repeat_action_probability=0.25).reset(seed=3)[0])


def test_arrays_of_a_step_are_not_written_again() -> None:
    env = AtariVectorEnv("pong", 2)
    first, _ = env.reset(seed=1)
    kept = first.copy()
    for _ in range(20):
        env.step(np.array([2, 3]))
    np.testing.assert_array_equal(first, kept)


def test_episodes_follow_each_other_as_the_mode_says() -> None:
    def first_end(mode: AutoresetMode):
        env = AtariVectorEnv("breakout", 1, noop_max=0, autoreset_mode=mode)
        env.reset(seed=1)
        for step in range(1_000):
            obs, _, terminated, truncated, info = env.step(np.array([step % 4]))
            if terminated[0]:
                return env, obs, info
        raise AssertionError("no episode ended")

    env, last, info = first_end(AutoresetMode.NEXT_STEP)
    assert info["lives"][0] == 0
    assert "final_obs" not in info
    obs, rewards, terminated, _, info = env.step(np.array([0]))
    assert (rewards[0], terminated[0], info["lives"][0], info["episode_frame_number"][0]) == (0, False, 5, 1)

    env, obs, info = first_end(AutoresetMode.SAME_STEP)
    assert info["lives"][0] == 5
    np.testing.assert_array_equal(info["final_obs"], last)

    env, obs, info = first_end(AutoresetMode.DISABLED)
    np.testing.assert_array_equal(obs, last)
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.step(np.array([0]))
    obs, info = env.reset(options={"reset_mask": np.array([True])})
    assert info["episode_frame_number"][0] == 1


def test_a_reset_of_some_leaves_the_others_as_they_are() -> None:
    env = AtariVectorEnv("pong", 3)
    with pytest.raises(ValueError, match="reset of all environments before"):
        env.reset(options={"reset_mask": np.array([True, False, False])})
    env.reset(seed=1)
    before = [env.step(np.array([2, 3, 0]))[0] for _ in range(5)][-1]
    obs, info = env.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(obs[[0, 2]], before[[0, 2]])
    assert info["episode_frame_number"][1] < info["episode_frame_number"][0]
    for mask, error in [([True] * 3, TypeError), (np.ones(3), TypeError), (np.ones(2, dtype=bool), ValueError)]:
        with pytest.raises(error, match="reset_mask"):
            env.reset(options={"reset_mask": mask})


def test_batches_of_whichever_are_ready_are_what_each_would_have_alone() -> None:
    n, batch = 6, 2
    together = AtariVectorEnv("breakout", n, num_threads=2, batch_size=batch)
    apart = [AtariVectorEnv("breakout", 1) for _ in range(n)]
    for i, env in enumerate(apart):
        env.reset(seed=10 + i)
    obs, info = together.reset(seed=10)
    assert obs.shape == (batch, 4, 84, 84)
    played = np.zeros(n, dtype=int)
    for _ in range(120):
        numbers = info["env_id"]
        assert len(set(numbers)) == batch
        together.send(played[numbers] % 4)
        for number in numbers:
            apart[number].pending = played[number] % 4
            played[number] += 1
        obs, rewards, terminated, truncated, info = together.recv()
        for row, number in enumerate(info["env_id"]):
            if not hasattr(apart[number], "pending"):
                continue  # Its reset.
            expected = apart[number].step(np.array([apart[number].pending]))
            np.testing.assert_array_equal(obs[row], expected[0][0])
            assert rewards[row] == expected[1][0]
            assert info["frame_number"][row] == expected[4]["frame_number"][0]
    with pytest.raises(RuntimeError, match="under way"):
        together.send(np.zeros(batch, dtype=int))
        together.send(np.zeros(batch, dtype=int))


def test_a_state_continues_everything() -> None:
    env = AtariVectorEnv(games=["breakout", "seaquest"], num_envs=4, full_action_space=True, repeat_action_probability=0.25)
    play(env, 30)
    state = pickle.loads(pickle.dumps(env.clone_state()))
    ram = env.get_ram()
    assert ram.shape == (4, 128)
    first = play(env, 60, seed=None)
    other = AtariVectorEnv(games=["breakout", "seaquest"], num_envs=4, full_action_space=True, repeat_action_probability=0.25)
    other.reset(seed=9)
    obs, info = other.restore_state(state)
    np.testing.assert_array_equal(other.get_ram(), ram)
    assert_same(play(other, 60, seed=None), first)
    with pytest.raises(ValueError, match="other games"):
        AtariVectorEnv("pong", 4).restore_state(state)
    with pytest.raises(ValueError, match="another shape"):
        AtariVectorEnv(games=["breakout", "seaquest"], num_envs=4, full_action_space=True, stack_num=2).restore_state(state)


def test_modes_difficulties_and_protocols() -> None:
    assert coinop_atari.game_info("pong") == ([0, 1], [0, 1, 2, 3], ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"])
    assert len(coinop_atari.all_games()) == 104
    plain, mode = (AtariVectorEnv("breakout", 1, mode=mode) for mode in (0, 20))
    assert any((a != b).any() for a, b in zip(play(plain, 20), play(mode, 20), strict=True))
    machado = AtariVectorEnv("pong", 1, protocol="machado")
    assert machado.single_action_space.n == 18
    assert AtariVectorEnv("pong", 1, protocol="machado", full_action_space=False).single_action_space.n == 6


ERRORS = [
    (dict(game="pong2"), ValueError, "pong"),
    (dict(game="pong", games=["pong"]), ValueError, "either game or games"),
    (dict(games=[]), TypeError, "games"),
    (dict(games=["pong", "breakout"], num_envs=2), ValueError, "full_action_space"),
    (dict(game="pong", num_envs=0), ValueError, "num_envs = 0"),
    (dict(game="pong", num_envs=2.5), TypeError, "num_envs"),
    (dict(game="pong", num_envs=2, batch_size=3), ValueError, "batch_size = 3"),
    (dict(game="pong", frameskip=0), ValueError, "frameskip = 0"),
    (dict(game="pong", img_height=20), ValueError, "img_height = 20"),
    (dict(game="pong", img_width=161), ValueError, "img_width = 161"),
    (dict(game="pong", repeat_action_probability=1.5), ValueError, "1.5"),
    (dict(game="pong", mode=99), ValueError, "99"),
    (dict(game="pong", difficulty=9), ValueError, "9"),
    (dict(game="pong", continuous=True), ValueError, "continuous"),
    (dict(game="pong", protocol="sb4"), ValueError, "sb4"),
    (dict(game="pong", roms="/nowhere"), FileNotFoundError, "looked for pong.bin in /nowhere"),
    (dict(game="pong", autoreset_mode="Sometimes"), ValueError, "Sometimes"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), ERRORS)
def test_a_wrong_argument_is_named(arguments: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        AtariVectorEnv(**arguments)
    assert "\n" not in str(caught.value)


def test_random_calls_are_answered_or_refused(calls: int) -> None:
    random = np.random.default_rng(0)
    values = [
        None, -1, 0, 3, 2**40, 1.5, "pong", b"x", [], [0], [0, 1, 2], [[0, 1, 2]], [0.5] * 3, {}, np.array(1),
        np.zeros(3), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.uint8), np.full(3, 99), np.full(3, -1),
        np.zeros((3, 1), dtype=int), np.zeros(2, dtype=int), np.ones(3, dtype=bool), np.array(["a"] * 3),
        np.zeros(6, dtype=np.int64)[::2], {"reset_mask": np.array([True, False, True])}, {"reset_mask": 3},
    ]  # fmt: skip
    env = AtariVectorEnv("pong", 3, autoreset_mode=AutoresetMode.DISABLED, max_num_frames_per_episode=40, frameskip=1)
    answered = 0
    for _ in range(calls):
        value = values[random.integers(len(values))]
        other = values[random.integers(len(values))]
        call = [
            lambda: env.step(value), lambda: env.send(value), lambda: env.recv(), lambda: env.reset(seed=value, options=other),
            lambda: env.restore_state(value), lambda: env.get_ram(), lambda: env._set.restore(value), lambda: env._set.step(value),
            lambda: env._set.reset(value, other), lambda: env.reset(seed=1), lambda: env.step(np.ones(3, dtype=int)),
        ][random.integers(11)]  # fmt: skip
        try:
            call()
            answered += 1
        except (TypeError, ValueError, RuntimeError, AttributeError, OverflowError):
            pass
    assert calls / 20 < answered < calls


def test_two_threads_do_not_share_an_environment() -> None:
    env = AtariVectorEnv("pong", 8, num_threads=2)
    env.reset(seed=1)
    errors: list[BaseException] = []

    def work() -> None:
        for _ in range(200):
            try:
                env.step(np.zeros(8, dtype=int))
            except RuntimeError as error:
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert all("another thread" in str(error) for error in errors)


def in_child(connection, env) -> None:
    env = env or AtariVectorEnv("pong", 2)
    connection.send(play(env, 10)[0].sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_have_threads_of_their_own(method: str) -> None:
    env = AtariVectorEnv("pong", 2)
    expected = play(env, 10)[0].sum()
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=in_child, args=(theirs, env if method == "fork" else None))
    process.start()
    assert ours.poll(60)
    assert ours.recv() == expected
    process.join(60)
    assert process.exitcode == 0
    # The parent's threads still work.
    assert play(env, 10)[0].sum() == expected


def test_memory_does_not_grow(resets: int) -> None:
    env = AtariVectorEnv("breakout", 4, num_threads=2)

    def use(times: int) -> None:
        for i in range(times):
            env.reset(seed=i)
            env.step(np.zeros(4, dtype=int))
            env.restore_state(env.clone_state())

    use(100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    use(resets)
    # In kilobytes; a leak of one state each time would be 100 MB for 500.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 20_000


def test_names_of_gymnasium() -> None:
    vector = gymnasium.make_vec("coinop/MsPacman-v5", num_envs=3)
    assert isinstance(vector, gymnasium.vector.VectorEnv)
    assert vector.num_envs == 3
    assert vector.reset(seed=1)[0].shape == (3, 4, 84, 84)
    env = gymnasium.make("coinop/Pong-v5", obs_type="grayscale", render_mode="rgb_array", frameskip=1)
    env.reset(seed=1)
    assert env.render().shape == (210, 160, 3)
    from gymnasium.utils.env_checker import check_env

    for obs_type in ("rgb", "grayscale", "ram"):
        check_env(gymnasium.make("coinop/Breakout-v5", obs_type=obs_type).unwrapped, skip_render_check=True)
    # The same names and limits as ALE's.
    ale_py = pytest.importorskip("ale_py")
    gymnasium.register_envs(ale_py)
    theirs = {name: spec for name, spec in gymnasium.registry.items() if name.startswith("ALE/") and name.endswith("-v5")}
    ours = {name: spec for name, spec in gymnasium.registry.items() if name.startswith("coinop/")}
    assert {name.removeprefix("coinop/") for name in ours} == {name.removeprefix("ALE/") for name in theirs}
    limits = [spec.kwargs["max_num_frames_per_episode"] for spec in (ours["coinop/Pong-v5"], theirs["ALE/Pong-v5"])]
    assert limits == [108_000, 108_000]
    if importlib.util.find_spec("pygame"):
        os.environ["SDL_VIDEODRIVER"] = "dummy"
        window = gymnasium.make("coinop/Breakout-v5", render_mode="human")
        window.reset(seed=1)
        window.step(0)
        window.close()
    assert os.path.exists(coinop_atari.__path__[0] + "/py.typed")
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(AtariVectorEnv("pong", 2, max_num_frames_per_episode=40))
    wrapped.reset(seed=1)
    infos = [wrapped.step(np.zeros(2, dtype=int))[4] for _ in range(25)]
    assert any("episode" in info for info in infos)
