"""Signs that only an officer settles: a strap or case opened, positions that are faked.

An episode of this kind never closes by itself. That a strap was closed again is recorded on it,
and that it was opened once more; a further reason is told as an update. After the officer's
disposal (处置) what is older than it is settled, and a strap that is still open is known: it counts
anew when it opens anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from geomon.alerts import iso_utc
from geomon.core.checkins import dispose_run
from geomon.core.contact import DEVICES
from geomon.core.observed import (
    CASE_CLOSED,
    CASE_OPEN,
    STRAP_CLOSED,
    STRAP_OPEN,
    Disposed,
    Heard,
    Observed,
)
from geomon.core.person import Device, Person, Sign
from geomon.core.rules import Wanted

__all__ = ["ONLY_DISPOSED", "add_sign", "dispose", "note_tamper", "signs"]

#: Kinds that nothing but an officer's disposal closes.
ONLY_DISPOSED = frozenset({"tamper", "spoofing", "missed_check_in"})

_PARTS = (
    (STRAP_OPEN, STRAP_CLOSED, "strap_opened"),
    (CASE_OPEN, CASE_CLOSED, "case_opened"),
)
_OPEN = STRAP_OPEN | CASE_OPEN
_CLEARED = "cleared_by_itself"
_SEVERITY = {
    "strap_opened": "high",
    "case_opened": "high",
    "mock_location": "high",
    "impossible_speed": "medium",
    "frozen_position": "medium",
    "devices_disagree": "high",
    "cells_disagree": "high",
}


def note_tamper(person: Person, device: Device, event: Heard | Observed) -> Device:
    """Take what an upload says of strap and case; add signs to `person`, give the device."""
    read_s, state = event.read_s, device.state
    current = read_s >= device.read_s
    for opened, closed, reason in _PARTS:
        if event.flags & opened:
            if not (state & opened and current):
                add_sign(person, "tamper", reason, read_s, event.device)
            if current:
                state |= opened
        elif event.flags & closed and current:
            state &= ~opened
    whole = event.flags & (STRAP_CLOSED | CASE_CLOSED)
    if whole and not (state | event.flags | person.devices[1 - event.device].state) & _OPEN:
        _clear(person, read_s)
    return replace(device, state=state) if state != device.state else device


def add_sign(
    person: Person,
    kind: str,
    reason: str,
    since_s: int,
    device: int,
    facts: tuple[tuple[str, float | str], ...] = (),
) -> None:
    """Add what was found to the open sign of its kind, or make one."""
    if since_s <= dict(person.settled).get(kind, 0):
        return  # an officer has dealt with it
    signs = list(person.signs)
    for at, sign in enumerate(signs):
        if sign.kind == kind and not sign.disposed_s:
            # Undone and done again, it is not what was undone any more.
            again = 0 < sign.cleared_s < since_s
            if again or reason not in sign.found:
                found = sign.found if reason in sign.found else (*sign.found, reason)
                cleared_s = 0 if again else sign.cleared_s
                sign = replace(sign, reason=reason, found=found, cleared_s=cleared_s)  # noqa: PLW2901
                signs[at] = replace(sign, facts=facts or sign.facts)
            break
    else:
        signs.append(Sign(kind, since_s, reason, (reason,), device, facts=facts))
    person.signs = tuple(signs)


def _clear(person: Person, time_s: int) -> None:
    person.signs = tuple(
        replace(sign, cleared_s=time_s)
        if sign.kind == "tamper" and not sign.cleared_s and time_s > sign.since_s
        else sign
        for sign in person.signs
    )


def dispose(person: Person, event: Disposed) -> bool:
    """Settle the sign or the missed check-ins that an officer dealt with; say whether any was."""
    # Dated ahead, it cannot settle what is still to come: a strap cut until then would be known.
    at_s = max(min(event.time_s, event.at_s), 1)
    if event.kind == "missed_check_in" and dispose_run(person, event.since_s, at_s):
        return True
    for sign in person.signs:
        if (sign.kind, sign.since_s) == (event.kind, event.since_s) and not sign.disposed_s:
            disposed = replace(sign, disposed_s=max(at_s, sign.since_s))
            person.signs = tuple(disposed if s is sign else s for s in person.signs)
            settled = {**dict(person.settled), sign.kind: disposed.disposed_s}
            person.settled = tuple(sorted(settled.items()))
            return True
    # The same word again.
    return at_s <= dict(person.settled).get(event.kind, 0)


def signs(person: Person) -> Iterator[Wanted]:
    """Give what there is to say of signs; those disposed of, a last time."""
    for sign in person.signs:
        severity = max((_SEVERITY[reason] for reason in sign.found), key=["medium", "high"].index)
        yield Wanted(
            sign.kind,
            sign.since_s,
            sign.disposed_s,
            _CLEARED if sign.cleared_s and sign.kind == "tamper" else sign.reason,
            "disposed",
            severity=severity,
            detail=(
                ("device", DEVICES[sign.device]),
                ("found", sign.found),
                *((("cleared", iso_utc(sign.cleared_s)),) if sign.cleared_s else ()),
                *sign.facts,
            ),
        )
