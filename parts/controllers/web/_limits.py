"""Limits that uvicorn does not set: number of connections, slow requests, floods of control frames."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

#: Connections at a time, of all kinds.
MAX_CONNECTIONS = 64
#: A request must be there, whole, within so many seconds.
REQUEST_TIMEOUT_S = 10.0
#: A connection that was closed politely is cut when it is still there after so many seconds.
LINGER_S = 5.0
#: Bytes of an answer that wait in this process for a slow peer; more would only make its pictures old.
MAX_BUFFERED = 32 * 1024
#: Frames without a message (pings, empty continuations) between two messages.
MAX_CONTROL_FRAMES = 100


class _Connection(asyncio.Protocol):
    """What both kinds share: they can be cut."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _lost = False
    _last: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._last is not None:
            self._last.cancel()  # a flood must not pile up connections that have ended long ago
        super().connection_lost(exc)

    def cut_later(self, seconds: float) -> None:
        """Ends the connection after a while, if it has not ended by itself."""
        if not self._lost and self._last is None:
            self._last = self.loop.call_later(seconds, self.cut)

    def cut(self) -> None:
        """Ends the connection at once, whatever is still to be sent. Does nothing when it has ended."""
        if not self._lost:
            self.transport.abort()


class Http(_Connection, H11Protocol):
    """HTTP for at most `MAX_CONNECTIONS` peers, each of which must be done asking in `REQUEST_TIMEOUT_S`."""

    _deadline: asyncio.TimerHandle | None = None
    _since_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_cut(scope: Any, receive: Any, send: Any) -> None:
            scope["abort"] = self.cut
            try:
                await app(scope, receive, send)
            except h11.LocalProtocolError:
                self.cut()  # the peer broke the protocol meanwhile, and has had its answer

        self.app = with_cut
        transport.set_write_buffer_limits(MAX_BUFFERED)
        self._since_s = self.loop.time()
        self._set_deadline()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is not self:
            self._clear_deadline()  # a WebSocket now
        elif self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._set_deadline()  # the next request has not come whole, or its body has not
        else:
            self._clear_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self.cut_later(LINGER_S)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.cut_later(LINGER_S)

    def _make_room(self) -> None:
        """Cuts a connection when there are too many: the oldest that is only waited for, else this one.

        So whoever opens connections and says nothing keeps nobody out.
        """
        there = [other for other in self.connections if not other.transport.is_closing()]
        if len(there) > MAX_CONNECTIONS:
            idle = [other for other in there if isinstance(other, Http) and other._deadline is not None]
            min(idle, key=lambda other: other._since_s, default=self).cut()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self.cut)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class WebSocket(_Connection, WebSocketsSansIOProtocol):
    """A WebSocket whose control frames are counted, and which ends for good when it is closed."""

    _idle_frames = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.close_timeout = LINGER_S
        app = self.app

        async def with_cut(scope: Any, receive: Any, send: Any) -> None:
            scope["abort"] = self.cut

            async def send_while_open(message: Any) -> None:
                if self.close_sent:
                    raise ClientDisconnected  # an OSError, as for a peer that has gone
                await send(message)

            try:
                await app(scope, receive, send_while_open)
            finally:
                if self.initial_response is not None:
                    self.handshake_complete = True  # it was refused on purpose, which is no error to log
                self.cut_later(2 * LINGER_S)

        self.app = with_cut

    def send_receive_event_to_app(self) -> None:
        self._idle_frames = 0
        super().send_receive_event_to_app()

    def handle_cont(self, event: Any) -> None:
        if self._count_frame():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        # Each is answered: who does not read the answers would fill our memory with them.
        if self._count_frame():
            super().handle_ping()

    def handle_pong(self, event: Any) -> None:
        if self._count_frame():
            super().handle_pong(event)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.cut_later(LINGER_S)

    def _count_frame(self) -> bool:
        self._idle_frames += 1
        if self._idle_frames > MAX_CONTROL_FRAMES:
            self.cut()
        return self._idle_frames <= MAX_CONTROL_FRAMES
