"""What a detector's answers are worth against the truth, the same way for every detector.

alarm       a spell that was said. One that is about no absence and lies in a leave, LEAVE_SLACK_S
            allowed, does not count; one that goes on after it is judged as of the leave's end
true        it was said after somebody left and it reaches into the absence, SLACK_S allowed
repeat      a further one in the same absence
false       any other
missed      an absence that no true alarm was about
unseen      an absence without a single report in it: nobody could have known
delay       from the true crossing to the saying of the first true alarm. An absence that was missed
            has an endless one: nobody gets quick by missing what is hard
share true  first true alarms among these and the false ones: repeats neither help nor harm
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .cases import Absence, Case, Detector, Leave, Spell

__all__ = ["LEAVE_SLACK_S", "SLACK_S", "YEAR_D", "Score", "score", "score_spells"]

SLACK_S = 300
LEAVE_SLACK_S = 1800
YEAR_D = 365.25


@dataclass
class Score:
    """Counts over any number of cases; two can be added."""

    days: float = 0.0
    absences: int = 0
    true: int = 0
    repeats: int = 0
    false: int = 0
    withdrawn: int = 0  # of the false ones, those that the detector took back itself
    missed: int = 0
    unseen: int = 0
    delays_s: list[float] = field(default_factory=list)

    def __iadd__(self, other: Score) -> Score:
        self.days += other.days
        self.absences += other.absences
        self.true += other.true
        self.repeats += other.repeats
        self.false += other.false
        self.withdrawn += other.withdrawn
        self.missed += other.missed
        self.unseen += other.unseen
        self.delays_s += other.delays_s
        return self

    @property
    def false_a_year(self) -> float:
        """False alarms per person-year."""
        return self.false * YEAR_D / self.days if self.days else float("nan")

    @property
    def share_true(self) -> float:
        """Share of alarms that is true; nan without alarms."""
        alarms = self.true + self.false
        return self.true / alarms if alarms else float("nan")

    @property
    def share_missed(self) -> float:
        """Share of the absences that could be seen and were missed; nan without any."""
        seen = self.absences - self.unseen
        return self.missed / seen if seen else float("nan")

    def delay_s(self, percentile: float) -> float:
        """Give a percentile of the delays, seconds: infinite when so many were missed.

        nan without any departure that could be seen.
        """
        delays_s = self.delays_s + [float("inf")] * self.missed
        if not delays_s:
            return float("nan")
        return float(np.percentile(delays_s, percentile, method="inverted_cdf"))


def score(cases: Iterable[Case], detector: Detector) -> Score:
    """Let a detector judge cases, and sum up."""
    total = Score()
    for case in cases:
        total += score_spells(case, list(detector.spells(case.fixes)))
    return total


def score_spells(case: Case, spells: Sequence[Spell]) -> Score:
    """Judge the spells of one case."""
    result = Score(days=case.days, absences=len(case.absences))
    told: dict[int, float] = {}
    for spell in spells:
        about, told_s = _about(spell, case.absences), spell.told_s
        if not about:
            rest = _without_leave(spell, case.leaves)
            if rest is None:
                continue
            about, told_s = _about(rest, case.absences), rest.told_s
        if not about:
            result.false += 1
            result.withdrawn += spell.withdrawn
        elif all(at in told for at in about):
            result.repeats += 1
        else:
            result.true += 1
        for at in about:
            # One alarm may span two absences: the second was known when it began.
            said_s = max(told_s, case.absences[at].since_s)
            told[at] = min(told.get(at, said_s), said_s)
    for at, absence in enumerate(case.absences):
        if at in told:
            result.delays_s.append(float(told[at] - absence.since_s))
        elif _is_reported(case, absence):
            result.missed += 1
        else:
            result.unseen += 1
    return result


def _about(spell: Spell, absences: Sequence[Absence]) -> list[int]:
    return [at for at, absence in enumerate(absences) if _is_about(spell, absence)]


def _is_about(spell: Spell, absence: Absence) -> bool:
    return (
        spell.told_s >= absence.since_s - SLACK_S
        and spell.since_s <= absence.until_s + SLACK_S
        and spell.until_s >= absence.since_s - SLACK_S
    )


def _is_reported(case: Case, absence: Absence) -> bool:
    time_s = case.fixes.time_s
    return bool(((time_s >= absence.since_s) & (time_s <= absence.until_s)).any())


def _without_leave(spell: Spell, leaves: Sequence[Leave]) -> Spell | None:
    """Cut a spell to what comes after the leave that it began in; None when nothing does."""
    for leave in leaves:
        if leave.from_s - LEAVE_SLACK_S <= spell.since_s <= leave.until_s + LEAVE_SLACK_S:
            if spell.until_s <= leave.until_s + LEAVE_SLACK_S:
                return None
            since_s = max(spell.since_s, leave.until_s)
            spell = spell._replace(since_s=since_s, told_s=max(spell.told_s, since_s))
    return spell
