"""One small suite for real: recorded, trained, driven, shown, filmed; and the pieces of it."""

import json

import numpy as np
import pytest

from dingocar.cli.main import main
from dingocar.errors import UsageError
from dingocar.evaluate.drive import DriveResult
from dingocar.evaluate.leaderboard.judge import steering_error, summary
from dingocar.evaluate.leaderboard.keys import code_digest
from dingocar.evaluate.leaderboard.recording import make_recording, recorded_episodes, redrawn
from dingocar.evaluate.leaderboard.row import method_recordings
from dingocar.evaluate.leaderboard.suite import Recording, WorldSpec
from dingocar.evaluate.leaderboard.video import film
from dingocar.sim import Track, load_randomisation
from dingocar.tub import open_tub
from tests.evaluate.leaderboard.making import make_suite

SUITE = """
title = "Tiny"
seeds = [5]
target = "photo"
picture = [64, 84]
training = {epochs = 1, validation_blocks = 1, gap_frames = 1}
recording = {tracks = ["random:1"], frames = 64, episode_frames = 40}
[pilots.linear]
[methods.tuned]
selection = "dev"
candidates = [{learning_rate = 1e-9}, {learning_rate = 1e-3}]
labelled = {look = "photo", frames = 16, tracks = ["oval"]}
[worlds.dev]
role = "dev"
tracks = ["dev.npy"]
look = "photo"
laps = 1
frames = 32
[worlds.away]
role = "test"
tracks = ["away.npy"]
look = "photo"
laps = 1
frames = 32
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A suite's file and the folder of its results."""
    folder = tmp_path_factory.mktemp("tiny")
    file, out = folder / "tiny.toml", folder / "out"
    for name, radius_m in (("dev", 1.0), ("away", 1.2)):  # small ones are soon driven
        angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
        centre = radius_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        Track.from_centre(name, centre, 0.35).save(folder / f"{name}.npy")
    file.write_text(SUITE)
    assert main(["leaderboard", "run", str(file), "--out", str(out)]) == 0
    return file, out


def shown(capsys, *argv):
    capsys.readouterr()
    assert main(["leaderboard", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_show(tiny, capsys, tmp_path):
    file, out = tiny
    table = shown(capsys, "show", out, "--html", tmp_path / "page.html")
    assert table == shown(capsys, "show", file, "--out", out)
    rows = {row["group"]: row for row in table["rows"]}
    assert rows["linear/tuned"]["labels"] == 16 and rows["linear/tuned"]["frames"] == 80
    assert table["expert"]["away"]["clean_laps"] == 1
    assert rows["linear/tuned"]["training_s"] > 0
    assert (tmp_path / "page.html").stat().st_size > 20_000
    capsys.readouterr()
    assert main(["leaderboard", "show", str(out)]) == 0
    assert "!! Not a comparison: 1 seed, at" in capsys.readouterr().out


def test_candidates_are_chosen_by_the_dev_world(tiny):
    _, out = tiny
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    tuned = next(row for row in rows if row["group"] == "linear/tuned")
    assert tuned["selection"] == "dev" and len(tuned["candidates"]) == 2
    assert tuned["candidate"] == int(np.argmin(tuned["candidates"]))
    assert tuned["worlds"]["dev"]["offline"]["mae"] == pytest.approx(min(tuned["candidates"]))
    assert (out / tuned["model"]).is_file()


def test_running_again_runs_nothing(tiny, capsys):
    file, out = tiny
    report = shown(capsys, "run", file, "--out", out)
    assert report["done"] == [] and len(report["kept"]) == 2


@pytest.mark.parametrize("row", ["expert", "linear/tuned/5"])
def test_an_episode_is_driven_again_as_it_was(tiny, tmp_path, capsys, row):
    _, out = tiny
    with np.load(next((out / "paths").glob("*.npz"))) as paths:
        assert set(paths.files) == {f"{name}/{out.parent / name}.npy/0" for name in ("dev", "away")}
    file = tmp_path / "film.gif"
    figures = shown(capsys, "video", out, row, f"dev/{out.parent}/dev.npy/0", "--out", file, "--scale", "1")
    assert figures["same"] and figures["frames"] > 40
    assert file.read_bytes()[:3] == b"GIF"


def test_episodes_that_are_not_there(tiny, tmp_path):
    _, out = tiny
    suite = make_suite()
    for episode, message in {
        "away/circuit": "expected world/track/lap, as in home/circuit/0",
        "awaj/circuit/0": "unknown world 'awaj'; did you mean 'away'",
        "away/circus/0": "unknown track 'circus'; did you mean 'circuit'",
        "away/circuit/4": "laps of away go from 0 to 3",
        "away/circuit/0": "row linear/none/0 is not in the results",
    }.items():
        with pytest.raises(UsageError, match=message):
            film(suite, out, "linear/none/0", episode, tmp_path / "x.gif")


def test_a_recording_has_just_its_frames_and_is_the_same_again(tmp_path):
    recording = Recording(("oval", "random:1"), "flat", "mild", frames=50, episode_frames=20)
    tubs = [make_recording(tmp_path / name, recording, 3, (32, 40)) for name in "ab"]
    records = [list(open_tub(tub)) for tub in tubs]
    assert [len(one) for one in records] == [50, 50]
    assert [r.steering for r in records[0]] == [r.steering for r in records[1]]
    np.testing.assert_array_equal(records[0][30].image(), records[1][30].image())
    episodes = recorded_episodes(tmp_path / "a")
    assert [(e["track"], e["frames"]) for e in episodes] == [
        *[("oval", 20), ("oval", 5), ("random:1", 20), ("random:1", 5)]
    ]
    assert len({e["appearance"]["light"] for e in episodes}) == 4
    other = make_recording(tmp_path / "c", recording, 4, (32, 40))
    assert [r.steering for r in open_tub(other)] != [r.steering for r in records[0]]


def test_an_unfinished_recording_is_made_anew(tmp_path):
    recording = Recording(("oval",), frames=10)
    tub = make_recording(tmp_path / "a", recording, 0, (32, 40))
    (tmp_path / "a" / "recording.json").unlink()
    make_recording(tmp_path / "a", recording, 0, (32, 40))
    assert len(open_tub(tub)) == 10


def test_each_episode_draws_a_look_with_chance_anew():
    assert redrawn("none").varies and redrawn("none").name == "none"
    assert redrawn("strong").ranges == load_randomisation("strong").ranges


def test_an_active_method_records_its_first_share_beforehand():
    suite = make_suite(methods__mild__kind="active", methods__mild__options={"first_share": 0.25})
    made = method_recordings(suite, suite.row("linear/mild/0"), code_digest())
    assert made["recording"][1].frames == 16


def test_a_world_s_figures_are_pooled_over_its_tracks():
    def result(track, cte_m):
        path = np.zeros((len(cte_m), 3))
        path[:, 0], path[:, 2] = np.arange(len(cte_m)) * 0.1, cte_m
        return DriveResult(
            track=track,
            look="flat",
            randomisation="none",
            seed=0,
            laps_asked=1,
            laps_completed=1,
            clean_laps=int(max(cte_m) < 0.35),
            clean_rate_low=0.0,
            clean_rate_high=1.0,
            completion=1.0,
            mean_abs_cte_m=0.0,
            p95_abs_cte_m=0.0,
            half_width_m=0.35,
            off_tracks=int(max(cte_m) > 0.35),
            mean_speed_mps=1.0,
            mean_abs_dsteering=0.0,
            lap_off_tracks=[int(max(cte_m) > 0.35)],
            lap_first_failure=[0.22 if max(cte_m) > 0.35 else 1.0],
            paths=[path],
        )

    away = [0.0] * 40 + [0.4] + [0.0] * 39
    world = WorldSpec("w", "test", ("oval", "circuit"), laps=1)
    made = summary(world, {"oval": result("oval", [0.1] * 80), "circuit": result("circuit", away)})
    assert (made["clean_laps"], made["laps"], made["off_tracks_per_lap"]) == (1, 2, 0.5)
    assert made["mean_abs_cte_m"] == pytest.approx((0.1 * 80 + 0.4) / 160)
    assert [e["off_tracks"] for e in made["episodes"]] == [0, 1]
    assert made["episodes"][1]["first_failure"] == 0.22
    assert made["first_failure"] == pytest.approx((1 + 0.22) / 2)


def test_steering_error_balances_straights_and_turns():
    error = steering_error([0.0] * 9 + [0.0], [0.0] * 9 + [1.0])
    assert error["mae"] == pytest.approx(0.1) and error["balanced_mae"] == pytest.approx(0.5)
    assert error["rmse"] == pytest.approx(0.1**0.5)
    assert error["always_mean_mae"] == pytest.approx(0.18)
