"""Leaves for the festival: the paper, the journey under it, and how it ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .almanac import BEGIN_S, DAY_S, END_S, moment
from .papers import approver, permit, report_back
from .people import PersonPlan
from .script import Paper, Script, Spell
from .track import length_m
from .travel import Destination, Trip, crossing_s, destination, duration_s, ways

__all__ = ["leave"]

_H = 3600


class _Overdue(NamedTuple):
    adcode: str
    by: str
    from_day: int
    until: tuple[int, float]
    back: tuple[int, float]
    silent: bool


_OVERDUE = {
    "overdue_henan": _Overdue("410000", "rail", 3, (9, 24.0), (16, 15.0), True),
    "overdue_jiangxi": _Overdue("360000", "road", 8, (14, 24.0), (17, 19.0), False),
    "overdue_hunan": _Overdue("430000", "rail", 7, (16, 18.0), (27, 12.0), False),
    "overdue_guangxi": _Overdue("450000", "road", 8, (17, 24.0), (20, 20.0), True),
    "overdue_hubei": _Overdue("420000", "rail", 9, (15, 24.0), (18, 16.0), False),
    "overdue_maoming": _Overdue("440900", "road", 6, (12, 24.0), (14, 13.0), False),
}


def leave(plan: PersonPlan, rng: np.random.Generator, found: Script, variant: str) -> None:
    """Write a leave, and the journey under it, into a script."""
    found.permitted = True
    if variant in _OVERDUE:
        _overdue(plan, rng, found, _OVERDUE[variant])
        return
    while True:
        goal = destination(rng)
        by = _by(rng, plan, goal, variant)
        out, back = ways(rng, plan.home, goal.spot, by)
        from_s, until_s = _dates(rng, variant)
        ready = from_s + rng.uniform(0.3, 10.0) * _H
        hour = (ready + 8 * _H) % DAY_S / _H
        if by != "road" and hour < 5.5:  # no trains and no metro
            ready += (5.5 - hour + rng.uniform(0, 3)) * _H
        if by == "road" and rng.random() < 0.06:  # on the line a few minutes after leave begins
            ready = from_s + rng.uniform(3, 15) * 60 - crossing_s(out, plan.home, last=False)
        there_s = ready + duration_s(out, plan.home)
        crossing = crossing_s(back, goal.spot)
        back_s, new_until_s, granted_s = _ending(rng, variant, until_s)
        if back_s - crossing > there_s + 5 * _H:
            break
    trip = Trip(ready, out, back, back_s - crossing, goal.spot, by=by)
    found.trips.append(trip)
    code = goal.province if rng.random() < 0.4 else goal.adcode
    days = (until_s - from_s) / DAY_S
    approved = approver(rng, days)
    asked_s = max(BEGIN_S + int(rng.uniform(30, 300)), int(from_s - rng.uniform(0.5, 6) * DAY_S))
    asked_s = min(asked_s, from_s - 60) if from_s - 60 > BEGIN_S else asked_s
    found.papers.append(permit(plan, 0, "leave", from_s, until_s, [code], asked_s, approved))
    if variant == "astray":
        _go_astray(rng, found, goal)
    if new_until_s:
        days = (new_until_s - from_s) / DAY_S
        found.papers.append(
            permit(plan, 0, "leave", from_s, new_until_s, [code], granted_s, approver(rng, days))
        )
    if variant == "cured":
        found.overdue = (until_s, granted_s)
    end_s = new_until_s or until_s
    if back_s < END_S and rng.random() < 0.96:
        home_s = back_s + 0.6 * _H
        reported_s = int(min(home_s + rng.exponential(5 * _H), end_s - 90))
        found.papers.append(report_back(plan, 0, max(reported_s, int(back_s + 60))))


def _by(rng: np.random.Generator, plan: PersonPlan, goal: Destination, variant: str) -> str:
    far_m = length_m(plan.home, goal.spot)
    if far_m < 250_000:
        shares = (0.65, 0.35, 0.0)
    elif far_m < 900_000:
        shares = (0.40, 0.58, 0.02)
    else:
        shares = (0.15, 0.55, 0.30)
    by = ("road", "rail", "air")[int(rng.choice(3, p=shares))]
    return "road" if variant == "tight" and by == "air" else by


def _dates(rng: np.random.Generator, variant: str) -> tuple[int, int]:
    """From and until of a leave."""
    day = int(
        rng.choice(
            [3, 4, 5, 6, 7, 8, 9, 10, 11], p=[0.08, 0.08, 0.1, 0.14, 0.2, 0.18, 0.12, 0.06, 0.04]
        )
    )
    hour = 0.0 if rng.random() < 0.7 else float(rng.choice([6.0, 8.0, 12.0]))
    drawn = rng.random()
    if drawn < 0.68:
        days = int(rng.integers(4, 8))
    elif drawn < 0.95:
        days = int(rng.integers(8, 14))
    else:
        days = int(rng.integers(14, 18))
    last = min(day + days - 1, 21)
    if variant == "goes_on":
        last = int(rng.integers(25, 29))
    if variant in ("extended", "cured"):
        last = min(last, 18)
    end_hour = 24.0 if rng.random() < 0.7 else float(rng.choice([12.0, 18.0, 20.0]))
    return moment(day, hour), moment(last, end_hour)


def _ending(rng: np.random.Generator, variant: str, until_s: int) -> tuple[float, int | None, int]:
    """When the boundary is crossed back, the new end of an extended leave, when it is granted."""
    if variant == "early":
        return until_s - rng.uniform(1.2, 3.0) * DAY_S, None, 0
    if variant == "tight":
        return until_s - rng.uniform(8, 85) * 60, None, 0
    if variant == "goes_on":
        return until_s - 10 * _H, None, 0
    if variant == "extended":
        new = until_s + int(rng.integers(1, 4)) * DAY_S
        return new - rng.uniform(1.5, 20) * _H, new, int(until_s - rng.uniform(2, 40) * _H)
    if variant == "cured":
        late_s = rng.uniform(6, 30) * _H
        granted = int(until_s + rng.uniform(2.0 * _H, late_s - 1.5 * _H))
        return until_s + late_s, int(until_s + np.ceil(late_s / DAY_S + 0.1) * DAY_S), granted
    return until_s - min(rng.lognormal(np.log(9.0), 0.8), 40.0) * _H, None, 0


def _go_astray(rng: np.random.Generator, found: Script, goal: Destination) -> None:
    """The paper names a province to which the person does not go."""
    paper = found.papers[-1]
    others = [p for p in ("430000", "450000", "360000") if p != goal.province]
    elsewhere = others[int(rng.integers(len(others)))]
    found.papers[-1] = Paper(paper.received_s, paper.event | {"destinations": [elsewhere]})


def _overdue(plan: PersonPlan, rng: np.random.Generator, found: Script, case: _Overdue) -> None:
    """Leave was granted, and its end passed with the person still away."""
    until_s = moment(*case.until)
    back_s = moment(*case.back) + float(rng.uniform(-1, 1)) * _H
    from_s = moment(case.from_day, 0)
    goal = destination(rng, case.adcode)
    out, back = ways(rng, plan.home, goal.spot, case.by)
    depart = from_s + rng.uniform(7, 11) * _H
    trip = Trip(depart, out, back, back_s - crossing_s(back, goal.spot), goal.spot, by=case.by)
    found.trips.append(trip)
    days = (until_s - from_s) / DAY_S
    found.papers.append(
        permit(
            plan,
            0,
            "leave",
            from_s,
            until_s,
            [goal.province],
            max(BEGIN_S + 120, from_s - 2 * DAY_S),
            "street" if days <= 7 else "district",
        )
    )
    found.overdue = (until_s, None)
    if case.silent:
        found.phone_off.append(
            Spell(until_s - rng.uniform(4, 6) * _H, until_s + rng.uniform(9, 13) * _H, "untold")
        )
    if back_s < END_S:
        found.papers.append(report_back(plan, 0, int(back_s + rng.uniform(1, 4) * _H)))
