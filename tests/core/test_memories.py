"""What a device kept for longer than the horizon, and sends when it is in coverage again."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, circle, fixes, moment

from geomon.core.step import TooLate

SCHOOL_M = -3_000.0
KINDS = ("leave_city", "exclusion_zone", "curfew")
#: Three days: out of the city on the first, in a forbidden zone and away at night on the second.
KEPT = [
    *fixes("13 08:00", "13 10:00", HOME_M, every_s=120),
    *fixes("13 10:00", "13 15:00", 5_000, every_s=120),
    *fixes("13 15:00", "14 10:00", HOME_M, every_s=120),
    *fixes("14 10:00", "14 12:00", SCHOOL_M, every_s=120),
    *fixes("14 12:00", "14 23:00", HOME_M, every_s=120),
    *fixes("14 23:00", "15 02:00", HOME_M - 3_000, every_s=120),
    *fixes("15 02:00", "16 09:00", HOME_M, every_s=120),
]


def out_of_coverage() -> Story:
    """Somebody with a forbidden zone and a curfew, last heard of at home on the 13th at eight."""
    story = Story(kinds=KINDS)
    story.zone("12 07:00", circle(SCHOOL_M, 200))
    home = circle(HOME_M, 150, kind="curfew", zone_id="Z-H", daily=("22:00", "06:00"))
    story.zone("12 07:00", home)
    story.stay("13 07:00", "13 08:00", every_s=120)
    return story


def send(story: Story, kept: list[Fix], *, apart_s: int, chunk: int) -> None:
    """It sends what it kept from the 16th at nine on, so many fixes at once, so long apart."""
    for n in range(0, len(kept), chunk):
        at_s = moment("16 09:00") + n // chunk * apart_s
        story.upload(at_s, kept[n : n + chunk], stored=True)
    story.clock("16 18:00")


@pytest.mark.parametrize("chunk", [20, 200])
@pytest.mark.parametrize("apart_s", [0, 3, 60])
def test_three_days_oldest_first_are_told_however_fast_they_come(apart_s: int, chunk: int) -> None:
    """What is gathered goes beyond the horizon meanwhile: it is judged before, not dropped."""
    story = out_of_coverage()
    send(story, KEPT, apart_s=apart_s, chunk=chunk)
    assert story.others == [], "nothing of it was too late"
    assert story.episodes() == [
        ("curfew", "14 23:00", "15 02:00"),
        ("exclusion_zone", "14 10:00", "14 12:00"),
        ("leave_city", "13 10:00", "13 15:00"),
    ]


@pytest.mark.parametrize("apart_s", [0, 3, 60])
def test_three_days_newest_first_count_what_is_too_late(apart_s: int) -> None:
    story = out_of_coverage()
    send(story, KEPT[::-1], apart_s=apart_s, chunk=200)
    too_late = sum(outcome[0] for outcome in story.others if isinstance(outcome, TooLate))
    assert too_late == sum(fix.time_s < story.person.origin_min * 60 for fix in KEPT)
    assert story.episodes() == []


#: What a satellite receiver loses when its counter of weeks begins anew.
ROLLOVER_S = 1_024 * 7 * 86_400


def test_a_new_band_whose_clock_is_years_back_makes_nobody_an_absentee() -> None:
    """On leave, in Dongguan, given a band that has not found its satellites yet."""
    story = Story(kinds=KINDS)
    story.supervised("10 00:00", "01-01 00:00", "12-31 00:00")
    story.leave("10 08:00", "10 09:00", "20 20:00", to=("441900",))
    seen = fixes("13 08:00", "13 15:00", 5_000, every_s=120)
    for fix in seen[:6]:
        wrong = fix._replace(time_s=fix.time_s - ROLLOVER_S)
        story.upload(fix.time_s + 5, [wrong])
    story.live(seen[6:])
    assert story.told() == []
    assert [outcome[0] for outcome in story.others if isinstance(outcome, TooLate)] == [1] * 6


def test_its_wrong_fixes_among_right_ones_are_refused_alone() -> None:
    story = Story(kinds=KINDS)
    seen = fixes("13 08:00", "13 09:00", 5_000, every_s=120)
    wrong = [fix._replace(time_s=fix.time_s - ROLLOVER_S) for fix in seen[:4]]
    story.upload("13 09:00", [*wrong, *seen[4:]])
    assert story.others == [TooLate((4, wrong[-1].time_s))]
    story.clock("13 09:10")
    assert story.episodes() == [("leave_city", "13 08:08", "")]


def test_what_a_new_band_kept_of_its_first_day_counts() -> None:
    story = Story(kinds=KINDS)
    story.upload("14 07:59", fixes("13 09:00", "13 12:00", 5_000, every_s=120), stored=True)
    story.clock("14 08:10")
    assert story.episodes() == [("leave_city", "13 09:00", "")]
