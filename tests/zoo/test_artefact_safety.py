"""Pilots' files from anybody: those that mean harm are refused, in one line."""

import io
import zipfile

import pytest

from dingocar.errors import PilotError
from dingocar.zoo import load_pilot, save_pilot
from dingocar.zoo.artefact import load_network
from tests.zoo.making import SHAPE, edit_json, repack


def lambda_layer(config):
    layer = config["config"]["layers"][1]
    layer["class_name"] = "Lambda"
    layer["config"] = {"name": "x", "function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}


def foreign_class(config):
    config["config"]["layers"][1].update(module="os", class_name="system")


def custom_class(config):
    config["config"]["layers"][1].update(registered_name="evil>Layer")


def keras_function(config):
    config["config"]["layers"][1].update(module="keras.utils", class_name="get_file")


def huge_layer(config):
    dense = next(entry for entry in config["config"]["layers"] if entry["class_name"] == "Dense")
    dense["config"]["units"] = 1 << 40


def layer(config, name):
    return next(entry for entry in config["config"]["layers"] if entry["config"]["name"] == name)


def huge_kernel(config):
    layer(config, "conv2d_5")["config"]["kernel_size"] = [3, 1 << 21]


def huge_picture(config):
    layer(config, "image")["config"]["batch_shape"] = [None, [80, 1 << 21], 96, 3]


def lookup(config):
    layer(config, "dropout_1").update(class_name="StringLookup", config={"vocabulary": "/etc/passwd"})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (huge_kernel, r"kernel_size=\[3, 2097152\] in its network is too large"),
        (huge_picture, "batch_shape=.* in its network is too large"),
        (lookup, r"holds code \(StringLookup\)"),
        (lambda_layer, r"holds code \(Lambda\)"),
        (foreign_class, "class 'os.system'; not loaded"),
        (custom_class, "custom class 'evil>Layer'"),
        (keras_function, "keras.utils.get_file"),
        (huge_layer, "units=1099511627776 in its network is too large"),
    ],
)
def test_a_network_with_code_is_refused(edit, words, saved):
    edit_json(saved, "config.json", edit)
    with pytest.raises(PilotError, match=words):
        load_pilot(saved)


def no_build_configs(config):
    for entry in config["config"]["layers"]:
        entry.pop("build_config", None)


def wide_layers(config):
    """Each size is harmless alone."""
    no_build_configs(config)
    for name in ("dense_1", "dense_2"):
        layer(config, name)["config"]["units"] = 4096


def test_no_memory_is_asked_for_before_the_shapes_are_known(saved, made_weights):
    load_network(saved)
    assert made_weights
    made_weights.clear()
    edit_json(saved, "config.json", wide_layers)
    with pytest.raises(PilotError, match=r"cannot load the network"):
        load_pilot(saved)
    assert not made_weights


@pytest.mark.parametrize(("limit", "words"), [("MAX_PARAMETERS", "parameters"), ("MAX_OUTPUTS", "outputs")])
def test_large_networks_are_refused(limit, words, saved, monkeypatch):
    from dingocar.zoo import _safety

    monkeypatch.setattr(_safety, limit, 5000)
    with pytest.raises(PilotError, match=rf"its network has \d+ {words}.*, more than 5000; not loaded"):
        load_pilot(saved)


def test_a_network_that_blows_a_picture_up_is_refused(linear, tmp_path):
    import keras

    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.UpSampling2D((2048, 2048))(x))
    model = keras.Model(
        image, {head: keras.layers.Dense(1, name=head)(x) for head in ("steering", "throttle")}
    )
    path = save_pilot(tmp_path / "a.keras", model, linear[0])
    with pytest.raises(PilotError, match=r"outputs of one layer, more than"):
        load_pilot(path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config["config"].update(layers=[]),
        lambda config: config["config"]["output_layers"].update(steering=["steering", 5, 0]),
        lambda config: layer(config, "normalise")["config"].update(scale="abc"),
        lambda config: config.update(config=[1]),
    ],
)
def test_whatever_keras_raises_is_one_line(edit, saved):
    edit_json(saved, "config.json", edit)
    with pytest.raises(PilotError, match=r"^[^\n]*pilot\.keras: [^\n]+$"):
        load_pilot(saved)


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "assets/evil.bin", "pickle.pkl"])
def test_other_members_are_refused(name, saved):
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(PilotError, match=r"expected the members .*config.json.*got"):
        load_pilot(saved)


def test_members_that_unpack_to_too_much_are_refused(saved, monkeypatch):
    from dingocar.zoo import _safety

    monkeypatch.setattr(_safety, "MAX_BYTES", 8 << 20)
    repack(saved, lambda name, content: content if name != "metadata.json" else None)
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", bytes(9 << 20))
    assert saved.stat().st_size < 8 << 20
    with pytest.raises(PilotError, match=r"unpacks to .* more than"):
        load_pilot(saved)


def weights_of(edit):
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        edit(file, h5py)
    return buffer.getvalue()


def external_link(file, h5py):
    file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file, h5py):
    file["layers"] = h5py.SoftLink("/elsewhere")


def external_data(file, _):
    file.create_dataset("x", (10,), "u1", external=[("/etc/hostname", 0, 10)])


def huge_array(file, _):
    file.create_dataset("x", (1 << 40,), "f4", chunks=(1024,))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (external_link, "link to elsewhere"),
        (soft_link, "link to elsewhere"),
        (external_data, "lie in another file"),
        (huge_array, "weights unpack to"),
    ],
)
def test_weights_that_reach_out_of_the_file_are_refused(edit, words, saved):
    weights = weights_of(edit)
    repack(saved, lambda name, content: weights if name == "model.weights.h5" else content)
    with pytest.raises(PilotError, match=words):
        load_pilot(saved)
