"""Whatever happens to a part, a thread or the process, the vehicle stops."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dingocar.errors import PartError, WiringError
from dingocar.supervision import FreshnessWatch, HangGuard
from dingocar.vehicle import Vehicle
from tests.fakes.actuator import RecordingActuator
from tests.fakes.clock import FakeClock
from tests.fakes.driving import Call, Constant, driving

ROOT = Path(__file__).resolve().parent.parent


class TestStop:
    """Neutral first, then shutdown in reverse order, whatever ended the drive."""

    def add_log_parts(self, vehicle, log):
        class Camera:
            def run(self):
                return None

            def shutdown(self):
                log.append(("shutdown", "camera"))

        vehicle.add(Camera())

    def test_after_the_last_loop(self):
        log = []
        vehicle, _ = driving(log)
        self.add_log_parts(vehicle, log)
        vehicle.start(max_loop_count=1)
        assert log == [("run", 0.3, 0.8), ("neutral",), ("shutdown", "camera"), ("shutdown", "actuator")]

    def test_when_a_part_raises(self):
        log = []
        vehicle, actuator = driving(log)
        self.add_log_parts(vehicle, log)
        vehicle.add(Call(lambda: 1 / 0))
        with pytest.raises(PartError, match="part Call failed in run: ZeroDivisionError") as caught:
            vehicle.start(max_loop_count=5)
        assert (caught.value.part, caught.value.phase, caught.value.exit_code) == ("Call", "run", 1)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert log[1:] == [("neutral",), ("shutdown", "camera"), ("shutdown", "actuator")]
        assert actuator.throttle == 0.0

    def test_when_a_part_exits_the_process(self):
        vehicle, actuator = driving()
        vehicle.add(Call(lambda: sys.exit(3)))
        with pytest.raises(SystemExit):
            vehicle.start(max_loop_count=5)
        assert actuator.throttle == 0.0

    def test_when_the_wiring_is_wrong(self):
        log = []
        vehicle, _ = driving(log)
        vehicle.add(Constant(1), run_condition="never/written")
        with pytest.raises(WiringError):
            vehicle.start(max_loop_count=1)
        assert log == [("neutral",), ("shutdown", "actuator")]

    def test_when_a_signal_comes_while_a_failure_is_handled(self, monkeypatch):
        log = []
        vehicle, _ = driving(log)
        vehicle.add(Call(lambda: 1 / 0))
        handle = vehicle._as_part_error

        def interrupted(error):
            os.kill(os.getpid(), signal.SIGTERM)
            return handle(error)

        monkeypatch.setattr(vehicle, "_as_part_error", interrupted)
        with pytest.raises(PartError, match="ZeroDivisionError"):
            vehicle.start(max_loop_count=5)
        assert log[1:] == [("neutral",), ("shutdown", "actuator")]

    def test_when_a_thread_sends_the_signal_before_the_others_have_started(self):
        class Killer(Producer):
            def update(self):
                os.kill(os.getpid(), signal.SIGTERM)
                super().update()

        vehicle = Vehicle()
        vehicle.add(Killer(), outputs=["a"], threaded=True)
        for name in "bcdefgh":
            vehicle.add(Producer(), outputs=[name], threaded=True)
        report = vehicle.start(rate_hz=100)
        assert (report.reason, report.signal) == ("SIGTERM", signal.SIGTERM)

    def test_when_neutral_of_another_part_exits(self):
        class Quitter(RecordingActuator):
            def neutral(self):
                raise SystemExit(1)

        vehicle, log = Vehicle(clock=FakeClock()), []
        vehicle.mem["s"] = vehicle.mem["t"] = 0.5
        vehicle.add(Quitter(), inputs=["s", "t"])
        vehicle.add(RecordingActuator(log), inputs=["s", "t"])
        with pytest.raises(PartError, match="Quitter failed in neutral: SystemExit"):
            vehicle.start(max_loop_count=1)
        assert log[1:] == [("neutral",), ("shutdown", "actuator")]

    def test_when_neutral_and_shutdown_of_others_fail_too(self):
        class Stubborn(RecordingActuator):
            def neutral(self):
                raise OSError("bus error")

            def shutdown(self):
                raise AttributeError("no such thing")

        vehicle = Vehicle(clock=FakeClock())
        vehicle.mem["s"] = vehicle.mem["t"] = 0.5
        log = []
        vehicle.add(RecordingActuator(log), inputs=["s", "t"])
        vehicle.add(Stubborn(), inputs=["s", "t"])
        with pytest.raises(PartError, match="Stubborn failed in neutral: OSError: bus error"):
            vehicle.start(max_loop_count=1)
        assert log[-2:] == [("neutral",), ("shutdown", "actuator")]

    def test_an_error_in_shutdown_alone_is_raised(self):
        class Sloppy(RecordingActuator):
            def shutdown(self):
                raise AttributeError("no such thing")

        vehicle = Vehicle(clock=FakeClock())
        vehicle.mem["s"] = vehicle.mem["t"] = 0.5
        vehicle.add(Sloppy(), inputs=["s", "t"])
        with pytest.raises(PartError, match="Sloppy failed in shutdown"):
            vehicle.start(max_loop_count=1)

    def test_an_actuator_without_neutral_is_run_with_its_neutral_inputs(self):
        calls = []
        vehicle = Vehicle(clock=FakeClock())
        vehicle.mem["throttle"] = 0.8
        vehicle.add(Call(calls.append), inputs=["throttle"], neutral=[0.0])
        vehicle.add(Call(lambda: 1 / 0))
        with pytest.raises(PartError):
            vehicle.start()
        assert calls == [0.8, 0.0]


class Producer:
    """A threaded part that hands out what it is told to, and whose thread does what it is told to."""

    def __init__(self, update=None):
        self.value, self.running = object(), threading.Event()
        self.over = threading.Event()
        self._update = update

    def update(self):
        self.running.set()
        if self._update is not None:
            self._update()
        self.over.wait()

    def run_threaded(self):
        return self.value

    def shutdown(self):
        self.over.set()


class TestThreads:
    def test_a_dead_thread_stops_the_car(self):
        def die():
            raise OSError("camera unplugged")

        vehicle, actuator = driving()
        vehicle.add(Producer(die), outputs=["image"], threaded=True)
        with pytest.raises(PartError, match="Producer failed in thread: OSError: camera unplugged"):
            vehicle.start(rate_hz=None)
        assert actuator.throttle == 0.0

    def test_a_stalled_producer_stops_the_car(self):
        clock = FakeClock()
        vehicle = Vehicle(clock=clock)
        actuator, producer = RecordingActuator(), Producer()
        vehicle.mem["s"] = vehicle.mem["t"] = 0.5
        vehicle.add(producer, outputs=["image"], threaded=True, max_age_s=0.5)
        vehicle.add(actuator, inputs=["s", "t"])
        with pytest.raises(PartError, match=r"Producer failed in stalled: nothing new for more than 0\.5 s"):
            vehicle.start(rate_hz=20, max_loop_count=1000)
        assert actuator.throttle == 0.0
        runs = sum(entry[0] == "run" for entry in actuator.log)
        assert 10 <= runs <= 12

    def test_a_producer_that_goes_on_is_left_alone(self):
        class Fresh(Producer):
            def run_threaded(self):
                return object()

        vehicle = Vehicle(clock=FakeClock())
        vehicle.add(Fresh(), outputs=["image"], threaded=True, max_age_s=0.1)
        assert vehicle.start(rate_hz=20, max_loop_count=200).loops == 200

    def test_a_counter_tells_fresh_from_same(self):
        entry = Vehicle()
        part = Producer()
        part.produced = 1
        entry.add(part, outputs=["a"], threaded=True, max_age_s=0.2)
        watch = FreshnessWatch(entry.parts[0], 0.0)
        watch.saw(0.0, 0.0)
        watch.saw(0.0, 0.15)
        part.produced = 2
        watch.saw(0.0, 0.3)
        watch.saw(0.0, 0.45)
        with pytest.raises(PartError):
            watch.saw(0.0, 0.55)

    def test_threads_have_ended_when_start_returns(self):
        vehicle = Vehicle(clock=FakeClock())
        before = threading.active_count()
        vehicle.add(Producer(), outputs=["image"], threaded=True)
        vehicle.start(max_loop_count=2)
        alive = [t.name for t in threading.enumerate() if t.name.startswith("part ")]
        assert alive == []
        assert threading.active_count() <= before + 1  # the hang guard may still be closing


class TestHang:
    def test_guard_brings_the_car_to_neutral_until_it_is_stopped(self):
        clock, calls = FakeClock(), []
        guard = HangGuard(1.0, clock, lambda: calls.append(1))
        guard.beat(clock.now_s())
        clock.time_s += 0.9
        assert not guard.check()
        clock.time_s += 0.2
        assert guard.check()
        guard.beat(clock.now_s())
        assert guard.check()
        assert calls == [1, 1]

    def test_waiting_for_the_next_loop_is_not_hanging(self):
        vehicle = Vehicle(max_loop_s=0.5)
        vehicle.add(Constant(1), outputs=["a"])
        assert vehicle.start(rate_hz=1, max_loop_count=3).loops == 3

    def test_what_comes_after_a_hung_part_does_not_drive_again(self):
        vehicle = Vehicle(max_loop_s=0.5)
        actuator = RecordingActuator()
        vehicle.add(Call(lambda: actuator.at_rest.wait(30) and None))
        vehicle.add(Constant(0.3, 0.8), outputs=["steering", "throttle"])
        vehicle.add(actuator, inputs=["steering", "throttle"])
        with pytest.raises(PartError, match="Call failed in stalled"):
            vehicle.start(rate_hz=20)
        assert {entry[0] for entry in actuator.log} == {"neutral", "shutdown"}

    def test_the_car_stands_before_the_hang_is_logged(self, monkeypatch):
        """A log may hang itself: a terminal that was stopped, a pipe that nobody reads."""
        vehicle, actuator = Vehicle(), RecordingActuator()
        vehicle.add(actuator, inputs=["steering", "throttle"])
        monkeypatch.setattr("dingocar.vehicle.logger.error", lambda *text: actuator.log.append("logged"))
        vehicle._on_hang()
        assert actuator.log == [("neutral",), "logged"]

    def test_a_hung_part_cannot_keep_the_throttle_on(self):
        """Real threads and time: the part hangs until the guard has brought the actuator to rest."""
        vehicle = Vehicle(max_loop_s=0.5)
        actuator = RecordingActuator()
        vehicle.add(Constant(0.3, 0.8), outputs=["steering", "throttle"])
        vehicle.add(actuator, inputs=["steering", "throttle"])
        vehicle.add(Call(lambda: actuator.at_rest.wait(30)))
        with pytest.raises(PartError, match="Call failed in stalled"):
            vehicle.start(rate_hz=20)
        assert actuator.throttle == 0.0


SCRIPT = """
import sys
from dingocar.errors import PartError
from dingocar.vehicle import Vehicle
class Actuator:
    def run(self, throttle):
        print("run", throttle, flush=True)
    def neutral(self):
        print("neutral", flush=True)
    def shutdown(self):
        print("shutdown", flush=True)
class Swallower:
    def run(self):
        try:
            import time; time.sleep(0.01)
        except BaseException:
            pass
vehicle = Vehicle()
vehicle.mem["throttle"] = 0.8
vehicle.add(Actuator(), inputs=["throttle"])
{extra}
report = vehicle.start(rate_hz=50)
print(report.reason, report.signal, flush=True)
sys.exit(128 + report.signal)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("extra", ["", "vehicle.add(Swallower())"])
def test_a_stop_signal_brings_neutral_first(name, extra):
    number = getattr(signal, name)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("{extra}", extra)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "run 0.8\n"
    sent = time.monotonic()
    process.send_signal(number)
    lines = process.communicate(timeout=20)[0].split("\n")
    after = lines[lines.index("neutral") :]
    assert after == ["neutral", "shutdown", f"{name} {int(number)}", ""]
    assert process.returncode == 128 + number
    assert time.monotonic() - sent < 10
