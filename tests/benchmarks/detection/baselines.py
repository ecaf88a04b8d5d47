"""What is built elsewhere to tell that somebody left, each rule written plainly.

point in polygon    outside is outside. The test in every geofence server: Tile38's `DETECT exit`,
                    Traccar's geofence events, and what `ST_Contains` gives
consecutive         N fixes outside one after the other. The usual remedy against single wild fixes
fixed margin        outside a boundary moved outwards: the "increase the geofence" of Traccar #3609
margin and dwell    beyond a margin for a time: Android's `setLoiteringDelay`, Tile38 #816
municipal           no fix inside in the last 20 minutes, and the fix before also outside: the rule
                    of a city's platform for people under supervision
accuracy circle     the whole circle of the claimed accuracy outside; back when it is wholly inside.
                    Tracelet #274 adds the accuracy to the distance likewise
second fence        left when outside a fence buffered outwards, back when inside the inner one:
                    what Tile38's author advises against jitter (tidwall/tile38 #816)

They take fixes in order of arrival, each as it comes, and know no device from another. A person
without a fix outside costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .cases import Detector, Fixes, Spell

__all__ = ["CLAIMED_BY_DEFAULT_M", "Rule", "baselines"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

#: Accuracy of a fix that claims none, for `accuracy circle`, in the order of `cases.SOURCES`.
CLAIMED_BY_DEFAULT_M = np.array([10.0, 40.0, 1_000.0, 50.0])

_QUIET_S = 20 * 60
_INF = float("inf")


@dataclass
class Rule:
    """A detector that is one rule."""

    name: str
    setting: str
    find: Callable[[Fixes], Iterator[Spell]]

    def spells(self, fixes: Fixes) -> Iterator[Spell]:
        """Give the times outside, in order of telling."""
        return self.find(fixes)


def baselines() -> Sequence[Detector]:
    """Give all of them, the members of a family in order of growing caution."""
    return [
        Rule("point in polygon", "", partial(_consecutive, number=1)),
        *(Rule("consecutive", f"{n}", partial(_consecutive, number=n)) for n in (2, 3, 5, 10)),
        *(
            Rule("fixed margin", f"{m:,} m", partial(_second_fence, outer_m=m, inner_m=m))
            for m in (100, 300, 1_000)
        ),
        Rule("margin and dwell", "300 m, 5 min", partial(_dwell, margin_m=300, dwell_s=300)),
        Rule("municipal", "20 min", _municipal),
        Rule("accuracy circle", "", _circle),
        *(
            Rule("second fence", f"{m} m", partial(_second_fence, outer_m=m, inner_m=0))
            for m in (200, 500)
        ),
    ]


def _consecutive(fixes: Fixes, *, number: int) -> Iterator[Spell]:
    begins, ends = _runs(fixes.distance_m > 0)
    long = ends - begins >= number
    begins, ends = begins[long], ends[long]
    yield from _told(fixes, begins, begins + number - 1, ends)


def _second_fence(fixes: Fixes, *, outer_m: float, inner_m: float) -> Iterator[Spell]:
    """Left beyond `outer_m`, back within `inner_m`; the same of both: a fixed margin."""
    beyond = fixes.distance_m > outer_m
    if not beyond.any():
        return
    begins, ends = _runs(_switched(beyond, fixes.distance_m <= inner_m))
    yield from _told(fixes, begins, begins, ends)


def _circle(fixes: Fixes) -> Iterator[Spell]:
    if not (fixes.distance_m > 0).any():
        return
    radius_m = np.where(
        np.isnan(fixes.accuracy_m), CLAIMED_BY_DEFAULT_M[fixes.source], fixes.accuracy_m
    )
    outside, inside = fixes.distance_m > radius_m, fixes.distance_m < -radius_m
    begins, ends = _runs(_switched(outside, inside))
    yield from _told(fixes, begins, begins, ends)


def _dwell(fixes: Fixes, *, margin_m: float, dwell_s: float) -> Iterator[Spell]:
    begins, ends = _runs(fixes.distance_m > margin_m)
    time_s = fixes.time_s
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        late = np.flatnonzero(time_s[begin:end] - time_s[begin] >= dwell_s)
        if len(late):
            yield _spell(fixes, begin, begin + int(late[0]), end)


def _municipal(fixes: Fixes) -> Iterator[Spell]:
    begins, ends = _runs(fixes.distance_m > 0)
    time_s = fixes.time_s
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        inside_s = time_s[begin - 1] if begin else -_INF
        late = np.flatnonzero(time_s[begin + 1 : end] - inside_s >= _QUIET_S)
        if len(late):
            yield _spell(fixes, begin, begin + 1 + int(late[0]), end)


def _switched(on: Bools, off: Bools) -> Bools:
    """Say of each fix whether the newest that says anything says `on`; at first it is off."""
    at = np.maximum.accumulate(np.where(on | off, np.arange(len(on)), -1))
    switched: Bools = (at >= 0) & on[at]
    return switched


def _runs(out: Bools) -> tuple[Ints, Ints]:
    """Give where runs of true begin and end, one array each."""
    edges = np.flatnonzero(np.diff(out, prepend=False, append=False))
    return edges[::2], edges[1::2]


def _told(fixes: Fixes, begins: Ints, tells: Ints, ends: Ints) -> Iterator[Spell]:
    for begin, tell, end in zip(begins.tolist(), tells.tolist(), ends.tolist(), strict=True):
        yield _spell(fixes, begin, tell, end)


def _spell(fixes: Fixes, begin: int, tell: int, end: int) -> Spell:
    since_s = float(fixes.time_s[begin])
    # An old fix that arrives late ends it, too: then it was over as soon as it began.
    over_s = max(float(fixes.time_s[end]), since_s) if end < len(fixes.time_s) else _INF
    return Spell(since_s, float(fixes.arrival_s[tell]), over_s)
