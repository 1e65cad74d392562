"""The translator's file: a `.keras` with all its directions, or a `.tflite` with one, that says what it is.

Like a pilot's (`dingocar.zoo.artefact`), with the same checks of strangers' files; the card has "translator"
where a pilot's has "pilot".
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import DingocarError, PilotError, TranslatorError, UnknownNameError, did_you_mean
from dingocar.translate._method import DIRECTIONS, Translator
from dingocar.translate.runnable import RunnableTranslator
from dingocar.zoo import _safety
from dingocar.zoo.artefact import card_base, check_network, read_card_of, write_keras, write_tflite
from dingocar.zoo.interpreter import Interpreter, KerasInterpreter, LiteRTInterpreter

if TYPE_CHECKING:
    import keras

_EXPECTED = "a translator's file (.keras or .tflite, see dingocar translate train)"
_CARD_TYPES = {"translator": str, "settings": dict, "image_shape": list, "directions": list}


def save_translator(
    path: Path | str, network: keras.Model, translator: Translator, card: Mapping[str, Any] | None = None
) -> Path:
    """Writes a finished network (see `dingocar.translate._game.translation`) as a translator's `.keras` file.

    Args:
        path: ends in `.keras`; an existing file is replaced, whole or not at all.
        network: the finished network.
        translator: what made it.
        card: what else to say about it: `tubs`, `training`, ... Plain JSON values.

    Raises:
        TranslatorError: the path ends otherwise, or its folder is missing.
    """
    directions = [name for name in DIRECTIONS if name in network.output]
    with _translator_errors():
        return write_keras(Path(path), network, make_card(translator, directions, card))


def make_card(
    translator: Translator, directions: list[str], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The card of a translator's file."""
    settings = dataclasses.asdict(translator.settings)
    return card_base(more) | {
        "translator": translator.name,
        "settings": settings,
        "image_shape": list(translator.settings.image_shape),
        "directions": directions,
    }


def read_card(path: Path | str) -> dict[str, Any]:
    """Reads what a translator's file says about itself; loads neither keras nor the network.

    Raises:
        TranslatorError: the file is missing, damaged, or no translator.
    """
    path = Path(path)
    with _translator_errors():
        card = read_card_of(path, _EXPECTED, _CARD_TYPES)
    if card is None:
        raise TranslatorError(f"{path}: expected {_EXPECTED}, but it does not say what it is")
    shape, tubs = card["image_shape"], card.setdefault("tubs", {}) or {}
    fine = all(isinstance(each, int) for each in shape) and len(shape) == 3
    fine = fine and isinstance(card.setdefault("training", {}), dict) and isinstance(tubs, dict)
    if not fine or not all(isinstance(used, list) for used in tubs.values()):
        raise TranslatorError(f"{path}: its card is not one that dingocar wrote; the file was changed")
    if not card["directions"] or not all(each in tuple(DIRECTIONS) for each in card["directions"]):
        raise TranslatorError(
            f"{path}: its card names the directions {card['directions']}; the file was changed"
        )
    return card


def load_network(path: Path | str) -> tuple[Translator, keras.Model, dict[str, Any]]:
    """Loads a `.keras` translator: the translator, its finished network, and the card.

    Raises:
        TranslatorError: no such file, no translator, a damaged or an unsafe one.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise TranslatorError(f"{path}: expected a .keras translator, got a {path.suffix or 'nameless'} file")
    card = read_card(path)
    translator = _translator_of(card, path)
    with _translator_errors():
        network = check_network(path)
        with _safety.as_pilot_error(path, "its network cannot be run"):
            outputs = network.output if isinstance(network.output, dict) else {}
            named = {tensor.name: tensor for tensor in network.inputs}
    inputs = {DIRECTIONS[direction] for direction in card["directions"]}
    shapes = {(tensor.dtype, *tensor.shape[1:]) for tensor in network.inputs}
    if set(named) != inputs or shapes != {("uint8", *card["image_shape"])}:
        raise TranslatorError(
            f"{path}: its network does not take the pictures that its card names; it was changed"
        )
    for direction in card["directions"]:
        if direction not in outputs or list(outputs[direction].shape[1:]) != card["image_shape"]:
            raise TranslatorError(f"{path}: its network has no pictures {direction!r}; the file was changed")
    return translator, network, card


def one_direction(network: keras.Model, direction: str) -> keras.Model:
    """A finished network's part for one direction: takes uint8 (B, H, W, 3), gives {direction: pictures}."""
    return part(network, DIRECTIONS[direction], direction)


def part(network: keras.Model, domain: str, output: str) -> keras.Model:
    """A finished network's part from a domain's picture to one output."""
    import keras

    picture = next(tensor for tensor in network.inputs if tensor.name == domain)
    return keras.Model(picture, {output: network.output[output]}, name=output)


def load_translator(
    path: Path | str, direction: str | None = None, threads: int | None = None
) -> RunnableTranslator:
    """Loads a translator to be used.

    Args:
        path: a `.keras` or `.tflite` of dingocar.
        direction: "to_real" or "to_sim"; None: its only one.
        threads: for `.tflite`: threads to use; None takes all cores, up to 4.

    Raises:
        TranslatorError: no such file, no translator, a damaged or an unsafe one, or it does not translate in
            that direction.
    """
    path = Path(path)
    card = read_card(path)
    direction = chosen_direction(card, direction, path)
    shape = tuple(card["image_shape"])
    with _translator_errors():
        interpreter: Interpreter
        if path.suffix == ".tflite":
            litert = LiteRTInterpreter(path, threads)
            litert.bind({direction: direction})
            interpreter = litert
        else:
            network = one_direction(load_network(path)[1], direction)
            with _safety.as_pilot_error(path, "its network cannot be run"):
                interpreter = KerasInterpreter(network)
        found = interpreter.run(np.zeros((1, *interpreter.image_shape), np.uint8))[direction].shape
    if interpreter.image_shape != shape or found != (1, *shape):
        raise TranslatorError(
            f"{path}: its network makes {found[1:]} of {interpreter.image_shape}, its card says {shape}; the "
            "file was changed"
        )
    return RunnableTranslator(path, card, direction, interpreter)


def load_for_loop(path: Path | str, threads: int | None = None) -> RunnableTranslator:
    """As `load_translator`, for a place between camera and pilot: of one with two directions that to sim."""
    directions = read_card(path)["directions"]
    return load_translator(path, "to_sim" if "to_sim" in directions else None, threads)


def chosen_direction(card: Mapping[str, Any], direction: str | None, path: Path) -> str:
    """The direction that is asked for, if the translator has it.

    Raises:
        TranslatorError: it has not, or has both and none is named.
    """
    known = card["directions"]
    if direction is None and len(known) == 1:
        return str(known[0])
    if direction is None:
        raise TranslatorError(f"{path}: translates {' and '.join(known)}; say which: --to sim or --to real")
    if direction not in known:
        hint = did_you_mean(direction, known) if direction not in DIRECTIONS else ""
        raise TranslatorError(f"{path}: does not translate {direction}{hint}, only {' and '.join(known)}")
    return direction


def write_translator_tflite(path: Path | str, flatbuffer: bytes, card: Mapping[str, Any]) -> Path:
    """Writes a `.tflite` translator with its card, whole or not at all."""
    with _translator_errors():
        return write_tflite(path, flatbuffer, card)


def _translator_of(card: Mapping[str, Any], path: Path) -> Translator:
    from dingocar.translate import translators

    try:
        found: Translator = translators.load(card["translator"]).from_settings(card["settings"])
    except (UnknownNameError, DingocarError) as error:
        raise TranslatorError(f"{path}: {error}") from None
    return found


@contextlib.contextmanager
def _translator_errors() -> Iterator[None]:
    """Turns what the checks of files, which pilots have too, say into a `TranslatorError`."""
    try:
        yield
    except PilotError as error:
        raise TranslatorError(str(error)) from None
