"""A car's settings: typed, checked, all mistakes at once."""

import ast

import pytest

from dingocar.config import CarConfig
from dingocar.errors import ConfigError


@pytest.fixture
def car(tmp_path):
    (tmp_path / "config.py").write_text(CarConfig.default_file())
    (tmp_path / "myconfig.py").write_text(CarConfig.default_file(commented=True))
    return tmp_path


def mistakes(folder, **overrides):
    with pytest.raises(ConfigError) as caught:
        CarConfig.load(folder, overrides)
    return str(caught.value).splitlines()


def test_the_default_file_gives_the_defaults(car):
    assert CarConfig.load(car) == CarConfig()


def test_myconfig_wins_over_config_and_the_command_line_over_both(car):
    (car / "config.py").write_text("DRIVE_LOOP_HZ = 10\nBATCH_SIZE = 32\nMAX_EPOCHS = 5")
    (car / "myconfig.py").write_text("BATCH_SIZE = 2 * 32\nMAX_EPOCHS = 6")
    cfg = CarConfig.load(car, {"MAX_EPOCHS": "7", "SIM_TRACK": "random:3"})
    assert (cfg.DRIVE_LOOP_HZ, cfg.BATCH_SIZE, cfg.MAX_EPOCHS, cfg.SIM_TRACK) == (10.0, 64, 7, "random:3")
    assert isinstance(cfg.DRIVE_LOOP_HZ, float)


def test_every_line_of_myconfig_can_be_uncommented(car):
    text = "\n".join(
        line.removeprefix("# ")
        for line in CarConfig.default_file(commented=True).splitlines()
        if " = " in line or line.startswith('"""')
    )
    (car / "myconfig.py").write_text(text)
    assert CarConfig.load(car) == CarConfig()
    assert {node.targets[0].id for node in ast.parse(text).body[1:]} == set(CarConfig.settings())


def test_missing_files_leave_the_defaults(tmp_path):
    assert CarConfig.load(tmp_path) == CarConfig()


def test_three_mistakes_are_three_lines(car):
    (car / "config.py").write_text('DRIVE_LOOP_HZ = "fast"\n\nBATCH_SIZ = 3\nCAMERA = "sin"\n')
    assert mistakes(car) == [
        "config.py:1: DRIVE_LOOP_HZ must be a number, 2 to 200; got 'fast'",
        "config.py:3: unknown setting 'BATCH_SIZ'; did you mean 'BATCH_SIZE'?",
        f"config.py:4: CAMERA must be text, one of {', '.join(_choices('CAMERA'))}; got 'sin'; "
        "did you mean 'sim'?",
    ]


def _choices(name):
    return CarConfig.settings()[name].metadata["choices"]


@pytest.mark.parametrize(
    "line, message",
    [
        ("BATCH_SIZE = True", "BATCH_SIZE must be a whole number, 1 to 65536; got True"),
        ("BATCH_SIZE = 2.5", "BATCH_SIZE must be a whole number, 1 to 65536; got 2.5"),
        ("DRIVE_LOOP_HZ = 0", "DRIVE_LOOP_HZ must be a number, 2 to 200; got 0"),
        ("DRIVE_LOOP_HZ = float('nan')", "DRIVE_LOOP_HZ must be a number, 2 to 200; got nan"),
        ("MAX_LOOPS = 'x'", "MAX_LOOPS must be a whole number or None, at least 1; got 'x'"),
        ("drive_loop_hz = 30", "drive_loop_hz has no effect; did you mean 'DRIVE_LOOP_HZ'?"),
        ("SIM_TRACK = ", "not Python: invalid syntax"),
        ("SIM_TRACK = oval", "NameError: name 'oval' is not defined"),
        ("ZZZ = 1", "settings of your own start with MY_"),
    ],
)
def test_mistakes_name_file_and_line(car, line, message):
    (car / "myconfig.py").write_text(f"# mine\n{line}\n")
    (found,) = mistakes(car)
    assert found.startswith("myconfig.py:2: ")
    assert message in found


@pytest.mark.parametrize(
    "text",
    [
        "IMAGE_W, IMAGE_H = 64, 48",
        "for IMAGE_W in (32, 64):\n    IMAGE_H = 48",
        "if True:\n    IMAGE_W = 64\nIMAGE_H = 48",
        "def f():\n    image_w = 3\n    return 64\nIMAGE_W = f()\nIMAGE_H = 48",
    ],
)
def test_every_way_of_assigning_counts(car, text):
    (car / "myconfig.py").write_text(text)
    cfg = CarConfig.load(car)
    assert (cfg.IMAGE_W, cfg.IMAGE_H) == (64, 48)


def test_a_file_that_is_no_text(car):
    (car / "myconfig.py").write_bytes(b"# \xff\xfe\nIMAGE_W = 64")
    assert mistakes(car)[0].startswith("myconfig.py:?: UnicodeDecodeError")


def test_text_settings_stay_text_on_the_command_line(car):
    assert CarConfig.load(car, {"SIM_TRACK": "7"}).SIM_TRACK == "7"
    assert CarConfig.load(None, {"SIM_TRACK": "{[]:1}"}).SIM_TRACK == "{[]:1}"
    assert "got '{[]:1}'" in mistakes(car, BATCH_SIZE="{[]:1}")[0]


def test_a_width_the_camera_cannot_have(car):
    (car / "myconfig.py").write_text("IMAGE_W = 162")
    assert mistakes(car) == [
        "myconfig.py:1: IMAGE_W must be a whole number, 16 to 1280, a multiple of 4; got 162"
    ]


def test_mistakes_on_the_command_line(car):
    assert mistakes(car, BATCH_SIZ="3")[0].startswith("--set BATCH_SIZ=3: unknown setting 'BATCH_SIZ'")


def test_own_settings_pass_and_are_handed_over(car):
    (car / "myconfig.py").write_text("MY_HORN_PIN = 7\nimport math\nMY_LIMIT = math.pi")
    assert CarConfig.load(car).own["MY_HORN_PIN"] == 7


def test_paths_start_at_the_cars_folder(car):
    cfg = CarConfig.load(car, {"MODELS_PATH": "/elsewhere"})
    assert cfg.path(cfg.DATA_PATH) == car / "data"
    assert str(cfg.path(cfg.MODELS_PATH)) == "/elsewhere"
    with pytest.raises(ConfigError, match="is empty; see DATA_PATH"):
        cfg.path("")
