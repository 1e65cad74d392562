"""Who sees what: the paintings, lenses and sensors of n cars, and the moments their pictures are taken at."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.camera import Camera
from dingocar.sim.chart import TEXEL_M, Chart, survey
from dingocar.sim.dynamics import CarMotion
from dingocar.sim.look import Look
from dingocar.sim.randomisation import Episode
from dingocar.sim.render import Atlas, Lens, Pose, build_atlas
from dingocar.sim.sensor import Sensor
from dingocar.sim.track import FloatArray, Track, wrap_angle

BoolArray = npt.NDArray[np.bool_]

#: So many cars get a floor of their own where episodes are drawn; further ones share. At most twice as many
#: floors are kept at a time.
MAX_PAINTINGS = 8
#: How much farther than its own camera a randomised world's paintings let a camera look.
CAMERA_MARGIN = 1.5
#: Side of a texel for a picture this wide; smaller pictures need coarser floors, which paint faster.
TEXEL_WIDTH_PX = 160

#: What happens in the camera; all other parameters of an appearance are painted.
_IN_CAMERA = {
    *("warmth", "tint", "gamma", "saturation", "drift", "vignette", "blur_px", "shutter_s", "readout_s"),
    *("noise", "jpeg_quality", "light"),
}
_PAINTED = tuple(field.name for field in fields(Appearance) if field.name not in _IN_CAMERA)


@dataclass(frozen=True, eq=False)
class Moment:
    """The moment each car's picture was taken at; with dropped frames it may be a while ago. Arrays (n,).

    Attributes:
        x_m, y_m, yaw_rad, speed_mps, yaw_rate_radps: the car's pose and motion then.
        step: number of steps since its reset.
        now_yaw_rad: the car's heading now.
    """

    x_m: FloatArray
    y_m: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    yaw_rate_radps: FloatArray
    step: npt.NDArray[np.int64]
    now_yaw_rad: FloatArray

    @classmethod
    def at_rest(cls, n: int) -> Moment:
        """n cars at the origin."""
        zero = np.zeros(n)
        return cls(zero, zero, zero, zero, zero, np.zeros(n, np.int64), zero)

    def after(
        self,
        motion: CarMotion,
        step: npt.NDArray[np.int64],
        dt_s: float,
        episodes: Sequence[Episode],
        fresh: BoolArray | None = None,
    ) -> Moment:
        """The moments after a step of `dt_s`, or after a reset of the `fresh` cars; the others stay."""
        yaw = motion.yaw_rad
        if fresh is not None:
            rest = Moment(motion.x_m, motion.y_m, yaw, motion.speed_mps, np.zeros_like(yaw), step, yaw)
            return rest._where(fresh, self)
        turn = wrap_angle(yaw - self.now_yaw_rad) / dt_s
        new = Moment(motion.x_m, motion.y_m, yaw, motion.speed_mps, turn, step, yaw)
        rate = np.array([episode.physics.dropped_frames for episode in episodes])
        if not rate.any():
            return new
        held = _chance(np.array([episode.seed for episode in episodes], np.uint64), step) < rate
        return replace(new._where(~held, self), now_yaw_rad=yaw)

    def _where(self, cars: BoolArray, other: Moment) -> Moment:
        """These moments for the cars of a mask, the other ones for the rest."""
        return Moment(
            **{
                field.name: np.where(cars, getattr(self, field.name), getattr(other, field.name))
                for field in fields(Moment)
            }
        )

    def pose(self, car: int) -> Pose:
        """Where one car's picture is taken."""
        yaw, speed = float(self.yaw_rad[car]), float(self.speed_mps[car])
        return Pose(
            *(float(self.x_m[car]), float(self.y_m[car]), yaw),
            *(speed * float(np.cos(yaw)), speed * float(np.sin(yaw)), float(self.yaw_rate_radps[car])),
        )


class Stage:
    """The paintings, lenses and sensors of the n cars of a world; all are made when first looked at."""

    def __init__(self, track: Track, look: Look, camera: Camera, varies: bool) -> None:
        """Prepares a stage; `varies`: other episodes than the first will come."""
        self._track, self._look, self._camera = track, look, camera
        self._margin = CAMERA_MARGIN if varies else 1.0
        self._paintings: weakref.WeakValueDictionary[object, _Painted] = weakref.WeakValueDictionary()
        self._lenses: weakref.WeakValueDictionary[object, Lens] = weakref.WeakValueDictionary()
        self._views: list[_View] = []

    @functools.cached_property
    def chart(self) -> Chart:
        """The floor around the track."""
        width = self._camera.shape[1]
        return survey(self._track, texel_m=TEXEL_M * max(1.0, TEXEL_WIDTH_PX / width))

    def begin(self, wanted: Sequence[Episode | None], share: bool) -> tuple[Episode, ...]:
        """Begins the episodes that are wanted; the other cars go on with theirs.

        Args:
            wanted: of each car, its new episode or None; all are wanted at the very first.
            share: with more than `MAX_PAINTINGS` cars, later ones take the floor of an earlier one.

        Returns:
            The episodes of all cars, as they will be seen: with the floors that are shared.
        """
        views = list(self._views)
        if any(episode.physics.moves_camera for episode in wanted if episode):
            self._margin = CAMERA_MARGIN
        for car, episode in enumerate(wanted):
            if episode is None:
                continue
            if share:
                episode = self._shared(car, episode, views)
            views[car : car + 1] = [_View(self, episode)]
        self._views = views
        return tuple(view.episode for view in views)

    def _shared(self, car: int, episode: Episode, views: list[_View]) -> Episode:
        """The episode, where need be on another car's floor."""
        if car >= MAX_PAINTINGS:
            return _on_floor_of(views[car % MAX_PAINTINGS].episode, episode)
        # Cars that drive on keep the floors that others have left.
        left = {view.painted: view.episode for k, view in enumerate(views) if k != car}
        if len(left) < 2 * MAX_PAINTINGS:
            return episode
        return _on_floor_of(list(left.values())[episode.seed % len(left)], episode)

    def camera_roll(self, moment: Moment, dt_s: float) -> Callable[[], Uint8Array]:
        """What draws the pictures of this moment, uint8 (n, H, W, 3), whenever it is called."""
        views = tuple(self._views)

        def develop() -> Uint8Array:
            images = np.empty((len(views), *self._camera.shape, 3), np.uint8)
            for car, view in enumerate(views):
                view.draw(moment.pose(car), int(moment.step[car]), dt_s, images[car])
            return images

        return develop

    def painted(self, episode: Episode) -> _Painted:
        """The painting of an episode; the same one for all episodes that are painted alike."""
        painted = (getattr(episode.appearance, name) for name in _PAINTED)
        key = (*painted, episode.floor_seed, self._margin)
        return self._paintings.setdefault(key, _Painted(self, episode))

    def atlas(self, episode: Episode) -> Atlas:
        """Paints an episode's floor and backdrop."""
        rng = np.random.default_rng(episode.floor_seed)
        painting = self._look.paint(self.chart, episode.appearance, rng)
        return build_atlas(painting, self.chart, self._camera, self._margin)

    def lens(self, episode: Episode, atlas: Atlas) -> Lens:
        """The lens of an episode's camera."""
        camera = self._camera.mounted(episode.physics)
        key = (camera, atlas.layout)
        lens = self._lenses.get(key)
        if lens is None:
            lens = self._lenses[key] = Lens(camera, atlas.layout)
        return lens

    def sensor(self, episode: Episode) -> Sensor:
        """The sensor of an episode's camera."""
        return Sensor(episode.appearance, self._camera.shape, episode.seed)


class _Painted:
    """A painting that is made when it is first looked at, and shared by those who see it."""

    def __init__(self, stage: Stage, episode: Episode) -> None:
        self._stage, self._episode = stage, episode

    @functools.cached_property
    def atlas(self) -> Atlas:
        return self._stage.atlas(self._episode)


class _View:
    """What one car sees in one episode."""

    def __init__(self, stage: Stage, episode: Episode) -> None:
        self._stage, self.episode = stage, episode
        self.painted = stage.painted(episode)

    @functools.cached_property
    def _lens(self) -> Lens:
        return self._stage.lens(self.episode, self.painted.atlas)

    @functools.cached_property
    def _sensor(self) -> Sensor:
        return self._stage.sensor(self.episode)

    def draw(self, pose: Pose, step: int, dt_s: float, image: Uint8Array) -> None:
        """Draws a picture into `image`, uint8 (H, W, 3)."""
        appearance = self.episode.appearance
        self._lens.draw(self.painted.atlas, pose, image, appearance.shutter_s, appearance.readout_s)
        exposed = self._sensor.expose(image, step * dt_s, step)
        if exposed is not image:
            image[...] = exposed


def _on_floor_of(other: Episode, episode: Episode) -> Episode:
    """An episode whose floor and backdrop are another one's."""
    painted = {name: getattr(other.appearance, name) for name in _PAINTED}
    return replace(episode, appearance=replace(episode.appearance, **painted), painting_seed=other.floor_seed)


def _chance(seed: npt.NDArray[np.uint64], step: npt.NDArray[np.int64]) -> FloatArray:
    """A number in [0, 1) for each seed and step: splitmix64 (Steele et al. 2014), with no state to keep."""
    bits = seed * np.uint64(0x9E3779B97F4A7C15) + step.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((bits ^ (bits >> np.uint64(31))) >> np.uint64(11), np.float64) / 2.0**53
