"""Pictures: painted points appear where the camera's model says; contract of the looks; a moving car."""

from __future__ import annotations

import numpy as np
import pytest

from dingocar.errors import DingocarError, UnknownNameError
from dingocar.registry import use_car_folder
from dingocar.sim import Camera, Chart, Painting, World, load_look, load_track
from dingocar.sim.chart import MAX_TEXELS, TEXEL_M, survey
from dingocar.sim.look import looks
from dingocar.sim.render import Lens, Pose, build_atlas

BLACK_SKY = np.zeros((16, 256, 3), np.uint8)


class Renderer:
    """Pictures of one painting with one camera."""

    def __init__(self, camera, chart, painting):
        self.atlas = build_atlas(painting, chart, camera)
        self.lens = Lens(camera, self.atlas.layout)

    def render(self, x_m, y_m, yaw_rad):
        return np.stack(
            [self.picture(Pose(*map(float, pose))) for pose in zip(x_m, y_m, yaw_rad, strict=True)]
        )

    def picture(self, pose, **exposure):
        image = np.zeros((*self.lens.camera.shape, 3), np.uint8)
        self.lens.draw(self.atlas, pose, image, **exposure)
        return image


def painted(look, chart, seed=0):
    rng = np.random.default_rng(seed)
    return look.paint(chart, look.draw(rng), rng)


@pytest.fixture(scope="module")
def chart() -> Chart:
    return survey(load_track("oval"))


def spot(chart, x_m, y_m, radius_m, colour=(255, 0, 0)):
    """A black floor with one round spot."""
    ground = np.zeros((*chart.shape, 3), np.uint8)
    y = chart.y0_m + (np.arange(chart.shape[0]) + 0.5) * chart.texel_m
    x = chart.x0_m + (np.arange(chart.shape[1]) + 0.5) * chart.texel_m
    ground[np.hypot(x - x_m, y[:, None] - y_m) < radius_m] = colour
    return Painting(ground, BLACK_SKY)


def centre_of(channel):
    weight = channel.astype(float)
    rows, columns = np.indices(weight.shape) + 0.5
    return (rows * weight).sum() / weight.sum(), (columns * weight).sum() / weight.sum()


CAMERAS = [Camera(), Camera(k1=0.0), Camera(fov_rad=1.4, k1=-0.25, k2=0.04, pitch_rad=0.5)]


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize(
    ("ahead", "left", "yaw"),
    [(0.7, 0.0, 0.0), (0.8, 0.3, 0.7), (0.9, -0.4, -2.0), (1.4, 0.6, 3.1), (1.2, -0.5, 1.6)],
)
def test_a_painted_spot_is_seen_where_the_model_says(chart, camera, ahead, left, yaw):
    x, y = 2.0, 1.2
    at = (
        x + ahead * np.cos(yaw) - left * np.sin(yaw),
        y + ahead * np.sin(yaw) + left * np.cos(yaw),
    )
    renderer = Renderer(camera, chart, spot(chart, *at, 0.03))
    image = renderer.render(np.array([x]), np.array([y]), np.array([yaw]))[0]
    row, column = centre_of(image[..., 0])
    expected_row, expected_column = camera.project(ahead, left)
    assert row == pytest.approx(float(expected_row), abs=0.6)
    assert column == pytest.approx(float(expected_column), abs=0.6)
    assert not image[..., 1:].any()


def test_channels_are_red_green_blue(chart):
    ground = np.full((*chart.shape, 3), (10, 20, 30), np.uint8)
    sky = np.full((8, 64, 3), (40, 50, 60), np.uint8)
    image = Renderer(Camera(), chart, Painting(ground, sky)).render(*np.zeros((3, 1)))[0]
    assert (image[0] == (40, 50, 60)).all()
    assert (image[-1] == (10, 20, 30)).all()
    # Above the horizon is sky, below is floor.
    horizon = float(Camera().project(1e5, 0.0)[0])
    seen = (image[:, 80] == (40, 50, 60)).all(axis=1)
    assert seen.sum() == pytest.approx(horizon, abs=1.5)


def test_a_mean_of_two_samples_never_leaves_their_range(chart):
    rng = np.random.default_rng(0)
    ground = rng.choice(np.array([0, 255], np.uint8), (*chart.shape, 1)).repeat(3, axis=2)
    image = Renderer(Camera(), chart, Painting(ground, BLACK_SKY)).render(*np.ones((3, 1)))[0]
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 1] == image[..., 2]).all()
    assert {0, 127, 255} >= set(np.unique(image[-3:]).tolist())


def test_far_stripes_do_not_alias(chart):
    """A floor of fine stripes is grey far away, not black and white."""
    ground = np.zeros((*chart.shape, 3), np.uint8)
    ground[:, ::2] = 254
    image = Renderer(Camera(), chart, Painting(ground, BLACK_SKY)).render(
        np.array([0.0]), np.array([1.3]), np.array([0.0])
    )[0]
    far = image[int(Camera().project(3.0, 0.0)[0]), 40:120, 0].astype(int)
    assert np.abs(far - 127).max() <= 3


def test_the_sky_turns_with_the_yaw(chart):
    ground = np.zeros((*chart.shape, 3), np.uint8)
    sky = np.zeros((8, 360, 3), np.uint8)
    sky[:, 90] = 255  # a post in the direction of +y
    renderer = Renderer(Camera(k1=0.0), chart, Painting(ground, sky))

    def column(yaw):
        image = renderer.render(np.zeros(1), np.zeros(1), np.array([yaw]))[0]
        return centre_of(image[:10, :, 0])[1]

    assert column(np.pi / 2) == pytest.approx(80, abs=2)
    assert column(np.pi / 2 + 0.3) > 95  # turned to the left: it is seen on the right
    assert column(np.pi / 2 - 0.3 - 4 * np.pi) < 65


def test_a_car_far_away_still_gets_a_picture(chart):
    image = Renderer(Camera(), chart, painted(load_look("flat"), chart)).render(
        np.array([1e6, -1e6]), np.array([1e6, -50.0]), np.array([0.0, 1e3])
    )
    assert image.shape == (2, 120, 160, 3)


def test_beyond_the_border_the_border_goes_on(chart):
    ground = np.zeros((*chart.shape, 3), np.uint8)
    ground[:, : chart.shape[1] // 2] = 255  # the left half is white
    renderer = Renderer(Camera(), chart, Painting(ground, BLACK_SKY))
    at_border = np.array([chart.x0_m]), np.array([1.3])
    outwards = renderer.render(*at_border, np.array([np.pi]))[0]
    assert (outwards[50:] == 255).all()
    inwards = renderer.render(*at_border, np.array([0.0]))[0]
    assert (inwards[-1] == 255).all()
    far_row = int(Camera().project(5.0, 0.0)[0])
    assert (inwards[far_row, 70:90] == 0).all()


@pytest.mark.parametrize("pitch", [-0.5, 1.5])
def test_cameras_that_see_only_sky_or_only_floor(chart, pitch):
    ground = np.full((*chart.shape, 3), 255, np.uint8)
    camera = Camera(pitch_rad=pitch, fov_rad=0.6, shape=(48, 64))
    image = Renderer(camera, chart, Painting(ground, BLACK_SKY)).render(*np.ones((3, 1)))
    assert (image == (255 if pitch > 0 else 0)).all()


def test_the_chart_knows_s_and_cte(chart):
    rng = np.random.default_rng(3)
    rows, columns = np.nonzero(np.isfinite(chart.cte_m))
    pick = rng.choice(len(rows), 500)
    rows, columns = rows[pick], columns[pick]
    x = chart.x0_m + (columns + 0.5) * chart.texel_m
    y = chart.y0_m + (rows + 0.5) * chart.texel_m
    s, cte, _ = chart.track.locate(x, y)
    assert chart.cte_m[rows, columns] == pytest.approx(cte, abs=1e-4)
    assert chart.track.wrap_s(chart.s_m[rows, columns] - s) == pytest.approx(0, abs=1e-3)
    assert chart.half_width_m[rows, columns] == pytest.approx(0.35, abs=1e-6)
    assert chart.texel_m == TEXEL_M


def test_large_tracks_get_larger_texels():
    oval = load_track("oval")
    large = type(oval)("large", oval.centre * 12, oval.left * 12, oval.right * 12)
    chart = survey(large)
    assert chart.texel_m > TEXEL_M
    assert chart.shape[0] * chart.shape[1] <= MAX_TEXELS * 1.01
    image = Renderer(Camera(), chart, spot(chart, 30, 0, 1))
    assert image.atlas.data.nbytes < 64e6


@pytest.mark.parametrize("look", looks.names())
def test_every_look_paints_a_world(look):
    """The contract of a look file."""
    chart = survey(load_track("circuit"))
    one, same = (painted(load_look(look), chart, seed=5) for _ in range(2))
    assert one.ground.tobytes() == same.ground.tobytes()
    assert one.sky.tobytes() == same.sky.tobytes()
    world = World("circuit", look=look, n=2)
    state = world.reset(start_s_m=[0.0, 9.0])
    assert state.image.dtype == np.uint8
    assert state.image.shape == (2, 120, 160, 3)
    assert (state.image[0] != state.image[1]).any()
    assert state.image.std() > 10


def test_flat_shows_white_edges_and_a_yellow_middle():
    world = World("circuit")
    image = world.reset(start_s_m=0.0).image[0].astype(int)
    bright = image.min(axis=2) > 180
    yellow = (image[..., 0] > 150) & (image[..., 2] < 100)
    row = int(world.camera.project(0.9, 0.0)[0])
    left, right = np.flatnonzero(bright[row, :80]), np.flatnonzero(bright[row, 80:]) + 80
    expected = [float(world.camera.project(0.9, side)[1]) for side in (0.325, -0.325)]
    assert [left.mean() + 0.5, right.mean() + 0.5] == pytest.approx(expected, abs=1.5)
    assert yellow[50:, 70:90].sum() > 20
    assert not yellow[:, :60].any()


def test_unknown_look():
    with pytest.raises(UnknownNameError, match="did you mean 'flat'"):
        World("oval", look="flatt")


def test_a_broken_look_is_named(tmp_path):
    folder = tmp_path / "looks"
    folder.mkdir()
    lines = "from dingocar.sim import Appearance, Look", "look = Look(lambda rng: Appearance(), lambda *_: 3)"
    (folder / "broken.py").write_text("\n".join(lines))
    use_car_folder(tmp_path)
    try:
        with pytest.raises(DingocarError, match="look broken: paint"):
            World("oval", look="broken").render()
    finally:
        use_car_folder(None)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("def draw(rng):\n    return 1 / 0\nlook = Look(draw)", r"mine\.py:3: ZeroDivisionError"),
        ("look = Look(lambda rng: Appearance(ligt=3))", r"mine\.py:2: TypeError"),
        ("def draw():\n    return Appearance()\nlook = Look(draw)", r"mine\.py:.*TypeError"),
        ("look = Look(3)", "a function"),
        ("look = Look(lambda rng: Appearance(), lambda *_: 1 / 0)", r"mine\.py:2: ZeroDivisionError"),
    ],
)
def test_a_mistake_in_a_car_s_look_is_one_line(tmp_path, lines, told):
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks/mine.py").write_text(f"from dingocar.sim import Appearance, Look\n{lines}\n")
    use_car_folder(tmp_path)
    try:
        with pytest.raises(DingocarError, match=told) as caught:
            World("oval", look="mine", camera=Camera.of_shape((24, 32))).render()
    finally:
        use_car_folder(None)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_car_s_track_is_one_line(tmp_path):
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks/mine.py").write_text("def build(argument):\n    return 1 / 0\n")
    use_car_folder(tmp_path)
    try:
        with pytest.raises(DingocarError, match=r"mine\.py:2: ZeroDivisionError"):
            load_track("mine")
    finally:
        use_car_folder(None)


def test_a_shutter_blurs_along_the_motion_alone(chart):
    """A spot beside the way is drawn out by as much as the car drives while the shutter is open."""
    renderer = Renderer(Camera(), chart, spot(chart, 2.8, 1.2, 0.03))
    still = Pose(2.0, 1.2, 0.0)
    moving = Pose(2.0, 1.2, 0.0, vx_mps=3.0)
    sharp = renderer.picture(still, shutter_s=0.03)
    assert (sharp == renderer.picture(moving)).all()
    blurred = renderer.picture(moving, shutter_s=0.03)
    before = centre_of(renderer.picture(Pose(2.0 - 0.09, 1.2, 0.0))[..., 0])[0]
    now = centre_of(sharp[..., 0])[0]
    assert centre_of(blurred[..., 0])[0] == pytest.approx((before + now) / 2, abs=0.7)
    assert blurred[..., 0].max() < sharp[..., 0].max()
    spread = [np.ptp(np.nonzero(image[..., 0])[axis]) for image in (sharp, blurred) for axis in (0, 1)]
    assert spread[2] > spread[0]
    assert spread[3] <= spread[1] + 1


def test_a_rolling_shutter_leans_what_the_car_turns_past(chart):
    """The first row is the oldest: turning to the left, a post leans with its top to the left."""
    ground = np.zeros((*chart.shape, 3), np.uint8)
    x = chart.x0_m + (np.arange(chart.shape[1]) + 0.5) * chart.texel_m
    y = chart.y0_m + (np.arange(chart.shape[0]) + 0.5) * chart.texel_m
    ground[(np.abs(y - 1.2) < 0.02)[:, None] & (x > 2)] = 255  # a line straight ahead
    renderer = Renderer(Camera(k1=0.0), chart, Painting(ground, BLACK_SKY))

    def lean(**exposure):
        image = renderer.picture(Pose(2.0, 1.2, 0.0, yaw_rate_radps=3.0), **exposure)[..., 0].astype(float)
        rows = [55, 110]
        columns = [(image[row] * np.arange(160)).sum() / image[row].sum() for row in rows]
        return columns[0] - columns[1]

    assert lean() == pytest.approx(0, abs=0.5)
    # Half a picture earlier the camera looked 0.03 s * 3 rad/s * (110 - 55) / 119 rad farther right.
    focal = Camera(k1=0.0).focal_px
    assert lean(readout_s=0.03) == pytest.approx(-focal * np.tan(0.09 * 55 / 119), rel=0.35)


def test_an_atlas_with_a_margin_serves_other_cameras(chart):
    """A camera that looks farther than the one the atlas was made for still sees every point in its place."""
    own, other = Camera(), Camera(pitch_rad=0.2, height_m=0.3, fov_rad=1.95, left_m=0.03, yaw_rad=0.05)
    atlas = build_atlas(spot(chart, 3.2, 1.4, 0.04), chart, own, margin=1.5)
    image = np.zeros((120, 160, 3), np.uint8)
    Lens(other, atlas.layout).draw(atlas, Pose(2.0, 1.2, 0.0), image)
    row, column = centre_of(image[..., 0])
    expected = other.project(1.2, 0.2)
    assert (row, column) == pytest.approx([float(value) for value in expected], abs=0.7)
