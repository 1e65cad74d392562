"""The Donkey simulator's protocol: what is cut out of a stream, and what is read from a message."""

import base64
import json
import math

import numpy as np
import pytest

from dingocar.images import encode_jpeg
from dingocar.sim.donkey_protocol import (
    ProtocolError,
    Splitter,
    Telemetry,
    decode,
    encode,
    number,
    text,
    to_unity_yaw_deg,
)

MESSAGES = [
    {"msg_type": "control", "steering": "0.5", "throttle": "-1"},
    {"msg_type": "car_config", "car_name": 'a "}{" \\ b\\'},
    {"msg_type": "nested", "inside": {"again": [{}, {"x": "\\"}]}},
    {"msg_type": "umlaut", "car_name": "Größe 🚗"},
]
GLUED = b"".join(json.dumps(message, ensure_ascii=False).encode() for message in MESSAGES)


@pytest.mark.parametrize("cut", range(1, len(GLUED)))
def test_any_cut_gives_the_same_messages(cut):
    splitter = Splitter(1000)
    pieces = [GLUED[:cut], GLUED[cut:]]
    assert [decode(raw) for piece in pieces for raw in splitter.feed(piece)] == MESSAGES


def test_byte_by_byte_with_and_without_newlines():
    for stream in (GLUED, b" \n".join(encode(message) for message in MESSAGES)):
        splitter = Splitter(1000)
        found = [raw for at in range(len(stream)) for raw in splitter.feed(stream[at : at + 1])]
        assert [decode(raw) for raw in found] == MESSAGES


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n", b"[1]", b"\x00", b'{"a": 1}x', b"}"])
def test_what_is_no_object_is_junk(junk):
    with pytest.raises(ProtocolError, match="expected a JSON object, got"):
        Splitter(1000).feed(junk)


@pytest.mark.parametrize("whole", [b'{"a": "' + b"x" * 200 + b'"}', b'{"a": "' + b"x" * 200, b"{" * 200])
def test_long_messages_are_refused_finished_or_not(whole):
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        Splitter(100).feed(whole)
    splitter = Splitter(100)
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        for at in range(len(whole)):
            splitter.feed(whole[at : at + 1])


def test_many_short_messages_in_one_piece_are_no_long_message():
    assert len(Splitter(100).feed(b'{"a": 1}' * 1000)) == 1000


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'{"msg_type": 3}',
        b'{"a" 1}',
        b'{"msg_type": "\xff"}',
        b'{"msg_type": ' + b"9" * 5000 + b"}",
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
)
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(ProtocolError, match="expected a"):
        decode(raw)


def test_decimal_commas_of_unity_are_read():
    message = decode(b'{"msg_type":"telemetry","speed":-1,25,"time":3,"cte":0,5}')
    assert message == {"msg_type": "telemetry", "speed": -1.25, "time": 3, "cte": 0.5}


@pytest.mark.parametrize(("value", "read"), [("0.5", 0.5), ("0,5", 0.5), (1, 1.0), ("7", 1.0), (-9.0, -1.0)])
def test_numbers_may_be_text_and_are_clipped(value, read):
    assert number({"msg_type": "control", "steering": value}, "steering", 0, -1, 1) == read


@pytest.mark.parametrize("value", ["nan", "inf", "", "left", None, [], {}, float("nan"), 10**400])
def test_what_is_no_number_is_named(value):
    with pytest.raises(ProtocolError, match="control: steering must be a finite number"):
        number({"msg_type": "control", "steering": value}, "steering")


def test_text_is_cut_and_printable():
    assert text({"car_name": "a\x1b[31m\n" + "b" * 100}, "car_name", 10) == "a[31mbbb"
    assert text({}, "car_name") == ""


def test_yaw_is_clockwise_from_unitys_z():
    # Ahead along (cos, sin) in our (x, y), along (sin, cos) in Unity's (x, z).
    for yaw in np.linspace(-3, 3, 13):
        unity = math.radians(to_unity_yaw_deg(yaw))
        assert (math.sin(unity), math.cos(unity)) == pytest.approx((math.cos(yaw), math.sin(yaw)))


PICTURE = encode_jpeg(np.full((12, 16, 3), 77, np.uint8))
TOLD = {
    "msg_type": "telemetry",
    "image": base64.b64encode(PICTURE).decode(),
    "speed": 1.5,
    "cte": -2.0,
    "time": 3,
    "pos_x": 1,
    "pos_y": 2,
    "pos_z": 3,
    "yaw": 90.0,
    "hit": "none",
}


def test_telemetry_is_read_whole():
    read = Telemetry.of(TOLD, (12, 16))
    assert read.image.shape == (12, 16, 3) and abs(int(read.image.mean()) - 77) < 3
    assert (read.speed_mps, read.cte, read.position_m, read.hit) == (1.5, -2.0, (1, 2, 3), "none")


def test_a_picture_of_another_size_is_scaled():
    assert Telemetry.of(TOLD, (6, 8)).image.shape == (6, 8, 3)


def test_in_races_place_and_cte_are_not_told():
    kept = {key: TOLD[key] for key in ("msg_type", "image", "speed", "time")}
    read = Telemetry.of(kept, (12, 16))
    assert math.isnan(read.cte) and all(map(math.isnan, read.position_m))


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": None},
        {"image": "%%%"},
        {"image": base64.b64encode(PICTURE[:-50]).decode()},
        {"image": base64.b64encode(b"hello").decode()},
        {"image": "ä"},
        {"cte": "far"},
        {"speed": float("nan")},
    ],
)
def test_half_a_telemetry_is_none(wrong):
    with pytest.raises(ProtocolError, match="telemetry: "):
        Telemetry.of(TOLD | wrong, (12, 16))
