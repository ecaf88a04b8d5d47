"""How grave an episode is: where it starts, and how it rises with age.

Not further pings but time makes an open episode graver: at each of the ages set it rises a step,
up to what is the worst of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geomon.core.person import Episode
from geomon.core.rules import Rules, Wanted

__all__ = ["RANKS", "escalated", "escalation_deadlines", "raised", "rank"]

#: Least grave first.
RANKS = ("info", "low", "medium", "high", "critical")
#: How far age alone lifts a kind; others stay as they were opened. A missed check-in, a strap cut
#: or a faked position is as grave as what was found, not as old; a battery that dies is told as
#: lost contact.
_WORST: Mapping[str, str] = {
    "leave_city": "critical",
    "overdue_return": "critical",
    "off_itinerary": "high",
    "lost_contact": "critical",
    "no_fix": "high",
    "separation": "high",
    "exclusion_zone": "critical",
    "curfew": "high",
}


def rank(severity: str) -> int:
    """Give the place of a severity, 0 for the least."""
    return RANKS.index(severity)


def raised(severity: str, steps: int) -> str:
    """Give the severity some steps above (or, below zero, under) one."""
    return RANKS[min(max(rank(severity) + steps, 0), len(RANKS) - 1)]


def escalated(wanted: Wanted, clock_s: int, rules: Rules) -> Wanted:
    """Give an open episode with the severity of its age."""
    worst = _WORST.get(wanted.kind)
    if wanted.until_s or worst is None:
        return wanted
    age_s = clock_s - (wanted.ripe_s or wanted.since_s)
    steps = sum(age_s >= step_s for step_s in rules.escalate_s)
    severity = raised(wanted.severity, steps)
    if rank(severity) > rank(worst):
        severity = max(worst, wanted.severity, key=rank)
    return wanted._replace(severity=severity) if steps else wanted


def escalation_deadlines(episode: Episode, rules: Rules) -> Iterator[int]:
    """Give the times at which an open episode becomes graver."""
    if not episode.until_s and episode.kind in _WORST:
        for step_s in rules.escalate_s:
            yield episode.ripe_s + step_s
