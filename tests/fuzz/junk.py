"""Malformed messages for the web server: HTTP requests, WebSocket frames and their contents, all seeded."""

import json
import os
import random
import struct

from dingocar.parts.controllers.web._protocol import ProtocolError, parse_page

#: What a well-meant message looks like; most junk is one of these, spoilt.
MESSAGES = [
    {"type": "drive", "steering": 0.5, "throttle": 1.0},
    {"type": "mode", "mode": "local"},
    {"type": "record", "on": True},
    {"type": "erase", "n": 100},
    {"type": "constant_throttle", "throttle": 0.5},
    {"type": "launch"},
    {"type": "model", "name": "mine.keras"},
    {"type": "ping", "t": 1},
]
VALUES = [
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "1.0000001",
        "2",
        "true",
        "null",
        '"1"',
        "[1]",
        "{}",
    ),
    *(
        '"\\ud800"',
        '"../../etc/passwd"',
        '"' + "a" * 5000 + '"',
        "9" * 5000,
        "[" * 2000,
        '{"a":' * 500,
        "0x10",
    ),
]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "get", "G\0T", "", "A" * 300]
PATHS = [
    *("/", "/ws", "/video", "/tub", "/api/state", "/api/tubs", "/api/models", "/static/js/drive.js", "*"),
    *("/api/tubs/tub", "/api/tubs/tub/images/0.jpg", "/api/tubs/tub/delete", "/api/tubs/tub/restore"),
    *(
        "/static/../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/app.py",
        "/api/tubs/..%2f..%2fetc",
        "/%00",
        "//",
    ),
    *(
        "/static//etc/passwd",
        "/api/tubs/tub/images/-1.jpg",
        "/api/tubs/tub/images/9999999999999.jpg",
        "/\xff",
    ),
    *("http://evil.example/", "/?token=" + "a" * 3000, "/?" + "&" * 1500, "/" + "a/" * 900, "/api/tubs/%ff"),
]
HEADERS = [
    *("Host: evil.example", "Host: localhost", "Host:", "Host: a b", "Origin: http://evil.example"),
    *("Origin: null", "Content-Length: 99999999999", "Content-Length: -1", "Content-Length: 5"),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Expect: 100-continue",
        "Cookie: " + "a=b;" * 999,
    ),
    *("Cookie: dingocar_token=\xff", "Upgrade: websocket", "Upgrade: h2c", "Connection: upgrade", "X" * 3000),
    *(
        "Content-Type: application/json",
        "Range: bytes=0-999999999",
        "Range: bytes=-1",
        "Range: x",
        ": x",
        "\0: \0",
    ),
    *(
        "If-None-Match: " + '"' * 999,
        "Sec-WebSocket-Key: x",
        "Sec-WebSocket-Version: 99",
        "Accept-Encoding: x",
    ),
]


def http_request(rng: random.Random) -> bytes:
    """A request that is wrong somewhere, or everywhere."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(1, 2000))
    version = rng.choice(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "HTTP/1.1 HTTP/1.1"])
    target = rng.choice(PATHS) if rng.random() < 0.8 else "/" + os.fsdecode(rng.randbytes(20))
    head = [f"{rng.choice(METHODS)} {target} {version}"]
    if rng.random() < 0.7:
        head.append("Host: localhost")
    head += rng.choices(HEADERS, k=rng.randrange(6))
    raw = "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape")
    if rng.random() < 0.3:
        raw += rng.choice(
            [b'{"ranges": [[0, 999999999999]]}', b"5\r\nhello\r\n", rng.randbytes(200), b"{" * 9000]
        )
    return spoilt(rng, raw) if rng.random() < 0.3 else raw


def text(rng: random.Random) -> bytes:
    """The contents of a WebSocket message that fits the protocol nowhere."""
    while True:
        raw = _text(rng)
        try:
            parse_page(raw.decode())
        except (ProtocolError, UnicodeDecodeError):
            return raw  # else the spoiling has spoilt nothing


def _text(rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(0, 300))
    message = dict(rng.choice(MESSAGES))
    if kind == 1:
        return spoilt(rng, json.dumps(message).encode())
    if kind == 2:
        message[rng.choice(["x", "type ", "throttle2", "__proto__"])] = rng.random()
        return json.dumps(message).encode()
    if kind == 3:
        message.pop(rng.choice(list(message)))
        message.setdefault("y", 1)
        return json.dumps(message).encode()
    if kind == 4:
        return rng.choice(VALUES).encode()
    name = rng.choice(list(message))
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in message.items() if key != name]
    return ("{" + ", ".join([*parts, f'"{name}": {rng.choice(VALUES)}']) + "}").encode()


def spoilt(rng: random.Random, raw: bytes) -> bytes:
    """Some bytes changed, left out, doubled."""
    data = bytearray(raw)
    for _ in range(rng.randrange(1, 6)):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randrange(1, 8)]
            case 2:
                data[at:at] = data[at : at + rng.randrange(1, 8)]
            case _:
                data[at:at] = rng.randbytes(rng.randrange(1, 5))
    return bytes(data)


def frame(rng: random.Random, payload: bytes) -> bytes:
    """A WebSocket frame of a page; now and then one that breaks the rules of RFC 6455."""
    first = 0x81
    masked = True
    length = len(payload)
    match rng.randrange(12):
        case 0:
            first = rng.randrange(256)  # reserved bits and codes
        case 1:
            masked = False
        case 2:
            length = rng.choice([0, 1, 10**6, 2**62])  # a lie
        case 3:
            first = rng.choice([0x80, 0x00, 0x01, 0x88, 0x89, 0x8A, 0x82])
        case _:
            pass
    bit = 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first, bit | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    if not masked:
        return head + payload
    mask = rng.randbytes(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
