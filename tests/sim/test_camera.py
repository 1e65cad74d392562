"""The camera's model: rays, projection and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import Camera

CAMERAS = [
    Camera(),
    Camera(k1=0.0),
    Camera(fov_rad=1.2, k1=-0.2, k2=0.03, pitch_rad=0.6, height_m=0.1, forward_m=0.0),
    Camera(shape=(96, 128), k1=0.05),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_projecting_a_pixels_ray_gives_the_pixel_back(camera):
    rays = camera.rays()
    point = rays * 2.0 + [camera.forward_m, 0.0, camera.height_m]
    row, column = camera.project(point[..., 0], point[..., 1], point[..., 2])
    rows, columns = np.indices(camera.shape)
    assert row == pytest.approx(rows + 0.5, abs=1e-6)
    assert column == pytest.approx(columns + 0.5, abs=1e-6)


def test_pinhole_against_the_closed_form():
    camera = Camera(k1=0.0, pitch_rad=0.0, height_m=0.2, forward_m=0.1, fov_rad=math.pi / 2)
    assert camera.focal_px == pytest.approx(80.0)
    row, column = camera.project(1.1, 0.25)  # 1 m ahead of the lens
    assert row == pytest.approx(60 + 80 * 0.2)
    assert column == pytest.approx(80 - 80 * 0.25)


def test_pitch_lifts_the_horizon():
    camera = Camera(k1=0.0, pitch_rad=0.3)
    row, _ = camera.project(1e6, 0.0)
    assert row == pytest.approx(60 - camera.focal_px * math.tan(0.3), abs=1e-3)


@pytest.mark.parametrize("k1", [-0.1, 0.0, 0.1])
def test_fov_is_seen_from_edge_to_edge(k1):
    camera = Camera(fov_rad=1.5, k1=k1, pitch_rad=0.0)
    side = math.tan(0.75)
    _, column = camera.project(camera.forward_m + 1.0, side, camera.height_m)
    assert column == pytest.approx(0.0, abs=1e-6)


def test_barrel_distortion_pulls_far_points_inwards():
    plain, barrel = Camera(k1=0.0, fov_rad=1.4), Camera(k1=-0.1, fov_rad=1.4)
    scale = barrel.focal_px / plain.focal_px
    _, plain_column = plain.project(0.8, -0.5)
    _, barrel_column = barrel.project(0.8, -0.5)
    assert barrel_column - 80 < (plain_column - 80) * scale


def test_a_point_behind_is_nowhere():
    assert np.isnan(Camera().project(-1.0, 0.0)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"height_m": 0.0},
        {"fov_rad": 3.0},
        {"pitch_rad": math.nan},
        {"shape": (120, 161)},
        {"shape": (120,)},
        {"shape": (4, 4)},
        {"k1": -0.4},
        {"k1": -0.9},
    ],
)
def test_limits(settings):
    with pytest.raises(UsageError, match="Camera"):
        Camera(**settings)


@pytest.mark.parametrize(
    "shape", [(120, 120), (224, 224), (120, 80), (16, 16), (240, 320), (60, 160), (120, 160)]
)
def test_the_default_camera_takes_every_size(shape):
    """Its lens stays the same: the corners are as far from the axis as in the default picture."""
    camera, default = Camera.of_shape(shape), Camera()
    assert camera.shape == shape
    corners = [math.hypot(*c.shape) / c.focal_px for c in (camera, default)]
    assert corners[0] == pytest.approx(corners[1])
    assert np.isfinite(camera.rays()).all()


def test_the_default_camera_of_the_default_size_is_the_default_camera():
    assert Camera.of_shape((120, 160)) == Camera()
