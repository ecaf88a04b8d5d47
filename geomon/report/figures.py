"""The figures of a report: for everybody together, or for one group."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from geomon.report.logged import Proposal

__all__ = [
    "ALARMS_A_PERSON_DAY_VENDOR",
    "ALARMS_A_PERSON_DAY_WISCONSIN",
    "CATEGORIES",
    "Breach",
    "Case",
    "Category",
    "Delay",
    "Figures",
]

#: Alarms a person and day that a vendor of such systems calls normal, to compare with.
ALARMS_A_PERSON_DAY_VENDOR = 1.25
#: Alerts a person and day in Wisconsin's state-wide monitoring, about; likewise.
ALARMS_A_PERSON_DAY_WISCONSIN = 6.7


class Category(NamedTuple):
    """A category of breach: the kind of alert that it comes from, and its labels."""

    kind: str
    label_en: str
    label_zh: str


#: As a duty room reports after a holiday.
CATEGORIES = {
    "left_without_leave": Category("leave_city", "left without leave", "未经批准离开"),
    "not_returned": Category("overdue_return", "not returned in time", "逾期未归"),
    "out_of_supervision": Category("lost_contact", "out of supervision", "脱管"),
}


@dataclass(frozen=True)
class Breach:
    """A person in breach, by the episode that began first; `further` are this person's others.

    `since_s` is when it began; of one out of supervision, when they were last heard.
    """

    supervisee_id: str
    category: str
    episode: str
    since_s: int
    detected_s: int
    until_s: int | None
    district: str
    street: str
    place: str
    further: tuple[Breach, ...] = ()


@dataclass(frozen=True)
class Case:
    """An episode that was open at the end of the period, as it was known then.

    `later` is why it has been closed since, or "".
    """

    supervisee_id: str
    kind: str
    episode: str
    since_s: int
    age_s: int
    severity: str
    reason: str
    district: str
    street: str
    level: str
    place: str
    proposal: Proposal | None
    later: str


class Delay(NamedTuple):
    """Time from what happened to the alarm, over a number of alarms."""

    alarms: int
    median_s: float
    p95_s: float


@dataclass
class Figures:
    """What a period came to.

    `people` and `person_days` are None where they are not known, and with them every rate. Counters
    are by kind, but `excused` and `closings` by reason. `by_day` counts alarms by local day
    (`geomon.core.plans.local_day`) and kind; `missed` the missed windows by person.
    """

    people: int | None = None
    person_days: float | None = None
    breaches: dict[str, list[Breach]] = field(default_factory=lambda: {c: [] for c in CATEGORIES})
    excused: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    withdrawn: Counter[str] = field(default_factory=Counter)
    by_day: dict[int, Counter[str]] = field(default_factory=dict)
    delays_s: dict[str, list[int]] = field(default_factory=dict)
    missed: Counter[str] = field(default_factory=Counter)
    late_check_ins: int = 0
    closings: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    open_cases: list[Case] = field(default_factory=list)
    open_notices: list[Case] = field(default_factory=list)

    @property
    def breaching(self) -> int:
        """People in breach, each counted once."""
        return sum(map(len, self.breaches.values()))

    @property
    def alarms_a_person_day(self) -> float | None:
        """Alarms by people and days; None where the people are not known."""
        return self.alarms.total() / self.person_days if self.person_days else None

    @property
    def withdrawn_share(self) -> float | None:
        """Share of the alarms that turned out wrong; None where there was no alarm."""
        return self.withdrawn.total() / total if (total := self.alarms.total()) else None

    @property
    def missed_windows(self) -> int:
        """Check-in windows that were missed."""
        return self.missed.total()

    @property
    def missed_share(self) -> float | None:
        """Share of the people with a missed check-in; None where the people are not known."""
        return len(self.missed) / self.people if self.people else None

    @property
    def proposals(self) -> list[Case]:
        """Open cases for which a step is proposed."""
        return [case for case in self.open_cases if case.proposal is not None]

    def delay(self, kind: str) -> Delay | None:
        """Give the delay of a kind: `detected` - `since` of its alarms; None without any.

        The 95th percentile is the least delay that 95 of 100 alarms did not exceed: one that was
        seen, not one in between.
        """
        delays_s = sorted(self.delays_s.get(kind, ()))
        if not delays_s:
            return None
        rank = math.ceil(0.95 * len(delays_s))
        return Delay(len(delays_s), float(median(delays_s)), float(delays_s[rank - 1]))
