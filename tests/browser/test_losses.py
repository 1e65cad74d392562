"""The car stops when the page, its socket or its user is gone. Times are taken at the motors."""

import time

import pytest

from tests.browser.conftest import until
from tests.browser.keys import KeyDriver, channels

#: From the cut to no throttle at the motors.
LIMIT_S = 0.2

CUTS = {
    "the socket is closed": lambda page: page.evaluate("test.sockets.at(-1).close()"),
    "the socket swallows everything": lambda page: page.evaluate("test.swallow = true"),
    "the page is hidden": lambda page: page.evaluate("test.hide(true)"),
    "the window loses the focus": lambda page: page.evaluate("window.dispatchEvent(new Event('blur'))"),
    "the page hangs": lambda page: page.evaluate(
        "setTimeout(() => { const end = Date.now() + 900; while (Date.now() < end); }, 0)"
    ),
    "another page is opened in its place": lambda page: page.evaluate("location.href = '/tub'"),
    "the page is closed": lambda page: page.close(),
}


@pytest.mark.parametrize("how", CUTS)
def test_the_car_stops_when(how, request, car):
    own = how == "the page is closed"
    page = request.getfixturevalue("open_page")() if own else request.getfixturevalue("page")
    car.order("place 2.2")  # the first turn is ahead
    driver = KeyDriver(page)
    driver.drive(
        lambda seen: seen["sim/curvature"] > 0.5 and seen["steering"] < -0.2 and seen["throttle"] > 0.25
    )
    cut_s = time.monotonic()
    CUTS[how](page)
    returned_s = time.monotonic()
    moved_s = car.moved_after(cut_s)
    print(f"{how}: {moved_s * 1000:.0f} ms (the browser took {(returned_s - cut_s) * 1000:.0f} ms)")
    assert moved_s < LIMIT_S


@pytest.mark.parametrize("how", ["the page is hidden", "the socket swallows everything"])
def test_the_pilot_stops_when(how, page, car):
    page.keyboard.press("3")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.25)
    cut_s = time.monotonic()
    CUTS[how](page)
    assert car.moved_after(cut_s) < LIMIT_S
    assert until(page, lambda: channels(page)["user/mode"], lambda mode: mode == "user")


def test_after_a_lost_connection_a_held_key_has_to_be_let_go(page):
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.25)
    page.evaluate("test.sockets.at(-1).close()")
    until(page, lambda: page.evaluate("test.sockets.length"), lambda n: n > 1)
    page.wait_for_selector("#link[data-tone=good]")
    page.keyboard.down("ArrowUp")  # it repeats
    page.wait_for_selector("#status:has-text('Let go')")
    assert channels(page)["throttle"] == 0
    page.keyboard.up("ArrowUp")
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.25)


def test_a_lost_connection_is_shown_and_comes_back(page, complaints):
    complaints.expected.append("/nowhere")
    page.evaluate("test.path = '/nowhere'; test.sockets.at(-1).close()")
    page.wait_for_selector("#lost", state="visible")
    assert page.get_attribute("#status", "data-tone") == "bad"
    assert page.get_attribute("#link", "data-tone") == "bad"
    page.evaluate("test.path = null")
    page.locator("#lost-retry").click()
    page.wait_for_selector("#link[data-tone=good]")
    page.wait_for_selector("#lost", state="hidden")
    page.wait_for_selector("#status[data-tone=good]")


def test_back_from_hidden_it_drives_again_and_a_stuck_key_does_not(page):
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.25)
    page.evaluate("test.hide(true)")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == 0)
    page.evaluate("test.hide(false)")
    page.wait_for_selector("#status:has-text('Ready')")
    assert channels(page)["throttle"] == 0
    page.keyboard.up("ArrowUp")
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.25)


def test_a_hidden_page_asks_for_no_pictures(page):
    def viewers():
        return page.evaluate("fetch('/api/state').then((answer) => answer.json())")["viewers"]

    until(page, viewers, lambda n: n == 1)
    page.evaluate("test.hide(true)")
    until(page, viewers, lambda n: n == 0)
    page.evaluate("test.hide(false)")
    until(page, viewers, lambda n: n == 1)


def test_of_two_pages_the_one_last_touched_drives(open_page):
    first, second = open_page(), open_page()
    first.keyboard.down("ArrowUp")
    until(first, lambda: channels(first)["throttle"], lambda throttle: throttle > 0.25)
    second.wait_for_selector("#status:has-text('Somebody else')")
    second.keyboard.down("ArrowRight")
    seen = until(second, lambda: channels(second), lambda seen: seen["steering"] > 0.9)
    assert seen["throttle"] == 0, "the first page still drives"
    first.wait_for_selector("#status:has-text('Somebody else')")
    second.close()
    until(first, lambda: channels(first)["throttle"], lambda throttle: throttle == 0)
