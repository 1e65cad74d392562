"""`dingocar train` from simulated to real pictures, as a user types it."""

import json

import numpy as np
import pytest

from dingocar import training
from dingocar.cli import train as command
from dingocar.cli.main import main
from dingocar.errors import UsageError
from dingocar.tub import TubWriter, open_tub
from dingocar.zoo import load_pilot, pilots, read_card

KEYS, TYPES = ("cam/image_array", "user/angle", "user/throttle"), ("image_array", "float", "float")
QUICK = [
    *("--type", "resnet1", "--epochs", "2", "--tflite", "none", "--set", "IMAGE_H=60", "--set", "IMAGE_W=80"),
    *("--set", "curve=no", "--set", "progress=no", "--set", "batch_size=32", "--set", "gap_frames=2"),
]


def record(folder, brightness, count=80, domain=None):
    """A tub whose pictures have a bar where the road goes."""
    rng = np.random.default_rng(brightness)
    words = {} if domain is None else {"domain": domain}
    with TubWriter(folder, KEYS, TYPES, words, on_full="wait") as writer:
        for i in range(count):
            angle = float(np.sin(i / 7))
            image = rng.integers(brightness, brightness + 40, (60, 80, 3), dtype=np.uint8)
            middle = 36 + round(angle * 34)
            image[:, middle : middle + 6] = 255
            writer.write(dict(zip(KEYS, (image, angle, 0.3), strict=True)))
    return str(folder)


@pytest.fixture(scope="module")
def tubs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tubs")
    record(folder / "sim", 0, domain="sim")
    record(folder / "real", 120, domain="real")
    record(folder / "more", 150, domain="real")
    record(folder / "unknown", 90)
    return folder


def typed(tubs, words):
    """The arguments of `dingocar train`; a word that is a tub's name stands for the tub."""
    return ["train", *[str(tubs / word) if (tubs / word).exists() else word for word in words.split()]]


def line(capsys, argv):
    """The one line of a command that must fail."""
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1, captured.err
    return captured.err


def test_a_pilot_is_adapted_and_says_so(tubs, tmp_path, capsys, monkeypatch):
    model, calibrated = tmp_path / "a.keras", []
    monkeypatch.setattr(
        command, "to_tflite", lambda path, out, kind, tubs: calibrated.append((kind, tubs)) or "x.tflite"
    )
    words = "--tub sim --tub real --unlabelled more --adapt coral --real-labels 20 --select probe"
    argv = [*typed(tubs, words), *QUICK, "--tflite", "int8", "--model", str(model), "--json"]
    argv.remove("none"), argv.remove("--tflite")
    assert main([*argv, "--set", "adapt.weight=0.3"]) == 0
    figures = json.loads(capsys.readouterr().out)
    told = figures["adaptation"]
    assert (told["method"], told["select"], told["settings"]["weight"]) == ("coral", "probe", 0.3)
    assert told["frames"]["real_labelled"] == 20 < told["frames"]["real_unlabelled"]
    assert told["domain_accuracy"] <= 1 and told["probe_accuracy"] <= 1 and told["entanglement"] >= 0
    card = read_card(model)
    assert card["domain_method"]["name"] == "coral"
    assert [tub["path"] for tub in card["tubs"]] == [str(tubs / "sim"), str(tubs / "real")]
    # The pictures it will drive on are calibrated on as well.
    assert calibrated == [("int8", [tubs / "sim", tubs / "real", tubs / "more"])]
    assert -1 <= load_pilot(model).run(open_tub(tubs / "real")[0].image())[0] <= 1
    assert (
        main(
            [
                "evaluate",
                "--model",
                str(model),
                "--tub",
                str(tubs / "sim"),
                "--tub",
                str(tubs / "real"),
                "--json",
            ]
        )
        == 0
    )
    judged = json.loads(capsys.readouterr().out)
    assert judged["held_out"] and judged["frames"] == 32


def test_the_text_says_what_was_adapted_and_how_far(tubs, tmp_path, capsys):
    argv = [*typed(tubs, "--tub sim --unlabelled real --adapt auto"), *QUICK]
    assert main([*argv, "--model", str(tmp_path / "a.keras")]) == 0
    told = capsys.readouterr().out
    found = read_card(tmp_path / "a.keras")["domain_method"]
    sim, real = found["frames"]["sim"], found["frames"]["real_unlabelled"]
    assert f"{sim + real} pictures trained on, 16 held out" in told
    said = f"adapted by {found['name']}: {sim} simulated, {real} real without labels; epoch kept by last"
    assert said in told
    assert "epoch 2 of 2 was kept" in told
    apart, mixed, most = (found[n] for n in ("domain_accuracy", "entanglement", "entanglement_most"))
    by = {"method": "its own classifier", "probe": "a fresh linear classifier"}[found["told_by"]]
    assert f"domains told apart by {by}: {apart:.0%} (50% is chance)" in told
    assert f"entanglement {mixed:.2f} of {most:.2f}" in told


def test_a_pilot_with_its_own_method_is_adapted_by_itself(tubs, tmp_path, capsys, monkeypatch):
    kind = pilots.load("resnet1")
    monkeypatch.setattr(kind, "adaptation", ("coral", {"weight": 2.0}), raising=False)
    asked = []

    def train(tubs, pilot, *args, adaptation, **more):
        asked.append(adaptation)
        raise KeyboardInterrupt

    monkeypatch.setattr("dingocar.training.train", train)
    for words in (
        "--tub sim --unlabelled real --select source --set adapt.warmup=0.5",
        "--tub sim --tub real --adapt none",
        "--tub sim --tub real --adapt coral",
        "--tub sim --tub real --adapt mmd",
    ):
        assert main([*typed(tubs, words), *QUICK]) == 130
    own, off, named, other = asked
    assert (own.method, own.select) == ("coral", "source")
    assert own.settings == {"weight": 2.0, "warmup": 0.5}
    assert off.method == "none" and off.settings == {}
    assert named.method == "coral" and named.settings == {"weight": 2.0}
    assert other.method == "mmd" and other.settings == {}


@pytest.mark.parametrize(
    "words, told",
    [
        ("--tub sim --unlabelled real", "--unlabelled does nothing without --adapt NAME"),
        ("--tub sim --real-labels 5", "--real-labels does nothing without --adapt NAME"),
        ("--tub sim --select probe", "--select does nothing without --adapt NAME"),
        ("--tub sim --set adapt.weight=1", "--set adapt.weight does nothing without --adapt NAME"),
        ("--tub sim --adapt corl", "unknown method 'corl'; did you mean 'coral'?"),
        ("--tub sim --adapt coral --set adapt.wieght=1", "unknown method setting 'wieght'; did you mean"),
        (
            "--tub sim --adapt coral --set adapt.weight=heavy",
            "method setting weight: expected float, got 'heavy'",
        ),
        ("--tub sim --adapt coral --set adpt.weight=1", "unknown setting 'adpt.weight'"),
        ("--tub sim --adapt coral --select prob", "unknown selection 'prob'; did you mean 'probe'?"),
        ("--tub sim --adapt coral --real-labels few", "--real-labels must be a whole number of at least 0"),
        ("--tub sim --adapt coral --real-labels -1", "--real-labels must be a whole number of at least 0"),
        ("--tub sim --unlabeled real", "unknown option --unlabeled; did you mean '--unlabelled'?"),
    ],
)
def test_mistakes_are_told_before_keras_is_imported(tubs, tmp_path, capsys, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "import_keras_quietly", lambda: pytest.fail("it would import keras"))
    assert told in line(capsys, typed(tubs, words))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words, told",
    [
        ("--tub sim --tub unknown --adapt coral", "write it into the tub: dingocar tub domain"),
        ("--tub sim --adapt coral", "needs pictures of both domains"),
        ("--tub real --tub more --adapt coral", "all of these with labels are real"),
        ("--tub sim --tub real --unlabelled real --adapt coral", "is a --tub too"),
        ("--tub sim --tub real --adapt mix --real-labels 0", "learns from real labels too"),
        (
            "--tub sim --tub real --adapt coral --real-labels 900",
            "--real-labels 900: of these tubs 60 labelled",
        ),
        ("--tub sim --unlabelled sim --adapt coral", "is a --tub too"),
    ],
)
def test_tubs_that_do_not_fit_are_told_in_a_line(tubs, tmp_path, capsys, words, told):
    argv = [*typed(tubs, words), *QUICK, "--model", str(tmp_path / "a.keras")]
    assert told in line(capsys, argv)
    assert list(tmp_path.iterdir()) == []


def test_what_the_message_says_helps(tubs, tmp_path, capsys):
    tub = record(tmp_path / "tub", 90)
    argv = [*typed(tubs, "--tub sim --adapt coral"), *QUICK, "--unlabelled", tub, "--set", "epochs=1"]
    assert f"dingocar tub domain {tub} sim|real" in line(capsys, argv)
    assert main(["tub", "domain", tub, "real"]) == 0
    assert main([*argv, "--model", str(tmp_path / "a.keras")]) == 0


@pytest.mark.parametrize("wanted, found", [(100, [34, 33, 33]), (240, [80, 80, 80]), (500, [80, 80, 80])])
def test_calibration_pictures_are_spread_over_all_tubs(tubs, wanted, found):
    """The export takes the first `wanted` of them: no tub's may all come later."""
    names = ("sim", "unknown", "more")
    pictures = list(command._spread_images([tubs / name for name in names], (60, 80), wanted))
    levels = np.array([np.median(picture) for picture in pictures])
    assert np.histogram(levels, [0, 60, 130, 256])[0].tolist() == found


@pytest.mark.parametrize(
    ("words", "standardised", "told"),
    [
        ("--type linear --adapt auto", True, "--adapt auto also sets standardise=true"),
        ("--type linear --adapt auto --set standardise=no", False, ""),
        ("--type linear --adapt confusion", False, "linear sees pictures as they are"),
        ("--type linear --adapt coral", False, "far better with --set standardise=true"),
        ("--type linear --adapt coral --set standardise=yes", True, ""),
        ("--type linear --adapt histogram", False, ""),
        ("--type resnet1 --adapt auto", None, ""),
        ("--type confusion_linear", False, ""),
    ],
)
def test_what_is_recommended_of_the_pilot(tubs, capsys, monkeypatch, words, standardised, told):
    seen = []

    def train(labelled, pilot, *_, **more):
        seen.append(pilot)
        raise UsageError("that will do")

    monkeypatch.setattr(training, "train", train)
    argv = typed(tubs, f"--tub sim --unlabelled real {words}")
    assert main(argv) == 2
    said = capsys.readouterr().err.removesuffix("dingocar: that will do\n")
    assert getattr(seen[0].settings, "standardise", None) is standardised
    assert told in said and (said == "") == (told == "") and said.count("\n") <= 2


def test_what_is_on_or_off_is_said_in_words(tubs, capsys, monkeypatch):
    def train(*_, adaptation, **more):
        raise UsageError(f"match_colours={adaptation.load_method().settings.match_colours}")

    monkeypatch.setattr(training, "train", train)
    argv = typed(tubs, "--tub sim --unlabelled real --type resnet1 --adapt coral --set")
    for word, said in (("yes", True), ("False", False)):
        assert f"match_colours={said}" in line(capsys, [*argv, f"adapt.match_colours={word}"])
    assert "match_colours: expected bool, got 'maybe'" in line(capsys, [*argv, "adapt.match_colours=maybe"])
