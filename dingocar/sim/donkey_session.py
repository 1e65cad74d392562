"""One client of the Donkey server: what it asks for, and what it gets. No network, no clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from dingocar.errors import DingocarError, UnknownNameError, UsageError
from dingocar.sim.donkey_car import Car, Lens
from dingocar.sim.donkey_protocol import Message, number, text
from dingocar.sim.track import tracks

#: Unity's scenes, and which of our tracks a client gets for one, unless the server was told another.
UNITY_SCENES = {
    "generated_track": "circuit",
    "generated_road": "random:1",
    "warehouse": "oval",
    "sparkfun_avc": "random:2",
    "mountain_track": "random:3",
    "roboracingleague_1": "random:4",
    "waveshare": "oval",
    "mini_monaco": "random:5",
    "warren": "random:6",
    "thunderhill": "random:7",
    "circuit_launch": "circuit",
}
#: A car whose client has said nothing for so long rolls out.
SILENCE_S = 1.0


@dataclass(frozen=True)
class Settings:
    """What all clients of a server share.

    Attributes:
        track: behind every scene of Unity's; None: as in `UNITY_SCENES`.
        look, randomisation: see `World`.
        rate_hz: telemetry and steps of the world per second.
        seed: of every client's world, until it sets another one.

    Raises:
        UsageError: rate_hz is out of bounds.
    """

    track: str | None = None
    look: str = "flat"
    randomisation: str = "none"
    rate_hz: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.rate_hz <= 1000:
            raise UsageError(f"the rate must be from 2 to 1000 Hz, got {self.rate_hz:g}")

    def scenes(self) -> list[str]:
        """The names that a client may choose from: Unity's, and our tracks."""
        own = [self.track] if self.track else []
        return list(dict.fromkeys([*UNITY_SCENES, *own, *tracks.names()]))

    def track_of(self, scene: str) -> str:
        """The track behind a scene's name. A client names no files.

        Raises:
            UnknownNameError: there is no such scene.
        """
        if scene in UNITY_SCENES:
            return self.track or UNITY_SCENES[scene]
        kind, colon, argument = scene.partition(":")
        plain = not colon or (argument.isascii() and argument.isdigit() and len(argument) < 10)
        if scene == self.track or (kind in tracks.names() and plain):
            return scene
        raise UnknownNameError("scene", scene, self.scenes())


@dataclass
class _Wishes:
    """What is to be done before the next step."""

    scene: str | None = None
    camera: Message | None = None
    dt_s: float | None = None
    seed: int | None = None
    reset: bool = False
    leave: bool = False


class Session:
    """What one client said, and what it gets for it.

    `receive` may be called while `advance` runs in another thread; it never waits for it.

    Attributes:
        synchronous: a step is driven for each `control`, and only then (`step_mode`).
        closed: the client has said goodbye.
        loaded: a scene was chosen.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.synchronous = self.closed = self.loaded = False
        self._car: Car | None = None
        self._car_name = ""
        self._lens, self._dt_s, self._seed = Lens(), 1 / settings.rate_hz, settings.seed
        self._command = (0.0, 0.0, 0.0)
        self._silent_steps, self._owed = 0, False
        self._commanded = False  # since the last wish
        self._wishes, self._lock = _Wishes(), threading.Lock()
        self._answers: dict[str, Callable[[Message], list[Message]]] = {
            "get_protocol_version": lambda _: [{"msg_type": "protocol_version", "version": "2"}],
            "get_scene_names": self._scene_names,
            "load_scene": self._load_scene,
            "control": self._control,
            "reset_car": self._reset_car,
            "exit_scene": self._exit_scene,
            "quit_app": self._quit,
            "car_config": self._car_config,
            "racer_info": self._car_config,
            "cam_config": self._cam_config,
            "step_mode": self._step_mode,
            "settings": self._step_mode,
            "set_random_seed": self._set_seed,
            "ping": lambda _: [],
        }

    @staticmethod
    def greeting() -> Message:
        """What a client hears first."""
        return {"msg_type": "scene_selection_ready", "loaded": "1"}

    @property
    def asked(self) -> bool:
        """Whether the client has asked for what may take longer than a step."""
        return self._wishes != _Wishes()

    @property
    def due(self) -> bool:
        """Whether `advance` has something to do."""
        return self._owed or self.asked or (self._car is not None and not self.synchronous)

    def receive(self, message: Message) -> list[Message]:
        """Takes a message; returns what is answered at once.

        Raises:
            ProtocolError: a field is no number.
        """
        self._silent_steps = 0
        kind = message["msg_type"]
        answer = self._answers.get(kind)
        if answer is None:
            return [_unsupported(text(message, "msg_type", 40), "this simulator does not know it")]
        return answer(message)

    def advance(self) -> list[Message]:
        """Does what was asked for and drives a step; returns what the client is to hear.

        Raises:
            ProtocolError: a field of a `cam_config` is no number.
        """
        with self._lock:
            wishes, self._wishes = self._wishes, _Wishes()
            owed, self._owed = self._owed, False
        messages = self._fulfil(wishes)
        if self._car is None or (self.synchronous and not (owed or wishes.scene)):
            return messages
        self._silent_steps += 1
        steering, throttle, brake = self._command
        if not self.synchronous and self._silent_steps / self.settings.rate_hz > SILENCE_S + 1e-9:
            throttle = 0.0
        self._car.name = self._car_name
        return messages + self._car.step(steering, throttle, brake)

    def _fulfil(self, wishes: _Wishes) -> list[Message]:
        was = self._lens, self._dt_s, self._seed
        messages = self._mount(wishes.camera) if wishes.camera else []
        self._dt_s = wishes.dt_s or self._dt_s
        self._seed = self._seed if wishes.seed is None else wishes.seed
        if wishes.leave:
            self._car = None
            return [*messages, self.greeting()]
        changed = was != (self._lens, self._dt_s, self._seed)
        track = wishes.scene or (self._car.track if self._car and changed else None)
        if track is None:
            if wishes.reset and self._car:
                self._car.reset()
            return messages
        self._let_go()
        time_s = self._car.time_s if self._car and not wishes.scene else 0.0
        try:
            look, randomisation = self.settings.look, self.settings.randomisation
            self._car = Car(track, look, randomisation, self._lens, self._dt_s, self._seed)
        except DingocarError as error:
            self._car, self.loaded = None, False
            return [*messages, error_message(str(error)), self.greeting()]
        self._car.time_s = time_s
        return [*messages, {"msg_type": "car_loaded"}] if wishes.scene else messages

    def _mount(self, message: Message) -> list[Message]:
        """Takes the camera of a `cam_config`: this takes longer than the network's thread may."""
        try:
            self._lens = Lens.of(message)
        except UsageError as error:
            return [_unsupported("cam_config", str(error))]
        bent = [key for key in ("fish_eye_x", "fish_eye_y", "rot_z") if number(message, key)]
        return [_unsupported("cam_config", f"{', '.join(bent)} left out")] if bent else []

    def _let_go(self) -> None:
        """Drops a command that was meant for the car before."""
        with self._lock:
            if not self._commanded:
                self._command = (0.0, 0.0, 0.0)

    def _wish(self, **wishes: object) -> None:
        with self._lock:
            self._wishes = replace(self._wishes, **wishes)  # type: ignore[arg-type]
            self._commanded = False

    def _scene_names(self, _: Message) -> list[Message]:
        return [{"msg_type": "scene_names", "scene_names": self.settings.scenes()}]

    def _load_scene(self, message: Message) -> list[Message]:
        try:
            track = self.settings.track_of(text(message, "scene_name"))
        except UnknownNameError as error:
            return [error_message(str(error))]
        self._command, self.loaded = (0.0, 0.0, 0.0), True
        self._wish(scene=track, leave=False)
        return []

    def _control(self, message: Message) -> list[Message]:
        steering, throttle = (number(message, key, 0.0, -1, 1) for key in ("steering", "throttle"))
        brake = number(message, "brake", 0.0, 0, 1)
        with self._lock:
            self._command = (steering, throttle, brake)
            self._owed = self._commanded = True
        return []

    def _reset_car(self, _: Message) -> list[Message]:
        self._command = (0.0, 0.0, 0.0)
        self._wish(reset=True)
        return []

    def _exit_scene(self, _: Message) -> list[Message]:
        self.loaded = False
        self._wish(leave=True, scene=None)
        return []

    def _quit(self, _: Message) -> list[Message]:
        self.closed = True
        return []

    def _car_config(self, message: Message) -> list[Message]:
        self._car_name = text(message, "car_name", 64)
        return []

    def _cam_config(self, message: Message) -> list[Message]:
        self._wish(camera=message)
        return []

    def _step_mode(self, message: Message) -> list[Message]:
        self.synchronous = text(message, "step_mode") == "synchronous"
        self._wish(dt_s=number(message, "time_step", 1 / self.settings.rate_hz, 0.005, 0.5))
        return []

    def _set_seed(self, message: Message) -> list[Message]:
        self._wish(seed=int(number(message, "seed", 0, 0, 2**53)))
        return []


def error_message(reason: str) -> Message:
    """Tells a client what is wrong."""
    return {"msg_type": "error", "reason": reason}


def _unsupported(request: str, reason: str) -> Message:
    return {"msg_type": "unsupported", "request": request, "reason": reason}
