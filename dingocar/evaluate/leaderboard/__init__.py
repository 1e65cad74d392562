"""The leaderboard: pilots x methods x seeds x worlds, judged by driving. Importing it loads no keras."""

from dingocar.evaluate.leaderboard.suite import Suite, load_suite

__all__ = ["Suite", "load_suite"]
