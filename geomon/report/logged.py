"""One alert as the log holds it, with what a report asks of it and no more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from sys import intern
from typing import Any, NamedTuple

import msgspec

from geomon.events import EPOCH, FIRST_S, LAST_S
from geomon.sinks.alertform import AlertData, AlertForm, AlertReader, AwareTime, Phase

__all__ = ["LoggedAlert", "MissedWindow", "Proposal", "alert_from", "decode_alert"]


class MissedWindow(NamedTuple):
    """A check-in window that was missed."""

    from_s: int
    until_s: int


class Proposal(msgspec.Struct, frozen=True):
    """What the machine proposes (people decide): an action, its ground, and what it rests on."""

    action: str
    ground: str = ""
    evidence: list[str] = []


class LoggedAlert(msgspec.Struct, gc=False):
    """One alert of the log; times in POSIX seconds, "" where nothing is known."""

    episode: str
    number: int
    supervisee_id: str
    kind: str
    phase: Phase
    since_s: int
    detected_s: int
    until_s: int | None
    severity: str
    reason: str
    district: str
    street: str
    level: str
    place: str
    proposal: Proposal | None
    windows: tuple[MissedWindow, ...]


class _Data(AlertData, kw_only=True, gc=False):
    since: AwareTime
    detected: AwareTime | None = None
    until: AwareTime | None = None
    severity: str | None = None
    reason: str | None = None
    district: str | None = None
    street: str | None = None
    level: str | None = None
    place: str | None = None
    proposal: Proposal | None = None
    detail: Any = None


class _Window(msgspec.Struct):
    from_: AwareTime = msgspec.field(name="from")
    until: AwareTime


_reader = AlertReader(AlertForm[_Data])


def decode_alert(raw: bytes) -> LoggedAlert:
    """Decode one alert (CloudEvents form, JSON).

    Raises `ValueError`, in one line, when it is none.
    """
    return _logged(_reader.decode(raw))


def alert_from(event: Mapping[str, Any]) -> LoggedAlert:
    """Take from an alert in CloudEvents form, already decoded, what a report asks for.

    Raises `ValueError`, in one line, when it is none.
    """
    return _logged(_reader.convert(event))


def _logged(event: AlertForm[_Data]) -> LoggedAlert:
    data = event.data
    return LoggedAlert(
        episode=data.episode,
        number=event.number,
        # The same few words stand in every alert: kept once, they cost nothing.
        supervisee_id=intern(event.subject),
        kind=intern(data.kind),
        phase=data.phase,
        since_s=_posix_s("since", data.since),
        detected_s=_posix_s("detected", data.detected or event.time),
        until_s=_posix_s("until", data.until) if data.until else None,
        severity=intern(data.severity or ""),
        reason=intern(data.reason or ""),
        district=intern(data.district or ""),
        street=intern(data.street or ""),
        level=intern(data.level or ""),
        place=intern(data.place or ""),
        proposal=data.proposal,
        windows=_windows(data.detail) if data.kind == "missed_check_in" else (),
    )


def _windows(detail: Any) -> tuple[MissedWindow, ...]:
    """Give the missed windows that an alert names; none where it does not say them this way."""
    if not isinstance(detail, dict):
        return ()
    try:
        found = msgspec.convert(detail.get("windows", []), list[_Window])
    except msgspec.ValidationError:
        return ()
    return tuple(
        MissedWindow(_posix_s("window", w.from_), _posix_s("window", w.until)) for w in found
    )


def _posix_s(name: str, time: datetime) -> int:
    since = time - EPOCH
    time_s = since.days * 86_400 + since.seconds
    if not FIRST_S <= time_s < LAST_S:
        raise ValueError(f"not an alert: {name} lies before 2000 or after 2099")
    return time_s
