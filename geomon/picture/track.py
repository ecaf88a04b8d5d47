"""What a picture tells: one person's positions, leaves and alerts, read back from a recording.

A recording is contract NDJSON in order of arrival; a picture is in order of time. So fixes are put
in WGS-84, sorted by when they were taken, and repeated uploads count once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

import numpy as np

from geomon.datum import DATUMS, to_wgs84
from geomon.decoding import decode, parse_time
from geomon.errors import Refusal
from geomon.events import Event, Permit, Return, Upload

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

    `lines` are contract events (NDJSON); what is refused there, what is not an upload, a permit or
    a return, and every fix without a known datum is passed over: counting refusals is the work of
    the replay, a picture shows what can be shown. `alerts` are CloudEvents; `titles` maps
    supervisee ids to headings (the id itself where it is missing).
    """
    people: dict[str, _Notes] = {}
    for line in lines:
        raw = line.encode() if isinstance(line, str) else line
        if not raw.strip():
            continue
        try:
            event, _ = decode(raw)
            _note(event, people.setdefault(event.supervisee_id, _Notes()))
        except Refusal:
            continue
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


def _note(event: Event, notes: _Notes) -> None:
    if isinstance(event, Upload):
        kept = notes.fixes.setdefault(str(event.datum), [])
        for fix in event.fixes:
            # Also false for NaN, which no map can show.
            if abs(fix.lon) <= 180 and abs(fix.lat) <= 90:
                time = fix.time.astimezone(timezone.utc)
                point = (time, fix.lon, fix.lat, fix.accuracy_m, fix.source, event.device)
                kept.append(TrackPoint(*point))
    elif isinstance(event, Permit):
        leave = Leave(parse_time(event.from_), parse_time(event.until), tuple(event.destinations))
        # The same permit_id again replaces it: the last word is what the picture shows.
        notes.permits[event.permit_id] = None if event.status == "cancelled" else leave
    elif isinstance(event, Return):
        notes.returned[event.permit_id] = event.time.astimezone(timezone.utc)


def _track(notes: _Notes) -> list[TrackPoint]:
    points: list[TrackPoint] = []
    for datum, fixes in notes.fixes.items():
        if datum not in DATUMS or not fixes:
            continue  # without a declared datum a position is not judged, so not drawn either
        lon = np.array([p.lon for p in fixes], dtype=np.float64)
        lat = np.array([p.lat for p in fixes], dtype=np.float64)
        lon, lat = to_wgs84(lon, lat, datum)
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
