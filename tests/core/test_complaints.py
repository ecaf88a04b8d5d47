"""What users of other systems complain of: each complaint once.

Hooks that are lost without a metric, the one complaint left out here, are a matter of sinks: see
tests/sinks and tests/stream.
"""

from __future__ import annotations

import json
import random

import pytest
from timeline import HOME_M, Fix, Story, circle, fixes, moment, text

from geomon.core.observed import STRAP_CLOSED, STRAP_OPEN
from geomon.core.rules import Rules
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.zones.index import ZoneIndex


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
    seen = fixes("09:00", "10:30", 2_000, every_s=600, source="unknown", accuracy_m=300)
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


# Complaints about what is not a position: contact, check-ins, tampering, zones.


def test_only_edges_and_no_state_when_a_schedule_begins() -> None:
    """Already away as the window opens: no line is crossed, and elsewhere nobody is told."""
    story = Story(kinds={"curfew", "exclusion_zone"})
    home = circle(HOME_M, 150, kind="curfew", zone_id="Z-H", daily=("22:00", "06:00"))
    story.zone("07:00", home)
    story.zone("07:00", circle(-3_000, 200, daily=("21:00", "23:00")))
    story.stay("08:00", "09:00")
    story.stay("18:00", "22:30", -3_000)
    assert story.told() == [
        "opened exclusion_zone since 13 21:00 (in_forbidden_zone)",
        "opened curfew since 13 22:00 (away_from_place)",
    ]
    assert [text(a.detected_s) for a in story.alerts] == ["13 21:00", "13 22:15"]


def test_a_fence_that_ends_emits_an_exit() -> None:
    story = Story(kinds={"exclusion_zone"})
    story.zone("07:00", circle(-3_000, 200, end="13 10:00"))
    story.zone("07:00", circle(-5_000, 200, zone_id="Z-2"))
    story.stay("08:00", "09:00", -3_000)
    story.clock("10:00")
    story.stay("11:00", "11:30", -5_000)
    story.zone("11:30", circle(-5_000, 200, zone_id="Z-2"), removed=True)
    assert [t for t in story.told() if t.startswith("closed")] == [
        "closed exclusion_zone since 13 08:00 until 13 10:00 (window_ended)",
        "closed exclusion_zone since 13 11:00 until 13 11:30 (zone_removed)",
    ]


def test_a_zone_smaller_than_the_accuracy_is_not_entered() -> None:
    story = Story(device="phone", kinds={"exclusion_zone"})
    story.zone("07:00", circle(-3_000, 40))
    story.live(fixes("08:00", "12:00", -3_000, every_s=300, source="wifi", accuracy_m=150))
    assert story.told() == []


def test_online_and_offline_are_no_noise() -> None:
    """A phone that reports every half hour, give or take, and is late now and then."""
    rng = random.Random(4_832)  # noqa: S311
    story = Story(device="phone", kinds={"lost_contact", "no_fix"})
    time_s = moment("06 00:00")
    while time_s < moment("13 00:00"):
        time_s += rng.choice([1_500, 1_800, 1_900, 2_400, 5_400, 3 * 3_600])
        if rng.random() < 0.85:
            story.live([Fix(time_s, HOME_M)])
        else:
            story.heartbeat(text(time_s))
    assert story.told() == []


def test_a_band_that_is_on_and_off_for_minutes_is_no_noise() -> None:
    story = Story(kinds={"lost_contact", "no_fix"})
    for hour in range(8, 20):
        story.stay(f"{hour:02}:00", f"{hour:02}:10")
        story.stay(f"{hour:02}:35", f"{hour:02}:50")
    assert story.told() == []


def test_heard_is_not_seen() -> None:
    """A heartbeat ends lost contact and not the want of a position."""
    story = Story(kinds={"lost_contact", "no_fix"})
    story.upload("08:00", [Fix(moment("08:00"), HOME_M)])
    story.heartbeats("08:01", "08:46", every_s=60)
    story.clock("10:00")
    story.heartbeat("10:05")
    assert story.told() == [
        "opened no_fix since 13 08:00 (no_usable_fix)",
        "opened lost_contact since 13 08:45 (silent)",
        "closed lost_contact since 13 08:45 until 13 10:05 (heard_again)",
    ]


def test_a_check_in_at_five_past_midnight_satisfies_nothing() -> None:
    """Check in at 00:05, leave the phone at home, travel: gamed elsewhere."""
    story = Story(device="phone", kinds={"missed_check_in"})
    story.supervised("12 08:00", "01-01 00:00", "12-31 00:00")
    story.heartbeat("12 08:00")
    story.check_in("13 00:05")
    story.heartbeats("13 08:00", "14 00:00", every_s=7_200)
    story.clock("14 00:00")
    assert len(story.alerts) == 2
    assert dict(story.alerts[-1].detail)["missed"] == 2


def test_tampering_that_cleared_within_five_minutes_is_not_erased() -> None:
    """New York: such alerts were ignored, and a murder followed."""
    story = Story(kinds={"tamper"})
    story.heartbeat("08:00", flags=STRAP_OPEN)
    story.heartbeat("08:04", flags=STRAP_CLOSED)
    story.heartbeats("08:05", "20 08:00", every_s=3_600)
    assert story.told() == [
        "opened tamper since 13 08:00 (strap_opened)",
        "updated tamper since 13 08:00 (cleared_by_itself)",
    ]
    assert story.episodes() == [("tamper", "13 08:00", "")]


def test_newest_first_from_memory_neither_misses_nor_repeats_an_event() -> None:
    """Of zones, tampering and batteries, as test_devices.py has it of the city."""
    kinds = {"exclusion_zone", "tamper", "low_battery"}
    story = Story(kinds=kinds)
    story.zone("07:00", circle(-3_000, 200))
    story.stay("08:00", "09:00")
    kept = [*fixes("09:00", "10:00", -3_000), *fixes("10:00", "11:00", HOME_M)]
    for n, fix in enumerate(reversed(kept)):
        flags = STRAP_OPEN if fix.time_s < moment("09:30") else STRAP_CLOSED
        at_s = moment("11:00") + n // 4
        story.upload(at_s, [fix], stored=True, battery_pct=15 if n > 60 else 60, flags=flags)
    story.clock("11:10")
    zone = [t for t in story.told() if "exclusion_zone" in t]
    assert zone == [
        "opened exclusion_zone since 13 09:00 (in_forbidden_zone)",
        "closed exclusion_zone since 13 09:00 until 13 10:00 (left_zone)",
    ]
    assert [a.phase for a in story.alerts if a.kind == "tamper"].count("opened") == 1


def test_memory_that_says_otherwise_days_later_goes_on_with_the_same_episode() -> None:
    """A doubtful fix by the line at 08:00, two days of silence, then home: back since 08:00?

    What the band had stored says no. The absence told before is the one it is told on again.
    """
    story = Story()
    story.stay("06:00", "07:00")
    story.stay("07:00", "08:00", 4_000)
    story.fix("08:00", -60)
    story.stay("15 20:00", "15 20:10")
    assert story.told()[1:] == ["closed leave_city since 13 07:00 until 13 08:00 (returned)"]
    story.upload("15 20:10", fixes("15 10:00", "15 10:30", 4_000), stored=True)
    story.clock("15 20:20")
    assert story.told()[2:] == ["closed leave_city since 13 07:00 until 15 20:00 (returned)"]
    assert [a.number for a in story.alerts] == [1, 2, 3]


def test_cells_are_not_judged_like_satellites() -> None:
    """The same three positions, an hour apart: from satellites a departure, from cells nothing."""
    for source, told in [("gnss", 1), ("cell", 0)]:
        story = Story(device="phone")
        story.stay("08:00", "10:00", every_s=600)
        for when in ("10:30", "11:00", "11:30"):
            story.fix(when, 1_500, source)
        assert len(story.told()) == told, source


def _upload(number: int, minute: int, **more: object) -> Raw:
    when = f"2024-02-13T{8 + minute // 60:02}:{minute % 60:02}:00+08:00"
    event = {
        "type": "upload",
        "supervisee_id": f"SZ-{number:04}",
        "device_id": f"band-{number}",
        "device": "wristband",
        "datum": "wgs84",
        "received": when,
        "fixes": [{"time": when, "lon": 113.93, "lat": 22.75, "accuracy_m": 12, "source": "gnss"}],
    }
    return Raw(json.dumps(event | more).encode(), "recording:1")


def test_no_cache_evicts_anybody(zones: ZoneIndex) -> None:
    """Elsewhere the 1,001st person takes the first one's place, and nobody is told."""
    people = 1_201
    replay = Replay(Intake(zones), Rules())
    told = list(replay.feed(_upload(n, 0, strap="open") for n in range(people)))
    assert len(told) == people
    assert len(replay.people) == people
    # The first is still known: what was told of the strap is not told again, nor the rest lost.
    again = list(replay.feed(_upload(n, 5, strap="open") for n in range(people)))
    assert again == []
    lost = list(replay.finish(moment("09:00")))
    assert [e["data"]["kind"] for e in lost] == ["lost_contact"] * people
    assert {e["subject"] for e in lost} == {f"SZ-{n:04}" for n in range(people)}


def test_a_wrong_clock_makes_nobody_else_late(zones: ZoneIndex) -> None:
    """One device says 2031: time is each person's own, never the partition's."""
    replay = Replay(Intake(zones), Rules())
    ahead = _upload(2, 10, received="2031-01-01T00:00:00+08:00")
    lines = [_upload(1, 0), ahead, _upload(1, 20), _upload(1, 40)]
    alerts = list(replay.feed(lines))
    assert [e for e in alerts if e["subject"] == "SZ-0001"] == []
    assert replay.rejections == {"too_late": 1}, "its own: seven years before it arrived"
    assert replay.people["SZ-0001"].clock_s == moment("08:40")
    assert replay.people["SZ-0001"].newest_s == moment("08:40")


def test_time_that_comes_late_is_refused_aloud(zones: ZoneIndex) -> None:
    """Rows behind the watermark vanish elsewhere; here each is named with its reason."""
    refused: list[str] = []
    replay = Replay(Intake(zones), Rules(), lambda r: refused.append(f"{r.reason}: {r.detail}"))
    late = {"time": "2024-02-10T08:00:00+08:00", "lon": 113.93, "lat": 22.75}
    list(replay.feed([_upload(1, 0), _upload(1, 5, stored=True, fixes=[late, late])]))
    assert refused == ["too_late: 2 fixes"]
