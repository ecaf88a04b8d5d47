"""What ought to be against what has been said: opened, updated, closed.

An episode is one breach of one kind by one person, named by when it began. There is at most one
open of a kind. Nothing that was said is taken back in silence: an episode that late evidence shows
to be wrong is closed with the reason `withdrawn`, and where a better one takes its place, that one
says which it replaces.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from geomon.core.person import Clue, Episode, Person
from geomon.core.rules import Wanted

__all__ = ["Alert", "Cause", "reconcile"]


class Cause:
    """Why the episodes are looked at again; it gives the reason when one is no longer wanted."""

    EVIDENCE = "withdrawn"
    PERMIT = "permitted"
    PROFILE = "supervision_ended"


class Alert(NamedTuple):
    """One thing to tell. `number` counts the alerts of its episode from 1."""

    phase: str  # opened | updated | closed
    supervisee_id: str
    kind: str
    since_s: int
    until_s: int  # 0 = still open
    detected_s: int
    number: int
    reason: str
    severity: str
    confidence: float
    place: str
    permit_id: str
    district: str
    street: str
    evidence: tuple[Clue, ...]
    replaces_since_s: int  # since of the withdrawn episode that this one replaces; 0 = none


def reconcile(
    person: Person, wanted: list[Wanted], cause: str, evidence: tuple[Clue, ...]
) -> tuple[tuple[Episode, ...], list[Alert]]:
    """Compare; give the episodes as they now stand and the alerts that say so, closings first."""
    edge_s = person.origin_min * 60
    want = {(w.kind, w.since_s): w for w in wanted}
    known = {(e.kind, e.since_s): e for e in person.episodes}
    closings: list[Alert] = []
    openings: list[Alert] = []
    withdrawn: dict[str, int] = {}

    def say(
        phase: str, episode: Episode, reason: str, w: Wanted | None, replaces_s: int = 0
    ) -> Alert:
        return Alert(
            phase,
            person.supervisee_id,
            episode.kind,
            episode.since_s,
            episode.until_s,
            person.clock_s,
            episode.alerts,
            reason,
            episode.severity,
            w.confidence if w else 0.0,
            w.place if w else "",
            episode.permit_id,
            person.profile.district if person.profile else "",
            person.profile.street if person.profile else "",
            evidence,
            replaces_s,
        )

    for key, said in list(known.items()):
        episode = said
        w = want.get(key)
        if w is None:
            gone = _gone(episode, cause, edge_s)
            if gone is None:
                continue
            reason = (
                "extended" if gone == Cause.PERMIT and episode.kind == "overdue_return" else gone
            )
            if reason == Cause.EVIDENCE:
                withdrawn[episode.kind] = episode.since_s
            until_s = episode.until_s or person.clock_s
            episode = _next(episode, until_s=until_s, closed_reason=reason, gone=True)
            closings.append(say("closed", episode, reason, None))
        elif w.until_s and (w.until_s != episode.until_s or episode.gone):
            # Closed, or closed earlier or later than was first believed, or withdrawn too soon.
            episode = _next(episode, until_s=w.until_s, closed_reason=w.closed_reason, gone=False)
            closings.append(say("closed", episode, w.closed_reason, w))
        elif not w.until_s and episode.until_s:
            episode = _next(episode, until_s=0, closed_reason="", gone=False)
            openings.append(say("opened", episode, w.reason, w))
        elif not episode.until_s and w.reason != episode.reason:
            episode = replace(_next(episode), reason=w.reason, severity=w.severity)
            openings.append(say("updated", episode, w.reason, w))
        known[key] = episode

    for key, w in want.items():
        if key in known or 0 < w.until_s < edge_s:
            continue  # what ended before the horizon is settled, said or not
        episode = Episode(w.kind, w.since_s, 1, 0, w.reason, w.permit_id, "", w.severity)
        openings.append(say("opened", episode, w.reason, w, withdrawn.get(w.kind, 0)))
        if w.until_s:
            episode = _next(episode, until_s=w.until_s, closed_reason=w.closed_reason)
            openings.append(say("closed", episode, w.closed_reason, w))
        known[key] = episode

    horizon_s = max(person.newest_s - edge_s, 0)
    kept = tuple(e for e in known.values() if not e.until_s or e.until_s >= edge_s - horizon_s)
    return kept, closings + openings


def _gone(episode: Episode, cause: str, edge_s: int) -> str | None:
    """Reason to close an episode that is no longer wanted; None to leave it as it is."""
    if not episode.until_s:
        return cause
    # What ended before the horizon is settled. What ended since can still be cured by a permit
    # that is granted afterwards, and is said to be: the next look at the evidence would otherwise
    # miss it in what is wanted, and withdraw as mistaken what was only excused.
    return None if episode.until_s < edge_s or episode.gone else cause


def _next(episode: Episode, **changes: object) -> Episode:
    return replace(episode, alerts=episode.alerts + 1, **changes)
