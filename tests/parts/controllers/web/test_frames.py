"""Pictures pass from one process to the other whole."""

import os
import threading

import numpy as np

from dingocar.parts.controllers.web._frames import Frames


def picture(value, shape=(120, 160, 3)):
    return np.full(shape, value, np.uint8)


def test_what_is_written_is_read(request):
    car = Frames.make((120, 160))
    request.addfinalizer(car.close)
    server = Frames(os.dup(car.descriptor))
    request.addfinalizer(server.close)
    assert server.read() is None
    image = np.random.default_rng(1).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    assert car.write(image)
    assert np.array_equal(server.read(), image)
    assert car.write(image[:60, ::2])  # a smaller one, and not contiguous
    assert np.array_equal(server.read(), image[:60, ::2])
    assert server.count == 2


def test_what_does_not_fit_is_not_written(request):
    frames = Frames.make((120, 160))
    request.addfinalizer(frames.close)
    for image in (
        picture(1, (121, 160, 3)),
        picture(1, (120, 160)),
        picture(1).astype(float),
        picture(1)[:0],
    ):
        frames.write(image)
        assert frames.read() is None


def test_the_server_says_how_many_look(request):
    car = Frames.make((12, 16))
    request.addfinalizer(car.close)
    server = Frames(os.dup(car.descriptor))
    request.addfinalizer(server.close)
    server.viewers = 3
    assert car.viewers == 3


def test_nothing_is_left_on_the_disk():
    frames = Frames.make((12, 16))
    assert os.fstat(frames.descriptor).st_nlink == 0
    frames.close()
    frames.close()


def test_no_picture_is_torn(request):
    car = Frames.make((120, 160))
    request.addfinalizer(car.close)
    server, ended = Frames(os.dup(car.descriptor)), threading.Event()
    request.addfinalizer(server.close)

    def write():
        for count in range(3000):
            car.write(picture(count % 251))
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while not ended.is_set():
        image = server.read()
        if image is not None:
            assert (image == image[0, 0, 0]).all()
            seen += 1
    thread.join()
    assert seen
