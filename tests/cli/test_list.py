"""`dingocar list`: what there is, by kind, and the parameters of a randomisation."""

import json

import pytest

from dingocar.cli.main import main
from dingocar.sim.parameters import parameters
from dingocar.sim.randomisation import BOUNDS, CHOICES

KINDS = [
    "pilots",
    "tracks",
    "looks",
    "parts",
    "methods",
    "translators",
    "templates",
    "commands",
    "parameters",
]


def listed(capsys, *argv):
    assert main(["list", *argv]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def test_without_a_kind_all_names_are_listed(capsys):
    lines = listed(capsys).splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == KINDS
    assert all(len(line) <= 100 for line in lines)
    assert "circuit, duckietown, oval, random" in lines[1]
    found = json.loads(listed(capsys, "--json"))
    assert list(found) == KINDS and "linear" in found["pilots"] and "blur_px" in found["parameters"]


def test_every_parameter_is_listed_with_its_bounds_and_its_meaning(capsys):
    lines = listed(capsys, "parameters").splitlines()
    assert {line.split()[0] for line in lines} == {*BOUNDS, *CHOICES}
    assert "blur_px                  0 to 3 px           standard deviation of the lens's blur" in lines
    found = json.loads(listed(capsys, "parameters", "--json"))
    assert {name: (found[name]["low"], found[name]["high"]) for name in BOUNDS} == BOUNDS
    assert found["latency_offset_s"]["of"] == "physics" and found["latency_offset_s"]["unit"] == "s"


@pytest.mark.parametrize("name", sorted({*BOUNDS, *CHOICES}))
def test_a_parameter_says_what_it_is(name):
    each = parameters()[name]
    assert each.meaning and "`" not in each.meaning and "\n" not in each.meaning
    assert each.choices == CHOICES.get(name, ())
    ends = {"m", "rad", "s", "px", "mps2"} & {name.rpartition("_")[2]}
    assert bool(each.unit) == bool(ends)
