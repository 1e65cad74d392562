"""Encoded pictures in, translated ones out, with a count of how long that takes: what a proxy node does.

Nothing here knows ROS, so that a node of another middleware is a few lines more; see `ros1`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from dingocar.errors import DingocarError
from dingocar.images import decode_image, encode_jpeg
from dingocar.translate.runnable import RunnableTranslator

logger = logging.getLogger(__name__)

#: Latencies are told of so many pictures, the last ones; the rate of so many seconds.
_LAST, RATE_S = 1000, 10.0
#: After so many there are no new ones, but texts with numbers.
_MOST_CAUSES = 10


class PictureProxy:
    """Translates JPEG or PNG pictures, one after the other, whatever threads they come from.

    A picture that cannot be translated is passed through as it came, and a warning told, once for each cause.

    Args:
        translator: see `load_translator`; pictures of another size are scaled to its own.
        quality: JPEG quality of what it gives, 1 to 95.
        clock: seconds.
    """

    def __init__(
        self,
        translator: RunnableTranslator,
        quality: int = 90,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._translator, self._quality, self._clock = translator, quality, clock
        self._running, self._counting = threading.Lock(), threading.Lock()
        self._seconds: deque[float] = deque(maxlen=_LAST)
        self._ended: deque[float] = deque(maxlen=_LAST)
        self._told: set[str] = set()
        self.answered = self.failed = 0

    def answer(self, raw: bytes) -> bytes:
        """An encoded picture's translation, as JPEG."""
        began = self._clock()
        try:
            height, width, _ = self._translator.image_shape
            picture = decode_image(raw, (height, width))
            with self._running:
                picture = self._translator.run(picture)
            given = encode_jpeg(picture, self._quality)
        except Exception as error:  # noqa: BLE001 - whatever it is: who listens is worse off with no picture
            given = self._passed_through(raw, error)
        ended = self._clock()
        with self._counting:
            self.answered += 1
            self._seconds.append(ended - began)
            self._ended.append(ended)
        return given

    def _passed_through(self, raw: bytes, error: Exception) -> bytes:
        cause = f"{type(error).__name__} {error}"
        with self._counting:
            self.failed += 1
            new = cause not in self._told and len(self._told) < _MOST_CAUSES
            self._told.add(cause)
        if new:
            known = isinstance(error, DingocarError)
            logger.warning(
                "pictures are passed through untranslated: %s", error, exc_info=None if known else error
            )
        return raw

    def figures(self) -> dict[str, Any]:
        """How it went: `answered`, `failed` (of these passed through); `rate_hz` in the last `RATE_S`; of the
        last 1000 latencies in ms, None where there are none."""
        now = self._clock()
        with self._counting:
            seconds, ended = np.array(self._seconds), np.array(self._ended)
        recent = ended[now - ended <= RATE_S]
        # Of a longer time only where there were other pictures in it, which are not remembered.
        since = recent[0] if len(recent) and len(recent) == len(ended) else now - RATE_S
        rate = (len(recent) - (since > now - RATE_S)) / (now - since) if len(ended) and now > since else None
        found: dict[str, Any] = {"answered": self.answered, "failed": self.failed, "rate_hz": rate}
        for name, share in (("p50_ms", 50), ("p99_ms", 99), ("max_ms", 100)):
            found[name] = float(np.percentile(seconds, share)) * 1e3 if len(seconds) else None
        return found
