"""One browser and one simulated car for all tests of the page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "build" / "screenshots"
MAX_START_S = 40.0
#: Longest wait for anything on the page; it is a slow machine.
MAX_WAIT_MS = 10_000
DESKTOP = {"width": 1280, "height": 800}

# Run before the page's own scripts: keeps its sockets, can make a socket swallow what is sent without a
# word (half open), can lead new ones elsewhere, and can pretend that the page is hidden.
HANDLES = """
window.test = { sockets: [], swallow: false, path: null };
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(url) { super(window.test.path ?? url); window.test.sockets.push(this); }
  send(data) { if (!window.test.swallow) super.send(data); }
};
window.test.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  Object.defineProperty(document, "visibilityState", {
    configurable: true, get: () => hidden ? "hidden" : "visible" });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


def until(page, look, fits, timeout_s: float = MAX_WAIT_MS / 1000):
    """Looks until what is seen fits, and returns it; the page goes on living meanwhile."""
    end_s = time.monotonic() + timeout_s
    while True:
        seen = look()
        if fits(seen):
            return seen
        assert time.monotonic() < end_s, f"after {timeout_s:g} s still {seen!r}"
        page.wait_for_timeout(10)


class Car:
    """The simulated car in a process of its own.

    Attributes:
        url: of its page.
        folder: with its tub `data` and its `models`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "models").mkdir(parents=True)
        for name in ("bold.tflite", "careful.tflite"):
            (folder / "models" / name).write_bytes(b"")
        self._log = (folder / "log.txt").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.car", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        killer = threading.Timer(MAX_START_S, self._process.kill)
        killer.start()
        line = self._process.stdout.readline()
        killer.cancel()
        assert line, (folder / "log.txt").read_text()
        self.url = json.loads(line)

    def order(self, line: str) -> list[list[float]]:
        """Sends a line to the car; returns what reached its motors: monotonic seconds, steering, throttle."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def moved_after(self, moment_s: float, until_s: float = 0.4) -> float:
        """For how many seconds after a moment of the monotonic clock there was throttle at the motors.

        Waits until that can be said, at least `until_s`.
        """
        trace: list[list[float]] = []
        while not trace or trace[-1][0] < moment_s + until_s:
            trace = self.order("trace")
        return max([0.0, *(when - moment_s for when, _, throttle in trace if throttle != 0)])

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process.stdout.close()
        self._log.close()


def _launch(playwright):
    """A headless Chromium: what DINGOCAR_CHROMIUM names, else playwright's own, else an installed one."""
    named = os.environ.get("DINGOCAR_CHROMIUM")
    installed = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    # Chromium's sandbox does not work for root.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    complaint = ""
    for path in [named] if named else [None, *filter(None, installed)]:
        try:
            return playwright.chromium.launch(executable_path=path, args=arguments)
        except playwright_error() as error:
            complaint = str(error).splitlines()[0]
    pytest.skip(
        f"no Chromium that starts ({complaint}): install it, run `playwright install chromium`, or set "
        "DINGOCAR_CHROMIUM to it"
    )


def playwright_error():
    """Playwright's exception; imported late because the package may be missing."""
    from playwright.sync_api import Error

    return Error


@pytest.fixture(scope="package")
def browser():
    """One browser for all tests."""
    for package in ("playwright", "starlette", "uvicorn", "websockets"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'dingocar[dev]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = _launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def the_car(browser, tmp_path_factory):
    car = Car(tmp_path_factory.mktemp("browser") / "car")
    yield car
    car.close()


@pytest.fixture
def car(the_car):
    """The car, at rest on the oval's first straight."""
    the_car.order("place 0.3")
    return the_car


class Complaints(list):
    """What the pages said on their consoles; parts of what is `expected` are no complaints."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[str] = []

    def listen(self, page) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda said: self.append(said.text) if said.type == "error" else None)

    def check(self) -> None:
        bad = [said for said in self if not any(part in said for part in self.expected)]
        self.clear()
        self.expected.clear()
        assert bad == []


def _new_page(browser, complaints, **options):
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    context.add_init_script(HANDLES)
    page = context.new_page()
    page.set_default_timeout(MAX_WAIT_MS)
    complaints.listen(page)
    return page


def _go(page, url: str, wait: bool) -> None:
    page.goto(url)
    if wait:
        page.wait_for_selector("#link[data-tone=good]")
        page.wait_for_selector("#no-picture", state="hidden")


@pytest.fixture
def complaints(all_complaints):
    """Whatever a page complains of on its console fails the test."""
    yield all_complaints
    all_complaints.check()


@pytest.fixture(scope="package")
def all_complaints():
    return Complaints()


@pytest.fixture
def open_page(browser, car, complaints):
    """Opens pages of the car, each in a window of its own."""
    pages = []

    def open_one(path: str = "", **options):
        pages.append(_new_page(browser, complaints, **options))
        _go(pages[-1], car.url + path, wait=not path)
        return pages[-1]

    yield open_one
    for page in pages:
        page.context.close()


@pytest.fixture(scope="package")
def desktop(browser, all_complaints):
    return _new_page(browser, all_complaints)


@pytest.fixture
def page(desktop, car, complaints):
    """The drive page on a desktop, loaded anew for each test in the same window."""
    _go(desktop, car.url, wait=True)
    yield desktop
    for key in ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"):
        desktop.keyboard.up(key)
    desktop.evaluate("sessionStorage.clear()")
    desktop.goto("about:blank")
