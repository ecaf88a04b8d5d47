"""Heard from without a position, and batteries: what comes before contact is lost."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, fixes, moment

from geomon.alerts import iso_utc
from geomon.core.observed import CHARGING


def at_home(device: str, kind: str) -> Story:
    """Somebody last seen at 08:00, at home."""
    story = Story(device=device, kinds={kind})
    story.upload("08:00", [Fix(moment("08:00"), HOME_M)])
    return story


# No position.


@pytest.mark.parametrize(
    ("device", "every_s", "told"), [("wristband", 60, "08:45"), ("phone", 1800, "14:00")]
)
def test_heartbeats_alone_are_no_position(device: str, every_s: int, told: str) -> None:
    story = at_home(device, "no_fix")
    story.heartbeats("08:00", told, every_s=every_s)
    assert story.told() == []
    story.heartbeat(told)
    assert story.told() == ["opened no_fix since 13 08:00 (no_usable_fix)"]
    assert (story.alerts[0].severity, story.alerts[0].detected_s) == ("low", moment(told))


def test_last_heard_is_kept_apart_from_the_last_position() -> None:
    story = at_home("phone", "no_fix")
    story.heartbeats("08:30", "14:31", every_s=1800)
    detail = dict(story.alerts[0].detail)
    assert detail["last_fix"] == iso_utc(moment("08:00"))
    assert detail["last_heard"] == iso_utc(moment("14:00"))


def test_never_a_position_counts_from_when_it_was_first_heard() -> None:
    story = Story(device="phone", kinds={"no_fix"})
    story.heartbeats("08:00", "14:31", every_s=1800)
    assert story.told() == ["opened no_fix since 13 08:00 (no_usable_fix)"]
    assert dict(story.alerts[0].detail)["last_fix"] is None


def test_a_position_ends_it_and_how_long_it_was_is_kept() -> None:
    story = at_home("phone", "no_fix")
    story.heartbeats("08:30", "15:00", every_s=1800)
    story.fix("15:10", HOME_M)
    assert story.told()[1:] == ["closed no_fix since 13 08:00 until 13 15:10 (fix_again)"]


def test_a_position_from_cells_is_a_position() -> None:
    story = at_home("phone", "no_fix")
    story.heartbeats("08:30", "12:00", every_s=1800)
    story.fix("12:00", HOME_M, "cell")
    story.heartbeats("12:30", "17:31", every_s=1800)
    assert story.told() == []


def test_silence_is_not_the_want_of_a_position() -> None:
    """It reports again after nine hours of silence: it had nothing to say, not no position."""
    story = at_home("phone", "no_fix")
    story.heartbeat("17:00")
    story.clock("17:10")
    assert story.told() == []


def test_a_silent_device_is_lost_and_its_want_of_a_position_is_not_told_beside() -> None:
    story = Story(kinds={"no_fix", "lost_contact"})
    story.upload("08:00", [Fix(moment("08:00"), HOME_M)])
    story.clock("12:00")
    assert story.told() == ["opened lost_contact since 13 08:00 (silent)"]


def test_lost_after_the_want_of_a_position_is_linked_to_it() -> None:
    story = Story(kinds={"lost_contact"})
    story.upload("08:00", [Fix(moment("08:00"), HOME_M)])
    story.heartbeats("08:00", "09:00", every_s=60)
    story.clock("10:00")
    assert story.told() == ["opened lost_contact since 13 08:59 (silent)"]
    assert story.alerts[0].cause == f"no_fix/{moment('08:00')}"


def test_stored_positions_that_arrive_end_it_at_their_own_time() -> None:
    story = at_home("wristband", "no_fix")
    story.heartbeats("08:01", "09:30", every_s=60)
    story.upload("09:30", fixes("09:00", "09:20", HOME_M), stored=True)
    assert story.told()[1:] == ["closed no_fix since 13 08:00 until 13 09:19 (fix_again)"]


def test_an_old_stored_position_ends_one_and_begins_the_next_at_once() -> None:
    """Seen at 08:40, says the memory at 09:30: since then there is none for too long again."""
    story = at_home("wristband", "no_fix")
    story.heartbeats("08:01", "09:30", every_s=60)
    story.upload("09:30", [Fix(moment("08:40"), HOME_M)], stored=True)
    assert story.told()[1:] == [
        "closed no_fix since 13 08:00 until 13 08:40 (fix_again)",
        "opened no_fix since 13 08:40 (no_usable_fix)",
    ]


@pytest.mark.parametrize(
    ("device", "every_s", "slow_s"),
    [("wristband", 120, 3_600), ("wristband", 60, 2_700), ("phone", 1_800, 8 * 3_600)],
)
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("wavers_s", [0, 20])
def test_a_clock_that_is_hours_slow_is_no_noise(
    device: str, every_s: int, slow_s: int, wavers_s: int, *, stored: bool
) -> None:
    """Each of its positions is old when it comes: one ends the first, and none the second."""
    story = Story(device=device, kinds={"no_fix"})
    for n, time_s in enumerate(range(moment("12 00:00"), moment("14 00:00"), every_s)):
        late_s = slow_s + (wavers_s if n % 2 else -wavers_s)
        story.upload(time_s, [Fix(time_s - late_s, HOME_M)], stored=stored)
    assert [a.phase for a in story.alerts if a.reason != "still_open"] == [
        *("opened", "closed", "opened")
    ]
    story.fix("14 00:00", HOME_M)
    assert story.told()[-1].endswith("until 14 00:00 (fix_again)"), "its clock was set"


# Low battery.


def charged(device: str = "wristband") -> Story:
    return Story(device=device, kinds={"low_battery"})


@pytest.mark.parametrize(
    ("device", "fine", "low", "severity"),
    [("wristband", 20, 19.9, "medium"), ("phone", 5, 4.9, "low")],
)
def test_below_the_threshold_it_is_told_once(
    device: str, fine: float, low: float, severity: str
) -> None:
    story = charged(device)
    story.heartbeat("08:00", battery_pct=fine)
    assert story.told() == []
    story.heartbeat("08:01", battery_pct=low)
    story.heartbeat("08:02", battery_pct=low - 1)
    assert story.told() == ["opened low_battery since 13 08:01 (battery_low)"]
    assert story.alerts[0].severity == severity
    assert dict(story.alerts[0].detail) == {
        "device": device,
        "battery_pct": low,
        "charging": False,
    }


def test_a_reading_that_wavers_about_the_threshold_makes_one_alert() -> None:
    story = charged()
    for n in range(50):
        story.heartbeat(f"08:{n:02}", battery_pct=19 if n % 2 else 21)
    assert story.told() == ["opened low_battery since 13 08:01 (battery_low)"]


def test_charging_ends_it() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=10)
    story.heartbeat("08:30", battery_pct=10, flags=CHARGING)
    assert story.told()[1:] == ["closed low_battery since 13 08:00 until 13 08:30 (charged)"]


def test_taken_off_the_charger_too_early_it_is_low_again() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=10)
    story.heartbeat("08:30", battery_pct=12, flags=CHARGING)
    story.heartbeat("08:40", battery_pct=15)
    assert story.told()[2:] == ["opened low_battery since 13 08:40 (battery_low)"]


def test_much_more_than_low_ends_it_though_nobody_saw_it_charge() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=10)
    story.heartbeat("09:00", battery_pct=29)
    assert len(story.told()) == 1
    story.heartbeat("09:10", battery_pct=30)
    assert story.told()[1:] == ["closed low_battery since 13 08:00 until 13 09:10 (charged)"]


def test_low_while_it_charges_is_not_told() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=3, flags=CHARGING)
    assert story.told() == []


def test_a_stored_reading_that_is_older_says_nothing_of_the_present() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=80)
    story.heartbeat("08:01", read="06:00", battery_pct=3)
    assert story.told() == []


def test_an_upload_that_says_nothing_of_the_battery_changes_nothing() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=10)
    story.heartbeat("08:10")
    story.stay("08:11", "08:20")
    assert story.told() == ["opened low_battery since 13 08:00 (battery_low)"]


def test_a_low_phone_and_a_low_band_are_one_episode_until_both_are_charged() -> None:
    story = charged()
    story.heartbeat("08:00", battery_pct=4, device="phone")
    story.heartbeat("08:10", battery_pct=10)
    story.heartbeat("08:20", battery_pct=90)
    assert [a.phase for a in story.alerts][-1] != "closed"
    story.heartbeat("08:30", battery_pct=90, device="phone")
    assert story.told()[-1] == "closed low_battery since 13 08:00 until 13 08:30 (charged)"


def test_the_end_of_supervision_ends_them() -> None:
    story = Story(device="phone", kinds={"low_battery", "no_fix"})
    story.supervised("07:00", "01-01 00:00", "13 16:00")
    story.heartbeat("08:00", battery_pct=3)
    story.heartbeats("08:00", "16:00", every_s=1800)
    story.clock("17:00")
    assert sorted(story.told()[2:]) == [
        "closed low_battery since 13 08:00 until 13 16:00 (supervision_ended)",
        "closed no_fix since 13 08:00 until 13 16:00 (supervision_ended)",
    ]
