"""The Donkey simulator as a part: against our own server, and against servers that go wrong."""

import base64
import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from dingocar.errors import HardwareError, UnknownNameError, UsageError
from dingocar.images import encode_jpeg
from dingocar.parts import donkey_simulator
from dingocar.parts.actuators.simulated import SimulatedActuator
from dingocar.parts.donkey_simulator import DonkeySimulator
from dingocar.sim.donkey_protocol import Splitter, decode
from dingocar.sim.donkey_server import DonkeyServer
from dingocar.sim.donkey_session import Settings
from dingocar.vehicle import Vehicle
from tests.fakes.clock import FakeClock

PATIENCE_S = 30.0


@pytest.fixture
def opened():
    """Opens simulators that are closed after the test; with a clock that does not make them wait."""
    with contextlib.ExitStack() as stack:

        def new(port, **settings):
            simulator = DonkeySimulator(port=port, **({"clock": FakeClock()} | settings))
            stack.callback(simulator.shutdown)
            return simulator

        yield new


class Steering:
    """Follows the line by the cross-track error and how it changes."""

    def __init__(self):
        self.before = 0.0

    def __call__(self, cte):
        steering = -0.3 * cte - 3 * (cte - self.before)
        self.before = cte
        return float(np.clip(steering, -1, 1))


# Against our own server.


@pytest.mark.parametrize("scene", ["generated_track", "oval"])
def test_a_lap_on_our_server(opened, scene):
    with DonkeyServer(Settings(), port=0) as server:
        simulator = opened(server.port, scene=scene, synchronous=True)
        steer, actuator, numbers = Steering(), SimulatedActuator(simulator), set()
        for _ in range(2000):
            image, state, laps, off_tracks = simulator.run()
            if laps:
                break
            numbers.add(simulator.snapshot.number)
            actuator.run(steer(simulator.snapshot.telemetry.cte), 0.25)
        assert laps == 1 and off_tracks == 0 and state is None
        assert image.shape == (120, 160, 3) and image.dtype == np.uint8
        assert len(numbers) > 200
        assert simulator.metadata == {"domain": "sim", "simulator": "donkey", "track": scene}


def test_it_follows_the_clock_and_takes_the_size_that_was_asked_for(opened):
    with DonkeyServer(Settings(rate_hz=200), port=0) as server:
        simulator = opened(server.port, image_shape=(60, 80), rate_hz=200)
        simulator.command = (0.0, 0.8)
        while simulator.snapshot.telemetry.speed_mps < 0.2:
            image, *_ = simulator.run()
            simulator.command = simulator.command
        assert image.shape == (60, 80, 3)


def test_a_car_that_leaves_is_counted_once_and_put_back(opened):
    with DonkeyServer(Settings(), port=0) as server:
        simulator = opened(server.port, scene="oval", synchronous=True)
        start = simulator.snapshot.telemetry.position_m
        off = 0
        while not off:
            simulator.command = (0.4, 0.5)
            *_, off = simulator.run()
        for _ in range(5):
            simulator.command = (0.0, 0.0)
            *_, off = simulator.run()
        while simulator.snapshot.telemetry.speed_mps > 0.01:
            simulator.command = (0.0, 0.0)
            *_, off = simulator.run()
        assert off == 1
        assert simulator.snapshot.telemetry.position_m == pytest.approx(start, abs=0.05)


def test_a_scene_that_is_none_is_suggested():
    with DonkeyServer(Settings(), port=0) as server, pytest.raises(UnknownNameError, match="generated_track"):
        DonkeySimulator(port=server.port, scene="generated_trak", clock=FakeClock())


def test_settings_are_checked():
    with pytest.raises(UsageError, match="above 0"):
        DonkeySimulator(rate_hz=0)


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(HardwareError, match=r"does not answer .*start it first"):
        DonkeySimulator(port=port)


def served():
    """`dingocar sim serve` as a process of its own, and its port."""
    argv = [sys.executable, "-m", "dingocar.cli.main", "sim", "serve", "--port", "0"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    return process, int(said.split(",")[0].rpartition(":")[2])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "hung up|is gone|takes no more"),
        (signal.SIGTERM, "stopped"),
        (signal.SIGSTOP, "silent"),
    ],
    ids=["killed", "ended", "hanging"],
)
def test_a_server_that_dies_mid_lap_ends_the_drive_within_5_s(number, said):
    """In a vehicle, with the actuator after it; nothing may hang, the end of the drive neither."""
    process, port = served()
    with process:
        try:
            simulator = DonkeySimulator(port=port, timeout_s=2.0)
            vehicle, steer, happened = Vehicle(), Steering(), {}

            class Driver:
                def run(self):
                    if simulator.snapshot.telemetry.speed_mps > 0.3 and not happened:
                        happened["s"] = time.monotonic()
                        process.send_signal(number)
                    return steer(simulator.snapshot.telemetry.cte), 0.3

            vehicle.add(simulator, outputs=["cam/image_array", "sim/state", "laps", "off_tracks"])
            vehicle.add(Driver(), outputs=["steering", "throttle"])
            vehicle.add(SimulatedActuator(simulator), inputs=["steering", "throttle"])
            with pytest.raises(HardwareError, match=said):
                vehicle.start(rate_hz=20, max_loop_count=2000)
            assert time.monotonic() - happened["s"] < 5
        finally:
            process.kill()


# Against servers that go wrong.


PICTURE = base64.b64encode(encode_jpeg(np.zeros((120, 160, 3), np.uint8))).decode()
GREETING = {"msg_type": "scene_selection_ready", "loaded": "1"}
NAMES = {"msg_type": "scene_names", "scene_names": ["generated_track", "warehouse"]}
LOADED = {"msg_type": "car_loaded"}


def telemetry(**changes):
    told = {"msg_type": "telemetry", "image": PICTURE, "speed": 0.0, "time": 0.0, "cte": 0.0, "hit": "none"}
    return told | changes


class Stage:
    """A server that says what a test wants, and notes what it hears."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard, self.came = [], threading.Condition()
        self.accepted = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            self.line, _ = self.socket.accept()
            self.accepted.set()
            splitter = Splitter(1 << 16)
            while data := self.line.recv(1 << 16):
                with self.came:
                    self.heard += [decode(raw) for raw in splitter.feed(data)]
                    self.came.notify_all()

    def say(self, *messages):
        assert self.accepted.wait(PATIENCE_S)
        self.line.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def raw(self, data):
        assert self.accepted.wait(PATIENCE_S)
        self.line.sendall(data)

    def wait_for(self, kind, **fields):
        """Returns the newest message of a kind with these fields."""

        def found():
            fits = [m for m in self.heard if m["msg_type"] == kind and fields.items() <= m.items()]
            return fits[-1] if fits else None

        with self.came:
            assert self.came.wait_for(found, PATIENCE_S), self.heard
            return found()

    def close(self):
        if self.accepted.is_set():
            with contextlib.suppress(OSError):  # hung up already
                self.line.shutdown(socket.SHUT_RDWR)
            self.line.close()
        self.socket.close()


@pytest.fixture
def stage():
    server = Stage()
    yield server
    server.close()


@pytest.fixture
def ready(stage, opened):
    """A simulator that has shaken hands with the stage."""

    def new(*greeting, **settings):
        saying = threading.Thread(target=stage.say, args=greeting or (GREETING, NAMES, LOADED, telemetry()))
        saying.start()
        simulator = opened(stage.port, **settings)
        saying.join(PATIENCE_S)
        return simulator

    return new


def after(simulator, say, *said):
    """Says something that ends with a telemetry; what the first run after it returns."""
    before, deadline_s = simulator.snapshot.number, time.monotonic() + PATIENCE_S
    say(*said)
    while simulator.snapshot.number == before:
        assert time.monotonic() < deadline_s
        simulator.run()
    return simulator.run()


def test_the_handshake_in_its_order_with_all_numbers_as_text(stage, ready):
    ready(image_shape=(60, 80), car_name="blue")
    stage.wait_for("cam_config", img_w="80", img_h="60", img_enc="JPG", fov="0")
    assert [m["msg_type"] for m in stage.heard] == [
        *("get_scene_names", "load_scene", "control", "car_config", "cam_config")
    ]
    assert stage.heard[2] == {"msg_type": "control", "steering": "0.0", "throttle": "0.0", "brake": "1.0"}
    assert stage.heard[3]["car_name"] == "blue"
    assert all(isinstance(value, str) for message in stage.heard for value in message.values())


def test_a_simulator_in_a_scene_already(stage, ready):
    ready({"msg_type": "need_car_config"}, telemetry())
    stage.wait_for("cam_config")
    assert "load_scene" not in [m["msg_type"] for m in stage.heard]


def test_a_command_is_sent_at_once(stage, ready):
    simulator = ready()
    simulator.command = (0.25, -0.5)
    stage.wait_for("control", steering="0.25", throttle="-0.5", brake="0.0")
    assert simulator.command == (0.25, -0.5)


def test_neutral_brakes_and_shutdown_hangs_up(stage, ready):
    simulator = ready()
    simulator.command = (0.25, 0.5)
    simulator.neutral()
    simulator.shutdown()
    with stage.came:
        stage.came.wait_for(lambda: len(stage.heard) >= 7, PATIENCE_S)
    assert stage.heard[-1] == {"msg_type": "control", "steering": "0.0", "throttle": "0.0", "brake": "1.0"}
    assert simulator.command == (0.0, 0.0)


def test_picture_and_counts_are_of_one_telemetry(stage, ready):
    """A telemetry that has come by halves changes nothing."""
    simulator = ready()
    first = simulator.snapshot
    told = json.dumps(telemetry(speed=2.0, cte=1.5)).encode()
    stage.raw(told[:-20])
    for _ in range(3):
        assert simulator.run()[0] is first.telemetry.image
    after(simulator, stage.raw, told[-20:])
    assert (simulator.snapshot.telemetry.speed_mps, simulator.snapshot.telemetry.cte) == (2.0, 1.5)
    assert first.telemetry.speed_mps == 0


@pytest.mark.parametrize("kind", ["line", "time", "both"])
def test_laps_of_old_and_new_simulators(stage, ready, kind):
    line = {"msg_type": "collision_with_starting_line", "starting_line_index": 0, "timeStamp": 1.0}
    timed = {"msg_type": "cross_start", "lap_time": 9.5}
    simulator = ready()
    first = {"line": [line], "time": [timed | {"lap_time": 0}], "both": [line]}[kind]
    then = {"line": [line], "time": [timed], "both": [line, timed]}[kind]
    counts = []
    for messages in (first, then, then):
        counts.append(after(simulator, stage.say, *messages, telemetry())[2])
    assert counts == [0, 1, 2]
    simulator.reset()
    stage.wait_for("reset_car")
    if kind != "time":
        # From the start over the line is no lap.
        assert after(simulator, stage.say, line, telemetry())[2] == 2


def test_off_the_track_by_cte_and_not_without_one(stage, ready):
    simulator = ready(max_cte=4.0)
    counts = []
    for cte in (3.9, -4.1, 5.0, 0.0, 4.1):
        counts.append(after(simulator, stage.say, telemetry(cte=cte))[3])
    assert counts == [0, 1, 1, 1, 2]
    with stage.came:
        assert stage.came.wait_for(lambda: str(stage.heard).count("reset_car") == 2, PATIENCE_S)
    without = telemetry()
    del without["cte"]
    assert after(simulator, stage.say, without)[3] == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "sends junk: expected a JSON object"),
        (b'{"msg_type": "telemetry", "image": "%%%"}', "sends junk: telemetry"),
        (json.dumps(telemetry(speed="fast")).encode(), "sends junk: telemetry: speed"),
        (b'{"msg_type": "error", "reason": "too many clients"}', "ended the drive: too many clients"),
        (b'{"msg_type": "aborted"}', "ended the drive"),
        (b'{"msg_type": "cross_start", "lap_time": []}', "sends junk: cross_start"),
    ],
)
def test_junk_ends_the_drive_with_a_clear_error(stage, ready, data, said):
    simulator = ready()
    stage.raw(data)
    with pytest.raises(HardwareError, match=said):
        while True:
            simulator.run()
    simulator.command = (0.0, 1.0)  # goes nowhere, and says nothing
    with pytest.raises(HardwareError, match=said):
        simulator.reset()


def test_a_message_without_an_end_is_junk(stage, ready, monkeypatch):
    simulator = ready()
    simulator._splitter.limit_bytes = 10_000
    stage.raw(b'{"msg_type": "' + b"x" * 20_000)
    with pytest.raises(HardwareError, match="longer than"):
        while True:
            simulator.run()


def test_silence_ends_the_drive(ready):
    clock = FakeClock()
    simulator = ready(clock=clock, timeout_s=3.0)
    simulator.run()
    clock.time_s += 3.1
    with pytest.raises(HardwareError, match=r"silent for 3\.1 s"):
        simulator.run()


def test_hanging_up_ends_the_drive(stage, ready):
    simulator = ready()
    stage.line.shutdown(socket.SHUT_RDWR)
    with pytest.raises(HardwareError, match="hung up"):
        while True:
            simulator.run()
    simulator.shutdown()


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        ([], "has not sent scene_selection_ready or car_loaded"),
        ([GREETING], "has not sent scene_names"),
        ([GREETING, NAMES], "has not sent car_loaded or need_car_config"),
        ([GREETING, NAMES, LOADED], "has not sent telemetry"),
        ([GREETING, {"msg_type": "scene_names", "scene_names": 3}], "unknown scene"),
        ([{"msg_type": "error", "reason": "full"}], "full"),
    ],
)
def test_a_handshake_that_stops_is_an_error_that_says_where(stage, ready, monkeypatch, greeting, said):
    monkeypatch.setattr(donkey_simulator, "LOAD_S", 0.1)
    monkeypatch.setattr(donkey_simulator, "GLANCE_S", 0.05)
    ping = {"msg_type": "ping"}
    with pytest.raises((HardwareError, UnknownNameError), match=said):
        ready(ping, *greeting, timeout_s=0.1)


def test_what_is_unsupported_is_logged(stage, ready, caplog):
    simulator = ready()
    with caplog.at_level(logging.WARNING):
        told = {"msg_type": "unsupported", "request": "cam_config", "reason": "img_w"}
        after(simulator, stage.say, told, telemetry())
    assert "cam_config: img_w" in caplog.text


# gym-donkeycar's own client, where it is installed.


@pytest.mark.filterwarnings("ignore")  # theirs
def test_gym_donkeycars_own_client_drives_a_lap_on_our_server():
    pytest.importorskip("gym_donkeycar")
    import gymnasium
    from gym_donkeycar.envs.donkey_env import WarehouseEnv

    with DonkeyServer(Settings(), port=0) as server:
        conf = {"host": "127.0.0.1", "port": server.port, "log_level": logging.WARNING}
        env = WarehouseEnv(conf=conf)
        assert isinstance(env, gymnasium.Env)
        image, info = env.reset()
        steer, returned = Steering(), 0.0
        for _ in range(1000):
            action = np.array([steer(info["cte"]), 0.3], np.float32)
            image, reward, over, _, info = env.step(action)
            returned += reward
            if over or info["lap_count"]:
                break
        env.close()
    assert image.shape == (120, 160, 3)
    assert info["lap_count"] == 1 and info["last_lap_time"] > 5 and not over
    assert returned > 100
