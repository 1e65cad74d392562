"""Trains a translator from tubs of both domains: pictures, steps, sheets to look at, a file."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import TranslatorError
from dingocar.images import Uint8Array
from dingocar.supervision import stop_signals
from dingocar.translate import sheets
from dingocar.translate._method import DIRECTIONS, REAL, SIM, LearnedSettings, Translator
from dingocar.translate.artefact import read_card
from dingocar.translate.budget import Budget, learning_rate
from dingocar.translate.pictures import DomainPictures, load_domains
from dingocar.translate.runnable import as_bytes
from dingocar.translate.state import (
    FILE,
    alone,
    budget_to_resume,
    check_same,
    clear,
    is_stopped,
    load_state,
    read_facts,
    save_state,
    state_folder,
)
from dingocar.usercode import calling

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

#: A sheet is drawn and the state kept so often, in seconds of training.
SHEET_S = 120.0
#: Losses are told as means over about so many steps.
_SMOOTH = 50


@dataclass(frozen=True)
class TranslatorProgress:
    """How a training stands, after a step.

    Attributes:
        step: steps done.
        share: of the whole training, 0 to 1.
        losses: {name: mean over the last steps}.
        steps_per_s: over the whole training so far.
        eta_s: seconds that are left.
    """

    step: int
    share: float
    losses: dict[str, float]
    steps_per_s: float
    eta_s: float


@dataclass(frozen=True)
class TranslatorResult:
    """What a training has come to.

    Attributes:
        path: the translator's file.
        sheet: pictures that were held out, and their translations.
        translator: its name.
        steps, seconds: done, in all.
        losses: {name: mean over the last steps}; empty where nothing is learned.
        pictures: {"sim", "real": learned from}.
        interrupted: whether it was stopped by hand; then it can go on.
    """

    path: Path
    sheet: Path
    translator: str
    steps: int
    seconds: float
    losses: dict[str, float]
    pictures: dict[str, int]
    interrupted: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "path": str(self.path), "sheet": str(self.sheet)}


def train_translator(
    translator: Translator,
    sim: Sequence[Path | str],
    real: Sequence[Path | str],
    path: Path | str,
    budget: Budget | None = None,
    seed: int = 0,
    resume: bool = False,
    on_progress: Callable[[TranslatorProgress], None] = lambda progress: None,
    clock: Callable[[], float] = time.monotonic,
) -> TranslatorResult:
    """Trains a translator and writes its file, with a sheet of held-out pictures beside it.

    While it learns, sheets and its state go to the folder `NAME.training` beside the file, from which they
    are removed at the end. Ctrl-C writes the file as it is then, and keeps the state: `resume` goes on from
    there, step by step as if it had not stopped.

    Args:
        translator: what to train.
        sim, real: tubs of either domain; labels are not used.
        path: the file to write, `.keras`.
        budget: how long, of a training that is resumed in all; None: as long as before, or 20 minutes.
        seed: of weights, batches and what is held out.
        resume: go on with a stopped training of the same translator, settings, pictures and seed; another
            budget moves the schedule of the learning rate.
        on_progress: told after each step.
        clock: seconds.

    Raises:
        TubError, TrainingError: a folder is no tub, or its pictures cannot be used.
        TranslatorError: a tub is of the wrong domain or too small; the file cannot be written, or another
            file is in its place; there is a stopped training in its place, or, to resume, none of the same,
            or one that has already taken the budget; or a loss is no number any more.
        UsageError: a mistake in a car's own translator, with file and line.
    """
    path = Path(path)
    _check_path(path)
    if translator.learns and not isinstance(translator.settings, LearnedSettings):
        raise TranslatorError(
            f"translator {translator.name}: learns, so its settings_type must be a LearnedSettings; or set "
            "learns = False and give it fitted()"
        )
    with alone(state_folder(path)) as folder:
        return _train(translator, sim, real, path, folder, budget, seed, resume, on_progress, clock)


def _train(
    translator: Translator,
    sim: Sequence[Path | str],
    real: Sequence[Path | str],
    path: Path,
    folder: Path,
    budget: Budget | None,
    seed: int,
    resume: bool,
    on_progress: Callable[[TranslatorProgress], None],
    clock: Callable[[], float],
) -> TranslatorResult:
    """Trains where nobody else does; see `train_translator`."""
    facts = {"translator": translator.name, "settings": dataclasses.asdict(translator.settings), "seed": seed}
    if resume:
        before = read_facts(folder)
        check_same(folder, before, facts)
        budget = budget_to_resume(folder, before, budget)
    elif is_stopped(path):
        raise TranslatorError(
            f"{folder}: holds a training that was stopped; go on with --resume, or remove the folder"
        )
    height, width, _ = translator.settings.image_shape
    pictures = load_domains(sim, real, (height, width), seed)
    if not translator.learns:
        return _fitted(translator, pictures, path)
    run = _Run(translator, pictures, path, folder, budget or Budget(), facts, on_progress, clock)
    return run.all(resume)


def _file_of(translator: Translator) -> str:
    """Where it is defined: mistakes in a car's own file are told in one line."""
    return inspect.getfile(type(translator))


def _check_path(path: Path) -> None:
    if path.suffix != ".keras":
        raise TranslatorError(f"{path}: expected a file name that ends in .keras")
    if not path.parent.is_dir():
        raise TranslatorError(f"{path}: its folder {path.parent} does not exist; make it first")
    sheet = path.with_suffix(".jpg")
    if not path.exists():
        if sheet.exists():
            raise TranslatorError(
                f"{sheet}: is there, where the translator's sheet belongs; name another file to write"
            )
        return
    try:
        read_card(path)
    except TranslatorError:
        raise TranslatorError(
            f"{path}: is there, and it is no translator; name another file to write"
        ) from None


def _fitted(translator: Translator, pictures: DomainPictures, path: Path) -> TranslatorResult:
    """Makes and writes a translator that does not learn."""
    from dingocar.translate._game import translation

    started = time.perf_counter()
    with calling(_file_of(translator)):
        networks = translator.fitted(pictures.train[SIM], pictures.train[REAL])
        network = translation(translator, networks)
    return _finish(translator, network, pictures, path, 0, time.perf_counter() - started, {}, False)


class _Run:
    """One training."""

    def __init__(
        self,
        translator: Translator,
        pictures: DomainPictures,
        path: Path,
        folder: Path,
        budget: Budget,
        facts: dict[str, Any],
        on_progress: Callable[[TranslatorProgress], None],
        clock: Callable[[], float],
    ) -> None:
        import keras

        from dingocar.training.precision import jit_compile
        from dingocar.translate._game import Game, translation

        assert isinstance(translator.settings, LearnedSettings)
        self.translator, self.pictures, self.path, self.folder = translator, pictures, path, folder
        self.budget, self.on_progress, self.clock = budget, on_progress, clock
        self.settings, self.seed = translator.settings, facts["seed"]
        self.facts = facts | {"pictures": pictures.digest(), "budget": dataclasses.asdict(budget)}
        keras.utils.set_random_seed(self.seed)
        with calling(_file_of(translator)):
            self.game = Game(translator)
            self.network = translation(translator, self.game.networks)
        optimizer = keras.optimizers.Adam(self.settings.learning_rate, beta_1=self.settings.beta_1)
        self.game.compile(optimizer=optimizer, jit_compile=jit_compile())
        optimizer.build(self.game.trainable_variables)
        self.step, self.seconds, self.losses = 0, 0.0, dict[str, float]()

    def all(self, resume: bool) -> TranslatorResult:
        """Trains to the end, or until it is stopped."""
        if resume:
            self._load()
        interrupted = False
        try:
            self._train()
        except KeyboardInterrupt:
            if not self.step:
                raise
            interrupted = True
        if interrupted:
            with _told(self.folder / FILE):
                self._save()
                logger.warning("stopped by hand after %d steps: --resume goes on from there", self.step)
        self._settle()
        done = (self.step, self.seconds, self.losses, interrupted)
        result = _finish(self.translator, self.network, self.pictures, self.path, *done)
        if not interrupted:
            clear(self.folder)
        return result

    def _train(self) -> None:
        looked_s = self.seconds
        while (share := self.budget.share(self.step, self.seconds)) < 1:
            stops: list[int] = []
            # A step is done whole or not at all: weights and the number of steps must fit each other.
            with stop_signals(stops.append):
                self._take_step(share)
            for number in stops:
                signal.raise_signal(number)
            if self.seconds - looked_s >= SHEET_S:
                looked_s = self.seconds
                self._look()
            self.on_progress(self._progress())

    def _take_step(self, share: float) -> None:
        began = self.clock()
        self.game.optimizer.learning_rate.assign(learning_rate(self.settings.learning_rate, share))
        with calling(_file_of(self.translator)):
            found = self.game.train_on_batch(self._batch(), return_dict=True)
        self.step += 1
        self.seconds += self.clock() - began
        self._note({name: float(value) for name, value in found.items() if name != "loss"})

    def _batch(self) -> dict[str, Uint8Array]:
        """The pictures of this step, by its number and the seed alone."""
        rng = np.random.default_rng([self.seed, self.step])
        size = self.settings.batch_size
        return {
            domain: images[rng.integers(len(images), size=size)]
            for domain, images in self.pictures.train.items()
        }

    def _note(self, losses: dict[str, float]) -> None:
        if not all(map(math.isfinite, losses.values())):
            bad = next(name for name, value in losses.items() if not math.isfinite(value))
            begun = f" and remove {self.folder}" if is_stopped(self.path) else ""
            raise TranslatorError(
                f"training diverged in step {self.step} ({bad} is no number): set a lower learning_rate"
                f"{begun}"
            )
        old = 1 - 1 / min(self.step, _SMOOTH)
        self.losses = {n: old * self.losses.get(n, v) + (1 - old) * v for n, v in losses.items()}

    def _progress(self) -> TranslatorProgress:
        share = self.budget.share(self.step, self.seconds)
        left_s = self.seconds * (1 - share) / max(share, 1e-9)
        return TranslatorProgress(
            self.step, share, dict(self.losses), self.step / max(self.seconds, 1e-9), left_s
        )

    def _look(self) -> None:
        """Draws a sheet and keeps the state, where there is room for them."""
        with _told(self.folder / FILE):
            self._save()
        self._settle()
        file = self.folder / f"step_{self.step:06d}.jpg"
        with _told(file):
            sheets.save(draw_sheet(self.network, self.pictures.held_out), file)

    def _settle(self) -> None:
        train = self.pictures.train
        self.translator.settle(self.game.networks, train[SIM], train[REAL])

    def _save(self) -> None:
        facts = {"step": self.step, "seconds": self.seconds, "losses": self.losses}
        save_state(self.folder, self.game, self.facts | facts)

    def _load(self) -> None:
        facts = read_facts(self.folder)
        if facts.get("pictures") != self.facts["pictures"]:
            raise TranslatorError(
                f"{self.folder}: the stopped training learned from other pictures; give the same tubs, or "
                "remove the folder and begin anew"
            )
        load_state(self.folder, self.game)
        self.step, self.seconds = int(facts["step"]), float(facts["seconds"])
        self.losses = dict(facts["losses"])


def draw_sheet(network: keras.Model, held_out: Mapping[str, Uint8Array]) -> Uint8Array:
    """A sheet of held-out pictures and what a finished network makes of them."""
    from keras import ops

    from dingocar.translate.artefact import one_direction

    directions = tuple(name for name in DIRECTIONS if name in network.output)
    parts = {name: one_direction(network, name) for name in directions}

    def translate(direction: str, images: Uint8Array) -> Uint8Array:
        return as_bytes(ops.convert_to_numpy(parts[direction](images, training=False)[direction]))

    return sheets.sheet({d: sheets.some(images) for d, images in held_out.items()}, directions, translate)


def _finish(
    translator: Translator,
    network: keras.Model,
    pictures: DomainPictures,
    path: Path,
    steps: int,
    seconds: float,
    losses: dict[str, float],
    interrupted: bool,
) -> TranslatorResult:
    """Writes the file, then the sheet beside it."""
    from dingocar.translate.artefact import save_translator

    counts = {domain: len(images) for domain, images in pictures.train.items()}
    training = {"steps": steps, "seconds": seconds, "losses": losses, "interrupted": interrupted}
    tubs = {domain: [dataclasses.asdict(tub) for tub in used] for domain, used in pictures.tubs.items()}
    card = {"tubs": tubs, "training": training | {"pictures": counts}}
    save_translator(path, network, translator, card)
    sheet = path.with_suffix(".jpg")
    with _told(sheet):
        sheets.save(draw_sheet(network, pictures.held_out), sheet)
    return TranslatorResult(path, sheet, translator.name, steps, seconds, losses, counts, interrupted)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    """A file beside the translator that cannot be written, on a full disk say, must not cost it."""
    try:
        yield
    except OSError as error:
        logger.warning("%s: cannot be written (%s)", file, error.strerror or error)
