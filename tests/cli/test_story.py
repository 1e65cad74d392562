"""The commands as a user types them: make a car, record, train, drive, evaluate, export."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dingocar.cli.main import main
from dingocar.tub import open_tub
from dingocar.tub.check import check
from dingocar.zoo import load_pilot, read_card

ROOT = Path(__file__).resolve().parent.parent.parent


def result(capsys, *argv, car=None, code=0):
    """Runs a command with --json; returns its one object."""
    capsys.readouterr()
    assert main([*argv, "--json"], car=car) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A car with a recording and a pilot that has hardly been trained."""
    car = tmp_path_factory.mktemp("story") / "mycar"
    tub, model = car / "data", car / "models" / "mine.keras"
    assert main(["createcar", "--path", str(car)]) == 0
    assert main(["record", "--tub", str(tub), "--track", "oval", "--laps", "1", "--noise", "0.5"]) == 0
    train = ["train", "--tub", str(tub), "--model", str(model), "--epochs", "2", "--set", "progress=no"]
    assert main([*train, "--comment", "hello"], car=car) == 0
    return car


def test_createcar_makes_what_is_copied_to_a_pi(story):
    assert {path.name for path in story.iterdir()} >= {
        *("manage.py", "config.py", "myconfig.py", "data", "models", "logs")
    }


def test_record_marks_its_tub_as_simulated(story):
    tub = open_tub(story / "data")
    assert tub.domain == "sim"
    assert len(tub) > 50
    assert tub[0].image().shape == (120, 160, 3)
    assert tub.problems == []
    stamps = np.array([record.timestamp_ms for record in tub])
    np.testing.assert_allclose(np.diff(stamps), 50, atol=1)  # the world's time, not the computer's


def test_record_in_a_car_takes_its_camera_and_rate(tmp_path, capsys):
    car = tmp_path / "mycar"
    assert main(["createcar", "--path", str(car)]) == 0
    (car / "myconfig.py").write_text('IMAGE_W, IMAGE_H = 64, 48\nDRIVE_LOOP_HZ = 10\nSIM_TRACK = "oval"')
    figures = result(capsys, "record", "--tub", str(car / "data"), "--laps", "1", car=car)
    tub = open_tub(car / "data")
    assert figures["tracks"] == ["oval"]
    assert tub[0].image().shape == (48, 64, 3)
    assert tub[5].timestamp_ms - tub[4].timestamp_ms == pytest.approx(100, abs=1)


def test_record_is_seeded(tmp_path, capsys):
    argv = ["record", "--track", "oval", "--laps", "1", "--noise", "0.5", "--seed"]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        result(capsys, *argv, seed, "--tub", str(tmp_path / name))
    angles = {name: [record.steering for record in open_tub(tmp_path / name)] for name in "abc"}
    assert angles["a"] == angles["b"] != angles["c"]
    pictures = [open_tub(tmp_path / name)[20].image() for name in "ab"]
    np.testing.assert_array_equal(*pictures)


def test_train_writes_pilot_curve_tflite_and_database(story, capsys):
    models = story / "models"
    assert {path.name for path in models.iterdir()} >= {
        *("mine.keras", "mine.tflite", "mine.png", "database.json")
    }
    (entry,) = result(capsys, "models", car=story)["models"]
    assert (entry["Name"], entry["Type"], entry["Comment"]) == ("mine", "linear", "hello")
    card = read_card(models / "mine.keras")
    assert card["pilot"] == "linear"
    assert card["tubs"][0]["domain"] == "sim"
    assert result(capsys, "models", str(models / "mine.tflite"))["pilot"] == "linear"


def test_train_prints_its_figures_as_one_object(story, capsys, tmp_path):
    figures = result(
        capsys,
        *(
            "train",
            "--tub",
            str(story / "data"),
            "--model",
            str(tmp_path / "x.keras"),
            "--type",
            "categorical",
        ),
        *("--epochs", "1", "--tflite", "int8", "--set", "progress=no", "--set", "crop_top=40"),
        *("--transfer", str(story / "models" / "mine.keras")),
        car=story,
    )
    assert set(figures["validation"]) == {"steering", "throttle"}
    assert set(figures["validation"]["steering"]) == {"mae", "r2", "corr"}
    assert figures["images_per_s"] > 0 and figures["seconds"] > 0
    assert Path(figures["model"]).is_file() and Path(figures["tflite"]).is_file()
    assert read_card(figures["model"])["settings"]["crop_top"] == 40


@pytest.mark.parametrize("suffix", [".keras", ".tflite"])
def test_a_pilot_drives_and_is_recorded(story, capsys, tmp_path, suffix):
    figures = result(
        capsys,
        *("drive", "--model", str(story / "models" / f"mine{suffix}"), "--max-loops", "40", "--fast"),
        *("--track", "oval", "--tub", str(tmp_path / "tub")),
        car=story,
    )
    assert (figures["loops"], figures["reason"], figures["records"]) == (40, "max_loop_count", 40)
    tub = open_tub(tmp_path / "tub")
    pilot = load_pilot(story / "models" / f"mine{suffix}")
    # The pilot saw the picture before it was stored as JPEG: the same command up to that loss.
    steering, _ = pilot.run(tub[30].image())
    assert tub[30].fields["pilot/angle"] == pytest.approx(steering, abs=0.05)
    assert tub[30].fields["user/mode"] == "local"
    assert "user/angle" in tub[30].fields


def test_timings_name_every_part(story, capsys):
    assert main(["drive", "--expert", "--max-loops", "3", "--fast", "--timings"], car=story) == 0
    told = capsys.readouterr().err
    assert all(name in told for name in ("p99 ms", "Simulator", "ExpertDriver", "DriveMode"))


def test_the_expert_drives_a_lap_without_a_model(story, capsys):
    figures = result(capsys, "drive", "--expert", "--laps", "1", "--fast", "--track", "oval", car=story)
    assert (figures["laps"], figures["off_tracks"], figures["reason"]) == (1, 0, "laps")


def test_drive_is_paced_by_the_clock(story, capsys):
    figures = result(capsys, "drive", "--expert", "--max-loops", "20", "--set", "DRIVE_LOOP_HZ=50", car=story)
    assert figures["seconds"] >= 20 / 50  # without the clock it would be a fraction of that


def test_evaluate_reports_every_figure(story, capsys):
    figures = result(
        capsys, "evaluate", "--model", str(story / "models" / "mine.tflite"), "--track", "oval", "--laps", "2"
    )
    assert set(figures) >= {
        *("laps_asked", "laps_completed", "clean_laps", "clean_rate_low", "clean_rate_high"),
        *("mean_abs_cte_m", "p95_abs_cte_m", "half_width_m", "off_tracks", "mean_speed_mps"),
        "mean_abs_dsteering",
    }
    expert = result(capsys, "evaluate", "--expert", "--track", "oval", "--laps", "2")
    assert expert["clean_laps"] == 2


def test_evaluate_on_a_recording_judges_what_was_held_out(story, capsys, tmp_path):
    model, tub = story / "models" / "mine.keras", str(story / "data")
    trained = read_card(model)
    for suffix in (".keras", ".tflite"):
        figures = result(capsys, "evaluate", "--model", str(model.with_suffix(suffix)), "--tub", tub)
        assert figures["held_out"] and figures["frames"] == trained["training"]["frames"]["validation"]
        for output in ("steering", "throttle"):
            assert figures["validation"][output] == pytest.approx(trained["metrics"][output], abs=1e-3)
    result(capsys, "record", "--tub", str(tmp_path / "new"), "--track", "oval", "--laps", "1", "--seed", "5")
    figures = result(capsys, "evaluate", "--model", str(model), "--tub", str(tmp_path / "new"))
    assert not figures["held_out"] and figures["frames"] == len(open_tub(tmp_path / "new"))
    both = ["evaluate", "--model", str(model), "--tub", tub, "--tub", str(tmp_path / "new")]
    assert main(both) == 2
    assert "together with others" in capsys.readouterr().err


def test_export(story, capsys, tmp_path):
    model = str(story / "models" / "mine.keras")
    for argv in (
        ["--out", str(tmp_path / "float.tflite")],
        ["--out", str(tmp_path / "int8.tflite"), "--int8", "--tub", str(story / "data")],
        ["--out", str(tmp_path / "donkey.h5"), "--for", "donkeycar"],
        ["--out", str(tmp_path / "donkey.tflite"), "--for", "donkeycar"],
    ):
        out = result(capsys, "export", "--model", model, *argv)["out"]
        image = open_tub(story / "data")[10].image()
        close = 0.1 if "int8" in out else 1e-3
        assert load_pilot(out).run(image) == pytest.approx(load_pilot(model).run(image), abs=close)


def test_export_of_a_categorical_pilot_tells_donkeycars_setting(story, capsys, tmp_path):
    model = str(tmp_path / "bins.keras")
    train = [
        "train",
        "--tub",
        str(story / "data"),
        "--type",
        "categorical",
        "--model",
        model,
        "--epochs",
        "1",
    ]
    result(capsys, *train, "--set", "progress=no", "--tflite", "none", car=story)
    argv = ["export", "--model", model, "--for", "donkeycar", "--out", str(tmp_path / "bins.h5")]
    assert result(capsys, *argv)["throttle_range"] == pytest.approx(20 / 19)


def test_a_cars_own_pilot_joins_in(story, capsys, tmp_path):
    car = tmp_path / "mycar"
    shutil.copytree(story, car)
    (car / "pilots").mkdir()
    (car / "pilots" / "mine.py").write_text(
        '"""My own pilot."""\n'
        "from dingocar.zoo.pilot import Pilot\n\n"
        "class Mine(Pilot):\n"
        "    def build(self):\n"
        "        import keras\n"
        "        image = keras.Input(self.settings.image_shape, dtype='uint8', name='image')\n"
        "        x = keras.layers.Rescaling(1 / 255, name='normalise')(image)\n"
        "        x = keras.layers.AveragePooling2D(20, name='pool')(x)\n"
        "        x = keras.layers.Flatten(name='features')(x)\n"
        "        heads = {n: keras.layers.Dense(1, name=n)(x) for n in ('steering', 'throttle')}\n"
        "        return keras.Model(image, heads, name='mine')\n"
    )
    assert result(capsys, "list", "pilots", car=car)["mine"] == "My own pilot."
    figures = result(
        capsys,
        *("train", "--tub", str(car / "data"), "--type", "mine", "--epochs", "1", "--set", "progress=no"),
        car=car,
    )
    assert result(capsys, "drive", "--model", figures["model"], "--max-loops", "5", "--fast", car=car)


def test_a_pilot_for_other_pictures_is_refused_before_the_start(story, capsys):
    model = str(story / "models" / "mine.tflite")
    argv = ["drive", "--model", model, "--set", "IMAGE_W=80", "--set", "IMAGE_H=60", "--max-loops", "1"]
    assert main(argv, car=story) == 2
    assert "is for pictures of 120x160 pixels, the camera's have 60x80" in capsys.readouterr().err


def test_the_same_tub_twice_is_refused(story, capsys):
    tub = str(story / "data")
    assert main(["train", "--tub", tub, "--tub", f"{tub}/"], car=story) == 2
    assert "pictures are in" in capsys.readouterr().err


def test_a_tub_that_has_changed_since_the_training_is_not_judged_on(story, capsys, tmp_path):
    shutil.copytree(story / "data", tmp_path / "data")
    model, tub = str(tmp_path / "x.keras"), str(tmp_path / "data")
    argv = [
        "train",
        "--tub",
        tub,
        "--model",
        model,
        "--epochs",
        "1",
        "--tflite",
        "none",
        "--set",
        "progress=no",
    ]
    result(capsys, *argv, car=story)
    open_tub(tub).delete([3])
    assert main(["evaluate", "--model", model, "--tub", tub]) == 2
    assert "has changed since the pilot was trained on it" in capsys.readouterr().err


def test_a_curve_that_cannot_be_drawn_does_not_cost_the_pilot(story, capsys, tmp_path):
    (tmp_path / "x.png").mkdir()
    model = str(tmp_path / "x.keras")
    argv = ["train", "--tub", str(story / "data"), "--model", model, "--epochs", "1", "--tflite", "none"]
    figures = result(capsys, *argv, "--set", "progress=no", car=story)
    assert figures["curve"] is None
    assert load_pilot(model)


def stopped(argv, number, when, cwd):
    """Starts a command, sends it a signal once `when(process)` returns; returns its exit code and stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", "dingocar.cli.main", *argv],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        when(process)
        process.send_signal(number)
        told = process.stderr.read()
    return process.returncode, told


def wait_until(condition, process):
    while not condition():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        assert process.poll() is None, process.stderr.read()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_stopped_recording_is_in_order(tmp_path, name):
    number, images = getattr(signal, name), tmp_path / "tub" / "images"
    argv = ["record", "--tub", "tub", "--track", "oval", "--laps", "500"]
    code, told = stopped(
        argv,
        number,
        lambda process: wait_until(lambda: images.is_dir() and len(os.listdir(images)) > 50, process),
        tmp_path,
    )
    assert code == 128 + number
    assert told.splitlines()[-1] == "dingocar: interrupted"
    assert check(tmp_path / "tub").problems == []


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_stopped_training_keeps_the_best_weights(story, tmp_path, capsys, monkeypatch, epoch):
    """SIGTERM before the first epoch's end leaves an earlier pilot alone; later the best so far is saved."""
    from dingocar.training.loop import Watcher

    end = Watcher.on_train_batch_end

    def end_and_stop(self, batch, logs=None):
        end(self, batch, logs)
        if self.batches.epoch == epoch:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Watcher, "on_train_batch_end", end_and_stop)
    model = tmp_path / "x.keras"
    model.write_bytes(b"an earlier pilot")
    argv = ["train", "--tub", str(story / "data"), "--model", str(model), "--epochs", "9", "--tflite", "none"]
    assert main([*argv, "--set", "progress=no"]) == 143
    if epoch == 0:
        assert model.read_bytes() == b"an earlier pilot"
    else:
        assert read_card(model)["training"]["best_epoch"] == 1


def test_manage_py_runs_as_a_program(story):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "manage.py", "drive", "--expert", "--max-loops", "3", "--json"],
        cwd=story,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["loops"] == 3
    for command in ("drive", "train"):
        done = subprocess.run(
            [sys.executable, "manage.py", command, "--help"],
            cwd=story,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0
        assert f"dingocar {command}" in done.stdout
