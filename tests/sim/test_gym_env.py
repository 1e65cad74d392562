"""The Gymnasium environments: checker, seeds, ends of episodes, rewards, the batch beside single cars."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

import dingocar.sim.gym_env as gym_env
from dingocar.errors import DingocarError, MissingExtraError, UnknownNameError, UsageError
from dingocar.sim import Camera, Dynamics, Expert, load_track
from dingocar.sim.birdseye import birdseye
from dingocar.sim.randomisation import Episode
from dingocar.sim.reward import LEAVING, MOST_M, progress

ROOT = Path(__file__).resolve().parents[2]
ID = gym_env.ENV_ID
SMALL = {"image_shape": (24, 32)}
AHEAD = np.array([0.0, 0.4], np.float32)


def make(**settings):
    return gymnasium.make(ID, **SMALL | settings)


def make_vec(n, **settings):
    return gymnasium.make_vec(ID, num_envs=n, **SMALL | settings)


def sync(n, mode, **settings):
    kwargs = {"autoreset_mode": AutoresetMode[mode.upper()]}
    return make_vec(n, vectorization_mode="sync", vector_kwargs=kwargs, **settings)


def drive(env, actions, seed=0, **options):
    """All that an environment says, from the reset on."""
    said = [env.reset(seed=seed, options=options)]
    return said + [env.step(action) for action in actions]


def expert_actions(env):
    """Drives well: an endless supply of the scripted driver's actions."""
    expert = Expert(env.unwrapped.world.track)
    while True:
        yield np.concatenate(expert.act(env.unwrapped.world.state)).astype(np.float32)


@pytest.mark.parametrize("number", range(3))
def test_what_the_docs_show_runs(number):
    text = (ROOT / "docs" / "gymnasium.md").read_text(encoding="utf-8").split("## Stable-Baselines3")[0]
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) == 3
    space = {}
    exec(compile(examples[number], f"gymnasium.md, example {number}", "exec"), space)
    if number == 0:
        assert space["observation"].shape == (60, 80, 3)
    elif number == 1:
        space["env"].reset(seed=0)
        assert space["env"].step(np.array([1.0, 0.0], np.float32))[1] == -0.01
    else:
        assert space["observations"].shape == (32, 60, 80, 3)


@pytest.mark.parametrize("look", ["flat", "photo"])
@pytest.mark.parametrize("randomisation", ["none", "strong"])
@pytest.mark.parametrize("view", ["camera", "top"])
def test_gymnasiums_checker_has_nothing_to_say(look, randomisation, view):
    env = make(look=look, randomisation=randomisation, view=view, render_mode="rgb_array")
    check_env(env.unwrapped)  # warnings are errors


def test_the_checker_with_discrete_actions():
    env = make(actions=[(-1, 0.3), (0, 0.5), (1, 0.3)], render_mode="rgb_array")
    assert env.action_space == gymnasium.spaces.Discrete(3)
    check_env(env.unwrapped)


def test_it_is_registered_with_a_time_limit():
    spec = gymnasium.spec(ID)
    assert spec.max_episode_steps == 1000
    env = gymnasium.make(f"dingocar.sim.gym_env:{ID}", max_episode_steps=3)
    assert [said[3] for said in drive(env, [AHEAD] * 3)[1:]] == [False, False, True]
    again = gymnasium.make(env.spec)
    assert data_equivalence(env.reset(seed=1), again.reset(seed=1), exact=True)


def test_gymnasium_is_loaded_by_nobody_else():
    code = (
        "import sys, dingocar.sim, dingocar.evaluate; assert 'gymnasium' not in sys.modules\n"
        "import gymnasium, dingocar.sim.gym_env as g\ng.register_envs()\n"
        "gymnasium.make('dingocar/Drive-v0', image_shape=(24, 32)).reset()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["gym_env", "gym_env_vector"])
def test_without_gymnasium_the_extra_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, f"dingocar.sim.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'dingocar[gym]'")):
        __import__(f"dingocar.sim.{name}")


def test_the_default_spaces():
    env = gymnasium.make(ID)
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (120, 160, 3), np.uint8)
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    camera = gymnasium.make(ID, camera=Camera(shape=(16, 32), height_m=0.4))
    assert camera.observation_space.shape == (16, 32, 3)
    assert gymnasium.make(ID, dt_s=0.1).unwrapped.metadata["render_fps"] == 10


def test_actions_are_steering_and_throttle():
    env = make()
    said = drive(env, [np.array([1.0, 0.4], np.float32)] * 20, start_s_m=0.0)
    assert said[-1][4]["cte_m"] > 0.02  # to the right
    assert said[-1][4]["speed_mps"] > 0.5
    said = drive(env, [np.array([0.0, -1.0], np.float32)] * 5)
    assert said[-1][4]["speed_mps"] < 0


def test_a_throttle_range_is_spread_over_the_action():
    def speed(action, **settings):
        return drive(make(**settings), [np.array([0.0, action], np.float32)] * 20)[-1][4]["speed_mps"]

    assert speed(-1.0, throttle_range=(0.1, 0.5)) == pytest.approx(speed(0.1), rel=1e-5)
    assert speed(0.0, throttle_range=(0.1, 0.5)) == pytest.approx(speed(0.3), rel=1e-5)
    assert speed(1.0, throttle_range=(0.1, 0.5)) == pytest.approx(speed(0.5), rel=1e-5)


def test_a_list_of_actions_is_chosen_from():
    wheel = [(-1.0, 0.25), (0.0, 0.5), (1.0, 0.25)]
    ours = drive(make(actions=wheel), [2, 2, 0, 1])
    plain = drive(make(), [np.array(wheel[k], np.float32) for k in (2, 2, 0, 1)])
    assert data_equivalence(ours, plain, exact=True)


def test_the_same_seed_gives_the_same_bytes():
    settings = {"look": "photo", "randomisation": "strong"}
    one, same = (drive(make(**settings), [AHEAD] * 5, seed=7) for _ in range(2))
    assert data_equivalence(one, same, exact=True)
    other = drive(make(**settings), [AHEAD] * 5, seed=8)
    assert not np.array_equal(one[0][0], other[0][0])


def test_a_seed_counts_for_the_resets_after_it():
    env = make(randomisation="mild")

    def two_resets():
        return [env.reset(seed=3), *(env.reset() for _ in range(2))]

    first, again = two_resets(), two_resets()
    assert data_equivalence(first, again, exact=True)
    assert len({info["episode_json"] for _, info in first}) == 3


def test_an_unseeded_environment_begins_anywhere():
    assert make().reset()[1]["episode_json"] == make().reset()[1]["episode_json"]
    assert not np.array_equal(make().reset()[0], make().reset()[0])


def test_reset_gives_the_episode_that_the_world_has():
    env = make(randomisation="strong")
    _, info = env.reset(seed=5)
    assert Episode.from_json(json.loads(info["episode_json"])) == env.unwrapped.world.episodes[0]
    assert "episode_json" not in env.step(AHEAD)[4]


def test_redraw_every_keeps_a_look_for_some_episodes():
    env = make(randomisation="mild", redraw_every=3)
    texts = [env.reset(seed=3)[1]["episode_json"], *(env.reset()[1]["episode_json"] for _ in range(5))]
    assert texts[0] == texts[1] == texts[2] != texts[3] == texts[4] == texts[5]
    env.reset()
    assert env.reset(seed=3)[1]["episode_json"] == texts[0]  # a seed draws in any case
    envs = make_vec(2, randomisation="mild", redraw_every=3)
    assert envs.reset(seed=1)[1]["episode_json"].tolist() != envs.reset(seed=3)[1]["episode_json"].tolist()
    assert envs.np_random_seed == (3, 4)
    assert envs.reset()[1]["episode_json"][0] == texts[0]


def test_options_place_the_car():
    env = make()
    _, info = env.reset(options={"start_s_m": 2.0, "cte_m": 0.1, "heading_error_rad": -0.2})
    assert env.unwrapped.world.state.s_m[0] == pytest.approx(2.0, abs=1e-3)
    assert info["cte_m"] == pytest.approx(0.1, abs=1e-3)
    assert info["heading_error_rad"] == pytest.approx(-0.2, abs=1e-3)
    with pytest.raises(UnknownNameError, match="did you mean 'start_s_m'"):
        env.reset(options={"start_s": 2.0})


def test_an_episode_ends_off_the_track_and_not_before():
    env = make(off_track_m=0.2, track="oval")
    said = drive(env, [np.array([1.0, 0.5], np.float32)] * 60, start_s_m=0.0)[1:]
    beyond = [abs(info["cte_m"]) - 0.35 for *_, info in said]
    ended = [terminated for _, _, terminated, *_ in said]
    first = ended.index(True)
    assert beyond[first] > 0.2 and max(beyond[:first]) <= 0.2
    assert any(info["off_track"] for *_, info in said[:first])
    rewards = [reward for _, reward, *_ in said]
    assert rewards[first] <= -LEAVING
    assert min(rewards[:first]) > -0.1


@pytest.mark.parametrize("options", [{}, {"heading_error_rad": math.pi}])
def test_an_episode_ends_on_the_way_back(options):
    """Backwards, and forwards in the wrong direction."""
    throttle = 0.5 if options else -0.5
    env = make(track="oval", wrong_way_m=0.5)
    said = drive(env, [np.array([0.0, throttle], np.float32)] * 30, start_s_m=0.0, **options)[1:]
    progress_m = [info["progress_m"] for *_, info in said]
    ended = [terminated for _, _, terminated, *_ in said]
    assert [way < -0.5 for way in progress_m] == ended
    assert sum(reward for _, reward, *_ in said[: ended.index(True) + 1]) < -0.5


def test_the_wrong_way_counts_from_the_farthest_place():
    env = make(track="oval", wrong_way_m=0.5)
    env.reset(seed=0, options={"start_s_m": 0.0})
    said = [env.step(np.array([0.0, 0.5], np.float32)) for _ in range(35)]
    farthest = said[-1][4]["progress_m"]
    assert farthest > 1
    terminated = False
    while not terminated:
        _, _, terminated, _, info = env.step(np.array([0.0, -1.0], np.float32))
        farthest = max(farthest, info["progress_m"])
    assert info["progress_m"] > 0.3
    assert farthest - info["progress_m"] == pytest.approx(0.6, abs=0.1)


def test_a_good_lap_is_worth_its_length():
    env = make(image_shape=(8, 8))
    env.reset(seed=1)
    total = 0.0
    for action in expert_actions(env):
        _, reward, terminated, truncated, info = env.step(action)
        total += reward
        assert not terminated and not truncated
        if info["laps"] == 1:
            break
    length_m = env.unwrapped.world.track.length_m
    assert 0.85 * length_m < total < info["progress_m"]


@pytest.mark.parametrize("step_m", [-40.0, -0.1, 0.0, 0.1, 40.0])
@pytest.mark.parametrize("cte_m", [-2.0, -0.2, 0.0, 0.2])
@pytest.mark.parametrize("left", [False, True])
def test_the_reward_is_bounded_and_centred(step_m, cte_m, left):
    here = {"step_m": step_m, "half_width_m": 0.4, "left": left}
    reward = float(progress({**here, "cte_m": cte_m}))
    assert -MOST_M - LEAVING <= reward <= MOST_M
    assert reward == pytest.approx(float(progress({**here, "cte_m": -cte_m})))
    assert reward <= float(progress({**here, "cte_m": 0.0}))
    assert reward - float(progress({**here, "cte_m": cte_m, "left": False})) == pytest.approx(-LEAVING * left)
    assert progress({**here, "cte_m": 0.2, "step_m": 0.1, "left": False}) == pytest.approx(0.05)


def test_going_to_and_fro_earns_nothing():
    env = make(track="oval")
    swing = np.repeat([0.5, -0.5, -0.5, 0.5], 8)
    said = drive(
        env, [np.array([0.3, throttle], np.float32) for throttle in np.tile(swing, 3)], start_s_m=0.0
    )
    assert np.ptp([info["progress_m"] for *_, info in said[1:]]) > 0.1
    net_m = said[-1][4]["progress_m"]
    assert sum(reward for _, reward, *_ in said[1:]) <= max(net_m, 0.0)


def test_a_users_reward_gets_what_is_documented():
    import dingocar.sim.reward

    documented = re.search(r"={5,}\n(.*)\n=", dingocar.sim.reward.__doc__, flags=re.DOTALL)[1]
    names = {name for line in documented.splitlines() for name in re.findall(r"\w+", line[:20])}
    seen = []

    def mine(params):
        seen.append(params)
        return 2.0 * params["steering"]

    said = drive(make(reward=mine), [np.array([0.25, 0.4], np.float32)] * 3, start_s_m=1.0)
    assert [reward for _, reward, *_ in said[1:]] == [0.5] * 3
    assert set(seen[0]) == names
    assert all(type(value) in (float, int, bool) for value in seen[-1].values())
    info = said[-1][4]
    assert {name: seen[-1][name] for name in info} == info
    assert seen[-1]["step_m"] == info["progress_m"] - said[-2][4]["progress_m"]
    assert seen[-1]["throttle"] == pytest.approx(0.4)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "much", [1.0, 2.0]])
def test_a_reward_must_be_a_number(value):
    def broken(params):
        return value

    env = make(reward=broken)
    env.reset()
    with pytest.raises(UsageError, match=r"reward 'broken' must return one finite number, got"):
        env.step(AHEAD)


def test_render_shows_the_camera_or_the_track():
    env = make(render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    shown = env.render()
    np.testing.assert_array_equal(shown, observation)
    assert not np.shares_memory(shown, observation)
    top = make(render_mode="rgb_array", view="top", track="oval")
    for s_m in (0.0, 4.0):
        top.reset(options={"start_s_m": s_m})
        pose = load_track("oval").pose_at(s_m)
        np.testing.assert_array_equal(top.render(), birdseye(load_track("oval"), *pose))
    blind = make()
    blind.reset()
    assert blind.unwrapped.render() is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trak": "oval"}, "did you mean 'track'"),
        ({"track": "ovall"}, "did you mean 'oval'"),
        ({"look": "flatt"}, "did you mean 'flat'"),
        ({"randomisation": "wild"}, "did you mean 'mild'"),
        ({"view": "topp"}, "did you mean 'top'"),
        ({"reward": "progres"}, "did you mean 'progress'"),
        ({"reward": 3}, "a name .* or a function"),
        ({"image_shape": (24, 30)}, "multiple of 4"),
        ({"camera": Camera()}, "leave out one"),
        ({"throttle_range": (0.5, 0.1)}, "throttle_range"),
        ({"throttle_range": (0.0, 2.0)}, "throttle_range"),
        ({"actions": [(0.0, 0.5), (0.0, 1.5)]}, "actions must be"),
        ({"actions": [0.0, 0.5]}, "actions must be"),
        ({"actions": []}, "actions must be"),
        ({"off_track_m": -0.1}, "off_track_m"),
        ({"wrong_way_m": math.nan}, "wrong_way_m"),
        ({"redraw_every": 0}, "redraw_every"),
        ({"dt_s": 0.0}, "dt_s"),
    ],
)
def test_mistakes_are_explained(settings, message):
    for build in (make, lambda **kwargs: make_vec(2, **kwargs)):
        with pytest.raises(DingocarError, match=message) as caught:
            build(**settings)
        assert "\n" not in str(caught.value)


def test_a_cars_dynamics_reach_the_world():
    slow = drive(make(dynamics=Dynamics(top_speed_mps=0.5)), [AHEAD] * 20)[-1][4]
    assert 0 < slow["speed_mps"] < 0.5
    assert drive(make(dt_s=0.1), [AHEAD] * 3)[-1][4]["time_s"] == pytest.approx(0.3)
