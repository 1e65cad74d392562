"""Checks on pilot files from other people, made before anything in them is decoded.

A pilot file is data: only Keras's own layers, no code, no links out of the file, bounded sizes.
"""

from __future__ import annotations

import contextlib
import math
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from dingocar.errors import DingocarError, PilotError, near_path

#: Largest pilot file, and largest sum of what it unpacks to, in bytes.
MAX_BYTES = 1 << 29
#: Largest number in a layer's settings (units, filters, sizes): larger ones only exhaust the memory.
MAX_SIZE = 1 << 20
#: Most parameters of a network: as many as a file of `MAX_BYTES` can hold in float32.
MAX_PARAMETERS = MAX_BYTES // 4
#: Most numbers that one layer may put out for one picture; the largest picture is 50 million.
MAX_OUTPUTS = 1 << 26
_NO_SIZES = frozenset({"seed", "shared_object_id"})

# These hold code, run another framework's code, or read other files.
_CODE_CLASSES = frozenset(
    {
        *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "function"),
        *("StringLookup", "IntegerLookup", "TextVectorization"),
    }
)
_MODULES = re.compile(
    r"keras(\.(layers|initializers|regularizers|constraints|models|dtype_policies)"
    r"|\.src\.(models\.(functional|sequential)|ops\.\w+))?"
)
_TOP_CLASSES = frozenset({"DTypePolicy", "Model", "Functional", "Sequential"})


def check_size(path: Path, expected: str) -> None:
    """Raises a `PilotError` if `path` is no file, is empty or is larger than `MAX_BYTES`."""
    if not path.exists():
        raise PilotError(f"{path}: no such file; expected {expected}{near_path(path)}")
    if not path.is_file():
        raise PilotError(f"{path}: expected {expected}, got {'a folder' if path.is_dir() else 'no file'}")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise PilotError(f"{path}: expected {expected} of 1 to {MAX_BYTES} bytes, got {size} bytes")


def check_members(archive: zipfile.ZipFile, allowed: frozenset[str], path: Path) -> None:
    """Raises a `PilotError` unless all members are `allowed` ones that unpack to a bounded size."""
    names = [member.filename for member in archive.infolist()]
    unexpected = sorted(set(names) - allowed)
    if unexpected or len(names) != len(set(names)):
        odd = unexpected[0] if unexpected else "a name that occurs twice"
        raise PilotError(f"{path}: expected the members {', '.join(sorted(allowed))}, got {odd!r}")
    total = sum(member.file_size for member in archive.infolist())
    if total > MAX_BYTES:
        raise PilotError(f"{path}: unpacks to {total} bytes, more than {MAX_BYTES}; not read")


def check_weights(file: BinaryIO | Path, path: Path) -> None:
    """Raises a `PilotError` unless an HDF5 file is self-contained and unpacks to a bounded size.

    HDF5 can link to other files and can declare huge arrays in a few bytes.
    """
    import h5py

    try:
        with h5py.File(file, "r") as weights:
            total = 0
            for dataset in _datasets(weights, path):
                total += dataset.size * max(1, dataset.dtype.itemsize)
            if total > MAX_BYTES:
                raise PilotError(
                    f"{path}: its weights unpack to {total} bytes, more than {MAX_BYTES}; not read"
                )
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise PilotError(
            f"{path}: its weights cannot be read, the file is damaged ({short(error)})"
        ) from None


def check_config(config: Any, path: Path, keras_2: bool = False) -> None:
    """Raises a `PilotError` if a model's description names anything but Keras's own classes.

    Args:
        config: the description, as parsed from JSON.
        keras_2: layers without a module are allowed, as Keras 2 writes them, if Keras has them.
    """
    try:
        _walk(config, path, keras_2)
    except RecursionError:
        raise PilotError(f"{path}: its network's description is nested too deeply; not loaded") from None


def _walk(config: Any, path: Path, keras_2: bool) -> None:
    if isinstance(config, list):
        for item in config:
            _walk(item, path, keras_2)
    elif isinstance(config, dict):
        if "class_name" in config:
            _check_class(config, path, keras_2)
        for key, value in config.items():
            if key not in _NO_SIZES and any(abs(number) > MAX_SIZE for number in _whole_numbers(value)):
                raise PilotError(f"{path}: {key}={str(value)[:40]} in its network is too large; not loaded")
            _walk(value, path, keras_2)


def _whole_numbers(value: Any) -> Iterator[int]:
    """The whole numbers in a setting: itself, or those in its lists."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _whole_numbers(item)


def _check_class(config: dict[str, Any], path: Path, keras_2: bool) -> None:
    name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    if not isinstance(name, str) or name in _CODE_CLASSES:
        raise PilotError(f"{path}: its network holds code ({name}); such files are not loaded")
    if registered not in (None, name):
        raise PilotError(f"{path}: its network needs the custom class {registered!r}; not loaded")
    if module is None:
        known = name in _TOP_CLASSES or name.startswith("__") or (keras_2 and _keras_has(name))
    else:
        known = isinstance(module, str) and bool(_MODULES.fullmatch(module))
        known = known and (module != "keras" or name in _TOP_CLASSES)
    if not known:
        full = f"{module}.{name}" if module else name
        raise PilotError(
            f"{path}: expected a network of Keras's own layers, got the class {full!r}; not loaded"
        )


def _keras_has(name: str) -> bool:
    import keras

    return any(
        isinstance(getattr(where, name, None), type)
        for where in (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
    )


def load_keras(path: Path) -> Any:
    """Loads a network whose description and weights were checked, first without its memory.

    A few hundred bytes of description can ask for terabytes of weights, by products of sizes that are
    harmless alone. So the file is loaded twice: the first time Keras only notes the shapes.

    Raises:
        PilotError: it asks for too much.
        Exception: whatever Keras says; see `as_pilot_error`.
    """
    import keras

    def load() -> Any:
        return keras.saving.load_model(path, compile=False, safe_mode=True)

    def rehearse() -> tuple[int, int]:
        # In this scope variables get their values when they are needed, which is never.
        with keras.StatelessScope(initialize_variables=False):
            model = load()
            parameters = sum(math.prod(variable.shape) for variable in model.variables)
            return parameters, max(_outputs(model), default=0)

    # Keras keeps the list of variables without values per thread: this one ends with its thread.
    with ThreadPoolExecutor(1) as pool:
        parameters, outputs = pool.submit(rehearse).result()
    for count, limit, what in (
        (parameters, MAX_PARAMETERS, "parameters"),
        (outputs, MAX_OUTPUTS, "outputs of one layer"),
    ):
        if count > limit:
            raise PilotError(f"{path}: its network has {count} {what}, more than {limit}; not loaded")
    return load()


def _outputs(model: Any) -> Iterator[int]:
    """How many numbers each call of a layer puts out for one picture."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _outputs(layer)
        for node in layer._inbound_nodes:
            for tensor in node.output_tensors:
                yield math.prod(size or 1 for size in tensor.shape)


@contextlib.contextmanager
def as_pilot_error(path: Path | str, what: str, hint: str = "") -> Iterator[None]:
    """Turns whatever is raised over a stranger's network into one `PilotError` of one line.

    Args:
        path: the file.
        what: what did not work.
        hint: what to do about it.
    """
    try:
        yield
    except DingocarError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras, TensorFlow and LiteRT raise anything over bad files
        raise PilotError(f"{path}: {what} ({short(error)}){hint}") from None


def _datasets(group: Any, path: Path) -> Iterator[Any]:
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise PilotError(f"{path}: its weights link to elsewhere ({name!r}); not loaded")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, path)
            continue
        if not isinstance(item, h5py.Dataset):
            raise PilotError(f"{path}: its weights hold {name!r}, which is no array; not loaded")
        if item.external or item.is_virtual:
            raise PilotError(f"{path}: its weights lie in another file ({name!r}); not loaded")
        yield item


def short(error: BaseException) -> str:
    """The first line of a foreign error, cut to a readable length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:120] if lines else type(error).__name__
