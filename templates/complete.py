"""A car: camera or simulator, controllers, pilot, safety gate, motors, recorder, telemetry, web page.

This file is your car: `build` says which parts it is made of, in which order they run, and through which
channels they talk. Add your own part with `vehicle.add(...)`.

    python manage.py drive                                          you drive: http://localhost:8887
    python manage.py drive --expert --laps 3 --record               the simulator's expert drives, recorded
    python manage.py train --tub data/ --model models/mine.keras    a pilot learns from the recording
    python manage.py drive --model models/mine.keras                and drives, as the page tells it

`python manage.py --help` lists all commands.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # First, because a command may need nothing of what follows; `drive` imports this file for `build`.
    try:
        from dingocar.cli.main import main
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing}: activate the environment that dingocar is in, e.g. source .venv/bin/activate")
    sys.exit(main(car=Path(__file__).resolve().parent))

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from dingocar.config import CarConfig
from dingocar.errors import ConfigError, MissingExtraError, UsageError
from dingocar.parts._simulators import AnySimulator, open_simulator
from dingocar.parts.actuators.differential import Differential
from dingocar.parts.actuators.servo_esc import ServoEsc
from dingocar.parts.actuators.simulated import SimulatedActuator
from dingocar.parts.cameras._open import open_camera
from dingocar.parts.controllers.gamepad import Gamepad
from dingocar.parts.controllers.hub import ControllerHub
from dingocar.parts.controllers.web.controller import WebController
from dingocar.parts.drive_mode import DriveMode, PilotCondition
from dingocar.parts.expert import ExpertDriver
from dingocar.parts.lap_timer import LapTimer
from dingocar.parts.launch import AiLaunch
from dingocar.parts.pilot import PilotPart, PilotSwitch
from dingocar.parts.recorder import Recorder, SwitchedRecorder, switched_recorder
from dingocar.parts.safety.gate import SafetyGate
from dingocar.parts.simulator import Simulator
from dingocar.parts.telemetry.csv_log import CsvTelemetry
from dingocar.parts.telemetry.mqtt import MqttTelemetry
from dingocar.parts.translator import TranslatorPart
from dingocar.vehicle import Vehicle

logger = logging.getLogger(__name__)

#: What a record holds; with a pilot also what it says.
RECORDED = {
    "cam/image_array": "image_array",
    "user/angle": "float",
    "user/throttle": "float",
    "user/mode": "str",
}
RECORDED_PILOT = {"pilot/angle": "float", "pilot/throttle": "float"}

#: What the page and the telemetry show, and what it is before a part has said so.
SHOWN: dict[str, Any] = {
    "user/mode": "user",
    "user/source": "",
    "user/angle": 0.0,
    "user/throttle": 0.0,
    "pilot/name": "",
    "pilot/angle": 0.0,
    "pilot/throttle": 0.0,
    "pilot/latency_s": 0.0,
    "steering": 0.0,
    "throttle": 0.0,
    "safety/state": "",
    "cam/age_s": 0.0,
    "recording": False,
    "tub/num_records": 0,
    "tub/dropped": 0,
    "laps": 0,
    "lap_s": 0.0,
    "off_tracks": 0,
}


def build(
    cfg: CarConfig,
    model: Path | None = None,
    tub: Path | None = None,
    laps: int | None = None,
    fast: bool = False,
    expert: bool = False,
    mode: str | None = None,
) -> Vehicle:
    """Puts the car together.

    Args:
        cfg: the car's settings.
        model: the pilot that drives, or may be let drive by the user.
        tub: record every loop here; None: where and when the settings and the user say.
        laps: end after so many laps (simulator only); None: no limit.
        fast: the loop will not be paced by the clock; only without a user.
        expert: the simulator's scripted driver is in the place of the user.
        mode: `user`, `local_angle` or `local` at the start; None: `local` in the simulator when there is a
            pilot, on a real car what WEB_INIT_MODE says.
    """
    simulated = cfg.CAMERA == "sim"
    _check(cfg, model, expert, fast)
    mode = mode or (cfg.WEB_INIT_MODE if not simulated else "local" if model else "user")
    vehicle = Vehicle()
    for channel, value in SHOWN.items():
        vehicle.mem[channel] = value
    vehicle.mem["user/mode"] = mode
    simulator = _add_camera(vehicle, cfg, laps)
    recorder = hub = None
    recorded = RECORDED | (RECORDED_PILOT if model else {})
    recorded |= {"cam/translated": "image_array"} if model and cfg.TRANSLATOR else {}
    words = _tub_metadata(cfg, simulator)
    if expert and isinstance(simulator, Simulator):
        scripted = ExpertDriver(simulator.expert)
        vehicle.add(scripted, inputs=["sim/state"], outputs=["user/angle", "user/throttle"])
    elif not fast and cfg.CONTROLLER != "none":
        if not tub:
            rates = (cfg.DRIVE_LOOP_HZ, cfg.RECORD_IMAGE_QUALITY)
            recorder = switched_recorder(cfg.path(cfg.DATA_PATH), recorded, list(RECORDED), words, *rates)
        hub = _add_controllers(vehicle, cfg, mode, recorder, None if recorder else bool(tub))
    gated = hub is not None or cfg.ACTUATOR not in ("sim", "none")
    pilot = _add_pilot(vehicle, cfg, model, hub is not None, gated)
    if gated:
        _add_safety_gate(vehicle, cfg)
    _add_actuator(vehicle, cfg, simulator)
    if tub:
        _add_recorder(vehicle, cfg, tub, recorded, words, wait=fast)
    elif recorder:
        inputs = ["recording", *recorder.inputs]
        vehicle.add(recorder, inputs=inputs, outputs=["tub/num_records", "tub/dropped"])
    _add_telemetry(vehicle, cfg)
    if hub is not None and "web" in cfg.CONTROLLER:
        _add_web_page(vehicle, cfg, hub, pilot)
    return vehicle


def _check(cfg: CarConfig, model: Path | None, expert: bool, fast: bool) -> None:
    """Refuses what does not go together, before anything is opened."""
    if cfg.ACTUATOR == "sim" and cfg.CAMERA != "sim":
        raise ConfigError(
            f'ACTUATOR = "sim" moves the simulator\'s car, but CAMERA = "{cfg.CAMERA}"; set ACTUATOR to '
            "servo_esc or differential (none: nothing moves), or CAMERA to sim"
        )
    own_world = cfg.CAMERA == "sim" and cfg.SIM == "dingocar"
    if expert and (not own_world or model is not None):
        raise UsageError(
            "the expert drives in the simulator only (CAMERA = sim, SIM = dingocar), and without a model"
        )
    if fast and (not own_world or cfg.ACTUATOR != "sim" or not (expert or model)):
        raise UsageError("fast is for the expert or a pilot in the simulator; a person needs real time")


def _add_camera(vehicle: Vehicle, cfg: CarConfig, laps: int | None) -> AnySimulator | None:
    """Where pictures come from; returns the simulator if they come from there."""
    if cfg.CAMERA == "sim":
        return _add_simulator(vehicle, cfg, laps)
    camera = open_camera(
        cfg.CAMERA,
        (cfg.IMAGE_H, cfg.IMAGE_W),
        cfg.CAMERA_FRAMERATE,
        *(cfg.CAMERA_INDEX, cfg.CAMERA_HFLIP, cfg.CAMERA_VFLIP, cfg.path(cfg.REPLAY_PATH)),
    )
    # The gate stops the car at CAMERA_MAX_AGE_S; a camera that is gone for good ends the drive.
    vehicle.add(camera, outputs=["cam/image_array", "cam/age_s"], threaded=True, max_age_s=2.0)
    return None


def _add_simulator(vehicle: Vehicle, cfg: CarConfig, laps: int | None) -> AnySimulator:
    """World and laps."""
    simulator = open_simulator(
        *(cfg.SIM, (cfg.IMAGE_H, cfg.IMAGE_W), cfg.DRIVE_LOOP_HZ, cfg.SIM_SEED),
        place={"dingocar": cfg.SIM_TRACK, "donkey": cfg.SIM_SCENE, "duckietown": cfg.SIM_MAP}[cfg.SIM],
        look=cfg.SIM_LOOK,
        randomisation=cfg.SIM_RANDOMISATION,
        address=(cfg.SIM_HOST, cfg.SIM_PORT),
    )
    vehicle.add(simulator, outputs=["cam/image_array", "sim/state", "laps", "off_tracks"])
    timer = LapTimer(1 / cfg.DRIVE_LOOP_HZ, laps, on_limit=lambda: vehicle.stop("laps"))
    vehicle.add(timer, inputs=["laps"], outputs=["lap_s"])
    return simulator


def _add_controllers(
    vehicle: Vehicle, cfg: CarConfig, mode: str, recorder: SwitchedRecorder | None, records: bool | None
) -> ControllerHub:
    """What a person drives with: the one last touched is heard."""
    hub = ControllerHub(
        start_mode=mode,
        auto_record=cfg.AUTO_RECORD_ON_THROTTLE,
        record_during_ai=cfg.RECORD_DURING_AI,
        on_erase=recorder.erase if recorder else None,
        max_age_s=cfg.COMMAND_MAX_AGE_S,
        without_user=_without_user(cfg),
        records=records,
    )
    if "gamepad" in cfg.CONTROLLER:
        try:
            pad = Gamepad(
                hub.source("gamepad"),
                device=cfg.GAMEPAD_DEVICE,
                mapping=cfg.GAMEPAD_MAPPING,
                max_throttle=cfg.JOYSTICK_MAX_THROTTLE,
                deadzone=cfg.JOYSTICK_DEADZONE,
                max_silence_s=cfg.GAMEPAD_MAX_SILENCE_S,
            )
            vehicle.add(pad, threaded=True)
        except MissingExtraError as missing:
            if cfg.CONTROLLER == "gamepad":
                raise
            logger.info("no gamepad: %s", missing)
    vehicle.add(
        hub,
        outputs=[
            *("user/angle", "user/throttle", "user/mode", "user/age_s", "user/armed", "user/source"),
            *("user/launch", "recording"),
        ],
    )
    return hub


def _without_user(cfg: CarConfig) -> str:
    """What a pilot does when nobody is there; where nothing moves it may drive."""
    return "drive" if cfg.ACTUATOR in ("sim", "none") else cfg.AUTONOMY_WITHOUT_USER


def _add_pilot(
    vehicle: Vehicle, cfg: CarConfig, model: Path | None, switchable: bool, gated: bool
) -> PilotPart | None:
    """The pilot, if there is or may come one, and who of user and pilot reaches the motors."""
    pilot = None
    if model or switchable:
        shape = (cfg.IMAGE_H, cfg.IMAGE_W)
        vehicle.add(PilotCondition(), inputs=["user/mode"], outputs=["run_pilot"])
        seen, looks = ["cam/image_array"], None
        if cfg.TRANSLATOR:
            translator = TranslatorPart(cfg.path(cfg.TRANSLATOR), image_shape=shape, gated=gated)
            seen, looks = ["cam/translated", "translator/latency_s"], translator.gives
            vehicle.add(translator, inputs=["cam/image_array", "run_pilot"], outputs=seen)
        pilot = PilotPart(
            model,
            image_shape=shape,
            throttle_range=cfg.MODEL_CATEGORICAL_MAX_THROTTLE_RANGE,
            looks=looks,
            on_change=partial(vehicle.mem.channels.__setitem__, "pilot/name"),
        )
        said = ["pilot/angle", "pilot/throttle", "pilot/latency_s"]
        vehicle.add(pilot, inputs=seen, outputs=said, run_condition="run_pilot")
    if pilot and switchable and cfg.AI_LAUNCH_DURATION > 0:
        launch = AiLaunch(cfg.AI_LAUNCH_DURATION, cfg.AI_LAUNCH_THROTTLE, cfg.DRIVE_LOOP_HZ)
        inputs = ["user/mode", "user/launch", "pilot/throttle"]
        vehicle.add(launch, inputs=inputs, outputs=["pilot/throttle"])
    vehicle.add(
        DriveMode(cfg.AI_THROTTLE_MULT),
        inputs=["user/mode", "user/angle", "user/throttle", "pilot/angle", "pilot/throttle"],
        outputs=["steering", "throttle"],
    )
    return pilot


def _add_safety_gate(vehicle: Vehicle, cfg: CarConfig) -> None:
    """Holds the car when a controller, the camera or the pilot fails to answer."""
    vehicle.mem["user/age_s", "user/armed"] = (float("inf"), False)
    gate = SafetyGate(
        cfg.DRIVE_LOOP_HZ,
        command_max_age_s=cfg.COMMAND_MAX_AGE_S,
        camera_max_age_s=cfg.CAMERA_MAX_AGE_S,
        pilot_max_latency_s=cfg.PILOT_MAX_LATENCY_S,
        throttle_limit=cfg.THROTTLE_LIMIT,
        ramp_per_s=cfg.THROTTLE_RAMP_PER_S,
        without_user=_without_user(cfg),
    )
    vehicle.add(
        gate,
        inputs=[
            *("steering", "throttle", "user/mode", "user/age_s", "user/armed", "cam/age_s"),
            "pilot/latency_s",
        ],
        outputs=["steering", "throttle", "safety/state"],
    )


def _add_actuator(vehicle: Vehicle, cfg: CarConfig, simulator: AnySimulator | None) -> None:
    """What moves. With a real one, the simulator's car moves along."""
    # The loop's own hiccups are no reason to stop.
    watchdog_s = max(cfg.ACTUATOR_MAX_AGE_S, 2 / cfg.DRIVE_LOOP_HZ)
    chip = (cfg.I2C_BUS, cfg.PCA9685_I2C_ADDR)
    actuators: dict[str, Callable[[], Any]] = {
        "servo_esc": lambda: ServoEsc(
            *(*chip, cfg.PCA9685_FREQUENCY_HZ),
            steering_channel=cfg.STEERING_CHANNEL,
            throttle_channel=cfg.THROTTLE_CHANNEL,
            steering_left=cfg.STEERING_LEFT,
            steering_mid=cfg.STEERING_MID,
            steering_right=cfg.STEERING_RIGHT,
            steering_trim=cfg.STEERING_TRIM,
            throttle_forward=cfg.THROTTLE_FORWARD,
            throttle_stopped=cfg.THROTTLE_STOPPED,
            throttle_reverse=cfg.THROTTLE_REVERSE,
            reverse=cfg.ESC_REVERSE,
            watchdog_s=watchdog_s,
        ),
        "differential": lambda: Differential(
            *(*chip, cfg.MOTOR_FREQUENCY_HZ),
            left_motor=cfg.LEFT_MOTOR,
            right_motor=cfg.RIGHT_MOTOR,
            trim=cfg.MOTOR_TRIM,
            deadband=cfg.MOTOR_DEADBAND,
            watchdog_s=watchdog_s,
        ),
    }
    if cfg.ACTUATOR in actuators:
        _tell_if_slow(cfg, watchdog_s)
        vehicle.add(actuators[cfg.ACTUATOR](), inputs=["steering", "throttle"])
    if simulator is not None:
        vehicle.add(SimulatedActuator(simulator), inputs=["steering", "throttle"])


def _tell_if_slow(cfg: CarConfig, watchdog_s: float) -> None:
    late_s = max(watchdog_s, max(cfg.COMMAND_MAX_AGE_S, cfg.CAMERA_MAX_AGE_S) + 1 / cfg.DRIVE_LOOP_HZ)
    if late_s > 0.2:
        text = "the motors may go on for %.2f s when the controller, the camera or the loop stops: raise "
        text += "DRIVE_LOOP_HZ or lower COMMAND_MAX_AGE_S, CAMERA_MAX_AGE_S, ACTUATOR_MAX_AGE_S"
        logger.warning(text, late_s)


def _tub_metadata(cfg: CarConfig, simulator: AnySimulator | None = None) -> dict[str, Any]:
    if simulator is not None:
        return simulator.metadata
    return {"domain": "real"} if cfg.CAMERA in ("pi", "opencv") else {}


def _add_recorder(
    vehicle: Vehicle, cfg: CarConfig, tub: Path, recorded: dict[str, str], words: dict[str, Any], wait: bool
) -> None:
    """Every loop is a record."""
    recorder = Recorder(
        tub,
        *(list(recorded), list(recorded.values()), words),
        *(cfg.DRIVE_LOOP_HZ, cfg.RECORD_IMAGE_QUALITY, wait),
    )
    vehicle.mem["recording"] = True  # also without a controller, which says so too
    vehicle.add(recorder, inputs=list(recorded), outputs=["tub/num_records", "tub/dropped"])


def _add_telemetry(vehicle: Vehicle, cfg: CarConfig) -> None:
    """Figures for later, or for elsewhere."""
    channels = list(SHOWN)
    if cfg.TELEMETRY_CSV:
        vehicle.add(CsvTelemetry(cfg.path(cfg.TELEMETRY_CSV), channels), inputs=channels)
    if cfg.MQTT_BROKER:
        mqtt = MqttTelemetry(
            *(cfg.MQTT_BROKER, cfg.MQTT_PORT, cfg.MQTT_TOPIC, channels),
            username=cfg.MQTT_USERNAME,
            password=cfg.MQTT_PASSWORD,
        )
        vehicle.add(mqtt, inputs=channels)


def _add_web_page(vehicle: Vehicle, cfg: CarConfig, hub: ControllerHub, pilot: PilotPart | None) -> None:
    """The page; last, so that it shows what was done in this loop."""
    channels = vehicle.mem.channels
    models = cfg.path(cfg.MODELS_PATH)

    def at_rest() -> bool:
        return bool(channels["user/mode"] == "user" and channels["throttle"] == 0)

    page = WebController(
        hub.source("web"),
        list(SHOWN),
        host=cfg.WEB_HOST,
        port=cfg.WEB_CONTROL_PORT,
        token=cfg.WEB_TOKEN,
        video_hz=cfg.WEB_VIDEO_HZ,
        jpeg_quality=cfg.WEB_JPEG_QUALITY,
        image_shape=(cfg.IMAGE_H, cfg.IMAGE_W),
        translated=bool(cfg.TRANSLATOR),
        tubs=cfg.path(cfg.DATA_PATH),
        models=models,
        on_model=PilotSwitch(pilot, models, at_rest) if pilot else None,
    )
    vehicle.mem["web/url"] = page.url
    translated = ["cam/translated"] if cfg.TRANSLATOR else []
    vehicle.add(page, inputs=["cam/image_array", *translated, *SHOWN])
