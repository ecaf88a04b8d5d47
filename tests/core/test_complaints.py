"""What users of other systems complain of: each complaint once, about the kinds judged so far."""

from __future__ import annotations

import random

import pytest
from timeline import HOME_M, Fix, Story, fixes, moment


@pytest.mark.parametrize("home_m", [5.0, 0.0, -5.0, -20.0])
@pytest.mark.parametrize("source", ["gnss", "wifi"])
def test_jitter_at_the_fence_from_someone_who_does_not_move(home_m: float, source: str) -> None:
    """A week at home beside the line: of the positions many lie across it.

    The home may even be mapped some metres outside: the boundary itself is off by 13 m.
    """
    rng = random.Random(f"{home_m} {source}")  # noqa: S311
    error_m = {"gnss": 20.0, "wifi": 45.0}[source]
    story = Story()
    story.stay("06 07:00", "06 08:00", -500)
    drift_m, crossings, across = 0.0, 0, False
    for fix in fixes("06 08:00", "13 08:00", 0, every_s=300):
        drift_m = 0.6 * drift_m + 0.8 * rng.gauss(0, error_m / 1.51)
        crossings += across != (home_m + drift_m > 0)
        across = home_m + drift_m > 0
        story.live([Fix(fix.time_s, home_m + drift_m, source, error_m)])
    assert crossings > 50, "not a test of jitter"
    assert story.told() == []


def test_one_far_fix_between_two_good_ones_is_not_believed() -> None:
    """15 s apart: nobody goes five kilometres and back in half a minute."""
    story = Story()
    story.stay("08:00", "09:00", every_s=15)
    story.fix("09:00", 5_000)
    story.stay("09:00:15", "10:00", every_s=15)
    assert story.told() == []


@pytest.mark.parametrize("at_s", range(0, 60, 15))
def test_one_far_fix_is_not_believed_wherever_in_the_minute_it_falls(at_s: int) -> None:
    story = Story()
    seen = fixes("08:00", "10:00", -300, every_s=15)
    story.live(
        f._replace(outside_m=5_000) if f.time_s == moment("09:00") + at_s else f for f in seen
    )
    assert story.told() == []


def test_a_short_absence_of_230_m_and_24_minutes_is_found() -> None:
    """At 15 s fixes: a margin of 300 m, as elsewhere, would have missed it."""
    story = Story()
    story.stay("08:00", "08:50", -800, every_s=15)
    story.stay("08:50", "09:00", -100, every_s=15)
    story.stay("09:00", "09:24", 230, every_s=15)
    story.stay("09:24", "09:30", -100, every_s=15)
    story.stay("09:30", "10:30", -800, every_s=15)
    assert story.told() == [
        "opened leave_city since 13 09:00 (outside_without_leave)",
        "closed leave_city since 13 09:00 until 13 09:24 (returned)",
    ]
    assert story.alerts[0].detected_s - moment("09:00") <= 15 * 60


@pytest.mark.parametrize("outside_m", [500, 2_000, 5_000, 12_000])
def test_a_cell_fix_never_confirms_alone(outside_m: float) -> None:
    story = Story(device="phone")
    story.stay("08:00", "10:00", every_s=600)
    story.fix("10:05", outside_m, "cell")
    story.clock("14:00")
    assert story.told() == []
    story.stay("14:00", "15:00", every_s=600)
    assert story.told() == []


def test_a_cell_across_the_river_that_repeats_for_minutes_is_still_one_error() -> None:
    story = Story(device="phone")
    story.stay("08:00", "10:00", every_s=600)
    story.stay("10:05", "10:20", 2_000, every_s=60, source="cell", device="phone")
    story.stay("10:21", "12:00", every_s=600)
    assert story.told() == []


def test_later_pings_outside_make_no_new_alarm() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("09:00", "16 09:00", 3_000, every_s=120)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_already_outside_when_first_heard_of() -> None:
    """Only edges, no state: elsewhere nobody is told of someone who never crossed a line."""
    story = Story()
    story.stay("09:00", "09:05", 3_000)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_already_outside_when_the_leave_ends() -> None:
    story = Story()
    story.leave("08:00", "08:00", "12:00")
    story.stay("09:00", "11:30", 3_000, every_s=600)
    story.clock("13:00")
    assert story.told() == ["opened overdue_return since 13 12:00 (outside_after_leave)"]


def test_a_heartbeat_does_not_inherit_the_old_position() -> None:
    """Two heartbeats after one doubtful fix are not three fixes."""
    story = Story()
    story.stay("08:00", "09:00")
    story.fix("09:01", 150)
    belief = story.person.tail
    for when in ("09:05", "09:10", "09:15", "10:00"):
        story.heartbeat(when)
    assert story.person.tail == belief
    assert story.told() == []


def test_a_crossing_between_two_sparse_samples_is_found_by_where_they_lie() -> None:
    story = Story(device="phone")
    story.stay("08:00", "12:00", every_s=1800)
    story.stay("12:10", "13:30", 30_000, every_s=1800)
    assert story.told() == ["opened leave_city since 13 12:10 (outside_without_leave)"]


def test_leave_is_consulted_before_anything_is_told() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.leave("08:59", "09:00", "20:00", to=["441900"])
    story.stay("09:00", "19:00", 3_000)
    story.stay("19:00", "21:00")
    assert story.told() == []


def test_late_rows_do_not_vanish_silently() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.upload("09:00", fixes("01-20 09:00", "01-20 09:30", 3_000), stored=True)
    assert [tuple(outcome) for outcome in story.others] == [(30, moment("01-20 09:29"))]


def test_poor_accuracy_is_not_dropped_but_weighed() -> None:
    """Fixes of 300 m accuracy, two kilometres out, for an hour: together they say enough."""
    story = Story(device="phone")
    story.stay("08:00", "09:00", every_s=600)
    seen = fixes("09:00", "10:30", 2_000, every_s=600, source="wifi", accuracy_m=300)
    story.live(seen)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_within_the_accuracy_nothing_is_concluded_either_way() -> None:
    story = Story(device="phone")
    story.stay("08:00", "09:00", every_s=600)
    story.live(fixes("09:00", "10:30", 80, every_s=600, source="wifi", accuracy_m=100))
    assert story.told() == []
    assert story.person.tail.label == 1
    story = Story(device="phone")
    story.stay("08:00", "09:00", 5_000, every_s=600)
    story.live(fixes("09:00", "09:20", -80, every_s=600, source="wifi", accuracy_m=100))
    assert story.episodes() == [("leave_city", "13 08:00", "")]


def test_home_is_far_inside_and_silent_nights_are_no_absence() -> None:
    story = Story(device="phone")
    for day in range(6, 13):
        story.stay(f"{day:02} 07:00", f"{day:02} 23:00", HOME_M, every_s=900)
        story.clock(f"{day + 1:02} 06:00")
    assert story.told() == []
