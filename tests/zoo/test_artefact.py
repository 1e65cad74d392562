"""The pilot's file: what it says, what it gives back, and that other files are no pilots."""

import zipfile

import numpy as np
import pytest

from dingocar.errors import ImageError, PilotError
from dingocar.zoo import load_pilot, read_card, save_pilot
from dingocar.zoo.artefact import load_network, make_card, write_tflite
from tests.zoo.making import SHAPE, edit_json, outputs, pictures, repack, small


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


# --- .tflite cards ---


def test_a_tflite_must_end_in_tflite(linear, tmp_path):
    card = make_card(linear[0], {"steering": 1, "throttle": 1})
    with pytest.raises(PilotError, match=r"ends in \.tflite"):
        write_tflite(tmp_path / "a.bin", b"", card)


def test_only_a_keras_file_is_a_network_to_train(saved):
    with pytest.raises(PilotError, match=r"expected a \.keras pilot"):
        load_network(saved.with_suffix(".tflite"))
