"""From the bytes of many messages to events for the core, or refusals with their reasons.

    bytes ─► decode (events) ─► check ─► WGS-84 (datum) ─► place (zones) ─► weigh (core)

Messages are taken in batches, because checks, datum and geometry cost a tenth when done for
thousands of fixes at once. Nothing here depends on what came before, so a batch may be cut
anywhere: the worker, a replay and a benchmark all come through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geomon import events
from geomon.core.evidence import (
    DEEP,
    DEFAULT_ACCURACY_M,
    SINGLE,
    SOURCE_CODE,
    grade,
    weigh,
)
from geomon.core.observed import (
    Announced,
    ClockAt,
    Event,
    Heard,
    Observed,
    PermitSet,
    ReportedBack,
)
from geomon.core.person import Clue, Permit, Profile
from geomon.datum import to_wgs84
from geomon.errors import Refusal
from geomon.zones.index import ZoneIndex

__all__ = ["Arrival", "Intake", "Raw", "Rejected"]

#: CGCS2000 differs from WGS-84 by centimetres.
DATUMS = {"wgs84": "wgs84", "cgcs2000": "wgs84", "gcj02": "gcj02", "bd09": "bd09"}
_DEVICES = {"phone": 0, "wristband": 1}

#: How far a device's clock may be ahead of the arrival time.
_AHEAD_S = 300
_DAY_S = 86_400
_FIRST_S, _LAST_S = 1_262_304_000, 4_102_444_800  # 2010-01-01, 2100-01-01
#: A position whose longitude reads as a latitude of China, and the other way round.
_CHINA_LON, _CHINA_LAT = (73.0, 136.0), (3.0, 54.0)


class Raw(NamedTuple):
    """One message or line as it came: where from, and what is known of it besides its bytes."""

    data: bytes
    where: str  # "topic/partition/offset" or "file:line"
    key: bytes | None = None  # the message's key; None = not a message
    arrived_s: int = 0  # when the broker had it; 0 = not known
    partition: int = 0


class Arrival(NamedTuple):
    """An event for the core, and whose it is."""

    supervisee_id: str
    event: Event
    raw: Raw


class Rejected(NamedTuple):
    """An event, or one fix of it, that was refused."""

    raw: Raw
    reason: str
    detail: str
    supervisee_id: str = ""
    fix: int = -1  # its place in the upload; -1 = the whole event


class _Columns(NamedTuple):
    """The fixes of a batch, an array a field."""

    fixes: list[events.Fix]
    time_s: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    source: NDArray[np.intp]


class _Pending(NamedTuple):
    """An upload whose fixes are in the columns at [begin, end)."""

    slot: int  # its place among the arrivals
    upload: events.Upload
    raw: Raw
    begin: int
    end: int


class Intake:
    """Decodes, checks and places batches of messages against one city's zones."""

    def __init__(self, zones: ZoneIndex) -> None:
        self.zones = zones

    def take(self, batch: Sequence[Raw]) -> tuple[list[Arrival], list[Rejected]]:
        """Take a batch; give its events in the same order, and what was refused of it."""
        arrivals: list[Arrival | None] = []
        rejected: list[Rejected] = []
        pending: list[_Pending] = []
        fixes: list[events.Fix] = []
        for raw in batch:
            try:
                event, refused = events.decode(raw.data)
                _check_message(event, raw)
                rejected += [
                    Rejected(raw, r.reason, r.detail, event.supervisee_id, r.at) for r in refused
                ]
                if isinstance(event, events.Upload) and event.fixes:
                    reason = _datum_trouble(event.datum)
                    if not reason:
                        begin = len(fixes)
                        fixes += event.fixes
                        pending.append(_Pending(len(arrivals), event, raw, begin, len(fixes)))
                        arrivals.append(None)
                        continue
                    rejected += [
                        Rejected(raw, reason, "", event.supervisee_id, at)
                        for at in range(len(event.fixes))
                    ]
                arrivals.append(Arrival(event.supervisee_id, _without_fixes(event, raw), raw))
            except Refusal as refusal:
                rejected.append(Rejected(raw, refusal.reason, refusal.detail))
        if fixes:
            self._place(fixes, pending, arrivals, rejected)
        return [arrival for arrival in arrivals if arrival is not None], rejected

    def _place(
        self,
        fixes: list[events.Fix],
        pending: list[_Pending],
        arrivals: list[Arrival | None],
        rejected: list[Rejected],
    ) -> None:
        """Check, convert, place and weigh all fixes of a batch, and fill in their arrivals."""
        columns = _columns(fixes)
        latest_s = np.array([_latest_s(p) for p in pending], dtype=np.int64)
        counts = np.array([p.end - p.begin for p in pending])
        trouble = _trouble(columns, np.repeat(latest_s, counts))
        if trouble:
            columns, pending = _leave_out(trouble, columns, pending, arrivals, rejected)
            if not columns.fixes:
                return
        lon, lat = _in_wgs84(columns, pending)
        distance_m = self.zones.classify(lon, lat).distance_m
        weight = weigh(distance_m, columns.accuracy_m, columns.source)
        grades = grade(weight)
        plain = ((columns.time_s // 60) * 2 + (grades == DEEP)).tolist()
        times_s = columns.time_s.tolist()
        single_at = np.flatnonzero(grades == SINGLE)
        singles_before = np.zeros(len(grades) + 1, dtype=np.intp)
        np.cumsum(grades == SINGLE, out=singles_before[1:])
        single = singles_before.tolist()
        places = self._places(lon, lat, distance_m, single_at)
        placed = _Placed(columns, lon, lat, distance_m, weight, places)
        for p in pending:
            upload, begin, end = p.upload, p.begin, p.end
            times = times_s[begin:end]
            newest_s = max(times)
            singles = single[end] - single[begin]
            arrivals[p.slot] = Arrival(
                upload.supervisee_id,
                Observed(
                    _received_s(upload) or newest_s,
                    _DEVICES[upload.device],
                    plain[begin:end] if not singles else [],
                    singles,
                    end - begin,
                    min(times),
                    newest_s,
                    upload.stored,
                    partial(placed.clues, upload, begin, end),
                ),
                p.raw,
            )

    def _places(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        distance_m: NDArray[np.float64],
        single_at: NDArray[np.intp],
    ) -> dict[int, str]:
        """Name the places of fixes outside the city, by their index in the batch."""
        at = single_at[distance_m[single_at] > 0]
        if not len(at):
            return {}
        return dict(zip(at.tolist(), self.zones.places(lon[at], lat[at]), strict=True))


class _Placed(NamedTuple):
    """A batch of fixes with all that was worked out about them."""

    columns: _Columns
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    distance_m: NDArray[np.float64]
    weight: NDArray[np.float64]
    places: dict[int, str]

    def clues(self, upload: events.Upload, begin: int, end: int) -> list[Clue]:
        """Give the fixes of one upload, as received and as judged."""
        columns = self.columns
        return [
            Clue(
                int(columns.time_s[at]),
                columns.fixes[at].lon,
                columns.fixes[at].lat,
                str(upload.datum),
                float(columns.accuracy_m[at]),
                columns.fixes[at].source,
                upload.device,
                round(float(self.distance_m[at]), 1),
                float(self.weight[at]),
                round(float(self.lon[at]), 6),
                round(float(self.lat[at]), 6),
                self.places.get(at, ""),
            )
            for at in range(begin, end)
        ]


def _columns(fixes: list[events.Fix]) -> _Columns:
    source = np.array([SOURCE_CODE[fix.source] for fix in fixes], dtype=np.intp)
    stated_m = np.array([fix.accuracy_m for fix in fixes], dtype=np.float64)  # None becomes NaN
    missing = np.array([fix.accuracy_m is None for fix in fixes])
    return _Columns(
        fixes,
        np.array([fix.time.timestamp() for fix in fixes]).astype(np.int64),
        np.array([fix.lon for fix in fixes], dtype=np.float64),
        np.array([fix.lat for fix in fixes], dtype=np.float64),
        np.where(missing, DEFAULT_ACCURACY_M[source], stated_m),
        source,
    )


def _trouble(columns: _Columns, latest_s: NDArray[np.int64]) -> dict[int, str]:
    """Find fixes that cannot be accepted: index -> reason. The first reason found stands."""
    time_s, lon, lat, accuracy_m = columns.time_s, columns.lon, columns.lat, columns.accuracy_m
    with np.errstate(invalid="ignore"):
        checks = (
            ("not_finite", ~(np.isfinite(lon) & np.isfinite(lat) & np.isfinite(accuracy_m))),
            (
                "swapped_lon_lat",
                (lat > _CHINA_LON[0])
                & (lat < _CHINA_LON[1])
                & (lon > _CHINA_LAT[0])
                & (lon < _CHINA_LAT[1]),
            ),
            ("lat_out_of_range", np.abs(lat) > 90),
            ("lon_out_of_range", np.abs(lon) > 180),
            ("null_island", (lon == 0) & (lat == 0)),
            ("accuracy_not_positive", accuracy_m <= 0),
            ("impossible_time", (time_s < _FIRST_S) | (time_s >= _LAST_S)),
            ("fix_in_future", time_s > latest_s),
        )
    trouble: dict[int, str] = {}
    for reason, wrong in checks:
        if wrong.any():
            for at in np.flatnonzero(wrong).tolist():
                trouble.setdefault(at, reason)
    return trouble


def _leave_out(
    trouble: dict[int, str],
    columns: _Columns,
    pending: list[_Pending],
    arrivals: list[Arrival | None],
    rejected: list[Rejected],
) -> tuple[_Columns, list[_Pending]]:
    """Take refused fixes out of the columns; an upload without any left is still heard from."""
    kept: list[_Pending] = []
    good: list[int] = []
    for p in pending:
        begin = len(good)
        for at in range(p.begin, p.end):
            if at in trouble:
                whose = p.upload.supervisee_id
                rejected.append(Rejected(p.raw, trouble[at], "", whose, at - p.begin))
            else:
                good.append(at)
        if len(good) > begin:
            kept.append(p._replace(begin=begin, end=len(good)))
        else:
            whose = p.upload.supervisee_id
            arrivals[p.slot] = Arrival(whose, Heard(_received_s(p.upload)), p.raw)
    fixes = [columns.fixes[at] for at in good]
    _, time_s, lon, lat, accuracy_m, source = columns
    left = _Columns(fixes, time_s[good], lon[good], lat[good], accuracy_m[good], source[good])
    return left, kept


def _in_wgs84(
    columns: _Columns, pending: list[_Pending]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = [DATUMS[p.upload.datum] for p in pending]
    lon, lat = columns.lon, columns.lat
    if all(name == "wgs84" for name in names):
        return lon, lat
    lon, lat = lon.copy(), lat.copy()
    of_fix = np.repeat(np.array(names), [p.end - p.begin for p in pending])
    for name in set(names) - {"wgs84"}:
        at = of_fix == name
        lon[at], lat[at] = to_wgs84(lon[at], lat[at], name)
    return lon, lat


def _datum_trouble(datum: object) -> str:
    if datum is None:
        return "datum_undeclared"
    return "" if isinstance(datum, str) and datum in DATUMS else "datum_unknown"


def _check_message(event: events.Event, raw: Raw) -> None:
    """Check an event against the message that carried it; raises `Refusal`."""
    if raw.key is not None and raw.key != event.supervisee_id.encode():
        # Another key means another partition: two workers would each know half of this person.
        raise Refusal("key_mismatch")
    if raw.arrived_s and _received_s(event) > raw.arrived_s + _DAY_S:
        raise Refusal("arrival_in_future")


def _latest_s(p: _Pending) -> int:
    """Latest time that a fix of this upload may have."""
    received_s = _received_s(p.upload) or p.raw.arrived_s
    return received_s + _AHEAD_S if received_s else _LAST_S


def _received_s(event: events.Event) -> int:
    return int(event.received.timestamp()) if event.received is not None else 0


def _without_fixes(event: events.Event, raw: Raw) -> Event:
    """Give the core's event for one that brings no position."""
    at_s = _received_s(event)
    if isinstance(event, events.Upload | events.Clock) and not at_s:
        if isinstance(event, events.Clock) or not raw.arrived_s:
            raise Refusal("missing_field", "received: nothing else in it tells its time")
        at_s = raw.arrived_s
    if isinstance(event, events.Clock):
        return ClockAt(at_s)
    # A plan's own times lie in its future, so they say nothing about when it arrived: without
    # `received`, the person's clock stands still (0 is never ahead of it).
    if isinstance(event, events.Supervisee):
        from_s, until_s = _span_s(event)
        profile = Profile(event.district, event.street, event.level, from_s, until_s)
        return Announced(at_s, profile)
    if isinstance(event, events.Permit):
        from_s, until_s = _span_s(event)
        destinations = tuple(event.destinations)
        permit = Permit(event.permit_id, event.kind, from_s, until_s, destinations)
        return PermitSet(at_s, permit, event.status == "cancelled")
    if isinstance(event, events.Return):
        time_s = int(event.time.timestamp())
        return ReportedBack(at_s or time_s, event.permit_id, time_s)
    if isinstance(event, events.CheckIn | events.Disposal):
        return Heard(at_s or int(event.time.timestamp()))
    return Heard(at_s)


def _span_s(event: events.Supervisee | events.Permit) -> tuple[int, int]:
    return (
        int(events.parse_time(event.from_).timestamp()),
        int(events.parse_time(event.until).timestamp()),
    )
