"""Timings in bounded memory."""

import numpy as np

from dingocar.profiler import Histogram, table


def test_percentiles_are_exact_to_a_bucket():
    durations = np.random.default_rng(0).lognormal(12, 1, 20_000).astype(int)
    histogram = Histogram("part")
    for ns in durations:
        histogram.add(int(ns))
    timing = histogram.timing()
    assert timing.count == 20_000
    assert timing.max_ms == durations.max() / 1e6
    np.testing.assert_allclose(timing.mean_ms, durations.mean() / 1e6)
    for got, percent in ((timing.p50_ms, 50), (timing.p99_ms, 99)):
        exact = np.percentile(durations, percent) / 1e6
        assert exact <= got * 1.0001 and got <= exact * 1.13


def test_small_and_zero_durations():
    histogram = Histogram("part")
    for ns in range(10):
        histogram.add(ns)
    assert histogram.percentile_ns(100) == 9
    assert Histogram("none").timing().p50_ms == 0


def test_table_has_the_slowest_first():
    fast, slow = Histogram("fast"), Histogram("slow")
    fast.add(1000)
    slow.add(9_000_000)
    lines = table([fast.timing(), slow.timing()]).splitlines()
    assert [line.split()[0] for line in lines] == ["part", "slow", "fast"]
