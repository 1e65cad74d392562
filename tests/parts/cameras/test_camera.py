"""What all cameras share: new pictures, ages, hangs, failures, shutdown."""

import logging
import math
import threading

import numpy as np
import pytest

from dingocar.errors import HardwareError, PartError, UsageError
from dingocar.parts.cameras._camera import fit
from dingocar.supervision import FreshnessWatch
from dingocar.vehicle import Vehicle
from tests.fakes.actuator import RecordingActuator
from tests.fakes.clock import FakeClock
from tests.parts.cameras.helpers import Scripted, Thread, reading


def picture(value, shape=(12, 16, 3)):
    return np.full(shape, value, np.uint8)


@pytest.fixture
def camera():
    return Scripted((12, 16), 20, FakeClock())


class TestAge:
    def test_is_infinite_before_the_first_picture(self, camera):
        assert camera.run_threaded() == (None, math.inf)

    def test_grows_from_the_last_picture_on(self, camera):
        with reading(camera):
            camera.give(picture(1))
            image, age_s = camera.run_threaded()
            assert age_s == 0 and (image == 1).all()
            camera._clock.time_s += 0.25
            assert camera.run_threaded()[1] == pytest.approx(0.25)
            camera.give(picture(2))
            image, age_s = camera.run_threaded()
            assert age_s == 0 and (image == 2).all() and camera.produced == 2

    def test_a_frozen_driver_gives_nothing_new(self, camera):
        with reading(camera):
            camera.give(picture(1))
            for _ in range(3):
                camera._clock.time_s += 0.1
                camera.give(picture(1))  # another array, the same content
            assert camera.produced == 1
            assert camera.run_threaded()[1] == pytest.approx(0.3)
            almost = picture(1)
            almost[11, 15, 2] = 2
            camera.give(almost)
            assert camera.produced == 2 and camera.run_threaded()[1] == 0

    def test_equal_pictures_are_new_where_no_sensor_is_behind_them(self, camera):
        camera.still = True
        with reading(camera):
            camera.give(picture(1))
            camera._clock.time_s += 0.1
            camera.give(picture(1))
            assert camera.produced == 2 and camera.run_threaded()[1] == 0


class TestFailures:
    @pytest.mark.parametrize(
        "wrong",
        [
            picture(0, (16, 12, 3)),
            picture(0, (12, 16)),
            picture(0, (12, 16, 4)),
            picture(0).astype(np.float32),
            "a picture",
        ],
        ids=["turned", "grey", "alpha", "float", "str"],
    )
    def test_what_is_no_picture_of_the_right_size_ends_the_thread(self, camera, wrong):
        thread = Thread(camera)
        thread.start()
        camera.script.append(wrong)
        camera.given.release()
        assert thread.ended()
        assert isinstance(thread.error, HardwareError)
        assert "expected pictures of uint8 (12, 16, 3)" in str(thread.error)
        assert camera.log == ["open", "close"] and camera.produced == 0

    def test_a_read_that_raises_ends_the_drive(self, camera):
        vehicle, actuator = Vehicle(), RecordingActuator()
        vehicle.add(camera, outputs=["cam/image_array", "cam/age_s"], threaded=True)
        vehicle.add(actuator, inputs=["cam/age_s", "cam/age_s"])
        camera.script.append(HardwareError("unplugged"))
        camera.given.release()
        with pytest.raises(PartError, match=r"thread.*unplugged"):
            vehicle.start(rate_hz=100, max_loop_count=2000)
        assert actuator.throttle == 0.0
        assert camera.log == ["open", "close"]

    def test_a_hung_read_ends_the_drive_and_holds_up_no_shutdown(self, camera, monkeypatch):
        vehicle = Vehicle()
        vehicle.add(camera, outputs=["cam/image_array", "cam/age_s"], threaded=True, max_age_s=0.05)
        monkeypatch.setattr(FreshnessWatch, "START_GRACE_S", 0.05)
        camera.PATIENCE_S = 0.05
        with pytest.raises(PartError, match="nothing new"):
            vehicle.start(rate_hz=100, max_loop_count=2000)
        assert "interrupt" in camera.log

    def test_what_cannot_be_opened_is_never_started(self):
        with pytest.raises(HardwareError, match="no cable"):
            Scripted(open_error=HardwareError("no cable"))

    @pytest.mark.parametrize("options", [((0, 16), 20), ((12, 16), 0), ((12, 16), math.nan)])
    def test_a_size_or_rate_of_nothing_is_refused(self, options):
        with pytest.raises(UsageError, match="above 0"):
            Scripted(*options)


class TestShutdown:
    def test_closes_in_the_thread_that_reads(self, camera):
        where = []
        camera.close = lambda: where.append(threading.current_thread())
        with reading(camera) as thread:
            camera.give(picture(1))
        assert where == [thread]

    def test_without_a_thread_closes_once(self, camera):
        camera.shutdown()
        camera.shutdown()
        camera.update()  # too late: reads nothing
        assert camera.log == ["open", "close"]

    def test_interrupts_a_read_that_hangs(self, camera):
        with reading(camera) as thread:
            camera.shutdown()
            assert thread.ended() and thread.error is None
        assert camera.log == ["open", "interrupt", "close"]

    def test_leaves_behind_what_cannot_be_interrupted(self, camera, caplog):
        camera.PATIENCE_S = 0.02
        camera.interrupt = lambda: None
        with caplog.at_level(logging.WARNING), reading(camera):
            camera.shutdown()
            assert "left behind" in caplog.text
            assert camera.log == ["open"]  # closing a device that is being read can crash the process
            camera.script.append(picture(1))
            camera.given.release()

    def test_the_last_picture_ends_the_thread_in_peace(self, camera):
        with reading(camera) as thread:
            camera.script.append(None)
            camera.given.release()
            assert thread.ended() and thread.error is None
        assert camera.log == ["open", "close"]


class TestPacing:
    def test_a_sensor_paces_itself(self, camera):
        with reading(camera):
            for value in range(5):
                camera.give(picture(value))
            assert camera._clock.waits == []

    def test_others_keep_to_the_rate(self, camera):
        camera.paced = True
        with reading(camera):
            for value in range(5):
                camera.give(picture(value))
            assert camera._clock.now_s() == pytest.approx(100 + 5 / 20)
            camera._clock.time_s += 10.0  # a slow read: not made up for by a burst
            for value in range(5):
                camera.give(picture(value))
            assert camera._clock.now_s() == pytest.approx(110.25 + 3 / 20)

    def test_a_slow_one_waits_in_short_steps(self):
        camera = Scripted((12, 16), 0.1, FakeClock())
        camera.paced = True
        with reading(camera):
            camera.give(picture(1))
            assert camera._clock.now_s() == pytest.approx(110)
            assert max(camera._clock.waits) <= 0.1


class TestFit:
    def test_scales_without_distortion(self):
        wide = np.zeros((90, 320, 3), np.uint8)
        wide[:, 100:220] = 200  # the middle 120 of 320 columns
        image = fit(wide, (120, 160))
        assert image.shape == (120, 160, 3) and image.dtype == np.uint8
        assert (image[:, 5:155] == 200).all()  # 4:3 of a height of 90 is 120 columns

    def test_cuts_a_tall_one_above_and_below(self):
        tall = np.zeros((400, 160, 3), np.uint8)
        tall[140:260] = 100
        assert (fit(tall, (120, 160)) == 100).all()

    def test_leaves_the_right_size_alone(self):
        image = picture(3)
        assert fit(image, (12, 16)) is image

    def test_result_can_be_drawn_on(self):
        fit(picture(3), (6, 8))[0, 0] = 5
