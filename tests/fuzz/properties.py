"""What must hold for any bytes at all that reach the web server."""

import json
import math

from dingocar.parts.controllers.web._drivers import Drivers, Page
from dingocar.parts.controllers.web._protocol import (
    BUTTONS,
    PAGE,
    ProtocolError,
    dump,
    parse_page,
    parse_to_car,
)
from dingocar.parts.controllers.web._security import Guard, Refused
from dingocar.parts.controllers.web._store import parse_ranges


def check_bytes(data: bytes) -> None:
    """All properties for some bytes."""
    check_message(data)
    check_ranges(data)
    check_guard(data)


def check_message(data: bytes) -> None:
    """A message is refused in one line, or it fits, survives the way to the car and does no harm."""
    for raw in (data, data.decode("utf-8", "replace"), data.decode("utf-8", "surrogateescape")):
        try:
            message = parse_page(raw)
        except ProtocolError as error:
            assert str(error).isprintable() and len(str(error)) < 400
            continue
        assert message.keys() == {"type", *PAGE[message["type"]]}
        again = json.loads(dump(message))
        assert again == message
        if message["type"] == "drive":
            assert all(
                math.isfinite(message[key]) and abs(message[key]) <= 1 for key in ("steering", "throttle")
            )
        if message["type"] in BUTTONS or message["type"] == "drive":
            assert parse_to_car(dump(message)) == message
            heard = []
            Drivers(heard.append).handle(Page(1), message, 0.0)
            assert not any(abs(m["throttle"]) > 0.05 for m in heard if m["type"] == "drive")


def check_ranges(data: bytes) -> None:
    """Ranges are refused, or they are ranges."""
    try:
        ranges = parse_ranges(data)
    except Refused as refused:
        assert 400 <= refused.status < 500 and refused.message.isprintable()
    else:
        assert all(0 <= first <= last for first, last in ranges)


def check_guard(data: bytes) -> None:
    """Whatever the headers are: a stranger without the token is never let in, and nothing is raised."""
    pieces = (data + b"\0" * 5).split(b"\0")
    names = (b"host", b"origin", b"cookie", b"sec-fetch-site")
    scope = {
        "type": "http",
        "method": "GET",
        "path": pieces[4].decode("latin-1"),
        "raw_path": pieces[4],
        "query_string": pieces[4],
        "client": ("192.0.2.9", 1),
        "headers": [(name, piece) for name, piece in zip(names, pieces, strict=False) if piece],
    }
    reached = []

    async def application(scope, receive, send):
        reached.append(scope)

    # Without an event loop, which would be slow: the guard waits for nothing but its answer to be sent.
    try:
        Guard(application, "a-token-that-nobody-guesses")(scope, None, None).send(None)
    except RuntimeError as error:
        assert "Timeout" in str(error) or "event loop" in str(error)  # that is where it sends
    except StopIteration:
        pass
    assert not reached
