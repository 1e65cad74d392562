"""The command: files, figures and mistakes."""

import json

import numpy as np
import pytest

import dingocar.zoo
from dingocar.cli.main import main
from dingocar.sim import load_randomisation


class BlindPilot:
    """Drives straight on, whatever it sees."""

    image_shape = (60, 80, 3)

    def run_batch(self, images):
        assert images.shape[1:] == self.image_shape
        return np.zeros(len(images)), np.full(len(images), 0.4)


@pytest.fixture
def pilot(monkeypatch):
    monkeypatch.setattr(dingocar.zoo, "load_pilot", lambda file: BlindPilot(), raising=False)
    monkeypatch.setattr("dingocar.cli._common.import_keras_quietly", lambda model: None)


def active(*more, out):
    return main(["sim", "active", "--model", "x.keras", "--out", str(out), *more])


def test_a_search_writes_the_sampler_its_picture_and_its_page(pilot, tmp_path, capsys):
    out = tmp_path / "hard.json"
    few = ("--particles", "1", "--frames", "100", "--track", "oval", "--randomisation", "mild")
    assert active(*few, "--json", out=out) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["episodes"] == 5 and figures["points"] == 1 and figures["reward"] == "failure"
    learned = load_randomisation(out)
    assert learned.names == load_randomisation("mild").names and len(learned.points) == 1
    assert (tmp_path / "hard.png").read_bytes().startswith(b"\x89PNG")
    assert "camera_pitch_offset_rad" in (tmp_path / "hard.html").read_text()


@pytest.mark.parametrize(
    "more, told",
    [
        (("--reward", "pain"), "unknown reward"),
        (("--search", "svgp"), "did you mean 'svpg'"),
        (("--randomisation", "none"), "no ranges to search"),
        (("--keep", "0"), "--keep must be a number"),
        (("--frames", "0"), "--frames must be"),
        (("--look", "flaat"), "did you mean 'flat'"),
    ],
)
def test_a_mistake_is_one_line(pilot, tmp_path, capsys, more, told):
    assert active(*more, out=tmp_path / "hard.json") == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_the_output_is_checked_before_the_search(tmp_path, capsys):
    assert active(out=tmp_path / "hard.txt") == 2
    assert "ends in .json" in capsys.readouterr().err
    assert active(out=tmp_path / "nowhere" / "hard.json") == 2
    assert "no such folder" in capsys.readouterr().err
