"""Active domain randomisation: where in a randomisation does a pilot fail? Numpy alone, no keras."""

from dingocar.training.active.loop import (
    REWARDS,
    ActiveResult,
    Progress,
    Trace,
    active_randomisation,
    explore,
    sampler_of,
)
from dingocar.training.active.rollout import Environment, Rollouts, Simulator
from dingocar.training.active.search import make_search
from dingocar.training.active.svpg import SvpgSettings

__all__ = [
    "REWARDS",
    "ActiveResult",
    "Environment",
    "Progress",
    "Rollouts",
    "Simulator",
    "SvpgSettings",
    "Trace",
    "active_randomisation",
    "explore",
    "make_search",
    "sampler_of",
]
