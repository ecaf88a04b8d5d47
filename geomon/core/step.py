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

from geomon.core.approach import note_line
from geomon.core.belief import BAND_HOLD_S, fold, is_settled_inside, take
from geomon.core.checkins import judge_windows
from geomon.core.companions import compare_devices
from geomon.core.contact import BAND, LIVE_S, PHONE, note_heard
from geomon.core.entries import UnknownEpisode, UnknownPermit, enter
from geomon.core.episodes import OF_CITY, Alert, Cause, reconcile
from geomon.core.evidence import DEEP_WEIGHT
from geomon.core.fences import note_fences, settle_fences
from geomon.core.history import Item, add_marks, add_minutes, item_of, last_of_band
from geomon.core.horizon import forgets, make_room
from geomon.core.judge import judge, next_deadline
from geomon.core.observed import MOCK, ClockAt, Event, Heard, Observed
from geomon.core.person import Clue, LastFix, Mark, Person
from geomon.core.quick import nothing_new, with_device
from geomon.core.requests import Request, ask
from geomon.core.rules import Rules
from geomon.core.signs import add_sign, note_tamper
from geomon.core.spoofing import doubt

__all__ = ["Outcome", "TooLate", "step"]

#: Fixes kept to explain a decision: the first that pointed to it and the last before it.
_FIRST_CLUES, _LAST_CLUES = 3, 5


class TooLate(tuple[int, int]):
    """Outcome: (number of fixes, newest of them): older than the horizon, not judged."""

    __slots__ = ()


Outcome = Alert | Request | TooLate | UnknownEpisode | UnknownPermit


def step(person: Person, event: Event, rules: Rules) -> tuple[Person, list[Outcome]]:
    """Take one event; give the person as it then stands and what there is to tell."""
    if isinstance(event, Observed | Heard):
        quick = nothing_new(person, event, rules)
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
            _settle(person, rules)
            _compare(person, rules, Cause.EVIDENCE, outcomes)
        cause, refused = enter(person, event, rules)
        if refused is not None:
            outcomes.append(refused)
        else:
            _compare(person, rules, cause, outcomes)
    person.due_s = next_deadline(person, rules)
    return person, outcomes


def _let_time_come(person: Person, due_s: int, rules: Rules, outcomes: list[Outcome]) -> None:
    person.clock_s = due_s
    settled = 0 < person.settle_s <= due_s
    if settled:
        _settle(person, rules)
    _compare(person, rules, Cause.EVIDENCE, outcomes)
    if settled:
        _ask(person, rules, outcomes)
    person.due_s = next_deadline(person, rules)


def _hear(person: Person, event: Observed | Heard, rules: Rules, outcomes: list[Outcome]) -> None:
    """Take an upload: what it says of the device, and then its positions."""
    which = event.device
    device = note_tamper(person, person.devices[which], event)
    device = note_heard(device, event, rules.plan(person.profile))
    person.devices = with_device(person, which, device)
    if event.flags & MOCK:
        add_sign(person, "spoofing", "mock_location", event.read_s, which)
    heading_out = False
    if isinstance(event, Observed):
        clues = _in_time(person, event, rules, outcomes)
        if clues:
            before = person.devices[which].fix
            _observe(person, event, clues, rules)
            heading_out = _look_closely(person, event, before, clues, rules)
    _compare(person, rules, Cause.EVIDENCE, outcomes, heading_out=heading_out)
    _ask(person, rules, outcomes)


def _in_time(person: Person, event: Observed, rules: Rules, outcomes: list[Outcome]) -> list[Clue]:
    """Give the fixes that are not too late, in time order; make room for them."""
    clues = sorted(event.clues())
    # Nothing is known of the time before a device was heard of. What it says of long before is a
    # clock gone wrong (satellite receivers lose 1,024 weeks), and no stay begins so long ago.
    edge_s = person.devices[event.device].first_s - rules.horizon_s
    if clues[-1].time_s >= edge_s:
        if person.settle_s and forgets(person, clues[-1].time_s, rules):
            # It cannot wait for the rest.
            _settle(person, rules)
            _compare(person, rules, Cause.EVIDENCE, outcomes)
        make_room(person, clues[-1].time_s, rules)
        edge_s = max(edge_s, person.origin_min * 60)
    late = [clue for clue in clues if clue.time_s < edge_s]
    if late:
        outcomes.append(TooLate((len(late), late[-1].time_s)))
    return clues[len(late) :]


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
    person.devices = with_device(person, which, device)
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
    items = [item_of(clue, event.device) for clue in clues]
    plain = [
        item.time_s // 60 * 2 + (item.weight <= DEEP_WEIGHT)
        for item in items
        if isinstance(item, Item)
    ]
    person.inside = add_minutes(person.inside, person.origin_min, event.device, plain)
    person.marks = add_marks(person.marks, [item for item in items if isinstance(item, Mark)])
    if person.inside == inside and person.marks is marks:
        return  # all of it was known
    _keep_clues(person, clues, rules)
    newest_s = person.newest_s
    person.newest_s = max(newest_s, items[-1].time_s)

    live = not event.stored and event.at_s - event.newest_s <= LIVE_S
    if not live or event.newest_s < newest_s - 60:
        # From the device's memory: gather what else it sends before judging, or a band that
        # uploads newest first would have its absence opened anew with every fix.
        # At once is a second later: this one's deadlines have been looked at.
        person.settle_s = person.settle_s or person.clock_s + max(rules.settle_s, 1)
    elif not event.device and _unasked(person, items):
        return  # the wristband speaks for the person; the phone's word is only kept
    elif person.settle_s or not _follow(items, person.tail.last_s):
        _settle(person, rules)
    else:
        person.tail = copy(person.tail)
        stays = [stay for item in items if (stay := take(person.tail, item, rules.tuning))]
        person.stays = (*person.stays, *stays)


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


def _settle(person: Person, rules: Rules) -> None:
    """Form the belief anew from the whole history."""
    person.settle_s = 0
    person.tail = copy(person.base)
    person.stays = tuple(
        fold(person.tail, person.inside, person.origin_min, person.marks, rules.tuning)
    )
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
    if is_settled_inside(person.tail, rules.tuning) and all(
        episode.until_s for episode in person.episodes if episode.kind in OF_CITY
    ):
        person.clues = ()


def _ask(person: Person, rules: Rules, outcomes: list[Outcome]) -> None:
    request = ask(person, rules)
    if request is not None:
        outcomes.append(request)


def _keep_clues(person: Person, clues: Sequence[Clue], rules: Rules) -> None:
    """Keep the fixes that may have to explain a decision: the first few and the last few."""
    if is_settled_inside(person.tail, rules.tuning):
        clues = [clue for clue in clues if clue.weight > 0]
    kept = sorted({*person.clues, *clues})
    if len(kept) > _FIRST_CLUES + _LAST_CLUES:
        kept = kept[:_FIRST_CLUES] + kept[-_LAST_CLUES:]
    person.clues = tuple(kept)
