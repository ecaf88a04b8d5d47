"""What the law does next: clocks and proposals. The machine proposes, people decide.

out of supervision since   an absence without leave or after one began, or contact was lost for so
                           long that the plan calls it out of supervision (脱管)
admonition (训诫)          may be proposed for up to 10 days of it
warning (警告)             for more than 10 days, or after a second admonition, not corrected
revocation                 for more than one month, or after a second warning, not corrected

"Not corrected" is read as: in breach again, or still. Each proposal lists what it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from geomon.alerts import episode_id
from geomon.core.person import Episode, Person
from geomon.core.rules import Rules, Wanted

__all__ = ["law_deadlines", "month_later_s", "under_law"]

BREACHES = frozenset({"leave_city", "overdue_return", "lost_contact"})
_TEN_DAYS_S = 10 * 86_400
_TWICE = 2


def under_law(wanted: Wanted, person: Person, rules: Rules) -> Wanted:
    """Give a breach with the legal clock it starts and the measure that may be proposed."""
    since_s = wanted.out_since_s
    if wanted.kind in {"leave_city", "overdue_return"}:
        since_s = wanted.since_s
    if not since_s:
        return wanted
    gone_s = (wanted.until_s or person.clock_s) - since_s
    upto_s = wanted.until_s or person.clock_s
    earlier = [s for s in person.sanctions if s.time_s <= upto_s]
    admonitions = [s.sanction_id for s in earlier if s.kind == "admonition"]
    warnings = [s.sanction_id for s in earlier if s.kind == "warning"]
    proposal: tuple[str, str, tuple[str, ...]]
    this = episode_id(person.supervisee_id, wanted.kind, wanted.since_s)
    if upto_s > month_later_s(since_s, rules.utc_offset_s):
        proposal = ("revocation", "over_one_month", (this,))
    elif len(warnings) >= _TWICE:
        proposal = ("revocation", "two_warnings", (this, *warnings))
    elif gone_s > _TEN_DAYS_S:
        proposal = ("warning", "over_10_days", (this,))
    elif len(admonitions) >= _TWICE:
        proposal = ("warning", "two_admonitions", (this, *admonitions))
    else:
        proposal = ("admonition", "out_of_supervision", (this,))
    return wanted._replace(out_since_s=since_s, proposal=proposal)


def law_deadlines(episode: Episode, rules: Rules) -> Iterator[int]:
    """Give the times at which an open breach of so long may call for a graver measure."""
    if not episode.until_s and episode.kind in BREACHES:
        # For lost contact the clock began no later than the episode did.
        yield episode.since_s + _TEN_DAYS_S + 1
        yield month_later_s(episode.since_s, rules.utc_offset_s) + 1


def month_later_s(time_s: int, utc_offset_s: int) -> int:
    """Give the same day and time of the next month; its last day where it has no such day."""
    local = datetime.fromtimestamp(time_s, timezone(timedelta(seconds=utc_offset_s)))
    first = (local.replace(day=1) + timedelta(days=32)).replace(day=1)
    last_day = ((first + timedelta(days=32)).replace(day=1) - timedelta(days=1)).day
    return int(first.replace(day=min(local.day, last_day)).timestamp())
