"""Tubs as arrays: broken pictures are left out, the file cache holds what memory would."""

import json
import os
import threading

import numpy as np
import pytest

from dingocar.errors import TrainingError
from dingocar.images import decode_image
from dingocar.training import cache
from dingocar.training.cache import CacheLimits, load_pictures
from dingocar.training.dataset import load_dataset

from .conftest import HEIGHT, WIDTH, write_tub

SIZE = (HEIGHT, WIDTH)


def pictures_of(tub):
    return sorted((tub / "images").iterdir(), key=lambda path: int(path.name.split("_")[0]))


def on_disk(tmp_path, **more):
    return CacheLimits(ram_bytes=0, folder=tmp_path / "cache", **more)


def test_pictures_and_columns_are_the_tubs(tub):
    data = load_dataset([tub], SIZE)
    assert len(data) == 120
    assert data.images.shape == (120, HEIGHT, WIDTH, 3)
    for i in (0, 77, 119):
        assert np.array_equal(data.images[i], decode_image(pictures_of(tub)[i]))
    np.testing.assert_allclose(data.columns["user/angle"], np.sin(np.arange(120) / 7) * 0.9, 1e-6)
    assert data.columns["user/angle"].dtype == np.float32


def test_the_arrays_cannot_be_written_to(tub, tmp_path):
    for limits in (None, on_disk(tmp_path)):
        data = load_dataset([tub], SIZE, limits)
        with pytest.raises(ValueError, match="read-only"):
            data.images[0, 0, 0] = 1
        with pytest.raises(ValueError, match="read-only"):
            data.columns["user/angle"][0] = 1


def test_tubs_sessions_and_domains_are_kept(tmp_path):
    sim = write_tub(tmp_path / "a", 30, sessions=3, metadata={"domain": "sim"})
    flagged = write_tub(tmp_path / "b", 10, extra={"is-simulated": [False] * 10})
    data = load_dataset([sim, flagged], SIZE)
    assert data.tub_numbers.tolist() == [0] * 30 + [1] * 10
    assert data.runs.tolist() == [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10
    assert data.domains.tolist() == ["sim"] * 30 + ["real"] * 10
    assert [use.records for use in data.tubs] == [30, 10]
    assert data.tubs[0].hash != data.tubs[1].hash


def test_number_channels_become_columns_where_all_records_have_them(tmp_path):
    extra = {"enc/speed": list(range(10)), "imu/gyr_z": [0.5] * 9 + [None]}
    data = load_dataset([write_tub(tmp_path / "a", 10, extra=extra)], SIZE)
    assert data.columns["enc/speed"].tolist() == list(range(10))
    assert "imu/gyr_z" not in data.columns


def test_broken_pictures_are_skipped_and_counted(tub, tmp_path):
    paths = pictures_of(tub)
    whole = load_dataset([tub], SIZE)
    paths[3].unlink()
    paths[50].write_bytes(paths[50].read_bytes()[:200])
    paths[119].write_bytes(b"no picture")
    good = np.delete(np.arange(120), [3, 50, 119])
    for limits in (None, on_disk(tmp_path)):
        data = load_dataset([tub], SIZE, limits)
        assert data.skipped == 3
        assert len(data.problems) == 3
        assert np.array_equal(data.images, whole.images[good])
        assert np.array_equal(data.columns["user/angle"], whole.columns["user/angle"][good])


def test_the_first_broken_pictures_are_told_whoever_decodes_them_first(tub, monkeypatch):
    paths = pictures_of(tub)
    for i in (3, 119):
        paths[i].write_bytes(b"no picture")
    later = threading.Event()
    decode_into = cache._decode_into

    def decode_the_last_first(out, path):
        if path == paths[3]:
            later.wait(5)
        try:
            decode_into(out, path)
        finally:
            if path == paths[119]:
                later.set()

    monkeypatch.setattr(cache, "_decode_into", decode_the_last_first)
    problems = load_dataset([tub], SIZE).problems
    assert [problem.split(":")[0] for problem in problems] == [str(paths[3]), str(paths[119])]


def test_records_without_a_finite_label_are_skipped(tmp_path):
    tub = write_tub(tmp_path / "a", 20, extra={"user/angle": [None, None] + [2.0] * 18})
    data = load_dataset([tub], SIZE)
    assert data.skipped == 2
    assert data.columns["user/angle"].max() == 1.0
    assert len(load_dataset([tub], SIZE, required=())) == 20


def test_nothing_usable_is_one_clear_error(tub, tmp_path):
    for path in pictures_of(tub):
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match="none of the 120 pictures"):
        load_dataset([tub], SIZE)
    with pytest.raises(TrainingError, match="no records"):
        load_dataset([write_tub(tmp_path / "empty", 0)], SIZE)
    with pytest.raises(TrainingError, match="at least one tub"):
        load_dataset([])
    blind = write_tub(tmp_path / "blind", 5, extra={"user/throttle": [None] * 5})
    with pytest.raises(TrainingError, match="none of the 5 records has a number"):
        load_dataset([blind], SIZE)


def test_the_file_cache_equals_memory_and_is_used_again(tub, tmp_path):
    paths = pictures_of(tub)
    memory = load_pictures(paths, SIZE)
    first = load_pictures(paths, SIZE, on_disk(tmp_path))
    second = load_pictures(paths, SIZE, on_disk(tmp_path))
    assert (first.reused, second.reused) == (False, True)
    for found in (first, second):
        assert np.array_equal(found.images, memory.images)
        assert np.array_equal(found.usable, memory.usable)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_changed_picture_or_size_is_another_entry(tub, tmp_path):
    paths = pictures_of(tub)
    load_pictures(paths, SIZE, on_disk(tmp_path))
    assert not load_pictures(paths, (12, 16), on_disk(tmp_path)).reused
    paths[0].write_bytes(paths[9].read_bytes() + b" ")
    changed = load_pictures(paths, SIZE, on_disk(tmp_path))
    assert not changed.reused
    assert np.array_equal(changed.images[0], changed.images[9])


@pytest.mark.parametrize("damage", ["meta.json", "pictures.npy"])
def test_a_damaged_cache_entry_is_made_anew(tub, tmp_path, damage):
    paths = pictures_of(tub)
    memory = load_pictures(paths, SIZE)
    load_pictures(paths, SIZE, on_disk(tmp_path))
    (entry,) = (tmp_path / "cache").iterdir()
    content = (entry / damage).read_bytes()
    (entry / damage).write_bytes(content[: len(content) // 2])
    again = load_pictures(paths, SIZE, on_disk(tmp_path))
    assert not again.reused
    assert np.array_equal(again.images, memory.images)
    assert load_pictures(paths, SIZE, on_disk(tmp_path)).reused


def test_the_longest_unused_entries_make_room(tmp_path):
    limits = on_disk(tmp_path, disk_bytes=2 * 30 * HEIGHT * WIDTH * 3 + 10_000)
    lists = [pictures_of(write_tub(tmp_path / f"t{i}", 30, seed=i)) for i in range(3)]
    for age, paths in zip((300, 200), lists, strict=False):
        load_pictures(paths, SIZE, limits)
        newest = max((tmp_path / "cache").iterdir(), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (newest.stat().st_atime - age, newest.stat().st_mtime - age))
    load_pictures(lists[2], SIZE, limits)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert load_pictures(lists[1], SIZE, limits).reused
    with pytest.raises(TrainingError, match="cache_disk_mb"):
        load_pictures(lists[0], SIZE, on_disk(tmp_path, disk_bytes=1000))


def test_a_cache_folder_that_cannot_be_made_is_an_error(tub, tmp_path):
    (tmp_path / "file").write_text("")
    limits = CacheLimits(ram_bytes=0, folder=tmp_path / "file")
    with pytest.raises(TrainingError, match="set cache_folder"):
        load_pictures(pictures_of(tub), SIZE, limits)


def test_large_pictures_are_scaled_down(tmp_path):
    tub = write_tub(tmp_path / "large", 4, size=(8 * HEIGHT, 8 * WIDTH))
    data = load_dataset([tub], SIZE)
    for image, path in zip(data.images, pictures_of(tub), strict=True):
        wanted = decode_image(path, SIZE).astype(float)
        assert np.abs(image - wanted).mean() < 3


def test_a_picture_file_outside_the_tub_is_not_read(tmp_path):
    names = ["../../secret.jpg"] + [f"{i}_cam_image_array_.jpg" for i in range(1, 10)]
    tub = write_tub(tmp_path / "a", 10, extra={"cam/image_array": names})
    (tmp_path / "secret.jpg").write_bytes((tub / "images" / names[1]).read_bytes())
    assert load_dataset([tub], SIZE).skipped == 1


def test_the_hash_follows_the_labels(tub):
    before = load_dataset([tub], SIZE).tubs[0].hash
    lines = (tub / "catalog_0.catalog").read_text().splitlines()
    fields = json.loads(lines[5])
    fields["user/angle"] = 0.123
    lines[5] = json.dumps(fields, sort_keys=True)
    (tub / "catalog_0.catalog").write_text("\n".join(lines) + "\n")
    assert load_dataset([tub], SIZE).tubs[0].hash != before
