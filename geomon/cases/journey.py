"""Where a person truly is: stays and legs between places, without any noise.

A journey is a list of legs in order of time. Along a leg the person moves at an even pace over the
straight pieces of its route; between legs they stay, indoors, where the last leg ended. All
positions are WGS-84.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

__all__ = [
    "CHINA_TIME",
    "Journey",
    "Leg",
    "Spot",
    "Whereabouts",
    "Window",
    "clock",
    "crossings",
    "distance_m",
    "moved",
]

CHINA_TIME = timezone(timedelta(hours=8))

# Mean metres a degree of latitude. On these short pieces a locally flat earth is off by less than
# a thousandth, well below the noise added later.
_M_PER_DEG = 111_195.0


class Spot(NamedTuple):
    """A position, WGS-84 degrees, longitude first."""

    lon: float
    lat: float


@dataclass(frozen=True)
class Window:
    """A stretch of time, start included, end not."""

    start: datetime
    end: datetime

    def __contains__(self, time: datetime) -> bool:
        return self.start <= time < self.end


@dataclass(frozen=True)
class Leg:
    """One way from the first spot of `route` to the last; `by` is walk, metro, road or train."""

    depart: datetime
    arrive: datetime
    by: str
    route: tuple[Spot, ...]


@dataclass(frozen=True)
class Whereabouts:
    """The truth of one moment; `by` is a leg's way of moving, or "indoors" during a stay."""

    spot: Spot
    speed_mps: float
    by: str


def clock(text: str) -> datetime:
    """A moment of 2024 in China's time from "MM-DD HH:MM"."""
    return datetime.strptime(f"2024-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=CHINA_TIME)


def distance_m(a: Spot, b: Spot) -> float:
    """Distance in metres between two near spots (equirectangular; a degree is 111,195 m)."""
    east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(east, b.lat - a.lat) * _M_PER_DEG


def moved(spot: Spot, east_m: float, north_m: float) -> Spot:
    """A spot moved by metres to the east and north."""
    parallel = math.cos(math.radians(spot.lat))
    return Spot(spot.lon + east_m / (_M_PER_DEG * parallel), spot.lat + north_m / _M_PER_DEG)


class Journey:
    """The true path of one person from a start through legs.

    Raises ValueError when a leg begins before the last one ended or away from where it ended.
    """

    def __init__(self, start: Spot, legs: Sequence[Leg]) -> None:
        here, free = start, datetime.min.replace(tzinfo=timezone.utc)
        for leg in legs:
            if leg.route[0] != here or leg.depart < free or leg.arrive <= leg.depart:
                raise ValueError(f"leg of {leg.depart} does not follow from the one before")
            here, free = leg.route[-1], leg.arrive
        self._start = start
        self._legs = tuple(legs)
        self._departs = [leg.depart for leg in legs]

    def at(self, time: datetime) -> Whereabouts:
        """Where the person is at an aware time."""
        index = bisect_right(self._departs, time) - 1
        if index < 0:
            return Whereabouts(self._start, 0.0, "indoors")
        leg = self._legs[index]
        if time >= leg.arrive:
            return Whereabouts(leg.route[-1], 0.0, "indoors")
        pieces = [distance_m(a, b) for a, b in zip(leg.route, leg.route[1:], strict=False)]
        speed_mps = sum(pieces) / (leg.arrive - leg.depart).total_seconds()
        left_m = speed_mps * (time - leg.depart).total_seconds()
        for (a, b), piece_m in zip(
            zip(leg.route, leg.route[1:], strict=False), pieces, strict=True
        ):
            if left_m < piece_m:
                share = left_m / piece_m
                spot = Spot(a.lon + share * (b.lon - a.lon), a.lat + share * (b.lat - a.lat))
                return Whereabouts(spot, speed_mps, leg.by)
            left_m -= piece_m
        return Whereabouts(leg.route[-1], speed_mps, leg.by)


def crossings(
    journey: Journey, inside: Callable[[Spot], bool], window: Window
) -> list[tuple[datetime, bool]]:
    """When the true path crosses a boundary: (first whole second on the new side, now inside?).

    The path is sampled once a minute and each change is narrowed to the second, so an excursion of
    less than a minute between two samples is not seen.
    """
    found: list[tuple[datetime, bool]] = []
    minute, second = timedelta(minutes=1), timedelta(seconds=1)
    time = window.start
    before = inside(journey.at(time).spot)
    while time + minute <= window.end:
        after = inside(journey.at(time + minute).spot)
        if after != before:
            low, high = 0, 60
            while high - low > 1:
                middle = (low + high) // 2
                if inside(journey.at(time + middle * second).spot) == after:
                    high = middle
                else:
                    low = middle
            found.append((time + high * second, after))
        time, before = time + minute, after
    return found
