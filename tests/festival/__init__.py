"""A whole city's Spring Festival, invented from one seed: see README.md of this package.

    plans = city(seed=1, people=11_000)      # everybody, nothing recorded yet
    lines = record(plans[17])                # [(arrival in POSIX s, line)], one person
    lines, truth = sample(500, seed=1)       # 500 people of the city, all fifteen breaches

From a shell: `python -m tests.festival --out DIR`.
"""

from __future__ import annotations

from .people import PersonPlan
from .recording import lived, record, recording
from .roles import BREACHES, CITY_PEOPLE
from .sampling import city, record_all, sample, sample_plans

__all__ = [
    "BREACHES",
    "CITY_PEOPLE",
    "PersonPlan",
    "city",
    "lived",
    "record",
    "record_all",
    "recording",
    "sample",
    "sample_plans",
]
