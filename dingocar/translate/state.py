"""A training's state in a file, so that it can be stopped and go on as if it had not been."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import DingocarError, TranslatorError
from dingocar.files import lock_folder, parse_json, replace_file, unlock
from dingocar.translate.budget import Budget
from dingocar.words import counted

FILE = "state.npz"
_FACTS = "facts"
#: What the facts must say.
_NEEDED = {"step", "seconds", "losses", "budget", "pictures"}


def save_state(folder: Path, game: Any, facts: Mapping[str, Any]) -> None:
    """Writes all of a training's variables and some facts into a folder, whole or not at all.

    Args:
        folder: made if need be.
        game: the Keras model that is trained, with its optimiser.
        facts: plain JSON values; see `load_state`.
    """
    from keras import ops

    arrays = {f"v{number}": ops.convert_to_numpy(v) for number, v in enumerate(_variables(game))}
    buffer = io.BytesIO()
    np.savez(buffer, **{_FACTS: np.array(json.dumps(facts)), **arrays})
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / FILE, buffer.getvalue())


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts in a folder's state.

    Raises:
        TranslatorError: there is none, or it cannot be read.
    """
    return _read(folder)[0]


def load_state(folder: Path, game: Any) -> None:
    """Puts a folder's state into a training of the same networks, compiled and built.

    Raises:
        TranslatorError: there is none, it cannot be read, or it is of other networks.
    """
    _, arrays = _read(folder)
    variables = _variables(game)
    shapes = [tuple(variable.shape) for variable in variables]
    if [array.shape for array in arrays] != shapes:
        raise TranslatorError(f"{folder / FILE}: is of other networks; remove the folder and begin anew")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """Makes a training's folder, in which no other training is meanwhile; it goes if nothing is left in it.

    Raises:
        TranslatorError: another one is, or the folder cannot be made.
    """
    try:
        folder.mkdir(exist_ok=True)
        lock = lock_folder(folder)
    except BlockingIOError:
        raise TranslatorError(
            f"{folder}: another training is at work there; wait for it, or name another file to write"
        ) from None
    except OSError as error:
        raise TranslatorError(f"{folder}: cannot be made ({error.strerror})") from None
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
        unlock(lock)


def is_stopped(path: Path | str) -> bool:
    """Whether a training of the file `path` was stopped, so that it can be resumed."""
    return (state_folder(Path(path)) / FILE).exists()


def state_folder(path: Path) -> Path:
    """Where a training of the file `path` keeps its state and sheets while it lasts."""
    return path.with_suffix(".training")


def budget_to_resume(folder: Path, facts: Mapping[str, Any], budget: Budget | None) -> Budget:
    """The budget in a stopped training's facts, or the one that is given in its place.

    Raises:
        TranslatorError: that is used up.
    """
    before, step, seconds = Budget(**facts["budget"]), int(facts["step"]), float(facts["seconds"])
    if budget is None or budget == before:
        return before
    if budget.share(step, seconds) >= 1:
        raise TranslatorError(
            f"{folder}: {counted(step, 'step')} in {seconds / 60:.1f} minutes are done already; give more, "
            "or neither --steps nor --minutes to go on as before"
        )
    return budget


def check_same(folder: Path, before: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Raises a `TranslatorError` unless a stopped training's facts, `before`, are of the same kind."""
    found = _singly(before)
    for name, value in _singly(facts).items():
        if found.get(name) != value:
            raise TranslatorError(
                f"{folder}: the stopped training's {name} is {found.get(name)!r}, not {value!r}; take the "
                "same to resume, or remove the folder and begin anew"
            )


def _singly(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with each setting as one of them, as JSON has it."""
    settings = {
        f"setting {name}": list(value) if isinstance(value, tuple) else value
        for name, value in facts.get("settings", {}).items()
    }
    return {name: value for name, value in facts.items() if name != "settings"} | settings


def clear(folder: Path) -> None:
    """Removes what a training leaves in its folder while it lasts; what others have put there stays."""
    with contextlib.suppress(OSError):
        for file in (folder / FILE, *folder.glob("step_*.jpg")):
            file.unlink(missing_ok=True)
        folder.rmdir()


def _whole(facts: Any) -> bool:
    """Whether a state's facts are what a training wrote."""
    if not isinstance(facts, dict) or not facts.keys() >= _NEEDED:
        return False
    try:
        Budget(**facts["budget"])
        return (
            int(facts["step"]) >= 0
            and float(facts["seconds"]) >= 0
            and all(isinstance(facts[name], dict) for name in ("settings", "losses"))
        )
    except (TypeError, ValueError, DingocarError):
        return False


def _variables(game: Any) -> list[Any]:
    return [*game.variables, *game.optimizer.variables]


def _read(folder: Path) -> tuple[dict[str, Any], list[Any]]:
    path = folder / FILE
    try:
        # numpy leaves a damaged file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            facts = parse_json(str(found[_FACTS]))
            arrays = [found[f"v{number}"] for number in range(len(found.files) - 1)]
    except FileNotFoundError:
        raise TranslatorError(
            f"{path}: there is no stopped training to go on with; leave out --resume"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TranslatorError(
            f"{path}: cannot be read ({str(error)[:100]}); remove the folder and begin anew"
        ) from None
    if not _whole(facts):
        raise TranslatorError(f"{path}: cannot be read; remove the folder and begin anew")
    return facts, arrays
