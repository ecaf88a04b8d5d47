"""From events that bring no position to what the core takes: what officers enter, and check-ins.

A plan's own times lie in its future, so they say nothing about when it arrived: without `received`
it arrived when the broker had it. In a recording that is not known either: then the person's clock
stands still (0 is never ahead of it), and the end of a cancelled leave is that of what came before.

What is about a moment that has been (a return, a check-in, a disposal, a sanction) arrived at that
moment when nothing else is said. It cannot lie beyond its arrival where that is known: a year
mistyped would take the person's clock along, and every deadline until then with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise

import numpy as np

from geomon import decoding, events
from geomon.alerts import KINDS
from geomon.core.observed import (
    Announced,
    Authorised,
    CheckedIn,
    ClockAt,
    Disposed,
    Event,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.person import Authorisation, Permit, Profile, Sanction, Zone
from geomon.datum import to_wgs84
from geomon.errors import Refusal

__all__ = ["AHEAD_S", "DATUMS", "paper"]

#: How far the clock of a device, or of an office, may be ahead of the arrival time.
AHEAD_S = 300

#: CGCS2000 differs from WGS-84 by centimetres.
DATUMS = {"wgs84": "wgs84", "cgcs2000": "wgs84", "gcj02": "gcj02", "bd09": "bd09"}

_EPISODE = re.compile(r"([^\s/]+)/([a-z_]+)/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)")
_MOST_CORNERS = 500
#: A zone is a place in a city: of 10 m to 100 km.
_LEAST_M, _MOST_M = 10.0, 100_000.0
_MOST_DEGREES = 1.0


def paper(event: events.Event, received_s: int, arrived_s: int = 0) -> Event:
    """Give the core's event. Raises `Refusal`.

    `received_s` is when it says it arrived, 0 = not said; `arrived_s` when the broker had it, 0 =
    not known.
    """
    if isinstance(event, events.Clock):
        if not received_s:
            raise Refusal("missing_field", "received: nothing else in it tells its time")
        return ClockAt(received_s)
    if isinstance(event, events.Return | events.CheckIn | events.Disposal | events.Sanction):
        return _of_a_moment(event, received_s, arrived_s)
    received_s = received_s or arrived_s
    if isinstance(event, events.Upload | events.Canary | events.Device):
        raise TypeError(f"no paper: {type(event).__name__}")
    from_s, until_s = decoding.posix_s(
        [decoding.parse_time(event.from_), decoding.parse_time(event.until)]
    )
    if isinstance(event, events.Supervisee):
        profile = Profile(event.district, event.street, event.level, from_s, until_s)
        return Announced(received_s, profile)
    if isinstance(event, events.Permit):
        permit = Permit(
            *(event.permit_id, event.kind, from_s, until_s, tuple(event.destinations)),
            approved_by=event.approved_by or "",
        )
        return PermitSet(received_s, permit, event.status == "cancelled")
    if isinstance(event, events.Zone):
        zone = _zone(event, from_s, until_s)
        return ZoneSet(received_s, zone, event.status == "removed")
    if isinstance(event, events.CheckInPlan):
        return PlanSet(received_s, _schedule(event.windows), from_s, until_s)
    authorisation = Authorisation(
        *(event.authorisation_id, event.ground, from_s, until_s, until_s - from_s)
    )
    return Authorised(received_s, authorisation, event.status == "cancelled")


def _of_a_moment(
    event: events.Return | events.CheckIn | events.Disposal | events.Sanction,
    received_s: int,
    arrived_s: int,
) -> Event:
    (time_s,) = decoding.posix_s([event.time])
    at_s = received_s or time_s
    latest_s = received_s or arrived_s
    if latest_s and time_s > latest_s + AHEAD_S:
        if not isinstance(event, events.CheckIn):
            raise Refusal("arrival_in_future", "time")
        at_s = latest_s  # the phone was heard all the same; the check-in does not count
    if isinstance(event, events.Return):
        return ReportedBack(at_s, event.permit_id, time_s)
    if isinstance(event, events.CheckIn):
        return CheckedIn(at_s, time_s, event.verified)
    if isinstance(event, events.Sanction):
        return Sanctioned(at_s, Sanction(event.sanction_id, event.kind, time_s))
    named = _EPISODE.fullmatch(event.episode)
    if not named or named[1] != event.supervisee_id or named[2] not in KINDS:
        raise Refusal("bad_episode")
    try:
        since = datetime.strptime(named[3], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise Refusal("bad_episode") from None
    return Disposed(at_s, named[2], int(since.timestamp()), time_s)


def _zone(event: events.Zone, from_s: int, until_s: int) -> Zone:
    if event.status == "removed":
        return Zone(event.zone_id, event.kind, (), 0.0, (), from_s, until_s)
    if (event.circle is None) == (event.polygon is None):
        raise Refusal("bad_zone", "one of circle and polygon")
    datum = DATUMS.get(event.datum) if isinstance(event.datum, str) else None
    if datum is None:
        raise Refusal("datum_undeclared" if event.datum is None else "datum_unknown")
    radius_m = 0.0
    if event.circle is not None:
        corners = [(event.circle.lon, event.circle.lat)]
        radius_m = event.circle.radius_m
        if not _LEAST_M <= radius_m <= _MOST_M:
            raise Refusal("bad_zone", "radius_m")
    else:
        corners = list(event.polygon or ())
        if corners[:1] == corners[-1:] and len(corners) > 1:
            corners.pop()  # closed, as GeoJSON has it
        if not 3 <= len(corners) <= _MOST_CORNERS or any(a == b for a, b in pairwise(corners)):
            raise Refusal("bad_zone", f"{len(corners)} corners")
    ring = _in_wgs84(corners, datum)
    return Zone(
        *(event.zone_id, event.kind, ring, radius_m, _schedule(event.schedule)),
        *(from_s, until_s),
    )


def _in_wgs84(corners: list[tuple[float, float]], datum: str) -> tuple[tuple[float, float], ...]:
    lon, lat = np.array(corners, dtype=np.float64).T
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise Refusal("not_finite")
    if (np.abs(lat) > 90).any():
        raise Refusal("lat_out_of_range")
    if (np.abs(lon) > 180).any():
        raise Refusal("lon_out_of_range")
    if max(np.ptp(lon), np.ptp(lat)) > _MOST_DEGREES:
        raise Refusal("bad_zone", "too large")
    if datum != "wgs84":
        lon, lat = to_wgs84(lon, lat, datum)
    return tuple(zip(np.round(lon, 6).tolist(), np.round(lat, 6).tolist(), strict=True))


def _schedule(weekly: Sequence[events.Weekly]) -> tuple[tuple[int, int, int], ...]:
    found = []
    for window in weekly:
        if not window.days or not all(1 <= day <= 7 for day in window.days):
            raise Refusal("bad_schedule", "days")
        days = 0
        for day in window.days:
            days |= 1 << (day - 1)
        found.append((days, _seconds(window.from_), _seconds(window.until)))
    return tuple(found)


def _seconds(text: str) -> int:
    found = _TIME_OF_DAY.fullmatch(text)
    if not found:
        raise Refusal("bad_schedule", "a time that is not HH:MM")
    hour, minute = found[1] or found[3], found[2] or found[4]
    return int(hour) * 3600 + int(minute) * 60
