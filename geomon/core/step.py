"""The one door of the core: `step(person, event, rules) -> person, outcomes`.

    an event arrives ─► deadlines that fell due before it, each at its own time
                     ─► what it changes in the person
                     ─► the episodes there ought to be, against those spoken of ─► outcomes

The person given in is not changed. The same events in the same order give the same outcomes, in
the worker and in a replay; the order of *fixes* within the horizon does not change where it ends.

Time is the person's own: the newest arrival, never the arrival of somebody else, so that a device
with a wrong clock makes nobody else late.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import pairwise

from msgspec.structs import replace

from geomon.alerts import iso_utc
from geomon.core.approach import LINE_M, is_haunt, note_line
from geomon.core.belief import BAND_HOLD_S, fold, is_settled_inside, take
from geomon.core.checkins import check_in, judge_windows, plan_windows
from geomon.core.companions import PAIR_S, compare_devices
from geomon.core.contact import BAND, LOW, PHONE, in_contact, note_heard
from geomon.core.episodes import OF_CITY, OF_PLACE, Alert, Cause, reconcile
from geomon.core.evidence import DEEP_WEIGHT, PLAIN_WEIGHT, SOURCE_CODE
from geomon.core.fences import move_fences, note_fences, set_zone, settle_fences
from geomon.core.history import Item, add_marks, add_minutes, last_of_band
from geomon.core.judge import judge, next_deadline
from geomon.core.observed import (
    CASE_OPEN,
    CHARGING,
    MOCK,
    NOTABLE,
    POWER_OFF,
    STRAP_OPEN,
    Announced,
    Authorised,
    CheckedIn,
    ClockAt,
    Disposed,
    Event,
    Heard,
    Observed,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.papers import authorise, is_authorised
from geomon.core.permits import announce, report_back
from geomon.core.person import Belief, Clue, Device, LastFix, Mark, Person
from geomon.core.rules import Rules
from geomon.core.signs import ONLY_DISPOSED, add_sign, dispose, note_tamper
from geomon.core.spoofing import CELL, JUMP_DEGREES, doubt, is_frozen, speed_between

__all__ = ["Outcome", "TooLate", "UnknownEpisode", "UnknownPermit", "step"]

#: An upload whose newest fix is older than this on arrival comes from the device's memory.
_LIVE_S = 120
#: The history grows by this much before its oldest part is folded into the base.
_GROWTH_MIN = 60
#: Fixes kept to explain a decision: the first that pointed to it and the last before it.
_FIRST_CLUES, _LAST_CLUES = 3, 5
#: Open episodes that no plain upload changes: papers, time or an officer do.
_WAITING = ONLY_DISPOSED | {"approval", "authorisation", "permit_expiry"}
#: Sanctions remembered: two of a kind decide.
_MOST_SANCTIONS = 16
#: What of a device's state has to be looked at with every upload.
_WATCHED = STRAP_OPEN | CASE_OPEN | POWER_OFF | LOW
#: Shorter than any jump that nobody can have made within a city's width, at a minute's distance.
_CITY_WIDTH_S = 300


class TooLate(tuple[int, int]):
    """Outcome: (number of fixes, newest of them): older than the horizon, not judged."""

    __slots__ = ()


class UnknownPermit(str):
    """Outcome: the person reported back from a leave that was never announced."""

    __slots__ = ()


class UnknownEpisode(str):
    """Outcome: an officer dealt with an episode that only an officer closes, and none is open."""

    __slots__ = ()


Outcome = Alert | TooLate | UnknownEpisode | UnknownPermit


def step(person: Person, event: Event, rules: Rules) -> tuple[Person, list[Outcome]]:
    """Take one event; give the person as it then stands and what there is to tell."""
    if isinstance(event, Observed | Heard):
        quick = _nothing_new(person, event, rules)
        if quick is not None:
            return quick, []
    person = copy(person)
    outcomes: list[Outcome] = []
    while person.due_s and person.due_s <= event.at_s:
        _let_time_come(person, person.due_s, rules, outcomes)
    person.clock_s = max(person.clock_s, event.at_s)

    if isinstance(event, Observed | Heard):
        _hear(person, event, rules, outcomes)
    elif isinstance(event, ClockAt):
        _compare(person, rules, Cause.EVIDENCE, outcomes)
    else:
        if person.settle_s:
            # What evidence says comes first, so that it is not put down to the permit.
            _settle(person)
            _compare(person, rules, Cause.EVIDENCE, outcomes)
        _announce(person, event, rules, outcomes)
    person.due_s = next_deadline(person, rules)
    return person, outcomes


def _nothing_new(person: Person, event: Observed | Heard, rules: Rules) -> Person | None:
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
    if isinstance(event, Heard):
        plan = rules.plan(person.profile)
        blind_s = in_contact(device, which, event.at_s, plan).blind_s
        if blind_s >= plan.no_fix_s[which]:
            return None
        heard = replace(heard, blind_s=blind_s)
        devices = _with(person, which, heard)
        return replace(person, clock_s=clock_s, devices=devices, due_s=due_s)
    tail = person.tail
    if (
        event.singles
        or person.settle_s
        or person.fences
        or event.oldest_s // 60 * 60 < tail.last_s
        or not is_settled_inside(tail)
        or (tail.band_s and not which)
        or (which and not is_authorised(person, event.at_s))
        or not _is_plain_step(person, event, rules)
    ):
        return None
    newest_s = event.newest_s // 60 * 60
    if newest_s // 60 - person.origin_min >= rules.horizon_s // 60 + _GROWTH_MIN:
        if person.stays or any(e.kind in OF_PLACE for e in person.episodes):
            return None  # what is older than the horizon is no longer spoken of
        person = copy(person)
        _make_room(person, newest_s, rules)
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
        devices=_with(person, which, heard),
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
    return (
        fix is None
        or event.oldest_s - fix.time_s >= _CITY_WIDTH_S
        or abs(last.lon - fix.lon) + abs(last.lat - fix.lat) < JUMP_DEGREES
    )


def _with(person: Person, which: int, device: Device) -> tuple[Device, Device]:
    return (person.devices[0], device) if which else (device, person.devices[1])


def _let_time_come(person: Person, due_s: int, rules: Rules, outcomes: list[Outcome]) -> None:
    person.clock_s = due_s
    if 0 < person.settle_s <= due_s:
        _settle(person)
    _compare(person, rules, Cause.EVIDENCE, outcomes)
    person.due_s = next_deadline(person, rules)


def _announce(person: Person, event: Event, rules: Rules, outcomes: list[Outcome]) -> None:
    """Take what officers enter, and check-ins."""
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
            outcomes.append(UnknownPermit(unknown))
            return
    elif isinstance(event, CheckedIn):
        phone = in_contact(person.devices[PHONE], PHONE, event.at_s, rules.plan(person.profile))
        person.devices = _with(person, PHONE, phone)
        check_in(person, event)
    elif isinstance(event, Disposed):
        if not dispose(person, event) and event.kind in ONLY_DISPOSED:
            outcomes.append(UnknownEpisode(f"{event.kind} of {iso_utc(event.since_s)}"))
    elif isinstance(event, ZoneSet):
        set_zone(person, event.zone, removed=event.removed)
        cause = Cause.ZONE
    else:
        _file(person, event)
    _compare(person, rules, cause, outcomes)


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
    person.permits = announce(person.permits, permit, person.clock_s)
    return ""


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


def _hear(person: Person, event: Observed | Heard, rules: Rules, outcomes: list[Outcome]) -> None:
    """Take an upload: what it says of the device, and then its positions."""
    which = event.device
    device = note_tamper(person, person.devices[which], event)
    device = note_heard(device, event, rules.plan(person.profile))
    person.devices = _with(person, which, device)
    if event.flags & MOCK:
        add_sign(person, "spoofing", "mock_location", event.read_s, which)
    heading_out = False
    if isinstance(event, Observed):
        clues = sorted(event.clues())
        _make_room(person, clues[-1].time_s, rules)
        edge_s = person.origin_min * 60
        late = [clue for clue in clues if clue.time_s < edge_s]
        if late:
            outcomes.append(TooLate((len(late), late[-1].time_s)))
            clues = clues[len(late) :]
        if clues:
            before = person.devices[which].fix
            _observe(person, event, clues, rules)
            heading_out = _look_closely(person, event, before, clues, rules)
    _compare(person, rules, Cause.EVIDENCE, outcomes, heading_out=heading_out)


def _look_closely(
    person: Person,
    event: Observed,
    before: LastFix | None,
    clues: Sequence[Clue],
    rules: Rules,
) -> bool:
    """Compare positions with each other, the other device's, zones and the line.

    Says whether the person is heading out by the line.
    """
    which = event.device
    device = doubt(person, which, person.devices[which], clues)
    person.devices = _with(person, which, device)
    if person.devices[BAND].heard_s and person.devices[PHONE].heard_s:
        compare_devices(person, which, rules)
    note_fences(person, which, clues)
    new = device.fix
    if new is None or new is before or (person.tail.band_s and which == PHONE):
        return False
    return note_line(person, before, new, rules)


def _observe(person: Person, event: Observed, clues: Sequence[Clue], rules: Rules) -> None:
    """Take fixes, in time order and none beyond the horizon, into history and belief."""
    inside, marks = person.inside, person.marks
    items = [_item(clue, event.device) for clue in clues]
    plain = [
        item.time_s // 60 * 2 + (item.weight <= DEEP_WEIGHT)
        for item in items
        if isinstance(item, Item)
    ]
    person.inside = add_minutes(person.inside, person.origin_min, event.device, plain)
    person.marks = add_marks(person.marks, [item for item in items if isinstance(item, Mark)])
    if person.inside == inside and person.marks is marks:
        return  # all of it was known
    _keep_clues(person, clues)
    newest_s = person.newest_s
    person.newest_s = max(newest_s, items[-1].time_s)

    live = not event.stored and event.at_s - event.newest_s <= _LIVE_S
    if not live or event.newest_s < newest_s - 60:
        # From the device's memory: gather what else it sends before judging, or a band that
        # uploads newest first would have its absence opened anew with every fix.
        person.settle_s = person.settle_s or person.clock_s + rules.settle_s
    elif not event.device and _unasked(person, items):
        return  # the wristband speaks for the person; the phone's word is only kept
    elif person.settle_s or not _follow(items, person.tail.last_s):
        _settle(person)
    else:
        person.tail = copy(person.tail)
        stays = [stay for item in items if (stay := take(person.tail, item))]
        person.stays = (*person.stays, *stays)


def _item(clue: Clue, device: int) -> Item | Mark:
    source = SOURCE_CODE[clue.source]
    if clue.weight <= PLAIN_WEIGHT:
        weight = DEEP_WEIGHT if clue.weight <= DEEP_WEIGHT else PLAIN_WEIGHT
        return Item(clue.time_s // 60 * 60, weight, 0, device, "")
    far_m = max(int(clue.distance_m) // 1000 * 1000, 0)
    return Mark(clue.time_s, round(clue.weight * 100), source, device, clue.place, far_m)


def _follow(items: list[Item | Mark], last_s: int) -> bool:
    """Say whether items come one a minute after all that was asked, so that belief can go on."""
    minutes = [last_s // 60, *(item.time_s // 60 for item in items)]
    return all(a < b for a, b in pairwise(minutes))


def _unasked(person: Person, items: list[Item | Mark]) -> bool:
    """Say whether a phone's items are none that belief asks for, because a wristband reports."""
    if not person.tail.band_s or person.settle_s:
        return False
    first_s, last_s = items[0].time_s, items[-1].time_s
    band_s = last_of_band(person.inside, person.origin_min, person.marks, first_s)
    band_s = band_s or person.base.band_s
    return bool(band_s) and last_s - band_s <= BAND_HOLD_S


def _settle(person: Person) -> None:
    """Form the belief anew from the whole history."""
    person.settle_s = 0
    person.tail = copy(person.base)
    person.stays = tuple(fold(person.tail, person.inside, person.origin_min, person.marks))
    settle_fences(person)


def _compare(
    person: Person,
    rules: Rules,
    cause: str,
    outcomes: list[Outcome],
    *,
    heading_out: bool = False,
) -> None:
    judge_windows(person, rules)
    wanted = judge(person, rules, heading_out=heading_out)
    if wanted or person.episodes:
        person.episodes, alerts = reconcile(person, wanted, cause)
        outcomes += alerts
    if any(sign.disposed_s for sign in person.signs):
        person.signs = tuple(sign for sign in person.signs if not sign.disposed_s)
    if any(run.disposed_s for run in person.checks.earlier):
        left = tuple(run for run in person.checks.earlier if not run.disposed_s)
        person.checks = replace(person.checks, earlier=left)
    if is_settled_inside(person.tail) and all(
        episode.until_s for episode in person.episodes if episode.kind in OF_CITY
    ):
        person.clues = ()


def _keep_clues(person: Person, clues: Sequence[Clue]) -> None:
    """Keep the fixes that may have to explain a decision: the first few and the last few."""
    if is_settled_inside(person.tail):
        clues = [clue for clue in clues if clue.weight > 0]
    kept = sorted({*person.clues, *clues})
    if len(kept) > _FIRST_CLUES + _LAST_CLUES:
        kept = kept[:_FIRST_CLUES] + kept[-_LAST_CLUES:]
    person.clues = tuple(kept)


def _make_room(person: Person, newest_s: int, rules: Rules) -> None:
    """Fold what is older than the horizon into the base, an hour or more at a time."""
    newest_s = max(newest_s, person.newest_s)
    horizon_min = rules.horizon_s // 60
    if newest_s // 60 - person.origin_min < horizon_min + _GROWTH_MIN:
        return
    origin_min = newest_s // 3600 * 60 - horizon_min
    shift = origin_min - person.origin_min
    edge_s = origin_min * 60
    if person.origin_min:
        mask = (1 << shift) - 1
        a, b, c, d = person.inside
        old_marks = tuple(mark for mark in person.marks if mark.time_s < edge_s)
        person.base = copy(person.base)
        fold(person.base, (a & mask, b & mask, c & mask, d & mask), person.origin_min, old_marks)
        person.inside = (a >> shift, b >> shift, c >> shift, d >> shift)
        person.marks = person.marks[len(old_marks) :]
        person.stays = tuple(stay for stay in person.stays if stay.decided_s >= edge_s)
        move_fences(person, shift, edge_s)
    person.origin_min = origin_min
