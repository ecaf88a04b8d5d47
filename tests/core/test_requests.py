"""Asking a device to report more often (加密上报): when it would tell more, and seldom."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline import Fix, Story, moment, observed, text

from geomon.commands import ASK_REASONS, command_event, read_command
from geomon.core.observed import Event
from geomon.core.person import Person, freeze, thaw
from geomon.core.plans import Plan
from geomon.core.requests import Request
from geomon.core.rules import Rules
from geomon.core.step import step
from geomon.errors import Refusal

#: A phone that reports each half hour is asked for a fix a minute, until half an hour after the
#: next of its own reports.
PLAN = Plan(ask_interval_s=60)


def rules(plan: Plan = PLAN) -> Rules:
    return Rules(plans=(plan,) * 3)


def at_home(plan: Plan = PLAN, *, device: str = "phone") -> Story:
    story = Story(rules(plan), device=device)
    story.stay("08:00", "09:00", every_s=600)
    return story


def asked(story: Story) -> list[str]:
    """Every request: "phone each 60 s from 13 09:00:05 to 13 10:00:05 (turning)"."""
    return [
        f"{r.device} each {r.interval_s} s from {text(r.from_s)} to {text(r.until_s)} ({r.reason})"
        for r in story.others
        if isinstance(r, Request)
    ]


FIRST = "phone each 60 s from 13 09:00:05 to 13 10:00:05 (turning)"
OF_BAND = "wristband each 60 s from 13 09:00:05 to 13 09:32:05 (turning)"


def test_the_first_fix_outside_that_is_not_enough_asks_for_more() -> None:
    story = at_home()
    story.fix("09:00", 2_500)
    assert story.told() == []
    assert asked(story) == [FIRST]


def test_what_was_asked_for_decides_within_two_minutes() -> None:
    story = at_home()
    story.fix("09:00", 2_500)
    story.stay("09:01", "09:03", 3_000)
    assert story.told() == ["opened leave_city since 13 09:00 (outside_without_leave)"]
    assert text(story.alerts[0].detected_s) == "13 09:01:05"


def test_nothing_is_asked_unless_the_plan_says_so() -> None:
    story = at_home(Plan())
    story.fix("09:00", 2_500)
    story.fix("09:30", 2_500)
    assert asked(story) == []
    assert story.person.asked is None


def test_somebody_plainly_inside_is_not_asked() -> None:
    story = at_home()
    story.stay("09:00", "18:00", every_s=1_800)
    assert asked(story) == []


def test_a_fix_that_says_next_to_nothing_asks_nothing() -> None:
    """A cell across the river, a WiFi a little beyond the line: every evening at home."""
    story = at_home()
    story.fix("09:00", 300, "cell")
    story.fix("09:10", 40, "wifi")
    assert asked(story) == []


def test_one_wifi_fix_a_long_way_out_asks_for_more_and_is_not_told() -> None:
    story = at_home()
    story.fix("09:00", 2_000, "wifi")
    story.stay("09:01", "09:10")
    assert asked(story) == [FIRST]
    assert story.told() == []


def test_who_is_surely_outside_is_not_asked() -> None:
    story = at_home()
    story.fix("09:00", 9_000)
    assert [a.phase for a in story.alerts] == ["opened"]
    story.stay("09:10", "12:00", 9_000, every_s=600)
    assert asked(story) == []


def test_who_has_leave_is_not_asked() -> None:
    story = at_home()
    story.leave("08:30", "09:00", "15 00:00")
    story.fix("09:00", 2_500)
    assert asked(story) == []


def test_whose_supervision_is_over_is_not_asked() -> None:
    story = Story(rules(), device="phone")
    story.supervised("07:00", "01-01 00:00", "13 09:00")
    story.stay("08:00", "09:00", every_s=600)
    story.fix("09:00", 2_500)
    assert asked(story) == []


def test_heading_for_the_line_is_reason_enough() -> None:
    story = at_home()
    for n, outside_m in enumerate([-4_000.0, -2_900.0, -1_900.0, -1_000.0]):
        fix = Fix(moment("09:00") + 60 * n, outside_m)
        story.upload(fix.time_s + 5, [fix])
    assert asked(story) == ["phone each 60 s from 13 09:03:05 to 13 10:03:05 (heading_out)"]


def test_while_a_request_is_in_force_nothing_is_asked() -> None:
    """Positions on the line, out and in: belief does not settle."""
    story = at_home()
    story.fix("09:00", 2_500)
    for minute in range(2, 29, 3):
        story.fix(f"09:{minute:02}", 60 if minute % 2 else -20)
    assert asked(story) == [FIRST]


def test_when_it_is_over_only_newer_evidence_asks_again() -> None:
    story = at_home()
    story.fix("09:00", 2_000, "wifi")
    story.heartbeats("09:10", "11:00", device="phone")
    assert asked(story) == [FIRST]
    story.fix("11:00", 2_600, "cell")
    assert asked(story) == [FIRST, "phone each 60 s from 13 11:00:05 to 13 12:00:05 (turning)"]


def test_a_day_has_so_many_requests_and_no_more() -> None:
    plan = Plan(ask_interval_s=60, asks=2)
    story = at_home(plan)
    for hour in range(9, 15):
        story.fix(f"{hour}:00", 2_500)
        story.fix(f"{hour}:30", -6_000)
        story.fix(f"{hour}:40", -6_000)
    story.stay("14 08:00", "14 09:00", every_s=600)
    story.fix("14 09:00", 2_500)
    assert [line.split(" from ")[1].split(" to ")[0] for line in asked(story)] == [
        *("13 09:00:05", "13 10:00:05"),
        "14 09:00:05",
    ]


def test_a_wristband_that_reports_as_often_anyway_is_not_asked() -> None:
    story = at_home(Plan(report_s=(1_800, 60), ask_interval_s=60), device="wristband")
    story.fix("09:00", 2_500)
    assert asked(story) == []
    slower = at_home(Plan(report_s=(1_800, 120), ask_interval_s=60), device="wristband")
    slower.fix("09:00", 2_500)
    assert asked(slower) == [OF_BAND]


def test_of_two_devices_the_one_that_belief_asks_is_asked() -> None:
    story = at_home(device="wristband")
    story.fix("08:59", -6_000, device="phone")
    story.fix("09:00", 2_500)
    assert asked(story) == [OF_BAND]


def test_a_battery_that_is_low_is_spared() -> None:
    story = at_home()
    fix = Fix(moment("09:00"), 2_500.0)
    story.upload("09:00:05", [fix], battery_pct=3)
    assert asked(story) == []
    charged = at_home()
    charged.upload("09:00:05", [fix], battery_pct=60)
    assert asked(charged) == [FIRST]


def test_what_a_memory_tells_late_asks_when_it_is_judged() -> None:
    story = at_home()
    story.upload("09:20", [Fix(moment("09:00"), 2_500.0)], stored=True)
    assert asked(story) == [], "gathered first"
    story.clock("09:25")
    assert asked(story) == ["phone each 60 s from 13 09:20:45 to 13 10:20:45 (turning)"]


# -- what must hold whatever comes ---------------------------------------------------------------

_FIX = st.tuples(
    st.integers(0, 600), st.sampled_from([-6_000.0, -60.0, 30.0, 400.0, 2_500.0, 9_000.0])
)


def outcomes(uploads: list[Event]) -> tuple[list[Request], Person]:
    person, found = Person("SZ-0001"), []
    for event in uploads:
        person, told = step(person, event, rules())
        found += [outcome for outcome in told if isinstance(outcome, Request)]
    return found, person


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(_FIX, min_size=1, max_size=25), st.data())
def test_what_comes_twice_asks_nothing_twice(
    seen: list[tuple[int, float]], data: st.DataObject
) -> None:
    """At least once is what the transport promises: each upload may come again, at any time."""
    begin_s = moment("08:00")
    events: list[Event] = []
    for minute, outside_m in sorted(dict(seen).items()):
        fix = Fix(begin_s + 60 * minute, outside_m)
        events.append(observed(fix.time_s + 5, [fix], device="phone"))
    once, _ = outcomes(events)
    doubled: list[Event] = []
    for number, event in enumerate(events):
        doubled.append(event)
        again = data.draw(st.lists(st.integers(0, number), max_size=3))
        doubled += [events[at] for at in again]
    twice, _ = outcomes(doubled)
    assert twice == once


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(_FIX, min_size=1, max_size=40))
def test_no_two_requests_are_in_force_together_and_a_day_has_no_more_than_six(
    seen: list[tuple[int, float]],
) -> None:
    begin_s = moment("08:00")
    fixes = [
        Fix(begin_s + 60 * minute, outside_m) for minute, outside_m in sorted(dict(seen).items())
    ]
    found, person = outcomes([observed(f.time_s + 5, [f], device="phone") for f in fixes])
    for before, after in pairwise(found):
        assert before.until_s <= after.from_s
    assert len(found) <= PLAN.asks
    assert thaw(freeze(person)) == person, "what was asked travels with the state"


def test_a_state_from_before_anything_was_asked_is_read() -> None:
    """The changelog may hold states of a worker that did not know of requests."""
    _, person = outcomes([observed(moment("08:00"), [Fix(moment("08:00"), -6_000.0)])])
    layout, inside, state = msgspec.msgpack.decode(freeze(person))
    assert state[-1] is None
    assert thaw(msgspec.msgpack.encode([layout, inside, state[:-1]])) == person


# -- how it leaves -------------------------------------------------------------------------------

REQUEST = Request("SZ-0001", "phone", 60, moment("09:00"), moment("09:30"), "turning")


def test_a_command_is_a_cloud_event_with_an_id_of_what_was_decided() -> None:
    event = command_event(REQUEST, rules="r")
    assert event["id"] == "SZ-0001/report/phone/2024-02-13T01:00:00Z"
    assert event["type"] == "geomon.command.report"
    assert event["data"]["until"] == "2024-02-13T01:30:00Z"
    assert event["data"]["reason"] in ASK_REASONS


def test_a_command_is_read_as_it_was_written() -> None:
    command = read_command(msgspec.json.encode(command_event(REQUEST, rules="r")))
    assert command is not None
    assert (command.supervisee_id, command.device, command.interval_s) == ("SZ-0001", "phone", 60)
    assert (command.from_s, command.until_s) == (REQUEST.from_s, REQUEST.until_s)


def test_a_command_of_another_type_is_passed_over_and_a_broken_one_refused() -> None:
    event = command_event(REQUEST, rules="r")
    assert read_command(msgspec.json.encode(event | {"type": "geomon.command.buzz"})) is None
    for broken in (b"", b"\xff", b"[]", msgspec.json.encode(event | {"data": {}})):
        with pytest.raises(Refusal):
            read_command(broken)
    timeless = event["data"] | {"until": "2024-02-13T09:30:00"}
    with pytest.raises(Refusal, match="bad_time"):
        read_command(msgspec.json.encode(event | {"data": timeless}))
