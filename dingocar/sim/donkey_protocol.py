"""The Donkey simulator's protocol: JSON objects over TCP, and what is in them; for both sides of the line.

The simulator is the server, one car per connection. It ends each message with a newline; the clients that
exist send none, and a message may arrive in pieces or glued to the next one. All numbers that a client sends
are text. Facts: gym-donkeycar 1.3.1 (`core/client.py`, `envs/donkey_sim.py`), the simulator's own sources
(tawnkramer/sdsandbox, `TcpCarHandler.cs`, `CarPath.cs`).

Unity's axes are x right, y up, z ahead; yaw is in degrees, clockwise seen from above, 0 along z. Our ground
plane (x, y) is its (x, z). Places and speeds are in metres; the cross-track error is in Unity's own units, of
which `UNITS_PER_M` make a metre, and positive to the right of the line, as ours is.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dingocar.errors import DingocarError, ImageError
from dingocar.images import Uint8Array, decode_image

Message = dict[str, Any]

#: Where the simulator listens.
PORT = 9091
#: Unity's car is 8 times as large as a 1:10 car: so many of its units are a metre of ours.
UNITS_PER_M = 8.0
#: Largest message from a client; the longest there is (`racer_info`) has some hundred bytes.
MAX_CLIENT_BYTES = 1 << 14
#: Largest message from a simulator: a picture of 4 megapixels.
MAX_SERVER_BYTES = 1 << 24

#: What a cut through a stream of objects must look at; `\\` and what it escapes are one mark.
_MARK = re.compile(rb'\\.|["{}]', re.DOTALL)
_SPACE = re.compile(rb"\s*")
#: Unity writes 1,5 for 1.5 where the computer's language does so. In JSON a key follows a comma.
_COMMA = re.compile(r'(":\s*-?\d+),(\d+)')


class ProtocolError(DingocarError):
    """The other side has sent something that is no message of the protocol."""


class Splitter:
    """Cuts what arrives into JSON objects, however it was split or glued on its way.

    >>> splitter = Splitter(100)
    >>> splitter.feed(b'{"a": "}"}{"b"'), splitter.feed(b": 1}")
    ([b'{"a": "}"}'], [b'{"b": 1}'])

    Args:
        limit_bytes: longest object that is accepted.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._bytes = bytearray()  # begins with the object under way
        self._scanned, self._depth, self._quoted = 0, 0, False

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the objects that `data` completes, in their order.

        Raises:
            ProtocolError: something that is no object, or one that is too long.
        """
        self._bytes += data
        buffer, found, start, at = self._bytes, [], 0, self._scanned
        while True:
            if self._depth == 0:
                start = at = _SPACE.match(buffer, at).end()  # type: ignore[union-attr]  # matches nothing too
                if at < len(buffer) and buffer[at] != ord("{"):
                    seen = bytes(buffer[at : at + 20])
                    raise ProtocolError(f"expected a JSON object, got {seen!r}")
            mark = _MARK.search(buffer, at)
            if mark is None:
                break
            at = mark.end()
            if self._closes(mark.group()):
                found.append(bytes(buffer[start:at]))
        # A backslash at the end waits for what it escapes.
        self._scanned = len(buffer) - start - (at < len(buffer) and buffer.endswith(b"\\"))
        del buffer[:start]
        if max([len(buffer), *map(len, found)]) > self.limit_bytes:
            raise ProtocolError(f"a message is longer than {self.limit_bytes} bytes")
        return found

    def _closes(self, mark: bytes) -> bool:
        """Takes note of a quote or a brace; whether it ends the object."""
        if mark == b'"':
            self._quoted = not self._quoted
        elif not self._quoted and mark in (b"{", b"}"):
            self._depth += 1 if mark == b"{" else -1
            return self._depth == 0
        return False


def encode(message: Mapping[str, Any], newline: bool = True) -> bytes:
    """A message as it goes over the line; a client leaves the newline out.

    >>> encode({"msg_type": "ping"})
    b'{"msg_type": "ping"}\\n'
    """
    return (json.dumps(message, allow_nan=False) + "\n" * newline).encode()


def decode(raw: bytes) -> Message:
    """Reads one object.

    Raises:
        ProtocolError: no JSON, or no `msg_type` in it.

    >>> decode(b'{"msg_type": "telemetry", "speed": 1,5, "time": 2}')["speed"]
    1.5
    """
    try:
        text = raw.decode()
        try:
            message = json.loads(text)
        except ValueError:
            message = json.loads(_COMMA.sub(r"\1.\2", text))
    except (ValueError, RecursionError):
        raise ProtocolError(f"expected a JSON object, got {raw[:60]!r}") from None
    if not isinstance(message, dict) or not isinstance(message.get("msg_type"), str):
        raise ProtocolError(f"expected an object with a msg_type, got {raw[:60]!r}")
    return message


def number(
    message: Mapping[str, Any], key: str, default: float = 0.0, low: float = -math.inf, high: float = math.inf
) -> float:
    """The number at `key`, which may be text; `default` if there is none. Clipped to [low, high].

    Raises:
        ProtocolError: it is there, but no finite number.
    """
    value = message.get(key, default)
    try:
        found = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        kind = message.get("msg_type")
        raise ProtocolError(f"{kind}: {key} must be a finite number, got {str(value)[:40]!r}")
    return min(max(found, low), high)


def text(message: Mapping[str, Any], key: str, longest: int = 200) -> str:
    """The text at `key`, empty if there is none, cut to `longest` printable characters."""
    value = message.get(key, "")
    return "".join(letter for letter in str(value)[:longest] if letter.isprintable())


def to_unity_yaw_deg(yaw_rad: float) -> float:
    """Unity's yaw, in [0, 360), for ours (counter-clockwise from +x).

    >>> to_unity_yaw_deg(0.0), to_unity_yaw_deg(math.pi / 2)
    (90.0, 0.0)
    """
    return (90.0 - math.degrees(yaw_rad)) % 360.0


@dataclass(frozen=True)
class Telemetry:
    """What a simulator says of one moment: all of one message, or nothing.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        steering, throttle: as commanded, in [-1, 1].
        speed_mps: at least 0.
        cte: cross-track error in Unity's units, positive to the right; NaN where the scene has no line
            (and in races).
        hit: what was run into, or `none`.
        time_s: since the scene was loaded.
        position_m: Unity's x, y, z; NaN where they are not told (in races).
        yaw_deg: Unity's, clockwise from its z axis.
    """

    image: Uint8Array
    steering: float
    throttle: float
    speed_mps: float
    cte: float
    hit: str
    time_s: float
    position_m: tuple[float, float, float]
    yaw_deg: float

    @classmethod
    def of(cls, message: Mapping[str, Any], image_shape: tuple[int, int]) -> Telemetry:
        """Reads a `telemetry` message.

        Args:
            message: as it came.
            image_shape: (height, width) that the picture is scaled to, if it has another size.

        Raises:
            ProtocolError: a field is missing or wrong, or the picture cannot be decoded.
        """
        encoded = message.get("image")
        if not isinstance(encoded, str):
            raise ProtocolError(f"telemetry: expected a picture in image, got {type(encoded).__name__}")
        try:
            image = decode_image(base64.b64decode(encoded, validate=True), image_shape)
        except (ValueError, ImageError) as error:
            raise ProtocolError(f"telemetry: the picture cannot be read ({error})") from None

        def optional(key: str) -> float:
            return number(message, key) if key in message else math.nan

        return cls(
            image=image,
            steering=number(message, "steering_angle"),
            throttle=number(message, "throttle"),
            speed_mps=number(message, "speed"),
            cte=optional("cte"),
            hit=text(message, "hit") or "none",
            time_s=number(message, "time"),
            position_m=(optional("pos_x"), optional("pos_y"), optional("pos_z")),
            yaw_deg=optional("yaw"),
        )
