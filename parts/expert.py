"""The scripted expert in the place of the user (simulator only)."""

from __future__ import annotations

from dingocar.sim import State
from dingocar.sim.expert import ScriptedDriver


class ExpertDriver:
    """Drives along the centre line: inputs `sim/state`, outputs `user/angle`, `user/throttle`."""

    def __init__(self, expert: ScriptedDriver) -> None:
        self.expert = expert

    def run(self, state: State | None) -> tuple[float, float]:
        """The expert's steering and throttle, each in [-1, 1], in this state."""
        if state is None:
            return 0.0, 0.0
        steering, throttle = self.expert.act(state)
        return float(steering[0]), float(throttle[0])
