"""What counts as back from a leave (销假), and what does not, as timelines."""

from __future__ import annotations

import pytest
from leavestories import FAR_M, at_home, silent_after_leave
from timeline import Story, moment

from geomon.core.entries import UnknownPermit
from geomon.core.observed import ReportedBack


@pytest.mark.parametrize("announced", [True, False])
def test_seen_at_home_by_a_mast_within_the_grace_is_not_overdue(announced: bool) -> None:
    """One position by a mast turns no belief; it is trusted until the next ones have."""
    story = at_home()
    if announced:
        story.supervised("08:20", "01-01 00:00", "12-31 00:00")
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 00:00", FAR_M, every_s=600)
    story.fix("14 00:30", -6_000, "cell")
    story.clock("14 01:10")
    story.stay("14 01:20", "14 06:00", every_s=1200)
    assert story.told() == []


@pytest.mark.parametrize("announced", [True, False])
def test_one_weak_sign_of_being_back_and_then_silence_is_no_return(announced: bool) -> None:
    story = at_home()
    if announced:
        story.supervised("08:20", "01-01 00:00", "12-31 00:00")
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 00:00", FAR_M, every_s=600)
    story.fix("14 00:30", -300, "cell")
    story.clock("14 04:00")
    assert story.told() == []
    story.clock("20 00:00")
    assert story.told()[:1] == ["opened overdue_return since 14 00:00 (outside_after_leave)"]
    assert story.alerts[0].detected_s == moment("14 04:30")


def test_leaves_that_were_over_before_the_person_was_first_heard_of_accuse_nobody() -> None:
    """The system is introduced: papers of the last weeks are entered, then the phone reports."""
    story = Story(device="phone")
    story.supervised("08:00", "01-01 00:00", "12-31 00:00")
    story.leave("08:00", "01-05 00:00", "01-08 00:00", permit_id="L-1")
    story.leave("08:01", "05 00:00", "13 04:00", permit_id="L-2")
    story.leave("08:02", "08:00", "15 00:00", permit_id="L-3")
    story.stay("08:05", "09:00", every_s=600)
    assert story.told() == []
    story.clock("15 06:00")
    assert story.told() == ["opened overdue_return since 15 00:00 (silent_after_leave)"]


def test_reporting_back_early_ends_the_leave() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "16 00:00")
    story.stay("09:00", "14:00", FAR_M, every_s=600)
    story.stay("14:00", "15:00")
    story.back("15:00")
    story.stay("15:00", "18:00", every_s=600)
    story.clock("16 03:00")
    assert story.told() == []
    story.stay("16 04:00", "16 05:00", FAR_M)
    assert story.told() == ["opened leave_city since 16 04:00 (outside_without_leave)"]


def test_reporting_back_while_outside_is_not_a_return() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "16 00:00")
    story.stay("09:00", "14:00", FAR_M, every_s=600)
    story.back("14:00")
    story.stay("14:00", "16:00", FAR_M, every_s=600)
    assert story.told() == ["opened overdue_return since 13 14:00 (outside_after_leave)"]


def test_reporting_back_late_ends_the_silence_and_excuses_nothing() -> None:
    story = silent_after_leave()
    story.back("15 13:00")
    story.clock("17 00:00")
    assert story.told()[1:] == ["closed overdue_return since 15 00:00 until 15 13:00 (returned)"]


def test_reporting_back_late_counts_unless_the_person_is_seen_outside_after_it() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 02:00", FAR_M, every_s=600, place="411700")
    story.back("14 09:00")
    story.clock("14 12:00")
    closed = "closed overdue_return since 14 00:00 until 14 09:00 (returned)"
    assert story.told()[1:] == [closed]
    story.stay("14 12:00", "14 13:00", FAR_M, place="411700")
    assert story.told()[2:] == ["opened overdue_return since 14 00:00 (outside_after_leave)"]


def test_reporting_back_within_the_grace_is_in_time() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 00:20", FAR_M, every_s=600)
    story.back("14 00:40")
    story.clock("14 06:00")
    assert story.told() == []


def test_reporting_back_in_time_though_it_is_entered_late_excuses() -> None:
    story = silent_after_leave()
    story.take(ReportedBack(moment("15 13:00"), "L-1", moment("14 18:00")))
    assert story.told()[1:] == ["closed overdue_return since 15 00:00 until 15 13:00 (extended)"]


def test_reporting_back_from_a_leave_never_announced_is_an_outcome() -> None:
    story = at_home()
    story.back("09:00", "L-99")
    assert story.others == [UnknownPermit("L-99")]


def away_with_two_permits() -> Story:
    """In Henan on a leave until midnight; a standing permit for Dongguan is in force besides."""
    story = at_home()
    story.leave("08:30", "02-01 00:00", "03-01 00:00", kind="standing", to=["441900"])
    story.leave("08:40", "09:00", "14 00:00", permit_id="L-2")
    story.stay("09:00", "14 00:00", FAR_M, every_s=600, place="411700")
    return story


def test_a_standing_permit_for_elsewhere_is_no_excuse_for_not_being_back() -> None:
    story = away_with_two_permits()
    story.stay("14 00:00", "14 12:00", FAR_M, every_s=600, place="411700")
    assert story.told() == ["opened overdue_return since 14 00:00 (outside_after_leave)"]
    assert (story.alerts[0].permit_id, story.alerts[0].severity) == ("L-2", "high")
    assert story.alerts[0].proposal[:2] == ("admonition", "out_of_supervision")


def test_late_from_a_leave_it_is_over_where_the_standing_permit_allows() -> None:
    story = away_with_two_permits()
    story.stay("14 00:00", "14 06:00", FAR_M, every_s=600, place="411700")
    story.stay("14 06:00", "15 12:00", FAR_M, every_s=600, place="441900")
    assert story.told()[1:] == [
        "closed overdue_return since 14 00:00 until 14 06:00 (permitted)",
    ]


def test_back_from_leave_in_the_city_of_the_standing_permit_is_back_in_time() -> None:
    story = away_with_two_permits()
    story.stay("14 00:40", "16 00:00", FAR_M, every_s=600, place="441900")
    assert story.told() == []
    story.stay("16 00:00", "16 06:00", FAR_M, every_s=600, place="441300")
    assert story.told() == ["opened off_itinerary since 16 00:00 (outside_destinations)"]


def test_silent_as_the_leave_ends_a_standing_permit_does_not_say_where_the_person_is() -> None:
    story = Story(device="phone")
    story.stay("08:00", "09:00", every_s=600)
    story.leave("08:30", "02-01 00:00", "03-01 00:00", kind="standing", to=["441900"])
    story.leave("08:40", "09:00", "15 00:00", permit_id="L-2")
    story.clock("15 06:00")
    assert story.told() == ["opened overdue_return since 15 00:00 (silent_after_leave)"]
    story.stay("15 06:00", "15 20:00", FAR_M, every_s=600, place="411700")
    assert story.told()[1:] == ["updated overdue_return since 15 00:00 (outside_after_leave)"]
    story.stay("15 20:00", "16 12:00", FAR_M, every_s=600, place="441900")
    assert story.told()[2:] == ["closed overdue_return since 15 00:00 until 15 20:00 (permitted)"]
