"""The domain report: two worlds that differ are told apart, halves of one are not, and a look is a look."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from dingocar.cli.main import commands, main
from dingocar.errors import PilotError, UnknownNameError, UsageError
from dingocar.evaluate import domain_report, domain_report_frames, domain_report_page
from dingocar.evaluate.domain_report import Probe, make_report, picture_size, steering_bins
from dingocar.evaluate.domain_report_frames import take_frames
from dingocar.evaluate.domain_report_page import features_figure, meaning, report_text, write_dump
from dingocar.evaluate.domain_report_pairs import Seen, compare_pairs, see_in_two_looks
from dingocar.evaluate.pictures import PictureSet
from dingocar.registry import use_car_folder
from dingocar.sim import Noise, World, car_for, drive_expert, load_track
from dingocar.training import TrainingSettings, train
from dingocar.training.recording import write_session
from dingocar.tub import TubWriter, open_tub
from dingocar.zoo import pilots, save_pilot
from tests.zoo.making import small

SIZE = (60, 80)


def drive(folder, domain, look, track, seed):
    """Records half a lap of the disturbed expert."""
    place = load_track(track)
    car = car_for(place)
    world = World(place, look, camera=car.camera(SIZE), dynamics=car.dynamics, seed=seed)
    frames = drive_expert(world, car.expert(place), 0.5, Noise(np.random.default_rng(seed)))
    timed = ((frame.time_s, frame) for frame in frames)
    for _ in write_session(folder, timed, {"domain": domain}, 90, 1.7e9 + 1e4 * seed):
        pass


def drive_both(folder):
    """Records a simulated and a real tub, two sessions each; in the simulator all is dark asphalt."""
    for seed, track in enumerate(("circuit", "random:1")):
        drive(folder / "sim", "sim", "flat", track, seed)
        drive(folder / "real", "real", "photo", track, 10 + seed)
    return [folder / "sim", folder / "real"]


@pytest.fixture(scope="module")
def tubs(tmp_path_factory):
    """A simulated and a real tub."""
    return drive_both(tmp_path_factory.mktemp("tubs"))


@pytest.fixture(scope="module")
def model(tubs, tmp_path_factory):
    """A resnet1 that has seen a little of the simulated tub."""
    pilot = pilots.load("resnet1").from_settings({"image_shape": (*SIZE, 3)})
    settings = TrainingSettings(
        epochs=2, batch_size=64, learning_rate=2e-3, gap_frames=4, precision="float32", curve=False
    )
    file = tmp_path_factory.mktemp("model") / "pilot.keras"
    train(tubs[:1], pilot, file, dataclasses.replace(settings, progress=False))
    return file


@pytest.fixture(scope="module")
def made(tubs, model):
    """A report, its material, and what the progress was told."""
    shares = []
    frames = take_frames(tubs[:1], tubs[1:], picture_size(model), 160)
    report, material = make_report(model, frames, seed=1, on_progress=shares.append)
    return report, material, shares


def test_the_domains_are_told_apart_and_halves_of_one_are_not(made):
    report, material, shares = made
    assert (report.pilot, report.method, report.width) == ("resnet1", None, 32)
    assert report.frames == {"sim": 160, "real": 160} and min(report.blocks.values()) >= 8
    for kind in ("linear", "mlp"):
        probe = report.probes[kind]
        assert probe.accuracy > 0.85 and probe.low <= probe.accuracy <= probe.high <= 1
        assert probe.a_distance == pytest.approx(4 * probe.accuracy - 2)
        for domain in ("sim", "real"):
            assert report.floors[domain][kind].accuracy < probe.low
            assert report.floors[domain][kind].accuracy < 0.75
    assert 0 <= report.domain_entanglement.loss < 0.6 < report.domain_entanglement.most < 0.85
    assert report.steering_entanglement["real"] is None and report.steering_entanglement["sim"] is not None
    assert report.mae["real"] is None and 0 < report.mae["sim"] < 0.5
    expected = np.abs(material.steering - material.frames.steering)[material.frames.domains == "sim"]
    assert report.mae["sim"] == pytest.approx(float(expected.mean()))
    assert shares == sorted(shares) and shares[-1] == 1
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["pairs"]["one"] == "flat"


def test_pictures_without_a_label_do_not_count_as_straight_or_right(made):
    _, material, _ = made
    steering = material.frames.steering.copy()
    steering[:160:2] = np.nan
    frames = dataclasses.replace(material.frames, steering=steering)
    elsewhere = material.features.copy()
    elsewhere[:160:2] = 1e3
    found = [
        domain_report._steering_entanglement(frames, features, "sim", 0)
        for features in (material.features, elsewhere)
    ]
    assert found[0] == found[1] and found[0] is not None


def test_a_look_changes_what_an_untaught_pilot_sees(made):
    pairs = made[0].pairs
    assert (pairs.one, pairs.other) == ("flat", "photo") and 150 < pairs.states <= 200
    assert 0.3 < pairs.moved_low < pairs.moved < pairs.moved_high
    assert pairs.steering > 0 and 0 < pairs.one_mae < 1 and 0 < pairs.other_mae < 1


def test_text_and_meaning(made):
    report = made[0]
    text = report_text(report)
    assert f"{report.probes['mlp'].accuracy:.0%} ({report.probes['mlp'].low:.0%} to" in text
    assert f"A-distance, linear          {report.probes['linear'].a_distance:.2f}" in text
    assert "real n/a" in text and text.endswith(meaning(report))
    assert all(len(line) < 125 for line in text.splitlines()[1:-1])

    def says(accuracy, low, floor):
        probe = Probe(accuracy, low, 1.0, 0.0)
        half = Probe(0.5, 0.4, floor, 0.0)
        kinds = dict.fromkeys(("linear", "mlp"), half)
        return meaning(
            dataclasses.replace(
                report, probes={"linear": half, "mlp": probe}, floors={"sim": kinds, "real": kinds}
            )
        )

    assert "97% of the time (guessing: 50%), so to the pilot these are two worlds" in says(0.97, 0.9, 0.6)
    assert "the two worlds overlap, and differ" in says(0.8, 0.7, 0.6)
    assert "no better than it tells two halves of one apart" in says(0.6, 0.5, 0.6)
    adapted = dataclasses.replace(report, method="dann", skipped=3)
    assert "resnet1, adapted by dann, 32 features" in report_text(adapted)
    assert "; 3 could not be read" in report_text(adapted)


def test_the_page_needs_no_other_file(made, tmp_path):
    report, material, _ = made
    file = tmp_path / "page.html"
    shares = []
    domain_report_page.write_report(file, report, material, shares.append)
    page = file.read_text()
    assert not re.search(r'(src|href)="(?!data:)', page) and shares[-1] == 1
    found = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        for data in re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    ]
    assert len(found) == 2 and all(picture.std() > 5 for picture in found)
    for colour in domain_report_page.COLOURS.values():
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        assert (np.abs(found[0].astype(int) - rgb).max(axis=2) < 60).sum() > 500
    assert f"<td>{report.probes['linear'].accuracy:.0%} (" in page
    assert f"<p>{meaning(report)}</p>" in page


def test_features_without_any_label_are_drawn_too(made):
    material = made[1]
    bare = dataclasses.replace(material.frames, steering=np.full_like(material.frames.steering, np.nan))
    assert features_figure(dataclasses.replace(material, frames=bare)).startswith(b"\x89PNG")


def test_the_dump_holds_the_features_and_the_truth(made, tubs, tmp_path):
    _, material, _ = made
    file = tmp_path / "dump.bin"  # the name is the user's
    write_dump(file, material)
    with np.load(file, allow_pickle=False) as dump:
        arrays = {name: dump[name] for name in dump.files}
    assert set(arrays) == {
        *("features", "pca", "domain", "steering", "throttle", "predicted_steering"),
        *("predicted_throttle", "tub", "record", "block"),
    }
    assert {len(values) for values in arrays.values()} == {320}
    assert arrays["features"].shape == (320, 32) and arrays["pca"].shape == (320, 2)
    sim = arrays["domain"] == "sim"
    assert sim.sum() == 160 and np.isnan(arrays["steering"][~sim]).all()
    tub = {record.index: record for record in open_tub(tubs[0])}
    for row in np.flatnonzero(sim)[::37]:
        record = tub[int(arrays["record"][row])]
        assert arrays["tub"][row] == str(tubs[0])
        assert arrays["steering"][row] == pytest.approx(record.steering, abs=1e-6)
        assert arrays["throttle"][row] == pytest.approx(record.throttle, abs=1e-6)
    assert np.isfinite(arrays["predicted_steering"]).all() and arrays["predicted_throttle"].std() > 0


def test_a_dump_that_cannot_be_finished_leaves_the_old_one(made, tmp_path, monkeypatch):
    file = tmp_path / "dump.npz"
    file.write_bytes(b"old")

    def full(stream, **arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        write_dump(file, made[1])
    assert file.read_bytes() == b"old" and [each.name for each in tmp_path.iterdir()] == ["dump.npz"]


def test_frames_are_of_separate_stretches_and_even(tubs):
    frames = take_frames(tubs, shape=(20, 30), most=100)
    assert frames.images.shape == (200, 20, 30, 3) and frames.images.dtype == np.uint8
    assert frames.domains.tolist() == ["sim"] * 100 + ["real"] * 100
    assert not set(frames.blocks[:100]) & set(frames.blocks[100:])
    for domain, tub in zip(("sim", "real"), tubs, strict=True):
        rows = frames.rows(domain)
        records = frames.records[rows]
        assert (np.diff(records) > 0).all() and set(frames.tubs[rows]) == {str(tub)}
        assert records[0] < 10 and records[-1] > len(open_tub(tub)) - 10
        assert np.isfinite(frames.steering[rows]).all()
        sessions = {record.index: record.session_id for record in open_tub(tub)}
        for before, after in itertools.pairwise(rows):
            if frames.blocks[before] != frames.blocks[after]:
                ends = [int(frames.records[row]) for row in (before, after)]
                assert ends[1] - ends[0] > 3 or sessions[ends[0]] != sessions[ends[1]]


def test_a_record_that_says_its_domain_is_believed(tmp_path):
    """A tub may hold both; broken pictures are passed over."""
    inputs = ["cam/image_array", "is-simulated", "user/angle"]
    with TubWriter(tmp_path / "both", inputs, ["image_array", "boolean", "float"], on_full="wait") as writer:
        for number in range(240):
            image = np.full((20, 30, 3), number, np.uint8)
            values = {"is-simulated": number < 120, "user/angle": 3.0}
            writer.write({"cam/image_array": image, **values})
    record = open_tub(tmp_path / "both")[55]
    record.image_path().write_bytes(b"no picture")
    frames = take_frames([tmp_path / "both"], shape=(20, 30), most=500)
    assert (frames.records[frames.domains == "real"] >= 120).all() and frames.skipped == 1
    assert 55 not in frames.records and len(frames.rows("sim")) >= 80
    assert set(frames.steering) == {1.0} and np.isnan(frames.throttle).all()


def test_steering_bins():
    assert steering_bins(np.array([-1, -0.11, -0.1, 0, 0.1, 0.11, 1])).tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_what_is_missing_is_told(tubs, tmp_path, monkeypatch):
    sim, real = tubs
    with pytest.raises(UsageError, match=r"sim: .* and none of them real; both are needed: add --tub"):
        take_frames([sim])
    with pytest.raises(UsageError, match="none of them simulated"):
        take_frames([], [real])
    with pytest.raises(UsageError, match="was given twice"):
        take_frames([sim, real], [sim.parent / "." / "sim"])
    with pytest.raises(UsageError, match="expected at least one tub"):
        take_frames([])
    monkeypatch.setattr(domain_report_frames, "LEAST_FRAMES", 50)
    with pytest.raises(UsageError, match=r"40 whole sim pictures of .* say too little; expected at least 50"):
        take_frames(tubs, most=40)
    with TubWriter(tmp_path / "x", ["cam/image_array"], ["image_array"], on_full="wait") as writer:
        writer.write({"cam/image_array": np.zeros((20, 30, 3), np.uint8)})
    with pytest.raises(UsageError, match=r"does not say whether .* dingocar tub domain .*x sim\|real"):
        take_frames([sim, tmp_path / "x"])


def test_a_pilot_whose_features_cannot_be_seen(tmp_path):
    for suffix in (".tflite", ".h5"):
        with pytest.raises(PilotError, match=f"a {suffix} file gives a pilot's commands.*the .keras file"):
            picture_size(tmp_path / f"x{suffix}")
    pilot, network = small("resnet1")
    file = save_pilot(tmp_path / "odd.keras", network, pilot)
    assert picture_size(file) == (80, 96)


def test_what_pairs_measure_by_hand():
    """Two drives of two states: they are 4 apart in one look and 8 in the other, looks 3 and 5."""
    black = np.zeros((4, 2, 2, 3), np.uint8)
    where = np.array([0, 0, 1, 1])
    seen = Seen(PictureSet("a", black, where), PictureSet("b", black, where), np.array([0.0, 0.1, 0.2, 0.3]))
    one = np.array([[0.0, 0.0], [4.0, 0.0], [100.0, 0.0], [104.0, 0.0]])
    other = np.array([[0.0, 3.0], [8.0, 3.0], [100.0, 3.0], [108.0, 3.0]])
    steering = np.array([0.1, 0.1, 0.1, 0.1]), np.array([0.5, 0.1, 0.1, 0.1])
    pairs = compare_pairs(seen, (one, other), steering)
    assert (pairs.moved, pairs.moved_low, pairs.moved_high) == pytest.approx((4 / 6,) * 3)
    assert (pairs.steering, pairs.one_mae, pairs.other_mae) == pytest.approx((0.1, 0.1, 0.2))
    still = compare_pairs(seen, (0 * one, 0 * one), steering)
    assert (still.moved, still.moved_high) == (0, 0)


def test_pairs_are_of_the_same_states(tmp_path):
    """A look of another name that paints the same gives the same pictures."""
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "copy.py").write_text('"""A copy."""\nfrom dingocar.sim.looks.flat import look\n')
    use_car_folder(tmp_path)
    seen = see_in_two_looks(("flat", "copy"), (32, 48), seed=3)
    assert (seen.one.images == seen.other.images).all() and len(seen.expert) == len(seen.one.images)
    assert (seen.one.images[0] != seen.one.images[-1]).any()
    assert np.abs(seen.expert).max() > 0.2 and len(np.unique(seen.one.blocks)) == 10
    with pytest.raises(UsageError, match="two different ones"):
        see_in_two_looks(("flat", "flat"))
    with pytest.raises(UnknownNameError, match="unknown look 'foto'; did you mean 'photo'"):
        see_in_two_looks(("flat", "foto"))


def test_the_command(tubs, model, tmp_path, capsys, monkeypatch):
    assert "domain-report" in commands.names() and "domain_report" not in commands.names()
    monkeypatch.setattr("dingocar.evaluate.domain_report_pairs.DRIVES", 2)
    argv = ["domain-report", "--model", str(model), "--tub", str(tubs[0]), "--unlabelled", str(tubs[1])]
    files = ["--html", str(tmp_path / "page.html"), "--dump", str(tmp_path / "dump.npz")]
    assert main([*argv, "--frames", "80", "--looks", "photo,flat", "--json", *files]) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out)
    assert figures["pairs"]["one"] == "photo" and figures["frames"] == {"sim": 80, "real": 80}
    assert figures["mae"]["real"] is None and figures["html"] == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 50_000 and (tmp_path / "dump.npz").is_file()
    assert main([*argv, "--frames", "80"]) == 0
    assert "told apart, MLP" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--looks", "flat"], "--looks must be two different looks like flat,photo, got 'flat'"),
        (["--looks", "flat,flat"], "--looks must be two different looks"),
        (["--looks", "flat,foto"], "unknown look 'foto'; did you mean 'photo'?"),
        (["--track", "ovla"], "unknown track 'ovla'; did you mean 'oval'?"),
        (["--frames", "79"], "--frames must be a whole number from 80 to 5000, got '79'"),
        (["--html", "no/page.html"], "--html no/page.html: no such folder: no; make it first"),
        (["--unlabelled", "SIM"], "was given twice"),
        ([], "none of them real"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_slow(more, told, tubs, model, capsys, monkeypatch):
    monkeypatch.setattr("dingocar.cli._common.import_keras_quietly", None)
    monkeypatch.setattr("dingocar.evaluate.domain_report.make_report", None)
    more = [str(tubs[0]) if word == "SIM" else word for word in more]
    assert main(["domain-report", "--model", str(model), "--tub", str(tubs[0]), *more]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_pictures_of_another_size_are_told(made, model):
    material = made[1]
    wrong = dataclasses.replace(material.frames, images=material.frames.images[:, ::2])
    with pytest.raises(PilotError, match=r"of 60x80 pixels, got \(30, 80\)"):
        make_report(model, wrong)
