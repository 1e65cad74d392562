"""Only JPEG and PNG are pictures, wherever a picture is decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from dingocar import images
from dingocar.errors import ImageError
from dingocar.training.cache import load_pictures
from dingocar.tub import Record


def encoded(kind, mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, (8, 8)).save(buffer, format=kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_refused_whatever_their_name(kind, tmp_path):
    path = tmp_path / "0_cam_image_array_.jpg"
    path.write_bytes(encoded(kind))
    with pytest.raises(ImageError, match=r"_\.jpg: cannot be decoded .expected a JPEG or PNG"):
        images.decode_image(path)
    assert not load_pictures([path], (8, 8)).usable[0]


def test_a_depth_map_in_another_format_is_refused(tmp_path):
    (tmp_path / "d.png").write_bytes(encoded("TIFF", "I;16"))
    with pytest.raises(ImageError, match="expected a JPEG or PNG"):
        Record(0, {"d": "d.png"}, tmp_path).depth("d")


@pytest.mark.parametrize("error", [TypeError, OverflowError, IndexError])
def test_whatever_pillow_raises_is_an_image_error(error, monkeypatch):
    def broken(*_):
        raise error("deep inside")

    monkeypatch.setattr(Image.Image, "convert", broken)
    with pytest.raises(ImageError, match="deep inside"):
        images.decode_image(encoded("PNG"))


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100)
    (tmp_path / "a.jpg").write_bytes(bytes(101))
    with pytest.raises(ImageError, match="larger than 100 bytes"):
        images.decode_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("shape", [(0, 8, 3), (8, 0, 3)])
def test_an_empty_picture_is_none(shape):
    with pytest.raises(ImageError, match="camera: expected a uint8"):
        images.check_image(np.zeros(shape, np.uint8), "camera")
