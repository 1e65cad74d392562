"""A gamepad through Linux's evdev: sticks or triggers, buttons by a mapping file, reconnected by itself."""

from __future__ import annotations

import contextlib
import logging
import math
import select
import threading
from collections.abc import Callable
from typing import Any

from dingocar.clock import Clock, MonotonicClock
from dingocar.parts.controllers._evdev import (
    PERMISSION_FIX,
    all_unreadable,
    describe,
    evdev,
    list_pads,
    no_pad_error,
    open_device,
)
from dingocar.parts.controllers._pads import choose_mapping, find_mapping, known_mappings, missing_axes
from dingocar.parts.controllers._padstate import PadState
from dingocar.parts.controllers.hub import Source

logger = logging.getLogger(__name__)

#: One press changes the top throttle by so much.
MAX_THROTTLE_STEP = 0.05


class Gamepad:
    """Drives a `Source` of the hub from a gamepad; no inputs, no outputs. Add it with `threaded=True`.

    A pad that is not there is waited for quietly, and one that goes (battery, cable, out of reach) is
    `released()` at once. Twenty times a second a quiet pad is asked whether it still answers. It cannot arm
    before it was touched, by stick or button.

    A radio link that dies can leave the last position of the sticks behind while the receiver goes on
    answering. Therefore a throttle that is held with no event at all for `max_silence_s` becomes neutral
    until the next event, and a constant throttle ends. A hand on real sticks is rarely that still for so
    long, and a stop for a moment is the worst that happens. Sticks at rest are silent by nature: a pilot
    that drives is not stopped by this. For that a mapping may name a dead-man button (`hold_to_drive`):
    while it is not held the car stands, whoever drives it.

    Args:
        source: the hub's handle.
        device: the pad's file, e.g. `/dev/input/by-id/...`; "": the first pad found.
        mapping: a mapping file, or its name; "": the one that matches the pad, the car's `pads/` first.
        max_throttle: throttle of a stick at its end; the pad's buttons change it.
        deadzone: share of a stick's way around its middle, and of a trigger's at its rest, that counts as 0.
        max_silence_s: see above; inf: never.
        clock: what tells time.

    Raises:
        ConfigError: a mapping file has a mistake.
        MissingExtraError: the package evdev is not installed.
        ValueError: a number is out of its range.
    """

    POLL_S = 0.05
    RETRY_S = 1.0

    def __init__(
        self,
        source: Source,
        device: str = "",
        mapping: str = "",
        max_throttle: float = 0.5,
        deadzone: float = 0.05,
        max_silence_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        if not (0 < max_throttle <= 1 and 0 <= deadzone <= 0.5 and max_silence_s > 0):
            raise ValueError(
                "max_throttle must be within 0 to 1, deadzone within 0 to 0.5, max_silence_s above 0; "
                f"got {max_throttle}, {deadzone}, {max_silence_s}"
            )
        evdev()  # a missing package is told now, not in the thread
        self._mappings = [find_mapping(mapping)] if mapping else known_mappings()
        self._chosen = bool(mapping)
        self.source, self._device = source, device
        self._max_throttle, self._deadzone, self._max_silence_s = max_throttle, deadzone, max_silence_s
        self.clock: Clock = clock or MonotonicClock()
        self._stopped = threading.Event()
        self._told: set[str] = set()

    def update(self) -> None:
        """Waits for a pad and follows it, again and again, until `shutdown()`."""
        while not self._stopped.is_set():
            try:
                connection = self.connect()
                if connection is None:
                    self._stopped.wait(self.RETRY_S)
                    continue
                with contextlib.closing(connection):
                    while not self._stopped.is_set() and connection.step(self.POLL_S):
                        pass
            except OSError as error:  # ENODEV: unplugged between two calls
                logger.info("gamepad: %s", error)
                self._stopped.wait(self.RETRY_S)

    def run_threaded(self) -> None:
        """Nothing: what the pad says goes to the hub."""

    def shutdown(self) -> None:
        """Ends the thread."""
        self._stopped.set()

    def connect(self) -> Connection | None:
        """Opens the pad; None while there is none that can be used.

        Raises:
            OSError: it went while it was being opened.
        """
        paths = [self._device] if self._device else [pad.path for pad in list_pads()]
        if not paths and all_unreadable():
            # Most often there is just no pad; but one that may not be read must not go unnoticed.
            self._tell_once(str(no_pad_error()))
        for path in paths:
            try:
                device = open_device(path)
            except PermissionError:
                self._tell_once(f"gamepad {path} cannot be read: {PERMISSION_FIX}")
                continue
            except OSError as error:
                self._tell_once(f"gamepad {path}: {error.strerror or error}", logging.INFO)
                continue
            connection = self._use(device)
            if connection is not None:
                return connection
            device.close()
        return None

    def _use(self, device: Any) -> Connection | None:
        pad = describe(device)
        if self._chosen:
            mapping, missing = self._mappings[0], missing_axes(self._mappings[0], device)
            if missing:
                self._tell_once(
                    f"gamepad {pad.name!r} has no {', '.join(missing)}, which {mapping.path} names; "
                    "make a mapping for it: dingocar joystick"
                )
                return None
        else:
            chosen = choose_mapping(self._mappings, pad, device)
            if chosen is None:
                self._tell_once(f"no mapping fits the gamepad {pad.name!r}; make one: dingocar joystick")
                return None
            mapping = chosen
        logger.info("gamepad %s (%s) by mapping %s", pad.name, pad.path, mapping.path.name)
        return Connection(self, device, PadState(mapping, device, self._deadzone))

    def _tell_once(self, text: str, level: int = logging.WARNING) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.log(level, text)

    # What follows is for Connection.

    def send(self, state: PadState, quiet_s: float) -> None:
        """Tells the hub where the sticks are, `quiet_s` after the last event (inf: there was none yet)."""
        source = self.source
        has_throttle = state.throttle or source.has_constant_throttle
        if not state.held:
            source.rest(state.steering, disarm=True)
        elif math.isinf(quiet_s) or (quiet_s > self._max_silence_s and has_throttle):
            source.rest(state.steering)
        else:
            source.command(state.steering, state.throttle * self._max_throttle)

    def act(self, action: str, erase_records: int) -> None:
        """Does what a button stands for."""
        source = self.source
        actions: dict[str, Callable[[], None]] = {
            "emergency_stop": source.stop,
            "mode_next": source.next_mode,
            "mode_user": lambda: source.mode("user"),
            "mode_local_angle": lambda: source.mode("local_angle"),
            "mode_local": lambda: source.mode("local"),
            "toggle_recording": lambda: source.recording(None),
            "erase": lambda: source.erase(erase_records),
            "increase_max_throttle": lambda: self._change_max_throttle(MAX_THROTTLE_STEP),
            "decrease_max_throttle": lambda: self._change_max_throttle(-MAX_THROTTLE_STEP),
            "constant_throttle_toggle": lambda: source.toggle_constant_throttle(self._max_throttle),
            "launch": source.launch,
            "hold_to_drive": lambda: None,  # seen to by PadState
        }
        actions[action]()

    def _change_max_throttle(self, by: float) -> None:
        self._max_throttle = round(min(1.0, max(MAX_THROTTLE_STEP, self._max_throttle + by)), 2)
        logger.info("top throttle %.2f", self._max_throttle)


class Connection:
    """An open gamepad."""

    def __init__(self, gamepad: Gamepad, device: Any, state: PadState) -> None:
        self._gamepad, self._device, self._state = gamepad, device, state
        self._poll = select.poll()
        self._poll.register(device.fd, select.POLLIN)
        # Before a pad's first report the kernel shows zeros, wherever the sticks are: that must not arm.
        self._event_s = -math.inf
        gamepad.send(state, math.inf)

    def step(self, wait_s: float) -> bool:
        """Waits for events and passes them on; False when the pad is gone.

        Raises:
            OSError: it is gone, too.
        """
        ready = self._poll.poll(math.ceil(wait_s * 1000))
        if any(flags & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, flags in ready):
            logger.warning("gamepad %s is gone", self._device.name)
            return False
        actions = []
        if ready:
            self._event_s = self._gamepad.clock.now_s()
            actions = self._state.apply(self._device.read())
        else:
            self._state.ask()
        # The sticks first: a button that arrives with them acts on an armed and up-to-date source.
        self._gamepad.send(self._state, self._gamepad.clock.now_s() - self._event_s)
        for action in actions:
            self._gamepad.act(action, self._state.mapping.erase_records)
        return True

    def close(self) -> None:
        """The pad is gone, or no longer wanted."""
        self._gamepad.source.released()
        with contextlib.suppress(OSError):
            self._device.close()
