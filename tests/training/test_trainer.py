"""Training from a tub to a pilot's file."""

import hashlib
import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from dingocar.errors import PilotError, TrainingError
from dingocar.training import load_dataset, split_blocks, train
from dingocar.training.database import default_model_path, read_database
from dingocar.training.fit import auto_epochs
from dingocar.training.loop import Batches, ByteDropout, use_byte_dropout
from dingocar.training.precision import _cpu_has_bfloat16, resolve_precision
from dingocar.zoo import read_card
from dingocar.zoo.artefact import load_network

from .conftest import HEIGHT, WIDTH, Tiny, TinySettings, write_tub

SIZE = (HEIGHT, WIDTH)


def saved_weights(path):
    """The weights in a pilot's file. Tiny is in no registry, so the file is loaded by keras."""
    import keras

    return keras.saving.load_model(path, compile=False).get_weights()


def same(first, second, **tolerance):
    return all(np.allclose(a, b, **tolerance) for a, b in zip(first, second, strict=True))


def batches(tub, **more):
    data = load_dataset([tub], SIZE)
    rows = split_blocks(data.tub_numbers, data.runs).train
    return data, Batches(data, rows, Tiny(), 32, **more)


def test_a_pilot_learns_and_its_file_says_how(shared_tub, tmp_path, quick):
    settings = replace(quick, epochs=25, curve=True)
    result = train([shared_tub], Tiny(), tmp_path / "models/a.keras", settings, comment="hello")
    assert result.validation["steering"]["r2"] > 0.6
    assert result.history["val_loss"][-1] < result.history["val_loss"][0]
    assert result.frames["train"] + result.frames["validation"] + result.frames["gap"] == 160
    assert result.images_per_s > 0
    card = read_card(result.model)
    assert card["metrics"] == result.validation
    assert card["tubs"][0]["records"] == 160
    assert card["training"]["settings"]["batch_size"] == 32
    assert result.curve == tmp_path / "models/a.png"
    assert result.curve.read_bytes().startswith(b"\x89PNG")
    (entry,) = read_database(tmp_path / "models")
    donkeycars = {"Number", "Name", "Pilot", "Type", "Tubs", "Time", "History", "Transfer"}
    assert donkeycars | {"Comment", "Config"} <= set(entry)
    assert (entry["Name"], entry["Pilot"], entry["Comment"]) == ("a", "Tiny", "hello")
    assert entry["Tubs"] == str(shared_tub)
    assert entry["History"]["val_loss"] == result.history["val_loss"]


def test_two_trainings_at_once_have_names_of_their_own(shared_tub, tmp_path, quick):
    """The default name is free when a training begins; another one may end first."""
    ended = []

    def end_first(progress):
        if not ended:
            ended.append(default_model_path(tmp_path))
            ended[0].write_bytes(b"another pilot")

    result = train([shared_tub], Tiny(), None, quick, models_folder=tmp_path, on_progress=end_first)
    assert ended[0].read_bytes() == b"another pilot" and result.model.stem.endswith("_1")
    assert result.model.is_file() and read_database(tmp_path)[0]["Name"] == result.model.stem


def test_the_result_as_json(shared_tub, tmp_path, quick):
    result = train([shared_tub], Tiny(), tmp_path / "a.keras", quick)
    plain = json.loads(json.dumps(result.to_json()))
    assert plain["model"] == str(tmp_path / "a.keras")
    assert set(plain["validation"]["throttle"]) == {"mae", "r2", "corr"}
    assert set(plain["frames"]) == {"train", "validation", "gap", "skipped"}
    assert (plain["epochs"], plain["precision"]) == (3, "float32")
    assert 1 <= plain["best_epoch"] <= 3


def test_the_same_seed_gives_the_same_pilot_whatever_the_threads(shared_tub, tmp_path, quick):
    runs = [
        train([shared_tub], Tiny(), tmp_path / f"{i}.keras", replace(quick, **more))
        for i, more in enumerate([{}, {"workers": 3}, {"seed": 1}])
    ]
    first, again, other = (saved_weights(run.model) for run in runs)
    assert same(first, again, atol=1e-4)
    assert not same(first, other, atol=1e-4)


def test_the_pictures_of_a_batch_depend_on_epoch_and_number_alone(shared_tub, quick):
    data, made = batches(shared_tub, seed=5, augment=quick.augmentation)
    digest = hashlib.sha256(data.images).hexdigest()
    first = made[1][0]
    made[0]
    assert np.array_equal(made[1][0], first)
    made.epoch = 1
    assert not np.array_equal(made[1][0], first)
    _, again = batches(shared_tub, seed=5, augment=quick.augmentation)
    assert np.array_equal(again[1][0], first)
    assert hashlib.sha256(data.images).hexdigest() == digest
    _, in_order = batches(shared_tub, seed=None, augment=quick.augmentation)
    first = in_order[0][0]
    in_order.epoch = 1
    assert not np.array_equal(in_order[0][0], first)


def test_an_epoch_has_every_training_frame_once(shared_tub):
    data, made = batches(shared_tub, seed=0)
    orders = []
    for epoch in range(2):
        made.epoch = epoch
        steering = np.concatenate([made[i][1]["steering"][:, 0] for i in range(len(made))])
        orders.append(steering)
        wanted = data.columns["user/angle"][made.rows]
        assert np.array_equal(np.sort(steering), np.sort(wanted))
    assert not np.array_equal(*orders)


def test_mirror_negates_the_targets_only_when_asked(shared_tub, quick):
    data, plain = batches(shared_tub, augment=quick.augmentation.off())
    _, mirrored = batches(shared_tub, augment=replace(quick.augmentation.off(), mirror_p=1.0))
    assert np.array_equal(plain[0][1]["steering"], data.columns["user/angle"][plain.rows[:32], None])
    assert np.array_equal(mirrored[0][1]["steering"], -plain[0][1]["steering"])
    assert np.array_equal(mirrored[0][0], plain[0][0][:, :, ::-1])


def test_the_weights_of_the_best_epoch_are_saved(shared_tub, tmp_path, quick):
    """A rate that soon destroys what was learnt: the saved pilot must be from before."""
    settings = replace(quick, epochs=12, patience=4, learning_rate=0.15, schedule="constant")
    result = train([shared_tub], Tiny(), tmp_path / "a.keras", settings)
    losses = result.history["val_loss"]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert result.best_epoch < result.epochs
    assert result.epochs == min(12, result.best_epoch + 4)
    shorter = replace(settings, epochs=result.best_epoch)
    again = train([shared_tub], Tiny(), tmp_path / "b.keras", shorter)
    assert same(saved_weights(result.model), saved_weights(again.model), atol=1e-3)


def test_the_last_epoch_is_saved_where_that_is_asked_for(shared_tub, tmp_path, quick):
    settings = replace(quick, epochs=6, patience=1, learning_rate=0.15, schedule="constant", keep="last")
    result = train([shared_tub], Tiny(), tmp_path / "a.keras", settings)
    assert result.best_epoch == result.epochs == 6 > int(np.argmin(result.history["val_loss"])) + 1


def test_an_interrupted_training_saves_the_best_so_far(shared_tub, tmp_path, quick, caplog):
    def stop(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with caplog.at_level(logging.WARNING):
        result = train(
            [shared_tub], Tiny(), tmp_path / "a.keras", replace(quick, epochs=50), on_progress=stop
        )
    assert result.interrupted
    assert result.best_epoch in (1, 2)
    assert "stopped by hand" in caplog.text
    assert read_card(result.model)["training"]["interrupted"]
    assert len(read_database(tmp_path)) == 1


def test_an_interruption_in_the_first_epoch_leaves_an_earlier_pilot_alone(
    shared_tub, tmp_path, quick, monkeypatch
):
    def stop(self, batch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("dingocar.training.loop.Watcher.on_train_batch_end", stop)
    path = tmp_path / "a.keras"
    path.write_bytes(b"an earlier pilot")
    with pytest.raises(KeyboardInterrupt):
        train([shared_tub], Tiny(), path, quick)
    assert path.read_bytes() == b"an earlier pilot"
    assert not (tmp_path / "database.json").exists()


def test_progress_is_reported(shared_tub, tmp_path, quick):
    seen = []
    result = train([shared_tub], Tiny(), tmp_path / "a.keras", quick, on_progress=seen.append)
    assert [progress.epoch for progress in seen] == [1, 2, 3]
    assert [progress.val_loss for progress in seen] == result.history["val_loss"]
    assert seen[0].eta_s > seen[2].eta_s == 0


def test_the_bar_goes_to_stderr(shared_tub, tmp_path, quick, capsys):
    train([shared_tub], Tiny(), tmp_path / "a.keras", replace(quick, progress=True))
    shown = capsys.readouterr()
    assert "img/s" in shown.err
    assert shown.out == ""


def test_broken_pictures_are_skipped(tub, tmp_path, quick):
    for number in (3, 40, 41):
        (tub / "images" / f"{number}_cam_image_array_.jpg").write_bytes(b"broken")
    result = train([tub], Tiny(), tmp_path / "a.keras", quick)
    assert result.frames["skipped"] == 3
    assert read_card(result.model)["tubs"][0]["skipped"] == 3


def test_an_empty_tub_is_one_clear_error(tmp_path, quick):
    empty = write_tub(tmp_path / "tub", 0)
    with pytest.raises(TrainingError, match="no records to train on"):
        train([empty], Tiny(), tmp_path / "a.keras", quick)


def test_a_loss_that_is_no_number_is_an_error(shared_tub, tmp_path, quick):
    settings = replace(quick, learning_rate=10.0, epochs=60, patience=60, warmup_epochs=0.0)

    class Exploding(Tiny):
        def losses(self):
            return {"steering": lambda true, pred: (pred * 1e20) ** 2, "throttle": "mse"}

    with pytest.raises(TrainingError, match="lower learning_rate"):
        train([shared_tub], Exploding(), tmp_path / "a.keras", settings)
    assert not (tmp_path / "a.keras").exists()


@pytest.mark.parametrize("name", ["a.tflite", "a.h5"])
def test_other_endings_are_refused_before_training(shared_tub, tmp_path, quick, name):
    with pytest.raises(TrainingError, match=r"ends in \.keras"):
        train([shared_tub], Tiny(), tmp_path / name, quick)


def test_a_name_without_ending_gets_one(shared_tub, tmp_path, quick):
    assert train([shared_tub], Tiny(), tmp_path / "a", quick).model == tmp_path / "a.keras"


def test_the_file_is_float32_whatever_it_was_trained_in(shared_tub, tmp_path, quick):
    import keras

    settings = replace(quick, precision="mixed_bfloat16", epochs=6)
    result = train([shared_tub], Tiny(), tmp_path / "a.keras", settings)
    assert result.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    model = keras.saving.load_model(result.model, compile=False)
    assert {layer.compute_dtype for layer in model.layers} <= {"float32", "uint8"}
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert not [layer for layer in model.layers if isinstance(layer, ByteDropout)]
    data, _ = batches(shared_tub)
    split = split_blocks(data.tub_numbers, data.runs, gap_frames=quick.gap_frames)
    steering = np.asarray(model(data.images[split.validation])["steering"])[:, 0]
    error = np.abs(np.clip(steering, -1, 1) - data.columns["user/angle"][split.validation]).mean()
    assert result.validation["steering"]["mae"] == pytest.approx(error, rel=1e-5)


def test_weights_are_transferred(tmp_path, quick):
    """Linear at its smallest picture, as the source must be a pilot of the zoo."""
    tub = write_tub(tmp_path / "tub", 40, size=(61, 61))
    shape = {"image_shape": [61, 61, 3]}
    settings = replace(quick, epochs=1, learning_rate=1e-9, warmup_epochs=0.0, augment=False)
    source = train([tub], "linear", tmp_path / "a.keras", settings, pilot_settings=shape).model
    other = replace(settings, seed=9)
    result = train([tub], "linear", tmp_path / "b.keras", other, source, pilot_settings=shape)
    assert result.transferred == 9
    before, after = (load_network(path)[1].get_weights() for path in (source, result.model))
    assert same(before, after, atol=1e-6)
    assert read_database(tmp_path)[-1]["Transfer"] == "a.keras"
    strange = Tiny(TinySettings(suffix="_x"))
    with pytest.raises(TrainingError, match="none of its 9 layers"):
        train([tub], strange, tmp_path / "c.keras", settings, source)
    with pytest.raises(PilotError):
        train([tub], Tiny(), tmp_path / "d.keras", settings, tub / "manifest.json")


def test_byte_dropout_drops_its_share_and_keeps_the_mean():
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((50, 7)), keras.layers.Dropout(0.2, name="drop")])
    use_byte_dropout(model)
    ones = np.ones((400, 50, 7), np.float32)
    assert np.array_equal(model(ones, training=False), ones)
    dropped = np.asarray(model(ones, training=True))
    assert (dropped == 0).mean() == pytest.approx(51 / 256, abs=0.005)
    assert dropped.mean() == pytest.approx(1, abs=0.005)
    assert len(np.unique(dropped)) == 2
    assert not np.array_equal(dropped, np.asarray(model(ones, training=True)))
    assert abs(np.corrcoef(dropped[:, 0, 0], dropped[:, 0, 1])[0, 1]) < 0.15


def test_auto_precision_is_what_the_processor_can(tmp_path):
    assert resolve_precision("float32") == "float32"
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nflags : fpu avx512f avx512_bf16\n")
    assert _cpu_has_bfloat16(info)
    info.write_text("processor : 0\nflags : fpu avx2 avx512f\n")
    assert not _cpu_has_bfloat16(info)
    assert not _cpu_has_bfloat16(tmp_path / "missing")


def test_auto_epochs_see_as_many_pictures_whatever_the_tub():
    assert [auto_epochs(frames) for frames in (10, 700, 6000, 10**6)] == [60, 60, 20, 12]
