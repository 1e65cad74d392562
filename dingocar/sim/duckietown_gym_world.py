"""gym-duckietown itself, in the process that has it: see `dingocar.sim.duckietown_gym` for its use."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dingocar.errors import UnknownNameError, UsageError
from dingocar.images import Uint8Array
from dingocar.sim.duckiebot import wheels
from dingocar.sim.duckietown_gym_shim import line_textures, load_package, map_names, no_warnings
from dingocar.sim.duckietown_gym_state import DuckietownState

#: The distorted camera is written for this size alone, so smaller pictures are drawn in it and scaled.
CAMERA_SHAPE = (480, 640)
#: Starts that are drawn before giving up on one near enough to the lane's centre.
MAX_STARTS = 200


class DuckietownWorld:
    """One car in gym-duckietown, in this process; arguments and errors are those of `DuckietownGym`."""

    def __init__(
        self,
        map_name: str = "loop_empty",
        seed: int = 0,
        domain_rand: bool = False,
        image_shape: tuple[int, int] = (120, 160),
        distortion: bool = True,
        rate_hz: float = 30,
        accept_start_angle_deg: float = 4,
        start_within_m: float | None = None,
        draw: bool = True,
    ) -> None:
        module, self._gl = load_package()
        if map_name not in (known := map_names()):
            raise UnknownNameError("Duckietown map", map_name, known)
        self.map_name, self.dt_s, self.image_shape = map_name, 1 / rate_hz, image_shape
        self.domain_rand, self.start_within_m = domain_rand, start_within_m
        with no_warnings():
            self._env: Any = module.Simulator(
                seed=seed,
                map_name=map_name,
                max_steps=1 << 60,  # how long an episode is, is the caller's business
                domain_rand=domain_rand,
                frame_rate=rate_hz,
                camera_width=CAMERA_SHAPE[1],
                camera_height=CAMERA_SHAPE[0],
                accept_start_angle_deg=accept_start_angle_deg,
                full_transparency=True,
                distortion=distortion and draw,
            )
        self._env.graphics = draw
        self._line_textures: dict[str, _LineTexture] = {}
        self.state = self.reset(seed)

    @property
    def tiles(self) -> list[list[str]]:
        """The map's tiles as rows of `kind/orientation`, the top row first."""
        return [[str(tile).strip() for tile in row] for row in self._env.map_data["tiles"]]

    @property
    def road(self) -> frozenset[tuple[int, int]]:
        """(column, row) of every tile that can be driven on."""
        return frozenset((int(i), int(j)) for i, j in (tile["coords"] for tile in self._env.drivable_tiles))

    @property
    def tile_size_m(self) -> float:
        """Side of a tile."""
        return float(self._env.road_tile_size)

    def reset(self, seed: int | None = None) -> DuckietownState:
        """Puts the car to a new start.

        Args:
            seed: the same seed gives the same start, appearance and picture, whatever was before; None:
                the next ones.

        Raises:
            UsageError: no start is near enough to the lane's centre.
        """
        env = self._env
        if seed is not None:
            env.seed(seed)
        for _ in range(MAX_STARTS):
            # The light is placed relative to where the last picture was taken, unless that is forgotten.
            env.shadow_window.switch_to()
            self._gl.glMatrixMode(self._gl.GL_MODELVIEW)
            self._gl.glLoadIdentity()
            with no_warnings():
                observation = env.reset()
            self.state = self._state(observation, 0.0, False, {})
            if self.start_within_m is None or abs(self.state.lane_dist_m) <= self.start_within_m:
                return self.state
        raise UsageError(
            f"map {self.map_name}: none of {MAX_STARTS} starts was within {self.start_within_m} m of the "
            "lane's centre; allow a larger distance"
        )

    def step_wheels(self, left: float, right: float) -> DuckietownState:
        """Drives one step under wheel commands, each cut to [-1, 1]."""
        with no_warnings():
            observation, reward, done, info = self._env.step(np.array([left, right], float))
        self.state = self._state(observation, float(reward), bool(done), info)
        return self.state

    def step(self, steering: float, throttle: float) -> DuckietownState:
        """Drives one step under our commands, each in [-1, 1], +1 is right and full ahead."""
        left, right = wheels(steering, throttle)
        return self.step_wheels(float(left), float(right))

    def sine_to_lane(self, ahead_m: float) -> float | None:
        """The sine of the angle, to the right, from the car's heading to a point of the lane's centre.

        Args:
            ahead_m: the point is the lane's nearest to one so far along the lane's tangent beside the car;
                where that is off the road, half as far, and so on.

        Returns:
            In [-1, 1]; None off the road.
        """
        env = self._env
        position, yaw = env.cur_pos, float(env.cur_angle)
        nearest, tangent = env.closest_curve_point(position, yaw)
        if nearest is None:
            return None
        goal = nearest
        while ahead_m > 1e-3:
            point, _ = env.closest_curve_point(nearest + tangent * ahead_m, yaw)
            if point is not None:
                goal = point
                break
            ahead_m /= 2
        towards = goal - position
        right = np.array([math.sin(yaw), 0.0, math.cos(yaw)])
        return float(right @ towards) / max(float(np.linalg.norm(towards)), 1e-9)

    def lines(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Where the picture of this state shows the tiles' lines: {"white", "yellow": bool (H, W)}.

        The tiles are drawn with nothing but their lines, as the package itself takes them out of its
        textures, and without the objects that stand about.
        """
        env = self._env
        objects, textures = env.objects, [tile["texture"] for tile in env.grid]
        env.objects = []
        try:
            for tile in env.grid:
                tile["texture"] = self._line_texture(str(tile["kind"]))
            with no_warnings():
                drawn = env.render_obs(segment=True)
        finally:
            env.objects = objects
            for tile, texture in zip(env.grid, textures, strict=True):
                tile["texture"] = texture
        covered = {colour: mask.astype(np.uint8) * 255 for colour, mask in line_colours(drawn).items()}
        return {colour: scaled(mask, self.image_shape) > 127 for colour, mask in covered.items()}

    def _line_texture(self, kind: str) -> _LineTexture:
        """The lines of a kind of tile."""
        if kind not in self._line_textures:
            find, load = line_textures()
            file = find(f"tiles-processed/{self._env.style}/{kind}/texture")[0]
            self._line_textures[kind] = _LineTexture(load(file, True), self._gl)
        return self._line_textures[kind]

    def _state(
        self, observation: Uint8Array, reward: float, done: bool, info: dict[str, Any]
    ) -> DuckietownState:
        env = self._env
        x, _, z = (float(value) for value in env.cur_pos)
        yaw = float(env.cur_angle)
        dist, angle = self._lane(env.cur_pos, yaw)
        column, row = env.get_grid_coords(env.cur_pos)
        return DuckietownState(
            image=scaled(observation, self.image_shape),
            x_m=x,
            y_m=env.grid_height * self.tile_size_m - z,
            yaw_rad=yaw,
            lane_dist_m=dist,
            lane_angle_rad=angle,
            speed_mps=float(env.speed),
            reward=reward,
            done=done,
            step=int(env.step_count),
            time_s=float(env.timestamp),
            tile=(int(column), int(row)),
            info=info,
        )

    def _lane(self, position: Any, yaw: float) -> tuple[float, float]:
        if self._env.closest_curve_point(position, yaw)[0] is None:
            return math.nan, math.nan
        lane = self._env.get_lane_pos2(position, yaw)
        return float(lane.dist), -float(lane.angle_rad)


class _LineTexture:
    """Stands for a tile's texture, whatever is asked for; their own would take one of another set."""

    def __init__(self, texture: Any, gl: Any) -> None:
        self._texture, self._gl = texture, gl

    def bind(self, segment: bool = False) -> None:
        """Makes it the one that is drawn with."""
        self._gl.glBindTexture(self._texture.target, self._texture.id)


def line_colours(image: Uint8Array) -> dict[str, npt.NDArray[np.bool_]]:
    """Which pixels of lines drawn on black are white and which yellow; all else is black or magenta.

    >>> image = np.array([[[0, 0, 0], [224, 215, 205], [240, 230, 140], [255, 0, 255]]], np.uint8)
    >>> {colour: mask.tolist() for colour, mask in line_colours(image).items()}
    {'white': [[False, True, False, False]], 'yellow': [[False, False, True, False]]}
    """
    red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
    bright = (np.minimum(red, green) > 60) & (2 * green > np.minimum(red, blue))
    yellow = bright & (10 * blue < 8 * np.minimum(red, green))
    return {"white": bright & ~yellow, "yellow": yellow}


def scaled(image: npt.NDArray[np.uint8], shape: tuple[int, int]) -> Uint8Array:
    """A picture scaled by averaging, uint8 (H, W, 3) or (H, W), to `shape` = (height, width)."""
    if image.shape[:2] == shape:
        return np.ascontiguousarray(image)
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BOX))
