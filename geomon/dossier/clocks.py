"""What runs at the end: the clocks that somebody has to act on before they fall due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from geomon.core.contact import BAND, PHONE, band_is_expected
from geomon.core.law import law_deadlines
from geomon.core.permits import end_of
from geomon.core.person import Episode, Person
from geomon.core.rules import Rules, in_supervision
from geomon.dossier.entries import Due, EpisodeEntry

__all__ = ["CLOCKS", "clocks"]

#: Clock: (English, 中文), in the order in which they are listed.
CLOCKS = {
    "out_of_supervision": ("out of supervision", "脱离监管"),
    "open_episode": ("open episode", "未解除告警"),
    "lost_contact": ("contact would be lost", "将列为失联"),
    "check_in": ("check-in window", "签到时段"),
    "leave": ("leave runs", "外出期间"),
    "leave_begins": ("leave begins", "外出即将开始"),
    "overdue_return": ("return would be overdue", "将列为逾期未归"),
    "standing_permit": ("standing permit runs", "经常性许可有效"),
    "authorisation": ("wristband order runs", "电子定位期限"),
    "supervision": ("supervision runs", "矫正期限"),
}
#: The measures after ten days and after a month, in the order of `law_deadlines`.
_STEPS = (("warning", "over_10_days"), ("revocation", "over_one_month"))
_ACTIONS = ("admonition", "warning", "revocation")


def clocks(
    episodes: Iterable[EpisodeEntry], person: Person | None, rules: Rules, end_s: int
) -> list[Due]:
    """Give the clocks that run at `end_s`; without a person, those of episodes alone."""
    open_ones = [e for e in episodes if e.state == "open"]
    found = [due for e in open_ones for due in _of_episode(e, rules, end_s)]
    if person is not None:
        found += _of_contact(person, rules, open_ones, end_s)
        found += _of_check_ins(person, end_s)
        found += _of_papers(person, rules, end_s)
    order = list(CLOCKS)
    return sorted(found, key=lambda due: (order.index(due.clock), due.due_s or 2**62, due.time_s))


def _due(
    clock: str,
    about: str,
    since_s: int,
    due_s: int,
    end_s: int,
    *,
    kind: str | None = None,
    severity: str | None = None,
    step: tuple[str | None, str | None] = (None, None),
) -> Due:
    return Due(
        time_s=since_s,
        clock=clock,
        about=about,
        due_s=due_s,
        age_s=max(end_s - since_s, 0) if since_s else 0,
        left_s=due_s - end_s if due_s else None,
        kind=kind,
        severity=severity,
        action=step[0],
        ground=step[1],
    )


def _of_episode(e: EpisodeEntry, rules: Rules, end_s: int) -> Iterator[Due]:
    proposed = e.proposal or {}
    now = (_text(proposed.get("action")), _text(proposed.get("ground")))
    yield _due(
        "open_episode", e.episode, e.time_s, 0, end_s, kind=e.kind, severity=e.severity, step=now
    )
    since_s = e.out_of_supervision_since_s
    if not since_s:
        return
    # The law's clock is that of a breach which began when supervision ended.
    falls_due = law_deadlines(Episode("leave_city", since_s, 1), rules)
    step: tuple[str | None, str | None] = (None, None)
    due_s = 0
    for (action, ground), time_s in zip(_STEPS, falls_due, strict=True):
        graver = now[0] is None or _ACTIONS.index(action) > _ACTIONS.index(now[0])
        if time_s > end_s and graver:
            due_s, step = time_s, (action, ground)
            break
    yield _due(
        "out_of_supervision",
        e.episode,
        since_s,
        due_s,
        end_s,
        kind=e.kind,
        severity=e.severity,
        step=step,
    )


def _of_contact(
    person: Person, rules: Rules, open_ones: list[EpisodeEntry], end_s: int
) -> Iterator[Due]:
    """Give when silence would be lost contact, or lost contact be out of supervision."""
    plan = rules.plan(person.profile)
    newest_s = max(device.heard_s for device in person.devices)
    if not newest_s:
        return
    which = BAND if band_is_expected(person) else PHONE
    heard_s = person.devices[BAND].heard_s if which == BAND else newest_s
    lost_s = heard_s + plan.silence_s[which]
    name = "wristband" if which == BAND else "phone"
    lost = next((e for e in open_ones if e.kind == "lost_contact"), None)
    if lost is None:
        if lost_s > end_s and in_supervision(person, lost_s):
            yield _due("lost_contact", name, heard_s, lost_s, end_s, kind="lost_contact")
    elif not lost.out_of_supervision_since_s:
        due_s = newest_s + plan.out_of_supervision_s
        if in_supervision(person, due_s):
            yield _due(
                "out_of_supervision",
                lost.episode,
                newest_s,
                due_s,
                end_s,
                kind=lost.kind,
                severity="critical",
                step=("admonition", "out_of_supervision"),
            )


def _of_check_ins(person: Person, end_s: int) -> Iterator[Due]:
    window = person.checks.window
    if window is None:
        return
    from_s, until_s = window
    done = any(from_s <= time_s <= until_s for time_s in person.checks.done)
    yield _due("check_in", "kept" if done else "owed", from_s, until_s, end_s)


def _of_papers(person: Person, rules: Rules, end_s: int) -> Iterator[Due]:
    grace_s = rules.plan(person.profile).overdue_grace_s
    for permit in person.permits:
        ends_s = end_of(permit)
        if ends_s <= max(permit.from_s, end_s):
            # Over; but within the grace nobody has said yet that the return is overdue.
            returned = permit.returned_s or permit.cancelled_s
            if permit.kind == "leave" and not returned and end_s < ends_s + grace_s:
                yield _due(
                    "overdue_return",
                    permit.permit_id,
                    ends_s,
                    ends_s + grace_s,
                    end_s,
                    kind="overdue_return",
                )
        elif permit.kind == "standing":
            yield _due("standing_permit", permit.permit_id, permit.from_s, ends_s, end_s)
        elif permit.from_s <= end_s:
            yield _due("leave", permit.permit_id, permit.from_s, ends_s, end_s)
        else:
            yield _due("leave_begins", permit.permit_id, 0, permit.from_s, end_s)
    in_force = [a for a in person.authorisations if a.from_s <= end_s < a.until_s]
    for order in in_force:
        yield _due("authorisation", order.authorisation_id, order.from_s, order.until_s, end_s)
    profile = person.profile
    if profile and end_s < profile.until_s:
        yield _due("supervision", profile.level, profile.from_s, profile.until_s, end_s)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
