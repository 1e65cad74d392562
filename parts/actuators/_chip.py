"""A PCA9685: sixteen pulses over I2C, one object shared by all that use its channels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import HardwareError, MissingExtraError, UsageError
from dingocar.parts.actuators import _registers as registers
from dingocar.parts.actuators._i2c import claim, open_bus

logger = logging.getLogger(__name__)


class Chip:
    """A PCA9685, driven by `adafruit-circuitpython-pca9685`. `Chip.at` gets it, `close` gives it back.

    Its very first transfer switches all outputs off, before the driver sets anything up: whatever a killed
    process has left on the chip ends there. A pulse is written when it changes; twice a second all are
    written anew, after a look at whether the chip has lost its settings (its supply dropped). A transfer
    that is not acknowledged is tried again at once, a few times.
    """

    #: A transfer that fails is tried so often, and no longer than so many seconds in all.
    TRIES, TRY_FOR_S, PAUSE_S = 5, 0.02, 0.001
    #: How long another thread's transfer is waited for.
    LOCK_TIMEOUT_S = 0.05
    #: A transfer that took longer hung; the car must not go on as if nothing had happened.
    HUNG_S = 0.2
    #: So often all pulses are written anew.
    REFRESH_S = 0.5

    _open: ClassVar[dict[tuple[int | str, int], Chip]] = {}
    # Both locks are reentrant because a signal may interrupt their holder before it can give them back,
    # and the next thing it does is to bring the car to rest.
    _opening: ClassVar[threading.RLock] = threading.RLock()

    @classmethod
    def at(
        cls, bus: int | str, address: int = 0x40, frequency_hz: float = 60.0, clock: Clock | None = None
    ) -> Chip:
        """The chip at an address of a bus: the same object for all who ask.

        Args:
            bus: see `dingocar.parts.actuators._i2c.open_bus`.
            address: 0x40 to 0x7F, as `i2cdetect -y 1` shows it.
            frequency_hz: pulses per second on all channels, 24 to 1526.
            clock: what tells time; tests pass a fake.

        Raises:
            HardwareError: the bus is missing, or nothing answers at the address.
            MissingExtraError: the driver is not installed.
            UsageError: an argument is out of range, or the chip is in use at another frequency.
        """
        if not 24 <= frequency_hz <= 1526:
            raise UsageError(f"PCA9685_FREQUENCY_HZ must be 24 to 1526, got {frequency_hz!r}")
        if not 0x40 <= address <= 0x7F:
            raise UsageError(f"PCA9685_I2C_ADDR must be 0x40 to 0x7F, got {address:#x}")
        with cls._opening:
            chip = cls._open.get((bus, address))
            if chip is None:
                chip = cls(bus, address, frequency_hz, clock or MonotonicClock())
                cls._open[bus, address] = chip
            elif chip.frequency_hz != frequency_hz:
                raise UsageError(
                    f"{chip.name} has one frequency for all its channels: it runs at {chip.frequency_hz} Hz, "
                    f"{frequency_hz} Hz was asked for"
                )
            chip._users += 1
            return chip

    def __init__(self, bus: int | str, address: int, frequency_hz: float, clock: Clock) -> None:
        self.address, self.frequency_hz, self._clock = address, frequency_hz, clock
        self._claim = claim(bus, address)
        try:
            self._bus = open_bus(bus)
        except BaseException:
            self._give_up_claim()
            raise
        self.name = f"PCA9685 at {address:#x} on {self._bus.name}"
        self._key = (bus, address)
        self._users = 0
        self._lock = threading.RLock()
        self._written: dict[int, int] = {}
        self._refresh_at_s = 0.0
        #: Pulses that a thread could not write because another one's transfer hung: that one writes them.
        self._owed: registers.Pulses | None = None
        self._driver: Any = None
        self._prescale = b""
        try:
            with self._exclusive():
                self._retried(self._set_up)
        except BaseException:
            self._bus.close()
            self._give_up_claim()
            raise

    def set_pulse(self, channel: int, ticks: int) -> None:
        """Sets how long a channel's pulse is.

        Args:
            channel: 0 to 15.
            ticks: 0 (no pulse) to 4095, of the 4096 ticks of a period; 4096: on without a gap.

        Raises:
            HardwareError: the chip did not acknowledge in several tries, or the bus hangs.
        """
        with self._exclusive():
            now_s = self._clock.now_s()
            if now_s >= self._refresh_at_s:
                self._retried(self._check)
                self._refresh_at_s = now_s + self.REFRESH_S
            if self._written.get(channel) == ticks:
                return
            self._retried(lambda: self._write(channel, ticks))
            self._written[channel] = ticks
            if self._owed is not None or self._clock.now_s() - now_s > self.HUNG_S:
                raise HardwareError(
                    f"{self.name}: a transfer hung for {self._clock.now_s() - now_s:.2f} s: check the wiring "
                    "(short cables, SDA and SCL not swapped, nothing else on the bus stuck)"
                )

    def rest(self, pulses: registers.Pulses) -> None:
        """Writes `pulses` in their order, whether or not they changed, and needing no set-up chip.

        May be called from another thread while `set_pulse` hangs: then it gives up after a set time, and the
        hanging thread writes them as soon as the bus is free.

        Raises:
            HardwareError: the chip did not acknowledge, or the bus hangs.
        """
        with self._exclusive(owed=pulses):
            self._rest(pulses)

    def forget(self) -> None:
        """Somebody else has written to the chip: the next `set_pulse` looks at it and writes anew."""
        self._refresh_at_s = 0.0

    def close(self) -> None:
        """Gives the chip back; the last user's call closes the bus. The pulses stay as they are."""
        with Chip._opening:
            self._users -= 1
            if self._users > 0:
                return
            Chip._open.pop(self._key, None)
        self._bus.close()
        self._give_up_claim()

    def _give_up_claim(self) -> None:
        if self._claim is not None:
            self._claim.close()

    @contextmanager
    def _exclusive(self, owed: registers.Pulses | None = None) -> Iterator[None]:
        if not self._lock.acquire(timeout=self.LOCK_TIMEOUT_S):
            self._owed = owed or self._owed
            if not self._lock.acquire(blocking=False):
                raise HardwareError(
                    f"{self.name}: the bus hangs, another transfer has not ended for "
                    f"{self.LOCK_TIMEOUT_S} s: check the wiring"
                )
        try:
            try:
                yield
            finally:
                late, self._owed = self._owed, None
                if late is not None:
                    self._rest(late)
        finally:
            self._lock.release()

    def _rest(self, pulses: registers.Pulses) -> None:
        self._written.clear()
        self.forget()
        try:
            self._retried(lambda: registers.rest(self._bus, self.address, pulses))
        except HardwareError:
            # A single byte may get through where seven transfers do not.
            self._retried(lambda: registers.all_off(self._bus, self.address))

    def _retried(self, transfer: Callable[[], None]) -> None:
        began_s = self._clock.now_s()
        for attempt in range(1, self.TRIES + 1):
            try:
                return transfer()
            except (OSError, ValueError) as error:  # ValueError: the driver found nothing at the address
                if attempt == self.TRIES or self._clock.now_s() - began_s > self.TRY_FOR_S:
                    raise HardwareError(
                        f"{self.name} does not answer ({error}; {attempt} tries): check its supply (VCC), "
                        "SDA, SCL and GND, and that i2cdetect -y 1 shows its address"
                    ) from error
                self._clock.wait_s(self.PAUSE_S)
        return None

    def _set_up(self) -> None:
        registers.all_off(self._bus, self.address)
        self._written.clear()
        try:
            from adafruit_pca9685 import PCA9685
        except ImportError as error:
            raise MissingExtraError("adafruit-circuitpython-pca9685", "pi", "the PCA9685") from error
        self._driver = PCA9685(self._bus, address=self.address)
        # Its reset has cleared auto-increment; setting the frequency sets it again.
        self._driver.frequency = self.frequency_hz
        self._prescale = registers.read(self._bus, self.address, registers.PRE_SCALE)

    def _check(self) -> None:
        """Before all pulses are written anew: are the chip's settings still there?"""
        mode = registers.read(self._bus, self.address, registers.MODE1)[0]
        prescale = registers.read(self._bus, self.address, registers.PRE_SCALE)
        set_up = not mode & registers.SLEEP and mode & registers.AUTO_INCREMENT and prescale == self._prescale
        if not set_up:
            logger.warning("%s has lost its settings (was its supply cut?): setting it up again", self.name)
            self._set_up()
        self._written.clear()

    def _write(self, channel: int, ticks: int) -> None:
        # Through the driver's device but not its `pwm_regs`, see `_registers`.
        with self._driver.i2c_device as device:
            device.write(registers.pulse_bytes(channel, ticks))
