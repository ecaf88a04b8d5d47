"""The three cases as lists of legs, devices and papers: what an author would write by hand.

Days follow patterns (a working day, a day off) whose times move by some minutes from day to day;
the journeys that matter are written out.
"""

from __future__ import annotations

import random

from geomon.cases.device import Device, Gap, Jump, Outlier, Pace
from geomon.cases.journey import Journey, clock
from geomon.cases.outline import (
    Case,
    band_order,
    check_ins,
    days_from_to,
    each_day,
    leg,
    paper,
    pattern,
    phone_paces,
    supervisee,
    there_and_back,
    window,
)
from geomon.cases.places import (
    MAST_FENGGANG,
    MAST_LO_WU,
    MAST_SAN_TIN,
    MAST_SHEUNG_SHUI,
    MAST_TSIM_BEI_TSUI,
    PLACES,
)

__all__ = ["case_a", "case_b", "case_c"]


def case_a(rng: random.Random) -> Case:
    """Futian: from 2024-02-05 to 2024-02-21 in Guangxi without leave."""
    person, days = "SZ-0001", days_from_to("01-29", "02-24")
    whole = window("01-29 00:00", "02-25 00:00")
    to_work = ("Lianhua", "civic centre", "mangrove park", "science park")
    work = (
        ("07:50", 38.0, "metro", to_work),
        ("18:25", 42.0, "metro", to_work[::-1]),
        ("20:20", 55.0, "walk", there_and_back("Lianhua", "Lianhua hill", "civic centre")),
    )
    market = ("09:30", 25.0, "walk", ("village near Bobai", "Bobai"))
    home_again = ("15:40", 30.0, "road", ("Bobai", "village near Bobai"))
    relatives = there_and_back("village near Bobai", "Bobai", "Yulin")
    legs = [
        *pattern(rng, ["01-29", "01-30"], *work),
        *pattern(rng, ["01-31"], *work[:2]),
        # Friday's way home leads through the park on the bay, on foot.
        *pattern(
            rng,
            ["02-01"],
            work[0],
            ("18:10", 25.0, "road", ("science park", "bay park")),
            ("19:00", 75.0, "walk", there_and_back("bay park", "mangrove park")),
            ("20:50", 35.0, "metro", ("bay park", "mangrove park", "civic centre", "Lianhua")),
        ),
        *pattern(rng, ["02-02"], *work),
        *pattern(
            rng,
            ["02-03"],
            ("13:40", 25.0, "metro", ("Lianhua", "civic centre", "Huanggang village")),
            ("20:40", 25.0, "metro", ("Huanggang village", "civic centre", "Lianhua")),
        ),
        *pattern(rng, ["02-04"], *work),
        # The journey of the case: by car to Guangxi, with a rest at Humen and one at Kaiping.
        leg(
            *(clock("02-05 07:20"), 85, "road"),
            *("Lianhua", "Nantou", "Bao'an", "Xixiang", "Hezhou", "Fuyong", "Shajing"),
            *("Songgang", "Chang'an", "Humen"),
        ),
        leg(
            *(clock("02-05 09:05"), 170, "road"),
            *("Humen", "Humen bridge west", "Shunde", "Jiangmen", "Kaiping"),
        ),
        leg(clock("02-05 12:30"), 290, "road", "Kaiping", "Luoding", "Cenxi", "Yulin", "Bobai"),
        leg(clock("02-05 17:35"), 20, "road", "Bobai", "village near Bobai"),
        *pattern(rng, days_from_to("02-06", "02-11"), market, home_again),
        *pattern(rng, ["02-12"], ("09:10", 400.0, "road", relatives)),
        *pattern(rng, days_from_to("02-13", "02-20"), market, home_again),
        leg(clock("02-21 08:10"), 20, "road", "village near Bobai", "Bobai"),
        leg(clock("02-21 08:35"), 285, "road", "Bobai", "Yulin", "Cenxi", "Luoding", "Kaiping"),
        leg(
            *(clock("02-21 13:50"), 175, "road"),
            *("Kaiping", "Jiangmen", "Shunde", "Humen bridge west", "Humen"),
        ),
        leg(
            *(clock("02-21 17:10"), 95, "road"),
            *("Humen", "Chang'an", "Songgang", "Shajing", "Fuyong", "Hezhou", "Xixiang"),
            *("Bao'an", "Nantou", "Lianhua"),
        ),
        *pattern(rng, days_from_to("02-22", "02-24"), *work),
    ]
    nights = each_day([d for d in days if d != "01-30"], "23:00", 7.5)
    phone = Device(
        person,
        "phone-1",
        "phone",
        "gcj02",
        worn=whole,
        paces=phone_paces(
            whole,
            days,
            [Pace(window("02-05 18:00", "02-21 08:00"), 2700, 4500)],  # a village, app asleep
        ),
        # Not charged in the night of 01-30: empty towards noon, charged at home in the evening.
        charging=[*nights, window("01-31 19:20", "01-31 22:00")],
        drain_pct_an_hour=3.5,
        off=[
            window("02-01 23:40", "02-02 06:35"),
            window("02-03 23:30", "02-04 07:05"),
            window("02-09 01:30", "02-09 07:40"),
            window("02-22 23:50", "02-23 06:20"),
        ],
        gaps=[
            Gap(window("02-02 09:40", "02-02 13:20")),
            Gap(window("02-11 10:00", "02-11 15:30"), newest_first=True),
            Gap(window("02-23 09:10", "02-23 14:40"), newest_first=True, fixes_an_upload=8),
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
        check_ins=check_ins(rng, person, days, "normal"),
    )
    papers = [
        supervisee(person, "01-29 00:00", district="440304", street="莲花街道", level="normal")
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
    person, days = "SZ-0002", days_from_to("01-29", "02-24")
    whole, banded = window("01-29 00:00", "02-25 00:00"), window("02-17 10:06", "02-25 00:00")
    to_work = ("Pinghu", "Nanwan", "Henggang", "Longgang centre")
    work = (
        ("08:10", 50.0, "road", to_work),
        ("18:40", 55.0, "road", to_work[::-1]),
        ("20:45", 40.0, "walk", there_and_back("Pinghu", "Pinghu ecology park")),
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
        *pattern(rng, days_from_to("01-29", "02-02"), *work),
        leg(clock("02-03 08:25"), 45, "road", "Pinghu", "Bantian", "Shenzhen North"),
        leg(clock("02-03 09:48"), 395, "train", *railway),
        leg(clock("02-03 17:00"), 70, "road", "Zhumadian West", "Runan", "village near Runan"),
        *pattern(rng, days_from_to("02-04", "02-08"), *visits),
        *pattern(rng, days_from_to("02-11", "02-14"), *visits),
        leg(clock("02-16 07:35"), 75, "road", "village near Runan", "Runan", "Zhumadian West"),
        leg(clock("02-16 09:31"), 378, "train", *railway[::-1]),
        leg(clock("02-16 16:10"), 50, "road", "Shenzhen North", "Bantian", "Pinghu"),
        # On 02-17 an officer fits the wristband at her home; work begins the day after.
        *pattern(rng, days_from_to("02-18", "02-23"), *work),
        *pattern(
            rng, ["02-24"], ("15:20", 60.0, "walk", there_and_back("Pinghu", "Pinghu ecology park"))
        ),
    ]
    phone = Device(
        person,
        "phone-2",
        "phone",
        "bd09",
        worn=whole,
        paces=phone_paces(
            whole,
            days,
            [Pace(window("02-03 19:00", "02-16 07:00"), 1500, 2700)],  # a village, app asleep
        ),
        # Not charged in the night of 02-12: empty the next noon, charged in the evening.
        charging=[
            *each_day([d for d in days if d != "02-12"], "23:00", 7.5),
            window("02-13 18:10", "02-13 21:00"),
        ],
        drain_pct_an_hour=3.5,
        off=[
            window("01-31 23:35", "02-01 06:50"),
            window("02-09 20:50", "02-10 07:55"),  # over the end of the leave
            window("02-11 23:20", "02-12 07:10"),
            window("02-19 00:10", "02-19 06:40"),
        ],
        gaps=[
            Gap(window("01-30 13:05", "01-30 17:10"), newest_first=True),
            Gap(window("02-06 11:30", "02-06 15:00")),
            Gap(window("02-21 14:10", "02-21 15:45")),
        ],
        jumps=[
            Jump(clock("01-29 22:05"), MAST_FENGGANG, 1800),
            Jump(clock("02-01 21:50"), MAST_FENGGANG, 2000, times=3, apart_s=400),
            Jump(clock("02-18 22:20"), MAST_FENGGANG, 1800),
        ],
        outliers=[Outlier(clock("01-31 20:55"), 160, 140)],
        check_ins=[
            *check_ins(rng, person, days[: days.index("02-18")], "normal"),
            *check_ins(rng, person, days[days.index("02-18") :], "strict"),
        ],
    )
    band = Device(
        person,
        "band-21",
        "wristband",
        "wgs84",
        worn=banded,
        paces=[Pace(banded, 120, 120)],
        charging=each_day(days_from_to("02-17", "02-24"), "21:30", 1.5),
        drain_pct_an_hour=1.5,
        fixes_an_upload_at_rest=5,
        gaps=[Gap(window("02-20 10:15", "02-20 12:05"), newest_first=True, fixes_an_upload=25)],
        jumps=[Jump(clock("02-22 22:40"), MAST_FENGGANG, 1900, times=3, apart_s=420)],
        outliers=[Outlier(clock("02-19 20:57"), -150, 110)],
    )
    place = {"district": "440307", "street": "平湖街道"}
    papers = [
        supervisee(person, "01-29 00:00", level="normal", **place),
        paper(
            "02-01 15:42",
            type="permit",
            supervisee_id=person,
            permit_id="L-88",
            kind="leave",
            **{"from": "2024-02-03T00:00:00+08:00", "until": "2024-02-09T24:00:00+08:00"},
            destinations=["410000"],
            status="granted",
        ),
        paper(
            "02-16 18:12",
            type="return",
            supervisee_id=person,
            permit_id="L-88",
            time="2024-02-16T18:10:00+08:00",
        ),
        supervisee(person, "02-17 10:00", level="strict", **place),
        paper(
            "02-17 09:00",
            type="sanction",
            supervisee_id=person,
            sanction_id="W-1",
            kind="warning",
            time="2024-02-17T08:55:00+08:00",
        ),
        paper("02-17 09:40", **band_order(person, "A-21", "2024-02-17")),
    ]
    never = ["exclusion_zone", "leave_city", "off_itinerary", "separation", "spoofing", "tamper"]
    return Case(person, whole, Journey(PLACES["Pinghu"], legs), [phone, band], papers, never)


def case_c(rng: random.Random) -> Case:
    """Luohu: to Huizhou and back on 2024-02-13, with a wristband at one fix a minute."""
    person, days = "SZ-0003", days_from_to("02-09", "02-16")
    whole = window("02-09 00:00", "02-17 00:00")
    to_work = ("Chunfeng road", "Binhe road", "Huaqiangbei")
    shift = (
        ("09:50", 30.0, "metro", to_work),
        ("19:05", 30.0, "metro", to_work[::-1]),
        ("20:50", 45.0, "walk", there_and_back("Chunfeng road", "riverside", "Binhe road")),
    )
    free = (
        ("10:30", 20.0, "walk", ("Chunfeng road", "Dongmen")),
        ("14:00", 80.0, "walk", ("Dongmen", "Renmin park", "Chunfeng road")),
        ("20:30", 50.0, "walk", there_and_back("Chunfeng road", "riverside", "Binhe road")),
    )
    road = ("Chunfeng road", "Buji", "Henggang", "Longgang centre", "Pingdi", "Xinxu", "Huizhou")
    hill = ("Wutong hill foot", "Wutong hill top")
    legs = [
        *pattern(rng, ["02-09"], *shift),
        *pattern(rng, ["02-10"], *free),
        *pattern(
            rng,
            ["02-11"],
            ("10:40", 35.0, "road", ("Chunfeng road", "Dongmen", "Wutong hill foot")),
            ("11:50", 270.0, "walk", there_and_back(*hill)),
            ("16:50", 35.0, "road", ("Wutong hill foot", "Dongmen", "Chunfeng road")),
        ),
        *pattern(rng, ["02-12"], *shift),
        leg(clock("02-13 08:52"), 112, "road", *road),
        leg(clock("02-13 11:40"), 25, "road", "Huizhou", "West Lake of Huizhou"),
        leg(clock("02-13 13:10"), 70, "walk", *there_and_back("West Lake of Huizhou", "Huizhou")),
        leg(clock("02-13 17:30"), 15, "road", "West Lake of Huizhou", "Huizhou"),
        leg(clock("02-13 17:48"), 121, "road", *road[::-1]),
        *pattern(rng, ["02-14"], *free),
        *pattern(rng, ["02-15", "02-16"], *shift),
    ]
    band = Device(
        person,
        "band-17",
        "wristband",
        "wgs84",
        worn=whole,
        paces=[Pace(whole, 60, 60)],
        charging=each_day(days, "21:45", 1.5),
        drain_pct_an_hour=1.6,
        fixes_an_upload_at_rest=5,
        gaps=[
            Gap(window("02-11 12:20", "02-11 15:40"), newest_first=True, fixes_an_upload=30),
            Gap(window("02-13 13:30", "02-13 16:05"), newest_first=True, fixes_an_upload=30),
            Gap(window("02-15 10:35", "02-15 11:50")),
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
        check_ins=check_ins(rng, person, days, "strict"),
        check_in_device_id="phone-3",
    )
    papers = [
        supervisee(person, "02-09 00:00", district="440303", street="南湖街道", level="strict"),
        paper("02-09 00:00", **band_order(person, "A-17", "2024-01-15")),
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
