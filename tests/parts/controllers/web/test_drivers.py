"""Which page drives."""

import pytest

from dingocar.parts.controllers.web._drivers import SILENT_S, Drivers, Page


class Car:
    def __init__(self):
        self.heard = []
        self.drivers = Drivers(self.heard.append)
        self.now_s = 100.0
        self.a, self.b = Page(1), Page(2)

    def drive(self, page, steering, throttle, after_s=0.05):
        self.now_s += after_s
        before = len(self.heard)
        message = {"type": "drive", "steering": steering, "throttle": throttle}
        self.drivers.handle(page, message, self.now_s)
        return [m.get("throttle", m["type"]) for m in self.heard[before:]]

    def press(self, page, **message):
        before = len(self.heard)
        self.drivers.handle(page, message, self.now_s)
        return self.heard[before:]


@pytest.fixture
def car():
    return Car()


def test_a_page_drives_once_it_was_neutral(car):
    assert car.drive(car.a, 0, 0.8) == []  # a key that was down when the page was opened
    assert car.drive(car.a, 0, 0) == [0]
    assert car.drive(car.a, 0, 0.8) == [0.8]


def test_only_the_page_last_touched_is_heard(car):
    car.drive(car.a, 0, 0)
    car.drive(car.a, 0, 0.5)
    assert car.drive(car.b, 0, 0) == []
    assert car.drive(car.b, 0, 0) == []
    assert car.drive(car.a, 0, 0.5) == [0.5]
    assert car.drive(car.b, 0.5, 0) == [0]  # touched
    assert car.drivers.driver is car.b
    assert car.drive(car.a, 0, 0.5) == []  # held as before is not touched
    assert car.drive(car.a, 0, 0.7) == [0.7]


def test_an_unarmed_page_cannot_take_over_with_its_sticks(car):
    car.drive(car.a, 0, 0)
    assert car.drive(car.b, 0.9, 1) == []
    assert car.drivers.driver is car.a


def test_a_button_takes_over_but_does_not_arm(car):
    car.drive(car.a, 0, 0)
    assert car.press(car.b, type="record", on=True) == [{"type": "record", "on": True}]
    assert car.drive(car.b, 0, 1) == [0.0]
    assert car.drive(car.b, 0, 0.04) == [0.04]
    assert car.drive(car.b, 0, 1) == [1]


def test_a_page_that_was_silent_must_be_neutral_again(car):
    car.drive(car.a, 0, 0)
    assert car.drive(car.a, 0, 0.5, after_s=SILENT_S * 0.9) == [0.5]
    assert car.drive(car.a, 0, 0.5, after_s=SILENT_S * 1.1) == [0.0]
    assert car.drive(car.a, 0, 0) == [0]
    assert car.drive(car.a, 0, 0.5) == [0.5]


def test_another_page_follows_one_that_is_silent_or_gone(car):
    car.drive(car.a, 0, 0)
    assert car.drive(car.b, 0, 0, after_s=0.4) == []
    assert car.drive(car.b, 0, 0, after_s=0.2) == [0]
    assert car.drivers.driver is car.b
    car.drivers.leave(car.b)
    assert car.heard[-1] == {"type": "released"}
    assert car.drive(car.a, 0, 0) == [0]


def test_the_car_is_not_told_when_a_mere_onlooker_goes(car):
    car.drive(car.a, 0, 0)
    car.drivers.leave(car.b)
    assert {"type": "released"} not in car.heard


def test_a_held_throttle_ends_when_another_page_takes_over(car):
    car.drive(car.a, 0, 0)
    car.press(car.a, type="constant_throttle", throttle=0.4)
    heard = car.press(car.b, type="stop")
    assert heard == [{"type": "constant_throttle", "throttle": None}, {"type": "stop"}]


def test_messages_are_counted():
    page = Page(1, allowance_s=10.0)
    assert sum(page.may_send(10.0) for _ in range(1000)) == 120
    assert not page.may_send(10.0)
    page = Page(2, allowance_s=10.0)
    assert all(page.may_send(10.0 + i / 100) for i in range(1000))
    page = Page(3, allowance_s=10.0)
    assert not all(page.may_send(10.0 + i / 200) for i in range(1000))
