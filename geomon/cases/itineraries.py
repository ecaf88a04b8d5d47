"""The three cases as lists of legs, devices and papers: what an author would write by hand.

Days follow patterns (a working day, a day off) whose times move by some minutes from day to day;
the journeys that matter are written out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from geomon.cases.device import Arrival, Device, Gap, Jump, Outlier, Pace, local_text
from geomon.cases.journey import Journey, Leg, Window, clock
from geomon.cases.places import (
    MAST_FENGGANG,
    MAST_LO_WU,
    MAST_SAN_TIN,
    MAST_SHEUNG_SHUI,
    MAST_TSIM_BEI_TSUI,
    PLACES,
)
from geomon.core.plans import LEVELS, check_in_windows, local_day
from geomon.settings import Settings, rules_from

__all__ = ["Case", "case_a", "case_b", "case_c"]


@dataclass(frozen=True)
class Case:
    """One reconstruction, before any noise."""

    supervisee_id: str
    window: Window
    journey: Journey
    devices: Sequence[Device]
    papers: Sequence[Arrival]  # supervisee, permit, return: what officers enter
    never: Sequence[str]  # kinds of alert without any cause


def _leg(depart: datetime, minutes: float, by: str, *places: str) -> Leg:
    arrive = depart + timedelta(minutes=minutes)
    return Leg(depart, arrive, by, tuple(PLACES[place] for place in places))


def _days(first: str, last: str) -> list[str]:
    start, end = clock(f"{first} 00:00"), clock(f"{last} 00:00")
    count = (end - start).days + 1
    return [(start + timedelta(days=n)).strftime("%m-%d") for n in range(count)]


def _pattern(
    rng: random.Random, days: Iterable[str], *ways: tuple[str, float, str, tuple[str, ...]]
) -> list[Leg]:
    """The same ways on each day, each some minutes earlier or later than its "HH:MM"."""
    legs = []
    for day in days:
        for time, minutes, by, places in ways:
            depart = clock(f"{day} {time}") + timedelta(minutes=rng.randint(-12, 12))
            legs.append(_leg(depart, minutes, by, *places))
    return legs


def _back(*places: str) -> tuple[str, ...]:
    """There and back by the same way."""
    return places + places[-2::-1]


def _window(start: str, end: str) -> Window:
    return Window(clock(start), clock(end))


def _each_day(days: Iterable[str], start: str, hours: float) -> list[Window]:
    length = timedelta(hours=hours)
    return [Window(clock(f"{d} {start}"), clock(f"{d} {start}") + length) for d in days]


def _check_ins(rng: random.Random, person: str, days: Iterable[str], level: str) -> list[datetime]:
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


def _phone_paces(whole: Window, days: Iterable[str], slower: Sequence[Pace] = ()) -> list[Pace]:
    """10 to 15 min by day; 20 to 40 from midnight to six, when the system lets the app sleep."""
    nights = [Pace(night, 1200, 2400) for night in _each_day(days, "00:00", 6)]
    return [*slower, *nights, Pace(whole, 600, 900)]


def _supervisee(person: str, received: str, **fields: str) -> Arrival:
    terms = {"from": "2023-09-01T00:00:00+08:00", "until": "2024-08-31T24:00:00+08:00"}
    return _paper(received, type="supervisee", supervisee_id=person, **fields, **terms)


def _paper(received: str, **event: Any) -> Arrival:
    time = clock(received)
    return Arrival(time, event | {"received": local_text(time)})


def _order(person: str, authorisation_id: str, begin: str) -> dict[str, Any]:
    """The order to wear a wristband, for a little under three months."""
    return {
        "type": "authorisation",
        "supervisee_id": person,
        "authorisation_id": authorisation_id,
        "ground": 2,
        "from": f"{begin}T00:00:00+08:00",
        "until": "2024-04-14T24:00:00+08:00",
    }


def case_a(rng: random.Random) -> Case:
    """Futian: from 2024-02-05 to 2024-02-21 in Guangxi without leave."""
    person, days = "SZ-0001", _days("01-29", "02-24")
    whole = _window("01-29 00:00", "02-25 00:00")
    to_work = ("Lianhua", "civic centre", "mangrove park", "science park")
    work = (
        ("07:50", 38.0, "metro", to_work),
        ("18:25", 42.0, "metro", to_work[::-1]),
        ("20:20", 55.0, "walk", _back("Lianhua", "Lianhua hill", "civic centre")),
    )
    market = ("09:30", 25.0, "walk", ("village near Bobai", "Bobai"))
    home_again = ("15:40", 30.0, "road", ("Bobai", "village near Bobai"))
    relatives = _back("village near Bobai", "Bobai", "Yulin")
    legs = [
        *_pattern(rng, ["01-29", "01-30"], *work),
        *_pattern(rng, ["01-31"], *work[:2]),
        # Friday's way home leads through the park on the bay, on foot.
        *_pattern(
            rng,
            ["02-01"],
            work[0],
            ("18:10", 25.0, "road", ("science park", "bay park")),
            ("19:00", 75.0, "walk", _back("bay park", "mangrove park")),
            ("20:50", 35.0, "metro", ("bay park", "mangrove park", "civic centre", "Lianhua")),
        ),
        *_pattern(rng, ["02-02"], *work),
        *_pattern(
            rng,
            ["02-03"],
            ("13:40", 25.0, "metro", ("Lianhua", "civic centre", "Huanggang village")),
            ("20:40", 25.0, "metro", ("Huanggang village", "civic centre", "Lianhua")),
        ),
        *_pattern(rng, ["02-04"], *work),
        # The journey of the case: by car to Guangxi, with a rest at Humen and one at Kaiping.
        _leg(
            *(clock("02-05 07:20"), 85, "road"),
            *("Lianhua", "Nantou", "Bao'an", "Xixiang", "Hezhou", "Fuyong", "Shajing"),
            *("Songgang", "Chang'an", "Humen"),
        ),
        _leg(
            *(clock("02-05 09:05"), 170, "road"),
            *("Humen", "Humen bridge west", "Shunde", "Jiangmen", "Kaiping"),
        ),
        _leg(clock("02-05 12:30"), 290, "road", "Kaiping", "Luoding", "Cenxi", "Yulin", "Bobai"),
        _leg(clock("02-05 17:35"), 20, "road", "Bobai", "village near Bobai"),
        *_pattern(rng, _days("02-06", "02-11"), market, home_again),
        *_pattern(rng, ["02-12"], ("09:10", 400.0, "road", relatives)),
        *_pattern(rng, _days("02-13", "02-20"), market, home_again),
        _leg(clock("02-21 08:10"), 20, "road", "village near Bobai", "Bobai"),
        _leg(clock("02-21 08:35"), 285, "road", "Bobai", "Yulin", "Cenxi", "Luoding", "Kaiping"),
        _leg(
            *(clock("02-21 13:50"), 175, "road"),
            *("Kaiping", "Jiangmen", "Shunde", "Humen bridge west", "Humen"),
        ),
        _leg(
            *(clock("02-21 17:10"), 95, "road"),
            *("Humen", "Chang'an", "Songgang", "Shajing", "Fuyong", "Hezhou", "Xixiang"),
            *("Bao'an", "Nantou", "Lianhua"),
        ),
        *_pattern(rng, _days("02-22", "02-24"), *work),
    ]
    nights = _each_day([d for d in days if d != "01-30"], "23:00", 7.5)
    phone = Device(
        person,
        "phone-1",
        "phone",
        "gcj02",
        worn=whole,
        paces=_phone_paces(
            whole,
            days,
            [Pace(_window("02-05 18:00", "02-21 08:00"), 2700, 4500)],  # a village, app asleep
        ),
        # Not charged in the night of 01-30: empty towards noon, charged at home in the evening.
        charging=[*nights, _window("01-31 19:20", "01-31 22:00")],
        drain_pct_an_hour=3.5,
        off=[
            _window("02-01 23:40", "02-02 06:35"),
            _window("02-03 23:30", "02-04 07:05"),
            _window("02-09 01:30", "02-09 07:40"),
            _window("02-22 23:50", "02-23 06:20"),
        ],
        gaps=[
            Gap(_window("02-02 09:40", "02-02 13:20")),
            Gap(_window("02-11 10:00", "02-11 15:30"), newest_first=True),
            Gap(_window("02-23 09:10", "02-23 14:40"), newest_first=True, fixes_an_upload=8),
        ],
        jumps=[
            Jump(clock("02-01 19:31"), MAST_TSIM_BEI_TSUI, 2500),
            Jump(clock("02-03 16:10"), MAST_SAN_TIN, 1200, times=4, apart_s=330),
            Jump(clock("02-03 18:55"), MAST_SAN_TIN, 1400),
        ],
        outliers=[
            Outlier(clock("01-30 20:45"), 180, -120),
            Outlier(clock("02-22 20:40"), -90, 210),
        ],
        check_ins=_check_ins(rng, person, days, "normal"),
    )
    papers = [
        _supervisee(person, "01-29 00:00", district="440304", street="莲花街道", level="normal")
    ]
    never = [
        "exclusion_zone",
        "off_itinerary",
        "overdue_return",
        "separation",
        "spoofing",
        "tamper",
    ]
    return Case(person, whole, Journey(PLACES["Lianhua"], legs), [phone], papers, never)


def case_b(rng: random.Random) -> Case:
    """Longgang: leave for Henan until 2024-02-09, back on 2024-02-16, then a wristband."""
    person, days = "SZ-0002", _days("01-29", "02-24")
    whole, banded = _window("01-29 00:00", "02-25 00:00"), _window("02-17 10:06", "02-25 00:00")
    to_work = ("Pinghu", "Nanwan", "Henggang", "Longgang centre")
    work = (
        ("08:10", 50.0, "road", to_work),
        ("18:40", 55.0, "road", to_work[::-1]),
        ("20:45", 40.0, "walk", _back("Pinghu", "Pinghu ecology park")),
    )
    railway = (
        *("Shenzhen North", "Guangmingcheng", "Humen station", "Guangzhou South", "Shaoguan"),
        *("Chenzhou", "Hengyang", "Changsha South", "Wuhan", "Xinyang", "Zhumadian West"),
    )
    visits = (
        ("09:40", 25.0, "road", ("village near Runan", "Runan")),
        ("16:10", 25.0, "road", ("Runan", "village near Runan")),
    )
    legs = [
        *_pattern(rng, _days("01-29", "02-02"), *work),
        _leg(clock("02-03 08:25"), 45, "road", "Pinghu", "Bantian", "Shenzhen North"),
        _leg(clock("02-03 09:48"), 395, "train", *railway),
        _leg(clock("02-03 17:00"), 70, "road", "Zhumadian West", "Runan", "village near Runan"),
        *_pattern(rng, _days("02-04", "02-08"), *visits),
        *_pattern(rng, _days("02-11", "02-14"), *visits),
        _leg(clock("02-16 07:35"), 75, "road", "village near Runan", "Runan", "Zhumadian West"),
        _leg(clock("02-16 09:31"), 378, "train", *railway[::-1]),
        _leg(clock("02-16 16:10"), 50, "road", "Shenzhen North", "Bantian", "Pinghu"),
        # On 02-17 an officer fits the wristband at her home; work begins the day after.
        *_pattern(rng, _days("02-18", "02-23"), *work),
        *_pattern(rng, ["02-24"], ("15:20", 60.0, "walk", _back("Pinghu", "Pinghu ecology park"))),
    ]
    phone = Device(
        person,
        "phone-2",
        "phone",
        "bd09",
        worn=whole,
        paces=_phone_paces(
            whole,
            days,
            [Pace(_window("02-03 19:00", "02-16 07:00"), 1500, 2700)],  # a village, app asleep
        ),
        # Not charged in the night of 02-12: empty the next noon, charged in the evening.
        charging=[
            *_each_day([d for d in days if d != "02-12"], "23:00", 7.5),
            _window("02-13 18:10", "02-13 21:00"),
        ],
        drain_pct_an_hour=3.5,
        off=[
            _window("01-31 23:35", "02-01 06:50"),
            _window("02-09 20:50", "02-10 07:55"),  # over the end of the leave
            _window("02-11 23:20", "02-12 07:10"),
            _window("02-19 00:10", "02-19 06:40"),
        ],
        gaps=[
            Gap(_window("01-30 13:05", "01-30 17:10"), newest_first=True),
            Gap(_window("02-06 11:30", "02-06 15:00")),
            Gap(_window("02-21 14:10", "02-21 15:45")),
        ],
        jumps=[
            Jump(clock("01-29 22:05"), MAST_FENGGANG, 1800),
            Jump(clock("02-01 21:50"), MAST_FENGGANG, 2000, times=3, apart_s=400),
            Jump(clock("02-18 22:20"), MAST_FENGGANG, 1800),
        ],
        outliers=[Outlier(clock("01-31 20:55"), 160, 140)],
        check_ins=[
            *_check_ins(rng, person, days[: days.index("02-18")], "normal"),
            *_check_ins(rng, person, days[days.index("02-18") :], "strict"),
        ],
    )
    band = Device(
        person,
        "band-21",
        "wristband",
        "wgs84",
        worn=banded,
        paces=[Pace(banded, 120, 120)],
        charging=_each_day(_days("02-17", "02-24"), "21:30", 1.5),
        drain_pct_an_hour=1.5,
        fixes_an_upload_at_rest=5,
        gaps=[Gap(_window("02-20 10:15", "02-20 12:05"), newest_first=True, fixes_an_upload=25)],
        jumps=[Jump(clock("02-22 22:40"), MAST_FENGGANG, 1900, times=3, apart_s=420)],
        outliers=[Outlier(clock("02-19 20:57"), -150, 110)],
    )
    place = {"district": "440307", "street": "平湖街道"}
    papers = [
        _supervisee(person, "01-29 00:00", level="normal", **place),
        _paper(
            "02-01 15:42",
            type="permit",
            supervisee_id=person,
            permit_id="L-88",
            kind="leave",
            **{"from": "2024-02-03T00:00:00+08:00", "until": "2024-02-09T24:00:00+08:00"},
            destinations=["410000"],
            status="granted",
        ),
        _paper(
            "02-16 18:12",
            type="return",
            supervisee_id=person,
            permit_id="L-88",
            time="2024-02-16T18:10:00+08:00",
        ),
        _supervisee(person, "02-17 10:00", level="strict", **place),
        _paper(
            "02-17 09:00",
            type="sanction",
            supervisee_id=person,
            sanction_id="W-1",
            kind="warning",
            time="2024-02-17T08:55:00+08:00",
        ),
        _paper("02-17 09:40", **_order(person, "A-21", "2024-02-17")),
    ]
    never = ["exclusion_zone", "leave_city", "off_itinerary", "separation", "spoofing", "tamper"]
    return Case(person, whole, Journey(PLACES["Pinghu"], legs), [phone, band], papers, never)


def case_c(rng: random.Random) -> Case:
    """Luohu: to Huizhou and back on 2024-02-13, with a wristband at one fix a minute."""
    person, days = "SZ-0003", _days("02-09", "02-16")
    whole = _window("02-09 00:00", "02-17 00:00")
    to_work = ("Chunfeng road", "Binhe road", "Huaqiangbei")
    shift = (
        ("09:50", 30.0, "metro", to_work),
        ("19:05", 30.0, "metro", to_work[::-1]),
        ("20:50", 45.0, "walk", _back("Chunfeng road", "riverside", "Binhe road")),
    )
    free = (
        ("10:30", 20.0, "walk", ("Chunfeng road", "Dongmen")),
        ("14:00", 80.0, "walk", ("Dongmen", "Renmin park", "Chunfeng road")),
        ("20:30", 50.0, "walk", _back("Chunfeng road", "riverside", "Binhe road")),
    )
    road = ("Chunfeng road", "Buji", "Henggang", "Longgang centre", "Pingdi", "Xinxu", "Huizhou")
    hill = ("Wutong hill foot", "Wutong hill top")
    legs = [
        *_pattern(rng, ["02-09"], *shift),
        *_pattern(rng, ["02-10"], *free),
        *_pattern(
            rng,
            ["02-11"],
            ("10:40", 35.0, "road", ("Chunfeng road", "Dongmen", "Wutong hill foot")),
            ("11:50", 270.0, "walk", _back(*hill)),
            ("16:50", 35.0, "road", ("Wutong hill foot", "Dongmen", "Chunfeng road")),
        ),
        *_pattern(rng, ["02-12"], *shift),
        _leg(clock("02-13 08:52"), 112, "road", *road),
        _leg(clock("02-13 11:40"), 25, "road", "Huizhou", "West Lake of Huizhou"),
        _leg(clock("02-13 13:10"), 70, "walk", *_back("West Lake of Huizhou", "Huizhou")),
        _leg(clock("02-13 17:30"), 15, "road", "West Lake of Huizhou", "Huizhou"),
        _leg(clock("02-13 17:48"), 121, "road", *road[::-1]),
        *_pattern(rng, ["02-14"], *free),
        *_pattern(rng, ["02-15", "02-16"], *shift),
    ]
    band = Device(
        person,
        "band-17",
        "wristband",
        "wgs84",
        worn=whole,
        paces=[Pace(whole, 60, 60)],
        charging=_each_day(days, "21:45", 1.5),
        drain_pct_an_hour=1.6,
        fixes_an_upload_at_rest=5,
        gaps=[
            Gap(_window("02-11 12:20", "02-11 15:40"), newest_first=True, fixes_an_upload=30),
            Gap(_window("02-13 13:30", "02-13 16:05"), newest_first=True, fixes_an_upload=30),
            Gap(_window("02-15 10:35", "02-15 11:50")),
        ],
        jumps=[
            Jump(clock("02-09 22:47"), MAST_SHEUNG_SHUI, 1500),
            Jump(clock("02-10 22:15"), MAST_LO_WU, 900, times=4, apart_s=330),
            Jump(clock("02-12 07:31"), MAST_LO_WU, 1000),
            Jump(clock("02-14 23:20"), MAST_SHEUNG_SHUI, 1300, times=3, apart_s=420),
            Jump(clock("02-16 02:12"), MAST_LO_WU, 800),
        ],
        outliers=[
            Outlier(clock("02-10 20:58"), 60, -280),
            Outlier(clock("02-14 20:47"), -120, -210),
        ],
        check_ins=_check_ins(rng, person, days, "strict"),
        check_in_device_id="phone-3",
    )
    papers = [
        _supervisee(person, "02-09 00:00", district="440303", street="南湖街道", level="strict"),
        _paper("02-09 00:00", **_order(person, "A-17", "2024-01-15")),
    ]
    never = [
        "exclusion_zone",
        "off_itinerary",
        "overdue_return",
        "separation",
        "spoofing",
        "tamper",
    ]
    return Case(person, whole, Journey(PLACES["Chunfeng road"], legs), [band], papers, never)
