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
