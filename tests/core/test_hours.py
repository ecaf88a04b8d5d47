"""From when the hours of a named place count: other ones from when they arrive."""

from __future__ import annotations

import pytest
from test_zones import AWAY_M, HOME, SCHOOL, at_night
from timeline import HOME_M, Story, circle, moment, text

from geomon.core.person import Zone


def at_work_by_day() -> Story:
    """At home at night, as they have to be, and at work from nine to five, on two days."""
    story = Story(kinds={"curfew"})
    story.zone("10 08:00", HOME)
    for day in ("12", "13"):
        story.stay(f"{day} 06:00", f"{day} 09:00", every_s=120)
        story.stay(f"{day} 09:00", f"{day} 17:00", AWAY_M, every_s=120)
        story.stay(f"{day} 17:00", f"{day} 23:00", every_s=120)
    return story


def at(begin: str, until: str) -> Zone:
    return circle(HOME_M, 150, kind="curfew", zone_id="Z-H", daily=(begin, until))


@pytest.mark.parametrize("again", [1, 3])
def test_hours_entered_afterwards_judge_nothing_of_before(again: int) -> None:
    story = at_work_by_day()
    for _ in range(again):
        story.zone("13 23:00", at("08:00", "18:00"))
    story.stay("13 23:00", "14 09:00", every_s=120)
    assert story.told() == []
    story.stay("14 09:00", "14 10:00", AWAY_M, every_s=120)
    assert story.told() == ["opened curfew since 14 09:00 (away_from_place)"]


def test_hours_entered_while_somebody_is_away_count_from_then() -> None:
    story = Story(kinds={"curfew"})
    story.zone("10 08:00", HOME)
    story.stay("06:00", "09:00")
    story.stay("09:00", "12:00", AWAY_M)
    story.zone("12:00", at("08:00", "18:00"))
    story.stay("12:00", "12:30", AWAY_M)
    assert story.told() == ["opened curfew since 13 12:00 (away_from_place)"]
    assert story.alerts[0].detected_s <= moment("12:16")


@pytest.mark.parametrize("hours", [("22:00", "07:00"), ("20:00", "06:00")])
def test_an_episode_in_hours_that_old_and_new_have_goes_on(hours: tuple[str, str]) -> None:
    story = at_night()
    story.stay("20:00", "23:00", AWAY_M)
    story.zone("23:00", at(*hours))
    story.stay("23:00", "14 02:00", AWAY_M)
    assert story.told() == ["opened curfew since 13 22:00 (away_from_place)"]


def test_a_zone_that_is_said_to_have_begun_earlier_judges_nothing_of_before() -> None:
    story = Story(kinds={"exclusion_zone"})
    story.zone("07:00", circle(-3_000, 200, begin="15 00:00"))
    story.stay("07:30", "08:00")
    story.stay("08:00", "09:00", -3_000)
    story.stay("09:00", "10:00")
    story.zone("10:00", SCHOOL)
    story.stay("10:00", "11:00")
    assert story.told() == []


@pytest.mark.parametrize("what", ["curfew", "supervision"])
def test_a_curfew_that_begins_while_somebody_is_away_is_told_after_the_grace(what: str) -> None:
    """Unasked, by the clock: the last position is of five past, and then the phone is silent."""
    story = Story(device="phone", kinds={"curfew"})
    noon, always = "13 12:00", "01-01 00:00"
    story.supervised("07:00", noon if what == "supervision" else always, "12-31 00:00")
    begin = noon if what == "curfew" else always
    story.zone("07:00", circle(HOME_M, 150, kind="curfew", begin=begin))
    story.stay("08:00", "09:00", every_s=300)
    story.stay("09:00", "12:06", AWAY_M, every_s=300)
    story.clock("18:00")
    assert story.told()[0] == "opened curfew since 13 12:00 (away_from_place)"
    assert text(story.alerts[0].detected_s) == "13 12:15"
