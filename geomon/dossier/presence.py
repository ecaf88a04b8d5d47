"""Where the person was believed to be, as far as evidence reaches.

The core keeps the stays of the last hours and may form them anew when late evidence arrives; older
ones are settled. So what is noted here is replaced as far back as the core still looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from geomon.core.permits import covered
from geomon.core.person import INSIDE, OUTSIDE, UNKNOWN, Belief, Permit, Run, Stay
from geomon.dossier.chronicle import Seen
from geomon.dossier.entries import Stretch

__all__ = ["PresenceNotes"]

_HOUR_S = 3600
_WHERE = {INSIDE: "inside", OUTSIDE: "outside", UNKNOWN: "unknown"}


class _Held(NamedTuple):
    """A belief, from its beginning until the next one's."""

    since_s: int
    label: int
    runs: tuple[Run, ...]


class PresenceNotes:
    """Takes note of what is believed of where the person is."""

    def __init__(self) -> None:
        self._held: list[_Held] = []
        self._stays: tuple[Stay, ...] = ()
        self._now = _Held(0, UNKNOWN, ())

    def see(self, seen: Seen) -> None:
        """Look at one step."""
        stays, now = seen.after.stays, _now(seen.after.tail)
        if now == self._now and stays is self._stays:
            return
        self._now, self._stays = now, stays
        chain = [_Held(s.since_s, s.label, s.runs) for s in stays]
        if now.label != UNKNOWN:
            chain.append(now)
        if chain:
            at = bisect_left(self._held, (chain[0].since_s,))
            self._held[at:] = chain

    def entries(
        self, permits: Iterable[Permit], fix_hours: set[int], ttl_s: int, end_s: int
    ) -> list[Stretch]:
        """Give the stretches, cut where permits begin and end, and where nothing recent is known.

        `fix_hours` are the hours (POSIX) that positions are from, `ttl_s` the age at which the last
        one no longer says where someone is.
        """
        permits = list(permits)
        silent = list(_silences(sorted(fix_hours), ttl_s, end_s))
        found: list[Stretch] = []
        begins = [*(h.since_s for h in self._held), end_s]
        for held, (since_s, until_s) in zip(self._held, pairwise(begins), strict=True):
            at_s = since_s
            for gap_s, again_s in silent:
                if gap_s >= until_s or again_s <= since_s:
                    continue
                found += _stretches(held, permits, at_s, max(gap_s, since_s))
                at_s = min(again_s, until_s)
                found.append(_stretch(max(gap_s, since_s), at_s, UNKNOWN, None, ()))
            found += _stretches(held, permits, at_s, min(until_s, end_s))
        return [s for s in found if s.time_s < s.until_s]


def _now(tail: Belief) -> _Held:
    return _Held(tail.since_s, tail.label, tail.runs if tail.label == OUTSIDE else ())


def _silences(hours: list[int], ttl_s: int, end_s: int) -> Iterator[tuple[int, int]]:
    """Give the times for which the newest position was too old to say anything."""
    ends = [*hours, end_s // _HOUR_S + 1]
    for hour, following in pairwise(ends):
        gap_s = (hour + 1) * _HOUR_S + ttl_s
        if gap_s < following * _HOUR_S:
            yield gap_s, following * _HOUR_S


def _stretches(held: _Held, permits: list[Permit], from_s: int, until_s: int) -> Iterator[Stretch]:
    if held.label != OUTSIDE:
        yield _stretch(from_s, until_s, held.label, None, ())
        return
    at_s = from_s
    for span in covered(permits, from_s, until_s):
        yield _stretch(at_s, span.from_s, OUTSIDE, None, held.runs)
        permit_id = span.permits[0].permit_id
        yield _stretch(span.from_s, span.until_s, OUTSIDE, permit_id, held.runs)
        at_s = span.until_s
    yield _stretch(at_s, until_s, OUTSIDE, None, held.runs)


def _stretch(
    from_s: int, until_s: int, label: int, permit_id: str | None, runs: tuple[Run, ...]
) -> Stretch:
    places = [run.place for run in runs if run.first_s < until_s and run.last_s >= from_s]
    return Stretch(
        time_s=from_s,
        until_s=until_s,
        where=_WHERE[label],
        permit_id=permit_id,
        places=[place for place in dict.fromkeys(places) if place],
    )
