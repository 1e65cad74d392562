"""The Donkey simulator's server: any number of clients drive our world over TCP, each a car of its own.

The network has a thread of its own and never waits: worlds are stepped and painted in worker threads, a
telemetry that a slow client has not taken is left out, and whoever sends what is no message is told so and
disconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from dingocar.errors import DingocarError, UsageError
from dingocar.sim.donkey_protocol import (
    MAX_CLIENT_BYTES,
    PORT,
    Message,
    ProtocolError,
    Splitter,
    decode,
    encode,
)
from dingocar.sim.donkey_session import Session, Settings, error_message

logger = logging.getLogger(__name__)

#: Most clients at once: each has a painted world.
MAX_CLIENTS = 16
#: Most messages of one client in a second; gym-donkeycar sends as many as it gets telemetry.
MAX_MESSAGES_PER_S = 5000
#: After so many messages of one client the others have their turn.
MESSAGES_PER_TURN = 50
#: A client that has chosen no scene for so long is gone.
MENU_S = 60.0
#: A client that takes nothing for so long, or acknowledges nothing (its computer is off), is gone.
STALLED_S = 5.0
#: A line on which nothing is under way is asked after so long whether the other computer is on, so often.
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
#: A server that is late by less sends what is due one after the other, as Unity does.
CATCH_UP_S = 0.25
#: What waits for a client in the kernel; more would only be older pictures.
SEND_BUFFER_BYTES = 1 << 17
#: Most answers that wait for a client that does not read.
MAX_WAITING_BYTES = 1 << 20


@dataclass
class Figures:
    """What a server has done.

    Attributes:
        clients: that have connected.
        frames: telemetry sent.
        dropped: telemetry left out because the client had not taken the one before.
        late: telemetry left out because the computer was too slow.
        refused: clients that were disconnected for what they did.
    """

    clients: int = 0
    frames: int = 0
    dropped: int = 0
    late: int = 0
    refused: int = 0


class DonkeyServer:
    """Serves until it is stopped; use it in a `with`.

    Args:
        settings: the worlds.
        host: address to listen on; `0.0.0.0`: the whole network. Nobody is asked for a password.
        port: 0: any free one.
        max_clients: more are turned away.

    Attributes:
        port: the one it listens on.
        figures: so far.

    Raises:
        UsageError: it cannot listen there.
    """

    def __init__(
        self,
        settings: Settings = Settings(),  # noqa: B008 (frozen)
        host: str = "127.0.0.1",
        port: int = PORT,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self.settings, self.host, self.max_clients = settings, host, max_clients
        self.figures = Figures()
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.pool = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)), "donkey world")
        self.painting = asyncio.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._begun, self._ended = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot listen on {host}:{port} ({reason}); choose another --host or --port, or end the "
                "simulator that has it"
            ) from None
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="donkey server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait(5.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self) -> None:
        """Returns when the server has ended: in a signal handler's exception, or when it has failed."""
        self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Tells all clients and ends; returns within a few seconds."""
        if self._running is not None:
            loop, stopping = self._running
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(stopping.set)
        self._thread.join(5.0)
        self.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def connected(self) -> int:
        """How many clients there are now."""
        return len(self._links)

    def to_json(self) -> dict[str, int]:
        """The figures."""
        return asdict(self.figures)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - `wait` raises it
            self._failure = error
        finally:
            self._socket.close()
            self._ended.set()

    async def _serve(self) -> None:
        stopping = asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._socket, limit=1 << 16)
        async with server:
            self._running = asyncio.get_running_loop(), stopping
            self._begun.set()
            await stopping.wait()
            # Who is being accepted just now is let in first: asyncio's server must not close in between.
            asyncio.get_running_loop().remove_reader(self._socket)
            for _ in range(5):
                await asyncio.sleep(0)
            server.close()
            for link in self._links:
                link.cancel()
            if self._links:
                await asyncio.wait(self._links, timeout=2.0)
            for line in self._links.values():  # of those that had no time to begin
                line.transport.abort()
            await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Notes the line at once: a task that is cancelled before it begins would leave it open."""
        self._links[asyncio.get_running_loop().create_task(self._welcome(reader, writer))] = writer

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.figures.clients += 1
        link = _Link(self, reader, writer)
        level, why = logging.INFO, "it hung up"
        logger.info("%s has joined; %d now", link.name, len(self._links))
        try:
            if len(self._links) > self.max_clients:
                raise ProtocolError(f"the server has its {self.max_clients} clients already; try again later")
            await link.run()
            if link.session.closed:
                why = "it said goodbye"
        except asyncio.CancelledError:
            why = "the simulator was stopped"
            with contextlib.suppress(ProtocolError):
                link.abort("the simulator was stopped")
        except OSError as error:
            why = f"the line broke ({error.strerror or error})"
        except DingocarError as error:
            self.figures.refused += 1
            level, why = logging.WARNING, f"disconnected: {error}"
            await link.farewell(str(error))
        except Exception:
            level, why = logging.ERROR, "disconnected: the simulator has failed"
            logger.exception("%s: the server's own mistake", link.name)
            await link.farewell("the simulator has failed; its log says why")
        finally:
            await link.close()
            self._links.pop(task, None)
            logger.log(level, "%s has left: %s", link.name, why)


class _Link:
    """The line to one client."""

    def __init__(
        self, server: DonkeyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self.session = Session(server.settings)
        self._woken = asyncio.Event()
        self._last: Message | None = None  # telemetry
        self._taken_s = asyncio.get_running_loop().time()  # when the client had last taken everything
        self.name = "client {}:{}".format(*(writer.get_extra_info("peername") or ("?", "?"))[:2])

    async def run(self) -> None:
        """Serves the client until it leaves.

        Raises:
            ProtocolError: it sent what it may not, or takes nothing.
            OSError: the line broke.
        """
        self._set_up()
        self.send(self.session.greeting())
        await _first(self._listen(), self._drive())

    def _set_up(self) -> None:
        line = self._writer.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        options = _KEEPALIVE | {"TCP_USER_TIMEOUT": round(1000 * STALLED_S)}
        for name, value in options.items():
            if hasattr(socket, name):  # not on every platform
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    async def _read(self, menu_until_s: float | None) -> bytes:
        """What comes next; the menu ends then, whatever else the client says."""
        late = menu_until_s is not None and asyncio.get_running_loop().time() > menu_until_s
        try:
            async with asyncio.timeout_at(menu_until_s):
                if not late:  # what has come already is read without a wait, and then nothing times out
                    return await self._reader.read(1 << 16)
        except TimeoutError:
            pass
        raise ProtocolError(f"no scene was chosen within {MENU_S:g} s")

    async def _listen(self) -> None:
        splitter, loop = Splitter(MAX_CLIENT_BYTES), asyncio.get_running_loop()
        second, messages = loop.time(), 0
        menu_until_s: float | None = None
        while not self.session.closed:
            if self.session.loaded:
                menu_until_s = None
            elif menu_until_s is None:
                menu_until_s = loop.time() + MENU_S
            data = await self._read(menu_until_s)
            if not data:
                return
            if loop.time() - second >= 1:
                second, messages = loop.time(), 0
            for raw in splitter.feed(data):
                messages += 1
                if messages > MAX_MESSAGES_PER_S:
                    raise ProtocolError(f"more than {MAX_MESSAGES_PER_S} messages in a second")
                for answer in self.session.receive(decode(raw)):
                    self.send(answer)
                if messages % MESSAGES_PER_TURN == 0:
                    await asyncio.sleep(0)
            self._woken.set()
            await asyncio.sleep(0)  # a client that never pauses must leave room for the others

    async def _drive(self) -> None:
        loop, period_s = asyncio.get_running_loop(), 1 / self._server.settings.rate_hz
        due_s = loop.time()
        while not self.session.closed:
            if self.session.synchronous:
                await self._woken.wait()
                self._woken.clear()
            else:
                due_s += period_s
                behind_s = loop.time() - due_s
                if behind_s > CATCH_UP_S:  # what was missed by far is not made up for
                    missed = int(behind_s / period_s)
                    self._server.figures.late += missed * self.session.loaded
                    due_s += missed * period_s
                await asyncio.sleep(due_s - loop.time())
            if self.session.due:
                if self.session.asked:  # a world may have to be painted: one at a time, and no lateness
                    async with self._server.painting:
                        messages = await loop.run_in_executor(self._server.pool, self.session.advance)
                    due_s = loop.time()
                else:
                    messages = await loop.run_in_executor(self._server.pool, self.session.advance)
                for message in messages:
                    self.send(message)

    def send(self, message: Message) -> None:
        """Sends, or leaves a telemetry out that the client would only get late."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        now_s = asyncio.get_running_loop().time()
        waiting = transport.get_write_buffer_size()
        if waiting == 0:
            self._taken_s = now_s
        elif now_s - self._taken_s > STALLED_S or waiting > MAX_WAITING_BYTES:
            raise ProtocolError(f"nothing was taken for {now_s - self._taken_s:.1f} s")
        if message["msg_type"] == "telemetry":
            if waiting:
                self._server.figures.dropped += 1
                return
            self._server.figures.frames += 1
            self._last = message
        self._writer.write(encode(message))

    def abort(self, reason: str) -> None:
        """Ends the drive.

        gym-donkeycar's `step` returns only with a telemetry, and its episode ends with `DQ`. It may look for
        that end before it has read the first telemetry whole, hence the second.
        """
        if self._last is not None:
            for message in ({"msg_type": "DQ"}, self._last, self._last):
                self.send(message)
        self.send({"msg_type": "aborted", "reason": reason})

    async def close(self) -> None:
        """Hangs up; what was said last is given a moment to arrive."""
        self._writer.close()
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._writer.wait_closed()
        finally:
            self._writer.transport.abort()
        await asyncio.sleep(0)  # the transport closes its socket in the loop's next turn

    async def farewell(self, reason: str) -> None:
        """Says why and closes, so that the reason arrives: what was sent on is read away for a moment."""
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):
            if self._writer.transport.get_write_buffer_size() > MAX_CLIENT_BYTES:
                self._writer.transport.abort()
                return
            self._writer.write(encode(error_message(reason)))
            self._writer.write_eof()
            async with asyncio.timeout(0.5):
                while await self._reader.read(1 << 16):
                    pass
        self._writer.transport.abort()


async def _first(*coroutines: Awaitable[None]) -> None:
    """Runs all until one has ended, ends the others, and raises what it raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
