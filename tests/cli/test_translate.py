"""`dingocar translate`: trained, used on a tub, exported, and driven with, as the docs tell it."""

import json
import signal

import pytest

from dingocar.cli.main import main
from dingocar.tub import open_tub
from dingocar.zoo import pilots, save_pilot
from tests.translate.small import tub

TINY = ["--set", "filters=3", "--set", "blocks=1", "--set", "discriminator_filters=3", "--size", "60x80"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a tub of each domain and a translator."""
    folder = tmp_path_factory.mktemp("translate")
    for domain in ("sim", "real"):
        tub(folder / domain, domain, 50, (60, 80, 3))
    assert main(train(folder, "--steps", "2", *TINY)) == 0
    return folder


def train(folder, *options, out="t.keras"):
    pair = ["--sim", str(folder / "sim"), "--real", str(folder / "real")]
    return ["translate", "train", *pair, "--out", str(folder / out), *options]


def test_training_says_what_it_did(folder, capsys):
    assert main(train(folder, "--steps", "1", "--json", "--method", "colour", out="c.keras")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["translator"] == "colour" and (folder / "c.jpg").is_file()
    assert found["pictures"].keys() == {"sim", "real"} and not found["interrupted"]


def test_info(folder, capsys):
    assert main(["translate", "info", str(folder / "t.keras")]) == 0
    text = capsys.readouterr().out
    assert "cyclegan, pictures of 60x80, to_real and to_sim" in text and "2 steps" in text


def test_a_tub_and_a_picture_are_translated(folder, capsys, tmp_path):
    flags = ["--translator", str(folder / "t.keras"), "--to", "real"]
    assert (
        main(["translate", "tub", str(folder / "sim"), *flags, "--out", str(tmp_path / "made"), "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["pictures"] == 50
    assert open_tub(tmp_path / "made").looks == "real"
    picture = open_tub(folder / "sim")[0].image_path()
    assert main(["translate", "picture", str(picture), *flags, "--out", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").stat().st_size > 100


def test_other_kinds_of_files_are_not_written_over(folder, capsys, tmp_path):
    pilot = pilots.load("linear").from_settings({"image_shape": (64, 84, 3)})
    keras_file = save_pilot(tmp_path / "p.keras", pilot.build(), pilot)
    assert main(["export", "--model", str(keras_file)]) == 0
    light, before = keras_file.with_suffix(".tflite"), (folder / "t.keras").read_bytes()
    source = open_tub(folder / "sim")[0].image_path()
    picture = tmp_path / "a.jpg"
    picture.write_bytes(source.read_bytes())
    translator = ["--translator", str(folder / "t.keras"), "--to", "real"]
    for argv, told in (
        (["translate", "export", *translator, "--out", str(light)], f"{light}: is there, and it is a pilot"),
        (["train", "--tub", str(folder / "sim"), "--model", str(folder / "t.keras")], "it is a translator"),
        (
            ["translate", "picture", str(picture), *translator, "--out", str(picture)],
            "is the picture that it",
        ),
        (["export", "--model", "no.keras", "--out", str(tmp_path / "new" / "x.tflite")], "no such file"),
    ):
        capsys.readouterr()
        assert main(argv) == 2
        assert told in capsys.readouterr().err
    assert (folder / "t.keras").read_bytes() == before and picture.read_bytes() == source.read_bytes()
    assert not (tmp_path / "new").exists()


def test_stopped_it_says_how_to_go_on(folder, capsys, monkeypatch, eagerly):
    from dingocar.translate.trainer import _Run

    real = _Run._batch

    def batch(self):
        if self.step == 1:
            signal.raise_signal(signal.SIGTERM)  # the step that has begun is done whole
        return real(self)

    monkeypatch.setattr(_Run, "_batch", batch)
    assert main(train(folder, "--steps", "3", *TINY, out="s.keras")) == 143
    assert "the same command with --resume goes on" in capsys.readouterr().out
    monkeypatch.setattr(_Run, "_batch", real)
    assert main(train(folder, "--steps", "3", *TINY, "--resume", out="s.keras")) == 0
    assert "3 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "cyclgan"], "unknown translator 'cyclgan'; did you mean 'cyclegan'?"),
        (["--preset", "60x81"], "unknown preset '60x81'; did you mean '60x80'?"),
        (["--size", "60"], "--size must be height x width of 1 to 9999 pixels, like 120x160, got '60'"),
        (["--size", "61x80"], "61x80 cannot be halved 2 times; take multiples of 4, or set downsamplings"),
        (["--minutes", "x"], "--minutes must be a number of at least 0.01, got 'x'"),
        (["--steps", "0"], "--steps must be a whole number of at least 1, got '0'"),
        (["--set", "filter=3"], "unknown translator setting 'filter'; did you mean 'filters'?"),
        (["--minuts", "3"], "unknown option --minuts; did you mean '--minutes'?"),
    ],
)
def test_mistakes_are_one_line(options, words, folder, capsys):
    assert main(train(folder, *options, out="m.keras")) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["picture", "x.jpg", "--out", "x.gif"], "ends in .png or .jpg"),
        (
            ["picture", "x.jpg", "--out", "x.png", "--to", "rael"],
            "--to must be sim or real, got 'rael'; did you mean 'real'?",
        ),
        (["tub", "nowhere", "--out", "y", "--to", "real"], "nowhere"),
    ],
)
def test_mistakes_in_use_are_one_line(argv, words, folder, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["translate", *argv, "--translator", str(folder / "t.keras")]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_car_drives_with_it_and_records_what_the_pilot_saw(folder, capsys, tmp_path, monkeypatch):
    from dingocar.zoo import save_pilot
    from dingocar.zoo.resnet1 import Resnet1

    translator = ["--translator", str(folder / "t.tflite")]
    assert (
        main(
            [
                "translate",
                "export",
                "--translator",
                str(folder / "t.keras"),
                "--to",
                "sim",
                "--out",
                translator[1],
            ]
        )
        == 0
    )
    assert main(["createcar", "--path", str(tmp_path / "car")]) == 0
    monkeypatch.chdir(tmp_path / "car")
    pilot = Resnet1.from_settings({"image_shape": (60, 80, 3)})
    save_pilot(tmp_path / "p.keras", pilot.build(), pilot, {"tubs": [{"path": "a", "domain": "sim"}]})
    size = ["--set", "IMAGE_H=60", "--set", "IMAGE_W=80"]
    drive = ["drive", "--model", str(tmp_path / "p.keras"), *translator, "--fast", "--max-loops", "5"]
    assert main([*drive, *size, "--look", "photo", "--tub", "seen"]) == 0
    judge = ["evaluate", "--model", str(tmp_path / "p.keras"), "--look", "photo", "--laps", "1", "--json"]
    capsys.readouterr()
    steered = []
    for more in ([], translator):
        assert main([*judge, *more]) == 0
        steered.append(json.loads(capsys.readouterr().out)["mean_abs_dsteering"])
    assert steered[0] != steered[1]  # the pilot has seen other pictures
    record = open_tub("seen")[-1]
    assert record.image("cam/translated").shape == (60, 80, 3)
    assert "pilot/angle" in record.fields
    capsys.readouterr()
    assert main(drive) == 2
    assert "is for pictures of 60x80 pixels, the camera's have 120x160" in capsys.readouterr().err
    assert main(["drive", *translator, "--expert"]) == 2
    assert "name the pilot with --model" in capsys.readouterr().err
    other = Resnet1.from_settings({"image_shape": (64, 84, 3)})
    save_pilot(tmp_path / "other.keras", other.build(), other)
    assert main(["evaluate", "--model", str(tmp_path / "other.keras"), *translator]) == 2
    assert "is for pictures of 60x80, the pilot takes 64x84" in capsys.readouterr().err
    save_pilot(tmp_path / "p.keras", pilot.build(), pilot, {"tubs": [{"path": "a", "domain": "real"}]})
    for command in ([*drive, *size], [*judge, *translator]):
        assert main(command) == 2
        assert "look real, and the translator makes them look sim" in capsys.readouterr().err


def test_a_car_that_knows_no_translator_says_so(folder, capsys, tmp_path, monkeypatch):
    """Its pilot would see the camera's own pictures otherwise, and nobody would know."""
    from dingocar.zoo import save_pilot
    from dingocar.zoo.resnet1 import Resnet1

    assert main(["createcar", "--path", str(tmp_path / "car")]) == 0
    manage = tmp_path / "car/manage.py"
    text = manage.read_text()
    assert "        if cfg.TRANSLATOR:" in text
    manage.write_text(text.replace("        if cfg.TRANSLATOR:", "        if False:"))
    monkeypatch.chdir(tmp_path / "car")
    pilot = Resnet1.from_settings({"image_shape": (60, 80, 3)})
    save_pilot(tmp_path / "p.keras", pilot.build(), pilot)
    flags = ["--model", str(tmp_path / "p.keras"), "--translator", str(folder / "t.keras"), "--fast"]
    assert main(["drive", *flags, "--max-loops", "3", "--set", "IMAGE_H=60", "--set", "IMAGE_W=80"]) == 2
    assert "builds a car without the translator that is asked for" in capsys.readouterr().err
