import json

import numpy as np
import pytest

from dingocar.cli.movie import run
from dingocar.errors import PilotError, UsageError
from tests.tub.helpers import make_tub


@pytest.fixture
def tub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return str(make_tub(tmp_path / "oval", 10))


def test_says_what_was_made(tub, tmp_path, capsys):
    assert run(["movie", "--tub", tub, "--out", "a.gif", "--start", "2", "--end", "8", "--rate", "10"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("a.gif: 7 pictures, 0.7 s at 10 Hz, 48x36 gif")
    assert (tmp_path / "a.gif").is_file()


def test_json(tub, capsys):
    assert run(["movie", "--tub", tub, "--out", "a.gif", "--scale", "2", "--no-overlay", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["frames"], figures["width"], figures["height"]) == (10, 32, 24)
    assert figures["seconds"] == pytest.approx(10 / figures["rate_hz"])


def test_the_film_takes_the_tub_s_name(tub, tmp_path, capsys):
    pytest.importorskip("av")
    assert run(["movie", "--tub", tub + "/"]) == 0
    assert (tmp_path / "oval.mp4").stat().st_size > 500


def test_a_pilot_is_loaded_and_asked(tub, monkeypatch, capsys):
    class Pilot:
        image_shape = (12, 16, 3)
        asked = 0

        def run_batch(self, images):
            Pilot.asked += len(images)
            return np.zeros(len(images)), np.zeros(len(images))

    monkeypatch.setattr("dingocar.zoo.load_pilot", lambda path: Pilot())
    assert run(["movie", "--tub", tub, "--out", "a.gif", "--model", "x.tflite"]) == 0
    assert Pilot.asked == 10


def test_unreadable_pictures_are_told(tub, tmp_path, capsys):
    (tmp_path / "oval" / "images" / "4_cam_image_array_.jpg").unlink()
    run(["movie", "--tub", tub, "--out", "a.gif"])
    assert "1 picture could not be read" in capsys.readouterr().out


def test_mistakes(tub):
    for wrong in (
        ["--scale", "0"],
        ["--scale", "x"],
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--start", "-1"],
        ["--out", ""],
        ["--out", "a.avi"],
        ["--start", "8", "--end", "2"],
        ["--model", "x.tflite", "--no-overlay"],
        ["--colour"],
    ):
        with pytest.raises(UsageError):
            run(["movie", "--tub", tub, *wrong])
    with pytest.raises(PilotError):
        run(["movie", "--tub", tub, "--model", "missing.tflite"])
    with pytest.raises(UsageError):
        run(["movie"])
