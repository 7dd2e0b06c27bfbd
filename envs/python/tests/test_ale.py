"""Equality with ale-py: the vector environment, and single games."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from coinop_atari import AtariEnv, AtariVectorEnv

ale_vector = pytest.importorskip("ale_py.vector_env")

# No-ops are drawn from other random numbers, so there are none here.
SETTINGS = [
    ("pong", {}),
    ("breakout", {}),
    ("breakout", {"autoreset_mode": AutoresetMode.SAME_STEP}),
    ("breakout", {"episodic_life": True}),
    ("breakout", {"life_loss_info": True}),
    ("breakout", {"grayscale": False, "use_fire_reset": False}),
    ("seaquest", {"repeat_action_probability": 0.25, "full_action_space": True}),
    ("space_invaders", {"frameskip": 3, "stack_num": 2, "reward_clipping": False, "img_height": 100, "img_width": 120}),
    ("ms_pacman", {"maxpool": False, "max_num_frames_per_episode": 500}),
    ("qbert", {"frameskip": 1}),
    ("freeway", {}),
    ("asterix", {"num_threads": 2}),
    ("boxing", {"reward_clipping": False}),
    ("beam_rider", {"episodic_life": True, "repeat_action_probability": 0.25}),
]


@pytest.mark.parametrize(("game", "settings"), SETTINGS)
def test_the_vector_environment_equals_ale_pys(game: str, settings: dict, ale_steps: int) -> None:
    n = 3
    theirs = ale_vector.AtariVectorEnv(game, n, noop_max=0, **settings)
    ours = AtariVectorEnv(game, n, noop_max=0, **settings)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert ours.single_action_space == theirs.single_action_space
    their_obs, their_info = theirs.reset(seed=3)
    our_obs, our_info = ours.reset(seed=3)
    np.testing.assert_array_equal(our_obs, their_obs)
    same_step = settings.get("autoreset_mode") == AutoresetMode.SAME_STEP
    random = np.random.default_rng(0)
    for _ in range(ale_steps):
        actions = random.integers(0, ours.single_action_space.n, n)
        their_obs, *their_results, their_info = theirs.step(actions)
        our_obs, *our_results, our_info = ours.step(actions)
        for our_result, their_result in zip(our_results, their_results, strict=True):
            assert our_result.dtype == their_result.dtype
            np.testing.assert_array_equal(our_result, their_result)
        assert set(our_info) == set(their_info)
        for name in set(our_info) - {"final_obs"}:
            assert our_info[name].dtype == their_info[name].dtype
            np.testing.assert_array_equal(our_info[name], their_info[name], err_msg=name)
        over = our_results[1] | our_results[2]
        for i in range(n):
            # The newest picture of an episode that ends within a step is an older one in ale-py's.
            is_last = over[i] and not same_step
            pictures = slice(0, -1) if is_last else slice(None)
            np.testing.assert_array_equal(our_obs[i][pictures], their_obs[i][pictures])
            if same_step and over[i]:
                np.testing.assert_array_equal(our_info["final_obs"][i][:-1], their_info["final_obs"][i][:-1])


@pytest.mark.parametrize("obs_type", ["rgb", "grayscale", "ram"])
@pytest.mark.parametrize("game", ["breakout", "ms_pacman"])
def test_single_games_equal_ales(game: str, obs_type: str, ale_steps: int) -> None:
    theirs = pytest.importorskip("ale_py.env").AtariEnv(game, obs_type=obs_type, repeat_action_probability=0.0)
    ours = AtariEnv(game, obs_type=obs_type, repeat_action_probability=0.0)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.get_action_meanings() == theirs.get_action_meanings()
    # Without sticky actions, a game does not depend on its seed.
    np.testing.assert_array_equal(ours.reset(seed=1)[0], theirs.reset(seed=2)[0])
    random = np.random.default_rng(0)
    for _ in range(ale_steps // 2):
        action = int(random.integers(ours.action_space.n))
        our_obs, *our_results, our_info = ours.step(action)
        their_obs, *their_results, their_info = theirs.step(action)
        np.testing.assert_array_equal(our_obs, their_obs)
        assert our_results == their_results
        assert our_info == {name: their_info[name] for name in our_info}
        if our_results[1]:
            np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])


@pytest.mark.parametrize("game", ["pong", "breakout", "ms_pacman"])
def test_preprocessed_games_equal_gymnasiums(game: str, ale_steps: int) -> None:
    pytest.importorskip("cv2")
    from gymnasium.wrappers import AtariPreprocessing

    single = pytest.importorskip("ale_py.env").AtariEnv(game, frameskip=1, repeat_action_probability=0.0)
    theirs = AtariPreprocessing(single, noop_max=0, frame_skip=4, screen_size=84)
    ours = AtariVectorEnv(game, 1, noop_max=0, stack_num=1, use_fire_reset=False, reward_clipping=False)
    np.testing.assert_array_equal(ours.reset(seed=1)[0][0, 0], theirs.reset(seed=2)[0])
    random = np.random.default_rng(0)
    for _ in range(4 * ale_steps):
        action = int(random.integers(ours.single_action_space.n))
        our_obs, our_rewards, our_terminated, our_truncated, _ = ours.step(np.array([action]))
        their_obs, *their_results, _ = theirs.step(action)
        assert [our_rewards[0], our_terminated[0], our_truncated[0]] == their_results
        if our_terminated[0] or our_truncated[0]:
            # The next step of the vector environment only begins the next episode.
            our_obs = ours.step(np.array([0]))[0]
            their_obs = theirs.reset()[0]
        np.testing.assert_array_equal(our_obs[0, 0], their_obs)
