"""Brings in gym-duckietown: quietly, under today's numpy, and with one line where something is missing."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dingocar.errors import MissingExtraError, UsageError

#: What Debian and Ubuntu call the libraries that draw without a screen.
SYSTEM_PACKAGES = "libegl1 libgl1 libgl1-mesa-dri libglu1-mesa"
#: Its packages write to `typing.TypeVar`, which is read-only from 3.12 on.
NEWEST_PYTHON = (3, 11)
#: Names that numpy had when gym-duckietown was written, and what they stood for.
_OLD_NUMPY = {"float": float, "int": int, "bool": bool, "bool8": np.bool_, "float_": np.float64}


@functools.cache
def load_package() -> tuple[Any, Any]:
    """Imports gym-duckietown once.

    Returns:
        The modules `gym_duckietown.simulator` and `pyglet.gl`.

    Raises:
        MissingExtraError: it, or a package it needs, is not installed.
        UsageError: the system's libraries that it draws with are missing, or this Python is too new.
    """
    with _quiet():
        try:
            load_world()
            # 6.1.34 sets pyglet to draw without a screen when it is imported, so it comes before pyglet.gl.
            simulator: Any = importlib.import_module("gym_duckietown.simulator")
            simulator.Randomizer.randomize = _with_scalars(simulator.Randomizer.randomize)
            return simulator, importlib.import_module("pyglet.gl")
        except ModuleNotFoundError as error:
            raise _missing(error) from None
        except ImportError as error:
            raise UsageError(
                f"gym-duckietown cannot draw here ({error}); on Debian and Ubuntu: "
                f"sudo apt-get install {SYSTEM_PACKAGES}"
            ) from None


@functools.cache
def load_world() -> Any:
    """Imports duckietown_world (maps, dynamics and AI-DO's scoring) once, and makes it work under numpy 2.

    Raises:
        MissingExtraError: it is not installed.
        UsageError: this Python is too new for it.
    """
    if sys.version_info[:2] > NEWEST_PYTHON:
        raise UsageError(
            f"gym-duckietown works with Python {NEWEST_PYTHON[0]}.{NEWEST_PYTHON[1]} at most, and this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}; make an environment with an older one for it"
        )
    for name, meaning in _OLD_NUMPY.items():
        if name not in vars(np):
            setattr(np, name, meaning)
    with _quiet():
        try:
            # In this order: geometry alone, imported first, finds its own half of a circle of imports.
            world = importlib.import_module("duckietown_world")
            geometry: Any = importlib.import_module("geometry")
        except ModuleNotFoundError as error:
            raise _missing(error) from None
    made = geometry.se2_from_linear_angular

    def with_floats(linear: Any, angular: Any) -> Any:
        # The dynamics pass arrays of one number among plain numbers: numpy 1.24 and later refuse the mixture.
        return made([_number(value) for value in linear], _number(angular))

    geometry.se2_from_linear_angular = with_floats
    return world


def map_names() -> list[str]:
    """The maps that gym-duckietown brings, sorted."""
    load_world()
    resources = importlib.import_module("duckietown_world.resources")
    return sorted(name for name in resources.list_maps() if not name.startswith(("calibration", "regress")))


def line_textures() -> tuple[Any, Any]:
    """The package's functions that find a texture's files, and that load one with nothing but its lines."""
    world, graphics = load_world(), importlib.import_module("gym_duckietown.graphics")
    return world.get_texture_file, graphics.load_texture


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Hides the deprecations of the old packages: nobody who drives can do anything about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _with_scalars(randomize: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Makes numbers of the camera's height, angle and field of view, which are drawn as arrays of one number:
    numpy 2.4 turns those into numbers no more."""

    def randomized(*args: Any, **kwargs: Any) -> dict[str, Any]:
        drawn = randomize(*args, **kwargs)
        scalars = {
            name: _number(value)
            for name, value in drawn.items()
            if name.startswith("camera_") and np.size(value) == 1
        }
        return drawn | scalars

    return randomized


def _missing(error: ModuleNotFoundError) -> MissingExtraError:
    return MissingExtraError(error.name or "gym_duckietown", "duckietown", "driving in gym-duckietown")


def _number(value: Any) -> float:
    return float(np.asarray(value).reshape(-1)[0])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Imports that print, that set up the root logger and whose own loggers tell everything: not here."""
    root = logging.getLogger()
    handlers, disabled = list(root.handlers), root.manager.disable
    known = set(root.manager.loggerDict)
    logging.disable(logging.INFO)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), no_warnings():
        try:
            yield
        finally:
            logging.disable(disabled)
            root.handlers[:] = handlers
            for name in set(root.manager.loggerDict) - known:
                logger = logging.getLogger(name)
                logger.setLevel(max(logger.level, logging.WARNING))
