"""How grave an episode is: it rises with time, not with the number of pings; what led to what."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, circle, fixes, moment, text

from geomon.core.observed import STRAP_OPEN
from geomon.core.rules import Rules
from geomon.core.severity import raised
from geomon.settings import Settings, rules_from

HOUR_S = 3_600
RISING = Rules(escalate_s=(4 * HOUR_S, 24 * HOUR_S, 72 * HOUR_S))


def risen(story: Story) -> list[tuple[str, str, str, str]]:
    """When each alert was told, its phase, reason and severity."""
    return [(text(a.detected_s), a.phase, a.reason, a.severity) for a in story.alerts]


def test_an_absence_becomes_graver_with_age() -> None:
    story = Story(RISING, device="phone")
    story.stay("08:00", "09:00", every_s=600)
    story.stay("09:00", "10:00", 30_000, every_s=600)
    told = text(story.alerts[0].detected_s)
    story.clock("20 09:00")
    assert risen(story) == [
        (told, "opened", "outside_without_leave", "high"),
        ("13 13:00", "updated", "still_open", "critical"),
    ]


def test_pings_make_nothing_graver() -> None:
    """Four hours of positions every ten seconds weigh no more than a few."""
    story = Story(RISING)
    story.stay("08:00", "09:00")
    story.stay("09:00", "12:59", 3_000, every_s=10)
    assert [a.severity for a in story.alerts] == ["high"]


def test_the_default_ages_are_four_hours_a_day_and_three_days() -> None:
    assert rules_from(Settings()).escalate_s == RISING.escalate_s


def test_silence_rises_by_steps_counted_from_when_it_was_more_than_the_plan_allows() -> None:
    story = Story(RISING, device="phone", kinds={"lost_contact"})
    story.heartbeat("08:00")
    story.clock("15 07:00")
    assert risen(story) == [
        ("13 20:00", "opened", "silent", "medium"),
        ("14 00:00", "updated", "still_open", "high"),
        ("14 20:00", "updated", "still_open", "critical"),
    ]


def test_no_position_rises_to_high_and_no_further() -> None:
    story = Story(RISING, device="phone", kinds={"no_fix"})
    story.upload("08:00", [Fix(moment("08:00"), HOME_M)])
    story.heartbeats("08:00", "20 08:00", every_s=1_800)
    assert risen(story) == [
        ("13 14:00", "opened", "no_usable_fix", "low"),
        ("13 18:00", "updated", "still_open", "medium"),
        ("14 14:00", "updated", "still_open", "high"),
    ]


def test_a_forbidden_zone_rises_to_critical() -> None:
    story = Story(RISING, kinds={"exclusion_zone"})
    story.zone("07:00", circle(-3_000, 200))
    story.stay("07:30", "08:00")
    story.stay("08:00", "20:00", -3_000)
    assert [row[2:] for row in risen(story)] == [
        ("in_forbidden_zone", "high"),
        ("still_open", "critical"),
    ]
    assert text(story.alerts[1].detected_s) == "13 12:00"


def test_a_curfew_rises_to_high() -> None:
    story = Story(RISING, kinds={"curfew"})
    story.zone("07:00", circle(HOME_M, 150, kind="curfew", daily=("18:00", "08:00")))
    story.stay("12:00", "14 07:00", -3_000)
    assert [row[2:] for row in risen(story)] == [
        ("away_from_place", "medium"),
        ("still_open", "high"),
    ]


@pytest.mark.parametrize("kind", ["tamper", "low_battery"])
def test_what_was_found_is_as_grave_as_it_is_however_old(kind: str) -> None:
    story = Story(RISING, kinds={kind})
    story.heartbeat("08:00", battery_pct=10, flags=STRAP_OPEN)
    story.clock("25 08:00")
    assert [a.phase for a in story.alerts] == ["opened"]


def test_a_closed_episode_rises_no_more() -> None:
    story = Story(RISING)
    story.stay("08:00", "09:00")
    story.stay("09:00", "10:00", 3_000)
    story.stay("10:00", "11:00")
    story.clock("20 09:00")
    assert [a.phase for a in story.alerts] == ["opened", "closed"]


def test_what_is_found_late_opens_with_the_severity_of_its_age() -> None:
    """Told six hours after it began, from a band's memory: no update follows at once."""
    story = Story(RISING)
    story.stay("08:00", "09:00")
    story.upload("15:00", fixes("09:00", "15:00", 3_000), stored=True)
    story.clock("15:10")
    assert [(a.phase, a.severity) for a in story.alerts] == [("opened", "critical")]


def test_what_is_opened_again_has_the_severity_of_its_age() -> None:
    """Supervision ended and is resumed six hours after the person left."""
    story = Story(RISING, device="phone")
    story.supervised("07:00", "01-01 00:00", "13 11:00")
    story.stay("08:00", "09:00", every_s=600)
    story.stay("09:00", "10:00", 30_000, every_s=600)
    story.clock("12:00")
    story.supervised("15:00", "01-01 00:00", "12-31 00:00")
    story.clock("15:01")
    assert [row[1:] for row in risen(story)] == [
        ("opened", "outside_without_leave", "high"),
        ("closed", "supervision_ended", "high"),
        ("opened", "outside_without_leave", "critical"),
    ]


def test_another_level_moves_the_age_from_which_silence_rises() -> None:
    """Under the loose plan a day of silence is allowed: it rises four hours after that."""
    story = Story(rules_from(Settings()), device="phone", kinds={"lost_contact"})
    story.supervised("07:00", "01-01 00:00", "12-31 00:00", level="normal")
    story.heartbeat("08:00")
    story.supervised("13 21:00", "01-01 00:00", "12-31 00:00", level="loose")
    story.clock("14 13:00")
    assert risen(story) == [
        ("13 20:00", "opened", "silent", "medium"),
        ("14 12:00", "updated", "still_open", "high"),
    ]


def test_there_is_an_end_to_how_grave_anything_is() -> None:
    assert raised("critical", 3) == "critical"
    assert raised("info", -1) == "info"
    assert raised("low", 2) == "high"


# What led to what.


def test_leaving_after_the_strap_was_cut_is_linked_to_it() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.heartbeat("08:59", flags=STRAP_OPEN)
    story.stay("09:00", "09:30", 3_000)
    assert [a.cause for a in story.alerts] == [f"tamper/{moment('08:59')}"]


def test_leaving_out_of_contact_is_linked_to_the_silence() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("12:00", "12:10", 3_000)
    assert [a.cause for a in story.alerts] == [f"lost_contact/{moment('08:59:05')}"]


def test_what_ended_long_before_led_to_nothing() -> None:
    """The battery was low in the morning and charged at noon; silence begins in the evening."""
    story = Story(device="phone", kinds={"lost_contact"})
    story.heartbeat("08:00", battery_pct=3)
    story.heartbeat("12:00", battery_pct=90)
    story.fix("13:00", HOME_M)
    story.heartbeat("18:00")
    story.clock("14 08:00")
    assert [a.cause for a in story.alerts] == [""]


def test_an_episode_that_follows_from_nothing_says_so() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("09:00", "09:30", 3_000)
    assert [a.cause for a in story.alerts] == [""]
