"""A car of the Donkey server: camera, start line and telemetry, as Unity's simulator has them."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass, field, replace

from PIL import Image

from dingocar.errors import UsageError
from dingocar.images import Uint8Array, encode_jpeg
from dingocar.sim.camera import Camera
from dingocar.sim.donkey_protocol import UNITS_PER_M, Message, number, text, to_unity_yaw_deg
from dingocar.sim.dynamics import Dynamics
from dingocar.sim.track import wrap_angle
from dingocar.sim.world import State, World

#: The car starts so far before the line, as in Unity: the first crossing begins the first lap.
BEFORE_LINE_M = 0.5
#: Most pixels of a client's pictures: 1024x512.
MAX_PIXELS = 1 << 19
#: Deceleration by the brake, per speed and throttle: strong, but it does not drive backwards.
_BRAKE_PER_MPS = 0.5
#: From the rear axle, where our car is, to its middle, where Unity's camera is measured from.
_MIDDLE_M = Dynamics().wheelbase_m / 2
_ENCODINGS = {"JPG": "jpeg", "PNG": "png", "TGA": "tga"}


@dataclass(frozen=True)
class Lens:
    """A client's camera.

    Attributes:
        camera: ours.
        encoding: of the pictures, a key of `_ENCODINGS`.
        grey: pictures have one channel.
    """

    camera: Camera = field(default_factory=Camera)
    encoding: str = "JPG"
    grey: bool = False

    @classmethod
    def of(cls, message: Message) -> Lens:
        """Reads a `cam_config`; 0 leaves a setting as it is by default.

        Raises:
            UsageError: our camera cannot be so.
            ProtocolError: a setting is no number.
        """
        width = int(number(message, "img_w", 0, 0, 1 << 16)) or 160
        height = int(number(message, "img_h", 0, 0, 1 << 16)) or 120
        if width * height > MAX_PIXELS:
            raise UsageError(f"pictures have at most {MAX_PIXELS} pixels, {width}x{height} were asked for")
        camera = Camera.of_shape((height, width))
        up, ahead, right = (number(message, f"offset_{axis}") / UNITS_PER_M for axis in "yzx")
        if (up, ahead, right) != (0, 0, 0):
            camera = replace(camera, height_m=up, forward_m=ahead + _MIDDLE_M, left_m=-right)
        down, turned = (math.radians(number(message, f"rot_{axis}")) for axis in "xy")
        if (down, turned) != (0, 0):
            camera = replace(camera, pitch_rad=down, yaw_rad=float(wrap_angle(-turned)))
        fov_rad = math.radians(number(message, "fov", 0, 0, 179))
        if fov_rad:  # Unity's is from top to bottom, through a lens that does not distort
            across = 2 * math.atan(math.tan(fov_rad / 2) * width / height)
            camera = replace(camera, fov_rad=across, k1=0.0, k2=0.0)
        encoding = text(message, "img_enc") or "JPG"
        encoding = "JPG" if encoding == "0" else encoding.upper()
        if encoding not in _ENCODINGS:
            raise UsageError(f"img_enc must be one of {', '.join(_ENCODINGS)}, got {encoding!r}")
        return cls(camera, encoding, grey=number(message, "img_d") == 1)

    def encode(self, image: Uint8Array) -> str:
        """A picture as base64."""
        if self.encoding == "JPG" and not self.grey:
            return base64.b64encode(encode_jpeg(image)).decode()
        buffer, picture = io.BytesIO(), Image.fromarray(image)
        options = {"compress_level": 1} if self.encoding == "PNG" else {}
        (picture.convert("L") if self.grey else picture).save(buffer, _ENCODINGS[self.encoding], **options)
        return base64.b64encode(buffer.getvalue()).decode()


class Car:
    """A car on its track, with the start line's counts.

    Args:
        track: see `load_track`.
        look, randomisation: see `World`.
        lens: the camera.
        dt_s: length of a step.
        seed: of the world.
    """

    def __init__(self, track: str, look: str, randomisation: str, lens: Lens, dt_s: float, seed: int) -> None:
        self.track, self.lens, self.dt_s, self.name = track, lens, dt_s, ""
        dynamics = Dynamics()
        self._max_steering_rad = dynamics.max_steering_rad
        self.world = World(track, look, 1, lens.camera, dynamics, dt_s, seed, randomisation)
        self.time_s = 0.0
        self.reset()
        self.world.render()  # paints the world now: it takes longer than a step may

    def reset(self) -> State:
        """Puts the car before the start line, at rest; a new episode of the randomisation begins."""
        self._lines, self._crossed_s = 0, 0.0
        self.state = self.world.reset(start_s_m=self.world.track.length_m - BEFORE_LINE_M)
        return self.state

    def step(self, steering: float, throttle: float, brake: float) -> list[Message]:
        """Drives for a step; returns the crossing of the start line, if it was crossed, and the telemetry."""
        if brake > 0:
            against = min(max(_BRAKE_PER_MPS * float(self.state.speed_mps[0]), -1.0), 1.0)
            throttle = (1 - brake) * throttle - brake * against
        before, self.state = self.state, self.world.step(steering, throttle)
        self.time_s += self.dt_s
        return [*self._crossings(), self._telemetry(before, throttle)]

    def _crossings(self) -> list[Message]:
        way_m = float(self.state.progress_m[0]) - BEFORE_LINE_M
        if way_m < self._lines * self.world.track.length_m - 1e-9:
            return []
        self._lines += 1
        since_s, self._crossed_s = self.time_s - self._crossed_s, self.time_s
        line = {"car_name": self.name, "starting_line_index": 0, "timeStamp": round(self.time_s, 6)}
        messages: list[Message] = [{"msg_type": "collision_with_starting_line", **line}]
        if self._lines > 1:
            messages.append({"msg_type": "cross_start", "lap_time": round(since_s, 6)})
        return messages

    def _telemetry(self, before: State, throttle: float) -> Message:
        state = self.state
        speed, speed_before = float(state.speed_mps[0]), float(before.speed_mps[0])
        turned = float(wrap_angle(state.yaw_rad - before.yaw_rad)[0])
        floats = {
            "steering_angle": float(state.steering_rad[0]) / self._max_steering_rad,
            "throttle": throttle,
            "speed": abs(speed),
            "time": self.time_s,
            **_vector("pos", (float(state.x_m[0]), 0.0, float(state.y_m[0]))),
            "cte": float(state.cte_m[0]) * UNITS_PER_M,
            # In the car's own axes, as Unity tells them: x right, y up, z ahead.
            **_vector("vel", (0.0, 0.0, speed)),
            **_vector("gyro", (0.0, -turned / self.dt_s, 0.0)),
            **_vector("accel", (0.0, 0.0, (speed - speed_before) / self.dt_s)),
            "roll": 0.0,
            "pitch": 0.0,
            "yaw": to_unity_yaw_deg(float(state.yaw_rad[0])),
        }
        told = {"msg_type": "telemetry", "hit": "none", "image": self.lens.encode(state.image[0])}
        return told | {key: round(value, 6) for key, value in floats.items()}


def _vector(name: str, values: tuple[float, ...]) -> dict[str, float]:
    return {f"{name}_{axis}": value for axis, value in zip("xyz", values, strict=True)}
