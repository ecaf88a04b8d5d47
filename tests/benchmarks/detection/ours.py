"""geomon as a detector among others: the core's own `step`, with uploads as intake judges them.

It enters where `geomon.intake` has a fix's distance from the boundary, because here distances are
given: the weights, grades and events are made by the functions that intake makes them by.
`test_detection.py` shows on a sample that the whole way, through JSON, gives the same.

A stretch of days in which no position comes near the line is not gone through: whoever is surely
inside is so still. `LEAD_S` before and after each position outside is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geomon.core.episodes import Alert, Cause
from geomon.core.evidence import DEEP, DEFAULT_ACCURACY_M, SINGLE, SOURCE_CODE, grade, weigh
from geomon.core.observed import ODD, ClockAt, Observed
from geomon.core.person import Clue, LastFix, Person
from geomon.core.rules import Rules
from geomon.core.spoofing import JUMP_DEGREES
from geomon.core.step import step

from .cases import SOURCES, Fixes, Spell

__all__ = ["LEAD_S", "POINTS", "Geomon", "operating_points"]

#: Thresholds of the curve, nats; the standard one is `Rules().evidence_nats`.
POINTS = (0.001, 0.05, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0)
#: What is gone through around each position outside: a day reaches the horizon.
LEAD_S = 24 * 3600
_AHEAD_S = 300  # how far a device's clock may be ahead, as in intake
_INF = float("inf")
_DEVICES = ("phone", "wristband")
_CODE = np.array([SOURCE_CODE[name] for name in SOURCES], dtype=np.intp)


def operating_points(points: Sequence[float] = POINTS) -> list[Geomon]:
    """Give geomon at each of some thresholds, nats."""
    return [Geomon(nats) for nats in points]


@dataclass
class Geomon:
    """The detector of this project; `nats`: evidence needed to have left. None: the standard."""

    nats: float | None = None
    lead_s: float = LEAD_S
    name: str = "geomon"
    setting: str = ""

    def __post_init__(self) -> None:
        self.rules = Rules() if self.nats is None else Rules(evidence_nats=self.nats)
        self.setting = f"{self.rules.evidence_nats:g} nats"

    def spells(self, fixes: Fixes) -> Iterator[Spell]:
        """Give the times outside, in order of telling."""
        near = _near(fixes, self.lead_s)
        if near is None:
            return iter(())
        alerts: list[Alert] = []
        person = Person("")
        for event in _events(Fixes._make(column[near] for column in fixes)):
            person, outcomes = step(person, event, self.rules)
            if outcomes:
                alerts += [a for a in outcomes if isinstance(a, Alert) and a.kind == "leave_city"]
        end_s = max(person.clock_s, int(fixes.arrival_s.max())) + self.rules.settle_s
        _, outcomes = step(person, ClockAt(end_s), self.rules)
        alerts += [a for a in outcomes if isinstance(a, Alert) and a.kind == "leave_city"]
        return iter(spells_of(alerts))


def spells_of(alerts: Iterable[Alert]) -> list[Spell]:
    """Give the spells that alerts of leaving the city tell, in order of telling."""
    spells: list[Spell] = []
    place: dict[int, int] = {}  # since -> its place among the spells
    for alert in alerts:
        since_s, detected_s = alert.since_s, float(alert.detected_s)
        if alert.phase == "opened":
            if alert.replaces_since_s in place:
                # The same absence with another beginning: no second alarm.
                at = place[since_s] = place.pop(alert.replaces_since_s)
                spells[at] = Spell(float(since_s), spells[at].told_s, _INF)
            elif since_s in place:
                at = place[since_s]
                spells[at] = spells[at]._replace(until_s=_INF, withdrawn=False)
            else:
                place[since_s] = len(spells)
                spells.append(Spell(float(since_s), detected_s, _INF))
        elif alert.phase == "closed" and since_s in place:
            at = place[since_s]
            withdrawn = alert.reason == Cause.EVIDENCE
            spells[at] = spells[at]._replace(until_s=float(alert.until_s), withdrawn=withdrawn)
    return spells


def _near(fixes: Fixes, lead_s: float) -> NDArray[np.intp] | None:
    """Give the rows within `lead_s` of a position outside; None when there is none of these."""
    outside_s = np.sort(fixes.time_s[fixes.distance_m > 0])
    if not len(outside_s):
        return None
    after = np.searchsorted(outside_s, fixes.time_s)
    next_s = outside_s[np.minimum(after, len(outside_s) - 1)] - fixes.time_s
    last_s = fixes.time_s - outside_s[np.maximum(after - 1, 0)]
    close = (np.abs(next_s) <= lead_s) | (np.abs(last_s) <= lead_s)
    sound = fixes.time_s <= fixes.arrival_s + _AHEAD_S
    return np.flatnonzero(close & sound)


class _Judged(NamedTuple):
    """The fixes of a person with what intake works out of them, as lists."""

    fixes: Fixes
    accuracy_m: list[float]
    source: list[int]
    weight: list[float]
    distance_m: list[float]

    def clues(self, begin: int, end: int) -> list[Clue]:
        fixes = self.fixes
        return [
            Clue(
                int(fixes.time_s[at]),
                float(fixes.lon[at]),
                float(fixes.lat[at]),
                "wgs84",
                self.accuracy_m[at],
                SOURCES[fixes.source[at]],
                _DEVICES[fixes.device[at]],
                self.distance_m[at],
                self.weight[at],
                round(float(fixes.lon[at]), 6),
                round(float(fixes.lat[at]), 6),
                "",
            )
            for at in range(begin, end)
        ]


def _events(fixes: Fixes) -> Iterator[Observed]:
    """Give the uploads: what of one device arrived at once, in order of arrival."""
    source = _CODE[fixes.source]
    accuracy_m = np.where(np.isnan(fixes.accuracy_m), DEFAULT_ACCURACY_M[source], fixes.accuracy_m)
    weight = weigh(fixes.distance_m, accuracy_m, source)
    grades = grade(weight)
    distance_m = np.round(fixes.distance_m, 1).tolist()
    judged = _Judged(fixes, accuracy_m.tolist(), source.tolist(), weight.tolist(), distance_m)
    single = (grades == SINGLE).tolist()
    plain = (fixes.time_s // 60 * 2 + (grades == DEEP)).tolist()
    time_s, arrival_s = fixes.time_s.tolist(), fixes.arrival_s.tolist()
    lon, lat = np.round(fixes.lon, 6).tolist(), np.round(fixes.lat, 6).tolist()
    jumped = np.zeros(len(time_s), dtype=bool)
    jumped[1:] = np.abs(np.diff(fixes.lon)) + np.abs(np.diff(fixes.lat)) >= JUMP_DEGREES
    cuts = np.flatnonzero((np.diff(fixes.arrival_s) != 0) | (np.diff(fixes.device) != 0)) + 1
    bounds = [0, *cuts.tolist(), len(time_s)]
    device = fixes.device.tolist()
    for begin, end in pairwise(bounds):
        times = time_s[begin:end]
        newest_s = max(times)
        last = end - 1 - times[::-1].index(newest_s)
        singles = sum(single[begin:end])
        yield Observed(
            arrival_s[begin],
            device[begin],
            [] if singles else plain[begin:end],
            singles,
            end - begin,
            min(times),
            newest_s,
            stored=False,
            clues=partial(judged.clues, begin, end),
            last=LastFix(
                newest_s,
                lon[last],
                lat[last],
                judged.accuracy_m[last],
                judged.source[last],
                distance_m[last],
            ),
            read_s=arrival_s[begin],
            flags=ODD if end - begin > 1 and jumped[begin + 1 : end].any() else 0,
        )
