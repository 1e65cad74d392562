"""Look over the computer and the car: each line OK, or what to do

Usage:
    dingocar doctor [--json]

WARN is worth a look; FIX must be mended before this car drives, and makes the exit code 1. INFO is about what
this car does not use. In a car's folder its camera, motors, controllers and files are looked at too.

Options:
    --json   print one JSON object
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from dingocar.cli._checks import (
    Car,
    Finding,
    check_clock,
    check_jpeg,
    check_packages,
    check_power,
    check_python,
    check_system,
)
from dingocar.cli._checks_car import (
    check_camera,
    check_disk,
    check_i2c,
    check_pad,
    check_pilot,
    check_settings,
    check_translator,
    check_web,
)
from dingocar.cli._common import parse, show
from dingocar.cli._system import System
from dingocar.errors import ConfigError

CHECKS = (
    *(check_system, check_python, check_packages, check_jpeg, check_clock, check_power),
    *(check_settings, check_camera, check_i2c, check_pad, check_web, check_disk, check_pilot),
    check_translator,
)


def run(argv: list[str]) -> int:
    from dingocar.registry import car_folder

    args = parse(__doc__, argv, "dingocar doctor")
    findings = examine(System(), car_folder())
    fixes = sum(finding.status == "FIX" for finding in findings)
    result = {"fixes": fixes, "findings": [asdict(finding) for finding in findings]}
    show(result, args["--json"], text(findings))
    return 1 if fixes else 0


def examine(system: System, folder: Path | None) -> list[Finding]:
    """All findings on a computer and the car in `folder` (None: there is none)."""
    from dingocar.config import CarConfig

    car = Car()
    if folder is not None:
        try:
            car = Car(str(folder), CarConfig.load(folder))
        except ConfigError as error:
            car = Car(str(folder), None, str(error).splitlines())
    return [finding for check in CHECKS for finding in check(system, car)]


def text(findings: list[Finding]) -> str:
    """A line for each finding, and one below it where something is to be done."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<5} {finding.what:<14} {finding.told}")
        if finding.fix and finding.status != "INFO":
            lines.append(f"{'':<20} -> {finding.fix}")
    fixes = sum(finding.status == "FIX" for finding in findings)
    lines.append(f"{fixes} to fix" if fixes else "nothing to fix")
    return "\n".join(lines)
