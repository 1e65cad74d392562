"""What one episode looks like: the parameters of floor, lines, backdrop, light and camera sensor.

A look draws them (`dingocar.sim.look`), a randomisation disturbs them, the painter and the sensor obey
them. The defaults are the look `flat`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from dingocar.errors import UnknownNameError, UsageError

#: What a floor can be made of.
FLOORS = ("plain", "asphalt", "carpet", "concrete", "mat", "tiles", "wood")
#: What can be seen above the horizon.
BACKDROPS = ("sky", "room", "blank")

_COLOUR = (0.0, 255.0)
_SHARE = (0.0, 1.0)

#: (least, greatest) value of each number of an `Appearance`.
APPEARANCE_BOUNDS: dict[str, tuple[float, float]] = {
    **{f"{part}_{c}": _COLOUR for part in ("floor", "beside", "edge", "centre", "wall") for c in "rgb"},
    "texture": (0.0, 3.0),
    "edge_width_m": (0.005, 0.2),
    "centre_width_m": (0.005, 0.2),
    "dash_m": (0.02, 3.0),
    "gap_m": (0.0, 3.0),
    "wear": _SHARE,
    "tape": _SHARE,
    "seams": _SHARE,
    "clutter": _SHARE,
    "shadows": _SHARE,
    "gloss": _SHARE,
    "light": (0.2, 2.5),
    "light_gradient": _SHARE,
    "light_yaw_rad": (-math.pi, math.pi),
    "warmth": (-1.0, 1.0),
    "tint": (-1.0, 1.0),
    "gamma": (0.4, 2.5),
    "saturation": (0.0, 2.0),
    "drift": _SHARE,
    "vignette": _SHARE,
    "blur_px": (0.0, 3.0),
    "shutter_s": (0.0, 0.05),
    "readout_s": (0.0, 0.05),
    "noise": (0.0, 0.3),
    "jpeg_quality": (0.0, 100.0),
}


@dataclass(frozen=True)
class Appearance:
    """The looks of one episode. Colours are RGB, 0 to 255 each; a strength of 0 is none of it.

    Attributes:
        floor: what the floor is made of.
        backdrop: what is above the horizon.
        floor_r, floor_g, floor_b: the floor.
        beside_r, beside_g, beside_b: a printed mat beside the road; other floors are one colour.
        edge_r, edge_g, edge_b: the lines at the track's edges.
        centre_r, centre_g, centre_b: the line in the track's middle.
        wall_r, wall_g, wall_b: the walls of a room, the sky at the horizon.
        texture: strength of the floor's texture; 1 is natural.
        edge_width_m, centre_width_m: the lines' widths.
        dash_m, gap_m: length of the middle line's dashes and of what is between them; gap 0: unbroken.
        wear: share of the lines' paint that is lost.
        tape: how unevenly the lines were laid: pieces with joints, shifted and of other brightness.
        seams: joints between the floor's parts, folds of a mat.
        clutter: stains, skid marks and things lying beside the track; things along the walls.
        shadows: strength of soft shadows.
        gloss: strength of bright patches where lamps are mirrored.
        light: exposure, a factor.
        light_gradient: how much brighter it is towards the light than away from it.
        light_yaw_rad: where the light comes from.
        warmth: white balance, -1 blue to 1 orange.
        tint: white balance, -1 magenta to 1 green.
        gamma: of the picture; above 1 the middle tones get darker.
        saturation: of the colours, a factor.
        drift: how far exposure and white balance wander in time.
        vignette: how much light the corners lose.
        blur_px: standard deviation of the lens's blur.
        shutter_s: how long a row is exposed: motion blur.
        readout_s: how much later the last row is taken than the first: rolling shutter.
        noise: standard deviation of the sensor's noise at white, of full scale; darker tones have less.
        jpeg_quality: of the camera's own JPEG, as Pillow counts it; below 10: none.

    Raises:
        UsageError: a number out of its bounds.
        UnknownNameError: no such floor or backdrop.
    """

    floor: str = "plain"
    backdrop: str = "sky"
    floor_r: float = 62.0
    floor_g: float = 64.0
    floor_b: float = 70.0
    beside_r: float = 40.0
    beside_g: float = 150.0
    beside_b: float = 185.0
    edge_r: float = 235.0
    edge_g: float = 235.0
    edge_b: float = 230.0
    centre_r: float = 235.0
    centre_g: float = 190.0
    centre_b: float = 40.0
    wall_r: float = 196.0
    wall_g: float = 188.0
    wall_b: float = 176.0
    texture: float = 1.0
    edge_width_m: float = 0.05
    centre_width_m: float = 0.04
    dash_m: float = 0.25
    gap_m: float = 0.25
    wear: float = 0.0
    tape: float = 0.0
    seams: float = 0.0
    clutter: float = 0.0
    shadows: float = 0.0
    gloss: float = 0.0
    light: float = 1.0
    light_gradient: float = 0.0
    light_yaw_rad: float = 0.0
    warmth: float = 0.0
    tint: float = 0.0
    gamma: float = 1.0
    saturation: float = 1.0
    drift: float = 0.0
    vignette: float = 0.0
    blur_px: float = 0.0
    shutter_s: float = 0.0
    readout_s: float = 0.0
    noise: float = 0.0
    jpeg_quality: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in APPEARANCE_BOUNDS.items():
            value = getattr(self, name)
            # Not `not low <= value <= high` alone: a NaN or a text must be refused as well.
            if not (isinstance(value, int | float) and low <= value <= high):
                raise UsageError(f"Appearance: {name} must be between {low:g} and {high:g}, got {value!r}")
        for name, known in (("floor", FLOORS), ("backdrop", BACKDROPS)):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, str(getattr(self, name)), known)

    def with_(self, **changes: Any) -> Appearance:
        """The same appearance with some parameters changed; numbers are clipped to their bounds.

        Raises:
            UnknownNameError: there is no such parameter, floor or backdrop.

        >>> Appearance().with_(light=9.0, floor="wood").light
        2.5
        """
        for name, value in changes.items():
            if name in APPEARANCE_BOUNDS:
                low, high = APPEARANCE_BOUNDS[name]
                changes[name] = min(max(float(value), low), high)
            elif name not in ("floor", "backdrop"):
                raise UnknownNameError(
                    "appearance parameter", name, ("floor", "backdrop", *APPEARANCE_BOUNDS)
                )
        return dataclasses.replace(self, **changes)

    def colour(self, part: str) -> tuple[float, float, float]:
        """The RGB colour of `"floor"`, `"beside"`, `"edge"`, `"centre"` or `"wall"`.

        >>> Appearance().colour("centre")
        (235.0, 190.0, 40.0)
        """
        red, green, blue = (float(getattr(self, f"{part}_{channel}")) for channel in "rgb")
        return red, green, blue
