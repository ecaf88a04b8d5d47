"""What ought to be against what has been said: opened, updated, closed.

An episode is one breach of one kind by one person, named by when it began. There is at most one
open of a kind. Nothing that was said is taken back in silence: an episode that late evidence shows
to be wrong is closed with the reason `withdrawn`, and where a better one takes its place, that one
says which it replaces.

An update is told when somebody on duty would want to know: there is another reason, the episode
has become graver with age (`still_open`), or the law allows another measure (`proposal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from geomon.core.contact import last_fix
from geomon.core.person import OUTSIDE, Clue, Episode, LastFix, Person
from geomon.core.rules import Wanted, in_supervision
from geomon.core.severity import rank

__all__ = ["OF_CITY", "OF_PLACE", "Alert", "Cause", "reconcile"]

#: Kinds of where a person is: judged from the whole history, so evidence can unsay them.
OF_PLACE = frozenset({"leave_city", "overdue_return", "off_itinerary", "exclusion_zone", "curfew"})
OF_CITY = frozenset({"leave_city", "overdue_return", "off_itinerary"})
#: What an episode may follow from, likeliest first.
_CAUSES: Mapping[str, tuple[str, ...]] = {
    "leave_city": ("border_approach", "lost_contact", "tamper", "spoofing"),
    "overdue_return": ("off_itinerary", "lost_contact"),
    "off_itinerary": ("lost_contact",),
    "lost_contact": ("low_battery", "tamper", "no_fix"),
    "no_fix": ("low_battery",),
}
#: How long before another an episode may have ended and still have led to it.
_LED_TO_S = 3600
#: How long ended episodes that nothing can unsay are remembered, to be a cause of others.
_KEEP_S = 2 * 86_400
_FAR_S = 2**62


class Cause:
    """Why the episodes are looked at again; it gives the reason when one is no longer wanted."""

    EVIDENCE = "withdrawn"
    PERMIT = "permitted"
    PROFILE = "supervision_ended"
    LEVEL = "level_changed"
    ZONE = "zone_removed"


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
    level: str = ""
    cause: str = ""  # kind/since of the episode that it follows from
    out_since_s: int = 0  # out of supervision since then; 0 = not
    proposal: tuple[str, str, tuple[str, ...]] = ("", "", ())  # action, ground, evidence
    detail: tuple[tuple[str, Any], ...] = ()
    last: LastFix | None = None  # where the person was last, for kinds that are not about it


def reconcile(
    person: Person, wanted: list[Wanted], cause: str
) -> tuple[tuple[Episode, ...], list[Alert]]:
    """Compare; give the episodes as they now stand and the alerts that say so, closings first."""
    edge_s = person.origin_min * 60
    want = {(w.kind, w.since_s): w for w in wanted}
    known = {(e.kind, e.since_s): e for e in person.episodes}
    closings: list[Alert] = []
    openings: list[Alert] = []
    withdrawn: dict[str, int] = {}

    for key, said in list(known.items()):
        w = want.get(key)
        if w is None:
            known[key], alert = _unwanted(person, said, cause, edge_s)
            if alert:
                closings.append(alert)
                if alert.reason == Cause.EVIDENCE:
                    withdrawn[said.kind] = said.since_s
            continue
        if w.until_s:
            if w.until_s != said.until_s or said.gone:
                # Closed, or closed earlier or later than first believed, or withdrawn too soon.
                known[key] = _next(
                    said, until_s=w.until_s, closed_reason=w.closed_reason, gone=False
                )
                closings.append(_say(person, "closed", known[key], w.closed_reason, w))
            continue
        news = _news(said, w)
        if said.until_s or news:
            known[key] = _next(
                said,
                until_s=0,
                closed_reason="",
                gone=False,
                reason=w.reason,
                severity=w.severity,
                proposal=w.proposal[1],
                step=w.step,
                ripe_s=w.ripe_s or w.since_s,
            )
            phase = "opened" if said.until_s else "updated"
            reason = w.reason if said.until_s else news
            openings.append(_say(person, phase, known[key], reason, w))
        else:
            # Another plan may count its age from another time: no news, but a deadline.
            known[key] = replace(said, ripe_s=w.ripe_s or w.since_s)

    for key, w in want.items():
        if key in known or 0 < w.until_s < edge_s:
            continue  # what ended before the horizon is settled, said or not
        episode = Episode(
            *(w.kind, w.since_s, 1, 0, w.reason, w.permit_id, "", w.severity),
            step=w.step,
            ripe_s=w.ripe_s or w.since_s,
            cause=_led_to(w, known),
            proposal=w.proposal[1],
        )
        openings.append(_say(person, "opened", episode, w.reason, w, withdrawn.get(w.kind, 0)))
        if w.until_s:
            episode = _next(episode, until_s=w.until_s, closed_reason=w.closed_reason)
            openings.append(_say(person, "closed", episode, w.closed_reason, w))
        known[key] = episode

    horizon_s = max(person.newest_s - edge_s, 0)
    kept = tuple(e for e in known.values() if _is_kept(e, person, edge_s - horizon_s))
    return kept, closings + openings


def _unwanted(
    person: Person, episode: Episode, cause: str, edge_s: int
) -> tuple[Episode, Alert | None]:
    """Give an episode that is no longer wanted, and the alert that says so, if it is to be said."""
    if episode.kind not in OF_PLACE:
        # Another run of missed check-ins has taken its place; it stays missed.
        ended = episode if episode.until_s else replace(episode, until_s=person.clock_s)
        return ended, None
    if cause == Cause.ZONE and episode.until_s:
        return replace(episode, gone=True), None  # what was stays, whatever is named from now on
    if cause == Cause.PROFILE and in_supervision(person, episode.since_s):
        # Not the time of supervision but the level is another. What was a breach under the plan of
        # its day stays one; what goes on is told again when it is more than the new plan allows.
        if episode.until_s:
            return replace(episode, gone=True), None
        cause = Cause.LEVEL
    # While late evidence is being gathered, nothing is said of places: see `judge`.
    gone = None if person.settle_s else _gone(episode, cause, edge_s)
    if gone is None:
        return episode, None
    reason = "extended" if gone == Cause.PERMIT and episode.kind == "overdue_return" else gone
    until_s = episode.until_s or person.clock_s
    episode = _next(episode, until_s=until_s, closed_reason=reason, gone=True)
    return episode, _say(person, "closed", episode, reason, None)


def _news(episode: Episode, w: Wanted) -> str:
    """Give the reason to tell an update of an open episode; "" when there is none."""
    if w.reason != episode.reason or w.step > episode.step:
        return w.reason
    if w.proposal[1] != episode.proposal:
        return "proposal"
    return "still_open" if rank(w.severity) > rank(episode.severity) else ""


def _led_to(w: Wanted, known: Mapping[tuple[str, int], Episode]) -> str:
    """Find the episode that this one follows from; "" when there is none."""
    for kind in _CAUSES.get(w.kind, ()):
        for episode in sorted(known.values(), key=lambda e: -e.since_s):
            ended_s = episode.until_s or _FAR_S
            if (
                episode.kind == kind
                and not episode.gone
                and ended_s >= w.since_s - _LED_TO_S
                and episode.since_s <= max(w.since_s, w.out_since_s) + _LED_TO_S
            ):
                return f"{kind}/{episode.since_s}"
    return ""


def _is_kept(episode: Episode, person: Person, oldest_s: int) -> bool:
    if not episode.until_s:
        return True
    if episode.kind == "missed_check_in" and any(
        run.since_s == episode.since_s for run in person.checks.earlier
    ):
        return True  # an officer may still deal with it
    if any(device.heard_s == episode.since_s for device in person.devices):
        return True  # named after what was heard last: it could be told under this name again
    if episode.kind in OF_PLACE:
        base = person.base
        # Of a stay that the edge of the history lies in, late evidence may still speak.
        at_edge = base.label == OUTSIDE and episode.since_s >= base.since_s
        return at_edge or episode.until_s >= oldest_s
    return person.clock_s - episode.until_s < _KEEP_S


def _say(
    person: Person,
    phase: str,
    episode: Episode,
    reason: str,
    w: Wanted | None,
    replaces_s: int = 0,
) -> Alert:
    profile = person.profile
    evidence = person.clues if episode.kind in OF_CITY else w.evidence if w else ()
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
        profile.district if profile else "",
        profile.street if profile else "",
        evidence,
        replaces_s,
        profile.level if profile else "",
        episode.cause,
        w.out_since_s if w else 0,
        w.proposal if w else ("", "", ()),
        w.detail if w else (),
        max((f for d in person.devices if (f := last_fix(d))), default=None),
    )


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
