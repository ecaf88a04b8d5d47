"""Heading out near the line (接近边界): a hint, of the lowest severity.

Told of somebody believed inside, without a leave that begins soon, whose last two positions make
for the line faster than on foot and would cross it within minutes; not where they have been by the
line on an earlier day: who lives or works there comes by every day.
"""

from __future__ import annotations

from collections.abc import Iterator

from geomon.core.contact import open_episode
from geomon.core.permits import end_of
from geomon.core.person import INSIDE, OUTSIDE, LastFix, Person
from geomon.core.plans import local_day
from geomon.core.rules import Rules, Wanted, in_supervision, supervised_until_s

__all__ = ["LINE_M", "approach", "approach_deadlines", "is_haunt", "note_line"]

#: What is nearer to the line than this is looked at.
LINE_M = 1_500.0
_FASTER_MPS = 6.0
_WITHIN_S = 180
_PAIR_S = 600
_GOOD_M = 100.0
_SOON_S = 2 * 3600
_AWAY_M = 2_500.0
_STALE_S = 1800
#: Places by the line are remembered in squares of about a kilometre; so many of them.
_SQUARE_DEG, _MOST_HAUNTS = 0.01, 24


def is_haunt(person: Person, fix: LastFix, rules: Rules) -> bool:
    """Say whether the person has been in this square by the line on an earlier day."""
    square = _square(fix)
    day = local_day(fix.time_s, rules.utc_offset_s)
    return any(known == square and first < day for known, first in person.haunts)


def note_line(person: Person, before: LastFix | None, new: LastFix, rules: Rules) -> bool:
    """Take a position by the line; say whether the person is heading out near an exit."""
    if new.distance_m < -LINE_M or new.accuracy_m > _GOOD_M:
        return False
    day = local_day(new.time_s, rules.utc_offset_s)
    square = _square(new)
    haunts = dict(person.haunts)
    known = is_haunt(person, new, rules)
    if square not in haunts:
        haunts[square] = day
        kept = sorted(haunts.items(), key=lambda item: -item[1])[:_MOST_HAUNTS]
        person.haunts = tuple(sorted(kept))
    if known or before is None or person.tail.label != INSIDE or new.distance_m >= 0:
        return False
    between_s = new.time_s - before.time_s
    if not 0 < between_s <= _PAIR_S or before.accuracy_m > _GOOD_M:
        return False
    errors_m = new.accuracy_m + before.accuracy_m
    speed_mps = (new.distance_m - before.distance_m - errors_m) / between_s
    return speed_mps >= _FASTER_MPS and -new.distance_m / speed_mps <= _WITHIN_S


def approach(person: Person, *, heading_out: bool) -> Iterator[Wanted]:
    """Give what there is to say of an approach at the person's clock."""
    said = open_episode(person, "border_approach")
    clock_s = person.clock_s
    allowed = any(p.from_s - _SOON_S <= clock_s < end_of(p) for p in person.permits)
    if said is None:
        if heading_out and not allowed and in_supervision(person, clock_s):
            newest = _newest(person)
            yield _wanted(min(newest.time_s, clock_s) if newest else clock_s, newest)
        return
    newest = _newest(person)
    reason, until_s = "", clock_s
    if not in_supervision(person, clock_s):
        reason, until_s = "supervision_ended", supervised_until_s(person)
    elif person.tail.label == OUTSIDE:
        reason, until_s = "left_city", person.tail.since_s
    elif allowed:
        reason = "permitted"
    elif (
        newest is None
        or newest.distance_m < -_AWAY_M
        or clock_s - newest.time_s >= _STALE_S
        or clock_s - said.since_s >= 2 * _STALE_S
    ):
        reason = "away_again"
    wanted = _wanted(said.since_s, newest)
    if reason:
        wanted = wanted._replace(until_s=max(until_s, said.since_s), closed_reason=reason)
    yield wanted


def approach_deadlines(person: Person) -> Iterator[int]:
    """Give the time at which a hint that nothing followed is over."""
    said = open_episode(person, "border_approach")
    newest = _newest(person)
    if said:
        yield said.since_s + 2 * _STALE_S
        if newest:
            yield newest.time_s + _STALE_S


def _wanted(since_s: int, newest: LastFix | None) -> Wanted:
    detail = (("distance_outside_m", round(newest.distance_m)),) if newest else ()
    return Wanted(
        *("border_approach", since_s, 0, "heading_out", ""),
        severity="info",
        confidence=0.5,
        detail=detail,
    )


def _newest(person: Person) -> LastFix | None:
    return max((d.fix for d in person.devices if d.fix), default=None)


def _square(fix: LastFix) -> int:
    return round(fix.lon / _SQUARE_DEG) * 100_000 + round(fix.lat / _SQUARE_DEG)
