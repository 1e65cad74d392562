"""Who may talk to the live view: this computer's own browser, on the view's own page.

A page of another site can make a browser send requests to this computer, and can even give its own name this
computer's address (DNS rebinding). It cannot change the `Host` and `Origin` headers, so these are
checked for every request, WebSockets included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_URL = 1024
#: Nothing from elsewhere, nothing inline; and no page of another site may show this one.
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


def guarded(app: App) -> App:
    """An application that serves this computer's own page and nobody else."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await app(scope, receive, send)
        why = refusal(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        if why is None:
            await app(scope, receive, with_headers)
        else:
            await _refuse(scope, receive, with_headers, why)

    return serve


def refusal(scope: Scope) -> str | None:
    """Why a request is not served, or None.

    >>> refusal({"type": "http", "headers": [(b"host", b"evil.example:8000")], "client": ("127.0.0.1", 1)})
    'expected the address that was printed at the start, got another host'
    """
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    hosts = [host.decode("latin-1").lower() for host in headers.get(b"host", [])]
    if len(hosts) != 1 or _name(hosts[0]) not in LOOPBACK:
        return "expected the address that was printed at the start, got another host"
    client = scope.get("client")
    if client and client[0] not in ("127.0.0.1", "::1", "testclient"):
        return "only this computer is served"
    if any(origin.decode("latin-1").lower() != f"http://{hosts[0]}" for origin in headers.get(b"origin", [])):
        return "this page talks only to itself"
    if scope["type"] == "websocket" and b"origin" not in headers:
        return "expected a browser"
    sites = headers.get(b"sec-fetch-site", [])
    if any(site in (b"cross-site", b"same-site") for site in sites) and headers.get(b"sec-fetch-mode") != [
        b"navigate"
    ]:
        return "this page talks only to itself"
    if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > MAX_URL:
        return "the address is too long"
    return None


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    body = why.encode()
    kind = "http"
    if scope["type"] == "websocket":
        await receive()
        kind = "websocket.http"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.response.start", "status": 403, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
