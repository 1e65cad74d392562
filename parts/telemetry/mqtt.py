"""The channels as JSON to an MQTT broker of your own, a few times a second."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Sequence
from typing import Any

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import MissingExtraError, UsageError

logger = logging.getLogger(__name__)


class MqttTelemetry:
    """Publishes the newest values: inputs `channels`, no outputs.

    `TOPIC` gets `{"t_s": 1.25, "steering": 0.1, ...}`, seconds counted from the drive's first loop; what is
    missing, not finite, or not a number or a word is null. `TOPIC/status` is `online` while the car drives
    and `offline` else, also when the car is lost without a word (retained, last will).

    Nothing here is waited for by the loop: a broker that is away, slow or wrong costs messages, never time,
    and is tried again until the drive ends.

    Args:
        host: the broker. There is no default: what a car does is nobody else's business.
        port: usually 1883, with TLS 8883.
        topic: where to publish.
        channels: what to publish, in the order in which `run` gets the values. No pictures.
        rate_hz: messages per second, at most.
        username: for a broker that asks for one.
        password: goes over the network as it is, unless `tls` is on.
        tls: encrypt, and check the broker's certificate.
        clock: what tells time; tests pass a fake.

    Attributes:
        published: how many messages were handed to the connection.

    Raises:
        UsageError: no host, or a topic, port or rate that cannot be.
        MissingExtraError: paho-mqtt is not installed.
    """

    #: How long `shutdown` waits for the broker.
    PATIENCE_S = 1.0

    def __init__(
        self,
        host: str,
        port: int,
        topic: str,
        channels: Sequence[str],
        rate_hz: float = 5.0,
        *,
        username: str = "",
        password: str = "",
        tls: bool = False,
        clock: Clock | None = None,
    ) -> None:
        _check(host, port, topic, channels, rate_hz)
        self.published = 0
        self._host, self._port, self._topic, self._channels = host, port, topic, list(channels)
        self._period_s = 1 / rate_hz
        self._clock: Clock = clock or MonotonicClock()
        self._start_s = self._due_s = -math.inf
        # The newest values that are not published yet. One slot: a slow broker gets fewer, never old ones.
        self._slot: tuple[float, tuple[Any, ...]] | None = None
        self._more = threading.Condition()
        self._ending = self._told = False
        self._client = self._make_client(username, password, tls)
        self._thread = threading.Thread(target=self._publish_on, name="mqtt telemetry", daemon=True)
        self._thread.start()

    def run(self, *values: Any) -> None:
        """Notes one loop; does not wait for the network."""
        now_s = self._clock.now_s()
        if now_s < self._due_s:
            return
        if self._start_s == -math.inf:
            self._start_s = now_s
        self._due_s += self._period_s  # absolute: lateness does not add up
        if self._due_s <= now_s:  # the first one, or after a pause: no burst
            self._due_s = now_s + self._period_s
        with self._more:
            self._slot = now_s - self._start_s, values
            self._more.notify()

    def shutdown(self) -> None:
        """Says goodbye to the broker; does not wait for long when it is away."""
        with self._more:
            self._ending = True
            self._more.notify()
        self._thread.join(self.PATIENCE_S)

    def _make_client(self, username: str, password: str, tls: bool) -> Any:
        try:
            import paho.mqtt.client as mqtt
        except ImportError:
            raise MissingExtraError("paho-mqtt", "mqtt", "MQTT_BROKER") from None
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.will_set(self._status, "offline", qos=1, retain=True)
        if username:
            client.username_pw_set(username, password or None)
        if tls:
            client.tls_set()
        client.reconnect_delay_set(min_delay=1, max_delay=10)
        client.on_connect, client.on_connect_fail = self._on_connect, self._on_connect_fail
        return client

    @property
    def _status(self) -> str:
        return f"{self._topic}/status"

    def _publish_on(self) -> None:
        """A thread of its own: the connection's locks and its end may take their time."""
        client = self._client
        try:
            client.connect_async(self._host, self._port, keepalive=10)
            client.loop_start()
            while (item := self._next()) is not None:
                # Only when the last message has left: nothing piles up behind a network that hangs.
                if client.is_connected() and not client.want_write():
                    client.publish(self._topic, self._payload(*item))
                    self.published += 1
            if client.is_connected():  # else the broker has published our last will
                client.publish(self._status, "offline", qos=1, retain=True).wait_for_publish(self.PATIENCE_S)
            client.disconnect()
            client.loop_stop()
        except Exception:
            logger.exception("MQTT telemetry has failed; the drive goes on without it")

    def _next(self) -> tuple[float, tuple[Any, ...]] | None:
        """Waits for values; None: the drive is over."""
        with self._more:
            while self._slot is None and not self._ending:
                self._more.wait()
            item, self._slot = self._slot, None
            return None if self._ending else item

    def _payload(self, t_s: float, values: tuple[Any, ...]) -> str:
        fields = dict(zip(self._channels, map(plain, values), strict=False))
        return json.dumps({"t_s": round(t_s, 4)} | fields, allow_nan=False)

    def _on_connect(self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            self._told = False
            client.publish(self._status, "online", qos=1, retain=True)
        else:
            self._tell(f"refuses us ({reason}); check the user name and the password")

    def _on_connect_fail(self, _client: Any, _userdata: Any) -> None:
        self._tell("does not answer; trying again while the car drives on")

    def _tell(self, what: str) -> None:
        """Says it once until the next success, not every second."""
        told, self._told = self._told, True
        if not told:
            logger.warning("MQTT broker %s:%d %s", self._host, self._port, what)


def plain(value: Any) -> float | int | str | bool | None:
    """A value as JSON may hold it; None for what is missing, not finite, or not a number or a word.

    >>> [plain(value) for value in (0.5, True, "user", float("inf"), None, [1])]
    [0.5, True, 'user', None, None, None]
    """
    if getattr(value, "ndim", None) == 0:  # numpy's own numbers
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else None


def _check(host: str, port: int, topic: str, channels: Sequence[str], rate_hz: float) -> None:
    """Raises UsageError for settings that cannot be."""
    if not host:
        raise UsageError("MQTT: expected the name of your broker, got nothing; set MQTT_BROKER")
    if not 0 < port < 65536:
        raise UsageError(f"MQTT: expected a port from 1 to 65535, got {port}")
    if not topic or any(char in topic for char in "+#\0") or len(topic.encode()) > 60000:
        raise UsageError(f"MQTT: expected a topic without + and #, got {topic[:80]!r}")
    if not (rate_hz > 0 and math.isfinite(rate_hz)):
        raise UsageError(f"MQTT: expected a rate above 0 Hz, got {rate_hz}")
    if not channels or any(name.endswith("image_array") for name in channels):
        raise UsageError(f"MQTT: expected channels with numbers or words, got {list(channels)}")
