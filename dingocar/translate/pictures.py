"""The pictures a translator learns from: tubs of both domains, some of each held out to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dingocar.errors import TranslatorError
from dingocar.images import Uint8Array
from dingocar.training.dataset import Dataset, TubUse, load_dataset
from dingocar.training.leaks import check_leaks
from dingocar.training.split import split_blocks
from dingocar.translate._method import REAL, SIM
from dingocar.tub import Tub
from dingocar.words import counted, quoted

#: A domain with fewer pictures says nothing about the domain.
LEAST_FRAMES = 32
#: The share of each tub that is held out.
HELD_OUT = 0.1


@dataclass(frozen=True)
class DomainPictures:
    """Pictures of both domains, uint8 (N, H, W, 3) for each.

    Attributes:
        train: {"sim", "real": to learn from}.
        held_out: {"sim", "real": contiguous stretches that nothing is learned from}.
        tubs: {"sim", "real": what was taken from each tub}.
    """

    train: dict[str, Uint8Array]
    held_out: dict[str, Uint8Array]
    tubs: dict[str, list[TubUse]]

    def digest(self) -> str:
        """A hash of the pictures that are learned from: the same hash, the same pictures."""
        digest = hashlib.blake2b(digest_size=16)
        for domain in (SIM, REAL):
            digest.update(np.ascontiguousarray(self.train[domain]).data)
        return digest.hexdigest()


def load_domains(
    sim: Sequence[Path | str], real: Sequence[Path | str], size: tuple[int, int], seed: int = 0
) -> DomainPictures:
    """Reads tubs of both domains; labels are not needed, broken pictures are left out and logged.

    Args:
        sim, real: the tubs' folders; each tub must say that its pictures are of that domain.
        size: (height, width) to scale to.
        seed: of the places that are held out.

    Raises:
        TubError: a folder is no tub.
        TrainingError: two tubs share pictures, or none can be decoded.
        TranslatorError: a tub is of the other domain or says none, or a domain has too few pictures.
    """
    data = load_dataset([*sim, *real], size, required=())
    train, held_out, tubs = {}, {}, {}
    for domain, first, count in ((SIM, 0, len(sim)), (REAL, len(sim), len(real))):
        numbers = range(first, first + count)
        _check(data, numbers, domain)
        rows = np.flatnonzero(np.isin(data.tub_numbers, numbers))
        split = split_blocks(data.tub_numbers[rows], data.runs[rows], HELD_OUT, seed=seed)
        if len(split.train) < LEAST_FRAMES:
            raise TranslatorError(
                f"--{domain} {', '.join(data.tubs[n].path for n in numbers)}: "
                f"{counted(len(split.train), 'picture')} to learn from (beside those held out) say too "
                f"little about that domain; expected at least {LEAST_FRAMES}, record more"
            )
        train[domain] = data.images[rows[split.train]]
        held_out[domain] = data.images[rows[split.validation]]
        tubs[domain] = [data.tubs[number] for number in numbers]
    check_leaks(data, len(data.tubs))
    return DomainPictures(train, held_out, tubs)


def check_genuine(tub: Tub | TubUse, what: str) -> None:
    """Raises a `TranslatorError` where a tub, called `what`, holds translated pictures: they are of neither
    domain."""
    if tub.looks != tub.domain:
        raise TranslatorError(
            f"{what}: its pictures are translated and look {tub.looks}; give the tub that it was made of"
        )


def _check(data: Dataset, numbers: range, domain: str) -> None:
    for number in numbers:
        path, found = data.tubs[number].path, set(data.domains[data.tub_numbers == number])
        if not found:
            none = "none of its pictures can be decoded" if data.tubs[number].skipped else "holds no records"
            raise TranslatorError(f"--{domain} {path}: {none}; record it again")
        if "" in found:
            raise TranslatorError(
                f"--{domain} {path}: does not say whether its pictures are simulated or real; write it into "
                f"the tub: dingocar tub domain {quoted(path)} {domain}"
            )
        check_genuine(data.tubs[number], f"--{domain} {path}")
        if found != {domain}:
            words = {SIM: "simulated", REAL: "real"}
            other = next(iter(found - {domain}))
            raise TranslatorError(
                f"--{domain} {path}: says that its pictures are {words[other]}; a translator learns from "
                f"both domains, give it as --{other}"
            )
