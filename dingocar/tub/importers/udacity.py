"""Udacity's driving simulator: a folder with driving_log.csv and the pictures of three cameras in IMG/.

The rows are center, left, right, steering, throttle, brake, speed (mph), with or without a header. Steering
is as ours, +1 is right. The paths in it are those of the recording computer: the pictures are looked for
beside the table.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PureWindowsPath

from dingocar.errors import ImageError, TubError
from dingocar.tub.importers._sample import (
    Claims,
    Importer,
    Problems,
    Sample,
    Settings,
    load_picture,
    number,
    size_of,
)
from dingocar.tub.importers._table import open_table
from dingocar.tub.importers.folder import inside

TABLE = "driving_log.csv"
_FIELDS = ("center", "left", "right", "steering", "throttle", "brake", "speed")
#: Side of the car each camera is on: what its picture asks for more, in units of `side_steering`.
_CAMERAS = {"center": 0.0, "left": 1.0, "right": -1.0}
#: What the settings leave open; see `Settings`.
SIDE_STEERING = 0.2
MPS_PER_MPH = 0.44704
#: A longer time between two rows begins a new run, in seconds.
PAUSE_S = 2.0
_TIME = re.compile(r"_(\d{4})_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d{3})\.")


def fits(source: Path) -> bool:
    """Whether this is a folder with a `driving_log.csv`, or that file."""
    return _table(source).is_file()


def read(
    source: Path, settings: Settings, problems: Problems, on_progress: Callable[[float], None]
) -> Iterator[Sample]:
    """Yields the rows in order, camera by camera: each camera's pictures are runs of their own."""
    table = _table(source)
    cameras = list(_CAMERAS) if settings.cameras == "all" else ["center"]
    side_steering = SIDE_STEERING if settings.side_steering is None else settings.side_steering
    run, claims = -1, Claims(table)
    for number_of, camera in enumerate(cameras):

        def report(share: float, done: int = number_of) -> None:
            on_progress((done + share) / len(cameras))

        run += 1
        before_s: float | None = None
        for line, row in _rows(table, problems if not number_of else Problems(), report):
            try:
                values = {name: number(row[name]) for name in _FIELDS[3:]}
                for name in ("steering", "throttle", "brake"):
                    if not -1 <= values[name] <= 1:
                        raise ValueError(f"{name} {row[name][:20]}; expected -1 to 1")
                path, time_s = _find(table.parent, row[camera])
                picture = load_picture(path, settings.shape)
            except (ValueError, ImageError) as error:
                problems.add(f"{TABLE}:{line}: {error}; left out")
                continue
            if before_s is not None and time_s is not None and not 0 <= time_s - before_s <= PAUSE_S:
                run += 1
            before_s = time_s
            claims.add(size_of(picture), path.name)
            yield Sample(
                picture,
                run,
                values["steering"] + side_steering * _CAMERAS[camera],
                values["throttle"] - values["brake"],
                time_s if settings.rate_hz is None else None,
                values["speed"] * MPS_PER_MPH,
            )


def _rows(
    table: Path, problems: Problems, on_progress: Callable[[float], None]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of each row."""
    order = list(_FIELDS)
    with open_table(table, on_progress) as lines:
        rows = csv.reader(lines)
        try:
            for row in rows:
                cells = [cell.strip() for cell in row]
                if rows.line_num == 1 and "steering" in [cell.lower() for cell in cells]:
                    order = _header(table, [cell.lower() for cell in cells])
                elif len(cells) < len(order):
                    if any(cells):
                        problems.add(f"{TABLE}:{rows.line_num}: {len(cells)} fields, expected {len(order)}")
                else:
                    yield rows.line_num, dict(zip(order, cells, strict=False))
        except csv.Error as error:
            raise TubError(f"{table}:{rows.line_num}: is no table ({error})") from None


def _header(table: Path, names: list[str]) -> list[str]:
    order = ["brake" if name == "reverse" else "center" if name == "centre" else name for name in names]
    missing = [name for name in _FIELDS if name not in order]
    if missing:
        raise TubError(f"{table}: has no column {missing[0]!r}; expected {', '.join(_FIELDS)}")
    return order


def _find(folder: Path, told: str) -> tuple[Path, float | None]:
    """The picture's file, and when it was taken.

    Raises:
        ImageError: it does not lie beside the table, or a link leads it out of there.
    """
    name = PureWindowsPath(told).name  # knows both kinds of slashes
    for place in (f"IMG/{name}", name):
        if name and os.path.isfile(folder / place):  # Path's own raises where a name is too long
            return inside(folder, place), _time_of(name)
    raise ImageError(f"no picture {name[:80]!r} in {folder / 'IMG'}")


def _time_of(name: str) -> float | None:
    """When a picture was taken, by its name: center_2016_12_01_13_30_48_287.jpg."""
    match = _TIME.search(name)
    if match is None:
        return None
    *parts, milliseconds = (int(part) for part in match.groups())
    try:
        return datetime(*parts).timestamp() + milliseconds / 1000  # type: ignore[arg-type]
    except (ValueError, OverflowError, OSError):
        return None


def _table(source: Path) -> Path:
    return source / TABLE if source.is_dir() else source if source.name == TABLE else source / TABLE


importer = Importer(
    *(fits, read, "a folder with Udacity's driving_log.csv and IMG/", "sim"),
    rate_hz=14.0,
    options=("cameras", "side_steering"),
)
