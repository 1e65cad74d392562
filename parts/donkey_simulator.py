"""A Donkey simulator in the place of the camera: Unity's, or `dingocar sim serve`, over its TCP protocol."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import HardwareError, UnknownNameError, UsageError
from dingocar.images import Uint8Array
from dingocar.sim.donkey_protocol import (
    MAX_SERVER_BYTES,
    PORT,
    Message,
    ProtocolError,
    Splitter,
    Telemetry,
    decode,
    encode,
    number,
    text,
)

logger = logging.getLogger(__name__)

#: Some versions of the simulator take what one read gives for one message; gym-donkeycar waits as long.
GAP_S = 0.1
#: How long the thread that reads waits before it looks whether it is to end.
GLANCE_S = 0.25
#: A scene may take so long to load.
LOAD_S = 60.0


@dataclass(frozen=True)
class Snapshot:
    """One telemetry and the counts that belong to it; made once, never changed."""

    telemetry: Telemetry
    number: int
    received_s: float
    laps: int
    off_tracks: int


class DonkeySimulator:
    """A car in a Donkey simulator: outputs `cam/image_array`, `sim/state` (None), `laps`, `off_tracks`.

    It stands in the place of `Simulator`: a `SimulatedActuator` sets `command`, which is sent at once. A car
    that goes farther from the line than `max_cte` is put back to the start. Nothing waits without a limit: a
    simulator that dies, hangs or sends junk ends the drive.

    Args:
        host, port: of the simulator.
        scene: that is loaded, if the simulator lets one choose; a track's name for `dingocar sim serve`.
        image_shape: (height, width) of a picture; the simulator is asked for it.
        rate_hz: of the loop.
        timeout_s: longest silence of the simulator.
        car_name: shown over the car.
        max_cte: the cross-track error at which the car has left the track, in Unity's units (8 are a metre);
            8 as in gym-donkeycar.
        synchronous: one step of the world for each command, as fast as both sides can; only with
            `dingocar sim serve` (others stand still).
        clock: tells the silence, and waits between the messages of the handshake; tests pass a fake.

    Attributes:
        snapshot: the newest telemetry and its counts; one object, so that nothing in it is torn.

    Raises:
        HardwareError: nobody answers there, or not as a Donkey simulator does.
        UnknownNameError: the simulator has no such scene.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = PORT,
        scene: str = "generated_track",
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20,
        timeout_s: float = 5.0,
        car_name: str = "dingocar",
        max_cte: float = 8.0,
        synchronous: bool = False,
        clock: Clock | None = None,
    ) -> None:
        if not (rate_hz > 0 and timeout_s > 0 and max_cte > 0):
            raise UsageError("DonkeySimulator: rate_hz, timeout_s and max_cte must be above 0")
        self.image_shape, self.rate_hz, self.timeout_s, self.max_cte = (
            image_shape,
            rate_hz,
            timeout_s,
            max_cte,
        )
        self.scene = scene
        self._name = f"Donkey simulator at {host}:{port}"
        self._clock: Clock = clock or MonotonicClock()
        self._splitter, self._waiting = Splitter(MAX_SERVER_BYTES), list[bytes]()
        self._command = (0.0, 0.0)
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._failure: str | None = None
        self._closed = False
        self._seen = 0
        self._laps, self._timed_laps, self._off_tracks = 0, 0, 0
        self._on_lap = self._was_off = False
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except (OSError, UnicodeError, OverflowError) as error:
            raise HardwareError(
                f"{self._name} does not answer ({error}); start it first: Unity's program, or "
                "dingocar sim serve"
            ) from None
        self._socket.settimeout(GLANCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = threading.Thread(target=self._read_on, name="donkey simulator", daemon=True)
        try:
            self.snapshot = self._shake_hands(scene, car_name, synchronous)
        except BaseException:
            self._socket.close()
            raise
        self._reader.start()

    @property
    def command(self) -> tuple[float, float]:
        """(steering, throttle), each in [-1, 1]: what the car does until told otherwise.

        Setting it sends it. A simulator that is gone by then is told of by the next `run`.
        """
        return self._command

    @command.setter
    def command(self, command: tuple[float, float]) -> None:
        self._command = command
        self._control(*command, brake=0.0)

    @property
    def metadata(self) -> dict[str, Any]:
        """What a tub recorded here should say of its origin."""
        return {"domain": "sim", "simulator": "donkey", "track": self.scene}

    def run(self) -> tuple[Uint8Array, None, int, int]:
        """The newest picture, uint8 (H, W, 3), None, the laps driven, and how often the car left the track.

        If there is no new one it is waited for, half a loop at most.

        Raises:
            HardwareError: the simulator is gone, silent for `timeout_s`, or has sent junk.
        """
        with self._changed:
            if self.snapshot.number == self._seen and self._failure is None:
                self._changed.wait(0.5 / self.rate_hz)
            snapshot = self.snapshot
        if self._failure is not None:
            raise HardwareError(self._failure)
        silent_s = self._clock.now_s() - snapshot.received_s
        if silent_s > self.timeout_s:
            raise HardwareError(
                f"{self._name} has been silent for {silent_s:.1f} s; it hangs, or is out of reach"
            )
        self._seen = snapshot.number
        return snapshot.telemetry.image, None, snapshot.laps, snapshot.off_tracks

    def reset(self) -> None:
        """Puts the car back to the start; its laps so far count on."""
        self._on_lap = False
        self._send({"msg_type": "reset_car"})

    def neutral(self) -> None:
        """No throttle, and the brake."""
        self._command = (0.0, 0.0)
        self._control(0.0, 0.0, brake=1.0)

    def shutdown(self) -> None:
        """Stops the car and hangs up; returns within about a second."""
        self.neutral()
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._reader.is_alive():
            self._reader.join(1.0)
        self._socket.close()

    # Handshake: in the constructor, before the thread that reads has started.

    def _shake_hands(self, scene: str, car_name: str, synchronous: bool) -> Snapshot:
        """From the greeting to the first telemetry; a simulator that has a scene already skips a part."""
        kind = self._until("scene_selection_ready", "car_loaded", "need_car_config", "telemetry")["msg_type"]
        if kind == "scene_selection_ready":
            self._send({"msg_type": "get_scene_names"})
            names = self._until("scene_names").get("scene_names")
            names = [str(name) for name in names] if isinstance(names, list) else []
            if scene.partition(":")[0] not in names and scene not in names:
                raise UnknownNameError("scene", scene, names)
            self._send({"msg_type": "load_scene", "scene_name": scene})
            self._until("car_loaded", "need_car_config", wait_s=LOAD_S)
        height, width = self.image_shape
        camera = {"img_w": width, "img_h": height, "img_d": 3, "img_enc": "JPG"}
        zeros = ("fov", "fish_eye_x", "fish_eye_y", *(f"{a}_{b}" for a in ("offset", "rot") for b in "xyz"))
        body = {"body_style": "donkey", "body_r": 230, "body_g": 120, "body_b": 30, "font_size": 50}
        wanted: list[Message] = [
            {"msg_type": "control", "steering": 0.0, "throttle": 0.0, "brake": 1.0},
            {"msg_type": "car_config", "car_name": car_name, **body},
            {"msg_type": "cam_config", **camera, **dict.fromkeys(zeros, 0)},
        ]
        if synchronous:
            mode = {"step_mode": "synchronous", "time_step": 1 / self.rate_hz}
            wanted += [{"msg_type": "step_mode", **mode}, wanted[0]]
        for message in wanted:
            self._clock.wait_s(GAP_S)
            self._send(message)
        return self._taken(self._until("telemetry"))

    def _until(self, *kinds: str, wait_s: float | None = None) -> Message:
        """Waits for a message of one of these kinds; others are passed over."""
        wait_s = self.timeout_s if wait_s is None else wait_s
        deadline_s = time.monotonic() + wait_s
        while True:
            while self._waiting:
                message = self._decoded(self._waiting.pop(0))
                if message["msg_type"] in kinds:
                    return message
            if time.monotonic() > deadline_s:
                raise HardwareError(
                    f"{self._name} has not sent {' or '.join(kinds)} within {wait_s:g} s; is it one, and of "
                    "this version of the protocol (2)?"
                )
            self._waiting = self._received()

    # The thread that reads.

    def _read_on(self) -> None:
        try:
            while not self._closed:
                for raw in self._waiting:
                    self._heard(self._decoded(raw))
                self._waiting = self._received()
        except HardwareError as error:
            self._fail(str(error))
        except Exception as error:
            logger.exception("the thread that reads")
            self._fail(f"{self._name}: {type(error).__name__}: {error}")

    def _received(self) -> list[bytes]:
        """The messages that have come, none if nothing has come within `GLANCE_S`."""
        try:
            data = self._socket.recv(1 << 18)
        except TimeoutError:
            return []
        except OSError as error:
            raise HardwareError(f"{self._name} is gone ({error})") from None
        if not data:
            raise HardwareError(f"{self._name} has hung up: it was ended, or has died")
        try:
            return self._splitter.feed(data)
        except ProtocolError as error:
            raise HardwareError(f"{self._name} sends junk: {error}") from None

    def _decoded(self, raw: bytes) -> Message:
        try:
            message = decode(raw)
        except ProtocolError as error:
            raise HardwareError(f"{self._name} sends junk: {error}") from None
        kind = message["msg_type"]
        if kind in ("aborted", "error"):
            raise HardwareError(f"{self._name} has ended the drive: {text(message, 'reason')}")
        if kind == "unsupported":
            request, reason = text(message, "request"), text(message, "reason")
            logger.warning("%s does not know %s: %s", self._name, request, reason)
        return message

    def _heard(self, message: Message) -> None:
        kind = message["msg_type"]
        if kind == "telemetry":
            snapshot = self._taken(message)
            with self._changed:
                self.snapshot = snapshot
                self._changed.notify_all()
        elif kind == "collision_with_starting_line":
            self._laps += self._on_lap
            self._on_lap = True
        elif kind == "cross_start":  # from versions that have no line; ours sends both
            self._timed_laps += self._positive(message, "lap_time")

    def _positive(self, message: Message, key: str) -> bool:
        try:
            return number(message, key) > 0
        except ProtocolError as error:
            raise HardwareError(f"{self._name} sends junk: {error}") from None

    def _taken(self, message: Message) -> Snapshot:
        try:
            telemetry = Telemetry.of(message, self.image_shape)
        except ProtocolError as error:
            raise HardwareError(f"{self._name} sends junk: {error}") from None
        off = math.isfinite(telemetry.cte) and abs(telemetry.cte) > self.max_cte
        if off and not self._was_off:
            self._off_tracks += 1
            self.reset()
        self._was_off = off
        count = self.snapshot.number + 1 if hasattr(self, "snapshot") else 1
        laps = max(self._laps, self._timed_laps)
        return Snapshot(telemetry, count, self._clock.now_s(), laps, self._off_tracks)

    def _fail(self, reason: str) -> None:
        with self._changed:
            if not self._closed:
                self._failure = self._failure or reason
            self._changed.notify_all()

    # Sending: from the loop, the thread that reads, and whoever says neutral.

    def _control(self, steering: float, throttle: float, brake: float) -> None:
        with contextlib.suppress(HardwareError):
            self._send({"msg_type": "control", "steering": steering, "throttle": throttle, "brake": brake})

    def _send(self, message: Message) -> None:
        """Sends one message, all its numbers as text.

        Raises:
            HardwareError: the simulator is gone, or takes nothing.
        """
        told = encode({key: str(value) for key, value in message.items()}, newline=False)
        if self._failure is not None:
            raise HardwareError(self._failure)
        if not self._sending.acquire(timeout=GLANCE_S):  # another thread's sending has not ended
            raise HardwareError(f"{self._name} takes no more commands")
        try:
            self._socket.sendall(told)
        except OSError as error:
            reason = f"{self._name} takes no more commands ({error or 'it hangs'})"
            self._fail(reason)
            raise HardwareError(reason) from None
        finally:
            self._sending.release()
