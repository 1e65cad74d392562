"""Simulator, expert, lap timer and recorder as parts of a vehicle."""

import numpy as np

from dingocar.parts.actuators.simulated import SimulatedActuator
from dingocar.parts.expert import ExpertDriver
from dingocar.parts.lap_timer import LapTimer
from dingocar.parts.simulator import Simulator
from dingocar.sim import Expert


def step(simulator, steering, throttle):
    simulator.command = (steering, throttle)
    return simulator.run()


def test_neutral_takes_the_foot_off():
    simulator = Simulator("oval", seed=1)
    actuator = SimulatedActuator(simulator)
    actuator.run(0.0, 1.0)
    for _ in range(20):
        simulator.run()
    fast = simulator.state.speed_mps[0]
    actuator.neutral()
    for _ in range(60):
        simulator.run()
    assert fast > 1.0
    assert abs(simulator.world.state.speed_mps[0]) < 0.1


def test_picture_and_state_belong_together():
    simulator = Simulator("oval", image_shape=(60, 80))
    image, state, laps, off_tracks = step(simulator, 0.2, 0.5)
    assert image.shape == (60, 80, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, state.image[0])
    assert (laps, off_tracks) == (0, 0)


def test_a_car_that_leaves_is_counted_once_and_put_back():
    simulator = Simulator("oval", seed=0)
    off = []
    for _ in range(200):
        _, state, _, times = step(simulator, 1.0, 0.6)
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
        step(simulator, 1.0, 0.8)
    while simulator.laps < 2 and steps < 2000:
        step(simulator, *expert.run(simulator.state))
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
