"""Pictures of the trial of domain adaptation, for docs/adaptation.md: its worlds, and pilots' features.

    python benchmarks/transfer_pictures.py [--out docs/images] [--features NAME=FILE.npz]...

Writes `transfer_worlds.jpg`: what a pilot learns from, the same pictures in the target's colours, and the
target; and of what `dingocar domain-report --dump` has written `transfer_features.png`: t-SNE, by domain and
by steering. How the rows drive is drawn by trial_charts.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

from dingocar.adapt.probes import neighbourhoods
from dingocar.evaluate.leaderboard.recording import make_recording
from dingocar.evaluate.leaderboard.suite import Recording
from dingocar.images import Uint8Array
from dingocar.translate.histogram import HistogramMatcher
from dingocar.tub import open_tub

ROOT = Path(__file__).resolve().parent.parent
#: (height, width) of a picture on the sheet, how many side by side, and the line between them.
SIZE, COLUMNS, LINE = (120, 160), 5, 4


def pictures(folder: Path, look: str, randomisation: str, track: str) -> Uint8Array:
    """Some pictures of a world, uint8 (COLUMNS, H, W, 3), each of another episode."""
    recording = Recording((track,), look, randomisation, frames=COLUMNS * 12, episode_frames=12)
    tub = make_recording(folder / f"{look}{Path(randomisation).stem}", recording, 3, SIZE)
    return np.stack([record.image() for record in open_tub(tub).records[6::12]])


def worlds(out: Path) -> None:
    """The sheet of worlds: a row for each."""
    place = ROOT / "benchmarks/suites/worlds"
    with tempfile.TemporaryDirectory() as folder:
        home = pictures(Path(folder), "flat", "none", "random:101")
        rows = [home]
        for name in ("warehouse", "warehouse_car", "hall"):
            target = pictures(Path(folder), "photo", str(place / f"{name}.toml"), "random:101")
            rows.append(target)
            if name == "warehouse":
                rows.insert(1, HistogramMatcher.of(target).each(home, np.random.default_rng(0)))
    height, width = SIZE
    sheet = np.full((len(rows) * (height + LINE), COLUMNS * (width + LINE), 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = i * (height + LINE), j * (width + LINE)
            sheet[top : top + height, left : left + width] = picture
    Image.fromarray(sheet).save(out / "transfer_worlds.jpg", quality=85)


def features(dumps: dict[str, Path], out: Path) -> None:
    """Each pilot's features in a plane, a column for each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9 * len(dumps), 5.8))
    panels = figure.subplots(2, len(dumps), squeeze=False)
    for column, (name, file) in enumerate(dumps.items()):
        found = np.load(file)
        placed = neighbourhoods(found["features"])
        real = found["domain"] == "real"
        for domain, which in (("simulated", ~real), ("real", real)):
            panels[0][column].plot(*placed[which].T, ".", markersize=3, label=domain)
        panels[1][column].scatter(*placed.T, s=4, c=found["steering"], cmap="coolwarm", vmin=-1, vmax=1)
        panels[0][column].set_title(f"{name}: by domain", fontsize=9)
        panels[1][column].set_title("by the right steering", fontsize=9)
    for axes in panels.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    panels[0][0].legend(fontsize=7, loc="upper left")
    figure.tight_layout()
    figure.savefig(out / "transfer_features.png", dpi=90)


def main() -> None:
    """Reads the arguments and writes the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    parser.add_argument("--features", action="append", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    worlds(arguments.out)
    if arguments.features:
        pairs = (text.split("=", 1) for text in arguments.features)
        features({name: Path(file) for name, file in pairs}, arguments.out)


if __name__ == "__main__":
    main()
