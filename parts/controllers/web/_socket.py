"""The WebSockets of the open pages: their messages to the car, the car's state to them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable

from dingocar.parts.controllers.web._drivers import Drivers, Page
from dingocar.parts.controllers.web._protocol import Message, ProtocolError, dump, parse_page
from dingocar.parts.controllers.web._security import Receive, Scope, Send

#: A page that sends so many messages that do not fit is closed.
MAX_MISTAKES = 3
#: WebSocket's code for a policy that was violated.
POLICY = 1008
#: Answers that wait for a slow page; older ones are forgotten.
MAX_WAITING = 32


class _Outbox:
    """What is to be sent to one page: the newest state, and a few answers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._wake = asyncio.Event()
        self._answers: deque[Message] = deque(maxlen=MAX_WAITING)
        self._state: str | None = None

    def say(self, message: Message) -> None:
        self._answers.append(message)
        self._wake.set()

    def show(self, state: str) -> None:
        self._state = state
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        while self._answers:
            await self._send({"type": "websocket.send", "text": dump(self._answers.popleft())})
        state, self._state = self._state, None
        if state is not None:
            await self._send({"type": "websocket.send", "text": state})


class Pages:
    """All open pages (an ASGI application for each).

    Args:
        to_car: sends a message to the car.
        viewers: how many look at the picture.

    Attributes:
        state: what the car said last.
    """

    def __init__(self, to_car: Callable[[Message], None], viewers: Callable[[], int]) -> None:
        self._to_car, self._viewers = to_car, viewers
        self._drivers = Drivers(to_car)
        self._numbers = itertools.count(1)
        self._pages: dict[int, tuple[Page, _Outbox]] = {}
        self.state: Message = {
            "channels": {},
            "loop_hz": 0.0,
            "frame_age_ms": None,
            "translated": False,
            "message": "",
        }

    def __len__(self) -> int:
        return len(self._pages)

    def show(self, state: Message) -> None:
        """A new state of the car, for all pages."""
        self.state = state
        if not self._pages:
            return
        common = {"type": "state", **state, "viewers": self._viewers()}
        # Only one page's differs: it drives.
        text = dump({**common, "driver": False})
        for page, outbox in self._pages.values():
            drives = page is self._drivers.driver
            outbox.show(dump({**common, "driver": True}) if drives else text)

    def answer(self, number: int, message: str) -> None:
        """The car's complaint about what one page asked for."""
        if number in self._pages:
            self._pages[number][0].say({"type": "error", "message": message})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one page until it goes."""
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        outbox = _Outbox(send)
        page = Page(next(self._numbers), allowance_s=time.monotonic(), say=outbox.say)
        self._pages[page.number] = (page, outbox)
        sender = asyncio.create_task(self._send_all(outbox, scope))
        try:
            reason = await self._listen(page, receive)
        finally:
            # First of all: the car must not wait for a page's last words.
            del self._pages[page.number]
            self._drivers.leave(page)
            sender.cancel()
        if reason:
            try:
                await outbox.flush()
                await send({"type": "websocket.close", "code": POLICY, "reason": reason[:100]})
            except (OSError, TimeoutError):
                pass  # it has gone already

    async def _send_all(self, outbox: _Outbox, scope: Scope) -> None:
        try:
            await outbox.run()
        except (OSError, TimeoutError):
            # Gone, or it takes nothing; cut off, so that `_listen` hears of it too.
            scope.get("abort", lambda: None)()

    async def _listen(self, page: Page, receive: Receive) -> str:
        """Handles a page's messages until it goes ("") or must go (the reason)."""
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                return ""
            now_s = time.monotonic()
            if not page.may_send(now_s):
                page.say({"type": "error", "message": "too many messages in a second"})
                return "too many messages"
            try:
                raw = event.get("text")
                if raw is None:
                    raise ProtocolError("expected a text message")
                self._handle(page, parse_page(raw), now_s)
            except ProtocolError as error:
                page.mistakes += 1
                page.say({"type": "error", "message": str(error)})
                if page.mistakes >= MAX_MISTAKES:
                    return "messages that do not fit the protocol"

    def _handle(self, page: Page, message: Message, now_s: float) -> None:
        if message["type"] == "ping":
            page.say({"type": "pong", "t": message["t"]})
        elif message["type"] == "model":
            self._to_car({**message, "client": page.number})
        else:
            self._drivers.handle(page, message, now_s)
