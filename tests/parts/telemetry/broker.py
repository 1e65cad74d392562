"""A broker that speaks as much of MQTT 3.1.1 as one publisher needs, and keeps what it is told."""

import contextlib
import queue
import socket
import threading


class Broker:
    """Listens on a free port of this computer.

    Attributes:
        connects: one dict per CONNECT: client, username, password, will (topic, payload, retain).
        messages: a queue of (topic, payload, retain); ("", b"gone", False) when a client goes without a word.
        code: what CONNACK answers; 0 accepts, 5 refuses.
    """

    def __init__(self, code=0):
        self.code, self.connects, self.messages = code, [], queue.Queue()
        self.connected = threading.Semaphore(0)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        self._server.close()
        self.kick()

    def kick(self):
        """Drops every connection, as a broker that is restarted does."""
        for one in self._sockets:
            one.close_now()
        self._sockets = []

    def next(self, timeout_s=20):
        return self.messages.get(timeout=timeout_s)

    def _listen(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            connection = _Connection(self, client)
            self._sockets.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()


class _Connection:
    def __init__(self, broker, client):
        self.broker, self.client = broker, client
        self.stream = client.makefile("rb")

    def close_now(self):
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)

    def serve(self):
        will = None
        try:
            while head := self.stream.read(1):
                body = self.stream.read(self._length())
                kind = head[0] >> 4
                if kind == 1:
                    will = self._connect(body)
                elif kind == 3:
                    self._publish(head[0], body)
                elif kind == 12:
                    self.client.sendall(b"\xd0\x00")
                elif kind == 14:
                    will = None
                    break
        except OSError:
            pass
        finally:
            self.stream.close()
            self.client.close()
        if will:
            self.broker.messages.put(will)

    def _length(self):
        """The remaining length: seven bits a byte, low ones first."""
        value = shift = 0
        while True:
            byte = self.stream.read(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def _connect(self, body):
        assert body[:6] == b"\x00\x04MQTT" and body[6] == 4
        flags, rest = body[7], body[10:]

        def text():
            nonlocal rest
            size = int.from_bytes(rest[:2])
            value, rest = rest[2 : 2 + size], rest[2 + size :]
            return value

        client = text()
        will = (text().decode(), text(), bool(flags & 32)) if flags & 4 else None
        username = text().decode() if flags & 128 else None
        password = text().decode() if flags & 64 else None
        self.broker.connects.append(
            {"client": client, "username": username, "password": password, "will": will}
        )
        self.client.sendall(bytes([0x20, 2, 0, self.broker.code]))
        self.broker.connected.release()
        return will if not self.broker.code else None

    def _publish(self, head, body):
        size = int.from_bytes(body[:2])
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        if head & 6:  # quality of service 1
            self.client.sendall(b"\x40\x02" + rest[:2])
            rest = rest[2:]
        self.broker.messages.put((topic, rest, bool(head & 1)))
