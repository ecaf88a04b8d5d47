"""The main job, seen from outside: what is sent to a worker, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis

from geomon.cases import recording_path
from geomon.core.rules import Rules
from geomon.decoding import decode
from geomon.embedded.house import embedded_worker
from geomon.intake import Intake, Raw
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.sinks.events import stream_events
from geomon.stream.worker import Worker
from geomon.topics import EVENTS
from geomon.zones.index import ZoneIndex

__all__ = [
    "PATIENCE_S",
    "RECORDING",
    "eventually",
    "judged",
    "judged_in_turn",
    "lines_of",
    "log_of",
    "producer_of",
    "replayed",
    "run",
    "send",
    "topic_of",
]

T = TypeVar("T")
RECORDING = Settings(clock="recording")
PATIENCE_S = 60.0


def lines_of(*cases: str) -> list[Raw]:
    lines: list[Raw] = []
    for case in cases:
        with open_recording(str(recording_path(case))) as stream:
            lines += read_recording(stream, case)
    return lines


def replayed(zones: ZoneIndex, lines: Iterable[Raw], settings: Settings) -> list[dict[str, Any]]:
    """The alerts of a replay in process, as they would be read: JSON knows no tuples."""
    rules: Rules = rules_from(settings)
    replay = Replay(Intake(zones), rules)
    alerts = [*replay.feed(lines), *replay.finish()]
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(alerts))
    return found


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's program, and not for ever."""
    asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE_S))


async def eventually(ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> T:
    """Ask until the answer is what is wanted; fail with the last answer when patience ends."""
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        answer = await ask()
        if wanted(answer):
            return answer
        if asyncio.get_running_loop().time() > end:
            pytest.fail(f"still waiting after {PATIENCE_S:.0f} s: {answer!r}")
        await asyncio.sleep(0.05)


async def judged(worker: Worker, count: int) -> None:
    async def events() -> int:
        return worker.counts["events"]

    await eventually(events, lambda done: done >= count)


async def judged_in_turn(
    settings: Settings, zones: ZoneIndex, parts: Sequence[Sequence[Raw]], alerts: int
) -> list[str]:
    """Let a worker of its own judge each part; give the ids that the log has in the end.

    What a worker had not committed is judged again by the next one, and counted by it: so the last
    one is given until there are so many alerts.
    """

    async def told() -> list[str]:
        return [alert["id"] for alert in await log_of(settings)]

    async with producer_of(settings) as producer:
        for part in parts:
            for raw in part:
                event, _ = decode(raw.data)
                await producer.send(EVENTS, raw.data, key=event.supervisee_id.encode())
            await producer.flush()
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, len(part))
                if part is parts[-1]:
                    await eventually(told, lambda ids: len(ids) >= alerts)
    return await told()


async def send(settings: Settings, lines: Iterable[Raw]) -> int:
    def refuse(rejected: object) -> None:
        pytest.fail(f"refused before it was sent: {rejected}")

    return await stream_events(
        lines, settings.kafka, until_s=0, settle_s=settings.settle_s, on_rejected=refuse
    )


async def log_of(settings: Settings) -> list[dict[str, Any]]:
    """The alert log in Redis, as a subscriber reads it."""
    async with Redis.from_url(settings.redis) as redis:
        entries: Any = await redis.xrange("geomon:alerts:log")
    return [msgspec.json.decode(fields[b"event"]) for _, fields in entries]


async def topic_of(settings: Settings, topic: str, count: int) -> list[tuple[bytes, Any]]:
    """The first `count` messages of a topic, as (key, value)."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=settings.kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        messages: list[tuple[bytes, Any]] = []
        while len(messages) < count:
            message = await asyncio.wait_for(consumer.getone(), PATIENCE_S)
            messages.append((message.key, msgspec.json.decode(message.value)))
        return messages
    finally:
        await consumer.stop()


@asynccontextmanager
async def producer_of(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, max_request_size=32 << 20)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
