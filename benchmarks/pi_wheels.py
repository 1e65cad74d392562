"""Proves that a Raspberry Pi finds a wheel for every package of `dingocar[pi,web]`, and no tensorflow.

Run from the checkout: `python benchmarks/pi_wheels.py [--extras pi,web] [--json]`. A wheel is built of the
checkout, and pip's own resolver is asked what it would install on each Raspberry Pi OS (64 bit). pip takes
wheel tags from its options, but evaluates the conditions of dependencies (`platform_machine == "aarch64"`)
for the computer it runs on, so it is told those as well. Nothing is installed. The exit code is 1 when a
wheel is missing, or a package is too heavy for a car.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

#: The two systems: their Python, and the glibc that says which manylinux wheels they accept.
SYSTEMS = {"Bookworm": ("3.11", 36), "Trixie": ("3.13", 41)}

#: What a car must not need.
HEAVY = {"tensorflow", "tensorflow-cpu", "tf-keras", "keras", "torch", "jax", "opencv-python"}

#: pip, which evaluates the conditions of dependencies for the computer given as its first argument.
PIP_ELSEWHERE = """
import json, sys
import pip._vendor.packaging.markers as markers
there = json.loads(sys.argv.pop(1))
here = markers.default_environment
markers.default_environment = lambda: {**here(), **there}
from pip._internal.cli.main import main
sys.exit(main())
"""


def build_wheel(folder: Path) -> Path:
    """Builds the checkout's wheel in `folder` and returns it."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return next(folder.glob("dingocar-*.whl"))


def environment(python: str) -> dict[str, str]:
    """What the conditions of dependencies are evaluated with on the Pi."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "aarch64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def resolve(
    wheel: Path, extras: str, python: str, glibc: int, folder: Path
) -> tuple[list[dict[str, str]], str]:
    """Asks pip; returns the packages it would install, each with its wheel, and why it cannot (or "").

    Args:
        wheel: the checkout's wheel.
        extras: of ours, with commas.
        python: version of Python on the Pi, as `3.11`.
        glibc: minor version of its glibc 2.
        folder: for pip's report.
    """
    report = folder / f"{python}.json"
    tags = [f"manylinux_2_{minor}_aarch64" for minor in range(glibc, 4, -1)]
    tags += ["manylinux2014_aarch64", "linux_aarch64"]
    command = [
        *(sys.executable, "-c", PIP_ELSEWHERE, json.dumps(environment(python))),
        *("install", "--dry-run", "--quiet", "--no-input", "--ignore-installed", "--only-binary=:all:"),
        *("--target", str(folder / "nowhere"), "--implementation", "cp", "--python-version", python),
        *(word for tag in tags for word in ("--platform", tag)),
        *("--report", str(report), f"dingocar[{extras}] @ {wheel.as_uri()}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return [], "\n".join(told) or done.stderr.strip()
    found = [
        {
            "package": item["metadata"]["name"],
            "version": item["metadata"]["version"],
            "wheel": item["download_info"]["url"].rsplit("/", 1)[-1],
        }
        for item in json.loads(report.read_text())["install"]
    ]
    return sorted(found, key=lambda package: package["package"].lower()), ""


def verdict(packages: list[dict[str, str]], failure: str) -> str:
    """One line: what is wrong, or "" when all is well."""
    if failure:
        return failure
    heavy = sorted({package["package"].lower() for package in packages} & HEAVY)
    if heavy:
        return f"a car would have to install {', '.join(heavy)}"
    sources = [package["wheel"] for package in packages if not package["wheel"].endswith(".whl")]
    return f"no wheel, only {', '.join(sources)}" if sources else ""


def table(results: dict[str, Any]) -> str:
    """A line per package, a column per system: the wheel's tags."""
    names = sorted({p["package"] for r in results.values() for p in r["packages"]}, key=str.lower)
    rows = [["", *(f"{system} (Python {result['python']})" for system, result in results.items())]]
    for name in names:
        row = [name]
        for result in results.values():
            found = next((p for p in result["packages"] if p["package"] == name), None)
            row.append(f"{found['version']} {_tags(found['wheel'])}" if found else "-")
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    for system, result in results.items():
        told = result["problem"] or f"{len(result['packages'])} packages, each with a wheel; no tensorflow"
        lines.append(f"{system}: {told}")
    return "\n".join(lines)


def _tags(wheel: str) -> str:
    """A wheel's tags; of several platforms only the first."""
    *tags, platforms = wheel.removesuffix(".whl").split("-")[-3:]
    return "-".join([*tags, platforms.split(".")[0]])


def main() -> int:
    """Asks and prints; returns the exit code."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--extras", default="pi,web", help="extras to install [pi,web]")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    args = options.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        for system, (python, glibc) in SYSTEMS.items():
            packages, failure = resolve(wheel, args.extras, python, glibc, folder)
            results[system] = {
                "python": python,
                "packages": packages,
                "problem": verdict(packages, failure),
            }
    print(json.dumps(results) if args.json else table(results))
    return 1 if any(result["problem"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
