"""The tub page: look, mark, delete, restore."""

import pytest

from tests.browser.conftest import SCREENSHOTS, until
from tests.browser.keys import KeyDriver, channels
from tests.browser.test_driving import PHONE


@pytest.fixture
def recorded(open_page, car):
    """A tub of at least 30 records that nobody writes to."""
    page = open_page("tub")
    if not (tub(page) and tub(page)["records"] >= 30):
        page = open_page()
        car.order("place 1.5")
        page.keyboard.press("r")
        page.wait_for_selector("#record[aria-pressed=true]")
        before = channels(page)["tub/num_records"]
        driver = KeyDriver(page)
        driver.drive(lambda seen: seen["tub/num_records"] >= before + 30)
        driver.hold()
        page.keyboard.press("r")
    until(page, lambda: tub(page), lambda facts: not facts["recording"])
    page.close()


def tub(page):
    """What the car says of its tub; None: there is none."""
    return next(iter(page.evaluate("fetch('/api/tubs').then((answer) => answer.json())")), None)


def look_again(page):
    """The user comes back to the page: it reads the tub anew."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def shown(page):
    """The index of the record that is shown, once its picture is there."""
    until(page, lambda: page.evaluate("document.getElementById('image').naturalWidth"), lambda wide: wide > 0)
    return int(page.inner_text("#where").split()[1])


def test_mark_delete_undo_and_restore_by_keys(recorded, open_page):
    page = open_page("tub")
    before = tub(page)
    page.wait_for_selector("#recording", state="hidden")
    assert shown(page) == 0
    for key in ("Shift+ArrowRight", "[", "Shift+ArrowRight", "ArrowRight", "]"):
        page.keyboard.press(key)
    assert shown(page) == 21
    assert page.inner_text("#marked").startswith("10 to 21: 12 records, 0 deleted")
    page.keyboard.press("d")
    until(page, lambda: tub(page)["deleted"], lambda n: n == before["deleted"] + 12)
    page.wait_for_selector("#gone", state="visible")
    page.keyboard.press("z")
    until(page, lambda: tub(page)["deleted"], lambda n: n == before["deleted"])
    page.wait_for_selector("#gone", state="hidden")
    page.keyboard.press("Delete")
    until(page, lambda: tub(page)["deleted"], lambda n: n == before["deleted"] + 12)
    page.wait_for_selector("#restore:enabled")
    page.locator("#restore").click()
    until(page, lambda: tub(page), lambda facts: facts["records"] == before["records"])
    page.keyboard.press("End")
    assert shown(page) == before["records"] + before["deleted"] - 1


def test_a_drag_over_the_plot_marks_and_a_click_goes_there(recorded, open_page):
    page = open_page("tub")
    shown(page)
    box = page.locator("#plot").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] / 2, y)
    rows = int(page.get_attribute("#slider", "max")) + 1
    assert shown(page) == pytest.approx(rows / 2, abs=2)
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    page.mouse.up()
    first, _, last = page.inner_text("#marked").split(":")[0].split()
    assert (int(first), int(last)) == (pytest.approx(rows / 4, abs=2), pytest.approx(rows / 2, abs=2))
    page.keyboard.press("Escape")
    assert page.inner_text("#marked").startswith("Nothing")


def test_a_tub_that_is_recorded_grows_and_refuses_changes(open_page, complaints):
    drive = open_page()
    complaints.expected.append("409")
    before = channels(drive)["tub/num_records"]
    drive.keyboard.press("r")
    until(drive, lambda: channels(drive)["tub/num_records"], lambda n: n > before + 5)
    page = open_page("tub")
    page.wait_for_selector("#recording", state="visible")
    assert shown(page) == 0
    rows = int(page.get_attribute("#slider", "max"))
    until(drive, lambda: channels(drive)["tub/num_records"], lambda n: n > before + 20)
    look_again(page)
    until(page, lambda: int(page.get_attribute("#slider", "max")), lambda most: most > rows)
    page.keyboard.press("[")
    assert page.locator("#delete").is_disabled()
    page.keyboard.press("d")
    page.wait_for_selector(".message.bad")
    assert "being recorded" in page.inner_text(".message.bad")
    drive.keyboard.press("r")
    drive.wait_for_selector("#record[aria-pressed=false]")
    until(page, lambda: tub(page)["recording"], lambda on: not on)


def test_records_erased_on_the_drive_page_are_restored_here(recorded, open_page):
    drive, page = open_page(), open_page("tub")
    before = tub(page)
    drive.locator("#erase-n").fill("7")
    drive.locator("#pad").focus()
    drive.keyboard.press("e")
    until(page, lambda: tub(page)["deleted"], lambda n: n == before["deleted"] + 7)
    look_again(page)
    page.keyboard.press("End")
    page.wait_for_selector("#gone", state="visible")
    page.keyboard.press("]")
    page.keyboard.press("Home")
    page.keyboard.press("[")
    page.keyboard.press("r")
    until(page, lambda: tub(page)["deleted"], lambda n: n == 0)


@pytest.mark.parametrize(
    ("name", "options"),
    [("desktop", {}), ("phone", PHONE), ("phone-lying", PHONE | {"viewport": {"width": 740, "height": 360}})],
)
def test_the_page_fits_the_screen(recorded, open_page, name, options):
    page = open_page("tub", **options)
    shown(page)
    for key in ("Shift+ArrowRight", "[", "Shift+ArrowRight", "]"):
        page.keyboard.press(key)
    page.wait_for_selector("#marked:has-text('records')")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"tub-{name}.png")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{wide} pixels stick out on the right"
