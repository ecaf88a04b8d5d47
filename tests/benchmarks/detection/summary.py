"""Rows to figures: a detector's false alarms, misses and delays over the cells of a design."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .runs import Row, sum_of
from .scores import YEAR_D
from .standing import Point

__all__ = [
    "Figures",
    "Limit",
    "by_detector",
    "figures",
    "grouped",
    "limits_of",
]


@dataclass(frozen=True)
class Figures:
    """One detector's figures; nan where nothing was measured."""

    name: str
    setting: str
    years: float  # of people who stayed
    false: int
    false_a_year: float  # each kind of error and each home counting the same
    absences: int
    unseen: int
    missed: int
    share_missed: float
    median_s: float
    p95_s: float
    repeats: int
    false_a_departure: float  # in the hours before and after
    share_true: float  # at one departure a person-year

    @property
    def detector(self) -> str:
        """Family and member."""
        return f"{self.name} {self.setting}".strip()

    @property
    def point(self) -> Point:
        """What it is compared by."""
        return Point(self.detector, self.false_a_year, self.share_missed, self.median_s)


def figures(rows: Iterable[Row]) -> Figures:
    """Sum up one detector's rows: false alarms of those who stay, misses and delays of the rest.

    The rate is the mean over kinds of error and homes; within one of these, of all days. Whoever
    leaves may give false alarms too, before and after the return; these are hours around a
    departure and no ordinary life, so they are counted apart.
    """
    rows = list(rows)
    staying = [row for row in rows if not row.score.absences]
    leaving = sum_of(row for row in rows if row.score.absences)
    stayed = sum_of(staying)
    nan = float("nan")
    rates = [
        sum_of(cells).false_a_year
        for cells in grouped(staying, lambda r: (r.cell.kind, r.cell.home_m)).values()
    ]
    false_a_year = sum(rates) / len(rates) if rates else nan
    found = 1 - leaving.share_missed
    return Figures(
        rows[0].name,
        rows[0].setting,
        stayed.days / YEAR_D,
        stayed.false,
        false_a_year,
        leaving.absences,
        leaving.unseen,
        leaving.missed,
        leaving.share_missed,
        leaving.delay_s(50),
        leaving.delay_s(95),
        leaving.repeats,
        leaving.false / leaving.absences if leaving.absences else nan,
        found / (found + false_a_year) if found + false_a_year else nan,
    )


@dataclass(frozen=True)
class Limit:
    """What a reporting interval allows: geomon's own figures, and those of the first fix outside.

    `found` has the share of departures found, by how long they lasted (s).
    """

    every_s: int
    own: Figures
    first: Figures
    found: dict[float, float]
    unseen: dict[float, int]


def limits_of(rows: Sequence[Row], kind: str = "ordinary") -> list[Limit]:
    """Give the limits by reporting interval, the shortest first."""
    rows = [row for row in rows if row.cell.kind == kind]
    own = grouped((row for row in rows if row.name == "geomon"), lambda r: r.cell.interval_s)
    first = grouped(
        (row for row in rows if row.name == "point in polygon"), lambda r: r.cell.interval_s
    )
    limits = []
    for every_s, group in sorted(own.items()):
        found, unseen = {}, {}
        for out_s, some in sorted(grouped(group, lambda r: r.cell.out_s).items()):
            f = figures(some)
            found[out_s] = (f.absences - f.missed - f.unseen) / f.absences
            unseen[out_s] = f.unseen
        limits.append(Limit(every_s, figures(group), figures(first[every_s]), found, unseen))
    return limits


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Sort rows into groups, in the order in which these are met."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def by_detector(rows: Iterable[Row]) -> list[Figures]:
    """Give the figures of each detector."""
    return [figures(group) for group in grouped(rows, lambda r: (r.name, r.setting)).values()]
