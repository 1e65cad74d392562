"""Drives a camera by hand."""

import contextlib
import threading

from dingocar.parts.cameras._camera import Camera

TIMEOUT_S = 20.0


class Scripted(Camera):
    """A camera that reads what the test gives it; each read is asked for, and waited for."""

    def __init__(self, *args, open_error=None, **options):
        self.script, self.asked, self.given = [], threading.Semaphore(0), threading.Semaphore(0)
        self.log, self.interrupted = [], threading.Event()
        self.open_error = open_error
        super().__init__(*args, **options)

    def open(self):
        self.log.append("open")
        if self.open_error:
            raise self.open_error

    def read(self):
        self.asked.release()
        self.given.acquire()
        item = self.script.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def interrupt(self):
        self.log.append("interrupt")
        self.script.append(RuntimeError("interrupted"))
        self.given.release()

    def close(self):
        self.log.append("close")

    def give(self, item):
        """Lets one read return, and waits until what came of it is published."""
        self.script.append(item)
        self.given.release()
        assert self.asked.acquire(timeout=TIMEOUT_S)


class Thread(threading.Thread):
    """Runs `update` and keeps what it raised."""

    def __init__(self, camera):
        super().__init__(target=self._update, daemon=True)
        self.camera, self.error = camera, None

    def _update(self):
        try:
            self.camera.update()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def ended(self):
        self.join(TIMEOUT_S)
        return not self.is_alive()


@contextlib.contextmanager
def reading(camera):
    """A thread that is in its first read."""
    camera.PATIENCE_S = 0.05
    thread = Thread(camera)
    thread.start()
    assert camera.asked.acquire(timeout=TIMEOUT_S)
    try:
        yield thread
    finally:
        camera.shutdown()
        assert thread.ended()
