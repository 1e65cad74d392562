"""Who may talk to the server: the right host, origin and token, and nothing larger or slower than needed.

A page of another site can make a browser send requests to a car in the same network. It cannot change the
`Host` and `Origin` headers, so these are checked for every request, WebSockets included.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Longest path with its query.
MAX_URL = 2048
#: Largest body of a POST, in bytes.
MAX_BODY = 64 * 1024
#: A peer that takes nothing of an answer for so long is cut off.
SEND_TIMEOUT_S = 5.0
COOKIE = "dingocar_token"

#: Nothing from elsewhere, nothing inline; and no page of another site may show this one, or its pictures.
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::(\d{1,5}))?")
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{8,128}")


class Refused(Exception):
    """A request is not served."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(16)


def is_token(token: str) -> bool:
    """Says whether a token can stand in a URL and in a cookie, and is not too short.

    >>> is_token("correct-horse"), is_token("secret"), is_token("with blanks in it")
    (True, False, False)
    """
    return _TOKEN.fullmatch(token) is not None


def is_loopback(host: str | None) -> bool:
    """Says whether a name or address means this computer.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "[::1]", "10.0.0.5", "localhost.evil")]
    [True, True, True, False, False]
    """
    name = (host or "").strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Guard:
    """Checks every request before the application sees it, and watches over its answer.

    Without the token only this computer is served: both the peer's address and the `Host` header must be
    loopback (the address against other computers, the header against other sites' names for this one).

    Args:
        app: what is guarded.
        token: lets others in; "" lets nobody.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        guarded = _Answer(scope, send)
        try:
            headers = _headers(scope)
            host = self._check(scope, headers)
        except Refused as refused:
            await refuse(scope, receive, guarded.send, refused)
            return
        redirect = self._enter(scope, host)
        if redirect is not None:
            await _answer(guarded.send, 303, b"", redirect)
            return
        try:
            await self._app(scope, receive, guarded.send)
        except TimeoutError:
            if not guarded.aborted:
                raise

    def _check(self, scope: Scope, headers: dict[str, list[str]]) -> str:
        """Returns the host, checked."""
        if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_URL:
            raise Refused(414, f"the address is longer than {MAX_URL} characters")
        hosts = headers.get("host", [])
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise Refused(400, "expected one Host header with a name or an address")
        origins = headers.get("origin", [])
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            raise Refused(403, f"this car talks only to its own page, not to one of {origins[0][:80]!r}")
        sites = headers.get("sec-fetch-site", [])
        elsewhere = any(site in ("cross-site", "same-site") for site in sites)
        if elsewhere and headers.get("sec-fetch-mode") != ["navigate"]:
            raise Refused(403, "this car talks only to its own page")
        if not self._knows_token(scope, headers):
            client = scope.get("client")
            if not is_loopback(match[1]) or not is_loopback(client[0] if client else None):
                raise Refused(
                    403,
                    "expected this car's token: open the address that the car prints when it starts "
                    "(it ends in ?token=...), or set WEB_TOKEN and add it yourself",
                )
        return hosts[0]

    def _knows_token(self, scope: Scope, headers: dict[str, list[str]]) -> bool:
        if not self._token:
            return False
        offered = [value for name, value in _query(scope) if name == "token"]
        for line in headers.get("cookie", []):
            offered += [
                value.strip()
                for name, _, value in (item.partition("=") for item in line.split(";"))
                if name.strip() == COOKIE
            ]
        wanted = self._token.encode()
        return any(hmac.compare_digest(value.encode("utf-8", "replace"), wanted) for value in offered)

    def _enter(self, scope: Scope, host: str) -> list[tuple[bytes, bytes]] | None:
        """Headers of the redirect that turns the token in the address into a cookie, if there is one."""
        query = _query(scope)
        if scope["type"] != "http" or scope["method"] != "GET" or not self._token:
            return None
        if ("token", self._token) not in query:
            return None
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # A path of two slashes would be read as the name of another host.
        path = "/" + quote(scope["path"].lstrip("/\\")) + (f"?{rest}" if rest else "")
        cookie = f"{COOKIE}={self._token}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict"
        return [(b"location", path.encode()), (b"set-cookie", cookie.encode())]


class _Answer:
    """Adds the headers to an answer, and cuts off a peer that does not take it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._abort: Callable[[], None] = scope.get("abort", lambda: None)
        self.aborted = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            present = {name.lower() for name, _ in message.get("headers", [])}
            extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            if b"cache-control" not in present:
                extra.append((b"cache-control", b"no-cache"))
            message["headers"] = [*message.get("headers", []), *extra]
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._send(message)
        except TimeoutError:
            self.aborted = True
            self._abort()
            raise


async def refuse(scope: Scope, receive: Receive, send: Send, refused: Refused) -> None:
    """Answers a request, or the opening of a WebSocket, with an error."""
    body = error_body(refused.message)
    if scope["type"] == "websocket":
        await receive()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        start = {"type": "websocket.http.response.start", "status": refused.status, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": body})
        return
    await _answer(send, refused.status, body, [(b"content-type", b"application/json")])


def error_body(message: str) -> bytes:
    """The body of every error."""
    return json.dumps({"error": message}).encode()


async def read_body(receive: Receive) -> bytes:
    """The body of a request.

    Raises:
        Refused: it is larger than `MAX_BODY`, or the peer went away.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request was cut short")
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            raise Refused(413, f"the body is larger than {MAX_BODY} bytes")
        if not message.get("more_body", False):
            return body


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        text = scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=20)
    except ValueError:  # more fields than that
        return []
