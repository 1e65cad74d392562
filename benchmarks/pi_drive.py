"""Drives a car in a virtual environment that has only dingocar and its extra [pi]: no tensorflow, no server.

Run from the checkout: `python benchmarks/pi_drive.py`. This Python makes an untrained pilot; then a wheel of
the checkout is installed into a new venv, and there the car of `dingocar createcar` drives: mock camera,
pilot, safety gate, PCA9685 (a fake chip on the I2C bus behind Adafruit's driver), recorder. Prints one JSON
object; the exit code is 1 when something is wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.pi_wheels import HEAVY, ROOT, build_wheel

LOOPS = 200
MYCONFIG = """
CAMERA = "mock"
ACTUATOR = "servo_esc"
I2C_BUS = "tests.fakes.chip:open_bus?{chip}"
CONTROLLER = "none"
AUTONOMY_WITHOUT_USER = "drive"
"""


def make_pilot(path: Path) -> None:
    """Writes an untrained `.tflite` pilot."""
    from dingocar.training.export import export_tflite
    from dingocar.zoo import pilots

    pilot = pilots.load("linear").from_settings({})
    export_tflite((pilot, pilot.build()), path)


def run(*command: str | Path, cwd: Path | None = None, **env: str) -> str:
    """Runs a program; returns its stdout, and shows what it said when it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=os.environ | env, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(1)
    return done.stdout


def main() -> int:
    """Installs, drives, prints; returns the exit code."""
    from tests.fakes import chip as fakes

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fakes" / "tests" / "fakes").mkdir(parents=True)
        fake = folder / "fakes" / "tests" / "fakes" / "chip.py"
        fake.write_text((ROOT / "tests" / "fakes" / "chip.py").read_text())
        chip: Any = fakes.FakeChip.create(folder / "chip")
        venv.create(folder / "venv", with_pip=True)
        bin_folder, car = folder / "venv" / "bin", folder / "car"
        run(bin_folder / "python", "-m", "pip", "install", "--quiet", f"{build_wheel(folder)}[pi]")
        installed = json.loads(run(bin_folder / "python", "-m", "pip", "list", "--format", "json"))
        run(bin_folder / "dingocar", "createcar", "--path", car)
        (car / "myconfig.py").write_text(MYCONFIG.format(chip=folder / "chip"))
        make_pilot(car / "models" / "pilot.tflite")
        drive = ("drive", "--model", "models/pilot.tflite", "--mode", "local", "--record", "--json")
        report: dict[str, Any] = json.loads(
            run(
                *(bin_folder / "python", "manage.py", *drive, "--max-loops", str(LOOPS)),
                cwd=car,
                PYTHONPATH=str(folder / "fakes"),
            )
        )
        packages = {package["name"].lower() for package in installed}
        result = {
            "loops": report["loops"],
            "rate_hz": report["rate_hz"],
            "records": report["records"],
            "pulses": len(chip.history(0)) + len(chip.history(1)),
            "neutral": [chip.pulse(0), chip.pulse(1)] == [370, 375],
            "heavy_packages": sorted(packages & (HEAVY | {"starlette", "uvicorn"})),
            "packages": len(packages),
        }
        chip.close()
    print(json.dumps(result))
    well = result["loops"] == LOOPS and result["records"] == LOOPS and result["pulses"] > 10
    return 0 if well and result["neutral"] and not result["heavy_packages"] else 1


if __name__ == "__main__":
    sys.exit(main())
