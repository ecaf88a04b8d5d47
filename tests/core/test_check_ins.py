"""Check-ins (签到): windows that move, grace, late ones, runs of misses, plans of one's own."""

from __future__ import annotations

import pytest
from timeline import Story, moment, text

from geomon.alerts import iso_utc
from geomon.core.entries import UnknownEpisode
from geomon.core.observed import CheckedIn, ClockAt, Disposed
from geomon.core.plans import LEVELS, Plan, Window, check_in_windows
from geomon.core.rules import Rules
from geomon.settings import Settings, rules_from

LEVELLED = rules_from(Settings(check_in_seed="a secret of this test"))
#: Local days since 1970: 2024-02-14.
DAY = 19_767
HOUR_S = 3_600


def owing(rules: Rules | None = None, *, level: str = "normal", own: bool = True) -> Story:
    """Somebody announced on the 13th with a phone; asked from 09:00 to 10:00 and 18:00 to 19:00."""
    story = Story(rules, device="phone", kinds={"missed_check_in"})
    story.supervised("13 08:00", "01-01 00:00", "12-31 00:00", level=level)
    if own:
        story.plan("13 08:00", ("09:00", "10:00"), ("18:00", "19:00"))
    story.heartbeat("13 08:00")
    return story


# Where windows lie.


@pytest.mark.parametrize(("level", "a_day", "long_min"), [(0, 1, 180), (1, 2, 90), (2, 3, 60)])
def test_windows_of_a_level(level: int, a_day: int, long_min: int) -> None:
    plan = LEVELLED.plans[level]
    opened = set()
    for day in range(DAY, DAY + 200):
        windows = list(check_in_windows("SZ-0001", day, plan, seed="x", utc_offset_s=28_800))
        assert len(windows) == a_day
        midnight_s = day * 86_400 - 28_800
        part_s = 15 * HOUR_S // a_day
        for n, window in enumerate(windows):
            assert window.until_s - window.from_s == long_min * 60
            # Each part of the day has its own, so there is no long time without one.
            assert window.from_s - midnight_s >= 7 * HOUR_S + n * part_s
            assert window.until_s - midnight_s <= 7 * HOUR_S + (n + 1) * part_s
            opened.add(window.from_s - midnight_s)
    assert len(opened) > 100, "they move from day to day"


def _all(supervisee_id: str, seed: str) -> list[Window]:
    days = range(DAY, DAY + 30)
    return [
        window
        for day in days
        for window in check_in_windows(supervisee_id, day, Plan(), seed=seed, utc_offset_s=28_800)
    ]


def test_windows_are_the_same_in_a_replay_and_not_those_of_another_person_or_seed() -> None:
    assert _all("SZ-0001", "a") == _all("SZ-0001", "a")
    assert len(set(_all("SZ-0001", "a")) & set(_all("SZ-0002", "a"))) < 6
    assert len(set(_all("SZ-0001", "a")) & set(_all("SZ-0001", "b"))) < 6


@pytest.mark.parametrize("level", LEVELS)
def test_five_past_midnight_satisfies_nothing(level: str) -> None:
    """Check in at 00:05, leave the phone and travel: elsewhere that is a day's check-in."""
    story = owing(LEVELLED, level=level, own=False)
    for day in range(14, 21):
        story.check_in(f"{day} 00:05")
    story.clock("21 00:00")
    a_day = {"loose": 1, "normal": 2, "strict": 3}[level]
    assert dict(story.alerts[-1].detail)["missed"] >= 6
    assert story.person.checks.run is not None
    assert story.person.checks.run.missed == 7 * a_day


def test_whoever_checks_in_in_every_window_is_left_alone() -> None:
    story = owing(LEVELLED, level="strict", own=False)
    plan = LEVELLED.plans[2]
    for day in range(DAY, DAY + 14):
        for window in check_in_windows(
            "SZ-0001", day, plan, seed="a secret of this test", utc_offset_s=28_800
        ):
            made_s = window.from_s + (window.until_s - window.from_s) // 3
            story.take(CheckedIn(made_s + 2, made_s, True))
    assert story.told() == []
    story.clock("28 07:00")
    assert story.told() == []


@pytest.mark.parametrize("plan", [Plan(check_in_window_s=0), Plan(check_ins=100_000)])
def test_windows_without_length_are_none_and_time_goes_on(plan: Plan) -> None:
    """One that ends as it begins would be followed by itself, for ever."""
    story = owing(Rules(plans=(plan, plan, plan)), own=False)
    story.clock("21 00:00")
    assert story.alerts == []


# Kept or missed.


def test_nobody_owes_a_window_of_the_day_on_which_it_became_known() -> None:
    story = owing()
    story.clock("14 08:59")
    assert story.told() == []


def test_a_missed_window_is_told_when_the_grace_is_over() -> None:
    story = owing()
    story.clock("14 10:09:59")
    assert story.told() == []
    story.clock("14 10:10")
    assert story.told() == ["opened missed_check_in since 14 09:00 (no_check_in)"]
    alert = story.alerts[0]
    assert (alert.severity, alert.detected_s) == ("low", moment("14 10:10"))
    assert dict(alert.detail) == {
        "missed": 1,
        "windows": ({"from": iso_utc(moment("14 09:00")), "until": iso_utc(moment("14 10:00"))},),
    }


@pytest.mark.parametrize("made", ["14 09:00", "14 09:30", "14 10:00"])
def test_a_check_in_within_the_window_keeps_it(made: str) -> None:
    story = owing()
    story.check_in(made)
    story.clock("14 10:10")
    assert story.told() == []


@pytest.mark.parametrize("made", ["14 08:59:59", "14 10:00:01", "14 10:09"])
def test_a_check_in_outside_the_window_does_not(made: str) -> None:
    """The grace is for the way it takes to arrive, not for the person."""
    story = owing()
    story.check_in(made)
    story.clock("14 10:10")
    assert [(a.phase, text(a.since_s)) for a in story.alerts] == [("opened", "14 09:00")]


def test_one_made_in_time_that_arrives_within_the_grace_keeps_it() -> None:
    story = owing()
    story.check_in("14 10:09:59", at="14 09:58")
    story.clock("14 11:00")
    assert story.told() == []


def test_one_made_in_time_that_arrives_after_the_grace_is_recorded_as_late() -> None:
    story = owing()
    story.clock("14 10:10")
    story.check_in("14 10:30", at="14 09:58")
    assert story.told()[1:] == ["updated missed_check_in since 14 09:00 (late_check_in)"]
    assert dict(story.alerts[-1].detail)["checked_in"] == iso_utc(moment("14 09:58"))


def test_one_that_is_not_verified_does_not_count() -> None:
    story = owing()
    story.check_in("14 09:30", verified=False)
    story.clock("14 10:10")
    assert story.told() == ["opened missed_check_in since 14 09:00 (no_check_in)"]
    story.check_in("14 10:30", verified=False)
    assert len(story.told()) == 1


def test_a_check_in_dated_ahead_keeps_no_window_that_is_still_to_come() -> None:
    """A phone whose clock is put forward must not check in for the evening at noon."""
    story = owing()
    story.check_in("14 09:30")
    story.check_in("14 12:00", at="14 18:30")
    story.clock("14 19:10")
    assert story.told() == ["opened missed_check_in since 14 18:00 (no_check_in)"]


def test_a_clock_some_minutes_ahead_is_forgiven() -> None:
    story = owing()
    story.check_in("14 08:58", at="14 09:02")
    story.clock("14 10:10")
    assert story.told() == []


def test_late_is_recorded_and_the_window_stays_missed() -> None:
    story = owing()
    story.clock("14 10:10")
    story.check_in("14 11:00")
    story.check_in("14 18:30")
    story.clock("14 23:00")
    assert story.told() == [
        "opened missed_check_in since 14 09:00 (no_check_in)",
        "updated missed_check_in since 14 09:00 (late_check_in)",
    ]
    assert story.episodes() == [("missed_check_in", "14 09:00", "")]


# Runs.


def test_windows_missed_one_after_the_other_are_one_episode() -> None:
    story = owing()
    story.heartbeats("13 12:00", "14 23:00", every_s=7_200)
    story.clock("14 23:00")
    assert story.told() == [
        "opened missed_check_in since 14 09:00 (no_check_in)",
        "updated missed_check_in since 14 09:00 (missed_again)",
    ]
    update = story.alerts[1]
    assert (update.severity, update.detected_s) == ("medium", moment("14 19:10"))
    assert len(dict(update.detail)["windows"]) == 2


def test_the_sixth_miss_is_grave() -> None:
    story = owing()
    story.heartbeats("13 12:00", "17 00:00", every_s=7_200)
    story.clock("17 00:00")
    assert story.alerts[-1].severity == "high"
    assert story.alerts[-1].detected_s == moment("16 19:10")
    assert dict(story.alerts[-1].detail)["missed"] == 6
    assert {a.since_s for a in story.alerts} == {moment("14 09:00")}


def test_late_and_then_missed_again_is_said() -> None:
    story = owing()
    story.clock("14 10:10")
    story.check_in("14 11:00")
    story.clock("14 20:00")
    assert story.told()[2:] == ["updated missed_check_in since 14 09:00 (missed_again)"]


def test_a_window_missed_after_one_that_was_kept_is_an_episode_of_its_own() -> None:
    story = owing()
    story.clock("14 10:10")
    story.check_in("14 18:30")
    story.clock("15 10:10")
    assert story.told() == [
        "opened missed_check_in since 14 09:00 (no_check_in)",
        "opened missed_check_in since 15 09:00 (no_check_in)",
    ]
    assert story.alerts[1].number == 1


# Disposal.


def test_only_a_disposal_closes_it() -> None:
    story = owing()
    story.clock("14 10:10")
    story.dispose("14 12:00", story.alerts[0])
    assert story.told()[1:] == ["closed missed_check_in since 14 09:00 until 14 12:00 (disposed)"]
    story.clock("14 20:00")
    assert story.told()[2:] == ["opened missed_check_in since 14 18:00 (no_check_in)"]


def test_what_was_dealt_with_is_not_told_again_days_later() -> None:
    story = owing()
    story.clock("14 10:10")
    story.dispose("14 12:00", story.alerts[0])
    for day in range(14, 24):
        story.check_in(f"{day} 18:30")
        story.check_in(f"{day + 1} 09:30")
    assert len(story.told()) == 2


def test_of_two_runs_the_first_can_still_be_dealt_with() -> None:
    """An officer gets to Wednesday's on Thursday, when another one is open."""
    story = owing()
    story.clock("14 10:10")
    story.check_in("14 18:30")
    story.clock("15 10:10")
    story.dispose("15 11:00", story.alerts[0])
    assert not [o for o in story.others if isinstance(o, UnknownEpisode)]


def test_a_disposal_of_a_run_that_is_not_there_is_refused() -> None:
    story = owing()
    story.take(Disposed(moment("14 08:00"), "missed_check_in", moment("13 09:00"), 1))
    assert [type(o) for o in story.others] == [UnknownEpisode]


# Plans and people.


def test_a_plan_of_ones_own_takes_the_place_of_the_levels() -> None:
    story = owing(LEVELLED, own=False)
    story.plan("13 09:00", ("03:00", "04:00"), begin="13 00:00", end="15 00:00")
    story.check_in("14 03:30")
    story.clock("15 00:00")
    assert story.told() == [], "nothing but the night's window was asked on the 14th"
    story.clock("16 00:00")
    assert text(story.alerts[0].since_s) >= "15 07:00", "the level's again"


def test_exempt_is_a_plan_without_windows() -> None:
    story = owing(LEVELLED, own=False)
    story.plan("13 09:00", begin="13 00:00", end="18 00:00")
    story.clock("18 07:00")
    assert story.told() == []
    story.clock("19 00:00")
    assert text(story.alerts[0].since_s) >= "18 07:00"


def test_a_plan_for_some_days_of_the_week() -> None:
    story = owing(own=False)
    story.plan("13 09:00", ("09:00", "10:00"), days=0b000_0001)
    story.clock("20 00:00")
    assert story.told() == ["opened missed_check_in since 19 09:00 (no_check_in)"]


def test_a_plan_that_arrives_again_lets_nobody_off() -> None:
    story = owing()
    story.check_in("14 09:30")
    story.plan("14 12:00", ("09:00", "10:00"), ("18:00", "19:00"))
    story.clock("14 20:00")
    assert story.told() == ["opened missed_check_in since 14 18:00 (no_check_in)"]


def test_another_level_asks_from_tomorrow_on() -> None:
    story = owing(LEVELLED, level="loose", own=False)
    story.supervised("14 06:00", "01-01 00:00", "12-31 00:00", level="strict")
    story.clock("15 07:00")
    assert story.told() == []
    story.clock("16 00:00")
    assert story.person.checks.run is not None
    assert story.person.checks.run.missed == 3
    assert text(story.alerts[0].since_s).startswith("15 ")


def test_announced_again_with_the_same_level_lets_nobody_off() -> None:
    story = owing()
    story.supervised("14 09:30", "01-01 00:00", "12-31 00:00")
    story.clock("14 10:10")
    assert len(story.told()) == 1


def test_whoever_wears_only_a_band_owes_none() -> None:
    story = Story(device="wristband", kinds={"missed_check_in"})
    story.supervised("13 08:00", "01-01 00:00", "12-31 00:00")
    story.heartbeats("13 08:00", "16 00:00", every_s=600)
    assert story.told() == []


def test_whoever_was_never_announced_owes_none() -> None:
    story = Story(device="phone", kinds={"missed_check_in"})
    story.heartbeats("13 08:00", "16 00:00", every_s=3600)
    assert story.told() == []


def test_windows_after_supervision_are_not_owed() -> None:
    story = Story(device="phone", kinds={"missed_check_in"})
    story.supervised("13 08:00", "01-01 00:00", "14 17:00")
    story.plan("13 08:00", ("09:00", "10:00"), ("18:00", "19:00"))
    story.heartbeat("13 08:00")
    story.check_in("14 09:30")
    story.clock("18 00:00")
    assert story.told() == []


def test_silence_is_no_excuse() -> None:
    """Nothing arrives: windows are judged when their time is over all the same."""
    story = owing()
    story.clock("14 10:10")
    assert story.alerts[0].detected_s == moment("14 10:10")


@pytest.mark.parametrize("late_s", [0, 1])
def test_supervision_that_ends_while_contact_is_lost_is_told_alike_however_often_it_is_looked_at(
    late_s: int,
) -> None:
    """A worker looks a second after each deadline, a replay at the next event."""
    story = Story(device="phone", kinds={"missed_check_in"})
    story.supervised("08 00:00", "01-01 00:00", "13 12:00")
    story.plan("08 00:10", ("08:00", "09:00"), ("11:45", "12:05"))
    story.stay("10 00:00", "11 09:30", every_s=1_800)
    while late_s and 0 < story.person.due_s < moment("14 00:00"):
        story.take(ClockAt(story.person.due_s + late_s))
    story.clock("14 12:00")
    told = [text(alert.detected_s) for alert in story.alerts]
    assert told == ["11 09:10", "11 12:15", "13 12:00", "13 12:15"]


def test_an_officer_who_is_a_month_behind_can_deal_with_all_of_it() -> None:
    """Mornings kept, evenings missed: a run a day."""
    story = owing()
    for day in range(14, 14 + 31):
        date = f"{day:02}" if day < 30 else f"03-{day - 29:02}"
        story.check_in(f"{date} 09:30")
        story.clock(f"{date} 20:00")
    opened = [alert for alert in story.alerts if alert.phase == "opened"]
    assert len(opened) == 31
    for alert in opened:
        story.dispose("03-16 00:00", alert)
    assert story.others == []
    assert [a.since_s for a in story.alerts if a.phase == "closed"] == [a.since_s for a in opened]


def test_every_event_twice_changes_nothing() -> None:
    once, twice = owing(), owing()
    for story, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            story.check_in("14 10:05")
        story.clock("14 10:10")
        for _ in range(times):
            story.check_in("14 11:00")
        story.clock("14 19:10")
        for _ in range(times):
            story.dispose("14 20:00", story.alerts[0])
        for _ in range(times):
            story.check_in("15 09:30")
        story.clock("16 00:00")
    assert twice.told() == once.told()
    assert twice.others == once.others == []
