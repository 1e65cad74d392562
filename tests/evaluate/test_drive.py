"""Closed-loop figures: what they mean, and that they are what they say."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.evaluate import evaluate
from dingocar.sim import Camera, Expert, load_track
from dingocar.sim.scene import Stage


@pytest.fixture(scope="module")
def track():
    return load_track("oval")


def test_the_expert_drives_clean_laps_near_the_centre(track):
    result = evaluate(Expert(track).act, track, laps=4, seed=1)
    assert (result.laps_asked, result.laps_completed, result.clean_laps, result.off_tracks) == (4, 4, 4, 0)
    assert result.completion == 1.0
    assert result.mean_abs_cte_m < 0.1 * result.half_width_m
    assert result.p95_abs_cte_m > result.mean_abs_cte_m
    assert 0.5 < result.mean_speed_mps < 2.0
    assert (result.clean_rate_low, result.clean_rate_high) == pytest.approx((0.5101, 1.0), abs=1e-4)
    starts = np.array([path[0, :2] for path in result.paths])
    assert np.linalg.norm(starts[:, None] - starts[None], axis=-1)[~np.eye(4, dtype=bool)].min() > 1.0
    for path in result.paths:
        way = np.hypot(*np.diff(path[:, :2], axis=0).T).sum()
        assert way == pytest.approx(track.length_m, rel=0.05)


def test_a_car_that_stands_completes_nothing(track):
    result = evaluate(lambda state: (0.0, 0.0), track, laps=2)
    assert (result.laps_completed, result.clean_laps, result.off_tracks) == (0, 0, 0)
    assert result.completion == pytest.approx(0.0, abs=1e-6)
    assert result.mean_speed_mps == 0.0


def test_a_car_that_leaves_the_track_is_put_back_and_its_lap_is_not_clean(track):
    expert = Expert(track)
    sent_off = np.array([True, False])

    def driver(state):
        steering, throttle = expert.act(state)
        # The first car is driven to the right until it has left the track once.
        sent_off[0] &= not (state.time_s[0] > 0 and np.abs(state.cte_m[0]) > 0.33)
        return np.where(sent_off, 1.0, steering), throttle

    result = evaluate(driver, track, laps=2)
    assert result.laps_completed == 2
    assert result.off_tracks >= 1
    assert result.clean_laps == 1
    assert result.lap_off_tracks == [result.off_tracks, 0]
    # It left the track soon after its start; the way after it was put back does not count here.
    assert 0 < result.lap_first_failure[0] < 0.3
    assert result.lap_first_failure[1] == 1.0


def test_a_car_that_is_put_back_goes_on_in_the_same_episode(monkeypatch):
    painted, atlas = [], Stage.atlas
    monkeypatch.setattr(Stage, "atlas", lambda self, episode: painted.append(episode) or atlas(self, episode))

    def driver(state):
        assert state.image.any()
        return 1.0, 0.6

    result = evaluate(driver, "oval", laps=1, camera=Camera.of_shape((24, 32)), randomisation="strong")
    assert result.randomisation == "strong"
    assert result.off_tracks > 1
    assert len(painted) == 1


def test_what_a_car_does_after_its_lap_does_not_count(track):
    expert = Expert(track)

    def driver(state):
        steering, throttle = expert.act(state)
        round_ = state.progress_m >= track.length_m
        # The car that has come round first drives backwards; the others are slowed down, so that it can.
        return steering, np.where(round_, -1.0, np.where(np.arange(2) == 0, throttle, throttle * 0.6))

    result = evaluate(driver, track, laps=2)
    assert (result.laps_completed, result.clean_laps, result.completion) == (2, 2, 1.0)


def test_straight_on_leaves_at_every_turn(track):
    result = evaluate(lambda state: (0.0, 0.4), track, laps=2)
    assert result.clean_laps == 0
    assert result.off_tracks >= 4
    assert result.mean_abs_dsteering == 0.0


def test_the_same_seed_gives_the_same_figures(track):
    first, again, other = (evaluate(Expert(track).act, track, laps=2, seed=seed) for seed in (3, 3, 4))
    assert first.to_json() == again.to_json()
    assert first.mean_abs_cte_m != other.mean_abs_cte_m


def test_steering_change_is_counted_per_step(track):
    def zigzag(state):
        return 0.1 * (-1) ** np.round(state.time_s / 0.05), np.full(len(state.x_m), 0.0)

    assert evaluate(zigzag, track, laps=1).mean_abs_dsteering == pytest.approx(0.2)


def test_no_laps(track):
    with pytest.raises(UsageError, match="at least 1, got 0"):
        evaluate(Expert(track).act, track, laps=0)
