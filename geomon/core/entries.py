"""What officers enter, and check-ins: taken into the person, each in one place."""

from __future__ import annotations

from msgspec.structs import replace

from geomon.alerts import iso_utc
from geomon.core.checkins import check_in, plan_windows
from geomon.core.contact import PHONE, in_contact
from geomon.core.episodes import Cause
from geomon.core.fences import set_zone
from geomon.core.observed import (
    Announced,
    Authorised,
    CheckedIn,
    Disposed,
    Event,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.papers import authorise
from geomon.core.permits import announce, report_back
from geomon.core.person import Permit, Person
from geomon.core.quick import with_device
from geomon.core.rules import Rules
from geomon.core.signs import ONLY_DISPOSED, dispose

__all__ = ["UnknownEpisode", "UnknownPermit", "enter"]

#: Sanctions remembered: two of a kind decide.
_MOST_SANCTIONS = 16


class UnknownPermit(str):
    """Outcome: the person reported back from a leave that was never announced."""

    __slots__ = ()


class UnknownEpisode(str):
    """Outcome: an officer dealt with an episode that only an officer closes, and none is open."""

    __slots__ = ()


def enter(
    person: Person, event: Event, rules: Rules
) -> tuple[str, UnknownEpisode | UnknownPermit | None]:
    """Take what officers enter, and check-ins, into `person`.

    Gives the cause by which episodes are then compared, and what is to be refused. With the latter
    nothing has changed.
    """
    cause = Cause.EVIDENCE
    if isinstance(event, Announced):
        if person.profile is None or person.profile.level != event.profile.level:
            # Another plan asks from tomorrow on.
            person.checks = replace(person.checks, window=None, due_s=0)
        person.profile = event.profile
        cause = Cause.PROFILE
    elif isinstance(event, PermitSet | ReportedBack):
        cause = Cause.PERMIT
        unknown = _permit(person, event)
        if unknown:
            return cause, UnknownPermit(unknown)
    elif isinstance(event, CheckedIn):
        phone = in_contact(person.devices[PHONE], PHONE, event.at_s, rules.plan(person.profile))
        person.devices = with_device(person, PHONE, phone)
        check_in(person, event)
    elif isinstance(event, Disposed):
        if not dispose(person, event) and event.kind in ONLY_DISPOSED:
            return cause, UnknownEpisode(f"{event.kind} of {iso_utc(event.since_s)}")
    elif isinstance(event, ZoneSet):
        set_zone(person, event.zone, rules, removed=event.removed)
        cause = Cause.ZONE
    else:
        _file(person, event)
    return cause, None


def _permit(person: Person, event: PermitSet | ReportedBack) -> str:
    """Take a permit, or the return from one; give the permit's id when there is none of it."""
    if isinstance(event, ReportedBack):
        permits = report_back(person.permits, event.permit_id, event.time_s)
        if permits is None:
            return event.permit_id
        person.permits = permits
        return ""
    permit = event.permit
    if event.cancelled:
        # 0 would mean "not cancelled": the clock of someone never heard from stands at 0.
        permit = replace(permit, cancelled_s=max(person.clock_s, 1))
    if _is_history(person, permit):
        permit = replace(permit, returned_s=permit.until_s)
    person.permits = announce(person.permits, permit, person.clock_s)
    return ""


def _is_history(person: Person, permit: Permit) -> bool:
    """Say whether a leave was over before it was entered, and before anything was heard of whose.

    Where the system is introduced papers of the past are entered. Nobody can say how they came
    back, so they count as back in time.
    """
    return (
        permit.kind == "leave"
        and permit.until_s <= person.clock_s
        and all(known.permit_id != permit.permit_id for known in person.permits)
        and all(not device.first_s or device.first_s > permit.until_s for device in person.devices)
    )


def _file(person: Person, event: Event) -> None:
    """Put a paper to the person's others."""
    if isinstance(event, PlanSet):
        plan_windows(person, event.windows, event.from_s, event.until_s)
    elif isinstance(event, Authorised):
        authorise(person, event.authorisation, cancelled=event.cancelled)
    elif isinstance(event, Sanctioned):
        kept = [s for s in person.sanctions if s.sanction_id != event.sanction.sanction_id]
        newest = sorted([*kept, event.sanction], key=lambda s: (s.time_s, s.sanction_id))
        person.sanctions = tuple(newest[-_MOST_SANCTIONS:])
