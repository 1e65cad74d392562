"""How settings are declared, read from a car's files, and checked; `dingocar.config` lists them."""

import ast
import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from dingocar.errors import DingocarError, UnknownNameError, did_you_mean
from dingocar.usercode import describe

#: A car's own settings, for its own parts, start with this and are not checked.
OWN_PREFIX = "MY_"

#: Maps a setting's name to its dataclass field.
Settings = Mapping[str, dataclasses.Field[Any]]


def setting(
    default: Any,
    help: str,
    *,
    section: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    multiple_of: int = 1,
) -> Any:
    """Declares a setting: default, explanation, the section it begins, and what it may be."""
    meta = {"help": help, "section": section, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=meta | {"multiple_of": multiple_of})


def read_file(path: Path, settings: Settings) -> tuple[dict[str, Any], list[str]]:
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
    lines = _assigned_lines(tree)
    values = {
        name: value
        for name, value in namespace.items()
        if name in settings or (name in lines and name.isupper())
    }
    mistakes = []
    for name, value in values.items():
        wrong = mistake(settings, name, value)
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


def mistake(settings: Settings, name: str, value: Any) -> str | None:
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
    within = limits(meta)
    if within:
        expected += f", {within}"
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
    return typing.get_args(setting.type) or (typing.cast(type, setting.type),)


def limits(meta: Mapping[str, Any]) -> str:
    """What a setting may be, in words; "" if anything of its type."""
    if meta["choices"]:
        return "one of " + ", ".join(meta["choices"])
    low, high, step = meta["low"], meta["high"], meta["multiple_of"]
    if low is not None and high is not None:
        text = f"{low} to {high}"
    else:
        text = f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""
    return text + (f", a multiple of {step}" if step > 1 else "")


def convert(setting: dataclasses.Field[Any], value: Any) -> Any:
    """The value in its setting's type: a whole number where a number is asked for becomes a float."""
    return float(value) if float in _kinds(setting) and isinstance(value, int) else value


def from_text(settings: Settings, name: str, text: str) -> Any:
    """A setting's value from the command line: text stays text where the setting is one."""
    setting = settings.get(name)
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


#: What a command line may say for a setting that is on or off, in any case of letters.
TRUTH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)

T = typing.TypeVar("T")


def read_settings(kind: type[T], values: Mapping[str, Any], what: str, error: type[DingocarError]) -> T:
    """Makes the frozen dataclass `kind`, which has defaults, of plain values.

    Args:
        kind: whose fields are the settings.
        values: as a file or the command line has them; lists become tuples, whole numbers floats, and for a
            bool the words in `TRUTH` what they say.
        what: what to call one in messages, e.g. "pilot setting".
        error: raised where a value has the wrong type.

    Raises:
        UnknownNameError: there is no such setting; the nearest one is suggested.
        DingocarError: `error`, or what the dataclass itself raises.
    """
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UnknownNameError(what, name, known)
    return kind(
        **{name: _checked(f"{what} {name}", value, hints[name], error) for name, value in values.items()}
    )


def _checked(name: str, value: Any, hint: Any, error: type[DingocarError]) -> Any:
    """Returns `value` as the type `hint` says (a list as a tuple, an int as a float)."""
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        if isinstance(value, list | tuple) and len(value) == len(kinds):
            return tuple(_checked(name, v, kind, error) for v, kind in zip(value, kinds, strict=True))
    elif isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Literal:
        if any(value == choice for choice in typing.get_args(hint)):
            return value
    elif hint is bool and isinstance(value, str) and value.lower() in TRUTH:
        return TRUTH[value.lower()]
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    raise error(f"{name}: expected {expected}, got {value!r}")
