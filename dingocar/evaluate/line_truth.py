"""Pictures of our simulator, with the true pixels of the road's lines and the car's place in its lane."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.images import Uint8Array
from dingocar.sim import Appearance, Camera, Noise, World, car_for, load_look, load_randomisation, load_track
from dingocar.sim.expert import ScriptedDriver
from dingocar.sim.randomisation import Episode

BoolArray = npt.NDArray[np.bool_]

#: The colours that are told apart, and the part of an appearance that is painted in each.
LINES = {"white": "edge", "yellow": "centre"}
#: The three cars' pictures, uint8 (3, H, W, 3), their offset, heading and the track's half width.
_Taken = tuple[Uint8Array, float, float, float]
#: Where a line covers a larger share of a pixel, the pixel is the line's.
_COVERED = 0.5
#: What light and sensor do to a picture, turned off.
_OFF = {
    **dict.fromkeys(("light", "gamma", "saturation"), 1.0),
    **dict.fromkeys(("light_gradient", "shadows", "gloss", "warmth", "tint", "drift", "vignette"), 0.0),
    **dict.fromkeys(("blur_px", "shutter_s", "noise", "jpeg_quality"), 0.0),
}


@dataclass(frozen=True, eq=False)
class LinePictures:
    """N pictures and what is true of them.

    Attributes:
        images: uint8 (N, H, W, 3).
        lines: {"white": edges, "yellow": the middle}, bool (N, H, W).
        cte_m: (N,), how far the car is to the right of the middle.
        heading_error_rad: (N,), how far it is turned to the left of the lane.
        half_width_m: (N,), of the track there.
        camera: that took them; None where it is not one of ours, or another one in each episode.
    """

    images: Uint8Array
    lines: dict[str, BoolArray]
    cte_m: npt.NDArray[np.float64]
    heading_error_rad: npt.NDArray[np.float64]
    half_width_m: npt.NDArray[np.float64]
    camera: Camera | None

    def with_images(self, images: Uint8Array) -> LinePictures:
        """The same places seen otherwise."""
        return replace(self, images=images)


def line_pictures(
    tracks: tuple[str, ...],
    look: str = "flat",
    randomisation: str = "none",
    frames: int = 400,
    seed: int = 0,
    picture: tuple[int, int] = (60, 80),
    episode_frames: int = 10,
    every: int = 4,
) -> LinePictures:
    """Takes pictures along tracks that the expert drives, disturbed.

    Three cars drive alike: one sees the world, one the same world with black lines and no light or sensor,
    one with red edges and a green middle; where the latter two differ, there is a line.

    Args:
        tracks: their names; all must have the same kind of car.
        look, randomisation: of the world; each episode is drawn anew.
        frames: how many, the same for each track.
        seed: of episodes, places and noise.
        picture: (height, width).
        episode_frames: pictures of an episode.
        every: so many steps are driven from one to the next.

    Raises:
        UnknownNameError: no such track, look or randomisation.
        UsageError: fewer frames than tracks.
    """
    if frames < len(tracks) or not tracks:
        raise UsageError(f"expected at least a picture of each track, got {frames} of {len(tracks)} tracks")
    source, drawn_from = replace(load_randomisation(randomisation), redraw=True), load_look(look)
    taken: list[_Taken] = []
    for number, name in enumerate(tracks):
        track = load_track(name)
        car = car_for(track)
        camera = car.camera(picture)
        world = World(track, look, 3, camera, car.dynamics, seed=seed)
        rng, wanted = np.random.default_rng([seed, number]), (number + 1) * frames // len(tracks)
        while len(taken) < wanted:
            episode = source.draw(drawn_from, np.random.default_rng(rng.integers(2**63)))
            some = _drive(world, car.expert(track), episode, rng, episode_frames, every)
            taken += itertools.islice(some, wanted - len(taken))
    moved = any(name.startswith("camera_") for name in source.ranges)
    images = np.stack([image for image, *_ in taken])
    apart = images[:, 2].astype(np.int16) - images[:, 1]
    lines = {colour: apart[..., channel] > 255 * _COVERED for channel, colour in enumerate(LINES)}
    cte_m, heading_rad, half_widths_m = (np.array([each[i] for each in taken]) for i in (1, 2, 3))
    return LinePictures(
        images[:, 0].copy(), lines, cte_m, heading_rad, half_widths_m, None if moved else camera
    )


def _drive(
    world: World, expert: ScriptedDriver, episode: Episode, rng: np.random.Generator, frames: int, every: int
) -> Iterator[_Taken]:
    """Drives the three cars alike; yields what they see every so many steps, until they leave the track."""
    start_m, aside = float(rng.uniform(0, world.track.length_m)), rng.uniform(-0.5, 0.5)
    half_m = float(world.track.half_width_at(np.array([start_m]))[0])
    noise = Noise.of_level(0.5, rng, 3, world.dt_s)
    state = world.reset(start_s_m=start_m, cte_m=aside * half_m, episodes=_variants(episode))
    for step in range(frames * every):
        steering, throttle = noise(state, *expert.act(state))
        # One car's noise for all: they must drive alike.
        state = world.step(np.full(3, float(steering[0])), np.full(3, float(throttle[0])))
        if state.off_track[0]:
            return
        if step % every == every - 1:
            place = (float(state.cte_m[0]), float(state.heading_error_rad[0]))
            yield state.image, *place, float(state.half_width_m[0])


def _variants(episode: Episode) -> list[Episode]:
    """As it is; with black lines; with red edges and a green middle."""
    black = _painted(episode.appearance, (0, 0, 0), (0, 0, 0))
    coloured = _painted(episode.appearance, (255, 0, 0), (0, 255, 0))
    return [episode, *(replace(episode, appearance=each) for each in (black, coloured))]


def _painted(appearance: Appearance, edge: tuple[int, int, int], centre: tuple[int, int, int]) -> Appearance:
    colours = {
        f"{part}_{channel}": float(value)
        for part, colour in (("edge", edge), ("centre", centre))
        for channel, value in zip("rgb", colour, strict=True)
    }
    return appearance.with_(**_OFF, **colours)
