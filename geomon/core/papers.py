"""Papers that want an officer's eye: notices, not alarms.

authorisation   a wristband needs an order: five grounds, three months at a time. A week before it
                runs out without a following one, while positions come without one, and when it
                was given for longer
permit_expiry   a standing permit runs out within a week, and no other follows
approval        a leave that was granted at a lower level than its length asks for
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from geomon.alerts import iso_utc
from geomon.core.companions import separation_deadlines
from geomon.core.contact import BAND, last_fix, open_episode
from geomon.core.permits import end_of
from geomon.core.person import Authorisation, Permit, Person
from geomon.core.rules import Rules, Wanted, in_supervision

__all__ = ["APPROVERS", "approver_of", "authorise", "is_authorised", "notices", "paper_deadlines"]

#: Who may approve a leave, lowest first.
APPROVERS = ("street", "district", "city")
_DAY_S = 86_400
_STREET_DAYS, _DISTRICT_DAYS = 7, 30
_TWO_MONTHS_S = 61 * _DAY_S
#: Orders that ended so long ago say nothing any more.
_KEEP_S = 100 * _DAY_S
#: Three calendar months, the last day included.
_THREE_MONTHS_S = 93 * _DAY_S
#: A wristband's newest position of so long ago says nothing of whether they are still taken.
_TAKEN_OFF_S = _DAY_S


def authorise(person: Person, paper: Authorisation, *, cancelled: bool) -> None:
    """Record an order to wear a wristband, its extension, or its end."""
    known = next(
        (a for a in person.authorisations if a.authorisation_id == paper.authorisation_id), None
    )
    if cancelled:
        ended_s = max(paper.from_s, min(paper.until_s, person.clock_s))
        if known and known.until_s <= ended_s:
            return  # its end arrives again
        paper = replace(paper, until_s=ended_s)
    elif known and known.until_s > paper.from_s:
        # An extension; the same once more is none.
        span_s = paper.until_s - known.until_s if paper.until_s > known.until_s else known.span_s
        paper = replace(paper, span_s=span_s)
    kept = [
        a
        for a in person.authorisations
        if a.authorisation_id != paper.authorisation_id and a.until_s > person.clock_s - _KEEP_S
    ]
    person.authorisations = tuple(
        sorted([*kept, paper], key=lambda a: (a.from_s, a.authorisation_id))
    )


def is_authorised(person: Person, time_s: int) -> bool:
    """Say whether positions of a wristband may be taken then, as far as anybody told us."""
    return person.profile is None or any(
        a.from_s <= time_s < a.until_s for a in person.authorisations
    )


def notices(person: Person, rules: Rules) -> Iterator[Wanted]:
    """Give what there is to say of papers at the person's clock."""
    if person.profile is None:
        return  # nobody has told us of papers
    for notice in (_authorisation, _permit_expiry, _approval):
        wanted = notice(person, rules)
        said = open_episode(person, notice.__name__.removeprefix("_"))
        if wanted and in_supervision(person, person.clock_s):
            yield wanted
        elif said:
            settled = "settled" if in_supervision(person, person.clock_s) else "supervision_ended"
            yield Wanted(
                *(said.kind, said.since_s, max(person.clock_s, said.since_s)),
                *(said.reason, settled),
                permit_id=said.permit_id,
                severity=said.severity,
            )


def paper_deadlines(person: Person, rules: Rules) -> Iterator[int]:
    """Give the times at which a paper runs out or is about to, and what it was for is over."""
    for paper in person.authorisations:
        yield from (paper.from_s, paper.until_s - rules.notice_s, paper.until_s)
    if open_episode(person, "authorisation") and (fix := last_fix(person.devices[BAND])):
        yield fix.time_s + _TAKEN_OFF_S
    yield from separation_deadlines(person)
    for permit in person.permits:
        if permit.kind == "standing":
            yield from (permit.until_s - rules.notice_s, permit.until_s)


def approver_of(permit: Permit, permits: tuple[Permit, ...]) -> tuple[str, str]:
    """Give the level that must approve a leave, and why ("" where the street office may).

    Up to 7 days the street office; more, up to 30 days, the district; more than 30 days, or more
    than 30 within two months, the next level up.
    """
    days = _days(permit.until_s - permit.from_s)
    if days > _DISTRICT_DAYS:
        return "city", "over_30_days"
    begin_s = permit.until_s - _TWO_MONTHS_S
    spent_s = sum(
        max(min(end_of(p), permit.until_s) - max(p.from_s, begin_s), 0)
        for p in permits
        if p.kind == "leave" and p.from_s <= permit.from_s
    )
    if spent_s and _days(spent_s) > _DISTRICT_DAYS:
        return "city", "over_30_days_in_two_months"
    if days > _STREET_DAYS:
        return "district", "over_7_days"
    return "street", ""


def _days(span_s: int) -> int:
    return -(-span_s // _DAY_S)


def _authorisation(person: Person, rules: Rules) -> Wanted | None:
    band = person.devices[BAND]
    if not band.heard_s:
        return None
    clock_s, papers = person.clock_s, person.authorisations
    in_force = [a for a in papers if a.from_s <= clock_s < a.until_s]
    said = open_episode(person, "authorisation")
    if in_force:
        newest = max(in_force, key=lambda a: a.until_s)
        if newest.span_s > _THREE_MONTHS_S:
            since_s = said.since_s if said else max(newest.from_s, clock_s)
            return _about(since_s, newest, "over_three_months", "low")
        followed = any(a.from_s <= newest.until_s < a.until_s for a in papers)
        if followed or clock_s < newest.until_s - rules.notice_s:
            return None
        since_s = said.since_s if said else newest.until_s - rules.notice_s
        return _about(since_s, newest, "authorisation_expiring", "info")
    # Only positions are a matter of the law: silent, a band may lie in a drawer.
    fix = last_fix(band)
    last = max((a for a in papers if a.until_s <= clock_s), key=lambda a: a.until_s, default=None)
    ended_s = last.until_s if last else 0
    if fix is None or fix.time_s < ended_s or clock_s - fix.time_s >= _TAKEN_OFF_S:
        return None
    since_s = said.since_s if said else fix.time_s
    return _about(since_s, last, "no_authorisation", "low")


def _about(since_s: int, paper: Authorisation | None, reason: str, severity: str) -> Wanted:
    detail: tuple[tuple[str, str | int], ...] = ()
    if paper:
        detail = (
            ("authorisation_id", paper.authorisation_id),
            ("ground", paper.ground),
            ("until", iso_utc(paper.until_s)),
        )
    return Wanted("authorisation", since_s, 0, reason, "", severity=severity, detail=detail)


def _permit_expiry(person: Person, rules: Rules) -> Wanted | None:
    said = open_episode(person, "permit_expiry")
    clock_s = person.clock_s
    for permit in person.permits:
        end_s = end_of(permit)
        if permit.kind != "standing" or end_s < permit.until_s:
            continue
        if not max(permit.from_s, end_s - rules.notice_s) <= clock_s < end_s:
            continue
        if any(p.kind == "standing" and p.from_s <= end_s < end_of(p) for p in person.permits):
            continue
        # Once told it goes on, though the permit was cut short: another name would leave it open.
        since_s = said.since_s if said else max(permit.from_s, end_s - rules.notice_s)
        return Wanted(
            *("permit_expiry", since_s, 0, "permit_expiring", ""),
            permit_id=permit.permit_id,
            severity="info",
            detail=(("until", iso_utc(end_s)),),
        )
    return None


def _approval(person: Person, rules: Rules) -> Wanted | None:  # noqa: ARG001
    said = open_episode(person, "approval")
    found: list[tuple[int, Permit, str, str]] = []
    for permit in person.permits:
        if permit.kind != "leave" or end_of(permit) <= person.clock_s or permit.cancelled_s:
            continue
        approver, reason = approver_of(permit, person.permits)
        by = APPROVERS.index(permit.approved_by) if permit.approved_by else -1
        if reason and by < APPROVERS.index(approver):
            found.append((APPROVERS.index(approver), permit, reason, approver))
    if not found:
        return None
    _, permit, reason, approver = max(found, key=lambda f: (f[0], f[1].permit_id))
    return Wanted(
        *("approval", said.since_s if said else max(person.clock_s, 1), 0, reason, ""),
        permit_id=permit.permit_id,
        severity="low",
        detail=(("approver", approver), ("approved_by", permit.approved_by or None)),
    )
