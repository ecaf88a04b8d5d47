"""The last hours of evidence, kept so that the order of arrival leaves no trace.

Two kinds of thing are kept, and each is a set to which evidence can only be added:

- minutes in which the person was plainly inside, as bits: one integer each for phone and
  wristband, plain and deep. A day is 1,440 bits; to add a fix again changes nothing.
- marks: every other fix, but of those in one minute, from one device and on one side of the
  line only the earliest.

Union and minimum do not care for order or repetition, so neither does what is built on them: a
wristband that uploads six hours newest first ends with the history of one that reported live.
What is older than the horizon is folded into `Person.base`, and fixes older than that are refused.

A minute inside stands for its first second; a mark keeps its second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from geomon.core.evidence import DEEP_WEIGHT, PLAIN_WEIGHT, SOURCE_CODE
from geomon.core.person import Clue, Mark

__all__ = [
    "Inside",
    "Item",
    "Minutes",
    "add_marks",
    "add_minutes",
    "first_inside",
    "item_of",
    "last_before",
    "last_of_band",
    "walk",
]

#: Index: 2 * device (0 phone, 1 wristband) + (0 plain, 1 deep).
Minutes = tuple[int, int, int, int]
_WEIGHT = (PLAIN_WEIGHT, DEEP_WEIGHT)


class Item(NamedTuple):
    """One piece of evidence in time order; `place` is "" for minutes inside."""

    time_s: int
    weight: float
    source: int
    device: int
    place: str
    far_m: int = 0


class Inside(NamedTuple):
    """A stretch of minutes plainly inside with no mark among them."""

    origin_min: int
    minutes: Minutes  # bits of this stretch only

    def items(self) -> Iterator[Item]:
        """Give the minutes one by one."""
        either = self.minutes[0] | self.minutes[1] | self.minutes[2] | self.minutes[3]
        while either:
            low = either & -either
            either ^= low
            time_s = (self.origin_min + low.bit_length() - 1) * 60
            for device in (0, 1):
                # Deep says more than plain; of both in one minute the stronger stands.
                if self.minutes[2 * device + 1] & low:
                    yield Item(time_s, DEEP_WEIGHT, 0, device, "")
                elif self.minutes[2 * device] & low:
                    yield Item(time_s, PLAIN_WEIGHT, 0, device, "")

    def last_s(self, device: int) -> int:
        """Time of the newest minute from one device; 0 when there is none."""
        bits = self.minutes[2 * device] | self.minutes[2 * device + 1]
        return (self.origin_min + bits.bit_length() - 1) * 60 if bits else 0


def item_of(clue: Clue, device: int) -> Item | Mark:
    """Give the evidence of a fix: a minute, where it is plainly inside, or a mark."""
    source = SOURCE_CODE[clue.source]
    if clue.weight <= PLAIN_WEIGHT:
        weight = DEEP_WEIGHT if clue.weight <= DEEP_WEIGHT else PLAIN_WEIGHT
        return Item(clue.time_s // 60 * 60, weight, 0, device, "")
    far_m = max(int(clue.distance_m) // 10 * 10, 0)
    return Mark(clue.time_s, round(clue.weight * 100), source, device, clue.place, far_m)


def add_minutes(inside: Minutes, origin_min: int, device: int, plain: list[int]) -> Minutes:
    """Add minutes inside. `plain` holds 2 * minute + (0 plain, 1 deep), none before the origin."""
    bits = list(inside)
    for code in plain:
        bits[2 * device + (code & 1)] |= 1 << ((code >> 1) - origin_min)
    return (bits[0], bits[1], bits[2], bits[3])


def add_marks(marks: tuple[Mark, ...], new: list[Mark]) -> tuple[Mark, ...]:
    """Add marks, keeping the earliest of each minute, device and side; in time order."""
    if not new:
        return marks
    # What lies before the first new minute cannot change: in-order arrivals touch the end alone.
    at = bisect_left(marks, (min(new).time_s // 60 * 60,))
    kept = {(m.time_s // 60, m.device, m.weight > 0): m for m in marks[at:]}
    changed = False
    for mark in new:
        key = (mark.time_s // 60, mark.device, mark.weight > 0)
        if key not in kept or mark < kept[key]:
            kept[key] = mark
            changed = True
    return (*marks[:at], *sorted(kept.values())) if changed else marks


def walk(inside: Minutes, origin_min: int, marks: tuple[Mark, ...]) -> Iterator[Mark | Inside]:
    """Give the history in time order: marks, and between them the stretches inside."""
    rest = inside
    for mark in marks:
        # A minute stands for its first second, so the mark's own minute comes before it.
        upto = (1 << max(mark.time_s // 60 - origin_min + 1, 0)) - 1
        before = (rest[0] & upto, rest[1] & upto, rest[2] & upto, rest[3] & upto)
        if any(before):
            yield Inside(origin_min, before)
            rest = (rest[0] & ~upto, rest[1] & ~upto, rest[2] & ~upto, rest[3] & ~upto)
        yield mark
    if any(rest):
        yield Inside(origin_min, rest)


def last_before(inside: Minutes, origin_min: int, marks: tuple[Mark, ...], time_s: int) -> int:
    """Time of the newest evidence at or before `time_s`; 0 when there is none."""
    upto = (1 << max(time_s // 60 - origin_min + 1, 0)) - 1
    bits = (inside[0] | inside[1] | inside[2] | inside[3]) & upto
    newest_s = (origin_min + bits.bit_length() - 1) * 60 if bits else 0
    at = bisect_left(marks, (time_s + 1,))
    return max(newest_s, marks[at - 1].time_s) if at else newest_s


def last_of_band(inside: Minutes, origin_min: int, marks: tuple[Mark, ...], time_s: int) -> int:
    """Time of a wristband's newest evidence at or before `time_s`; 0 when there is none."""
    upto = (1 << max(time_s // 60 - origin_min + 1, 0)) - 1
    bits = (inside[2] | inside[3]) & upto
    newest_s = (origin_min + bits.bit_length() - 1) * 60 if bits else 0
    for mark in reversed(marks[: bisect_left(marks, (time_s + 1,))]):
        if mark.time_s <= newest_s:
            break
        if mark.device:
            return mark.time_s
    return newest_s


def first_inside(inside: Minutes, origin_min: int, marks: tuple[Mark, ...], time_s: int) -> int:
    """Time of the oldest evidence of being inside after `time_s`; 0 when there is none."""
    upto = (1 << max(time_s // 60 - origin_min + 1, 0)) - 1
    bits = (inside[0] | inside[1] | inside[2] | inside[3]) & ~upto
    oldest_s = (origin_min + (bits & -bits).bit_length() - 1) * 60 if bits else 0
    after = marks[bisect_left(marks, (time_s + 1,)) :]
    mark_s = next((mark.time_s for mark in after if mark.weight < 0), 0)
    return min(oldest_s, mark_s) if oldest_s and mark_s else oldest_s or mark_s
