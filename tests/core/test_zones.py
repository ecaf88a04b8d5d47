"""Places named for one person: forbidden ones (禁止区域), and the one to be at (curfew)."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, circle, fixes, moment, text

from geomon.core.person import Zone
from geomon.core.rules import Rules
from geomon.settings import Settings, rules_from

SCHOOL = circle(-3_000, 200)
HOME = circle(HOME_M, 150, kind="curfew", zone_id="Z-H", daily=("22:00", "06:00"))
AWAY_M = HOME_M + 3_000
LEVELLED = rules_from(Settings(escalate_after_h=[]))


def forbidden(zone: Zone = SCHOOL, *, device: str = "wristband") -> Story:
    """Somebody at home for whom a zone was named at 07:00."""
    story = Story(device=device, kinds={"exclusion_zone"})
    story.zone("07:00", zone)
    story.stay("07:30", "08:00")
    return story


def at_night(rules: Rules | None = None, *, zone: Zone = HOME, level: str = "") -> Story:
    """Somebody who is to be at home at night, and is there in the evening."""
    story = Story(rules, kinds={"curfew"})
    if level:
        story.supervised("06:00", "01-01 00:00", "12-31 00:00", level=level)
    story.zone("07:00", zone)
    story.stay("19:00", "20:00")
    return story


# Forbidden zones.


def test_entered_and_left() -> None:
    story = forbidden()
    story.stay("08:00", "09:00", -3_000)
    story.stay("09:00", "09:30")
    assert story.told() == [
        "opened exclusion_zone since 13 08:00 (in_forbidden_zone)",
        "closed exclusion_zone since 13 08:00 until 13 09:00 (left_zone)",
    ]
    opened, closed = story.alerts
    assert (opened.severity, dict(opened.detail)) == ("high", {"zone_id": "Z-1"})
    assert opened.detected_s - opened.since_s <= 4 * 60
    assert closed.detected_s - closed.until_s <= 4 * 60
    assert opened.evidence, "the fixes that decided it are given"
    assert all(clue.distance_m == -3_000 for clue in opened.evidence)


def test_later_fixes_inside_make_no_new_alarm() -> None:
    story = forbidden()
    story.stay("08:00", "16 08:00", -3_000, every_s=120)
    assert len(story.told()) == 1


def test_already_inside_when_the_zone_is_named() -> None:
    story = Story(kinds={"exclusion_zone"})
    story.stay("08:00", "09:00", -3_000)
    story.zone("09:00", SCHOOL)
    story.stay("09:00", "09:10", -3_000)
    (opened,) = story.alerts
    assert opened.phase == "opened"
    assert opened.detected_s <= moment("09:04")


def test_driving_past_is_not_entering() -> None:
    story = forbidden()
    story.stay("08:00", "08:30", -3_000, east_m=600)
    assert story.told() == []


@pytest.mark.parametrize(
    ("source", "accuracy_m"), [("gnss", 8.0), ("wifi", 100.0), ("cell", 1_000.0)]
)
def test_one_fix_in_the_zone_is_not_believed(source: str, accuracy_m: float) -> None:
    story = forbidden()
    story.fix("08:00", -3_000, source, accuracy_m=accuracy_m)
    story.stay("08:01", "09:00")
    assert story.told() == []


@pytest.mark.parametrize(("radius_m", "accuracy_m"), [(50, 200), (100, 400), (20, 60)])
def test_a_zone_smaller_than_the_accuracy_is_not_entered(
    radius_m: float, accuracy_m: float
) -> None:
    """Such a position is as likely outside it as in it, however often it is repeated."""
    story = forbidden(circle(-3_000, radius_m), device="phone")
    seen = fixes("08:00", "20:00", -3_000, every_s=600, source="wifi", accuracy_m=accuracy_m)
    story.live(seen)
    assert story.told() == []


def test_a_small_zone_is_entered_by_those_whose_position_is_good() -> None:
    story = forbidden(circle(-3_000, 50))
    story.live(fixes("08:00", "09:00", -3_000, accuracy_m=8))
    assert len(story.told()) == 1


def test_jitter_at_its_edge_opens_and_closes_nothing() -> None:
    """Somebody lives 30 m beside it: of the positions every other lies within."""
    story = forbidden()
    edge_m = -3_000 + 200 + 30
    wander = [-45.0, 5.0, -35.0, 0.0, -40.0, 10.0]
    for n, fix in enumerate(fixes("08:00", "14 08:00", 0, every_s=300)):
        story.live([fix._replace(outside_m=edge_m + wander[n % 6])])
    assert story.told() == []


def test_in_force_by_schedule_only() -> None:
    story = forbidden(circle(-3_000, 200, daily=("12:00", "14:00")))
    story.stay("09:00", "11:00", -3_000)
    assert story.told() == []
    story.stay("11:00", "15:00", -3_000)
    assert story.told() == [
        "opened exclusion_zone since 13 12:00 (in_forbidden_zone)",
        "closed exclusion_zone since 13 12:00 until 13 14:00 (window_ended)",
    ]
    assert [text(a.detected_s) for a in story.alerts] == ["13 12:00", "13 14:00"]


def test_a_schedule_for_some_days() -> None:
    """Weekdays only; 2024-02-17 is a Saturday."""
    zone = circle(-3_000, 200)
    weekdays = Zone(
        *(zone.zone_id, zone.kind, zone.ring, zone.radius_m),
        *(((0b001_1111, 8 * 3600, 18 * 3600),), zone.from_s, zone.until_s),
    )
    story = Story(kinds={"exclusion_zone"})
    story.zone("16 07:00", weekdays)
    story.stay("16 20:00", "19 09:00", -3_000, every_s=120)
    assert story.told() == ["opened exclusion_zone since 19 08:00 (in_forbidden_zone)"]


def test_a_zone_that_is_taken_back_emits_an_exit() -> None:
    story = forbidden()
    story.stay("08:00", "09:00", -3_000)
    story.zone("09:00", SCHOOL, removed=True)
    assert story.told()[1:] == [
        "closed exclusion_zone since 13 08:00 until 13 09:00 (zone_removed)"
    ]
    story.stay("09:00", "10:00", -3_000)
    assert len(story.told()) == 2


def test_a_zone_that_expires_emits_an_exit() -> None:
    story = forbidden(circle(-3_000, 200, end="13 09:00"))
    story.stay("08:00", "08:30", -3_000)
    story.clock("10:00")
    assert story.told()[1:] == [
        "closed exclusion_zone since 13 08:00 until 13 09:00 (window_ended)"
    ]
    assert text(story.alerts[1].detected_s) == "13 09:00"


def test_a_zone_not_yet_in_force() -> None:
    story = forbidden(circle(-3_000, 200, begin="13 10:00"))
    story.stay("08:00", "11:00", -3_000)
    assert story.told() == ["opened exclusion_zone since 13 10:00 (in_forbidden_zone)"]


def test_a_zone_named_again_keeps_what_is_known() -> None:
    story = forbidden()
    story.stay("08:00", "09:00", -3_000)
    story.zone("09:00", SCHOOL)
    story.stay("09:00", "10:00", -3_000)
    assert len(story.told()) == 1


def test_a_zone_prolonged_while_somebody_is_in_it_stays_one_episode() -> None:
    story = forbidden(circle(-3_000, 200, end="13 12:00"))
    story.stay("08:00", "09:00", -3_000)
    story.zone("09:00", circle(-3_000, 200, end="14 12:00"))
    story.stay("09:00", "13:00", -3_000)
    assert story.told() == ["opened exclusion_zone since 13 08:00 (in_forbidden_zone)"]


def test_two_zones_one_after_the_other() -> None:
    story = forbidden()
    story.zone("07:00", circle(-4_500, 200, zone_id="Z-2"))
    story.stay("08:00", "09:00", -3_000)
    story.stay("09:00", "10:00", -4_500)
    story.stay("10:00", "11:00")
    assert story.told() == [
        "opened exclusion_zone since 13 08:00 (in_forbidden_zone)",
        "closed exclusion_zone since 13 08:00 until 13 09:00 (left_zone)",
        "opened exclusion_zone since 13 09:00 (in_forbidden_zone)",
        "closed exclusion_zone since 13 09:00 until 13 10:00 (left_zone)",
    ]
    assert [dict(a.detail)["zone_id"] for a in story.alerts] == ["Z-1", "Z-1", "Z-2", "Z-2"]


@pytest.mark.parametrize(("left", "stays_in"), [("Z-2", "Z-1"), ("Z-1", "Z-2")])
def test_two_zones_entered_together_and_one_of_them_left(left: str, stays_in: str) -> None:
    """An episode is named by when it began, and both began at once: it lasts until the last."""
    story = Story(kinds={"exclusion_zone"})
    story.zone("07:00", circle(-3_000, 2_000, zone_id=stays_in))
    story.zone("07:00", circle(-2_600, 250, zone_id=left))
    story.stay("07:30", "08:00")
    story.stay("08:00", "09:00", -2_600)
    story.stay("09:00", "10:00", -3_900)
    assert story.episodes() == [("exclusion_zone", "13 08:00", "")]
    story.stay("10:00", "10:30")
    assert story.episodes() == [("exclusion_zone", "13 08:00", "13 10:00")]


def test_the_end_of_supervision_ends_it() -> None:
    story = Story(kinds={"exclusion_zone"})
    story.supervised("06:00", "01-01 00:00", "13 09:00")
    story.zone("07:00", SCHOOL)
    story.stay("07:00", "08:00")
    story.stay("08:00", "10:00", -3_000)
    assert story.told()[1:] == [
        "closed exclusion_zone since 13 08:00 until 13 09:00 (supervision_ended)"
    ]


# Curfew.


def test_already_away_as_the_window_begins() -> None:
    """Only edges, no state: elsewhere nobody is told, for no line is crossed."""
    story = at_night()
    story.stay("20:00", "23:00", AWAY_M)
    assert story.told() == ["opened curfew since 13 22:00 (away_from_place)"]
    assert (story.alerts[0].severity, text(story.alerts[0].detected_s)) == ("medium", "13 22:15")


@pytest.mark.parametrize(
    ("level", "told"), [("loose", "22:30"), ("normal", "22:15"), ("strict", "22:05")]
)
def test_each_level_has_its_own_grace(level: str, told: str) -> None:
    story = at_night(LEVELLED, level=level)
    story.stay("20:00", "23:00", AWAY_M)
    assert text(story.alerts[0].detected_s) == f"13 {told}"


def test_home_within_the_grace_is_not_told() -> None:
    story = at_night()
    story.stay("20:00", "22:10", AWAY_M)
    story.stay("22:10", "14 07:00")
    assert story.told() == []


def test_gone_for_longer_than_the_grace_in_the_night() -> None:
    story = at_night()
    story.stay("20:00", "14 01:00")
    story.stay("14 01:00", "14 02:00", AWAY_M)
    story.stay("14 02:00", "14 07:00")
    assert story.told() == [
        "opened curfew since 14 01:00 (away_from_place)",
        "closed curfew since 14 01:00 until 14 02:00 (back_in_place)",
    ]
    assert text(story.alerts[0].detected_s) in {"14 01:15", "14 01:15:05"}


def test_the_end_of_the_window_ends_it_and_the_next_one_is_another() -> None:
    story = at_night()
    story.stay("20:00", "15 07:00", AWAY_M, every_s=120)
    assert story.told() == [
        "opened curfew since 13 22:00 (away_from_place)",
        "closed curfew since 13 22:00 until 14 06:00 (window_ended)",
        "opened curfew since 14 22:00 (away_from_place)",
        "closed curfew since 14 22:00 until 15 06:00 (window_ended)",
    ]
    assert [text(a.detected_s) for a in story.alerts] == [
        "13 22:15",
        "14 06:00",
        "14 22:15",
        "15 06:00",
    ]


def test_by_day_nobody_has_to_be_at_home() -> None:
    story = at_night()
    story.stay("14 07:00", "14 21:30", AWAY_M)
    story.stay("14 21:30", "15 07:00")
    assert story.told() == []


def test_silent_on_the_way_home_is_not_known_to_be_away() -> None:
    story = at_night()
    story.stay("20:00", "20:30", AWAY_M)
    story.clock("23:59")
    assert story.told() == []


def test_what_was_seen_before_the_window_is_not_told_of_it_until_something_is_seen_in_it() -> None:
    """Nobody is called away on a position from before: they may be home by then."""
    story = at_night()
    story.stay("20:00", "21:58", AWAY_M)
    story.clock("23:30")
    assert story.told() == []
    story.fix("23:40", AWAY_M)
    assert story.told() == ["opened curfew since 13 22:00 (away_from_place)"]


def test_a_phone_at_home_does_not_vouch_for_the_band() -> None:
    story = at_night()
    for fix in fixes("20:00", "23:00", AWAY_M):
        story.live([fix])
        if fix.time_s % 600 == 0:
            story.live([Fix(fix.time_s + 20, HOME_M)], device="phone")
    assert story.told() == ["opened curfew since 13 22:00 (away_from_place)"]


def test_a_looser_level_ends_what_it_allows_and_no_supervision() -> None:
    story = at_night(LEVELLED, level="strict")
    story.stay("20:00", "22:20", AWAY_M)
    story.supervised("22:20", "01-01 00:00", "12-31 00:00", level="loose")
    story.stay("22:21", "23:00", AWAY_M)
    assert story.told()[1:] == [
        "closed curfew since 13 22:00 until 13 22:20 (level_changed)",
        "opened curfew since 13 22:00 (away_from_place)",
    ]
    assert text(story.alerts[2].detected_s) == "13 22:30"


def test_a_looser_level_does_not_take_back_what_was_a_breach_under_the_old_one() -> None:
    story = at_night(LEVELLED, level="strict")
    story.stay("20:00", "22:20", AWAY_M)
    story.stay("22:20", "23:00")
    story.supervised("23:00", "01-01 00:00", "12-31 00:00", level="loose")
    story.stay("23:00", "23:30")
    assert story.told()[1:] == ["closed curfew since 13 22:00 until 13 22:20 (back_in_place)"]


# Leave and curfew.


def test_leave_suspends_it() -> None:
    story = at_night()
    story.leave("12:00", "13 21:00", "15 12:00")
    story.stay("20:00", "14 07:00", AWAY_M, every_s=120)
    assert story.told() == []


def test_a_leave_that_begins_in_the_night_ends_it() -> None:
    story = at_night()
    story.leave("12:00", "13 23:30", "15 12:00")
    story.stay("20:00", "14 07:00", AWAY_M, every_s=120)
    assert story.told() == [
        "opened curfew since 13 22:00 (away_from_place)",
        "closed curfew since 13 22:00 until 13 23:30 (permitted)",
    ]


def test_a_leave_granted_afterwards_excuses() -> None:
    story = at_night()
    story.stay("20:00", "23:00", AWAY_M)
    story.leave("23:00", "13 21:00", "15 12:00")
    story.stay("23:00", "14 07:00", AWAY_M, every_s=120)
    assert story.told()[1:] == ["closed curfew since 13 22:00 until 13 23:00 (permitted)"]


@pytest.mark.parametrize("how", ["ends", "cancelled", "returned"])
def test_a_leave_that_is_over_in_the_night(how: str) -> None:
    """Unasked, by the clock: the grace counts from the end, however it came."""
    story = at_night()
    end = "14 01:00" if how == "ends" else "15 12:00"
    story.leave("12:00", "13 21:00", end)
    story.stay("20:00", "14 01:00", AWAY_M, every_s=120)
    if how == "cancelled":
        story.leave("14 01:00", "13 21:00", end, cancelled=True)
    elif how == "returned":
        story.back("14 01:00")
    story.stay("14 01:00", "14 01:08", AWAY_M, every_s=120)
    story.clock("14 05:00")
    assert story.told() == ["opened curfew since 14 01:00 (away_from_place)"]
    assert text(story.alerts[0].detected_s) == "14 01:15"


# Late and out of order.


@pytest.mark.parametrize("chunk", [1, 20, 500])
@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_a_night_of_memory_ends_like_live(order: str, chunk: int) -> None:
    night = [
        *fixes("20:00", "23:00", AWAY_M, every_s=120),
        *fixes("23:00", "14 03:00", HOME_M, every_s=120),
        *fixes("14 03:00", "14 05:00", AWAY_M, every_s=120),
        *fixes("14 05:00", "14 06:30", HOME_M, every_s=120),
    ]
    live, late = at_night(), at_night()
    live.live(night)
    live.stay("14 06:30", "14 08:00")
    chunks = [night[n : n + chunk] for n in range(0, len(night), chunk)]
    for n, seen in enumerate(chunks if order == "oldest first" else reversed(chunks)):
        late.upload(moment("14 06:30") + n // 10, seen, stored=True)
    late.stay("14 06:50", "14 08:00")
    assert (
        live.episodes()
        == late.episodes()
        == [("curfew", "13 22:00", "13 23:00"), ("curfew", "14 03:00", "14 05:00")]
    )
    assert len(late.told()) == 4
