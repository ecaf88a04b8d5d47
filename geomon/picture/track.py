"""What a picture tells: one person's positions, leaves and alerts, read back from a recording.

A recording is contract NDJSON in order of arrival; a picture is in order of time. So fixes are put
in WGS-84, sorted by when they were taken, and repeated uploads count once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import msgspec
import numpy as np

from geomon.datum import to_wgs84

__all__ = ["Leave", "Story", "TrackPoint", "stories_from"]


class TrackPoint(NamedTuple):
    """One position: `time` aware UTC, `lon`/`lat` WGS-84, `accuracy_m` radius at 68 % or None."""

    time: datetime
    lon: float
    lat: float
    accuracy_m: float | None
    source: str
    device: str


class Leave(NamedTuple):
    """One permission to be away: from `start` to `until` (aware UTC), to administrative codes."""

    start: datetime
    until: datetime
    destinations: tuple[str, ...] = ()


@dataclass(slots=True)
class Story:
    """One case to draw. `alerts` are CloudEvents as geomon sends them; only ids name people."""

    title: str
    supervisee_id: str
    track: list[TrackPoint] = field(default_factory=list)
    leaves: list[Leave] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Notes:
    """What is gathered about one person while the recording is read."""

    # datum -> fixes as received; converted together, since conversion is vectorised
    fixes: dict[str, list[TrackPoint]] = field(default_factory=dict)
    permits: dict[str, Leave | None] = field(default_factory=dict)
    returned: dict[str, datetime] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)


def stories_from(
    lines: Iterable[bytes | str],
    alerts: Iterable[Mapping[str, Any]],
    titles: Mapping[str, str],
) -> list[Story]:
    """Tell the stories of a recording: one a person, in the order in which they first appear.

    `lines` are contract events (NDJSON); anything that is not an upload, a permit or a return, and
    every fix without a usable time, position or datum, is passed over: judging input is the work of
    `geomon.events`, a picture only shows what can be shown. `alerts` are CloudEvents; `titles` maps
    supervisee ids to headings (the id itself where it is missing).
    """
    people: dict[str, _Notes] = {}
    for line in lines:
        if not line.strip():
            continue
        try:
            event = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(event, dict) and isinstance(event.get("supervisee_id"), str):
            _note(event, people.setdefault(event["supervisee_id"], _Notes()))
    for alert in alerts:
        if subject := alert.get("subject"):
            people.setdefault(str(subject), _Notes()).alerts.append(dict(alert))
    return [
        Story(
            title=titles.get(supervisee_id, supervisee_id),
            supervisee_id=supervisee_id,
            track=_track(notes),
            leaves=_leaves(notes),
            alerts=notes.alerts,
        )
        for supervisee_id, notes in people.items()
        if notes.fixes or notes.permits or notes.alerts
    ]


def _note(event: Mapping[str, Any], notes: _Notes) -> None:
    kind = event.get("type")
    if kind == "upload":
        device = str(event.get("device", "unknown"))
        fixes = event.get("fixes")
        if not isinstance(fixes, list):
            return
        kept = notes.fixes.setdefault(str(event.get("datum")), [])
        kept.extend(point for fix in fixes if (point := _point(fix, device)) is not None)
    elif kind == "permit":
        start, until = _instant(event.get("from")), _instant(event.get("until"))
        if start is None or until is None:
            return
        destinations = event.get("destinations") or ()
        cancelled = event.get("status") == "cancelled"
        # The same permit_id again replaces it: the last word is what the picture shows.
        notes.permits[str(event.get("permit_id"))] = (
            None if cancelled else Leave(start, until, tuple(map(str, destinations)))
        )
    elif kind == "return" and (time := _instant(event.get("time"))) is not None:
        notes.returned[str(event.get("permit_id"))] = time


def _track(notes: _Notes) -> list[TrackPoint]:
    points: list[TrackPoint] = []
    for datum, fixes in notes.fixes.items():
        if not fixes:
            continue
        lon = np.array([p.lon for p in fixes], dtype=np.float64)
        lat = np.array([p.lat for p in fixes], dtype=np.float64)
        try:
            lon, lat = to_wgs84(lon, lat, datum)
        except (KeyError, ValueError):
            continue  # an undeclared datum: not judged, so not drawn either
        points.extend(
            p._replace(lon=float(x), lat=float(y)) for p, x, y in zip(fixes, lon, lat, strict=True)
        )
    # A device repeats an upload when no acknowledgement reached it: one fix, one point.
    seen = {(p.device, p.time): p for p in points}
    return sorted(seen.values(), key=lambda p: (p.time, p.device))


def _leaves(notes: _Notes) -> list[Leave]:
    leaves = []
    for permit_id, leave in notes.permits.items():
        if leave is None:
            continue
        back = notes.returned.get(permit_id)
        # Reported back early: the leave is over from then on.
        ended = back is not None and leave.start < back < leave.until
        leaves.append(leave._replace(until=back) if ended and back else leave)
    return sorted(leaves)


def _point(fix: object, device: str) -> TrackPoint | None:
    if not isinstance(fix, dict):
        return None
    time, lon, lat = _instant(fix.get("time")), _number(fix.get("lon")), _number(fix.get("lat"))
    if time is None or lon is None or lat is None or abs(lon) > 180 or abs(lat) > 90:
        return None
    accuracy_m = _number(fix.get("accuracy_m"))
    return TrackPoint(time, lon, lat, accuracy_m, str(fix.get("source", "unknown")), device)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _instant(value: object) -> datetime | None:
    """Read RFC 3339 with an offset, 24:00:00 included, as aware UTC; None when it is not that."""
    if not isinstance(value, str):
        return None
    midnight = value[10:19].upper() == "T24:00:00"
    if midnight:
        value = f"{value[:10]}T00:00:00{value[19:]}"
    try:
        time = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    if time.tzinfo is None:
        return None
    return (time + timedelta(days=1) if midnight else time).astimezone(timezone.utc)
