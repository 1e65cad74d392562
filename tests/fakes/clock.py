"""A clock that moves only when somebody waits for it, or says so."""


class FakeClock:
    def __init__(self) -> None:
        self.time_s = 100.0
        self.waits: list[float] = []

    def now_s(self) -> float:
        return self.time_s

    def wait_s(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time_s += max(seconds, 0.0)
