"""Every message is checked, field by field."""

import json

import pytest

from dingocar.parts.controllers.web._protocol import (
    MAX_BYTES,
    PAGE,
    ProtocolError,
    dump,
    parse_page,
    parse_to_car,
)

RIGHT = [
    {"type": "drive", "steering": -1, "throttle": 1.0},
    {"type": "mode", "mode": "local_angle"},
    {"type": "record", "on": True},
    {"type": "erase", "n": 10_000},
    {"type": "constant_throttle", "throttle": None},
    {"type": "constant_throttle", "throttle": 0.25},
    {"type": "launch"},
    {"type": "stop"},
    {"type": "model", "name": "mine.keras"},
    {"type": "model", "name": None},
    {"type": "ping", "t": 1732.5},
]
WRONG = {
    "": "expected JSON",
    "[]": "expected an object",
    "null": "expected an object",
    '"drive"': "expected an object",
    "{}": "unknown message None",
    '{"type": 1}': "unknown message 1",
    '{"type": ["drive"]}': "unknown message",
    '{"type": "driv"}': "did you mean 'drive'",
    '{"type": "drive"}': "steering is missing",
    '{"type": "drive", "steering": 0}': "throttle is missing",
    '{"type": "drive", "steering": 0, "throttle": 0, "x": 1}': "unknown field 'x'",
    '{"type": "drive", "steering": 0, "throttle": NaN}': "NaN is no number",
    '{"type": "drive", "steering": 0, "throttle": -Infinity}': "-Infinity is no number",
    '{"type": "drive", "steering": 0, "throttle": 1e999}': "from -1 to 1, got inf",
    '{"type": "drive", "steering": 0, "throttle": 1.01}': "from -1 to 1, got 1.01",
    '{"type": "drive", "steering": 0, "throttle": "1"}': "from -1 to 1, got '1'",
    '{"type": "drive", "steering": 0, "throttle": true}': "from -1 to 1, got True",
    '{"type": "drive", "steering": 0, "throttle": [1]}': "from -1 to 1, got [1]",
    '{"type": "drive", "steering": 0, "throttle": null}': "from -1 to 1, got None",
    '{"type": "drive", "steering": 0, "throttle": 0, "throttle": 1}': "twice",
    '{"type": "drive", "steering": 0, "throttle": 1' + "0" * 900 + "}": "from -1 to 1",
    '{"type": "drive", "steering": 0, "throttle": ' + "[" * 3000 + "}": "expected JSON",
    '{"type": "mode", "mode": "auto"}': "one of user, local_angle, local, got 'auto'",
    '{"type": "mode", "mode": ["user"]}': "one of",
    '{"type": "record", "on": 1}': "true or false",
    '{"type": "erase", "n": 0}': "1 to 10000, got 0",
    '{"type": "erase", "n": 1.0}': "1 to 10000, got 1.0",
    '{"type": "erase", "n": true}': "1 to 10000",
    '{"type": "constant_throttle", "throttle": "full"}': "from -1 to 1",
    '{"type": "launch", "now": true}': "unknown field 'now'",
    '{"type": "model", "name": "../secret"}': "plain file name",
    '{"type": "model", "name": ""}': "plain file name",
    '{"type": "model", "name": "a\\u0000b"}': "plain file name",
    '{"type": "model", "name": "a\\nb"}': "plain file name",
    '{"type": "model", "name": "\\ud800"}': "plain file name",
    '{"type": "model", "name": 7}': "plain file name",
    '{"type": "ping", "t": "now"}': "expected a number",
    '{"type": "released"}': "unknown message",
}


@pytest.mark.parametrize("message", RIGHT, ids=json.dumps)
def test_what_a_page_may_say(message):
    assert parse_page(json.dumps(message)) == message


def test_there_is_an_example_of_each_message():
    assert {message["type"] for message in RIGHT} == set(PAGE)


@pytest.mark.parametrize("raw", WRONG)
def test_what_a_page_may_not_say(raw):
    with pytest.raises(ProtocolError) as failure:
        parse_page(raw)
    assert WRONG[raw] in str(failure.value)
    assert "\n" not in str(failure.value) and len(str(failure.value)) < 300


def test_long_messages_are_refused():
    message = '{"type": "stop"}'
    assert parse_page(message + " " * (MAX_BYTES - len(message)))
    with pytest.raises(ProtocolError, match="at most 4096 bytes"):
        parse_page(message + " " * MAX_BYTES)
    with pytest.raises(ProtocolError, match="at most 4096 bytes"):
        parse_page('"' + "ü" * 2048 + '"')


def test_the_car_hears_no_more_than_it_must():
    assert parse_to_car('{"type": "model", "name": null, "client": 3}')
    assert parse_to_car(b'{"type": "released"}')
    for raw in (
        '{"type": "ping", "t": 1}',
        '{"type": "model", "name": null}',
        '{"type": "ready", "port": 0}',
    ):
        with pytest.raises(ProtocolError):
            parse_to_car(raw)
    with pytest.raises(ProtocolError):
        parse_to_car(b'{"type": "drive", "steering": 0, "throttle": 7}')
    with pytest.raises(ProtocolError):
        parse_to_car(b"\xff\xfe")


def test_what_is_sent_is_strict_json():
    import numpy as np

    values = {
        "a": float("inf"),
        "b": np.float32(0.5),
        "c": np.int64(3),
        "d": object,
        "e": (1, "x"),
        "f": True,
    }
    sent = json.loads(dump(values), parse_constant=pytest.fail)
    assert sent["a"] is None and sent["b"] == 0.5 and sent["c"] == 3 and sent["e"] == [1, "x"]
    assert sent["f"] is True and isinstance(sent["d"], str)
