"""Several controllers, one driver: the one last touched drives, an absent one silences nobody."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import DingocarError, UsageError, did_you_mean
from dingocar.parts.drive_mode import MODES
from dingocar.words import counted

logger = logging.getLogger(__name__)

#: A stick nearer to its middle than this is at rest; a stick moved by so much was moved by a person.
NEUTRAL = 0.05


class Source:
    """One controller's handle of the hub, made by `ControllerHub.source`. Any thread may call it.

    Attributes:
        name: for people: `web`, `gamepad`, ...
    """

    def __init__(self, hub: ControllerHub, name: str) -> None:
        self.name = name
        self._hub = hub
        # What follows is read and written under the hub's lock.
        self.steering = self.throttle = 0.0
        self.armed = False
        self.seen_s = -math.inf
        self.known = False  # the sticks' positions have been told since it connected
        self.anchor = (0.0, 0.0)  # where the sticks were when they last moved by NEUTRAL

    def command(self, steering: float, throttle: float) -> None:
        """The sticks, each in [-1, 1], and a sign of life. Send it as long as the controller is there.

        Values outside are clipped. One that is no finite number makes the whole command neutral, and such a
        neutral does not arm.
        """
        hub = self._hub
        with hub.lock:
            known = math.isfinite(steering) and math.isfinite(throttle)
            steering, throttle = (_clip(steering), _clip(throttle)) if known else (0.0, 0.0)
            self.steering, self.throttle, self.known = steering, throttle, known
            hub.note_life(self)
            moved = max(abs(steering - self.anchor[0]), abs(throttle - self.anchor[1])) >= NEUTRAL
            if moved:
                self.anchor = (steering, throttle)
                if max(abs(steering), abs(throttle)) >= NEUTRAL:
                    hub.note_touch(self)
            if self.throttle <= -NEUTRAL:
                hub.note_brake(self)

    def alive(self) -> None:
        """A sign of life; the sticks are as they were."""
        with self._hub.lock:
            self._hub.note_life(self)

    def rest(self, steering: float, disarm: bool = False) -> None:
        """A sign of life with a neutral throttle, whatever the stick says; it ends constant throttle.

        For a controller that may be out of reach, or whose dead-man button was let go. Such a neutral does
        not arm; `disarm`: it takes the arming away, so that a pilot stops too.
        """
        with self._hub.lock:
            self.steering = _clip(steering) if math.isfinite(steering) else 0.0
            self.throttle, self.known, self.armed = 0.0, False, self.armed and not disarm
            self._hub.note_life(self)
            self._hub.note_brake(self)

    def released(self) -> None:
        """The controller is gone: neutral at once; when it comes back it must arm again."""
        with self._hub.lock:
            self._hub.note_loss(self, "is gone")
            self.steering = self.throttle = 0.0
            self.anchor, self.known, self.seen_s = (0.0, 0.0), False, -math.inf

    def mode(self, mode: str) -> None:
        """Changes who drives: `user`, `local_angle` or `local`.

        Raises:
            UsageError: there is no such mode.
        """
        _check_mode(mode)
        with self._hub.lock:
            self._button()
            self._hub.set_mode(mode)

    def next_mode(self) -> None:
        """The next one of `user`, `local_angle`, `local`, and round again."""
        with self._hub.lock:
            self._button()
            self._hub.set_mode(MODES[(MODES.index(self._hub.mode) + 1) % len(MODES)])

    def recording(self, on: bool | None) -> None:
        """Switches recording on or off by hand; None toggles it."""
        with self._hub.lock:
            self._button()
            self._hub.set_recording(on)

    def erase(self, n: int) -> None:
        """Asks for the last `n` records to be erased; the hub's `on_erase` is called in the loop."""
        with self._hub.lock:
            self._button()
            if n > 0:
                self._hub.erasures.append(int(n))

    def constant_throttle(self, throttle: float | None) -> None:
        """Holds the throttle at this value in (0, 1] with the stick released; None, or 0 and below, ends it.

        It ends by itself with the brake, `stop`, a change of mode, another controller taking over, or this
        one's loss. An unarmed controller cannot start it.
        """
        with self._hub.lock:
            self._button()
            wanted = throttle is not None and math.isfinite(throttle) and throttle > 0
            self._hub.set_constant(self, _clip(throttle) if wanted and throttle is not None else None)

    def toggle_constant_throttle(self, throttle: float) -> None:
        """Starts `constant_throttle` at this value, or ends it if it is on."""
        with self._hub.lock:
            self.constant_throttle(throttle if self._hub.constant is None else None)

    @property
    def has_constant_throttle(self) -> bool:
        """True while this controller holds a constant throttle."""
        return self._hub.has_constant(self)

    def launch(self) -> None:
        """Asks for a push at the start of autonomous driving, see `parts.launch`."""
        with self._hub.lock:
            self._button()
            self._hub.launches = True

    def stop(self) -> None:
        """Emergency stop, from whichever controller: neutral, mode `user`, and everyone must arm again."""
        with self._hub.lock:
            self._hub.note_life(self)
            self._hub.stop_all(self)

    def _button(self) -> None:
        self._hub.note_life(self)
        self._hub.note_touch(self)


class ControllerHub:
    """Decides which controller drives. No inputs; outputs `user/angle`, `user/throttle`, `user/mode`,
    `user/age_s`, `user/armed`, `user/source`, `user/launch`, `recording`.

    **Who drives.** The controller last touched: a stick moved beyond neutral, or a button. It takes over
    at once, if it is armed. While nobody drives, the first to give a sign of life does. One that is held
    away from neutral then is disarmed first: the car never jumps to a stick that nobody has just moved.

    **Arming.** A controller's throttle counts once it has been neutral: since it connected, since
    `released()`, since it was silent for longer than `rearm_after_s`, since an emergency stop.

    **Loss.** When the driving controller is gone, or silent for longer than `rearm_after_s`, nobody
    drives, and the mode goes back to `user`: autonomy never resumes by itself. Before that, from `max_age_s`
    on, its throttle is 0 already. What it switched (recording, an earlier mode of somebody else) stays.

    **Recording.** With `auto_record` it begins when the throttle leaves neutral in mode `user` (with
    `record_during_ai` also when a pilot drives) and ends when that does. Switched off by hand it stays off
    until it is switched on by hand, which records at once, also at a standstill.

    Args:
        start_mode: the mode before anybody changes it.
        auto_record: record while the throttle is on.
        record_during_ai: record while a pilot drives.
        on_erase: told how many of the last records to erase; called in the loop.
        rearm_after_s: a controller silent for longer (and longer than `max_age_s`) has to arm again.
        max_age_s: a controller silent for longer has no throttle.
        without_user: `drive` keeps the mode when the driving controller is lost, `stop` does not.
        records: every loop (True), or nothing (False: there is nowhere to record to), whatever is switched;
            None: as it is switched.
        clock: what tells time.

    Raises:
        UsageError: no such mode.
    """

    def __init__(
        self,
        start_mode: str = "user",
        auto_record: bool = True,
        record_during_ai: bool = False,
        on_erase: Callable[[int], None] | None = None,
        rearm_after_s: float = 0.5,
        clock: Clock | None = None,
        *,
        max_age_s: float = 0.12,
        without_user: str = "stop",
        records: bool | None = None,
    ) -> None:
        _check_mode(start_mode)
        self.rearm_after_s, self.max_age_s = max(rearm_after_s, max_age_s), max_age_s
        self.without_user, self._records = without_user, records
        self.mode, self.record_during_ai, self.on_erase = start_mode, record_during_ai, on_erase
        self._auto_record = auto_record
        self._now_s = (clock or MonotonicClock()).now_s
        #: Held for microseconds, by the controllers' threads and the loop.
        self.lock = threading.RLock()
        self.constant: float | None = None
        self.launches = False
        self.erasures: list[int] = []
        self._recording = self._wanted = self._switched_off = False
        self._sources: dict[str, Source] = {}
        self._active: Source | None = None

    def source(self, name: str) -> Source:
        """The handle of the controller of this name; made at the first call."""
        with self.lock:
            return self._sources.setdefault(name, Source(self, name))

    def run(self) -> tuple[float, float, str, float, bool, str, bool, bool]:
        """What the person at the controls wants now.

        Returns:
            steering and throttle in [-1, 1] (no throttle while it is unarmed or silent, neither while nobody
            drives), mode, seconds since the driving controller's last sign of life (inf: nobody drives),
            whether it is armed, its name (or ""), whether a launch was asked for since the last call,
            whether to record.
        """
        with self.lock:
            now_s, active = self._now_s(), self._active
            if active is not None and now_s - active.seen_s > self.rearm_after_s:
                self.note_loss(active, "is silent")
                active = None
            erasures, self.erasures = self.erasures, []
            launch, self.launches = self.launches, False
            steering, throttle, age_s, armed, name = 0.0, 0.0, math.inf, False, ""
            if active is not None:
                steering, armed, name = active.steering, active.armed, active.name
                age_s = now_s - active.seen_s
                if armed and age_s <= self.max_age_s:
                    throttle = active.throttle if self.constant is None else self.constant
            live = armed and age_s <= self.max_age_s
            self._update_recording(throttle, live)
            recording = self._recording if self._records is None else self._records
            result = (steering, throttle, self.mode, age_s, armed, name, launch, recording)
        for n in erasures:
            self._erase(n)
        return result

    # What follows is for Source, with the lock held.

    def note_life(self, source: Source) -> None:
        """A sign of life: may arm the source, and makes it drive when nobody does."""
        now_s = self._now_s()
        if now_s - source.seen_s > self.rearm_after_s:
            self.note_loss(source, "was silent")
        source.seen_s = now_s
        if source.known and abs(source.throttle) < NEUTRAL:
            source.armed = True
        if self._active is None:
            if abs(source.throttle) >= NEUTRAL or not source.known:
                source.armed = False
            self._hand_over(source)

    def note_touch(self, source: Source) -> None:
        """A person has moved a stick or pressed a button."""
        if source.armed and source is not self._active:
            self._hand_over(source)

    def note_brake(self, source: Source) -> None:
        """The driver's brake ends constant throttle."""
        if source is self._active:
            self.constant = None

    def note_loss(self, source: Source, how: str) -> None:
        """The source must arm again; if it drove, nobody does now."""
        source.armed = False
        if source is not self._active:
            return
        logger.warning("controller %s %s", source.name, how)
        self._active, self.constant, self.launches = None, None, False
        if self.without_user == "stop":
            self.set_mode("user")

    def set_mode(self, mode: str) -> None:
        """Changes the mode; a real change ends constant throttle."""
        if mode != self.mode:
            logger.info("mode %s", mode)
            self.mode, self.constant = mode, None

    def set_recording(self, on: bool | None) -> None:
        """Recording switched by hand; see the class."""
        if self._records is not None:
            logger.warning(
                "recording cannot be switched: %s", "all is" if self._records else "nothing can be"
            )
        self._recording = not self._recording if on is None else on
        self._switched_off = not self._recording

    def set_constant(self, source: Source, throttle: float | None) -> None:
        """Starts (or, None, ends) constant throttle."""
        if throttle is not None and not (source is self._active and source.armed):
            logger.warning("no constant throttle: controller %s is not armed", source.name)
            throttle = None
        self.constant = throttle

    def has_constant(self, source: Source) -> bool:
        """True while the source drives at a constant throttle."""
        with self.lock:
            return source is self._active and self.constant is not None

    def stop_all(self, source: Source) -> None:
        """Emergency stop."""
        logger.warning("emergency stop by controller %s", source.name)
        self.set_mode("user")
        self.constant, self.launches = None, False
        for each in self._sources.values():
            each.armed = False

    def _hand_over(self, source: Source) -> None:
        logger.info("controller %s drives", source.name)
        self._active, self.constant = source, None

    def _update_recording(self, throttle: float, live: bool) -> None:
        """Switches at the moments at which automatic recording begins and ends."""
        if self.mode == "user":
            driving = self._auto_record and abs(throttle) >= NEUTRAL
        else:
            driving = self.record_during_ai and (live or self.without_user == "drive")
        wanted = driving and not self._switched_off
        if wanted != self._wanted:
            self._recording = wanted
        self._wanted = wanted

    def _erase(self, n: int) -> None:
        if self.on_erase is None:
            logger.warning("there is no recording to erase from")
            return
        try:
            self.on_erase(n)
        except DingocarError as error:
            logger.warning("the last %s could not be erased: %s", counted(n, "record"), error)


def _clip(value: float) -> float:
    return min(1.0, max(-1.0, float(value)))


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise UsageError(f"unknown drive mode {mode!r}{did_you_mean(mode, MODES)}")
