"""Leave (外出) and return (销假), as timelines."""

from __future__ import annotations

from leavestories import FAR_M, at_home, silent_after_leave
from timeline import Story, fixes, moment

from geomon.core.observed import PermitSet
from geomon.core.person import Permit
from geomon.core.plans import Plan
from geomon.core.rules import Rules


def test_out_without_leave_is_told_within_minutes_and_closed_on_return() -> None:
    story = at_home()
    story.stay("09:00", "11:00", 3_000)
    story.stay("11:00", "12:00")
    assert story.told() == [
        "opened leave_city since 13 09:00 (outside_without_leave)",
        "closed leave_city since 13 09:00 until 13 11:00 (returned)",
    ]
    opened, closed = story.alerts
    assert opened.detected_s - opened.since_s <= 4 * 60
    assert closed.detected_s - closed.until_s <= 4 * 60
    assert (opened.severity, opened.place) == ("high", "441900")


def test_leave_granted_before_nothing_is_told() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 20:00")
    story.stay("09:00", "14 12:00", FAR_M, every_s=900, place="411700")
    story.stay("14 12:00", "14 22:00", every_s=900)
    assert story.told() == []


def test_leave_granted_after_leaving_closes_the_absence_as_permitted() -> None:
    story = at_home()
    story.stay("09:00", "11:00", FAR_M)
    story.leave("11:00", "09:00", "14 20:00")
    story.stay("11:00", "14 12:00", FAR_M, every_s=900, place="411700")
    story.stay("14 12:00", "14 13:00")
    assert story.told()[1:] == ["closed leave_city since 13 09:00 until 13 11:00 (permitted)"]


def test_leave_granted_from_a_later_hour_excuses_from_that_hour() -> None:
    story = at_home()
    story.stay("09:00", "10:00", FAR_M)
    story.leave("10:00", "12:00", "14 20:00")
    story.stay("10:00", "13:00", FAR_M)
    assert story.told()[1:] == ["closed leave_city since 13 09:00 until 13 12:00 (permitted)"]


def test_leave_granted_after_the_return_cures_and_says_so() -> None:
    """It is not "withdrawn": the person was out, and is excused."""
    story = at_home()
    story.stay("09:00", "10:00", FAR_M)
    story.stay("10:00", "11:00")
    story.leave("11:00", "08:30", "12:00")
    story.stay("11:00", "11:30", -60)
    story.stay("11:30", "12:30")
    assert story.told()[2:] == ["closed leave_city since 13 09:00 until 13 10:00 (permitted)"]


def test_early_departure_is_told_until_the_leave_begins() -> None:
    story = at_home()
    story.leave("08:30", "12:00", "14 20:00")
    story.stay("09:00", "13:00", FAR_M)
    story.stay("14 10:00", "14 11:00")
    assert story.told() == [
        "opened leave_city since 13 09:00 (outside_without_leave)",
        "closed leave_city since 13 09:00 until 13 12:00 (permitted)",
    ]


def test_not_back_when_the_leave_ended() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 03:00", FAR_M, every_s=600, place="411700")
    story.stay("14 03:00", "14 04:00")
    assert story.told() == [
        "opened overdue_return since 14 00:00 (outside_after_leave)",
        "closed overdue_return since 14 00:00 until 14 03:00 (returned)",
    ]
    assert story.alerts[0].permit_id == "L-1"


def test_back_within_the_grace_is_not_overdue() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 00:50", FAR_M, every_s=600)
    story.stay("14 00:50", "14 06:00")
    assert story.told() == []


def test_extension_before_the_end() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "20:00", FAR_M, every_s=600, place="411700")
    story.leave("20:00", "09:00", "15 00:00")
    story.stay("20:00", "14 23:00", FAR_M, every_s=600, place="411700")
    story.stay("14 23:00", "15 06:00", every_s=600)
    assert story.told() == []


def test_extension_after_overdue_was_told_cures_it_and_the_new_end_counts() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 03:00", FAR_M, every_s=600, place="411700")
    story.leave("14 03:00", "09:00", "14 12:00")
    story.stay("14 03:00", "14 14:00", FAR_M, every_s=600, place="411700")
    assert story.told() == [
        "opened overdue_return since 14 00:00 (outside_after_leave)",
        "closed overdue_return since 14 00:00 until 14 03:00 (extended)",
        "opened overdue_return since 14 12:00 (outside_after_leave)",
    ]


def test_extension_after_the_return_cures_the_time_it_covers() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 03:00", FAR_M, every_s=600, place="411700")
    story.stay("14 03:00", "14 05:00")
    story.leave("14 05:00", "09:00", "14 04:00")
    story.stay("14 05:00", "14 06:00", -60)
    assert story.told()[1:] == [
        "closed overdue_return since 14 00:00 until 14 03:00 (returned)",
        "closed overdue_return since 14 00:00 until 14 03:00 (extended)",
    ]


def test_cancellation_while_out_makes_the_return_overdue_from_then() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "15 00:00")
    story.stay("09:00", "12:00", FAR_M, every_s=600)
    story.leave("12:00", "09:00", "15 00:00", cancelled=True)
    story.stay("12:00", "14:00", FAR_M, every_s=600)
    story.leave("14:00", "09:00", "15 00:00", cancelled=True)  # sent again: nothing moves
    story.stay("14:00", "15:00")
    assert story.told() == [
        "opened overdue_return since 13 12:00 (outside_after_leave)",
        "closed overdue_return since 13 12:00 until 13 14:00 (returned)",
    ]


def test_cancellation_before_the_leave_began_leaves_nothing_to_return_from() -> None:
    story = at_home()
    story.leave("08:10", "10:00", "15 00:00")
    story.leave("08:30", "10:00", "15 00:00", cancelled=True)
    story.stay("09:00", "12:00", every_s=600)
    story.clock("16 12:00")
    assert story.told() == []
    story.stay("16 12:00", "16 13:00", FAR_M)
    assert story.told() == ["opened leave_city since 16 12:00 (outside_without_leave)"]


def test_cancellation_is_the_first_that_is_ever_known_of_a_person() -> None:
    """Without `received` its arrival time is 0, which must not read as "not cancelled"."""
    story = Story()
    permit = Permit("L-1", "leave", moment("08:00"), moment("20:00"), ("410000",))
    story.take(PermitSet(0, permit, cancelled=True))
    story.stay("09:00", "10:00", FAR_M)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_leave_ends_while_the_phone_is_silent_and_only_a_clock_can_tell() -> None:
    story = Story(device="phone")
    story.stay("08:00", "09:00", every_s=600)
    story.leave("08:30", "09:00", "15 00:00")
    story.stay("09:00", "20:00", FAR_M, every_s=600, place="411700")
    story.clock("15 01:00")
    assert story.told() == ["opened overdue_return since 15 00:00 (outside_after_leave)"]
    assert story.alerts[0].detected_s == story.alerts[0].since_s + 3600


def test_silent_after_leave_then_back_inside() -> None:
    story = silent_after_leave()
    story.stay("15 10:00", "17 10:00", every_s=600)
    story.stay("17 10:00", "17 11:00", -60)  # near the line, so that all is judged anew
    assert story.told()[1:] == [
        "closed overdue_return since 15 00:00 until 15 10:00 (returned)",
    ]


def test_silent_after_leave_then_back_inside_stays_closed_in_the_next_hours() -> None:
    """What ended after the horizon's edge is not withdrawn because its leave ended before it."""
    story = silent_after_leave()
    story.clock("16 10:00")
    story.stay("16 10:00", "16 11:00", every_s=600)
    story.stay("16 11:00", "16 12:00", -60)
    story.stay("16 12:00", "16 14:00", -60, every_s=600)
    story.clock("18 00:00")
    assert story.told()[1:] == [
        "closed overdue_return since 15 00:00 until 16 10:00 (returned)",
    ]


def test_silent_after_leave_then_seen_outside_is_one_story() -> None:
    story = silent_after_leave()
    story.stay("15 10:00", "15 12:00", FAR_M, place="411700", every_s=600)
    story.stay("15 12:00", "15 13:00", every_s=600)
    assert story.told()[1:] == [
        "updated overdue_return since 15 00:00 (outside_after_leave)",
        "closed overdue_return since 15 00:00 until 15 12:00 (returned)",
    ]
    assert [a.severity for a in story.alerts] == ["medium", "high", "high"]
    assert story.alerts[1].place == "411700"


def test_a_first_sign_from_outside_does_not_pass_for_a_return() -> None:
    story = silent_after_leave()
    story.fix("15 10:00", 1_000, "cell")
    assert story.episodes() == [("overdue_return", "15 00:00", "")]
    assert len(story.alerts) == 1


def test_a_later_leave_ends_the_silent_one_and_may_end_in_silence_itself() -> None:
    story = silent_after_leave()
    story.leave("15 08:00", "15 12:00", "16 00:00", permit_id="L-2")
    story.clock("16 12:00")
    assert story.told()[1:] == [
        "closed overdue_return since 15 00:00 until 15 12:00 (permitted)",
        "opened overdue_return since 16 00:00 (silent_after_leave)",
    ]


def test_supervision_that_ends_ends_the_silence_after_leave() -> None:
    story = Story(device="phone")
    story.supervised("07:00", "01-01 00:00", "15 12:00")
    story.stay("08:00", "09:00", every_s=600)
    story.leave("08:30", "09:00", "15 00:00")
    story.clock("16 06:00")
    assert story.told()[1:] == [
        "closed overdue_return since 15 00:00 until 15 12:00 (supervision_ended)"
    ]


def test_a_leave_that_ends_is_looked_at_though_nobody_was_ever_heard_of() -> None:
    story = Story(device="phone")
    story.leave("08:00", "09:00", "14 00:00")
    story.clock("14 06:00")
    assert story.told() == ["opened overdue_return since 14 00:00 (silent_after_leave)"]


def test_late_upload_shows_the_person_was_back_in_time() -> None:
    story = Story(device="phone")
    story.stay("08:00", "09:00", every_s=600)
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "18:00", FAR_M, every_s=600, place="411700")
    story.clock("14 02:00")
    assert story.told() == ["opened overdue_return since 14 00:00 (outside_after_leave)"]
    story.upload("14 05:00", fixes("21:00", "23:30", -6_000, every_s=600), stored=True)
    story.clock("14 06:00")
    assert story.told()[1:] == [
        "closed overdue_return since 14 00:00 until 14 05:00:45 (withdrawn)"
    ]
    assert story.episodes() == []


def test_late_upload_shows_the_silent_person_was_outside_after_all() -> None:
    story = silent_after_leave()
    seen = fixes("14 20:00", "15 03:00", FAR_M, every_s=600, place="411700")
    story.upload("15 07:00", seen, stored=True)
    story.clock("15 08:00")
    assert story.told()[1:] == ["updated overdue_return since 15 00:00 (outside_after_leave)"]


def test_back_to_back_leaves_are_one_absence_with_leave() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00", permit_id="L-1")
    story.leave("08:31", "14 00:00", "15 00:00", permit_id="L-2")
    story.stay("09:00", "14 22:00", FAR_M, every_s=900, place="411700")
    story.stay("14 22:00", "15 06:00", every_s=900)
    assert story.told() == []


def test_a_gap_of_hours_between_two_leaves_is_overdue_until_the_second() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "14 00:00", permit_id="L-1")
    story.leave("08:31", "14 08:00", "15 00:00", permit_id="L-2")
    story.stay("09:00", "14 22:00", FAR_M, every_s=900, place="411700")
    assert story.told() == [
        "opened overdue_return since 14 00:00 (outside_after_leave)",
        "closed overdue_return since 14 00:00 until 14 08:00 (permitted)",
    ]


def test_standing_permit_covers_and_its_end_counts_like_a_leave() -> None:
    story = at_home()
    story.leave("08:30", "02-01 00:00", "14 00:00", kind="standing", to=["441900"])
    story.stay("09:00", "10:00", 5_000)
    story.stay("10:00", "11:00")
    story.stay("23:00", "14 02:00", 5_000)
    assert story.told() == ["opened overdue_return since 14 00:00 (outside_after_leave)"]


def test_supervision_that_ends_while_out_ends_the_absence() -> None:
    story = at_home()
    story.supervised("08:30", "01-01 00:00", "12:00")
    story.stay("09:00", "11:00", FAR_M)
    story.clock("13:00")
    assert story.told()[1:] == [
        "closed leave_city since 13 09:00 until 13 12:00 (supervision_ended)"
    ]


def test_supervision_that_begins_while_out_begins_the_absence() -> None:
    story = at_home()
    story.supervised("08:30", "10:00", "20 00:00")
    story.stay("09:00", "09:55", FAR_M)
    assert story.told() == []
    story.clock("10:00")
    assert story.told() == ["opened leave_city since 13 10:00 (outside_without_leave)"]


def test_a_person_never_announced_is_watched_all_the_same() -> None:
    story = Story()
    story.stay("09:00", "10:00", FAR_M)
    assert story.person.profile is None
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_the_grace_is_a_setting() -> None:
    story = Story(Rules(plans=(Plan(overdue_grace_s=4 * 3600),) * 3))
    story.stay("08:00", "09:00")
    story.leave("08:30", "09:00", "14 00:00")
    story.stay("09:00", "14 03:59", FAR_M, every_s=600)
    assert story.told() == []
    story.clock("14 04:00")
    assert story.told() == ["opened overdue_return since 14 00:00 (outside_after_leave)"]


def test_silence_that_is_short_by_the_settings_ends_with_the_first_fix_at_home() -> None:
    """Belief is at its ceiling since long: the fix adds nothing to it, and is news all the same."""
    story = Story(Rules(belief_ttl_s=6 * 3600), device="phone")
    story.stay("08:00", "09:00", every_s=60)
    story.leave("08:30", "09:00", "20:00")
    story.clock("21:30")
    assert story.told() == ["opened overdue_return since 13 20:00 (silent_after_leave)"]
    story.fix("22:00", -6_000)
    assert story.told()[1:] == ["closed overdue_return since 13 20:00 until 13 22:00 (returned)"]


def test_overdue_and_then_found_elsewhere_stays_one_story() -> None:
    """Silent as the leave for Henan ends, seen for hours in Guangxi after: not a second absence."""
    story = silent_after_leave()
    story.stay("15 06:00", "15 12:00", FAR_M, every_s=600, place="450900")
    story.stay("15 20:00", "15 21:00", every_s=300)
    assert story.told() == [
        "opened overdue_return since 15 00:00 (silent_after_leave)",
        "updated overdue_return since 15 00:00 (outside_after_leave)",
        "updated overdue_return since 15 00:00 (elsewhere_after_leave)",
        "closed overdue_return since 15 00:00 until 15 20:00 (returned)",
    ]
    assert story.alerts[2].place == "450900"


def test_on_the_way_back_after_the_leave_is_not_elsewhere() -> None:
    story = silent_after_leave()
    story.stay("15 06:00", "15 08:00", FAR_M, every_s=600, place="430100")
    story.stay("15 08:00", "15 10:00", FAR_M, every_s=600, place="441200")
    assert "elsewhere_after_leave" not in story.reasons()
