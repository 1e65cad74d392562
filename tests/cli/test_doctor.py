"""`dingocar doctor` on a Raspberry Pi that has one fault at a time, and on the computer the tests run on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dingocar.cli._checks import STATUSES
from dingocar.cli._system import System
from dingocar.cli.doctor import examine, text
from dingocar.cli.main import main
from dingocar.errors import HardwareError

ROOT = Path(__file__).resolve().parent.parent.parent

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n'
INPUTS = """I: Bus=0003 Vendor=046d Product=c31c Version=0110
N: Name="A Keyboard"
H: Handlers=sysrq kbd event0 leds
B: EV=120013

I: Bus=0005 Vendor=045e Product=02e0 Version=0903
N: Name="Xbox Wireless Controller"
H: Handlers=kbd event3 js0
B: EV=20000b
"""


class FakePi(System):
    """A Raspberry Pi 4 with everything in order; a test spoils something."""

    def __init__(self):
        self.texts = {
            "/etc/os-release": BOOKWORM,
            "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4",
            "/proc/bus/input/devices": INPUTS,
        }
        self.versions = {"dingocar": "0.1.0", "numpy": "2.4.6", "pillow": "13.0.0", "ai-edge-litert": "2.3.0"}
        self.versions["simplejpeg"] = "1.9.0"
        self.not_importable = {"keras", "tensorflow", "h5py", "matplotlib", "cv2", "av", "paho"}
        self.machine_, self.version_, self.year_, self.venv_ = "aarch64", (3, 11, 2), 2026, "open"
        self.there = {"/", "/dev/i2c-1", "/dev/video0"}
        self.forbidden = set()
        self.said = {
            "timedatectl": (0, "yes\n"),
            "vcgencmd": (0, "throttled=0x0\n"),
            "picamera2": (0, "cameras: imx708_wide"),
            "simplejpeg": (0, ""),
            "cv2": (0, "640x480"),
            "load_pilot": (0, "for pictures of 160x120"),
        }
        self.globbed = {}
        self.free, self.port_free, self.i2c = 20e9, True, [0x40, 0x70]
        self.commands = []

    def machine(self):
        return self.machine_

    def python_version(self):
        return self.version_

    def year(self):
        return self.year_

    def venv(self):
        return self.venv_

    def version(self, package):
        return self.versions.get(package)

    def importable(self, module):
        return module not in self.not_importable

    def python(self, code, *arguments):
        self.commands.append(arguments)
        return next(
            self.said[key]
            for key in ("load_for_loop", "load_pilot", "picamera2", "simplejpeg", "cv2")
            if key in code
        )

    def run(self, command):
        return self.said.get(command[0])

    def read(self, path):
        return self.texts.get(path)

    def exists(self, path):
        return path in self.there

    def may(self, path, how):
        return path not in self.forbidden

    def files(self, pattern):
        return self.globbed.get(pattern.rsplit("/", 1)[-1], [])

    def free_bytes(self, folder):
        return self.free

    def port_is_free(self, host, port):
        return self.port_free

    def scan_i2c(self, bus):
        if isinstance(self.i2c, Exception):
            raise self.i2c
        return self.i2c


REAL = "CAMERA = 'pi'\nACTUATOR = 'servo_esc'\n"


@pytest.fixture
def car(tmp_path, capsys):
    folder = tmp_path / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    (folder / "myconfig.py").write_text(REAL)
    capsys.readouterr()
    return folder


@pytest.fixture
def pi(car):
    system = FakePi()
    system.there.add(str(car))
    return system


def of(findings, what):
    found = [finding for finding in findings if finding.what == what]
    assert len(found) == 1, findings
    return found[0]


def test_a_pi_in_order_has_nothing_to_fix(pi, car):
    findings = examine(pi, car)
    assert {finding.status for finding in findings} <= {"OK", "INFO"}, text(findings)
    assert text(findings).endswith("nothing to fix")
    assert "imx708_wide" in of(findings, "camera").told
    assert "0x40" in of(findings, "i2c").told
    assert "Xbox Wireless Controller at /dev/input/event3" in of(findings, "gamepad").told


FAULTS = [
    ("32 bit", lambda pi: setattr(pi, "machine_", "armv7l"), "system", "FIX", "64 bit"),
    (
        "old system",
        lambda pi: pi.texts.update({"/etc/os-release": "VERSION_CODENAME=bullseye"}),
        "system",
        "WARN",
        "Bookworm and Trixie",
    ),
    (
        "old Pi",
        lambda pi: pi.texts.update({"/proc/device-tree/model": "Raspberry Pi 3 Model B"}),
        "system",
        "WARN",
        "Pi 4 or 5",
    ),
    ("old Python", lambda pi: setattr(pi, "version_", (3, 9, 2)), "python", "FIX", "3.11 to 3.13"),
    ("new Python", lambda pi: setattr(pi, "version_", (3, 15, 0)), "python", "WARN", ""),
    ("closed venv", lambda pi: setattr(pi, "venv_", "closed"), "python", "FIX", "--system-site-packages"),
    ("old numpy", lambda pi: pi.versions.update(numpy="1.24.2"), "packages", "FIX", "'numpy>=2'"),
    ("no LiteRT", lambda pi: pi.versions.pop("ai-edge-litert"), "packages", "FIX", "pip install dingocar"),
    (
        "no driver",
        lambda pi: pi.not_importable.add("adafruit_pca9685"),
        "extra pi",
        "FIX",
        "pip install 'dingocar[pi]'",
    ),
    ("no server", lambda pi: pi.not_importable.add("uvicorn"), "extra web", "FIX", "'dingocar[web]'"),
    ("no evdev", lambda pi: pi.not_importable.add("evdev"), "extra gamepad", "INFO", "python3-evdev"),
    (
        "the system's simplejpeg",
        lambda pi: pi.said.update(simplejpeg=(1, "ValueError: numpy.dtype size changed")),
        "jpeg",
        "FIX",
        "--force-reinstall --no-deps 'simplejpeg",
    ),
    ("1970", lambda pi: setattr(pi, "year_", 1970), "clock", "WARN", "sudo date"),
    ("clock", lambda pi: pi.said.update(timedatectl=(0, "no\n")), "clock", "WARN", "set-ntp true"),
    ("voltage", lambda pi: pi.said.update(vcgencmd=(0, "throttled=0x50005\n")), "power", "FIX", "5 V"),
    ("voltage once", lambda pi: pi.said.update(vcgencmd=(0, "throttled=0x50000\n")), "power", "WARN", "5 V"),
    ("heat", lambda pi: pi.said.update(vcgencmd=(0, "throttled=0x80008\n")), "power", "WARN", "fan"),
    (
        "no picamera2",
        lambda pi: pi.not_importable.add("picamera2"),
        "camera",
        "FIX",
        "apt install python3-pi",
    ),
    ("picamera2", lambda pi: pi.said.update(picamera2=(1, "boom")), "camera", "FIX", "simplejpeg"),
    ("no camera", lambda pi: pi.said.update(picamera2=(0, "cameras:")), "camera", "FIX", "rpicam-hello"),
    ("camera hangs", lambda pi: pi.said.update(picamera2=(124, "no answer")), "camera", "FIX", "picamera2"),
    ("I2C off", lambda pi: pi.there.discard("/dev/i2c-1"), "i2c", "FIX", "raspi-config nonint do_i2c 0"),
    ("I2C forbidden", lambda pi: pi.forbidden.add("/dev/i2c-1"), "i2c", "FIX", "usermod -aG i2c"),
    ("nothing on the bus", lambda pi: setattr(pi, "i2c", []), "i2c", "FIX", "SDA (pin 3)"),
    ("another address", lambda pi: setattr(pi, "i2c", [0x60]), "i2c", "FIX", "PCA9685_I2C_ADDR"),
    ("a bus error", lambda pi: setattr(pi, "i2c", OSError("stuck")), "i2c", "FIX", "stuck"),
    ("a bus missing", lambda pi: setattr(pi, "i2c", HardwareError("do that")), "i2c", "FIX", "do that"),
    (
        "pad forbidden",
        lambda pi: pi.forbidden.add("/dev/input/event3"),
        "gamepad",
        "WARN",
        "usermod -aG input",
    ),
    (
        "no pad",
        lambda pi: pi.texts.pop("/proc/bus/input/devices"),
        "gamepad",
        "INFO",
        "bluetoothctl",
    ),
    ("port", lambda pi: setattr(pi, "port_free", False), "web page", "FIX", "WEB_CONTROL_PORT"),
    ("disk full", lambda pi: setattr(pi, "free", 1e8), "disk", "FIX", "delete old recordings"),
    ("disk nearly full", lambda pi: setattr(pi, "free", 1e9), "disk", "WARN", "delete old recordings"),
]


@pytest.mark.parametrize("spoil, what, status, fix", [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_each_fault_is_named_with_its_fix(pi, car, spoil, what, status, fix):
    before = {finding.what: finding for finding in examine(pi, car)}
    spoil(pi)
    findings = examine(pi, car)
    found = of(findings, what)
    assert (found.status, fix in found.fix) == (status, True), found
    assert found.fix
    # Nothing else has changed.
    assert [f for f in findings if f != before[f.what]] == [found]


def test_what_the_car_does_not_use_is_not_to_be_fixed(pi, car):
    (car / "myconfig.py").write_text("CONTROLLER = 'none'\n")
    for _, spoil, what, _, _ in FAULTS:
        if what in ("camera", "i2c", "gamepad", "web page") or what.startswith("extra"):
            spoil(pi)
    findings = examine(pi, car)
    assert {finding.status for finding in findings} <= {"OK", "INFO"}, text(findings)


def test_a_car_driven_by_a_pad_alone_needs_one(pi, car):
    (car / "myconfig.py").write_text(REAL + "CONTROLLER = 'gamepad'\n")
    pi.texts.pop("/proc/bus/input/devices")
    pi.not_importable.add("evdev")
    findings = examine(pi, car)
    assert of(findings, "gamepad").status == of(findings, "extra gamepad").status == "FIX"


@pytest.mark.parametrize(
    "spoil, status, told",
    [
        (lambda pi: pi.not_importable.discard("cv2"), "OK", "/dev/video0 gives 640x480"),
        (lambda pi: None, "FIX", "OpenCV is not installed"),
        (lambda pi: pi.there.discard("/dev/video0"), "FIX", "there is no /dev/video0"),
        (lambda pi: pi.forbidden.add("/dev/video0"), "FIX", "no permission for /dev/video0"),
        (
            lambda pi: (pi.not_importable.discard("cv2"), pi.said.update(cv2=(1, "no picture"))),
            "FIX",
            "/dev/video0 gives no picture",
        ),
    ],
)
def test_a_usb_camera(pi, car, spoil, status, told):
    (car / "myconfig.py").write_text("CAMERA = 'opencv'\n")
    spoil(pi)
    found = of(examine(pi, car), "camera")
    assert found.status == status and told in found.told


def test_a_replayed_camera(pi, car):
    (car / "myconfig.py").write_text("CAMERA = 'replay'\nREPLAY_PATH = 'old'\n")
    assert of(examine(pi, car), "camera").status == "FIX"
    pi.there.add(str(car / "old"))
    assert of(examine(pi, car), "camera").status == "OK"


def test_the_newest_light_pilot_is_loaded(pi, car):
    pi.globbed["*.tflite"] = ["models/a.tflite", "models/b.tflite"]
    found = of(examine(pi, car), "pilot")
    assert found.status == "OK" and "b.tflite loads without tensorflow, for pictures of 160x120" in found.told
    assert ("models/b.tflite", str(car)) in pi.commands
    pi.said["load_pilot"] = (1, "no pilot")
    assert of(examine(pi, car), "pilot").status == "FIX"


def test_a_pilot_that_needs_keras(pi, car):
    pi.globbed["*.keras"] = ["models/a.keras"]
    assert of(examine(pi, car), "pilot").status == "WARN"


@pytest.mark.parametrize(
    ("there", "said", "status", "told"),
    [
        (False, None, "FIX", "no such file"),
        (True, (1, "t.tflite: is no translator"), "FIX", "does not load: t.tflite: is no translator"),
        (True, (0, "64x84"), "FIX", "is for pictures of 64x84, the camera's have 120x160"),
        (True, (0, "120x160"), "OK", "loads without tensorflow, for pictures of 120x160"),
    ],
)
def test_the_translator_is_loaded(pi, car, there, said, status, told):
    assert not [finding for finding in examine(pi, car) if finding.what == "translator"]
    with (car / "myconfig.py").open("a") as file:
        file.write('TRANSLATOR = "models/t.tflite"\n')
    pi.there |= {str(car / "models/t.tflite")} if there else set()
    pi.said["load_for_loop"] = said
    found = of(examine(pi, car), "translator")
    assert found.status == status and told in found.told


def test_mistakes_in_the_settings_are_a_line_each(pi, car):
    (car / "myconfig.py").write_text("CAMERA = 'pie'\nDRIVE_LOOP_HZ = 'fast'\n")
    findings = [finding for finding in examine(pi, car) if finding.what == "car"]
    assert [finding.status for finding in findings] == ["FIX", "FIX"]
    assert "myconfig.py:1" in findings[0].told and "myconfig.py:2" in findings[1].told
    assert of(examine(pi, car), "camera").status == "INFO"


def test_without_a_car_the_computer_is_looked_at(pi):
    findings = examine(pi, None)
    assert {finding.status for finding in findings} <= {"OK", "INFO"}
    assert of(findings, "car").status == "INFO"


# the computer the tests run on


def test_the_real_command(car):
    (car / "myconfig.py").write_text("CONTROLLER = 'none'\n")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dingocar.cli.main", "doctor"]
    done = subprocess.run([*command, "--json"], cwd=car, env=env, capture_output=True, text=True)
    result = json.loads(done.stdout)
    assert done.stderr == ""
    assert done.returncode == (1 if result["fixes"] else 0)
    assert result["fixes"] == sum(finding["status"] == "FIX" for finding in result["findings"])
    assert {finding["status"] for finding in result["findings"]} <= set(STATUSES)
    told = {finding["what"]: finding for finding in result["findings"]}
    assert told["python"]["told"] == "Python {}.{}.{}".format(*sys.version_info[:3])
    assert told["car"]["status"] == told["disk"]["status"] == "OK"


def test_the_exit_code_tells_that_there_is_something_to_fix(car, capsys):
    (car / "myconfig.py").write_text("ACTUATOR = 'servo_esc'\nI2C_BUS = 77\n")
    assert main(["doctor"], car=car) == 1
    shown = capsys.readouterr().out
    assert "FIX   i2c            there is no /dev/i2c-77\n" in shown and "-> sudo raspi-config" in shown


def test_the_real_bus_is_scanned(tmp_path):
    from tests.fakes.chip import FakeChip

    FakeChip.create(tmp_path / "chip", address=0x41)
    assert System().scan_i2c(f"tests.fakes.chip:open_bus?{tmp_path / 'chip'}") == [0x41]


def test_a_port_in_use_is_seen():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not System().port_is_free("127.0.0.1", port)
    assert System().port_is_free("127.0.0.1", 0)


def test_code_in_a_fresh_interpreter():
    assert System().python("print('a'); print('b')") == (0, "b")
    code, said = System().python("import os; os.abort()")
    assert code != 0 and said == ""
    assert System().python("import sys; sys.exit('why')") == (1, "why")
    assert System().run(["no-such-program"]) is None
