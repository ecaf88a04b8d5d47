"""All that there ought to be an alert for, of every kind, and when to look again unasked.

Two sorts of kind meet here. Where a person is, is judged from the whole history kept, anew each
time (absences, zones): what no evidence supports any more is withdrawn. What arrived and what did
not is judged going on from the open episode (contact, signs, papers): it ends, but is not unsaid.
"""

from __future__ import annotations

from collections.abc import Iterator

from geomon.core.absence import absence_deadlines, absences
from geomon.core.approach import approach, approach_deadlines
from geomon.core.checkins import missed_check_ins
from geomon.core.companions import separations
from geomon.core.contact import contact_deadlines, contacts, last_fix
from geomon.core.fences import breaches, fence_deadlines
from geomon.core.law import law_deadlines, under_law
from geomon.core.papers import notices, paper_deadlines
from geomon.core.person import Person
from geomon.core.rules import Rules, Wanted
from geomon.core.severity import escalated, escalation_deadlines
from geomon.core.signs import signs

__all__ = ["judge", "next_deadline"]


def judge(person: Person, rules: Rules, *, heading_out: bool = False) -> list[Wanted]:
    """Give the episodes that there ought to be at the person's clock.

    `heading_out`: the newest position makes for the line nearby; it is not part of the state.
    While late evidence is being gathered nothing is said of where the person is: half of it would
    mislead.
    """
    gathering = bool(person.settle_s)
    wanted = [
        *(() if gathering else absences(person, rules)),
        *contacts(person, rules),
        *missed_check_ins(person),
        *signs(person),
        *separations(person, rules),
        *(() if gathering else breaches(person, rules)),
        *notices(person, rules),
        *approach(person, heading_out=heading_out),
    ]
    clock_s = person.clock_s
    return [
        under_law(escalated(w, clock_s, rules), person, rules)
        for w in wanted
        if w.since_s <= clock_s
    ]


def next_deadline(person: Person, rules: Rules) -> int:
    """Give the next time at which `judge` may say something new unasked; 0 = never."""
    clock_s = person.clock_s
    return min((t for t in _deadlines(person, rules) if t > clock_s), default=0)


def _deadlines(person: Person, rules: Rules) -> Iterator[int]:
    yield person.settle_s
    yield person.checks.due_s
    yield from _ahead(person)
    if person.profile:
        yield from (person.profile.from_s, person.profile.until_s)
    yield from absence_deadlines(person, rules)
    yield from contact_deadlines(person, rules)
    yield from fence_deadlines(person, rules)
    yield from paper_deadlines(person, rules)
    yield from approach_deadlines(person)
    for episode in person.episodes:
        yield from escalation_deadlines(episode, rules)
        yield from law_deadlines(episode, rules)


def _ahead(person: Person) -> Iterator[int]:
    """Give when that is the present which devices have told of already, their clocks being ahead.

    Some minutes are taken from them. What begins then waits for its time; nothing else may arrive.
    """
    for sign in person.signs:
        yield sign.since_s
    for device in person.devices:
        yield device.low_s
        fix = last_fix(device)
        if fix:
            yield fix.time_s
