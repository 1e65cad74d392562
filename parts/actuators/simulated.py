"""The simulator's motors: what the car does there is what reaches them."""

from __future__ import annotations

import math

from dingocar.parts._simulators import AnySimulator


class SimulatedActuator:
    """Drives the simulator's car: inputs `steering`, `throttle`, both in [-1, 1].

    Args:
        simulator: the part whose car it is; its next step does what was said here.
    """

    def __init__(self, simulator: AnySimulator) -> None:
        self._simulator = simulator

    def run(self, steering: float | None, throttle: float | None) -> None:
        """Values beyond [-1, 1] are clipped; None, NaN or infinity in either one is rest for both."""
        if steering is None or throttle is None or not (math.isfinite(steering) and math.isfinite(throttle)):
            steering = throttle = 0.0
        self._simulator.command = (min(max(steering, -1.0), 1.0), min(max(throttle, -1.0), 1.0))

    def neutral(self) -> None:
        """Wheels straight, no throttle."""
        self._simulator.command = (0.0, 0.0)
