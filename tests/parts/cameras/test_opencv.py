"""OpenCV: a real video file for the colours, a fake device for what goes wrong."""

import sys
import threading
import types

import numpy as np
import pytest

from dingocar.errors import HardwareError, MissingExtraError
from dingocar.parts.cameras import opencv
from dingocar.parts.cameras.opencv import OpenCvCamera
from tests.fakes.clock import FakeClock
from tests.parts.cameras.fake_picamera2 import scene
from tests.parts.cameras.helpers import Thread
from tests.parts.cameras.test_pi import assert_scene

cv2 = pytest.importorskip("cv2")


class FakeCapture:
    """What cv2.VideoCapture does with a device, in the hands of the test."""

    def __init__(self, index):
        self.index, self.opened, self.released = index, True, False
        self.settings, self.pictures, self.hangs = {}, [], None

    def isOpened(self):
        return self.opened

    def set(self, setting, value):
        self.settings[setting] = value
        return False

    def read(self):
        if self.hangs:
            self.hangs.wait()
        return self.pictures.pop(0) if self.pictures else (False, None)

    def release(self):
        self.released = True


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """A /dev with one camera, which is a fake."""
    monkeypatch.setattr(opencv, "DEVICES", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "video0").touch()
    (tmp_path / "video1").touch()
    return tmp_path


@pytest.fixture
def capture(devices, monkeypatch):
    capture = FakeCapture(0)
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: capture)
    return capture


@pytest.fixture
def video(tmp_path):
    """Eight pictures of 320x240, with losses small enough to tell the colours."""
    path = str(tmp_path / "scene.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 20, (320, 240))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no videos")
    for number in range(8):
        image = scene(240, 320)
        image[200:, 100:220] = 30 * number
        writer.write(image[..., ::-1])
    writer.release()
    return path


class TestVideoFile:
    def test_is_rgb_of_the_wanted_size(self, video):
        image = OpenCvCamera(video, (120, 160)).read()
        assert image.shape == (120, 160, 3) and image.dtype == np.uint8
        assert np.abs(image[60, 40].astype(int) - (200, 10, 20)).max() < 12
        assert np.abs(image[60, 120].astype(int) - (10, 20, 200)).max() < 12
        assert np.abs(image[10, 80].astype(int) - (20, 220, 30)).max() < 12

    @pytest.mark.parametrize(
        ("hflip", "vflip", "red", "top"),
        [(True, False, 120, 10), (False, True, 40, 110), (True, True, 120, 110)],
    )
    def test_flips(self, video, hflip, vflip, red, top):
        image = OpenCvCamera(video, (120, 160), hflip=hflip, vflip=vflip).read()
        assert image[60, red, 0] > 150 > 50 > image[60, red, 2]
        assert image[top, 80, 1] > 150

    def test_is_paced_and_ends(self, video):
        clock = FakeClock()
        camera = OpenCvCamera(video, (120, 160), 20, clock=clock)
        thread = Thread(camera)
        thread.start()
        assert thread.ended() and thread.error is None
        assert camera.produced == 8
        assert clock.now_s() == pytest.approx(100 + 8 / 20)

    def test_what_is_no_video_says_so(self, tmp_path):
        (tmp_path / "x.avi").write_bytes(b"nothing of the kind")
        with pytest.raises(HardwareError, match=r"x\.avi.*expected a video file"):
            OpenCvCamera(str(tmp_path / "x.avi"))
        with pytest.raises(HardwareError, match="there is no such file"):
            OpenCvCamera(str(tmp_path / "missing.avi"))


class TestDevice:
    def test_is_asked_for_size_and_rate_and_no_queue(self, capture):
        camera = OpenCvCamera(0, (120, 160), 25)
        assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 160
        assert capture.settings[cv2.CAP_PROP_FRAME_HEIGHT] == 120
        assert capture.settings[cv2.CAP_PROP_FPS] == 25
        assert capture.settings[cv2.CAP_PROP_BUFFERSIZE] == 1
        assert not camera.paced and not camera.still

    def test_what_it_gives_instead_is_scaled(self, capture):
        capture.pictures = [(True, scene(480, 640)[..., ::-1].copy())]
        image = OpenCvCamera(0).read()
        assert image.shape == (120, 160, 3)
        assert_scene(image)

    def test_grey_pictures_become_rgb(self, capture):
        capture.pictures = [(True, np.full((120, 160), 90, np.uint8))]
        assert (OpenCvCamera(0).read() == 90).all()

    def test_a_lost_picture_is_no_failure_three_are(self, capture):
        good = (True, np.zeros((120, 160, 3), np.uint8))
        capture.pictures = [(False, None), good, (False, None), (False, None), (False, None), good]
        camera = OpenCvCamera(0)
        camera.read()
        with pytest.raises(HardwareError, match=r"gives no pictures.*another program.*video0"):
            camera.read()

    def test_the_driver_s_own_error_is_told(self, capture, monkeypatch):
        def fails():
            raise cv2.error("no such ioctl")

        camera = OpenCvCamera(0)
        monkeypatch.setattr(capture, "read", fails)
        with pytest.raises(HardwareError, match=r"camera 0 failed.*ioctl"):
            camera.read()

    def test_unplugged_while_driving(self, capture, devices):
        camera = OpenCvCamera(0)
        (devices / "video0").unlink()
        with pytest.raises(HardwareError, match=r"there is no .*video0 \(there are video1;"):
            camera.read()

    def test_in_use(self, capture):
        capture.opened = False
        with pytest.raises(HardwareError, match=r"cannot be opened.*another program may hold.*fuser"):
            OpenCvCamera(0)

    def test_a_number_may_come_as_text(self, capture):
        assert OpenCvCamera("0").index == 0

    def test_no_such_number_names_those_there_are(self, devices):
        with pytest.raises(HardwareError, match=r"no .*video7 \(there are video0, video1; set CAMERA_INDEX"):
            OpenCvCamera(7)
        for path in devices.iterdir():
            path.unlink()
        with pytest.raises(HardwareError, match="there is none at all"):
            OpenCvCamera(0)
        with pytest.raises(HardwareError, match=r"there is no .*/video3"):
            OpenCvCamera(str(devices / "video3"))

    def test_no_permission_names_the_group(self, devices, monkeypatch):
        monkeypatch.setattr(opencv.os, "access", lambda *_: False)
        with pytest.raises(HardwareError, match="usermod -aG video"):
            OpenCvCamera(0)

    def test_a_hung_read_holds_up_no_shutdown(self, capture):
        camera = OpenCvCamera(0, clock=FakeClock())
        capture.hangs, camera.PATIENCE_S = threading.Event(), 0.02
        thread = Thread(camera)
        thread.start()
        while not camera._running:
            thread.join(0.01)
        camera.shutdown()
        assert not capture.released
        capture.hangs.set()
        assert thread.ended()
        assert capture.released


def test_missing_opencv_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"dingocar\[camera\]"):
        OpenCvCamera(0)


def test_opencv_that_needs_a_display_names_the_other_package(monkeypatch):
    class NoLibGl:
        def find_spec(self, name, path=None, target=None):
            if name == "cv2":
                raise ImportError("libGL.so.1: cannot open shared object file")
            return None

    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(sys, "meta_path", [NoLibGl(), *sys.meta_path])
    with pytest.raises(HardwareError, match=r"libGL.*opencv-python-headless"):
        OpenCvCamera(0)


def test_a_stream_that_does_not_open_asks_for_its_address(monkeypatch):
    capture = types.SimpleNamespace(isOpened=lambda: False)
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: capture)
    with pytest.raises(HardwareError, match="stream's address"):
        OpenCvCamera("rtsp://car.invalid/1")
