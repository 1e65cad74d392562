"""A lane of a Duckietown map: duckietown:<shipped map or .yaml file>, with ,cw or ,ccw for the direction."""

from __future__ import annotations

import os
from pathlib import Path

from dingocar.errors import MissingExtraError, TrackError, UnknownNameError, near_path
from dingocar.sim.tiles import TileMap, TileTrack

#: The maps that come with the library.
MAPS = Path(__file__).resolve().parents[1] / "maps"
#: Largest map file that is read: maps come from other people.
MAX_FILE_BYTES = 256 << 10
#: What a map must have, and what it is.
_NEEDED = {
    "tiles": "rows of tiles as straight/E or grass",
    "tile_size": "the side of a tile in metres; Duckietown's own is 0.585",
}
#: Longest text or number in a map.
MAX_SCALAR_CHARS = 1000


def build(argument: str | None) -> TileTrack:
    """Builds the right-hand lane of a map's longest loop.

    Args:
        argument: `loop`, `bends,cw`, `/path/to/map.yaml`; none: `loop`. `ccw` and `cw` ask for a direction;
            without, it is the one that makes the longer lap.

    Raises:
        UnknownNameError: no such map or direction.
        TrackError: there is no name between colon and comma; the file is no map, or has no closed loop.
        MissingExtraError: PyYAML is not installed.
    """
    argument = "loop" if argument is None else argument
    text, comma, direction = argument.rpartition(",")
    if not comma:
        text, direction = direction, ""
    elif direction not in ("cw", "ccw"):
        raise UnknownNameError("direction", direction, ("cw", "ccw"))
    if not text:
        raise TrackError(
            f"track duckietown:{argument}: expected a map's name ({', '.join(map_names())}) or a .yaml file "
            "after the colon, got nothing"
        )
    path = find_map(text)
    tiles = read_map(path)
    try:
        track = TileTrack(f"duckietown:{argument}", tiles, tiles.route())
    except TrackError as error:
        raise TrackError(f"{path}: {error}") from None
    if direction and track.anticlockwise != (direction == "ccw"):
        return track.reversed()
    return track


def map_names() -> list[str]:
    """The names of the shipped maps."""
    return sorted(path.stem for path in MAPS.glob("*.yaml"))


def find_map(name: str) -> Path:
    """The file of a shipped map's name, or of a path that ends in .yaml or .yml.

    Raises:
        UnknownNameError: neither.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(os.path.expanduser(name))
    if name not in map_names():
        raise UnknownNameError("Duckietown map", name, map_names())
    return MAPS / f"{name}.yaml"


def read_map(path: Path) -> TileMap:
    """Reads a map in gym-duckietown's format; its objects and start poses are left out.

    Raises:
        TrackError: no such file, or no map; names the tile.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("pyyaml", "duckietown", "reading a Duckietown map") from None
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise TrackError(f"{path}: no such map file{near_path(path)}") from None
    except OSError as error:
        raise TrackError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MAX_FILE_BYTES:
        raise TrackError(f"{path}: larger than {MAX_FILE_BYTES} bytes, no map of tiles; not read")
    try:
        for event in yaml.parse(content, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):  # a few of them in each other are gigabytes
                raise TrackError(f"{path}: aliases (*{event.anchor[:40]}) are not read; write the value out")
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR_CHARS:
                raise TrackError(f"{path}: a value is longer than {MAX_SCALAR_CHARS} characters; no map")
        data = yaml.safe_load(content)
    # The last three are what PyYAML lets through of its own for a wrong `!!int ""` or `!!timestamp x`.
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
        ArithmeticError,
        LookupError,
        AttributeError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrackError(f"{path}: not a YAML file ({reason})") from None
    for name, meaning in _NEEDED.items():
        if not isinstance(data, dict) or name not in data:
            raise TrackError(f"{path}: a map must have {name}, {meaning}")
    return TileMap.parse(data["tiles"], data["tile_size"], str(path))
