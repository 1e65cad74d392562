"""Changing settings in a file that somebody wrote by hand."""

import os

import pytest

from dingocar.cli._myconfig import change_file, changed, parse_file
from dingocar.config import CarConfig
from dingocar.errors import ConfigError


@pytest.mark.parametrize(
    "before, after",
    [
        ("", "STEERING_MID = 380\n"),
        ("A = 1", "A = 1\nSTEERING_MID = 380\n"),
        ("STEERING_MID=1", "STEERING_MID=380"),
        ("STEERING_MID  =  1  # of mine, ä\nB = 2\n", "STEERING_MID  =  380  # of mine, ä\nB = 2\n"),
        ("ä = 'ä'; STEERING_MID = 1 ; B = 2\n", "ä = 'ä'; STEERING_MID = 380 ; B = 2\n"),
        ("STEERING_MID = (\n    1 +\n    2\n)  # sum\n", "STEERING_MID = (\n    380\n)  # sum\n"),
        ("# STEERING_MID = 375  # straight\n", "STEERING_MID = 380  # straight\n"),
        ("#STEERING_MID = 375", "STEERING_MID = 380"),
        ("# STEERING_MID = 1\n# STEERING_MID = 2\n", "# STEERING_MID = 1\nSTEERING_MID = 380\n"),
        # An assignment wins over a comment, the last over the first.
        ("STEERING_MID = 1\n# STEERING_MID = 2\n", "STEERING_MID = 380\n# STEERING_MID = 2\n"),
        ("STEERING_MID = 1\nSTEERING_MID = 2\n", "STEERING_MID = 1\nSTEERING_MID = 380\n"),
        # Where an edit would have no effect, or spoil the file, a line at the end does.
        ("if 1:\n    STEERING_MID = 2\n", "if 1:\n    STEERING_MID = 2\nSTEERING_MID = 380\n"),
        (
            "STEERING_MID = 1\nSTEERING_MID += 2\n",
            "STEERING_MID = 1\nSTEERING_MID += 2\nSTEERING_MID = 380\n",
        ),
        ("A = [\n# STEERING_MID = 1\n]\n", "A = [\n# STEERING_MID = 1\n]\nSTEERING_MID = 380\n"),
        ('A = """\n# STEERING_MID = 1\n"""\n', 'A = """\n# STEERING_MID = 1\n"""\nSTEERING_MID = 380\n'),
        ("# STEERING_MIDDLE = 1\n", "# STEERING_MIDDLE = 1\nSTEERING_MID = 380\n"),
        # Line ends stay what they are.
        ("A = 1\r\nSTEERING_MID = 1\r\n", "A = 1\r\nSTEERING_MID = 380\r\n"),
        ("# STEERING_MID = 1\r\nA = 1\r\n", "STEERING_MID = 380\r\nA = 1\r\n"),
        ("A = 1\r\n", "A = 1\r\nSTEERING_MID = 380\r\n"),
    ],
)
def test_one_setting_changes_and_nothing_else(before, after):
    assert changed(before, {"STEERING_MID": 380}) == after


def test_every_setting_of_the_file_we_make_can_be_set(tmp_path):
    path = tmp_path / "myconfig.py"
    path.write_text(CarConfig.default_file(commented=True))
    lines = path.read_text().splitlines()
    change_file(path, {"STEERING_LEFT": 461, "MOTOR_TRIM": 0.12, "THROTTLE_STOPPED": 371})
    cfg = CarConfig.load(tmp_path)
    assert (cfg.STEERING_LEFT, cfg.MOTOR_TRIM, cfg.THROTTLE_STOPPED) == (461, 0.12, 371)
    after = path.read_text().splitlines()
    assert len(after) == len(lines) and sum(a != b for a, b in zip(after, lines, strict=True)) == 3
    assert "THROTTLE_STOPPED = 371  # pulse at which the car stands" in path.read_text()


def test_a_linked_file_stays_linked(tmp_path):
    (tmp_path / "real.py").write_text("STEERING_MID = 1\n")
    os.chmod(tmp_path / "real.py", 0o640)
    (tmp_path / "myconfig.py").symlink_to(tmp_path / "real.py")
    change_file(tmp_path / "myconfig.py", {"STEERING_MID": 2})
    assert (tmp_path / "myconfig.py").is_symlink()
    assert (tmp_path / "real.py").read_text() == "STEERING_MID = 2\n"
    assert (tmp_path / "real.py").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "contents, told", [(b"A = (\n", "myconfig.py:1: not Python"), (b"A = '\xff'\n", "not UTF-8")]
)
def test_a_file_that_is_no_python_is_left_alone(tmp_path, contents, told):
    path = tmp_path / "myconfig.py"
    path.write_bytes(contents)
    with pytest.raises(ConfigError, match=told):
        change_file(path, {"STEERING_MID": 2})
    assert path.read_bytes() == contents and list(tmp_path.iterdir()) == [path]
    assert parse_file(tmp_path / "none.py") == ""
