"""Phone and wristband of one person, together and apart (人机分离)."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, moment, text

from geomon.core.rules import Rules
from geomon.settings import Settings, rules_from

LEVELLED = rules_from(Settings(escalate_after_h=[]))


class Two:
    """A story of somebody with a phone and a wristband, reporting one after the other."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.story = Story(rules, kinds={"separation"})

    def report(
        self,
        begin: str,
        end: str,
        apart_m: float,
        *,
        every_s: int = 600,
        phone_late_s: int = 20,
        source: str = "gnss",
        accuracy_m: float | None = None,
        speed_mps: float = 0.0,
    ) -> None:
        """Both report every so often; the phone is so many metres away, and some seconds later."""
        begin_s = moment(begin)
        for time_s in range(begin_s, moment(end), every_s):
            gone_m = speed_mps * (time_s - begin_s)
            band = Fix(time_s, HOME_M, east_m=gone_m)
            seen_s = time_s + phone_late_s
            gone_m += speed_mps * phone_late_s
            phone = Fix(seen_s, HOME_M, source, accuracy_m, east_m=gone_m + apart_m)
            self.story.upload(time_s + 1, [band], device="wristband")
            self.story.upload(seen_s + 1, [phone], device="phone")

    def told(self) -> list[str]:
        return self.story.told()


def test_apart_for_as_long_as_the_plan_allows_is_told_once() -> None:
    two = Two()
    two.report("08:00", "09:00", 10)
    two.report("09:00", "09:30", 2_000)
    assert two.told() == []
    two.report("09:30", "14 09:00", 2_000)
    assert two.told() == ["opened separation since 13 09:00:20 (devices_apart)"]
    alert = two.story.alerts[0]
    assert (text(alert.detected_s), alert.severity) == ("13 09:30:21", "medium")
    detail = dict(alert.detail)
    assert detail["distance_m"] == pytest.approx(2_000, abs=5)
    assert detail["phone_lon"] - detail["wristband_lon"] > 0.01


@pytest.mark.parametrize(
    ("level", "told"), [("loose", "10:00"), ("normal", "09:30"), ("strict", "09:15")]
)
def test_each_level_allows_its_own_time(level: str, told: str) -> None:
    two = Two(LEVELLED)
    two.story.supervised("07:00", "01-01 00:00", "12-31 00:00", level=level)
    two.report("08:00", "09:00", 10, every_s=300)
    two.report("09:00", "11:00", 2_000, every_s=300)
    assert text(two.story.alerts[0].detected_s) == f"13 {told}:21"


def test_together_again_ends_it() -> None:
    two = Two()
    two.report("09:00", "10:00", 2_000)
    two.report("10:00", "10:10", 10)
    assert two.told()[1:] == [
        "closed separation since 13 09:00:20 until 13 10:00:20 (together_again)"
    ]


def test_out_without_the_phone_for_a_short_while_is_not_told() -> None:
    two = Two()
    two.report("08:00", "09:00", 10)
    two.report("09:00", "09:25", 2_000, every_s=300)
    two.report("09:25", "12:00", 10)
    assert two.told() == []


@pytest.mark.parametrize("apart_m", [100, 300, 520])
def test_near_enough_is_together(apart_m: float) -> None:
    two = Two()
    two.report("08:00", "12:00", apart_m)
    assert two.told() == []


def test_what_poor_positions_may_be_off_is_taken_off() -> None:
    """2 km apart, and the phone's position is only good to 800 m."""
    two = Two()
    two.report("08:00", "12:00", 2_000, source="wifi", accuracy_m=800.0)
    assert two.told() == []


def test_cells_say_too_little() -> None:
    two = Two()
    two.report("08:00", "12:00", 5_000, source="cell")
    assert two.told() == []


@pytest.mark.parametrize("speed_mps", [15, 30, 90])
@pytest.mark.parametrize("phone_late_s", [20, 60, 120])
def test_in_one_train_with_reports_minutes_apart_is_together(
    speed_mps: float, phone_late_s: int
) -> None:
    two = Two()
    two.report("08:00", "09:30", 0, every_s=300, phone_late_s=phone_late_s, speed_mps=speed_mps)
    assert two.told() == []


def test_positions_far_apart_in_time_are_not_compared() -> None:
    two = Two()
    two.report("08:00", "12:00", 5_000, phone_late_s=300)
    assert two.told() == []


def test_a_phone_that_went_silent_apart_is_not_said_to_stay_apart() -> None:
    two = Two()
    two.report("08:00", "09:00", 10)
    two.report("09:00", "09:15", 2_000)
    two.story.stay("09:15", "12:00")
    assert two.told() == []


def test_one_position_thrown_off_begins_nothing() -> None:
    two = Two()
    two.report("08:00", "09:00", 10)
    two.report("09:00", "09:10", 9_000)
    two.report("09:10", "12:00", 10)
    assert two.told() == []


def test_a_phone_alone_is_apart_from_nothing() -> None:
    story = Story(device="phone", kinds={"separation"})
    story.stay("08:00", "12:00", every_s=600)
    assert story.told() == []


def test_the_end_of_supervision_ends_it() -> None:
    two = Two()
    two.story.supervised("07:00", "01-01 00:00", "13 10:00")
    two.report("09:00", "11:00", 2_000)
    assert two.told()[1:] == [
        "closed separation since 13 09:00:20 until 13 10:00 (supervision_ended)"
    ]


def test_a_band_that_an_officer_took_off_is_apart_from_nobody() -> None:
    """Its order ends, it goes into a drawer, and the phone goes on; weeks later it is worn anew."""
    two = Two(LEVELLED)
    two.story.supervised("12 08:00", "01-01 00:00", "12-31 00:00")
    two.story.authorise("12 08:00", "01-01 00:00", "13 10:00")
    two.report("09:00", "10:10", 2_000)
    assert two.told() == ["opened separation since 13 09:00:20 (devices_apart)"]
    two.story.stay("13 11:00", "15 11:00", every_s=1800, device="phone")
    assert two.told()[1:] == [
        "closed separation since 13 09:00:20 until 13 10:00:01 (taken_off)",
    ]
    assert text(two.story.alerts[-1].detected_s) == "14 10:00:01"
    two.story.stay("15 11:00", "27 08:00", every_s=7200, device="phone")
    two.story.authorise("27 08:00", "27 08:00", "04-27 00:00", paper="A-2")
    two.story.heartbeat("27 08:50", device="wristband")
    two.report("27 09:00", "27 11:00", 2_000)
    assert two.told()[2:] == ["opened separation since 27 09:00:20 (devices_apart)"]


def test_a_silent_band_that_is_ordered_is_still_apart() -> None:
    two = Two(LEVELLED)
    two.story.supervised("12 08:00", "01-01 00:00", "12-31 00:00")
    two.story.authorise("12 08:00", "01-01 00:00", "03-13 10:00")
    two.report("09:00", "10:10", 2_000)
    two.story.stay("13 11:00", "15 11:00", every_s=1800, device="phone")
    assert two.told() == ["opened separation since 13 09:00:20 (devices_apart)"]


def test_every_upload_twice_changes_nothing() -> None:
    once, twice = Two(), Two()
    for two, times in ((once, 1), (twice, 2)):
        for hour, apart_m in (("08", 10), ("09", 2_000), ("10", 2_000), ("11", 10)):
            for minute in range(0, 60, 10):
                for _ in range(times):
                    when = moment(f"{hour}:{minute:02}")
                    band, phone = Fix(when, HOME_M), Fix(when + 20, HOME_M, east_m=apart_m)
                    two.story.upload(when + 1, [band], device="wristband")
                    two.story.upload(when + 21, [phone], device="phone")
    assert len(once.told()) == 2
    assert twice.told() == once.told()


def test_a_clock_some_minutes_ahead_closes_nothing_in_the_future() -> None:
    two = Two()
    two.report("09:00", "10:00", 2_000)
    ahead = moment("10:04")
    two.story.upload("10:00", [Fix(ahead, HOME_M)], device="wristband")
    two.story.upload("10:00:10", [Fix(ahead + 5, HOME_M)], device="phone")
    assert two.told()[1:] == [
        "closed separation since 13 09:00:20 until 13 10:00:10 (together_again)"
    ]
