"""Duckietown's train.log: what the AI Driving Olympics imitation baseline's logger writes.

The file is a row of pickles, one per episode: a list of `{"step": [observation, [left, right]], "metadata":
[pose, reward, done, info]}`. Lists of (observation, action, ...) and dicts of observations and actions are
read too.

The baseline's `log.py` has two habits that are put right here unless the settings say `as_logged`: it turns
RGB into BGR, and it keeps each picture with the command that led to it, not with the one that answers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dingocar.errors import TubError
from dingocar.images import MAX_PIXELS, Uint8Array
from dingocar.tub.importers._pickle_recipes import Array, PickleError
from dingocar.tub.importers._sample import Claims, Importer, Problems, Sample, Settings, fitted, number
from dingocar.tub.importers.safe_pickle import CutOffError, read_pickles

#: First bytes of a pickle: protocols 2 to 5, and a list as protocols 0 and 1 write it.
_BEGINS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(lp", b"]q", b"(dp", b"}q")
_NAME = "train.log"
#: Half of the difference of the wheel commands at steering 1. Their wrapper makes it of an angle as
#: angle * (0.102 m between the wheels / 2) / (motor constant 27 * wheel radius 0.0318 m); their expert's
#: largest angle is 10.
WHEEL_PER_STEERING = 10.0 * (0.102 / 2) / (27 * 0.0318)
_OBSERVATIONS, _ACTIONS = ("observations", "observation", "obs"), ("actions", "action")


class _Step(NamedTuple):
    picture: Uint8Array
    wheels: tuple[float, float]
    done: bool


def fits(source: Path) -> bool:
    """Whether this is a file that begins as a pickle, or a folder with a `train.log`."""
    file = _file(source)
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(3).startswith(_BEGINS)


def read(
    source: Path, settings: Settings, problems: Problems, on_progress: Callable[[float], None]
) -> Iterator[Sample]:
    """Yields the steps in order; each pickle is a run, and a step that is `done` ends one too."""
    file = _file(source)
    size = file.stat().st_size
    runs, claims = _Runs(settings), Claims(file)
    with file.open("rb") as opened:
        number_of = 0
        try:
            for value, done in read_pickles(opened, size):
                claims.held = done
                steps = list(_steps(value, file, number_of, problems, claims))
                # A logger that writes single steps has its episodes end with `done` alone.
                yield from runs.take(steps, ends=len(steps) > 1)
                del value, steps  # before the next one is read
                number_of += 1
                on_progress(done / size)
        except CutOffError as error:
            if not number_of:
                raise PickleError(f"{file}: {error}") from None
            problems.add(f"{file.name}: cut off after episode {number_of}: {error}; what is before it counts")
        except PickleError as error:
            raise PickleError(f"{file}: pickle {number_of + 1} {error}") from None


class _Runs:
    """Pairs pictures with commands, and numbers the runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run = 0
        self._before: _Step | None = None

    def take(self, steps: list[_Step], ends: bool) -> Iterator[Sample]:
        for step in steps:
            if self._settings.as_logged:
                yield self._sample(step.picture, step.wheels)
            elif self._before is not None:
                yield self._sample(self._before.picture, step.wheels)
            self._before = step
            if step.done:
                self._end()
        if ends and steps and not steps[-1].done:
            self._end()

    def _end(self) -> None:
        self._run += 1
        self._before = None

    def _sample(self, picture: Uint8Array, wheels: tuple[float, float]) -> Sample:
        upright = picture if self._settings.as_logged else picture[..., ::-1]
        steering, throttle = command_of(*wheels)
        image = fitted(np.ascontiguousarray(upright), self._settings.shape)
        return Sample(image, self._run, steering, throttle)


def command_of(left: float, right: float) -> tuple[float, float]:
    """Steering and throttle of two wheel commands, each cut to [-1, 1].

    left = throttle + k steering and right = throttle - k steering, with k = `WHEEL_PER_STEERING`.

    >>> [round(value, 3) for value in command_of(0.7, 0.3)]
    [0.337, 0.5]
    """
    left, right = (min(1.0, max(-1.0, wheel)) for wheel in (left, right))
    steering = (left - right) / (2 * WHEEL_PER_STEERING)
    return min(1.0, max(-1.0, steering)), (left + right) / 2


def _steps(value: Any, file: Path, pickle: int, problems: Problems, claims: Claims) -> Iterator[_Step]:
    """The steps in one pickle; those that cannot be read are noted.

    Raises:
        TubError: the pickle is of no kind that is known, or lists its pictures too often.
    """
    for place, raw in enumerate(_raw_steps(value, file, pickle), 1):
        try:
            if isinstance(raw, dict):
                raw, metadata = raw["step"], raw.get("metadata")
                done = isinstance(metadata, list | tuple) and len(metadata) > 2 and _flag(metadata[2])
            else:
                done = False
            done = done or (len(raw) > 3 and _flag(raw[3]))
            step = _Step(_picture(raw[0]), _wheels(raw[1]), done)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            problems.add(f"{file.name}: episode {pickle + 1}, step {place}: {what}; left out")
        else:
            claims.add(step.picture.nbytes)
            yield step


def _raw_steps(value: Any, file: Path, pickle: int) -> list[Any]:
    """What stands for the steps in one pickle."""
    if isinstance(value, dict) and "step" in value:
        return [value]
    if isinstance(value, dict):
        observations = next((value[key] for key in _OBSERVATIONS if key in value), None)
        actions = next((value[key] for key in _ACTIONS if key in value), None)
        return _zipped(observations, actions, file, pickle)
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_many, value)):
        return _zipped(value[0], value[1], file, pickle)
    if isinstance(value, list):
        return value
    raise _unknown(file, pickle, type(value).__name__)


def _zipped(observations: Any, actions: Any, file: Path, pickle: int) -> list[Any]:
    pairs: list[Any] = [item.value if isinstance(item, Array) else item for item in (observations, actions)]
    if not all(isinstance(item, list | tuple | np.ndarray) for item in pairs):
        raise _unknown(file, pickle, "a dict without lists of observations and actions")
    if len(pairs[0]) != len(pairs[1]):
        raise TubError(
            f"{file}: episode {pickle + 1} has {len(pairs[0])} observations and {len(pairs[1])} actions"
        )
    return list(zip(*pairs, strict=True))


def _is_many(value: Any) -> bool:
    """Whether this is a batch of pictures or of actions, and no single one."""
    if isinstance(value, Array):
        return value.value is not None and value.value.ndim in (2, 4)
    return isinstance(value, list) and bool(value) and not isinstance(value[0], int | float)


def _unknown(file: Path, pickle: int, kind: str) -> TubError:
    return TubError(
        f"{file}: pickle {pickle + 1} holds {kind}; expected the steps of an episode, a list of dicts with "
        "'step': [observation, action]"
    )


def _picture(value: Any) -> Uint8Array:
    array = value.value if isinstance(value, Array) else value
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 3 or not array.size:
        kind = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"expected a picture, uint8 (H, W, 3), got {kind}")
    if array.shape[2] != 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    if array.shape[2] != 3 or array.shape[0] * array.shape[1] > MAX_PIXELS or max(array.shape) > 65_000:
        raise ValueError(f"expected a picture, uint8 (H, W, 3), got {array.shape}")
    return array


def _wheels(value: Any) -> tuple[float, float]:
    array = value.value if isinstance(value, Array) else value
    flat = array.ravel().tolist() if isinstance(array, np.ndarray) and array.size <= 4 else array
    if not isinstance(flat, list | tuple) or len(flat) != 2:
        raise ValueError("expected the commands of two wheels")
    left, right = (number(wheel) for wheel in flat)
    return left, right


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, Array) and value.value is not None and bool(value.value.all()))


def _file(source: Path) -> Path:
    return source / _NAME if source.is_dir() else source


importer = Importer(
    *(fits, read, "the train.log of Duckietown's imitation baseline (pickles)", "sim"),
    rate_hz=30.0,
    rank=1,
    options=("as_logged",),
)
