"""`dingocar deploy` with an `ssh` and an `rsync` that only note what they were called with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dingocar.cli import _deploy
from dingocar.cli.main import main

ROOT = Path(__file__).resolve().parent.parent.parent

#: Notes its words, and fails when they contain what $FAIL says.
RECORDER = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
if sys.argv[0].endswith("ssh") and "-n" not in sys.argv:
    sys.stdin.read()  # as ssh does, with whatever else was pasted
fail = os.environ.get("FAIL")
sys.exit(7 if fail and fail in " ".join(sys.argv) else 0)
"""


@pytest.fixture
def car(tmp_path, capsys):
    folder = tmp_path / "it's my car" / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    capsys.readouterr()
    return folder


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Returns what was called since the last time it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("ssh", "rsync", "python"):
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    log = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(log))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    # The wheel of the checkout is not really built.
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(_deploy, "checkout", lambda: tmp_path / "a checkout")

    def since():
        found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return found

    return since


@pytest.mark.parametrize(
    "options",
    [[], ["--service"], ["--with-data", "--extra", "pi,web,gamepad", "--to", "other.car"], ["--pull"]],
    ids=" ".join,
)
def test_what_is_printed_is_what_is_run(car, calls, capsys, options):
    assert main(["deploy", "pi@car", *options, "--dry-run"], car=car) == 0
    printed = capsys.readouterr()
    assert calls() == [] and printed.err == ""
    pasted = subprocess.run(["bash", "-eu"], input=printed.out, text=True, capture_output=True)
    assert pasted.returncode == 0, pasted.stderr
    pasted_calls = calls()
    assert main(["deploy", "pi@car", *options], car=car) == 0
    assert calls() == pasted_calls != []
    commands = [line for line in printed.out.splitlines() if not line.startswith("# ")]
    shown = [line[2:] for line in capsys.readouterr().err.splitlines() if line.startswith("$ ")]
    assert shown == commands


def test_the_steps_of_a_deployment(car, calls):
    assert main(["deploy", "pi@car", "--service"], car=car) == 0
    found = calls()
    words = [" ".join(call) for call in found]
    copy = next(call for call in found if call[-1] == "pi@car:mycar/")
    assert copy[-2] == f"{car}/"
    assert {"--exclude=/data/", "--exclude=/.venv/", "--exclude=/logs/"} <= set(copy)
    assert not any("models" in word for word in copy)
    order = [
        "python -m pip wheel",
        "ssh -n pi@car systemctl --user stop dingocar@mycar.service",
        "pi@car:mycar/",
        "python3 -m venv --system-site-packages mycar/.venv",
        "pi@car:mycar/.venv/",
        'install "./mycar/.venv/dingocar-0.1.0-py3-none-any.whl[pi,web]"',
        "--force-reinstall",
        ".venv/bin/dingocar doctor",
        "dingocar@.service pi@car:.config/systemd/user/",
        "systemctl --user restart dingocar@mycar.service",
        "loginctl enable-linger",
    ]
    places = [next(n for n, line in enumerate(words) if text in line) for text in order]
    assert places == sorted(places)


def test_data_is_copied_only_when_asked_for(car, calls):
    (car / "myconfig.py").write_text("DATA_PATH = 'tubs/'\n")
    assert main(["deploy", "pi@car"], car=car) == 0
    assert any("--exclude=/tubs/" in call for call in calls())
    assert main(["deploy", "pi@car", "--with-data"], car=car) == 0
    assert not any("--exclude=/tubs/" in call for call in calls())


def test_outside_a_checkout_the_same_version_comes_from_the_index(car, calls, monkeypatch):
    monkeypatch.setattr(_deploy, "checkout", lambda: None)
    assert main(["deploy", "pi@car"], car=car) == 0
    words = [" ".join(call) for call in calls()]
    assert any('pip --disable-pip-version-check install "dingocar[pi,web]==0.1.0"' in line for line in words)
    assert not any("wheel" in line for line in words)


def test_it_ends_at_the_first_failure_with_command_and_code(car, calls, capsys, monkeypatch):
    monkeypatch.setenv("FAIL", "dingocar doctor")
    assert main(["deploy", "pi@car", "--service"], car=car) == 1
    told = capsys.readouterr().err
    assert "exit code 7 of: ssh -n pi@car 'cd mycar && .venv/bin/dingocar doctor'" in told
    assert "marked FIX" in told
    assert "doctor" in calls()[-1][-1]


def test_without_service_a_car_that_systemd_starts_is_started_again(car, calls):
    assert main(["deploy", "pi@car"], car=car) == 0
    last = calls()[-1][-1]
    assert "is-enabled dingocar@mycar.service" in last and "start dingocar@mycar.service" in last


def test_recordings_come_into_a_folder_of_their_own(car, calls):
    (car / "data" / "manifest.json").write_text("mine")
    assert main(["deploy", "pi@car.local", "--pull"], car=car) == 0
    assert calls() == [
        ["rsync", "--archive", "--compress", "pi@car.local:mycar/data/", f"{car}/data/car.local/"]
    ]
    assert (car / "data" / "car.local").is_dir()


@pytest.mark.parametrize(
    "argv, told",
    [
        (["deploy", "pi@-oProxyCommand=x"], "HOST must be user@host"),
        (["deploy", "-oProxyCommand=x"], "deploy"),
        (["deploy", "pi@car;reboot"], "HOST must be user@host"),
        (["deploy", "pi@car:/etc"], "HOST must be user@host"),
        (["deploy", ""], "HOST must be user@host"),
        (["deploy", "pi@car", "--to", "../x"], "the folder on the Pi"),
        (["deploy", "pi@car", "--to", "-x"], "the folder on the Pi"),
        (["deploy", "pi@car", "--extra", "pi,wep"], "unknown extra 'wep'; did you mean 'web'?"),
        (["deploy", "pi@car", "--path", "nowhere"], "there is no car in nowhere"),
        (["deploy"], "do not fit"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_run(car, calls, capsys, argv, told):
    assert main(argv, car=car) == 2
    captured = capsys.readouterr()
    assert told in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert calls() == []


@pytest.mark.parametrize("missing, package", [("rsync", "rsync"), ("ssh", "openssh-client")])
def test_a_missing_program_names_its_package(car, calls, capsys, monkeypatch, tmp_path, missing, package):
    (tmp_path / "bin" / missing).unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert main(["deploy", "pi@car"], car=car) == 2
    assert f"sudo apt install {package}" in capsys.readouterr().err
    assert calls() == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(tmp_path):
    programs = tmp_path / "mycar" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "dingocar"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    unit = tmp_path / "dingocar@.service"
    shutil.copy(ROOT / "templates" / "dingocar@.service", unit)
    (tmp_path / "run").mkdir()
    env = os.environ | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(tmp_path / "dingocar@mycar.service")]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
