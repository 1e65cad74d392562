"""Against Donkeycar itself: set DINGOCAR_PEER_PYTHON to a Python that has donkeycar 5."""

import json
import os
import subprocess

import numpy as np
import pytest

from dingocar.images import decode_image
from dingocar.tub import TubWriter, open_tub
from dingocar.tub.check import check
from tests.tub.helpers import KEYS, TYPES, files, kinds, make_tub, picture, record

PEER = os.environ.get("DINGOCAR_PEER_PYTHON")
pytestmark = pytest.mark.skipif(not PEER, reason="DINGOCAR_PEER_PYTHON is not set")

READ = """
import hashlib, json, sys
import numpy as np
from PIL import Image
from donkeycar.parts.tub_v2 import Tub
tub = Tub(sys.argv[1], read_only=True)
found = []
for fields in tub:
    name = fields.get("cam/image_array")
    fields["pixels"] = name and hashlib.sha256(
        np.asarray(Image.open(sys.argv[1] + "/images/" + name)).tobytes()).hexdigest()
    fields["mean"] = name and float(np.asarray(Image.open(sys.argv[1] + "/images/" + name)).mean())
    found.append(fields)
print(json.dumps({"records": found, "len": len(tub), "metadata": tub.manifest.metadata}))
import os; sys.stdout.flush(); os._exit(0)
"""

WRITE = """
import sys
import numpy as np
from donkeycar.parts.tub_v2 import Tub
keys = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
types = ["image_array", "float", "float", "str"]
first, count, delete, length = map(int, sys.argv[2:])
tub = Tub(sys.argv[1], keys, types, ["location:garage"], max_catalog_len=length)
for index in range(first, first + count):
    image = np.full((12, 16, 3), index % 250, np.uint8)
    tub.write_record(dict(zip(keys, [image, index / 1000, 0.25, "user"])))
if delete:
    tub.delete_last_n_records(delete)
tub.close()
"""


def peer(code, *arguments):
    done = subprocess.run(
        [PEER, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def peer_read(folder):
    return json.loads(peer(READ, folder).splitlines()[-1])


def same_records(found, tub):
    assert len(found["records"]) == len(tub)
    for theirs, ours in zip(found["records"], tub, strict=True):
        assert {key: theirs[key] for key in theirs if key not in ("pixels", "mean")} == ours.fields
        np.testing.assert_allclose(theirs["mean"], ours.image().mean(), atol=0.5)


def test_donkeycar_reads_ours(tmp_path):
    make_tub(tmp_path, 25, max_records_per_catalog=10, metadata={"domain": "sim"})
    open_tub(tmp_path).delete([3, 24])
    found = peer_read(tmp_path)
    same_records(found, open_tub(tmp_path))
    assert found["len"] == 23 and found["metadata"] == {"domain": "sim"}


def test_we_read_donkeycars(tmp_path):
    peer(WRITE, tmp_path, 0, 25, 3, 10)
    tub = open_tub(tmp_path)
    assert not tub.problems and check(tmp_path).ok
    assert [item.index for item in tub] == list(range(22)) and tub.inputs == KEYS
    assert tub.metadata == {"location": "garage"} and len(tub.sessions) == 1
    same_records(peer_read(tmp_path), tub)


def test_both_append_in_turn(tmp_path):
    make_tub(tmp_path, 13, max_records_per_catalog=10)
    peer(WRITE, tmp_path, 13, 9, 2, 10)
    make_tub(tmp_path, 12, first=22)
    peer(WRITE, tmp_path, 34, 3, 0, 10)
    tub = open_tub(tmp_path)
    assert not tub.problems and check(tmp_path).ok
    assert [item.index for item in tub] == [*range(20), *range(22, 37)]
    assert [round(item.steering * 1000) for item in tub] == [item.index for item in tub]
    assert [name.rpartition("_")[2] for name in tub.sessions] == ["0", "1", "2", "3"]
    for item in tub:
        np.testing.assert_allclose(item.image(), picture(item.index), atol=2)
    same_records(peer_read(tmp_path), tub)


def test_the_same_session_gives_the_same_bytes(tmp_path):
    """All files but the clock's and the encoder's traces are equal."""
    peer(WRITE, tmp_path / "theirs", 0, 25, 3, 10)
    with TubWriter(
        tmp_path / "ours", KEYS, TYPES, {"location": "garage"}, max_records_per_catalog=10, on_full="wait"
    ) as tub:
        for index in range(25):
            tub.write(record(index))
        tub.erase_last(3)

    def comparable(folder):
        found = {}
        for path, raw in files(folder).items():
            if path.suffix == ".jpg":
                found[path.name] = decode_image(raw).round(-1).tobytes()
                continue
            lines = raw.decode().splitlines(keepends=True)
            assert all(line == json.dumps(json.loads(line)) + "\n" for line in lines)
            found[path.name] = [without_times(json.loads(line)) for line in lines]
        return found

    def without_times(value):
        if not isinstance(value, dict):
            return value
        return [(key, "time" if key in ("created_at", "_timestamp_ms") else value[key]) for key in value]

    assert comparable(tmp_path / "ours") == comparable(tmp_path / "theirs")


def test_donkeycar_reads_ours_after_a_kill(tmp_path):
    """What a kill leaves between two saves of the manifest: more lines than it has counted."""
    make_tub(tmp_path, 25, max_records_per_catalog=10)
    old = (tmp_path / "manifest.json").read_bytes(), (tmp_path / "catalog_2.catalog_manifest").read_bytes()
    make_tub(tmp_path, 3, first=25)
    (tmp_path / "manifest.json").write_bytes(old[0])
    (tmp_path / "catalog_2.catalog_manifest").write_bytes(old[1])
    assert "position" not in kinds(open_tub(tmp_path))
    assert len(peer_read(tmp_path)["records"]) == 28


def test_donkeycar_reads_the_words_of_two_recordings(tmp_path):
    make_tub(tmp_path, 5, metadata={"location": "garage"})
    make_tub(tmp_path, 5, first=5, metadata={"location": "street"})
    tub = open_tub(tmp_path)
    assert tub.metadata["sessions"] == {tub.sessions[1]: {"location": "street"}}
    same_records(peer_read(tmp_path), tub)


def test_donkeycar_reads_a_repaired_tub(tmp_path):
    make_tub(tmp_path, 25, max_records_per_catalog=10)
    open_tub(tmp_path).delete([20])
    path = tmp_path / "catalog_1.catalog"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{junk", *lines[5:]]))
    (tmp_path / "images" / "7_cam_image_array_.jpg").unlink()
    assert check(tmp_path, fix=True).ok
    same_records(peer_read(tmp_path), open_tub(tmp_path))
