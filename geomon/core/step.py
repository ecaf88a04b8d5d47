"""The one door of the core: `step(person, event, rules) -> person, outcomes`.

    an event arrives ─► deadlines that fell due before it, each at its own time
                     ─► what it changes in the person
                     ─► the episodes there ought to be, against those spoken of ─► outcomes

The person given in is not changed. The same events in the same order give the same outcomes, in
the worker and in a replay; the order of *fixes* within the horizon does not change where it ends.

Time is the person's own: the newest arrival, never the arrival of somebody else, so that a device
with a wrong clock makes nobody else late.
"""

from __future__ import annotations

from copy import copy
from itertools import pairwise

from msgspec.structs import replace

from geomon.core.belief import fold, is_settled_inside, take
from geomon.core.episodes import Alert, Cause, reconcile
from geomon.core.evidence import DEEP_WEIGHT, PLAIN_WEIGHT, SOURCE_CODE
from geomon.core.history import Item, add_marks, add_minutes
from geomon.core.observed import (
    Announced,
    ClockAt,
    Event,
    Heard,
    Observed,
    PermitSet,
    ReportedBack,
)
from geomon.core.permits import announce, report_back
from geomon.core.person import Clue, Mark, Person
from geomon.core.rules import Rules, judge, next_deadline

__all__ = ["Outcome", "TooLate", "UnknownPermit", "step"]

#: An upload whose newest fix is older than this on arrival comes from the device's memory.
_LIVE_S = 120
#: The history grows by this much before its oldest part is folded into the base.
_GROWTH_MIN = 60
#: Fixes kept to explain a decision: the first that pointed to it and the last before it.
_FIRST_CLUES, _LAST_CLUES = 3, 5


class TooLate(tuple[int, int]):
    """Outcome: (number of fixes, newest of them): older than the horizon, not judged."""

    __slots__ = ()


class UnknownPermit(str):
    """Outcome: the person reported back from a leave that was never announced."""

    __slots__ = ()


Outcome = Alert | TooLate | UnknownPermit


def step(person: Person, event: Event, rules: Rules) -> tuple[Person, list[Outcome]]:
    """Take one event; give the person as it then stands and what there is to tell."""
    if isinstance(event, Observed):
        quick = _nothing_new(person, event, rules)
        if quick is not None:
            return quick, []
    person = copy(person)
    outcomes: list[Outcome] = []
    while person.due_s and person.due_s <= event.at_s:
        _let_time_come(person, person.due_s, rules, outcomes)
    person.clock_s = max(person.clock_s, event.at_s)
    if not isinstance(event, ClockAt):
        person.heard_s = max(person.heard_s, event.at_s)

    if isinstance(event, Observed):
        _observe(person, event, rules, outcomes)
    elif not isinstance(event, Heard | ClockAt):
        if person.settle_s:
            # What evidence says comes first, so that it is not put down to the permit.
            _settle(person, rules, outcomes)
        _announce(person, event, rules, outcomes)
    person.due_s = next_deadline(person, rules)
    return person, outcomes


def _nothing_new(person: Person, event: Observed, rules: Rules) -> Person | None:
    """Take an upload that is all plainly inside, from someone who is: nearly every one there is.

    Gives None where anything else could follow from it.
    """
    tail = person.tail
    if (
        event.singles
        or person.settle_s
        or 0 < person.due_s <= event.at_s
        or event.oldest_s // 60 * 60 < person.newest_s
        or not is_settled_inside(tail)
        or (tail.band_s and not event.device)
    ):
        return None
    newest_s = event.newest_s // 60 * 60
    if newest_s // 60 - person.origin_min >= rules.horizon_s // 60 + _GROWTH_MIN:
        if person.episodes or person.stays:
            return None  # what is older than the horizon is no longer spoken of
        person = copy(person)
        _make_room(person, newest_s, rules)
        if event.oldest_s < person.origin_min * 60:
            return None
    return replace(
        person,
        inside=add_minutes(person.inside, person.origin_min, event.device, event.plain),
        newest_s=newest_s,
        tail=replace(tail, at_s=newest_s, band_s=newest_s if event.device else tail.band_s),
        clock_s=max(person.clock_s, event.at_s),
        heard_s=max(person.heard_s, event.at_s),
    )


def _let_time_come(person: Person, due_s: int, rules: Rules, outcomes: list[Outcome]) -> None:
    person.clock_s = due_s
    if 0 < person.settle_s <= due_s:
        _settle(person, rules, outcomes)
    else:
        _compare(person, rules, Cause.EVIDENCE, outcomes)
    person.due_s = next_deadline(person, rules)


def _announce(
    person: Person,
    event: Announced | PermitSet | ReportedBack,
    rules: Rules,
    outcomes: list[Outcome],
) -> None:
    if isinstance(event, Announced):
        person.profile = event.profile
        _compare(person, rules, Cause.PROFILE, outcomes)
        return
    if isinstance(event, PermitSet):
        permit = event.permit
        if event.cancelled:
            # 0 would mean "not cancelled": the clock of someone never heard from stands at 0.
            permit = replace(permit, cancelled_s=max(person.clock_s, 1))
        person.permits = announce(person.permits, permit, person.clock_s)
    else:
        permits = report_back(person.permits, event.permit_id, event.time_s)
        if permits is None:
            outcomes.append(UnknownPermit(event.permit_id))
            return
        person.permits = permits
    _compare(person, rules, Cause.PERMIT, outcomes)


def _observe(person: Person, event: Observed, rules: Rules, outcomes: list[Outcome]) -> None:
    clues = sorted(event.clues())
    _make_room(person, clues[-1].time_s, rules)
    edge_s = person.origin_min * 60
    late = [clue for clue in clues if clue.time_s < edge_s]
    if late:
        outcomes.append(TooLate((len(late), late[-1].time_s)))
        clues = clues[len(late) :]
        if not clues:
            return
    inside, marks = person.inside, person.marks
    items = [_item(clue, event.device) for clue in clues]
    plain = [
        item.time_s // 60 * 2 + (item.weight <= DEEP_WEIGHT)
        for item in items
        if isinstance(item, Item)
    ]
    person.inside = add_minutes(person.inside, person.origin_min, event.device, plain)
    person.marks = add_marks(person.marks, [item for item in items if isinstance(item, Mark)])
    if person.inside == inside and person.marks is marks:
        return  # all of it was known
    _keep_clues(person, clues)
    newest_s = person.newest_s
    person.newest_s = max(newest_s, items[-1].time_s)

    live = not event.stored and event.at_s - event.newest_s <= _LIVE_S
    if not live or event.newest_s < newest_s - 60:
        # From the device's memory: gather what else it sends before judging, or a band that
        # uploads newest first would have its absence opened anew with every fix.
        person.settle_s = person.settle_s or person.clock_s + rules.settle_s
    elif person.settle_s or not _follow(items, newest_s):
        _settle(person, rules, outcomes)
    else:
        person.tail = copy(person.tail)
        stays = [stay for item in items if (stay := take(person.tail, item))]
        person.stays = (*person.stays, *stays)
        _compare(person, rules, Cause.EVIDENCE, outcomes)


def _item(clue: Clue, device: int) -> Item | Mark:
    source = SOURCE_CODE[clue.source]
    if clue.weight <= PLAIN_WEIGHT:
        weight = DEEP_WEIGHT if clue.weight <= DEEP_WEIGHT else PLAIN_WEIGHT
        return Item(clue.time_s // 60 * 60, weight, 0, device, "")
    return Mark(clue.time_s, round(clue.weight * 100), source, device, clue.place)


def _follow(items: list[Item | Mark], newest_s: int) -> bool:
    """Say whether items come one a minute after all that is known, so that belief can go on."""
    minutes = [newest_s // 60, *(item.time_s // 60 for item in items)]
    return all(a < b for a, b in pairwise(minutes))


def _settle(person: Person, rules: Rules, outcomes: list[Outcome]) -> None:
    """Form the belief anew from the whole history, and judge."""
    person.settle_s = 0
    person.tail = copy(person.base)
    person.stays = tuple(fold(person.tail, person.inside, person.origin_min, person.marks))
    _compare(person, rules, Cause.EVIDENCE, outcomes)


def _compare(person: Person, rules: Rules, cause: str, outcomes: list[Outcome]) -> None:
    wanted = judge(person, rules)
    if wanted or person.episodes:
        person.episodes, alerts = reconcile(person, wanted, cause, person.clues)
        outcomes += alerts
    if is_settled_inside(person.tail) and all(episode.until_s for episode in person.episodes):
        person.clues = ()


def _keep_clues(person: Person, clues: list[Clue]) -> None:
    """Keep the fixes that may have to explain a decision: the first few and the last few."""
    if is_settled_inside(person.tail):
        clues = [clue for clue in clues if clue.weight > 0]
    kept = sorted({*person.clues, *clues})
    if len(kept) > _FIRST_CLUES + _LAST_CLUES:
        kept = kept[:_FIRST_CLUES] + kept[-_LAST_CLUES:]
    person.clues = tuple(kept)


def _make_room(person: Person, newest_s: int, rules: Rules) -> None:
    """Fold what is older than the horizon into the base, an hour or more at a time."""
    newest_s = max(newest_s, person.newest_s)
    horizon_min = rules.horizon_s // 60
    if newest_s // 60 - person.origin_min < horizon_min + _GROWTH_MIN:
        return
    origin_min = newest_s // 3600 * 60 - horizon_min
    shift = origin_min - person.origin_min
    edge_s = origin_min * 60
    if person.origin_min:
        mask = (1 << shift) - 1
        a, b, c, d = person.inside
        old_marks = tuple(mark for mark in person.marks if mark.time_s < edge_s)
        person.base = copy(person.base)
        fold(person.base, (a & mask, b & mask, c & mask, d & mask), person.origin_min, old_marks)
        person.inside = (a >> shift, b >> shift, c >> shift, d >> shift)
        person.marks = person.marks[len(old_marks) :]
        person.stays = tuple(stay for stay in person.stays if stay.decided_s >= edge_s)
    person.origin_min = origin_min
