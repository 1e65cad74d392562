"""An actuator that remembers all that was done to it."""

import threading


class RecordingActuator:
    def __init__(self, log: list | None = None) -> None:
        self.log = log if log is not None else []
        self.steering = self.throttle = None
        self.at_rest = threading.Event()

    def run(self, steering, throttle):
        self.steering, self.throttle = steering, throttle
        self.log.append(("run", steering, throttle))

    def neutral(self):
        self.steering = self.throttle = 0.0
        self.log.append(("neutral",))
        self.at_rest.set()

    def shutdown(self):
        self.log.append(("shutdown", "actuator"))
