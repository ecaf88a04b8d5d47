"""The horizon: how far back evidence still counts, and what becomes of what is older."""

from __future__ import annotations

from copy import copy

from geomon.core.belief import fold
from geomon.core.fences import move_fences
from geomon.core.person import Person
from geomon.core.rules import Rules

__all__ = ["GROWTH_MIN", "make_room"]

#: The history grows by this much before its oldest part is folded into the base.
GROWTH_MIN = 60


def make_room(person: Person, newest_s: int, rules: Rules) -> None:
    """Fold what is older than the horizon into the base, an hour or more at a time."""
    newest_s = max(newest_s, person.newest_s)
    horizon_min = rules.horizon_s // 60
    if newest_s // 60 - person.origin_min < horizon_min + GROWTH_MIN:
        return
    origin_min = newest_s // 3600 * 60 - horizon_min
    shift = origin_min - person.origin_min
    edge_s = origin_min * 60
    if person.origin_min:
        mask = (1 << shift) - 1
        a, b, c, d = person.inside
        old_marks = tuple(mark for mark in person.marks if mark.time_s < edge_s)
        person.base = copy(person.base)
        old = (a & mask, b & mask, c & mask, d & mask)
        fold(person.base, old, person.origin_min, old_marks, rules.tuning)
        person.inside = (a >> shift, b >> shift, c >> shift, d >> shift)
        person.marks = person.marks[len(old_marks) :]
        person.stays = tuple(stay for stay in person.stays if stay.decided_s >= edge_s)
        move_fences(person, shift, edge_s)
    person.origin_min = origin_min
