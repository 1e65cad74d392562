"""A car's settings: `config.py` and `myconfig.py`, plain UPPERCASE Python, checked and typed.

`CarConfig` is the one list of settings: their names, types, defaults, ranges and explanations. It reads a
car's two files, reports all their mistakes together, and writes the default file.
"""

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dingocar.errors import ConfigError
from dingocar.settings import OWN_PREFIX, convert, from_text, limits, mistake, read_file, setting


@dataclass(frozen=True)
class CarConfig:
    """All settings of a car. Names are Donkeycar's where it has the same setting."""

    DATA_PATH: str = setting("data", "folder of the tub, from the car's folder", section="Files")
    MODELS_PATH: str = setting("models", "folder of the pilots, from the car's folder")

    DRIVE_LOOP_HZ: float = setting(
        20.0, "loops per second of the vehicle", section="Vehicle", low=2, high=200
    )
    MAX_LOOPS: int | None = setting(None, "end a drive after so many loops; None: never", low=1)

    CAMERA: str = setting(
        "sim",
        "where pictures come from",
        section="Camera",
        choices=("sim", "pi", "opencv", "replay", "mock"),
    )
    IMAGE_W: int = setting(160, "width of a picture in pixels", low=16, high=1280, multiple_of=4)
    IMAGE_H: int = setting(120, "height of a picture in pixels", low=16, high=960)
    CAMERA_FRAMERATE: float = setting(20.0, "pictures per second", low=1, high=120)
    CAMERA_INDEX: int = setting(
        0, "which camera, if there are several; for opencv the N of /dev/videoN", low=0
    )
    CAMERA_VFLIP: bool = setting(False, "turn the picture upside down (pi, opencv)")
    CAMERA_HFLIP: bool = setting(False, "mirror the picture (pi, opencv)")
    REPLAY_PATH: str = setting("data", "of CAMERA = replay: a tub, or a folder of pictures")

    SIM: str = setting(
        "dingocar",
        "which simulator CAMERA = sim means: our own, one that speaks the Donkey simulator's protocol, or "
        "gym-duckietown",
        section="Simulator",
        choices=("dingocar", "donkey", "duckietown"),
    )
    SIM_HOST: str = setting("127.0.0.1", "where the Donkey simulator runs")
    SIM_PORT: int = setting(9091, "its port", low=1, high=65535)
    SIM_SCENE: str = setting("generated_track", "its scene")
    SIM_MAP: str = setting("loop_empty", "map of gym-duckietown")
    SIM_TRACK: str = setting("circuit", "track: a name, random:<seed>, duckietown:<map>, or a .npy file")
    SIM_LOOK: str = setting("flat", "how it is painted")
    SIM_RANDOMISATION: str = setting(
        "none", "what looks, camera and car are drawn from: none, mild, strong, or a .toml or .json file"
    )
    SIM_SEED: int = setting(0, "seed of all that is random in it", low=0)

    ACTUATOR: str = setting(
        "sim",
        "what moves; dingocar calibrate sets the pulses",
        section="Motors",
        choices=("sim", "servo_esc", "differential", "none"),
    )
    I2C_BUS: int | str = setting(1, "the N of /dev/i2c-N; or a bus of yours, package.module:function")
    PCA9685_I2C_ADDR: int = setting(
        0x40, "address of the PCA9685 on the bus; 64 is 0x40", low=0x40, high=0x7F
    )
    PCA9685_FREQUENCY_HZ: float = setting(
        60.0, "pulses per second of servo and speed controller", low=24, high=1526
    )
    STEERING_CHANNEL: int = setting(1, "of the PCA9685, where the servo is", low=0, high=15)
    THROTTLE_CHANNEL: int = setting(0, "of the PCA9685, where the speed controller is", low=0, high=15)
    STEERING_LEFT: int = setting(460, "pulse of full left, in 1/4096 of a period", low=0, high=4095)
    STEERING_MID: int = setting(375, "pulse of straight ahead", low=0, high=4095)
    STEERING_RIGHT: int = setting(290, "pulse of full right", low=0, high=4095)
    STEERING_TRIM: float = setting(0.0, "added to every steering", low=-0.5, high=0.5)
    THROTTLE_FORWARD: int = setting(500, "pulse of full ahead", low=0, high=4095)
    THROTTLE_STOPPED: int = setting(370, "pulse at which the car stands", low=0, high=4095)
    THROTTLE_REVERSE: int = setting(220, "pulse of full reverse", low=0, high=4095)
    ESC_REVERSE: str = setting(
        "double_tap",
        "how the speed controller goes into reverse: at the second reverse pulse, at the first, or never",
        choices=("double_tap", "direct", "none"),
    )
    LEFT_MOTOR: str = setting("8,9,10", "of ACTUATOR = differential: channels pwm,in1,in2")
    RIGHT_MOTOR: str = setting("13,11,12", "of ACTUATOR = differential: channels pwm,in1,in2")
    MOTOR_TRIM: float = setting(0.0, "more power to the left (+) or right (-) motor", low=-0.5, high=0.5)
    MOTOR_DEADBAND: float = setting(0.0, "power below which the motors do not turn", low=0.0, high=0.9)
    MOTOR_FREQUENCY_HZ: float = setting(1000.0, "pulses per second of the motors", low=24, high=1526)

    THROTTLE_LIMIT: float = setting(
        1.0, "highest throttle, whoever drives", section="Safety: what holds the car", low=0.0, high=1.0
    )
    THROTTLE_RAMP_PER_S: float = setting(
        4.0, "how fast the throttle may grow; it falls at once", low=0.1, high=100
    )
    COMMAND_MAX_AGE_S: float = setting(
        0.12, "stop when the controller has been silent so long", low=0.05, high=2
    )
    CAMERA_MAX_AGE_S: float = setting(0.12, "stop when the picture is so old", low=0.02, high=2)
    PILOT_MAX_LATENCY_S: float = setting(0.1, "stop when the pilot needed so long", low=0.005, high=2)
    ACTUATOR_MAX_AGE_S: float = setting(0.12, "stop when the loop hangs so long", low=0.05, high=2)
    AUTONOMY_WITHOUT_USER: str = setting(
        "stop",
        "what the pilot does when no controller is there (the simulator's always drives)",
        choices=("stop", "drive"),
    )

    CONTROLLER: str = setting(
        "web+gamepad",
        "what a person drives with",
        section="Controllers",
        choices=("web+gamepad", "web", "gamepad", "none"),
    )
    WEB_HOST: str = setting(
        "127.0.0.1", "address the page listens on; 0.0.0.0: the whole network, with a token"
    )
    WEB_CONTROL_PORT: int = setting(8887, "port of the page", low=0, high=65535)
    WEB_TOKEN: str = setting("", "what other computers must know to drive; empty: made anew at each start")
    WEB_INIT_MODE: str = setting(
        "user", "mode at the start of a real car", choices=("user", "local_angle", "local")
    )
    WEB_VIDEO_HZ: float = setting(20.0, "most pictures per second on the page", low=1, high=60)
    WEB_JPEG_QUALITY: int = setting(60, "of the pictures on the page", low=1, high=95)
    GAMEPAD_DEVICE: str = setting("", "as /dev/input/event3; empty: the first pad found")
    GAMEPAD_MAPPING: str = setting("", "file that dingocar joystick made; empty: by the pad's name")
    GAMEPAD_MAX_SILENCE_S: float = setting(
        1.0, "let go of a throttle that is held without any sign of the pad so long", low=0.1, high=60
    )
    JOYSTICK_MAX_THROTTLE: float = setting(0.5, "throttle of a pad's stick at its end", low=0.05, high=1.0)
    JOYSTICK_DEADZONE: float = setting(0.05, "of a pad's sticks", low=0.0, high=0.5)
    AI_THROTTLE_MULT: float = setting(1.0, "the pilot's throttle is multiplied by this", low=0, high=2)
    AI_LAUNCH_DURATION: float = setting(0.0, "seconds of AI_LAUNCH_THROTTLE when the pilot takes over", low=0)
    AI_LAUNCH_THROTTLE: float = setting(0.0, "throttle of the launch", low=0, high=1)

    RECORD_IMAGE_QUALITY: int = setting(
        75, "JPEG quality of recorded pictures", section="Recording and telemetry", low=1, high=95
    )
    AUTO_RECORD_ON_THROTTLE: bool = setting(True, "record while a user gives throttle")
    RECORD_DURING_AI: bool = setting(False, "record also while the pilot drives")
    TELEMETRY_CSV: str = setting("", "file that gets a line per loop, from the car's folder; empty: none")
    MQTT_BROKER: str = setting("", "host that telemetry is sent to; empty: none")
    MQTT_PORT: int = setting(1883, "of the broker", low=1, high=65535)
    MQTT_USERNAME: str = setting("", "for the broker; empty: none")
    MQTT_PASSWORD: str = setting("", "for the broker")
    MQTT_TOPIC: str = setting("dingocar", "telemetry is published under this")

    TRANSLATOR: str = setting(
        "",
        "translator's file between camera and pilot, from the car's folder; empty: none",
        section="Pilot",
    )

    DEFAULT_MODEL_TYPE: str = setting(
        "linear", "pilot that is trained unless --type says another", section="Training"
    )
    MAX_EPOCHS: int = setting(0, "most passes over the training pictures; 0: by their number", low=0)
    BATCH_SIZE: int = setting(64, "pictures per training step", low=1, high=65536)
    LEARNING_RATE: float = setting(0.001, "of the Adam optimiser, at its highest", low=1e-9, high=10.0)
    EARLY_STOP_PATIENCE: int = setting(10, "stop after so many epochs that bring nothing better", low=1)
    SEED: int = setting(0, "of weights, order and augmentation", low=0)
    MODEL_CATEGORICAL_MAX_THROTTLE_RANGE: float = setting(
        0.8, "highest throttle of Donkeycar's categorical pilots, which do not say it", low=0.01, high=1.0
    )
    TFLITE: str = setting(
        "float", "also write the trained pilot as .tflite", choices=("float", "int8", "none")
    )

    folder: Path = field(default=Path(), compare=False, metadata={"internal": True})
    own: Mapping[str, Any] = field(default_factory=dict, metadata={"internal": True})

    @classmethod
    def settings(cls) -> dict[str, dataclasses.Field[Any]]:
        """Maps each setting's name to its dataclass field."""
        return {f.name: f for f in dataclasses.fields(cls) if not f.metadata.get("internal")}

    @classmethod
    def load(cls, folder: Path | str | None, overrides: Mapping[str, str] | None = None) -> Self:
        """Reads `config.py` and then `myconfig.py` in a car's folder.

        Args:
            folder: the car's folder; None: no car, the defaults. A file that is missing leaves them too.
            overrides: settings from the command line, as text (`--set NAME=value`); they win.

        Raises:
            ConfigError: one line for each mistake: `file:line: what was expected, what came, did you mean`.
        """
        values: dict[str, Any] = {}
        mistakes: list[str] = []
        for name in ("config.py", "myconfig.py") if folder is not None else ():
            path = Path(folder or "", name)
            if path.is_file():
                found, wrong = read_file(path, cls.settings())
                values.update(found)
                mistakes += wrong
        for name, text in (overrides or {}).items():
            value = from_text(cls.settings(), name.upper(), text)
            told = mistake(cls.settings(), name.upper(), value)
            if told:
                mistakes.append(f"--set {name}={text}: {told}")
            values[name.upper()] = value
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        known = cls.settings()
        own = {name: value for name, value in values.items() if name not in known}
        typed = {name: convert(known[name], values[name]) for name in values if name in known}
        return cls(**typed, own=types.MappingProxyType(own), folder=Path(folder or ""))

    def path(self, setting: str) -> Path:
        """A setting that is a path: from the car's folder, `~` is the home folder.

        Raises:
            ConfigError: it is empty, or has no such home folder.
        """
        if not setting:
            raise ConfigError("a path in config.py is empty; see DATA_PATH, MODELS_PATH, REPLAY_PATH")
        try:
            return self.folder / Path(setting).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"{setting}: {error}") from None

    @classmethod
    def default_file(cls, commented: bool = False) -> str:
        """The text of a `config.py` with every setting (`commented`: a `myconfig.py` to uncomment)."""
        lines = (
            ['"""Your changes to config.py: uncomment a line and edit it. An update keeps this file."""', ""]
            if commented
            else ['"""All settings and their defaults. Put your changes into myconfig.py."""', ""]
        )
        for name, declared in cls.settings().items():
            meta = declared.metadata
            if meta["section"]:
                lines += ["", f"# {meta['section']}"]
            within = limits(meta)
            comment = meta["help"] + (f" ({within})" if within else "")
            line = f"{name} = {declared.default!r}".replace("'", '"')
            lines.append(f"{'# ' if commented else ''}{line}  # {comment}")
        note = f"# Settings of your own, for your own parts, start with {OWN_PREFIX}"
        return "\n".join([*lines, "", note, ""])
