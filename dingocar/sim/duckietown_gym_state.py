"""What is known of a car in gym-duckietown after a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dingocar.images import Uint8Array


@dataclass(frozen=True, eq=False)
class DuckietownState:
    """What is known after a step.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        x_m, y_m: middle between the wheels; x to the right of the map, y up.
        yaw_rad: counter-clockwise from +x.
        lane_dist_m: distance from the centre of the right-hand lane as gym-duckietown has it, positive to
            its right; nan off the road.
        lane_angle_rad: heading less the lane's, positive: it points to the left; nan off the road.
        speed_mps: of the last step.
        reward: of the last step, gym-duckietown's own; 0 after a reset.
        done: the car has left the road, or hit something.
        step: since the reset.
        time_s: since the reset.
        tile: (column, row) of the map's grid.
        info: gym-duckietown's own.
    """

    image: Uint8Array
    x_m: float
    y_m: float
    yaw_rad: float
    lane_dist_m: float
    lane_angle_rad: float
    speed_mps: float
    reward: float
    done: bool
    step: int
    time_s: float
    tile: tuple[int, int]
    info: dict[str, Any]
