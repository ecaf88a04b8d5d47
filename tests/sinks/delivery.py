"""Alerts for a Redis, their delivery, and what is to be seen there of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from geomon.embedded.redis import EmbeddedRedis
from geomon.sinks.redis import RedisSink, log_key

__all__ = [
    "EVENING",
    "MORNING",
    "NOON",
    "NUMBERED",
    "Alert",
    "alert",
    "deliver",
    "logged",
    "present",
    "put_back",
    "unexpected",
    "with_sink",
]

Alert = dict[str, Any]
T = TypeVar("T")

MORNING, NOON, EVENING = "2024-02-13T01:30:00Z", "2024-02-13T04:00:00Z", "2024-02-13T10:00:00Z"


def alert(
    number: int,
    phase: str = "opened",
    *,
    person: str = "SZ-0001",
    kind: str = "leave_city",
    since: str = MORNING,
    district: str | None = "440303",
) -> Alert:
    episode = f"{person}/{kind}/{since}"
    return {
        "specversion": "1.0",
        "id": f"{episode}#{number}",
        "source": "/geomon",
        "type": f"geomon.alert.{phase}",
        "subject": person,
        "time": "2024-02-13T01:33:10Z",
        "data": {
            "episode": episode,
            "kind": kind,
            "phase": phase,
            "severity": "high",
            "district": district,
            "since": since,
            "reason": "outside_without_leave",
        },
    }


def logged(client: Any) -> list[str]:
    return [fields["id"] for _, fields in client.xrange(log_key())]


def present(client: Any, person: str = "SZ-0001") -> dict[str, str]:
    stored = client.hgetall(f"geomon:open:{person}")
    return {kind: msgspec.json.decode(event)["id"] for kind, event in stored.items()}


def with_sink(url: str, use: Callable[[RedisSink], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        sink = RedisSink(url, **options)
        try:
            return await use(sink)
        finally:
            await sink.close()

    return asyncio.run(run())


def deliver(server: EmbeddedRedis, *alerts: Alert, **options: Any) -> int:
    return with_sink(server.url, lambda sink: sink.deliver(alerts), **options)


def put_back(server: EmbeddedRedis, *alerts: Alert) -> int:
    return with_sink(server.url, lambda sink: sink.put_back(alerts))


def unexpected(trouble: str) -> None:
    raise AssertionError(trouble)


NUMBERED = st.builds(
    alert,
    st.integers(1, 4),
    st.sampled_from(["opened", "updated", "closed"]),
    person=st.sampled_from(["SZ-0001", "甲:#2"]),
    kind=st.sampled_from(["leave_city", "tamper"]),
    since=st.sampled_from([MORNING, NOON, EVENING]),
    district=st.sampled_from([None, "440303"]),
)
