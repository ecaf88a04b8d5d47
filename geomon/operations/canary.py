"""Canaries: an event through each partition every half minute, about nobody.

A worker sends one into each partition it holds and looks for it among the events it judges. So what
is measured is the whole way: producer, broker, consumer, judging. One that does not come back is an
alarm. A worker that is dead raises none; so each sighting is also noted in Redis,

    geomon:canary:<partition>    JSON: sent, seen (RFC 3339, UTC), worker; gone after a week

where `geomon watch` and `geomon doctor` look. How old a sighting is they take from what is left of
the week, by Redis's clock, because the worker's may be wrong.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timezone
from itertools import count
from typing import Any, NamedTuple, cast

import msgspec
import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from geomon.events import CANARY_PREFIX
from geomon.operations.brokerclock import steady_s

__all__ = [
    "Canaries",
    "CanaryEvent",
    "CanaryNotes",
    "Silence",
    "canary_event",
    "noted",
]

_KEPT_S = 7 * 86_400
#: Sightings asked for at once; a topic has its partitions numbered from 0.
_AT_ONCE = 256
#: Canaries on their way that are remembered for each partition.
_REMEMBERED = 64
_TIMEOUT_S = 2.0


class Silence(NamedTuple):
    """A partition that no canary has come through for a time."""

    partition: int
    for_s: float
    worker: str = ""


class CanaryEvent(NamedTuple):
    """A canary as a message; it is known again by the time it carries."""

    key: bytes
    value: bytes
    received: datetime


class Canaries:
    """The canaries of one worker: which are due, which came back, which partitions are silent.

    Knows neither Kafka nor Redis. Time is steady time: a clock that is set disturbs nothing.
    """

    def __init__(
        self, every_s: float, silence_s: float, *, steady: Callable[[], float] = steady_s
    ) -> None:
        self._every_s, self._silence_s = every_s, silence_s
        self._steady = steady
        self._due_s: dict[int, float] = {}
        self._heard_s: dict[int, float] = {}  # since when a partition's silence counts
        self._away: dict[int, dict[datetime, float]] = {}  # sent and not seen yet

    def hold(self, partitions: Iterable[int]) -> None:
        """Care for these partitions and no other; for new ones a canary is due at once."""
        now_s = self._steady()
        held = set(partitions)
        for gone in self._due_s.keys() - held:
            for kept in (self._due_s, self._heard_s, self._away):
                kept.pop(gone, None)
        for new in held - self._due_s.keys():
            self._due_s[new] = self._heard_s[new] = now_s

    def due(self) -> list[int]:
        """Give the partitions to send a canary to now; they are due again a while later."""
        if not self._every_s:
            return []
        now_s = self._steady()
        due = sorted(partition for partition, at_s in self._due_s.items() if at_s <= now_s)
        for partition in due:
            self._due_s[partition] = now_s + self._every_s
        return due

    def sent(self, partition: int, received: datetime) -> None:
        """Remember when one was sent, by the time it carries."""
        away = self._away.setdefault(partition, {})
        away[received] = self._steady()
        while len(away) > _REMEMBERED:
            del away[next(iter(away))]

    def seen(self, partition: int, received: datetime) -> float | None:
        """Note that one was judged; give its round trip in seconds, None for another worker's."""
        now_s = self._steady()
        if partition in self._heard_s:
            self._heard_s[partition] = now_s
        sent_s = self._away.get(partition, {}).pop(received, None)
        return None if sent_s is None else now_s - sent_s

    def ages_s(self) -> dict[int, float]:
        """Give for how long each partition has been without one, or held if that is shorter."""
        now_s = self._steady()
        return {partition: now_s - heard_s for partition, heard_s in self._heard_s.items()}

    def silent(self) -> list[Silence]:
        """Give the partitions that no canary has come through for too long."""
        if not self._every_s:
            return []
        return [
            Silence(partition, age_s)
            for partition, age_s in sorted(self.ages_s().items())
            if age_s > self._silence_s
        ]


def canary_event(partition: int, now_s: float) -> CanaryEvent:
    """Give a canary for a partition, sent at `now_s` (POSIX seconds)."""
    whose = f"{CANARY_PREFIX}{partition}"
    received = datetime.fromtimestamp(now_s, timezone.utc)
    value = {"type": "canary", "supervisee_id": whose, "received": received}
    return CanaryEvent(whose.encode(), msgspec.json.encode(value), received)


class CanaryNotes:
    """Notes sightings in Redis. It never waits long and never raises for a Redis that is away."""

    def __init__(self, url: str, *, prefix: str = "geomon", worker: str = "") -> None:
        self._prefix = prefix
        self._worker = worker or _worker_name()
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )

    async def note(self, seen: Iterable[tuple[int, datetime]], now_s: float) -> bool:
        """Note canaries as judged now: (partition, the time it carried). Say whether it worked."""
        at = datetime.fromtimestamp(now_s, timezone.utc)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for partition, sent in seen:
                    value = {"sent": sent, "seen": at, "worker": self._worker}
                    pipe.set(_key(partition, self._prefix), msgspec.json.encode(value), ex=_KEPT_S)
                await pipe.execute()
        except (RedisError, OSError):
            return False
        return True

    async def trouble(self) -> BaseException | None:
        """Ask whether Redis answers within 2 s; give the error when it does not."""
        try:
            await cast(Awaitable[Any], self._redis.ping())
        except (RedisError, OSError) as error:
            return error
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def noted(client: redis.Redis, *, prefix: str = "geomon") -> list[Silence]:
    """Read from Redis for how long each partition has been without a canary, and whose it was.

    Nothing is given for a partition that never had one, or none for a week. Raises redis-py's
    errors.
    """
    found: list[Silence] = []
    for first in range(0, 1 << 20, _AT_ONCE):
        keys = [_key(partition, prefix) for partition in range(first, first + _AT_ONCE)]
        with client.pipeline(transaction=False) as pipe:
            pipe.mget(keys)
            for key in keys:
                pipe.pttl(key)
            values, *left_ms = pipe.execute()
        here = [
            Silence(partition, max(0.0, _KEPT_S - left / 1000), _worker_in(value))
            for partition, value, left in zip(count(first), values, left_ms, strict=False)
            if value is not None and left >= 0
        ]
        found += here
        if not here:
            break
    return found


def _worker_name() -> str:
    """Name this process as others see it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _key(partition: int, prefix: str) -> str:
    return f"{prefix}:canary:{partition}"


def _worker_in(value: bytes) -> str:
    try:
        note: dict[str, Any] = msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.DecodeError:
        return ""
    return str(note.get("worker", ""))
