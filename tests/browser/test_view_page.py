"""The live view's page in a browser: it shows the world, and its controls do what they say."""

import subprocess
import sys
import threading

import pytest

from tests.browser.conftest import Complaints, until

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}


@pytest.fixture(scope="module")
def url(browser):
    words = ["sim", "view", "--track", "oval", "--randomisation", "mild", "--port", "0", "--no-browser"]
    command = [sys.executable, "-c", f"from dingocar.cli.main import main; exit(main({words}))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        killer = threading.Timer(40, process.kill)
        killer.start()
        line = process.stdout.readline().strip()
        killer.cancel()
        assert line.startswith("http://127.0.0.1:")
        yield line
        process.terminate()


@pytest.fixture
def open_view(browser, url):
    """Opens the page; whatever it complains of on its console fails the test."""
    contexts, complaints = [], Complaints()

    def open_one(**options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        complaints.listen(page)
        page.goto(url)
        page.wait_for_selector("#link[data-tone=good]")
        until(page, lambda: page.inner_text("#who"), lambda who: who in ("expert", "you"))
        return page

    yield open_one
    for context in contexts:
        context.close()
    complaints.check()


def number(page, what):
    return float(page.inner_text(f"#{what}").replace("−", "-"))


def pixels(page, canvas):
    """How many different colours a canvas shows."""
    return page.evaluate(
        """(name) => {
          const canvas = document.getElementById(name);
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return new Set(new Uint32Array(data.buffer)).size;
        }""",
        canvas,
    )


def test_it_shows_the_car_driving(open_view):
    page = open_view()
    first = number(page, "time_s")
    until(page, lambda: number(page, "time_s"), lambda time_s: time_s > first)
    until(page, lambda: number(page, "speed_mps"), lambda speed: speed > 0.3)
    assert pixels(page, "camera") > 100 and pixels(page, "overlay") > 3 and pixels(page, "trace") > 2
    until(
        page,
        lambda: page.evaluate("document.getElementById('plan').naturalWidth"),
        lambda width: width == 960,
    )
    assert "oval" in page.inner_text("#title") and page.locator(".parameter").count() > 40


def test_pause_step_and_new_episode(open_view):
    page = open_view()
    page.click("#pause")
    until(page, lambda: page.inner_text("#pause"), lambda text: text == "Go on")
    choices = page.inner_text("#choices")
    page.keyboard.press("n")
    until(page, lambda: page.inner_text("#choices"), lambda text: text != choices)
    for _ in range(10):
        page.keyboard.press(".")
    until(page, lambda: number(page, "time_s"), lambda time_s: time_s == 0.5)
    page.keyboard.press(".")
    page.keyboard.press(".")
    until(page, lambda: number(page, "time_s"), lambda time_s: time_s == 0.6)
    page.wait_for_timeout(300)  # nothing comes while it stands, so there is nothing else to wait for
    assert number(page, "time_s") == 0.6
    page.click("#pause")
    until(page, lambda: page.inner_text("#pause"), lambda text: text == "Pause")


def test_the_first_arrow_key_takes_the_wheel(open_view):
    page = open_view()
    page.keyboard.down("ArrowUp")
    page.keyboard.down("ArrowRight")
    until(page, lambda: page.inner_text("#who"), lambda who: who == "you")
    until(page, lambda: number(page, "steering"), lambda steering: steering > 0.9)
    assert number(page, "throttle") > 0.3
    page.keyboard.up("ArrowUp")
    page.keyboard.up("ArrowRight")
    until(page, lambda: (number(page, "steering"), number(page, "throttle")), lambda both: both == (0, 0))
    page.click("text=expert drives")
    until(page, lambda: page.inner_text("#who"), lambda who: who == "expert")


def test_another_world_is_chosen(open_view):
    page = open_view()
    page.select_option("#track", "random")
    until(page, lambda: page.inner_text("#title"), lambda title: "random:" in title)
    assert page.input_value("#track") == "random"
    page.select_option("#track", "oval")
    until(page, lambda: page.inner_text("#title"), lambda title: title.startswith("oval"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_fits_and_drives(open_view, scheme):
    page = open_view(color_scheme=scheme, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("text=you drive")
    page.wait_for_selector("#pad", state="visible")
    page.hover("[data-key=ArrowUp]")
    page.mouse.down()
    until(page, lambda: number(page, "throttle"), lambda throttle: throttle > 0.3)
    page.mouse.up()
    until(page, lambda: number(page, "throttle"), lambda throttle: throttle == 0)
    page.click("text=expert drives")
    until(page, lambda: page.inner_text("#who"), lambda who: who == "expert")
