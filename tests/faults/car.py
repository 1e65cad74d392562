"""A running car with one fault in it that waits for its cue: `python -m tests.faults.car FAULT CHIP`.

The car is the template's, with the real PCA9685 driver on a fake chip that the process that judges it
watches. The word `go` on standard input is the cue.
"""

import ctypes
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from dingocar.config import CarConfig
from dingocar.parts.cameras.mock import MockCamera
from dingocar.parts.controllers import gamepad
from dingocar.parts.controllers._evdev import describe
from dingocar.parts.controllers.hub import ControllerHub
from dingocar.parts.pilot import PilotPart
from dingocar.parts.safety.watchdog import Watchdog
from dingocar.templates import complete
from dingocar.zoo.linear import Linear
from dingocar.zoo.runnable import RunnablePilot
from tests.fakes.pad import FakePad

#: Set by the cue.
cue = threading.Event()


class Interpreter:
    """Stands for a network: half throttle, until the cue; each answer takes `takes_s`."""

    image_shape = (120, 160, 3)

    def __init__(self, after, takes_s):
        self.after, self.takes_s = after, takes_s

    def run(self, images):
        time.sleep(self.takes_s)
        throttle = self.after() if cue.is_set() else 0.5
        return {"steering": np.full((1, 1), 0.1), "throttle": np.full((1, 1), throttle)}

    def close(self):
        pass


class Fault:
    """A part that does its deed at the cue."""

    def __init__(self, deed):
        self.deed = deed

    def run(self):
        if cue.is_set():
            self.deed()


def fail():
    raise ValueError("a part that fails, on purpose")


def hold_the_interpreter():
    sum(range(10**11))  # one C loop, which lets no other thread run


def leave_no_room():
    # From now on no file can grow: the kernel refuses what the recorder writes.
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))


#: Faults that are a deed of some part in the loop.
DEEDS = {
    "part raises": fail,
    "part hangs": lambda: time.sleep(60),
    "part hangs in C": hold_the_interpreter,
    "os._exit": lambda: os._exit(7),
    "segmentation fault": lambda: ctypes.string_at(0),
    "disk full": leave_no_room,
}

#: Faults of a pilot: what its network answers.
ANSWERS = {
    "pilot says NaN": lambda: float("nan"),
    "pilot is slow": lambda: time.sleep(0.13) or 0.5,
    "pilot hangs": lambda: time.sleep(60),
}


def spoil_camera(camera, fault):
    """Makes the camera fail at the cue."""
    read = camera.read
    last = []

    def spoiled():
        if not cue.is_set():
            last[:] = [read()]
            return last[0]
        if fault == "camera blocks":
            time.sleep(60)
        elif fault == "camera thread dies":
            raise OSError("the cable is off, on purpose")
        read()  # keeps the pace
        return last[0]

    camera.read = spoiled
    # The mock's pictures may be equal; those of the camera it stands for may not.
    camera.still = False


def user(source, mode, silent_at_cue):
    """A person with a controller: neutral first, then half throttle, 40 times a second."""
    began_s = time.monotonic()
    while not (silent_at_cue and cue.is_set()):
        since_s = time.monotonic() - began_s
        source.command(0.2, 0.0 if since_s < 0.2 or mode == "local" else 0.5)
        if mode == "local" and since_s > 0.2:
            source.mode(mode)
            mode = ""
        time.sleep(0.025)


def pad_user(pad):
    """A person with a gamepad, whose battery is empty at the cue."""
    began_s = time.monotonic()
    while not cue.is_set():
        held = time.monotonic() - began_s > 0.3
        pad.move(ABS_RY=-32768 if held else 0, ABS_X=random.randint(8000, 9000))
        time.sleep(0.02)
    pad.unplug()


def build(cfg, fault, folder):
    """The template's car, with the fault in it."""
    recorded = folder / "tub" if fault == "disk full" else None
    if fault == "gamepad unplugged":
        pad = FakePad()
        gamepad.list_pads = lambda: [] if pad.gone else [describe(pad)]
        gamepad.open_device = lambda path: pad.opened()
        threading.Thread(target=pad_user, args=(pad,), daemon=True).start()
    vehicle = complete.build(cfg, tub=recorded)
    parts = {type(entry.part): entry.part for entry in vehicle.parts}
    with_pilot = fault in ANSWERS or fault.startswith("user gone")
    if with_pilot:
        takes_s = 0.045 if "slow pilot drives" in fault else 0.0
        network = Interpreter(ANSWERS.get(fault, lambda: 0.5), takes_s)
        parts[PilotPart].pilot = RunnablePilot(Path("stub"), {}, Linear(), network)
    if fault.startswith("camera"):
        spoil_camera(parts[MockCamera], fault)
    if fault in DEEDS:
        vehicle.add(Fault(DEEDS[fault]))
    if fault == "watchdog killed":
        dogs = [part._watchdog for part in parts.values() if hasattr(part, "_watchdog")]
        assert dogs and isinstance(dogs[0], Watchdog)
        vehicle.add(Fault(lambda: os.kill(dogs[0].pid, signal.SIGKILL)))
    if cfg.CONTROLLER == "gamepad" and not fault.startswith("gamepad"):
        source = parts[ControllerHub].source("test")
        mode = "local" if with_pilot else "user"
        silent = fault == "controller silent" or fault.startswith("user gone")
        threading.Thread(target=user, args=(source, mode, silent), daemon=True).start()
    return vehicle


def wait_for_cue():
    sys.stdin.readline()
    cue.set()


def run(fault, chip):
    """Drives until the fault, or the process, ends it."""
    logging.basicConfig(level=logging.INFO)
    cfg = CarConfig(
        CAMERA="mock",
        ACTUATOR="servo_esc",
        I2C_BUS=f"tests.fakes.chip:open_bus?{chip}",
        CONTROLLER="web" if fault.startswith("web") else "gamepad",
        WEB_CONTROL_PORT=0,
        DATA_PATH=str(Path(chip).parent / "tub"),
    )
    vehicle = build(cfg, fault, Path(chip).parent)
    threading.Thread(target=wait_for_cue, daemon=True).start()
    if cfg.CONTROLLER == "web":
        print(vehicle.mem["web/url"], flush=True)
    vehicle.start(rate_hz=cfg.DRIVE_LOOP_HZ)


if __name__ == "__main__":
    # Whoever started this in the background may have had them ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    run(*sys.argv[1:])
