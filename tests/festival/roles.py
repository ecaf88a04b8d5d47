"""Who has which part in the festival: breaches, leaves, tampers and everything else that is rare.

Parts are dealt out for the whole city at once, from the seed and the number of people alone, so
that a person's part does not depend on who else is recorded. Each person has at most one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["BREACHES", "CITY_PEOPLE", "PARTS", "Role", "deal", "supervisee_id"]

#: People under supervision in the city in a year (shared/domain.md).
CITY_PEOPLE = 11_000
FEWEST_PEOPLE = 300

#: The 15 unlawful absences, always all of them. The number is how many; devices are stated by
#: `_NEEDS`.
BREACHES = (
    "left_village",  # far by road, sixteen days
    "left_rail",  # far by rail, six days
    "left_air",  # far by air, eleven days
    "left_day_huizhou",  # there and back on one day, by car
    "left_dongguan",  # to the neighbour city for two nights
    "left_on_foot",  # from a home at the boundary, three hours
    "left_coast",  # a weekend at Daya Bay
    "left_guangzhou",  # by rail and back on one day
    "overdue_henan",  # silent around the end, a week
    "overdue_jiangxi",  # reports from there, three days
    "overdue_hunan",  # not back within the period
    "overdue_guangxi",  # silent around the end, three days
    "overdue_hubei",  # with a wristband, three days
    "overdue_maoming",  # a day and a half
    "gone",  # switches the phone off and is not heard again
)

#: How many of 11,000 have each other part.
PARTS = {
    "leave_in_time": 420,
    "leave_early": 72,
    "leave_tight": 42,
    "leave_extended": 42,
    "leave_cured": 18,  # extended after the end, which cures
    "leave_goes_on": 6,  # ends after the period
    "leave_astray": 3,  # goes elsewhere than allowed
    "standing_dongguan": 60,
    "standing_huizhou": 35,
    "standing_hongkong": 15,
    "curfew_kept": 104,
    "curfew_broken": 6,
    "exclusion_kept": 50,
    "exclusion_entered": 5,
    "strap_cleared": 5,
    "strap_open": 5,
    "case_open": 2,
    "separation": 8,
    "mock": 2,
    "teleport": 1,
    "frozen": 2,
    "disagree": 1,
    "lost_off": 9,
    "lost_dead": 8,
    "lost_gone": 9,
    "authorisation_lapsed": 5,
    "ends": 60,  # supervision ends within the period
    "begins": 60,  # or begins
}

_BAND_SHARE, _BAND_ALONE = 0.03, 1 / 3

_WITH_BAND_AND_PHONE = {"left_on_foot", "separation", "overdue_hubei"}
_WITH_BAND = {"left_day_huizhou", "left_guangzhou", "strap_cleared", "strap_open", "case_open"}
_WITH_BAND |= {"authorisation_lapsed"}
#: A part of those who take an ordinary leave wear a wristband.
_SOME_WITH_BAND = {"leave_in_time": 20, "leave_early": 4, "leave_tight": 3, "leave_extended": 3}

_LEVELS = {
    "left_village": "normal",
    "left_day_huizhou": "strict",
    "overdue_henan": "normal",
    "overdue_guangxi": "loose",
    "overdue_jiangxi": "strict",
    "gone": "normal",
    "left_on_foot": "strict",
}


class Role(NamedTuple):
    """A person's part: `story` is "" for most; `level` is "" where it is drawn; `number`
    is the place among the city's people, from 0."""

    number: int
    story: str
    phone: bool
    band: bool
    level: str


def supervisee_id(index: int) -> str:
    return f"SZ-{index + 1:05}"


def deal(seed: int, people: int) -> list[Role]:
    """The part of each of a city's people, by index."""
    if people < FEWEST_PEOPLE:
        raise ValueError(f"a city has at least {FEWEST_PEOPLE} people; take a sample instead")
    rng = np.random.default_rng([seed, 0x666573])
    order = rng.permutation(people).tolist()
    counts = {
        story: max(1, round(number * people / CITY_PEOPLE)) for story, number in PARTS.items()
    }
    needs = dict.fromkeys(BREACHES, 1) | counts
    banded = sum(n for story, n in needs.items() if story in _WITH_BAND | _WITH_BAND_AND_PHONE)
    bands = max(round(_BAND_SHARE * people), banded + 30)
    alone = round(bands * _BAND_ALONE)
    only_band, both, plain = order[:alone], order[alone:bands], order[bands:]
    story_of: dict[int, str] = {}
    for story, number in needs.items():
        with_band = round(_SOME_WITH_BAND.get(story, 0) * people / CITY_PEOPLE)
        for n in range(number):
            if story in _WITH_BAND_AND_PHONE or n < with_band:
                index = both.pop()
            elif story in _WITH_BAND:
                index = only_band.pop() if n % 2 == 0 and only_band else both.pop()
            else:
                index = plain.pop()
            story_of[index] = story
    banded_set, alone_set = set(order[:bands]), set(order[:alone])
    return [
        Role(
            index,
            story_of.get(index, ""),
            phone=index not in alone_set,
            band=index in banded_set,
            level=_LEVELS.get(story_of.get(index, ""), ""),
        )
        for index in range(people)
    ]
