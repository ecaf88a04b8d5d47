"""A person before anything happens: part, level, home, devices and habits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .almanac import BEGIN_S, DAY_S, END_S, moment
from .ground import Point, ground
from .roles import Role, supervisee_id

__all__ = ["PersonPlan", "person", "stream"]

_LEVELS = (("loose", 0.35), ("normal", 0.50), ("strict", 0.15))
#: Those ordered to wear a wristband are watched more closely (judgement).
_LEVELS_WITH_BAND = (("loose", 0.10), ("normal", 0.45), ("strict", 0.45))
_DATUMS = (("gcj02", 0.60), ("bd09", 0.15), ("wgs84", 0.25))
_HOMES = (("land", 0.04), ("river", 0.015), ("plain", 0.945))


@dataclass(frozen=True)
class PersonPlan:
    """What is fixed about a person; everything else follows from `stream(plan, ...)`."""

    seed: int
    role: Role
    supervisee_id: str
    level: str
    district: str
    street: str
    home: Point
    home_kind: str  # plain, land, river
    datum: str
    supervised: tuple[int, int]  # POSIX s; most from long before to long after
    dozes: bool  # the system lets the app sleep at night
    switches_off: bool  # switches the phone off on some nights

    @property
    def devices(self) -> list[str]:
        number = self.supervisee_id[3:]
        phone = [f"phone-{number}"] if self.role.phone else []
        return phone + ([f"band-{number}"] if self.role.band else [])


def stream(plan: PersonPlan, part: int) -> np.random.Generator:
    """A person's own stream of chance for one part of the work: independent of all others."""
    return np.random.default_rng([plan.seed, plan.role.number, part])


def person(seed: int, role: Role) -> PersonPlan:
    """The plan of one person; depends on the seed, the index and the part alone."""
    rng = np.random.default_rng([seed, role.number, 0])
    level = _pick(rng, _LEVELS_WITH_BAND if role.band else _LEVELS)
    kind = _pick(rng, _HOMES)
    if role.story == "left_on_foot":
        kind = "land"
    elif role.story == "disagree":
        kind = "plain"
    home, centre = ground().home(rng, kind)
    while role.story == "disagree" and home[0] > 113.93:  # far from the other end of the city
        home, centre = ground().home(rng, kind)
    district = ground().zones.places([home[0]], [home[1]])[0]
    begin = moment(2, 0) - int(rng.integers(20, 400)) * DAY_S
    end = moment(25, 0) + int(rng.integers(5, 700)) * DAY_S
    if role.story == "begins":
        begin = BEGIN_S + int(rng.integers(3, 20)) * DAY_S
    elif role.story == "ends":
        end = BEGIN_S + int(rng.integers(3, 20)) * DAY_S
    return PersonPlan(
        seed=seed,
        role=role,
        supervisee_id=supervisee_id(role.number),
        level=role.level or level,
        district=district,
        street=centre.street,
        home=home,
        home_kind=kind,
        datum=_pick(rng, _DATUMS),
        supervised=(begin, end),
        dozes=bool(rng.random() < 0.35),
        switches_off=bool(rng.random() < 0.025) and not role.story,
    )


def watched(plan: PersonPlan) -> tuple[int, int]:
    """The part of the period in which the person's devices report."""
    return max(BEGIN_S, plan.supervised[0]), min(END_S, plan.supervised[1])


def _pick(rng: np.random.Generator, choices: tuple[tuple[str, float], ...]) -> str:
    drawn = rng.random() * sum(share for _, share in choices)
    for name, share in choices:
        drawn -= share
        if drawn < 0:
            return name
    return choices[-1][0]
