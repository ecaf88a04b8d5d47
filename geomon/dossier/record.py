"""Alerts as they are judged from events, against alerts as they are on record; and their episodes.

An alert that is on record is shown as it is there, with the time at which it was decided: that is
what an officer was told. What stands on one side alone is marked, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from geomon.alerts import KINDS
from geomon.dossier.entries import MARKS, AlertTold, DisposalEntry, EpisodeEntry
from geomon.sinks.alertform import AlertData, AlertForm, AlertReader, AwareTime

__all__ = ["Record", "alerts_told", "decode_event", "episodes_of", "merged", "posix"]

#: Reasons of closing an episode that was a breach and is none any more.
_EXCUSED = frozenset({"permitted", "extended"})

Event = Mapping[str, Any]


class Record(NamedTuple):
    """The alerts of one person on record, in the log's order (CloudEvents form).

    `kept_from_s`: what arrived before this, the events' topic no longer holds; 0 = it holds all.
    """

    alerts: Sequence[Event]
    kept_from_s: int = 0


class _Data(AlertData, kw_only=True):
    since: AwareTime
    reason: str
    detected: AwareTime | None = None
    until: AwareTime | None = None
    out_of_supervision_since: AwareTime | None = None
    cause: str | None = None
    place: str | None = None
    evidence: list[Any] | None = None
    proposal: dict[str, Any] | None = None


_reader = AlertReader(AlertForm[_Data])


def decode_event(raw: bytes) -> dict[str, Any]:
    """Decode an alert of the log; raises `ValueError` when it is none."""
    said, event = _reader.decode_whole(raw)
    _ = said.number
    posix(said.data.cause.rpartition("/")[2] if said.data.cause else None)
    return event


def posix(text: str | None) -> int:
    """Give an RFC 3339 time as POSIX seconds; 0 for None. Raises `ValueError`."""
    if not text:
        return 0
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())


def merged(
    judged: Iterable[Event], record: Record | None, until_s: int
) -> tuple[list[Event], dict[str, str | None]]:
    """Give all alerts in the order of their decisions, and the mark of each id (see `MARKS`).

    What was decided after `until_s` is left out (0 = nothing is).
    """
    by_id = {alert["id"]: alert for alert in judged}
    marks: dict[str, str | None]
    if record is None:
        marks = dict.fromkeys(by_id)
    else:
        marks = dict.fromkeys(by_id, "not_delivered")
        nothing_judged = not by_id
        for alert in record.alerts:
            if until_s and posix(alert["time"]) > until_s:
                continue
            name = alert["id"]
            if name in by_id or nothing_judged:
                marks[name] = "on_record"
            else:
                marks[name] = _one_sided(alert, record.kept_from_s)
            by_id[name] = alert
    order = sorted(by_id.values(), key=lambda a: (posix(a["time"]), _episode(a), _number(a["id"])))
    return order, marks


def _one_sided(alert: Event, kept_from_s: int) -> str:
    began_s = min(posix(alert["data"]["since"]), posix(alert["time"]))
    return "beyond_retention" if began_s < kept_from_s else "not_reproduced"


def alerts_told(alerts: Iterable[Event], marks: Mapping[str, str | None]) -> list[AlertTold]:
    """Give alerts as entries."""
    found = []
    for alert in alerts:
        data = alert["data"]
        entry = AlertTold(
            time_s=posix(alert["time"]),
            id=alert["id"],
            episode=data["episode"],
            number=_number(alert["id"]),
            kind=data["kind"],
            phase=data["phase"],
            severity=data.get("severity") or "",
            reason=data["reason"],
            since_s=posix(data["since"]),
            place=data.get("place"),
            record=marks.get(alert["id"]),
        )
        found.append(entry)
    return found


def episodes_of(
    alerts: Iterable[Event],
    marks: Mapping[str, str | None],
    disposals: Iterable[DisposalEntry],
) -> list[EpisodeEntry]:
    """Give the episodes that alerts tell of, by when they began."""
    by_episode: dict[str, list[Event]] = {}
    for alert in alerts:
        by_episode.setdefault(_episode(alert), []).append(alert)
    settled = {d.episode: d for d in disposals if d.taken}
    found = []
    for episode, told in by_episode.items():
        told.sort(key=lambda alert: _number(alert["id"]))
        found.append(_entry(episode, told, marks, settled.get(episode)))
    return sorted(found, key=lambda e: (e.time_s, e.episode))


def _entry(
    episode: str,
    told: Sequence[Event],
    marks: Mapping[str, str | None],
    disposal: DisposalEntry | None,
) -> EpisodeEntry:
    datas = [alert["data"] for alert in told]
    first, last = datas[0], datas[-1]
    closed = last["phase"] == "closed"
    # Graver with age is how it stands, not why it is there.
    because = [d["reason"] for d in datas if d["phase"] != "closed" and not _is_of_age(d)]
    known = [mark for alert in told if (mark := marks.get(alert["id"]))]
    return EpisodeEntry(
        time_s=posix(last["since"]),
        until_s=posix(last.get("until")) if closed else 0,
        episode=episode,
        kind=last["kind"],
        notice=last["kind"] in KINDS and KINDS[last["kind"]].notice,
        state=_state(last),
        severity=last.get("severity") or "",
        detected_s=posix(first.get("detected") or told[0]["time"]),
        reason=(because or [first["reason"]])[-1],
        closed_reason=last["reason"] if closed else None,
        place=_place(datas),
        permit_id=last.get("permit_id"),
        evidence=max(len(d.get("evidence") or ()) for d in datas),
        cause=next((d["cause"] for d in reversed(datas) if d.get("cause")), None),
        out_of_supervision_since_s=posix(last.get("out_of_supervision_since")),
        proposal=next((d["proposal"] for d in reversed(datas) if d.get("proposal")), None),
        disposal=_disposal(disposal) if disposal else None,
        alerts=len(told),
        record=max(known, key=list(MARKS).index) if known else None,
    )


def _state(last: Event) -> str:
    if last["phase"] != "closed":
        return "open"
    if last["reason"] == "withdrawn":
        return "withdrawn"
    return "excused" if last["reason"] in _EXCUSED else "closed"


def _place(datas: Sequence[Event]) -> str | None:
    """Give where the person was when it was last told as open: its end is told on the way back."""
    places = [d["place"] for d in datas if d.get("place") and d["phase"] != "closed"]
    return str(places[-1]) if places else None


def _is_of_age(data: Event) -> bool:
    return data["phase"] == "updated" and data["reason"] in {"still_open", "proposal"}


def _disposal(entry: DisposalEntry) -> dict[str, object]:
    return {
        "time_s": entry.time_s,
        "officer": entry.officer,
        "reason": entry.reason,
        "result": entry.result,
    }


def _episode(alert: Event) -> str:
    return str(alert["data"]["episode"])


def _number(name: str) -> int:
    return int(name.rpartition("#")[2])
