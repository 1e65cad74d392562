"""Writes into a tub whether its pictures are simulated or real."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dingocar.errors import TubError, UnknownNameError
from dingocar.files import replace_file
from dingocar.tub import format as fmt
from dingocar.tub import legacy
from dingocar.tub.record import Problem
from dingocar.tub.tub import Tub, open_tub
from dingocar.words import counted, quoted


def set_domain(path: str | Path, domain: str, force: bool = False) -> Tub:
    """Writes `metadata.domain` into the manifest (tub v1: `meta.json`), atomically; the rest stays as it is.

    Args:
        path: the tub's folder.
        domain: `sim` or `real`.
        force: also replace another domain that is known.

    Returns:
        The tub as it is now.

    Raises:
        UnknownNameError: there is no such domain.
        TubError: there is no tub, it is damaged or being recorded to, it is of another domain, or its
            records say themselves that they are of another one.
    """
    if domain not in fmt.DOMAINS:
        raise UnknownNameError("domain", domain, fmt.DOMAINS)
    tub = open_tub(path)
    others = sum(record.simulated is not None and record.simulated != (domain == "sim") for record in tub)
    if others:
        raise TubError(
            f"{tub.path}: {counted(others, 'record')} of {len(tub)} say themselves (is-simulated) that they "
            f"are not {domain}, and a record's own word counts; nothing was written"
        )
    try:
        with fmt.locked(tub.path):
            if tub.version == 1:
                _write_v1(tub.path, domain, force)
            else:
                _write_v2(tub.path, domain, force)
    except OSError as error:
        raise TubError(f"{tub.path}: cannot be written to ({error.strerror})") from error
    return open_tub(path)


def _check_known(folder: Path, metadata: dict[str, Any], domain: str, force: bool) -> None:
    known = metadata.get("domain")
    if known not in (None, domain) and not force:
        raise TubError(f"{folder}: says that it is {known!r}; add --force if it is {domain!r} all the same")


def _write_v2(folder: Path, domain: str, force: bool) -> None:
    _check_known(folder, whole_manifest(folder).metadata, domain, force)
    add_words(folder, {"domain": domain})


def add_words(folder: Path, words: Mapping[str, Any]) -> None:
    """Writes metadata into the third line of a manifest; the other four stay as they are, byte for byte.

    Raises:
        TubError: the manifest is damaged.
        OSError: it cannot be written.
    """
    metadata = whole_manifest(folder).metadata
    lines = (folder / fmt.MANIFEST).read_bytes().split(b"\n")
    lines[2] = json.dumps({**metadata, **words}).encode()
    replace_file(folder / fmt.MANIFEST, b"\n".join(lines), durable=True)


def whole_manifest(folder: Path) -> fmt.Manifest:
    """A tub v2's manifest, if all of it can be read.

    Raises:
        TubError: it is damaged.
    """
    problems: list[Problem] = []
    manifest = fmt.read_manifest(folder, problems)
    if not manifest.complete:
        raise TubError(f"{folder}: {problems[0]}; run dingocar tub check {quoted(folder)} --fix first")
    return manifest


def _write_v1(folder: Path, domain: str, force: bool) -> None:
    path = folder / legacy.META
    try:
        meta = fmt.read_json(path)
        if not isinstance(meta, dict):
            raise ValueError("expected a JSON object")
    except (FileNotFoundError, ValueError) as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise TubError(
            f"{path}: {what}, so there is no place to write the domain to; make it anew, with the "
            "tub's inputs and types"
        ) from error
    _check_known(folder, meta, domain, force)
    replace_file(path, json.dumps({**meta, "domain": domain}), durable=True)
