"""Pictures in and out, and what is no picture."""

import io

import numpy as np
import pytest
from PIL import Image

from dingocar import images
from dingocar.errors import ImageError


@pytest.fixture
def picture():
    rows, columns = np.mgrid[0:24, 0:32]
    return np.stack([rows * 10, columns * 7, rows + columns], axis=-1).astype(np.uint8)


def test_jpeg_round_trip_keeps_colours_in_rgb_order(picture, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(images.encode_jpeg(picture, quality=95))
    back = images.decode_image(path)
    assert back.dtype == np.uint8 and back.shape == (24, 32, 3)
    assert np.abs(back.astype(int) - picture).mean() < 6


def test_scaling(picture):
    assert images.decode_image(images.encode_jpeg(picture), size=(12, 16)).shape == (12, 16, 3)


def test_grey_and_png_become_rgb(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0]).save(buffer, format="png")
    back = images.decode_image(buffer.getvalue())
    np.testing.assert_array_equal(back, np.repeat(picture[..., :1], 3, axis=-1))


@pytest.mark.parametrize("cut", [0, 3, 200])
def test_broken_pictures(picture, cut):
    with pytest.raises(ImageError, match="cannot be decoded"):
        images.decode_image(images.encode_jpeg(picture)[:cut])


def test_missing_picture(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: no such picture"):
        images.decode_image(tmp_path / "none.jpg")


def test_huge_pictures_are_not_decoded(picture, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 24 * 32 - 1)
    with pytest.raises(ImageError, match="32x24 is larger"):
        images.decode_image(images.encode_jpeg(picture))


@pytest.mark.parametrize(
    "bad, got",
    [
        ([[1]], "got list"),
        (np.zeros((2, 2, 3)), r"got float64 \(2, 2, 3\)"),
        (np.zeros((2, 2), np.uint8), r"got uint8 \(2, 2\)"),
        (np.zeros((2, 2, 4), np.uint8), r"got uint8 \(2, 2, 4\)"),
    ],
)
def test_not_an_image(bad, got):
    with pytest.raises(ImageError, match=f"camera: expected a uint8 .*{got}"):
        images.check_image(bad, "camera")
