"""Positions that are faked (虚拟定位): what a device's positions say against each other.

mock_location      the phone itself says that a position is simulated
impossible_speed   satellite positions further apart than anybody travels, and the next position
                   confirms the new place: one position thrown far off is an error, two are not
frozen_position    satellite positions the very same, accuracy and all, for hours: a real receiver
                   at rest wanders by metres
devices_disagree   phone and wristband were together, and are too far apart too soon after
cells_disagree     satellites say one place and the cells another, further away than any cell
                   reaches, again and again: programs that fake a position leave the cells alone

Each needs more than one odd position, because odd positions are what every device sends.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from geomon.core.contact import blind_after
from geomon.core.evidence import SOURCE_CODE, SOURCES
from geomon.core.geodesy import apart_m
from geomon.core.person import Clue, Device, Doubt, LastFix, Person
from geomon.core.signs import add_sign
from geomon.core.travel import possible_m

__all__ = ["CELL", "GNSS", "JUMP_DEGREES", "doubt", "fix_of", "is_frozen", "speed_between"]

GNSS, CELL = SOURCE_CODE["gnss"], SOURCE_CODE["cell"]

#: Shorter jumps are a receiver's errors: a cold start, a stale fix, a reflection.
_JUMP_M = 20_000.0
#: A jump of 20 km shows as at least this many degrees of longitude or latitude together.
JUMP_DEGREES = 0.18
#: Faster than any train: a band that stores positions in flight lands, it does not jump.
_FLYING_MPS = 100.0
_GOOD_M = 100.0
#: What stands for an accuracy that was not stated.
_UNSTATED_M = SOURCES[GNSS].default_accuracy_m
#: At the place of a jump still, however long after it.
_SAME_PLACE_M = 2_000.0
#: A position by WiFi is taken for granted when the cells about it agreed not long before.
_AGREES_M, _AGREES_S = 10_000.0, 2 * 3600
_FROZEN, _FROZEN_S = 4, 2 * 3600
#: A GSM cell reaches 35 km at most (timing advance); LTE's, 100 km, are at sea and in deserts.
_CELL_REACH_M = 35_000.0
_CELLS, _CELLS_S, _SAME_TIME_S = 3, 1800, 600


def fix_of(clue: Clue) -> LastFix:
    """Give what is kept of a fix to compare the next one with."""
    return LastFix(
        clue.time_s,
        clue.lon_wgs84,
        clue.lat_wgs84,
        clue.accuracy_m,
        SOURCE_CODE[clue.source],
        clue.distance_m,
    )


def is_frozen(last: LastFix | None, new: LastFix) -> bool:
    """Say whether a satellite position is the very same as the last one.

    Without an accuracy of its own nothing is known to be frozen: trackers that park repeat theirs.
    """
    return (
        last is not None
        and new.accuracy_m != _UNSTATED_M
        and new.source == last.source == GNSS
        and (new.lon, new.lat, new.accuracy_m) == (last.lon, last.lat, last.accuracy_m)
        and new.time_s > last.time_s
    )


def speed_between(last: LastFix | None, new: LastFix) -> float:
    """Give the speed from one position to a later one, errors taken off, m/s."""
    if last is None or new.time_s <= last.time_s:
        return 0.0
    moved_m = apart_m(last.lon, last.lat, new.lon, new.lat) - last.accuracy_m - new.accuracy_m
    return round(max(moved_m, 0.0) / (new.time_s - last.time_s), 1)


def doubt(person: Person, which: int, device: Device, clues: Sequence[Clue]) -> Device:
    """Compare a device's new positions, in time order, with its last ones.

    Adds signs to `person`; gives the device with its newest positions and its speed.
    """
    doubts = list(person.doubts)
    fix, cell, speed_mps = device.fix, device.cell, device.speed_mps
    for clue in clues:
        new = fix_of(clue)
        if new.time_s <= max(f.time_s for f in (fix, cell, LastFix(0, 0, 0, 0, 0, 0)) if f):
            continue  # from memory: what came after it is known already
        if new.source == CELL:
            doubts[which] = _against_satellites(person, which, doubts[which], fix, new)
            cell = new
            continue
        doubts[which] = _frozen(person, which, doubts[which], fix, new)
        if new.source == GNSS and new.accuracy_m <= _GOOD_M:
            before = (fix if speed_mps <= _FLYING_MPS else None, cell)
            doubts[which] = _jumped(person, which, doubts[which], before, new)
        speed_mps = speed_between(fix, new)
        fix = new
    if (doubts[0], doubts[1]) != person.doubts:
        person.doubts = (doubts[0], doubts[1])
    if (fix, cell) == (device.fix, device.cell):
        return device
    blind_s = blind_after(device, max(f.time_s for f in (fix, cell) if f))
    return replace(device, fix=fix, cell=cell, speed_mps=speed_mps, blind_s=blind_s)


def _frozen(person: Person, which: int, known: Doubt, last: LastFix | None, new: LastFix) -> Doubt:
    if last is None or not is_frozen(last, new):
        return replace(known, frozen_s=0, frozen=0) if known.frozen else known
    known = replace(known, frozen_s=known.frozen_s or last.time_s, frozen=known.frozen + 1)
    if known.frozen >= _FROZEN and new.time_s - known.frozen_s >= _FROZEN_S:
        facts = (*_place("at", new), ("times", known.frozen + 1))
        add_sign(person, "spoofing", "frozen_position", known.frozen_s, which, facts)
    return known


def _jumped(
    person: Person,
    which: int,
    known: Doubt,
    before: tuple[LastFix | None, LastFix | None],
    new: LastFix,
) -> Doubt:
    last, cell = before
    if known.jump:
        start, end = known.jump
        stayed = apart_m(end.lon, end.lat, new.lon, new.lat) <= _SAME_PLACE_M
        if stayed or (_is_way(end, new) and not _is_way(start, new)):
            facts = (*_place("from", start), *_place("to", end))
            add_sign(person, "spoofing", "impossible_speed", end.time_s, which, facts)
        known = replace(known, jump=None)
        if _is_way(start, new):
            return known  # back where they were: one position was thrown off
    if last is not None and _is_sure(last, cell):
        # Where the cells agree, they were there as long as the cells said so.
        agreed = cell is not None and _agree(last, cell)
        start = last._replace(time_s=max(last.time_s, cell.time_s)) if cell and agreed else last
        if not _is_way(start, new):
            known = replace(known, jump=(start, new))
    return known


def _is_sure(fix: LastFix, cell: LastFix | None) -> bool:
    """Say whether to measure others by a position: satellites, or WiFi that cells bear out."""
    if fix.accuracy_m > _GOOD_M:
        return False
    if fix.source == GNSS:
        return True
    return cell is not None and _agree(fix, cell)


def _agree(fix: LastFix, cell: LastFix) -> bool:
    apart_s = abs(cell.time_s - fix.time_s)
    return apart_s <= _AGREES_S and apart_m(fix.lon, fix.lat, cell.lon, cell.lat) <= _AGREES_M


def _is_way(a: LastFix, b: LastFix) -> bool:
    """Say whether somebody can have gone from one position to the other, errors allowed for."""
    moved_m = apart_m(a.lon, a.lat, b.lon, b.lat) - 3 * (a.accuracy_m + b.accuracy_m)
    return moved_m <= max(_JUMP_M, possible_m(b.time_s - a.time_s))


def _against_satellites(
    person: Person, which: int, known: Doubt, fix: LastFix | None, cell: LastFix
) -> Doubt:
    if fix is None or fix.source != GNSS or cell.time_s - fix.time_s > _SAME_TIME_S:
        return known
    off_m = apart_m(fix.lon, fix.lat, cell.lon, cell.lat) - 3 * cell.accuracy_m
    if off_m <= _CELL_REACH_M:
        return replace(known, cell_s=0, cells=0) if known.cells else known
    known = replace(known, cell_s=known.cell_s or cell.time_s, cells=known.cells + 1)
    if known.cells >= _CELLS and cell.time_s - known.cell_s >= _CELLS_S:
        facts = (*_place("satellites", fix), *_place("cells", cell))
        add_sign(person, "spoofing", "cells_disagree", known.cell_s, which, facts)
    return known


def _place(name: str, fix: LastFix) -> tuple[tuple[str, float], ...]:
    return ((f"{name}_lon", fix.lon), (f"{name}_lat", fix.lat))
