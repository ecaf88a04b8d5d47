"""The three cases that made the news, replayed in process."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import pytest

from geomon.cases import CASES, expected, recording_path
from geomon.core.episodes import OF_CITY
from geomon.core.person import freeze
from geomon.intake import Intake
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import zones_for

IDS = {
    "A": "SZ-0001/leave_city/2024-02-05T00:36:21Z",
    "B": "SZ-0002/overdue_return/2024-02-09T16:00:00Z",
    "C": "SZ-0003/leave_city/2024-02-13T01:52:00Z",
}
#: Of the first and the last alert; between them are the updates: graver with age, another measure.
NUMBERS = {"A": (1, 4), "B": (1, 3), "C": (1, 3)}
CLOSE_S = 15 * 60


def replayed(case: str, times: int = 1) -> tuple[Replay, list[dict[str, Any]]]:
    replay = Replay(Intake(zones_for("440300")), rules_from(Settings()))
    alerts: list[dict[str, Any]] = []
    for _ in range(times):
        path = str(recording_path(case))
        with open_recording(path) as stream:
            alerts += replay.feed(read_recording(stream, path))
    alerts += replay.finish()
    return replay, alerts


@cache
def replayed_once(case: str) -> tuple[Replay, list[dict[str, Any]]]:
    return replayed(case)


def once(case: str) -> list[dict[str, Any]]:
    """How the case's absence was told: its beginning and its end; its updates left out."""
    return [
        alert
        for alert in replayed_once(case)[1]
        if alert["data"]["kind"] in OF_CITY and alert["data"]["phase"] != "updated"
    ]


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_told_for_which_the_case_gives_no_cause(case: str) -> None:
    told = {alert["data"]["kind"] for alert in replayed_once(case)[1]}
    assert not told & set(expected()[case]["never"])


def seconds_between(a: str, b: str) -> float:
    times = [datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (a, b)]
    return abs((times[0] - times[1]).total_seconds())


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_told_as_what_it_was_and_nothing_else(case: str) -> None:
    [truth] = expected()[case]["episodes"]
    opened, closed = [alert["data"] for alert in once(case)]
    assert (opened["phase"], closed["phase"]) == ("opened", "closed")
    assert opened["kind"] == closed["kind"] == truth["kind"]
    assert seconds_between(opened["since"], truth["since"]) <= CLOSE_S
    assert seconds_between(closed["until"], truth["until"]) <= CLOSE_S
    assert closed["reason"] == "returned"


@pytest.mark.parametrize("case", CASES)
def test_ids_are_what_they_were(case: str) -> None:
    numbers = NUMBERS[case]
    assert [alert["id"] for alert in once(case)] == [f"{IDS[case]}#{n}" for n in numbers]


@pytest.mark.parametrize("case", CASES)
def test_a_recording_replayed_twice_over_tells_nothing_new(case: str) -> None:
    """At least once is what the transport promises: a repeat of all of it must change nothing."""
    _, twice = replayed(case, times=2)
    told = [alert["id"] for alert in replayed_once(case)[1]]
    assert sorted(alert["id"] for alert in twice) == sorted(told)


@pytest.mark.parametrize("case", CASES)
def test_an_alert_explains_itself(case: str) -> None:
    for alert in once(case):
        data = alert["data"]
        assert data["evidence"], alert["id"]
        assert data["zones"]
        assert data["rules"]
        assert data["detected"] >= data["since"]


def test_case_b_was_told_by_the_clock_alone_while_the_phone_was_off() -> None:
    opened = once("B")[0]["data"]
    assert opened["detected"] == "2024-02-09T17:00:00Z"
    assert (opened["permit_id"], opened["reason"]) == ("L-88", "outside_after_leave")


def test_case_c_was_told_within_four_minutes_of_the_crossing() -> None:
    """NIJ Standard 1004.00 for active devices."""
    [truth] = expected()["C"]["episodes"]
    opened, closed = [alert["data"] for alert in once("C")]
    assert seconds_between(opened["detected"], truth["since"]) <= 240
    assert seconds_between(closed["detected"], truth["until"]) <= 240


@pytest.mark.parametrize("case", CASES)
def test_the_state_stays_small(case: str) -> None:
    replay, _ = replayed_once(case)
    assert not replay.rejections
    [person] = replay.people.values()
    assert len(freeze(person)) < 32_000
