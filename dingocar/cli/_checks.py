"""What `dingocar doctor` looks at: the computer, and what is installed on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dingocar.cli._system import System
from dingocar.config import CarConfig

#: A finding's status, the worst last. INFO: this car does not use it.
STATUSES = ("INFO", "OK", "WARN", "FIX")

#: Systems and computers this was made for.
SYSTEMS = ("bookworm", "trixie")
COMPUTERS = tuple(f"Raspberry Pi {kind}" for kind in ("4", "5", "Compute Module 4", "Compute Module 5"))
PYTHONS = ((3, 11), (3, 13))

#: What must be importable for an extra to be complete.
EXTRA_MODULES = {
    "pi": ("adafruit_pca9685", "adafruit_blinka", "simplejpeg"),
    "web": ("starlette", "uvicorn", "websockets"),
    "gamepad": ("evdev",),
    "camera": ("cv2",),
    "mqtt": ("paho",),
    "movie": ("av",),
    "train": ("keras", "tensorflow", "h5py", "matplotlib"),
}

#: Bits of `vcgencmd get_throttled`: now, and since the start.
UNDER_VOLTAGE, OTHER_LIMITS, ONCE_UNDER_VOLTAGE, ONCE_OTHERS = 0x1, 0xE, 0x10000, 0xE0000

JPEG_CODE = "import numpy, simplejpeg; simplejpeg.encode_jpeg(numpy.zeros((16, 16, 3), numpy.uint8))"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        what: was looked at.
        status: one of STATUSES.
        told: what was found.
        fix: what to do; "" where nothing is to be done.
    """

    what: str
    status: str
    told: str
    fix: str = ""


@dataclass(frozen=True)
class Car:
    """The car that is looked at.

    Attributes:
        folder: of the car; "": there is none, nothing is used.
        config: its settings; None when they cannot be read.
        mistakes: in its settings, a line each.
    """

    folder: str = ""
    config: CarConfig | None = None
    mistakes: list[str] = field(default_factory=list)

    def uses(self, setting: str, *values: str) -> bool:
        """Whether a setting has one of the values."""
        return self.config is not None and getattr(self.config, setting) in values

    @property
    def extras(self) -> set[str]:
        """Those that it cannot drive without."""
        wanted = {
            "pi": self.uses("ACTUATOR", "servo_esc", "differential"),
            "web": self.uses("CONTROLLER", "web", "web+gamepad"),
            "gamepad": self.uses("CONTROLLER", "gamepad"),
            "camera": self.uses("CAMERA", "opencv"),
            "mqtt": self.config is not None and bool(self.config.MQTT_BROKER),
        }
        return {extra for extra, is_used in wanted.items() if is_used}


def check_system(system: System, _car: Car) -> Iterator[Finding]:
    """The computer, its system, and whether there is a Python for it."""
    release = dict(
        line.split("=", 1) for line in (system.read("/etc/os-release") or "").splitlines() if "=" in line
    )
    name = release.get("PRETTY_NAME", "an unknown system").strip('"')
    model, machine = system.read("/proc/device-tree/model"), system.machine()
    told = f"{name}, {model or 'no Raspberry Pi'}, {machine}"
    if model is None or "Raspberry" not in model:
        yield Finding("system", "OK", told)
    elif machine != "aarch64":
        yield Finding(
            "system", "FIX", told, "write a 64 bit Raspberry Pi OS to the card: 32 bit has no LiteRT"
        )
    elif release.get("VERSION_CODENAME") not in SYSTEMS:
        yield Finding("system", "WARN", told, "made for Raspberry Pi OS Bookworm and Trixie")
    elif not model.startswith(COMPUTERS):
        yield Finding("system", "WARN", told, "made for a Raspberry Pi 4 or 5; others may be too slow")
    else:
        yield Finding("system", "OK", told)


def check_python(system: System, car: Car) -> Iterator[Finding]:
    """Its version, and whether it sees the system's packages where it must."""
    version = system.python_version()
    told = "Python " + ".".join(map(str, version))
    low, high = PYTHONS
    if version[:2] < low:
        yield Finding("python", "FIX", told, "use Python 3.11 to 3.13, as Bookworm and Trixie have")
    elif version[:2] > high:
        yield Finding("python", "WARN", told, "tested with Python 3.11 to 3.13")
    elif system.venv() == "closed" and car.uses("CAMERA", "pi"):
        fix = "make the venv again: python3 -m venv --system-site-packages --clear .venv, and install again"
        yield Finding("python", "FIX", f"{told}, in a venv without the system's picamera2", fix)
    else:
        yield Finding("python", "OK", told)


def check_packages(system: System, car: Car) -> Iterator[Finding]:
    """dingocar, what it always needs, and its extras."""
    base = {package: system.version(package) for package in ("numpy", "pillow", "ai-edge-litert")}
    told = ", ".join(f"{package} {version or 'missing'}" for package, version in base.items())
    missing = [package for package, version in base.items() if version is None]
    fix = "pip install dingocar" if missing else ""
    numpy = base["numpy"]
    if numpy is not None and int(numpy.split(".")[0]) < 2:
        fix = "pip install --upgrade 'numpy>=2'"
    yield Finding("packages", "FIX" if fix else "OK", f"dingocar {system.version('dingocar')}, {told}", fix)
    for extra, modules in EXTRA_MODULES.items():
        absent = [module for module in modules if not system.importable(module)]
        if not absent:
            yield Finding(f"extra {extra}", "OK", "complete")
            continue
        status = "FIX" if extra in car.extras else "INFO"
        fix = f"pip install 'dingocar[{extra}]'"
        if extra == "gamepad":
            fix = "on a Raspberry Pi: sudo apt install python3-evdev; elsewhere " + fix
        yield Finding(f"extra {extra}", status, f"without {', '.join(absent)}", fix)


def check_jpeg(system: System, _car: Car) -> Iterator[Finding]:
    """The JPEG library against numpy: the system's was built for another one than the venv has."""
    if not system.importable("simplejpeg"):
        return
    code, said = system.python(JPEG_CODE)
    if code == 0:
        yield Finding("jpeg", "OK", f"simplejpeg {system.version('simplejpeg')} works with this numpy")
    else:
        fix = "pip install --force-reinstall --no-deps 'simplejpeg>=1.8'"
        yield Finding("jpeg", "FIX", f"simplejpeg does not work with this numpy ({said})", fix)


def check_clock(system: System, _car: Car) -> Iterator[Finding]:
    """A Raspberry Pi 4 has no clock of its own: without a network it lives in the past."""
    if system.year() < 2025:
        fix = "connect it to a network, or: sudo date --set '2026-01-31 12:00'"
        yield Finding("clock", "WARN", f"the year is {system.year()}: recordings get wrong dates", fix)
        return
    done = system.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if done is None or done[0] != 0:
        yield Finding("clock", "INFO", "whether it is right is not known here (no timedatectl)")
    elif done[1].strip() == "yes":
        yield Finding("clock", "OK", "synchronised")
    else:
        fix = "connect it to a network; sudo timedatectl set-ntp true"
        yield Finding("clock", "WARN", "not synchronised: recordings may get wrong dates", fix)


def check_power(system: System, _car: Car) -> Iterator[Finding]:
    """Whether the Raspberry Pi gets enough."""
    done = system.run(["vcgencmd", "get_throttled"])
    found = re.search("throttled=0x([0-9a-fA-F]+)", "" if done is None else done[1])
    if found is None:
        yield Finding("power", "INFO", "not known here (no vcgencmd)")
        return
    bits = int(found[1], 16)
    supply = "use a supply and a cable for 5 V at 3 A (Pi 5: 5 A), and not the motor's"
    if bits & UNDER_VOLTAGE:
        yield Finding("power", "FIX", "too little voltage now", supply)
    elif bits & ONCE_UNDER_VOLTAGE:
        yield Finding("power", "WARN", "there was too little voltage since the start", supply)
    elif bits & (OTHER_LIMITS | ONCE_OTHERS):
        yield Finding("power", "WARN", f"slowed down by heat ({bits:#x})", "give it a heat sink or a fan")
    else:
        yield Finding("power", "OK", "enough, and cool")
