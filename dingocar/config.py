"""A car's settings: `config.py` and `myconfig.py`, plain UPPERCASE Python, checked and typed.

`CarConfig` is the one list of settings: their names, types, defaults, ranges and explanations. It reads a
car's two files, reports all their mistakes together, and writes the default file.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dingocar.errors import ConfigError, did_you_mean
from dingocar.usercode import describe

#: A car's own settings, for its own parts, start with this and are not checked.
OWN_PREFIX = "MY_"


def _setting(
    default: Any,
    help: str,
    *,
    section: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    multiple_of: int = 1,
) -> Any:
    meta = {"help": help, "section": section, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=meta | {"multiple_of": multiple_of})


@dataclass(frozen=True)
class CarConfig:
    """All settings of a car. Names are Donkeycar's where it has the same setting."""

    DATA_PATH: str = _setting("data", "folder of the tub, from the car's folder", section="Files")
    MODELS_PATH: str = _setting("models", "folder of the pilots, from the car's folder")

    DRIVE_LOOP_HZ: float = _setting(
        20.0, "loops per second of the vehicle", section="Vehicle", low=2, high=200
    )
    MAX_LOOPS: int | None = _setting(None, "end a drive after so many loops; None: never", low=1)

    CAMERA: str = _setting("sim", "where pictures come from", section="Camera", choices=("sim",))
    IMAGE_W: int = _setting(160, "width of a picture in pixels", low=16, high=1280, multiple_of=4)
    IMAGE_H: int = _setting(120, "height of a picture in pixels", low=16, high=960)

    SIM_TRACK: str = _setting(
        "circuit", "track of the simulator: a name, random:<seed>, or a .npy file", section="Simulator"
    )
    SIM_LOOK: str = _setting("flat", "look of the simulator")
    SIM_SEED: int = _setting(0, "seed of the simulator", low=0)

    RECORD_IMAGE_QUALITY: int = _setting(
        75, "JPEG quality of recorded pictures", section="Recording", low=1, high=95
    )

    DEFAULT_MODEL_TYPE: str = _setting(
        "linear", "pilot that is trained unless --type says another", section="Training"
    )
    MAX_EPOCHS: int = _setting(0, "most passes over the training pictures; 0: by their number", low=0)
    BATCH_SIZE: int = _setting(64, "pictures per training step", low=1, high=65536)
    LEARNING_RATE: float = _setting(0.001, "of the Adam optimiser, at its highest", low=1e-9, high=10.0)
    EARLY_STOP_PATIENCE: int = _setting(10, "stop after so many epochs that bring nothing better", low=1)
    SEED: int = _setting(0, "of weights, order and augmentation", low=0)
    MODEL_CATEGORICAL_MAX_THROTTLE_RANGE: float = _setting(
        0.8, "highest throttle of Donkeycar's categorical pilots, which do not say it", low=0.01, high=1.0
    )
    TFLITE: str = _setting(
        "float", "also write the trained pilot as .tflite", choices=("float", "int8", "none")
    )

    own: Mapping[str, Any] = field(default_factory=dict, metadata={"internal": True})

    @classmethod
    def settings(cls) -> dict[str, dataclasses.Field[Any]]:
        """Maps each setting's name to its dataclass field."""
        return {f.name: f for f in dataclasses.fields(cls) if not f.metadata.get("internal")}

    @classmethod
    def load(cls, folder: Path | str | None, overrides: Mapping[str, str] | None = None) -> CarConfig:
        """Reads `config.py` and then `myconfig.py` in a car's folder.

        Args:
            folder: the car's folder; None: no car, the defaults. A file that is missing leaves them too.
            overrides: settings from the command line, as text (`--set NAME=value`); they win.

        Raises:
            ConfigError: one line for each mistake: `file:line: what was expected, what came, did you mean`.
        """
        values: dict[str, Any] = {}
        mistakes: list[str] = []
        for name in ("config.py", "myconfig.py") if folder is not None else ():
            path = Path(folder or "", name)
            if path.is_file():
                found, wrong = _read_file(path)
                values.update(found)
                mistakes += wrong
        for name, text in (overrides or {}).items():
            value = _from_text(name.upper(), text)
            mistake = _mistake(cls.settings(), name.upper(), value)
            if mistake:
                mistakes.append(f"--set {name}={text}: {mistake}")
            values[name.upper()] = value
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        known = cls.settings()
        own = {name: value for name, value in values.items() if name not in known}
        typed = {name: _convert(known[name], values[name]) for name in values if name in known}
        return cls(**typed, own=types.MappingProxyType(own))

    @classmethod
    def default_file(cls, commented: bool = False) -> str:
        """The text of a `config.py` with every setting (`commented`: a `myconfig.py` to uncomment)."""
        lines = (
            ['"""Your changes to config.py: uncomment a line and edit it. An update keeps this file."""', ""]
            if commented
            else ['"""All settings and their defaults. Put your changes into myconfig.py."""', ""]
        )
        for name, setting in cls.settings().items():
            meta = setting.metadata
            if meta["section"]:
                lines += ["", f"# {meta['section']}"]
            limits = _limits(meta)
            comment = meta["help"] + (f" ({limits})" if limits else "")
            line = f"{name} = {setting.default!r}".replace("'", '"')
            lines.append(f"{'# ' if commented else ''}{line}  # {comment}")
        note = f"# Settings of your own, for your own parts, start with {OWN_PREFIX}"
        return "\n".join([*lines, "", note, ""])


def _read_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Runs a settings file; returns its UPPERCASE values and its mistakes.

    The file is its owner's own code (it may compute values), so it is run, as Donkeycar does.
    """
    namespace: dict[str, Any] = {"__file__": str(path), "__name__": path.stem}
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
        exec(compile(tree, str(path), "exec"), namespace)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the owner's code may raise anything
        return {}, [describe(error, path).removeprefix(f"{path.parent}/")]
    settings, lines = CarConfig.settings(), _assigned_lines(tree)
    values = {
        name: value
        for name, value in namespace.items()
        if name in settings or (name in lines and name.isupper())
    }
    mistakes = []
    for name, value in values.items():
        wrong = _mistake(settings, name, value)
        if wrong:
            mistakes.append(f"{path.name}:{lines.get(name, '?')}: {wrong}")
    # A lower-case slip of a setting's name would otherwise be silently without effect.
    for name, line_number in lines.items():
        near = [] if name.isupper() else difflib.get_close_matches(name.upper(), settings, n=1, cutoff=0.9)
        if near:
            mistakes.append(f"{path.name}:{line_number}: {name} has no effect; did you mean {near[0]!r}?")
    return values, mistakes


def _assigned_lines(tree: ast.Module) -> dict[str, int]:
    """Maps the names that are assigned outside functions and classes to their (last) lines."""
    found: dict[str, int] = {}
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = max(node.lineno, found.get(node.id, 0))
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return found


def _mistake(settings: Mapping[str, dataclasses.Field[Any]], name: str, value: Any) -> str | None:
    """What is wrong with `name = value`, or None."""
    if name not in settings:
        if name.startswith(OWN_PREFIX):
            return None
        return f"unknown setting {name!r}{did_you_mean(name, settings)}" + (
            ""
            if difflib.get_close_matches(name, settings, n=1)
            else f" (settings of your own start with {OWN_PREFIX})"
        )
    meta, kinds = settings[name].metadata, _kinds(settings[name])
    expected = " or ".join(_KIND_NAMES[kind] for kind in kinds)
    limits = _limits(meta)
    if limits:
        expected += f", {limits}"
    # bool is an int in Python; a True where a number belongs is a mistake all the same.
    fits = any(
        isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is float
        else type(value) is kind
        for kind in kinds
    )
    if fits and meta["choices"] and value is not None and value not in meta["choices"]:
        return f"{name} must be {expected}; got {value!r}{did_you_mean(str(value), meta['choices'])}"
    if fits and value is not None:
        low, high = meta["low"], meta["high"]
        fits = (low is None or value >= low) and (high is None or value <= high)
        fits = fits and (meta["multiple_of"] == 1 or value % meta["multiple_of"] == 0)
    return None if fits else f"{name} must be {expected}; got {value!r}"


_KIND_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    type(None): "None",
}


def _kinds(setting: dataclasses.Field[Any]) -> tuple[type, ...]:
    hint = typing.get_type_hints(CarConfig)[setting.name]
    return typing.get_args(hint) or (hint,)


def _limits(meta: Mapping[str, Any]) -> str:
    if meta["choices"]:
        return "one of " + ", ".join(meta["choices"])
    low, high, step = meta["low"], meta["high"], meta["multiple_of"]
    if low is not None and high is not None:
        text = f"{low} to {high}"
    else:
        text = f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""
    return text + (f", a multiple of {step}" if step > 1 else "")


def _convert(setting: dataclasses.Field[Any], value: Any) -> Any:
    return float(value) if float in _kinds(setting) and isinstance(value, int) else value


def _from_text(name: str, text: str) -> Any:
    """A setting's value from the command line: text stays text where the setting is one."""
    setting = CarConfig.settings().get(name)
    return text if setting is not None and _kinds(setting) == (str,) else literal(text)


def literal(text: str) -> Any:
    """The Python value that `text` is written as; the text itself if it is none.

    >>> literal("3"), literal("None"), literal("oval")
    (3, None, 'oval')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
