"""Alerts judged from events, against those on record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from oneperson import DONGGUAN, composed, moment, said, supervised, text, uploads

from geomon.alerts import iso_utc
from geomon.dossier import Dossier, Record
from geomon.dossier.record import decode_event
from geomon.zones.index import ZoneIndex

LEFT = "SZ-0001/leave_city/2024-02-01T02:00:00Z"
#: Away and back on one day.
DAY = [
    supervised("01-01 00:00"),
    *uploads("01-31 20:00", "02-01 10:00", every_min=20),
    *uploads("02-01 10:00", "02-01 13:00", DONGGUAN, every_min=10),
    *uploads("02-01 13:00", "02-01 20:00", every_min=10),
]


def alert(episode: str, number: int, phase: str, when: str, **data: Any) -> dict[str, Any]:
    _, kind, since = episode.split("/")
    told = iso_utc(moment(when))
    return {
        "id": f"{episode}#{number}",
        "type": f"geomon.alert.{phase}",
        "subject": "SZ-0001",
        "time": told,
        "data": {
            **{"episode": episode, "kind": kind, "phase": phase, "since": since},
            **{"detected": told, "severity": "high", "reason": "outside_without_leave", **data},
        },
    }


def broken_data(**data: Any) -> bytes:
    return msgspec.json.encode(alert(LEFT, 1, "opened", "02-01 10:05", **data))


def city_alerts(dossier: Dossier, *fields: str) -> list[tuple[Any, ...]]:
    return [row[1:] for row in said(dossier, "alert", "kind", *fields) if row[0] == "leave_city"]


def test_without_a_record_nothing_is_marked(zones: ZoneIndex) -> None:
    dossier = composed(zones, DAY)
    assert city_alerts(dossier, "number", "phase", "record") == [
        (1, "opened", None),
        (2, "closed", None),
    ]


def test_an_alert_is_shown_as_it_is_on_record(zones: ZoneIndex) -> None:
    """The worker decided when it was up again: that is when the duty room knew."""
    recorded = alert(LEFT, 1, "opened", "02-01 11:47")
    dossier = composed(zones, DAY, record=Record([recorded]))
    assert city_alerts(dossier, "time_s", "number", "record") == [
        ("02-01 11:47", 1, "on_record"),
        (text(moment("02-01 13:10")), 2, "not_delivered"),
    ]
    (row,) = [
        e for e in said(dossier, "episode", "kind", "detected_s", "record") if e[0] == "leave_city"
    ]
    assert row[1:] == ("02-01 11:47", "not_delivered")


def test_what_is_on_record_alone_is_told_with_the_reason_why(zones: ZoneIndex) -> None:
    before = alert("SZ-0001/leave_city/2024-01-10T02:00:00Z", 1, "opened", "01-10 10:05")
    other = alert("SZ-0001/exclusion_zone/2024-02-01T04:00:00Z", 1, "opened", "02-01 12:05")
    record = Record([before, other], moment("01-31 20:00"))
    marks = dict(said(composed(zones, DAY, record=record), "alert", "id", "record"))
    assert marks[before["id"]] == "beyond_retention"
    assert marks[other["id"]] == "not_reproduced"
    assert marks[f"{LEFT}#1"] == "not_delivered"


def test_an_alert_of_an_episode_that_began_before_the_topic_does_is_beyond_it_too(
    zones: ZoneIndex,
) -> None:
    closed = alert(
        "SZ-0001/leave_city/2024-01-10T02:00:00Z", 2, "closed", "02-01 09:00", reason="returned"
    )
    record = Record([closed], moment("01-31 20:00"))
    marks = dict(said(composed(zones, DAY, record=record), "alert", "id", "record"))
    assert marks[closed["id"]] == "beyond_retention"


def test_a_record_alone_still_makes_a_dossier(zones: ZoneIndex) -> None:
    opened = alert(
        LEFT, 1, "opened", "02-01 10:05", out_of_supervision_since="2024-02-01T02:00:00Z"
    )
    dossier = composed(zones, [], end="02-03 10:00", record=Record([opened]))
    assert said(dossier, "alert", "id", "record") == [(f"{LEFT}#1", "on_record")]
    assert said(dossier, "clock", "clock", "due_s") == [
        ("out_of_supervision", "02-11 10:00"),
        ("open_episode", ""),
    ]
    assert dossier.person.level is None


def test_what_was_decided_later_is_not_as_it_was_then(zones: ZoneIndex) -> None:
    record = Record([alert(LEFT, 1, "opened", "02-01 11:47")])
    dossier = composed(zones, DAY, end="02-01 11:00", record=record)
    assert city_alerts(dossier, "time_s", "record") == [("02-01 10:00", "not_delivered")]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "array"),
        (b'{"id":"x#1","type":"x","subject":"x","time":"2024-02-01T00:00:00Z"}', "data"),
        (msgspec.json.encode(alert(LEFT, 1, "opened", "02-01 10:05") | {"id": "x#one"}), "its id"),
        (msgspec.json.encode(alert(LEFT, 1, "opened", "02-01 10:05") | {"time": "noon"}), "time"),
        (broken_data(until="then"), "until"),
        (broken_data(cause="SZ-0001/tamper/x"), "x"),
        (broken_data(evidence=3), "evidence"),
        (b"\xff", "UTF-8|character"),
    ],
)
def test_what_is_no_alert_is_said_to_be_none(broken: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode_event(broken)


def test_an_alert_comes_back_as_it_was_written() -> None:
    whole = alert(LEFT, 1, "opened", "02-01 10:05")
    assert decode_event(msgspec.json.encode(whole)) == whole
