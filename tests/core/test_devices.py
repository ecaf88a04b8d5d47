"""Phones left behind, silent wristbands, memories that come late, clocks that are wrong."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, fixes, moment

from geomon.core.observed import MOCK, STRAP_OPEN
from geomon.core.step import TooLate


def test_a_phone_left_at_home_does_not_vouch_for_the_wristband() -> None:
    story = Story()
    home = fixes("08:00", "12:00", HOME_M, every_s=300)
    band = fixes("08:00", "09:00", HOME_M) + fixes("09:00", "12:00", 3_000)
    both = sorted([(f.time_s + 1, "phone", f) for f in home] + [(f.time_s, "", f) for f in band])
    for _, device, fix in both:
        story.live([fix], device=device)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_a_phone_outside_says_nothing_while_the_wristband_is_home() -> None:
    story = Story()
    for fix in fixes("08:00", "12:00", HOME_M, every_s=60):
        story.live([fix])
        if fix.time_s % 300 == 0:
            story.live([Fix(fix.time_s + 20, 5_000, "gnss")], device="phone", delay_s=6)
    assert story.told() == []


def test_wristband_silent_for_seven_hours_then_the_phone_speaks() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("14:00", "14:50", 5_000, every_s=300, device="phone")
    assert story.told() == [], "five hours: the wristband may still come back"
    story.stay("16:00", "16:30", 5_000, every_s=300, device="phone")
    assert story.told() == ["opened leave_city since 13 16:00 (outside_without_leave)"]


#: Home, out of coverage from 09:00 to 15:00 with an absence from 10:00 to 13:00 in it.
DURING_THE_GAP = [
    *fixes("09:00", "10:00", HOME_M),
    *fixes("10:00", "13:00", 3_000),
    *fixes("13:00", "15:00", HOME_M),
]


@pytest.mark.parametrize("order", ["newest first", "oldest first"])
@pytest.mark.parametrize("chunk", [1, 7, 360])
@pytest.mark.parametrize("apart_s", [1, 60])
def test_six_hours_of_memory_end_like_live(order: str, chunk: int, apart_s: int) -> None:
    live = Story()
    live.stay("08:00", "09:00")
    live.live(DURING_THE_GAP)
    live.stay("15:00", "22:00")
    late = Story()
    late.stay("08:00", "09:00")
    late.stay("15:00", "15:02")
    chunks = [DURING_THE_GAP[n : n + chunk] for n in range(0, len(DURING_THE_GAP), chunk)]
    arrives_s = moment("15:02")
    for seen in chunks if order == "oldest first" else reversed(chunks):
        arrives_s += apart_s
        late.upload(arrives_s, seen, stored=True)
    late.stay("21:10", "22:00")
    assert late.episodes() == live.episodes() == [("leave_city", "13 10:00", "13 13:00")]


def test_memory_that_comes_within_a_minute_is_told_once() -> None:
    """Newest first, a fix an upload: not gathered, each older fix would move the beginning."""
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("15:00", "15:02")
    for n, fix in enumerate(reversed(DURING_THE_GAP)):
        story.upload(moment("15:02") + n // 10, [fix], stored=True)
    story.clock("15:04")
    assert story.told() == [
        "opened leave_city since 13 10:00 (outside_without_leave)",
        "closed leave_city since 13 10:00 until 13 13:00 (returned)",
    ]
    assert all(a.detected_s == moment("15:02") + story.rules.settle_s for a in story.alerts)


def test_stored_uploads_are_judged_within_the_settling_time_without_another_event() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.upload("12:00", fixes("09:00", "12:00", 3_000), stored=True)
    assert story.told() == []
    assert story.person.due_s == moment("12:00") + story.rules.settle_s
    story.clock("12:00:45")
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]


def test_an_upload_that_is_late_without_saying_so_settles_as_well() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.upload("12:00", fixes("09:00", "11:50", 3_000))
    assert story.person.settle_s == moment("12:00") + story.rules.settle_s


def test_a_fix_older_than_the_horizon_is_told_as_too_late_and_judges_nothing() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.upload("09:00", [Fix(moment("10 09:00"), 3_000), *fixes("09:00", "09:01", HOME_M)])
    assert story.others == [TooLate((1, moment("10 09:00")))]
    story.upload("09:10", fixes("10 09:00", "10 12:00", 3_000), stored=True)
    story.clock("10:00")
    assert story.others[1:] == [TooLate((180, moment("10 11:59")))]
    assert story.told() == []


def test_a_day_of_memory_is_never_too_late() -> None:
    story = Story()
    story.stay("08:00", "09:00", every_s=300)
    story.stay("14 08:55", "14 09:00")
    story.upload("14 09:00", fixes("09:05", "14 08:00", 3_000, every_s=300), stored=True)
    story.clock("14 09:10")
    assert story.others == []
    assert story.episodes() == [("leave_city", "13 09:05", "14 08:55")]


@pytest.mark.parametrize("ahead_s", [60, 180, 299])
def test_a_device_whose_clock_is_minutes_ahead_closes_all_the_same(ahead_s: int) -> None:
    """Its fixes lie in the future of their arrival: what they say must not be lost by then."""
    story = Story()
    seen = [
        *fixes("08:00", "09:00", HOME_M),
        *fixes("09:00", "10:00", 3_000),
        *fixes("10:00", "12:00", HOME_M),
    ]
    story.live(seen, delay_s=-ahead_s)
    assert story.told() == [
        "opened leave_city since 13 09:00 (outside_without_leave)",
        "closed leave_city since 13 09:00 until 13 10:00 (returned)",
    ]
    opened, closed = story.alerts
    assert opened.detected_s - opened.since_s <= 4 * 60
    assert closed.detected_s - closed.until_s <= 4 * 60


@pytest.mark.parametrize("kind", ["tamper", "spoofing", "low_battery", "authorisation"])
def test_what_a_device_tells_of_minutes_ahead_is_told_when_it_is_there(kind: str) -> None:
    """A new band, four minutes ahead, sends what it had stored, and is silent from then on."""
    story = Story(kinds={kind})
    story.supervised("07:00", "01-01 00:00", "12-31 00:00")
    story.stay("07:00", "08:00", every_s=600, device="phone")
    flags = {"tamper": STRAP_OPEN, "spoofing": MOCK}.get(kind, 0)
    battery_pct = 3.0 if kind == "low_battery" else 80.0
    seen = [Fix(moment("08:05"), HOME_M)]
    story.upload("08:01", seen, stored=True, flags=flags, battery_pct=battery_pct)
    assert story.told() == []
    story.clock("12:00")
    assert story.alerts[0].since_s == story.alerts[0].detected_s == moment("08:05")


def test_a_heartbeat_moves_the_clock_and_no_position() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    before = story.person
    story.heartbeat("12:00")
    assert story.person.devices[1].heard_s == moment("12:00")
    assert story.person.newest_s == before.newest_s
    assert story.person.tail == before.tail


def test_a_clock_alone_is_not_hearing_from_anybody() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    heard_s = story.person.devices[1].heard_s
    story.clock("12:00")
    assert story.person.clock_s == moment("12:00")
    assert story.person.devices[1].heard_s == heard_s


def test_a_repeated_upload_changes_nothing_but_the_clock() -> None:
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("09:00", "09:30", 3_000)
    told, history = story.told(), (story.person.inside, story.person.marks, story.person.tail)
    story.upload("10:30", fixes("09:00", "09:30", 3_000), stored=True)
    story.clock("11:00")
    assert story.told() == told
    assert (story.person.inside, story.person.marks, story.person.tail) == history
