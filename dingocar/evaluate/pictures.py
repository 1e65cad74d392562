"""Sets of pictures to be compared: out of a tub, or taken in a world of one look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dingocar.errors import ImageError, UsageError
from dingocar.images import Uint8Array, decode_image, encode_jpeg
from dingocar.sim import World, car_for, load_track
from dingocar.sim.look import load_look
from dingocar.sim.physics import Physics
from dingocar.sim.randomisation import Episode
from dingocar.translate.histogram import HistogramMatcher
from dingocar.tub import open_tub

#: Blocks of a tub and episodes of a look, where there are enough pictures for so many.
BLOCKS = 40
#: Every so many steps of a drive one picture is kept.
EVERY = 4
#: Steps before the first picture, for the car to get up to speed.
RUN_UP = 12


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures of one domain.

    Attributes:
        name: what it is called.
        images: uint8 (N, H, W, 3).
        blocks: int (N,), the stretch of a tub or the episode of a world that a picture is from. Pictures of
            one block are near copies of each other; whoever splits the set, splits by blocks.
    """

    name: str
    images: Uint8Array
    blocks: npt.NDArray[np.int64]

    def part(self, name: str, chosen: npt.NDArray[np.bool_]) -> PictureSet:
        """The pictures for which `chosen`, bool (N,), is true."""
        return PictureSet(name, self.images[chosen], self.blocks[chosen])


def from_tub(path: Path | str, frames: int = 400, shape: tuple[int, int] = (120, 160)) -> PictureSet:
    """Takes pictures out of a tub, evenly from its beginning to its end.

    Args:
        path: the tub's folder.
        frames: most pictures to take.
        shape: (height, width) to scale them to.

    Raises:
        TubError: it is no tub.
        UsageError: it has too few whole pictures to compare anything.
    """
    tub = open_tub(path)
    wanted = np.unique(np.linspace(0, max(0, len(tub) - 1), min(frames, len(tub))).astype(np.intp))
    images, places = [], []
    for place in wanted:
        try:
            images.append(tub[int(place)].image(size=shape))
        except ImageError:
            continue
        places.append(int(place))
    if len(images) < 2 * BLOCKS:
        raise UsageError(f"{path}: expected at least {2 * BLOCKS} whole pictures, found {len(images)}")
    blocks = np.asarray(places) * BLOCKS // len(tub)
    return PictureSet(Path(path).resolve().name, np.stack(images), blocks.astype(np.int64))


def from_look(
    look: str,
    frames: int = 400,
    shape: tuple[int, int] = (120, 160),
    track: str = "circuit",
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> PictureSet:
    """Takes pictures in worlds of one look, each episode in another one; the expert drives.

    They go through the tub's JPEG, as a recording would.

    Args:
        look: the look's name.
        frames: number of pictures; rounded up to a whole number for each episode.
        shape: (height, width) of them.
        track: the track's name.
        seed: draws the episodes and their starts.
        on_progress: is told the number of pictures taken so far.

    Raises:
        UnknownNameError: no such look or track.
        UsageError: too few frames.
    """
    if frames < 2 * BLOCKS:
        raise UsageError(f"frames must be at least {2 * BLOCKS}, got {frames}")
    each = -(-frames // BLOCKS)
    where = load_track(track)
    car = car_for(where)
    world = World(where, look, camera=car.camera(shape), dynamics=car.dynamics, seed=seed)
    expert, drawn_from = car.expert(where), load_look(look)
    images: list[Uint8Array] = []
    for block in range(BLOCKS):
        rng = np.random.default_rng([seed, block])
        start_m, aside = rng.uniform(0, world.track.length_m), rng.uniform(-0.5, 0.5)
        episode = Episode(drawn_from.draw(rng), Physics(), int(rng.integers(2**31)))
        cte_m = aside * float(world.track.half_width_at(np.array([start_m]))[0])
        state = world.reset(start_s_m=start_m, cte_m=cte_m, episodes=[episode])
        for step in range(RUN_UP + each * EVERY):
            state = world.step(*expert.act(state))
            if step >= RUN_UP and (step - RUN_UP) % EVERY == 0:
                images.append(decode_image(encode_jpeg(state.image[0])))
        if on_progress:
            on_progress(len(images))
    return PictureSet(look, np.stack(images), np.repeat(np.arange(BLOCKS), each))


def histogram_matched(source: PictureSet, target: PictureSet) -> PictureSet:
    """The source's pictures with the target's distribution of red, green and blue values.

    One curve for each channel and all pictures. What can still be told apart then is not the colours alone.
    """
    matched = HistogramMatcher.of(target.images).together(source.images)
    return PictureSet(f"{source.name} in colours of {target.name}", matched, source.blocks)
