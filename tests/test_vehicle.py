"""The loop: Donkeycar's API, the schedule, the wiring check."""

import pytest

from dingocar.errors import PartError, WiringError
from dingocar.vehicle import Vehicle
from tests.fakes.actuator import RecordingActuator
from tests.fakes.clock import FakeClock
from tests.fakes.driving import Call, Constant, driving


class TestLoop:
    def test_passes_values_in_order_of_addition(self):
        vehicle = Vehicle(clock=FakeClock())
        seen = []
        vehicle.add(Constant(1, 2), outputs=["a", "b"])
        vehicle.add(Call(lambda a, b: a + b), inputs=["a", "b"], outputs=["sum"])
        vehicle.add(Call(seen.append), inputs=["sum"])
        report = vehicle.start(rate_hz=20, max_loop_count=3)
        assert seen == [3, 3, 3]
        assert (report.loops, report.reason) == (3, "max_loop_count")
        assert vehicle.mem["sum"] == 3

    def test_none_keeps_the_channel_as_it_is(self):
        vehicle = Vehicle(clock=FakeClock())
        vehicle.mem["a"] = 7
        vehicle.add(Call(lambda: None), outputs=["a"])
        vehicle.start(max_loop_count=1)
        assert vehicle.mem["a"] == 7

    def test_an_array_goes_to_one_channel_whole(self):
        vehicle = Vehicle(clock=FakeClock())
        vehicle.add(Constant([1, 2, 3]), outputs=["list"])
        vehicle.start(max_loop_count=1)
        assert vehicle.mem["list"] == [1, 2, 3]

    def test_run_condition(self):
        vehicle, runs = Vehicle(clock=FakeClock()), []
        turns = iter([True, False, True])
        vehicle.add(Call(lambda: next(turns)), outputs=["on"])
        vehicle.add(Call(lambda: runs.append(1)), run_condition="on")
        vehicle.start(max_loop_count=3)
        assert len(runs) == 2

    def test_removed_part_is_not_run(self):
        vehicle, actuator = driving()
        vehicle.remove(actuator)
        vehicle.start(max_loop_count=1)
        assert actuator.log == []

    def test_stop_from_a_part_ends_after_this_loop(self):
        vehicle = Vehicle(clock=FakeClock())
        vehicle.add(Call(lambda: vehicle.stop("enough")))
        report = vehicle.start(rate_hz=20)
        assert (report.loops, report.reason) == (1, "enough")

    def test_can_be_started_again(self):
        vehicle, _ = driving()
        vehicle.start(max_loop_count=1)
        assert vehicle.start(max_loop_count=2).loops == 2

    def test_timings_per_part_and_numbered_names(self):
        vehicle = Vehicle(clock=FakeClock())
        for _ in range(2):
            vehicle.add(Constant(1), outputs=["a"])
        timings = vehicle.start(max_loop_count=5).timings
        assert [(t.name, t.count) for t in timings] == [("Constant", 5), ("Constant#2", 5)]


class TestSchedule:
    def test_is_absolute(self):
        """Time spent in parts, and late wake-ups, do not add up."""
        clock = FakeClock()
        vehicle = Vehicle(clock=clock)

        def work():
            clock.time_s += 0.004

        vehicle.add(Call(work))
        report = vehicle.start(rate_hz=100, max_loop_count=1000)
        assert report.seconds == pytest.approx(10.0)
        assert report.rate_hz == pytest.approx(100.0)
        assert report.overruns == 0

    def test_a_long_loop_is_counted_and_not_made_up_for_in_a_burst(self):
        clock = FakeClock()
        vehicle = Vehicle(clock=clock, max_loop_s=1000)
        durations = iter([0.35, 0.0, 0.0, 0.0])

        def work():
            clock.time_s += next(durations)

        vehicle.add(Call(work))
        report = vehicle.start(rate_hz=10, max_loop_count=4)
        assert report.overruns == 2
        assert [round(wait, 3) for wait in clock.waits] == [-0.05, 0.05, 0.1, 0.1]

    @pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
    def test_refuses_a_rate_that_is_none(self, rate):
        vehicle, _ = driving()
        with pytest.raises(WiringError, match="rate_hz must be positive"):
            vehicle.start(rate_hz=rate, max_loop_count=1)


class TestWiring:
    def test_a_channel_nobody_writes(self):
        vehicle = Vehicle()
        vehicle.add(Constant(1), outputs=["user/angle"])
        vehicle.add(RecordingActuator(), inputs=["user/angel", "throttle"])
        with pytest.raises(WiringError) as caught:
            vehicle.start(max_loop_count=1)
        assert "RecordingActuator reads 'user/angel', which no part writes" in str(caught.value)
        assert "did you mean 'user/angle'?" in str(caught.value)
        assert "'throttle'" in str(caught.value)

    def test_a_run_condition_nobody_writes(self):
        vehicle = Vehicle()
        vehicle.add(Constant(1), run_condition="recording")
        with pytest.raises(WiringError, match="'recording'"):
            vehicle.start(max_loop_count=1)

    def test_a_value_put_into_memory_counts_as_written(self):
        vehicle = Vehicle(clock=FakeClock())
        vehicle.mem["user/mode"] = "local"
        vehicle.add(Call(lambda mode: None), inputs=["user/mode"])
        vehicle.start(max_loop_count=1)

    @pytest.mark.parametrize(
        "part, arguments, message",
        [
            (object(), {}, "needs run()"),
            (Constant(1), {"threaded": True}, "needs run_threaded and update()"),
            (Constant(1), {"outputs": "angle"}, r"must be a list, got 'angle'; write \['angle'\]"),
            (Constant(1), {"inputs": [3]}, "must be channel names, got 3"),
            (Constant(1), {"max_age_s": 1.0}, "for threaded parts only"),
            (Constant(1), {"inputs": ["a", "b"], "neutral": [0.0]}, "neutral needs 2 values"),
        ],
    )
    def test_parts_that_do_not_fit(self, part, arguments, message):
        with pytest.raises(WiringError, match=message.replace("()", r"\(\)")):
            Vehicle().add(part, **arguments)

    def test_a_vehicle_without_parts(self):
        with pytest.raises(WiringError, match="no parts"):
            Vehicle().start()

    def test_wrong_number_of_outputs_names_the_part(self):
        vehicle = Vehicle(clock=FakeClock())
        vehicle.add(Constant(1, 2), outputs=["a", "b", "c"])
        with pytest.raises(PartError, match="Constant failed in run: ValueError: expected 3 values"):
            vehicle.start(max_loop_count=1)
