"""Places named for one person: not to be entered (禁止区域), or not to be left (curfew).

Belief about each is formed as about the city (`belief.py`), with "outside" read as "in breach":
inside a forbidden zone, away from the named place. It is formed at all times, whatever the schedule
says, so that a window which begins while the person is already in breach needs no edge: what is
wanted is where stays in breach and windows of the schedule overlap, and a position in the window
says so (see `_is_still_away`).

A zone is small beside the errors of positions, so hardly any fix is plainly on one side, as nearly
all are of the city. The history is therefore kept as minutes at one of six weights for each device:
sets of bits again, so any order of arrival ends the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from geomon.core.belief import take
from geomon.core.contact import BAND, PHONE
from geomon.core.evidence import SOURCE_CODE, weigh
from geomon.core.geodesy import to_circle_m, to_ring_m
from geomon.core.history import Item
from geomon.core.permits import end_of, uncovered
from geomon.core.person import OUTSIDE, Belief, Clue, Fence, LastFix, Person, Stay, Zone
from geomon.core.rules import FOREVER, Rules, Wanted, supervised_until_s
from geomon.core.schedules import windows_between
from geomon.core.spoofing import CELL, fix_of
from geomon.core.tuning import Tuning

__all__ = [
    "breaches",
    "fence_deadlines",
    "fences_forget",
    "move_fences",
    "note_fences",
    "set_zone",
    "settle_fences",
]

#: What a minute may be worth, nats; a fix counts as the one below its size.
_WEIGHTS = (-4.5, -3.0, -1.5, 1.5, 3.0, 4.5)
_STRONG, _MIDDLE, _WEAK = 3.75, 2.25, 0.75
#: Few enter a forbidden zone, and stray positions about a home are many: so one is quicker to be
#: believed than the other.
_TUNING = {"exclusion": Tuning(3.0, 2.0, doubtful=False), "curfew": Tuning(3.0, 2.5)}
#: The usual reach of a cell in a city.
_CELL_M = 1_000.0
#: Weak ones are mostly of poor sources, whose errors last longer.
_SOURCES = tuple(SOURCE_CODE["unknown" if abs(w) < _MIDDLE else "gnss"] for w in _WEIGHTS)
_NO_MINUTES = (b"",) * (2 * len(_WEIGHTS))
_MOST_CLUES = 4
_DAY_S = 86_400


class _Minute(NamedTuple):
    minute: int
    device: int
    level: int


def set_zone(person: Person, zone: Zone, rules: Rules, *, removed: bool) -> None:
    """Name a place for a person, or take it back; where the person is now is looked at again."""
    known_as = next((f for f in person.fences if f.zone.zone_id == zone.zone_id), None)
    fences = [f for f in person.fences if f is not known_as]
    if known_as and not removed and _shape(known_as.zone) == _shape(zone):
        # Announced again, or at other times: what is known with regard to the place stays known.
        from_s = max(zone.from_s, _counts_from_s(known_as.zone, zone, person.clock_s, rules))
        fences.append(replace(known_as, zone=replace(zone, from_s=from_s)))
    elif not removed:
        fence = Fence(zone, _NO_MINUTES, Belief(), Belief())
        # What is known of the present is in the devices' last positions.
        for which, device in enumerate(person.devices):
            known = [f for f in (device.fix, device.cell) if f and f.time_s >= _edge_s(person)]
            fence = _added(fence, person, _minutes(zone, which, known))
        fences.append(_refolded(fence, person))
    person.fences = tuple(sorted(fences, key=lambda f: f.zone.zone_id))


def _shape(zone: Zone) -> tuple[str, tuple[tuple[float, float], ...], float]:
    return zone.kind, zone.ring, zone.radius_m


def _counts_from_s(known: Zone, zone: Zone, clock_s: int, rules: Rules) -> int:
    """Give from when on a zone counts that is named anew, at other times maybe: nobody had to keep
    hours that were entered afterwards.

    Where now lies in the old hours and the new ones, what both have of them goes on.
    """
    from_s = min(known.from_s, clock_s)
    if zone.schedule != known.schedule:
        for schedule in (known.schedule, zone.schedule):
            day = windows_between(schedule, clock_s - _DAY_S, clock_s + 1, rules.utc_offset_s)
            running = (w.from_s for w in day if w.from_s <= clock_s < w.until_s)
            from_s = max(from_s, min(running, default=clock_s))
    return from_s


def note_fences(person: Person, which: int, clues: Sequence[Clue]) -> None:
    """Take a device's fixes, none older than the horizon, into the person's fences."""
    if not person.fences or not clues:
        return
    fences = []
    for fence in person.fences:
        minutes = _minutes(fence.zone, which, [fix_of(clue) for clue in clues])
        grown = _added(fence, person, minutes)
        if grown is not fence and not person.settle_s:
            newest_min = fence.tail.at_s // 60
            if all(m.minute > newest_min for m in minutes) and _one_a_minute(minutes):
                grown = replace(grown, tail=replace(fence.tail))
                stays = [s for m in minutes if (s := take(grown.tail, _item(m), _tuning(fence)))]
                grown.stays = (*fence.stays, *stays)
            else:
                grown = _refolded(grown, person)
        grown = _explained(grown, clues)
        fences.append(grown)
    person.fences = tuple(fences)


def settle_fences(person: Person) -> None:
    """Form belief anew from the whole history of each fence."""
    person.fences = tuple(_refolded(fence, person) for fence in person.fences)


def move_fences(person: Person, shift_min: int, edge_s: int) -> None:
    """Fold what is older than the new origin into the base, when the person's history is cut."""
    moved = []
    for fence in person.fences:
        base, kept, _ = _cut(fence, person, shift_min)
        stays = tuple(stay for stay in fence.stays if stay.decided_s >= edge_s)
        moved.append(replace(fence, levels=kept, base=base, stays=stays))
    person.fences = tuple(moved)


def fences_forget(person: Person, shift_min: int) -> bool:
    """Say whether to cut the history would drop stays that nobody has judged."""
    return any(
        stay not in fence.stays
        for fence in person.fences
        for stay in _cut(fence, person, shift_min)[2]
    )


def _cut(
    fence: Fence, person: Person, shift_min: int
) -> tuple[Belief, tuple[bytes, ...], list[Stay]]:
    """Give base and levels of a fence without its oldest minutes; the stays that ended in them."""
    old, kept = _NO_MINUTES, fence.levels
    if shift_min > 0:
        bits = [int.from_bytes(level, "little") for level in fence.levels]
        mask = (1 << shift_min) - 1
        old = tuple(_bytes(b & mask) for b in bits)
        kept = tuple(_bytes(b >> shift_min) for b in bits)
    base, tuning = replace(fence.base), _tuning(fence)
    minutes = _walk(old, person.origin_min)
    return base, kept, [s for m in minutes if (s := take(base, _item(m), tuning))]


def breaches(person: Person, rules: Rules) -> Iterator[Wanted]:
    """Give what there is to say of the person's zones, a kind's earliest first."""
    found = [w for fence in person.fences for w in _of_fence(person, fence, rules)]
    # One open episode of a kind: of two zones in breach at once, the one that began first; of two
    # that began together, what lasts longer.
    opened: set[str] = set()
    begun: set[tuple[str, int]] = set()
    for w in sorted(found, key=lambda w: (w.kind, w.since_s, -(w.until_s or FOREVER))):
        if (w.kind, w.since_s) in begun or (not w.until_s and w.kind in opened):
            continue
        begun.add((w.kind, w.since_s))
        if not w.until_s:
            opened.add(w.kind)
        yield w


def fence_deadlines(person: Person, rules: Rules) -> Iterator[int]:
    """Give times at which a schedule may turn a stay into a breach, or end one."""
    grace_s = rules.plan(person.profile).curfew_grace_s
    for fence in person.fences:
        yield from (fence.zone.from_s, fence.zone.from_s + grace_s, fence.zone.until_s)
        if person.profile:
            yield person.profile.from_s + grace_s
        for stay in fence.stays:
            yield stay.until_s
        if fence.tail.label != OUTSIDE:
            continue
        yield from (fence.tail.since_s, fence.tail.since_s + grace_s)
        clock_s = person.clock_s
        for window in windows_between(
            fence.zone.schedule, clock_s - grace_s, clock_s + 2 * _DAY_S, rules.utc_offset_s
        ):
            yield from (window.from_s, window.from_s + grace_s, window.until_s)
        if fence.zone.kind == "curfew":
            yield from (end_of(p) + grace_s for p in person.permits)


def _of_fence(person: Person, fence: Fence, rules: Rules) -> Iterator[Wanted]:
    zone, tail = fence.zone, fence.tail
    running = Stay(*(tail.label, tail.since_s, FOREVER, FOREVER, tail.peak, ()), tail.outside_s)
    begin_s = max(zone.from_s, person.profile.from_s if person.profile else 0)
    end_s = min(zone.until_s, supervised_until_s(person))
    look_s = max(_edge_s(person) - _DAY_S, begin_s) if zone.schedule else begin_s
    for stay in (*fence.stays, running):
        since_s, until_s = max(stay.since_s, begin_s), min(stay.until_s, end_s)
        if stay.label != OUTSIDE or since_s >= until_s:
            continue
        upto_s = min(until_s, max(person.clock_s, since_s) + 1)
        for window in windows_between(
            zone.schedule, max(since_s, look_s), upto_s, rules.utc_offset_s
        ):
            from_s = max(since_s, window.from_s)
            ends_s = min(until_s, window.until_s if zone.schedule else end_s)
            yield from _in_window(person, fence, rules, stay, from_s, ends_s)


def _in_window(
    person: Person, fence: Fence, rules: Rules, stay: Stay, from_s: int, ends_s: int
) -> Iterator[Wanted]:
    zone, clock_s = fence.zone, person.clock_s
    curfew = zone.kind == "curfew"
    plan = rules.plan(person.profile)
    grace_s = plan.curfew_grace_s if curfew else 0
    pieces = uncovered(person.permits, from_s, ends_s) if curfew else [(from_s, ends_s)]
    for since_s, until_s in pieces:
        if since_s > clock_s or min(until_s, clock_s) < since_s + grace_s:
            continue
        if not _is_still_away(person, fence, rules, stay, since_s):
            continue
        closed_s = until_s if until_s <= clock_s else 0
        left = "back_in_place" if curfew else "left_zone"
        reason = left if until_s == stay.until_s else "window_ended"
        if closed_s == supervised_until_s(person):
            reason = "supervision_ended"
        elif until_s < ends_s:
            reason = "permitted"
        yield Wanted(
            "curfew" if curfew else "exclusion_zone",
            since_s,
            closed_s,
            "away_from_place" if curfew else "in_forbidden_zone",
            reason,
            severity="medium" if curfew else "high",
            confidence=round(1 / (1 + exp(-stay.peak)), 3),
            detail=(("zone_id", zone.zone_id),),
            evidence=fence.clues,
        )


def _is_still_away(person: Person, fence: Fence, rules: Rules, stay: Stay, since_s: int) -> bool:
    """Say whether a breach that was believed before a window lasted into it.

    Somebody last seen on the way home is not known to be away an hour later: the next position
    tells. From a forbidden zone nobody is on the way home: what was seen just before will do.
    """
    if stay.outside_s >= since_s or fence.zone.kind != "exclusion":
        return stay.outside_s >= since_s
    which = BAND if person.devices[BAND].heard_s else PHONE
    since_s -= rules.plan(person.profile).report_s[which]
    return stay.until_s == FOREVER and stay.outside_s >= since_s


def _tuning(fence: Fence) -> Tuning:
    return _TUNING[fence.zone.kind]


def _minutes(zone: Zone, which: int, fixes: Sequence[LastFix]) -> list[_Minute]:
    """Give what fixes are worth, in time order; those that say next to nothing left out."""
    # The mast that serves a phone stands hundreds of metres off, more than a zone is wide: a cell
    # speaks of a zone only from well beyond what it covers.
    measured = [(fix, _breach_m(zone, fix)) for fix in fixes]
    kept = [
        (fix, breach_m)
        for fix, breach_m in measured
        if fix.source != CELL or abs(breach_m) > 3 * fix.accuracy_m + _CELL_M
    ]
    if not kept:
        return []
    fixes = [fix for fix, _ in kept]
    distance_m = np.array([breach_m for _, breach_m in kept])
    accuracy_m = np.array([fix.accuracy_m for fix in fixes])
    weights = weigh(distance_m, accuracy_m, np.array([fix.source for fix in fixes])).tolist()
    found = []
    for fix, weight in zip(fixes, weights, strict=True):
        size = abs(weight)
        if size >= _WEAK:
            step = 2 if size >= _STRONG else 1 if size >= _MIDDLE else 0
            found.append(_Minute(fix.time_s // 60, which, 3 + step if weight > 0 else 2 - step))
    return sorted(set(found))


def _breach_m(zone: Zone, fix: LastFix) -> float:
    """Give how far a position is in breach, metres; negative where it is where it ought to be."""
    if len(zone.ring) == 1:
        outside_m = to_circle_m(fix.lon, fix.lat, zone.ring[0], zone.radius_m)
    else:
        outside_m = to_ring_m(fix.lon, fix.lat, zone.ring)
    return outside_m if zone.kind == "curfew" else -outside_m


def _added(fence: Fence, person: Person, minutes: Sequence[_Minute]) -> Fence:
    bits = [int.from_bytes(level, "little") for level in fence.levels or _NO_MINUTES]
    before = list(bits)
    for minute, device, level in minutes:
        bits[device * len(_WEIGHTS) + level] |= 1 << (minute - person.origin_min)
    if bits == before:
        return fence
    return replace(fence, levels=tuple(_bytes(b) for b in bits))


def _bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _one_a_minute(minutes: Sequence[_Minute]) -> bool:
    return len({m.minute for m in minutes}) == len(minutes)


def _refolded(fence: Fence, person: Person) -> Fence:
    tail = replace(fence.base)
    tuning = _tuning(fence)
    minutes = _walk(fence.levels, person.origin_min)
    stays = [s for m in minutes if (s := take(tail, _item(m), tuning))]
    return replace(fence, tail=tail, stays=tuple(stays))


def _walk(levels: tuple[bytes, ...], origin_min: int) -> Iterator[_Minute]:
    """Give the minutes of a history in time order; of both sides in one minute, both."""
    found = []
    for at, level in enumerate(levels):
        bits = int.from_bytes(level, "little")
        device, which = divmod(at, len(_WEIGHTS))
        while bits:
            low = bits & -bits
            bits ^= low
            found.append(_Minute(origin_min + low.bit_length() - 1, device, which))
    yield from sorted(found)


def _item(minute: _Minute) -> Item:
    return Item(
        minute.minute * 60, _WEIGHTS[minute.level], _SOURCES[minute.level], minute.device, ""
    )


def _explained(fence: Fence, clues: Sequence[Clue]) -> Fence:
    """Keep the newest fixes that spoke of a breach, while there may be one."""
    if fence.tail.label != OUTSIDE and not fence.tail.turn_s:
        return replace(fence, clues=()) if fence.clues else fence
    against = [clue for clue in clues if _breach_m(fence.zone, fix_of(clue)) > 0]
    kept = tuple(sorted({*fence.clues, *against})[-_MOST_CLUES:])
    return replace(fence, clues=kept) if kept != fence.clues else fence


def _edge_s(person: Person) -> int:
    return person.origin_min * 60
