"""`dingocar sim serve`: what cannot be driven in is told before it listens."""

from __future__ import annotations

import pytest

from dingocar.cli.main import main

LOOKS = {
    "text": ('Look(draw=lambda rng: "grey")', "must return an Appearance, got str"),
    "raises": ("Look(draw=lambda rng: 1 / 0)", "ZeroDivisionError"),
    "unpainted": ("Look(draw=lambda rng: Appearance(), paint=lambda *given: None)", "must return a Painting"),
}


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch):
    def listen(*given):
        raise AssertionError("it would listen")

    monkeypatch.setattr("dingocar.sim.donkey_server.DonkeyServer", listen)


@pytest.mark.parametrize("kind", LOOKS)
def test_a_broken_look_is_told_before_it_listens(kind, tmp_path, capsys):
    made, told = LOOKS[kind]
    (tmp_path / "looks").mkdir()
    imports = "from dingocar.sim.appearance import Appearance\nfrom dingocar.sim.look import Look\n"
    (tmp_path / "looks" / f"broken_{kind}.py").write_text(f"{imports}\nlook = {made}\n")
    assert main(["sim", "serve", "--port", "0", "--look", f"broken_{kind}"], car=tmp_path) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_a_broken_randomisation_is_told_before_it_listens(tmp_path, capsys):
    file = tmp_path / "broken.toml"
    file.write_text('[choices]\nfloor = ["no such floor"]\n')
    assert main(["sim", "serve", "--port", "0", "--randomisation", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
