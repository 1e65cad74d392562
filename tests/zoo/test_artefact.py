"""The pilot's file: what it says, what it gives back, and which files are refused."""

import io
import json
import zipfile

import numpy as np
import pytest

from dingocar.errors import ImageError, PilotError
from dingocar.zoo import load_pilot, read_card, save_pilot
from dingocar.zoo.artefact import load_network, make_card, write_tflite
from tests.zoo.making import SHAPE, outputs, pictures, small


def repack(path, change, new_path=None):
    """Rewrites a zip file; `change(name, content)` gives the new content, or None to leave it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    new_path = new_path or path
    with zipfile.ZipFile(new_path, "w") as archive:
        for name, content in members.items():
            content = change(name, content)
            if content is not None:
                archive.writestr(name, content)
    return new_path


def edit_json(path, member, edit):
    def change(name, content):
        if name != member:
            return content
        data = json.loads(content)
        edit(data)
        return json.dumps(data)

    return repack(path, change)


def test_round_trip_gives_the_same_commands(built, tmp_path):
    pilot, model = built
    path = save_pilot(tmp_path / "a.keras", model, pilot)
    loaded = load_pilot(path)
    images = pictures(3)
    steering, throttle = pilot.decode(outputs(model, images))
    got = np.array([loaded.run(image) for image in images])
    np.testing.assert_allclose(got, np.stack([steering, throttle], axis=1), atol=1e-4)
    np.testing.assert_allclose(loaded.run_batch(images), got.T, atol=1e-4)
    assert loaded.image_shape == SHAPE
    assert all(isinstance(command, float) for command in loaded.run(images[0]))
    assert loaded.run_batch(images[:0])[0].shape == (0,)


def test_the_card_says_what_the_pilot_is(saved):
    card = read_card(saved)
    assert card["pilot"] == "linear"
    assert card["settings"]["image_shape"] == list(SHAPE) == card["image_shape"]
    assert card["heads"] == {"steering": 1, "throttle": 1}
    assert card["tubs"] == [{"path": "a", "records": 3}]
    assert card["domain_method"] is None and card["quantised"] is None
    assert {"dingocar", "python", "keras", "backend"} <= set(card["versions"])
    assert load_pilot(saved).card == card


def test_the_card_cannot_say_that_it_is_another_pilot(linear, tmp_path):
    pilot, model = linear
    path = save_pilot(tmp_path / "a.keras", model, pilot, {"pilot": "resnet1", "versions": {"x": "1"}})
    assert read_card(path)["pilot"] == "linear"
    assert read_card(path)["versions"]["x"] == "1"


def test_the_file_holds_no_optimiser(linear, tmp_path):
    pilot, _ = linear
    _, model = small("linear")
    path = save_pilot(tmp_path / "a.keras", model, pilot)
    model.compile("adam", pilot.losses(), jit_compile=False)
    model.fit(pictures(2), pilot.targets({"user/angle": np.zeros(2), "user/throttle": np.ones(2)}), verbose=0)
    trained = save_pilot(tmp_path / "b.keras", model, pilot)
    assert trained.stat().st_size < 1.05 * path.stat().st_size
    assert load_pilot(trained).run(pictures(1)[0]) != load_pilot(path).run(pictures(1)[0])


def test_a_pilot_trained_in_mixed_precision_is_saved_in_float32(tmp_path):
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        pilot, model = small("resnet1")
        assert model.get_layer("conv_1").compute_dtype == "bfloat16"
        path = save_pilot(tmp_path / "a.keras", model, pilot)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    _, network, _ = load_network(path)
    assert {layer.compute_dtype for layer in network.layers} <= {"float32", "uint8"}
    np.testing.assert_array_equal(network.get_weights()[0], model.get_weights()[0])


def test_a_failed_save_keeps_the_old_file(saved, linear):
    pilot, model = linear
    before = saved.read_bytes()
    with pytest.raises(PilotError, match=r"plain JSON"):
        save_pilot(saved, model, pilot, {"metrics": {"loss": float("nan")}})
    with pytest.raises(PilotError, match=r"plain JSON"):
        save_pilot(saved, model, pilot, {"metrics": object()})
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_interrupted_save_leaves_nothing(linear, tmp_path, monkeypatch):
    import os

    pilot, model = linear

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PilotError, match=r"cannot be written .No space left"):
        save_pilot(tmp_path / "a.keras", model, pilot)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"), [("a.h5", r"ends in \.keras"), ("none/a.keras", "folder .*none does not exist")]
)
def test_where_a_pilot_cannot_be_saved(name, words, linear, tmp_path):
    with pytest.raises(PilotError, match=words):
        save_pilot(tmp_path / name, linear[1], linear[0])


def test_only_a_pilots_model_can_be_saved(linear, tmp_path):
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="d")])
    with pytest.raises(PilotError, match=r"expected the model its build"):
        save_pilot(tmp_path / "a.keras", model, linear[0])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((120, 160, 3), np.uint8), r"pictures of 80x96 RGB pixels.*\(120, 160, 3\)"),
        (np.zeros(SHAPE, np.float32), "expected a uint8"),
        (None, "got NoneType"),
    ],
)
def test_a_wrong_picture_is_an_image_error(image, words, saved):
    with pytest.raises(ImageError, match=words):
        load_pilot(saved).run(image)
    with pytest.raises(ImageError, match=r"uint8 pictures of 80x96"):
        load_pilot(saved).run_batch(np.zeros((2, *SHAPE), np.float32))


def test_a_network_that_gives_no_number_does_not_drive(tmp_path):
    pilot, model = small("linear")
    model.get_layer("steering").bias.assign([np.nan])
    loaded = load_pilot(save_pilot(tmp_path / "a.keras", model, pilot))
    with pytest.raises(PilotError, match=r"not a finite number.*diverged"):
        loaded.run(pictures(1)[0])
    with pytest.raises(PilotError, match=r"not a finite number"):
        loaded.run_batch(pictures(2))


def test_a_closed_pilot_says_so(saved):
    loaded = load_pilot(saved)
    loaded.close()
    with pytest.raises(PilotError, match=r"was closed"):
        loaded.run(pictures(1)[0])


# --- files that are no pilots ---


def test_no_such_file(tmp_path):
    with pytest.raises(PilotError, match=r"a\.keras: no such file; expected a pilot file"):
        load_pilot(tmp_path / "a.keras")
    with pytest.raises(PilotError, match=r"no such file"):
        read_card(tmp_path / "a.keras")


def test_a_folder_is_no_pilot(tmp_path):
    with pytest.raises(PilotError, match=r"got a folder"):
        load_pilot(tmp_path)


@pytest.mark.parametrize("suffix", [".keras", ".tflite", ".h5", ".savedmodel", ""])
@pytest.mark.parametrize("content", [b"", b"not a pilot at all", b"\x89HDF\r\n\x1a\n" + bytes(90)])
def test_rubbish_is_no_pilot(content, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(PilotError, match=r"^[^\n]+$") as error:
        load_pilot(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_damaged(share, saved):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PilotError, match=r"damaged, cut short"):
        load_pilot(saved)


def test_a_flipped_byte_in_the_weights_is_seen(saved):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(PilotError, match=r"damaged"):
        load_pilot(saved)


def test_a_random_zip_is_no_pilot(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "sun")
    with pytest.raises(PilotError, match=r"holds no dingocar\.json"):
        load_pilot(path)


def test_someone_elses_network_is_no_pilot(tmp_path):
    import keras

    path = tmp_path / "a.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(PilotError, match=r"expected a pilot that dingocar wrote.*no dingocar\.json"):
        load_pilot(path)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda card: card.update(format=2), "expected a dingocar.json of format 1, got 2; a newer"),
        (lambda card: card.update(pilot="liner"), "unknown pilot 'liner'; did you mean 'linear'"),
        (lambda card: card.update(pilot=3), r"must have 'pilot' \(str\), got 3"),
        (lambda card: card.pop("heads"), r"must have 'heads' \(dict\), got None"),
        (lambda card: card["settings"].update(wheels=4), "unknown pilot setting 'wheels'"),
        (lambda card: card.update(heads={"steering": 1}), "expected a network with the heads"),
        (lambda card: card.update(outputs=["steering"]), r"must have 'outputs' \(dict\)"),
        (lambda card: card.update(pilot="categorical", settings={}), "cannot decode its network's outputs"),
        (lambda card: card.update(image_shape=[120, 160, 3]), r"its dingocar.json says \(120, 160, 3\)"),
    ],
)
def test_a_card_that_does_not_fit(edit, words, saved):
    edit_json(saved, "dingocar.json", edit)
    with pytest.raises(PilotError, match=words):
        load_pilot(saved)


def test_a_card_that_is_no_json(saved):
    repack(saved, lambda name, content: b"{" if name == "dingocar.json" else content)
    with pytest.raises(PilotError, match=r"damaged"):
        read_card(saved)


def test_a_card_with_figures_that_are_no_numbers(saved):
    repack(
        saved, lambda name, c: c.replace(b'"records": 3', b'"records": NaN') if name == "dingocar.json" else c
    )
    assert read_card(saved)["tubs"] == [{"path": "a", "records": None}]


def test_a_deeply_nested_card_is_refused(saved):
    repack(saved, lambda name, content: b"[" * 200_000 if name == "dingocar.json" else content)
    with pytest.raises(PilotError, match=r"^[^\n]+$"):
        read_card(saved)


def test_a_huge_card_is_not_read(saved):
    repack(saved, lambda name, content: b" " * (2 << 20) if name == "dingocar.json" else content)
    with pytest.raises(PilotError, match=r"larger than"):
        read_card(saved)


# --- files that mean harm ---


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


# --- .tflite cards ---


def test_a_tflite_must_end_in_tflite(linear, tmp_path):
    card = make_card(linear[0], {"steering": 1, "throttle": 1})
    with pytest.raises(PilotError, match=r"ends in \.tflite"):
        write_tflite(tmp_path / "a.bin", b"", card)


def test_only_a_keras_file_is_a_network_to_train(saved):
    with pytest.raises(PilotError, match=r"expected a \.keras pilot"):
        load_network(saved.with_suffix(".tflite"))
