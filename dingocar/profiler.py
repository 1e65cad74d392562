"""How long parts take, in bounded memory: a histogram with 8 buckets per factor of two."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Durations of one part. Percentiles are exact to within 13 % (one bucket)."""

    name: str
    count: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Histogram:
    """Counts durations; takes the same memory after a second and after a day.

    >>> histogram = Histogram("camera")
    >>> for ns in (1_000_000, 1_000_000, 8_000_000):
    ...     histogram.add(ns)
    >>> histogram.timing().max_ms
    8.0
    """

    __slots__ = ("_buckets", "_count", "_max_ns", "_total_ns", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._buckets = [0] * (64 * 8)
        self._count = self._total_ns = self._max_ns = 0

    def add(self, ns: int) -> None:
        """Counts one duration of `ns` nanoseconds (at least 0)."""
        octave = ns.bit_length()
        # The three bits below the leading one choose the bucket within the octave.
        self._buckets[octave * 8 + ((ns >> (octave - 4)) & 7 if octave > 3 else ns & 7)] += 1
        self._count += 1
        self._total_ns += ns
        if ns > self._max_ns:
            self._max_ns = ns

    def percentile_ns(self, percent: float) -> float:
        """The upper edge of the bucket that holds the given percentile, at most the maximum."""
        rank, seen = percent / 100 * self._count, 0
        for index, count in enumerate(self._buckets):
            seen += count
            if count and seen >= rank:
                octave, part = divmod(index, 8)
                edge = (8 + part + 1) << (octave - 4) if octave > 3 else part
                return float(min(edge, self._max_ns))
        return 0.0

    def timing(self) -> Timing:
        """The figures so far, in milliseconds."""
        return Timing(
            name=self.name,
            count=self._count,
            mean_ms=self._total_ns / max(self._count, 1) / 1e6,
            p50_ms=self.percentile_ns(50) / 1e6,
            p99_ms=self.percentile_ns(99) / 1e6,
            max_ms=self._max_ns / 1e6,
        )


def table(timings: list[Timing]) -> str:
    """Timings as a text table, slowest first."""
    rows = ["part                          calls   mean ms    p50 ms    p99 ms    max ms"]
    rows += [
        f"{t.name:<26.26} {t.count:>8} {t.mean_ms:>9.3f} {t.p50_ms:>9.3f} {t.p99_ms:>9.3f} {t.max_ms:>9.3f}"
        for t in sorted(timings, key=lambda t: -t.mean_ms * t.count)
    ]
    return "\n".join(rows)
