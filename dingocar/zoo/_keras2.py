"""Writes a network as a Keras 2 `.h5` file, which Keras 3 reads but cannot write.

Source: the format as Keras 2.15 writes it (`hdf5_format.save_model_to_hdf5`): the network's description as
JSON in the attribute `model_config`, one group of weights per layer in the order of its variables.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dingocar.errors import PilotError

KERAS_VERSION = "2.15.0"

# Settings of each layer that Keras 2.15 knows. What is left out keeps Keras's default; initialisers are
# left out, since the weights are given.
_CONV = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups")
_POOL = ("pool_size", "strides", "padding", "data_format")
_WEIGHTED = ("activation", "use_bias", "kernel_regularizer", "bias_regularizer")
_SETTINGS: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": _POOL,
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Concatenate": ("axis",),
    "Conv2D": (*_CONV, *_WEIGHTED),
    "Cropping2D": ("cropping", "data_format"),
    "Dense": ("units", *_WEIGHTED),
    "Dropout": ("rate",),
    "Flatten": ("data_format",),
    "GlobalAveragePooling2D": ("data_format", "keepdims"),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "MaxPooling2D": _POOL,
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "Resizing": ("height", "width", "interpolation", "crop_to_aspect_ratio"),
    "ZeroPadding2D": ("padding", "data_format"),
}
# Settings that Keras 2 lacks, with the only value that means what Keras 2 does.
_MUST_BE: dict[str, dict[str, Any]] = {
    "LayerNormalization": {"rms_scaling": False},
    "BatchNormalization": {"renorm": False},
    "Resizing": {"antialias": False, "pad_to_aspect_ratio": False},
}


def to_h5(model: Any, input_name: str, outputs: Mapping[str, str]) -> bytes:
    """Returns the content of a `.h5` file of a functional Keras 3 model.

    Args:
        model: takes one float tensor and gives {head: tensor}; each layer is used once.
        input_name: what to call the input.
        outputs: {head: what to call its layer}, in the order the file lists them.

    Raises:
        PilotError: the network has a layer or a connection that Keras 2 cannot express.
    """
    import h5py

    names = {model.inputs[0]._keras_history.operation.name: input_name}
    for head, name in outputs.items():
        names[model.output[head]._keras_history.operation.name] = name
    config = {
        "class_name": "Functional",
        "config": {
            "name": model.name,
            "trainable": True,
            "layers": [_layer(entry, names) for entry in model.get_config()["layers"]],
            "input_layers": [[input_name, 0, 0]],
            "output_layers": [[name, 0, 0] for name in outputs.values()],
        },
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["model_config"] = json.dumps(config)
        _write_weights(file.create_group("model_weights"), model, names)
    return buffer.getvalue()


def _layer(entry: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Translates one layer's description."""
    kind, old = entry["class_name"], entry["config"]
    name = names.get(entry["name"], entry["name"])
    config: dict[str, Any] = {"name": name, "dtype": "float32"}
    if kind == "InputLayer":
        config |= {"batch_input_shape": old["batch_shape"], "sparse": False, "ragged": False}
        return {"class_name": kind, "config": config, "name": name, "inbound_nodes": []}
    if kind not in _SETTINGS:
        raise PilotError(
            f"the layer {entry['name']!r} is a {kind}, which cannot be written for Keras 2 (known: "
            f"{', '.join(_SETTINGS)}); drive this pilot's .keras or .tflite instead"
        )
    for key, value in _MUST_BE.get(kind, {}).items():
        if old.get(key, value) != value:
            raise PilotError(
                f"the layer {entry['name']!r} ({kind}) has {key}={old[key]!r}, which Keras 2 does not know"
            )
    config["trainable"] = old.get("trainable", True)
    config |= {key: _value(old[key], entry["name"]) for key in _SETTINGS[kind] if key in old}
    if len(entry["inbound_nodes"]) != 1:
        raise PilotError(
            f"the layer {entry['name']!r} is used {len(entry['inbound_nodes'])} times; a network for "
            "Keras 2 is written with layers that are used once"
        )
    sources = [
        [names.get(source, source), 0, tensor, {}]
        for source, node, tensor in _sources(entry["inbound_nodes"][0])
    ]
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": [sources]}


def _value(value: Any, layer: str) -> Any:
    """A setting as Keras 2 has it: plain, or a regulariser as class name and settings."""
    if not isinstance(value, dict):
        return value
    if value.get("module") != "keras.regularizers":
        raise PilotError(f"the layer {layer!r} has a setting that Keras 2 does not know: {value}")
    return {"class_name": value["class_name"], "config": value["config"]}


def _sources(node: Any) -> Iterator[tuple[str, int, int]]:
    """The (layer, node, tensor) a layer's call took, in order."""
    if isinstance(node, Mapping):
        if node.get("class_name") == "__keras_tensor__":
            yield tuple(node["config"]["keras_history"])
            return
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            yield from _sources(item)


def _write_weights(group: Any, model: Any, names: Mapping[str, str]) -> None:
    layers = {names.get(layer.name, layer.name): layer for layer in model.layers}
    group.attrs["layer_names"] = np.array([name.encode() for name in layers])
    group.attrs["backend"] = "tensorflow"
    group.attrs["keras_version"] = KERAS_VERSION
    for name, layer in layers.items():
        own = group.create_group(name)
        # Keras 2 reads trainable variables first; a layer lists them in this order itself.
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        variables = [v for v in variables if "seed_generator" not in v.path]
        paths = [f"{name}/{variable.name}:0" for variable in variables]
        own.attrs["weight_names"] = np.array([path.encode() for path in paths], dtype="S")
        for path, variable in zip(paths, variables, strict=True):
            own.create_dataset(path, data=np.asarray(variable, dtype=np.float32))
