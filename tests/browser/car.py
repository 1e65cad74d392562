"""A simulated car with the web page, as a program: prints its page's address, obeys lines on stdin.

    python -m tests.browser.car FOLDER

Lines it obeys: `place METRES` puts the car on the track there, at rest, and counts laps anew; `trace` does
nothing. Each is answered with what reached the motors, as JSON. It ends when stdin does.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path

from dingocar.errors import UsageError
from dingocar.images import Uint8Array
from dingocar.parts.controllers.hub import ControllerHub
from dingocar.parts.controllers.web.controller import WebController
from dingocar.parts.drive_mode import DriveMode
from dingocar.parts.expert import ExpertDriver
from dingocar.parts.lap_timer import LapTimer
from dingocar.parts.recorder import SwitchedRecorder
from dingocar.parts.safety.gate import SafetyGate
from dingocar.parts.simulator import Simulator
from dingocar.sim import Expert, State
from dingocar.tub import TubWriter
from dingocar.vehicle import Vehicle

RATE_HZ = 20
RECORDED = {
    "cam/image_array": "image_array",
    "user/angle": "float",
    "user/throttle": "float",
    "user/mode": "str",
}
#: What the page is shown, and first values of what is written late or never.
SHOWN = {
    "user/angle": 0.0,
    "user/throttle": 0.0,
    "user/mode": "user",
    "user/armed": False,
    "user/source": "",
    "recording": False,
    "pilot/angle": None,
    "pilot/throttle": None,
    "pilot/name": "expert",
    "pilot/latency_s": 0.0,
    "steering": 0.0,
    "throttle": 0.0,
    "safety/state": "",
    "tub/num_records": 0,
    "tub/dropped": 0,
    "laps": 0,
    "lap_s": None,
    "off_tracks": 0,
    "cam/age_s": 0.0,
    "sim/cte_m": 0.0,
    "sim/heading_error_rad": 0.0,
    "sim/speed_mps": 0.0,
    "sim/curvature": 0.0,
}


class Orders:
    """Does in the loop what the lines on stdin say."""

    def __init__(self, simulator: Simulator, trace: deque[tuple[float, float, float]]) -> None:
        self._simulator, self._trace = simulator, trace
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run(self) -> None:
        while not self.lines.empty():
            word, *arguments = self.lines.get().split()
            if word == "place":
                simulator = self._simulator
                simulator.state = simulator.world.reset(start_s_m=float(arguments[0]))
                simulator.laps = simulator.off_tracks = 0
                self._trace.clear()
            print(json.dumps(list(self._trace)), flush=True)


class Motors:
    """Moves the simulated car, and notes when it was told what."""

    def __init__(self, simulator: Simulator, trace: deque[tuple[float, float, float]]) -> None:
        self._simulator, self._trace = simulator, trace

    def run(self, steering: float, throttle: float) -> None:
        self._simulator.command = (steering, throttle)
        self._trace.append((time.monotonic(), steering, throttle))

    def neutral(self) -> None:
        self.run(0.0, 0.0)


class Where:
    """Where the car truly is: inputs `sim/state`."""

    def __init__(self, simulator: Simulator) -> None:
        self._track = simulator.world.track

    def run(self, state: State) -> tuple[float, float, float, float]:
        curvature = self._track.curvature(state.s_m + 0.3)
        values = (state.cte_m, state.heading_error_rad, state.speed_mps, curvature)
        return tuple(float(value[0]) for value in values)


class Pilot(ExpertDriver):
    """The simulator's expert in the place of a pilot, not too fast."""

    def run(self, state: State) -> tuple[float, float]:
        steering, throttle = super().run(state)
        return steering, min(0.3, throttle)


class Translator:
    """In the place of a translator: while a pilot drives, red and blue are swapped."""

    def run(self, image: Uint8Array, mode: str) -> Uint8Array | None:
        return None if mode == "user" else image[:, :, ::-1].copy()


def build(folder: Path) -> tuple[Vehicle, Orders, WebController]:
    """The car; its tub and its models are in `folder`."""
    vehicle = Vehicle(max_loop_s=30.0)  # a machine that stalls must not end all that is tested after
    for channel, value in SHOWN.items():
        vehicle.mem[channel] = value
    trace: deque[tuple[float, float, float]] = deque(maxlen=60 * RATE_HZ)
    simulator = Simulator("oval", rate_hz=RATE_HZ)
    orders = Orders(simulator, trace)
    tub = folder / "data"
    open_writer = partial(
        TubWriter, tub, list(RECORDED), list(RECORDED.values()), {"domain": "sim"}, rate_hz=RATE_HZ
    )
    recorder = SwitchedRecorder(open_writer, list(RECORDED), tub, idle_loops=RATE_HZ // 2)
    hub = ControllerHub(auto_record=False, on_erase=recorder.erase)

    def use_model(name: str | None) -> None:
        if vehicle.mem["user/mode"] != "user" or vehicle.mem["throttle"] != 0:
            raise UsageError("stop the car first: mode user, no throttle; then change the pilot")
        vehicle.mem["pilot/name"] = name or ""

    page = WebController(
        hub.source("web"),
        list(SHOWN),
        port=0,
        translated=True,
        tubs=tub,
        models=folder / "models",
        on_model=use_model,
    )
    user = ["user/angle", "user/throttle", "user/mode"]
    pilot = ["pilot/angle", "pilot/throttle"]
    vehicle.add(orders)
    vehicle.add(simulator, outputs=["cam/image_array", "sim/state", "laps", "off_tracks"])
    vehicle.add(LapTimer(1 / RATE_HZ), inputs=["laps"], outputs=["lap_s"])
    vehicle.add(
        Where(simulator),
        inputs=["sim/state"],
        outputs=["sim/cte_m", "sim/heading_error_rad", "sim/speed_mps", "sim/curvature"],
    )
    vehicle.add(hub, outputs=[*user, "user/age_s", "user/armed", "user/source", "user/launch", "recording"])
    vehicle.add(
        Pilot(Expert(simulator.world.track, simulator.world.dynamics)), inputs=["sim/state"], outputs=pilot
    )
    vehicle.add(DriveMode(), inputs=["user/mode", *user[:2], *pilot], outputs=["steering", "throttle"])
    vehicle.add(
        SafetyGate(RATE_HZ),
        inputs=[
            *("steering", "throttle", "user/mode", "user/age_s", "user/armed", "cam/age_s"),
            "pilot/latency_s",
        ],
        outputs=["steering", "throttle", "safety/state"],
    )
    vehicle.add(Motors(simulator, trace), inputs=["steering", "throttle"])
    vehicle.add(recorder, inputs=["recording", *RECORDED], outputs=["tub/num_records", "tub/dropped"])
    vehicle.add(Translator(), inputs=["cam/image_array", "user/mode"], outputs=["cam/translated"])
    vehicle.add(page, inputs=["cam/image_array", "cam/translated", *SHOWN])
    return vehicle, orders, page


def main(folder: Path) -> None:
    """Drives until stdin ends."""
    vehicle, orders, page = build(folder)
    print(json.dumps(page.url), flush=True)

    def listen() -> None:
        for line in sys.stdin:
            orders.lines.put(line)
        vehicle.stop("stdin")

    threading.Thread(target=listen, daemon=True).start()
    vehicle.start(rate_hz=RATE_HZ)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
