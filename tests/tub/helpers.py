"""Small tubs for the tests."""

import json

import numpy as np

from dingocar.tub import TubWriter

KEYS = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
TYPES = ["image_array", "float", "float", "str"]


def picture(index):
    """A picture of one colour that tells the index."""
    return np.full((12, 16, 3), index % 250, np.uint8)


def record(index):
    return dict(zip(KEYS, [picture(index), index / 1000, 0.25, "user"], strict=True))


def make_tub(folder, count=10, first=0, **options):
    options = {"on_full": "wait", **options}
    with TubWriter(folder, KEYS, TYPES, **options) as writer:
        for index in range(first, first + count):
            writer.write(record(index))
    return folder


def edit_tail(folder, **changes):
    """Changes entries of the manifest's fifth line."""
    path = folder / "manifest.json"
    lines = path.read_text().splitlines()
    lines[4] = json.dumps({**json.loads(lines[4]), **changes})
    path.write_text("\n".join(lines) + "\n")


def edit_catalog(folder, change, name="catalog_0.catalog"):
    """Replaces the lines of a catalog by `change(lines)`; lines are bytes with their newline."""
    path = folder / name
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def kinds(tub):
    return [problem.kind for problem in tub.problems]


def files(folder):
    """All files below a folder with their bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_legacy(folder, count=5):
    """A tub v1 as Donkeycar 3 leaves it; its first record is 1, and 3 is excluded."""
    folder.mkdir(exist_ok=True)
    meta = {"inputs": KEYS, "types": TYPES, "start": 1600000000.0, "location": "garage"}
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "exclude.json").write_text("[3]")
    from dingocar.images import encode_jpeg

    for index in range(1, count + 1):
        name = f"{index}_cam-image_array_.jpg"
        (folder / name).write_bytes(encode_jpeg(picture(index)))
        fields = {
            "cam/image_array": name,
            "user/angle": index / 10,
            "user/throttle": 0.3,
            "user/mode": "user",
            "milliseconds": 50 * index,
        }
        (folder / f"record_{index}.json").write_text(json.dumps(fields))
    return folder
