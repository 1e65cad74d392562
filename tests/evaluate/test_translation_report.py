"""The report on a translator: it tells likeness from collapse, and sees what a pilot loses."""

import json

import keras
import numpy as np
import pytest

from dingocar.cli.main import main
from dingocar.errors import UsageError
from dingocar.evaluate.domain_gap import features
from dingocar.evaluate.domain_report_frames import take_frames
from dingocar.evaluate.line_report import Thresholds
from dingocar.evaluate.lines import Box
from dingocar.evaluate.sift import matches
from dingocar.evaluate.translation_figures import Space, diversity, steered
from dingocar.evaluate.translation_report import Place, counterparts
from dingocar.training.metrics import compare
from dingocar.translate import load_translator, save_translator, train_translator, translators
from dingocar.translate._game import translation
from dingocar.translate.tubs import translate_tub
from dingocar.zoo import load_pilot, pilots, save_pilot
from tests.evaluate.test_domain_report import SIZE, drive_both


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tubs of both domains, a translator by colours alone, and an untrained pilot of each domain."""
    folder = tmp_path_factory.mktemp("report")
    drive_both(folder)
    colour = translators.load("colour").from_settings({"image_shape": (*SIZE, 3)})
    train_translator(colour, [folder / "sim"], [folder / "real"], folder / "colour.keras")
    translate_tub(load_translator(folder / "colour.keras", "to_real"), folder / "sim", folder / "made")
    pilot = pilots.load("resnet1").from_settings({"image_shape": (*SIZE, 3)})
    keras.utils.set_random_seed(0)
    for name, looks in (("sim", "sim"), ("real", "real"), ("real_2", "real"), ("none", None)):
        tub = {"path": "x", "domain": "sim", "looks": looks}
        network = pilot.build()
        steering = network.get_layer("steering")
        steering.kernel.assign(0.02 * steering.kernel)  # untrained, it would steer to one side only
        save_pilot(folder / f"{name}.keras", network, pilot, {"tubs": [tub] if looks else []})
    cut = {"filters": 2, "blocks": 1, "discriminator_filters": 2, "direction": "to_sim"}
    for name, shape in (("to_sim", SIZE), ("tiny", (16, 24))):
        translator = translators.load("cut").from_settings(cut | {"image_shape": (*shape, 3)})
        networks = translation(translator, translator.networks())
        save_translator(folder / f"{name}.keras", networks, translator)
    lines = Thresholds(
        {"white": Box((0, 0, 0), (1, 1, 1))} | {"yellow": Box((0, 0, 0), (1, 1, 1))},
        "flat",
        "none",
        (30, 40),
        {},
    )
    (folder / "lines.json").write_text(json.dumps(lines.to_json()))
    other = pilots.load("resnet1").from_settings({"image_shape": (30, 40, 3)})
    save_pilot(folder / "small.keras", other.build(), other, {"tubs": [tub | {"looks": "sim"}]})
    return folder


def pictures(count=60, seed=0):
    """Bright squares at random places on a dark ground, with some grain."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 40, (count, *SIZE, 3))
    for image in images:
        for _ in range(5):
            row, column = rng.integers(0, SIZE[0] - 9), rng.integers(0, SIZE[1] - 9)
            image[row : row + 9, column : column + 9] += rng.integers(60, 200, 3)
    return images.astype(np.uint8)


def test_likeness_knows_the_same_from_others():
    one, other = pictures(seed=1), pictures(seed=2)
    dark = (other // 3).astype(np.uint8)
    known = {name: features(images) for name, images in (("a", one), ("b", other), ("c", dark))}
    space, blocks = Space(known["a"], known["c"]), np.arange(len(one)) // 6
    seen = {name: (space.scaled(values), blocks) for name, values in known.items()}
    near, far = (space.likeness(seen[name], seen["a"], 60, 0) for name in ("b", "c"))
    assert far.frechet > 5 * near.frechet and far.kid > 5 * abs(near.kid)
    assert near.kid_low <= near.kid <= near.kid_high < far.kid_low


def test_a_collapse_is_seen():
    given, genuine = pictures(seed=1), pictures(seed=2)
    alike = np.repeat(genuine[:1], len(given), axis=0)
    space = Space(features(given), features(genuine))
    seen, other, collapsed = (space.scaled(features(images)) for images in (given, genuine, alike))
    spread, kept = diversity(seen, seen, other)
    assert spread == pytest.approx(1, abs=0.1) and kept == pytest.approx(1)
    assert diversity(seen, collapsed, other) == pytest.approx((0, 0), abs=1e-6)
    # All different, and none has anything to do with what it came from.
    spread, kept = diversity(seen, other, other)
    assert spread == pytest.approx(1) and abs(kept) < 0.2


def test_keypoints_are_found_again_where_they_were():
    given = pictures(4)
    same, other = matches(given, given), matches(given, pictures(4, seed=9))
    assert same.share > 0.9 and same.inliers == pytest.approx(same.share * same.keypoints)
    assert other.share < 0.1
    assert matches(given, np.zeros_like(given)).inliers == 0


def test_a_lost_side_is_counted():
    labels = np.array([-0.8, -0.4, 0.0, 0.1, 0.5, 0.9])
    found = steered(np.array([-0.7, -0.1, 0.05, 0.3, 0.6, -0.2]), labels)
    assert found["left"] == pytest.approx({"pictures": 2, "label": -0.6, "said": -0.4, "lost": 0.5})
    assert found["straight"]["lost"] == 0.5 and found["right"]["lost"] == 0.5
    assert found["mae"] == pytest.approx(np.mean([0.1, 0.3, 0.05, 0.2, 0.1, 1.1]))
    assert steered(labels[3:], labels[3:])["left"] is None


def test_the_report_of_a_translator_by_colours(folder, capsys, tmp_path):
    page = tmp_path / "page.html"
    argv = ["translate", "report", "--translator", str(folder / "colour.keras")]
    argv += ["--sim", str(folder / "sim"), "--real", str(folder / "real"), "--look", "photo"]
    argv += ["--pilot", str(folder / "sim.keras"), "--pilot", str(folder / "real.keras"), "--frames", "80"]
    assert main([*argv, "--html", str(page), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    frames = take_frames([folder / "sim", folder / "real"], (), SIZE, 80)
    for direction, knows in (("to_real", "real"), ("to_sim", "sim")):
        found = report["directions"][direction]
        # Colours alone bring it nearer, in looks and to the true counterparts.
        assert found["after"]["frechet"] < found["before"]["frechet"]
        assert found["paired"]["after"] < found["paired"]["before"]
        assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
        assert found["matches"]["share"] > 0.2 and found["kept"] > 0.5
        steering = found["steering"]
        assert steering["pilot"].endswith(f"{knows}.keras") and found["lines"] is None
        pilot, takes = load_pilot(folder / f"{knows}.keras"), {"real": "sim", "sim": "real"}[knows]
        rows = frames.rows(takes)
        labels = frames.steering[rows].astype(float)
        said = pilot.run_batch(frames.images[rows])[0].astype(float)
        assert steering["untranslated"]["mae"] == pytest.approx(compare(said, labels)["mae"], rel=1e-4)
        assert steering["untranslated"]["mae"] != steering["translated"]["mae"]
    text = page.read_text()
    assert text.count("<img") == 6 and "Frechet" in text and "the Frechet distance in looks is closed" in text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--lines", "x.json"], "--lines: is about a place in the simulator; name it: --look photo, say"),
        (["--look", "foto"], "unknown look 'foto'; did you mean 'photo'?"),
        (["--pilot", "small.keras"], "takes pictures (30, 40, 3), the translator's are (60, 80, 3)"),
        (["--pilot", "real.keras", "--pilot", "real_2.keras"], "a second pilot of real pictures"),
        (["--pilot", "none.keras"], "expected a pilot that has learned from one domain"),
        (
            ["--translator", "to_sim.keras", "--pilot", "real.keras"],
            "the translator makes none; leave it",
        ),
        (
            ["--lines", "lines.json", "--look", "photo"],
            "--lines: are for pictures of 30x40, the",
        ),
        (["--sim", "real"], "--sim real: says that its pictures are real, not sim; give it as --real"),
        (
            ["--sim", "made"],
            "--sim made: its pictures are translated and look real; give the tub that it was",
        ),
        (["--html", "colour.keras"], "--html colour.keras: expected a file name that ends in .html"),
        (
            ["--translator", "tiny.keras"],
            "pictures of 16x24 are too small to be judged",
        ),
        (["--frames", "10"], "--frames must be a whole number from 80 to 5000, got '10'"),
    ],
)
def test_mistakes_are_one_line(more, words, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    argv = ["translate", "report", *more]
    for name, value in (("--translator", "colour.keras"), ("--sim", "sim"), ("--real", "real")):
        argv += [] if name in more else [name, value]
    before = (folder / "colour.keras").read_bytes()
    assert main(argv) != 0
    assert (folder / "colour.keras").read_bytes() == before
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said


def test_only_a_place_of_the_same_car_has_counterparts(tmp_path):
    found = counterparts(Place("photo", frames=6), SIZE, 0)
    assert found["sim"].shape == found["real"].shape == (6, *SIZE, 3)
    other = tmp_path / "car.toml"
    other.write_text("[ranges]\nsteering_gain = {low = 0.8, high = 0.85}\n")
    with pytest.raises(UsageError, match=r"changes the camera or the car \(steering_gain\), so"):
        counterparts(Place("photo", str(other), frames=6), SIZE, 0)
