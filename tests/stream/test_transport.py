"""Messages fetched in batches, or through Faust's own streams: what is told is the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from threading import get_ident
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from everykind import BAD, everything
from faust.types import TP
from mainjob import (
    RECORDING,
    eventually,
    judged,
    log_of,
    producer_of,
    replayed,
    run,
    topic_of,
)

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.stream.inbox import Inbox
from geomon.stream.worker import Worker
from geomon.topics import EVENTS, REJECTED
from geomon.zones.index import ZoneIndex


@pytest.mark.parametrize("drain", ["batches", "messages"])
def test_workers_tell_the_same_however_messages_are_fetched(zones: ZoneIndex, drain: str) -> None:
    """Three workers, one after the other, each of which goes on where the last one stopped."""
    lines = everything()
    wanted = replayed(zones, lines, RECORDING)
    messages = [(msgspec.json.decode(raw.data)["supervisee_id"], raw.data) for raw in lines]
    bad = [("SZ-0199", msgspec.json.encode(e)) for e, reason in BAD if reason == "bad_zone"]
    newest = max(datetime.fromisoformat(msgspec.json.decode(raw.data)["received"]) for raw in lines)
    end = newest + timedelta(seconds=RECORDING.settle_s)
    clocks = [
        (whose, msgspec.json.encode({"type": "clock", "supervisee_id": whose, "received": end}))
        for whose in sorted({whose for whose, _ in messages})
    ]
    parts = [messages[:150], bad + messages[150:300], messages[300:] + bad + clocks]

    async def main() -> None:
        async with (
            embedded_parts(replace(RECORDING, drain=drain, batch_most=50)) as settings,
            producer_of(settings) as producer,
        ):

            async def told() -> int:
                return len(await log_of(settings))

            for part in parts:
                async with embedded_worker(settings, zones) as worker:
                    assert bool(worker.app.agents) == (drain == "messages")
                    for whose, message in part:
                        await producer.send(EVENTS, message, key=whose.encode())
                    await producer.flush()
                    await judged(worker, len(part))
                    if part is parts[-1]:
                        # What the last worker had not committed comes again, and counts above.
                        await eventually(told, lambda count: count >= len(wanted))
            log = await log_of(settings)
            assert len(log) == len(wanted)
            for whose in {alert["subject"] for alert in wanted}:
                mine = [alert for alert in log if alert["subject"] == whose]
                assert mine == [alert for alert in wanted if alert["subject"] == whose]
            refused = await topic_of(settings, REJECTED, 2 * len(bad) + 1)
            reasons = Counter(record["reason"] for _, record in refused)
            assert reasons == {"bad_zone": 2 * len(bad), "faked_position": 1}

    run(main)


def test_the_consumer_seeks_in_the_thread_that_fetches(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another one it would take away what the fetch is at, and end the worker."""
    threads: list[int] = []
    seek = AIOKafkaConsumer.seek

    def noted(consumer: Any, partition: Any, offset: int) -> None:
        threads.append(get_ident())
        seek(consumer, partition, offset)

    monkeypatch.setattr(AIOKafkaConsumer, "seek", noted)
    (raw, *_) = everything()
    whose = msgspec.json.decode(raw.data)["supervisee_id"]

    async def main() -> None:
        async with (
            embedded_parts(RECORDING) as settings,
            producer_of(settings) as producer,
            embedded_worker(settings, zones) as worker,
        ):
            await producer.send_and_wait(EVENTS, raw.data, key=whose.encode())
            await judged(worker, 1)
            before = len(threads)
            consumer: Any = worker.app.consumer
            for tp in consumer.events():
                await consumer.look_again(tp)
            assert len(threads) > before

    run(main)
    assert get_ident() not in threads


def test_messages_on_their_way_when_their_partition_is_taken_away(zones: ZoneIndex) -> None:
    """Faust forgets at once what was committed; they do not seem to follow a gap then."""
    raws = [raw for raw in everything() if b'"SZ-0101"' in raw.data]
    assert raws
    whose = b"SZ-0101"

    async def send(settings: Any, messages: list[bytes]) -> None:
        async with producer_of(settings) as producer:
            for message in messages:
                await producer.send(EVENTS, message, key=whose)
            await producer.flush()

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await send(settings, [raws[0].data] * 50)
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, 50)
            worker = Worker(settings, zones)
            async with worker.running():
                consumer: Any = worker.app.consumer
                inbox = worker._inbox

                async def known() -> list[int | None]:
                    return [consumer.committed(tp) for tp in consumer.events()]

                assert 50 in await eventually(known, any)
                async with worker._lock:  # no judging for the moment
                    await send(settings, [raws[0].data] * 3)

                    async def taken() -> bool:
                        return any(at >= 53 for at in consumer._expected.values())

                    await eventually(taken, bool)
                    await eventually(lambda: _length(inbox), lambda length: not length)
                    # As Faust does before it tells anybody that partitions move.
                    for tp in consumer.events():
                        consumer._committed_offset.pop(tp, None)
                await judged(worker, 3)
                assert worker.failure is None

    run(main)


def test_a_partition_that_has_just_moved_away_is_not_read_to_its_end(zones: ZoneIndex) -> None:
    """A look at the partitions waits for an answer, and they move: with another worker, at once."""
    wall = replace(RECORDING, clock="wall")

    async def main() -> None:
        async with (
            embedded_parts(wall, partitions=1) as settings,
            embedded_worker(settings, zones) as worker,
        ):
            consumer: Any = worker.app.consumer
            here, gone = TP(EVENTS, 0), TP(EVENTS, 1)

            async def ready() -> set[int]:
                return await worker._frontier.read_to_end(consumer)

            assert await eventually(ready, bool) == {0}
            # As they were when the look began.
            worker.desk.roll(1)
            consumer.events = lambda: [gone, here]
            consumer._begun[gone] = 0
            assert await eventually(ready, bool) == {0}
            # As when the last of it went while its position was asked for.
            assert consumer.highwater(gone) is None
            assert await consumer.position(gone) is None
            assert consumer.fetched_s(gone) == 0
            await consumer.look_again(gone)
            consumer._expected[gone] = 0
            await consumer.look_again(gone)
            assert worker.vitals._lag() == {0: 0}
            assert worker.failure is None

    run(main)


async def _length(inbox: Inbox) -> int:
    return len(inbox)


def test_partitions_that_move_while_a_worker_stops_have_nothing_closed_from_another_thread(
    zones: ZoneIndex,
) -> None:
    """Faust closed the client from the app's thread: a worker in some dozens ended in a crash."""
    closed_in: list[int] = []

    async def main() -> None:
        async with (
            embedded_parts(RECORDING) as settings,
            embedded_worker(settings, zones) as worker,
        ):
            consumer: Any = worker.app.consumer
            client = consumer._thread._consumer._client
            close = client.close

            async def noted() -> None:
                closed_in.append(get_ident())
                await close()

            client.close = noted
            # What Faust does with partitions that are taken away while the app stops.
            worker.app._on_rebalance_when_stopped()
        assert closed_in
        assert get_ident() not in closed_in

    run(main)
