"""The live view: what is shown, what the page may ask for, and who may open it."""

import asyncio
import io
import itertools
import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from dingocar.cli.main import main
from dingocar.errors import HardwareError, UnknownNameError, UsageError
from dingocar.evaluate.view.guard import refusal
from dingocar.evaluate.view.show import LOST_S, Asked, Show
from dingocar.sim import load_track

SMALL = (24, 32)


@pytest.fixture
def show():
    return Show(Asked("oval"), image_shape=SMALL)


def drive(show, seconds):
    for _ in range(round(seconds / show.dt_s)):
        show.step()
    return show.figures()


def test_the_expert_drives_and_the_figures_follow(show):
    figures = drive(show, 3.0)
    assert figures["driver"] == "expert" and figures["time_s"] == pytest.approx(3.0)
    assert figures["speed_mps"] > 0.5 and abs(figures["cte_m"]) < 0.1 and not figures["off_track"]
    assert np.asarray(Image.open(io.BytesIO(show.picture()))).shape == (24, 32, 3)
    json.dumps(figures, allow_nan=False)


def test_the_map_fits_the_world(show):
    world = show.world()
    json.dumps(world, allow_nan=False)
    plan = np.asarray(Image.open(io.BytesIO(show.plan_jpeg()))).astype(int)
    assert plan.shape == (world["plan"]["height"], world["plan"]["width"], 3)
    track = load_track("oval")
    inwards = 0.025 / track.half_width_m[:, None]  # the middle of the painted line
    x, y = (track.left + (track.centre - track.left) * inwards).T
    columns = world["plan"]["x0_px"] + x * world["plan"]["scale_px"]
    rows = world["plan"]["y0_px"] - y * world["plan"]["scale_px"]
    assert np.mean(plan[rows.astype(int), columns.astype(int)].min(axis=1) > 150) > 0.9
    assert len(world["seen_m"]) > 4 and len(world["lines_m"]["left"]) > 10


def test_you_drive_while_you_press_keys(show):
    show.do({"type": "driver", "name": "you"})
    assert drive(show, 1.0)["speed_mps"] == 0
    for _ in range(20):
        show.do({"type": "drive", "steering": 0, "throttle": 9})
        show.step()
    assert show.figures()["speed_mps"] > 0.3 and show.figures()["throttle"] == 1
    drive(show, 0.6)
    assert show.figures()["throttle"] == 0  # nothing has come for a while


def test_a_pilot_drives_by_the_pictures():
    seen = []

    def pilot(state):
        seen.append(state.image.shape)
        return [0.0], [0.5]

    show = Show(Asked("oval"), pilot, SMALL)
    assert drive(show, 0.5)["driver"] == "pilot" and seen[0] == (1, 24, 32, 3)
    show.do({"type": "driver", "name": "expert"})
    count = len(seen)
    show.step()
    assert len(seen) == count


def test_a_lost_car_is_put_back(show):
    show.do({"type": "driver", "name": "you"})
    left = False
    for _ in range(600):
        show.do({"type": "drive", "steering": 0, "throttle": 0.6})
        show.step()
        left = left or show.figures()["off_track"]
        if left and not show.figures()["off_track"]:
            break
    assert left and abs(show.figures()["cte_m"]) < 0.05 and LOST_S < 3


def test_new_episodes_are_drawn():
    show = Show(Asked("oval", "flat", "mild", seed=3), image_shape=SMALL)
    before = show.world()
    show.do({"type": "episode"})
    after = show.world()
    assert after["version"] == before["version"] + 1 == show.figures()["version"]
    assert after["episode_seed"] != before["episode_seed"]
    changed = [
        one["name"]
        for one, other in zip(before["parameters"], after["parameters"], strict=True)
        if one["value"] != other["value"]
    ]
    drawn = {one["name"] for one in after["parameters"] if one["drawn"]}
    assert len(changed) > 10 and set(changed) <= drawn


def test_another_world_can_be_chosen_among_the_listed(show):
    show.do({"type": "choose", "track": "random", "randomisation": "mild"})
    world = show.world()
    assert world["track"].startswith("random:") and world["randomisation"] == "mild"
    for wrong in ({"track": "ovale"}, {"look": "../../etc"}, {"randomisation": "/etc/passwd"}, {"track": 7}):
        with pytest.raises(UnknownNameError):
            show.do({"type": "choose", **wrong})
    assert show.world() == world


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "explode"},
        {"type": "drive"},
        {"type": "drive", "steering": float("nan"), "throttle": 0},
        {"type": "drive", "steering": "1", "throttle": 0},
        {"type": "drive", "steering": 10**400, "throttle": 0},
        {"type": "driver", "name": "pilot"},
        {"type": "driver", "name": ["you"]},
    ],
    ids=lambda message: str(message)[:40],
)
def test_messages_are_checked(show, message):
    with pytest.raises(UsageError if message.get("type") != "driver" else UnknownNameError):
        show.do(message)


def test_the_rate_is_the_simulations():
    assert Show(Asked("oval"), image_shape=SMALL, rate_hz=50).dt_s == 0.02
    with pytest.raises(UsageError):
        Show(Asked("oval"), image_shape=SMALL, rate_hz=1000)


def request(kind="http", client="127.0.0.1", **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": kind, "headers": named, "client": (client, 1), "raw_path": b"/", "query_string": b""}


def test_only_the_own_page_of_this_computer_is_served():
    own, origin = "127.0.0.1:8890", "http://127.0.0.1:8890"
    assert refusal(request(host=own)) is None
    assert refusal(request(host="localhost:8890", origin="http://localhost:8890")) is None
    assert refusal(request("websocket", host=own, origin=origin)) is None
    assert refusal(request("websocket", host=own)) == "expected a browser"
    for refused in (
        request(host="evil.example:8890"),  # DNS rebinding
        request(host="127.0.0.1.evil.example"),
        request(),
        request(host=own, client="192.168.1.7"),
        request("websocket", host=own, origin="http://evil.example"),
        request("websocket", host=own, origin="null"),
        request(host=own, sec_fetch_site="cross-site", sec_fetch_mode="no-cors"),
    ):
        assert refusal(refused) is not None


@pytest.fixture
def client(show):
    testclient = pytest.importorskip("starlette.testclient")
    from dingocar.evaluate.view.server import Theatre, make_app

    with testclient.TestClient(make_app(Theatre(show), show), base_url="http://127.0.0.1:8890") as client:
        yield client


ORIGIN = {"origin": "http://127.0.0.1:8890", "host": "127.0.0.1:8890"}


def frame(socket):
    raw = None
    while raw is None:
        raw = socket.receive().get("bytes")
    length = int.from_bytes(raw[:4], "big")
    assert raw[4 + length :].startswith(b"\xff\xd8")
    return json.loads(raw[4 : 4 + length])


def until(socket, fits, tries=200):
    for _ in range(tries):
        message = socket.receive()
        if message.get("text") and fits(json.loads(message["text"])):
            return json.loads(message["text"])
    raise AssertionError("never came")


def test_the_page_and_its_files_come_from_here(client):
    page = client.get("/")
    assert page.status_code == 200 and "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text and "https://" not in page.text
    for name in ("view.css", "view.js", "map.js", "trace.js", "keys.js", "favicon.svg"):
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/plan.jpg").headers["content-type"] == "image/jpeg"
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/static/../show.py").status_code == 404


def test_a_page_sees_the_world_drive(client):
    with client.websocket_connect("/ws", headers=ORIGIN) as socket:
        assert json.loads(socket.receive_text())["type"] == "world"
        times = [frame(socket)["time_s"] for _ in range(5)]
        assert times == sorted(times) and times[-1] > 0
        socket.send_text(json.dumps({"type": "choose", "track": "circuit"}))
        assert until(socket, lambda said: said["type"] == "world")["track"] == "circuit"
        socket.send_text(json.dumps({"type": "choose", "track": "circit"}))
        assert "circuit" in until(socket, lambda said: said["type"] == "error")["message"]
        socket.send_text("[]")
        assert "no message" in until(socket, lambda said: said["type"] == "error")["message"]


def test_paused_it_stands_and_steps(client):
    with client.websocket_connect("/ws", headers=ORIGIN) as socket:
        socket.receive_text()
        socket.send_text(json.dumps({"type": "pause", "on": True}))
        figures = frame(socket)
        while not figures["paused"]:
            figures = frame(socket)
        # Every message is answered with a picture; those of the way into the pause may still come.
        times = []
        while len(times) < 200 and len(set(times)) < 5:
            socket.send_text(json.dumps({"type": "step"}))
            times.append(frame(socket)["time_s"])
        assert len(set(times)) == 5
        steps = sorted({round((after - before) / 0.05) for before, after in itertools.pairwise(times)})
        assert steps in ([0, 1], [1])
        deadline = time.monotonic() + 10
        socket.send_text(json.dumps({"type": "pause", "on": False}))
        while frame(socket)["paused"]:
            assert time.monotonic() < deadline


def test_a_closed_page_costs_nothing(show, monkeypatch):
    from dingocar.evaluate.view.server import Theatre

    under_way, goes_on = threading.Event(), threading.Event()
    step = show.step

    def slow_step():
        under_way.set()
        assert goes_on.wait(30)
        step()

    monkeypatch.setattr(show, "step", slow_step)

    async def look():
        theatre = Theatre(show)
        asked = iter(["websocket.connect"])

        async def receive():
            if kind := next(asked, None):
                return {"type": kind}
            assert await asyncio.to_thread(under_way.wait, 30)
            asyncio.get_running_loop().call_later(0.05, goes_on.set)  # long after the page has gone
            return {"type": "websocket.disconnect"}

        async def send(message):
            pass

        await theatre({}, receive, send)
        assert goes_on.is_set() and theatre.steps == 1  # the step under way was waited for
        assert theatre._task is None and asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(look())


def test_a_page_that_fails_leaves_nothing_running(show, monkeypatch, caplog):
    from dingocar.evaluate.view.server import Theatre

    def fail(message):
        raise OverflowError("a mistake of ours")

    monkeypatch.setattr(show, "do", fail)

    async def page():
        theatre = Theatre(show)
        drive = {"type": "websocket.receive", "text": '{"type": "drive"}'}
        events = iter([{"type": "websocket.connect"}, drive])

        async def receive():
            return next(events)

        async def send(message):
            pass

        await theatre({}, receive, send)
        assert theatre._task is None and not theatre._viewers
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(page())
    assert "a mistake of ours" in caplog.text


def test_pages_that_open_at_the_same_time_are_counted(show):
    from dingocar.evaluate.view.server import MAX_VIEWERS, Theatre

    async def open_many():
        theatre, said = Theatre(show), []

        async def page():
            asked = iter(["websocket.connect"])

            async def receive():
                kind = next(asked, None)
                if kind is None:
                    await asyncio.Event().wait()
                return {"type": kind}

            async def send(message):
                said.append(message.get("code", message["type"]))

            await theatre({}, receive, send)

        pages = [asyncio.create_task(page()) for _ in range(MAX_VIEWERS + 3)]
        try:
            async with asyncio.timeout(30):
                while said.count(1013) < 3:
                    assert len(theatre._viewers) <= MAX_VIEWERS
                    await asyncio.sleep(0)
        finally:
            for task in pages:
                task.cancel()
            await asyncio.gather(*pages, return_exceptions=True)
        assert theatre._task is None and not theatre._viewers

    asyncio.run(open_many())


def test_another_sites_page_gets_no_socket(client):
    from starlette.testclient import WebSocketDenialResponse

    for headers in ({**ORIGIN, "origin": "http://evil.example"}, {**ORIGIN, "host": "evil.example"}):
        with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/ws", headers=headers):
            pass


def test_the_command_serves_and_ends_on_ctrl_c():
    pytest.importorskip("uvicorn")
    words = ["sim", "view", "--track", "oval", "--port", "0", "--no-browser"]
    command = [sys.executable, "-c", f"from dingocar.cli.main import main; exit(main({words}))"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killer = threading.Timer(60, process.kill)
    killer.start()
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        port = int(url.rstrip("/").rpartition(":")[2])
        assert b"200 OK" in asyncio.run(ask(port))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        killer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


def test_a_port_that_is_taken_is_told(show):
    pytest.importorskip("uvicorn")
    from dingocar.evaluate.view.server import _bind

    taken = _bind(0)
    try:
        with pytest.raises(HardwareError, match="another --port"):
            _bind(taken.getsockname()[1])
    finally:
        taken.close()


def test_mistakes_are_told_in_one_line(capsys):
    for words, told in (
        (["--track", "ovl"], "did you mean 'oval'"),
        (["--rate", "1"], "--rate"),
        (["--port", "70000"], "--port"),
        (["--model", "nowhere.tflite"], "nowhere.tflite"),
    ):
        assert main(["sim", "view", "--no-browser", *words]) == 2
        err = capsys.readouterr().err
        assert told in err and err.count("\n") == 1
