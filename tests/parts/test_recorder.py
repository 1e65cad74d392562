"""Recorders: every loop, or when told."""

from functools import partial

import numpy as np
import pytest

from dingocar.errors import TubError
from dingocar.parts.recorder import Recorder, SwitchedRecorder, recordable
from dingocar.tub import Tub, TubWriter

INPUTS, TYPES = ["cam/image_array", "user/angle"], ["image_array", "float"]
IMAGE = np.full((8, 8, 3), 200, np.uint8)


def switched(path, **options):
    return SwitchedRecorder(partial(TubWriter, path, INPUTS, TYPES), INPUTS, path, **options)


def wait(recorder):
    """Until its thread has done what it was given."""
    recorder._worker.submit(lambda: None).result(timeout=10)


def test_leaves_out_what_is_not_there_yet(tmp_path):
    recorder = Recorder(tmp_path / "tub", INPUTS, TYPES, {"domain": "sim"})
    recorder.run(IMAGE, 0.25)
    recorder.run(IMAGE, None)
    recorder.shutdown()
    tub = Tub(tmp_path / "tub")
    assert [record.fields.get("user/angle") for record in tub] == [0.25, None]
    assert tub.domain == "sim"
    np.testing.assert_allclose(tub[0].image(), IMAGE, atol=2)


def test_switched_off_it_leaves_no_trace(tmp_path):
    recorder = switched(tmp_path / "tub")
    for _ in range(5):
        assert recorder.run(False, IMAGE, 0.1) == (0, 0)
    recorder.shutdown()
    assert not (tmp_path / "tub").exists()


def test_records_only_while_switched_on(tmp_path):
    recorder = switched(tmp_path / "tub")
    recorder.run(True, IMAGE, 0.0)  # opens the tub
    wait(recorder)
    assert recorder.run(True, IMAGE, 0.1) == (1, 0)
    assert recorder.run(False, IMAGE, 0.2) == (1, 0)
    assert recorder.run(True, IMAGE, 0.3) == (2, 0)
    recorder.shutdown()
    assert [record.steering for record in Tub(tmp_path / "tub")] == [0.1, 0.3]


def test_between_recordings_the_tub_can_be_edited(tmp_path):
    recorder = switched(tmp_path / "tub", idle_loops=2)
    recorder.run(True, IMAGE, 0.0)
    wait(recorder)
    recorder.run(True, IMAGE, 0.1)
    recorder._writer.flush()
    with pytest.raises(TubError, match="somebody else is writing"):
        Tub(tmp_path / "tub").delete([0])
    for _ in range(3):
        recorder.run(False, IMAGE, 0.0)
    wait(recorder)
    Tub(tmp_path / "tub").delete([0])
    recorder.run(True, IMAGE, 0.0)
    wait(recorder)
    recorder.run(True, IMAGE, 0.2)
    recorder.shutdown()
    tub = Tub(tmp_path / "tub")
    assert [record.steering for record in tub] == [0.2]
    assert len(tub.sessions) == 2


@pytest.mark.parametrize("while_recording", [True, False])
def test_erases_the_last_records(tmp_path, while_recording):
    recorder = switched(tmp_path / "tub", idle_loops=0)
    recorder.run(True, IMAGE, 0.0)
    wait(recorder)
    for steering in (0.1, 0.2, 0.3):
        recorder.run(True, IMAGE, steering)
    if not while_recording:
        recorder.run(False, IMAGE, 0.0)
    recorder.erase(2)
    recorder.shutdown()
    assert [record.steering for record in Tub(tmp_path / "tub")] == [0.1]


def test_erasing_nothing_is_no_failure(tmp_path):
    recorder = switched(tmp_path / "tub")
    recorder.erase(10)
    wait(recorder)
    recorder.run(False, IMAGE, 0.0)
    recorder.shutdown()


def test_a_tub_that_cannot_be_opened_does_not_end_the_drive(tmp_path, caplog):
    recorder = switched(tmp_path / "tub")
    (tmp_path / "tub").write_text("a file in the way")
    recorder.OPEN_ATTEMPTS = 1
    for _ in range(3):
        assert recorder.run(True, IMAGE, 0.0) == (0, 0)
        wait(recorder)
    assert caplog.text.count("nothing is recorded: ") == 1
    (tmp_path / "tub").unlink()
    recorder.run(False, IMAGE, 0.0)
    for _ in range(2):  # switched on anew it is tried again
        recorder.run(True, IMAGE, 0.1)
        wait(recorder)
    recorder.shutdown()
    assert len(Tub(tmp_path / "tub")) == 1


def test_a_disk_that_fails_ends_the_drive(tmp_path, monkeypatch):
    recorder = switched(tmp_path / "tub")
    recorder.run(True, IMAGE, 0.0)
    wait(recorder)

    def full(fields):
        raise TubError("the disk is full")

    monkeypatch.setattr(recorder._writer, "write", full)
    with pytest.raises(TubError, match="the disk is full"):
        recorder.run(True, IMAGE, 0.0)
    recorder.shutdown()


CHANNELS = dict(zip(INPUTS, TYPES, strict=True))


def test_a_tub_that_is_there_keeps_its_own_channels(tmp_path, caplog):
    path = tmp_path / "tub"
    assert recordable(path, CHANNELS, INPUTS, {}) == CHANNELS and not path.exists()
    TubWriter(path, INPUTS, TYPES, {"domain": "sim"}).close()
    more = CHANNELS | {"pilot/angle": "float"}
    caplog.set_level("INFO")
    assert recordable(path, CHANNELS, INPUTS, {"domain": "sim"}) == CHANNELS and not caplog.text
    assert recordable(path, more, INPUTS, {"domain": "sim"}) == CHANNELS
    assert "this tub does not record pilot/angle: left out" in caplog.text
    for channels, needed, metadata, words in (
        (more, [*INPUTS, "pilot/angle"], {}, "this tub does not record pilot/angle; record to another"),
        (CHANNELS | {"user/angle": "str"}, INPUTS, {}, "does not record user/angle"),
        (CHANNELS, INPUTS, {"domain": "real"}, "is of domain 'sim', asked to record 'real'"),
    ):
        with pytest.raises(TubError, match=words):
            recordable(path, channels, needed, metadata)
    with pytest.raises(TubError, match=r"is no tub, and not empty \(tub, ...\)"):
        recordable(tmp_path, CHANNELS, INPUTS, {})


def test_a_tub_that_is_edited_for_a_moment_is_waited_for(tmp_path):
    attempts = []

    def busy_once():
        attempts.append(1)
        if len(attempts) == 1:
            raise TubError("being edited")
        return TubWriter(tmp_path / "tub", INPUTS, TYPES)

    recorder = SwitchedRecorder(busy_once, INPUTS, tmp_path / "tub")
    recorder.RETRY_S = 0
    recorder.run(True, IMAGE, 0.0)
    wait(recorder)
    recorder.run(True, IMAGE, 0.5)
    recorder.shutdown()
    assert len(Tub(tmp_path / "tub")) == 1


def test_a_file_in_the_place_of_a_tub_is_told_at_the_start(tmp_path):
    (tmp_path / "tub").write_text("")
    with pytest.raises(TubError, match="is a file; expected the folder of a tub"):
        switched(tmp_path / "tub")
