"""Records the loop's channels into a tub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dingocar.tub import TubWriter


class Recorder:
    """Writes one record per loop: inputs the recorded channels, outputs `tub/num_records`,
    `tub/dropped`.

    Pictures are encoded and written by a thread. When the disk cannot keep up, records are dropped and
    counted; the loop does not wait.

    Args:
        path: folder of the tub; made if missing, continued if not.
        inputs: names of the channels, in the order in which `run` gets them.
        types: their types in the tub: `image_array`, `float`, `str`, ...
        metadata: of the tub, e.g. `{"domain": "sim"}`.
        rate_hz: rate of the loop: the queue holds half a second of it.
        wait: let the loop wait instead, when time does not matter (a simulation run at full speed).
        jpeg_quality: 1 to 95.
    """

    def __init__(
        self,
        path: Path | str,
        inputs: Sequence[str],
        types: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
        rate_hz: float = 20,
        jpeg_quality: int = 75,
        wait: bool = False,
    ) -> None:
        self.inputs = list(inputs)
        self._taken = 0
        self.writer = TubWriter(
            path,
            inputs,
            types,
            metadata,
            rate_hz=rate_hz,
            on_full="wait" if wait else "drop",
            jpeg_quality=jpeg_quality,
        )

    def run(self, *values: Any) -> tuple[int, int]:
        """Queues a record of the values (None: the channel was not written yet, and is left out).

        Returns:
            how many records were taken, and how many dropped because the disk could not keep up.
        """
        fields = {key: value for key, value in zip(self.inputs, values, strict=True) if value is not None}
        self._taken += self.writer.write(fields) is not None
        return self._taken, self.writer.dropped

    def shutdown(self) -> None:
        self.writer.close()
