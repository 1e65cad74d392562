"""A progress bar on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dingocar.training.loop import Progress


class Bar:
    """Frames done and losses; does nothing where tqdm is missing or `shown` is False."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._val_loss = ""

    def frames(self, count: int, loss: float) -> None:
        """Counts frames of a step; `loss` is the epoch's so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}{self._val_loss}", refresh=False)
            self._bar.update(count)

    def epoch(self, ended: Progress) -> None:
        """Tells of an epoch that has ended."""
        if self._bar is None:
            return
        self._val_loss = f", val loss {ended.val_loss:.4f} (best: epoch {ended.best_epoch})"
        if ended.domain_accuracy is not None and ended.entanglement is not None:
            self._val_loss = (
                f", val loss {ended.val_loss:.4f}, domains told apart {ended.domain_accuracy:.0%}, "
                f"entanglement {ended.entanglement:.2f} (kept: epoch {ended.best_epoch})"
            )
        following = min(ended.epoch + 1, ended.epochs)
        self._bar.set_description_str(f"epoch {following}/{ended.epochs}", refresh=False)


@contextlib.contextmanager
def progress_bar(frames: int, epochs: int, shown: bool) -> Iterator[Bar]:
    """Shows a bar over `frames` frames in all; its rate is in images per second."""
    if shown:
        try:
            from tqdm import tqdm
        except ImportError:
            shown = False
    if not shown:
        yield Bar(None)
        return
    # A log file should not fill with one line per step.
    every_s = 0.2 if sys.stderr.isatty() else 15
    with tqdm(total=frames, unit="img", file=sys.stderr, mininterval=every_s, leave=False) as bar:
        bar.set_description_str(f"epoch 1/{epochs}")
        yield Bar(bar)
