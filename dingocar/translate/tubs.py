"""Translates a tub: the same records with other pictures, so that a pilot can learn from them."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dingocar.errors import ImageError, TranslatorError
from dingocar.files import replace_file
from dingocar.translate.runnable import RunnableTranslator
from dingocar.tub import Record, Tub, open_tub
from dingocar.tub import format as fmt
from dingocar.tub.domain import add_words, whole_manifest
from dingocar.words import quoted

logger = logging.getLogger(__name__)

#: JPEG quality of the new pictures: they have been through it once already.
QUALITY = 90
_BATCH = 32


@dataclass(frozen=True)
class TranslatedTub:
    """What was made.

    Attributes:
        tub, source: the new tub and the one it was made of.
        translator: the translator's file.
        direction: "to_real" or "to_sim".
        pictures: how many were translated.
        skipped: pictures that cannot be decoded; their records are left as they are.
    """

    tub: str
    source: str
    translator: str
    direction: str
    pictures: int
    skipped: int


def translate_tub(
    translator: RunnableTranslator,
    source: Path | str,
    target: Path | str,
    on_progress: Callable[[float], None] = lambda share: None,
) -> TranslatedTub:
    """Makes a tub with the same records, of which `cam/image_array` is translated: the whole tub, or none.

    Sessions, times, indexes, marks of deletion and other channels stay. The pictures have the translator's
    size. The tub still says the domain it was recorded in, and in `looks` the one that it now looks like.

    Args:
        translator: see `load_translator`.
        source: a tub v2 of the domain that the translator takes.
        target: the new tub's folder; it must not be there yet.
        on_progress: told the share that is done.

    Raises:
        TubError: the source is no tub, or somebody is writing to it.
        TranslatorError: it is of another domain or version, or the target is there.
    """
    tub, target = open_tub(source), Path(target).expanduser().absolute()
    _check(translator, tub, target)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        temporary.chmod(0o755)
        with fmt.locked(tub.path):  # what a drive records meanwhile would be copied and not translated
            tub = open_tub(source)
            _copy(tub.path, temporary)
        records = [*tub.records, *tub.deleted_records]
        done = skipped = 0
        for batch in _batches(records, translator.image_shape[:2]):
            found = [pair for pair in batch if pair[1] is not None]
            if found:
                made = translator.run_batch(np.stack([image for _, image in found]))
                for (record, _), image in zip(found, made, strict=True):
                    place = temporary / record.image_path().relative_to(tub.path)
                    replace_file(place, _encoded(image, place.suffix))  # never through a link
            done, skipped = done + len(batch), skipped + len(batch) - len(found)
            on_progress(done / len(records))
        facts = {"translator": translator.card["translator"], "file": translator.path.name}
        add_words(
            temporary, {"looks": translator.gives, "translated": facts | {"direction": translator.direction}}
        )
        temporary.rename(target)
    except OSError as error:
        raise TranslatorError(f"{target}: cannot be made ({error.strerror or error})") from error
    finally:
        if temporary is not None and temporary.exists():
            with contextlib.suppress(OSError):
                shutil.rmtree(temporary)
    if skipped:
        logger.warning("%d of %d pictures cannot be decoded and are left as they are", skipped, len(records))
    return TranslatedTub(
        *(str(target), str(source), str(translator.path), translator.direction, done - skipped, skipped)
    )


def _copy(folder: Path, target: Path) -> None:
    """Copies a tub into a folder, also one that must not be written to."""
    try:
        shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
    except shutil.Error as error:  # an entry for each file; the first one says it
        where, _, why = error.args[0][0]
        raise OSError(f"{where}: {why.rpartition('] ')[2]}") from None
    for each in (target, *(path for path in target.rglob("*") if path.is_dir())):
        each.chmod(0o755)


def _check(translator: RunnableTranslator, tub: Tub, target: Path) -> None:
    if tub.version != 2:
        raise TranslatorError(f"{tub.path}: expected a tub of version 2, got version {tub.version}")
    whole_manifest(tub.path)
    for folder in (path for path in tub.path.rglob("*") if path.is_symlink() and path.is_dir()):
        raise TranslatorError(f"{folder}: is a link to another folder; copy the tub with its pictures first")
    if target.resolve().is_relative_to(tub.path.resolve()):
        raise TranslatorError(f"{target}: lies within the tub that is translated; choose another folder")
    if target.exists():
        raise TranslatorError(f"{target}: is there already; choose another folder for the translated tub")
    if not len(tub):
        raise TranslatorError(f"{tub.path}: holds no records to translate")
    if tub.looks is None:
        raise TranslatorError(
            f"{tub.path}: does not say whether its pictures are simulated or real; write it into the tub: "
            f"dingocar tub domain {quoted(tub.path)} {translator.takes}"
        )
    if tub.looks != translator.takes:
        raise TranslatorError(
            f"{tub.path}: its pictures look {tub.looks}, and {translator.path} {translator.direction} takes "
            f"{translator.takes} ones; translate the other way, or another tub"
        )


def _batches(records: list[Record], size: tuple[int, int]) -> Iterator[list[tuple[Record, Any]]]:
    for start in range(0, len(records), _BATCH):
        yield [(record, _decoded(record, size)) for record in records[start : start + _BATCH]]


def _decoded(record: Record, size: tuple[int, int]) -> Any:
    try:
        return record.image(size=size)
    except ImageError:
        return None


def _encoded(image: Any, suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".png":
        Image.fromarray(image).save(buffer, format="png")
    else:
        Image.fromarray(image).save(buffer, format="jpeg", quality=QUALITY)
    return buffer.getvalue()
