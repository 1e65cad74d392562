"""Judging beside recordings: correlation, lag and gain, and how well features tell the domains."""

import dataclasses

import numpy as np
import pytest

from dingocar.evaluate.leaderboard.judge import HeldOut, held_out, lagged_error, steering_error, told_apart
from dingocar.evaluate.leaderboard.recording import make_recording
from dingocar.evaluate.leaderboard.suite import Recording


def road(count=400, seed=0):
    """Smooth steering in [-0.5, 0.5]."""
    rng = np.random.default_rng(seed)
    return 0.5 * np.sin(np.cumsum(rng.uniform(0.02, 0.2, count)))


def test_correlation_stands_beside_the_error():
    labels = road()
    assert steering_error(0.5 * labels, labels)["corr"] == pytest.approx(1.0)
    assert steering_error(-labels, labels)["corr"] == pytest.approx(-1.0)
    assert steering_error(np.zeros(400), labels)["corr"] is None


@pytest.mark.parametrize("lag", [0, 3, 6])
def test_a_person_who_is_late_in_a_car_that_turns_more(lag):
    said = road()
    labels = np.concatenate([np.zeros(lag), 0.4 * said])[: len(said)]
    found = lagged_error(said, labels, np.zeros(400))
    assert found["lag_frames"] == lag and found["gain"] == pytest.approx(0.4)
    assert found["mae"] == pytest.approx(0.0, abs=1e-9) and found["corr"] == pytest.approx(1.0)
    assert found["plain_mae"] > 0.1 and found["frames"] == 400 - lag


def test_no_lag_beyond_the_longest_and_none_to_the_other_side():
    said = road()
    late = np.concatenate([np.zeros(9), said])[: len(said)]
    early = np.concatenate([said[4:], np.zeros(4)])
    assert lagged_error(said, late, np.zeros(400))["mae"] > 0.02
    assert lagged_error(said, early, np.zeros(400))["lag_frames"] == 0


def test_no_pair_reaches_from_one_run_into_the_next():
    said, labels = np.array([0.1, 0.2, 0.3, 0.1]), np.array([0.9, 0.1, 0.9, 0.3])
    found = lagged_error(said, labels, [0, 0, 1, 1], most=1)
    # At lag 1 the pairs are (0.1, 0.1) and (0.3, 0.3); across the runs there is (0.2, 0.9).
    assert (found["lag_frames"], found["frames"]) == (1, 2) and found["mae"] == pytest.approx(0.0)
    assert lagged_error(said, labels, [0, 1, 2, 3])["lag_frames"] == 0


def test_a_pilot_that_steers_the_other_way_gains_nothing():
    found = lagged_error(-road(), road(), np.zeros(400), most=0)
    assert found["gain"] == 0 and found["mae"] == pytest.approx(np.abs(road()).mean())
    still = lagged_error(np.zeros(400), road(), np.zeros(400))
    assert still["corr"] is None and still["lag_frames"] == 0


def test_the_blocks_of_a_recording_are_its_episodes(tmp_path):
    recording = Recording(("oval",), frames=30, episode_frames=12)
    make_recording(tmp_path / "a", recording, 0, (32, 40))
    held = held_out(tmp_path / "a", (32, 40))
    assert held.images.shape == (30, 32, 40, 3) and held.steering.shape == (30,)
    assert held.blocks.tolist() == [0] * 12 + [1] * 12 + [2] * 6 and set(held.runs) == {0}


def some(level, seed, blocks=6, frames=10):
    """Pictures of a domain whose only sign is how bright they are."""
    rng = np.random.default_rng(seed)
    images = rng.integers(level, level + 60, (blocks * frames, 8, 8, 3)).astype(np.uint8)
    steering = np.zeros(len(images), np.float32)
    return HeldOut(images, steering, np.zeros(len(images), np.int64), np.repeat(np.arange(blocks), frames))


def test_domains_that_the_features_tell_apart(monkeypatch):
    """The features are the mean brightness, so that what is measured is what they hold."""
    from dingocar.adapt import probes

    def features(network, images):
        values = images.reshape(len(images), -1).mean(axis=1, keepdims=True)
        return np.repeat(values, 3, axis=1).astype(np.float32) * network

    monkeypatch.setattr(probes, "pilot_features", features)
    source = [some(0, 0), some(0, 1)]
    far = told_apart((1, 1), source, some(120, 2), 0)
    assert far["probe_linear"] == far["probe_mlp"] == 1.0
    near = told_apart((1, 1), source, some(0, 3), 0)
    assert near["probe_linear"] < 0.75 and near["probe_mlp"] < 0.75
    assert set(near) == {"probe_linear", "probe_mlp"}
    # The second network is for what is elsewhere: one that sees nothing there tells it from all of home.
    assert told_apart((1, 0), source, some(0, 3), 0)["probe_linear"] == 1.0


def test_blocks_of_several_recordings_stay_apart_and_what_is_between_two_is_left_out(monkeypatch):
    from dingocar.adapt import probes

    asked = []
    monkeypatch.setattr(probes, "pilot_features", lambda network, images: images[:, 0, 0].astype(np.float32))
    monkeypatch.setattr(probes, "probe_accuracy", lambda *given: asked.append(given) or 0.5)
    between = dataclasses.replace(some(0, 1), blocks=np.where(np.arange(60) < 10, -1, np.arange(60) // 10))
    told_apart((1, 1), [some(0, 0), between], some(9, 2), 7)
    (source, target, blocks, other, kind, seed), second = asked
    assert len(source) == len(blocks) == 110 and len(target) == len(other) == 60
    assert len(np.unique(blocks)) == 11 and np.unique(other).tolist() == list(range(6))
    assert (kind, seed) == ("linear", 7) and second[4] == "mlp"
