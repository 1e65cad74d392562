"""A pilot that drives from the codes which a translator's two domains share.

Source: the shared latent space of UNIT (arXiv:1703.00848, section 3). The pilot learns from the codes of
simulated pictures; behind the encoder of the other domain the same layers drive on real ones. The two
encoders' codes are not quite alike, so it also learns from what the other encoder says of the same pictures
translated; without that it steers a third as far on real ones as it should. In the loop nothing is
translated, so that it is quicker than a translator there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import PilotError, TrainingError, TranslatorError
from dingocar.training.dataset import LABELS, Dataset, TubUse, load_dataset
from dingocar.training.leaks import check_leaks
from dingocar.training.metrics import Metrics, compare
from dingocar.training.settings import TrainingSettings
from dingocar.training.split import Split
from dingocar.translate._method import REAL, SIM
from dingocar.translate.artefact import load_network, part
from dingocar.words import quoted
from dingocar.zoo import pilots
from dingocar.zoo.artefact import read_card as read_pilot_card

if TYPE_CHECKING:
    import keras

#: Passes over the frames where the settings do not say how many.
EPOCHS = 12
#: The training settings that count here.
SETTINGS = (
    *("epochs", "batch_size", "learning_rate", "patience", "keep", "seed"),
    *("split_seed", "validation_fraction", "validation_blocks", "gap_frames"),
)
_BATCH = 64


@dataclass(frozen=True)
class LatentPilot:
    """What was made.

    Attributes:
        model: the pilot's file that drives on real pictures.
        sim_model: the same pilot behind the other encoder, for simulated ones.
        validation: how near the steering of `sim_model` came to the driver's, on simulated frames held out;
            see `compare`. Nobody knows it on real ones.
        frames: trained on.
        epochs: done.
        best_epoch: whose weights were kept.
    """

    model: Path
    sim_model: Path
    validation: Metrics
    frames: int
    epochs: int
    best_epoch: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "model": str(self.model), "sim_model": str(self.sim_model)}


def train_latent(
    translator: Path | str,
    tubs: Sequence[Path | str],
    path: Path | str,
    settings: TrainingSettings | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> LatentPilot:
    """Trains a pilot on the codes of simulated pictures; its files are like any pilot's.

    Args:
        translator: a `.keras` that has codes, a `unit`.
        tubs: of simulated pictures, with labels.
        path: the pilot for real pictures, `.keras`; that for simulated ones is `NAME_sim.keras` beside it.
            Pilots of an earlier training there are replaced.
        settings: those of `SETTINGS` count (epochs 0: `EPOCHS`). The pictures are not augmented.
        on_progress: told the share that is done.

    Raises:
        TranslatorError: the translator has no codes, or a path does not fit.
        TubError, TrainingError: the tubs cannot be trained on, share pictures, or are of real ones.
    """
    import keras

    from dingocar.training.trainer import hold_out

    path, settings = Path(path), settings or TrainingSettings()
    files = _files(path, Path(translator))
    encoders, as_real = _encoders(Path(translator))
    height, width = encoders[SIM].input_shape[1:3]
    data = load_dataset(tubs, (height, width))
    _check_domain(data)
    check_leaks(data, len(data.tubs))
    split = hold_out(data, settings)
    keras.utils.set_random_seed(settings.seed)
    codes = _codes([encoders[SIM], as_real], data, lambda share: on_progress(0.5 * share))
    driver = _driver(codes.shape[1:])
    best = _fit(driver, codes, data, split, settings, lambda share: on_progress(0.5 + 0.5 * share))
    said = driver.predict(codes[split.validation], batch_size=_BATCH, verbose=0)["steering"][:, 0]
    validation = compare(said, data.columns[LABELS[0]][split.validation])
    for domain, file in files.items():
        facts: dict[str, Any] = {"latent": {"translator": str(translator)}}
        if domain == SIM:
            facts["metrics"] = {"steering": validation}
        _save(
            file, encoders[domain], driver, [dataclasses.replace(t, looks=domain) for t in data.tubs], facts
        )
    return LatentPilot(files[REAL], files[SIM], validation, len(split.train), *best)


def _files(path: Path, translator: Path) -> dict[str, Path]:
    """The two files to write; what is there and no such pilot is not lost."""
    if path.suffix != ".keras" or not path.parent.is_dir():
        raise TranslatorError(f"{path}: expected a file name that ends in .keras, in a folder that is there")
    files = {REAL: path, SIM: path.with_name(f"{path.stem}_sim.keras")}
    for file in files.values():
        if file.exists() and not _is_ours(file):
            what = "the translator" if file.resolve() == translator.resolve() else "no pilot of this kind"
            raise TranslatorError(f"{file}: is there, and it is {what}; name another file to write")
    return files


def _is_ours(file: Path) -> bool:
    try:
        return "latent" in read_pilot_card(file)
    except PilotError:
        return False


def _encoders(translator: Path) -> tuple[dict[str, keras.Model], keras.Model]:
    """From pictures, uint8 (B, H, W, 3), to codes: each domain's; and simulated ones', when translated."""
    import keras

    _, network, card = load_network(translator)
    if not {f"latent_{SIM}", f"latent_{REAL}"} <= set(network.output):
        raise TranslatorError(
            f"{translator}: a {card['translator']} has no codes that both domains share; train a unit: "
            "dingocar translate train --method unit"
        )
    encoders = {domain: part(network, domain, f"latent_{domain}") for domain in (SIM, REAL)}
    translated = part(network, SIM, "to_real")
    return encoders, keras.Model(translated.input, encoders[REAL](translated.output["to_real"]))


def _check_domain(data: Dataset) -> None:
    for tub in data.tubs:
        looks = tub.looks or tub.domain
        if looks is None:
            raise TrainingError(
                f"{tub.path}: does not say whether its pictures are simulated or real; write it into the "
                f"tub: dingocar tub domain {quoted(tub.path)} sim"
            )
        if looks == REAL:
            raise TrainingError(
                f"{tub.path}: says that its pictures look real; the pilot learns from the codes of simulated "
                "ones"
            )


def _codes(
    encoders: Sequence[keras.Model], data: Dataset, on_progress: Callable[[float], None]
) -> npt.NDArray[np.float16]:
    """The codes of all N pictures by each of E encoders, (E * N, ...), those of the first one first.

    They are kept in half precision: there are many numbers in each.
    """
    from keras import ops

    count = len(data.images)
    codes = np.empty((len(encoders) * count, *encoders[0].outputs[0].shape[1:]), np.float16)
    for number, encoder in enumerate(encoders):
        (name,) = encoder.output
        for start in range(0, count, _BATCH):
            found = encoder(data.images[start : start + _BATCH], training=False)[name]
            first = number * count + start
            codes[first : first + len(found)] = ops.convert_to_numpy(found)
            on_progress((first + len(found)) / len(codes))
    return codes


def _driver(shape: tuple[int, ...]) -> keras.Model:
    """From a code to steering and throttle."""
    from keras import Input, Model, layers

    from dingocar.zoo import _blocks

    code = x = Input(shape, name="code")
    # As the decoders saw them in training: where codes differ by less, they mean the same.
    x = layers.GaussianNoise(1.0, name="code_noise")(x)
    for number, stride in enumerate((2, 2, 1), 1):
        x = layers.Conv2D(64, 3, stride, "same", activation="relu", name=f"conv2d_{number}")(x)
    x = layers.Flatten(name="flattened")(x)
    features = _blocks.dense_features(x, 0.0)
    return Model(code, _blocks.command_heads(features), name="driver")


def _fit(
    driver: keras.Model,
    codes: npt.NDArray[np.float16],
    data: Dataset,
    split: Split,
    settings: TrainingSettings,
    on_progress: Callable[[float], None],
) -> tuple[int, int]:
    """Fits the driver and keeps its best weights; returns the epochs done, and the best one's number.

    Simulated frames count as they are and translated; where they are held out, in both forms.
    """
    import keras

    epochs = settings.epochs or EPOCHS
    train, held_out = (
        np.concatenate([rows + first for first in range(0, len(codes), len(data.images))])
        for rows in (split.train, split.validation)
    )
    batches = _batches(codes, data, train, settings.batch_size, settings.seed)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(batches), alpha=0.01)
    driver.compile(optimizer=keras.optimizers.Adam(rate), loss={"steering": "mse", "throttle": "mse"})
    stop = keras.callbacks.EarlyStopping(
        patience=settings.patience, restore_best_weights=settings.keep == "best", start_from_epoch=0
    )
    tell = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_progress((epoch + 1) / epochs))
    history = driver.fit(
        batches,
        epochs=epochs,
        validation_data=_batches(codes, data, held_out, _BATCH),
        callbacks=[stop, tell],
        shuffle=False,
        verbose=0,
    ).history
    if not np.isfinite(history["loss"]).all():
        raise TrainingError("training diverged (the loss is no number): set a lower learning_rate")
    done = len(history["loss"])
    return done, 1 + int(np.argmin(history["val_loss"])) if settings.keep == "best" else done


def _batches(
    codes: npt.NDArray[np.float16], data: Dataset, rows: Any, size: int, seed: int | None = None
) -> keras.utils.PyDataset:
    """Batches of codes and labels, in an order of its own in each epoch, or as they are (seed None).

    Given whole, Keras would make float32 of all codes at once.
    """
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = -1
            self.on_epoch_end()

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.order = rows if seed is None else np.random.default_rng([seed, self.epoch]).permutation(rows)

        def __len__(self) -> int:
            return -(-len(rows) // size)

        def __getitem__(self, number: int) -> tuple[Any, dict[str, Any]]:
            some = self.order[number * size : (number + 1) * size]
            heads = zip(("steering", "throttle"), LABELS, strict=True)
            labels = {
                head: data.columns[channel][some % len(data.images), np.newaxis] for head, channel in heads
            }
            return codes[some].astype(np.float32), labels

    return Batches()


def _save(
    path: Path, encoder: keras.Model, driver: keras.Model, tubs: list[TubUse], facts: dict[str, Any]
) -> None:
    """Writes the driver behind an encoder as a pilot; its heads are those of `linear`."""
    import keras

    from dingocar.zoo.artefact import save_pilot

    shape = tuple(encoder.input_shape[1:])
    image = keras.Input(shape, dtype="uint8", name="image")
    (name,) = encoder.output
    # Layer by layer, so that "features" is found in the pilot's network.
    x = encoder(image)[name]
    made = {"code": x}
    for layer in driver.layers[1:]:
        if layer.name in driver.output:
            made[layer.name] = layer(made["features"])
        else:
            x = made[layer.name] = layer(x)
    network = keras.Model(image, {head: made[head] for head in driver.output}, name="latent")
    pilot = pilots.load("linear").from_settings({"image_shape": shape, "dropout": 0.0})
    save_pilot(path, network, pilot, {**facts, "tubs": [dataclasses.asdict(tub) for tub in tubs]})
