"""All that `dingocar doctor` asks of the computer, in one place: tests put another computer there."""

from __future__ import annotations

import glob
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class System:
    """The computer this runs on."""

    #: A camera may take some seconds to be found; nothing else should.
    TIMEOUT_S = 30.0

    def machine(self) -> str:
        """As `aarch64`."""
        return platform.machine()

    def python_version(self) -> tuple[int, int, int]:
        """Of this interpreter."""
        return sys.version_info[:3]

    def year(self) -> int:
        """What the clock says."""
        return time.localtime().tm_year

    def venv(self) -> str:
        """`no`, `closed`, or `open` for a virtual environment that sees the system's packages."""
        if sys.prefix == sys.base_prefix:
            return "no"
        settings = (self.read(f"{sys.prefix}/pyvenv.cfg") or "").lower().replace(" ", "")
        return "open" if "include-system-site-packages=true" in settings else "closed"

    def version(self, package: str) -> str | None:
        """Of an installed distribution; None: it is not installed."""
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    def importable(self, module: str) -> bool:
        """Whether there is such a top-level module; it is not imported."""
        return importlib.util.find_spec(module) is not None

    def python(self, code: str, *arguments: str) -> tuple[int, str]:
        """Runs code in a fresh interpreter, whose crash harms nobody; returns exit code and last line."""
        done = self.run([sys.executable, "-c", code, *arguments])
        if done is None:
            return 124, f"no answer within {self.TIMEOUT_S:.0f} s"
        lines = done[1].strip().splitlines()
        return done[0], lines[-1].strip() if lines else ""

    def run(self, command: Sequence[str]) -> tuple[int, str] | None:
        """Runs a program; returns exit code and what it said, None where there is none or it hangs."""
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=self.TIMEOUT_S,
                env=os.environ | {"PYTHONPATH": path},
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.returncode, done.stdout

    def read(self, path: str) -> str | None:
        """A small text file, or None."""
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(path)

    def may(self, path: str, how: str) -> bool:
        """Whether this user may read (`r`), write (`w`) or do both (`rw`)."""
        wanted = (os.R_OK if "r" in how else 0) | (os.W_OK if "w" in how else 0)
        return os.access(path, wanted)

    def files(self, pattern: str) -> list[str]:
        """The paths that fit a pattern, sorted; the newest last."""
        return sorted(glob.glob(pattern), key=os.path.getmtime)

    def free_bytes(self, folder: str) -> int:
        """Left on the disk that holds the folder."""
        return shutil.disk_usage(folder).free

    def port_is_free(self, host: str, port: int) -> bool:
        """Whether a server may listen there."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind((host, port))
            except OSError:
                return False
        return True

    def scan_i2c(self, bus: int | str) -> list[int]:
        """The addresses that answer on a bus.

        Raises:
            DingocarError: the bus cannot be used; the message says why.
            OSError: a transfer failed.
        """
        from dingocar.parts.actuators._i2c import open_bus

        opened = open_bus(bus)
        try:
            return opened.scan()
        finally:
            opened.close()
