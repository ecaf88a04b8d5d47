"""The Faust worker over a Kafka-protocol broker and a real Redis server: the main job, whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis

from geomon.cases import CASES, recording_path
from geomon.core.rules import Rules
from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.errors import UnavailableError
from geomon.events import decode
from geomon.intake import Intake, Raw
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.sinks.events import stream_events
from geomon.stream.worker import Worker
from geomon.topics import ALERTS, EVENTS, REJECTED
from geomon.zones.index import ZoneIndex

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
    rules: Rules = rules_from(settings)
    replay = Replay(Intake(zones), rules)
    return [*replay.feed(lines), *replay.finish()]


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


def test_the_three_cases_come_out_as_in_a_replay(zones: ZoneIndex) -> None:
    lines = lines_of(*CASES)
    wanted = replayed(zones, lines, RECORDING)
    assert wanted

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, await send(settings, lines))
            log = await log_of(settings)
            # Between people any order will do; of one person it is the order of what happened.
            assert sorted(log, key=msgspec.json.encode) == sorted(wanted, key=msgspec.json.encode)
            for whose in {alert["subject"] for alert in wanted}:
                ids = [alert["id"] for alert in log if alert["subject"] == whose]
                assert ids == [alert["id"] for alert in wanted if alert["subject"] == whose]
            alerts = await topic_of(settings, ALERTS, len(wanted))
            assert all(key.decode() == alert["subject"] for key, alert in alerts)
            assert {alert["id"] for _, alert in alerts} == {alert["id"] for alert in wanted}

    run(main)


def test_the_same_recording_sent_twice_is_told_once(zones: ZoneIndex) -> None:
    lines = lines_of("A")
    wanted = [alert["id"] for alert in replayed(zones, lines, RECORDING)]

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                first = await send(settings, lines)
                await judged(worker, first + await send(settings, lines))
            assert [alert["id"] for alert in await log_of(settings)] == wanted

    run(main)


def test_a_worker_that_takes_over_goes_on_where_the_last_one_stopped(zones: ZoneIndex) -> None:
    """The state is recovered from the changelog: the absence was seen by the first worker only."""
    lines = lines_of("C")
    wanted = [alert["id"] for alert in replayed(zones, lines, RECORDING)]
    back = next(at for at, raw in enumerate(lines) if b'"2024-02-13T12:' in raw.data[:400])

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with producer_of(settings) as producer:
                for part in (lines[:back], lines[back:]):
                    for raw in part:
                        event, _ = decode(raw.data)
                        await producer.send(EVENTS, raw.data, key=event.supervisee_id.encode())
                    await producer.flush()
                    async with embedded_worker(settings, zones) as worker:
                        await judged(worker, len(part))
            log = [alert["id"] for alert in await log_of(settings)]
            assert log == wanted

    run(main)


def test_a_worker_that_cannot_make_an_alert_safe_ends_and_the_next_one_tells_it(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of("C")
    wanted = [alert["id"] for alert in replayed(zones, lines, RECORDING)]

    async def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("this topic takes nothing")

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            sent = await send(settings, lines)
            async with embedded_worker(settings, zones) as worker:
                with monkeypatch.context() as patch:
                    patch.setattr(worker._alerts, "send", refuse)
                    with pytest.raises(UnavailableError, match="takes nothing"):
                        await worker.until_stopped(asyncio.Event())
                assert worker.counts["events"] < sent
            async with embedded_worker(settings, zones) as worker:
                await eventually(lambda: log_of(settings), lambda log: len(log) >= len(wanted))
                for alert in await topic_of(settings, ALERTS, len(wanted)):
                    assert alert[1]["id"] in wanted
            assert [alert["id"] for alert in await log_of(settings)] == wanted

    run(main)


def a_leave_that_ends(until: datetime) -> list[bytes]:
    """Someone is on leave in Henan, and seen there minutes ago."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    permit = {
        "type": "permit",
        "supervisee_id": "SZ-0042",
        "permit_id": "L-1",
        "kind": "leave",
        "from": now - timedelta(days=2),
        "until": until,
        "destinations": ["410000"],
        "received": now - timedelta(days=3),
    }
    away = {
        "type": "upload",
        "supervisee_id": "SZ-0042",
        "device_id": "phone-1",
        "device": "phone",
        "datum": "wgs84",
        "received": now,
        "fixes": [
            {
                "time": now - timedelta(minutes=minutes),
                "lon": 114.0,
                "lat": 34.0,
                "accuracy_m": 20,
                "source": "gnss",
            }
            for minutes in (0, 5, 10)
        ],
    }
    return [msgspec.json.encode(permit), msgspec.json.encode(away)]


LIVE = Settings(clock="wall", clock_slack_s=0.0, overdue_grace_min=0.0, settle_s=0)


def in_seconds(seconds: int) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=seconds)


async def assert_overdue(settings: Settings, until: datetime) -> None:
    [alert] = await eventually(lambda: log_of(settings), lambda log: len(log) > 0)
    assert alert["data"]["kind"] == "overdue_return"
    assert alert["data"]["since"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")
    async with Redis.from_url(settings.redis) as redis:
        present: Any = await redis.hgetall("geomon:open:SZ-0042")
    assert msgspec.json.decode(present[b"overdue_return"]) == alert


def test_a_leave_that_ends_while_the_phone_is_silent_is_overdue_by_the_clock(
    zones: ZoneIndex,
) -> None:
    """No message arrives after the leave has ended: only the worker's own clock can tell."""

    async def main() -> None:
        async with (
            embedded_parts(LIVE) as settings,
            embedded_worker(settings, zones),
            producer_of(settings) as producer,
        ):
            until = in_seconds(3)
            for event in a_leave_that_ends(until):
                await producer.send_and_wait(EVENTS, event, key=b"SZ-0042")
            await assert_overdue(settings, until)

    run(main)


def test_a_deadline_that_falls_due_while_no_worker_runs_is_told_by_the_next_one(
    zones: ZoneIndex,
) -> None:
    """Nothing arrives for the second worker: it knows of the leave from the recovered state."""

    async def main() -> None:
        async with embedded_parts(LIVE) as settings:
            async with embedded_worker(settings, zones) as worker:
                until = in_seconds(8)
                async with producer_of(settings) as producer:
                    for event in a_leave_that_ends(until):
                        await producer.send_and_wait(EVENTS, event, key=b"SZ-0042")
                await judged(worker, 2)
            assert await log_of(settings) == []
            async with embedded_worker(settings, zones):
                await assert_overdue(settings, until)

    run(main)


def test_partitions_that_move_while_an_alert_is_delivered_take_no_deadline_with_them(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged then is not kept; the leave of somebody else must end all the same."""

    async def main() -> None:
        async with (
            embedded_parts(LIVE) as settings,
            embedded_worker(settings, zones) as worker,
            producer_of(settings) as producer,
        ):
            deliver = worker._sink.deliver_until_done
            moved = asyncio.Event()

            async def move_and_deliver(*alerts: Any, **options: Any) -> int:
                if not moved.is_set():
                    await worker._revoked()
                    worker._recovered()
                    moved.set()
                return await deliver(*alerts, **options)

            monkeypatch.setattr(worker._sink, "deliver_until_done", move_and_deliver)
            until = in_seconds(5)
            permit, away = a_leave_that_ends(until)
            for event in (permit, away):
                await producer.send_and_wait(EVENTS, event, key=b"SZ-0042")
            await judged(worker, 2)
            stray = away.replace(b"SZ-0042", b"SZ-0043")  # the same journey, without leave
            await producer.send_and_wait(EVENTS, stray, key=b"SZ-0043")
            await asyncio.wait_for(moved.wait(), PATIENCE_S)
            log = await eventually(lambda: log_of(settings), lambda log: len(log) >= 2)
            assert [(a["subject"], a["data"]["kind"]) for a in log] == [
                ("SZ-0043", "leave_city"),
                ("SZ-0042", "overdue_return"),
            ]

    run(main)


def test_bad_messages_are_refused_with_a_reason_and_the_stream_goes_on(zones: ZoneIndex) -> None:
    bad = {
        "broken_json": b"{",
        "not_utf8": b"\xff\xfe",
        # 10 MB are tested on a replay: the embedded broker keeps only 5 MB of a partition.
        "too_large": b'{"x":"' + b"a" * (2 << 20) + b'"}',
        "too_deep": b"[" * 5000,
        "key_mismatch": b'{"type":"clock","supervisee_id":"B","received":"2024-02-13T09:30:05Z"}',
    }
    good = lines_of("A")
    wanted = [alert["id"] for alert in replayed(zones, good, RECORDING)]

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                async with producer_of(settings) as producer:
                    for message in bad.values():
                        await producer.send_and_wait(EVENTS, message, key=b"SZ-0001")
                    # A message without key or value is somebody's mistake as well.
                    await producer.send_and_wait(EVENTS, None, key=b"SZ-0001")
                    await producer.send_and_wait(EVENTS, good[0].data)
                await judged(worker, len(bad) + 2 + await send(settings, good))
                assert sum(worker.rejections.values()) == len(bad) + 2
            records = [r for _, r in await topic_of(settings, REJECTED, len(bad) + 2)]
            # The one without a key may come by another partition, and so at any time.
            reasons = sorted(record["reason"] for record in records)
            assert reasons == sorted([*bad, "broken_json", "key_mismatch"])
            assert all(record["where"].startswith(EVENTS + "/") for record in records)
            assert [alert["id"] for alert in await log_of(settings)] == wanted

    run(main)
