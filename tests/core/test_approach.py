"""Heading out near the line (接近边界): a hint, and seldom."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, moment, text

#: Metres outside at one-minute intervals: out by car on the road to the line.
DRIVE = [-4_000.0, -2_900.0, -1_900.0, -1_000.0]


def drive(
    story: Story,
    begin: str = "09:00",
    way: list[float] | None = None,
    *,
    accuracy_m: float | None = None,
    east_m: float = 0.0,
) -> None:
    """A position a minute along a way; then nothing."""
    for n, outside_m in enumerate(way or DRIVE):
        fix = Fix(moment(begin) + 60 * n, outside_m, "gnss", accuracy_m, east_m=east_m)
        story.upload(fix.time_s + 5, [fix])


def at_home(outside_m: float = HOME_M) -> Story:
    story = Story(device="phone", kinds={"border_approach"})
    story.stay("08:00", "09:00", outside_m, every_s=300)
    return story


HINT = "opened border_approach since 13 09:03 (heading_out)"


def test_heading_out_close_to_the_line() -> None:
    story = at_home()
    drive(story)
    assert story.told() == [HINT]
    alert = story.alerts[0]
    assert (alert.severity, text(alert.detected_s)) == ("info", "13 09:03:05")
    assert dict(alert.detail) == {"distance_outside_m": -1_000}


def test_turned_back_ends_it() -> None:
    story = at_home()
    drive(story)
    story.stay("09:10", "09:20", -1_400)
    assert story.told() == [HINT]
    story.stay("09:20", "09:30", -2_600)
    assert story.told() == [
        HINT,
        "closed border_approach since 13 09:03 until 13 09:20:05 (away_again)",
    ]


def test_over_the_line_it_gives_way_to_the_absence_that_is_linked_to_it() -> None:
    story = Story(device="phone", kinds={"border_approach", "leave_city"})
    story.stay("08:00", "09:00", every_s=300)
    drive(story)
    story.stay("09:04", "09:10", 2_000)
    assert sorted(story.told()) == [
        "closed border_approach since 13 09:03 until 13 09:04 (left_city)",
        HINT,
        "opened leave_city since 13 09:04 (outside_without_leave)",
    ]
    left = next(a for a in story.alerts if a.kind == "leave_city")
    assert left.cause == f"border_approach/{moment('09:03')}"


def test_nothing_follows_and_it_is_over_by_itself() -> None:
    story = at_home()
    drive(story)
    story.clock("10:00")
    assert story.told()[1:] == ["closed border_approach since 13 09:03 until 13 09:33 (away_again)"]


def test_it_does_not_stay_open_for_somebody_who_stays_by_the_line() -> None:
    story = at_home()
    drive(story)
    story.stay("09:04", "12:00", -1_200)
    assert [a.phase for a in story.alerts] == ["opened", "closed"]
    assert text(story.alerts[1].until_s) == "13 10:03"


@pytest.mark.parametrize(
    ("what", "way"),
    [
        ("in the city", [-9_000.0, -7_800.0, -6_600.0, -5_400.0]),
        ("on foot", [-1_000.0, -920.0, -840.0, -760.0]),
        ("along the line", [-1_000.0, -1_010.0, -990.0, -1_000.0]),
        ("inwards", [-400.0, -1_300.0, -2_400.0, -3_500.0]),
        ("by bicycle, far from it", [-2_400.0, -2_100.0, -1_800.0, -1_480.0]),
    ],
)
def test_who_is_not_heading_out_is_not_told_of(what: str, way: list[float]) -> None:
    story = at_home(way[0])
    drive(story, way=way)
    assert story.told() == [], what


def test_poor_positions_say_nothing_of_a_heading() -> None:
    story = at_home()
    drive(story, accuracy_m=150.0)
    assert story.told() == []


def test_one_position_thrown_towards_the_line_from_rest_is_within_its_error() -> None:
    story = at_home(-1_300)
    way = [-1_300.0, -1_290.0, -950.0, -1_300.0]
    drive(story, way=way, accuracy_m=40.0)
    assert story.told() == []


def test_a_leave_that_begins_soon_explains_it() -> None:
    story = at_home()
    story.leave("08:30", "10:59", "15 00:00")
    drive(story)
    assert story.told() == []


def test_a_leave_that_begins_tomorrow_does_not() -> None:
    story = at_home()
    story.leave("08:30", "14 10:00", "15 00:00")
    drive(story)
    assert story.told() == [HINT]


def test_a_standing_permit_explains_it() -> None:
    story = at_home()
    story.leave("08:30", "01 00:00", "03-01 00:00", permit_id="S-1", kind="standing")
    drive(story)
    assert story.told() == []


def test_a_leave_granted_on_the_way_ends_it() -> None:
    story = at_home()
    drive(story)
    story.leave("09:05", "09:00", "15 00:00")
    assert story.told()[1:] == ["closed border_approach since 13 09:03 until 13 09:05 (permitted)"]


def test_who_comes_by_every_day_is_told_of_once() -> None:
    """A bus line runs by: the place is known from the second day on."""
    story = at_home()
    for day in range(13, 18):
        drive(story, f"{day} 09:00")
        story.stay(f"{day} 09:20", f"{day} 18:00", -5_000, every_s=1_800)
    assert [a.phase for a in story.alerts] == ["opened", "closed"]


def test_another_exit_is_another_matter() -> None:
    story = at_home()
    drive(story, "13 09:00")
    story.stay("13 09:20", "13 18:00", -5_000, every_s=1_800)
    drive(story, "14 09:00", east_m=8_000)
    assert [text(a.since_s) for a in story.alerts if a.phase == "opened"] == [
        "13 09:03",
        "14 09:03",
    ]


def test_while_a_band_reports_the_phone_in_another_car_is_not_asked() -> None:
    story = Story(device="phone", kinds={"border_approach"})
    story.stay("08:00", "09:05", device="wristband")
    drive(story)
    assert story.told() == []


def test_nobody_is_hinted_at_after_supervision() -> None:
    story = Story(device="phone", kinds={"border_approach"})
    story.supervised("07:00", "01-01 00:00", "13 09:00")
    story.stay("08:00", "09:00", every_s=300)
    drive(story)
    assert story.told() == []
