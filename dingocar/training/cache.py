"""Decoded pictures in one uint8 array: in memory, or in a file that the next run finds again.

A JPEG of the right size is decoded by simplejpeg, straight to its place: the same libjpeg-turbo as
Pillow's, the same pixels, in half the time. Both let go of the interpreter's lock while they decode, so
threads are enough to use all cores.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dingocar.errors import ImageError, TrainingError
from dingocar.images import open_picture, read_picture

logger = logging.getLogger(__name__)

Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

#: Part of every key: raise it when the same files would decode to other pictures.
VERSION = 1
_CHUNK = 64
#: So many broken pictures are told, the first ones.
_SHOWN = 20
_STALE_S = 24 * 3600.0
_ARRAY, _META = "pictures.npy", "meta.json"


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures.

    Attributes:
        images: uint8 (N, H, W, 3) RGB, read-only: those that could be decoded, in order.
        usable: bool (M,), which of the M files they are from.
        problems: one line for each broken picture, at most 20.
        reused: whether they came from an earlier run's file.
        seconds: time it took to get them.
    """

    images: Uint8Array
    usable: BoolArray
    problems: list[str]
    reused: bool
    seconds: float


@dataclass(frozen=True)
class CacheLimits:
    """Where decoded pictures may be kept.

    Attributes:
        ram_bytes: arrays of up to this size stay in memory.
        disk_bytes: all cache files together; the longest unused are removed.
        folder: folder of the cache files; None: `default_folder()`.
    """

    ram_bytes: int = 4096 << 20
    disk_bytes: int = 32_768 << 20
    folder: Path | None = None


def default_folder() -> Path:
    """`~/.cache/dingocar/pictures`, or below `XDG_CACHE_HOME`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dingocar/pictures"


def load_pictures(
    paths: Sequence[Path | None],
    size: tuple[int, int],
    limits: CacheLimits | None = None,
    workers: int = 0,
) -> Pictures:
    """Decodes pictures in parallel; broken ones are left out and reported.

    Args:
        paths: the files; None for a record that has none (counted as broken).
        size: (height, width) to scale to.
        limits: where to keep them.
        workers: threads; 0: one per core.

    Raises:
        TrainingError: the cache's folder cannot be written to, or its disk is full.
    """
    started = time.perf_counter()
    limits = limits or CacheLimits()
    shape = (len(paths), *size, 3)
    if int(np.prod(shape, dtype=np.int64)) <= limits.ram_bytes:
        images = np.empty(shape, np.uint8)
        usable, problems = _decode_all(paths, images, workers)
        images = images[: _compact(images, usable)]
        images.flags.writeable = False
        return Pictures(images, usable, problems, False, time.perf_counter() - started)
    folder = limits.folder or default_folder()
    entry = folder / _key(paths, size)
    found = _open_entry(entry, shape)
    if found is None:
        try:
            _make_room(folder, int(np.prod(shape, dtype=np.int64)), limits.disk_bytes)
            _write_entry(entry, paths, shape, workers)
        except OSError as error:
            raise TrainingError(
                f"{folder}: the decoded pictures cannot be kept there ({error.strerror or error}); "
                "set cache_folder to another place, or raise cache_ram_mb"
            ) from error
        found = _open_entry(entry, shape)
        if found is None:
            raise TrainingError(f"{entry}: cannot be read back; set cache_folder to another place")
        return Pictures(*found, False, time.perf_counter() - started)
    logger.info("decoded pictures of an earlier run are used again: %s", entry)
    return Pictures(*found, True, time.perf_counter() - started)


def _decode_all(paths: Sequence[Path | None], out: Uint8Array, workers: int) -> tuple[BoolArray, list[str]]:
    """Decodes `paths[i]` into `out[i]`. Returns which succeeded, and the first complaints."""
    usable = np.ones(len(paths), bool)

    def decode(start: int) -> list[str]:
        problems = []
        for i in range(start, min(start + _CHUNK, len(paths))):
            try:
                _decode_into(out[i], paths[i])
            except ImageError as error:
                usable[i] = False
                problems.append(str(error))
        return problems[:_SHOWN]

    with warnings.catch_warnings(), ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        # Pillow warns of large pictures; `open_picture` refuses them, by a bound of our own.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        chunks = list(pool.map(decode, range(0, len(paths), _CHUNK)))
    return usable, list(itertools.chain.from_iterable(chunks))[:_SHOWN]


def _decode_into(out: Uint8Array, path: Path | None) -> None:
    """Decodes one file into `out`, scaled to its size.

    A JPEG of more than twice the size is decoded at a half, a quarter or an eighth of its own
    (libjpeg leaves out what would be thrown away), then scaled, antialiased, as any other.
    """
    height, width = out.shape[:2]
    if path is None:
        raise ImageError("a record has no picture")
    raw = read_picture(path)
    if _decode_jpeg(out, raw):
        return
    with open_picture(raw, str(path)) as picture:
        if picture.width >= 4 * width and picture.height >= 4 * height:
            picture.draft("RGB", (2 * width, 2 * height))
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
        out[...] = np.asarray(rgb)


def _decode_jpeg(out: Uint8Array, raw: bytes) -> bool:
    """Decodes a JPEG of just `out`'s size; False where Pillow must do it, or say what is wrong."""
    import simplejpeg

    try:
        if simplejpeg.decode_jpeg_header(raw)[:2] != out.shape[:2]:
            return False
        simplejpeg.decode_jpeg(raw, buffer=out)
    except ValueError:
        return False
    return True


def _compact(images: Uint8Array, usable: BoolArray) -> int:
    """Moves the usable pictures to the front, in place; returns how many there are."""
    kept = np.flatnonzero(usable)
    if len(kept) < len(images):
        # Forward in chunks: a picture only ever moves to a lower place, so none is overwritten unread.
        for start in range(0, len(kept), 1024):
            rows = kept[start : start + 1024]
            images[start : start + len(rows)] = images[rows]
    return len(kept)


def _key(paths: Sequence[Path | None], size: tuple[int, int]) -> str:
    """A hash of the files' names, sizes and times of change, and of the size to scale to."""
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for path in paths:
        try:
            state = path.stat() if path else None
        except OSError:
            state = None
        bits = f"{path}\0{state.st_size} {state.st_mtime_ns}" if state else f"{path}\0-"
        digest.update(bits.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:32]


def _open_entry(entry: Path, shape: tuple[int, ...]) -> tuple[Uint8Array, BoolArray, list[str]] | None:
    """Maps a finished cache entry into memory, read-only; None if there is none, or a damaged one."""
    try:
        meta: Any = json.loads((entry / _META).read_text(encoding="utf-8"))
        images = np.lib.format.open_memmap(entry / _ARRAY, mode="r")
        usable = np.ones(shape[0], bool)
        usable[np.asarray(meta["broken"], np.int64)] = False
        if images.shape != shape or images.dtype != np.uint8:
            return None
        os.utime(entry)  # the time of last use, for `_make_room`
        return images[: int(usable.sum())], usable, [str(line) for line in meta["problems"]]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _write_entry(entry: Path, paths: Sequence[Path | None], shape: tuple[int, ...], workers: int) -> None:
    """Decodes into a new folder and renames it, so that an unfinished one is never found."""
    temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=entry.parent))
    try:
        images = np.lib.format.open_memmap(temporary / _ARRAY, "w+", np.uint8, shape)
        usable, problems = _decode_all(paths, images, workers)
        _compact(images, usable)
        images.flush()
        del images
        meta = {"broken": np.flatnonzero(~usable).tolist(), "problems": problems}
        (temporary / _META).write_text(json.dumps(meta), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        with contextlib.suppress(FileExistsError):  # another run was faster: its entry is as good
            temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_room(folder: Path, needed: int, limit: int) -> None:
    """Removes the longest unused entries and abandoned ones, until `needed` bytes fit."""
    folder.mkdir(parents=True, exist_ok=True)
    if needed > limit:
        raise TrainingError(
            f"the decoded pictures need {needed >> 20} MB on disk, cache_disk_mb allows "
            f"{limit >> 20} MB: raise it (or cache_ram_mb), or train on fewer tubs"
        )
    entries = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            age_s = time.time() - path.stat().st_mtime
            if path.name.startswith("tmp-"):
                if age_s > _STALE_S:
                    shutil.rmtree(path, ignore_errors=True)
            elif (path / _ARRAY).is_file():
                entries.append((age_s, (path / _ARRAY).stat().st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries, reverse=True):
        if total + needed <= limit:
            break
        shutil.rmtree(path, ignore_errors=True)
        total -= size
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"needs {needed >> 20} MB, {free >> 20} MB are free")
