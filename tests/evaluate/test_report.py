"""The page: pictures that are pictures, figures that are the result's."""

import base64
import io
import re

import numpy as np
from PIL import Image

from dingocar.evaluate import evaluate, report
from dingocar.sim import Expert, load_track


class Straight:
    """A pilot that has learned nothing."""

    image_shape = (60, 80, 3)

    def run_batch(self, images):
        assert images.dtype == np.uint8 and images.shape[1:] == self.image_shape
        return np.zeros(len(images)), np.full(len(images), 0.2)


def test_page(tmp_path):
    track = load_track("oval")
    results = {"expert": evaluate(Expert(track).act, track, laps=2)}
    samples = report.samples(Straight(), Expert(track), track, n=5)
    assert [sample.pilot for sample in samples] == [0.0] * 5
    assert len({sample.expert for sample in samples}) == 5
    pictures = {"laps": report.lap_figure(track, results), "<camera>": report.camera_figure(samples)}
    path = tmp_path / "report.html"
    report.write_page(path, "Title & more", "lead", pictures, {"Driving": report.drive_rows(results)})
    page = path.read_text()
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    for data in found:
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        assert image.std() > 5
    assert len(found) == 2
    assert "Title &amp; more" in page and "&lt;camera&gt;" in page
    assert "<td>2 of 2</td>" in page and f"<td>{results['expert'].mean_speed_mps:.3g}</td>" in page
