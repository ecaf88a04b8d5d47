"""The quick way: uploads from which nothing follows but that they were heard.

Nearly every upload there is says that somebody plainly inside is still there, or is a heartbeat.
They change the person by what is written here, and nothing else has to be looked at: the slow way
would end in the same state. Whatever could be more is left to it.
"""

from __future__ import annotations

from copy import copy

from msgspec.structs import replace

from geomon.core.approach import LINE_M, is_haunt
from geomon.core.belief import is_settled_inside
from geomon.core.companions import PAIR_S
from geomon.core.contact import LOW, blind_after, in_contact
from geomon.core.episodes import OF_PLACE
from geomon.core.history import add_minutes
from geomon.core.horizon import GROWTH_MIN, make_room
from geomon.core.judge import next_deadline
from geomon.core.observed import (
    CASE_OPEN,
    CHARGING,
    NOTABLE,
    POWER_OFF,
    STRAP_OPEN,
    Heard,
    Observed,
)
from geomon.core.papers import is_authorised
from geomon.core.person import Belief, Device, Person
from geomon.core.rules import Rules
from geomon.core.signs import ONLY_DISPOSED
from geomon.core.spoofing import CELL, JUMP_DEGREES, is_frozen, speed_between

__all__ = ["nothing_new", "with_device"]

#: Open episodes that no plain upload changes: papers, time or an officer do.
_WAITING = ONLY_DISPOSED | {"approval", "authorisation", "permit_expiry"}
#: What of a device's state has to be looked at with every upload.
_WATCHED = STRAP_OPEN | CASE_OPEN | POWER_OFF | LOW
#: Within the reach of any cell.
_NEAR_DEG = 0.1
#: Nobody needs longer for a city's width by the fastest means: what is older is no jump.
_CITY_WIDTH_S = 300


def with_device(person: Person, which: int, device: Device) -> tuple[Device, Device]:
    """Give both devices, with one of them as it is now."""
    return (person.devices[0], device) if which else (device, person.devices[1])


def nothing_new(person: Person, event: Observed | Heard, rules: Rules) -> Person | None:
    """Take an upload that is all plainly inside, from someone who is: nearly every one there is.

    Gives None where anything else could follow from it.
    """
    which = event.device
    device = person.devices[which]
    due_s = person.due_s
    if 0 < due_s <= event.at_s:
        # Mostly the end of a silence that never was: each upload moves it, unnoticed here.
        due_s = next_deadline(person, rules)
    if (
        0 < due_s <= event.at_s
        or not device.heard_s
        or event.flags & NOTABLE
        or device.state & _WATCHED
        or 0 <= event.battery_pct < rules.low_pct
        or any(not e.until_s and e.kind not in _WAITING for e in person.episodes)
        or any(sign.kind == "tamper" and not sign.cleared_s for sign in person.signs)
    ):
        return None
    clock_s = max(person.clock_s, event.at_s)
    heard_s = max(device.heard_s, event.at_s)
    battery_pct, state = device.battery_pct, device.state & CHARGING
    if event.battery_pct >= 0 and event.read_s >= device.read_s:
        battery_pct, state = event.battery_pct, event.flags & CHARGING
    heard = Device(
        heard_s=heard_s,
        first_s=device.first_s,
        battery_pct=battery_pct,
        state=state,
        read_s=max(device.read_s, event.read_s),
        speed_mps=device.speed_mps,
        fix=device.fix,
        cell=device.cell,
    )
    plan = rules.plan(person.profile)
    reached = in_contact(device, which, event.at_s, plan)
    # A position that comes late enough is as good as none.
    blind_s = reached.blind_s
    if isinstance(event, Observed):
        blind_s = blind_after(reached, event.newest_s)
    if blind_s >= plan.no_fix_s[which]:
        return None
    heard = replace(heard, blind_s=blind_s)
    if isinstance(event, Heard):
        devices = with_device(person, which, heard)
        return replace(person, clock_s=clock_s, devices=devices, due_s=due_s)
    tail = person.tail
    if (
        event.singles
        or person.settle_s
        or person.fences
        or event.oldest_s // 60 * 60 < tail.last_s
        or not is_settled_inside(tail, rules.tuning)
        or (tail.band_s and not which)
        or (which and not is_authorised(person, event.at_s))
        or not _is_plain_step(person, event, rules)
    ):
        return None
    newest_s = event.newest_s // 60 * 60
    if newest_s // 60 - person.origin_min >= rules.horizon_s // 60 + GROWTH_MIN:
        if person.stays or any(e.kind in OF_PLACE for e in person.episodes):
            return None  # what is older than the horizon is no longer spoken of
        person = copy(person)
        make_room(person, newest_s, rules)
        if event.oldest_s < person.origin_min * 60:
            return None
    if event.last.source == CELL:
        heard = replace(heard, cell=event.last)
    else:
        speed_mps = speed_between(heard.fix, event.last) if which else 0.0
        heard = replace(heard, fix=event.last, speed_mps=speed_mps)
    return replace(
        person,
        inside=add_minutes(person.inside, person.origin_min, which, event.plain),
        newest_s=max(person.newest_s, newest_s),
        tail=_further_inside(tail, newest_s, which),
        clock_s=clock_s,
        devices=with_device(person, which, heard),
        due_s=due_s,
    )


def _further_inside(tail: Belief, time_s: int, which: int) -> Belief:
    band_s = time_s if which else tail.band_s
    return replace(tail, at_s=time_s, inside_s=time_s, last_s=time_s, band_s=band_s)


def _is_plain_step(person: Person, event: Observed, rules: Rules) -> bool:
    """Say whether the newest position has nothing to compare it with that could be odd."""
    last, device = event.last, person.devices[event.device]
    fix, other = device.fix, person.devices[1 - event.device].fix
    if other and abs(event.newest_s - other.time_s) <= PAIR_S:
        return False
    if last.distance_m > -LINE_M and not is_haunt(person, last, rules):
        return False
    doubts = person.doubts[event.device]
    if doubts.frozen or doubts.cells or doubts.jump or is_frozen(fix, last):
        return False
    if (
        last.source == CELL
        and fix
        and abs(last.lon - fix.lon) + abs(last.lat - fix.lat) > _NEAR_DEG
    ):
        return False
    return (
        fix is None
        or event.oldest_s - fix.time_s >= _CITY_WIDTH_S
        or abs(last.lon - fix.lon) + abs(last.lat - fix.lat) < JUMP_DEGREES
    )
