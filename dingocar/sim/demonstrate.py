"""Laps of the expert as a stream of frames, to be recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dingocar.errors import TrackError, UsageError
from dingocar.images import Uint8Array
from dingocar.sim.expert import ScriptedDriver
from dingocar.sim.noise import Noise
from dingocar.sim.world import World

#: More off-tracks than this, and this many more for each lap: the expert cannot drive the track.
MAX_OFF_TRACKS, MAX_OFF_TRACKS_PER_LAP = 3, 3
#: Slower than this on average, in m/s, the car is stuck.
MIN_SPEED_MPS = 0.1


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture, and what the expert would do there.

    Attributes:
        image: uint8 (H, W, 3).
        steering, throttle: the expert's action: the label.
        driven_steering, driven_throttle: the action that was driven, with the noise.
        time_s: since the start; where the car was put back it goes on.
        lap: number of laps completed before this frame.
        x_m, y_m, yaw_rad, speed_mps, s_m, cte_m, heading_error_rad: as in `State`.
    """

    image: Uint8Array
    steering: float
    throttle: float
    driven_steering: float
    driven_throttle: float
    time_s: float
    lap: int
    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    s_m: float
    cte_m: float
    heading_error_rad: float


def drive_expert(
    world: World, expert: ScriptedDriver, laps: float, noise: Noise | None = None
) -> Iterator[Frame]:
    """Lets the expert drive, and yields each frame before its action is driven.

    The car starts anywhere by the world's chance. When noise has pushed it off the track it is put
    back at that place; no frame from off the track is yielded.

    Args:
        world: a world of one car; it is reset.
        expert: the driver.
        laps: how far to drive, in laps; 0.5 is half of one.
        noise: what to do to the driven action.

    Raises:
        UsageError: a world of several cars, or laps is not positive.
        TrackError: the expert cannot drive this track.
    """
    if world.n != 1:
        raise UsageError(f"drive_expert: expected a world of 1 car, got {world.n}")
    if not 0 < laps < float("inf"):
        raise UsageError(f"drive_expert: laps must be positive, got {laps}")
    length_m = world.track.length_m
    most_off_tracks = MAX_OFF_TRACKS + MAX_OFF_TRACKS_PER_LAP * laps
    most_s = 20 + laps * length_m / MIN_SPEED_MPS
    before_m, steps, off_tracks = 0.0, 0, 0
    state = world.reset()
    while (done_m := before_m + float(state.progress_m[0])) < laps * length_m:
        if off_tracks > most_off_tracks or steps * world.dt_s > most_s:
            raise TrackError(
                f"track {world.track.name}: the expert cannot drive it with this car "
                f"({off_tracks} times off the track in {done_m:.1f} m); choose a smaller turning "
                "circle, a lower speed or another track"
            )
        if state.off_track[0]:
            before_m, off_tracks = done_m, off_tracks + 1
            state = world.reset(start_s_m=state.s_m, episodes=world.episodes)
        steering, throttle = expert.act(state)
        driven = (steering, throttle) if noise is None else noise(state, steering, throttle)
        pose = {
            name: float(getattr(state, name)[0])
            for name in ("x_m", "y_m", "yaw_rad", "speed_mps", "s_m", "cte_m", "heading_error_rad")
        }
        yield Frame(
            image=state.image[0],
            steering=float(steering[0]),
            throttle=float(throttle[0]),
            driven_steering=float(driven[0][0]),
            driven_throttle=float(driven[1][0]),
            time_s=steps * world.dt_s,
            lap=max(0, int(np.floor(done_m / length_m))),
            **pose,
        )
        state = world.step(*driven)
        steps += 1
