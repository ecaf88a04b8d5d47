"""What a case is written with: days, ways and their patterns, check-ins and papers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from geomon.cases.device import Arrival, Device, Pace, local_text
from geomon.cases.journey import Journey, Leg, Window, clock
from geomon.cases.places import PLACES
from geomon.core.plans import LEVELS, check_in_windows, local_day
from geomon.settings import Settings, rules_from

__all__ = [
    "Case",
    "band_order",
    "check_ins",
    "days_from_to",
    "each_day",
    "leg",
    "paper",
    "pattern",
    "phone_paces",
    "supervisee",
    "there_and_back",
    "window",
]


@dataclass(frozen=True)
class Case:
    """One reconstruction, before any noise."""

    supervisee_id: str
    window: Window
    journey: Journey
    devices: Sequence[Device]
    papers: Sequence[Arrival]  # supervisee, permit, return: what officers enter
    never: Sequence[str]  # kinds of alert without any cause


def leg(depart: datetime, minutes: float, by: str, *places: str) -> Leg:
    """One way from place to place, by their names in `PLACES`."""
    arrive = depart + timedelta(minutes=minutes)
    return Leg(depart, arrive, by, tuple(PLACES[place] for place in places))


def days_from_to(first: str, last: str) -> list[str]:
    """The days "MM-DD" from the first to the last, both of them too."""
    start, end = clock(f"{first} 00:00"), clock(f"{last} 00:00")
    count = (end - start).days + 1
    return [(start + timedelta(days=n)).strftime("%m-%d") for n in range(count)]


def pattern(
    rng: random.Random, days: Iterable[str], *ways: tuple[str, float, str, tuple[str, ...]]
) -> list[Leg]:
    """The same ways on each day, each some minutes earlier or later than its "HH:MM"."""
    legs = []
    for day in days:
        for time, minutes, by, places in ways:
            depart = clock(f"{day} {time}") + timedelta(minutes=rng.randint(-12, 12))
            legs.append(leg(depart, minutes, by, *places))
    return legs


def there_and_back(*places: str) -> tuple[str, ...]:
    """There and back by the same way."""
    return places + places[-2::-1]


def window(start: str, end: str) -> Window:
    """From one time "MM-DD HH:MM" to another."""
    return Window(clock(start), clock(end))


def each_day(days: Iterable[str], start: str, hours: float) -> list[Window]:
    """So many hours from "HH:MM" on each of the days."""
    length = timedelta(hours=hours)
    return [Window(clock(f"{d} {start}"), clock(f"{d} {start}") + length) for d in days]


def check_ins(rng: random.Random, person: str, days: Iterable[str], level: str) -> list[datetime]:
    """A check-in in each of the windows that the phone shows for the plan of a level."""
    rules = rules_from(Settings())
    plan = rules.plans[LEVELS.index(level)]
    made = []
    for day in days:
        number = local_day(int(clock(f"{day} 00:00").timestamp()), rules.utc_offset_s)
        for from_s, until_s in check_in_windows(
            person,
            number,
            plan,
            seed=rules.check_in_seed,
            utc_offset_s=rules.utc_offset_s,
        ):
            minutes = rng.uniform(1, (until_s - from_s) / 60 - 2)
            made.append(datetime.fromtimestamp(from_s, timezone.utc) + timedelta(minutes=minutes))
    return [time.replace(microsecond=0) for time in made]


def phone_paces(whole: Window, days: Iterable[str], slower: Sequence[Pace] = ()) -> list[Pace]:
    """10 to 15 min by day; 20 to 40 from midnight to six, when the system lets the app sleep."""
    nights = [Pace(night, 1200, 2400) for night in each_day(days, "00:00", 6)]
    return [*slower, *nights, Pace(whole, 600, 900)]


def supervisee(person: str, received: str, **fields: str) -> Arrival:
    """The entry of a person in the register, for a year."""
    terms = {"from": "2023-09-01T00:00:00+08:00", "until": "2024-08-31T24:00:00+08:00"}
    return paper(received, type="supervisee", supervisee_id=person, **fields, **terms)


def paper(received: str, **event: Any) -> Arrival:
    """An event that an officer enters at a time "MM-DD HH:MM"."""
    time = clock(received)
    return Arrival(time, event | {"received": local_text(time)})


def band_order(person: str, authorisation_id: str, begin: str) -> dict[str, Any]:
    """The order to wear a wristband, for a little under three months."""
    return {
        "type": "authorisation",
        "supervisee_id": person,
        "authorisation_id": authorisation_id,
        "ground": 2,
        "from": f"{begin}T00:00:00+08:00",
        "until": "2024-04-14T24:00:00+08:00",
    }
