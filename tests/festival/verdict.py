"""What was told of the festival against what is true: what was missed, what was false, how late.

It takes the alerts, the truth and the people, and knows nothing of the detector. A true fact counts
as told when an episode of its kind and person overlaps it, some slack allowed; an episode that no
true fact overlaps was a false alarm of its kind.

Not every true fact is owed an alert: while the wristband is heard, a silent phone is no lost
contact (nothing must be heard from *any* device), and a leave of up to a week needs no approver.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from geomon.alerts import KINDS

from .levels import LEVELS

__all__ = [
    "ABSENCES",
    "Delay",
    "Episode",
    "Fact",
    "Verdict",
    "allowed_s",
    "episodes_of",
    "facts_of",
    "judge",
]

#: Kinds about absences: whatever of them is not a breach of the truth has to be explained.
ABSENCES = ("leave_city", "overdue_return", "off_itinerary")
#: An episode may begin so much before a fact or after its end and still be about it: a phone that
#: reports once an hour tells of nothing more exactly.
_SLACK_S = 2 * 3600
_STREET_DAYS = 7.0
_OVERDUE_GRACE_S, _TRAVEL_S = 3600, 36 * 3600
#: A true fact that belongs to a kind under another name.
_KIND_OF = {"out_of_supervision": "lost_contact"}
_FOREVER = float("inf")


@dataclass
class Fact:
    """One true fact; `until_s` infinite while it lasts."""

    supervisee_id: str
    kind: str
    since_s: float
    until_s: float
    device: str
    breach: bool
    note: str

    @property
    def owed(self) -> bool:
        """Whether there has to be an alert for it."""
        if self.kind == "lost_contact" and self.device == "phone":
            return "other device heard" not in self.note
        if self.kind == "approval" and self.note.startswith("no approver"):
            return float(self.note.split(":")[1].split()[0]) > _STREET_DAYS
        return True


@dataclass
class Episode:
    """One episode as the alerts told of it."""

    supervisee_id: str
    kind: str
    since_s: float
    told_s: float
    device: str
    until_s: float = _FOREVER
    reasons: list[str] = field(default_factory=list)

    @property
    def stands(self) -> bool:
        """Whether it was neither withdrawn nor excused afterwards."""
        return self.reasons[-1] not in {"withdrawn", "permitted", "extended"}


@dataclass(frozen=True)
class Delay:
    """How long after a true fact its first alert came, seconds."""

    count: int
    median_s: float
    p95_s: float


@dataclass
class Verdict:
    """Alerts against the truth; `missed` and `false` by kind."""

    found: dict[str, list[tuple[Fact, Episode]]]
    missed: dict[str, list[Fact]]
    false: dict[str, list[Episode]]
    alarms: Counter[str]

    def delays(self, levels: Mapping[str, str]) -> dict[tuple[str, str], Delay]:
        """Give the delays from the true event to the alert, by kind and device.

        Where a plan allows for something (an hour of silence, a grace), from when it was more than
        that. `levels` has each person's level.
        """
        late: dict[tuple[str, str], list[float]] = defaultdict(list)
        for kind, pairs in self.found.items():
            for fact, episode in pairs:
                due_s = fact.since_s + allowed_s(fact, levels[fact.supervisee_id])
                late[kind, fact.device].append(max(episode.told_s - due_s, 0.0))
        return {key: _delay(values) for key, values in sorted(late.items())}


def allowed_s(fact: Fact, level: str) -> float:
    """Give how long a plan lets a fact last before there is anything to tell, seconds."""
    plan, which = LEVELS[level], int(fact.device == "wristband")
    window_s = fact.until_s - fact.since_s
    return {
        "lost_contact": plan.silence_s[which],
        "out_of_supervision": plan.out_of_supervision_s,
        "no_fix": plan.no_fix_s[which],
        "separation": plan.apart_s,
        "curfew": plan.curfew_grace_s,
        "missed_check_in": window_s + plan.grace_s,
        "overdue_return": _OVERDUE_GRACE_S,
        "off_itinerary": _TRAVEL_S,
    }.get(fact.kind, 0.0)


def facts_of(truth: Iterable[Mapping[str, Any]]) -> list[Fact]:
    """Give the facts of the truth."""
    return [
        Fact(
            fact["supervisee_id"],
            fact["kind"],
            _posix_s(fact["since"]),
            _posix_s(fact["until"]) if fact["until"] else _FOREVER,
            fact["device"] or "",
            fact["breach"],
            fact["note"],
        )
        for fact in truth
    ]


def episodes_of(alerts: Iterable[Mapping[str, Any]]) -> list[Episode]:
    """Put alerts (CloudEvents form, in order) together to episodes."""
    found: dict[str, Episode] = {}
    for alert in alerts:
        data = alert["data"]
        name = data["episode"]
        if name not in found:
            found[name] = Episode(
                alert["subject"],
                data["kind"],
                _posix_s(data["since"]),
                _posix_s(data["detected"]),
                data["detail"].get("device", ""),
            )
        episode = found[name]
        episode.reasons.append(data["reason"])
        episode.until_s = _posix_s(data["until"]) if data["until"] else _FOREVER
    return list(found.values())


def judge(facts: Sequence[Fact], episodes: Sequence[Episode]) -> Verdict:
    """Match episodes with facts of the same person and kind that overlap them."""
    verdict = Verdict(defaultdict(list), defaultdict(list), defaultdict(list), Counter())
    of: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    for episode in episodes:
        of[episode.supervisee_id, episode.kind].append(episode)
        if not KINDS[episode.kind].notice:
            verdict.alarms[episode.kind] += 1
    explained: set[int] = set()
    for fact in facts:
        kind = _KIND_OF.get(fact.kind, fact.kind)
        about = [e for e in of[fact.supervisee_id, kind] if _overlap(fact, e)]
        explained |= {id(episode) for episode in about}
        # What was excused or withdrawn afterwards was no breach told.
        standing = [e for e in about if e.stands or not fact.breach]
        if fact.kind == "out_of_supervision":
            standing = [e for e in standing if "out_of_supervision" in e.reasons]
        if standing:
            verdict.found[fact.kind].append((fact, min(standing, key=lambda e: e.told_s)))
        elif fact.owed:
            verdict.missed[fact.kind].append(fact)
    for episode in episodes:
        if id(episode) not in explained:
            verdict.false[episode.kind].append(episode)
    return verdict


def _overlap(fact: Fact, episode: Episode) -> bool:
    return episode.since_s <= fact.until_s + _SLACK_S and fact.since_s - _SLACK_S <= episode.until_s


def _delay(values: list[float]) -> Delay:
    ordered = sorted(values)
    at = min(int(0.95 * len(ordered)), len(ordered) - 1)
    return Delay(len(ordered), median(ordered), ordered[at])


def _posix_s(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
