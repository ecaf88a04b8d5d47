"""The horizon: how far back evidence still counts, and what becomes of what is older."""

from __future__ import annotations

from copy import copy

from geomon.core.belief import fold
from geomon.core.fences import fences_forget, move_fences
from geomon.core.history import Minutes
from geomon.core.person import Mark, Person
from geomon.core.rules import Rules

__all__ = ["GROWTH_MIN", "forgets", "make_room"]

#: The history grows by this much before its oldest part is folded into the base.
GROWTH_MIN = 60


def make_room(person: Person, newest_s: int, rules: Rules) -> None:
    """Fold what is older than the horizon into the base, an hour or more at a time.

    Stays that ended there are spoken of no more, so they have to be judged before: see `forgets`.
    """
    origin_min = _origin_min(person, newest_s, rules)
    shift = origin_min - person.origin_min
    if not shift:
        return
    edge_s = origin_min * 60
    if person.origin_min:
        old, old_marks = _older(person, origin_min)
        a, b, c, d = person.inside
        person.base = copy(person.base)
        fold(person.base, old, person.origin_min, old_marks, rules.tuning)
        person.inside = (a >> shift, b >> shift, c >> shift, d >> shift)
        person.marks = person.marks[len(old_marks) :]
        person.stays = tuple(stay for stay in person.stays if stay.decided_s >= edge_s)
        move_fences(person, shift, edge_s)
    person.origin_min = origin_min


def forgets(person: Person, newest_s: int, rules: Rules) -> bool:
    """Say whether to make room would drop stays that nobody has judged.

    There are such while late evidence is being gathered, in a memory of days sent oldest first:
    its beginning goes beyond the horizon before its end has come.
    """
    origin_min = _origin_min(person, newest_s, rules)
    if not person.origin_min or origin_min == person.origin_min:
        return False
    old, old_marks = _older(person, origin_min)
    ended = fold(copy(person.base), old, person.origin_min, old_marks, rules.tuning)
    judged = set(person.stays)
    return any(stay not in judged for stay in ended) or fences_forget(
        person, origin_min - person.origin_min
    )


def _origin_min(person: Person, newest_s: int, rules: Rules) -> int:
    """Give the origin there has to be once evidence of that time has arrived."""
    newest_s = max(newest_s, person.newest_s)
    horizon_min = rules.horizon_s // 60
    if newest_s // 60 - person.origin_min < horizon_min + GROWTH_MIN:
        return person.origin_min
    return newest_s // 3600 * 60 - horizon_min


def _older(person: Person, origin_min: int) -> tuple[Minutes, tuple[Mark, ...]]:
    """Give the part of the history that lies before a new origin."""
    mask = (1 << origin_min - person.origin_min) - 1
    a, b, c, d = person.inside
    marks = tuple(mark for mark in person.marks if mark.time_s < origin_min * 60)
    return (a & mask, b & mask, c & mask, d & mask), marks
