"""The parts of the festival, written out: from a role to a script."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .almanac import BEGIN_S, DAY_S, END_S, OFFICIAL_WORKDAYS, day_start, moment
from .ground import Point, distance_m, ground
from .leaves import leave
from .levels import LEVELS
from .papers import permit
from .people import PersonPlan, stream
from .script import Outing, Script, Spell
from .travel import Leg, Trip, crossing_s, destination, foot_spot, near_spot, ways

__all__ = ["script"]

_H = 3600


def script(plan: PersonPlan, attempt: int = 0) -> Script:
    """What happens to a person; another attempt names another place to keep away from."""
    rng = stream(plan, 1)
    found = Script()
    story = plan.role.story
    if story.startswith("leave_"):
        leave(plan, rng, found, story.removeprefix("leave_"))
    elif story.startswith("overdue_"):
        found.breach = True
        leave(plan, rng, found, story)
    elif story.startswith("left_"):
        found.breach = True
        _left(plan, rng, found)
    elif story.startswith("standing_"):
        _standing(plan, rng, found)
    elif story.startswith(("lost_", "gone")):
        _lost(plan, rng, found)
    elif story.startswith("exclusion_"):
        _exclusion(plan, stream(plan, 100 + attempt), found)
    elif story in _PARTS:
        _PARTS[story](plan, rng, found)
    if plan.switches_off:
        _nights_off(plan, rng, found)
    return found


_LEFT: dict[str, tuple[str, str, tuple[int, float], tuple[int, float]]] = {
    # adcode, by, leaves home, crosses the boundary back (day of February, hour)
    "left_village": ("450900", "road", (5, 13.2), (21, 15.4)),
    "left_rail": ("430400", "rail", (8, 9.1), (14, 17.0)),
    "left_air": ("500000", "air", (6, 10.5), (17, 21.0)),
    "left_day_huizhou": ("441300", "road", (13, 9.6), (13, 19.2)),
    "left_dongguan": ("441900", "near", (10, 15.5), (12, 20.3)),
    "left_coast": ("441300", "near", (15, 16.0), (17, 18.5)),
    "left_guangzhou": ("440100", "rail", (13, 7.4), (13, 21.2)),
}


def _left(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    """Left without leave."""
    story = plan.role.story
    if story == "left_on_foot":
        spot = foot_spot(rng, plan.home)
        legs = [Leg([plan.home, spot], 1.15, "walk")]
        depart = moment(11, rng.uniform(13.5, 15.0))
        trip = Trip(depart, legs, [Leg([spot, plan.home], 1.15, "walk")], depart + 3.3 * _H, spot)
        trip.mode = "indoors"
    else:
        adcode, by, (day, hour), (day_back, hour_back) = _LEFT[story]
        while True:
            near = by == "near"
            goal = near_spot(rng, plan.home, adcode) if near else destination(rng, adcode)
            out, back = ways(rng, plan.home, goal.spot, "road" if near else by)
            try:
                # The truth is one absence: a way that grazes the boundary is taken anew.
                once = crossing_s(out, plan.home) == crossing_s(out, plan.home, last=False)
                once &= crossing_s(back, goal.spot) == crossing_s(back, goal.spot, last=False)
            except ValueError:
                once = False
            if once:
                break
        depart = moment(day, hour + rng.uniform(-0.5, 0.5))
        back_s = moment(day_back, hour_back + rng.uniform(-0.5, 0.5))
        trip = Trip(depart, out, back, back_s - crossing_s(back, goal.spot), goal.spot, by=by)
    found.trips.append(trip)


def _standing(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    """Works across the boundary under a standing permit."""
    adcode = {"dongguan": "441900", "huizhou": "441300", "hongkong": "810000"}[
        plan.role.story.removeprefix("standing_")
    ]
    goal = near_spot(rng, plan.home, adcode)
    by = "port" if adcode == "810000" else "road"
    out, back = ways(rng, plan.home, goal.spot, by)
    from_s = BEGIN_S - int(rng.integers(5, 150)) * DAY_S
    found.papers.append(
        permit(
            plan,
            0,
            "standing",
            from_s,
            from_s + 180 * DAY_S,
            [adcode],
            max(from_s, BEGIN_S),
            "district",
        )
    )
    found.works_across = found.permitted = True
    stops, resumes = int(rng.integers(6, 10)), int(rng.integers(18, 21))
    for day in sorted(OFFICIAL_WORKDAYS):
        if stops < day < resumes or rng.random() < 0.04:
            continue
        depart = moment(day, rng.uniform(6.4, 8.4))
        home_again = moment(day, rng.uniform(17.5, 20.5))
        trip = Trip(depart, out, back, home_again, goal.spot, mode="indoors", by=by)
        found.trips.append(trip)


def _lost(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    """Not heard for longer than the plan allows, or for good."""
    level = LEVELS[plan.level]
    if plan.role.story == "gone":
        found.breach = True
        found.phone_off.append(Spell(moment(9, 14.0 + rng.random()), END_S + DAY_S, "gone"))
        return
    shortest, longest = 1.15 * level.silence_s[0], 0.85 * level.out_of_supervision_s
    how_long = float(rng.uniform(shortest, min(longest, 3 * shortest)))
    start = float(rng.uniform(moment(3, 12), END_S - how_long - 30 * _H))
    if plan.role.story == "lost_dead":
        found.starve = Spell(start - 30 * _H, how_long, "dead")
    else:
        told = "told" if plan.role.story == "lost_off" and rng.random() < 0.6 else "untold"
        found.phone_off.append(Spell(start, start + how_long, told))


def _nights_off(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    told = "told" if rng.random() < 0.5 else "untold"
    for day in range(22):
        if rng.random() < 0.4:
            start = day_start(day) + rng.uniform(22.3, 24.3) * _H
            found.phone_off.append(Spell(start, start + rng.uniform(5.5, 8.5) * _H, told))


def _curfew(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    found.zone = ("curfew", plan.home, float(rng.choice([150.0, 200.0, 300.0])))
    found.latest_hour = 21.3
    if plan.role.story == "curfew_broken":
        depart = moment(int(rng.integers(4, 22)), rng.uniform(20.2, 21.8))
        goal = _elsewhere(rng, plan.home, 1500.0, 9000.0)
        found.outings.append(Outing(depart, goal, rng.uniform(2.5, 5.5) * _H))


def _exclusion(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    centre = _elsewhere(rng, plan.home, 3000.0, 15_000.0)
    found.zone = ("exclusion", centre, float(rng.choice([150.0, 200.0, 300.0])))
    if plan.role.story == "exclusion_entered":
        depart = moment(int(rng.integers(4, 23)), rng.uniform(10.0, 18.5))
        found.outings.append(Outing(depart, centre, rng.uniform(0.5, 1.8) * _H))


def _strap(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    start = float(rng.uniform(moment(3, 6), moment(22, 20)))
    if plan.role.story == "strap_cleared":
        found.strap_open.append(Spell(start, start + rng.uniform(75, 280)))
    else:
        found.strap_open.append(Spell(start, start + rng.uniform(2, 40) * _H))


def _case(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    start = float(rng.uniform(moment(3, 6), moment(22, 20)))
    found.case_open.append(Spell(start, start + rng.uniform(200, 3 * _H)))


def _separation(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    depart = moment(int(rng.integers(3, 23)), rng.uniform(9.0, 16.0))
    goal = _elsewhere(rng, plan.home, 2500.0, 15_000.0)
    stay = rng.uniform(2.5, 5.0) * _H
    found.outings.append(Outing(depart, goal, stay))
    found.idle.append(Spell(depart, depart + stay + 4 * _H))
    found.phone_at_home.append(Spell(depart - 120, depart + stay + 3.5 * _H))


def _fake(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    story = plan.role.story
    day = int(rng.integers(3, 21))
    if story == "teleport":
        start = moment(day, rng.uniform(10, 18))
        found.faked.append(Spell(start, start + 2.5 * _H, story))
        return
    for n in range(2):
        start = moment(day + n, rng.uniform(8.5, 10.5))
        stay = rng.uniform(5, 8) * _H
        goal = _elsewhere(rng, plan.home, 4000.0, 15_000.0)
        if story == "disagree":  # the other end of the city
            goal = ground().built_up(rng, (114.47, 22.60), 2500.0)
        found.outings.append(Outing(start, goal, stay))
        until = start + stay + (2.5 if story == "disagree" else 1.0) * _H
        found.faked.append(Spell(start - 300, until, story))


def _lapsed(plan: PersonPlan, rng: np.random.Generator, found: Script) -> None:
    """Nothing happens but that the authorisation ends: see `papers.authorisations`."""


def _elsewhere(rng: np.random.Generator, home: Point, nearest_m: float, farthest_m: float) -> Point:
    while True:
        spot = ground().built_up(rng, home, farthest_m)
        if distance_m(home, spot) > nearest_m and float(ground().depth_m([spot])[0]) > 400.0:
            return spot


_PARTS: dict[str, Callable[[PersonPlan, np.random.Generator, Script], None]] = {
    "curfew_kept": _curfew,
    "curfew_broken": _curfew,
    "strap_cleared": _strap,
    "strap_open": _strap,
    "case_open": _case,
    "separation": _separation,
    "mock": _fake,
    "teleport": _fake,
    "frozen": _fake,
    "disagree": _fake,
    "authorisation_lapsed": _lapsed,
}
