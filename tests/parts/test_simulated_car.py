"""Simulator, expert, lap timer and recorder as parts of a vehicle."""

import numpy as np

from dingocar.parts.expert import ExpertDriver
from dingocar.parts.lap_timer import LapTimer
from dingocar.parts.recorder import Recorder
from dingocar.parts.simulator import Simulator
from dingocar.sim import Expert
from dingocar.tub import Tub


def test_neutral_takes_the_foot_off():
    simulator = Simulator("oval", seed=1)
    for _ in range(20):
        simulator.run(0.0, 1.0)
    fast = simulator.state.speed_mps[0]
    for _ in range(60):
        simulator.neutral()
    assert fast > 1.0
    assert abs(simulator.world.state.speed_mps[0]) < 0.1


def test_picture_and_state_belong_together():
    simulator = Simulator("oval", image_shape=(60, 80))
    image, state, laps, off_tracks = simulator.run(0.2, 0.5)
    assert image.shape == (60, 80, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, state.image[0])
    assert (laps, off_tracks) == (0, 0)


def test_a_car_that_leaves_is_counted_once_and_put_back():
    simulator = Simulator("oval", seed=0)
    off = []
    for _ in range(200):
        _, state, _, times = simulator.run(1.0, 0.6)
        off.append(times)
        if times:
            assert abs(state.cte_m[0]) <= 2 * state.half_width_m[0]
    assert off[-1] >= 1
    assert max(np.diff(off)) == 1


def test_laps_go_on_counting_where_a_car_was_put_back():
    simulator = Simulator("oval", seed=0)
    expert = ExpertDriver(Expert(simulator.world.track))
    steps = 0
    while simulator.off_tracks < 1:
        simulator.run(1.0, 0.8)
    while simulator.laps < 2 and steps < 2000:
        simulator.run(*expert.run(simulator.state))
        steps += 1
    assert simulator.laps == 2


def test_lap_timer_times_laps_in_loops_and_stops_after_the_last():
    told, stops = [], []
    timer = LapTimer(0.05, limit=2, on_limit=lambda: stops.append(1), on_lap=lambda *lap: told.append(lap))
    for laps in [None, 0, 0, 1, 1]:
        timer.run(laps)
    assert (told, stops) == ([(1, 0.2)], [])
    assert timer.run(2) == 0.1
    assert (told[-1], stops) == ((2, 0.1), [1])


def test_recorder_leaves_out_what_is_not_there_yet(tmp_path):
    recorder = Recorder(
        tmp_path / "tub", ["cam/image_array", "user/angle"], ["image_array", "float"], {"domain": "sim"}
    )
    image = np.full((8, 8, 3), 200, np.uint8)
    recorder.run(image, 0.25)
    recorder.run(image, None)
    recorder.shutdown()
    tub = Tub(tmp_path / "tub")
    assert [record.fields.get("user/angle") for record in tub] == [0.25, None]
    assert tub.domain == "sim"
    np.testing.assert_allclose(tub[0].image(), image, atol=2)
