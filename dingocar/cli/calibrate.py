"""Find the pulses of servo and motor by keys in the terminal (in a car folder)

Usage:
    dingocar calibrate [--no-picture] [--set NAME=VALUE]...

Choose a setting by its key, change it with + and - (by 1) or the arrows to the right and left (by 10),
and see what the car does at once. The wheels turn only while a key is held. w writes what was changed
into myconfig.py and leaves everything else in it alone; q leaves all as it was.

Options:
    --no-picture       do not show what the camera sees
    --set NAME=VALUE   another setting of config.py
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._calibration import Calibration, ServoEscCalibration, TrimCalibration
from dingocar.cli._common import assignments, note, parse, this_car
from dingocar.cli._myconfig import change_file, parse_file
from dingocar.errors import ConfigError, DingocarError, UsageError

if TYPE_CHECKING:
    from dingocar.cli._terminal import Terminal
    from dingocar.config import CarConfig

#: The chip is written, and keys are read, so often; a new screen is shown so often.
PERIOD_S, SCREEN_S = 0.02, 0.3
#: The watchdog's patience: the motors stop when this program is silent so long.
WATCHDOG_S = 0.3
SERVO_ESC = (
    *("STEERING_LEFT", "STEERING_MID", "STEERING_RIGHT"),
    *("THROTTLE_FORWARD", "THROTTLE_STOPPED", "THROTTLE_REVERSE"),
)
HELP = "+ - by 1   right left by 10   space hold to run   w write   q leave"


def run(argv: list[str]) -> int:
    from dingocar.cli._terminal import Terminal
    from dingocar.config import CarConfig
    from dingocar.supervision import stop_signals

    args = parse(__doc__, argv, "dingocar calibrate")
    folder = this_car("calibrate")
    cfg = CarConfig.load(folder, assignments(args["--set"]))
    file = folder / "myconfig.py"
    parse_file(file)
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise UsageError(f"{file}: this user may not write it; sudo chown -R $USER {folder}")
    calibration, motors = _motors(cfg)
    terminal = Terminal()
    signals: list[int] = []
    # Signals leave only a note: what brings the motors to rest is not to be interrupted itself.
    with stop_signals(signals.append):
        rig = motors()
        camera = None
        try:
            camera = None if args["--no-picture"] else _Camera(cfg)
            with terminal:
                _loop(calibration, rig, terminal, camera, signals)
        finally:
            rig.shutdown()
            if camera is not None:
                camera.shutdown()
    if signals:
        note("interrupted; nothing was written")
        return 128 + signals[0]
    if terminal.gone:
        note("the terminal is gone; nothing was written")
        return 1
    return _end(calibration, cfg, file)


def _motors(cfg: CarConfig) -> tuple[Calibration, Callable[[], Any]]:
    """The calibration of the car's kind, and what opens its motors.

    Raises:
        UsageError: it has no motors to calibrate.
    """
    from dingocar.clock import MonotonicClock
    from dingocar.parts.actuators.differential import Differential

    clock = MonotonicClock()
    if cfg.ACTUATOR == "servo_esc":
        values = {name: getattr(cfg, name) for name in SERVO_ESC}
        double_tap = cfg.ESC_REVERSE == "double_tap"
        servo = ServoEscCalibration(values, cfg.PCA9685_FREQUENCY_HZ, double_tap, clock)
        return servo, lambda: _servo_esc(cfg, servo)
    if cfg.ACTUATOR == "differential":
        trim = TrimCalibration(cfg.MOTOR_TRIM, clock)
        return trim, lambda: Differential(
            *(cfg.I2C_BUS, cfg.PCA9685_I2C_ADDR, cfg.MOTOR_FREQUENCY_HZ),
            left_motor=cfg.LEFT_MOTOR,
            right_motor=cfg.RIGHT_MOTOR,
            deadband=cfg.MOTOR_DEADBAND,
            watchdog_s=WATCHDOG_S,
        )
    raise UsageError(
        f"calibrate: ACTUATOR is {cfg.ACTUATOR!r}, nothing to calibrate; set ACTUATOR = 'servo_esc' or "
        "'differential' in myconfig.py"
    )


def _servo_esc(cfg: CarConfig, calibration: ServoEscCalibration) -> Any:
    """Servo and ESC that get the calibration's pulses as they are.

    At rest they get the pulses of the settings file, which is what is true as long as nothing is written.
    """
    from dingocar.cli.neutral import rest_pulses
    from dingocar.parts.actuators._pwm import PwmActuator

    class Pulses(PwmActuator):
        def _drive(self, steering: float, throttle: float) -> None:
            self._chip.set_pulse(cfg.THROTTLE_CHANNEL, calibration.throttle)
            self._chip.set_pulse(cfg.STEERING_CHANNEL, calibration.steering)

    return Pulses(
        cfg.I2C_BUS,
        cfg.PCA9685_I2C_ADDR,
        cfg.PCA9685_FREQUENCY_HZ,
        rest_pulses(cfg),
        WATCHDOG_S,
        None,
    )


def _loop(
    calibration: Calibration, rig: Any, terminal: Terminal, camera: _Camera | None, signals: list[int]
) -> None:
    """Until the calibration is done, a signal came, or the terminal is gone."""
    import time

    show_at_s = 0.0
    while calibration.done is None and not signals and not terminal.gone:
        keys = terminal.keys(PERIOD_S)
        for key in keys:
            calibration.key(key)
        if isinstance(calibration, TrimCalibration):
            rig.run(calibration.steering, calibration.throttle)
        else:
            rig.run(0.0, 0.0)  # the pulses are the calibration's own
        now_s = time.monotonic()
        if keys or now_s >= show_at_s:
            show_at_s = now_s + SCREEN_S
            image, told = (None, "") if camera is None else camera.picture()
            terminal.show(_screen(calibration, told), image)


def _screen(calibration: Calibration, told: str) -> list[str]:
    """The text of the screen."""
    lines = ["dingocar calibrate", ""]
    for choice in calibration.choices:
        value, chosen = calibration.values[choice.setting], choice is calibration.chosen
        was = calibration.loaded[choice.setting]
        note_ = f"(was {was:g})" if value != was else ""
        mark = ">" if chosen else " "
        lines.append(f"{mark} {choice.key}  {choice.setting:<17}{value:>6g}  {choice.what:<20} {note_}")
    driving = "   THE WHEELS TURN" if calibration.driving_s is not None else ""
    return [*lines, "", HELP, f"{calibration.message}{driving}", told]


def _end(calibration: Calibration, cfg: CarConfig, file: Path) -> int:
    """Writes what is to be written, and brings the motors to the new rest.

    Raises:
        ConfigError: the file cannot be changed, or sets something else in spite of the change.
    """
    from dingocar.cli.neutral import write_neutral
    from dingocar.config import CarConfig

    changed = calibration.changed if calibration.done == "write" else {}
    if not changed:
        print("nothing was written" if calibration.done == "leave" else "nothing was changed")
        return 0
    known = CarConfig.settings()
    change_file(
        file,
        {name: int(value) if known[name].type is int else value for name, value in changed.items()},
    )
    after = CarConfig.load(file.parent)
    for name, value in changed.items():
        if getattr(after, name) != value:
            raise ConfigError(f"{file} was written, but {name} still is {getattr(after, name)}: see its end")
    print("\n".join([f"{file}:", *(f"    {name} = {value:g}" for name, value in changed.items())]))
    if "THROTTLE_STOPPED" in changed or "STEERING_MID" in changed:
        write_neutral(after)
    return 0


class _Camera:
    """The car's camera in a thread; one that fails costs the picture and nothing else."""

    def __init__(self, cfg: CarConfig) -> None:
        self._told = ""
        self._camera: Any = None
        try:
            self._camera = _camera(cfg)
        except DingocarError as error:
            self._told = f"no picture: {error}"
        if self._camera is not None:
            threading.Thread(target=self._update, name="camera", daemon=True).start()

    def picture(self) -> tuple[Any, str]:
        """The newest picture or None, and what there is to say about it."""
        image = None if self._camera is None else self._camera.run_threaded()[0]
        return image, self._told

    def shutdown(self) -> None:
        """Closes it."""
        if self._camera is not None:
            self._camera.shutdown()

    def _update(self) -> None:
        try:
            self._camera.update()
        except Exception as error:  # noqa: BLE001 - told on the screen
            self._told = f"no more pictures: {error}"


def _camera(cfg: CarConfig) -> Any:
    """The camera of the car, or None where it is simulated."""
    from dingocar.parts.cameras._open import open_camera

    if cfg.CAMERA == "sim":
        return None
    shape = (cfg.IMAGE_H, cfg.IMAGE_W)
    device = cfg.CAMERA_INDEX, cfg.CAMERA_HFLIP, cfg.CAMERA_VFLIP, cfg.path(cfg.REPLAY_PATH)
    return open_camera(cfg.CAMERA, shape, cfg.CAMERA_FRAMERATE, *device)
