"""How a pilot is judged in a world: by driving, beside the expert's steering, by what its features tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.evaluate.drive import Driver, DriveResult, evaluate, pilot_driver
from dingocar.evaluate.leaderboard import elsewhere
from dingocar.evaluate.leaderboard.recording import recorded_episodes, redrawn
from dingocar.evaluate.leaderboard.suite import Suite, WorldSpec
from dingocar.sim import car_for, load_track
from dingocar.training.metrics import compare
from dingocar.zoo import RunnablePilot

if TYPE_CHECKING:
    import keras

IntArray = npt.NDArray[np.int64]
Paths = dict[str, npt.NDArray[np.float32]]

#: Shares at which the distribution of |cte| is kept.
QUANTILES = np.linspace(0, 1, 41)
#: The steering error is also averaged over so many bins of the true steering, each counted the same.
_BINS = 5
#: People's steering follows what they have seen by up to so many frames.
MOST_LAG_FRAMES = 6


@dataclass(frozen=True)
class HeldOut:
    """The recording of a world.

    Attributes:
        images: uint8 (N, H, W, 3).
        steering: float32 (N,), the expert's.
        runs: int64 (N,), a new number where the recording was interrupted.
        blocks: int64 (N,), the episode, or the stretch of a long one; -1: between two stretches.
    """

    images: npt.NDArray[np.uint8]
    steering: npt.NDArray[np.float32]
    runs: IntArray
    blocks: IntArray


def held_out(folder: Path, picture: Sequence[int]) -> HeldOut:
    """Reads a world's recording (its folder) in pictures of (height, width)."""
    from dingocar.adapt.probes import stretches
    from dingocar.training import load_dataset

    data = load_dataset([folder / "tub"], (picture[0], picture[1]), workers=1)
    lengths = [episode["frames"] for episode in recorded_episodes(folder)]
    blocks = np.repeat(np.arange(len(lengths)), lengths)
    if len(blocks) != len(data):  # of what was recorded elsewhere, or a picture is broken
        blocks = stretches(data.runs)
    return HeldOut(data.images, data.columns["user/angle"], data.runs, blocks.astype(np.int64))


def judge(suite: Suite, world: WorldSpec, pilot: RunnablePilot | None) -> tuple[dict[str, Any], Paths]:
    """Lets a pilot drive; None: the expert. Returns the world's figures, and the ways that were driven."""
    if world.place == "gym-duckietown":
        return elsewhere.drive_duckietown(world, suite.picture, pilot)
    if not world.driven:
        return {}, {}
    results = drive(suite, world, pilot)
    paths = {
        f"{world.name}/{track}/{lap}": path.astype(np.float32)
        for track, result in results.items()
        for lap, path in enumerate(result.paths)
    }
    return summary(world, results), paths


def drive(
    suite: Suite,
    world: WorldSpec,
    pilot: RunnablePilot | None,
    watch: Callable[[Driver], Driver] = lambda d: d,
) -> dict[str, DriveResult]:
    """Drives all laps of a world, the same ones for every pilot; returns the results by the track's name.

    Args:
        suite, world: where.
        pilot: who; None: the expert.
        watch: may wrap the driver.
    """
    randomisation = redrawn(world.randomisation)
    results = {}
    for number, name in enumerate(world.tracks):
        track = load_track(name)
        car = car_for(track)
        driver: Driver = car.expert(track).act if pilot is None else pilot_driver(pilot)
        results[name] = evaluate(
            watch(driver),
            track,
            world.look,
            world.laps,
            world.seed + number,
            car.camera((suite.picture[0], suite.picture[1])),
            randomisation=randomisation,
        )
    return results


def summary(world: WorldSpec, results: Mapping[str, DriveResult]) -> dict[str, Any]:
    """The figures of a world over all its tracks, as plain values; `episodes` has one entry for each lap.

    `completion` counts the way of cars that were put back; `first_failure` is the share of the lap that was
    driven before the track was left for the first time, 1 for clean laps.
    """
    episodes, every = [], []
    for track, result in results.items():
        for lap, path in enumerate(result.paths):
            abs_cte_m = np.abs(path[:, 2])
            every.append(abs_cte_m)
            episodes.append(
                {
                    "episode": f"{world.name}/{track}/{lap}",
                    "off_tracks": result.lap_off_tracks[lap],
                    "first_failure": result.lap_first_failure[lap],
                    "steps": len(path),
                    "mean_abs_cte_m": float(abs_cte_m.mean()),
                }
            )
    cte_m = np.concatenate(every)
    laps = [result.laps_asked for result in results.values()]
    steps = [sum(len(path) for path in result.paths) for result in results.values()]

    def mean(name: str, weights: list[int]) -> float:
        return float(np.average([getattr(result, name) for result in results.values()], weights=weights))

    return {
        "clean_laps": sum(result.clean_laps for result in results.values()),
        "laps": sum(laps),
        "completion": mean("completion", laps),
        "first_failure": float(np.mean([episode["first_failure"] for episode in episodes])),
        "mean_abs_cte_m": float(cte_m.mean()),
        "p95_abs_cte_m": float(np.percentile(cte_m, 95)),
        "half_width_m": mean("half_width_m", laps),
        "off_tracks_per_lap": sum(result.off_tracks for result in results.values()) / sum(laps),
        "mean_speed_mps": mean("mean_speed_mps", steps),
        "mean_abs_dsteering": mean("mean_abs_dsteering", steps),
        "cte_quantiles_m": np.quantile(cte_m, QUANTILES).round(4).tolist(),
        "episodes": episodes,
    }


def offline(pilot: RunnablePilot, held: HeldOut, by_people: bool = False) -> dict[str, Any]:
    """A pilot's steering beside the expert's on a recording.

    Args:
        pilot: who.
        held: the recording.
        by_people: it was no expert of ours; see `lagged_error`.
    """
    images = held.images
    predicted = np.concatenate([pilot.run_batch(images[i : i + 128])[0] for i in range(0, len(images), 128)])
    if by_people:
        return lagged_error(predicted, held.steering, held.runs)
    return steering_error(predicted, held.steering)


def steering_error(predicted: npt.ArrayLike, true: npt.ArrayLike) -> dict[str, Any]:
    """How near steering comes to the right one; both (N,) in [-1, 1].

    Returns:
        `mae`, `rmse`; `corr`, None where one of them never changes; `balanced_mae`: the mean over bins of the
        true steering, so that straights do not outweigh turns; `always_mean_mae`: of one who always says
        the mean.

    >>> steering_error([0.0, 0.0, 1.0], [0.0, 0.0, 0.5])["balanced_mae"]
    0.25
    """
    said, labels = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    error = np.abs(said - labels)
    bins = np.clip(((labels + 1) / 2 * _BINS).astype(int), 0, _BINS - 1)
    return {
        "frames": len(error),
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "corr": compare(said, labels)["corr"],
        "balanced_mae": float(np.mean([error[bins == i].mean() for i in np.unique(bins)])),
        "always_mean_mae": float(np.abs(labels - labels.mean()).mean()),
    }


def lagged_error(
    predicted: npt.ArrayLike, true: npt.ArrayLike, runs: npt.ArrayLike, most: int = MOST_LAG_FRAMES
) -> dict[str, Any]:
    """How near steering comes to a person's, who answers late and in a car that turns more or less.

    Two numbers are fitted to these very labels, for every pilot alike: the lag at which they correlate best,
    and the gain, at least 0, that then fits them best (least squares). So `mae` is not that of driving with
    the pilot as it is: a pilot that steers twice as much as it should has none.

    Args:
        predicted, true: (N,) in [-1, 1].
        runs: (N,), no pair reaches from one into the next.
        most: frames that the person is later than the pilot, at most.

    Returns:
        As `steering_error`, and `lag_frames`, `gain`, and `plain_mae`: without either.
    """
    said, labels = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    numbers = np.asarray(runs)
    count = len(numbers)
    lags = range(min(most + 1, count))
    pairs = {lag: np.flatnonzero(numbers[lag:] == numbers[: count - lag]) for lag in lags}
    pairs = {lag: rows for lag, rows in pairs.items() if lag == 0 or len(rows)}
    corr = {lag: compare(said[rows], labels[rows + lag])["corr"] for lag, rows in pairs.items()}
    lag = max(corr, key=lambda at: -2.0 if corr[at] is None else float(corr[at] or 0.0))
    ours, theirs = said[pairs[lag]], labels[pairs[lag] + lag]
    gain = max(0.0, float(ours @ theirs) / max(float(ours @ ours), 1e-12))
    plain = {"lag_frames": lag, "gain": gain, "plain_mae": float(np.abs(said - labels).mean())}
    return steering_error(gain * ours, theirs) | {"corr": corr[lag]} | plain


def told_apart(
    networks: tuple[keras.Model, keras.Model], source: Sequence[HeldOut], target: HeldOut, seed: int
) -> dict[str, Any]:
    """How often fresh classifiers tell the two domains right by a pilot's features; see `adapt.probes`.

    Args:
        networks: the pilot's at home and elsewhere; the same, for most.
        source, target: recordings of tracks that it was not trained on.
        seed: of the classifiers and what they are trained on.

    Returns:
        `probe_linear`, `probe_mlp` in [0, 1]; 0.5 is chance.
    """
    from dingocar.adapt.probes import pilot_features, probe_accuracy

    sides = [
        pilot_features(network, np.concatenate([held.images for held in side]))
        for network, side in zip(networks, (source, [target]), strict=True)
    ]
    blocks, count = [], 0
    for held in source:
        blocks.append(np.where(held.blocks < 0, -1, held.blocks + count))
        count += int(held.blocks.max()) + 1
    places = [np.concatenate(blocks), target.blocks]
    kept = [(values[at >= 0], at[at >= 0]) for values, at in zip(sides, places, strict=True)]
    (ours, our_blocks), (theirs, their_blocks) = kept
    return {
        "probe_linear": probe_accuracy(ours, theirs, our_blocks, their_blocks, "linear", seed),
        "probe_mlp": probe_accuracy(ours, theirs, our_blocks, their_blocks, "mlp", seed),
    }
