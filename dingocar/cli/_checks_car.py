"""What `dingocar doctor` looks at: the car, its devices and its files."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dingocar.cli._checks import Car, Finding
from dingocar.cli._system import System
from dingocar.errors import DingocarError

#: Free bytes at which a drive's recording is in danger, and at which it will fail.
LITTLE_BYTES, TOO_LITTLE_BYTES = 2_000_000_000, 200_000_000

PI_CAMERA_CODE = """
import picamera2
print("cameras:", ", ".join(camera["Model"] for camera in picamera2.Picamera2.global_camera_info()))
"""
VIDEO_CODE = """
import sys, cv2
camera = cv2.VideoCapture(int(sys.argv[1]))
taken, picture = camera.read()
camera.release()
print(f"{picture.shape[1]}x{picture.shape[0]}" if taken else "no picture")
sys.exit(not taken)
"""
#: Loads a pilot as a Raspberry Pi without tensorflow would.
PILOT_CODE = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "torch", "jax")))
from dingocar.errors import DingocarError
from dingocar.registry import use_car_folder
use_car_folder(sys.argv[2])
from dingocar.zoo import load_pilot
try:
    print("for pictures of {1}x{0}".format(*load_pilot(sys.argv[1]).image_shape))
except DingocarError as error:
    sys.exit(str(error))
"""

TRANSLATOR_CODE = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "torch", "jax")))
from dingocar.errors import DingocarError
from dingocar.translate.artefact import load_for_loop
try:
    print("{}x{}".format(*load_for_loop(sys.argv[1]).image_shape))
except DingocarError as error:
    sys.exit(str(error))
"""


def check_settings(_system: System, car: Car) -> Iterator[Finding]:
    """`config.py` and `myconfig.py`."""
    if not car.folder:
        fix = "cd to the car's folder, or make one: dingocar createcar --path mycar"
        yield Finding("car", "INFO", "no car here: only the computer is looked at", fix)
    elif car.config is None:
        for mistake in car.mistakes:
            yield Finding("car", "FIX", mistake, "edit that line")
    else:
        cfg = car.config
        told = f"CAMERA {cfg.CAMERA}, ACTUATOR {cfg.ACTUATOR}, CONTROLLER {cfg.CONTROLLER}"
        yield Finding("car", "OK", f"{car.folder}: {told}")


def check_camera(system: System, car: Car) -> Iterator[Finding]:
    """The camera that the car is set to."""
    cfg = car.config
    if cfg is None or cfg.CAMERA in ("sim", "mock"):
        yield Finding("camera", "INFO", "no real one is used")
    elif cfg.CAMERA == "pi":
        yield _pi_camera(system)
    elif cfg.CAMERA == "opencv":
        yield _video(system, cfg.CAMERA_INDEX)
    elif system.exists(str(cfg.path(cfg.REPLAY_PATH))):
        yield Finding("camera", "OK", f"replays {cfg.REPLAY_PATH}")
    else:
        fix = "set REPLAY_PATH to a tub or a folder of pictures"
        yield Finding("camera", "FIX", f"there is nothing to replay at {cfg.REPLAY_PATH}", fix)


def _pi_camera(system: System) -> Finding:
    if not system.importable("picamera2"):
        fix = "sudo apt install python3-picamera2, and a venv made with --system-site-packages"
        return Finding("camera", "FIX", "picamera2 is not installed", fix)
    code, said = system.python(PI_CAMERA_CODE)
    if code != 0 or not said.startswith("cameras:"):
        fix = "pip install --upgrade simplejpeg; sudo apt install --reinstall python3-picamera2"
        return Finding("camera", "FIX", f"picamera2 does not work ({said})", fix)
    found = said.removeprefix("cameras:").strip()
    if not found:
        fix = "switch off, push the cable in with its contacts the right way; rpicam-hello --list-cameras"
        return Finding("camera", "FIX", "no camera is connected", fix)
    return Finding("camera", "OK", found)


def _video(system: System, index: int | str) -> Finding:
    device = f"/dev/video{index}" if str(index).isdecimal() else str(index)
    if not device.startswith("/dev/"):
        return Finding("camera", "INFO", f"{device} is not looked at")
    if not system.exists(device):
        known = ", ".join(sorted(system.files("/dev/video*"))) or "none"
        fix = f"plug it in, or set CAMERA_INDEX; there is: {known}"
        return Finding("camera", "FIX", f"there is no {device}", fix)
    if not system.may(device, "rw"):
        fix = "sudo usermod -aG video $USER, and log in again"
        return Finding("camera", "FIX", f"no permission for {device}", fix)
    if not system.importable("cv2"):
        return Finding("camera", "FIX", "OpenCV is not installed", "pip install 'dingocar[camera]'")
    code, said = system.python(VIDEO_CODE, device.removeprefix("/dev/video"))
    if code != 0:
        fix = f"end what else uses it (fuser -v {device}), or set another CAMERA_INDEX"
        return Finding("camera", "FIX", f"{device} gives no picture ({said})", fix)
    return Finding("camera", "OK", f"{device} gives {said}")


def check_i2c(system: System, car: Car) -> Iterator[Finding]:
    """The bus, and the motors' chip on it."""
    cfg = car.config
    if cfg is None or cfg.ACTUATOR not in ("servo_esc", "differential"):
        yield Finding("i2c", "INFO", "no motors are used")
        return
    bus, address = cfg.I2C_BUS, cfg.PCA9685_I2C_ADDR
    if isinstance(bus, int):
        device = f"/dev/i2c-{bus}"
        if not system.exists(device):
            known = ", ".join(sorted(system.files("/dev/i2c-*")))
            other = f", or set I2C_BUS: there is {known}" if known else ""
            fix = f"sudo raspi-config nonint do_i2c 0, and restart{other}"
            yield Finding("i2c", "FIX", f"there is no {device}", fix)
            return
        if not system.may(device, "rw"):
            fix = "sudo usermod -aG i2c $USER, and log in again"
            yield Finding("i2c", "FIX", f"no permission for {device}", fix)
            return
    try:
        found = system.scan_i2c(bus)
    except (DingocarError, OSError) as error:
        yield Finding("i2c", "FIX", f"bus {bus} cannot be used", str(error))
        return
    listed = ", ".join(f"{each:#04x}" for each in found) or "nothing"
    if address in found:
        yield Finding("i2c", "OK", f"the motors' chip answers at {address:#x} on bus {bus}")
    elif found:
        fix = "set PCA9685_I2C_ADDR to the chip's, or look at its address pads"
        yield Finding("i2c", "FIX", f"nothing answers at {address:#x} on bus {bus}, but {listed}", fix)
    else:
        fix = "look at SDA (pin 3), SCL (pin 5), GND and the chip's VCC (3.3 V)"
        yield Finding("i2c", "FIX", f"nothing answers on bus {bus}", fix)


def check_pad(system: System, car: Car) -> Iterator[Finding]:
    """Gamepads: a joystick among the input devices, and whether this user may read it."""
    used, needed = car.uses("CONTROLLER", "gamepad", "web+gamepad"), car.uses("CONTROLLER", "gamepad")
    pads = _pads(system.read("/proc/bus/input/devices") or "")
    if not used:
        yield Finding("gamepad", "INFO", "none is used")
    elif not pads:
        fix = "plug one in, or pair it: bluetoothctl: scan on, pair MAC, trust MAC, connect MAC"
        yield Finding("gamepad", "FIX" if needed else "INFO", "none is connected", fix)
    for name, device in pads if used else []:
        if system.may(device, "r"):
            yield Finding("gamepad", "OK", f"{name} at {device}")
        else:
            fix = "sudo usermod -aG input $USER, and log in again"
            yield Finding(
                "gamepad", "FIX" if needed else "WARN", f"no permission for {name} at {device}", fix
            )


def _pads(devices: str) -> list[tuple[str, str]]:
    """(name, event device) of the joysticks in the kernel's list of input devices."""
    found = []
    for block in devices.split("\n\n"):
        lines = [line.partition("=") for line in block.splitlines()]
        name = next((value.strip('"') for key, _, value in lines if key == "N: Name"), "?")
        handlers = next((value.split() for key, _, value in lines if key == "H: Handlers"), [])
        if any(handler.startswith("js") for handler in handlers):
            found += [(name, f"/dev/input/{each}") for each in handlers if each.startswith("event")]
    return found


def check_disk(system: System, car: Car) -> Iterator[Finding]:
    """Room for recordings, and the right to write them."""
    if car.config is None:
        return
    folder = str(car.config.path(car.config.DATA_PATH))
    while not system.exists(folder):
        folder = os.path.dirname(folder)
    free = system.free_bytes(folder)
    told = f"{free / 1e9:.1f} GB free for {folder}"
    if not system.may(folder, "rw"):
        yield Finding("disk", "FIX", f"{folder} may not be written", f"sudo chown -R $USER {folder}")
    elif free < TOO_LITTLE_BYTES:
        yield Finding("disk", "FIX", told, "delete old recordings: du -sh */ shows the large ones")
    elif free < LITTLE_BYTES:
        yield Finding("disk", "WARN", told, "delete old recordings; an hour of driving takes about 0.3 GB")
    else:
        yield Finding("disk", "OK", told)


def check_web(system: System, car: Car) -> Iterator[Finding]:
    """The page's port, and who may use it."""
    cfg = car.config
    if cfg is None or not car.uses("CONTROLLER", "web", "web+gamepad"):
        return
    host, port = cfg.WEB_HOST, cfg.WEB_CONTROL_PORT
    if not system.port_is_free(host, port):
        fix = (
            "does the car drive already (systemctl --user stop 'dingocar@*')? Or set another WEB_CONTROL_PORT"
        )
        yield Finding("web page", "FIX", f"port {port} of {host} cannot be used", fix)
    elif host in ("127.0.0.1", "localhost", "::1"):
        told = f"port {port} is free; seen from this computer only"
        yield Finding("web page", "OK", told, "for a phone: WEB_HOST = '0.0.0.0' in myconfig.py")
    elif not cfg.WEB_TOKEN:
        told = f"port {port} is free; its token is another at each start"
        yield Finding("web page", "OK", told, "set WEB_TOKEN for an address that stays")
    else:
        yield Finding("web page", "OK", f"port {port} is free")


def check_pilot(system: System, car: Car) -> Iterator[Finding]:
    """The newest pilot, loaded in an interpreter that has no tensorflow."""
    cfg = car.config
    if cfg is None:
        return
    models = cfg.path(cfg.MODELS_PATH)
    light, heavy = system.files(f"{models}/*.tflite"), system.files(f"{models}/*.keras")
    if light:
        code, said = system.python(PILOT_CODE, light[-1], car.folder)
        if code == 0:
            yield Finding("pilot", "OK", f"{light[-1]} loads without tensorflow, {said}")
        else:
            fix = "train or export it again: dingocar export --help"
            yield Finding("pilot", "FIX", f"{light[-1]} does not load without tensorflow: {said}", fix)
    elif heavy:
        fix = "dingocar export makes a .tflite of it, which needs none"
        yield Finding("pilot", "WARN", f"{heavy[-1]} needs keras and tensorflow", fix)
    else:
        yield Finding("pilot", "INFO", f"none in {models} yet")


def check_translator(system: System, car: Car) -> Iterator[Finding]:
    """The translator between camera and pilot, if there is one: without it no drive begins."""
    cfg = car.config
    if cfg is None or not cfg.TRANSLATOR:
        return
    file, size = str(cfg.path(cfg.TRANSLATOR)), f"{cfg.IMAGE_H}x{cfg.IMAGE_W}"
    fix = "name another in TRANSLATOR, or none: dingocar translate export --help"
    if not system.exists(file):
        yield Finding("translator", "FIX", f"{file}: no such file", fix)
    elif file.endswith(".keras"):
        yield Finding("translator", "WARN", f"{file} needs keras and tensorflow", fix)
    else:
        code, said = system.python(TRANSLATOR_CODE, file)
        if code != 0:
            yield Finding("translator", "FIX", f"{file} does not load: {said}", fix)
        elif said != size:
            told = f"{file} is for pictures of {said}, the camera's have {size} (IMAGE_H, IMAGE_W)"
            yield Finding("translator", "FIX", told, fix)
        else:
            yield Finding("translator", "OK", f"{file} loads without tensorflow, for pictures of {said}")
