"""The recording of a night: everything that can happen, many times over, and what ought to be told.

People of `everykind.everything()` in so many copies, each under ids of its own, one beginning after
the other; in the end everybody's clock comes to the end. A fifth of the lines lead to an alert, so
wherever a fault hits, something is just being told.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from everykind import everything

from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.zones.index import zones_for

__all__ = ["Line", "Recording", "many_of_everybody", "open_of", "replayed"]

_ID = re.compile(rb'"supervisee_id": ?"([^"]+)"')
_FIRST = b"SZ-01"
_MOST_COPIES = 89
SETTINGS = Settings(clock="recording")


@dataclass(frozen=True)
class Line:
    """One message: whose, and what."""

    key: bytes
    value: bytes


@dataclass(frozen=True)
class Recording:
    """Lines in order of arrival, and what a replay of them in process gives."""

    lines: list[Line]
    alerts: list[dict[str, Any]]
    rejections: dict[str, int]
    end: datetime
    led_to: list[int]
    """How many alerts there are after each line."""

    def open(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What is open in the end: person -> kind -> its newest alert."""
        return open_of(self.alerts)


@lru_cache(maxsize=4)
def many_of_everybody(copies: int) -> Recording:
    """Give the recording with so many copies of everybody, at most 89."""
    if not 1 <= copies <= _MOST_COPIES:
        raise ValueError(f"{copies} copies")
    life = everything()
    arrivals = (msgspec.json.decode(raw.data)["received"] for raw in life)
    end = max(map(datetime.fromisoformat, arrivals)) + timedelta(seconds=SETTINGS.settle_s)
    told_last = [clock(person, end) for person in sorted({_person(raw.data) for raw in life})]
    one = [Line(_person(raw.data), raw.data) for raw in life] + told_last
    # Each copy begins when a quarter of the one before it is over, so that at any moment some are
    # in the thick of it. Between people any order will do.
    placed = sorted(
        (number + copy * len(one) // 4, copy, number)
        for number in range(len(one))
        for copy in range(copies)
    )
    lines = [_renamed(one[number], b"SZ-%02d" % (10 + copy)) for _, copy, number in placed]
    return replayed(lines, end)


def replayed(lines: list[Line], end: datetime) -> Recording:
    """Give a recording of these lines: what a replay of them tells."""
    replay = Replay(Intake(zones_for(SETTINGS.city)), rules_from(SETTINGS))
    told: list[dict[str, Any]] = []
    led_to = []
    for number, line in enumerate(lines, 1):
        told += replay.feed_batch([Raw(line.value, f"line:{number}")])
        led_to.append(len(told))
    # As they would be read: JSON knows no tuples.
    alerts: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(told))
    return Recording(lines, alerts, dict(replay.rejections), end, led_to)


def clock(person: bytes, time: datetime) -> Line:
    """Give the event that lets a person's clock come to a time."""
    event = {"type": "clock", "supervisee_id": person.decode(), "received": time}
    return Line(person, msgspec.json.encode(event))


def open_of(alerts: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Give what alerts leave open: person -> kind -> the newest alert of the open episode."""
    newest = {alert["data"]["episode"]: alert for alert in alerts}
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for alert in newest.values():
        if alert["data"]["phase"] != "closed":
            found[alert["subject"]][alert["data"]["kind"]] = alert
    return dict(found)


def _renamed(line: Line, first: bytes) -> Line:
    return Line(line.key.replace(_FIRST, first), line.value.replace(_FIRST, first))


def _person(line: bytes) -> bytes:
    found = _ID.search(line)
    assert found is not None, line
    return found[1]
