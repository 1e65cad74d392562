"""A mistake of the user is one clear line on stderr and exit code 2."""

import errno
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dingocar.cli import demo
from dingocar.cli.main import commands, main
from dingocar.tub import TubWriter

ROOT = Path(__file__).resolve().parent.parent.parent


def line(capsys, *argv, car=None):
    """Runs a command that must fail; returns its one line."""
    code = main(list(argv), car=car)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("dingocar: ")
    return captured.err


@pytest.fixture
def car(tmp_path, capsys):
    folder = tmp_path / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    capsys.readouterr()
    return folder


@pytest.fixture
def empty_tub(tmp_path):
    TubWriter(tmp_path / "empty", ["cam/image_array", "user/angle"], ["image_array", "float"]).close()
    return tmp_path / "empty"


def test_train_on_a_tub_that_is_not_there(car, capsys):
    assert "nowhere" in line(capsys, "train", "--tub", "nowhere", car=car)


@pytest.mark.parametrize(
    "argv, near",
    [
        (["evaluate", "--model", "models/mine.kears"], "models/mine.keras"),
        (["export", "--model", "modles/mine.keras"], "models"),
        (["translate", "info", "models/min.keras"], "models/mine.keras"),
        (["train", "--tub", "dta"], "data"),
        (["evaluate", "--expert", "--track", "routes/ova.npy"], "routes/oval.npy"),
        (["evaluate", "--expert", "--track", "duckietown:maps/lop.yaml"], "maps/loop.yaml"),
        (["evaluate", "--expert", "--randomisation", "worlds/hal.toml"], "worlds/hall.toml"),
        (["lines", "tune", "--out", "model/lines.json"], "models"),
    ],
)
def test_a_mistyped_path_gets_what_is_there(car, capsys, monkeypatch, argv, near):
    monkeypatch.chdir(car)
    for file in ("models/mine.keras", "routes/oval.npy", "maps/loop.yaml", "worlds/hall.toml"):
        (car / file).parent.mkdir(exist_ok=True)
        (car / file).touch()
    assert line(capsys, *argv, car=car).endswith(f"; did you mean {near}?\n")


def test_train_on_an_empty_tub(car, empty_tub, capsys):
    assert "no records to train on" in line(capsys, "train", "--tub", str(empty_tub), car=car)


def test_train_an_unknown_type(car, empty_tub, capsys):
    told = line(capsys, "train", "--tub", str(empty_tub), "--type", "lineer", car=car)
    assert "unknown pilot 'lineer'; did you mean 'linear'?" in told


@pytest.mark.parametrize(
    "setting, told",
    [
        ("epoch=3", "unknown setting 'epoch'; did you mean 'epochs'?"),
        ("epochs=three", "expected a whole number, got 'three'"),
        ("BATCH_SIZ=3", "unknown setting 'BATCH_SIZ'; did you mean 'BATCH_SIZE'?"),
        ("epochs", "--set must be NAME=value, got 'epochs'"),
        ("crop_top=500", "crop_top=500"),
        ("augmentation.shift=1", "did you mean"),
    ],
)
def test_settings_that_do_not_exist_or_fit(car, empty_tub, capsys, setting, told):
    assert told in line(capsys, "train", "--tub", str(empty_tub), "--set", setting, car=car)


def test_a_config_with_three_mistakes_is_three_lines(car, capsys):
    (car / "config.py").write_text('DRIVE_LOOP_HZ = "fast"\nBATCH_SIZ = 3\nCAMERA = "sin"\n')
    assert main(["drive", "--max-loops", "1"], car=car) == 2
    told = capsys.readouterr().err.splitlines()
    assert [text.removeprefix("dingocar: ").split(":")[:2] for text in told] == [
        ["config.py", "1"],
        ["config.py", "2"],
        ["config.py", "3"],
    ]


def test_a_keras_file_that_is_no_pilot(car, tmp_path, capsys):
    path = tmp_path / "x.keras"
    path.write_bytes(b"not a zip")
    assert "x.keras" in line(capsys, "evaluate", "--model", str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "x.keras" in line(capsys, "drive", "--model", str(path), "--max-loops", "1", car=car)
    assert "nowhere.keras" in line(capsys, "evaluate", "--model", "nowhere.keras")


STREAMS = {"stdin": "0<&-", "stdout": "1>&-", "stderr": "2>&-"}


@pytest.mark.parametrize("closed", STREAMS)
@pytest.mark.parametrize("command", ["list tracks", "tub info nowhere", "calibrate"])
def test_closed_streams(closed, command, tmp_path):
    """What is closed is /dev/null: no traceback, and no mistake told as a result."""
    shell = f"{shlex.quote(sys.executable)} -m dingocar.cli.main {command} {STREAMS[closed]}"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == (0 if command == "list tracks" else 2)
    assert "Traceback" not in done.stderr and (done.stdout == "" or command == "list tracks")


def test_names_that_are_no_text_are_shown_all_the_same(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    with TubWriter(os.fsdecode(folder), ["user/angle"], ["float"]) as writer:
        writer.write({"user/angle": 0.5})
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    argv = [sys.executable, "-m", "dingocar.cli.main", "tub", "info", folder]
    done = subprocess.run(argv, env=env, capture_output=True)
    assert done.returncode == 0 and b"caf\\udce9" in done.stdout


@pytest.mark.parametrize("entry", ['{"Name": "a", "Validation": null}', '{"Time": "x"}', '{"Time": 1e300}'])
def test_another_programs_list_of_pilots(entry, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/database.json").write_text(f"[{entry}]")
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].count("n/a") == 2


@pytest.mark.parametrize(
    "argv, told",
    [
        (["evalute"], "unknown command 'evalute'; did you mean 'evaluate'?"),
        (["evaluate", "--expert", "--lapps", "3"], "unknown option --lapps; did you mean '--laps'?"),
        (
            ["evaluate"],
            "the arguments do not fit (got: nothing); expected at least evaluate (--model FILE | --expert) "
            "or evaluate --model FILE --tub DIR...; see dingocar evaluate --help",
        ),
        (
            ["translate", "train", "--sim", "a"],
            "translate: the arguments do not fit (got: train --sim a); expected at least translate train "
            "--sim DIR... --real DIR... --out FILE; see dingocar translate --help",
        ),
        (["joystick", "--list", "--out", "x"], "(got: --list --out x); see dingocar joystick --help"),
        (["doctor", "x"], "the arguments do not fit (got: x); see dingocar doctor --help"),
        (["evaluate", "--expert", "--laps", "0"], "--laps must be a whole number from 1 to 4096, got '0'"),
        (["evaluate", "--expert", "--laps", "x"], "--laps must be a whole number from 1 to 4096, got 'x'"),
        (["evaluate", "--expert", "--track", "ovl"], "unknown track 'ovl'; did you mean 'oval'?"),
        (["evaluate", "--expert", "--track", "random:x"], "random"),
        (["evaluate", "--expert", "--track", "none.npy"], "none.npy"),
        (["evaluate", "--expert", "--look", "flt"], "unknown look 'flt'; did you mean 'flat'?"),
        (["record", "--tub", "x", "--noise", "2"], "--noise must be a number from 0 to 1, got '2'"),
        (["list", "pilot"], "unknown kind 'pilot'; did you mean 'pilots'?"),
        (["list", "parameter"], "unknown kind 'parameter'; did you mean 'parameters'?"),
        (["evaluate", "--expert", "--track", "/tmp/x"], "track /tmp/x: no such track; expected a name"),
        (["evaluate", "--expert", "--track", "duckietown:"], "expected a map's name"),
        (["leaderboard", "rn", "s.toml"], "leaderboard: unknown command 'rn'; did you mean 'run'?"),
        (["leaderboard"], "leaderboard: expected one of run, show, video; see dingocar leaderboard --help"),
        (["sim", "sevre"], "unknown sim command 'sevre'; did you mean 'serve'?"),
        (["duckietown", "recrod"], "duckietown: unknown command 'recrod'; did you mean 'record'?"),
        (["duckietown", "x"], "duckietown: unknown command 'x'; known: evaluate, maps, record"),
        (
            ["leaderboard", "show", "s.toml", "--html", "nodir/x.html"],
            "--html nodir/x.html: no such folder: nodir; make it first",
        ),
        (["leaderboard", "show", "s.toml", "--html", "."], "--html .: is a folder; name a file"),
        (["createcar", "--path", "x", "--template", "complet"], "did you mean 'complete'?"),
        (["drive"], "there is no car here"),
        (["export", "--model", "x.keras", "--for", "donkycar", "--out", "x.h5"], "known is donkeycar"),
        (["tub", "info", "nowhere"], "nowhere"),
        (["tub", "chek", "data"], "tub: unknown command 'chek'; did you mean 'check'?"),
        (["movie", "--tubb", "data"], "dingocar: movie: unknown option --tubb; did you mean '--tub'?"),
    ],
)
def test_other_mistakes(argv, told, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert told in line(capsys, *argv)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["evaluate", "duckietown evaluate", "movie --tub x"])
def test_a_pilot_that_is_not_there_is_told_before_keras_is_imported(capsys, monkeypatch, words):
    def quieten(_):
        raise AssertionError("it would import keras")

    monkeypatch.setattr(os, "dup", quieten)
    assert "nope.keras: no such file" in line(capsys, *words.split(), "--model", "nope.keras")


def test_a_car_is_not_overwritten_unasked(car, capsys):
    (car / "manage.py").write_text("# mine")
    (car / "myconfig.py").write_text("DRIVE_LOOP_HZ = 10")
    assert "add --overwrite" in line(capsys, "createcar", "--path", str(car))
    assert (car / "manage.py").read_text() == "# mine"
    assert main(["createcar", "--path", str(car), "--overwrite"]) == 0
    assert "def build(" in (car / "manage.py").read_text()
    assert (car / "myconfig.py").read_text() == "DRIVE_LOOP_HZ = 10"


def test_a_folder_without_a_car_is_not_run(tmp_path, monkeypatch, capsys):
    """Somebody's `config.py` or `manage.py` is not ours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.py").write_text("raise AssertionError('run')")
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "evil.py").write_text("def run(argv): raise AssertionError('run')")
    assert main(["models"]) == 0
    capsys.readouterr()
    (tmp_path / "config.py").unlink()
    (tmp_path / "manage.py").write_text("raise AssertionError('run')")
    assert "there is no car here" in line(capsys, "drive")
    (tmp_path / "config.py").write_text("")
    assert "unknown command 'evil'" in line(capsys, "evil")


def test_a_manage_py_that_is_no_python(car, capsys):
    (car / "manage.py").write_text("def build(:\n")
    assert "manage.py:1: not Python" in line(capsys, "drive", "--max-loops", "1", car=car)


def test_a_pilot_file_of_the_car_that_is_no_python(car, empty_tub, capsys):
    (car / "pilots").mkdir()
    (car / "pilots" / "mine.py").write_text("\nclass Mine(:\n")
    told = line(capsys, "train", "--tub", str(empty_tub), "--type", "mine", car=car)
    assert "mine.py:2: not Python" in told


def test_a_place_that_cannot_be_written_to(capsys):
    assert "/proc/nothing" in line(capsys, "createcar", "--path", "/proc/nothing/mycar")


@pytest.mark.parametrize(
    "place, named", [(".movie-ba32b3fb.gif", "{}"), ("nowhere/car", "{}/nowhere/car")], ids=lambda text: text
)
def test_what_is_not_permitted_names_the_fix(tmp_path, monkeypatch, capsys, place, named):
    def refuse(_argv):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / place))

    monkeypatch.setattr(commands, "load", lambda _name: refuse)
    told = line(capsys, "movie")
    assert told.startswith(
        f"dingocar: {named.format(tmp_path)}: this user may not use it; take another place"
    )
    assert "sudo chown -R $USER /" in told


@pytest.mark.parametrize(
    "folder, name, text, told",
    [
        ("tracks", "mine", "x = 1\n1 / 0\n", "mine.py:2: ZeroDivisionError"),
        ("tracks", "mine", "import sys\nsys.exit(5)\n", "mine.py:2: SystemExit: 5"),
        ("tracks", "mine", "import no_such_module\n", "mine.py:1: ModuleNotFoundError"),
        ("looks", "mine", "def paint(:\n", "mine.py:1: not Python"),
        (".", "manage", "import no_such_module\n", "manage.py:1: ModuleNotFoundError"),
        (".", "manage", "def build():\n    pass\n", "the car cannot be built"),
        (".", "manage", "def build(cfg, **options):\n    return cfg.NO\n", "manage.py:2: AttributeError"),
        (".", "manage", "x = 1\n", "must define build"),
        (".", "myconfig", "raise SystemExit(3)\n", "myconfig.py:1: SystemExit: 3"),
    ],
)
def test_mistakes_in_a_cars_own_files(car, capsys, folder, name, text, told):
    (car / folder).mkdir(exist_ok=True)
    (car / folder / f"{name}.py").write_text(text)
    option = {"tracks": ["--track", "mine"], "looks": ["--look", "mine"]}.get(folder, [])
    assert told in line(capsys, "drive", "--expert", "--max-loops", "1", *option, car=car)


@pytest.mark.parametrize(
    "argv, option",
    [
        (["record", "--tub", ""], "--tub"),
        (["train", "--tub", ""], "--tub"),
        (["train", "--tub", "x", "--model", ""], "--model"),
        (["drive", "--model", ""], "--model"),
        (["drive", "--tub", ""], "--tub"),
        (["export", "--model", "x.keras", "--out", ""], "--out"),
        (["createcar", "--path", ""], "--path"),
        (["tub", "info", ""], "PATH"),
    ],
)
def test_an_empty_path_is_not_taken_for_the_current_folder(car, capsys, argv, option):
    assert f"{option} must be a path, got nothing" in line(capsys, *argv, car=car)


def test_demo_does_not_replace_a_folder_that_is_no_demo(tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    assert "is there and no earlier demo" in line(capsys, "demo", "--out", str(tmp_path))
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_demo_that_was_driven_in_is_not_replaced(tmp_path, capsys, monkeypatch):
    """What is newer than the whole demo is the user's; one that was broken off is begun anew."""
    monkeypatch.setattr(demo, "_step", lambda *args, **options: (_ for _ in ()).throw(RuntimeError("begun")))
    mark, own = tmp_path / demo.MARK, tmp_path / "mycar" / "data" / "images" / "1.jpg"
    own.parent.mkdir(parents=True)
    own.write_text("")
    mark.write_text("whole")
    os.utime(own, ns=(mark.stat().st_mtime_ns + 10**9,) * 2)
    told = line(capsys, "demo", "--out", str(tmp_path))
    assert "was used since the demo, see " in told and "data/images/1.jpg; name a new folder" in told
    assert own.exists()
    os.utime(own, ns=(mark.stat().st_mtime_ns,) * 2)
    with pytest.raises(RuntimeError, match="begun"):
        main(["demo", "--out", str(tmp_path)])
    assert not own.exists()


WITHOUT = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"keras", "tensorflow", "h5py", "matplotlib", "simplejpeg"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from dingocar.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_missing_package_names_its_extra(tmp_path):
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    def run(*argv):
        return subprocess.run(
            [sys.executable, "-c", WITHOUT, *argv], cwd=tmp_path, env=env, capture_output=True, text=True
        )

    assert run("record", "--tub", "tub", "--track", "oval", "--laps", "1").returncode == 0
    done = run("train", "--tub", "tub")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert "pip install 'dingocar[train]'" in done.stderr
