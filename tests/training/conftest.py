"""Small tubs written by hand in Donkeycar's format, and a pilot small enough to train in a second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dingocar.images import decode_image, encode_jpeg
from dingocar.training import TrainingSettings, load_dataset
from dingocar.training.domains import plan_domains
from dingocar.training.trainer import hold_out
from dingocar.zoo import Pilot, PilotSettings

HEIGHT, WIDTH = SIZE = 24, 32


def picture(steering, rng, height=HEIGHT, width=WIDTH):
    """A dark, noisy picture with a bright bar whose place tells the steering."""
    image = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
    middle = round((steering + 1) / 2 * (width - 5))
    image[:, middle : middle + 4] = 230
    return image


def write_tub(
    folder: Path,
    frames: int = 120,
    seed: int = 0,
    sessions: int = 1,
    metadata: dict | None = None,
    extra: dict | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Path:
    """Writes a tub v2 whose steering is a slow wave."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    steering = np.sin(np.arange(frames) / 7 + seed) * 0.9
    lines = []
    for i in range(frames):
        name = f"{i}_cam_image_array_.jpg"
        (folder / "images" / name).write_bytes(encode_jpeg(picture(steering[i], rng, *size)))
        fields = {
            "_index": i,
            "_session_id": f"26-01-01_{i * sessions // frames}",
            "_timestamp_ms": 1_700_000_000_000 + 50 * i,
            "cam/image_array": name,
            "user/angle": float(steering[i]),
            "user/mode": "user",
            "user/throttle": float(0.5 - 0.3 * abs(steering[i])),
            **{key: values[i] for key, values in (extra or {}).items()},
        }
        lines.append(json.dumps(fields, sort_keys=True) + "\n")
    (folder / "catalog_0.catalog").write_text("".join(lines))
    catalog = {
        "created_at": 0.0,
        "line_lengths": [len(line) for line in lines],
        "path": "catalog_0.catalog_manifest",
        "start_index": 0,
    }
    (folder / "catalog_0.catalog_manifest").write_text(json.dumps(catalog) + "\n")
    ids = [f"26-01-01_{n}" for n in range(sessions)]
    manifest = [
        ["cam/image_array", "user/angle", "user/throttle", "user/mode"],
        ["image_array", "float", "float", "str"],
        metadata or {},
        {
            "created_at": 0.0,
            "sessions": {"all_full_ids": ids, "last_id": sessions - 1, "last_full_id": ids[-1]},
        },
        {
            "paths": ["catalog_0.catalog"],
            "current_index": frames,
            "max_len": 1000,
            "deleted_indexes": [],
        },
    ]
    (folder / "manifest.json").write_text("".join(json.dumps(line) + "\n" for line in manifest))
    return folder


@dataclass(frozen=True)
class TinySettings(PilotSettings):
    image_shape: tuple[int, int, int] = (HEIGHT, WIDTH, 3)
    units: int = 12
    suffix: str = ""


class Tiny(Pilot):
    """One convolution, one dense layer."""

    settings_type = TinySettings
    settings: TinySettings

    def build(self):
        from keras import Input, Model, layers

        end = self.settings.suffix
        image = Input(self.settings.image_shape, dtype="uint8", name="image")
        x = layers.Rescaling(1 / 255, name="normalise")(image)
        x = layers.Conv2D(6, 5, 4, activation="relu", name=f"conv{end}")(x)
        x = layers.Dropout(0.1, name="dropout")(x)
        x = layers.Flatten(name="flat")(x)
        x = layers.Dense(self.settings.units, activation="relu", name=f"features{end}")(x)
        heads = {
            head: layers.Dense(1, dtype="float32", name=head + end)(x) for head in ("steering", "throttle")
        }
        return Model(image, heads, name="tiny")


@pytest.fixture
def tub(tmp_path):
    return write_tub(tmp_path / "tub")


@pytest.fixture(scope="session")
def shared_tub(tmp_path_factory):
    """A tub that no test writes to."""
    return write_tub(tmp_path_factory.mktemp("shared") / "tub", frames=160)


@pytest.fixture
def quick():
    """Settings of a training that takes about a second."""
    return TrainingSettings(
        epochs=3,
        batch_size=32,
        learning_rate=3e-3,
        gap_frames=2,
        precision="float32",
        curve=False,
        progress=False,
        decode_workers=2,
    )


def write_real(folder, frames=120, seed=5, **more):
    """A tub whose pictures are brighter than the simulated ones'."""
    write_tub(folder, frames, seed, metadata={"domain": "real"}, **more)
    for path in (folder / "images").iterdir():
        path.write_bytes(encode_jpeg(np.minimum(decode_image(path).astype(int) + 60, 255).astype(np.uint8)))
    return folder


def change_labels(tub, change):
    """Rewrites a tub's labels; `change` maps (index, steering, throttle) to new ones."""
    path = tub / "catalog_0.catalog"
    lines = []
    for line in path.read_text().splitlines():
        fields = json.loads(line)
        new = change(fields["_index"], fields["user/angle"], fields["user/throttle"])
        fields["user/angle"], fields["user/throttle"] = new
        lines.append(json.dumps(fields, sort_keys=True) + "\n")
    path.write_text("".join(lines))


@pytest.fixture(scope="module")
def tubs(tmp_path_factory):
    """A simulated tub and a real one that no test writes to."""
    folder = tmp_path_factory.mktemp("domains")
    return write_tub(folder / "sim", 200, metadata={"domain": "sim"}), write_real(folder / "real")


def plan(adaptation, labelled, settings=None, seed=0):
    settings = settings or TrainingSettings(gap_frames=2)
    data = load_dataset(labelled, SIZE, unlabelled=adaptation.unlabelled)
    split = hold_out(data, settings)
    return data, split, plan_domains(adaptation, data, split, seed)
