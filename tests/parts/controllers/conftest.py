"""A desk with gamepads, and mappings for them."""

import json

import pytest


@pytest.fixture
def desk(monkeypatch):
    # The web's tests, which are below this folder, do without evdev.
    from tests.fakes.desk import Desk

    desk = Desk(monkeypatch)
    yield desk
    for pad in desk.made:
        pad.close()


@pytest.fixture
def mapping(tmp_path):
    """Writes a mapping file."""

    def write(axes, buttons=(), **more):
        axes = {role: {"code": code.strip("-"), "invert": code[0] == "-"} for role, code in axes.items()}
        path = tmp_path / "pad.json"
        path.write_text(json.dumps({"name": "x", "axes": axes, "buttons": dict(buttons)} | more))
        return str(path)

    return write
