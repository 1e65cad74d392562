"""Export: one direction of a translator as `.tflite`, for the loop. Needs Keras's TensorFlow backend."""

from __future__ import annotations

from pathlib import Path

from dingocar.errors import PilotError, TranslatorError
from dingocar.training.export import check_backend, convert
from dingocar.translate.artefact import chosen_direction, load_network, one_direction, write_translator_tflite


def export_translator(source: Path | str, out: Path | str, direction: str | None = None) -> Path:
    """Writes one direction of a `.keras` translator as `.tflite`, in float32, with its card.

    Args:
        source: the `.keras` translator.
        out: the file to write; ends in `.tflite`.
        direction: "to_real" or "to_sim"; None: its only one.

    Returns:
        `out`.

    Raises:
        TranslatorError: the source is no translator, has not that direction, or cannot be converted.
    """
    out = Path(out)
    if out.suffix != ".tflite":
        raise TranslatorError(f"{out}: expected a file name that ends in .tflite")
    _, network, card = load_network(source)
    direction = chosen_direction(card, direction, Path(source))
    part = one_direction(network, direction)
    try:
        check_backend()
        flatbuffer = convert(part, "image", "uint8", {direction: direction})
    except PilotError as error:
        raise TranslatorError(f"{source}: {error}") from None
    return write_translator_tflite(out, flatbuffer, {**card, "directions": [direction]})
