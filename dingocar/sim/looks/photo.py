"""As near to a real camera in a real place as numpy gets: true materials, worn lines, lamps, blur, noise."""

from __future__ import annotations

import math

import numpy as np

from dingocar.sim.appearance import Appearance
from dingocar.sim.look import Look

Colour = tuple[float, float, float]

#: Materials, how often each is drawn, and the colours it is known to have.
MATERIALS: dict[str, tuple[float, tuple[Colour, ...]]] = {
    "asphalt": (0.17, ((74, 74, 76), (96, 94, 90), (60, 60, 64), (112, 110, 106))),
    "carpet": (0.17, ((120, 116, 110), (84, 86, 92), (92, 84, 74), (62, 72, 92), (110, 98, 92))),
    "concrete": (0.28, ((112, 106, 84), (128, 124, 116), (98, 92, 78), (140, 134, 124), (86, 84, 78))),
    "mat": (0.16, ((78, 72, 72), (58, 58, 62), (96, 92, 90))),
    "tiles": (0.1, ((168, 160, 148), (150, 150, 148), (134, 118, 100), (110, 108, 106))),
    "wood": (0.12, ((158, 128, 96), (128, 102, 78), (180, 156, 126), (108, 92, 78))),
}
#: What a printed mat is beside its road.
BESIDE: tuple[Colour, ...] = ((46, 106, 128), (64, 112, 134), (58, 92, 64), (96, 92, 90), (128, 128, 126))
#: Paints and tapes for the edges and for the middle.
EDGES: tuple[Colour, ...] = ((236, 234, 226), (222, 220, 214), (240, 240, 238), (228, 200, 70))
CENTRES: tuple[Colour, ...] = ((238, 206, 52), (226, 186, 40), (236, 150, 50), (232, 230, 224))
WALLS: tuple[Colour, ...] = (
    *((200, 196, 188), (168, 160, 150), (214, 210, 200), (140, 132, 122), (92, 90, 88)),
    *((178, 184, 188), (190, 176, 150)),
)
HORIZONS: tuple[Colour, ...] = ((206, 210, 214), (222, 220, 214), (196, 200, 206), (214, 196, 172))


def draw(rng: np.random.Generator) -> Appearance:
    """One place at one time of day with one camera: a material in one of its own colours, and so on."""
    names = list(MATERIALS)
    floor = names[rng.choice(len(names), p=[MATERIALS[name][0] for name in names])]
    outside = floor == "asphalt" and rng.random() < 0.75
    backdrop = "sky" if outside else "room"
    wear = rng.beta(1.2, 5.0) if floor in ("asphalt", "concrete") else rng.beta(1.0, 12.0)
    gloss = {"concrete": 0.75, "tiles": 0.55, "wood": 0.45, "mat": 0.25}.get(floor, 0.0) * rng.random()
    # Indoors there is less light, so that the shutter stays open longer and the sensor is noisier.
    dim = rng.uniform(0.0, 0.4) if outside else rng.uniform(0.3, 1.0)
    colours = {
        "floor": _of(MATERIALS[floor][1], rng, 10),
        "beside": _of(BESIDE, rng, 14),
        "edge": _of(EDGES, rng, 6, (0.4, 0.3, 0.2, 0.1)),
        "centre": _of(CENTRES, rng, 8, (0.45, 0.25, 0.12, 0.18)),
        "wall": _of(HORIZONS if outside else WALLS, rng, 8),
    }
    numbers: dict[str, float] = {
        f"{part}_{channel}": value
        for part, colour in colours.items()
        for channel, value in zip("rgb", colour, strict=True)
    }
    numbers |= _marks(floor, wear, rng)
    numbers |= {
        "texture": rng.uniform(0.7, 1.4),
        "seams": rng.uniform(0.2, 0.9),
        "clutter": rng.beta(1.6, 2.2),
        "shadows": rng.beta(1.5, 2.5) * (1.0 if outside else 0.8),
        "gloss": gloss,
        "light": _exposure(floor, colours) * math.exp(rng.normal(0.0, 0.1)),
        "light_gradient": rng.beta(1.5, 3.0),
        "light_yaw_rad": rng.uniform(-math.pi, math.pi),
    }
    return Appearance(floor=floor, backdrop=backdrop).with_(**numbers, **_camera(dim, rng))


def _marks(floor: str, wear: float, rng: np.random.Generator) -> dict[str, float]:
    """The lines: painted outdoors, printed on mats, taped elsewhere."""
    taped = {"asphalt": 0.15, "mat": 0.03}.get(floor, 0.7)
    unbroken = rng.random() < 0.1
    return {
        "edge_width_m": rng.uniform(0.032, 0.06),
        "centre_width_m": rng.uniform(0.026, 0.05),
        "dash_m": rng.uniform(0.1, 0.4),
        "gap_m": 0.0 if unbroken else rng.uniform(0.1, 0.45),
        "wear": wear,
        "tape": taped * rng.uniform(0.3, 1.0),
    }


def _camera(dim: float, rng: np.random.Generator) -> dict[str, float]:
    """A cheap camera in much light (dim 0) or little (dim 1)."""
    return {
        "warmth": rng.normal(0.1 * dim, 0.2),
        "tint": rng.normal(0.08 * dim, 0.17),
        "gamma": math.exp(rng.normal(0.0, 0.13)),
        "saturation": rng.uniform(0.75, 1.35),
        "drift": rng.beta(1.5, 3.0),
        "vignette": rng.uniform(0.05, 0.5),
        "blur_px": rng.uniform(0.25, 0.75),
        "shutter_s": 0.002 + 0.03 * dim * rng.random(),
        "readout_s": rng.uniform(0.008, 0.033),
        "noise": 0.002 + 0.016 * dim * rng.random(),
        "jpeg_quality": rng.choice([0.0, 95.0, 90.0, 80.0]),
    }


def _exposure(floor: str, colours: dict[str, Colour]) -> float:
    """What an automatic exposure does: it brings floor and walls together near to a middle grey."""
    below = [colours["floor"], colours["beside"]] if floor == "mat" else [colours["floor"]]
    seen = 0.65 * np.mean(below) + 0.35 * np.mean(colours["wall"])
    return float((132 / seen) ** 0.85)


def _of(
    known: tuple[Colour, ...],
    rng: np.random.Generator,
    spread: float,
    chances: tuple[float, ...] | None = None,
) -> Colour:
    """One of the known colours, a little lighter or darker, and a very little of another hue."""
    colour = np.asarray(known[rng.choice(len(known), p=chances)])
    red, green, blue = np.clip(
        colour * (1 + rng.normal(0, spread / 100)) + rng.normal(0, spread / 4, 3), 0, 255
    )
    return float(red), float(green), float(blue)


look = Look(draw)
