"""Training speed: dingocar against Donkeycar 5.3.0, same tub, frames, network, batch size, no augmentation.

    python benchmarks/training_bench.py ours --tub PATH [--epochs 5] [--precision auto]
    /path/to/peer/python benchmarks/training_bench.py peer --tub PATH [--epochs 5]
    python benchmarks/training_bench.py compare --peer-python /path/to/peer/python --tub PATH

Each of the first two prints one JSON object; `compare` runs them in turn and adds the ratios.
`loader_cold_images_per_s` is from the tub's folder to the last batch, nothing decoded before; the better of
two rounds.
Donkeycar decodes in its first epoch and finds the pictures in memory later, so both are given:
`first_epoch_images_per_s`, and `train_images_per_s`, the best of the later epochs (validation left out).
`val_loss` is the mean, over `SEEDS` runs, of the best validation loss: single runs differ by a factor of two.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BATCH_SIZE = 128
SEEDS = (0, 1, 2)


def best_rate(load: Callable[[], int]) -> float:
    """Pictures per second of the best of two loads; each begins with nothing decoded."""
    rates = []
    for _ in range(2):
        started = time.perf_counter()
        frames = load()
        rates.append(frames / (time.perf_counter() - started))
    return max(rates)


def ours(tub: str, epochs: int, precision: str) -> dict[str, Any]:
    """Measures dingocar."""
    import tempfile

    from dingocar.training import Dataset, TrainingSettings, load_dataset, split_blocks, train
    from dingocar.training.loop import Batches
    from dingocar.zoo import pilots

    linear = pilots.load("linear")()

    def load() -> int:
        data: Dataset = load_dataset([tub])
        split = split_blocks(data.tub_numbers, data.runs)
        frames = 0
        for rows in (split.train, split.validation):
            batches = Batches(data, rows, linear, BATCH_SIZE, seed=0)
            frames += sum(len(batches[number][0]) for number in range(len(batches)))
        return frames

    loader = best_rate(load)
    if not epochs:
        return {"who": "dingocar", "loader_cold_images_per_s": round(loader, 1)}
    rates: list[list[float]] = []
    losses: list[list[float]] = []
    for seed in SEEDS:
        rates.append([])
        settings = TrainingSettings(
            epochs=epochs,
            batch_size=BATCH_SIZE,
            schedule="constant",
            warmup_epochs=0.0,
            augment=False,
            patience=epochs,
            precision=precision,  # type: ignore[arg-type]
            seed=seed,
            curve=False,
            progress=False,
        )
        with tempfile.TemporaryDirectory() as folder:
            result = train(
                [tub],
                linear,
                Path(folder) / "bench.keras",
                settings,
                on_progress=lambda progress: rates[-1].append(progress.images_per_s),
            )
        losses.append(result.history["val_loss"])
    return _figures("dingocar", loader, rates, losses, result.precision)


def peer(tub: str, epochs: int) -> dict[str, Any]:
    """Measures Donkeycar with its own classes, on the frames that `ours` uses."""
    import donkeycar  # type: ignore[import-not-found]
    import numpy as np
    import tensorflow as tf
    from donkeycar.config import Config  # type: ignore[import-not-found]
    from donkeycar.parts.interpreter import KerasInterpreter  # type: ignore[import-not-found]
    from donkeycar.parts.keras import KerasLinear  # type: ignore[import-not-found]
    from donkeycar.pipeline.training import BatchSequence  # type: ignore[import-not-found]
    from donkeycar.pipeline.types import TubDataset  # type: ignore[import-not-found]

    from dingocar.training.split import split_blocks

    cfg = Config()
    cfg.from_pyfile(str(Path(donkeycar.__file__).parent / "templates" / "cfg_complete.py"))
    cfg.BATCH_SIZE = BATCH_SIZE
    pilot = KerasLinear(interpreter=KerasInterpreter(), input_shape=(120, 160, 3))

    def pipelines() -> list[tuple[Any, int]]:
        dataset = TubDataset(cfg, [tub])
        records = dataset.get_records()
        sessions = [record.underlying.get("_session_id") for record in records]
        runs = np.cumsum([0] + [int(a != b) for a, b in zip(sessions[1:], sessions[:-1])])  # noqa: B905
        split = split_blocks(np.zeros(len(records), int), runs)
        found = []
        for rows, is_train in ((split.train, True), (split.validation, False)):
            # Donkeycar shuffles once, in its train_test_split.
            order = np.random.default_rng(0).permutation(rows) if is_train else rows
            pipe = BatchSequence(pilot, cfg, [records[i] for i in order], is_train=is_train)
            found.append((pipe.create_tf_data().prefetch(tf.data.experimental.AUTOTUNE), len(pipe)))
        dataset.close()
        return found

    def load() -> int:
        return sum(len(images["img_in"]) for data, steps in pipelines() for images, _ in data.take(steps))

    loader = best_rate(load)
    who = f"donkeycar {donkeycar.__version__}"
    if not epochs:
        return {"who": who, "loader_cold_images_per_s": round(loader, 1)}

    (train_data, train_steps), (val_data, val_steps) = pipelines()
    rates: list[list[float]] = []
    losses: list[list[float]] = []

    class Watch(tf.keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ended = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rates[-1].append(train_steps * BATCH_SIZE / (self.ended - self.began))
            losses[-1].append(float(logs["val_loss"]))

    for seed in SEEDS:
        tf.keras.utils.set_random_seed(seed)
        pilot = KerasLinear(interpreter=KerasInterpreter(), input_shape=(120, 160, 3))
        pilot.compile()
        rates.append([])
        losses.append([])
        pilot.interpreter.model.fit(
            x=train_data,
            steps_per_epoch=train_steps,
            validation_data=val_data,
            validation_steps=val_steps,
            epochs=epochs,
            callbacks=[Watch()],
            verbose=0,
        )
    return _figures(who, loader, rates, losses, "float32")


def _figures(
    who: str, loader: float, rates: list[list[float]], losses: list[list[float]], precision: str
) -> dict[str, Any]:
    best = [min(run) for run in losses]
    return {
        "who": who,
        "loader_cold_images_per_s": round(loader, 1),
        "first_epoch_images_per_s": round(rates[0][0], 1),
        "train_images_per_s": round(max(rate for run in rates for rate in (run[1:] or run)), 1),
        "epoch_images_per_s": [[round(rate, 1) for rate in run] for run in rates],
        "val_loss": round(sum(best) / len(best), 5),
        "val_loss_of_each_seed": [round(loss, 5) for loss in best],
        "precision": precision,
    }


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs both in turn, each in a process of its own, and gives the ratio of their best rounds."""
    rounds: dict[str, list[dict[str, Any]]] = {"peer": [], "ours": []}
    pythons = {"peer": arguments.peer_python, "ours": sys.executable}
    for _ in range(arguments.rounds):
        for mode, python in pythons.items():
            command = [python, __file__, mode, "--tub", arguments.tub]
            command += ["--epochs", str(arguments.epochs), "--precision", arguments.precision]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rounds[mode].append(json.loads(done.stdout.splitlines()[-1]))
    keys = ["loader_cold_images_per_s"]
    if arguments.epochs:
        keys += ["first_epoch_images_per_s", "train_images_per_s"]
    # Other work on the machine only ever slows a round down, so each side's best round counts.
    best = {mode: {key: max(r[key] for r in runs) for key in keys} for mode, runs in rounds.items()}
    ratio = {key: round(best["ours"][key] / best["peer"][key], 2) for key in keys}
    return {"rounds": rounds, "best": best, "ratio": ratio}


def main() -> None:
    """Runs the mode that was asked for and prints its JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("mode", choices=("ours", "peer", "compare"))
    parser.add_argument("--tub", required=True)
    parser.add_argument("--epochs", type=int, default=5, help="0: the loader alone")
    parser.add_argument("--rounds", type=int, default=1, help="of compare; the best counts")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--peer-python")
    arguments = parser.parse_args()
    if arguments.mode == "compare":
        if not arguments.peer_python:
            parser.error("compare needs --peer-python")
        figures = compare(arguments)
    elif arguments.mode == "ours":
        figures = ours(arguments.tub, arguments.epochs, arguments.precision)
    else:
        figures = peer(arguments.tub, arguments.epochs)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
