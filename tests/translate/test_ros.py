"""The node on a real roscore: every picture answered, in order; cameras and listeners may come and go."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dingocar.cli.main import main
from dingocar.images import decode_image, encode_jpeg
from dingocar.translate import load_translator, ros1
from dingocar.translate.export import export_translator
from dingocar.translate.proxy import RATE_S, PictureProxy
from dingocar.translate.ros1 import SYSTEM
from dingocar.tub import Tub
from tests.translate.ros_peers import jpegs_of, own_master
from tests.translate.small import SHAPE, pictures

#: ROS of Debian is for the system's Python.
THERE = shutil.which("roscore") and (SYSTEM / "rospy").is_dir() and os.path.isfile("/usr/bin/python3")
SAME = THERE and subprocess.run(
    ["/usr/bin/python3", "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True
).stdout.split() == [str(n) for n in sys.version_info[:2]]
needs_ros = pytest.mark.skipif(not SAME, reason="ROS 1 is not installed for this Python (make ros-test)")


class Clock:
    """Goes on by 10 ms whenever it is asked."""

    now_s = 0.0

    def __call__(self):
        self.now_s += 0.01
        return self.now_s


def test_a_proxy_translates_and_counts(trained):
    translator = load_translator(trained("colour"), "to_sim")
    proxy = PictureProxy(translator, clock=Clock())
    assert proxy.figures() == {
        "answered": 0,
        "failed": 0,
        "rate_hz": None,
        **dict.fromkeys(("p50_ms", "p99_ms", "max_ms")),
    }
    image = pictures("real", 1)[0]
    for _ in range(3):
        given = decode_image(proxy.answer(encode_jpeg(image, 95)))
    assert np.abs(given.astype(int) - translator.run(image)).mean() < 8
    figures = proxy.figures()
    assert (figures["answered"], figures["failed"]) == (3, 0)
    assert figures["rate_hz"] == pytest.approx(40) and figures["p50_ms"] == pytest.approx(10)


def test_the_rate_is_that_of_the_last_seconds(trained):
    proxy, raw = PictureProxy(load_translator(trained("colour"), "to_sim"), clock=Clock()), b"junk"
    for _ in range(700):
        proxy.answer(raw)  # each takes 20 ms
    assert proxy.figures()["rate_hz"] == pytest.approx(50, abs=0.2)
    proxy._clock.now_s += RATE_S / 2
    assert proxy.figures()["rate_hz"] == pytest.approx(25, abs=0.2)
    proxy._clock.now_s += 600
    assert proxy.figures()["rate_hz"] == 0
    proxy.answer(raw)
    assert proxy.figures()["rate_hz"] == pytest.approx(1 / RATE_S)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{}", "nonsense"])
def test_a_master_that_says_nothing_is_none(monkeypatch, uri):
    """ROS itself waits for ever for one that takes the call."""
    monkeypatch.setattr(ros1, "MASTER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        graph = SimpleNamespace(get_master_uri=lambda: uri.format(mute.getsockname()[1]))
        assert not ros1._answers(graph)


def test_a_picture_of_another_size_is_scaled(trained):
    proxy = PictureProxy(load_translator(trained("colour"), "to_sim"))
    large = pictures("real", 1, shape=(48, 96, 3))[0]
    assert decode_image(proxy.answer(encode_jpeg(large))).shape == SHAPE


def test_what_is_no_picture_is_passed_through_and_told_once(trained, caplog):
    proxy = PictureProxy(load_translator(trained("colour"), "to_sim"))
    assert [proxy.answer(b"junk") for _ in range(3)] == [b"junk"] * 3
    assert proxy.figures()["failed"] == 3 and caplog.text.count("passed through untranslated") == 1
    proxy._translator.close()
    for _ in range(2):
        proxy.answer(encode_jpeg(pictures("real", 1)[0]))
    assert caplog.text.count("passed through untranslated") == 2  # another cause is told, too


def test_two_cameras_on_one_topic_do_not_get_into_each_others_way(trained, tmp_path):
    file = export_translator(trained("colour"), tmp_path / "t.tflite", "to_sim")
    proxy, raw = PictureProxy(load_translator(file)), encode_jpeg(pictures("real", 1)[0])
    right, answers = proxy.answer(raw), []
    cameras = [
        threading.Thread(target=lambda: answers.extend(proxy.answer(raw) for _ in range(300)))
        for _ in range(2)
    ]
    for camera in cameras:
        camera.start()
    for camera in cameras:
        camera.join(60)
    assert set(answers) == {right} and len(answers) == 600
    assert (proxy.answered, proxy.failed) == (601, 0)


def test_whatever_fails_is_passed_through(trained, caplog, monkeypatch):
    translator = load_translator(trained("colour"), "to_sim")
    monkeypatch.setattr(translator, "run", lambda image: 1 / 0)
    raw = encode_jpeg(pictures("real", 1)[0])
    assert PictureProxy(translator).answer(raw) is raw
    assert "passed through untranslated: division by zero" in caplog.text and "Traceback" in caplog.text


def test_without_ros_it_says_what_to_install(trained, capsys, monkeypatch):
    monkeypatch.setattr("dingocar.translate.ros1.SYSTEM", Path("/nowhere"))
    monkeypatch.setitem(sys.modules, "rospy", None)
    flags = ["--translator", str(trained("colour")), "--to", "sim", "--in", "/a", "--out", "/b"]
    assert main(["ros-translate", *flags]) == 2
    told = capsys.readouterr().err
    assert "ROS 1 is not installed" in told and "apt-get install ros-core" in told and told.count("\n") == 1


@pytest.fixture
def ros(tmp_path):
    """Starts processes with a ROS master of their own; ends them all."""
    with own_master(tmp_path) as start:
        yield start


@needs_ros
def test_every_picture_of_a_drive_is_answered_in_order_and_either_side_may_restart(
    ros, trained, tubs, tmp_path
):
    file = export_translator(trained("colour"), tmp_path / "t.tflite", "to_sim")
    node = ros(
        *(sys.executable, "-m", "dingocar.cli.main", "ros-translate", "--translator", str(file), "--json"),
        *("--in", "/camera", "--out", "/translated", "--queue", "1000"),
        wait_for="Ctrl-C ends it",
    )
    tub = shutil.copytree(tubs["real"], tmp_path / "drive")
    Tub(tub)[7].image_path().write_bytes(b"no picture")
    translator, drive = load_translator(file), jpegs_of(tub)
    camera = ("camera", "/camera", tub)

    def peer(*argv, **options):
        return ros(sys.executable, "-m", "tests.translate.ros_peers", *map(str, argv), **options)

    def heard(listener, path):
        assert listener.wait(90) == 0
        return json.loads(path.read_text())

    first = peer("listener", "/translated", 60, tmp_path / "one.json", wait_for="listening")
    assert peer(*camera, 0, 40, 60).wait(60) == 0
    assert peer(*camera, 40, 20, 60).wait(60) == 0  # the camera has restarted
    found = heard(first, tmp_path / "one.json")
    assert [number for number, _, _ in found] == list(range(60))
    for number, raw, late_s in found:
        given, answer = drive[number % len(drive)], bytes.fromhex(raw)
        assert late_s < 2
        if given == b"no picture":
            assert answer == given
        else:
            assert np.abs(decode_image(answer).astype(int) - translator.run(decode_image(given))).mean() < 8
    second = peer("listener", "/translated", 20, tmp_path / "two.json", wait_for="listening")
    assert peer(*camera, 60, 25, 60).wait(60) == 0  # the listener has, and may miss the first ones
    numbers = [number for number, _, _ in heard(second, tmp_path / "two.json")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[-1] <= 84
    node.send_signal(signal.SIGINT)
    out = node.communicate(timeout=30)[0]
    assert node.returncode == 130
    figures = json.loads(out.splitlines()[-1])
    assert figures["answered"] == 85 and figures["failed"] == 2 and figures["p99_ms"] < 1000
    assert out.count("WARNING dingocar.translate.proxy: pictures are passed through untranslated") == 1


@needs_ros
def test_what_cannot_work_is_one_line(ros, trained, tmp_path):
    ros(sys.executable, "-m", "tests.translate.ros_peers", "raw_camera", "/raw", wait_for="there")
    cases = {
        ("/a", "a", None): "/a: a node must not answer itself",
        ("/a", "", None): "'': expected the name of a topic",
        ("/a", "/b c", None): "'/b c': expected the name of a topic, such as /camera_node/image/compressed",
        ("/raw", "/b", None): "/raw: carries sensor_msgs/Image, expected sensor_msgs/CompressedImage",
        ("/a", "/b", "http://127.0.0.1:9"): "no ROS master answers at http://127.0.0.1:9: start roscore",
        ("/a", "/b", "foo"): "no ROS master answers at foo: start roscore",
    }
    # A light translator, as each of them begins anew.
    file = export_translator(trained("colour"), tmp_path / "t.tflite", "to_sim")
    command = [sys.executable, "-m", "dingocar.cli.main", "ros-translate", "--translator", str(file)]
    begun = [
        subprocess.Popen(
            [*command, "--in", topic_in, "--out", topic_out],
            env=ros.env | ({"ROS_MASTER_URI": uri} if uri else {}),
            stderr=subprocess.PIPE,
            text=True,
        )
        for topic_in, topic_out, uri in cases
    ]
    for process, told in zip(begun, cases.values(), strict=True):
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 2 and told in said.splitlines()[-1], said
