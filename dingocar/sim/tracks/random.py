"""A random circuit with turns to both sides, a different one for every seed: random:<seed>."""

from __future__ import annotations

import numpy as np

from dingocar.errors import TrackError
from dingocar.sim.track import FloatArray, Track, resample, wrap_angle

HALF_WIDTH_M = 0.35
#: No turn is tighter than this, in metres; the car's own tightest turn is about half of it.
MIN_RADIUS_M = 0.85
LENGTH_M = (11.0, 19.0)
#: The car turns at least this much to its left and to its right in every lap.
MIN_TURN_RAD = 0.7
HARMONICS = np.arange(2, 7)
ATTEMPTS = 2_000


def build(argument: str | None) -> Track:
    """Builds the track of a seed, a whole number >= 0 (none: 0).

    The distance from the middle is a sum of a few waves around the circle, so the line cannot cross
    itself; with the least radius kept, opposite parts stay 1.9 m apart (the nearest of 2,600).
    Drawings with too tight turns, or with turns to one side only, are thrown away; the same seed
    always ends at the same track.

    Raises:
        TrackError: the argument is no such number.
    """
    text = "0" if argument is None else argument
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise TrackError(
            f"track 'random' takes a whole number of up to 18 digits, as random:7; got {argument!r}"
        )
    rng = np.random.default_rng([int(text), 0x7AC])
    for _ in range(ATTEMPTS):
        centre = _draw(rng)
        if _is_sound(centre):
            return Track.from_centre(f"random:{text}", centre, HALF_WIDTH_M)
    raise TrackError(f"track random:{text}: no sound circuit found; take another number")


def _draw(rng: np.random.Generator) -> FloatArray:
    """One closed line, (N, 2), with points 0.05 m apart; driven in either direction."""
    angle = np.linspace(0.0, 2 * np.pi, 2_000, endpoint=False)
    strength = rng.dirichlet(np.ones(len(HARMONICS))) * rng.uniform(1.2, 3.2)
    waves = np.cos(np.outer(HARMONICS, angle) + rng.uniform(0, 2 * np.pi, (len(HARMONICS), 1)))
    # A wave's share of the curvature is its amplitude times (k^2 - 1): high waves are kept low.
    radius = 1.0 + (strength / (HARMONICS**2 - 1)) @ waves
    line = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    line[:, 0] *= rng.uniform(0.8, 1.25)
    length = np.hypot(*(np.roll(line, -1, axis=0) - line).T).sum()
    line *= rng.uniform(*LENGTH_M) / length
    if rng.random() < 0.5:
        line = line[::-1]
    return resample(line, 0.05)


def _is_sound(centre: FloatArray) -> bool:
    step = np.roll(centre, -1, axis=0) - centre
    step_m = np.hypot(step[:, 0], step[:, 1])
    yaw = np.arctan2(step[:, 1], step[:, 0])
    turn = wrap_angle(np.roll(yaw, -1) - yaw)
    if np.abs(turn / step_m).max() > 1 / MIN_RADIUS_M:
        return False
    return bool(min(turn[turn > 0].sum(), -turn[turn < 0].sum()) >= MIN_TURN_RAD)
