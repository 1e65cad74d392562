"""Training speed with each method of domain adaptation, beside `none`, in the same run.

    python benchmarks/adapt_bench.py [--pilot linear] [--picture HxW] [--batch 64] [--steps 20] [--rounds 5]
                                     [--precision float32] [--methods coral,mmd] [--json]

Every method gets as many pictures in a batch, half simulated and half real; `none` (and `adabn`, which is
`none` while it trains) simulated ones alone. Each is compiled first; then all take turns, a number of steps
each, round after round, since a computer's clock and its other work drift. The figure is the median over the
rounds; the ratio is the median of the rounds' own ratios to `none`, as time: 1.25 takes a quarter longer.
`finish_s` is what the method does once, after the training, with 2000 pictures of each domain.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dingocar.adapt import Method, methods
from dingocar.training.dataset import LABELS
from dingocar.training.fit import METHOD_FRAMES
from dingocar.zoo import Pilot, pilots

FRAMES = 2048
FORMS = ("linear", "categorical", "mlp")


@dataclass(frozen=True)
class Records:
    """As much of a data set as batches need: noise, labelled at random."""

    images: Any
    columns: dict[str, Any]


def records(shape: tuple[int, int, int]) -> Records:
    """`FRAMES` pictures."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (FRAMES, *shape), dtype=np.uint8)
    return Records(images, {name: rng.uniform(0, 1, FRAMES).astype(np.float32) for name in LABELS})


def variants(wanted: str) -> dict[str, Method]:
    """{name: method}: each, and each form of those that have forms; `none` first."""
    found: dict[str, Method] = {"none": methods.load("none")()}
    for name in wanted.split(",") if wanted else methods.names():
        kind = methods.load(name)
        for form in FORMS if name == "confusion" else ("",):
            found[f"{name} {form}".strip()] = kind.from_settings({"form": form} if form else {})
    return found


class Trial:
    """A pilot in training with a method.

    Args:
        method: the method.
        pilot: the pilot.
        data: what it is trained on.
        batch: pictures in a step.
        precision: the dtype policy.
    """

    def __init__(self, method: Method, pilot: Pilot, data: Records, batch: int, precision: str) -> None:
        import keras

        from dingocar.training.adapting import Adapted, MixedBatches
        from dingocar.training.domains import Stream
        from dingocar.training.loop import use_byte_dropout
        from dingocar.training.precision import jit_compile
        from dingocar.zoo.artefact import dtype_policy

        self.method, self.pilot = method, pilot
        both = method.trains_on_target
        rows = np.arange(FRAMES)
        halves = (rows[: FRAMES // 2], rows[FRAMES // 2 :]) if both else (rows,)
        streams = [Stream(half, number == 0) for number, half in enumerate(halves)]
        counts = (batch - batch // 2, batch // 2) if both else (batch, 0)
        translation = method.translation(data.images[: FRAMES // 2], data.images[FRAMES // 2 :])
        shares = counts[: len(halves)]
        self.batches = MixedBatches(data, streams, shares, pilot, 0, translation=translation)  # type: ignore[arg-type]
        with dtype_policy(precision):
            network = pilot.build()
        use_byte_dropout(network)
        self.model = Adapted(network, pilot, method, counts, 10_000)
        self.model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=jit_compile())

    def images_per_s(self, steps: int) -> float:
        """Trains for some steps; those of preparing the first batch and of compiling are not counted."""
        import keras

        class Watch(keras.callbacks.Callback):  # type: ignore[misc]
            began = ended = 0.0

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                self.ended = time.perf_counter()
                self.began = self.began or self.ended

        watch, done = Watch(), self.batches
        self.model.fit(done, steps_per_epoch=steps + 1, callbacks=[watch], verbose=0, shuffle=False)
        return steps * done.batch_size / (watch.ended - watch.began)

    def finish_s(self, data: Records) -> float:
        """How long the method takes when the training is done."""
        half = min(METHOD_FRAMES, FRAMES // 2)
        began = time.perf_counter()
        self.method.finish(self.model.network, data.images[:half], data.images[-half:])
        return (time.perf_counter() - began) * METHOD_FRAMES / half


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures all methods in turn."""
    settings = {}
    if arguments.picture:
        settings["image_shape"] = (*map(int, arguments.picture.split("x")), 3)
    pilot = pilots.load(arguments.pilot).from_settings(settings)
    data = records(pilot.settings.image_shape)
    trials = {
        name: Trial(method, pilot, data, arguments.batch, arguments.precision)
        for name, method in variants(arguments.methods).items()
    }
    for trial in trials.values():
        trial.images_per_s(3)
    rounds = [
        {name: trial.images_per_s(arguments.steps) for name, trial in trials.items()}
        for _ in range(arguments.rounds)
    ]
    found = {}
    for name, trial in trials.items():
        found[name] = {
            "images_per_s": round(statistics.median(each[name] for each in rounds), 1),
            "ratio": round(statistics.median(each["none"] / each[name] for each in rounds), 3),
            "critic_steps": getattr(trial.method.settings, "critic_steps", 0) if "mlp" in name else 0,
            "finish_s": round(trial.finish_s(data), 2),
        }
    return {
        "pilot": arguments.pilot,
        "picture": list(pilot.settings.image_shape[:2]),
        "batch": arguments.batch,
        "precision": arguments.precision,
        "rounds": arguments.rounds,
        "methods": found,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'method':<22} {'img/s':>8} {'time':>6} {'critic steps':>13} {'finish, s':>10}"]
    for name, each in figures["methods"].items():
        steps, ratio = each["critic_steps"] or "", f"{each['ratio']:.2f}"
        lines.append(
            f"{name:<22} {each['images_per_s']:>8.0f} {ratio:>6} {steps:>13} {each['finish_s']:>10.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Reads the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pilot", default="linear")
    parser.add_argument("--picture", default="", help="HEIGHTxWIDTH; the pilot's own without it")
    parser.add_argument("--batch", type=int, default=64, help="pictures in a step")
    parser.add_argument("--steps", type=int, default=20, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--methods", default="", help="names, separated by commas; all without it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = bench(arguments)
    print(json.dumps(figures) if arguments.json else table(figures))


if __name__ == "__main__":
    main()
