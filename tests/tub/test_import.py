"""Recordings of other programs become tubs: whole ones, or none."""

import csv
import json
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from dingocar.cli.main import main
from dingocar.errors import TrainingError, TubError, UnknownNameError, UsageError
from dingocar.sim.duckiebot import commands
from dingocar.training.dataset import load_dataset
from dingocar.tub import open_tub
from dingocar.tub.check import check
from dingocar.tub.importers import Settings, formats, import_tub
from dingocar.tub.importers.duckietown import command_of
from dingocar.tub.info import info

RED, BLUE = (250, 5, 5), (5, 5, 250)


def picture(colour=RED, shape=(24, 32)):
    return np.full((*shape, 3), colour, np.uint8)


def save(path, colour=RED, shape=(24, 32), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(colour, shape)).save(path, **options)


def sound(tub):
    """A tub that every reader takes."""
    report = check(tub)
    assert report.ok, report.problems
    figures = info(open_tub(tub))
    assert figures["problems"] == []
    return figures


def log_step(observation, left, right, done=False):
    return {
        "step": [observation, np.array([left, right])],
        "metadata": [(1.0, 0.0, 2.0, 0.5), np.float64(-0.3), done, {"Simulator": {"msg": "", "n": {1}}}],
    }


def write_log(path, episodes=3, steps=5, protocol=None, tail=b""):
    """A log of the baseline's logger: BGR, each picture beside the command that led to it."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for episode in range(episodes):
            bgr = picture(BLUE, (60, 80))  # red for who knows that blue comes first
            entries = [
                log_step(
                    bgr.copy(), 0.1 * step + 0.01 * episode, 0.1 * step, step == steps - 1 and episode == 0
                )
                for step in range(steps)
            ]
            pickle.dump(entries, file, protocol)
        file.write(tail)
    return rng


# Duckietown.


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_a_train_log_becomes_a_tub(tmp_path, protocol):
    write_log(tmp_path / "train.log", protocol=protocol)
    result = import_tub(tmp_path / "train.log", tmp_path / "tub")
    assert (
        result.format,
        result.domain,
        result.records,
        result.labelled,
        result.sessions,
        result.skipped,
    ) == (*("duckietown", "sim", 12, 12, 3, 0),)
    figures = sound(tmp_path / "tub")
    assert figures["domain"] == "sim" and figures["rate_hz"] == pytest.approx(30, rel=0.05)
    assert figures["duration_s"] == pytest.approx(3 * 3 / 30, rel=0.1)
    records = open_tub(tmp_path / "tub").records
    assert np.abs(records[0].image().astype(int) - RED).max() < 25  # blue came first
    steering, throttle = command_of(0.12 + 0.1, 0.2)
    third = [record for record in records if record.session_id == result_session(records, 2)][1]
    assert (third.steering, third.throttle) == pytest.approx((steering, throttle))


def result_session(records, number):
    return list(dict.fromkeys(record.session_id for record in records))[number]


def test_a_train_log_as_it_stands(tmp_path):
    write_log(tmp_path / "train.log")
    result = import_tub(tmp_path / "train.log", tmp_path / "tub", settings=Settings(as_logged=True))
    assert result.records == 15
    first = open_tub(tmp_path / "tub").records[0]
    assert first.throttle == 0 and np.abs(first.image().astype(int) - BLUE).max() < 25


def test_wheels_mean_what_the_simulator_says():
    for left, right in ((0.3, 0.3), (0.5, 0.1), (-0.2, 0.4), (1.0, -1.0), (0.0, 0.9)):
        assert command_of(left, right) == pytest.approx([float(value) for value in commands(left, right)])


@pytest.mark.parametrize(
    "episode",
    [
        lambda steps: [(s["step"][0], s["step"][1].tolist(), 0.5, False, {}) for s in steps],
        lambda steps: {
            "observations": [s["step"][0] for s in steps],
            "actions": [s["step"][1] for s in steps],
        },
        lambda steps: (np.stack([s["step"][0] for s in steps]), np.stack([s["step"][1] for s in steps])),
        lambda steps: [{"step": (s["step"][0].transpose(2, 0, 1).copy(), s["step"][1])} for s in steps],
    ],
    ids=["tuples", "dict", "arrays", "channels first"],
)
def test_other_kinds_of_logs(tmp_path, episode):
    steps = [log_step(picture(BLUE), 0.2, 0.3) for _ in range(4)]
    (tmp_path / "log.pkl").write_bytes(pickle.dumps(episode(steps)) + pickle.dumps(episode(steps)))
    result = import_tub(tmp_path / "log.pkl", tmp_path / "tub")
    assert (result.records, result.sessions) == (6, 2)
    sound(tmp_path / "tub")


def test_single_steps_end_with_done(tmp_path):
    steps = [log_step(picture(), 0.2, 0.3, done) for done in (False, False, True, False, False)]
    (tmp_path / "train.log").write_bytes(b"".join(map(pickle.dumps, steps)))
    result = import_tub(tmp_path, tmp_path / "tub", "duckietown")
    assert (result.records, result.sessions) == (3, 2)


def test_a_log_that_was_cut_off_gives_what_is_whole(tmp_path):
    write_log(tmp_path / "train.log")
    raw = (tmp_path / "train.log").read_bytes()
    (tmp_path / "train.log").write_bytes(raw[:-500])
    result = import_tub(tmp_path / "train.log", tmp_path / "tub")
    assert (result.sessions, result.skipped) == (2, 1) and "cut off after episode 2" in result.problems[0]


def test_steps_that_are_none_are_left_out(tmp_path):
    bad = [
        {"step": [np.zeros((4, 4)), [0, 0]]},
        {"step": [picture(), [0.0, float("nan")]]},
        {"step": [picture(), [1, 2, 3]]},
        {"other": 1},
        7,
    ]
    good = [log_step(picture(), 0.2, 0.3)] * 3
    (tmp_path / "train.log").write_bytes(pickle.dumps(good + bad))
    result = import_tub(tmp_path / "train.log", tmp_path / "tub")
    assert (result.records, result.skipped) == (2, 5)
    assert "uint8 (H, W, 3)" in result.problems[0] and "episode 1, step 4" in result.problems[0]


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


def test_a_hostile_log_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "train.log", tail=pickle.dumps([Evil()]))
    assert main(["tub", "import", "train.log", "--tub", "tub"]) == 2
    told = capsys.readouterr().err
    assert "system" in told and "pickle 4" in told and told.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.log"]


# Udacity.


def write_udacity(folder, rows=6, header=True, windows=True):
    folder.mkdir()
    with open(folder / "driving_log.csv", "w", newline="") as file:
        table = csv.writer(file)
        if header:
            table.writerow(["center", "left", "right", "steering", "throttle", "brake", "speed"])
        for row in range(rows):
            stamp = f"2016_12_01_13_{30 + row // 4}_{48 + row % 4}_{287 + row}"
            names = [f"{camera}_{stamp}.jpg" for camera in ("center", "left", "right")]
            for name, colour in zip(names, (RED, BLUE, (5, 250, 5)), strict=True):
                save(folder / "IMG" / name, colour, (16, 32))
            lead = "C:\\Users\\somebody\\Desktop\\IMG\\" if windows else " IMG/"
            table.writerow([*(lead + name for name in names), 0.1 * row - 0.2, 0.5, 0.0, 22.3694])


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("windows", [True, False])
def test_udacity(tmp_path, header, windows):
    write_udacity(tmp_path / "rec", header=header, windows=windows)
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.format, result.records, result.sessions, result.skipped) == ("udacity", 6, 2, 0)
    figures = sound(tmp_path / "tub")
    assert figures["steering"]["min"] == pytest.approx(-0.2) and figures["steering"]["max"] == pytest.approx(
        0.3
    )
    records = open_tub(tmp_path / "tub").records
    assert records[0].fields["enc/speed"] == pytest.approx(10.0, rel=1e-3)
    assert records[1].timestamp_ms - records[0].timestamp_ms == 1001
    name = "center_2016_12_01_13_30_48_287.jpg"
    assert records[0].image_path().read_bytes() == (tmp_path / "rec" / "IMG" / name).read_bytes()


def test_udacitys_side_cameras_steer_back(tmp_path):
    write_udacity(tmp_path / "rec", rows=3)
    settings = Settings(cameras="all", side_steering=0.25)
    result = import_tub(tmp_path / "rec", tmp_path / "tub", settings=settings)
    assert (result.records, result.sessions) == (9, 3)
    steering = [record.steering for record in open_tub(tmp_path / "tub")]
    assert steering == pytest.approx([-0.2, -0.1, 0, 0.05, 0.15, 0.25, -0.45, -0.35, -0.25])


def test_udacitys_rows_with_faults_are_left_out(tmp_path):
    write_udacity(tmp_path / "rec", rows=4)
    table = tmp_path / "rec" / "driving_log.csv"
    lines = table.read_text().splitlines()
    lines += [
        "a,b",
        "../../etc/passwd,x,y,0,0,0,0",
        lines[1].replace("-0.2", "nan"),
        lines[1].replace("0.5", "fast"),
    ]
    table.write_text("\n".join(lines))
    secret = tmp_path / "secret.jpg"
    save(secret)
    (tmp_path / "rec" / "IMG" / "link.jpg").symlink_to(secret)
    with table.open("a") as file:
        file.write("\nlink.jpg,x,y,0,0,0,0\n../secret.jpg,x,y,0,0,0,0\n")
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.records, result.skipped) == (4, 6)


# Folders.


def test_a_folder_with_labels(tmp_path):
    for number in range(5):
        save(tmp_path / "rec" / "pictures" / f"{number}.png")
    rows = [f"pictures/{n}.png, {0.1 * n}, 0.4, {1700000000 + n / 10}" for n in range(5)]
    (tmp_path / "rec" / "labels.csv").write_text(
        "\ufeffimage, Angle, throttle, timestamp\n" + "\n".join(rows)
    )
    result = import_tub(tmp_path / "rec", tmp_path / "tub", domain="real", settings=Settings(shape=(12, 16)))
    assert (result.format, result.domain, result.records, result.skipped) == ("folder", "real", 5, 0)
    figures = sound(tmp_path / "tub")
    assert figures["rate_hz"] == pytest.approx(10) and figures["steering"]["max"] == pytest.approx(0.4)
    assert open_tub(tmp_path / "tub").records[0].image().shape == (12, 16, 3)
    dataset = load_dataset([tmp_path / "tub"], (12, 16))
    assert len(dataset) == 5 and set(dataset.domains) == {"real"}


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_labels(tmp_path, suffix):
    rows = [{"file": f"{n}.jpg", "steering": 0.5, "throttle": 1, "session": n // 2} for n in range(4)]
    for row in rows:
        save(tmp_path / "rec" / row["file"])
    text = json.dumps(rows) if suffix == "json" else "\n".join(map(json.dumps, rows))
    (tmp_path / "rec" / f"labels.{suffix}").write_text(text)
    assert import_tub(tmp_path / "rec", tmp_path / "tub").sessions == 2
    sound(tmp_path / "tub")


def test_pictures_alone_are_unlabelled_and_refused_by_training(tmp_path):
    for number in (1, 2, 10):
        save(tmp_path / "rec" / "walk" / f"{number}.jpg", (number * 20, 0, 0), quality=95)
    save(tmp_path / "rec" / "other" / "a.jpeg")
    (tmp_path / "rec" / "other" / "note.txt").write_text("no picture")
    result = import_tub(tmp_path / "rec", tmp_path / "tub", domain="real")
    assert (result.records, result.labelled, result.sessions) == (4, 0, 2)
    figures = sound(tmp_path / "tub")
    assert figures["steering"] is None and list(figures["channels"]) == ["cam/image_array"]
    reds = [int(record.image()[0, 0, 0]) for record in open_tub(tmp_path / "tub")][1:]
    assert reds == sorted(reds)  # 2 before 10
    with pytest.raises(TrainingError, match="none of the 4 records has a number"):
        load_dataset([tmp_path / "tub"])
    assert len(load_dataset([tmp_path / "tub"], (24, 32), required=())) == 4


def test_a_phones_picture_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright
    save(tmp_path / "rec" / "a.jpg", shape=(16, 32), exif=exif)
    import_tub(tmp_path / "rec", tmp_path / "tub")
    assert open_tub(tmp_path / "tub").records[0].image().shape == (32, 16, 3)


def test_a_table_cannot_lead_out_of_its_folder(tmp_path):
    save(tmp_path / "secret.jpg")
    save(tmp_path / "rec" / "a.jpg")
    (tmp_path / "rec" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "rec" / "up").symlink_to(tmp_path)
    names = [
        "../secret.jpg",
        str(tmp_path / "secret.jpg"),
        "link.jpg",
        "up/secret.jpg",
        "C:\\x.jpg",
        "a.jpg",
        "b.jpg",
    ]
    text = "file,steering,throttle\n" + "\n".join(f"{name},0,0" for name in names)
    (tmp_path / "rec" / "labels.csv").write_text(text + "\na.jpg,1.5,0\n")
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.records, result.skipped) == (1, 7)
    assert "outside the table's folder" in result.problems[0] and "-1 to 1" in result.problems[-1]


def test_links_are_no_pictures(tmp_path):
    save(tmp_path / "secret.jpg")
    save(tmp_path / "rec" / "a.jpg")
    (tmp_path / "rec" / "b.jpg").symlink_to(tmp_path / "secret.jpg")
    assert import_tub(tmp_path / "rec", tmp_path / "tub").records == 1


def test_columns_that_are_missing_are_named(tmp_path):
    save(tmp_path / "rec" / "a.jpg")
    (tmp_path / "rec" / "labels.csv").write_text("file,stering,throttle\na.jpg,0,0\n")
    with pytest.raises(TubError, match=r"has no column 'steering'.*did you mean 'stering'"):
        import_tub(tmp_path / "rec", tmp_path / "tub")


# All of them.


def test_nothing_is_left_behind_and_nothing_is_overwritten(tmp_path):
    save(tmp_path / "rec" / "a.jpg")
    import_tub(tmp_path / "rec", tmp_path / "tub")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "tub").rglob("*"))
    with pytest.raises(TubError, match="is there already"):
        import_tub(tmp_path / "rec", tmp_path / "tub")
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "tub").rglob("*")) == before
    (tmp_path / "rec" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(TubError, match="no record can be imported as folder"):
        import_tub(tmp_path / "rec", tmp_path / "new" / "tub")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path):
    for number in range(3):
        save(tmp_path / "rec" / f"{number}.jpg")

    def interrupt(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_tub(tmp_path / "rec", tmp_path / "tub", on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


def test_an_empty_folder_is_taken(tmp_path):
    save(tmp_path / "rec" / "a.jpg")
    (tmp_path / "tub").mkdir()
    import_tub(tmp_path / "rec", tmp_path / "tub")
    sound(tmp_path / "tub")


def test_large_tubs_have_several_catalogs(tmp_path):
    save(tmp_path / "rec" / "a.jpg", shape=(8, 8))
    text = "file,steering,throttle\n" + "a.jpg,0,0\n" * 1100
    (tmp_path / "rec" / "labels.csv").write_text(text)
    assert import_tub(tmp_path / "rec", tmp_path / "tub").records == 1100
    assert sound(tmp_path / "tub")["records"] == 1100
    assert len(list((tmp_path / "tub").glob("*.catalog"))) == 2


def test_what_is_no_recording_is_told(tmp_path):
    (tmp_path / "text.txt").write_text("no recording")
    for source, told in (("text.txt", "is no recording"), ("nowhere", "no such file")):
        with pytest.raises(TubError, match=told):
            import_tub(tmp_path / source, tmp_path / "tub")
    with pytest.raises(UnknownNameError, match="did you mean 'udacity'"):
        import_tub(tmp_path / "text.txt", tmp_path / "tub", "udacty")
    with pytest.raises(TubError, match="is no udacity recording"):
        import_tub(tmp_path / "text.txt", tmp_path / "tub", "udacity")
    save(tmp_path / "rec" / "a.jpg")
    import_tub(tmp_path / "rec", tmp_path / "tub")
    with pytest.raises(TubError, match="is a tub already"):
        import_tub(tmp_path / "tub", tmp_path / "other")


def test_settings_are_checked():
    for wrong in ({"shape": (1, 1)}, {"rate_hz": 0.0}, {"cameras": "two"}, {"side_steering": 2.0}):
        with pytest.raises(UsageError):
            Settings(**wrong)


@pytest.mark.parametrize("name", formats.names())
def test_every_format_is_an_importer(name):
    importer = formats.load(name)
    assert callable(importer.fits) and callable(importer.read) and importer.expects


def test_the_command_reports(tmp_path, capsys):
    write_log(tmp_path / "train.log")
    tub = tmp_path / "tub"
    assert (
        main(["tub", "import", str(tmp_path / "train.log"), "--tub", str(tub), "--shape", "30x40", "--json"])
        == 0
    )
    out = capsys.readouterr().out
    assert json.loads(out)["records"] == 12 and out.count("\n") == 1
    assert open_tub(tub).records[0].image().shape == (30, 40, 3)
    save(tmp_path / "rec" / "a.jpg")
    assert main(["tub", "import", str(tmp_path / "rec"), "--tub", str(tmp_path / "b")]) == 0
    told = capsys.readouterr().out
    assert "1 record in 1 session from" in told and "--domain" in told and "no labels" in told
    assert (
        main(["tub", "import", str(tmp_path / "rec"), "--tub", str(tmp_path / "c"), "--domain", "reel"]) == 2
    )
    assert "did you mean 'real'" in capsys.readouterr().err
    assert main(["tub", "import", str(tmp_path / "rec"), "--tub", str(tmp_path / "c"), "--shape", "30"]) == 2
    assert "120x160" in capsys.readouterr().err
