"""Which camera goes by which name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dingocar.errors import UnknownNameError
from dingocar.parts.cameras.mock import MockCamera
from dingocar.parts.cameras.opencv import OpenCvCamera
from dingocar.parts.cameras.pi import PiCamera
from dingocar.parts.cameras.replay import ReplayCamera


def open_camera(
    name: str,
    image_shape: tuple[int, int],
    rate_hz: float,
    index: int = 0,
    hflip: bool = False,
    vflip: bool = False,
    replay: Path | str = "data",
) -> Any:
    """Opens a camera, a threaded part with the outputs `cam/image_array` and `cam/age_s`.

    Args:
        name: pi, opencv, replay or mock.
        image_shape: (height, width) of a picture.
        rate_hz: pictures a second.
        index: which one, if there are several (pi, opencv).
        hflip, vflip: mirrored, upside down (pi, opencv).
        replay: a tub or a folder of pictures (replay).

    Raises:
        UnknownNameError: there is no such camera.
        HardwareError: it does not answer.
    """
    wanted: dict[str, Any] = {"image_shape": image_shape, "rate_hz": rate_hz}
    device = wanted | {"index": index, "hflip": hflip, "vflip": vflip}
    cameras: dict[str, Callable[[], Any]] = {
        "pi": lambda: PiCamera(**device),
        "opencv": lambda: OpenCvCamera(**device),
        "replay": lambda: ReplayCamera(replay, **wanted),
        "mock": lambda: MockCamera(**wanted),
    }
    if name not in cameras:
        raise UnknownNameError("camera", name, cameras)
    return cameras[name]()
