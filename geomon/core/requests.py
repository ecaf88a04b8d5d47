"""Asking a device to report more often near the line (边界附近加密上报), where that will tell more.

Asked is for positions at short intervals, for a while: when somebody who has no leave and is not
believed outside

turning       may have left: there is evidence of it, and not enough yet
heading_out   makes for the line (border_approach)

One more fix in a minute then decides what the next regular one would in half an hour. It costs a
battery, and it is a closer look at a person: so it is asked of the one device that belief asks, not
of one that reports as often already or whose battery is low, not again while a request is in force
or before there is newer evidence, and so many times a day at most.

Like the kinds about arrival this goes by what had arrived, so it depends on the order of arrival,
and what comes twice asks nothing twice: what was asked last is kept.
"""

from __future__ import annotations

from typing import NamedTuple

from geomon.core.belief import BAND_HOLD_S
from geomon.core.contact import BAND, DEVICES, PHONE, open_episode
from geomon.core.permits import covered
from geomon.core.person import OUTSIDE, Asked, Person
from geomon.core.plans import local_day
from geomon.core.rules import Rules, in_supervision

__all__ = ["Request", "ask"]


#: One in three: silence alone does not come so far, nor a cell that says a little now and then.
_TURNING = -0.7


class Request(NamedTuple):
    """Outcome: a device is to report every `interval_s`, from now until a time."""

    supervisee_id: str
    device: str  # phone | wristband: which of the person's devices it is the gateway knows
    interval_s: int
    from_s: int
    until_s: int
    reason: str  # turning | heading_out


def ask(person: Person, rules: Rules) -> Request | None:
    """Say what is to be asked at the person's clock, and note in the person (in place) that it is.

    While late evidence is being gathered nothing is asked: half of it would mislead.
    """
    plan = rules.plan(person.profile)
    if not plan.ask_interval_s or person.settle_s:
        return None
    reason = _reason(person)
    if not reason:
        return None
    clock_s, which = person.clock_s, _asked_by_belief(person)
    device, asked = person.devices[which], person.asked
    if plan.report_s[which] <= plan.ask_interval_s or device.low_s:
        return None
    evidence_s = max(person.tail.at_s, device.fix.time_s if device.fix else 0)
    times = 0
    if asked:
        if clock_s < asked.until_s or evidence_s <= asked.evidence_s:
            return None
        if _day(asked.from_s, rules) == _day(clock_s, rules):
            times = asked.times
    if times >= plan.asks:
        return None
    # An app that asks what is wanted of it when it reports hears of it then, and not sooner.
    until_s = clock_s + plan.report_s[which] + plan.ask_for_s
    person.asked = Asked(clock_s, until_s, evidence_s, times + 1)
    whose, interval_s = person.supervisee_id, plan.ask_interval_s
    return Request(whose, DEVICES[which], interval_s, clock_s, until_s, reason)


def _reason(person: Person) -> str:
    """Give why more positions would tell more; "" where they would not."""
    clock_s, tail = person.clock_s, person.tail
    if tail.label == OUTSIDE or not in_supervision(person, clock_s):
        return ""
    turning = tail.leaning > 0 and tail.log_odds >= _TURNING
    heading_out = open_episode(person, "border_approach")
    if not (turning or heading_out) or covered(person.permits, clock_s, clock_s + 1):
        return ""
    return "turning" if turning else "heading_out"


def _asked_by_belief(person: Person) -> int:
    """Give the device whose word counts: the wristband, while it reports and for hours after."""
    band_s = person.tail.band_s
    return BAND if band_s and person.clock_s - band_s <= BAND_HOLD_S else PHONE


def _day(time_s: int, rules: Rules) -> int:
    return local_day(time_s, rules.utc_offset_s)
