"""Contact: lost, or without a position, or about to be lost for want of a charge."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, fixes, moment

from geomon.alerts import iso_utc
from geomon.core.observed import CHARGING, POWER_OFF
from geomon.core.plans import LEVELS
from geomon.settings import Settings, rules_from

LEVELLED = rules_from(Settings(escalate_after_h=[]))


def heard(device: str = "phone", **said: float) -> Story:
    """Somebody last heard of at 08:00, at home."""
    story = Story(device=device, kinds={"lost_contact"})
    story.upload("08:00", [Fix(moment("08:00"), HOME_M)])
    if said:
        story.heartbeat("08:00", **said)  # type: ignore[arg-type]
    return story


# Lost contact: timers.


def test_a_silent_phone_is_lost_after_its_time_and_not_a_second_before() -> None:
    story = heard()
    story.clock("19:59:59")
    assert story.told() == []
    story.clock("20:00")
    assert story.told() == ["opened lost_contact since 13 08:00 (silent)"]
    assert story.alerts[0].detected_s == moment("20:00")
    assert story.alerts[0].severity == "medium"


def test_a_silent_wristband_is_lost_sooner() -> None:
    story = heard("wristband")
    story.clock("08:29:59")
    assert story.told() == []
    story.clock("09:00")
    assert story.told() == ["opened lost_contact since 13 08:00 (silent)"]
    assert story.alerts[0].detected_s == moment("08:30")


@pytest.mark.parametrize(
    ("level", "device", "lost"),
    [
        ("loose", "phone", "14 08:00"),
        ("normal", "phone", "20:00"),
        ("strict", "phone", "12:00"),
        ("loose", "wristband", "09:00"),
        ("normal", "wristband", "08:30"),
        ("strict", "wristband", "08:20"),
    ],
)
def test_each_level_has_its_own_patience(level: str, device: str, lost: str) -> None:
    assert level in LEVELS
    story = Story(LEVELLED, device=device, kinds={"lost_contact"})
    story.supervised("07:00", "01-01 00:00", "12-31 00:00", level=level)
    story.heartbeat("08:00")
    story.clock("14 12:00")
    opened = story.alerts[0]
    assert (opened.phase, opened.detected_s, opened.level) == ("opened", moment(lost), level)


def test_heard_again_ends_it_and_keeps_how_long_it_was() -> None:
    story = heard()
    story.clock("21:00")
    story.heartbeat("23:10")
    assert story.told()[1:] == ["closed lost_contact since 13 08:00 until 13 23:10 (heard_again)"]
    closed = story.alerts[-1]
    assert closed.until_s - closed.since_s == 15 * 3600 + 600


def test_lost_again_is_another_episode() -> None:
    story = heard()
    story.heartbeat("21:00")
    story.clock("14 12:00")
    assert story.told() == [
        "opened lost_contact since 13 08:00 (silent)",
        "closed lost_contact since 13 08:00 until 13 21:00 (heard_again)",
        "opened lost_contact since 13 21:00 (silent)",
    ]
    assert story.alerts[-1].number == 1


def test_what_a_band_had_stored_is_heard_when_it_arrives() -> None:
    """It was alive, and nobody knew: both are true, and it is not unsaid."""
    story = heard("wristband")
    story.upload("11:00", fixes("08:01", "10:59", HOME_M), stored=True)
    story.clock("11:10")
    assert story.told() == [
        "opened lost_contact since 13 08:00 (silent)",
        "closed lost_contact since 13 08:00 until 13 11:00 (heard_again)",
    ]


def test_never_heard_of_is_not_lost() -> None:
    story = Story(kinds={"lost_contact"})
    story.supervised("08:00", "01-01 00:00", "12-31 00:00")
    story.clock("20 08:00")
    assert story.told() == []


# One device and the other.


def test_a_band_silent_while_the_phone_speaks_says_so() -> None:
    story = heard("wristband")
    story.heartbeats("08:00", "12:00", every_s=600, device="phone")
    assert story.told() == ["opened lost_contact since 13 08:00 (wristband_silent)"]
    assert dict(story.alerts[0].detail)["device"] == "wristband"


def test_a_phone_silent_while_the_band_speaks_is_not_lost() -> None:
    story = heard("wristband")
    story.heartbeat("08:00", device="phone")
    story.heartbeats("08:01", "14 12:00", every_s=600)
    assert story.told() == []


def test_both_silent_is_told_as_plain_silence_later() -> None:
    """The phone speaks up to 09:00; twelve hours later nothing at all is heard any more."""
    story = heard("wristband")
    story.heartbeats("08:00", "09:01", every_s=600, device="phone")
    story.clock("21:30")
    assert story.told() == [
        "opened lost_contact since 13 08:00 (wristband_silent)",
        "updated lost_contact since 13 08:00 (silent)",
    ]
    assert story.alerts[1].detected_s == moment("21:00")


def test_a_band_whose_order_ended_is_not_missed() -> None:
    story = Story(kinds={"lost_contact"})
    story.authorise("07:00", "01-01 00:00", "13 09:00")
    story.heartbeats("08:00", "09:10", every_s=60)
    story.heartbeats("09:10", "20:00", every_s=600, device="phone")
    assert story.told() == []


# Why it is silent.


@pytest.mark.parametrize(
    ("device", "said", "reason", "severity"),
    [
        ("phone", {"battery_pct": 4}, "battery_died", "low"),
        ("phone", {"battery_pct": 60}, "silent", "medium"),
        ("phone", {"battery_pct": 4, "flags": CHARGING}, "silent", "medium"),
        ("phone", {"flags": POWER_OFF}, "switched_off", "medium"),
        ("phone", {"battery_pct": 4, "flags": POWER_OFF}, "switched_off", "medium"),
        ("wristband", {"battery_pct": 15}, "battery_died", "low"),
        ("wristband", {"battery_pct": 45}, "silent", "medium"),
    ],
)
def test_a_dead_battery_a_switch_and_silence_are_told_apart(
    device: str, said: dict[str, float], reason: str, severity: str
) -> None:
    story = heard(device, **said)
    story.clock("20:10")
    assert story.told() == [f"opened lost_contact since 13 08:00 ({reason})"]
    alert = story.alerts[0]
    assert alert.severity == severity
    detail = dict(alert.detail)
    assert (detail["device"], detail["last_heard"]) == (device, iso_utc(moment("08:00")))
    assert detail.get("battery_pct") == said.get("battery_pct")


def test_switched_on_again_and_then_silent_is_silence() -> None:
    story = heard(flags=POWER_OFF)
    story.heartbeat("08:30")
    story.clock("21:00")
    assert story.told() == ["opened lost_contact since 13 08:30 (silent)"]


def test_a_stored_word_of_switching_off_is_old_news() -> None:
    """It was off in the night; that it says so now shows that it is on."""
    story = heard()
    story.heartbeat("08:30")
    story.heartbeat("08:31", read="02:00", flags=POWER_OFF)
    story.clock("21:00")
    assert story.told() == ["opened lost_contact since 13 08:31 (silent)"]


def test_lost_after_a_low_battery_is_linked_to_it() -> None:
    story = heard(battery_pct=3)
    story.clock("20:10")
    assert story.alerts[0].cause == f"low_battery/{moment('08:00')}"


# Where silence is worse.


@pytest.mark.parametrize(
    ("outside_m", "severity"), [(HOME_M, "medium"), (-2_100, "medium"), (-1_900, "high")]
)
def test_silence_ranks_higher_near_the_line(outside_m: float, severity: str) -> None:
    story = Story(device="phone", kinds={"lost_contact"})
    story.upload("08:00", [Fix(moment("08:00"), outside_m)])
    story.clock("20:00")
    assert [a.severity for a in story.alerts] == [severity]
    assert dict(story.alerts[0].detail)["distance_outside_m"] == round(outside_m)


@pytest.mark.parametrize(
    ("ends", "severity"),
    [
        ("13 10:00", "high"),
        ("13 20:00", "high"),
        ("13 20:01", "medium"),
        ("15 00:00", "medium"),
    ],
)
def test_silence_ranks_higher_in_the_last_hours_of_a_leave(ends: str, severity: str) -> None:
    story = Story(device="phone", kinds={"lost_contact"})
    story.leave("10 08:00", "10 09:00", ends)
    story.stay("10 12:00", "10 13:00", 50_000, every_s=600, place="411700")
    story.heartbeat("08:00")
    story.clock("21:00")
    assert [(a.phase, a.severity) for a in story.alerts if a.since_s == moment("08:00")] == [
        ("opened", severity)
    ]


def test_silence_ranks_higher_of_someone_out_without_leave() -> None:
    story = Story(device="phone", kinds={"lost_contact"})
    story.stay("07:00", "07:40", 50_000, every_s=600)
    story.clock("20:00")
    assert [(a.phase, a.severity) for a in story.alerts] == [("opened", "high")]


# Out of supervision.


def test_lost_for_so_long_is_out_of_supervision() -> None:
    story = heard()
    story.clock("15 07:59:59")
    assert len(story.told()) == 1
    story.clock("15 08:00")
    assert story.told()[1:] == ["updated lost_contact since 13 08:00 (out_of_supervision)"]
    update = story.alerts[1]
    assert (update.severity, update.detected_s) == ("critical", moment("15 08:00"))
    assert update.out_since_s == moment("08:00")
    assert update.proposal[:2] == ("admonition", "out_of_supervision")
    story.clock("15 20:00")
    assert len(story.told()) == 2


def test_a_band_off_with_a_phone_that_speaks_is_not_out_of_supervision() -> None:
    story = heard("wristband")
    story.heartbeats("08:20", "17 08:00", every_s=3600, device="phone")
    assert story.told() == ["opened lost_contact since 13 08:00 (wristband_silent)"]
    assert story.alerts[0].out_since_s == 0


def test_supervision_that_ends_ends_it() -> None:
    story = Story(device="phone", kinds={"lost_contact"})
    story.supervised("07:00", "01-01 00:00", "14 00:00")
    story.heartbeat("08:00")
    story.clock("14 09:00")
    assert story.told() == [
        "opened lost_contact since 13 08:00 (silent)",
        "closed lost_contact since 13 08:00 until 14 00:00 (supervision_ended)",
    ]
    story.clock("20 09:00")
    assert len(story.told()) == 2


def test_nobody_is_lost_after_supervision() -> None:
    story = Story(device="phone", kinds={"lost_contact"})
    story.supervised("07:00", "01-01 00:00", "13 12:00")
    story.heartbeat("08:00")
    story.clock("20 09:00")
    assert story.told() == []


def test_an_upload_that_says_nothing_of_the_battery_takes_it_off_no_charger() -> None:
    """However the upload is taken: the quick way of all that is plainly inside, or the other."""
    story = Story(device="phone", kinds={"lost_contact"})
    story.stay("07:00", "08:00", every_s=600)
    story.heartbeat("08:00", battery_pct=4, flags=CHARGING)
    story.stay("08:10", "09:00", every_s=600)
    story.clock("22:00")
    assert story.told() == ["opened lost_contact since 13 08:50:05 (silent)"]
