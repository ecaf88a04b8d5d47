"""Tampering: a strap or case opened, cleared by itself, dealt with by an officer."""

from __future__ import annotations

import pytest
from timeline import Fix, Story, moment

from geomon.alerts import iso_utc
from geomon.core.entries import UnknownEpisode
from geomon.core.observed import (
    CASE_CLOSED,
    CASE_OPEN,
    STRAP_CLOSED,
    STRAP_OPEN,
    Disposed,
)


def wearing() -> Story:
    """Somebody who wears a wristband; its strap is closed at 08:00."""
    story = Story(kinds={"tamper"})
    story.heartbeat("08:00", flags=STRAP_CLOSED | CASE_CLOSED)
    return story


def test_a_strap_opened_is_told_at_once() -> None:
    story = wearing()
    story.heartbeat("08:10:20", flags=STRAP_OPEN)
    assert story.told() == ["opened tamper since 13 08:10:20 (strap_opened)"]
    (alert,) = story.alerts
    assert (alert.severity, alert.detected_s) == ("high", moment("08:10:20"))
    assert dict(alert.detail) == {"device": "wristband", "found": ("strap_opened",)}


def test_a_case_opened_is_told_at_once() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=CASE_OPEN | STRAP_CLOSED)
    assert story.told() == ["opened tamper since 13 08:10 (case_opened)"]


def test_a_strap_opened_is_told_with_a_position_too() -> None:
    story = wearing()
    story.upload("08:10", [Fix(moment("08:09:50"), -6_000.0)], flags=STRAP_OPEN)
    assert story.told() == ["opened tamper since 13 08:10 (strap_opened)"]


def test_a_strap_already_open_when_first_heard_of() -> None:
    story = Story(kinds={"tamper"})
    story.heartbeat("08:00", flags=STRAP_OPEN)
    assert story.told() == ["opened tamper since 13 08:00 (strap_opened)"]


def test_a_strap_that_stays_open_is_told_once() -> None:
    story = wearing()
    for minute in range(10, 60):
        story.heartbeat(f"08:{minute}", flags=STRAP_OPEN)
    assert len(story.told()) == 1


def test_an_upload_that_says_nothing_of_the_strap_clears_nothing() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:11")
    story.stay("08:12", "09:00")
    assert len(story.told()) == 1


@pytest.mark.parametrize("closed", ["08:11", "08:14:59", "09:30"])
def test_cleared_by_itself_is_recorded_and_stays_open(closed: str) -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat(closed, flags=STRAP_CLOSED)
    story.heartbeat("09:31", flags=STRAP_CLOSED)
    story.clock("20 08:00")
    assert story.told() == [
        "opened tamper since 13 08:10 (strap_opened)",
        "updated tamper since 13 08:10 (cleared_by_itself)",
    ]
    assert dict(story.alerts[1].detail)["cleared"] == iso_utc(moment(closed))
    assert story.alerts[1].severity == "high"
    assert story.episodes() == [("tamper", "13 08:10", "")]


def test_opened_once_more_before_anybody_looked_is_told() -> None:
    """Else somebody who opens and closes it, and then cuts it, would be known as cleared."""
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:12", flags=STRAP_CLOSED)
    story.heartbeat("08:20", flags=STRAP_OPEN)
    story.heartbeat("08:30", flags=STRAP_CLOSED)
    assert story.told() == [
        "opened tamper since 13 08:10 (strap_opened)",
        "updated tamper since 13 08:10 (cleared_by_itself)",
        "updated tamper since 13 08:10 (strap_opened)",
        "updated tamper since 13 08:10 (cleared_by_itself)",
    ]
    assert dict(story.alerts[-1].detail)["cleared"] == iso_utc(moment("08:30"))


def test_a_case_opened_after_the_strap_was_closed_again_is_told() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:12", flags=STRAP_CLOSED | CASE_CLOSED)
    story.heartbeat("08:20", flags=STRAP_CLOSED | CASE_OPEN)
    assert story.told()[2:] == ["updated tamper since 13 08:10 (case_opened)"]
    assert dict(story.alerts[-1].detail)["found"] == ("strap_opened", "case_opened")


def test_closed_strap_and_open_case_in_one_upload_is_not_cleared() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:12", flags=STRAP_CLOSED | CASE_OPEN)
    assert story.told()[1:] == ["updated tamper since 13 08:10 (case_opened)"]


def test_a_phone_that_is_closed_does_not_clear_the_wristband() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:12", device="phone", flags=CASE_CLOSED)
    assert len(story.told()) == 1


def test_only_a_disposal_closes() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:11", flags=STRAP_CLOSED)
    story.dispose("09:00", story.alerts[0])
    assert story.told()[2:] == ["closed tamper since 13 08:10 until 13 09:00 (disposed)"]
    assert not [o for o in story.others if isinstance(o, UnknownEpisode)]


def test_after_a_disposal_the_strap_still_open_is_known_and_a_new_opening_is_told() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.dispose("09:00", story.alerts[0])
    for when in ("09:01", "09:02", "10:00"):
        story.heartbeat(when, flags=STRAP_OPEN)
    assert len(story.told()) == 2
    story.heartbeat("10:05", flags=STRAP_CLOSED)
    assert len(story.told()) == 2, "nothing is open that it could be recorded on"
    story.heartbeat("10:10", flags=STRAP_OPEN)
    assert story.told()[2:] == ["opened tamper since 13 10:10 (strap_opened)"]
    assert story.alerts[-1].number == 1


def test_a_disposal_counts_from_when_the_officer_acted_not_from_when_it_arrived() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.take(Disposed(moment("11:00"), "tamper", moment("08:10"), moment("09:00")))
    assert story.told()[1:] == ["closed tamper since 13 08:10 until 13 09:00 (disposed)"]


def test_a_disposal_dated_ahead_of_its_arrival_settles_nothing_that_is_still_to_come() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:11", flags=STRAP_CLOSED)
    story.take(Disposed(moment("09:00"), "tamper", moment("08:10"), moment("03-13 09:00")))
    assert story.told()[2:] == ["closed tamper since 13 08:10 until 13 09:00 (disposed)"]
    story.heartbeat("20 09:00", flags=STRAP_OPEN)
    assert story.told()[3:] == ["opened tamper since 20 09:00 (strap_opened)"]


def test_a_strap_opened_out_of_coverage_is_told_late_with_its_own_time() -> None:
    """The band was closed again when it came back, and what it stored says that it was open."""
    story = wearing()
    story.heartbeat("12:00", flags=STRAP_CLOSED)
    story.heartbeat("12:00:30", read="09:40", flags=STRAP_OPEN)
    assert story.told() == ["opened tamper since 13 09:40 (strap_opened)"]
    assert story.alerts[0].detected_s == moment("12:00:30")
    story.heartbeat("12:01", flags=STRAP_CLOSED)
    assert story.told()[1:] == ["updated tamper since 13 09:40 (cleared_by_itself)"]


def test_stored_readings_newest_first_make_one_episode() -> None:
    story = wearing()
    for n, read in enumerate(["09:42", "09:41", "09:40"]):
        story.heartbeat(f"12:00:{n:02}", read=read, flags=STRAP_OPEN)
    assert [a.phase for a in story.alerts] == ["opened"]


def test_a_stored_reading_that_an_officer_has_dealt_with_opens_nothing() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.heartbeat("08:11", flags=STRAP_CLOSED)
    story.dispose("09:00", story.alerts[0])
    story.heartbeat("11:59", flags=STRAP_CLOSED)
    story.heartbeat("12:00", read="08:40", flags=STRAP_OPEN)
    assert len(story.told()) == 3
    story.heartbeat("12:01", read="09:20", flags=STRAP_OPEN)
    assert story.told()[3:] == ["opened tamper since 13 09:20 (strap_opened)"]


def test_every_upload_twice_changes_nothing() -> None:
    once, twice = wearing(), wearing()
    timeline = [
        ("08:10", STRAP_OPEN),
        ("08:12", STRAP_CLOSED),
        ("08:20", STRAP_OPEN | CASE_OPEN),
        ("08:30", STRAP_CLOSED | CASE_CLOSED),
    ]
    for when, flags in timeline:
        once.heartbeat(when, flags=flags)
        twice.heartbeat(when, flags=flags)
        twice.heartbeat(when, flags=flags)
    for when, flags in timeline:
        twice.heartbeat("08:31", read=when, flags=flags)
    assert twice.told() == once.told()


def test_a_disposal_of_an_episode_that_is_not_there_is_refused() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.take(Disposed(moment("09:00"), "tamper", moment("07:00"), moment("09:00")))
    assert [str(o) for o in story.others] == [f"tamper of {iso_utc(moment('07:00'))}"]
    assert isinstance(story.others[0], UnknownEpisode)
    assert len(story.told()) == 1


def test_a_disposal_that_arrives_again_is_no_mistake() -> None:
    story = wearing()
    story.heartbeat("08:10", flags=STRAP_OPEN)
    story.dispose("09:00", story.alerts[0])
    story.dispose("09:00", story.alerts[0])
    assert story.others == []
    assert len(story.told()) == 2


def test_a_disposal_of_a_kind_that_ends_by_itself_is_noted_and_ends_nothing() -> None:
    story = Story(kinds={"leave_city"})
    story.stay("08:00", "09:00")
    story.stay("09:00", "09:30", 3_000)
    story.dispose("09:30", story.alerts[0])
    story.stay("09:30", "10:00", 3_000)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]
    assert story.others == []
