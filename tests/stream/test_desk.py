"""The desk: what a batch holds twice is judged once."""

from __future__ import annotations

import json

import msgspec
from everykind import everything

from geomon.intake import Intake, Raw
from geomon.settings import Settings, rules_from
from geomon.stream.desk import Desk
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
