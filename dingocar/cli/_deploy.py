"""The commands that put a car onto its Raspberry Pi, one after the other: plain `rsync` and `ssh`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dingocar.errors import UsageError, did_you_mean

#: Never copied: what belongs to one computer only.
NOT_COPIED = ("/.venv/", "/logs/", "__pycache__/", ".git/")

#: Where `dingocar deploy --service` puts the unit, from the Pi's home.
UNITS = ".config/systemd/user"


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        what: what it does, for people.
        command: its words.
        hint: what to look at when it fails.
    """

    what: str
    command: tuple[str, ...]
    hint: str = "mend that and deploy again; what was done stays done"


@dataclass(frozen=True)
class Target:
    """Where a car goes.

    Attributes:
        host: what ssh knows the Pi by.
        folder: the car's folder in its home.
        extras: of dingocar, to install there, with commas.
    """

    host: str
    folder: str
    extras: str

    @classmethod
    def of(cls, host: str, folder: str, extras: str) -> Target:
        """Checks what a user gave.

        Raises:
            UsageError: something that ssh, rsync or a shell would take for something else.
        """
        if not re.fullmatch(r"([A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9_][\w.-]*", host, re.ASCII):
            raise UsageError(f"HOST must be user@host, as ssh knows it, got {host!r}")
        if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", folder, re.ASCII):
            raise UsageError(
                f"the folder on the Pi must be of letters, digits and _ . -, got {folder!r}; "
                "give another with --to"
            )
        from dingocar.cli.main import EXTRAS

        known = set(EXTRAS.values())
        for extra in extras.split(","):
            if extra not in known:
                raise UsageError(f"--extra {extras}: unknown extra {extra!r}{did_you_mean(extra, known)}")
        return cls(host, folder, extras)

    def shell(self, command: str, *, terminal: bool = False) -> tuple[str, ...]:
        """The words that run a shell command in the Pi's home (`terminal`: one that may ask for something).

        All others get no input: ssh would swallow the commands that were pasted behind it.
        """
        return ("ssh", "-t" if terminal else "-n", self.host, command)

    def place(self, name: str) -> str:
        """A file or folder in the Pi's home, for rsync."""
        return f"{self.host}:{name}"

    @property
    def unit(self) -> str:
        """Name of the car's systemd unit."""
        return f"dingocar@{self.folder}.service"


def push_steps(target: Target, car: Path, data: str, with_data: bool, service: bool) -> list[Step]:
    """What deploys a car.

    Args:
        target: where to.
        car: the car's folder here, absolute.
        data: its DATA_PATH.
        with_data: copy that as well.
        service: start the car with the Pi.
    """
    excluded = [*NOT_COPIED]
    if not with_data and not Path(data).is_absolute():
        excluded.append(f"/{Path(data).as_posix()}/")
    quiet_stop = f"systemctl --user stop {target.unit} 2>/dev/null || true"
    copy = (
        *("rsync", "--archive", "--compress"),
        *(f"--exclude={pattern}" for pattern in excluded),
        f"{car}/",
        target.place(f"{target.folder}/"),
    )
    return [
        *_wheel_steps(),
        Step(
            "stop the car if systemd has started it",
            target.shell(quiet_stop),
            f"does ssh {target.host} work, and without a password (ssh-copy-id {target.host})?",
        ),
        Step("copy the car's folder", copy, "rsync must be on the Pi too: sudo apt install rsync"),
        *_install_steps(target),
        Step(
            "check the car",
            target.shell(f"cd {target.folder} && .venv/bin/dingocar doctor"),
            "mend what is marked FIX above, then deploy again",
        ),
        *(_service_steps(target) if service else _start_again(target)),
    ]


def pull_steps(target: Target, car: Path, data: str) -> list[Step]:
    """What fetches a car's recordings into a folder of their own, which a later call updates.

    Args:
        target: where from.
        car: the car's folder here, absolute.
        data: its DATA_PATH, the same on both sides.

    Raises:
        UsageError: the data folder is not inside the car's folder.
    """
    # Of plain characters, as old and new versions of rsync quote the others differently.
    if ".." in Path(data).parts or not re.fullmatch(r"\w[\w./-]*", data, re.ASCII):
        raise UsageError(
            f"--pull needs a DATA_PATH inside the car's folder, of letters, digits and _ . - /, got {data!r}"
        )
    here = car / data / target.host.rpartition("@")[2]
    source = target.place(f"{target.folder}/{Path(data).as_posix()}/")
    return [
        Step("make the folder", ("mkdir", "-p", str(here))),
        Step("fetch the recordings", ("rsync", "--archive", "--compress", source, f"{here}/")),
    ]


def checkout() -> Path | None:
    """The folder of the checkout that this runs in, or None when dingocar was installed from a wheel."""
    root = Path(__file__).resolve().parent.parent.parent
    return root if (root / "setup.py").is_file() and (root / "parts").is_dir() else None


def _wheel() -> Path | None:
    from dingocar import __version__

    root = checkout()
    return None if root is None else root / "build" / "deploy" / f"dingocar-{__version__}-py3-none-any.whl"


def _wheel_steps() -> list[Step]:
    """In a checkout its own state is installed; otherwise this version, from the index."""
    wheel, root = _wheel(), checkout()
    if wheel is None or root is None:
        return []
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    return [
        # setuptools would put files into the wheel that were in the last one and are gone since.
        Step("forget the last build", ("rm", "-rf", str(root / "build" / "lib"))),
        Step(
            "build a wheel of this checkout",
            (*pip, "--wheel-dir", str(wheel.parent), str(root)),
            "pip must be able to build the checkout",
        ),
    ]


def _install_steps(target: Target) -> list[Step]:
    from dingocar import __version__

    venv = f"{target.folder}/.venv"
    make = f"test -x {venv}/bin/python || python3 -m venv --system-site-packages {venv}"
    pip = f"{venv}/bin/python -m pip --disable-pip-version-check"
    wheel = _wheel()
    steps = [
        Step(
            "make a virtual environment that sees the system's picamera2 and evdev",
            target.shell(make),
            f"on the Pi: sudo apt install python3-venv; rm -r {venv}",
        )
    ]
    if wheel is None:
        requirement = f'"dingocar[{target.extras}]=={__version__}"'
        return [*steps, Step("install dingocar", target.shell(f"{pip} install {requirement}"))]
    there = f"./{venv}/{wheel.name}"
    return [
        *steps,
        Step("copy the wheel", ("rsync", "--archive", str(wheel), target.place(f"{venv}/"))),
        Step(
            "install dingocar and what it needs",
            target.shell(f'{pip} install "{there}[{target.extras}]"'),
            "the Pi must reach the Internet for this",
        ),
        # pip takes a wheel of the same version for the same wheel.
        Step(
            "replace an older state of the same version",
            target.shell(f"{pip} install --quiet --no-deps --force-reinstall {there}"),
        ),
    ]


def _service_steps(target: Target) -> list[Step]:
    from dingocar import templates

    unit = Path(templates.__file__).with_name("dingocar@.service")
    systemctl = "systemctl --user"
    start = (
        f"{systemctl} daemon-reload && {systemctl} enable {target.unit} && {systemctl} restart {target.unit}"
    )
    return [
        Step("make the folder of systemd's user units", target.shell(f"mkdir -p {UNITS}")),
        Step("copy the unit", ("rsync", "--archive", str(unit), target.place(f"{UNITS}/"))),
        Step(
            "start the car, now and with the Pi",
            target.shell(start),
            f"on the Pi: journalctl --user --unit {target.unit}",
        ),
        Step(
            "let user units run without anybody logged in",
            target.shell('loginctl enable-linger || sudo loginctl enable-linger "$(id -un)"', terminal=True),
            "on the Pi: sudo loginctl enable-linger $USER",
        ),
    ]


def _start_again(target: Target) -> list[Step]:
    systemctl = "systemctl --user"
    command = f"! {systemctl} --quiet is-enabled {target.unit} 2>/dev/null || {systemctl} start {target.unit}"
    return [Step("start the car again if systemd starts it with the Pi", target.shell(command))]
