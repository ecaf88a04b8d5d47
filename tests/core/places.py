"""The map and the clock of these tests: places beside a straight boundary, times in February 2024.

The boundary runs along a parallel; a place is so many metres outside it and so many along it.
Times are China time. "09:30" is on 2024-02-13, "15 09:30" in the same month; "01-31 09:30" is in
2024.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import numpy as np

from geomon.core.evidence import DEFAULT_ACCURACY_M, SOURCE_CODE, weigh
from geomon.core.person import Clue, Zone
from geomon.core.schedules import EVERY_DAY

__all__ = [
    "CHINA",
    "HOME_M",
    "Fix",
    "circle",
    "clue",
    "fixes",
    "moment",
    "of_day",
    "text",
    "weight",
    "where",
]

CHINA = timezone(timedelta(hours=8))
#: Metres outside the boundary of someone well within the city.
HOME_M = -6_000.0


def moment(when: str) -> int:
    """POSIX seconds of a time of these tests."""
    day, _, clock = when.rpartition(" ")
    day = day or "13"
    form = "%m-%d %H:%M:%S" if "-" in day else "%d %H:%M:%S"
    clock = clock if clock.count(":") == 2 else f"{clock}:00"
    parsed = datetime.strptime(f"2024 {day} {clock}", f"%Y {form}").replace(tzinfo=CHINA)
    return int((parsed if "-" in day else parsed.replace(month=2)).timestamp())


def text(time_s: int) -> str:
    """The other way round: "13 09:30", with seconds where there are any; "" for 0."""
    if not time_s:
        return ""
    local = datetime.fromtimestamp(time_s, CHINA)
    month = "" if local.month == 2 else f"{local.month:02}-"
    return month + local.strftime("%d %H:%M:%S").removesuffix(":00")


class Fix(NamedTuple):
    """One position: how far outside the boundary (m, inside negative), and how it was measured.

    The boundary runs along a parallel here: `east_m` is how far along it the position lies.
    """

    time_s: int
    outside_m: float
    source: str = "gnss"
    accuracy_m: float | None = None
    place: str = "441900"
    east_m: float = 0.0
    same: bool = False  # the very same coordinates each time, as no receiver gives


def weight(fix: Fix) -> float:
    """What a fix is worth, in nats."""
    code = SOURCE_CODE[fix.source]
    accuracy_m = DEFAULT_ACCURACY_M[code] if fix.accuracy_m is None else fix.accuracy_m
    return float(weigh(np.array([fix.outside_m]), np.array([accuracy_m]), np.array([code]))[0])


def fixes(
    begin: str,
    end: str,
    outside_m: float,
    *,
    every_s: float = 60,
    source: str = "gnss",
    accuracy_m: float | None = None,
    place: str = "441900",
    east_m: float = 0.0,
    same: bool = False,
) -> list[Fix]:
    """Fixes from `begin` to before `end`, one every so often, all at one distance."""
    times = np.arange(moment(begin), moment(end), every_s).astype(int).tolist()
    return [Fix(t, outside_m, source, accuracy_m, place, east_m, same) for t in times]


def where(outside_m: float, east_m: float = 0.0) -> tuple[float, float]:
    """Longitude and latitude (WGS-84) of a place on these tests' map."""
    return (
        round(114.0 + east_m / (111_195 * math.cos(math.radians(22.5))), 6),
        round(22.5 - outside_m / 111_195, 6),
    )


def circle(
    outside_m: float,
    radius_m: float,
    *,
    east_m: float = 0.0,
    kind: str = "exclusion",
    zone_id: str = "Z-1",
    daily: tuple[str, str] | None = None,
    begin: str = "01-01 00:00",
    end: str = "12-31 00:00",
) -> Zone:
    """A round zone, in force always or between two times of each day."""
    schedule: tuple[tuple[int, int, int], ...] = ()
    if daily:
        schedule = ((EVERY_DAY, of_day(daily[0]), of_day(daily[1])),)
    centre = (where(outside_m, east_m),)
    return Zone(zone_id, kind, centre, radius_m, schedule, moment(begin), moment(end))


def of_day(clock: str) -> int:
    """Seconds of the day at a time of it."""
    hour, minute = clock.split(":")
    return int(hour) * 3600 + int(minute) * 60


def clue(fix: Fix, device: str) -> Clue:
    accuracy_m = fix.accuracy_m or float(DEFAULT_ACCURACY_M[SOURCE_CODE[fix.source]])
    place = fix.place if fix.outside_m > 0 else ""
    # Receivers wander: no two positions are the very same.
    wander_m = 0.0 if fix.same else fix.time_s // 60 % 7 * 0.3
    lon, lat = where(fix.outside_m, fix.east_m + wander_m)
    worth = weight(fix)
    return Clue(
        *(fix.time_s, lon, lat, "wgs84", accuracy_m, fix.source, device),
        *(fix.outside_m, worth, lon, lat, place),
    )
