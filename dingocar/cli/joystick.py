"""Make the mapping of a gamepad: move its sticks, press its buttons, try it

Usage:
    dingocar joystick [--device PATH] [--out FILE] [--json]
    dingocar joystick --list [--json]

Options:
    --device PATH   the pad's file, as in /dev/input/event5; without it the first pad found
    --out FILE      where the mapping goes; without it into the car's folder, pads/NAME.json
    --list          which pads there are, and by which mapping they would drive
    --json          print one JSON object
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dingocar.cli._common import note, optional_path, parse, show
from dingocar.errors import HardwareError, UsageError


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar joystick")
    if args["--list"]:
        rows = _listed()
        text = "\n".join(f"{row['path']}  {row['id']}  {row['name']}  {row['mapping']}" for row in rows)
        show({"pads": rows}, args["--json"], text)
        return 0
    from dingocar.parts.controllers._evdev import list_pads, no_pad_error

    wanted = optional_path(args["--out"], "--out")
    pads = [] if args["--device"] else list_pads()
    if not pads and not args["--device"]:
        raise no_pad_error()
    device = _open(args["--device"] or pads[0].path)
    try:
        out = _target(wanted, device.name)
        result = _ask(device, out)
    finally:
        device.close()
    show(result, args["--json"], f"{result['mapping']}: {result['name']}")
    return 0


def _listed() -> list[dict[str, str]]:
    """The pads, and the mapping of each."""
    from dingocar.parts.controllers._evdev import list_pads, no_pad_error
    from dingocar.parts.controllers._pads import choose_mapping, known_mappings

    pads, mappings = list_pads(), known_mappings()
    if not pads:
        raise no_pad_error()
    rows = []
    for pad in pads:
        device = _open(pad.path)
        mapping = choose_mapping(mappings, pad, device)
        device.close()
        path = str(mapping.path) if mapping else "none fits: dingocar joystick makes one"
        rows.append({"path": pad.path, "id": pad.ident, "name": pad.name, "mapping": path})
    return rows


def _open(path: str) -> Any:
    from dingocar.parts.controllers._evdev import PERMISSION_FIX, open_device

    try:
        return open_device(path)
    except PermissionError:
        raise HardwareError(f"{path}: cannot be read; {PERMISSION_FIX}") from None
    except OSError as error:
        raise HardwareError(
            f"{path}: is no gamepad that answers ({error.strerror or error}); see dingocar joystick --list"
        ) from None


def _target(wanted: Path | None, pad_name: str) -> Path:
    """Where the mapping goes."""
    from dingocar.parts.controllers._wizard import file_name
    from dingocar.registry import car_folder

    if wanted is not None:
        if wanted.is_dir() or not wanted.parent.is_dir():
            raise UsageError(f"--out {wanted}: name a file in a folder that exists")
        return wanted
    car = car_folder()
    if car is None:
        raise UsageError("joystick: there is no car here; cd to one, or say where to: --out FILE")
    return car / "pads" / file_name(pad_name)


def _ask(device: Any, out: Path) -> dict[str, Any]:
    """Asks, writes the file, and lets it be tried."""
    from dingocar.files import replace_file
    from dingocar.parts.controllers._wizard import Wizard

    wizard = Wizard(device, note, _keyboard())
    note(f"{device.name} ({device.path})")
    mapping = wizard.ask()
    out.parent.mkdir(exist_ok=True)
    replace_file(out, mapping.to_json())
    note(f"wrote {out}\nTry it; Enter ends")
    wizard.live(mapping, _show_line)
    note("")
    return {"mapping": str(out), "name": mapping.name}


def _keyboard() -> int:
    """Where Enter is read from."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed
        raise UsageError("joystick: it asks questions, so it needs a keyboard (stdin)") from None


def _show_line(text: str) -> None:
    """Shows a line in the place of the last one."""
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
