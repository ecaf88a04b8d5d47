"""Absences from the city: from belief and permits to the episodes that there ought to be.

A function of what is known, not of how it became known: it does not look at what has been said
before. `episodes.py` compares the two. So late evidence, a permit granted afterwards and a replay
all end in the same place.

leave_city       a stay outside, from the crossing, as long as no permit covers it
overdue_return   a permit ended during a stay outside, and the grace is over; or a leave ended and
                 where the person is cannot be said, for nothing recent was heard. A standing permit
                 for elsewhere is no excuse for it
off_itinerary    under a permit, seen outside the city and outside every named destination for
                 longer than the travel allowance
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from math import exp

from geomon.core.history import first_inside, last_before
from geomon.core.permits import Span, covered, end_of, is_destination, left_open
from geomon.core.person import INSIDE, OUTSIDE, Permit, Person, Stay
from geomon.core.rules import FOREVER, Rules, Wanted

__all__ = ["absence_deadlines", "absences", "confidence"]

#: So long in another place after the leave is more than the way back.
_ELSEWHERE_S = 4 * 3600
#: So long the first sign of being back is trusted, until belief has turned or has not: one weak
#: position, and then silence, must not pass for a return.
_PRESUMED_S = 4 * 3600


def absences(person: Person, rules: Rules) -> list[Wanted]:
    """Give the absences that there are at the person's clock, for the history kept."""
    outside = list(_outside(person))
    silent = list(_silent(person, rules, outside))
    wanted = list(silent)
    for stay in outside:
        away_s = next((w.since_s for w in silent if _is_in(stay.since_s, w)), stay.since_s)
        excused = _excused(person, stay, away_s)
        wanted += _without_leave(person, rules, stay, excused, silent)
        wanted += _off_itinerary(person, rules, stay, excused)
    return [w for w in wanted if w.since_s <= person.clock_s]


def absence_deadlines(person: Person, rules: Rules) -> Iterator[int]:
    """Give times at which `absences` may say something new unasked."""
    # A device's clock may be some minutes ahead, and what it reports is then still to come: a stay
    # that began or ended in this way is spoken of when its time is there, not at the next fix.
    yield person.tail.since_s
    if person.tail.turn_s:
        yield person.tail.turn_s + _PRESUMED_S
    for stay in person.stays:
        yield stay.until_s
    grace_s = rules.plan(person.profile).overdue_grace_s
    for permit in person.permits:
        end_s = end_of(permit)
        yield from (permit.from_s, end_s, end_s + grace_s)


def _outside(person: Person) -> Iterator[Stay]:
    """Give the stays outside, cut to the time of supervision; the running one until forever."""
    tail = person.tail
    running = Stay(
        *(tail.label, tail.since_s, FOREVER, FOREVER, tail.peak, tail.runs), tail.outside_s
    )
    begin_s, end_s = 0, FOREVER
    if person.profile:
        begin_s, end_s = person.profile.from_s, person.profile.until_s
    for stay in (*person.stays, running):
        since_s, until_s = max(stay.since_s, begin_s), min(stay.until_s, end_s)
        if stay.label == OUTSIDE and since_s < until_s:
            yield stay._replace(since_s=since_s, until_s=until_s)


def _is_in(time_s: int, wanted: Wanted) -> bool:
    return wanted.since_s <= time_s < (wanted.until_s or FOREVER)


def _excused(person: Person, stay: Stay, away_s: int) -> list[Span]:
    """Give the parts of a stay outside that permits cover, of somebody away since `away_s`.

    Whoever was away on leave is to be back when it ends, or where a standing permit allows: that
    covers from when they are seen there, not while they stay on where the leave was for.
    """
    used = [p for p in _leaves(person) if away_s <= end_of(p) > p.from_s]
    found = []
    for span in covered(person.permits, stay.since_s, stay.until_s):
        ends = [end_of(p) for p in used if end_of(p) <= span.from_s]
        if ends and stay.runs and not any(p.kind == "leave" for p in span.permits):
            there_s = _first_at(stay, span.permits, max(ends))
            span = span._replace(from_s=max(span.from_s, there_s))  # noqa: PLW2901
        if span.from_s < span.until_s:
            found.append(span)
    return found


def _first_at(stay: Stay, permits: tuple[Permit, ...], time_s: int) -> int:
    """Give when, from a time on, the person is first known to be where permits allow."""
    for run, after in zip_longest(stay.runs, stay.runs[1:]):
        over = after and after.first_s <= time_s
        if not over and is_destination(run.place, permits):
            return max(run.first_s, time_s)
    return FOREVER


def _without_leave(
    person: Person, rules: Rules, stay: Stay, excused: list[Span], silent: list[Wanted]
) -> Iterator[Wanted]:
    for since_s, until_s in left_open(excused, stay.since_s, stay.until_s):
        if any(_is_in(since_s, w) for w in silent):
            continue  # the same absence, already an overdue return
        back = until_s == stay.until_s
        overdue = since_s > stay.since_s
        reason, permit_id = "outside_without_leave", ""
        if overdue:
            permit = next(p for p in person.permits if end_of(p) == since_s)
            ripe_s = since_s + rules.plan(person.profile).overdue_grace_s
            if min(_presumed_back_s(person, stay, until_s), person.clock_s) < ripe_s:
                continue
            if permit.returned_s and stay.outside_s <= max(permit.returned_s, since_s):
                # Reported back, and nothing has said otherwise: in time, or late.
                if permit.returned_s <= ripe_s:
                    continue
                if permit.returned_s < until_s:
                    until_s, back = permit.returned_s, True  # noqa: PLW2901
            reason, permit_id = _whereabouts(stay, permit, since_s), permit.permit_id
        closed_s = until_s if until_s <= person.clock_s else 0
        yield Wanted(
            "overdue_return" if overdue else "leave_city",
            since_s,
            closed_s,
            reason,
            _why_closed(person, closed_s) if back else "permitted",
            permit_id,
            "high",
            stay.runs[-1].place if stay.runs else "",
            confidence(stay.peak),
        )


def _presumed_back_s(person: Person, stay: Stay, until_s: int) -> int:
    """Give when the person came back, as far as the newest evidence says, sure or not yet."""
    tail = person.tail
    # The running stay is known by this: its end is cut to the time of supervision.
    turning = stay.decided_s == FOREVER and tail.turn_s and tail.leaning < 0
    if not turning or person.clock_s >= tail.turn_s + _PRESUMED_S:
        return until_s
    return min(until_s, tail.turn_s)


def _silent(person: Person, rules: Rules, outside: list[Stay]) -> Iterator[Wanted]:
    """Leaves that ended while nobody could say where the person was."""
    profile = person.profile
    # A leave of before cannot be judged: whose history is entered was back long ago.
    known_s = min((d.first_s for d in person.devices if d.first_s), default=0)
    for permit in person.permits:
        end_s = end_of(permit)
        look_s = end_s + rules.plan(person.profile).overdue_grace_s
        if permit.kind != "leave" or end_s <= permit.from_s or 0 < permit.returned_s <= look_s:
            continue
        if end_s < known_s or look_s > person.clock_s:
            continue
        if profile and not profile.from_s <= end_s < profile.until_s:
            continue
        if any(stay.since_s <= look_s and end_s < stay.until_s for stay in outside):
            continue  # outside then: `_without_leave` has it
        if covered(_leaves(person), end_s, end_s + 1):
            continue
        edge_s = person.origin_min * 60
        if look_s < edge_s:
            # Beyond the horizon what was decided then stands; how it ended may still be news.
            if not any(
                e.kind == "overdue_return"
                and e.since_s == end_s
                and (not e.until_s or e.until_s >= edge_s)
                for e in person.episodes
            ):
                continue
        elif _heard_inside(person, rules, look_s):
            continue
        yield _after_silence(person, outside, permit, end_s, look_s)


def _after_silence(
    person: Person, outside: list[Stay], permit: Permit, end_s: int, look_s: int
) -> Wanted:
    """Give the overdue return of a leave that ended in silence, up to what was heard since."""
    # Silence, then seen outside: one absence, until the return from there.
    seen = next((stay for stay in outside if stay.since_s > look_s), None)
    back_s = first_inside(person.inside, person.origin_min, person.marks, look_s)
    if person.tail.label != INSIDE and not person.stays:
        back_s = 0  # heard, but never yet believed anywhere
    if seen and (not back_s or seen.since_s <= back_s):
        back_s = seen.until_s
    else:
        seen = None
    # Nobody is overdue from a later leave, nor where another permit allows, nor after supervision.
    later = covered(_leaves(person), end_s, FOREVER)
    if seen:
        later += _excused(person, seen, end_s)
    granted_s = min((span.from_s for span in later), default=FOREVER)
    supervised_s = person.profile.until_s if person.profile else FOREVER
    reported_s = permit.returned_s or FOREVER  # late: in time there is nothing to be told
    if seen and seen.since_s < reported_s < seen.outside_s:
        reported_s = FOREVER  # seen outside on either side of it
    until_s = min(back_s or FOREVER, granted_s, supervised_s, reported_s)
    closed_s = until_s if until_s <= person.clock_s else 0
    return Wanted(
        "overdue_return",
        end_s,
        closed_s,
        _whereabouts(seen, permit, look_s) if seen else "silent_after_leave",
        "permitted" if closed_s == granted_s else _why_closed(person, closed_s),
        permit.permit_id,
        "high" if seen else "medium",
        seen.runs[-1].place if seen and seen.runs else "",
        confidence(seen.peak) if seen else 0.5,
    )


def _leaves(person: Person) -> list[Permit]:
    return [permit for permit in person.permits if permit.kind == "leave"]


def _whereabouts(stay: Stay, permit: Permit, since_s: int) -> str:
    """Say of someone outside after a leave whether it is where the leave was for, or elsewhere.

    The way back leads through other places, so only where they are *still* seen long after counts.
    """
    for run in stay.runs:
        if run.last_s - max(run.first_s, since_s) >= _ELSEWHERE_S and not is_destination(
            run.place, [permit]
        ):
            return "elsewhere_after_leave"
    return "outside_after_leave"


def _heard_inside(person: Person, rules: Rules, time_s: int) -> bool:
    """Say whether the person was believed inside at a time, on evidence recent enough."""
    labels = [s.label for s in person.stays if s.since_s <= time_s < s.until_s]
    label = labels[0] if labels else person.tail.label
    if not labels and person.tail.since_s > time_s:
        label = person.base.label
    last_s = last_before(person.inside, person.origin_min, person.marks, time_s)
    return label == INSIDE and (last_s or person.base.at_s) >= time_s - rules.belief_ttl_s


def _off_itinerary(
    person: Person, rules: Rules, stay: Stay, excused: list[Span]
) -> Iterator[Wanted]:
    since_s = last_s = 0
    place = ""
    allowance_s = 0
    for span in excused:
        for run in stay.runs:
            first_s, seen_s = max(run.first_s, span.from_s), min(run.last_s, span.until_s)
            if first_s > seen_s:
                continue
            if not is_destination(run.place, span.permits):
                if not since_s:
                    since_s = first_s
                    leave = any(p.kind == "leave" for p in span.permits)
                    allowance_s = rules.travel_allowance_s if leave else rules.standing_allowance_s
                last_s, place = seen_s, run.place
            elif since_s:
                if last_s - since_s >= allowance_s:
                    permit_id = span.permits[0].permit_id
                    strayed = _strayed(stay, permit_id, since_s, first_s, "at_destination", place)
                    yield strayed._replace(ripe_s=since_s + allowance_s)
                since_s = 0
        back = span.until_s == stay.until_s  # though the leave goes on
        if since_s and (back or not any(s.from_s == span.until_s for s in excused)):
            if last_s - since_s >= allowance_s:
                ended_s = span.until_s if span.until_s <= person.clock_s else 0
                why = _why_closed(person, ended_s) if back else "leave_ended"
                strayed = _strayed(stay, span.permits[0].permit_id, since_s, ended_s, why, place)
                yield strayed._replace(ripe_s=since_s + allowance_s)
            since_s = 0


def _strayed(
    stay: Stay, permit_id: str, since_s: int, until_s: int, closed_reason: str, place: str
) -> Wanted:
    return Wanted(
        "off_itinerary",
        since_s,
        until_s,
        "outside_destinations",
        closed_reason,
        permit_id,
        "medium",
        place,
        confidence(stay.peak),
    )


def _why_closed(person: Person, until_s: int) -> str:
    ended = person.profile and until_s and until_s >= person.profile.until_s
    return "supervision_ended" if ended else "returned"


def confidence(peak: float) -> float:
    return round(1 / (1 + exp(-peak)), 3)
