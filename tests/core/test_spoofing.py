"""Faked positions (虚拟定位), and what looks like them and is not."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Fix, Story, fixes, moment, where

from geomon.core.observed import MOCK
from geomon.core.spoofing import CELL, GNSS


def listening(device: str = "phone") -> Story:
    return Story(device=device, kinds={"spoofing"})


def at(when: str, east_m: float, **more: object) -> Fix:
    """A position well inside, so many metres along the line."""
    return Fix(moment(when), HOME_M, east_m=east_m, **more)  # type: ignore[arg-type]


# The phone says so.


def test_a_position_said_to_be_faked() -> None:
    story = listening()
    story.stay("08:00", "09:00", every_s=600)
    story.heartbeat("09:00:05", flags=MOCK)
    assert story.told() == ["opened spoofing since 13 09:00:05 (mock_location)"]
    assert story.alerts[0].severity == "high"
    story.heartbeat("09:10", flags=MOCK)
    story.stay("09:20", "14 09:00", every_s=600)
    assert len(story.told()) == 1, "told once, and never closed by itself"


def test_only_a_disposal_closes_and_faking_on_is_new() -> None:
    story = listening()
    story.heartbeat("09:00", flags=MOCK)
    story.dispose("10:00", story.alerts[0])
    story.heartbeat("10:30")
    assert story.told()[1:] == ["closed spoofing since 13 09:00 until 13 10:00 (disposed)"]
    story.heartbeat("11:00", flags=MOCK)
    assert story.told()[2:] == ["opened spoofing since 13 11:00 (mock_location)"]


# Faster than anybody.


def test_a_jump_that_the_next_position_confirms() -> None:
    story = listening()
    story.live([at("09:00", 0), at("09:01", 30_000), at("09:02", 30_050)])
    assert story.told() == ["opened spoofing since 13 09:01 (impossible_speed)"]
    alert = story.alerts[0]
    assert (alert.severity, alert.detected_s) == ("medium", moment("09:02:05"))
    detail = dict(alert.detail)
    assert (detail["from_lon"], detail["from_lat"]) == where(
        HOME_M, (moment("09:00") // 60) % 7 * 0.3
    )
    assert detail["to_lon"] - detail["from_lon"] > 0.28


@pytest.mark.parametrize("off_m", [30_000, 60_000, 2_000_000])
@pytest.mark.parametrize("every_min", [1, 10])
def test_one_position_thrown_far_off_is_an_error(off_m: int, every_min: int) -> None:
    story = listening()
    story.live(at(f"09:{n * every_min:02}", off_m if n == 2 else n) for n in range(6))
    assert story.told() == []


def test_a_receiver_that_finds_its_place_step_by_step_is_no_jump() -> None:
    """The first position after it woke is 25 km off, the next 12, and then it is right."""
    story = listening()
    story.live([at("09:00", 0), at("09:01", 25_000), at("09:02", 12_000), at("09:03", 10)])
    assert story.told() == []


def test_two_positions_thrown_off_to_different_places_are_errors() -> None:
    story = listening()
    story.live([at("09:00", 0), at("09:01", 30_000), at("09:02", -40_000), at("09:03", 10)])
    assert story.told() == []


def test_an_error_of_a_cold_start_is_not_told() -> None:
    """Kilometres off for some minutes after it is switched on."""
    story = listening()
    story.stay("08:00", "09:00")
    story.live([at(f"10:{n:02}", 15_000 - 1_000 * n) for n in range(4)])
    story.stay("10:04", "11:00")
    assert story.told() == []


@pytest.mark.parametrize(
    ("speed_mps", "every_s"),
    [(97, 1), (97, 60), (97, 600), (250, 10), (250, 60), (250, 600), (330, 60), (330, 900)],
)
def test_trains_and_airliners_are_no_jumps(speed_mps: int, every_s: int) -> None:
    """350 km/h on rails, 900 km/h in the air, and that with the jet stream behind."""
    story = listening()
    begin_s = moment("09:00")
    for n in range(30):
        seen = Fix(begin_s + n * every_s, HOME_M, east_m=speed_mps * every_s * n)
        story.upload(seen.time_s + 5, [seen])
    assert story.told() == []


@pytest.mark.parametrize("every_s", [60, 120, 300, 600])
def test_a_band_that_stores_positions_in_flight_takes_off_and_lands(every_s: int) -> None:
    """An approved flight of 90 minutes, told when it is on the ground again."""
    story = listening("wristband")
    story.stay("08:00", "09:00")
    begin_s = moment("09:00")
    journey, gone_m = [], 0.0
    for at_s in range(150 * 60):
        minute = at_s // 60
        speed_mps = 250 if 15 <= minute < 75 else 150 if 5 <= minute < 85 else 70
        gone_m += speed_mps if minute < 90 else 0
        if at_s % every_s == 0:
            journey.append(Fix(begin_s + at_s, HOME_M, east_m=gone_m))
    story.upload("11:30", journey, stored=True)
    story.clock("12:00")
    assert story.told() == []


def test_switched_off_for_a_flight() -> None:
    story = listening()
    story.live([at("09:00", 0), at("11:00", 1_600_000), at("11:01", 1_600_100)])
    assert story.told() == []


def test_poor_positions_are_not_compared() -> None:
    story = listening()
    poor = {"source": "wifi", "accuracy_m": 300.0}
    story.live([at("09:00", 0), at("09:01", 30_000, **poor), at("09:02", 30_000, **poor)])
    assert story.told() == []


# The very same position for hours.


def frozen(
    begin: str,
    end: str,
    *,
    every_s: float = 1_800,
    source: str = "gnss",
    accuracy_m: float | None = 12.0,
) -> list[Fix]:
    return fixes(
        begin, end, HOME_M, every_s=every_s, source=source, accuracy_m=accuracy_m, same=True
    )


def test_a_satellite_position_that_never_wanders() -> None:
    story = listening()
    story.live(frozen("08:00", "09:59"))
    assert story.told() == []
    story.live(frozen("10:00", "12:00"))
    assert story.told() == ["opened spoofing since 13 08:00 (frozen_position)"]
    alert = story.alerts[0]
    assert (alert.severity, alert.detected_s) == ("medium", moment("10:00:05"))
    detail = dict(alert.detail)
    assert (detail["at_lon"], detail["at_lat"], detail["times"]) == (*where(HOME_M), 5)


def test_few_positions_the_same_are_a_phone_that_sleeps() -> None:
    story = listening()
    story.live(frozen("08:00", "11:59", every_s=3_600))
    assert story.told() == [], "four, of three hours"


def test_many_the_same_within_minutes_are_a_receiver_that_repeats_itself() -> None:
    story = listening("wristband")
    story.live(frozen("08:00", "09:59", every_s=60))
    assert story.told() == []


def test_a_tracker_that_parks_and_states_no_accuracy_repeats_its_position() -> None:
    story = listening()
    story.live(frozen("08:00", "14 08:00", accuracy_m=None))
    assert story.told() == []


def test_a_receiver_at_rest_wanders_by_metres() -> None:
    story = listening()
    story.stay("08:00", "14 08:00", every_s=600)
    assert story.told() == []


def test_one_that_moves_between_begins_the_count_anew() -> None:
    story = listening()
    moved = at("09:45", 4, accuracy_m=12.0)
    story.live([*frozen("08:00", "09:40"), moved, *frozen("10:00", "11:50")])
    assert story.told() == []


@pytest.mark.parametrize("source", ["wifi", "cell", "unknown"])
def test_access_points_and_masts_repeat_the_very_same_coordinates(source: str) -> None:
    story = listening()
    story.live(frozen("08:00", "14 08:00", source=source))
    assert story.told() == []


def test_the_same_fix_delivered_again_is_not_a_frozen_position() -> None:
    story = listening()
    story.stay("08:00", "08:10", every_s=600)
    again = [Fix(moment("08:00"), HOME_M)]
    for hour in range(9, 20):
        story.upload(f"{hour:02}:00", again)
    assert story.told() == []


# Phone and wristband.


def both(story: Story, when: str, phone_m: float, band_m: float, **more: object) -> None:
    story.upload(moment(when) + 5, [at(when, phone_m, **more)], device="phone")
    story.upload(moment(when) + 6, [at(when, band_m)], device="wristband")


def test_devices_that_part_faster_than_anybody_can() -> None:
    story = listening()
    both(story, "09:00", 0, 20)
    both(story, "09:02", 30_000, 20)
    assert story.told() == [], "one position thrown off"
    both(story, "09:04", 30_000, 20)
    assert story.told() == ["opened spoofing since 13 09:02 (devices_disagree)"]
    assert dict(story.alerts[0].detail)["distance_m"] > 29_000


def test_a_phone_left_behind_and_a_train_are_no_contradiction() -> None:
    """Ten minutes after they were together they are twelve kilometres apart: by rail."""
    story = listening()
    both(story, "09:00", 0, 20)
    for n in range(1, 12):
        both(story, f"09:{n * 5:02}", 0, n * 300 * 80)
    assert story.told() == []


def test_one_position_of_the_phone_thrown_off_is_no_contradiction() -> None:
    story = listening()
    both(story, "09:00", 0, 20)
    both(story, "09:02", 15_000, 20)
    both(story, "09:04", 0, 20)
    both(story, "09:06", 0, 20)
    assert story.told() == []


# Satellites and cells.


def cells(story: Story, times: list[str], east_m: float) -> None:
    for when in times:
        story.live([at(when, 0)])
        far = at(when, east_m, source="cell", accuracy_m=800.0)
        story.upload(far.time_s + 65, [far._replace(time_s=far.time_s + 60)])


HALF_HOUR = ["09:00", "09:10", "09:20", "09:30"]


def test_cells_that_tell_of_another_city_again_and_again() -> None:
    story = listening()
    cells(story, HALF_HOUR[:3], 60_000)
    assert story.told() == []
    cells(story, HALF_HOUR[3:], 60_000)
    assert story.told() == ["opened spoofing since 13 09:01 (cells_disagree)"]
    assert story.alerts[0].detected_s == moment("09:31:05")
    assert story.alerts[0].severity == "high"


@pytest.mark.parametrize("east_m", [3_000, 12_000, 30_000])
def test_a_mast_across_the_river_is_how_cells_are(east_m: float) -> None:
    story = listening()
    times = [f"{hour:02}:{minute:02}" for hour in range(9, 13) for minute in (0, 10, 20)]
    cells(story, times, east_m)
    assert story.told() == []


def test_one_cell_far_off_between_good_ones_is_an_error_of_the_table() -> None:
    story = listening()
    for hour in range(9, 15):
        cells(story, [f"{hour:02}:00", f"{hour:02}:10"], 60_000)
        cells(story, [f"{hour:02}:20"], 500)
    assert story.told() == []


def test_cells_long_after_the_last_satellite_position_contradict_nothing() -> None:
    """Underground to another city: cells alone are heard there."""
    story = listening()
    story.live([at("09:00", 0)])
    seen = fixes("09:30", "12:00", HOME_M, every_s=600, source="cell", east_m=60_000)
    story.live(seen)
    assert story.told() == []


# Altogether.


def test_a_second_reason_is_told_on_the_same_episode() -> None:
    story = listening()
    story.heartbeat("08:59", flags=MOCK)
    story.live([at("09:00", 0), at("09:01", 30_000), at("09:02", 30_050)])
    assert story.told() == [
        "opened spoofing since 13 08:59 (mock_location)",
        "updated spoofing since 13 08:59 (impossible_speed)",
    ]
    assert dict(story.alerts[1].detail)["found"] == ("mock_location", "impossible_speed")
    assert story.alerts[1].severity == "high"


def test_what_comes_late_from_memory_is_compared_in_the_order_of_time() -> None:
    """Newest first, an honest journey must not look like jumps to and fro."""
    story = listening("wristband")
    journey = [at(f"09:{n:02}", 1_500 * n) for n in range(60)]
    story.live([at("10:00", 90_000)])
    for n, seen in enumerate(reversed(journey)):
        story.upload(moment("10:01") + n, [seen], stored=True)
    story.clock("12:00")
    assert story.told() == []


def test_the_codes_these_rules_compare() -> None:
    assert (GNSS, CELL) == (0, 2)
