"""picamera2 and libcamera as far as a camera part uses them, with their byte order, alignment and padding.

The sensor sees a scene that is red on the left, blue on the right and has a green strip along the top; the
number of the picture is in its last pixel, so that no two are equal.
"""

import atexit
import threading
import types
from concurrent.futures import CancelledError

import numpy as np


class Transform:
    def __init__(self, hflip=0, vflip=0):
        self.hflip, self.vflip = bool(hflip), bool(vflip)


def scene(height, width):
    """uint8 (H, W, 3) RGB."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (200, 10, 20)
    image[:, width // 2 :] = (10, 20, 200)
    image[: height // 4] = (20, 220, 30)
    return image


class Bench:
    """One computer with its cameras: what the tests set and look at."""

    def __init__(self):
        self.cameras = 1
        self.busy = False
        self.start_error = None
        self.smallest = None  # libcamera adjusts a smaller size to this one
        self.keeps_padding = False  # as older versions do
        self.frozen = False
        self.pictures = threading.Semaphore(0)  # the sensor has one ready
        self.unlimited = True
        self.made = []

    def modules(self):
        """What to put into `sys.modules`."""
        bench = self

        class Picamera2(_Picamera2):
            def __init__(self, camera_num=0):
                super().__init__(bench, camera_num)

        picamera2 = types.ModuleType("picamera2")
        picamera2.Picamera2 = Picamera2
        libcamera = types.ModuleType("libcamera")
        libcamera.Transform = Transform
        return {"picamera2": picamera2, "libcamera": libcamera}


class _Picamera2:
    def __init__(self, bench, camera_num):
        # As in the real one the list of cameras is indexed before anything else.
        [*range(bench.cameras)][camera_num]
        if bench.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.bench = bench
        self.sensor_resolution = (3280, 2464)
        self.camera_config = None
        self.started = self.closed = False
        self.closed_in = None
        self.cancelled = threading.Event()
        self.waiting = threading.Event()
        self.count = 0
        bench.made.append(self)
        atexit.register(self.close)

    def create_video_configuration(
        self, main=None, raw=None, transform=None, buffer_count=6, controls=None, queue=True
    ):
        assert set(main) <= {"size", "format", "preserve_ar"}
        main = {"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True} | main
        main["size"] = tuple(n - n % 2 for n in main["size"])
        controls = {"FrameDurationLimits": (33333, 33333)} | (controls or {})
        config = {"main": main, "raw": raw, "transform": transform or Transform()}
        return config | {"buffer_count": buffer_count, "controls": controls, "queue": queue}

    def configure(self, config):
        for stream in (config["main"], config["raw"]):
            width, height = stream["size"]
            assert isinstance(stream["size"], tuple) and not width % 2 and not height % 2
        assert isinstance(config["transform"], Transform)
        main = dict(config["main"])
        if self.bench.smallest:
            main["size"] = tuple(max(pair) for pair in zip(main["size"], self.bench.smallest, strict=True))
        main["stride"] = -(-main["size"][0] * 3 // 64) * 64
        self.camera_config = config | {"main": main}

    def camera_configuration(self):
        return self.camera_config

    def start(self):
        if self.bench.start_error:
            raise self.bench.start_error
        self.started = True

    def capture_array(self, name="main"):
        assert name == "main" and self.started and not self.closed
        self.waiting.set()
        if not self.bench.unlimited:
            while not self.bench.pictures.acquire(timeout=0.01):
                if self.cancelled.is_set():
                    raise CancelledError
        config = self.camera_config
        width, height = config["main"]["size"]
        image = scene(height, width)
        if config["transform"].hflip:
            image = image[:, ::-1]
        if config["transform"].vflip:
            image = image[::-1]
        image = image.copy()
        self.count += not self.bench.frozen
        image[-1, -1] = self.count % 256
        # The names are those of a little-endian word: "RGB888" lies as B, G, R in memory.
        if config["main"]["format"] == "RGB888":
            image = image[..., ::-1]
        elif config["main"]["format"] != "BGR888":
            raise AssertionError(f"the fake has no {config['main']['format']}")
        if self.bench.keeps_padding:
            wide = config["main"]["stride"] // 3
            image = np.pad(image, ((0, 0), (0, wide - width), (0, 0)), constant_values=77)
        return np.ascontiguousarray(image)

    def cancel_all_and_flush(self):
        self.cancelled.set()

    def close(self):
        atexit.unregister(self.close)
        self.started, self.closed = False, True
        self.closed_in = threading.current_thread()
