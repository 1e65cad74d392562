"""How fast translators learn, and what they cost in the car's loop.

    python benchmarks/translate_bench.py [--picture HxW] [--steps 30] [--rounds 3] [--n 200] [--threads 2]
                                         [--methods cyclegan,unit] [--json]

Those that learn take turns, a number of steps each, round after round; the figure is the median over the
rounds, after the first steps, which compile. `minutes` is what 9,000 steps take. In the loop: the `.tflite`
to simulated pictures (of one direction, that one) on single pictures, one after the other, alone and followed
by the pilot `linear`, as a car drives; beside it the pilot alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dingocar.cli._common import picture_size
from dingocar.translate import Translator, translators

STEPS = 9000


def pictures(count: int, size: tuple[int, int], seed: int) -> Any:
    """Noise, uint8 (count, H, W, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


class Trial:
    """A translator in training."""

    def __init__(self, translator: Translator) -> None:
        import keras

        from dingocar.training.precision import jit_compile
        from dingocar.translate._game import Game

        keras.utils.set_random_seed(0)
        self.translator, self.game = translator, Game(translator)
        self.game.compile(optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5), jit_compile=jit_compile())
        size, batch = translator.settings.image_shape[:2], getattr(translator.settings, "batch_size", 1)
        self.batch = {domain: pictures(batch, size, seed) for seed, domain in enumerate(("sim", "real"))}

    def steps_per_s(self, steps: int) -> float:
        """Trains for some steps."""
        began = time.perf_counter()
        for _ in range(steps):
            self.game.train_on_batch(self.batch)
        return steps / (time.perf_counter() - began)


def milliseconds(run: Callable[[Any], Any], images: Any, n: int) -> dict[str, float]:
    """The time of `run(picture)`, after a warm-up."""
    taken = []
    for number in range(n + 20):
        began = time.perf_counter()
        run(images[number % len(images)])
        taken.append(1e3 * (time.perf_counter() - began))
    p50, p99 = np.quantile(taken[20:], (0.5, 0.99))
    return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


def looped(
    trials: dict[str, Trial], size: tuple[int, int], n: int, threads: int
) -> dict[str, dict[str, float]]:
    """The times in the loop, of each translator to sim (or its only direction) before the pilot."""
    from dingocar.training.export import export_tflite
    from dingocar.translate import load_translator, save_translator
    from dingocar.translate._game import translation
    from dingocar.translate.export import export_translator
    from dingocar.zoo import load_pilot, pilots, save_pilot

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        linear = pilots.load("linear").from_settings({"image_shape": (*size, 3)})
        save_pilot(place / "pilot.keras", linear.build(), linear)
        export_tflite(place / "pilot.keras", place / "pilot.tflite")
        pilot, images = load_pilot(place / "pilot.tflite", threads), pictures(16, size, 3)
        found["pilot alone"] = milliseconds(pilot.run, images, n)
        for name, trial in trials.items():
            trial.translator.settle(trial.game.networks, images, images)
            network = translation(trial.translator, trial.game.networks)
            save_translator(place / f"{name}.keras", network, trial.translator)
            direction = "to_sim" if "to_sim" in network.output else "to_real"
            export_translator(place / f"{name}.keras", place / f"{name}.tflite", direction)
            translator = load_translator(place / f"{name}.tflite", threads=threads)
            found[name] = milliseconds(translator.run, images, n)
            both = milliseconds(lambda image, t=translator: pilot.run(t.run(image)), images, n)  # type: ignore[misc]
            found[f"{name} and pilot"] = both
    return found


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures all in turn."""
    size = picture_size(arguments.picture, "--picture")
    names = arguments.methods.split(",") if arguments.methods else translators.names()
    kinds = {name: translators.load(name) for name in names}
    trials = {
        name: Trial(kind.from_settings({"image_shape": (*size, 3)}))
        for name, kind in kinds.items()
        if kind.learns
    }
    for trial in trials.values():
        trial.steps_per_s(3)
    rounds = [
        {name: trial.steps_per_s(arguments.steps) for name, trial in trials.items()}
        for _ in range(arguments.rounds)
    ]
    learning = {}
    for name in trials:
        rate = statistics.median(each[name] for each in rounds)
        learning[name] = {"steps_per_s": round(rate, 2), "minutes": round(STEPS / rate / 60, 1)}
    loop = looped(trials, size, arguments.n, arguments.threads)
    return {"picture": list(size), "threads": arguments.threads, "learning": learning, "loop": loop}


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'learning':<22} {'steps/s':>8} {f'{STEPS} steps, min':>18}"]
    for name, each in figures["learning"].items():
        lines.append(f"{name:<22} {each['steps_per_s']:>8.2f} {each['minutes']:>18.1f}")
    lines += ["", f"{'in the loop':<22} {'p50, ms':>8} {'p99, ms':>18}"]
    for name, each in figures["loop"].items():
        lines.append(f"{name:<22} {each['p50_ms']:>8.1f} {each['p99_ms']:>18.1f}")
    return "\n".join(lines)


def main() -> None:
    """Reads the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", default="64x84", help="HEIGHTxWIDTH")
    parser.add_argument("--steps", type=int, default=30, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=200, help="pictures that are timed in the loop")
    parser.add_argument("--threads", type=int, default=2, help="of the .tflite")
    parser.add_argument("--methods", default="", help="names, separated by commas; all without it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = bench(arguments)
    print(json.dumps(figures) if arguments.json else table(figures))


if __name__ == "__main__":
    main()
