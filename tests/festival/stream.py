"""The festival through the real worker: Kafka protocol, Faust, Redis.

The embedded broker keeps a few megabytes of a partition, so the sender waits for the worker: a
recording of any size goes through it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.settings import Settings
from geomon.sinks.redis import log_key
from geomon.stream.worker import Worker
from geomon.topics import EVENTS
from geomon.zones.index import ZoneIndex

__all__ = ["through_faust"]

#: Messages that may be on their way: a megabyte or so, in one partition at worst.
_AHEAD = 4_000
_STUCK_S = 120.0
_PAGE = 1_000
_PERSON = re.compile(rb'"supervisee_id":"([^"]+)"')


async def through_faust(
    lines: Sequence[bytes], zones: ZoneIndex, *, end_s: int
) -> list[dict[str, Any]]:
    """Send lines through broker, worker and Redis; give the alerts as the log in Redis has them.

    After the last line everybody's clock comes to `end_s`, as it does in a replay. Raises
    `TimeoutError` when the worker stands still.
    """
    async with (
        embedded_parts(Settings(clock="recording")) as settings,
        embedded_worker(settings, zones) as worker,
    ):
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=5)
        await producer.start()
        try:
            people: set[bytes] = set()
            for sent, line in enumerate(lines):
                if sent % 1_000 == 0:
                    await _judged(worker, sent - _AHEAD)
                found = _PERSON.search(line)
                if found is None:
                    raise ValueError(f"line {sent} names nobody")
                people.add(found[1])
                await producer.send(EVENTS, line, key=found[1])
            for person in sorted(people):
                clock = {
                    "type": "clock",
                    "supervisee_id": person.decode(),
                    "received": _time(end_s),
                }
                await producer.send(EVENTS, msgspec.json.encode(clock), key=person)
            await producer.flush()
        finally:
            await producer.stop()
        await _judged(worker, len(lines) + len(people))
        return [alert async for alert in _log(settings.redis)]


async def _judged(worker: Worker, count: int) -> None:
    last, since = -1, asyncio.get_running_loop().time()
    while (done := worker.counts["events"]) < count:
        now = asyncio.get_running_loop().time()
        if done != last:
            last, since = done, now
        elif now - since > _STUCK_S:
            raise TimeoutError(f"{done:,} of {count:,} events judged, and no more for a while")
        await asyncio.sleep(0.02)


async def _log(url: str) -> AsyncIterator[dict[str, Any]]:
    at = "-"
    async with Redis.from_url(url) as client:
        while True:
            page: Any = await client.xrange(log_key(), min=at, count=_PAGE)
            for entry, fields in page:
                at = f"({entry.decode()}"
                yield msgspec.json.decode(fields[b"event"])
            if len(page) < _PAGE:
                return


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, timezone.utc).isoformat()
