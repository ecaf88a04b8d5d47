"""What leave covers: permits in force over time, and the destinations they name.

A permit covers [from, until), or less: it ends when the person reports back (销假), and when its
cancellation arrives (a cancellation is not an accusation about the past). The same `permit_id`
again replaces it, so an extension granted after the end cures the time it covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from geomon.core.person import Permit

__all__ = [
    "Span",
    "announce",
    "covered",
    "end_of",
    "is_destination",
    "left_open",
    "report_back",
    "uncovered",
]

#: Destination code that means any place.
ANYWHERE = "000000"
#: Permits that ended longer ago than this explain nothing any more. The law looks back two months.
_KEEP_S = 100 * 86_400


class Span(NamedTuple):
    """A time [from_s, until_s) and the permits that cover it."""

    from_s: int
    until_s: int
    permits: tuple[Permit, ...]


def end_of(permit: Permit) -> int:
    """Time at which a permit stopped or will stop to cover (POSIX s)."""
    end_s = permit.until_s
    if permit.cancelled_s:
        end_s = min(end_s, max(permit.from_s, permit.cancelled_s))
    if permit.returned_s:
        end_s = min(end_s, max(permit.from_s, permit.returned_s))
    return end_s


def announce(permits: tuple[Permit, ...], new: Permit, clock_s: int) -> tuple[Permit, ...]:
    """Add a permit or replace the one of its id; forget those that ended long before `clock_s`."""
    for old in permits:
        if old.permit_id == new.permit_id:
            if new.cancelled_s and old.cancelled_s:
                # A cancellation that arrives again does not move the time at which it took effect.
                new = replace(new, cancelled_s=old.cancelled_s)
            if new.until_s <= old.until_s and old.returned_s:
                new = replace(new, returned_s=old.returned_s)
    kept = [p for p in permits if p.permit_id != new.permit_id and p.until_s > clock_s - _KEEP_S]
    return tuple(sorted([*kept, new], key=lambda p: (p.from_s, p.permit_id)))


def report_back(
    permits: tuple[Permit, ...], permit_id: str, time_s: int
) -> tuple[Permit, ...] | None:
    """Record that the person reported back from a leave; None when there is no such permit."""
    if not any(p.permit_id == permit_id for p in permits):
        return None
    return tuple(
        replace(p, returned_s=min(p.returned_s or time_s, time_s))
        if p.permit_id == permit_id
        else p
        for p in permits
    )


def covered(permits: Iterable[Permit], from_s: int, until_s: int) -> list[Span]:
    """Cut [from_s, until_s) at every permit's begin and end; give the pieces that are covered."""
    live = [(p, max(p.from_s, from_s), min(end_of(p), until_s)) for p in permits]
    live = [(p, a, b) for p, a, b in live if a < b]
    cuts = sorted({cut for _, a, b in live for cut in (a, b)})
    return [
        Span(a, b, inside)
        for a, b in pairwise(cuts)
        if (inside := tuple(p for p, begin, end in live if begin <= a and b <= end))
    ]


def left_open(spans: Iterable[Span], from_s: int, until_s: int) -> list[tuple[int, int]]:
    """Give the pieces of [from_s, until_s) that none of the spans covers."""
    pieces, at = [], from_s
    for span in spans:
        if at < span.from_s:
            pieces.append((at, span.from_s))
        at = span.until_s
    if at < until_s:
        pieces.append((at, until_s))
    return pieces


def uncovered(permits: Iterable[Permit], from_s: int, until_s: int) -> list[tuple[int, int]]:
    """Give the pieces of [from_s, until_s) that no permit covers."""
    return left_open(covered(permits, from_s, until_s), from_s, until_s)


def is_destination(place: str, permits: Iterable[Permit]) -> bool:
    """Say whether a place (adcode) lies in a destination that one of the permits names.

    Codes are compared as far as both are specific: a place known only by its province (410000)
    does not contradict a leave to one of its cities (411300).
    """
    return any(
        code == ANYWHERE or (place and _agree(place, code))
        for permit in permits
        for code in permit.destinations
    )


def _agree(place: str, code: str) -> bool:
    digits = min(_specific(place), _specific(code))
    return place[:digits] == code[:digits]


def _specific(adcode: str) -> int:
    if adcode.endswith("0000"):
        return 2
    return 4 if adcode.endswith("00") else 6
