"""The pilot's part: run, changed while the car stands, never taken away while it runs."""

import math
import threading

import numpy as np
import pytest

from dingocar.errors import PilotError, UsageError
from dingocar.parts import pilot as module
from dingocar.parts.pilot import PilotPart, PilotSwitch
from dingocar.zoo.linear import Linear
from dingocar.zoo.runnable import RunnablePilot

IMAGE = np.zeros((4, 6, 3), np.uint8)


class Network:
    """Answers with the number in the file's name."""

    image_shape = (4, 6, 3)

    def __init__(self, steering):
        self.steering, self.runs, self.closed = steering, 0, threading.Event()
        self.running, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def run(self, images):
        assert images.shape == (1, 4, 6, 3) and not self.closed.is_set()
        self.runs += 1
        self.running.set()
        assert self.go_on.wait(10)
        assert not self.closed.is_set()
        return {"steering": np.full((1, 1), self.steering), "throttle": np.full((1, 1), 0.5)}

    def close(self):
        self.closed.set()


@pytest.fixture
def networks(monkeypatch):
    """The networks that were loaded, by file name."""
    loaded = {}

    def load(path, threads, throttle_range):
        if "bad" in str(path):
            raise PilotError(f"{path}: no pilot")
        name = str(path).rsplit("/", 1)[-1]
        loaded[name] = Network(float(name))
        return RunnablePilot(path, {}, Linear(), loaded[name])

    monkeypatch.setattr(module, "load_pilot", load)
    return loaded


def test_steers_and_tells_how_long_it_took(networks):
    part = PilotPart("0.25")
    steering, throttle, latency_s = part.run(IMAGE)
    assert (steering, throttle) == (0.25, 0.5)
    assert 0 < latency_s < 5


def test_without_a_picture_or_a_pilot_it_is_neutral_and_there_is_no_answer(networks):
    assert PilotPart("0.25").run(None) == (0.0, 0.0, math.inf)
    assert PilotPart(None).run(IMAGE) == (0.0, 0.0, math.inf)


def test_is_run_once_before_it_drives(networks):
    PilotPart("0.25")
    assert networks["0.25"].runs == 1


def test_pictures_of_another_size_are_refused(networks):
    with pytest.raises(PilotError, match="4x6 pixels, the camera's have 120x160; set IMAGE_H"):
        PilotPart("0.25", image_shape=(120, 160))
    assert networks["0.25"].closed.is_set()


def test_another_one_takes_over(networks):
    names = []
    part = PilotPart("0.25", on_change=names.append)
    part.use("models/-0.5")
    assert part.run(IMAGE)[0] == -0.5
    assert networks["0.25"].closed.is_set()
    part.use(None)
    assert part.run(IMAGE) == (0.0, 0.0, math.inf)
    assert names == ["0.25", "-0.5", ""]


def test_a_file_that_is_no_pilot_changes_nothing(networks):
    part = PilotPart("0.25")
    with pytest.raises(PilotError):
        part.use("bad")
    assert part.run(IMAGE)[0] == 0.25


def test_a_pilot_is_not_taken_away_while_it_runs(networks):
    part = PilotPart("0.25")
    network = networks["0.25"]
    network.go_on.clear()
    network.running.clear()
    answers = []
    loop = threading.Thread(target=lambda: answers.append(part.run(IMAGE)[0]))
    loop.start()
    assert network.running.wait(10)
    switch = threading.Thread(target=part.use, args=("0.75",))
    switch.start()
    network.go_on.set()
    loop.join(10)
    switch.join(10)
    assert answers == [0.25] and network.closed.is_set()


def test_is_changed_only_while_the_car_stands(networks, tmp_path):
    part = PilotPart(None)
    at_rest = [False]
    switch = PilotSwitch(part, tmp_path, lambda: at_rest[0])
    with pytest.raises(UsageError, match="stop the car first"):
        switch("0.5")
    at_rest[0] = True
    switch("0.5")
    assert part.run(IMAGE)[0] == 0.5
    switch(None)
    assert part.pilot is None


def test_a_car_that_was_started_while_the_pilot_was_loaded_keeps_its_own(networks, tmp_path):
    part = PilotPart("0.25")
    stands = iter([True, False])
    with pytest.raises(UsageError, match="stop the car first"):
        PilotSwitch(part, tmp_path, lambda: next(stands))("0.75")
    assert part.run(IMAGE)[0] == 0.25
    assert networks["0.75"].closed.is_set() and not networks["0.25"].closed.is_set()


@pytest.mark.parametrize("name", ["../0.5", "/etc/0.5", ".", "..", "", "a/0.5", ".hidden"])
def test_only_names_in_the_folder_are_pilots(networks, tmp_path, name):
    with pytest.raises(UsageError, match="must be a file in"):
        PilotSwitch(PilotPart(None), tmp_path, lambda: True)(name)
