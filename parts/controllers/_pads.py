"""Which axis and which button of a gamepad does what: the mapping files and their check."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from dingocar.errors import ConfigError, did_you_mean
from dingocar.files import parse_json
from dingocar.parts.controllers._evdev import PadInfo, evdev
from dingocar.registry import car_folder

SHIPPED = Path(__file__).parent / "pads"

#: What an axis can be: two sticks, and two triggers that rest at one end.
ROLES = ("steering", "throttle", "forward", "reverse")

#: What a button can do, and what to call it when asking for it.
ACTIONS = {
    "emergency_stop": "emergency stop",
    "mode_next": "next mode: user, local_angle, local",
    "toggle_recording": "recording on or off",
    "erase": "erase the last records",
    "increase_max_throttle": "more top throttle",
    "decrease_max_throttle": "less top throttle",
    "constant_throttle_toggle": "constant throttle on or off",
    "launch": "launch the pilot",
    "hold_to_drive": "dead-man button: throttle only while it is held",
    "mode_user": "mode user",
    "mode_local_angle": "mode local_angle (the pilot steers)",
    "mode_local": "mode local (the pilot drives)",
}


@dataclass(frozen=True)
class Axis:
    """An axis: its code's name (`ABS_X`), and whether it runs the other way round."""

    code: str
    invert: bool = False


@dataclass(frozen=True)
class PadMapping:
    """A pad's mapping file.

    Attributes:
        name: for people.
        match: regular expressions for the pad's name, or `vendor:product`.
        axes: by role, see `ROLES`.
        buttons: actions (see `ACTIONS`) by button, `BTN_SOUTH` or one side of a hat, `ABS_HAT0X-`.
        erase_records: how many records `erase` erases.
        path: the file.
    """

    name: str
    match: tuple[str, ...]
    axes: Mapping[str, Axis]
    buttons: Mapping[str, str]
    erase_records: int = 100
    path: Path = field(default=Path(), compare=False)

    def matches(self, pad: PadInfo) -> bool:
        """True when the file is meant for this pad."""
        return any(
            pattern.lower() == pad.ident or re.search(pattern, pad.name, re.IGNORECASE)
            for pattern in self.match
        )

    def to_json(self) -> str:
        """The file's text."""
        axes = {
            role: {"code": axis.code} | ({"invert": True} if axis.invert else {})
            for role, axis in self.axes.items()
        }
        contents = {"name": self.name, "match": list(self.match), "axes": axes, "buttons": dict(self.buttons)}
        return json.dumps(contents | {"erase_records": self.erase_records}, indent=2) + "\n"


def load_mapping(path: Path) -> PadMapping:
    """Reads a mapping file.

    Raises:
        ConfigError: it is missing or has a mistake; the message names the file, the key and what fits.
    """
    try:
        contents = parse_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: the gamepad's mapping cannot be read ({error.strerror}); make one: dingocar joystick"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}: is no JSON: {error}") from None
    return _Checker(path).mapping(contents)


def mapping_folders() -> list[Path]:
    """Where mappings are looked for: the car's own `pads/`, then the shipped ones."""
    car = car_folder()
    return [*([car / "pads"] if car else []), SHIPPED]


def known_mappings() -> list[PadMapping]:
    """All mappings, the car's own first, the shipped one for any pad last.

    Raises:
        ConfigError: a file has a mistake.
    """
    found = [load_mapping(path) for folder in mapping_folders() for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda mapping: mapping.path == SHIPPED / "generic.json")


def find_mapping(name: str) -> PadMapping:
    """The mapping that `name` means: a file (from the car's folder), or a name as in `xbox_usb`.

    Raises:
        ConfigError: there is none, or it has a mistake.
    """
    if name.endswith(".json"):
        return load_mapping((car_folder() or Path()) / Path(name).expanduser())
    paths = {path.stem: path for folder in reversed(mapping_folders()) for path in folder.glob("*.json")}
    if name not in paths:
        raise ConfigError(f"unknown gamepad mapping {name!r}{did_you_mean(name, paths)}")
    return load_mapping(paths[name])


def missing_axes(mapping: PadMapping, device: Any) -> list[str]:
    """The mapping's axes that the device does not have."""
    codes = evdev().ecodes
    there = device.capabilities(absinfo=False).get(codes.EV_ABS, [])
    return [axis.code for axis in mapping.axes.values() if codes.ecodes[axis.code] not in there]


def choose_mapping(mappings: Sequence[PadMapping], pad: PadInfo, device: Any) -> PadMapping | None:
    """The first mapping that is meant for the pad and whose axes it has; None: there is none.

    Pads of one name differ by their driver (an Xbox pad's triggers over Bluetooth): hence the axes.
    """
    fitting = (each for each in mappings if each.matches(pad) and not missing_axes(each, device))
    return next(fitting, None)


class _Checker:
    """Checks a mapping file's contents."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mapping(self, contents: Any) -> PadMapping:
        self._is_object(contents, "the file")
        self._keys(contents, "", ("name", "match", "axes", "buttons", "erase_records"), ("name", "axes"))
        name, erase_records = contents["name"], contents.get("erase_records", 100)
        if not isinstance(name, str) or not name:
            self._wrong("name", f"must be text, got {name!r}")
        if type(erase_records) is not int or not 1 <= erase_records <= 10_000:
            self._wrong("erase_records", f"must be a whole number, 1 to 10000; got {erase_records!r}")
        return PadMapping(
            name,
            self._match(contents.get("match", [])),
            self._axes(contents["axes"]),
            self._buttons(contents.get("buttons", {})),
            erase_records,
            self.path,
        )

    def _match(self, patterns: Any) -> tuple[str, ...]:
        if not isinstance(patterns, list) or not all(isinstance(each, str) for each in patterns):
            self._wrong("match", f"must be a list of texts, got {patterns!r}")
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                self._wrong("match", f"{pattern!r} is no regular expression: {error}")
        return tuple(patterns)

    def _axes(self, axes: Any) -> dict[str, Axis]:
        self._is_object(axes, "axes")
        self._keys(axes, "axes.", ROLES, ("steering",))
        if not {"throttle", "forward"} & set(axes):
            self._wrong("axes", "needs throttle (a stick) or forward (a trigger)")
        found = {}
        for role, axis in axes.items():
            key = f"axes.{role}"
            self._is_object(axis, key)
            self._keys(axis, f"{key}.", ("code", "invert"), ("code",))
            self._code(f"{key}.code", axis["code"], ("ABS_",))
            if not isinstance(axis.get("invert", False), bool):
                self._wrong(f"{key}.invert", f"must be true or false, got {axis['invert']!r}")
            found[role] = Axis(axis["code"], axis.get("invert", False))
        return found

    def _buttons(self, buttons: Any) -> dict[str, str]:
        self._is_object(buttons, "buttons")
        for button, action in buttons.items():
            if button.startswith("ABS_"):
                if button[-1] not in "+-":
                    self._wrong(f"buttons.{button}", f"an axis needs its side, {button}+ or {button}-")
                self._code(f"buttons.{button}", button[:-1], ("ABS_",))
            else:
                self._code(f"buttons.{button}", button, ("BTN_", "KEY_"))
            if not isinstance(action, str) or action not in ACTIONS:
                self._wrong(
                    f"buttons.{button}", f"unknown action {action!r}{did_you_mean(str(action), ACTIONS)}"
                )
        return dict(buttons)

    def _code(self, key: str, name: Any, prefixes: tuple[str, ...]) -> None:
        codes = evdev().ecodes.ecodes
        if not isinstance(name, str) or name not in codes or not name.startswith(prefixes):
            known = [each for each in codes if each.startswith(prefixes)]
            self._wrong(key, f"unknown code {name!r}{did_you_mean(str(name), known)}")

    def _keys(self, value: Any, prefix: str, known: Sequence[str], needed: Sequence[str]) -> None:
        for key in value:
            if key not in known:
                self._wrong(f"{prefix}{key}", f"unknown key{did_you_mean(key, known)}")
        for key in needed:
            if key not in value:
                self._wrong(f"{prefix}{key}", "is missing")

    def _is_object(self, value: Any, key: str) -> None:
        if not isinstance(value, dict):
            self._wrong(key, f"must be an object {{...}}, got {type(value).__name__}")

    def _wrong(self, key: str, what: str) -> NoReturn:
        raise ConfigError(f"{self.path}: {key}: {what}")
