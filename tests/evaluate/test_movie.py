"""Films of tubs: what is on each picture, how fast they follow each other, and that they are whole."""

import sys

import numpy as np
import pytest
from PIL import Image

from dingocar.errors import MissingExtraError, TubError, UsageError
from dingocar.evaluate import movie
from dingocar.evaluate.movie import PILOT, RECORDED, make_movie, recorded_rate_hz
from dingocar.tub import Record, TubWriter, open_tub

KEYS = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
TYPES = ["image_array", "float", "float", "str"]
SHAPE = (60, 80)


class FakePilot:
    """Says the same on every picture, and keeps what it was shown."""

    def __init__(self, shape=SHAPE, command=(-0.8, 0.5)):
        self.image_shape, self.command, self.shown = (*shape, 3), command, []

    def run_batch(self, images):
        assert images.dtype == np.uint8 and images.shape[1:] == self.image_shape
        self.shown += list(images)
        return tuple(np.full(len(images), value, np.float32) for value in self.command)


def picture(index, shape=SHAPE):
    """Grey, brighter with the index; red in the upper left quarter."""
    image = np.full((*shape, 3), 40 + index % 100, np.uint8)
    image[: shape[0] // 2, : shape[1] // 2] = (200, 30, 30)
    return image


@pytest.fixture
def tub(tmp_path):
    """Ten records, 50 ms apart; the driver steers to the right."""
    with TubWriter(tmp_path / "tub", KEYS, TYPES, on_full="wait") as writer:
        for index in range(10):
            writer.write(dict(zip(KEYS, [picture(index), 0.8, -0.25, "user"], strict=True)))
    retime(tmp_path / "tub", range(0, 500, 50))
    return tmp_path / "tub"


def retime(folder, times_ms):
    import json

    path = folder / "catalog_0.catalog"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, time_ms in zip(lines, times_ms, strict=True):
        line["_timestamp_ms"] = 1_700_000_000_000 + time_ms
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def decoded(path):
    """All pictures of an .mp4 as arrays, its rate and its pixel format."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate, form = float(stream.average_rate), stream.pix_fmt
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], rate, form


def count(image, colour, tolerance=40):
    """How many pixels are about of a colour."""
    return int((np.abs(np.asarray(image).astype(int) - colour).max(axis=-1) <= tolerance).sum())


class TestMp4:
    def test_shows_every_live_record_at_the_recorded_rate(self, tub, tmp_path):
        open_tub(tub).delete([3, 4])
        done = []
        film = make_movie(tub, tmp_path / "a.mp4", on_progress=lambda *at: done.append(at))
        images, rate, form = decoded(tmp_path / "a.mp4")
        assert len(images) == film.frames == 8 and film.skipped == 0
        assert rate == film.rate_hz == 20 and form == "yuv420p"
        assert images[0].shape == (film.size[1], film.size[0], 3)
        assert done[-1] == (8, 8)
        # Pictures in order, red where it was recorded, three times as large.
        assert film.size[0] == 240
        greys = [int(image[20, 200].mean()) for image in images]
        assert greys == sorted(greys) and abs(greys[0] - 40) < 6
        assert np.abs(images[0][20, 20].astype(int) - (200, 30, 30)).max() < 25

    def test_without_overlay_is_the_picture_alone(self, tub, tmp_path):
        film = make_movie(tub, tmp_path / "a.mp4", scale=2, overlay=False)
        images, _, _ = decoded(tmp_path / "a.mp4")
        assert film.size == (160, 120) and count(images[0], RECORDED) == 0

    def test_odd_sizes_become_even(self, tmp_path):
        with TubWriter(tmp_path / "tub", KEYS, TYPES, on_full="wait") as writer:
            for index in range(3):
                writer.write(dict(zip(KEYS, [picture(index, (45, 63)), 0.0, 0.0, "user"], strict=True)))
        film = make_movie(tmp_path / "tub", tmp_path / "a.mp4", scale=1)
        assert film.size[0] == 64 and film.size[1] % 2 == 0
        assert len(decoded(tmp_path / "a.mp4")[0]) == 3

    def test_without_the_h264_encoder_is_mpeg4(self, tub, tmp_path, monkeypatch):
        av = pytest.importorskip("av")
        monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
        assert make_movie(tub, tmp_path / "a.mp4").codec == "mpeg4"
        images, _, form = decoded(tmp_path / "a.mp4")
        assert len(images) == 10 and form == "yuv420p"

    def test_without_av_names_the_extra(self, tub, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(MissingExtraError, match=r"dingocar\[movie\]"):
            make_movie(tub, tmp_path / "a.mp4")


class TestGif:
    def test_shows_every_record_for_as_long_as_it_took(self, tub, tmp_path):
        film = make_movie(tub, tmp_path / "a.gif", scale=2)
        with Image.open(tmp_path / "a.gif") as gif:
            assert gif.n_frames == film.frames == 10
            assert gif.info["duration"] == 50 and gif.info["loop"] == 0
            assert gif.size == film.size
            assert count(gif.convert("RGB"), RECORDED) > 20
        assert (film.codec, film.rate_hz) == ("gif", 20)

    def test_rates_a_gif_cannot_have_become_the_nearest(self, tub, tmp_path):
        assert make_movie(tub, tmp_path / "a.gif", rate_hz=30).rate_hz == pytest.approx(33.3, abs=0.1)
        assert make_movie(tub, tmp_path / "b.gif", rate_hz=120).rate_hz == 50

    def test_too_many_pictures_are_refused_before_any_work(self, tub, tmp_path, monkeypatch):
        monkeypatch.setattr(movie, "MAX_GIF_FRAMES", 9)
        with pytest.raises(UsageError, match="10 pictures are too many"):
            make_movie(tub, tmp_path / "a.gif")
        assert make_movie(tub, tmp_path / "a.gif", end=8).frames == 9


class TestOverlay:
    def drawn(self, recorded=(0.8, -0.25), predicted=None, size=(240, 180)):
        record = Record(7, {"user/mode": "local"}, None)
        return movie.draw(Image.new("RGB", size, (90, 90, 90)), record, recorded, predicted)

    def test_the_pointer_leans_to_where_it_steers(self):
        for steering, right in ((0.8, True), (-0.8, False)):
            image = np.asarray(self.drawn((steering, 0.0)))[:180]
            halves = count(image[:, :110], RECORDED), count(image[:, 130:], RECORDED)
            assert (halves[1] > 30 and halves[0] == 0) if right else (halves[0] > 30 and halves[1] == 0)

    def test_the_pilot_has_a_colour_of_its_own(self):
        assert count(self.drawn(), PILOT) == 0
        image = np.asarray(self.drawn(predicted=(-0.8, 0.5)))[:180]
        assert count(image[:, :110], PILOT) > 30 and count(image[:, 130:], PILOT) == 0

    def test_the_pilot_is_seen_where_both_agree(self):
        image = np.asarray(self.drawn((0.3, 0.0), (0.3, 0.0)))[:180]
        assert count(image, PILOT) > 30 and count(image, RECORDED) > 30

    def test_bars_grow_with_the_command_from_the_middle(self):
        def bars(**commands):
            panel = np.asarray(self.drawn(**commands))[180:]
            blue = np.abs(panel.astype(int) - RECORDED).max(axis=-1) <= 5
            rows = np.flatnonzero(blue[:, 60:201].sum(axis=1) > 20)
            return blue[:, 60:201][rows].any(axis=0).nonzero()[0] if len(rows) else []

        little, much = bars(recorded=(0.5, 0.0)), bars(recorded=(1.0, 0.0))
        assert len(much) > 1.7 * len(little) > 0
        assert len(bars(recorded=(0.0, 0.0))) == 0
        back = bars(recorded=(0.0, -1.0))
        assert max(back) <= min(much) + 2  # to the left of what goes to the right

    def test_what_is_out_of_range_or_unknown_is_no_failure(self):
        self.drawn((3.0, -7.0), (None, None))
        assert count(self.drawn((None, None)), RECORDED, 5) < 60  # the legend's dot alone

    @pytest.mark.parametrize("size", [(2, 2), (32, 24), (1920, 1080)])
    def test_any_size_can_be_drawn_on(self, size):
        image = self.drawn(predicted=(0.1, 0.1), size=size)
        assert image.width == size[0] and image.height % 2 == 0


class TestPilot:
    def test_is_shown_the_pictures_at_its_own_size(self, tub, tmp_path):
        pilot = FakePilot((30, 40))
        make_movie(tub, tmp_path / "a.gif", pilot, scale=1)
        assert len(pilot.shown) == 10
        assert pilot.shown[0].shape == (30, 40, 3)
        assert np.abs(pilot.shown[0][5, 5].astype(int) - (200, 30, 30)).max() < 12  # RGB

    def test_is_drawn(self, tub, tmp_path):
        make_movie(tub, tmp_path / "a.mp4", FakePilot())
        images, _, _ = decoded(tmp_path / "a.mp4")
        for image in images:
            assert count(image[90:180, :110], PILOT, 60) > 30

    def test_batches_change_nothing(self, tub, tmp_path, monkeypatch):
        monkeypatch.setattr(movie, "_BATCH", 3)
        pilot = FakePilot()
        assert make_movie(tub, tmp_path / "a.gif", pilot, scale=1).frames == 10
        assert [int(image[-1, -1, 0]) for image in pilot.shown] == pytest.approx(range(40, 50), abs=3)


class TestRecords:
    def test_from_start_to_end_both_included(self, tub, tmp_path):
        assert make_movie(tub, tmp_path / "a.gif", start=2, end=5).frames == 4
        with pytest.raises(UsageError, match=r"--start 20 to --end \.\.\..*indexes from 0 to 9"):
            make_movie(tub, tmp_path / "b.gif", start=20)

    def test_pictures_that_cannot_be_read_are_left_out_and_counted(self, tub, tmp_path):
        records = open_tub(tub).records
        records[0].image_path().unlink()
        records[5].image_path().write_bytes(b"broken")
        film = make_movie(tub, tmp_path / "a.mp4")
        assert (film.frames, film.skipped) == (8, 2) == (len(decoded(film.path)[0]), 2)
        assert film.to_json()["skipped"] == 2

    def test_none_that_can_be_read_is_an_error_and_leaves_no_file(self, tub, tmp_path):
        for record in open_tub(tub):
            record.image_path().unlink()
        for name in ("a.mp4", "a.gif"):
            with pytest.raises(UsageError, match="not one of the 10 pictures"):
                make_movie(tub, tmp_path / name)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["tub"]

    def test_pictures_of_several_sizes_make_one_film(self, tub, tmp_path):
        Image.new("RGB", (30, 50), (9, 9, 9)).save(open_tub(tub)[4].image_path(), format="jpeg")
        assert len(decoded(make_movie(tub, tmp_path / "a.mp4").path)[0]) == 10

    def test_a_record_without_steering_is_shown_without(self, tub, tmp_path):
        path = tub / "catalog_0.catalog"
        path.write_text(path.read_text().replace('"user/angle": 0.8, ', ""))
        make_movie(tub, tmp_path / "a.mp4")
        images, _, _ = decoded(tmp_path / "a.mp4")
        assert count(images[0][:180], RECORDED) == 0


class TestRate:
    def of(self, times):
        return recorded_rate_hz([Record(i, {"_timestamp_ms": t}, None) for i, t in enumerate(times)])

    def test_is_that_of_the_times(self):
        assert self.of(range(0, 1000, 50)) == 20
        assert self.of([0, 33, 67, 100, 133, 167]) == 29.9  # 30 Hz in whole milliseconds

    def test_pauses_and_lost_records_do_not_count(self):
        assert self.of([0, 50, 100, 250, 300, 90_000, 90_050]) == 20

    @pytest.mark.parametrize("times", [[], [5], [None, None, None], [7, 7, 7], [9, 8, 7], range(100)])
    def test_without_times_or_with_those_of_a_conversion_is_the_usual_one(self, times):
        assert self.of(times) == 20

    def test_stays_within_what_players_show(self):
        assert self.of(range(0, 900, 9)) == 111.1
        assert self.of([0, 60_000, 120_000]) == 1


class TestMistakes:
    def test_names_and_places(self, tub, tmp_path):
        with pytest.raises(UsageError, match=r"ends in \.mp4 or \.gif"):
            make_movie(tub, tmp_path / "a.avi")
        with pytest.raises(UsageError, match="its folder does not exist"):
            make_movie(tub, tmp_path / "missing" / "a.mp4")
        (tmp_path / "b.mp4").mkdir()
        with pytest.raises(UsageError, match="is a folder"):
            make_movie(tub, tmp_path / "b.mp4")
        with pytest.raises(TubError, match="no such folder"):
            make_movie(tmp_path / "nothing", tmp_path / "a.mp4")
        with pytest.raises(UsageError, match="too large for a film"):
            make_movie(tub, tmp_path / "a.mp4", scale=60)

    def test_a_tub_without_live_records(self, tub, tmp_path):
        open_tub(tub).delete(range(10))
        with pytest.raises(UsageError, match="no live records"):
            make_movie(tub, tmp_path / "a.mp4")

    def test_a_failure_leaves_the_old_film(self, tub, tmp_path):
        out = tmp_path / "a.mp4"
        out.write_bytes(b"the old film")

        class Failing(FakePilot):
            def run_batch(self, images):
                raise UsageError("no")

        with pytest.raises(UsageError):
            make_movie(tub, out, Failing())
        assert out.read_bytes() == b"the old film"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "tub"]


@pytest.mark.parametrize("name", ["real_warehouse", "real_mat", "sim_carpet"])
def test_real_recordings(shared_data, tmp_path, name):
    first = open_tub(shared_data / name)[0].index
    film = make_movie(shared_data / name, tmp_path / "a.mp4", start=first, end=first + 40)
    images, rate, _ = decoded(film.path)
    assert len(images) == film.frames > 5 and film.skipped == 0
    assert rate == pytest.approx(film.rate_hz) and 10 < rate < 40
    assert film.size[0] == 480
