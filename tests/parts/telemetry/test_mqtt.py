"""MQTT against a small broker on a socket: what it is told, and what happens when it is away."""

import itertools
import json
import logging
import math
import socket
import sys
import threading

import numpy as np
import pytest

from dingocar.errors import MissingExtraError, UsageError
from dingocar.parts.telemetry.mqtt import MqttTelemetry
from tests.fakes.clock import FakeClock
from tests.parts.telemetry.broker import Broker

pytest.importorskip("paho.mqtt.client")

CHANNELS = ["steering", "user/mode"]


@pytest.fixture
def broker():
    broker = Broker()
    yield broker
    broker.close()


@pytest.fixture
def make(broker):
    """Makes parts that are shut down after the test."""
    parts = []

    def make(port=broker.port, **options):
        options = {"clock": FakeClock(), "rate_hz": 5.0, "channels": CHANNELS} | options
        parts.append(MqttTelemetry("127.0.0.1", port, "car/1", **options))
        return parts[-1]

    yield make
    for part in parts:
        part.shutdown()


class Told(logging.Handler):
    """What the part's threads log, as it comes."""

    def __init__(self):
        super().__init__()
        self.messages, self._come = [], threading.Event()

    def emit(self, record):
        self.messages.append(record.getMessage())
        self._come.set()

    def something(self):
        return self._come.wait(20)


@pytest.fixture
def told():
    told = Told()
    logger = logging.getLogger("dingocar.parts.telemetry.mqtt")
    logger.addHandler(told)
    yield told
    logger.removeHandler(told)


def online(broker):
    """Waits for the greeting."""
    assert broker.next() == ("car/1/status", b"online", True)


class TestMessages:
    def test_hold_the_newest_values_as_json(self, broker, make):
        part = make()
        online(broker)
        part.run(0.25, "user")
        topic, payload, retain = broker.next()
        assert (topic, retain) == ("car/1", False)
        assert json.loads(payload) == {"t_s": 0, "steering": 0.25, "user/mode": "user"}
        part._clock.time_s += 1.5
        part.run(np.float32(0.5), None)
        assert json.loads(broker.next()[1]) == {"t_s": 1.5, "steering": 0.5, "user/mode": None}

    @pytest.mark.parametrize("value", [math.nan, math.inf, [1], np.ones(3), object()])
    def test_what_json_has_no_word_for_is_null(self, broker, make, value):
        part = make()
        online(broker)
        part.run(value, "user")
        payload = broker.next()[1]
        assert b"NaN" not in payload and json.loads(payload)["steering"] is None

    def test_come_at_most_at_the_rate(self, broker, make):
        part = make(rate_hz=5.0)
        online(broker)
        offered = []
        for loop in range(40):  # two seconds of a loop of 20 Hz
            before = part._start_s, part._due_s
            part.run(0.0, "user")
            if (part._start_s, part._due_s) != before:
                offered.append(loop)
                broker.next()
            part._clock.time_s += 0.05
        assert len(offered) in (10, 11)
        assert min(b - a for a, b in itertools.pairwise(offered)) >= 3

    def test_after_a_pause_there_is_no_burst(self, broker, make):
        part = make()
        part.run(0.0, "user")
        part._clock.time_s += 60
        part.run(0.0, "user")
        assert part._due_s == pytest.approx(part._clock.time_s + 0.2)

    def test_the_user_s_name_and_password_are_given(self, broker, make):
        make(username="car", password="secret")
        online(broker)
        assert broker.connects[0]["username"] == "car"
        assert broker.connects[0]["password"] == "secret"


class TestStatus:
    def test_offline_is_said_at_the_end(self, broker, make):
        part = make()
        online(broker)
        part.shutdown()
        assert broker.next() == ("car/1/status", b"offline", True)
        assert broker.messages.empty()

    def test_offline_is_the_last_will(self, broker, make):
        make()
        online(broker)
        assert broker.connects[0]["will"] == ("car/1/status", b"offline", True)
        broker.kick()
        assert broker.next() == ("car/1/status", b"offline", True)

    def test_it_comes_back_after_the_broker_did(self, broker, make):
        part = make()
        part._client.reconnect_delay_set(min_delay=1, max_delay=1)
        online(broker)
        broker.kick()
        assert broker.next()[1] == b"offline"
        online(broker)
        part.run(0.5, "user")
        assert json.loads(broker.next()[1])["steering"] == 0.5


class TestBrokerAway:
    def test_costs_no_time_and_is_told_once(self, make, told):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        part = make(port=port)
        assert told.something()
        part._on_connect_fail(None, None)
        for _ in range(100):
            part.run(0.0, "user")
            part._clock.time_s += 1
        part.shutdown()
        assert part.published == 0
        assert told.messages == [
            f"MQTT broker 127.0.0.1:{port} does not answer; trying again while the car drives on"
        ]

    def test_one_that_accepts_and_says_nothing_costs_no_time(self, make):
        with socket.create_server(("127.0.0.1", 0)) as mute:
            part = make(port=mute.getsockname()[1])
            part.PATIENCE_S = 0.05
            for _ in range(100):
                part.run(0.0, "user")
                part._clock.time_s += 1
            part.shutdown()
            assert part.published == 0

    def test_one_that_refuses_us_is_told(self, broker, make, told):
        broker.code = 5
        make(username="car", password="wrong")
        assert told.something()
        assert "refuses us" in told.messages[0] and "user name and the password" in told.messages[0]

    def test_nothing_piles_up_behind_a_network_that_hangs(self, broker, make, monkeypatch):
        part = make()
        online(broker)
        asked = threading.Semaphore(0)
        monkeypatch.setattr(part._client, "want_write", lambda: asked.release() or True)
        for _ in range(20):
            part.run(0.0, "user")
            part._clock.time_s += 1
            assert asked.acquire(timeout=20)
        assert part.published == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": ""}, "MQTT_BROKER"),
        ({"port": 0}, "port from 1"),
        ({"topic": "car/#"}, "topic"),
        ({"topic": ""}, "topic"),
        ({"rate_hz": 0}, "rate above 0"),
        ({"rate_hz": math.nan}, "rate above 0"),
        ({"channels": []}, "channels"),
        ({"channels": ["cam/image_array"]}, "channels"),
    ],
)
def test_mistakes(options, words):
    given = {"host": "localhost", "port": 1883, "topic": "car", "channels": CHANNELS} | options
    with pytest.raises(UsageError, match=words):
        MqttTelemetry(**given)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtraError, match=r"dingocar\[mqtt\]"):
        MqttTelemetry("localhost", 1883, "car", CHANNELS)
