"""One client of the Donkey server, without a network: what it asks for and what it is told."""

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from dingocar.sim import Expert, donkey_server
from dingocar.sim.donkey_car import Lens
from dingocar.sim.donkey_session import UNITY_SCENES, Session, Settings


def kinds(messages):
    return [message["msg_type"] for message in messages]


def loaded(scene="warehouse", **settings):
    session = Session(Settings(**settings))
    assert session.receive({"msg_type": "load_scene", "scene_name": scene}) == []
    assert kinds(session.advance()) == ["car_loaded", "telemetry"]
    return session


def drive(session, steering=0.0, throttle=0.0, brake=0.0, steps=1):
    """The last telemetry; all numbers are text, as clients send them."""
    control = {"steering": str(steering), "throttle": str(throttle), "brake": str(brake)}
    for _ in range(steps):
        session.receive({"msg_type": "control", **control})
        messages = session.advance()
    return messages[-1]


def picture(telemetry):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(telemetry["image"]))))


def test_scenes_are_unitys_and_our_tracks():
    names = Session(Settings()).receive({"msg_type": "get_scene_names"})[0]["scene_names"]
    assert {"generated_track", "warehouse", "oval", "circuit"} <= set(names)
    assert Settings(track="random:9").track_of("generated_track") == "random:9"
    for scene, track in UNITY_SCENES.items():
        assert Settings().track_of(scene) == track


@pytest.mark.parametrize("scene", ["warehous", "/etc/passwd", "mine.npy", "random:../x", "random:", ""])
def test_a_client_names_no_files_and_gets_a_suggestion(scene):
    session = Session(Settings())
    answer = session.receive({"msg_type": "load_scene", "scene_name": scene})
    assert kinds(answer) == ["error"] and not session.due
    if scene == "warehous":
        assert "did you mean 'warehouse'?" in answer[0]["reason"]


def test_protocol_version_and_unknown_requests():
    session = Session(Settings())
    version = session.receive({"msg_type": "get_protocol_version"})
    assert version == [{"msg_type": "protocol_version", "version": "2"}]
    for request in ("lidar_config", "cam_config_b", "regen_road"):
        answer = session.receive({"msg_type": request})[0]
        assert (answer["msg_type"], answer["request"]) == ("unsupported", request)


def test_telemetry_is_in_unitys_axes_and_units():
    session = loaded()
    before, now = drive(session, 0.0, 0.5, steps=20), drive(session, 0.3, 0.5, steps=10)
    state = session._car.state
    assert (now["pos_x"], now["pos_y"], now["pos_z"]) == pytest.approx(
        (state.x_m[0], 0, state.y_m[0]), abs=1e-5
    )
    # +1 steers to the right: Unity's yaw grows, and so does what it calls cte.
    assert now["yaw"] > before["yaw"] and now["gyro_y"] > 0 and now["steering_angle"] > 0
    assert now["cte"] == pytest.approx(8 * state.cte_m[0], abs=1e-5) and now["cte"] > before["cte"]
    ahead = math.sin(math.radians(now["yaw"])), math.cos(math.radians(now["yaw"]))
    moved = now["pos_x"] - before["pos_x"], now["pos_z"] - before["pos_z"]
    assert np.dot(ahead, moved) / np.hypot(*moved) > 0.95
    assert (now["vel_x"], now["vel_z"]) == (0, now["speed"]) and now["speed"] > 0.5
    assert before["accel_z"] > 0
    assert now["time"] == pytest.approx(31 * 0.05) and now["hit"] == "none"
    assert all(type(value) in (float, str) for value in now.values())


def test_the_picture_is_the_worlds():
    session = loaded()
    told = drive(session, 0.2, 0.5, steps=5)
    world = session._car.state.image[0].astype(int)
    assert np.abs(picture(told).astype(int) - world).mean() < 5


def test_a_lap_is_counted_from_the_line_and_timed():
    session = loaded("oval")
    expert = Expert(session._car.world.track)
    crossings, laps = [], []
    for _ in range(1500):
        steering, throttle = expert.act(session._car.state)
        session.receive(
            {"msg_type": "control", "steering": str(steering[0]), "throttle": str(throttle[0]), "brake": "0"}
        )
        for message in session.advance():
            if message["msg_type"] == "collision_with_starting_line":
                crossings.append(message["timeStamp"])
            if message["msg_type"] == "cross_start":
                laps.append(message["lap_time"])
        if laps:
            break
    assert len(crossings) == 2 and laps == [pytest.approx(crossings[1] - crossings[0])]
    assert 0 < crossings[0] < 2


def test_backwards_over_the_line_earns_nothing():
    session = loaded("oval")
    found = []
    for throttle in [0.6] * 30 + [-0.8] * 60 + [0.8] * 60:
        session.receive({"msg_type": "control", "throttle": str(throttle)})
        found += kinds(session.advance())
    assert found.count("collision_with_starting_line") == 1 and "cross_start" not in found


def test_a_silent_clients_car_rolls_out_and_any_message_counts():
    session = loaded()
    drive(session, 0.0, 0.5, steps=20)
    throttles = [session.advance()[-1]["throttle"] for _ in range(25)]
    assert throttles == [0.5] * 19 + [0.0] * 6  # the last control's own step was the first of 20
    session.receive({"msg_type": "ping"})
    assert session.advance()[-1]["throttle"] == 0.5


def test_silence_is_counted_in_time_not_in_the_clients_steps():
    session = loaded()
    session.receive({"msg_type": "step_mode", "step_mode": "asynchronous", "time_step": "0.005"})
    drive(session, 0.0, 0.5)
    throttles = [session.advance()[-1]["throttle"] for _ in range(25)]
    assert throttles == [0.5] * 19 + [0.0] * 6


def test_the_brake_holds_and_reset_puts_the_car_back():
    session = loaded()
    start = drive(session, brake=1.0)
    fast = drive(session, 0.0, 0.8, steps=30)
    rolled = [drive(session, brake=1.0)["speed"] for _ in range(40)]
    assert fast["speed"] > 1.2 and rolled[25] < 0.2 and rolled[-1] < 0.05
    session.receive({"msg_type": "reset_car"})
    again = session.advance()[-1]
    assert (again["pos_x"], again["pos_z"]) == pytest.approx((start["pos_x"], start["pos_z"]), abs=1e-3)
    assert again["throttle"] == 0 and again["time"] > fast["time"]


def test_nan_is_refused():
    with pytest.raises(donkey_server.ProtocolError, match="throttle must be a finite number"):
        loaded().receive({"msg_type": "control", "steering": "0", "throttle": "nan"})


CAMERA = {
    **dict.fromkeys(("fov", "fish_eye_x", "fish_eye_y", "offset_x", "offset_y", "offset_z"), "0"),
    **dict.fromkeys(("rot_x", "rot_y", "rot_z", "img_w", "img_h", "img_d", "img_enc"), "0"),
    "msg_type": "cam_config",
}


@pytest.mark.parametrize(
    ("config", "shape", "form"),
    [
        ({}, (120, 160, 3), "JPEG"),
        ({"img_w": "80", "img_h": "60", "img_enc": "PNG"}, (60, 80, 3), "PNG"),
        ({"img_d": "1", "img_enc": "JPG"}, (120, 160), "JPEG"),
        ({"img_enc": "TGA"}, (120, 160, 3), "TGA"),
    ],
)
def test_size_and_encoding_of_the_pictures(config, shape, form):
    session = loaded()
    assert session.receive(CAMERA | config) == []
    told = session.advance()[-1]
    assert picture(told).shape == shape
    assert Image.open(io.BytesIO(base64.b64decode(told["image"]))).format == form


def test_place_and_angles_of_the_camera():
    session = loaded()
    asked = {
        "fov": "60",
        "offset_y": "2.4",
        "offset_z": "0.8",
        "offset_x": "-0.4",
        "rot_x": "20",
        "rot_y": "10",
    }
    session.receive(CAMERA | asked)
    session.advance()
    camera = session._car.world.camera
    assert (camera.height_m, camera.left_m, camera.pitch_rad) == pytest.approx((0.3, 0.05, math.radians(20)))
    assert camera.forward_m == pytest.approx(0.1 + 0.125) and camera.yaw_rad == pytest.approx(
        -math.radians(10)
    )
    assert math.tan(camera.fov_rad / 2) == pytest.approx(math.tan(math.radians(30)) * 4 / 3)
    assert (camera.k1, camera.k2) == (0, 0)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"img_w": "161"}, "multiple of 4"),
        ({"img_w": "60000", "img_h": "60000"}, "pixels"),
        ({"img_enc": "GIF"}, "JPG, PNG, TGA"),
        ({"offset_y": "900"}, "height_m"),
        ({"fish_eye_x": "0.4"}, "fish_eye_x left out"),
    ],
)
def test_a_camera_that_cannot_be_is_said_to_be_so(config, said):
    session = loaded()
    assert session.receive(CAMERA | config) == []
    answer = session.advance()
    assert kinds(answer) == ["unsupported", "telemetry"] and said in answer[0]["reason"]
    assert picture(answer[-1]).shape == (120, 160, 3)


def test_a_camera_is_made_in_the_worker_and_only_the_last_one(monkeypatch):
    session, made = loaded(), []
    monkeypatch.setattr(Lens, "of", classmethod(lambda cls, message: made.append(message["img_w"]) or cls()))
    for width in range(80, 160, 4):
        session.receive(CAMERA | {"img_w": str(width)})
    assert made == []
    session.advance()
    assert made == ["156"]


def test_a_camera_that_is_no_number_is_refused():
    session = loaded()
    session.receive(CAMERA | {"fov": "wide"})
    with pytest.raises(donkey_server.ProtocolError, match="fov must be a finite number"):
        session.advance()


def test_a_new_camera_keeps_the_time_and_the_same_one_changes_nothing():
    session = loaded()
    drive(session, 0.0, 0.5, steps=20)
    session.receive(CAMERA)
    assert session.advance()[-1]["speed"] > 0.5
    session.receive(CAMERA | {"img_w": "80", "img_h": "60"})
    told = session.advance()[-1]
    assert told["time"] == pytest.approx(23 * 0.05) and told["speed"] < 0.1


def test_steps_on_demand():
    session = loaded()
    session.receive({"msg_type": "step_mode", "step_mode": "synchronous", "time_step": "0.1"})
    session.advance()
    assert not session.due and session.advance() == []
    told = drive(session, 0.0, 0.5, steps=3)
    assert told["time"] == pytest.approx(0.05 + 3 * 0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"msg_type": "set_random_seed", "seed": "7"},
        CAMERA | {"img_w": "80", "img_h": "60"},
        {"msg_type": "step_mode", "step_mode": "asynchronous", "time_step": "0.1"},
    ],
    ids=lambda change: change["msg_type"],
)
def test_a_new_car_waits_for_a_command_of_its_own(change):
    session = loaded()
    drive(session, 0.5, 1.0)
    session.receive(change)
    told = session.advance()[-1]
    assert (told["throttle"], told["steering_angle"]) == (0, 0)
    assert drive(session, 0.0, 0.4)["throttle"] == 0.4
    session.receive(change)  # it is so already: the car stays
    assert session.advance()[-1]["throttle"] == 0.4


def test_a_command_after_the_change_is_the_new_cars():
    session = loaded()
    session.receive({"msg_type": "step_mode", "step_mode": "synchronous", "time_step": "0.1"})
    assert drive(session, 0.0, 0.4)["throttle"] == 0.4


def test_a_seed_decides_the_world():
    session = loaded(randomisation="mild")

    def look_at(seed):
        session.receive({"msg_type": "set_random_seed", "seed": str(seed)})
        return picture(session.advance()[-1])

    one, two = look_at(1), look_at(2)
    assert np.array_equal(look_at(1), one) and not np.array_equal(one, two)


def test_leaving_a_scene_leads_back_to_the_choice():
    session = loaded()
    session.receive({"msg_type": "exit_scene"})
    assert kinds(session.advance()) == ["scene_selection_ready"]
    assert not session.due
    session.receive({"msg_type": "quit_app"})
    assert session.closed


def test_what_is_asked_for_while_a_scene_is_left_counts_for_the_next():
    session = loaded()
    session.receive({"msg_type": "exit_scene"})
    session.receive(CAMERA | {"img_w": "80", "img_h": "60"})
    session.receive({"msg_type": "set_random_seed", "seed": "7"})
    session.receive({"msg_type": "step_mode", "step_mode": "asynchronous", "time_step": "0.1"})
    assert kinds(session.advance()) == ["scene_selection_ready"]
    session.receive({"msg_type": "load_scene", "scene_name": "oval"})
    told = session.advance()[-1]
    assert picture(told).shape == (60, 80, 3) and told["time"] == pytest.approx(0.1)
    assert session._seed == 7


def test_a_track_that_fails_is_told_to_the_client(tmp_path):
    session = Session(Settings(track=str(tmp_path / "gone.npy")))
    session.receive({"msg_type": "load_scene", "scene_name": "warehouse"})
    messages = session.advance()
    assert kinds(messages) == ["error", "scene_selection_ready"] and "no such track" in messages[0]["reason"]


# Over sockets.
