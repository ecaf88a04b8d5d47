"""Ordinary days: home, work, shops, visits; and around them the trips and what must happen."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from .almanac import DAYS, END_S, NIGHT_OF_NEW_YEAR, OFFICIAL_WORKDAYS, day_start
from .ground import Point, distance_m, ground
from .people import PersonPlan, stream
from .script import Outing, Script
from .track import Track
from .travel import Trip

__all__ = ["live"]

_H = 3600.0
_LONGEST_S = END_S + 2 * _H


@dataclass
class _Habits:
    """Where a person goes, and how."""

    work: Point | None
    shops: list[Point]
    visits: list[Point]
    begins_h: float
    ends_h: float
    stops: int  # last day of February worked before the festival
    resumes: int
    by_metro: bool
    ways: dict[tuple[Point, Point], list[Point]] = field(default_factory=dict)


def live(plan: PersonPlan, script: Script) -> Track:
    """The true path of the whole period and two hours more."""
    rng = stream(plan, 3)
    habits = _habits(plan, rng, script)
    track = Track(day_start(0) - 600.0, plan.home)
    fixed: list[tuple[float, Trip | Outing]] = sorted(
        [(t.depart_s, t) for t in script.trips] + [(o.depart_s, o) for o in script.outings],
        key=lambda pair: pair[0],
    )
    for day in range(DAYS):
        for depart, spot, stay in _wishes(habits, rng, day, script):
            while fixed and fixed[0][0] <= depart:
                _fixed(track, rng, habits, fixed.pop(0)[1])
            _outing(track, habits, script, day, depart, spot, stay, fixed[0][0] if fixed else None)
    for _, item in fixed:
        _fixed(track, rng, habits, item)
    track.stay(_LONGEST_S)
    return track


def _habits(plan: PersonPlan, rng: np.random.Generator, script: Script) -> _Habits:
    land = ground()
    drawn = rng.random()
    work: Point | None = None
    if drawn < 0.22 or script.works_across:
        pass  # no work away from home
    elif drawn < 0.55:
        work = land.built_up(rng, plan.home, 5000.0)
    elif drawn < 0.92:
        work = land.built_up(rng, None, 0.0)
    else:
        work = land.edge_place(rng, plan.home, "land", 500.0)
    shops = [land.built_up(rng, plan.home, 700.0), land.built_up(rng, plan.home, 1800.0)]
    if plan.home_kind != "plain":  # a shop or a path along the line itself
        shops[1] = land.edge_place(rng, plan.home, plan.home_kind, 200.0)
    return _Habits(
        work=work,
        shops=shops,
        visits=[land.built_up(rng, plan.home, 6000.0), land.built_up(rng, None, 0.0)],
        begins_h=float(rng.uniform(7.5, 9.5)),
        ends_h=float(rng.uniform(17.0, 20.0)),
        stops=int(rng.choice([5, 6, 7, 8, 9], p=[0.05, 0.15, 0.35, 0.35, 0.1])),
        resumes=int(rng.choice([15, 17, 18, 19, 20, 25], p=[0.06, 0.06, 0.4, 0.3, 0.1, 0.08])),
        by_metro=bool(rng.random() < 0.45),
    )


def _wishes(
    habits: _Habits, rng: np.random.Generator, day: int, script: Script
) -> list[tuple[float, Point, float]]:
    """What the person would like to do on a day: (leave home, spot, stay), in time order."""
    start, date = day_start(day), day + 2
    wishes: list[tuple[float, Point, float]] = []
    works = date in OFFICIAL_WORKDAYS and not habits.stops < date < habits.resumes
    shop = habits.shops[int(rng.random() < 0.35)]
    visit = habits.visits[int(rng.random() < 0.45)]
    u = rng.random(8)
    if works and habits.work is not None and u[0] > 0.03:
        begin = habits.begins_h + 0.5 * (u[1] - 0.5)
        depart = start + (begin - 0.6) * _H
        wishes.append((depart, habits.work, (habits.ends_h - begin + u[2]) * _H))
        if u[3] < 0.28:
            wishes.append((start + (habits.ends_h + 1.7 + u[4]) * _H, shop, (0.3 + u[5]) * _H))
    elif day == NIGHT_OF_NEW_YEAR:
        wishes.append((start + (9 + 2 * u[1]) * _H, shop, (0.4 + u[2]) * _H))
        if u[3] < 0.35:
            wishes.append((start + (15.5 + 2 * u[4]) * _H, visit, (3 + 4 * u[5]) * _H))
    else:
        if u[0] < 0.6:
            wishes.append((start + (8.5 + 3 * u[1]) * _H, shop, (0.3 + 1.2 * u[2]) * _H))
        if u[3] < 0.5:
            wishes.append((start + (13 + 3.5 * u[4]) * _H, visit, (0.8 + 3.5 * u[5]) * _H))
        if u[6] < 0.25 and not script.works_across:
            wishes.append((start + (19 + 1.2 * u[7]) * _H, shop, (0.3 + u[2]) * _H))
    return wishes


def _outing(
    track: Track,
    habits: _Habits,
    script: Script,
    day: int,
    depart: float,
    spot: Point,
    stay: float,
    next_fixed_s: float | None,
) -> None:
    """Go out and come back, if there is time for it."""
    if depart < track.now_s + 600 or any(s.from_s <= depart < s.until_s for s in script.idle):
        return
    way, speed, mode = _way(habits, track.here, spot)
    takes = _length(way) / speed
    latest = day_start(day) + script.latest_hour * _H
    stay = min(stay, latest - depart - 2 * takes)
    end = depart + 2 * takes + stay
    if stay < 600 or (next_fixed_s is not None and end > next_fixed_s - 900):
        return
    track.stay(depart)
    track.go(way, speed, mode)
    track.stay(track.now_s + stay)
    track.go(way[::-1], speed, mode)


def _fixed(track: Track, rng: np.random.Generator, habits: _Habits, item: Trip | Outing) -> None:
    if isinstance(item, Trip):
        if track.now_s > item.depart_s:
            return
        item.run(track, rng, _LONGEST_S)
        return
    way, speed, mode = _way(habits, track.here, item.spot)
    track.stay(item.depart_s)
    track.go(way, speed, mode)
    track.stay(track.now_s + item.stay_s)
    track.go(way[::-1], speed, mode)


def _way(habits: _Habits, a: Point, b: Point) -> tuple[list[Point], float, str]:
    way = habits.ways.get((a, b))
    if way is None:
        way = habits.ways[a, b] = ground().way(a, b)
    far = _length(way)
    if far < 1300:
        return way, 1.25, "walk"
    if habits.by_metro and far > 3500:
        return way, 9.0, "metro"
    return way, 7.5, "road"


def _length(way: list[Point]) -> float:
    return sum(distance_m(p, q) for p, q in itertools.pairwise(way))
