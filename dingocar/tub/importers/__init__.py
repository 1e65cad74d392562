"""Tubs from recordings of other programs: Duckietown's train.log, Udacity's driving_log.csv, plain folders.

A format is one file in this folder that defines `importer = Importer(fits=..., read=...)`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dingocar.errors import TubError, UsageError
from dingocar.registry import Registry
from dingocar.tub.format import DOMAINS
from dingocar.tub.importers._sample import SIDES_PX, Importer, Problems, Settings
from dingocar.tub.importers._write import write_tub

#: All formats that can be asked for by name.
formats = Registry("format", "dingocar.tub.importers", entry="importer", hidden=("safe_pickle",))

__all__ = ["SIDES_PX", "Imported", "Importer", "Settings", "formats", "import_tub"]


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        tub: the new tub.
        source, format, domain: where it came from.
        records: how many there are.
        labelled: how many of them have a steering and a throttle.
        sessions: how many recording runs they came in.
        skipped: rows or steps that were left out.
        problems: the first reasons for that, a line each.
    """

    tub: str
    source: str
    format: str
    domain: str | None
    records: int
    labelled: int
    sessions: int
    skipped: int
    problems: list[str]


def import_tub(
    source: str | Path,
    tub: str | Path,
    format: str = "auto",
    domain: str | None = None,
    settings: Settings = Settings(),  # noqa: B008 (frozen)
    on_progress: Callable[[float], None] | None = None,
) -> Imported:
    """Makes a tub of another program's recording: the whole tub, or, where anything fails, none.

    Args:
        source: the recording's file or folder.
        tub: the new tub's folder; it must not be there yet, or be empty.
        format: a name of `formats`, or `auto`.
        domain: `sim` or `real`; None: what the format says.
        settings: what else the formats want to know.
        on_progress: called with the share of the work that is done, 0 to 1.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: a setting is given that is for another format.
        TubError: the source is none, holds nothing that can be used, or the tub is there already.
    """
    source, target = Path(source).expanduser(), Path(tub).expanduser().absolute()
    if domain is not None and domain not in DOMAINS:
        raise TubError(f"domain: expected sim or real, got {domain!r}")
    name, importer = choose(source, format)
    _check_settings(settings, source, name, importer)
    domain = domain or importer.domain
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise TubError(
            f"{target}: is there already, and an import makes a tub of its own; choose another folder "
            "(training takes several tubs)"
        )
    problems = Problems()
    words = {"source": f"{name}: {source.name}"} | ({"domain": domain} if domain else {})
    samples = importer.read(source, settings, problems, on_progress or (lambda _: None))
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        temporary.chmod(0o755)
        written = write_tub(temporary, samples, words, settings.quality, settings.rate_hz or importer.rate_hz)
        if not written.records:
            why = problems.first or "it holds none"
            raise TubError(f"{source}: no record can be imported as {name}: {why}")
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    except OSError as error:
        raise TubError(f"{target}: cannot be made ({error.strerror or error})") from error
    finally:
        if temporary is not None and temporary.exists():
            with contextlib.suppress(OSError):
                shutil.rmtree(temporary)
    return Imported(
        *(str(target), str(source), name, domain, written.records, written.labelled, written.sessions),
        *(problems.count, problems.lines),
    )


def _check_settings(settings: Settings, source: Path, name: str, importer: Importer) -> None:
    """Refuses settings of the other formats: they would be without effect."""
    for other in formats.names():
        for option in formats.load(other).options:
            if option not in importer.options and getattr(settings, option) not in (None, False):
                raise UsageError(
                    f"--{option.replace('_', '-')} is for the format {other}, and {source} is of the format "
                    f"{name}; leave it out"
                )


def choose(source: Path, format: str = "auto") -> tuple[str, Importer]:
    """The format of a source: its name and its importer.

    Raises:
        UnknownNameError: there is no such format.
        TubError: there is no such source, or none of the formats fits it.
    """
    if format != "auto":
        importer: Any = formats.load(format)
        if not source.exists():
            raise TubError(f"{source}: no such file or folder")
        if not importer.fits(source):
            raise TubError(f"{source}: is no {format} recording; expected {importer.expects}")
        return format, importer
    if not source.exists():
        raise TubError(f"{source}: no such file or folder")
    if (source / "manifest.json").is_file():
        raise TubError(f"{source}: is a tub already; train on it, or look at it with dingocar tub info")
    known = {name: formats.load(name) for name in formats.names()}
    for name, importer in sorted(known.items(), key=lambda item: item[1].rank):
        if importer.fits(source):
            return name, importer
    wanted = "; or ".join(f"{name}: {importer.expects}" for name, importer in known.items())
    raise TubError(f"{source}: is no recording that can be imported; expected {wanted}")
