"""The command: files, figures and mistakes."""

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest

import dingocar.training.active
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
    few = ("--particles", "1", "--frames", "2000", "--track", "oval", "--randomisation", "mild")
    assert active(*few, "--json", out=out) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["episodes"] % 5 == 0 and figures["frames"] <= 2000 and figures["reward"] == "failure"
    assert figures["points"] == round(figures["episodes"] / 4)
    learned = load_randomisation(out)
    assert learned.names == load_randomisation("mild").names and len(learned.points) == figures["points"]
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
        (("--frames", "800"), "frames must be at least 5600"),
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


def test_what_the_docs_show_runs(pilot, monkeypatch):
    few = {"settings": dingocar.training.active.SvpgSettings(particles=1)}
    search = functools.partial(dingocar.training.active.active_randomisation, **few)
    monkeypatch.setattr(dingocar.training.active, "active_randomisation", search)
    text = (Path(__file__).parents[3] / "docs" / "active_randomisation.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    space = {}
    exec(example.replace("40_000", "2_000"), space)
    assert space["result"].sampler.points
