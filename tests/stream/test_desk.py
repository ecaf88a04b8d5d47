"""The desk: what comes twice is judged once; what cannot be written costs one message."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
from everykind import everything

from geomon.core.rules import Rules
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.settings import Settings, rules_from
from geomon.stream.desk import Desk, Verdict
from geomon.zones.index import ZoneIndex


def told(zones: ZoneIndex, batches: list[list[Raw]]) -> tuple[list[bytes], int]:
    """What a desk tells of batches, and how many messages it knew already."""
    desk = Desk(Intake(zones), rules_from(Settings(clock="recording")))
    desk.hold({0})
    verdicts = [desk.judge(batch) for batch in batches]
    alerts = [msgspec.json.encode(alert) for verdict in verdicts for alert in verdict.alerts]
    return alerts, sum(verdict.known for verdict in verdicts)


def test_messages_that_come_twice_in_one_batch_are_judged_once(zones: ZoneIndex) -> None:
    """Fetched, thrown away as partitions moved, and fetched again: a batch may hold both."""
    messages = [
        Raw(
            line.data,
            f"events/0/{offset}",
            json.loads(line.data)["supervisee_id"].encode(),
            1_709_000_000 + offset,
            0,
            offset,
        )
        for offset, line in enumerate(everything())
    ]
    once, _ = told(zones, [messages])
    assert once
    assert told(zones, [messages + messages]) == (once, len(messages))
    assert told(zones, [messages, messages]) == (once, len(messages))


# -- what cannot be written --------------------------------------------------------------------

ANNOUNCED = {
    "type": "supervisee",
    "from": "2024-01-01T00:00:00+08:00",
    "until": "2024-12-31T00:00:00+08:00",
    "received": "2024-01-01T00:00:00+08:00",
}
STRAP_OPENED = {
    "type": "upload",
    "device_id": "b",
    "device": "wristband",
    "datum": "wgs84",
    "received": "2024-02-13T09:30:05+08:00",
    "strap": "open",
    "fixes": [{"time": "2024-02-13T09:30:00+08:00", "lon": 114.0579, "lat": 22.5431}],
}
ORDERED = {
    "type": "authorisation",
    "authorisation_id": "O",
    "ground": 1,
    "from": "2024-01-03T00:00:00+08:00",
    "until": "2024-03-03T24:00:00+08:00",
    "received": "2024-02-13T09:30:05+08:00",
}


def judged(desk: Desk, *events: dict[str, object]) -> Verdict:
    """What a desk of one partition says of events, each of the person named in it."""
    desk.hold({0})
    batch = [
        Raw(
            json.dumps(event).encode(),
            f"events/0/{offset}",
            str(event["supervisee_id"]).encode(),
            1_709_000_000,
            0,
            offset,
        )
        for offset, event in enumerate(events)
    ]
    verdict = desk.judge(batch)
    # What a worker does with it: every bit of it can be written, and every state.
    msgspec.json.encode([verdict.alerts, verdict.commands, verdict.rejections])
    roll = desk.rolls[0]
    assert roll.records(roll.ledger.all_due(), desk.rules)
    return verdict


def refused(verdict: Verdict) -> list[tuple[str, str]]:
    return [(refusal["reason"], refusal["where"]) for refusal in verdict.rejections]


def test_a_state_that_cannot_be_written_costs_one_message(zones: ZoneIndex) -> None:
    """Gathered for 3,000 billion years: more than a number in a state can be."""
    desk = Desk(Intake(zones), Rules(settle_s=10**20))
    verdict = judged(
        desk,
        {**ANNOUNCED, "supervisee_id": "A"},
        {**STRAP_OPENED, "supervisee_id": "A", "stored": True},
        {**STRAP_OPENED, "supervisee_id": "B"},
    )
    assert refused(verdict) == [("internal_error", "events/0/1")]
    assert [alert["subject"] for alert in verdict.alerts] == ["B"]
    assert list(desk.rolls[0].people) == ["A", "B"], "A is as before the message"


def test_an_alert_that_cannot_be_written_costs_one_message(zones: ZoneIndex) -> None:
    """A notice 30,000 years ahead has a date for which there is no text."""
    verdict = judged(
        Desk(Intake(zones), Rules(notice_s=10**12)),
        {**ANNOUNCED, "supervisee_id": "A"},
        {**STRAP_OPENED, "supervisee_id": "A", "strap": "closed", "fixes": []},
        {**ORDERED, "supervisee_id": "A"},
        {**STRAP_OPENED, "supervisee_id": "B"},
    )
    assert refused(verdict) == [("internal_error", "events/0/2")]
    assert [alert["subject"] for alert in verdict.alerts] == ["B"]


class Misquoting(Intake):
    """An intake with a defect: of what it refuses it quotes half a character."""

    def take(self, batch: Sequence[Raw]) -> tuple[list[Arrival], list[Rejected]]:
        arrivals, rejected = super().take(batch)
        return arrivals, [r._replace(detail="\ud842") for r in rejected]


def test_a_refusal_that_cannot_be_written_is_told_as_a_defect(zones: ZoneIndex) -> None:
    verdict = judged(
        Desk(Misquoting(zones), Rules()),
        {"type": "riddle", "supervisee_id": "A"},
        {**STRAP_OPENED, "supervisee_id": "B"},
    )
    assert refused(verdict) == [("internal_error", "events/0/0")]
    assert [alert["subject"] for alert in verdict.alerts] == ["B"]
