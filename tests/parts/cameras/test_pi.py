"""The Pi camera, against a picamera2 with the real one's byte order, alignment and padding."""

import sys

import numpy as np
import pytest

from dingocar.errors import HardwareError
from dingocar.parts.cameras.pi import PiCamera
from tests.fakes.clock import FakeClock
from tests.parts.cameras.fake_picamera2 import Bench
from tests.parts.cameras.helpers import TIMEOUT_S, Thread


@pytest.fixture
def bench(monkeypatch):
    bench = Bench()
    for name, module in bench.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    yield bench
    for camera in bench.made:
        camera.close()


def assert_scene(image, left=(200, 10, 20), right=(10, 20, 200)):
    """Red on the left, blue on the right, green at the top: RGB, and not turned."""
    height, width = image.shape[:2]
    assert image.dtype == np.uint8
    assert np.abs(image[height // 2, width // 4].astype(int) - left).max() <= 2
    assert np.abs(image[height // 2, 3 * width // 4].astype(int) - right).max() <= 2


class TestPictures:
    @pytest.mark.parametrize("shape", [(120, 160), (120, 161), (66, 200), (224, 224), (240, 320), (97, 129)])
    @pytest.mark.parametrize("padded", [False, True])
    def test_are_rgb_of_the_wanted_size(self, bench, shape, padded):
        bench.keeps_padding = padded
        image = PiCamera(shape).read()
        assert image.shape == (*shape, 3)
        assert_scene(image)
        assert (image[5, :10] == (20, 220, 30)).all()  # up is up
        assert not (image[:, -3:] == 77).all(axis=(0, 2)).any()  # no padding in it

    def test_are_scaled_when_the_sensor_gives_another_size(self, bench):
        bench.smallest = (320, 320)
        image = PiCamera((120, 160)).read()
        assert image.shape == (120, 160, 3)
        assert_scene(image)

    def test_flip(self, bench):
        image = PiCamera((120, 160), hflip=True, vflip=True).read()
        assert_scene(image, left=(10, 20, 200), right=(200, 10, 20))
        assert (image[-6] == (20, 220, 30)).all()
        assert not (PiCamera((120, 160), vflip=True).read()[5] == (20, 220, 30)).all()

    def test_are_new_to_the_base_class(self, bench):
        bench.unlimited = False
        camera = PiCamera(clock=FakeClock())
        thread = Thread(camera)
        thread.start()
        for _ in range(3):
            bench.pictures.release()
        wait_for(lambda: camera.produced == 3, bench)
        bench.frozen = True  # the driver repeats its last picture
        for _ in range(3):
            bench.pictures.release()
        wait_for(lambda: bench.pictures._value == 0, bench)
        camera.shutdown()
        assert thread.ended()
        assert camera.produced == 3


def wait_for(condition, bench):
    """Waits for what the camera's thread does (without a sleep: the fake's event is the pause)."""
    for _ in range(int(TIMEOUT_S * 100)):
        if condition():
            return
        bench.made[-1].cancelled.wait(0.01)
    raise AssertionError("did not happen")


def test_the_sensor_runs_at_the_rate_with_its_whole_view(bench):
    PiCamera((120, 160), rate_hz=25)
    config = bench.made[0].camera_configuration()
    assert config["controls"]["FrameDurationLimits"] == (40000, 40000)
    assert config["raw"]["size"] == (1640, 1232)
    assert config["main"]["size"] == (160, 120)
    assert config["queue"] is False
    PiCamera((97, 129))  # only even sizes are possible
    assert bench.made[1].camera_configuration()["main"]["size"] == (130, 98)


class TestFailures:
    def test_no_camera_names_the_cable(self, bench):
        bench.cameras = 0
        with pytest.raises(HardwareError, match=r"ribbon cable.*rpicam-hello --list-cameras"):
            PiCamera()

    def test_a_camera_in_use_says_who_to_ask(self, bench):
        bench.busy = True
        with pytest.raises(HardwareError, match=r"did not complete.*other program.*fuser"):
            PiCamera()

    def test_one_that_does_not_start_is_closed(self, bench):
        bench.start_error = RuntimeError("Failed to allocate")
        with pytest.raises(HardwareError, match=r"160x120 pixels at 20\.0 Hz.*allocate"):
            PiCamera()
        assert bench.made[0].closed

    def test_no_picamera2_names_apt_and_the_venv(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "picamera2", None)
        monkeypatch.setitem(sys.modules, "libcamera", None)
        with pytest.raises(HardwareError, match=r"apt install.*python3-picamera2.*--system-site-packages"):
            PiCamera()

    def test_a_system_package_for_numpy_1_names_the_fix(self, monkeypatch):
        class Old:
            def find_spec(self, name, path=None, target=None):
                if name in ("libcamera", "picamera2"):
                    raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")
                return None

        monkeypatch.setattr(sys, "meta_path", [Old(), *sys.meta_path])
        with pytest.raises(HardwareError, match="pip install --upgrade simplejpeg"):
            PiCamera()

    def test_a_capture_that_fails_is_told_with_the_fix(self, bench, monkeypatch):
        camera = PiCamera()

        def fails(name):
            raise RuntimeError("Camera frontend has timed out")

        monkeypatch.setattr(bench.made[0], "capture_array", fails)
        with pytest.raises(HardwareError, match=r"timed out.*ribbon cable"):
            camera.read()


class TestShutdown:
    def test_stops_the_sensor_even_when_no_picture_comes(self, bench):
        bench.unlimited = False
        camera = PiCamera()
        camera.PATIENCE_S = 0.1
        thread = Thread(camera)
        thread.start()
        assert bench.made[0].waiting.wait(TIMEOUT_S)
        camera.shutdown()
        assert thread.ended() and thread.error is None
        assert bench.made[0].closed_in is thread

    def test_interrupting_a_closed_one_does_nothing(self, bench):
        camera = PiCamera()
        camera.shutdown()
        camera.interrupt()
        assert bench.made[0].closed
