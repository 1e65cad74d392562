import logging

import numpy as np
import pytest
from PIL import Image

from dingocar.errors import ImageError, TubError, UsageError
from dingocar.parts.cameras.replay import ReplayCamera
from dingocar.tub import open_tub
from tests.fakes.clock import FakeClock
from tests.parts.cameras.helpers import Thread
from tests.tub.helpers import make_legacy, make_tub


@pytest.fixture
def folder(tmp_path):
    """Pictures 1, 2 and 10, each of a grey of ten times its number."""
    for name in ("10.png", "2.png", "1.PNG"):
        value = int(name.split(".")[0]) * 10
        image = np.full((12, 16, 3), value, np.uint8)
        image[:, 8:] = (value, 0, 200)
        Image.fromarray(image).save(tmp_path / name, format="png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def values(camera, n):
    return [None if (image := camera.read()) is None else int(image[0, 0, 0]) for _ in range(n)]


def test_a_folder_in_natural_order_again_and_again(folder):
    assert values(ReplayCamera(folder, (12, 16)), 7) == [10, 20, 100, 10, 20, 100, 10]


def test_ends_when_told_to(folder):
    assert values(ReplayCamera(folder, (12, 16), loop=False), 5) == [10, 20, 100, None, None]


def test_pictures_are_rgb_and_scaled(folder):
    image = ReplayCamera(folder, (24, 32)).read()
    assert image.shape == (24, 32, 3) and image.dtype == np.uint8
    assert tuple(image[5, 30]) == (10, 0, 200)


@pytest.mark.parametrize("make", [make_tub, make_legacy])
def test_a_tub_in_the_order_of_its_records(tmp_path, make):
    make(tmp_path / "tub", 12)
    tub = open_tub(tmp_path / "tub")
    tub.delete(tub[1].index)
    expected = [record.image()[0, 0, 0] for record in tub]
    assert values(ReplayCamera(tmp_path / "tub", (12, 16), loop=False), len(expected)) == expected
    assert len(expected) == len(tub)


def test_a_broken_picture_is_left_out(folder, caplog):
    (folder / "2.png").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        assert values(ReplayCamera(folder, (12, 16)), 3) == [10, 100, 10]
    assert "2.png: cannot be decoded" in caplog.text


@pytest.mark.parametrize("loop", [True, False])
def test_nothing_but_broken_pictures_is_an_error_and_no_endless_loop(folder, loop):
    for path in folder.glob("*.[pP]*"):
        path.write_bytes(b"broken")
    with pytest.raises(ImageError, match="not one of its 3 pictures"):
        ReplayCamera(folder, (12, 16), loop=loop).read()


def test_mistakes(tmp_path, folder):
    with pytest.raises(UsageError, match="no such folder"):
        ReplayCamera(tmp_path / "nothing")
    with pytest.raises(UsageError, match="is a file"):
        ReplayCamera(folder / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TubError, match="is no tub"):
        ReplayCamera(tmp_path / "empty")


def test_drives_a_thread_at_the_rate(folder):
    clock = FakeClock()
    camera = ReplayCamera(folder, (12, 16), 20, loop=False, clock=clock)
    thread = Thread(camera)
    thread.start()
    assert thread.ended() and thread.error is None
    assert camera.produced == 3
    assert clock.now_s() == pytest.approx(100 + 3 / 20)


def test_real_recordings(shared_data):
    camera = ReplayCamera(shared_data / "real_warehouse")
    assert len(camera.files) == 1000
    assert camera.read().shape == (120, 160, 3)
