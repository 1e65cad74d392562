"""The pilot's file: a `.keras` or `.tflite` that says itself what it is, in the member `dingocar.json`.

A `.keras` is a zip file, so the card is one more member; to a `.tflite` a zip with the card is
appended, which LiteRT does not mind. Nothing else is needed to drive: no type, no settings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
import json
import platform
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import dingocar
from dingocar.errors import DingocarError, PilotError, UnknownNameError
from dingocar.files import parse_json, replacing
from dingocar.zoo import _safety, foreign, pilots
from dingocar.zoo.interpreter import Interpreter, KerasInterpreter, LiteRTInterpreter
from dingocar.zoo.pilot import Pilot
from dingocar.zoo.runnable import RunnablePilot

if TYPE_CHECKING:
    import keras

CARD = "dingocar.json"
FORMAT = 1
MAX_CARD_BYTES = 1 << 20
#: What a file may be, by the key of its card.
KINDS = ("pilot", "translator")
_KERAS_MEMBERS = frozenset({"metadata.json", "config.json", "model.weights.h5", CARD})
_CARD_TYPES = {"pilot": str, "settings": dict, "image_shape": list, "heads": dict}
_EXPECTED = "a pilot file (.keras or .tflite of dingocar, .h5 or .tflite of Donkeycar)"


def save_pilot(
    path: Path | str, model: keras.Model, pilot: Pilot, card: Mapping[str, Any] | None = None
) -> Path:
    """Writes `model` as a pilot file `path` (`.keras`), whole or not at all.

    Args:
        path: ends in `.keras`; an existing file is replaced.
        model: the network `pilot.build()` made, trained. It is saved in float32 and without its
            optimiser, whatever it was trained with.
        pilot: the pilot it belongs to.
        card: what else to say about it: `domain_method`, `tubs`, `metrics`, ... Plain JSON values.

    Returns:
        `path`.

    Raises:
        PilotError: the path ends otherwise, its folder is missing, or the model is no such network.
    """

    plain = _plain(model, pilot)
    heads = {head: int(tensor.shape[-1]) for head, tensor in plain.output.items()}
    return write_keras(Path(path), plain, make_card(pilot, heads, card))


def write_keras(path: Path, network: keras.Model, card: Mapping[str, Any]) -> Path:
    """Writes a `.keras` network with its card, whole or not at all.

    Raises:
        PilotError: the path ends otherwise, its folder is missing, or the card holds no plain values.
    """
    import keras

    if path.suffix != ".keras":
        raise PilotError(f"{path}: expected a file name that ends in .keras")
    made_with = {"keras": keras.__version__, "backend": keras.config.backend()}
    full_card = _dump({**card, "versions": {**made_with, **card.get("versions", {})}})
    with _replacing(path) as temporary:
        keras.saving.save_model(network, temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD, full_card)
    return path


def write_tflite(path: Path | str, flatbuffer: bytes, card: Mapping[str, Any]) -> Path:
    """Writes a `.tflite` network with its card (see `make_card`), whole or not at all."""
    path = Path(path)
    if path.suffix != ".tflite":
        raise PilotError(f"{path}: expected a file name that ends in .tflite")
    appended = io.BytesIO()
    with zipfile.ZipFile(appended, "w") as archive:
        archive.writestr(CARD, _dump(card))
    write_bytes(path, flatbuffer + appended.getvalue())
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with _replacing(path) as temporary:
        temporary.write_bytes(content)


def make_card(
    pilot: Pilot, heads: Mapping[str, int], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The card of a pilot's file.

    Args:
        pilot: gives name, settings and image shape.
        heads: number of outputs of each head.
        more: what else to say; it cannot change what the pilot says.
    """
    return {
        "domain_method": None,
        "metrics": {},
        "quantised": None,
        "outputs": {},
        **card_base(more),
        "pilot": pilot.name,
        "settings": dataclasses.asdict(pilot.settings),
        "image_shape": list(pilot.settings.image_shape),
        "heads": dict(heads),
    }


def card_base(more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What every file's card says, and `more`."""
    more = dict(more or {})
    versions = {"dingocar": dingocar.__version__, "python": platform.python_version()}
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tubs": [],
        **more,
        "versions": {**versions, **more.get("versions", {})},
        "format": FORMAT,
    }


def read_card(path: Path | str) -> dict[str, Any]:
    """Reads what a pilot file says about itself; loads neither keras nor the network.

    Raises:
        PilotError: the file is missing, damaged, or no pilot that dingocar wrote.
    """
    path = Path(path)
    card = _card_of(path)
    if card is None:
        raise PilotError(
            f"{path}: expected a pilot that dingocar wrote, but it holds no {CARD}; make one with "
            "dingocar train"
        )
    return card


def load_pilot(path: Path | str, threads: int | None = None, throttle_range: float = 0.8) -> RunnablePilot:
    """Loads a pilot to drive with; the file says what it is.

    Args:
        path: a `.keras` or `.tflite` of dingocar, or a `.h5` or `.tflite` of Donkeycar.
        threads: for `.tflite`: threads to use; None takes all cores, up to 4.
        throttle_range: only for Donkeycar's categorical pilots, whose files do not say it: the
            `MODEL_CATEGORICAL_MAX_THROTTLE_RANGE` they were trained with.

    Raises:
        PilotError: no such file, no pilot, a damaged or an unsafe one; the message says which.
    """
    path = Path(path)
    _safety.check_size(path, _EXPECTED)
    if path.suffix == ".h5":
        model, pilot, card = foreign.load_h5(path, throttle_range)
        return _runnable(path, card, pilot, _interpreter(path, model))
    if path.suffix == ".keras":
        pilot, model, card = load_network(path)
        return _runnable(path, card, pilot, _interpreter(path, model))
    if path.suffix != ".tflite":
        raise PilotError(f"{path}: expected {_EXPECTED}, got a {path.suffix or 'nameless'} file")
    found = _card_of(path)
    litert = LiteRTInterpreter(path, threads)
    if found is None:
        pilot, card = foreign.recognise_tflite(path, litert, throttle_range)
    else:
        pilot, card = pilot_of(found, path), found
        litert.bind(card.get("outputs") or {head: head for head in card["heads"]})
    _check_shape(litert.image_shape, card, path)
    return _runnable(path, card, pilot, litert)


def load_network(path: Path | str) -> tuple[Pilot, keras.Model, dict[str, Any]]:
    """Loads a `.keras` pilot to train, export or explain it.

    Returns:
        The pilot, its network (not compiled), and the card.

    Raises:
        PilotError: no such file, no pilot, a damaged or an unsafe one.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise PilotError(f"{path}: expected a .keras pilot, got a {path.suffix or 'nameless'} file")
    card = read_card(path)
    pilot = pilot_of(card, path)
    model = check_network(path)
    with _safety.as_pilot_error(path, "its network cannot be run"):
        outputs, inputs = model.output, list(model.inputs)
    if not isinstance(outputs, dict) or set(outputs) != set(card["heads"]):
        raise PilotError(f"{path}: expected a network with the heads {sorted(card['heads'])}")
    if len(inputs) != 1 or inputs[0].dtype != "uint8":
        raise PilotError(f"{path}: expected a network that takes one uint8 picture")
    _check_shape(tuple(inputs[0].shape[1:]), card, path)
    return pilot, model, card


def check_network(path: Path) -> keras.Model:
    """Loads the network of a `.keras` file from anybody, after its parts were checked.

    Raises:
        PilotError: it is damaged, unsafe, or asks for too much.
    """
    import keras

    with _reading(path) as archive:
        _safety.check_members(archive, _KERAS_MEMBERS, path)
        config = json.loads(archive.read("config.json"))
        _safety.check_config(config, path)
        _safety.check_weights(io.BytesIO(archive.read("model.weights.h5")), path)
    with _safety.as_pilot_error(path, f"Keras {keras.__version__} cannot load the network"):
        return _safety.load_keras(path)


def pilot_of(card: Mapping[str, Any], path: Path) -> Pilot:
    """The pilot that a card names, with its settings."""
    try:
        pilot: Pilot = pilots.load(card["pilot"]).from_settings(card["settings"])
    except UnknownNameError as error:
        raise PilotError(
            f"{path}: {error}; if it is a car's own pilot, run this in the car's folder"
        ) from None
    except DingocarError as error:
        raise PilotError(f"{path}: {error}") from None
    return pilot


def _interpreter(path: Path, model: keras.Model) -> KerasInterpreter:
    with _safety.as_pilot_error(path, "its network cannot be run"):
        return KerasInterpreter(model)


def _runnable(path: Path, card: dict[str, Any], pilot: Pilot, interpreter: Interpreter) -> RunnablePilot:
    """The pilot, tried on a black picture: its decoding must fit the network's outputs."""
    what = f"pilot {pilot.name} cannot decode its network's outputs"
    hint = "; the file was changed, or the pilot's code is newer than the file"
    with _safety.as_pilot_error(path, what, hint):
        pilot.decode(interpreter.run(np.zeros((1, *interpreter.image_shape), np.uint8)))
    return RunnablePilot(path, card, pilot, interpreter)


def _card_of(path: Path) -> dict[str, Any] | None:
    """The card of a pilot's file; see `read_card_of`."""
    card = read_card_of(path, _EXPECTED, _CARD_TYPES)
    if card is not None and not isinstance(card.setdefault("outputs", {}), dict):
        raise PilotError(f"{path}: its {CARD} must have 'outputs' (dict), got {card['outputs']!r}")
    return card


def read_card_of(path: Path, expected: str, types: Mapping[str, type]) -> dict[str, Any] | None:
    """The card of a file from anybody, checked; None if it is a readable `.tflite` or `.keras` without one.

    Args:
        path: the file.
        expected: what it should be, in words.
        types: what the card must hold.

    Raises:
        PilotError: the file is missing, damaged, or its card is of another kind.
    """
    _safety.check_size(path, expected)
    with path.open("rb") as file:
        is_tflite = file.read(8)[4:] == b"TFL3"
    if is_tflite and not zipfile.is_zipfile(path):
        return None
    with _reading(path, expected) as archive:
        if CARD not in archive.namelist():
            return None
        if is_tflite:
            _safety.check_members(archive, frozenset({CARD}), path)
        if archive.getinfo(CARD).file_size > MAX_CARD_BYTES:
            raise PilotError(f"{path}: its {CARD} is larger than {MAX_CARD_BYTES} bytes; not read")
        card = parse_json(archive.read(CARD))
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        got = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise PilotError(
            f"{path}: expected a {CARD} of format {FORMAT}, got {got!r}; a newer dingocar wrote it?"
        )
    for kind in KINDS:
        if kind in card and kind not in types:
            raise PilotError(f"{path}: expected {expected}, got a {kind}: {str(card[kind])[:40]}")
    for key, kind_of in types.items():
        if not isinstance(card.get(key), kind_of):
            raise PilotError(
                f"{path}: its {CARD} must have {key!r} ({kind_of.__name__}), got {card.get(key)!r}"
            )
    return card


@contextlib.contextmanager
def _reading(path: Path, expected: str = _EXPECTED) -> Iterator[zipfile.ZipFile]:
    """Opens a zip file; whatever is wrong with its bytes becomes one `PilotError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        *(zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError),
        *(ValueError, RecursionError, NotImplementedError),
    ) as error:
        raise PilotError(
            f"{path}: expected {expected}; the file is damaged, cut short or something else "
            f"({_safety.short(error)})"
        ) from None


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` that replaces it when the block ends well."""
    if not path.parent.is_dir():
        raise PilotError(f"{path}: its folder {path.parent} does not exist; make it first")
    try:
        with replacing(path, durable=True) as temporary:
            yield temporary
    except OSError as error:
        raise PilotError(f"{path}: cannot be written ({error.strerror or error})") from None


def _plain(model: Any, pilot: Pilot) -> Any:
    """`model` without optimiser and in float32: what a car needs, and what every device can run."""
    import keras

    if not isinstance(model, keras.Model) or not isinstance(getattr(model, "output", None), dict):
        raise PilotError(f"pilot {pilot.name}: expected the model its build() makes, got {model!r}")
    if all(layer.compute_dtype in ("float32", "uint8") for layer in model.layers):
        return keras.Model(model.inputs[0], model.output, name=model.name)
    return plain_network(pilot, model.get_weights())


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Builds what is built inside the block under this Keras dtype policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def plain_network(pilot: Pilot, weights: list[Any]) -> Any:
    """The pilot's network in float32, as it is built, with these weights (in `get_weights`' order)."""
    with dtype_policy("float32"):
        plain = pilot.build()
    plain.set_weights(weights)
    return plain


def _check_shape(shape: tuple[Any, ...], card: Mapping[str, Any], path: Path) -> None:
    if list(shape) != list(card["image_shape"]):
        raise PilotError(
            f"{path}: its network takes pictures {tuple(shape)}, its {CARD} says "
            f"{tuple(card['image_shape'])}; the file was changed"
        )


def _dump(card: Mapping[str, Any]) -> str:
    try:
        return json.dumps(card, indent=1, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PilotError(f"the pilot's card must hold plain JSON values: {error}") from None
