"""A place across the line that was seen, contradicted, and is where somebody really is later."""

from __future__ import annotations

import pytest
from test_zones import AWAY_M, HOME
from timeline import HOME_M, Fix, Story, fixes, moment

#: Far from any home, and near enough to be doubted.
OUT_M = 5_000.0
#: By source: claimed radius, m.
CLAIMS = {"wifi": 30.0, "cell": 800.0}


def visited(days: list[str], source: str, every_s: int) -> Story:
    """Somebody at home from the 1st to the 12th; at noon of these days the phone was out, once."""
    story = Story(device="phone")
    noons = {moment(f"{day} 12:00") for day in days}
    for fix in fixes("01 00:00", "12 00:00", HOME_M, every_s=every_s):
        out = Fix(fix.time_s, OUT_M, source, CLAIMS[source])
        story.live([out if fix.time_s in noons else fix])
    assert story.told() == []
    return story


def told_after_h(story: Story, source: str, every_s: int) -> float:
    """Hours until it is told that they have gone there at midnight; a day at most."""
    claim_m = CLAIMS[source]
    story.live(
        fixes("12 00:00", "13 00:00", OUT_M, every_s=every_s, source=source, accuracy_m=claim_m)
    )
    assert story.alerts, "not told in a day"
    return (story.alerts[0].detected_s - moment("12 00:00")) / 3600


@pytest.mark.parametrize("every_s", [600, 1_800])
@pytest.mark.parametrize("source", ["wifi", "cell"])
@pytest.mark.parametrize("days", [["02"], ["02", "03", "04"]])
def test_a_visit_of_last_week_delays_nobody(source: str, every_s: int, days: list[str]) -> None:
    never_there = told_after_h(visited([], source, every_s), source, every_s)
    once_there = told_after_h(visited(days, source, every_s), source, every_s)
    assert once_there <= never_there + 0.25


@pytest.mark.parametrize("source", ["wifi", "cell"])
def test_a_place_that_was_wrong_daily_is_told_of_some_hours_late(source: str) -> None:
    """However often it was nothing, a day later it may be something."""
    days = [f"{day:02}" for day in range(2, 12)]
    never_there = told_after_h(visited([], source, 1_800), source, 1_800)
    assert told_after_h(visited(days, source, 1_800), source, 1_800) <= never_there + 6


def test_the_same_again_within_the_hour_is_still_the_same() -> None:
    """A mast across the river that answers for ten minutes of each half hour."""
    story = Story(device="phone")
    for fix in fixes("08:00", "20:00", HOME_M, every_s=300):
        answers = fix.time_s // 300 % 6 < 2 and fix.time_s >= moment("09:00")
        story.live([Fix(fix.time_s, OUT_M, "cell", 800.0) if answers else fix])
    assert story.told() == []


@pytest.mark.parametrize("strays", [["12:00"], ["09:00", "13:00", "17:00", "21:30"]])
def test_a_stray_position_hours_ago_makes_no_curfew_deaf(strays: list[str]) -> None:
    """600 m from home at noon and back a minute later; really away from half past ten on."""
    story = Story(kinds={"curfew"})
    story.zone("07:00", HOME)
    noons = {moment(clock) for clock in strays}
    for fix in fixes("08:00", "22:30", HOME_M):
        story.live([fix._replace(outside_m=HOME_M - 600) if fix.time_s in noons else fix])
    assert story.told() == []
    story.stay("22:30", "14 05:00", AWAY_M)
    assert story.told() == ["opened curfew since 13 22:30 (away_from_place)"]
    assert story.alerts[0].detected_s <= moment("22:46")
