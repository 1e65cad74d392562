"""Active randomisation against even draws: on landscapes, in the simulator, and for what is learned from it.

    python benchmarks/active_bench.py landscape
    python benchmarks/active_bench.py search FOLDER [SEEDS [FRAMES]]
    python benchmarks/active_bench.py retrain FOLDER [SEEDS [FRAMES]]

`landscape`: the truth is known and costs nothing. `search`: a pilot trained on even draws of `strong`; how
many of the episodes fail that each search tries, and of fresh ones from its sampler. `retrain`: pilots that
are given 1,500 more frames, drawn evenly, by the sampler, half and half, or without randomisation: what they
fail then.
FOLDER keeps the recordings and pilots.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import numpy.typing as npt

from dingocar.evaluate import Driver, evaluate, pilot_driver
from dingocar.sim import Camera, Episode, Randomisation, load_look, load_randomisation
from dingocar.sim.physics import PHYSICS_BOUNDS
from dingocar.training.active import Rollouts, Simulator, active_randomisation, explore, sampler_of

FloatArray = npt.NDArray[np.float64]
PICTURE = (72, 96)
SEARCHES = (
    ("uniform", "failure"),
    ("walk", "failure"),
    ("svpg", "failure"),
    ("svpg", "discriminator"),
    ("cem", "failure"),
)
STRONG = load_randomisation("strong")
#: What of `strong` is not paint: the camera's exposure, lens and place, and the car.
CAMERA_AND_CAR = Randomisation(
    "camera and car",
    {
        name: span
        for name, span in STRONG.ranges.items()
        if name in PHYSICS_BOUNDS
        or name in ("warmth", "tint", "gamma", "saturation", "drift", "vignette", "blur_px", "noise")
        or name in ("shutter_s", "readout_s")
    },
)


class Landscape:
    """A chance of failure over the unit cube; what is seen of it is noisy."""

    most_frames = 80

    def __init__(self, hardness: Callable[[FloatArray], FloatArray], d: int) -> None:
        self.hardness, self.d = hardness, d

    def drive(self, points: FloatArray, rng: np.random.Generator) -> Rollouts:
        """An episode at each point."""
        hard = self.hardness(points)
        failure = np.clip(hard + rng.normal(0, 0.15, len(points)), 0, 1)
        windows = tuple(rng.normal(3 * value, 1, (20, 9)) for value in hard)
        return Rollouts(failure, rng.random(len(points)) < hard, failure, windows, 80 * len(points))

    def reference(self, n: int, rng: np.random.Generator) -> Rollouts:
        """Episodes that never fail."""
        windows = tuple(rng.normal(0, 1, (20, 9)) for _ in range(n))
        return Rollouts(np.zeros(n), np.zeros(n, bool), np.zeros(n), windows, 80 * n)


def slope(points: FloatArray, axes: int) -> FloatArray:
    """Hard where the first axes are large."""
    z = (points[:, :axes].mean(axis=1) - 0.5) * np.sqrt(12 * axes)
    return np.asarray(1 / (1 + np.exp(-2.2 * (z - 1))))


def bumps(points: FloatArray, axes: int) -> FloatArray:
    """Hard in two places inside the cube of the first axes."""
    squares = [((points[:, :axes] - middle) ** 2).sum(axis=1) for middle in (0.3, 0.75)]
    return np.asarray(np.exp(-np.minimum(*squares) / (0.03 * axes)))


def landscapes(frames: int = 40_000) -> None:
    """Prints how hard the points are in truth: all that were tried, and the quarter that is kept."""
    for hardness, d, axes in ((slope, 8, 2), (slope, 53, 3), (bumps, 8, 2), (bumps, 53, 3)):
        world = Landscape(functools.partial(hardness, axes=axes), d)
        for search, reward in SEARCHES:
            rows = []
            for seed in range(5):
                trace = explore(world, frames, np.random.default_rng(seed), search, reward)
                truth = world.hardness(trace.points)
                kept = np.argsort(trace.rewards)[-len(truth) // 4 :]
                rows.append((truth.mean(), truth[kept].mean()))
            tried, kept_truth = np.array(rows).T.round(2)
            name = f"{hardness.__name__} d={d}, {search}, {reward}"
            print(
                f"{name}: tried {tried.mean():.2f} {tried}, kept {kept_truth.mean():.2f} {kept_truth}",
                flush=True,
            )


def recording(folder: Path, name: str, randomisation: Randomisation | None, seed: int, frames: int) -> Path:
    """A recording of the expert in episodes of 3 s, made once."""
    from dingocar.evaluate.leaderboard.recording import make_recording
    from dingocar.evaluate.leaderboard.suite import Recording

    wanted = Recording(tracks=("circuit",), frames=frames, noise=0.5, episode_frames=60)
    return make_recording(folder / name, wanted, seed, PICTURE, randomisation)


def pilot(folder: Path, name: str, tubs: list[Path], seed: int, epochs: int, start: str = "") -> Driver:
    """A `linear` pilot of these recordings, trained once."""
    from dingocar.training import TrainingSettings, train
    from dingocar.zoo import load_pilot

    file = folder / f"{name}.keras"
    if not file.exists():
        settings = TrainingSettings(epochs=epochs, seed=seed, curve=False, progress=False)
        transfer = folder / f"{start}.keras" if start else None
        train(tubs, "linear", file, settings, transfer, pilot_settings={"image_shape": (*PICTURE, 3)})
    return pilot_driver(load_pilot(file))


def base(folder: Path, seed: int) -> tuple[Driver, Path]:
    """A pilot of 2,500 frames of even draws, and its recording."""
    tub = recording(folder, f"base_{seed}_tub", STRONG, 3000 + seed, 2500)
    return pilot(folder, f"base_{seed}", [tub], seed, 20), tub


def search(folder: Path, seeds: int, frames: int) -> None:
    """Prints for each seed and search the share of failed episodes and the mean |cte|."""
    driver, _ = base(folder, 100)
    for randomisation in (STRONG, CAMERA_AND_CAR):
        simulator = Simulator(driver, randomisation, picture=PICTURE)
        for seed in range(seeds):
            for name, reward in SEARCHES:
                began_s, rng = time.monotonic(), np.random.default_rng(seed)
                trace = active_randomisation(
                    driver, randomisation, frames=frames, rng=rng, picture=PICTURE, search=name, reward=reward
                ).trace
                fresh, sampler = np.random.default_rng(1000 + seed), sampler_of(trace, randomisation)
                episodes = [sampler.draw(load_look("flat"), fresh) for _ in range(40)]
                drawn = simulator.drive_episodes(episodes, fresh)
                row: dict[str, Any] = {"randomisation": randomisation.name, "seed": seed, "search": name}
                row |= {"reward": reward, "episodes": len(trace.points), "frames": trace.frames}
                row |= figures_of("tried", trace.failed, trace.failure, trace.mean_abs_cte_m)
                row |= figures_of("sampler", drawn.failed, drawn.failure, drawn.mean_abs_cte_m)
                report(row | {"s": time.monotonic() - began_s})


def retrain(folder: Path, seeds: int, frames: int) -> None:
    """Prints for each seed and pilot how it fares on hard episodes, on all, and in the look `photo`."""
    reference = Simulator(base(folder, 100)[0], STRONG, picture=PICTURE)
    rng = np.random.default_rng(987654)
    episodes = [STRONG.draw(load_look("flat"), rng) for _ in range(80)]
    runs = [reference.drive_episodes(episodes, np.random.default_rng(seed)).failure for seed in (1, 2)]
    hard = np.argsort(np.mean(runs, axis=0))[-20:]
    plain = recording(folder, "plain_tub", None, 3000, 2500)
    report({"pilot": "no randomisation"} | judge(pilot(folder, "plain", [plain], 0, 20), episodes, hard))
    for seed in range(seeds):
        first, tub = base(folder, seed)
        report({"seed": seed, "pilot": "before"} | judge(first, episodes, hard))
        rng = np.random.default_rng(seed)
        learned = active_randomisation(first, STRONG, frames=frames, rng=rng, picture=PICTURE)
        arms: dict[str, list[Randomisation | None]] = {
            "uniform": [STRONG, STRONG],
            "active": [learned.sampler, learned.sampler],
            "mixed": [learned.sampler, STRONG],
            "none": [None, None],
        }
        for arm, halves in arms.items():
            more = [
                recording(folder, f"{arm}_{seed}_{half}_tub", drawn, 4000 + 1000 * half + seed, 750)
                for half, drawn in enumerate(halves)
            ]
            driver = pilot(folder, f"{arm}_{seed}", [tub, *more], seed, 10, f"base_{seed}")
            report({"seed": seed, "pilot": arm} | judge(driver, episodes, hard))


def judge(driver: Driver, episodes: list[Episode], hard: npt.NDArray[np.intp]) -> dict[str, float]:
    """The figures of one pilot; hard episodes are driven from two places each."""
    simulator = Simulator(driver, STRONG, picture=PICTURE)
    every = simulator.drive_episodes(episodes, np.random.default_rng(11))
    again = simulator.drive_episodes([episodes[row] for row in hard], np.random.default_rng(12))
    photo = evaluate(driver, "circuit", "photo", 4, 0, Camera.of_shape(PICTURE))
    return (
        figures_of(
            "hard", *(np.concatenate([getattr(every, name)[hard], getattr(again, name)]) for name in FIGURES)
        )
        | figures_of("all", *(getattr(every, name) for name in FIGURES))
        | {
            "photo_off_tracks": photo.off_tracks,
            "photo_clean": photo.clean_laps,
            "photo_cte_m": photo.mean_abs_cte_m,
        }
    )


FIGURES = ("failed", "failure", "mean_abs_cte_m")


def figures_of(name: str, *values: npt.NDArray[Any]) -> dict[str, float]:
    """Means of failed, failure and |cte|."""
    return {f"{name}_{key}": float(value.mean()) for key, value in zip(FIGURES, values, strict=True)}


def report(row: dict[str, Any]) -> None:
    """Prints a row."""
    short = {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}
    print(json.dumps(short), flush=True)


def main(argv: list[str]) -> None:
    """Runs what is asked for."""
    if argv[:1] == ["landscape"]:
        landscapes()
    elif argv[:1] in (["search"], ["retrain"]) and len(argv) > 1:
        folder = Path(argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [int(word) for word in argv[2:]] + [3, 15_000][len(argv) - 2 :]
        (search if argv[0] == "search" else retrain)(folder, *numbers)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
