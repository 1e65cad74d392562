"""Which of several open pages drives: the one last touched; pure logic, told the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dingocar.parts.controllers.web._protocol import BUTTONS, MAX_PER_SECOND, NEUTRAL, Message

#: The driver's page is taken for gone when it was silent for so long; then any other may drive.
SILENT_S = 0.5


@dataclass(eq=False)
class Page:
    """An open page, as far as driving goes.

    Attributes:
        number: tells it from all others.
        armed: it has sent neutral since it connected, or since it was silent.
        seen_s: when it last sent `drive`.
        sticks: what it sent then.
        allowance: messages it may send now; grows with time.
        allowance_s: when that was computed.
        mistakes: messages that did not fit the protocol.
    """

    number: int
    armed: bool = False
    seen_s: float = float("-inf")
    sticks: tuple[float, float] = (0.0, 0.0)
    allowance: float = MAX_PER_SECOND
    allowance_s: float = 0.0
    mistakes: int = 0
    say: Callable[[Message], None] = field(default=lambda message: None)

    def may_send(self, now_s: float) -> bool:
        """Counts a message; False when it is one too many."""
        grown = self.allowance + (now_s - self.allowance_s) * MAX_PER_SECOND
        self.allowance, self.allowance_s = min(grown, MAX_PER_SECOND) - 1, now_s
        return self.allowance >= 0


class Drivers:
    """Forwards the messages of the page that drives.

    The page last touched drives: sticks moved from neutral or by more than `NEUTRAL`, or a button. A page
    drives only once it has sent a neutral throttle: a key that was down when it was opened moves nothing.

    Args:
        forward: hands a message to the car.
    """

    def __init__(self, forward: Callable[[Message], None]) -> None:
        self._forward = forward
        self.driver: Page | None = None
        self._holds_throttle = False

    def handle(self, page: Page, message: Message, now_s: float) -> None:
        """A checked message of a page; `drive` or one of `BUTTONS`."""
        if message["type"] == "drive":
            self._drive(page, message, now_s)
        elif message["type"] in BUTTONS:
            self._press(page, message)

    def leave(self, page: Page) -> None:
        """A page was closed. If it drove, the car is told that nobody does."""
        if page is self.driver:
            self.driver, self._holds_throttle = None, False
            self._forward({"type": "released"})

    def _drive(self, page: Page, message: Message, now_s: float) -> None:
        sticks = (float(message["steering"]), float(message["throttle"]))
        if now_s - page.seen_s > SILENT_S:
            page.armed = False
        page.armed = page.armed or abs(sticks[1]) < NEUTRAL
        before, page.sticks, page.seen_s = page.sticks, sticks, now_s
        if page is not self.driver:
            driver = self.driver
            lost = driver is None or now_s - driver.seen_s > SILENT_S
            moved = max(abs(new - old) for new, old in zip(sticks, before, strict=True)) > NEUTRAL
            touched = moved and max(abs(value) for value in sticks) > NEUTRAL
            if not page.armed or not (lost or touched):
                return
            self._take_over(page)
        throttle = sticks[1] if page.armed else 0.0
        self._forward({"type": "drive", "steering": sticks[0], "throttle": throttle})

    def _press(self, page: Page, message: Message) -> None:
        if page is not self.driver:
            self._take_over(page)
        if message["type"] == "constant_throttle":
            self._holds_throttle = message["throttle"] is not None
        self._forward(message)

    def _take_over(self, page: Page) -> None:
        # A throttle that another page holds must not go on under this one's hands.
        if self._holds_throttle:
            self._holds_throttle = False
            self._forward({"type": "constant_throttle", "throttle": None})
        self.driver = page
