"""Domain randomisation: from which distribution an episode's appearance and physics are drawn.

Tobin et al. 2017 (arXiv:1703.06907) for the appearance, Peng et al. 2018 (arXiv:1710.06537) for the physics:
a pilot that has seen many unreal worlds takes the real one for one more of them.
"""

from __future__ import annotations

import json
import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UnknownNameError, UsageError, did_you_mean, near_path
from dingocar.sim.appearance import APPEARANCE_BOUNDS, BACKDROPS, FLOORS, Appearance
from dingocar.sim.look import Look
from dingocar.sim.physics import PHYSICS_BOUNDS, Physics

#: (least, greatest) value of every parameter with a scale: a draw never leaves them.
BOUNDS: dict[str, tuple[float, float]] = APPEARANCE_BOUNDS | PHYSICS_BOUNDS
#: The values of the parameters without one.
CHOICES: dict[str, tuple[str, ...]] = {"floor": FLOORS, "backdrop": BACKDROPS}
#: Largest file that is read.
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Range:
    """From where to where a parameter is drawn, evenly; `relative`: added to the look's own value."""

    low: float
    high: float
    relative: bool = False


@dataclass(frozen=True)
class Episode:
    """What was drawn for one car between two resets.

    Attributes:
        appearance: what its world looks like.
        physics: what its camera and motors are like.
        seed: of all that happens by chance in it: the painting, the sensor's noise, dropped frames.
        painting_seed: of the painting, where that is shared with another car's episode; None: `seed`.
    """

    appearance: Appearance
    physics: Physics
    seed: int
    painting_seed: int | None = None

    @property
    def floor_seed(self) -> int:
        """The seed that floor and backdrop are painted with."""
        return self.seed if self.painting_seed is None else self.painting_seed

    def to_json(self) -> dict[str, Any]:
        """All parameters, as a recording keeps them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Episode:
        """The inverse of `to_json`.

        Raises:
            UsageError: a value is missing, unknown or out of its bounds.
        """
        try:
            appearance, physics = Appearance(**values["appearance"]), Physics(**values["physics"])
            seeds = [values["seed"], values.get("painting_seed")]
            if not all(isinstance(seed, int) and 0 <= seed < 2**63 for seed in seeds if seed is not None):
                raise ValueError(f"seeds must be whole numbers from 0, got {seeds}")
            return cls(appearance, physics, *seeds)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"episode: expected appearance, physics and seed ({error})") from None


@dataclass(frozen=True)
class Randomisation:
    """A distribution of episodes.

    Attributes:
        name: what `load_randomisation` was asked for.
        ranges: parameter to its range; all others are the look's and the car's own.
        choices: parameter to the values it is drawn from (`floor`, `backdrop`).
        points: (m, d) points of the unit cube over `names` that a learned sampler has found; an episode is
            drawn from around one of them. Empty: from the whole cube.
        width: standard deviation of the draw around a point.
        redraw: draw the look's own chance anew for each episode, also where there is no range.

    Raises:
        UsageError: a parameter that does not exist, or a range that is empty or out of bounds.
    """

    name: str = "none"
    ranges: Mapping[str, Range] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    points: tuple[tuple[float, ...], ...] = ()
    width: float = 0.05
    redraw: bool = False

    def __post_init__(self) -> None:
        for name, span in self.ranges.items():
            if name not in BOUNDS:
                raise UnknownNameError("parameter", name, BOUNDS)
            low, high = BOUNDS[name]
            reach = high - low
            least, greatest = (-reach, reach) if span.relative else (low, high)
            if not least <= span.low <= span.high <= greatest:
                raise UsageError(
                    f"randomisation {self.name}: {name} must be a range within {least:g} to {greatest:g}, "
                    f"got {span.low:g} to {span.high:g}"
                )
        for name, values in self.choices.items():
            if name not in CHOICES:
                raise UnknownNameError("choice", name, CHOICES)
            if not values:
                raise UsageError(f"randomisation {self.name}: {name} must have a value to choose, got none")
            for value in values:
                if value not in CHOICES[name]:
                    raise UnknownNameError(name, value, CHOICES[name])
        shape = np.shape(self.points)
        if self.points and (len(shape) != 2 or shape[1] != len(self.ranges)):
            raise UsageError(
                f"randomisation {self.name}: points must be (m, {len(self.ranges)}), one column for each "
                f"parameter, got {shape}"
            )
        if self.points and not all(0 <= value <= 1 for point in self.points for value in point):
            raise UsageError(f"randomisation {self.name}: points must hold numbers from 0 to 1")
        if not 0 <= self.width <= 1:
            raise UsageError(f"randomisation {self.name}: width must be from 0 to 1, got {self.width}")

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a range: the axes of the unit cube."""
        return tuple(sorted(self.ranges))

    @property
    def varies(self) -> bool:
        """Whether episodes differ."""
        return bool(self.ranges or self.choices or self.redraw)

    def draw(self, look: Look, rng: np.random.Generator) -> Episode:
        """Draws an episode of a look."""
        unit = rng.random(len(self.ranges))
        if self.points:
            point = np.asarray(self.points[rng.integers(len(self.points))])
            unit = np.clip(point + rng.normal(0.0, self.width, len(point)), 0.0, 1.0)
        return self.at(unit, look, rng)

    def at(self, unit: npt.ArrayLike, look: Look, rng: np.random.Generator) -> Episode:
        """The episode at a point of the unit cube.

        Args:
            unit: (d,) in [0, 1], in the order of `names`.
            look: whose appearance is varied.
            rng: draws what has no axis: the look's own chance, the choices, the episode's seed.

        Raises:
            UsageError: another shape.
        """
        at = np.asarray(unit, float)
        if at.shape != (len(self.ranges),) or not ((at >= 0) & (at <= 1)).all():
            raise UsageError(f"expected ({len(self.ranges)},) numbers from 0 to 1, got {at.shape}: {at}")
        seed = int(rng.integers(2**31))
        base = asdict(look.draw(rng))
        physics: dict[str, float] = {}
        for name, values in sorted(self.choices.items()):
            base[name] = values[rng.integers(len(values))]
        for name, part in zip(self.names, at, strict=True):
            span = self.ranges[name]
            value = span.low + float(part) * (span.high - span.low)
            own = base.get(name, getattr(Physics, name, 0.0)) if span.relative else 0.0
            low, high = BOUNDS[name]
            values_of = physics if name in PHYSICS_BOUNDS else base
            values_of[name] = min(max(own + value, low), high)
        return Episode(Appearance(**base), Physics(**physics), seed)

    def to_json(self) -> dict[str, Any]:
        """What `load_randomisation` reads from a file."""
        return {
            "name": self.name,
            "ranges": {name: asdict(span) for name, span in self.ranges.items()},
            "choices": {name: list(values) for name, values in self.choices.items()},
            "points": [list(point) for point in self.points],
            "width": self.width,
            "redraw": self.redraw,
        }


def _spans(relative: bool, **ranges: tuple[float, float]) -> dict[str, Range]:
    return {name: Range(low, high, relative) for name, (low, high) in ranges.items()}


def _colours(low: float, high: float, *things: str) -> dict[str, tuple[float, float]]:
    return {f"{thing}_{channel}": (low, high) for thing in things for channel in "rgb"}


#: What may be asked for by name. `none`: one appearance for all episodes of a world. `look`: another one
#: of the look's own for each. `mild`: the same room on another day, another copy of the same car.
#: `strong`: floors, lights, cameras and cars that no real one need resemble.
PRESETS: dict[str, Randomisation] = {
    "none": Randomisation(),
    "look": Randomisation("look", redraw=True),
    "mild": Randomisation(
        "mild",
        _spans(
            True,
            **_colours(-20, 20, "floor", "beside", "edge", "centre", "wall"),
            texture=(-0.5, 0.5),
            edge_width_m=(-0.01, 0.01),
            centre_width_m=(-0.01, 0.01),
        )
        | _spans(
            False,
            wear=(0, 0.2),
            light=(0.8, 1.2),
            light_gradient=(0, 0.3),
            shadows=(0, 0.3),
            light_yaw_rad=(-3.14, 3.14),
            warmth=(-0.2, 0.2),
            gamma=(0.85, 1.2),
            drift=(0, 0.2),
            vignette=(0, 0.3),
            blur_px=(0, 0.6),
            noise=(0, 0.03),
            camera_height_gain=(0.93, 1.07),
            camera_pitch_offset_rad=(-0.04, 0.04),
            camera_fov_gain=(0.96, 1.04),
            camera_forward_offset_m=(-0.02, 0.02),
            camera_left_offset_m=(-0.01, 0.01),
            camera_yaw_offset_rad=(-0.03, 0.03),
            camera_k1_offset=(-0.02, 0.02),
            latency_offset_s=(-0.03, 0.05),
            steering_offset=(-0.05, 0.05),
            steering_gain=(0.9, 1.1),
            grip_mps2=(6, 20),
            drag_gain=(0.8, 1.25),
            speed_gain=(0.9, 1.1),
            dropped_frames=(0, 0.05),
        ),
    ),
    "strong": Randomisation(
        "strong",
        _spans(
            False,
            **_colours(10, 170, "floor"),
            **_colours(140, 255, "edge"),
            centre_r=(130, 255),
            centre_g=(100, 255),
            centre_b=(0, 200),
            **_colours(0, 255, "wall", "beside"),
            texture=(0, 3),
            edge_width_m=(0.025, 0.08),
            centre_width_m=(0.02, 0.07),
            dash_m=(0.1, 0.6),
            gap_m=(0, 0.6),
            wear=(0, 0.6),
            tape=(0, 1),
            seams=(0, 1),
            clutter=(0, 1),
            shadows=(0, 1),
            gloss=(0, 1),
            light=(0.5, 1.6),
            light_gradient=(0, 0.8),
            light_yaw_rad=(-3.14, 3.14),
            warmth=(-0.7, 0.7),
            tint=(-0.4, 0.4),
            gamma=(0.6, 1.7),
            saturation=(0.2, 1.6),
            drift=(0, 0.6),
            vignette=(0, 0.8),
            blur_px=(0, 1.5),
            shutter_s=(0, 0.03),
            readout_s=(0, 0.03),
            noise=(0, 0.1),
            camera_height_gain=(0.8, 1.25),
            camera_pitch_offset_rad=(-0.1, 0.1),
            camera_fov_gain=(0.85, 1.15),
            camera_forward_offset_m=(-0.06, 0.06),
            camera_left_offset_m=(-0.03, 0.03),
            camera_yaw_offset_rad=(-0.08, 0.08),
            camera_k1_offset=(-0.06, 0.06),
            latency_offset_s=(-0.1, 0.1),
            steering_offset=(-0.15, 0.15),
            steering_gain=(0.75, 1.25),
            grip_mps2=(2.5, 20),
            drag_gain=(0.5, 2),
            speed_gain=(0.7, 1.3),
            dropped_frames=(0, 0.3),
        ),
        {"floor": FLOORS, "backdrop": BACKDROPS},
    ),
}


def load_randomisation(name: str | Path) -> Randomisation:
    """Returns a randomisation by its name, or reads a `.toml` or `.json` file.

    A file holds any of `base` (a preset to start from), `ranges` (parameter = {low, high, relative}),
    `choices`, and a learned sampler's `points` and `width`.

    Raises:
        UnknownNameError: there is no such preset or parameter; the nearest name is suggested.
        UsageError: the file cannot be read, or holds something else.

    >>> load_randomisation("mild").ranges["light"]
    Range(low=0.8, high=1.2, relative=False)
    """
    file = Path(name).expanduser()
    if file.suffix not in (".toml", ".json"):
        if str(name) not in PRESETS:
            raise UnknownNameError("randomisation", str(name), PRESETS)
        return PRESETS[str(name)]
    values = _read(file)
    known = {"base", *(field.name for field in fields(Randomisation))}
    for key in values:
        if key not in known:
            raise UsageError(
                f"{file}: expected {', '.join(sorted(known))}, got {key!r}{did_you_mean(key, known)}"
            )
    preset = str(values.get("base", "none"))
    if preset not in PRESETS:
        raise UsageError(
            f"{file}: base must be one of {', '.join(PRESETS)}, got {preset[:60]!r}"
            f"{did_you_mean(preset, PRESETS)}"
        )
    base = PRESETS[preset]
    ranges = {key: _range(f"{file}: ranges.{key}", span) for key, span in _table(file, values, "ranges")}
    choices = {key: _texts(f"{file}: choices.{key}", span) for key, span in _table(file, values, "choices")}
    try:
        points = tuple(tuple(map(float, point)) for point in values.get("points", ()))
        width = float(values.get("width", base.width))
        redraw = bool(values.get("redraw", base.redraw))
        ranges, choices = {**base.ranges, **ranges}, {**base.choices, **choices}
        return Randomisation(str(name), ranges, choices, points, width, redraw)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"{file}: expected points of numbers, a width and redraw = true or false ({error})"
        ) from None


def _table(file: Path, values: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise UsageError(f"{file}: {name} must be a table, got {reprlib.repr(table)}")
    return list(table.items())


def _range(where: str, span: Any) -> Range:
    """A range of a file.

    Raises:
        UsageError: it is none.
    """
    known = {field.name for field in fields(Range)}
    if not isinstance(span, dict) or not {"low", "high"} <= set(span) <= known:
        raise UsageError(f"{where}: expected {{low = a number, high = a number}}, got {reprlib.repr(span)}")
    ends = span["low"], span["high"]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise UsageError(f"{where}: low and high must be numbers, got {reprlib.repr(ends)}")
    if not isinstance(span.get("relative", False), bool):
        raise UsageError(f"{where}: relative must be true or false, got {reprlib.repr(span['relative'])}")
    try:
        return Range(float(ends[0]), float(ends[1]), span.get("relative", False))
    except OverflowError:
        raise UsageError(f"{where}: low and high must be numbers of this world") from None


def _texts(where: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UsageError(f"{where}: expected a list of names, got {reprlib.repr(values)}")
    return tuple(values)


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{file}: larger than {MAX_FILE_BYTES} bytes, no randomisation; not read")
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise UsageError(f"{file}: no such randomisation file{near_path(file)}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not a randomisation file ({error})") from None
    if not isinstance(values, dict):
        raise UsageError(f"{file}: expected a table of ranges and choices")
    return values
