"""What the rules can be set to, and the form in which they ask for an episode."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from geomon.core.person import Clue, Person, Profile
from geomon.core.plans import LEVELS, Plan
from geomon.core.tuning import CEILING, SURE, Tuning

__all__ = ["FOREVER", "Rules", "Wanted", "in_supervision", "supervised_until_s"]

FOREVER = 2**62


class Rules(msgspec.Struct, frozen=True, dict=True):
    """What the rules can be set to; times in seconds."""

    plans: tuple[Plan, Plan, Plan] = (Plan(), Plan(), Plan())  # by level, in the order of LEVELS
    horizon_s: int = 24 * 3600  # how late a fix may arrive and still count
    settle_s: int = 45  # how long late fixes are gathered before they are judged together
    belief_ttl_s: int = 24 * 3600  # belief older than this is unknown
    travel_allowance_s: int = 24 * 3600  # on leave, between the city and the destinations
    standing_allowance_s: int = 4 * 3600  # the same under a standing permit
    evidence_nats: float = CEILING + SURE  # for someone surely inside to have left
    escalate_s: tuple[int, ...] = ()  # ages at which an open episode's severity rises a step
    notice_s: int = 7 * 86_400  # how long before a paper runs out it is told
    check_in_seed: str = ""
    utc_offset_s: int = 8 * 3600  # of local days and schedules; China has one time and no summer's
    version: str = "unversioned"

    @cached_property
    def tuning(self) -> Tuning:
        """Give how readily belief about the city turns."""
        return Tuning.asking(self.evidence_nats)

    @cached_property
    def low_pct(self) -> float:
        """Battery charge from which on no plan speaks of a low battery, %."""
        return max(pct for plan in self.plans for pct in plan.battery_pct)

    @cached_property
    def asks(self) -> bool:
        """Whether any plan asks devices to report more often."""
        return any(plan.ask_interval_s and plan.asks for plan in self.plans)

    def plan(self, profile: Profile | None) -> Plan:
        """Give the plan of a person's level; of one never announced, the normal one."""
        return self.plans[LEVELS.index(profile.level) if profile else 1]


class Wanted(NamedTuple):
    """An episode that there ought to be; `until_s` 0 while it is open."""

    kind: str
    since_s: int
    until_s: int
    reason: str
    closed_reason: str
    permit_id: str = ""
    severity: str = "medium"
    place: str = ""
    confidence: float = 1.0
    detail: tuple[tuple[str, Any], ...] = ()
    step: int = 0  # what has come to it by steps: an update is told for each
    ripe_s: int = 0  # when it came to be more than the plan allows; 0 = when it began
    out_since_s: int = 0  # out of supervision since then; 0 = not
    proposal: tuple[str, str, tuple[str, ...]] = ("", "", ())  # action, ground, evidence
    evidence: tuple[Clue, ...] = ()  # where it is not that about the city


def in_supervision(person: Person, time_s: int) -> bool:
    """Say whether the person is supervised at a time; whoever was never announced always is."""
    profile = person.profile
    return not profile or profile.from_s <= time_s < profile.until_s


def supervised_until_s(person: Person) -> int:
    """Give when supervision ends."""
    return person.profile.until_s if person.profile else FOREVER
