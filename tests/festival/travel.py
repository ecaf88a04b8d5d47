"""Ways out of the city and back: by road, rail, air, on foot and through the ports to Hong Kong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely

from .centres import AIRPORT, GATES, HUMEN, STATIONS
from .ground import Ground, Point, distance_m, ground, places
from .track import Track, crossings, length_m

__all__ = [
    "PROVINCES",
    "Destination",
    "Leg",
    "Trip",
    "destination",
    "foot_spot",
    "near_spot",
    "ways",
]

#: Where those go who have leave, by province: rounded from the origins of Guangdong's migrants in
#: the seventh census, with the rest of Guangdong put first (judgement).
PROVINCES = {
    "440000": 33,
    "430000": 14,
    "450000": 13,
    "420000": 8,
    "360000": 8,
    "410000": 6,
    "510000": 6,
    "500000": 3,
    "520000": 4,
    "350000": 2,
    "340000": 1,
    "610000": 1,
    "370000": 1,
}
_NOT_FOR_LEAVE = {"440300", "441900", "441300"}  # neighbours have standing permits


class Destination(NamedTuple):
    """A place to go: the city's code, its province's, and the spot."""

    adcode: str
    province: str
    spot: Point


class Leg(NamedTuple):
    """A way at an even speed; a way of one point and a speed of 0 is a wait of `wait_s`."""

    way: Sequence[Point]
    speed_mps: float
    mode: str
    wait_s: float = 0.0


@dataclass
class Trip:
    """An absence from ordinary life: from home to a spot and back home."""

    depart_s: float
    out: list[Leg]
    back: list[Leg]
    leave_spot_s: float  # when the way back begins; beyond the period: never
    spot: Point
    mode: str = "remote"  # how one is there
    by: str = "road"
    flights: list[tuple[float, float]] = field(default_factory=list)  # phone off

    def run(self, track: Track, rng: np.random.Generator, until_s: float) -> None:
        """Add the trip to a track that stands at home at or before the departure."""
        track.stay(self.depart_s)
        self._legs(track, self.out)
        end = min(self.leave_spot_s, until_s)
        self._visits(track, rng, end)
        track.stay(end, self.mode)
        if self.leave_spot_s < until_s:
            self._legs(track, self.back)

    def _legs(self, track: Track, legs: Sequence[Leg]) -> None:
        for leg in legs:
            if leg.wait_s:
                track.stay(track.now_s + leg.wait_s, leg.mode)
            else:
                begin = track.now_s
                track.go(leg.way, leg.speed_mps, leg.mode)
                if leg.mode == "flight":
                    self.flights.append((begin - 900.0, track.now_s + 600.0))

    def _visits(self, track: Track, rng: np.random.Generator, until_s: float) -> None:
        """Small ways about the spot, on most days of a stay of some length."""
        if self.mode != "remote":
            return
        day = 86_400.0
        at = track.now_s + rng.uniform(3, 20) * 3600
        home = track.here
        while at + 0.4 * day < until_s:
            hour = (at + 8 * 3600) % day / 3600
            if 8 < hour < 19:
                far = float(rng.choice([400.0, 900.0, 2500.0], p=[0.45, 0.35, 0.2]))
                angle = rng.uniform(0, 2 * np.pi)
                scale = 111_195.0
                goal = (
                    home[0] + far * np.cos(angle) / scale / np.cos(np.radians(home[1])),
                    home[1] + far * np.sin(angle) / scale,
                )
                track.stay(at, "remote")
                by, speed = ("walk", 1.2) if far < 1000 else ("road", 7.0)
                track.go([home, (float(goal[0]), float(goal[1]))], speed, by)
                track.stay(track.now_s + rng.uniform(0.3, 3.0) * 3600, "remote")
                track.go([track.here, home], speed, by)
                at = max(at, track.now_s) + rng.uniform(8, 30) * 3600
            else:
                at += 2 * 3600


def duration_s(legs: Sequence[Leg], start: Point) -> float:
    """How long legs take."""
    track = Track(0.0, start)
    for leg in legs:
        if leg.wait_s:
            track.stay(track.now_s + leg.wait_s)
        else:
            track.go(leg.way, leg.speed_mps, leg.mode)
    return track.now_s


def crossing_s(legs: Sequence[Leg], start: Point, *, last: bool = True) -> int:
    """Seconds from the begin of legs to the last (or first) crossing of the boundary."""
    track = Track(0.0, start)
    for leg in legs:
        if leg.wait_s:
            track.stay(track.now_s + leg.wait_s)
        else:
            track.go(leg.way, leg.speed_mps, leg.mode)
    inside = ground().zones.classify
    found = crossings(
        track, lambda lon, lat: inside(lon, lat).inside, 0, int(track.now_s) + 1, step_s=20
    )
    if not found:
        raise ValueError("the way does not cross the boundary")
    return found[-1 if last else 0][0]


def ways(
    rng: np.random.Generator, home: Point, spot: Point, by: str
) -> tuple[list[Leg], list[Leg]]:
    """Legs from home to a spot outside the city and back again."""
    land = ground()
    jam = rng.uniform(0.75, 1.1)
    if by == "air":
        to_airport = land.way(home, AIRPORT)
        fly = rng.uniform(190, 225)
        out = [
            Leg(to_airport, 11.0 * jam, "road"),
            Leg([AIRPORT], 0, "indoors", rng.uniform(60, 120) * 60),
            Leg([AIRPORT, spot], fly, "flight"),
        ]
        back = [
            Leg([spot, AIRPORT], fly, "flight"),
            Leg([AIRPORT], 0, "indoors", rng.uniform(15, 40) * 60),
            Leg(to_airport[::-1], 11.0 * jam, "road"),
        ]
        return out, back
    if by == "port":
        inside, *outside = _exit(land, home, spot, "port")
        out = [
            Leg(land.way(home, inside), 9.0, "metro"),
            Leg([inside], 0, "indoors", rng.uniform(8, 25) * 60),
            Leg([inside, *outside], 1.2, "walk"),
            Leg([outside[-1], spot], 11.0, "metro"),
        ]
    elif by == "rail":
        station = min(STATIONS.values(), key=lambda s: distance_m(home, s))
        inside, *outside = _exit(land, station, spot, "road")
        out = [
            Leg(land.way(home, station), 9.0, "metro"),
            Leg([station], 0, "indoors", rng.uniform(20, 60) * 60),
            Leg([*land.way(station, inside), *outside], 28.0, "train"),
            Leg([outside[-1], spot], rng.uniform(48, 66), "train"),
        ]
    else:
        inside, *outside = _exit(land, home, spot, "road")
        far_m = length_m(outside[-1], spot)
        speed = (rng.uniform(17, 24) if far_m > 60_000 else 12.0) * jam
        out = [
            Leg([*land.way(home, inside), *outside], 11.5 * jam, "road"),
            Leg([outside[-1], spot], speed, "road"),
        ]
        if far_m / speed > 9 * 3600:  # a night or a long rest on the way
            out = [out[0], *_broken(out[1], rng)]
    back = [leg if leg.wait_s else leg._replace(way=list(leg.way)[::-1]) for leg in reversed(out)]
    return out, back


def _broken(leg: Leg, rng: np.random.Generator) -> list[Leg]:
    (ax, ay), (bx, by) = leg.way
    share = rng.uniform(0.4, 0.6)
    middle = (ax + share * (bx - ax), ay + share * (by - ay))
    return [
        leg._replace(way=[(ax, ay), middle]),
        Leg([middle], 0, "remote", rng.uniform(0.7, 3.0) * 3600),
        leg._replace(way=[middle, (bx, by)]),
    ]


def _exit(land: Ground, start: Point, spot: Point, kind: str) -> list[Point]:
    """The gate of the shortest way that does not come back into the city: inside, outside.

    To the other bank of the Pearl River the way goes on over the bridge of Humen.
    """
    gates = sorted(
        (g for g in GATES if g.kind == kind),
        key=lambda g: length_m(start, g.inside) + length_m(g.outside, spot),
    )
    for via in ([], [HUMEN]):
        for gate in gates:
            outside = [gate.outside, *via, spot]
            if all(stays_outside(land, a, b) for a, b in pairwise(outside)):
                return [gate.inside, gate.outside, *via]
    raise ValueError(f"no way from {start} to {spot}")


def stays_outside(land: Ground, a: Point, b: Point) -> bool:
    """Whether a straight way lies outside the city all along."""
    far = length_m(a, b)
    share = np.linspace(0, min(1.0, 160_000 / max(far, 1.0)), int(min(far, 160_000) / 150) + 2)
    points = np.column_stack([a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])])
    return bool((land.depth_m(points) < -50).all())


@lru_cache(maxsize=1)
def _cities() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code, (level, parent, _) in places().items():
        province = code if level == "province" else parent
        if code not in _NOT_FOR_LEAVE:
            found.setdefault(province, []).append(code)
    # A province is itself a goal only where it is not divided.
    return {p: [c for c in codes if c != p] or [p] for p, codes in found.items()}


def destination(rng: np.random.Generator, adcode: str = "") -> Destination:
    """A spot in a city of the country: drawn, or in a named one (or in a province)."""
    if not adcode:
        codes, weights = list(PROVINCES), np.array(list(PROVINCES.values()), dtype=float)
        adcode = codes[int(rng.choice(len(codes), p=weights / weights.sum()))]
    if adcode in _cities():
        choices = _cities()[adcode]
        adcode = choices[int(rng.integers(len(choices)))]
    level, parent, area = places()[adcode]
    centre = shapely.point_on_surface(area)
    while True:
        east, north = rng.normal(0, 0.07, 2)
        spot = (float(centre.x + east), float(centre.y + north))
        if shapely.contains_xy(area, *spot) and float(ground().depth_m([spot])[0]) < -2500:
            return Destination(adcode, adcode if level == "province" else parent, spot)


def near_spot(rng: np.random.Generator, home: Point, adcode: str) -> Destination:
    """A spot in the neighbour city within about 10 km of the boundary, near a gate."""
    land = ground()
    area = places()[adcode][2]
    kind = "port" if adcode == "810000" else "road"
    gates = [g for g in GATES if g.kind == kind and shapely.contains_xy(area, *g.outside)] or [
        g for g in GATES if g.kind == kind
    ]
    gates.sort(key=lambda g: distance_m(home, g.inside))
    gate = gates[int(rng.integers(min(2, len(gates))))]
    while True:
        east, north = rng.normal(0, 0.035, 2)
        spot = (float(gate.outside[0] + east), float(gate.outside[1] + north))
        if (
            shapely.contains_xy(area, *spot)
            and float(land.depth_m([spot])[0]) < -900
            and stays_outside(land, gate.outside, spot)
        ):
            return Destination(adcode, places()[adcode][1] or adcode, spot)


def foot_spot(rng: np.random.Generator, home: Point) -> Point:
    """A spot across the land boundary that a straight walk from a home beside it reaches."""
    land = ground()
    for _ in range(2000):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(900, 2200)
        share = np.linspace(0, 1, 200)
        east, north = share * far * np.cos(angle), share * far * np.sin(angle)
        points = np.column_stack([home[0] + east / 102_830.0, home[1] + north / 110_750.0])
        depth = land.depth_m(points)
        changes = np.count_nonzero(np.diff(depth > 0))
        code = land.zones.places(points[-1:, 0], points[-1:, 1])[0]
        if changes == 1 and depth[-1] < -550 and code in ("441900", "441300"):
            return (float(points[-1, 0]), float(points[-1, 1]))
    raise RuntimeError("no walk across the boundary from here")
