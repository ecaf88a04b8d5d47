"""What falls due by the time of day: while all is down, and where a clock is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from .night import Night

#: Deadlines by the time of day, without any slack.
WALL: dict[str, Any] = {
    "clock": "wall",
    "clock_slack_s": 0,
    "settle_s": 0,
    "overdue_grace_min": 0,
    "checkpoint_s": 0,
}
HOUR_S = 3600.0


def now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


def event(tag: str, whose: str, fields: dict[str, Any]) -> tuple[int, bytes, bytes]:
    return -1, whose.encode(), msgspec.json.encode({"type": tag, "supervisee_id": whose, **fields})


def on_leave(whose: str, until: datetime) -> Iterator[tuple[int, bytes, bytes]]:
    """Somebody is on leave in Henan, and seen there just now."""
    leave = {"permit_id": "L-1", "kind": "leave", "destinations": ["410000"]}
    term = {"from": now() - timedelta(days=2), "until": until}
    yield event("permit", whose, {**leave, **term, "received": now() - timedelta(days=3)})
    times = (now() - timedelta(minutes=minutes) for minutes in (10, 5, 0))
    henan = {"lon": 114.0, "lat": 34.0, "accuracy_m": 20, "source": "gnss"}
    fixes = [{"time": at, **henan} for at in times]
    phone = {"device_id": "phone-1", "device": "phone", "datum": "wgs84"}
    yield event("upload", whose, {**phone, "received": now(), "fixes": fixes})


def back(whose: str) -> tuple[int, bytes, bytes]:
    """Somebody reports back from leave."""
    return event("return", whose, {"permit_id": "L-1", "time": now(), "received": now()})


def overdue(whose: str, until: datetime) -> str:
    return f"{whose}/overdue_return/{until:%Y-%m-%dT%H:%M:%SZ}#1"


def told(night: Night) -> list[str]:
    return [alert["id"] for alert in night.alerts()]


def test_what_fell_due_while_all_was_down_is_told_once_when_it_is_up_again(
    night: Night,
) -> None:
    """Of two whose leave ended, one had reported back: that waits to be read, and counts."""
    worker = night.worker(**WALL)
    night.until_shared_by(1)
    until = now() + timedelta(seconds=8)
    night.put(*on_leave("SZ-0001", until), *on_leave("SZ-0002", until))
    night.until_marked(night.mark())  # and so these have been judged
    worker.kill()
    night.put(back("SZ-0002"))
    night.kill_redis()
    night.cluster.kill(1)
    assert now() < until, "too slow: it fell due before all was down"
    time.sleep((until - now()).total_seconds() + 1)
    night.redis.start()
    night.start_brokers()
    successor = night.worker(**WALL)
    night.eventually(lambda: told(night), bool, "what fell due is told")
    successor.kill()
    # A third one finds nothing left to tell: it judges what comes behind, and that alone.
    night.worker(**WALL)
    later = now() + timedelta(seconds=1)
    night.put(*on_leave("SZ-0003", later))
    night.eventually(lambda: told(night), lambda ids: overdue("SZ-0003", later) in ids, "later")
    assert told(night) == [overdue("SZ-0001", until), overdue("SZ-0003", later)]


@pytest.mark.parametrize("clock_wrong_s", [6 * HOUR_S, -6 * HOUR_S])
def test_a_wrong_clock_makes_no_deadline_early_or_late(night: Night, clock_wrong_s: float) -> None:
    """The worker learns from its first canary what time it is by the brokers, and waits for it."""
    right = night.worker(**WALL).until_running()
    in_hours = now() + timedelta(hours=3)
    night.put(*on_leave("SZ-0001", in_hours))
    night.until_marked(night.mark())
    right.stop()
    night.worker(clock_wrong_s=clock_wrong_s, canary_s=1, **WALL).until_running()
    soon = now() + timedelta(seconds=4)
    night.put(*on_leave("SZ-0002", soon))
    night.eventually(lambda: told(night), lambda ids: overdue("SZ-0002", soon) in ids, "in time")
    assert told(night) == [overdue("SZ-0002", soon)]
