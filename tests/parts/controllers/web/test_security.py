"""Who is let in: the host, origin and token of every request, before anything else sees it."""

import asyncio
import json

import pytest

from dingocar.parts.controllers.web._security import HEADERS, MAX_URL, Guard

TOKEN = "correct-horse-battery"


async def app(scope, receive, send):
    """Says yes to everybody."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def ask(token="", path="/", query="", method="GET", peer="127.0.0.1", kind="http", **headers):
    """Status, headers and body of the guarded application's answer."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    fields = {"host": "127.0.0.1:8887", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "client": (peer, 5000),
        "headers": [
            (name.encode(), value.encode("latin-1")) for name, value in fields.items() if value is not None
        ],
    }
    asyncio.run(Guard(app, token)(scope, receive, send))
    if sent[0]["type"] == "websocket.accept":
        return 101, {}, b""
    answer = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer, b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize("kind, fine", [("http", 200), ("websocket", 101)])
@pytest.mark.parametrize(
    "host, peer, in_",
    [
        ("127.0.0.1:8887", "127.0.0.1", True),
        ("localhost:8887", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("[::1]:8887", "::1", True),
        ("127.0.0.1:8887", "::ffff:127.0.0.1", True),
        ("LOCALHOST.:80", "127.0.0.1", True),
        ("evil.example:8887", "127.0.0.1", False),  # another site's name that leads here
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("192.168.1.7:8887", "192.168.1.9", False),
        ("127.0.0.1:8887", "192.168.1.9", False),  # a computer that lies about the host
        ("localhost:8887", None, False),
    ],
)
def test_without_a_token_only_this_computer(kind, fine, host, peer, in_):
    status, _, body = ask(host=host, peer=peer, kind=kind)
    assert status == (fine if in_ else 403)
    if not in_:
        assert "token" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "host",
    [None, "", "two words", "user@localhost", "localhost:port", "localhost/x", "[::1", "a" * 300, "\xff"],
)
def test_a_broken_host_is_refused(host):
    assert ask(host=host)[0] == 400


@pytest.mark.parametrize("kind, fine", [("http", 200), ("websocket", 101)])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin, in_",
    [
        ("http://127.0.0.1:8887", True),
        (None, True),  # no browser
        ("http://127.0.0.1:8888", False),
        ("http://localhost:8887", False),
        ("https://127.0.0.1:8887", False),
        ("http://evil.example", False),
        ("http://127.0.0.1:8887.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_our_own_page_may_ask(kind, fine, method, origin, in_):
    assert ask(origin=origin, method=method, kind=kind)[0] == (fine if in_ else 403)


def test_other_sites_cannot_show_the_picture():
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0] == 403
    assert ask(sec_fetch_site="same-site", sec_fetch_mode="no-cors")[0] == 403
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200  # a link to the page
    assert ask(sec_fetch_site="same-origin", sec_fetch_mode="no-cors")[0] == 200


LAN = {"host": "192.168.1.7:8887", "peer": "192.168.1.9"}


@pytest.mark.parametrize("kind, fine", [("http", 200), ("websocket", 101)])
def test_the_token_as_a_cookie_lets_in(kind, fine):
    assert ask(TOKEN, kind=kind, **LAN)[0] == 403
    assert ask(TOKEN, kind=kind, cookie=f"a=b; dingocar_token={TOKEN}; c=d", **LAN)[0] == fine
    for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), '"', "\xff"):
        assert ask(TOKEN, kind=kind, cookie=f"dingocar_token={wrong}", **LAN)[0] == 403
    assert ask("", kind=kind, cookie="dingocar_token=", **LAN)[0] == 403


def test_the_token_in_the_address_becomes_a_cookie():
    status, headers, _ = ask(TOKEN, path="/tub", query=f"a=1&token={TOKEN}&b=2", **LAN)
    assert status == 303
    assert headers["location"] == "/tub?a=1&b=2"
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"dingocar_token={TOKEN};")
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert ask(TOKEN, query="token=wrong-token-here", **LAN)[0] == 403


def test_the_redirect_leads_to_no_other_site():
    for path in ("//evil.example", "/\\evil.example", "///evil.example/x"):
        location = ask(TOKEN, path=path, query=f"token={TOKEN}", **LAN)[1]["location"]
        assert location.startswith("/evil.example")


def test_a_websocket_with_the_token_in_its_address():
    assert ask(TOKEN, query=f"token={TOKEN}", kind="websocket", **LAN)[0] == 101


def test_every_answer_carries_the_policy():
    for answer in (ask(), ask(host="evil.example"), ask(TOKEN, query=f"token={TOKEN}")):
        assert HEADERS.items() <= answer[1].items()
    policy = HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'self';") and "unsafe" not in policy


def test_long_addresses_are_refused():
    assert ask(query="a" * MAX_URL)[0] == 414
    assert ask(query="&".join("a" for _ in range(500)))[0] == 200


def test_a_peer_that_takes_nothing_is_cut_off(monkeypatch):
    monkeypatch.setattr("dingocar.parts.controllers.web._security.SEND_TIMEOUT_S", 0.02)
    cut = []

    async def never(_):
        await asyncio.Event().wait()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost")],
        "abort": lambda: cut.append(1),
    }
    asyncio.run(Guard(app, "")(scope, None, never))
    assert cut == [1]
