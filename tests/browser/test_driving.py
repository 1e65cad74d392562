"""The drive page: what keys, mouse, finger and buttons do to the car."""

import pytest

from tests.browser.conftest import SCREENSHOTS, until
from tests.browser.keys import KeyDriver, channels

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_a_full_clean_lap_by_keys(page):
    page.locator("#limit").fill("28")
    page.locator("#pad").focus()
    driver = KeyDriver(page)
    driver.drive(lambda seen: seen["laps"] >= 1 or seen["off_tracks"])
    driver.hold()
    seen = until(page, lambda: channels(page), lambda seen: seen["throttle"] == 0)
    assert (seen["laps"], seen["off_tracks"]) == (1, 0)
    print(f"lap by keys: {seen['lap_s']:.1f} s")


def test_a_key_steers_smoothly_and_swings_back(page, car):
    page.keyboard.down("ArrowRight")
    until(page, lambda: channels(page)["user/angle"], lambda angle: angle == 1)
    page.keyboard.up("ArrowRight")
    until(page, lambda: channels(page)["user/angle"], lambda angle: angle == 0)
    rising = [steering for _, steering, _ in car.order("trace") if 0 < steering < 1]
    assert len(rising) >= 3, "the steering jumped"


@pytest.mark.parametrize("keys", [["w", "a"], ["i", "j"]])
def test_letters_drive_too(page, keys):
    for key in keys:
        page.keyboard.down(key)
    until(page, lambda: channels(page), lambda seen: seen["throttle"] > 0.25 and seen["steering"] < -0.9)
    for key in keys:
        page.keyboard.up(key)
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == 0)


def test_the_throttle_is_limited_by_the_slider(page):
    page.locator("#limit").fill("15")
    page.locator("#pad").focus()
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == pytest.approx(0.15))
    page.keyboard.up("ArrowUp")


def test_the_mouse_drives_from_wherever_it_grips_the_pad(page):
    box = page.locator("#pad").bounding_box()
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.7 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    seen = channels(page)
    assert (seen["user/angle"], seen["user/throttle"]) == (0, 0), "gripping must not move the car"
    page.mouse.move(x + 30, y - 60, steps=3)
    until(page, lambda: channels(page), lambda seen: seen["throttle"] > 0.1 and 0.2 < seen["steering"] < 0.6)
    page.mouse.up()
    until(page, lambda: channels(page), lambda seen: seen["throttle"] == seen["steering"] == 0)


def test_a_finger_drives_and_a_cancelled_touch_lets_go(open_page):
    page = open_page(**PHONE)
    box = page.locator("#pad").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *points):
        places = [{"x": a, "y": b} for a, b in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    for end in ("touchEnd", "touchCancel"):
        touch("touchStart", (x, y))
        touch("touchMove", (x - 40, y - 70))
        until(page, lambda: channels(page), lambda seen: seen["throttle"] > 0.1 and seen["steering"] < -0.2)
        touch(end)
        until(page, lambda: channels(page), lambda seen: seen["throttle"] == seen["steering"] == 0)


def test_modes_and_recording_by_keys_alone(page):
    for key, mode in [("2", "local_angle"), ("3", "local"), ("u", "user"), ("m", "local_angle")]:
        page.keyboard.press(key)
        page.wait_for_selector(f"[data-mode={mode}][aria-pressed=true]")
    # The same with Tab and Enter.
    page.locator("[data-mode=local_angle]").focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.dataset.mode") == "user"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-mode=user][aria-pressed=true]")
    before = channels(page)["tub/num_records"]
    page.keyboard.press("r")
    until(page, lambda: channels(page)["tub/num_records"], lambda n: n > before + 3)
    assert page.locator("#rec").is_visible()
    page.keyboard.press("r")
    page.wait_for_selector("#record[aria-pressed=false]")
    # Pressed twice, faster than the car answers.
    page.keyboard.press("r")
    page.keyboard.press("r")
    page.keyboard.press("3")
    page.wait_for_selector("[data-mode=local][aria-pressed=true]")
    assert channels(page)["recording"] is False


def test_every_control_can_be_reached_with_tab(page):
    reached, last = [], None
    for _ in range(40):
        page.keyboard.press("Tab")
        last = page.evaluate("document.activeElement.id || document.activeElement.dataset?.mode || ''")
        reached.append(last)
    wanted = {
        "stop",
        "record",
        "limit",
        "constant",
        "model",
        "erase-n",
        "erase",
        "help-open",
        "pad",
        "user",
        "local",
    }
    assert wanted <= set(reached)
    # A reader of the page hears a name for each of them.
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, [tabindex]')]"
        ".filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length))"
        ".map((one) => one.id)"
    )
    assert nameless == []


def test_space_stops_wherever_the_focus_is(page):
    page.keyboard.press("3")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.1)
    page.locator("#record").focus()
    page.keyboard.press("Space")
    seen = until(page, lambda: channels(page), lambda seen: seen["user/mode"] == "user")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == 0)
    assert seen["recording"] is False, "Space pressed the button under the focus"


def test_the_stop_button_stops_and_a_held_key_does_not_go_on(page):
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.2)
    page.locator("#stop").click()
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == 0)
    page.keyboard.down("ArrowUp")  # the key repeats, as it does when it is held
    page.wait_for_selector("#status[data-tone=wait]")
    assert "Let go" in page.inner_text("#status")
    assert channels(page)["throttle"] == 0
    page.keyboard.up("ArrowUp")
    page.keyboard.down("ArrowUp")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.2)


def test_constant_throttle_until_the_brake(page):
    page.keyboard.press("c")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == pytest.approx(0.3))
    assert page.locator("#constant").get_attribute("aria-pressed") == "true"
    page.keyboard.press("ArrowDown", delay=150)
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == 0)
    assert page.locator("#constant").get_attribute("aria-pressed") == "false"


def test_the_model_changes_at_rest_only(page):
    page.locator("#model").focus()
    page.wait_for_selector("#model option[value='bold.tflite']", state="attached")
    page.select_option("#model", "bold.tflite")
    page.locator("#pad").focus()
    page.keyboard.press("3")
    page.wait_for_selector("[data-mode=local][aria-pressed=true]")
    assert page.locator("#model-load").is_disabled()
    # The page's word is not what protects the car: it refuses by itself.
    page.evaluate("test.sockets.at(-1).send(JSON.stringify({ type: 'model', name: 'bold.tflite' }))")
    page.wait_for_selector(".message.bad")
    assert "stop the car first" in page.inner_text(".message.bad")
    page.keyboard.press("Space")
    page.wait_for_selector("#model-load:enabled")
    page.locator("#model-load").click()
    page.wait_for_selector("#pilot-name:text-is('bold.tflite')")


def test_a_browser_gamepad_drives_after_it_was_at_rest(page):
    page.evaluate(
        """() => {
          const button = () => ({ pressed: false, value: 0 });
          window.pad = { id: "Test pad (Vendor: 1)", connected: true, axes: [0.8, 0, 0, 0],
                         buttons: Array.from({ length: 16 }, button) };
          window.pad.buttons[7].value = 1;
          navigator.getGamepads = () => [window.pad];
        }"""
    )
    page.wait_for_selector("#pad-found:text-is('Test pad')")
    page.wait_for_selector("#status:has-text('Let go')")
    assert channels(page)["throttle"] == 0
    page.evaluate("window.pad.buttons[7].value = 0")
    page.wait_for_selector("#status:has-text('Ready')")
    page.evaluate("window.pad.buttons[7].value = 1")
    until(page, lambda: channels(page), lambda seen: seen["throttle"] > 0.25 and seen["steering"] > 0.7)
    page.evaluate("window.pad.buttons[1].pressed = true")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle == 0)


def test_the_figures_are_the_cars(page):
    def figure(name):
        return float(page.inner_text(f"#{name}").replace("–", "nan"))

    assert until(page, lambda: figure("loop-hz"), lambda rate_hz: rate_hz > 0) == pytest.approx(20, abs=5)
    assert until(page, lambda: figure("latency"), lambda ms: ms >= 0) < 1000
    assert 0 <= figure("frame-age") < 1000
    assert figure("viewers") == 1
    # The picture lives.
    first = page.evaluate("document.getElementById('video').toDataURL()")
    page.keyboard.down("ArrowUp")
    until(
        page, lambda: page.evaluate("document.getElementById('video').toDataURL()"), lambda now: now != first
    )


MEAN = """(id) => {
  const canvas = document.getElementById(id);
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, height / 2, width, height / 2).data;
  const sums = [0, 0, 0];
  data.forEach((value, i) => i % 4 < 3 && (sums[i % 4] += value));
  return sums.map((sum) => sum / (data.length / 4));
}"""


def test_what_the_pilot_sees_is_shown_while_it_drives(page, car):
    car.order("place 2.6")
    inset = page.locator("#translated-picture")
    assert inset.is_hidden()
    page.keyboard.press("3")
    inset.wait_for(state="visible")
    box, around = inset.bounding_box(), page.locator("#picture").bounding_box()
    assert 0.25 < box["width"] / around["width"] < 0.35
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.1)

    def colours():
        return page.evaluate(MEAN, "video"), page.evaluate(MEAN, "translated")

    # The floor is bluish, so that its red and its blue tell whose picture it is.
    until(page, colours, lambda seen: seen[0][2] > seen[0][0] + 2 and seen[1][0] > seen[1][2] + 2)
    first = page.evaluate("document.getElementById('translated').toDataURL()")
    until(
        page, lambda: page.evaluate("document.getElementById('translated').toDataURL()"), lambda n: n != first
    )
    page.keyboard.press("u")
    inset.wait_for(state="hidden")
    page.keyboard.press("3")
    inset.wait_for(state="visible")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("desktop", {}),
        ("desktop-dark", {"color_scheme": "dark"}),
        ("phone", PHONE),
        ("phone-lying", PHONE | {"viewport": {"width": 844, "height": 390}}),
        ("phone-small", PHONE | {"viewport": {"width": 360, "height": 740}}),
    ],
)
def test_the_page_fits_the_screen(open_page, car, name, options):
    page = open_page(**options)
    car.order("place 2.6")  # in a turn
    page.keyboard.press("2")
    KeyDriver(page).hold("ArrowUp", "ArrowLeft")
    page.wait_for_selector("#status:has-text('pilot steers')")
    until(page, lambda: channels(page)["throttle"], lambda throttle: throttle > 0.25)
    page.locator("#translated-picture").wait_for(state="visible")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"drive-{name}.png")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{wide} pixels stick out on the right"
    size = page.viewport_size
    for part in ("#stop", "#record", "#pad", "#picture"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= size["height"] + 1, f"{part} is below the screen"
        assert box["x"] + box["width"] <= size["width"] + 1, f"{part} is right of the screen"
    stop, pad = page.locator("#stop").bounding_box(), page.locator("#pad").bounding_box()
    assert stop["y"] >= pad["y"] + pad["height"], "the stop button covers the pad"
    assert min(stop["width"], stop["height"]) >= 44
